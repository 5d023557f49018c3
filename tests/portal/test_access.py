"""Access in the portal: rules, local lists, reservations by operators and by drivers."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import pytest

from fleets.models import Driver, Token
from stations.models import AccessRule, Command, Evse, LocalList, Reservation, Station
from stations.models import ReservationState as S
from stations.services import access, local_lists
from tenants.context import tenant_scope
from tenants.models import Site, Tenant
from tests import objects, people
from tests.portal.conftest import Visitor
from tests.portal.test_browser import broken_rules, quiet, sign_in, web  # noqa: F401 - fixtures
from tests.servers import Role

if TYPE_CHECKING:
    from playwright.sync_api import Page

Make = Callable[..., Any]


@pytest.fixture
def online(make_station: Make, site: Site) -> Station:
    return make_station(site=site, name="Ramp 1", evses=2, online=True, ocpp_version="2.0.1")


def reservations_of(tenant: Tenant) -> list[Reservation]:
    with tenant_scope(tenant.pk):
        return list(Reservation.objects.filter(tenant=tenant).select_related("evse").order_by("id"))


def test_an_operator_reserves_extends_and_cancels(
    visitor: Callable[..., Visitor], tenant: Tenant, online: Station, make_token: Make
) -> None:
    make_token(uid="04AB", visual_number="Card 7")
    operator = visitor("operator")
    begin = (datetime.now(UTC) + timedelta(hours=3)).strftime("%Y-%m-%dT%H:%M")
    answer = operator.post(
        f"stations/{online.pk}/access/reserve/",
        place="evse:2",
        token_uid="04ab",
        starts_at=begin,
        minutes="30",
    )
    (made,) = reservations_of(tenant)
    assert answer.status_code == 302 and answer.url.endswith(f"/reservations/{made.pk}/")
    assert (made.state, made.evse.number if made.evse else None) == (S.PLANNED, 2)
    page = operator.text(f"reservations/{made.pk}/")
    assert "Reserved for Card 7" in page and "Planned" in page
    assert "Card 7" in operator.text("reservations/") and "Card 7" in operator.text(
        f"stations/{online.pk}/access/"
    )
    assert "Card 7 has it from" in operator.text(f"stations/{online.pk}/")
    again = operator.post(
        f"stations/{online.pk}/access/reserve/",
        place="evse:2",
        token_uid="04ab",
        starts_at=begin,
        minutes="5",
    )
    assert again.status_code == 422 and "Somebody has reserved this" in again.content.decode()
    operator.post(f"reservations/{made.pk}/extend/", minutes="15")
    assert reservations_of(tenant)[0].expires_at == made.expires_at + timedelta(minutes=15)
    operator.post(f"reservations/{made.pk}/cancel/", reason="Changed plans")
    (ended,) = reservations_of(tenant)
    assert (ended.state, ended.reason) == (S.CANCELLED, "Changed plans")
    assert "Reservation for Card 7: Cancelled" in operator.text(f"stations/{online.pk}/health/")


def test_what_cannot_be_reserved_is_said_beside_the_field(
    visitor: Callable[..., Visitor], tenant: Tenant, online: Station, make_token: Make
) -> None:
    make_token(uid="LOST", blocked=True)
    answer = visitor("operator").post(
        f"stations/{online.pk}/access/reserve/", place="evse:1", token_uid="LOST", minutes="30"
    )
    assert answer.status_code == 422
    assert "may not charge there then: blocked" in answer.content.decode()
    assert not reservations_of(tenant)


def test_an_unknown_card_is_asked_about_and_a_past_start_refused(
    visitor: Callable[..., Visitor], tenant: Tenant, online: Station
) -> None:
    operator, url = visitor("operator"), f"stations/{online.pk}/access/reserve/"
    given = {"place": "evse:1", "token_uid": "typo card", "minutes": "45"}
    first = operator.post(url, **given)
    assert first.status_code == 422 and "No token here has this UID" in first.content.decode()
    sure = re.search(r'name="sure" value="([^"]+)"', first.content.decode())
    assert sure and not reservations_of(tenant)
    past = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    late = operator.post(url, **given, sure=sure[1], starts_at=past)
    assert late.status_code == 422 and "That time has passed." in late.content.decode()
    assert operator.post(url, **given, sure=sure[1]).status_code == 302
    (made,) = reservations_of(tenant)
    page = operator.text(f"reservations/{made.pk}/")
    assert "45\u00a0min" in page
    with tenant_scope(tenant.pk):
        Reservation.objects.filter(pk=made.pk).update(state=S.REFUSED, reason="The connector is occupied.")
    again = re.search(r'href="[^"]*/access/\?([^"#]+)#reserve"', operator.text(f"reservations/{made.pk}/"))
    assert again
    form = operator.text(f"stations/{online.pk}/access/", **dict(parse_qsl(unescape(again[1]))))
    assert f'value="{made.token_uid}"' in form and 'value="45"' in form


def test_drivers_are_named_to_who_may_see_them(
    visitor: Callable[..., Visitor], tenant: Tenant, online: Station, make_token: Make, make_driver: Make
) -> None:
    make_token(uid="04AB", visual_number="Card 7", driver=make_driver(name="Tilda Nissen"))
    olga, facility = visitor("operator"), visitor("facility_manager", [online.site])
    olga.post(f"stations/{online.pk}/access/reserve/", place="evse:1", token_uid="04AB", minutes="45")
    (made,) = reservations_of(tenant)
    pages = (
        f"reservations/{made.pk}/",
        "reservations/",
        f"stations/{online.pk}/",
        f"stations/{online.pk}/access/",
    )
    for page in pages:
        assert "Tilda" in olga.text(page)
        text = facility.text(page)
        assert "Tilda" not in text and "Card 7" in text
    assert '<tr class="link-row">' in olga.text("reservations/", q="Tilda")
    assert '<tr class="link-row">' not in facility.text("reservations/", q="Tilda")


@pytest.fixture
def driver(tenant: Tenant, make_member: Make, portal_client: Make) -> tuple[Visitor, Driver, Token]:
    user, _password = make_member("driver")
    with tenant_scope(tenant.pk):
        person = Driver.objects.create(tenant=tenant, name="Dora Drake", user=user)
    return (
        Visitor(portal_client(user), tenant.slug),
        person,
        objects.create_token(tenant, uid="MINE", driver=person),
    )


def test_a_driver_reserves_within_the_rules_of_the_site(
    driver: tuple[Visitor, Driver, Token], tenant: Tenant, online: Station, owner_actor: Any
) -> None:
    visitor, _person, _token = driver
    place = {"station": online.pk, "evse": 1, "minutes": 20}
    assert "No free charger can be reserved" in visitor.text("me/reserve/")
    visitor.post("me/reserve/new/", **place)
    assert not reservations_of(tenant)
    with tenant_scope(tenant.pk):
        access.change_rule(
            tenant_id=tenant.pk, actor=owner_actor, site=online.site,
            changes={"reservations": True, "reserve_minutes": 25},
        )  # fmt: skip
    assert "Reserve for 25 min" in visitor.text("me/reserve/")
    visitor.post("me/reserve/new/", **(place | {"minutes": 26}))
    assert not reservations_of(tenant)
    visitor.post("me/reserve/new/", **(place | {"ahead": 90}))
    assert not reservations_of(tenant), "more than an hour ahead"
    assert "Reserve for 15 min" in visitor.text("me/reserve/", long="15", ahead="30")
    visitor.post("me/reserve/new/", **place)
    (made,) = reservations_of(tenant)
    assert (made.token_uid, made.by_driver, made.state) == ("MINE", True, S.REQUESTED)
    assert "Ramp 1" in visitor.text("me/")
    assert "You have a reservation already" in visitor.text("me/reserve/")
    visitor.post("me/reserve/new/", **(place | {"evse": 2}))
    assert len(reservations_of(tenant)) == 1
    visitor.post(f"me/reserve/{made.pk}/cancel/")
    assert reservations_of(tenant)[0].state == S.CANCELLED


def test_who_never_comes_cannot_reserve_any_more(
    driver: tuple[Visitor, Driver, Token], tenant: Tenant, online: Station, owner_actor: Any
) -> None:
    visitor, person, _token = driver
    with tenant_scope(tenant.pk):
        access.change_rule(
            tenant_id=tenant.pk, actor=owner_actor, changes={"reservations": True, "no_show_limit": 2}
        )
        now = datetime.now(UTC)
        evse = Evse.objects.filter(station=online)[0]
        for days in (1, 2):
            Reservation.objects.create(
                tenant=tenant, station=online, site=online.site, evse=evse, driver=person, token_uid="MINE",
                state=S.NO_SHOW, asked_by="Dora", starts_at=now - timedelta(days=days, minutes=30),
                expires_at=now - timedelta(days=days),
            )  # fmt: skip
    assert "did not come to 2 reservations" in visitor.text("me/reserve/")
    visitor.post("me/reserve/new/", station=online.pk, evse=1, minutes=20)
    assert len(reservations_of(tenant)) == 2


def test_a_driver_cancels_nobody_elses(
    driver: tuple[Visitor, Driver, Token], tenant: Tenant, online: Station
) -> None:
    other = objects.create_reservation(tenant, online)
    assert driver[0].post(f"me/reserve/{other.pk}/cancel/").status_code == 404


def test_rules_are_said_level_by_level(
    visitor: Callable[..., Visitor], tenant: Tenant, site: Site, online: Station
) -> None:
    owner = visitor("owner")
    assert "No station keeps a list" in owner.text("access/")
    assert owner.post("access/rules/", local_list="yes").status_code == 302
    assert "As one level up: yes" in owner.text(f"sites/{site.pk}/access/")
    assert owner.post(f"sites/{site.pk}/access/", local_list="no", free_charging="yes").status_code == 302
    assert owner.post(f"stations/{online.pk}/access/rules/", list_scope="group").status_code == 422
    assert (
        owner.post(f"stations/{online.pk}/access/rules/", local_list="yes", list_scope="group", list_group="STAFF")
        .status_code == 302
    )  # fmt: skip
    with tenant_scope(tenant.pk):
        rules = access.of_station(online)
        assert (rules.local_list, rules.list_scope, rules.list_group) == (True, "group", "STAFF")
        assert rules.free_charging
        assert AccessRule.objects.filter(tenant=tenant).count() == 3


def test_the_list_of_a_station_is_shown_and_sent(
    visitor: Callable[..., Visitor], tenant: Tenant, online: Station, make_token: Make
) -> None:
    make_token(uid="AAA1", group="STAFF")
    make_token(uid="BBB2", blocked=True)
    operator = visitor("operator")
    operator.post(f"stations/{online.pk}/access/rules/", local_list="yes")
    page = operator.text(f"stations/{online.pk}/access/")
    assert "AAA1" in page and "To be added" in page
    assert "AAA1" not in operator.text(f"stations/{online.pk}/access/", q="bbb")
    operator.post(f"stations/{online.pk}/access/send/")
    operator.post(f"stations/{online.pk}/access/check/")
    with tenant_scope(tenant.pk):
        kinds = list(Command.objects.filter(tenant=tenant).order_by("id").values_list("kind", flat=True))
        assert kinds[0] == "read_configuration"
        local_lists.sweep(tenant_id=tenant.pk, now=datetime.now(UTC) + timedelta(minutes=10))
        assert LocalList.objects.get(tenant=tenant).state == "checking"
    assert "0 of 1 station has the list" in operator.text("access/")


@pytest.mark.browser
@pytest.mark.parametrize("width", [1440, 390])
def test_the_pages_fit_and_break_no_rule(
    quiet: Page, web: Role, tenant: Tenant, site: Site, online: Station, make_token: Make, make_member: Make,  # noqa: F811
    make_session: Make, owner_actor: Any, width: int,
) -> None:  # fmt: skip
    user, password = make_member("owner", name="Olga Owner")
    person = objects.create_driver(tenant, name="Dora Drake", user=user)
    for number in range(12):
        make_token(uid=f"04A2B6C9D1E2{number:02d}", group="STAFF" if number % 3 else "", blocked=number == 4,
                   driver=person if number == 0 else None)  # fmt: skip
    now = datetime.now(UTC)
    with tenant_scope(tenant.pk):
        access.change_rule(
            tenant_id=tenant.pk, actor=owner_actor, changes={"local_list": True, "reservations": True}
        )
        token = Token.objects.get(tenant=tenant, uid="04A2B6C9D1E200")
        online.evses.get(number=1).connectors.update(status="reserved")
        LocalList.objects.create(
            tenant=tenant, station=online, state="in_step", version=7, told_version=7, told_at=now, synced_at=now,
            size=11, wanted_size=12, most_entries=1000,
            entries={f"04A2B6C9D1E2{number:02d}": "iso14443:00" for number in range(11)},
        )  # fmt: skip
        evse = online.evses.get(number=1)
        rows = [(-10, 20, 1, S.RESERVED), (120, 60, 1, S.PLANNED), (600, 45, 2, S.PLANNED), (-900, 30, 2, S.NO_SHOW),
                (-3000, 30, 2, S.REFUSED), (-5000, 30, 1, S.USED)]  # fmt: skip
        for start, long, number, state in rows:
            evse = online.evses.get(number=number)
            begin = now + timedelta(minutes=start)
            made = Reservation.objects.create(
                tenant=tenant, station=online, site=site, evse=evse, token=token, driver=person,
                token_uid=token.uid, token_group="STAFF", state=state, asked_by="Olga Owner", starts_at=begin,
                expires_at=begin + timedelta(minutes=long), by_driver=state == S.RESERVED,
                held_at=begin if state == S.RESERVED else None,
                ended_at=None if start > -20 else begin,
                reason="The connector is in use or reserved already." if state == S.REFUSED else "",
            )  # fmt: skip
            if state == S.RESERVED:
                shown = made
    page = quiet
    page.set_viewport_size({"width": width, "height": 900})
    sign_in(page, web, user.email, password)
    own = f"stations/{online.pk}/"
    for path in (
        own, f"{own}access/", f"{own}access/rules/", "access/", "access/rules/", f"sites/{site.pk}/access/",
        "reservations/", f"reservations/{shown.pk}/", "me/", "me/reserve/", f"{own}commands/",
    ):  # fmt: skip
        page.goto(f"{web.url}/t/{tenant.slug}/{path}")
        if folder := os.environ.get("SCREENSHOTS"):
            name = path.replace(str(online.pk), "1").replace("/", "_").strip("_")
            page.screenshot(path=f"{folder}/{name}-{width}.png", full_page=True)
        assert page.locator("h1").count() == 1, path
        assert broken_rules(page) == [], path
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{path} is {wide} px too wide"


def test_rest_reserves_and_keeps_count(tenant: Tenant, online: Station, make_token: Make) -> None:
    make_token(uid="04AB")
    api = people.make_api_client(tenant)
    begin = datetime.now(UTC) + timedelta(hours=2)
    body = {
        "station_id": online.pk,
        "evse": 1,
        "token_uid": "04ab",
        "starts_at": begin.isoformat(),
        "minutes": 30,
    }
    made = api.write("POST", "/reservations", body, status=201)
    assert (made["state"], made["evse"], made["token_uid"]) == ("planned", 1, "04AB")
    assert api.write("POST", "/reservations", body, status=409)["code"] == "conflict"
    later = (begin + timedelta(minutes=45)).isoformat()
    assert api.write("PATCH", f"/reservations/{made['id']}", {"expires_at": later})["expires_at"]
    assert api.write("POST", f"/reservations/{made['id']}/cancel", {"reason": "x"})["state"] == "cancelled"
    assert [one["id"] for one in api.read("/reservations", live="false")["results"]] == [made["id"]]
    assert api.read("/reservations", live="true")["results"] == []


def test_rest_keeps_rules_and_lists(tenant: Tenant, site: Site, online: Station, make_token: Make) -> None:
    make_token(uid="04AB", group="STAFF")
    api = people.make_api_client(tenant)
    assert api.call("POST", f"/stations/{online.pk}/local-list/send", {}).status_code == 409
    said = api.write("PATCH", f"/sites/{site.pk}/access-rules", {"local_list": True})
    assert said["said"]["local_list"] is True and said["applies"]["local_list"] is True
    assert api.read(f"/stations/{online.pk}/access-rules")["applies"]["local_list"] is True
    assert api.read(f"/stations/{online.pk}/access-rules")["said"]["local_list"] is None
    assert api.call("PATCH", "/access-rules", {"no_show_limit": -1}).status_code == 422
    (entry,) = api.read(f"/stations/{online.pk}/local-list/entries")["entries"]
    assert (entry["uid"], entry["step"], entry["verdict"], entry["group"]) == (
        "04AB",
        "new",
        "accepted",
        "STAFF",
    )
    sent = api.write("POST", f"/stations/{online.pk}/local-list/send", {"full": True})
    assert sent["state"] == "checking"
    assert api.read("/local-lists", state="checking")["results"][0]["station_id"] == online.pk

"""What people see on the portal's pages, by role and by state."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from stations.models import (
    Command,
    CommandKind,
    CommandState,
    Connector,
    ConnectorStatus,
    DisplayMessage,
    DisplayNotice,
    Station,
)
from stations.neutral import VariableReport
from stations.services.devices import record_variables
from tenants.context import tenant_scope
from tenants.models import AuditRecord, Site, Tenant, User
from tests.objects import create_site
from tests.portal.conftest import Visitor
from tests.stations.telling import Speaker

Make = Callable[..., Any]


def test_the_empty_overview_teaches_the_first_step(visitor: Callable[..., Visitor], tenant: Tenant) -> None:
    owner = visitor()
    text = owner.text()
    assert "No station is connected yet" in text
    assert f'class="btn btn-primary" href="/t/{tenant.slug}/sites/new/"' in text
    create_site(tenant)
    assert f'class="btn btn-primary" href="/t/{tenant.slug}/tariffs/new/"' in owner.text()


def test_all_is_well_when_nothing_needs_anybody(
    visitor: Callable[..., Visitor], site: Site, make_station: Make
) -> None:
    make_station(site=site, online=True)
    assert "All is well" in visitor().text()


def test_a_fault_comes_first_and_leads_to_its_station(
    visitor: Callable[..., Visitor], tenant: Tenant, site: Site, make_station: Make
) -> None:
    station = make_station(site=site, online=True, name="Ramp 7")
    with tenant_scope(tenant.pk):
        Connector.objects.filter(tenant=tenant).update(
            status=ConnectorStatus.FAULTED, error_code="GroundFailure"
        )
    text = visitor().text()
    assert "1 thing needs you" in text
    assert "Ramp 7, connector 1 is faulted" in text
    assert "GroundFailure" in text
    assert f"/t/{tenant.slug}/stations/{station.pk}/" in text


@pytest.mark.parametrize(
    ("told", "state", "word"),
    [
        ("charging", "charging", "Charging"),
        ("suspended_ev", "suspended_ev", "Paused by the car"),
        ("ev_connected", "occupied", "Plugged in"),
    ],
)
def test_a_connector_that_only_says_occupied_shows_what_its_session_tells(
    visitor: Callable[..., Visitor], tenant: Tenant, site: Site, make_station: Make, make_session: Make, told: str,
    state: str, word: str,
) -> None:  # fmt: skip
    """OCPP 2 tells of charging in the transaction alone."""
    station = make_station(site=site, online=True)
    make_session(station, charging_state=told)
    with tenant_scope(tenant.pk):
        Connector.objects.filter(tenant=tenant).update(status=ConnectorStatus.OCCUPIED)
    owner = visitor()
    for page in ("", "stations/", f"stations/{station.pk}/now/", f"sites/{site.pk}/now/"):
        text = owner.text(page)
        assert word in text
        assert ("Plugged in" in text) == (state == "occupied")
    assert f"stations/{station.pk}/" in owner.text("stations/", state=state, part="rows")


def test_an_offline_station_shows_no_stale_connector_state(
    visitor: Callable[..., Visitor], tenant: Tenant, site: Site, make_station: Make
) -> None:
    station = make_station(site=site, online=False)
    with tenant_scope(tenant.pk):
        Connector.objects.filter(tenant=tenant).update(status=ConnectorStatus.CHARGING)
    text = visitor().text(f"stations/{station.pk}/now/")
    assert 'data-state="offline"' in text
    assert 'data-state="charging"' not in text


def test_a_facility_manager_sees_only_their_sites(
    visitor: Callable[..., Visitor], make_site: Make, make_station: Make
) -> None:
    own, other = make_site(name="Own depot"), make_site(name="Other depot")
    make_station(site=own, name="Own station")
    hidden = make_station(site=other, name="Hidden station")
    manager = visitor("facility_manager", [own])
    for page in ("", "sites/", "stations/", "sessions/"):
        text = manager.text(page)
        assert "Hidden station" not in text
        assert "Other depot" not in text
    assert manager.get(f"stations/{hidden.pk}/").status_code == 404
    assert manager.get(f"sites/{other.pk}/").status_code == 404


@pytest.mark.parametrize(
    ("role", "page"),
    [
        ("technician", "tariffs/"),
        ("technician", "members/"),
        ("billing", "api-keys/"),
        ("fleet_manager", "stations/"),
        ("facility_manager", "tokens/"),
        ("driver", "sessions/"),
        ("auditor", "stations/connect/"),
    ],
)
def test_pages_beyond_a_role_are_refused_and_not_offered(
    visitor: Callable[..., Visitor], role: str, page: str
) -> None:
    member = visitor(role)
    assert member.get(page).status_code == 403
    assert f'class="item" href="/t/{member.slug}/{page}"' not in member.text("me/")


def test_a_technician_sees_no_money(
    visitor: Callable[..., Visitor], site: Site, make_station: Make, make_session: Make
) -> None:
    session = make_session(make_station(site=site))
    technician, owner = visitor("technician"), visitor()
    assert "Price" in owner.text(f"sessions/{session.pk}/")
    assert "Price" not in technician.text(f"sessions/{session.pk}/")
    assert "Revenue" not in technician.text()


def test_filters_of_the_station_list_live_in_the_address(
    visitor: Callable[..., Visitor], tenant: Tenant, site: Site, make_station: Make
) -> None:
    make_station(site=site, name="Good one", online=True)
    bad = make_station(site=site, name="Broken one", online=True)
    with tenant_scope(tenant.pk):
        Connector.objects.filter(tenant=tenant, evse__station=bad).update(status=ConnectorStatus.FAULTED)
    text = visitor().text("stations/", state="faulted")
    assert "Broken one" in text
    assert "Good one" not in text


def test_an_unknown_sort_or_page_is_no_error(
    visitor: Callable[..., Visitor], site: Site, make_station: Make
) -> None:
    make_station(site=site, name="Here I am")
    assert "Here I am" in visitor().text(
        "stations/", sort="password_hash", page="900", state="nonsense", site="x"
    )


def test_a_refused_form_keeps_what_was_typed(visitor: Callable[..., Visitor], site: Site) -> None:
    answer = visitor().post(
        "stations/connect/", identity="bad:colon", site=site.pk, evses=1, plug="ac22", name="My name"
    )
    assert answer.status_code == 422
    text = answer.content.decode()
    assert "bad:colon" in text
    assert "My name" in text
    assert "without colon" in text


def test_a_new_station_shows_its_three_values_once(
    visitor: Callable[..., Visitor], tenant: Tenant, site: Site
) -> None:
    owner = visitor()
    answer = owner.post("stations/connect/", identity="CP-77", site=site.pk, evses=2, plug="dc150")
    text = answer.content.decode()
    assert f"/ocpp/{tenant.slug}/" in text
    assert re.search(r"Password</dt><dd><div class=\"copy\"><span>[A-Za-z0-9]{20}</span>", text)
    with tenant_scope(tenant.pk):
        station = Station.objects.get(tenant=tenant, identity="CP-77")
        assert (
            Connector.objects.filter(tenant=tenant, evse__station=station, max_power_w=150_000).count() == 2
        )
    assert "no-store" in answer["Cache-Control"]
    assert "Type this into the station" not in owner.text(f"stations/{station.pk}/")


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("1.6", "A reset now ends 1 running session."),
        ("2.0.1", "At once, it ends 1 running session; when it is idle, it waits until that is over."),
    ],
)
def test_a_reset_says_how_many_sessions_it_ends(
    visitor: Callable[..., Visitor], site: Site, make_station: Make, make_session: Make, version: str, words: str
) -> None:  # fmt: skip
    station = make_station(site=site, evses=2, online=True, ocpp_version=version)
    make_session(station)
    assert words in visitor().text(f"stations/{station.pk}/commands/")


def test_a_command_from_the_portal_carries_its_origin(
    visitor: Callable[..., Visitor], tenant: Tenant, site: Site, make_station: Make
) -> None:
    station = make_station(site=site)
    answer = visitor().post(f"stations/{station.pk}/commands/send/", kind="unlock", evse=1)
    assert answer.status_code == 302
    with tenant_scope(tenant.pk):
        command = station.commands.get(tenant=tenant)
        assert (command.kind, command.arguments) == ("unlock", {"evse": 1, "connector": 1})
        assert command.origin_kind == "user"
        assert AuditRecord.objects.filter(tenant=tenant, action="command.unlock").exists()
    page = visitor().text(f"stations/{station.pk}/commands/{command.pk}/")
    assert "waiting for the station" in page
    assert "The station is offline." in page


def test_a_command_that_was_never_sent_gives_its_reason_and_no_answer_of_the_station(
    visitor: Callable[..., Visitor], tenant: Tenant, site: Site, make_station: Make
) -> None:
    station = make_station(site=site)
    with tenant_scope(tenant.pk):
        command = Command.objects.create(
            tenant=tenant, station=station, kind=CommandKind.READ_REPORT, state=CommandState.FAILED, answer="invalid",
            detail="OCPP 1.6 has no device model.", origin_kind="user", origin_label="Olga", expires_at=timezone.now(),
            settled_at=timezone.now(), sent_at=timezone.now(),
        )  # fmt: skip
    owner = visitor()
    assert "OCPP 1.6 has no device model." in owner.text(f"stations/{station.pk}/commands/")
    page = owner.text(f"stations/{station.pk}/commands/{command.pk}/")
    assert "OCPP 1.6 has no device model." in page
    assert "The station said" not in page


def test_cells_that_a_spreadsheet_would_run_are_made_text(
    visitor: Callable[..., Visitor], site: Site, make_station: Make
) -> None:
    make_station(site=site, name="=HYPERLINK(1)")
    assert "'=HYPERLINK(1)" in visitor().text("stations/", format="csv")


def test_names_are_escaped(visitor: Callable[..., Visitor], site: Site, make_station: Make) -> None:
    make_station(site=site, name="<script>alert(1)</script>")
    assert "<script>alert(1)" not in visitor().text("stations/")


def test_the_frames_of_a_station_are_searched_and_exported(
    visitor: Callable[..., Visitor], tenant: Tenant, site: Site, make_station: Make
) -> None:
    from stations.models import Frame

    station = make_station(site=site)
    with tenant_scope(tenant.pk):
        for number, (action, payload) in enumerate(
            [("Heartbeat", "{}"), ("StatusNotification", '{"status":"Faulted"}')]
        ):
            Frame.objects.create(
                id=station.pk * 10 + number, tenant=tenant, station=station, received_at=timezone.now(), gateway="g",
                outbound=False, message_type=2, message_id=f"m{number}", action=action, ocpp_version="1.6",
                apply=False, payload=payload,
            )  # fmt: skip
    owner = visitor()
    text = owner.text(f"stations/{station.pk}/frames/", q="faulted")
    assert "StatusNotification" in text
    assert 'class="strong action">Heartbeat' not in text
    lines = owner.text(f"stations/{station.pk}/frames.jsonl").splitlines()
    assert len(lines) == 2
    assert '"action": "Heartbeat"' in lines[0]


def test_a_blocked_token_can_be_unblocked(
    visitor: Callable[..., Visitor], make_token: Make, tenant: Tenant
) -> None:
    token = make_token(uid="04AABBCC")
    owner = visitor()
    owner.post(f"tokens/{token.pk}/block/", reason="lost")
    assert "lost" in owner.text(f"tokens/{token.pk}/")
    owner.post(f"tokens/{token.pk}/block/", undo="1")
    with tenant_scope(tenant.pk):
        token.refresh_from_db()
    assert not token.blocked


def test_a_tariff_form_becomes_ocpi_elements_and_a_price(
    visitor: Callable[..., Visitor], tenant: Tenant
) -> None:
    from billing.models import Tariff

    owner = visitor()
    answer = owner.post("tariffs/new/", name="Night", currency="eur", energy="0.40", parking="6", vat="19")
    assert answer.status_code == 302
    with tenant_scope(tenant.pk):
        tariff = Tariff.objects.get(tenant=tenant, name="Night")
    kinds = [component["type"] for component in tariff.elements[0]["price_components"]]
    assert kinds == ["ENERGY", "PARKING_TIME"]
    # 10 kWh x 0.40 = 4.00, half an hour x 6 = 3.00, plus 19 % of 7.00
    text = owner.text(f"tariffs/{tariff.pk}/", kwh="10", charging="60", parked="30")
    assert "8.33\xa0EUR" in text


def test_an_api_key_is_shown_once(visitor: Callable[..., Visitor]) -> None:
    owner = visitor()
    answer = owner.post("api-keys/", name="ERP", scopes=["station.view"])
    assert "vy_" in answer.content.decode()
    secret = answer.context["secret"]
    assert secret not in owner.text("api-keys/")


def test_the_last_owner_stays_owner(visitor: Callable[..., Visitor], tenant: Tenant) -> None:
    from tenants.models import Membership

    owner = visitor()
    with tenant_scope(tenant.pk):
        member = Membership.objects.get(tenant=tenant)
    answer = owner.post(f"members/{member.pk}/", role="driver", active="on")
    assert answer.status_code == 422
    assert "last owner" in answer.content.decode()


def test_the_accent_is_readable_on_both_grounds(visitor: Callable[..., Visitor], tenant: Tenant) -> None:
    from tenants.context import as_platform

    with as_platform():
        Tenant.objects.filter(pk=tenant.pk).update(accent="#0b3d91")
    text = visitor().get("theme.css").content.decode()
    assert "#0b3d91" in text
    assert "light-dark(#ffffff," in text


def test_strangers_are_asked_to_sign_in(tenant: Tenant, client: Any) -> None:
    answer = client.get(f"/t/{tenant.slug}/stations/")
    assert answer.status_code == 302
    assert answer["Location"].startswith("/login/?next=")


def test_a_password_that_a_station_told_is_on_no_page(
    visitor: Callable[..., Visitor], tenant: Tenant, station: Station
) -> None:
    reports = [
        VariableReport("AuthorizationKey", "hunter2hunter2"),
        VariableReport("HeartbeatInterval", "305"),
    ]
    with tenant_scope(tenant.pk):
        record_variables(
            tenant_id=tenant.pk, station_id=station.pk, reports=reports, source="report", at=datetime.now(UTC)
        )
    owner, page = visitor(), f"stations/{station.pk}/configuration/"
    text = owner.text(page)
    assert "AuthorizationKey" in text and "305" in text
    assert "hunter2" not in text
    assert "AuthorizationKey" not in owner.text(page, q="hunter2")


def test_a_session_of_start_and_stop_alone_has_a_curve(
    visitor: Callable[..., Visitor], station: Station
) -> None:
    speaker, owner = Speaker(station), visitor()
    (answer,) = speaker.start(meter=1000)
    page = f"sessions/{speaker.session().pk}/"
    assert "sent no meter values" in owner.text(page)
    speaker.stop(number=answer.transaction_number, meter=6500, at=speaker.began + timedelta(minutes=30))
    text = owner.text(page)
    assert "sent no meter values" not in text
    rows = text.split("data-chart-src")[1].split("</table>")[0]
    assert "1.000" in rows and "6.500" in rows
    power, energy = owner.get(f"{page}curve.json").json()["series"]
    assert energy["values"] == [0, 5.5]
    assert (power["label"], power["kind"], power["values"]) == ("Mean power", "mean", [11, 11])
    assert "Mean power" in text and rows.count("11.0") == 2


def test_a_stop_of_an_unknown_session_finds_its_session(
    visitor: Callable[..., Visitor], station: Station, make_token: Make
) -> None:
    make_token(uid="CARD")
    speaker, owner = Speaker(station), visitor()
    speaker.start(meter=1000)
    speaker.stop(number=48211, meter=6500)
    session, (orphan,) = speaker.session(), speaker.orphans()
    page = f"stations/{station.pk}/orphans/{orphan.pk}/"
    assert page in owner.text(f"stations/{station.pk}/health/")
    text = owner.text(page)
    assert "A stop for session 48211, which is unknown here" in text
    assert f'value="{session.pk}"' in text and "5.50\u00a0kWh" in text
    assert "Choose the session" in owner.client.get(owner.post(f"{page}apply/")["Location"]).content.decode()
    answer = owner.post(f"{page}apply/", session_id=session.pk)
    told = owner.client.get(answer["Location"]).content.decode()
    assert "The price of session" in told and "Stop applied by hand" in told
    assert "This stop was applied to" in owner.text(page)
    assert "orphans/" not in owner.text(f"stations/{station.pk}/health/")
    refused = owner.client.get(owner.post(f"{page}apply/", session_id=session.pk)["Location"])
    assert "resolved already" in refused.content.decode()


def test_a_stop_that_fits_no_session_is_set_aside_with_a_note(
    visitor: Callable[..., Visitor], station: Station
) -> None:
    speaker, owner = Speaker(station), visitor()
    speaker.stop(number=48211, meter=6500)
    (orphan,) = speaker.orphans()
    page = f"stations/{station.pk}/orphans/{orphan.pk}/"
    assert "No session here fits" in owner.text(page)
    owner.post(f"{page}resolve/", resolution="Of the old system")
    assert "Of the old system" in owner.text(page)


def test_who_may_not_review_has_no_way_to_an_unknown_session(
    visitor: Callable[..., Visitor], station: Station
) -> None:
    speaker, technician = Speaker(station), visitor("technician")
    speaker.stop(number=48211, meter=6500)
    (orphan,) = speaker.orphans()
    assert "48211" in technician.text(f"stations/{station.pk}/health/")
    assert "Find its session" not in technician.text(f"stations/{station.pk}/health/")
    assert technician.get(f"stations/{station.pk}/orphans/{orphan.pk}/").status_code == 403


def test_what_needs_somebody_is_all_there_though_not_all_at_once(
    visitor: Callable[..., Visitor], tenant: Tenant, site: Site, make_station: Make
) -> None:
    for number in range(8):
        make_station(site=site, online=True, name=f"Ramp {number}")
    with tenant_scope(tenant.pk):
        Connector.objects.filter(tenant=tenant).update(status=ConnectorStatus.FAULTED)
    text = visitor().text()
    first, rest = text.split('<details class="more-needs">')
    assert "8 things need you" in first and first.count("connector 1 is faulted") == 6
    assert "2 more things" in rest and rest.count("connector 1 is faulted") == 2


def test_prices_told_each_minute_do_not_bury_what_somebody_did(
    visitor: Callable[..., Visitor], tenant: Tenant, site: Site, make_station: Make
) -> None:
    station = make_station(site=site, online=True)
    with tenant_scope(tenant.pk):
        for kind, origin in ((CommandKind.RESET, "user"), *((CommandKind.TELL_COST, "task"),) * 30):
            Command.objects.create(
                tenant=tenant, station=station, kind=kind, origin_kind=origin, origin_label="Running cost",
                expires_at=timezone.now(),
            )  # fmt: skip
    owner = visitor()
    for page in (f"stations/{station.pk}/", f"stations/{station.pk}/commands/"):
        text = owner.text(page)
        assert 'data-say="Reset:' in text and 'data-say="Show the cost' not in text, page
    assert 'data-say="Show the cost' in owner.text(f"stations/{station.pk}/commands/", all="1")


def test_an_address_for_forms_leads_to_the_page_of_its_form(
    visitor: Callable[..., Visitor], site: Site, make_station: Make
) -> None:
    """Who signs in anew after a form was sent too late is sent there, and so is who reloads a refused form."""
    at = f"stations/{make_station(site=site).pk}"
    owner = visitor()
    for form, its_page in {
        f"{at}/access/reserve/": f"{at}/access/",
        f"{at}/limits/set/now/": f"{at}/limits/",
        f"{at}/security/change/": f"{at}/security/",
        f"{at}/driver/words/": f"{at}/driver/",
    }.items():
        answer = owner.get(form)
        assert (answer.status_code, answer.headers["Location"]) == (302, f"/t/{owner.slug}/{its_page}")


def test_a_driver_sees_first_what_charges(
    visitor: Callable[..., Visitor], tenant: Tenant, site: Site, make_station: Make, make_session: Make,
    make_driver: Make,
) -> None:  # fmt: skip
    me = visitor("driver")
    driver = make_driver(user=User.objects.get(pk=me.client.session["_auth_user_id"]))
    session = make_session(make_station(site=site, name="Ramp 7"), driver=driver, energy_wh=7_400)
    shown, _rest = me.text("me/").split("My reservation")
    assert "Charging now" in shown and "Ramp 7" in shown and "7.4" in shown
    with tenant_scope(tenant.pk):
        type(session).objects.filter(pk=session.pk).update(state="rated", ended_at=timezone.now())
    assert "Charging now" not in me.text("me/")


def test_a_session_of_seconds_lasted_no_minute(
    visitor: Callable[..., Visitor], site: Site, make_station: Make, make_session: Make
) -> None:
    began = timezone.now() - timedelta(hours=1)
    make_session(
        make_station(site=site),
        state="rated",
        started_at=began,
        ended_at=began + timedelta(seconds=10, microseconds=2),
    )
    assert "0\u00a0min" in visitor().text("sessions/")


def test_a_site_manager_takes_a_message_off_their_own_sites(
    visitor: Callable[..., Visitor], tenant: Tenant, site: Site, make_station: Make, make_site: Make
) -> None:
    stations = [make_station(site=site), make_station(site=make_site())]
    contents = [{"language": "en", "format": "utf8", "text": "Closed on Sunday"}]
    with tenant_scope(tenant.pk):
        notice = DisplayNotice.objects.create(
            tenant=tenant, contents=contents, priority="in_front", written_by="Olga"
        )
        for number, station in enumerate(stations, 1):
            DisplayMessage.objects.create(
                tenant=tenant, station=station, notice=notice, number=number, contents=contents,
                priority="in_front", standing="shown",
            )  # fmt: skip
    page = f"displays/{notice.pk}/"
    assert "Take it off everywhere" in visitor("operator").text(page)
    manager = visitor("facility_manager", [site])
    text = manager.text(page)
    assert "Take it off at your sites" in text and "everywhere" not in text
    assert manager.post(f"{page}withdraw/").status_code == 302
    with tenant_scope(tenant.pk):
        assert list(Command.objects.values_list("station_id", flat=True)) == [stations[0].pk]

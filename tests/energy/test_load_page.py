"""The load page of a site: what it says first, why each connector has what it has, and who may see it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from energy import picture, why_words
from energy.models import GridConnection, GridNode, SiteMeter, Steering
from stations.models import ChargingProfile, Reading, Session, Station, Variable
from tenants.context import tenant_scope
from tenants.models import Role, Site, Tenant
from tests import objects
from tests.energy.pictures import minutes, outlet, row, show
from tests.energy.sites import Rows, create_tree, full_of_limits

Make = Callable[..., Any]


@pytest.fixture
def browser(make_member: Make, portal_client: Make) -> Client:
    user, _password = make_member(Role.OWNER)
    client: Client = portal_client(user)
    return client


@pytest.fixture
def made(tenant: Tenant, site: Site, make_station: Make) -> Rows:
    stations = [make_station(site=site, name=f"Ramp {number}") for number in (1, 2, 3)]
    return create_tree(tenant, site, stations)


def address(made: Rows, part: str = "") -> str:
    connection = made.connection
    return f"/t/{connection.tenant.slug}/sites/{connection.site_id}/load/{part}"


def text(response: Any) -> str:
    """What is read, without tags."""
    assert response.status_code == 200, response.status_code
    bare = re.sub(r"<[^>]+>", " ", response.content.decode())
    return re.sub(r"[\s\u00a0]+", " ", unescape(bare))


def first_words(response: Any) -> str:
    """The answer: the first line of all."""
    found = re.search(r'id="load-answers">(.*?)</ul>', response.content.decode(), re.DOTALL)
    assert found
    return re.sub(r"[\s\u00a0]+", " ", unescape(re.sub(r"<[^>]+>", " ", found[1]))).strip()


WORDS: dict[str, tuple[dict[str, Any], str]] = {
    picture.IDLE: ({"plugged": True}, "A car is plugged in and asks for nothing."),
    picture.FULL: ({}, "It has all that the connector gives."),
    picture.CAR: ({}, "The car takes no more."),
    picture.BINDS: ({"node": "root", "part": "L1"}, "L1 of Main is full."),
    picture.WAITS: (
        {"node": "root", "part": "total", "since": -750.0},
        "Waits for its turn for 12 min: the total of Main has no room for its 6 A.",
    ),
    picture.PEAK: (
        {"node": "root", "part": "total"},
        "More would make a new peak. It binds at the total of Main.",
    ),
    picture.LATER: ({}, "The plan wants it later, for power is dearer now."),
    picture.RAMP: ({}, "More follows in seconds"),
    picture.OTHERS: ({}, "A limit holds here that somebody else set: its station's page tells who."),
    picture.OFFLINE: ({"default": 6.0}, "Offline: 6 A stay set aside, which it may give by itself."),
    picture.DISOBEYS: ({"committed": 32.0}, "so 32 A stay set aside, the most that it can take."),
    picture.STARTS: ({}, "The session has just begun: its share follows."),
}


def test_there_are_words_for_every_why() -> None:
    assert set(WORDS) == set(picture.WHYS)


@pytest.mark.parametrize("why", WORDS)
def test_each_connector_says_why(browser: Client, made: Rows, why: str) -> None:
    values, words = WORDS[why]
    if values.get("node") == "root":
        values = values | {"node": made.root.pk}
    if "since" in values:
        values = values | {"since": timezone.now().timestamp() + values["since"]}
    others = [outlet(one.evse_id, "idle") for one in made.outlets[1:]]
    show(made, outlets=[outlet(made.outlets[0].evse_id, why, **values), *others])
    page = browser.get(address(made, "now/")).content.decode()
    found = re.search(rf'id="why-{made.outlets[0].evse_id}">(.*?)</p>', page, re.DOTALL)
    assert found and words in unescape(found[1]).replace("\u00a0", " ")
    assert "2 connectors are free" in page


def test_all_is_well_says_how_full_the_site_is(browser: Client, made: Rows) -> None:
    rows = [row(made.root.pk, "L1"), row(made.root.pk, "L2", cars=30.5), row(made.root.pk, "L3")]
    show(made, rows=rows)
    response = browser.get(address(made))
    assert (
        first_words(response) == "All cars get what they ask for 38.5 A of 63 A on L2 of Main is the fullest."
    )
    assert "38.5 / 63 A" in text(response) and "Seen just now" in text(response)


def test_short_cars_are_counted(browser: Client, made: Rows) -> None:
    whys = ["binds", "full", "peak"]
    show(made, outlets=[outlet(one.evse_id, why) for one, why in zip(made.outlets, whys, strict=True)])
    assert first_words(browser.get(address(made))).startswith("2 of 3 cars get less than they could take")


def test_nobody_there(browser: Client, made: Rows) -> None:
    show(made, outlets=[outlet(one.evse_id, "idle") for one in made.outlets])
    assert first_words(browser.get(address(made))).startswith("Nobody charges now")


def test_cars_that_wait_are_told_by_what_is_full(browser: Client, made: Rows) -> None:
    full = {"node": made.root.pk, "part": "L1"}
    show(made, outlets=[outlet(one.evse_id, "waits", asked=0.0, **full) for one in made.outlets[:2]])
    answer = first_words(browser.get(address(made)))
    assert answer.startswith("2 cars wait for their turn: L1 of Main is full")
    assert "A turn lasts 15 minutes." in answer and answer.endswith("Try another limit")


def test_what_may_be_over_a_limit_comes_first(browser: Client, made: Rows) -> None:
    rows = [
        row(made.root.pk, "L1", committed=55.5),
        row(made.root.pk, "L2", building=70.0, cars=0.0, committed=0.0),
    ]
    whys = [
        outlet(made.outlets[0].evse_id, "waits"),
        outlet(made.outlets[1].evse_id, "disobeys", asked=6, draw=15.8),
    ]
    show(made, rows=rows, outlets=whys)
    answer = first_words(browser.get(address(made)))
    places = [
        "L1 of Main may carry 63.5 A, more than its limit of 63 A",
        "L2 of Main may carry 70 A, more than its limit of 63 A The building alone takes 70 A there.",
        "Ramp 2, connector 1 takes more than it was told Told 6 A, it draws 15.8 A.",
        "Restart it; if that does not help, its maker has to.",
        "1 car waits for its turn",
    ]
    found = [answer.find(place) for place in places]
    assert -1 not in found and found == sorted(found), answer


def test_a_row_at_its_limit_is_not_over(browser: Client, made: Rows) -> None:
    show(made, rows=[row(made.root.pk, "L1", building=8.0, cars=55.0, committed=55.0)])
    assert "more than its limit" not in text(browser.get(address(made)))
    assert "nearly full" in text(browser.get(address(made)))
    with tenant_scope(made.connection.tenant_id):
        GridNode.objects.filter(pk=made.root.pk).update(origin="rating")
    assert "nearly full" not in text(browser.get(address(made))), "equipment is there to be used"


def test_a_car_on_fewer_lines_is_told_with_them(browser: Client, made: Rows) -> None:
    show(made, outlets=[outlet(made.outlets[0].evse_id, lines=["L1", "L3"]), outlet(made.outlets[1].evse_id)])
    assert text(browser.get(address(made))).count("alone") == 1
    assert "Its car charges on L1 + L3 alone: the rest is free for others." in text(
        browser.get(address(made))
    )
    show(
        made,
        outlets=[outlet(made.outlets[0].evse_id, lines="L1"), outlet(made.outlets[1].evse_id, lines=[7])],
    )
    assert "alone" not in text(browser.get(address(made)))


def test_a_root_without_a_limit_has_no_bar(browser: Client, made: Rows) -> None:
    """Of the ninety per cent that a reserve leaves, too."""
    with tenant_scope(made.connection.tenant_id):
        GridConnection.objects.update(policy={"reserve_percent": 10})
    show(
        made, rows=[row(made.root.pk, "L1", limit=90_000.0), row(made.root.pk, "total", unit="W", limit=9e7)]
    )
    minutes(made, timezone.now() - timedelta(minutes=30), 20, cars_w=1000, limit_w=62_100_000)
    shown = text(browser.get(address(made)))
    assert "90000" not in shown and "90,000" not in shown and "limit 63 A, no load is told" in shown
    labels = [one["label"] for one in browser.get(address(made, "day.json")).json()["series"]]
    assert "Limit" not in labels and "Cars" in labels


def test_a_silent_meter(browser: Client, made: Rows) -> None:
    assert made.meter is not None
    at = timezone.now().timestamp() - 600
    with timezone.override(made.connection.site.time_zone):
        since = why_words.clock(at)
    told = {"meter": made.meter.pk, "amps": [8, 8, 8], "at": at, "mute": True, "since": at}
    show(made, meters=[told])
    answer = first_words(browser.get(address(made)))
    assert answer.startswith(f"The meter Building is silent since {since}")
    assert "The most that the building may take is counted meanwhile" in answer
    show(made, meters=[told | {"at": at + 598}])
    answer = first_words(browser.get(address(made)))
    assert answer.startswith(f"The meter Building hangs: it sends the very same since {since}")
    show(made, meters=[told | {"at": None, "since": None}])
    assert first_words(browser.get(address(made))).startswith("The meter Building has told nothing yet")


def test_a_limit_beside_which_there_is_no_place(browser: Client, made: Rows) -> None:
    first = made.outlets[0]
    show(made, outlets=[outlet(one.evse_id, "idle") for one in made.outlets])
    with tenant_scope(made.connection.tenant_id):
        station = Station.objects.get(evses=first.evse_id)
        limit = full_of_limits(station)
    answer = first_words(browser.get(address(made)))
    assert answer.startswith(
        "Ramp 1, connector 1 cannot be steered: limit set by Olga Operator Its station has no room"
    )
    assert answer.endswith("enter it as the connector's most in the grid tree. See its limits")
    assert f"/stations/{station.pk}/limits/" in browser.get(address(made)).content.decode()
    tile = browser.get(address(made, "now/")).content.decode().split(f'id="spot-{first.evse_id}"')[1]
    assert "Not steered" in tile.split("</article>")[0]
    assert "0 of 3 in use" in text(browser.get(address(made)))
    with tenant_scope(made.connection.tenant_id):
        Variable.objects.filter(station=station).update(value="1")
    assert first_words(browser.get(address(made))).startswith("Nobody charges now"), (
        "it can move a level down"
    )
    with tenant_scope(made.connection.tenant_id):
        Variable.objects.filter(station=station).update(value="0")
        ChargingProfile.objects.filter(pk=limit.pk).update(intent="energy")
    assert first_words(browser.get(address(made))).startswith("Nobody charges now")


def test_who_is_given_nothing_does_not_charge(browser: Client, made: Rows) -> None:
    first, second = made.outlets[:2]
    show(made, outlets=[outlet(first.evse_id, "ramp", asked=0.0), outlet(second.evse_id, "ramp", asked=6.0)])
    page = browser.get(address(made, "now/")).content.decode()
    tiles = {
        one.evse_id: page.split(f'id="spot-{one.evse_id}"')[1].split("</article>")[0]
        for one in (first, second)
    }
    assert "Paused" in tiles[first.evse_id] and "Charging" not in tiles[first.evse_id]
    assert "Charging" in tiles[second.evse_id] and "Paused" not in tiles[second.evse_id]


def test_a_meter_that_tells_nothing_while_cars_draw(browser: Client, made: Rows) -> None:
    assert made.meter is not None
    at = timezone.now().timestamp()
    told = {
        "meter": made.meter.pk,
        "amps": [8, 0, 8],
        "at": at,
        "mute": True,
        "since": at - 600,
        "dead": ["L2"],
    }
    show(made, meters=[told])
    answer = first_words(browser.get(address(made)))
    assert answer.startswith("The meter Building tells 0 A on L2 while cars draw there")


def test_a_meter_the_wrong_way_round(browser: Client, made: Rows) -> None:
    show(made)
    with tenant_scope(made.connection.tenant_id):
        SiteMeter.objects.update(night_a=[4.0, -4.0, 4.0])
    answer = first_words(browser.get(address(made)))
    assert answer.startswith("The meter Building is the wrong way round on L2, most likely")
    assert "Turn those clamps" in answer


def test_an_offline_station(browser: Client, made: Rows) -> None:
    show(made, outlets=[outlet(made.outlets[0].evse_id, "offline")])
    assert first_words(browser.get(address(made))).startswith("Ramp 1 is offline")


def test_an_old_picture_says_since_when(browser: Client, made: Rows) -> None:
    told = show(made, age_s=3 * 3600)
    response = browser.get(address(made))
    with timezone.override(made.connection.site.time_zone):
        since = timezone.localtime(datetime.fromtimestamp(told["at"], timezone.get_current_timezone()))
    assert f"Nobody steers this site since {since:%H:%M}" in first_words(response).replace(
        f"{since:%-d %b}, ", ""
    )
    assert "What stands below is as of" in text(response) and "All cars get" not in text(response)


def test_a_site_that_nobody_took_up(browser: Client, made: Rows) -> None:
    answer = first_words(browser.get(address(made)))
    assert answer.startswith("Nobody steers this site yet")
    with tenant_scope(made.connection.tenant_id):
        GridConnection.objects.update(steers=False)
    assert first_words(browser.get(address(made))).startswith("Load management is switched off here")


def test_without_a_tree_it_says_what_to_enter(
    browser: Client, tenant: Tenant, site: Site, station: Station
) -> None:
    response = browser.get(f"/t/{tenant.slug}/sites/{site.pk}/load/")
    assert "How this site hangs on the grid is not entered yet" in text(response)
    assert browser.get(f"/t/{tenant.slug}/sites/{site.pk}/load/now/").status_code == 404
    assert browser.get(f"/t/{tenant.slug}/sites/{site.pk}/load/day.json").status_code == 404


def test_a_tree_that_nobody_can_steer_by(browser: Client, made: Rows) -> None:
    show(made)
    with tenant_scope(made.connection.tenant_id):
        Steering.objects.update(picture={"at": timezone.now().timestamp(), "broken": "Panel: below itself"})
    answer = first_words(browser.get(address(made)))
    assert answer.startswith("The tree of this site cannot be steered by Panel: below itself")


def test_names_are_text(browser: Client, tenant: Tenant, site: Site, make_station: Make) -> None:
    evil = "<script>alert(1)</script>"
    made = create_tree(tenant, site, [make_station(site=site, name=evil)])
    with tenant_scope(tenant.pk):
        GridNode.objects.update(name=evil)
        SiteMeter.objects.update(name=evil)
    show(
        made, outlets=[outlet(made.outlets[0].evse_id, "waits", node=made.root.pk, part="L1")],
        meters=[{"meter": made.meter.pk if made.meter else 0, "mute": True}],
    )  # fmt: skip
    page = browser.get(address(made)).content.decode()
    assert "<script>alert" not in page and page.count("&lt;script&gt;alert(1)") >= 4


JUNK: list[Any] = [
    {}, {"rows": None, "outlets": "x", "meters": 7}, {"rows": [{"node": "x"}, 3], "outlets": [{"evse": "1"}]},
    {"at": "noon", "rows": [{"node": 1, "part": "L9", "limit": True}], "meters": [None]}, [], "text",
]  # fmt: skip


@pytest.mark.parametrize("junk", JUNK)
def test_a_picture_that_makes_no_sense_breaks_nothing(browser: Client, made: Rows, junk: Any) -> None:
    show(made)
    with tenant_scope(made.connection.tenant_id):
        Steering.objects.update(picture=junk, programme=junk if isinstance(junk, dict) else {})
    assert browser.get(address(made)).status_code == 200


def test_the_day_is_told_with_its_peak(browser: Client, tenant: Tenant, made: Rows) -> None:
    """Two cars of 11 kW one after the other, where both came at once: 11 kW of peak avoided."""
    begin = (timezone.now() - timedelta(hours=6)).replace(minute=0, second=0, microsecond=0)
    minutes(made, begin, 120, cars_w=11_040, building_w=5_000, limit_w=43_470)
    with tenant_scope(tenant.pk):
        stations = list(Station.objects.filter(tenant=tenant).order_by("id")[:2])
    for station in stations:
        session = objects.create_session(
            tenant,
            station,
            started_at=begin,
            ended_at=begin + timedelta(hours=2),
            state="rated",
            energy_wh=11_040,
        )
        with tenant_scope(tenant.pk):
            reading(session, begin, 11_040)
    response = browser.get(address(made))
    told = text(response)
    assert "Charged in 24 hours 22.08 kWh" in told
    assert "Highest quarter of an hour 16.0 kW" in told
    assert "Peak avoided 11.0 kW 27.1 kW without load management" in told
    day = browser.get(address(made, "day.json")).json()
    values = {one["label"]: [v for v in one["values"] if v is not None] for one in day["series"]}
    assert values["Cars"] == [11.04] * 24 and values["Limit"] == [43.47] * 24
    assert "Cost" not in told and day["bands"] == []


def reading(session: Session, at: datetime, power_w: float) -> None:
    Reading.objects.create(
        id=session.pk, tenant_id=session.tenant_id, station_id=session.station_id, evse_number=1,
        session_id=session.pk, sampled_at=at, received_at=at, context="Sample.Periodic", digest=str(session.pk),
        power_w=power_w, values=[],
    )  # fmt: skip


def test_costs_by_prices_of_the_policy(browser: Client, made: Rows) -> None:
    begin = (timezone.now() - timedelta(hours=6)).replace(minute=0, second=0, microsecond=0)
    minutes(made, begin, 60, cars_w=10_000, building_w=0)
    with tenant_scope(made.connection.tenant_id):
        GridConnection.objects.update(policy={"price": {"per_kwh": 0.3}})
    assert "Cost of the cars' energy 3.00" in text(browser.get(address(made)))


def test_the_plan_of_the_next_hours(browser: Client, made: Rows) -> None:
    start = timezone.now().timestamp()
    programme = {
        "at": start, "start": start, "period_s": 900, "total_w": [11_000, 0, 22_000],
        "building_w": [5_000, None, 5_000], "limit_w": [43_000] * 3, "price": [0.3, 0.3, 0.4], "peak_w": 27_000,
    }  # fmt: skip
    show(made, programme=programme)
    told = browser.get(address(made, "plan.json")).json()
    assert told["series"][0]["values"] == [11.0, 0.0, 22.0]
    assert told["bands"] == [{"from": start + 1800, "to": start + 2700, "price": 0.4}]
    assert "0.400" in text(browser.get(address(made)))
    show(made)
    assert "There is no plan." in text(browser.get(address(made)))


def test_who_may_see_it(
    made: Rows, tenant: Tenant, make_member: Make, portal_client: Make, make_site: Make, other_tenant: Tenant
) -> None:
    show(made)
    own, _password = make_member(Role.FACILITY_MANAGER, [made.connection.site])
    other, _password = make_member(Role.FACILITY_MANAGER, [make_site()])
    stranger, _password = make_member(Role.OWNER, tenant=other_tenant)
    for part in ("", "now/", "day.json", "plan.json"):
        assert portal_client(own).get(address(made, part)).status_code == 200
        assert portal_client(other).get(address(made, part)).status_code == 404
        assert portal_client(stranger).get(address(made, part)).status_code == 404

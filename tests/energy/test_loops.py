"""The loop of a site on real rows; its stations answer on paper."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db.models import F

from energy.models import GridConnection, GridNode, LimitWindow, MeterSample, Outlet, SiteMeter, Steering
from energy.queries import tree_of
from energy.runner import Runner, Running
from energy.services import leftovers, orders, ownership, presence
from energy.services.loops import look
from energy.services.ownership import Steered
from stations import limits, schedules
from stations.models import (
    ChargingProfile,
    Command,
    CommandKind,
    CommandState,
    CompositeTold,
    Connector,
    Reading,
    Session,
    SessionPower,
    Station,
)
from stations.services import commands, constraints, profiles
from tenants.context import tenant_scope
from tenants.models import Site, Tenant
from tests.energy import sites
from tests.objects import create_session, create_station

MAIN_A = 32.0


@dataclass
class Place:
    """A site with two stations whose answers a test gives."""

    tenant: Tenant
    site: Site
    stations: list[Station]
    rows: sites.Rows
    later_s: float = 0.0

    def runner(self) -> tuple[Runner, Running]:
        """An owner of the site, whose clock goes on by `pass_time` alone."""
        runner = Runner()
        with tenant_scope(self.tenant.pk):
            token = ownership.claim(
                tenant_id=self.tenant.pk, connection_id=self.rows.connection.pk, owner=runner.owner
            )
        assert token is not None
        one = Steered(self.tenant.pk, self.rows.connection.pk, self.site.pk, runner.owner)
        running = runner.add(one, token)
        running.loop.clock = lambda: time.time() + self.later_s
        return runner, running

    def step(self, runner: Runner, running: Running, *, answer: str = CommandState.ACCEPTED) -> None:
        """A look, its orders, and the stations' answers."""
        runner.step(running)
        if running.slow.job is not None:
            running.slow.job[1].result()  # a programme is taken when it is ready, and nobody waits for it
        self.answer(answer)
        runner.step(running)

    def answer(self, state: str) -> None:
        with tenant_scope(self.tenant.pk):
            waiting = Command.objects.filter(state=CommandState.QUEUED, kind=CommandKind.SET_PROFILE)
            for pk in list(waiting.order_by("id").values_list("pk", flat=True)):
                Command.objects.filter(pk=pk).update(state=CommandState.SENT, sent_at=datetime.now(UTC))
                commands.settle(tenant_id=self.tenant.pk, command_id=pk, state=state)

    def settle(self, runner: Runner, running: Running, rounds: int = 4) -> None:
        """Until nothing changes any more: what is lowered is raised elsewhere some seconds later."""
        for _round in range(rounds):
            self.step(runner, running)
            self.later_s += 8

    def charge(self, station: Station, **values: Any) -> Session:
        return create_session(self.tenant, station, state="active", **values)

    def held(self) -> dict[int, float]:
        """A of the profile that each station holds for its session."""
        with tenant_scope(self.tenant.pk):
            rows = ChargingProfile.objects.filter(
                intent="energy", purpose="transaction", state="accepted", session__state="active"
            )
            return {row.station_id: row.periods[0]["limit"] for row in rows}


@pytest.fixture
def place(tenant: Tenant, site: Site) -> Place:
    stations = [
        create_station(tenant, site, online=True, epoch=1, last_seen_at=datetime.now(UTC), ocpp_version="1.6")
        for _number in range(2)
    ]
    rows = sites.create_tree(tenant, site, stations, main_a=MAIN_A, building_most_a=0.0, meter="")
    return Place(tenant, site, stations, rows)


def test_each_has_its_share_and_a_default_that_fits(place: Place) -> None:
    for station in place.stations:
        place.charge(station)
    runner, running = place.runner()
    place.settle(runner, running)
    assert place.held() == {station.pk: 16 for station in place.stations}
    with tenant_scope(place.tenant.pk):
        defaults = ChargingProfile.objects.filter(purpose="default", state="accepted", intent="energy")
        assert {row.kind for row in defaults} == {"relative"}
        assert [row.periods[0]["limit"] for row in defaults] == [0, 0]
        assert [row.periods[1] for row in defaults] == [{"start_s": 150, "limit": 6, "phases": 3}] * 2


def test_an_order_says_when_it_ends_by_the_clock_of_the_station(place: Place) -> None:
    with tenant_scope(place.tenant.pk):
        Station.objects.filter(pk=place.stations[0].pk).update(clock_offset_s=-3600.0)
    session = place.charge(place.stations[0])
    runner, running = place.runner()
    place.settle(runner, running, rounds=2)
    with tenant_scope(place.tenant.pk):
        row = ChargingProfile.objects.get(session=session, state="accepted", intent="energy")
        sent = Command.objects.get(pk=row.command_id or 0).arguments["profile"]
    assert row.valid_to is not None and row.starts_at is not None
    ends = datetime.fromisoformat(row.more["until"])
    assert row.valid_to == ends == row.starts_at + timedelta(seconds=row.duration_s or 0)
    assert datetime.fromisoformat(sent["valid_to"]) == ends - timedelta(hours=1)
    assert datetime.fromisoformat(sent["starts_at"]) == row.starts_at - timedelta(hours=1)
    assert row.stack_level == profiles.ENERGY_STACK
    assert ends - row.created_at < timedelta(minutes=11)


def test_what_others_take_away_is_sent_again(place: Place) -> None:
    """Until then the connector counts with what it falls to."""
    session = place.charge(place.stations[0])
    with tenant_scope(place.tenant.pk):
        GridNode.objects.update(limit_a=[16.0] * 3)
    runner, running = place.runner()
    place.settle(runner, running)
    with tenant_scope(place.tenant.pk):
        mine = ChargingProfile.objects.filter(session=session, intent="energy", state="accepted")
        assert mine.update(state="cleared") == 1
    runner.step(running)
    loop = running.loop
    assert loop.control is not None
    leaf = loop.leaf_of[session.evse_id]
    assert loop.control.ledger.granted(loop.clock())[leaf] == 6
    place.answer(CommandState.ACCEPTED)
    place.settle(runner, running)
    assert place.held() == {place.stations[0].pk: 16}


def test_a_station_out_of_reach_counts_with_its_default(place: Place) -> None:
    for station in place.stations:
        place.charge(station)
    runner, running = place.runner()
    place.settle(runner, running)
    away, there = place.stations
    with tenant_scope(place.tenant.pk):
        Station.objects.filter(pk=away.pk).update(online=False)
    place.later_s += 700  # its profile is over
    place.settle(runner, running)
    assert place.held()[there.pk] == MAIN_A - 6


def test_the_next_owner_goes_on_where_the_last_one_was(place: Place) -> None:
    """No car is lowered for it, and what the last one sent counts."""
    for station in place.stations:
        place.charge(station)
    runner, running = place.runner()
    place.settle(runner, running)
    ledger = running.loop.control.ledger  # type: ignore[union-attr]
    with tenant_scope(place.tenant.pk):
        ownership.release(
            tenant_id=place.tenant.pk,
            tokens=[(place.rows.connection.pk, running.loop.token)],
        )
        sent = Command.objects.count()
    runner, running = place.runner()
    runner.step(running)
    after = running.loop.control.ledger  # type: ignore[union-attr]
    assert list(after.held) == list(ledger.held) == [16, 16]
    assert abs(after.held_until - ledger.held_until).max() < 1.5
    assert list(after.default) == [6, 6]
    with tenant_scope(place.tenant.pk):
        later = Command.objects.order_by("id")[sent:]
        assert all(one.arguments["profile"]["periods"][0]["limit"] >= 16 for one in later)


def test_an_order_without_answer_counts_for_the_next_owner(place: Place) -> None:
    first = place.charge(place.stations[0])
    runner, running = place.runner()
    place.settle(runner, running)
    assert place.held() == {place.stations[0].pk: MAIN_A}
    place.charge(place.stations[1])
    runner.step(running)  # lowers the first: nobody answers
    with tenant_scope(place.tenant.pk):
        ownership.release(
            tenant_id=place.tenant.pk,
            tokens=[(place.rows.connection.pk, running.loop.token)],
        )
        assert Command.objects.filter(state=CommandState.QUEUED).exists()
    _runner, running = place.runner()
    _runner.step(running)
    loop = running.loop
    assert loop.control is not None and loop.sessions[loop.leaf_of[first.evse_id]].id == first.pk
    in_force = loop.control.ledger.in_force(loop.clock())
    assert in_force[loop.leaf_of[first.evse_id]] == MAIN_A


def test_who_lost_the_site_sends_nothing(place: Place) -> None:
    place.charge(place.stations[0])
    _runner, running = place.runner()
    with tenant_scope(place.tenant.pk):
        look([running.loop])
        wanted = running.loop.tick()
        assert wanted
        ownership.release(
            tenant_id=place.tenant.pk,
            tokens=[(place.rows.connection.pk, running.loop.token)],
        )
    place.runner()
    assert running.loop.tree is not None
    outgoing = orders.Outgoing(running.loop.tree, running.loop.token, wanted)
    with tenant_scope(place.tenant.pk):
        assert orders.send(tenant_id=place.tenant.pk, sites=[outgoing]) == {}
        assert not Command.objects.exists()


def test_a_site_has_one_owner(place: Place) -> None:
    place.runner()
    with tenant_scope(place.tenant.pk):
        mine = {"tenant_id": place.tenant.pk, "connection_id": place.rows.connection.pk}
        assert ownership.claim(**mine, owner="another") is None


def test_a_process_that_comes_later_gets_its_part(
    tenant: Tenant, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And all of it once it is alone; one that is present and takes nothing leaves no site alone for long."""
    # Other tests of this process have sites, and owners, of their own.
    all_of_them = ownership.steered
    monkeypatch.setattr(
        ownership, "steered", lambda: [one for one in all_of_them() if one.tenant_id == tenant.pk]
    )
    monkeypatch.setattr(presence, "_key", lambda: f"voltyard.energy.test.{tenant.pk}")
    for number in range(3):
        with tenant_scope(tenant.pk):
            more = Site.objects.create(tenant=tenant, name=f"More {number}")
        sites.create_tree(tenant, more, [], meter="")
    first, second = Runner(), Runner()
    everywhere = {one.site_id for one in ownership.steered()}
    first.share()
    assert set(first.sites) == everywhere and len(everywhere) == 4
    second.share()
    assert not second.sites
    first.share()  # has heard of the other, and gives up what is beyond its part
    second.share()
    assert len(first.sites) == len(second.sites) == 2
    assert set(first.sites) | set(second.sites) == everywhere
    for runner in (first, second, first):
        runner.share()
    assert len(first.sites) == len(second.sites) == 2, "nothing goes to and fro"
    second._release_all()
    first.share()
    assert set(first.sites) == everywhere
    first._release_all()
    third, idle = Runner(), Runner()
    presence.of_others(idle.owner, 60)
    third.share()
    assert len(third.sites) == 2
    third.free_since = dict.fromkeys(third.free_since, -100.0)
    third.share()
    assert set(third.sites) == everywhere


def test_a_station_that_knows_no_relative_default_gets_a_plain_one(place: Place) -> None:
    runner, running = place.runner()
    runner.step(running)
    place.answer(CommandState.REJECTED)
    place.later_s += 31
    runner.step(running)
    place.answer(CommandState.ACCEPTED)
    runner.step(running)
    with tenant_scope(place.tenant.pk):
        kinds = ChargingProfile.objects.filter(purpose="default", state="accepted").values_list(
            "kind", flat=True
        )
        assert list(kinds) == ["absolute", "absolute"]
    runner.step(running)
    loop = running.loop
    assert loop.control is not None
    assert list(loop.control.ledger.default) == [6, 6]
    assert list(loop.control.ledger.delay) == [0, 0]


def test_a_limit_of_an_operator_holds_below_load_management(
    place: Place, make_actor: Callable[..., Any]
) -> None:
    station = place.stations[0]
    place.charge(station)
    actor = make_actor("operator")
    runner, running = place.runner()
    with tenant_scope(place.tenant.pk):
        profiles.limit(tenant_id=place.tenant.pk, station_id=station.pk, evse=1, actor=actor, amps=10)
    place.settle(runner, running)
    assert place.held() == {station.pk: 10}


def test_a_limit_of_the_grid_operator_holds_for_all_charging(
    place: Place, make_actor: Callable[..., Any]
) -> None:
    for station in place.stations:
        place.charge(station)
    with tenant_scope(place.tenant.pk):
        constraints.set_limit(
            tenant_id=place.tenant.pk, actor=make_actor("owner"), source="grid_operator", site_id=place.site.pk,
            power_w=9200.0,
        )  # fmt: skip
    runner, running = place.runner()
    place.settle(runner, running)
    assert sum(place.held().values()) * 690 <= 9200
    assert min(place.held().values()) >= 6


def test_a_silent_meter_counts_as_the_most(place: Place) -> None:
    with tenant_scope(place.tenant.pk):
        meter = SiteMeter.objects.create(
            tenant=place.tenant, connection=place.rows.connection, name="House", maximum_a=20
        )
        GridConnection.objects.update(revision=2)
    place.charge(place.stations[0])
    runner, running = place.runner()
    for number in range(8):
        with tenant_scope(place.tenant.pk):
            now = datetime.now(UTC) + timedelta(seconds=place.later_s)
            amps = [2, 1, number / 10]
            MeterSample.objects.create(tenant=place.tenant, meter=meter, at=now, received_at=now, amps=amps)
        place.step(runner, running)
        place.later_s += 4
    assert place.held() == {place.stations[0].pk: MAIN_A - 2}
    place.later_s += 30
    place.settle(runner, running)
    assert place.held() == {place.stations[0].pk: MAIN_A - 20}


def test_a_meter_that_counts_the_cars_leaves_them_what_they_have(place: Place) -> None:
    """What they draw is theirs: it is not taken for the building's, and a car that is not heard is not taken off."""
    stations = place.stations
    with tenant_scope(place.tenant.pk):
        meter = SiteMeter.objects.create(
            tenant=place.tenant, connection=place.rows.connection, name="Main", kind="grid", maximum_a=20
        )
        GridConnection.objects.update(revision=2, building_most_a=20)
    sessions = [place.charge(station) for station in stations]
    runner, running = place.runner()

    def tell(total: float, drawn: float, number: int) -> None:
        now = datetime.now(UTC) + timedelta(seconds=place.later_s)
        with tenant_scope(place.tenant.pk):
            amps = [total, total, total - number / 100]
            MeterSample.objects.create(tenant=place.tenant, meter=meter, at=now, received_at=now, amps=amps)
            for station, session in zip(stations, sessions, strict=True):
                Reading.objects.create(
                    tenant=place.tenant, station=station, id=secrets.randbits(60), evse_number=1, session_id=session.pk,
                    sampled_at=now, raw_timestamp="", received_at=now, context="Sample.Periodic",
                    digest=secrets.token_hex(8), current_a=drawn, power_w=drawn * 690, values=[],
                )  # fmt: skip
                Session.objects.filter(pk=session.pk).update(last_reading_at=now, power_w=drawn * 690)

    for number in range(30):
        drawn = min(place.held().values(), default=6.0)
        tell(4.0 + 2 * drawn, drawn, number)
        place.step(runner, running)
        place.later_s += 4
    assert sum(place.held().values()) == MAIN_A - 4
    with tenant_scope(place.tenant.pk):
        Station.objects.filter(pk=stations[0].pk).update(online=False)
    place.step(runner, running)
    building = running.loop.building(running.loop.clock())
    assert building[:3].max() >= 4.0


@pytest.mark.parametrize("tells", [16.0, 32.0])
def test_a_station_is_asked_what_it_keeps_to(place: Place, tells: float) -> None:
    """One that tells more than it may gets its profile anew; if it tells it again, it counts with its hardware."""
    session = place.charge(place.stations[0])
    with tenant_scope(place.tenant.pk):
        GridNode.objects.update(limit_a=[16.0] * 3)
    runner, running = place.runner()
    sent = []
    for _round in range(30):
        place.step(runner, running)
        place.later_s += 8
        with tenant_scope(place.tenant.pk):
            asked = Command.objects.filter(kind=CommandKind.READ_COMPOSITE, state=CommandState.QUEUED).first()
            if asked is None:
                continue
            sent.append(asked.arguments)
            now = datetime.now(UTC) + timedelta(seconds=place.later_s)
            CompositeTold.objects.update_or_create(
                tenant=place.tenant, station=place.stations[0], evse_number=1,
                defaults={
                    "unit": "A", "starts_at": now, "duration_s": 300, "told_at": now,
                    "periods": [{"start_s": 0, "limit": tells}],
                },
            )  # fmt: skip
            commands.settle(tenant_id=place.tenant.pk, command_id=asked.pk, state=CommandState.ACCEPTED)
    control = running.loop.control
    assert control is not None
    leaf = running.loop.leaf_of[session.evse_id]
    wrong = tells > 16
    assert len(sent) == (2 if wrong else 1)
    assert sent[0] == {"evse": 1, "duration_s": 300, "unit": "A"}
    assert bool(control.ledger.obeys[leaf]) is not wrong
    assert [one.leaf for one in control.disobeys()] == ([leaf] if wrong else [])


def test_a_window_lowers_a_node_at_its_hours(place: Place) -> None:
    with tenant_scope(place.tenant.pk):
        node = GridNode.objects.get(connection=place.rows.connection)
        LimitWindow.objects.create(
            tenant=place.tenant, node=node, begins="17:00", ends="02:00", weekdays=[0], limit_a=10
        )
        tree = tree_of(place.tenant.pk, place.site.pk)
    assert tree is not None
    monday = datetime(2026, 11, 23, tzinfo=UTC)
    assert max(tree.limits_at(monday.replace(hour=18))[:3]) == 10
    assert max(tree.limits_at(monday.replace(day=24, hour=1))[:3]) == 10  # past midnight
    assert max(tree.limits_at(monday.replace(hour=1))[:3]) == MAIN_A  # Sunday has none
    assert max(tree.limits_at(monday.replace(day=24, hour=18))[:3]) == MAIN_A


def test_a_new_tree_is_followed(place: Place) -> None:
    place.charge(place.stations[0])
    runner, running = place.runner()
    place.settle(runner, running)
    with tenant_scope(place.tenant.pk):
        GridNode.objects.update(limit_a=[14.0] * 3)
        GridConnection.objects.update(revision=2)
    place.settle(runner, running)
    assert place.held() == {place.stations[0].pk: 14}


def test_a_car_that_tells_its_need_and_priority_is_heard(place: Place) -> None:
    sessions = [place.charge(station) for station in place.stations]
    with tenant_scope(place.tenant.pk):
        SessionPower.objects.create(
            tenant=place.tenant, station=place.stations[1], evse_number=1, session=sessions[1],
            needs_at=datetime.now(UTC), energy_wh=9000, departure_at=datetime.now(UTC) + timedelta(hours=1),
            priority=True,
        )  # fmt: skip
        GridNode.objects.update(limit_a=[8.0] * 3)  # for one alone
    runner, running = place.runner()
    place.settle(runner, running)
    assert place.held() == {place.stations[0].pk: 0, place.stations[1].pk: 8}
    shown = {one["session"]: one for one in _picture(place)["outlets"]}
    assert shown[sessions[0].pk]["why"] == "waits"
    assert shown[sessions[1].pk]["need_wh"] == 9000


def test_direct_current_is_told_in_watts(place: Place) -> None:
    station = place.stations[0]
    with tenant_scope(place.tenant.pk):
        Connector.objects.filter(evse__station=station).update(
            power_type="DC", max_power_w=50_000, max_amps=125
        )
    session = place.charge(station)
    runner, running = place.runner()
    place.settle(runner, running)
    with tenant_scope(place.tenant.pk):
        row = ChargingProfile.objects.get(session=session, state="accepted", intent="energy")
        now = limits.of_station(Station.objects.get(pk=station.pk))
    assert (row.unit, row.periods[0]["limit"]) == (schedules.WATTS, MAIN_A * 690)
    assert now.composite(1)[0].limit == MAIN_A * 690


def test_the_lines_of_a_turned_panel_are_those_of_its_parent(place: Place) -> None:
    with tenant_scope(place.tenant.pk):
        connection = place.rows.connection
        panel = GridNode.objects.create(
            tenant=place.tenant, connection=connection, parent=place.rows.root, name="Turned",
            limit_a=[10, 20, 30], rotation=[1, 2, 0],
        )  # fmt: skip
        Outlet.objects.update(node=panel, lines=[0])
        tree = tree_of(place.tenant.pk, place.site.pk)
    assert tree is not None
    assert {one.leaf.lines for one in tree.wired} == {(1,)}
    found = {row.part: row.limit for row in tree.grid.rows if row.node == str(panel.pk)}
    assert found == {"L2": 10}


def _picture(place: Place) -> dict[str, Any]:
    with tenant_scope(place.tenant.pk):
        return dict(Steering.objects.get(connection=place.rows.connection).picture)


def test_profiles_are_taken_back_where_nobody_steers_any_more(place: Place) -> None:
    session = place.charge(place.stations[0])
    runner, running = place.runner()
    place.settle(runner, running)

    def cleared() -> list[int]:
        waiting = Command.objects.filter(kind=CommandKind.CLEAR_PROFILE).order_by("id")
        return sorted(one.arguments["number"] for one in waiting)

    with tenant_scope(place.tenant.pk):
        assert leftovers.take_back(tenant_id=place.tenant.pk) == 0  # it is steered
        GridConnection.objects.update(steers=False)
        assert leftovers.take_back(tenant_id=place.tenant.pk) == 3
        assert leftovers.take_back(tenant_id=place.tenant.pk) == 0  # under way
        held = ChargingProfile.objects.filter(intent="energy", state="accepted")
        assert cleared() == sorted(held.values_list("number", flat=True))
        for command in Command.objects.filter(kind=CommandKind.CLEAR_PROFILE):
            Command.objects.filter(pk=command.pk).update(state=CommandState.SENT, sent_at=datetime.now(UTC))
            commands.settle(tenant_id=place.tenant.pk, command_id=command.pk, state=CommandState.ACCEPTED)
        assert not held.exists()
        assert ChargingProfile.objects.filter(session=session).exists()


def test_orders_of_long_ago_are_forgotten(place: Place) -> None:
    place.charge(place.stations[0])
    runner, running = place.runner()
    place.settle(runner, running)
    long_ago = datetime.now(UTC) - timedelta(days=31)
    with tenant_scope(place.tenant.pk):
        assert leftovers.trim(tenant_id=place.tenant.pk) == 0
        held = ChargingProfile.objects.filter(state="accepted").count()
        Command.objects.update(settled_at=long_ago)
        ChargingProfile.objects.exclude(state="accepted").update(ended_at=long_ago)
        assert leftovers.trim(tenant_id=place.tenant.pk) > 0
        assert ChargingProfile.objects.count() == held  # what a station holds stays
        assert not Command.objects.exists()


def _policy(place: Place, **policy: Any) -> None:
    with tenant_scope(place.tenant.pk):
        GridConnection.objects.update(policy=policy, revision=F("revision") + 1)


def _needs(place: Place, session: Session, wh: float, hours: float) -> None:
    with tenant_scope(place.tenant.pk):
        SessionPower.objects.create(
            tenant=place.tenant, station=session.station, evse_number=1, session=session, needs_at=datetime.now(UTC),
            energy_wh=wh, departure_at=datetime.now(UTC) + timedelta(hours=hours),
        )  # fmt: skip


def _at(minutes: float) -> str:
    return f"{(datetime.now(UTC).astimezone(ZoneInfo('Europe/Berlin')) + timedelta(minutes=minutes)):%H:%M}"


def test_a_car_with_time_waits_for_cheap_power(place: Place) -> None:
    """One that told nothing, and one that would lack something, do not."""
    session = place.charge(place.stations[0])
    other = place.charge(place.stations[1])
    _needs(place, session, 10_000, 8)
    dear = {"begins": _at(-60), "ends": _at(120), "per_kwh": 0.60}
    _policy(place, price={"per_kwh": 0.20, "windows": [dear]})
    runner, running = place.runner()
    place.settle(runner, running)
    assert place.held() == {session.station_id: 0, other.station_id: MAIN_A}
    shown = {one["session"]: one for one in _picture(place)["outlets"]}
    assert shown[session.pk]["why"] == "later"
    with tenant_scope(place.tenant.pk):
        programme = Steering.objects.get().programme
        SessionPower.objects.filter(session=session).update(
            departure_at=datetime.now(UTC) + timedelta(minutes=30)
        )
    assert len(programme["price"]) == len(programme["total_w"]) == 48
    assert programme["price"][0] == 0.6 and programme["price"][-1] == 0.2
    place.later_s += 300
    place.settle(runner, running)
    assert place.held()[session.station_id] >= 16


@pytest.mark.parametrize("share", ["need", "equal"])
def test_power_is_shared_as_the_site_wants_it(place: Place, share: str) -> None:
    urgent, other = (place.charge(station) for station in place.stations)
    _needs(place, urgent, 14_000, 1)
    _needs(place, other, 20_000, 11)
    _policy(place, share=share)
    runner, running = place.runner()
    place.settle(runner, running)
    held = place.held()
    assert sum(held.values()) <= MAIN_A
    if share == "equal":
        assert held == {urgent.station_id: 16, other.station_id: 16}
    else:
        assert held[urgent.station_id] >= 20 > held[other.station_id]


def test_nobody_waits_for_cheap_power_while_it_is_cheapest(place: Place) -> None:
    """What the peak leaves is shared; that the programme serves one first is no price."""
    for station in place.stations:
        _needs(place, place.charge(station), 5_000, 8)
    cheap = {"begins": _at(-60), "ends": _at(240), "per_kwh": 0.10}
    _policy(place, price={"per_kwh": 0.30, "windows": [cheap]}, peak={"mode": "hold", "limit_kw": 5})
    runner, running = place.runner()
    place.settle(runner, running)
    assert sum(place.held().values()) >= 6
    assert "later" not in [one["why"] for one in _picture(place)["outlets"]]


def test_a_peak_that_is_to_be_held_is_held(place: Place) -> None:
    """Its price is below that of energy that a car lacks: who needs more by its departure gets more."""
    sessions = [place.charge(station) for station in place.stations]
    for session in sessions:
        _needs(place, session, 8_000, 10)
    _policy(place, peak={"mode": "hold", "limit_kw": 9.7})
    runner, running = place.runner()
    place.settle(runner, running)
    assert 8.0 < sum(place.held().values()) * 0.69 <= 9.7
    with tenant_scope(place.tenant.pk):
        SessionPower.objects.update(energy_wh=11_000, departure_at=datetime.now(UTC) + timedelta(hours=1.2))
    place.later_s += 300
    place.settle(runner, running)
    assert sum(place.held().values()) * 0.69 > 11


def test_who_waits_for_the_peak_alone_is_told_so(place: Place) -> None:
    """The breaker would carry both."""
    for station in place.stations:
        _needs(place, place.charge(station), 8_000, 10)
    _policy(place, peak={"mode": "hold", "limit_kw": 5})
    runner, running = place.runner()
    place.settle(runner, running)
    assert sorted(place.held().values()) in ([0, 6], [0, 7])
    assert [one["why"] for one in _picture(place)["outlets"] if one["asked"] == 0] == ["peak"]


def test_what_a_driver_needs_is_learned(place: Place) -> None:
    session = place.charge(place.stations[0])
    began = datetime.now(UTC) - timedelta(days=2)
    for number in range(4):
        place.charge(
            place.stations[0], transaction_id=f"old {number}", started_at=began + timedelta(hours=4 * number),
        )  # fmt: skip
    with tenant_scope(place.tenant.pk):
        old = Session.objects.filter(transaction_id__startswith="old")
        old.update(state="rated", energy_wh=12_000, ended_at=F("started_at") + timedelta(hours=3))
    runner, running = place.runner()
    place.settle(runner, running, rounds=2)
    shown = {one["session"]: one for one in _picture(place)["outlets"]}
    assert shown[session.pk]["need_wh"] == 12_000
    assert shown[session.pk]["departure"] == pytest.approx(session.started_at.timestamp() + 3 * 3600, abs=1)

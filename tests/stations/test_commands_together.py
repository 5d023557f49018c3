"""Commands of many stations at once: queued, claimed, and profiles among them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connections

from stations import schedules
from stations.models import ChargingProfile, Command, CommandState, Station
from stations.ocpp import outbox
from stations.ocpp.link import Link
from stations.ocpp.versions import BY_NAME
from stations.schedules import Period, Profile
from stations.services import commands, profiles
from tenants.context import tenant_scope
from tenants.errors import DomainError, Forbidden, Invalid
from tenants.models import Site, Tenant
from tenants.permissions import system
from tests.objects import create_station

ACTOR = system("tests")


@pytest.fixture
def three(tenant: Tenant, site: Site) -> list[Station]:
    return [create_station(tenant, site, epoch=number, ocpp_version="1.6") for number in (1, 2, 3)]


def _ask(station: Station, kind: str = "reset", **more: Any) -> commands.Asked:
    return commands.Asked(station, kind, {"type": "Soft"}, **more)


def _claim(tenant: Tenant, *of: Station) -> tuple[list[Command], set[int]]:
    with tenant_scope(tenant.pk):
        return commands.claim(tenant_id=tenant.pk, epochs={one.pk: one.epoch for one in of})


def test_one_of_each_station_what_is_urgent_first(tenant: Tenant, three: list[Station]) -> None:
    first, second, third = three
    with tenant_scope(tenant.pk):
        made = commands.request_many(
            tenant_id=tenant.pk, actor=ACTOR,
            asked=[_ask(first), _ask(first, urgent=True), _ask(second), _ask(second)],
        )  # fmt: skip
        Command.objects.filter(pk=made[2].pk).update(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    claimed, busy = _claim(tenant, *three)
    assert ({one.pk for one in claimed}, busy) == ({made[1].pk, made[3].pk}, set())
    assert {(one.state, one.epoch, one.station.pk) for one in claimed} == {
        (CommandState.SENT, 1, first.pk),
        (CommandState.SENT, 2, second.pk),
    }
    claimed, _busy = _claim(tenant, *three)
    assert [one.pk for one in claimed] == [made[0].pk]
    assert _claim(tenant, *three) == ([], set())
    assert third.pk not in {one.station_id for one in made}


def test_nothing_for_a_socket_that_is_not_the_newest(tenant: Tenant, three: list[Station]) -> None:
    with tenant_scope(tenant.pk):
        commands.request_many(tenant_id=tenant.pk, actor=ACTOR, asked=[_ask(one) for one in three])
        assert commands.claim(tenant_id=tenant.pk, epochs={three[2].pk: 2}) == ([], set())


def test_a_station_that_somebody_holds_keeps_no_other_waiting(tenant: Tenant, three: list[Station]) -> None:
    with tenant_scope(tenant.pk):
        commands.request_many(tenant_id=tenant.pk, actor=ACTOR, asked=[_ask(one) for one in three])
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with tenant_scope(tenant.pk):
            Station.objects.select_for_update(no_key=True).get(pk=three[1].pk)
            held.set()
            done.wait(10)

    thread = threading.Thread(target=_closing(hold))
    thread.start()
    try:
        assert held.wait(10)
        claimed, busy = _claim(tenant, *three)
    finally:
        done.set()
        thread.join()
    assert ({one.station_id for one in claimed}, busy) == ({three[0].pk, three[2].pk}, {three[1].pk})
    claimed, busy = _claim(tenant, *three)
    assert ([one.station_id for one in claimed], busy) == ([three[1].pk], set())


def _closing(function: Callable[[], None]) -> Callable[[], None]:
    def run() -> None:
        try:
            function()
        finally:
            connections.close_all()

    return run


def test_if_one_may_not_go_none_does(tenant: Tenant, three: list[Station]) -> None:
    blind = replace(ACTOR, permissions=frozenset())
    with tenant_scope(tenant.pk):
        with pytest.raises(Invalid):
            commands.request_many(
                tenant_id=tenant.pk, actor=ACTOR, asked=[_ask(three[0]), _ask(three[1], kind="dance")]
            )
        with pytest.raises(Forbidden):
            commands.request_many(tenant_id=tenant.pk, actor=blind, asked=[_ask(three[0])])
        assert not Command.objects.exists()


def test_a_profile_that_cannot_go_keeps_no_other(tenant: Tenant, three: list[Station]) -> None:
    def limit(amps: float, **values: Any) -> Profile:
        return Profile(
            evse=1, purpose=schedules.DEFAULT, kind=schedules.ABSOLUTE, unit="A", periods=(Period(0, amps),),
            starts_at=datetime(2026, 1, 1, tzinfo=UTC), **values,
        )  # fmt: skip

    with tenant_scope(tenant.pk):
        known = profiles.known(tenant.pk, three)
        wanted = [
            profiles.Installing(known[three[0].pk], limit(10)),
            profiles.Installing(known[three[1].pk], limit(10, stack_level=-1)),
            profiles.Installing(known[three[2].pk], limit(12)),
        ]
        first, wrong, third = profiles.install_many(
            tenant_id=tenant.pk, wanted=wanted, actor=ACTOR, intent="raw"
        )
        assert isinstance(wrong, DomainError) and "0 or more" in str(wrong)
        assert isinstance(first, ChargingProfile) and isinstance(third, ChargingProfile)
        rows = {row.station_id: row for row in ChargingProfile.objects.all()}
        assert set(rows) == {three[0].pk, three[2].pk}
        for row, amps in ((rows[three[0].pk], 10), (rows[three[2].pk], 12)):
            sent = Command.objects.get(pk=row.command_id or 0)
            assert sent.station_id == row.station_id
            assert sent.arguments["profile"]["periods"][0]["limit"] == row.periods[0]["limit"] == amps


def test_of_two_sockets_of_a_station_the_newest_sends(tenant: Tenant, three: list[Station]) -> None:
    """The other may still ask while it is being closed: what goes out on both is settled by the one that is gone."""

    def socket(station: Station, epoch: int) -> Link:
        link = object.__new__(Link)
        link.station_id, link.epoch, link.version = station.pk, epoch, BY_NAME["1.6"]
        return link

    station = three[1]
    with tenant_scope(tenant.pk):
        commands.request_many(tenant_id=tenant.pk, actor=ACTOR, asked=[_ask(station), _ask(three[0])])
    new, old, other = socket(station, 2), socket(station, 1), socket(three[0], 1)
    found, again = outbox._claim(tenant.pk, [new, old, other])
    assert (set(found), again) == ({new, other}, set())
    assert found[new].command.station_id == station.pk and found[new].say.action == "Reset"

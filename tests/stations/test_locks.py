"""Batches that run side by side never wait for each other in a circle."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections as databases

from stations.models import ChargingProfile, Command, SessionPower, SessionState, Station
from stations.neutral import MeterReport, StatusReport
from stations.neutral_power import NeedsTold, TransfersAllowed
from stations.services import commands, connectors, needs, priority, profiles, readings, sheets
from tenants.context import tenant_scope
from tenants.permissions import system
from tests.stations.telling import Speaker, now, sample, value, wire


def in_thread(work: Callable[[], None], errors: list[BaseException]) -> threading.Thread:
    def run() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)
        finally:
            databases.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_a_stop_passes_a_status_and_readings_of_the_same_connector(speaker: Speaker) -> None:
    """The journal's applier holds the connector and wants the session; the stop holds the session."""
    number = speaker.start()[0].transaction_number
    errors: list[BaseException] = []
    holding, stopped = threading.Event(), threading.Event()

    def apply_journal() -> None:
        status = StatusReport(speaker.station.pk, 1, 1, "finishing", wire(now()), now())
        told = sample(speaker.began + timedelta(minutes=20), value(3000))
        report = MeterReport(speaker.station.pk, 1, now(), (told,), number)
        with tenant_scope(speaker.tenant_id):
            connectors.record_status(tenant_id=speaker.tenant_id, reports=[status])
            holding.set()
            stopped.wait(5)
            readings.record(tenant_id=speaker.tenant_id, reports=[report]).settle()

    def stop() -> None:
        holding.wait(5)
        speaker.stop(number=number)
        stopped.set()

    for thread in [in_thread(apply_journal, errors), in_thread(stop, errors)]:
        thread.join()
    assert errors == []
    assert speaker.session().state == SessionState.ENDED
    assert speaker.session().energy_wh == 5000


def test_the_applier_locks_sessions_in_the_order_in_which_stops_do(speaker: Speaker) -> None:
    first, second = (speaker.start(connector=n, uid=f"CARD{n}")[0].transaction_number for n in (1, 2))
    ids = [session.pk for session in speaker.sessions()]
    errors: list[BaseException] = []
    holding, settling = threading.Event(), threading.Event()

    def apply_journal() -> None:
        told = sample(speaker.began + timedelta(minutes=20), value(3000))
        reports = [
            MeterReport(speaker.station.pk, evse, now(), (told,), number)
            for evse, number in ((2, second), (1, first))  # the newer session is heard of first
        ]
        with tenant_scope(speaker.tenant_id):
            progress = readings.record(tenant_id=speaker.tenant_id, reports=reports)
            holding.wait(5)
            settling.set()
            progress.settle()

    def stops() -> None:
        with tenant_scope(speaker.tenant_id):
            sheets.by_ids(speaker.tenant_id, ids[:1])
            holding.set()
            settling.wait(5)
            time.sleep(0.2)  # the applier has come to its locks
            sheets.by_ids(speaker.tenant_id, ids)

    for thread in [in_thread(apply_journal, errors), in_thread(stops, errors)]:
        thread.join()
    assert errors == []
    assert [session.meter_last_wh for session in speaker.sessions()] == [3000, 3000]


@pytest.mark.parametrize("known", [True, False], ids=["a known row", "a new row"])
def test_what_a_car_needs_and_what_it_may_are_both_kept(speaker: Speaker, known: bool) -> None:
    """Needs are taken by the gateway, what a station agreed to by whoever concludes the command: into one row."""
    speaker.start()
    session = speaker.session()
    told = NeedsTold(speaker.station.pk, now(), 1, energy_wh=22_000, transfer="AC_BPT")
    allowed = TransfersAllowed(speaker.station.pk, now(), session.transaction_id, ("AC_BPT", "DC_BPT"))
    errors: list[BaseException] = []
    holding = threading.Event()

    def conclude() -> None:
        with tenant_scope(speaker.tenant_id):
            priority.record_transfers(tenant_id=speaker.tenant_id, reports=[allowed])
            holding.set()
            time.sleep(0.5)  # in which the other has read what is not committed yet, if nothing holds it

    def take() -> None:
        holding.wait(5)
        with tenant_scope(speaker.tenant_id):
            needs.take(tenant_id=speaker.tenant_id, requests=[told])

    if known:
        with tenant_scope(speaker.tenant_id):
            needs.take(tenant_id=speaker.tenant_id, requests=[told])
    for thread in [in_thread(conclude, errors), in_thread(take, errors)]:
        thread.join()
    assert errors == []
    with tenant_scope(speaker.tenant_id):
        row = SessionPower.objects.get(session=session)
    assert (row.energy_wh, row.allowed_transfers) == (22_000, ["AC_BPT", "DC_BPT"])


def test_a_limit_does_not_take_back_the_one_that_is_being_sent(speaker: Speaker) -> None:
    """What the station is told it may hold, whatever was asked since."""
    limit: dict[str, Any] = {
        "tenant_id": speaker.tenant_id,
        "station_id": speaker.station.pk,
        "evse": 1,
        "actor": system("tests"),
    }
    errors: list[BaseException] = []
    holding = threading.Event()
    with tenant_scope(speaker.tenant_id):
        [waiting] = profiles.limit(**limit, amps=16)

    def send() -> None:
        with tenant_scope(speaker.tenant_id):
            epoch = Station.objects.get(pk=speaker.station.pk).epoch
            sent, _busy = commands.claim(tenant_id=speaker.tenant_id, epochs={speaker.station.pk: epoch})
            assert [one.pk for one in sent] == [waiting.command_id]
            holding.set()
            time.sleep(0.5)  # in which the other sees the row as it was: waiting

    def limit_more() -> None:
        holding.wait(5)
        with tenant_scope(speaker.tenant_id):
            profiles.limit(**limit, amps=10)

    for thread in [in_thread(send, errors), in_thread(limit_more, errors)]:
        thread.join()
    assert errors == []
    with tenant_scope(speaker.tenant_id):
        assert Command.objects.get(pk=waiting.command_id or 0).state == "sent"
        assert ChargingProfile.objects.get(pk=waiting.pk).state == "sent"

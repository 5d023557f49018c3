"""1.6: a start and a stop make one session, whatever is repeated, late, or told oddly."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connections

from fleets.models import Token, Verdict
from stations.models import Command, SessionState, Station
from stations.neutral import StartRequest
from stations.ocpp.v16 import charging
from stations.ocpp.version import Asked
from tenants.context import tenant_scope
from tenants.models import Fact
from tests.stations.telling import Speaker, now, sample, value, wire


def test_a_start_and_a_stop_make_a_session_with_its_energy(speaker: Speaker) -> None:
    (answer,) = speaker.start()
    assert answer.verdict == Verdict.ACCEPTED
    speaker.stop(number=answer.transaction_number, meter=6000)
    session = speaker.session()
    assert (session.state, session.energy_wh) == (SessionState.ENDED, Decimal(5000))
    assert (session.meter_start_wh, session.meter_stop_wh) == (Decimal(1000), Decimal(6000))
    assert session.flags == []


def test_a_repeated_start_gets_the_same_number(speaker: Speaker) -> None:
    numbers = {speaker.start()[0].transaction_number for _ in range(3)}
    assert len(numbers) == 1
    assert len(speaker.sessions()) == 1
    assert len(speaker.events()) == 1


def test_a_start_twice_in_one_batch_is_one_session(speaker: Speaker) -> None:
    request = speaker.start_request()
    first, second = speaker.start(request, request)
    assert first == second
    assert len(speaker.sessions()) == 1


def test_a_start_repeated_after_the_stop_is_recognised(speaker: Speaker) -> None:
    (answer,) = speaker.start()
    speaker.stop(number=answer.transaction_number)
    assert speaker.start()[0].transaction_number == answer.transaction_number
    assert speaker.session().state == SessionState.ENDED


def test_without_a_clock_the_next_session_is_another_one(speaker: Speaker) -> None:
    """A station that says 1970 and 0 Wh at every start must not lose its second session."""
    odd = {"at": "1970-01-01T00:00:00Z", "meter": 0}
    first = speaker.start(**odd)[0].transaction_number
    assert speaker.start(**odd)[0].transaction_number == first  # the repeat while it runs
    speaker.stop(number=first, meter=500)
    second = speaker.start(**odd)[0].transaction_number
    assert second != first
    assert len(speaker.sessions()) == 2


def test_five_stops_are_one_stop(speaker: Speaker) -> None:
    (answer,) = speaker.start()
    request = speaker.stop_request(answer.transaction_number)
    for _ in range(5):
        speaker.stop(request)
    speaker.stop(request, request)
    assert speaker.session().energy_wh == 5000
    assert [event.kind for event in speaker.events()] == ["started", "ended"]
    with tenant_scope(speaker.tenant_id):
        assert Fact.objects.filter(tenant_id=speaker.tenant_id, kind="session.ended").count() == 1


def test_a_stop_for_an_unknown_number_is_acknowledged_and_kept_once(speaker: Speaker) -> None:
    request = speaker.stop_request(987654)
    assert len(speaker.stop(request)) == 1
    speaker.stop(request)
    (orphan,) = speaker.orphans()
    assert orphan.transaction_id == "987654"
    assert speaker.sessions() == []


def test_a_stop_with_another_stations_number_is_an_orphan(
    speaker: Speaker, make_station: Callable[..., Station]
) -> None:
    (answer,) = speaker.start()
    stranger = Speaker(make_station())
    stranger.stop(number=answer.transaction_number)
    assert speaker.session().state == SessionState.ACTIVE
    assert len(stranger.orphans()) == 1


def test_a_session_with_a_refused_token_is_recorded_and_held(speaker: Speaker) -> None:
    (answer,) = speaker.start(uid="NOBODY")
    assert answer.verdict == Verdict.INVALID
    speaker.stop(number=answer.transaction_number)
    session = speaker.session()
    assert session.state == SessionState.HELD
    assert "token_refused" in session.flags
    assert session.energy_wh == 5000


def test_a_refused_token_that_got_nothing_needs_no_review(speaker: Speaker) -> None:
    (answer,) = speaker.start(uid="NOBODY")
    speaker.stop(number=answer.transaction_number, meter=1000)
    assert speaker.session().state == SessionState.ENDED


def test_a_stop_without_token_and_reason_is_a_stop(speaker: Speaker) -> None:
    (answer,) = speaker.start()
    assert speaker.stop(number=answer.transaction_number)[0].verdict is None
    assert speaker.session().state == SessionState.ENDED


def test_a_stop_with_a_token_gets_a_verdict(speaker: Speaker) -> None:
    (answer,) = speaker.start()
    assert speaker.stop(number=answer.transaction_number, uid="card")[0].verdict == Verdict.ACCEPTED
    assert speaker.session().stop_token_uid == "CARD"


def test_an_unknown_connector_is_made(speaker: Speaker) -> None:
    speaker.start(connector=7)
    assert speaker.session().evse.number == 7


@pytest.mark.parametrize("connector", [0, -3, 70_000])
def test_an_impossible_connector_loses_no_session(speaker: Speaker, connector: int) -> None:
    speaker.start(connector=connector)
    assert speaker.session().evse.number == 1
    assert "connector_unknown" in speaker.session().flags


@pytest.mark.parametrize(
    ("meter_start", "meter_stop", "flag"),
    [
        (1_000_000, 999_000, "meter_rollback"),
        (1_000_000, 0, "meter_rollback"),
        (-500, 4000, "meter_negative"),
        (1000, 90_000_000, "energy_absurd"),
        (1_234_567, 1_240, "unit_mismatch"),  # Wh, then kWh
        (1_234, 1_240_000, "unit_mismatch"),  # kWh, then Wh
    ],
)
def test_meter_values_that_make_no_sense_are_held(
    speaker: Speaker, meter_start: int, meter_stop: int, flag: str
) -> None:
    (answer,) = speaker.start(meter=meter_start)
    speaker.stop(number=answer.transaction_number, meter=meter_stop)
    session = speaker.session()
    assert session.state == SessionState.HELD
    assert flag in session.flags
    assert session.held_reason
    assert session.meter_stop_wh == meter_stop  # as told


@pytest.mark.parametrize("odd", ["1970-01-01T00:00:00Z", "222222017-01-01T00:00:00Z", "yesterday", ""])
@pytest.mark.parametrize("which", ["start", "stop"])
def test_absurd_times_are_replaced_and_held(speaker: Speaker, odd: str, which: str) -> None:
    (answer,) = speaker.start(**({"at": odd} if which == "start" else {}))
    speaker.stop(number=answer.transaction_number, **({"at": odd} if which == "stop" else {}))
    session = speaker.session()
    assert session.state == SessionState.HELD
    assert "bad_timestamp" in session.flags
    assert odd in {event.raw_timestamp for event in speaker.events()}
    assert abs(session.started_at - speaker.began) < timedelta(days=1)


def test_ten_years_ahead_is_held(speaker: Speaker) -> None:
    (answer,) = speaker.start()
    speaker.stop(number=answer.transaction_number, at=now() + timedelta(days=3650))
    assert "bad_timestamp" in speaker.session().flags
    assert speaker.session().state == SessionState.HELD


def test_a_time_without_zone_is_taken_as_utc_and_noted(speaker: Speaker) -> None:
    (answer,) = speaker.start(at=wire(speaker.began).rstrip("Z"), received_at=speaker.began)
    speaker.stop(number=answer.transaction_number)
    session = speaker.session()
    assert session.started_at == speaker.began
    assert session.flags == ["no_zone"]
    assert session.state == SessionState.ENDED


def test_a_time_without_zone_hours_away_is_held(speaker: Speaker) -> None:
    local = speaker.began - timedelta(hours=5)
    (answer,) = speaker.start(at=wire(local).rstrip("Z"), received_at=speaker.began)
    speaker.stop(number=answer.transaction_number)
    assert "zone_unknown" in speaker.session().flags
    assert speaker.session().state == SessionState.HELD


def test_sixty_days_in_the_offline_queue_are_no_fault(speaker: Speaker) -> None:
    then = now() - timedelta(days=60)
    (answer,) = speaker.start(at=then, received_at=now())
    speaker.stop(number=answer.transaction_number, at=then + timedelta(hours=1))
    session = speaker.session()
    assert session.started_at == then
    assert (session.state, session.flags) == (SessionState.ENDED, [])


def test_samples_of_the_stop_become_readings_once(speaker: Speaker) -> None:
    (answer,) = speaker.start()
    at = speaker.began + timedelta(minutes=20)
    request = speaker.stop_request(answer.transaction_number, samples=[sample(at, value(3000))])
    speaker.stop(request)
    speaker.stop(request)
    (reading,) = speaker.readings()
    assert (reading.energy_wh, reading.session_id) == (Decimal(3000), speaker.session().pk)


def test_a_newer_session_replaces_one_that_never_stopped(speaker: Speaker) -> None:
    (first,) = speaker.start()
    speaker.meter(sample(speaker.began + timedelta(minutes=25), value(4000)), number=first.transaction_number)
    speaker.start(meter=4000, at=speaker.began + timedelta(minutes=30))
    older, newer = speaker.sessions()
    assert (older.state, older.energy_wh) == (SessionState.ENDED, Decimal(3000))
    assert {"guardian_closed", "replaced"} <= set(older.flags)
    assert newer.state == SessionState.ACTIVE


def test_a_replaced_session_whose_last_reading_is_old_is_held(speaker: Speaker) -> None:
    speaker.start()
    speaker.start(meter=4000, at=speaker.began + timedelta(minutes=30))
    older, _newer = speaker.sessions()
    assert older.state == SessionState.HELD


def test_a_late_stop_corrects_what_the_guardian_closed(speaker: Speaker) -> None:
    (first,) = speaker.start()
    speaker.start(meter=6100, at=speaker.began + timedelta(minutes=55))
    speaker.stop(number=first.transaction_number, meter=6000)
    older, _newer = speaker.sessions()
    assert (older.state, older.energy_wh) == (SessionState.ENDED, Decimal(5000))
    assert older.ended_at == speaker.began + timedelta(minutes=50)


def test_a_token_charging_elsewhere_is_refused_and_its_session_kept(
    speaker: Speaker, make_station: Callable[..., Station]
) -> None:
    speaker.start()
    other = Speaker(make_station())
    assert other.start()[0].verdict == Verdict.CONCURRENT_TX
    assert other.session().verdict == Verdict.CONCURRENT_TX


def test_two_starts_of_one_token_in_one_batch_are_told_apart(
    speaker: Speaker, make_station: Callable[..., Station]
) -> None:
    other = Speaker(make_station())
    answers = speaker.start(speaker.start_request(), other.start_request())
    assert [answer.verdict for answer in answers] == [Verdict.ACCEPTED, Verdict.CONCURRENT_TX]


def test_a_token_that_may_charges_in_two_places(
    speaker: Speaker, make_station: Callable[..., Station], make_token: Callable[..., Token]
) -> None:
    make_token(uid="POOL", concurrent=True)
    speaker.start(uid="POOL")
    assert Speaker(make_station()).start(uid="POOL")[0].verdict == Verdict.ACCEPTED


@pytest.mark.parametrize("which", ["start", "stop"])
def test_a_meter_value_that_no_meter_can_show_loses_no_session(speaker: Speaker, which: str) -> None:
    absurd = 10**30
    (answer,) = speaker.start(meter=absurd if which == "start" else 1000)
    speaker.stop(number=answer.transaction_number, meter=absurd if which == "stop" else 6000)
    session = speaker.session()
    assert session.state == SessionState.HELD
    assert "meter_missing" in session.flags
    assert str(absurd) in str([event.payload for event in speaker.events()])


NO_METERS = (2**64 - 1, 2**64 - 2)


def asked(speaker: Speaker, **payload: object) -> Asked:
    return Asked(speaker.station.pk, speaker.began, payload)


def wire_start(speaker: Speaker, meter: object) -> StartRequest:
    """As OCPP 1.6 words it, decoded."""
    return charging._start(
        asked(speaker, connectorId=1, idTag="CARD", meterStart=meter, timestamp=wire(speaker.began))
    )


@pytest.mark.parametrize("absurd", [*NO_METERS, -(2**64), 1e300, "x"])
def test_a_start_that_no_meter_shows_is_held_and_not_billed_from_zero(
    speaker: Speaker, absurd: object
) -> None:
    (answer,) = speaker.start(wire_start(speaker, absurd))
    speaker.stop(number=answer.transaction_number, meter=6000)
    session = speaker.session()
    assert (session.state, session.meter_start_wh) == (SessionState.HELD, None)
    assert "meter_missing" in session.flags


def test_a_stop_that_no_meter_shows_is_held(speaker: Speaker) -> None:
    (answer,) = speaker.start(meter=0)
    told = {"transactionId": answer.transaction_number, "meterStop": NO_METERS[0], "timestamp": wire(now())}
    speaker.stop(charging._stop(asked(speaker, **told)))
    session = speaker.session()
    assert (session.state, session.meter_stop_wh) == (SessionState.HELD, None)
    assert "meter_missing" in session.flags


def test_two_starts_that_no_meter_shows_are_told_apart(speaker: Speaker) -> None:
    numbers = [speaker.start(wire_start(speaker, absurd))[0].transaction_number for absurd in NO_METERS]
    assert len(set(numbers)) == 2
    assert speaker.start(wire_start(speaker, NO_METERS[1]))[0].transaction_number == numbers[1]


def test_a_start_soon_after_a_remote_start_is_linked_to_it(
    speaker: Speaker, make_command: Callable[..., Command]
) -> None:
    command = make_command(speaker.station, arguments={"token_uid": "card"}, sent_at=speaker.began)
    make_command(speaker.station, arguments={"token_uid": "OTHER"}, sent_at=speaker.began)
    speaker.start()
    assert speaker.session().remote_command_id == command.pk


def test_a_remote_start_asks_for_one_session(speaker: Speaker, make_command: Callable[..., Command]) -> None:
    command = make_command(speaker.station, arguments={"token_uid": "card"}, sent_at=speaker.began)
    (answer,) = speaker.start()
    speaker.stop(number=answer.transaction_number, at=speaker.began + timedelta(minutes=3))
    speaker.start(at=speaker.began + timedelta(minutes=5))
    assert [one.remote_command_id for one in speaker.sessions()] == [command.pk, None]


@pytest.mark.parametrize("columns", [{"state": "rejected"}, {"arguments": {"token_uid": "card", "evse": 2}}])
def test_a_remote_start_that_was_refused_or_meant_another_connector_is_not_linked(
    speaker: Speaker, make_command: Callable[..., Command], columns: dict[str, object]
) -> None:
    make_command(speaker.station, **{"arguments": {"token_uid": "card"}, "sent_at": speaker.began} | columns)
    speaker.start()
    assert speaker.session().remote_command_id is None


def test_two_gateways_that_open_the_same_session_open_one(speaker: Speaker) -> None:
    """An old socket's start commits while its repeat on the new socket is under way."""
    request = speaker.start_request()
    numbers: list[int] = []

    def start() -> None:
        try:
            numbers.append(speaker.start(request)[0].transaction_number)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(numbers) == 4
    assert len(set(numbers)) == 1
    assert len(speaker.sessions()) == 1

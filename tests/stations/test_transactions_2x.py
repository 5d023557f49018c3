"""2.x: transaction events make one session, whatever is repeated, late, out of order or missing."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from fleets.models import TokenKind, Verdict
from stations import flags
from stations.models import Command, Session, SessionState, Station
from stations.neutral import TokenShown, TransactionEvent
from tests.stations.telling import POWER, Speaker, begin, end, value


def whole_session(speaker: Speaker) -> list[TransactionEvent]:
    """Started, two updates, ended: 5 kWh in 50 minutes."""
    return [
        speaker.event("started", 0, uid="CARD", samples=[begin(1000)], charging_state="charging"),
        speaker.event("updated", 1, minutes=15, samples=[value(2500), value(11000, POWER)]),
        speaker.event("updated", 2, minutes=40, samples=[value(5900)], charging_state="suspended_ev"),
        speaker.event("ended", 3, minutes=50, samples=[end(6000)], stopped_reason="EVDisconnected"),
    ]


def assert_whole(speaker: Speaker) -> None:
    session = speaker.session()
    assert (session.state, session.energy_wh) == (SessionState.ENDED, Decimal(5000))
    assert (session.started_at, session.ended_at) == (speaker.began, speaker.began + timedelta(minutes=50))
    assert (session.token_uid, session.verdict, session.flags) == ("CARD", Verdict.ACCEPTED, [])
    assert len(speaker.events()) == 4
    assert len(speaker.readings()) == 4


def test_events_in_order_make_a_session(speaker: Speaker) -> None:
    for event in whole_session(speaker):
        speaker.tell(event)
    assert_whole(speaker)


def test_events_in_one_batch_make_a_session(speaker: Speaker) -> None:
    speaker.tell(*whole_session(speaker))
    assert_whole(speaker)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_any_order_makes_the_same_session(speaker: Speaker, order: tuple[int, ...]) -> None:
    events = whole_session(speaker)
    for n in order:
        speaker.tell(events[n])
    assert_whole(speaker)


@pytest.mark.parametrize("seed", range(6))
def test_repeats_in_any_order_and_batches_change_nothing(speaker: Speaker, seed: int) -> None:
    chance = random.Random(seed)
    told = whole_session(speaker) * 3
    chance.shuffle(told)
    while told:
        size = chance.randint(1, 4)
        speaker.tell(*told[:size])
        told = told[size:]
    assert_whole(speaker)


def test_a_repeat_from_the_offline_queue_is_a_repeat(speaker: Speaker) -> None:
    events = whole_session(speaker)
    speaker.tell(*events)
    speaker.tell(
        speaker.event(
            "ended", 3, minutes=50, samples=[end(6000)], stopped_reason="EVDisconnected", offline=True
        )
    )
    assert_whole(speaker)


def test_an_equal_seq_no_alone_discards_nothing(speaker: Speaker) -> None:
    """seqNo always 0, as seen on the wire."""
    for minutes, kind, samples in (
        (0, "started", [begin(1000)]),
        (15, "updated", [value(2500)]),
        (40, "updated", [value(5900)]),
        (50, "ended", [end(6000)]),
    ):
        speaker.tell(
            speaker.event(
                kind, 0, minutes=minutes, uid="CARD" if kind == "started" else None, samples=samples
            )
        )
    assert_whole(speaker)


def test_a_gap_is_seen_and_filled(speaker: Speaker) -> None:
    events = whole_session(speaker)
    speaker.tell(events[0], events[1], events[3])
    assert speaker.session().flags == ["seq_gap"]
    speaker.tell(events[2])
    assert_whole(speaker)


def test_without_its_start_a_session_is_held_until_the_start_comes(speaker: Speaker) -> None:
    events = whole_session(speaker)
    speaker.tell(events[3], events[2])
    assert speaker.session().state == SessionState.HELD
    assert "start_missing" in speaker.session().flags
    speaker.tell(events[0], events[1])
    assert_whole(speaker)


def test_an_update_that_names_no_evse_waits_for_one(
    speaker: Speaker, make_station: Callable[..., Station]
) -> None:
    speaker = Speaker(make_station(evses=2))
    speaker.tell(speaker.event("updated", 1, evse=0))
    assert speaker.session().flags == ["evse_unknown", "start_missing"]
    speaker.tell(speaker.event("started", 0, evse=2))
    assert (speaker.session().evse.number, speaker.session().flags) == (2, [])


def test_ended_twice_ends_once(speaker: Speaker) -> None:
    speaker.tell(*whole_session(speaker))
    speaker.tell(speaker.event("ended", 4, minutes=55, samples=[end(6000)], stopped_reason="Local"))
    session = speaker.session()
    assert (session.state, session.energy_wh) == (SessionState.ENDED, Decimal(5000))
    assert session.ended_at == speaker.began + timedelta(minutes=50)


def test_two_stops_that_differ_are_held(speaker: Speaker) -> None:
    speaker.tell(*whole_session(speaker))
    speaker.tell(speaker.event("ended", 4, minutes=55, samples=[end(9000)]))
    assert speaker.session().state == SessionState.HELD
    assert "stops_differ" in speaker.session().flags


def test_days_later_from_the_offline_queue(speaker: Speaker) -> None:
    speaker.began -= timedelta(days=5)
    speaker.tell(*whole_session(speaker))
    assert_whole(speaker)


def test_without_contexts_the_first_and_last_readings_count(speaker: Speaker) -> None:
    speaker.tell(
        speaker.event("started", 0, uid="CARD", samples=[value(1000)]),
        speaker.event("updated", 1, minutes=20, samples=[value(3000)]),
        speaker.event("ended", 2, minutes=50, samples=[value(6000)]),
    )
    assert speaker.session().energy_wh == 5000
    assert speaker.session().state == SessionState.ENDED


@pytest.mark.parametrize("told", [[], [begin(1000)], [end(6000)]])
def test_one_meter_value_alone_is_held(speaker: Speaker, told: list[object]) -> None:
    speaker.tell(
        speaker.event("started", 0, uid="CARD", samples=told),  # type: ignore[arg-type]
        speaker.event("ended", 1, minutes=50),
    )
    assert speaker.session().state == SessionState.HELD
    assert "meter_missing" in speaker.session().flags


def test_units_that_lie_and_then_lie_the_other_way_are_held(speaker: Speaker) -> None:
    """ "kWh" with a number of Wh all the way, then "Wh" with a number of kWh at the end."""
    speaker.tell(
        speaker.event("started", 0, uid="CARD", samples=[begin(1234567, unit="kWh")]),
        speaker.event("updated", 1, minutes=20, samples=[value(1237000, unit="kWh")]),
        speaker.event("ended", 2, minutes=50, samples=[end("1239.567", unit="Wh")]),
    )
    session = speaker.session()
    assert session.state == SessionState.HELD
    assert "unit_mismatch" in session.flags


def test_units_that_lie_only_on_the_way_hold_nothing_but_are_flagged(speaker: Speaker) -> None:
    speaker.tell(
        speaker.event("started", 0, uid="CARD", samples=[begin(1234567)]),
        speaker.event("updated", 1, minutes=20, samples=[value(1236000, unit="kWh")]),
        speaker.event("updated", 2, minutes=40, samples=[value(1239000, unit="kWh")]),
        speaker.event("ended", 3, minutes=50, samples=[end(1239567)]),
    )
    session = speaker.session()
    assert (session.state, session.energy_wh) == (SessionState.ENDED, Decimal(5000))
    assert session.flags == ["readings_disagree"]


def test_kwh_with_a_number_of_wh_everywhere_is_held(speaker: Speaker) -> None:
    speaker.tell(
        speaker.event("started", 0, uid="CARD", samples=[begin(1234567, unit="kWh")]),
        speaker.event("ended", 1, minutes=50, samples=[end(1239567, unit="kWh")]),
    )
    assert "energy_absurd" in speaker.session().flags
    assert speaker.session().state == SessionState.HELD


def test_a_meter_that_was_reset_on_the_way_is_held(speaker: Speaker) -> None:
    speaker.tell(
        speaker.event("started", 0, uid="CARD", samples=[begin(1000)]),
        speaker.event("updated", 1, minutes=20, samples=[value(5000)]),
        speaker.event("ended", 2, minutes=50, samples=[end(3000)]),
    )
    assert "meter_rollback" in speaker.session().flags
    assert speaker.session().state == SessionState.HELD


def test_signed_text_as_a_value_is_kept(speaker: Speaker) -> None:
    """An OCMF text where a number is expected."""
    text = 'OCMF|{"FV":"1.0","RD":[{"RV":1.0}]}|{"SD":"304402"}'
    speaker.tell(
        speaker.event(
            "started",
            0,
            uid="CARD",
            samples=[begin(1000), value(text, signed=True, context="Transaction.Begin")],
        ),
        speaker.event("ended", 1, minutes=50, samples=[end(6000)]),
    )
    assert speaker.session().energy_wh == 5000
    assert any(told["value"] == text and told["signed"] for told in speaker.readings()[0].values)


def test_34_character_transaction_ids_are_taken(speaker: Speaker) -> None:
    speaker.tell(speaker.event("started", 0, transaction_id="x" * 34))
    assert speaker.session().transaction_id == "x" * 34


def test_a_token_shown_after_the_start_becomes_the_sessions(speaker: Speaker) -> None:
    speaker.tell(speaker.event("started", 0, trigger="CablePluggedIn"))
    (answer,) = speaker.tell(speaker.event("updated", 1, minutes=1, uid="card", trigger="Authorized"))
    assert answer.verdict == Verdict.ACCEPTED
    assert speaker.session().token_uid == "CARD"
    assert speaker.session().token_id is not None


def test_a_refused_token_is_flagged(speaker: Speaker) -> None:
    (answer,) = speaker.tell(speaker.event("started", 0, uid="NOBODY", samples=[begin(1000)]))
    assert answer.verdict == Verdict.INVALID
    speaker.tell(speaker.event("ended", 1, minutes=50, samples=[end(6000)]))
    assert speaker.session().flags == ["token_refused"]
    assert speaker.session().state == SessionState.HELD


def charged(speaker: Speaker, **start: Any) -> Session:
    """A session of 5 kWh in which no event but the start may show a token."""
    speaker.tell(speaker.event("started", 0, samples=[begin(1000)], **start))
    speaker.tell(speaker.event("ended", 1, minutes=50, samples=[end(6000)]))
    return speaker.session()


def test_energy_that_was_drawn_without_any_token_is_flagged_and_not_held(speaker: Speaker) -> None:
    session = charged(speaker)
    assert (session.flags, session.state) == (["token_missing"], SessionState.ENDED)
    assert flags.texts(session.flags) == [
        "The station never said whose card it was, so nobody is billed for it."
    ]


def test_a_session_without_token_and_without_energy_is_nobodys_business(speaker: Speaker) -> None:
    speaker.tell(speaker.event("started", 0, samples=[begin(1000)]))
    assert speaker.session().flags == []
    speaker.tell(speaker.event("ended", 1, minutes=50, samples=[end(1000)]))
    assert speaker.session().flags == []


def test_a_token_that_comes_late_takes_the_flag_away(speaker: Speaker) -> None:
    assert charged(speaker).flags == ["token_missing"]
    speaker.tell(speaker.event("updated", 2, minutes=1, uid="CARD"))
    assert (speaker.session().flags, speaker.session().token_uid) == ([], "CARD")


def test_that_no_authorisation_is_needed_counts_as_told(speaker: Speaker) -> None:
    free = TokenShown("", TokenKind.NO_AUTHORIZATION)
    speaker.tell(replace(speaker.event("started", 0, samples=[begin(1000)]), token=free))
    speaker.tell(speaker.event("ended", 1, minutes=50, samples=[end(6000)]))
    assert "token_missing" not in speaker.session().flags


@pytest.mark.parametrize(("asked_with", "expected"), [("CARD", []), ("", ["token_missing"])])
def test_the_token_of_a_remote_start_counts(
    asked_with: str, expected: list[str], speaker: Speaker, make_command: Callable[..., Command]
) -> None:
    command = make_command(speaker.station, arguments={"token_uid": asked_with})
    assert charged(speaker, remote_start_id=command.pk).flags == expected


def test_a_session_without_token_that_the_guardian_ends_is_flagged(speaker: Speaker) -> None:
    speaker.tell(speaker.event("started", 0, samples=[begin(1000)]))
    speaker.tell(speaker.event("updated", 1, minutes=40, samples=[value(5000)]))
    speaker.tell(speaker.event("started", 0, transaction_id="tx-2", minutes=45, samples=[begin(5900)]))
    assert "token_missing" in speaker.sessions()[0].flags


def test_the_token_that_stops_does_not_become_the_sessions(
    speaker: Speaker, make_token: Callable[..., object]
) -> None:
    make_token(uid="OTHER")
    events = whole_session(speaker)
    stop = speaker.event("ended", 3, minutes=50, uid="OTHER", samples=[end(6000)], stopped_reason="Local")
    speaker.tell(stop, *events[:3])
    assert speaker.session().token_uid == "CARD"
    assert speaker.session().stop_token_uid == "OTHER"


def test_a_new_transaction_replaces_one_that_never_ended(speaker: Speaker) -> None:
    speaker.tell(*whole_session(speaker)[:3])
    speaker.tell(speaker.event("started", 0, transaction_id="tx-2", minutes=45, samples=[begin(5900)]))
    older, newer = speaker.sessions()
    assert (older.state, older.energy_wh) == (SessionState.ENDED, Decimal(4900))
    assert "replaced" in older.flags
    assert newer.state == SessionState.ACTIVE


def test_concurrent_use_elsewhere_is_refused(speaker: Speaker, make_station: Callable[..., Station]) -> None:
    speaker.tell(speaker.event("started", 0, uid="CARD"))
    other = Speaker(make_station())
    (answer,) = other.tell(other.event("started", 0, uid="CARD"))
    assert answer.verdict == Verdict.CONCURRENT_TX


def test_stations_may_use_the_same_transaction_id(
    speaker: Speaker, make_station: Callable[..., Station]
) -> None:
    other = Speaker(make_station(), speaker.began)
    speaker.tell(*whole_session(speaker)[:1], *whole_session(other))
    assert speaker.session().state == SessionState.ACTIVE
    assert other.session().ended_at is not None


def test_an_id_that_is_used_again_is_another_session(speaker: Speaker) -> None:
    """Counters of some stations begin anew after a reboot."""
    speaker.tell(*whole_session(speaker))
    again = speaker.event("started", 0, minutes=55, uid="CARD", samples=[begin(6000)])
    speaker.tell(again)
    speaker.tell(speaker.event("ended", 1, minutes=59, samples=[end(6500)]))
    speaker.tell(again, *whole_session(speaker))  # the whole of it once more
    first, second = speaker.sessions()
    assert (first.state, first.energy_wh) == (SessionState.ENDED, Decimal(5000))
    assert (second.state, second.energy_wh) == (SessionState.ENDED, Decimal(500))
    assert second.transaction_id == "tx-1"
    assert second.started_at == speaker.began + timedelta(minutes=55)


def test_a_station_that_spoke_1_6_before_may_use_its_numbers_again(speaker: Speaker) -> None:
    (answer,) = speaker.start()
    number = answer.transaction_number
    speaker.stop(number=number)
    speaker.tell(speaker.event("started", 0, minutes=55, transaction_id=str(number), samples=[begin(6000)]))
    assert [session.state for session in speaker.sessions()] == [SessionState.ENDED, SessionState.ACTIVE]


def test_a_sequence_number_without_bounds_is_borne(speaker: Speaker) -> None:
    speaker.tell(speaker.event("started", 2**40, uid="CARD"))
    assert speaker.session().last_seq_no == 2**31 - 1


def test_a_remote_start_is_linked_to_its_command(
    speaker: Speaker, make_command: Callable[..., Command]
) -> None:
    command = make_command(speaker.station, arguments={"token_uid": "CARD"})
    speaker.tell(speaker.event("started", 0, uid="CARD", remote_start_id=command.pk))
    assert speaker.session().remote_command_id == command.pk


def test_a_remote_start_without_its_token_charges_for_whom_it_was_asked(
    speaker: Speaker, make_command: Callable[..., Command]
) -> None:
    """The station leaves the token out, since the command told it."""
    command = make_command(speaker.station, arguments={"token_uid": "CARD"})
    (answer,) = speaker.tell(speaker.event("started", 0, remote_start_id=command.pk))
    session = speaker.session()
    assert (session.token_uid, session.verdict, answer.verdict) == ("CARD", "accepted", None)


def test_a_token_that_was_shown_wins_over_the_one_that_was_asked_for(
    speaker: Speaker, make_command: Callable[..., Command]
) -> None:
    command = make_command(speaker.station, arguments={"token_uid": "OTHER"})
    speaker.tell(speaker.event("started", 0, remote_start_id=command.pk))
    speaker.tell(speaker.event("updated", 1, uid="CARD"))
    assert speaker.session().token_uid == "CARD"


def test_a_remote_start_number_that_we_never_gave_links_nothing(speaker: Speaker) -> None:
    speaker.tell(speaker.event("started", 0, uid="CARD", remote_start_id=12345))
    assert speaker.session().remote_command_id is None

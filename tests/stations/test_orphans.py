"""A stop that nobody knows is found its session by a person: then all is as if the station had told it for that one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from stations.models import OrphanMessage, Session, SessionState, Station
from stations.services import guardian, orphan_review, orphans, rating, sheets
from tenants.context import tenant_scope
from tenants.errors import Conflict, Forbidden, Invalid
from tenants.models import AuditRecord, Fact
from tenants.permissions import Actor, system
from tests.objects import create_tariff
from tests.stations.telling import POWER, Speaker, end, now, sample, value

UNKNOWN = 48211
OLGA = system("Olga")


@pytest.fixture
def lost(speaker: Speaker) -> OrphanMessage:
    """The stop of the speaker's session, told for a number that nobody gave: 5 kWh after 50 minutes."""
    speaker.start(meter=1000)
    return orphaned(speaker)


def orphaned(speaker: Speaker, **stop: Any) -> OrphanMessage:
    told: dict[str, Any] = {"meter": 6000, "reason": "PowerLoss"} | stop
    speaker.stop(speaker.stop_request(UNKNOWN, **told))
    return speaker.orphans()[-1]


def fitting(orphan: OrphanMessage, actor: Actor = OLGA) -> list[orphan_review.Fit]:
    with tenant_scope(orphan.tenant_id):
        return orphan_review.fitting(orphan=orphan, actor=actor)


def apply(orphan: OrphanMessage, session: Session, actor: Actor = OLGA) -> OrphanMessage:
    with tenant_scope(orphan.tenant_id):
        return orphan_review.apply(orphan=orphan, session=session, actor=actor)


def close(speaker: Speaker, *, sure: bool) -> None:
    """The guardian gives the session up."""
    with tenant_scope(speaker.tenant_id):
        (sheet,) = sheets.by_ids(speaker.tenant_id, [speaker.session().pk]).values()
        guardian.close(sheet, at=now(), why="connector_free", sure=sure)
        sheets.save(speaker.tenant_id, [sheet])


def rate(speaker: Speaker) -> Session:
    with tenant_scope(speaker.tenant_id):
        Session.objects.filter(ended_received_at=None).exclude(ended_at=None).update(
            ended_at=speaker.began + timedelta(minutes=40)
        )
        rating.rate_ended(tenant_id=speaker.tenant_id)
    return speaker.session()


def test_a_stop_is_kept_word_by_word_in_neutral_words(speaker: Speaker) -> None:
    sampled = sample(speaker.began, value("1.5", unit="kWh"), value("x", POWER), end(6000, multiplier=0))
    request = speaker.stop_request(UNKNOWN, uid="CARD", reason="Local", samples=[sampled])
    speaker.stop(request)
    (orphan,) = speaker.orphans()
    assert orphans.stop_of(orphan) == request


def test_applied_it_ends_the_session_as_its_own_stop_would(speaker: Speaker, lost: OrphanMessage) -> None:
    resolved = apply(lost, speaker.session())
    session = speaker.session()
    assert (session.state, session.energy_wh, session.flags) == (SessionState.ENDED, Decimal(5000), [])
    assert (session.ended_at, session.stop_reason) == (speaker.began + timedelta(minutes=50), "PowerLoss")
    assert [event.kind for event in speaker.events()] == ["started", "ended"]
    assert (resolved.session_id, resolved.resolution) == (session.pk, f"Applied to session #{session.pk}.")
    assert resolved.resolved_at is not None
    with tenant_scope(speaker.tenant_id):
        audit = AuditRecord.objects.get(action="orphan.apply")
        assert (audit.actor_label, audit.object_id) == ("Olga", str(lost.pk))
        assert audit.detail["session_id"] == session.pk
        assert audit.detail["changed"]["state"] == ["active", "ended"]
        assert Fact.objects.filter(kind="session.ended", subject_id=session.pk).count() == 1


def test_it_is_priced_once(speaker: Speaker, lost: OrphanMessage) -> None:
    with tenant_scope(speaker.tenant_id):
        tariff = create_tariff(speaker.station.tenant, is_default=True)
    apply(lost, speaker.session())
    with tenant_scope(speaker.tenant_id):
        Session.objects.update(
            tariff={"currency": tariff.currency, "elements": tariff.elements}, currency="EUR"
        )
    assert rate(speaker).state == SessionState.RATED
    with pytest.raises(Conflict, match="resolved already"):
        apply(lost, speaker.session())


def test_its_readings_become_the_sessions(speaker: Speaker) -> None:
    speaker.start(meter=1000)
    sampled = [sample(speaker.began + timedelta(minutes=20), value(3000), value(7400, POWER))]
    apply(orphaned(speaker, samples=sampled), speaker.session())
    assert [reading.session_id for reading in speaker.readings()] == [speaker.session().pk]


@pytest.mark.parametrize(("sure", "state"), [(False, SessionState.HELD), (True, SessionState.ENDED)])
def test_a_session_that_was_closed_for_want_of_a_stop_is_healed(
    sure: bool, state: SessionState, speaker: Speaker, lost: OrphanMessage
) -> None:
    close(speaker, sure=sure)
    assert speaker.session().state == state
    apply(lost, speaker.session())
    session = speaker.session()
    assert (session.state, session.energy_wh) == (SessionState.ENDED, Decimal(5000))
    assert "guardian_unsure" not in session.flags


def test_a_session_that_has_its_price_is_held_if_the_stop_says_otherwise(
    speaker: Speaker, lost: OrphanMessage
) -> None:
    close(speaker, sure=True)
    assert rate(speaker).state == SessionState.RATED
    (fit,) = fitting(lost)
    assert fit.outcome.state == SessionState.HELD
    apply(lost, speaker.session())
    session = speaker.session()
    assert (session.state, session.flags[-1]) == (
        SessionState.HELD,
        "no_tariff",
    ) or "late_stop" in session.flags


def test_a_stop_that_makes_no_sense_there_holds_the_session(speaker: Speaker) -> None:
    speaker.start(meter=9000)
    lost = orphaned(speaker)
    (fit,) = fitting(lost)
    assert fit.outcome.held_reason == "The meter showed less than before: it was reset or replaced."
    apply(lost, speaker.session())
    assert speaker.session().held_reason == fit.outcome.held_reason


def test_fitting_sessions_are_offered_newest_first_and_foreseen(
    speaker: Speaker, make_session: Callable[..., Session], make_station: Callable[..., Station]
) -> None:
    def session(minutes: int, **values: Any) -> Session:
        began = speaker.began + timedelta(minutes=minutes)
        return make_session(speaker.station, **({"started_at": began, "started_received_at": began} | values))

    over = {"ended_at": speaker.began, "ended_received_at": speaker.began}
    session(-500, state="rated", **over)
    session(-400, state="void", flags=["reviewed"], evidence={"notes": ["reviewed"]})
    held = session(-300, state="held", **over)
    closed = session(
        -200, state="rated", ended_at=speaker.began, flags=["guardian_closed"],
        evidence={"notes": ["guardian_closed"]},
    )  # fmt: skip
    session(-200, state="rated", flags=["guardian_closed"], evidence={"notes": ["guardian_closed"]}, **over)
    session(-100, state="held", flags=["reviewed"], evidence={"notes": ["reviewed"]})
    session(-90, state="held", flags=["late_stop"], evidence={"notes": ["late_stop"]})
    session(-60 * 24 * 40, state="held", **over)
    elsewhere = make_station()
    make_session(elsewhere)
    (answer,) = speaker.start(meter=1000)
    running = next(one for one in speaker.sessions() if one.transaction_number == answer.transaction_number)
    session(51)
    offered = fitting(orphaned(speaker))
    assert [fit.session.pk for fit in offered] == [running.pk, closed.pk, held.pk]
    assert (offered[0].outcome.state, offered[0].outcome.energy_wh) == ("ended", Decimal(5000))
    with tenant_scope(speaker.tenant_id):
        running.refresh_from_db()
    assert running.state == SessionState.ACTIVE  # to foresee is not to do


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"state": "void"}, "reviewed"),
        ({"state": "held", "evidence": {"notes": ["reviewed"]}}, "reviewed"),
        ({"state": "rated"}, "has_stop"),
        ({"state": "ended", "evidence": {"ended": [1, 1], "notes": ["guardian_closed"]}}, "has_stop"),
        ({"state": "held", "evidence": {"notes": ["late_stop"]}}, "has_stop"),
        ({"started_at": now() + timedelta(hours=1)}, "began_later"),
    ],
)
def test_a_session_that_was_decided_upon_stays_as_it_is(
    values: dict[str, Any], code: str, speaker: Speaker, make_session: Callable[..., Session]
) -> None:
    session, lost = make_session(speaker.station, **values), orphaned(speaker)
    with pytest.raises(Conflict) as refused:
        apply(lost, session)
    assert refused.value.code == code
    assert speaker.session().state == session.state
    assert speaker.orphans()[0].resolved_at is None


def test_a_session_of_another_station_is_refused(
    lost: OrphanMessage, make_station: Callable[..., Station], make_session: Callable[..., Session]
) -> None:
    with pytest.raises(Invalid, match="another station"):
        apply(lost, make_session(make_station()))


def test_who_may_not_review_at_its_site_may_not_apply(speaker: Speaker, lost: OrphanMessage) -> None:
    limited = Actor("user", "1", "Frida", OLGA.permissions, site_ids=frozenset({speaker.station.site_id + 1}))
    for actor in (limited, Actor("user", "1", "Ada", frozenset())):
        with pytest.raises(Forbidden):
            apply(lost, speaker.session(), actor)
    assert fitting(lost, limited) == []


def test_what_is_no_stop_or_resolved_fits_nothing(speaker: Speaker, lost: OrphanMessage) -> None:
    with tenant_scope(speaker.tenant_id):
        OrphanMessage.objects.update(told=None)
        lost.refresh_from_db()
    assert fitting(lost) == []
    with pytest.raises(Conflict, match="Only a stop"):
        apply(lost, speaker.session())


def test_a_note_does_not_overwrite_what_was_applied(speaker: Speaker, lost: OrphanMessage) -> None:
    apply(lost, speaker.session())
    with tenant_scope(speaker.tenant_id), pytest.raises(Conflict, match="resolved already"):
        orphan_review.resolve(orphan=lost, actor=OLGA, resolution="Never mind")


def test_told_again_it_stays_resolved(speaker: Speaker, lost: OrphanMessage) -> None:
    apply(lost, speaker.session())
    again = orphaned(speaker)
    assert (again.pk, again.session_id) == (lost.pk, speaker.session().pk)

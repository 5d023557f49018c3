"""At the end a session has a price, once, from what was used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connections

from billing.models import Charge, ChargeState, Tariff
from stations.models import Frame, JournalCursor, JournalHead, SessionState
from stations.services import rating, review, sessions
from tenants.context import tenant_scope
from tenants.errors import Conflict, Forbidden, Invalid
from tenants.models import AuditRecord, Fact
from tenants.permissions import Actor
from tests.stations.telling import POWER, Speaker, begin, end, now, sample, value

ELEMENTS = [
    {
        "price_components": [
            {"type": "ENERGY", "price": "0.50", "vat": "0", "step_size": 1},
            {"type": "TIME", "price": "1.20", "vat": "0", "step_size": 1},
            {"type": "PARKING_TIME", "price": "6.00", "vat": "0", "step_size": 1},
        ]
    }
]


@pytest.fixture
def price(make_tariff: Callable[..., Tariff]) -> Tariff:
    return make_tariff(elements=ELEMENTS, is_default=True)


def rate(speaker: Speaker) -> int:
    with tenant_scope(speaker.tenant_id):
        return rating.rate_ended(tenant_id=speaker.tenant_id)


def charges(speaker: Speaker) -> list[Charge]:
    with tenant_scope(speaker.tenant_id):
        return list(Charge.objects.filter(tenant_id=speaker.tenant_id))


def charged(speaker: Speaker, **stop: Any) -> int:
    (answer,) = speaker.start()
    speaker.stop(number=answer.transaction_number, **stop)
    return int(answer.transaction_number)


def test_an_ended_session_gets_its_price(speaker: Speaker, price: Tariff) -> None:
    charged(speaker)
    assert rate(speaker) == 1
    session = speaker.session()
    assert session.state == SessionState.RATED
    assert session.cost_incl_tax == Decimal("3.50")  # 5 kWh, 50 minutes of charging
    assert session.currency == "EUR"
    with tenant_scope(speaker.tenant_id):
        assert Fact.objects.filter(tenant_id=speaker.tenant_id, kind="session.rated").count() == 1


def test_rating_twice_charges_once(speaker: Speaker, price: Tariff) -> None:
    number = charged(speaker)
    assert (rate(speaker), rate(speaker)) == (1, 0)
    speaker.stop(number=number)  # the stop once more, after the price
    assert rate(speaker) == 0
    assert len(charges(speaker)) == 1
    assert speaker.session().state == SessionState.RATED


def test_the_tariff_is_the_one_of_the_start(speaker: Speaker, price: Tariff) -> None:
    (answer,) = speaker.start()
    with tenant_scope(speaker.tenant_id):
        price.elements = [{"price_components": [{"type": "FLAT", "price": "99", "vat": "0", "step_size": 1}]}]
        price.save()
    speaker.stop(number=answer.transaction_number)
    rate(speaker)
    assert speaker.session().cost_incl_tax == Decimal("3.50")


def test_time_without_energy_is_parking(speaker: Speaker, price: Tariff) -> None:
    (answer,) = speaker.start()
    at = speaker.began
    for minutes, register in ((10, 3500), (20, 6000), (30, 6000), (40, 6000)):
        speaker.meter(
            sample(at + timedelta(minutes=minutes), value(register)), number=answer.transaction_number
        )
    speaker.stop(number=answer.transaction_number)
    rate(speaker)
    assert speaker.session().cost_incl_tax == Decimal("2.50") + Decimal("0.40") + Decimal("3.00")


def test_the_connectors_status_tells_parking_where_readings_are_rare(speaker: Speaker, price: Tariff) -> None:
    speaker.status("charging", at=speaker.began, received_at=speaker.began)
    charged_until = speaker.began + timedelta(minutes=20)
    speaker.status("suspended_ev", at=charged_until, received_at=charged_until)
    charged(speaker)
    rate(speaker)
    assert speaker.session().cost_incl_tax == Decimal("2.50") + Decimal("0.40") + Decimal("3.00")


def test_a_transactions_charging_states_tell_parking(speaker: Speaker, price: Tariff) -> None:
    speaker.tell(
        speaker.event("started", 0, uid="CARD", samples=[begin(1000)], charging_state="charging"),
        speaker.event("updated", 1, minutes=20, charging_state="suspended_ev"),
        speaker.event("ended", 2, minutes=50, samples=[end(6000)]),
    )
    rate(speaker)
    assert speaker.session().cost_incl_tax == Decimal("2.50") + Decimal("0.40") + Decimal("3.00")


def test_without_a_tariff_a_session_is_completed_without_price(speaker: Speaker) -> None:
    charged(speaker)
    rate(speaker)
    assert (speaker.session().state, speaker.session().cost_incl_tax) == (SessionState.RATED, None)
    assert "no_tariff" in speaker.session().flags


def test_a_tariff_that_cannot_be_priced_holds_the_session(
    speaker: Speaker, make_tariff: Callable[..., Tariff]
) -> None:
    elements = [{**ELEMENTS[0], "restrictions": {"min_kwh": 1}}]
    make_tariff(elements=elements, is_default=True)
    charged(speaker)
    rate(speaker)
    assert speaker.session().state == SessionState.HELD
    assert charges(speaker) == []


def test_power_that_contradicts_the_energy_holds_the_session(speaker: Speaker, price: Tariff) -> None:
    """Wh registers told in kWh throughout: 11 kW for 50 minutes, and 9 Wh on the meter."""
    (answer,) = speaker.start()
    for minutes in (1, 10, 20, 30, 40, 49):
        told = sample(speaker.began + timedelta(minutes=minutes), value(11, POWER, unit="kW"))
        speaker.meter(told, number=answer.transaction_number)
    speaker.stop(number=answer.transaction_number, meter=1009)
    rate(speaker)
    assert speaker.session().state == SessionState.HELD
    assert "readings_contradict" in speaker.session().flags


def test_a_held_session_is_not_priced(speaker: Speaker, price: Tariff) -> None:
    charged(speaker, meter=900)
    assert rate(speaker) == 0
    assert charges(speaker) == []


@pytest.fixture
def idle_journal(speaker: Speaker) -> Iterator[str]:
    """A gateway's journal that no applier (another test may run one) can take up."""
    name = "idle"
    with connections["owner"].cursor() as cursor:
        key = (f"journal {name}", speaker.tenant_id)
        cursor.execute("SELECT pg_advisory_lock(hashtextextended(%s, %s))", key)
        yield name
        cursor.execute("SELECT pg_advisory_unlock(hashtextextended(%s, %s))", key)


def test_rating_waits_for_meter_values_that_came_before_the_stop(
    speaker: Speaker, price: Tariff, idle_journal: str
) -> None:
    number = speaker.start()[0].transaction_number
    tenant = {"tenant_id": speaker.tenant_id}
    with tenant_scope(speaker.tenant_id):
        Frame.objects.create(
            id=2**62 + speaker.tenant_id, **tenant, station=speaker.station, received_at=now() - timedelta(seconds=5),
            gateway=idle_journal, outbound=False, message_type=2, message_id="m", action="MeterValues",
            ocpp_version="1.6", apply=True, payload="{}",
        )  # fmt: skip
        JournalHead.objects.create(**tenant, gateway=idle_journal, last_id=2**62 + speaker.tenant_id)
    speaker.stop(number=number)
    assert rate(speaker) == 0
    with tenant_scope(speaker.tenant_id):
        JournalCursor.objects.create(**tenant, gateway=idle_journal, applied_id=2**62 + speaker.tenant_id)
    assert rate(speaker) == 1


def test_a_stuck_journal_does_not_stop_billing(speaker: Speaker, price: Tariff, idle_journal: str) -> None:
    (answer,) = speaker.start()
    speaker.stop(number=answer.transaction_number, received_at=now() - timedelta(minutes=2))
    with tenant_scope(speaker.tenant_id):
        JournalHead.objects.create(tenant_id=speaker.tenant_id, gateway=idle_journal, last_id=2**62)
    assert rate(speaker) == 1


def test_a_late_stop_with_other_figures_holds_a_priced_session(speaker: Speaker, price: Tariff) -> None:
    (answer,) = speaker.start()
    number = answer.transaction_number
    speaker.meter(sample(speaker.began + timedelta(minutes=28), value(4000)), number=number)
    speaker.start(meter=4000, at=speaker.began + timedelta(minutes=30))
    rate(speaker)
    speaker.stop(number=number, meter=6000)
    older, _newer = speaker.sessions()
    assert (older.state, older.energy_wh) == (SessionState.HELD, Decimal(3000))
    speaker.stop(number=number, meter=6000)
    assert len(charges(speaker)) == 1
    assert speaker.sessions()[0].state == SessionState.HELD


def test_a_reviewer_releases_with_an_energy(speaker: Speaker, price: Tariff, owner_actor: Actor) -> None:
    charged(speaker, meter=900)
    with tenant_scope(speaker.tenant_id):
        with pytest.raises(Invalid):
            review.release_held(session=speaker.session(), actor=owner_actor)
        review.release_held(session=speaker.session(), actor=owner_actor, energy_wh=Decimal(4000))
    rate(speaker)
    session = speaker.session()
    assert (session.state, session.cost_incl_tax) == (SessionState.RATED, Decimal("3.00"))
    with tenant_scope(speaker.tenant_id):
        assert AuditRecord.objects.filter(tenant_id=speaker.tenant_id, action="session.release").count() == 1


def test_messages_after_a_review_change_nothing(speaker: Speaker, price: Tariff, owner_actor: Actor) -> None:
    number = charged(speaker, meter=900)
    with tenant_scope(speaker.tenant_id):
        review.release_held(session=speaker.session(), actor=owner_actor, energy_wh=Decimal(4000))
    speaker.stop(number=number, meter=900)
    speaker.stop(number=number, meter=7000)
    assert (speaker.session().state, speaker.session().energy_wh) == (SessionState.ENDED, Decimal(4000))


def test_a_void_session_takes_its_charge_back(speaker: Speaker, price: Tariff, owner_actor: Actor) -> None:
    charged(speaker)
    rate(speaker)
    with tenant_scope(speaker.tenant_id):
        review.void(session=speaker.session(), actor=owner_actor, reason="A test drive")
    assert speaker.session().state == SessionState.VOID
    assert [charge.state for charge in charges(speaker)] == [ChargeState.VOID]
    assert rate(speaker) == 0


def test_a_running_session_cannot_be_voided(speaker: Speaker, owner_actor: Actor) -> None:
    speaker.start()
    with tenant_scope(speaker.tenant_id), pytest.raises(Conflict):
        review.void(session=speaker.session(), actor=owner_actor, reason="x")


def test_who_may_not_review_cannot_release(speaker: Speaker, make_actor: Callable[..., Actor]) -> None:
    charged(speaker, meter=900)
    with tenant_scope(speaker.tenant_id), pytest.raises(Forbidden):
        review.release_held(session=speaker.session(), actor=make_actor("technician"), energy_wh=Decimal(1))


def test_authorising_elsewhere_while_charging_is_refused_and_at_the_same_station_is_not(
    speaker: Speaker, make_station: Callable[..., Any]
) -> None:
    from stations.neutral import AuthorizeRequest, TokenShown

    speaker.start()
    other = make_station()
    with tenant_scope(speaker.tenant_id):
        answers = sessions.authorize(
            tenant_id=speaker.tenant_id,
            requests=[
                AuthorizeRequest(pk, TokenShown("card"), now()) for pk in (speaker.station.pk, other.pk)
            ],
        )
    assert [answer.verdict for answer in answers] == ["accepted", "concurrent_tx"]

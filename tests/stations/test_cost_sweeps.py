"""The sweep of running costs reaches every session, however many wait beside it; credit that is in use stays."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from billing.models import Tariff
from billing.services import tariffs
from fleets.models import Token
from stations.models import (
    Command,
    CommandKind,
    LimitOrigin,
    PrepaidAccount,
    Session,
    SessionCost,
    SessionState,
    Settlement,
    SettlementStatus,
    Station,
)
from stations.services import costs, prepaid, settlements
from tenants.context import tenant_scope
from tenants.errors import Conflict
from tenants.models import Tenant
from tenants.permissions import Actor
from tests.objects import create_session

NOW = datetime.now(UTC)


@pytest.fixture
def running(
    tenant: Tenant, make_station: Callable[..., Station], make_tariff: Callable[..., Tariff], site: Any
) -> Callable[..., Session]:
    """running(**values): a session of 10 kWh at a station of its own, priced at 1.00 and 0.49 per kWh plus tax."""
    with tenant_scope(tenant.pk):
        terms = tariffs.snapshot(make_tariff())

    def make(**values: Any) -> Session:
        given: dict[str, Any] = {
            "state": SessionState.ACTIVE, "energy_wh": 10_000, "tariff": terms, "currency": "EUR",
            "started_at": NOW - timedelta(hours=1), "started_received_at": NOW - timedelta(hours=1),
        }  # fmt: skip
        station = make_station(site=site, ocpp_version="1.6", online=True)
        return create_session(tenant, station, **given | values)

    return make


def bounded(session: Session, limit: str) -> None:
    SessionCost.objects.create(
        tenant_id=session.tenant_id, session=session, limit_cost=Decimal(limit), limit_origin=LimitOrigin.WEB
    )


def stopped(tenant: Tenant) -> set[Any]:
    found = Command.objects.filter(tenant=tenant, kind=CommandKind.STOP)
    return {command.arguments["transaction_id"] for command in found}


def test_a_session_is_held_to_its_bound_however_many_stand_before_it(
    tenant: Tenant, running: Callable[..., Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(costs, "BATCH", 1)
    first, second, third = running(), running(), running()
    with tenant_scope(tenant.pk):
        for session, limit in ((first, "500"), (second, "500"), (third, "2.00")):
            bounded(session, limit)
        costs.sweep(tenant_id=tenant.pk, now=NOW)
        assert stopped(tenant) == {third.transaction_id}


def test_a_session_that_cannot_be_looked_at_does_not_keep_the_next_one(
    tenant: Tenant, running: Callable[..., Session]
) -> None:
    broken, good = running(tariff={"currency": "EUR", "elements": [{}]}), running()
    with tenant_scope(tenant.pk):
        for session in (broken, good):
            bounded(session, "2.00")
        costs.sweep(tenant_id=tenant.pk, now=NOW)
        assert stopped(tenant) == {good.transaction_id}


def opened(tenant: Tenant, actor: Actor, card: Token, amount: str) -> PrepaidAccount:
    account = prepaid.open_account(tenant_id=tenant.pk, token=card, currency="EUR", actor=actor)
    prepaid.pay_in(account=account, amount=Decimal(amount), actor=actor)
    return account


def test_sessions_from_before_a_card_was_prepaid_do_not_keep_later_ones(
    tenant: Tenant, running: Callable[..., Session], make_token: Callable[..., Token], owner_actor: Actor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(costs, "BATCH", 1)
    card = make_token(uid="04A2B3C4")
    before = running(token=card, token_uid=card.uid)
    with tenant_scope(tenant.pk):
        opened(tenant, owner_actor, card, "5.00")
    now = datetime.now(UTC) + timedelta(seconds=1)
    foreign = running(token=card, token_uid=card.uid, started_received_at=now, currency="CHF")
    after = running(token=card, token_uid=card.uid, started_received_at=now)
    with tenant_scope(tenant.pk):
        costs.sweep(tenant_id=tenant.pk, now=now)
        held = SessionCost.objects.filter(tenant=tenant, limit_origin=LimitOrigin.PREPAID)
        assert [cost.session_id for cost in held] == [after.pk], (before.pk, foreign.pk)


def test_credit_that_a_session_is_using_is_not_paid_out(
    tenant: Tenant, running: Callable[..., Session], make_token: Callable[..., Token], owner_actor: Actor
) -> None:
    card = make_token(uid="04A2B3C4")
    session = running(token=card, token_uid=card.uid)
    with tenant_scope(tenant.pk):
        account = opened(tenant, owner_actor, card, "20.00")
        SessionCost.objects.create(
            tenant=tenant, session=session, limit_cost=Decimal("15"), limit_origin=LimitOrigin.PREPAID
        )
        with pytest.raises(Conflict, match=r"only 5\.00"):
            prepaid.pay_in(account=account, amount=Decimal("-6"), actor=owner_actor)
        prepaid.pay_in(account=account, amount=Decimal("-5"), actor=owner_actor)
        assert prepaid.balance(account) == 15


def test_a_payment_is_compared_however_many_wait_for_their_session(
    tenant: Tenant, running: Callable[..., Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settlements, "BATCH", 1)
    held, over = (
        running(state=SessionState.HELD),
        running(state=SessionState.RATED, cost_incl_tax=Decimal("7.02")),
    )
    with tenant_scope(tenant.pk):
        for session in (held, over):
            Settlement.objects.create(
                tenant=tenant, station=session.station, session=session, transaction_id=session.transaction_id,
                psp_ref=f"P{session.pk}", status=SettlementStatus.SETTLED, amount=Decimal("7.02"), settled_at=NOW,
                received_at=NOW,
            )  # fmt: skip
        assert settlements.compare(tenant_id=tenant.pk, now=NOW) == 1
        assert Settlement.objects.get(session=over).compared_at is not None

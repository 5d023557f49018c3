"""Prepaid cards: credit of a token, and how much of it a session may use."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from django.db.models import Sum
from django.utils import timezone

from fleets.models import Token
from stations.models import (
    LimitOrigin,
    PrepaidAccount,
    PrepaidEntry,
    PrepaidKind,
    Session,
    SessionCost,
    SessionState,
)
from tenants import rows
from tenants.errors import Conflict, Invalid
from tenants.permissions import Actor, Permission
from tenants.rows import Ask
from tenants.services import audit

HIGHEST = Decimal(100_000)


def open_account(*, tenant_id: int, token: Token, currency: str, actor: Actor) -> PrepaidAccount:
    """Make a token prepaid: from now on its sessions end when the credit is used up."""
    actor.require(Permission.TOKEN_EDIT)
    account, made = PrepaidAccount.objects.get_or_create(
        tenant_id=tenant_id, token=token, defaults={"currency": currency.upper()}
    )
    if not made and account.closed_at is None:
        raise Conflict(f"{token} is prepaid already.", code="prepaid_exists")
    if not made:
        account.closed_at, account.currency = None, account.currency
        account.save(update_fields=["closed_at"])
    audit.record(tenant_id=tenant_id, actor=actor, action="prepaid.open", subject=account)
    return account


def pay_in(*, account: PrepaidAccount, amount: Decimal, label: str = "", actor: Actor) -> PrepaidEntry:
    """Add credit; a negative amount pays some of it out."""
    actor.require(Permission.TOKEN_EDIT)
    if not amount or not amount.is_finite() or abs(amount) > HIGHEST:
        raise Invalid(fields={"amount": f"Write an amount up to {HIGHEST}, not zero."})
    locked = PrepaidAccount.objects.select_for_update().get(tenant_id=account.tenant_id, pk=account.pk)
    if locked.closed_at is not None:
        raise Conflict(f"{account} is no longer prepaid.", code="prepaid_closed")
    left = balance(account) - reserved(account)
    if amount < 0 and left + amount < 0:
        raise Conflict(
            f"{account} has only {max(left, Decimal(0))} {account.currency} that no session is using.",
            code="prepaid_short",
        )
    entry = PrepaidEntry.objects.create(
        tenant_id=account.tenant_id, account=account, label=label[:120],
        kind=PrepaidKind.TOP_UP if amount > 0 else PrepaidKind.REFUND, amount=amount,
    )  # fmt: skip
    audit.record(
        tenant_id=account.tenant_id, actor=actor, action="prepaid.pay_in", subject=account,
        detail={"amount": str(amount), "label": label[:120]},
    )  # fmt: skip
    return entry


def close(*, account: PrepaidAccount, actor: Actor) -> PrepaidAccount:
    """The token is billed as others are again. What is left must be paid out first."""
    actor.require(Permission.TOKEN_EDIT)
    left = balance(account)
    if left > 0:
        raise Conflict(f"{left} {account.currency} are left. Pay them out first.", code="prepaid_credit")
    if account.closed_at is None:
        account.closed_at = timezone.now()
        account.save(update_fields=["closed_at"])
        audit.record(tenant_id=account.tenant_id, actor=actor, action="prepaid.close", subject=account)
    return account


def balance(account: PrepaidAccount) -> Decimal:
    """Credit in the account's currency; below zero where a session cost more than was there."""
    entries = PrepaidEntry.objects.filter(tenant_id=account.tenant_id, account=account)
    return Decimal(entries.aggregate(total=Sum("amount"))["total"] or 0).quantize(Decimal("0.01"))


def reserved(account: PrepaidAccount) -> Decimal:
    """What running and unpriced sessions may still use."""
    held = SessionCost.objects.filter(
        tenant_id=account.tenant_id, session__token=account.token_id, limit_origin=LimitOrigin.PREPAID,
        settled_at=None, session__state__in=(SessionState.ACTIVE, SessionState.ENDED, SessionState.HELD),
    )  # fmt: skip
    return Decimal(held.aggregate(total=Sum("limit_cost"))["total"] or 0)


_FREE = """
SELECT x.* FROM (SELECT r#>>'{}' uid FROM json_array_elements(%(rows)s::json) r OFFSET 0) w
CROSS JOIN LATERAL (
    SELECT t.uid, a.currency, a.token_id,
        coalesce((SELECT sum(e.amount) FROM stations_prepaidentry e
                  WHERE e.tenant_id = %(tenant)s AND e.account_id = a.id), 0)
        - coalesce((SELECT sum(c.limit_cost) FROM stations_session s
                    JOIN stations_sessioncost c ON c.tenant_id = %(tenant)s AND c.session_id = s.id
                    WHERE s.tenant_id = %(tenant)s AND s.token_id = a.token_id AND c.settled_at IS NULL
                      AND c.limit_origin = 'prepaid' AND s.state IN ('active', 'ended', 'held')), 0) AS free
    FROM fleets_token t JOIN stations_prepaidaccount a ON a.tenant_id = %(tenant)s AND a.token_id = t.id
    WHERE t.tenant_id = %(tenant)s AND t.uid = w.uid AND a.closed_at IS NULL LIMIT 1) x
"""


def free(uids: Iterable[str]) -> rows.Lookup[dict[str, tuple[str, int, Decimal]]]:
    """Of prepaid tokens by uid: (currency, token id, credit that no session holds)."""
    asked = sorted(set(uids) - {""})
    found = (yield Ask(_FREE, asked)) if asked else []
    return {uid: (currency, token_id, Decimal(credit)) for uid, currency, token_id, credit in found}


def book(session: Session) -> None:
    """Take the price of a prepaid session from its token's credit: once, whatever is repeated."""
    if session.token_id is None or session.cost_incl_tax is None or session.state != SessionState.RATED:
        return
    account = PrepaidAccount.objects.filter(tenant_id=session.tenant_id, token_id=session.token_id).first()
    if account is None or account.currency != session.currency:
        return
    PrepaidEntry.objects.get_or_create(
        tenant_id=session.tenant_id, session=session,
        defaults={"account": account, "kind": PrepaidKind.SESSION, "amount": -session.cost_incl_tax},
    )  # fmt: skip

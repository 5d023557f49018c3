"""Payments at terminals: kept once, matched to their session, held against its price (OCPP 2.1, C20 to C22)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from django.db.models import Q

from billing.money import minor_digits
from stations import live
from stations.models import Session, SessionState, Settlement, SettlementStatus, Station
from stations.neutral import SettlementAnswer, SettlementReport
from stations.services import clock, receipts

HIGHEST = Decimal(10**9)
SESSION_UNKNOWN = "session_unknown"
AMOUNT_ABSURD = "amount_absurd"
AMOUNT_DIFFERS = "amount_differs"
PAID_TWICE = "paid_twice"
NOT_PAID = "not_paid"
NO_PRICE = "no_price"
BATCH = 500


def record(*, tenant_id: int, requests: Sequence[SettlementReport]) -> list[SettlementAnswer]:
    """Keep what terminals report; one told twice is one row. The answer gives its receipt, ours if none is told."""
    return [_keep(tenant_id, report) for report in requests]


def _keep(tenant_id: int, report: SettlementReport) -> SettlementAnswer:
    session = _session(tenant_id, report)
    at, _flags = clock.sanitise(report.raw_timestamp, report.received_at)
    sane = report.amount is not None and abs(report.amount) < HIGHEST
    flags = [] if session or not report.transaction_id else [SESSION_UNKNOWN]
    row, made = Settlement.objects.get_or_create(
        tenant_id=tenant_id, station_id=report.station_id, psp_ref=report.psp_ref[:255], status=report.status,
        defaults={
            "session": session, "transaction_id": report.transaction_id[:64], "info": report.info[:500],
            "amount": report.amount if sane and report.amount is not None else Decimal(0),
            "currency": session.currency if session else "", "settled_at": at,
            "receipt_id": report.receipt_id[:50], "receipt_url": _safe(report.receipt_url),
            "vat_number": report.vat_number[:20], "vat_company": report.vat_company,
            "flags": flags if sane else [*flags, AMOUNT_ABSURD], "received_at": report.received_at,
        },
    )  # fmt: skip
    if made and row.status == SettlementStatus.SETTLED and not (report.receipt_id or report.receipt_url):
        row.receipt_id, row.receipt_url = f"R{row.pk}", receipts.address(row)
        row.save(update_fields=["receipt_id", "receipt_url"])
    if made:
        station = Station.objects.get(tenant_id=tenant_id, pk=report.station_id)
        live.publish(
            tenant_id, kind="settlement", station_id=station.pk, site_id=station.site_id,
            data={"id": row.pk, "session_id": row.session_id},
        )  # fmt: skip
    return SettlementAnswer(row.receipt_id, row.receipt_url)


def _safe(url: str) -> str:
    """A link that people will click: of the web alone."""
    return url[:2000] if url.lower().startswith(("https://", "http://")) else ""


def _session(tenant_id: int, report: SettlementReport) -> Session | None:
    if not report.transaction_id:
        return None
    return Session.objects.filter(
        tenant_id=tenant_id, station_id=report.station_id, transaction_id=report.transaction_id[:64]
    ).first()


def compare(*, tenant_id: int, now: datetime) -> int:
    """Hold payments against prices, once the session has one. Payments may come before the session's end does."""
    priced = Q(session=None) | Q(session__state__in=(SessionState.RATED, SessionState.VOID))
    waiting = Settlement.objects.filter(priced, tenant_id=tenant_id, compared_at=None)
    done = 0
    for row in waiting.select_related("session").order_by("-id")[:BATCH]:
        if row.session is None and row.transaction_id:
            row.session = Session.objects.filter(
                tenant_id=tenant_id, station_id=row.station_id, transaction_id=row.transaction_id
            ).first()
        if row.session is None and (now - row.received_at).days < 1 and row.transaction_id:
            continue
        if row.session is not None and row.session.state in (
            SessionState.ACTIVE,
            SessionState.ENDED,
            SessionState.HELD,
        ):
            continue
        row.flags, row.compared_at = _compared(row), now
        row.currency = row.session.currency if row.session else row.currency
        row.save(update_fields=["session", "flags", "compared_at", "currency"])
        done += 1
    return done


def _compared(row: Settlement) -> list[str]:
    flags = {flag for flag in row.flags if flag == AMOUNT_ABSURD}
    session = row.session
    if session is None:
        return sorted(flags | ({SESSION_UNKNOWN} if row.transaction_id else set()))
    if row.status != SettlementStatus.SETTLED:
        owed = session.cost_incl_tax is not None and session.cost_incl_tax > 0
        return sorted(flags | ({NOT_PAID} if owed else set()))
    others = Settlement.objects.filter(
        tenant_id=row.tenant_id, session=session, status=SettlementStatus.SETTLED
    ).exclude(psp_ref=row.psp_ref)
    if others.exists():
        flags.add(PAID_TWICE)
    if session.cost_incl_tax is None:
        return sorted(flags | ({NO_PRICE} if row.amount else set()))
    coin = Decimal(1).scaleb(-minor_digits(session.currency or "EUR"))
    if abs(row.amount - session.cost_incl_tax) >= coin:
        flags.add(AMOUNT_DIFFERS)
    return sorted(flags)

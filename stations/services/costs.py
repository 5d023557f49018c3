"""The running price: told to stations that show it, held against what bounds the session, settled at the end.

Sweeps over sessions, each safe to run twice. A price is pushed at most once in COST_UPDATE_SECONDS, and only where it
has changed (I02); the final one as soon as it is certain (I03).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import DatabaseError
from django.db.models import Exists, OuterRef, Q

from billing.money import minor_digits
from billing.services import rating as prices
from billing.usage import Usage, simple_usage
from billing.words import price_words
from stations import live
from stations.models import (
    Command,
    CommandKind,
    CommandState,
    LimitOrigin,
    PrepaidAccount,
    Session,
    SessionCost,
    SessionState,
)
from stations.services import commands, prepaid, pricing, rating, showing, start_limits
from tenants import rows
from tenants.permissions import system

log = logging.getLogger("voltyard.costs")
BATCH = 500
# After its end a station shows the final price for a while; then nobody stands before it any more.
FINAL_PATIENCE = timedelta(minutes=15)
_ACTOR = system("Running cost")
_STOPS = system("Limit of the session")


def usage_so_far(session: Session, at: datetime) -> Usage:
    """The use of a session until now: by energy alone where the tariff asks for no more, else by its curve."""
    until = max(at, session.started_at)
    if session.tariff is None or pricing.is_certain(session.tariff):
        return simple_usage(
            started_at=session.started_at, ended_at=until, time_zone=session.site.time_zone,
            energy_wh=session.energy_wh,
        )  # fmt: skip
    return rating.used(session, until)


def so_far(session: Session, at: datetime) -> Decimal | None:
    """What it would cost with tax if it ended now; None where nobody can say."""
    if not session.tariff:
        return None
    try:
        return prices.rate(tariff=session.tariff, usage=usage_so_far(session, at)).incl_tax
    except (prices.NotRatable, ValueError):
        return None


def sweep(*, tenant_id: int, now: datetime) -> int:
    """One round: bind sessions to their limits, tell the cost, stop what has reached its bound, settle what ended."""
    _bind_prepaid(tenant_id, now)
    start_limits.sweep(tenant_id=tenant_id, now=now)
    done = 0
    shows = _shows(tenant_id)
    for session, cost in _watched(tenant_id, shows, now):
        try:
            done += _look_at(session, cost, shows.get(session.station_id, showing.Shows()), now)
        except DatabaseError:
            raise
        except Exception:  # the trouble of one is not the next one's
            log.exception("running cost not looked at", extra={"session": session.pk})
    return done + _settle(tenant_id, now)


def _look_at(session: Session, cost: SessionCost | None, able: showing.Shows, now: datetime) -> int:
    total = so_far(session, now)
    done = _tell_running(session, cost, total, able, now)
    if cost is not None and cost.limit_origin:
        done += _hold_to_bound(session, cost, total, now)
    return done


def _shows(tenant_id: int) -> dict[int, showing.Shows]:
    """Abilities of the stations at which something runs now."""
    running = Session.objects.filter(tenant_id=tenant_id, state=SessionState.ACTIVE, station__online=True)
    return showing.of(tenant_id, running.values_list("station_id", flat=True).distinct()[:20_000])


def _watched(
    tenant_id: int, shows: dict[int, showing.Shows], now: datetime
) -> Iterator[tuple[Session, SessionCost | None]]:
    """Running sessions that are due, of stations that show the cost, or with a bound: all of them, whose cost changes
    and whose does not, or the bound of one would wait behind cars that are full."""
    pace = now - timedelta(seconds=settings.COST_UPDATE_SECONDS)
    bounded = SessionCost.objects.filter(
        tenant_id=tenant_id, settled_at=None, stop_command_id=None
    ).exclude(limit_origin="").values("session_id")  # fmt: skip
    told_lately = SessionCost.objects.filter(tenant_id=tenant_id, settled_at=None, shown_at__gt=pace)
    showing_cost = [station for station, able in shows.items() if able.cost]
    due = Q(station_id__in=showing_cost, tariff__isnull=False) & ~Q(pk__in=told_lately.values("session_id"))
    found = Session.objects.filter(
        Q(pk__in=bounded) | due, tenant_id=tenant_id, state=SessionState.ACTIVE, station__online=True
    )
    ids = list(found.order_by("id").values_list("id", flat=True))
    for start in range(0, len(ids), BATCH):
        batch = ids[start : start + BATCH]
        own = {
            cost.session_id: cost
            for cost in SessionCost.objects.filter(tenant_id=tenant_id, session_id__in=batch)
        }
        sessions = Session.objects.filter(tenant_id=tenant_id, pk__in=batch)
        for session in sessions.select_related("station", "site", "evse").order_by("id"):
            yield session, own.get(session.pk)


def _tell_running(
    session: Session, cost: SessionCost | None, total: Decimal | None, able: showing.Shows, now: datetime
) -> int:
    if not able.cost or total is None:
        return 0
    pace = timedelta(seconds=settings.COST_UPDATE_SECONDS)
    if cost is not None and cost.shown_at is not None and now - cost.shown_at < pace:
        return 0
    if cost is not None and cost.shown == total:
        return 0
    first = cost is None or cost.price_told_at is None
    values: dict[str, Any] = {"shown_at": now}
    if first and session.station.ocpp_version == "1.6" and session.token_uid:
        _tell_price(session)
        values["price_told_at"] = now
    SessionCost.objects.update_or_create(tenant_id=session.tenant_id, session=session, defaults=values)
    _send(session, total, final=False)
    return 1


def _tell_price(session: Session) -> None:
    """1.6: the driver's price in words, once (SetUserPrice)."""
    commands.request_command(
        tenant_id=session.tenant_id, station_id=session.station_id, kind=CommandKind.TELL_PRICE,
        arguments={"token_uid": session.token_uid, "text": ", ".join(price_words(session.tariff or {}))},
        actor=_ACTOR, expires_in_seconds=settings.COST_UPDATE_SECONDS,
    )  # fmt: skip


def _send(session: Session, total: Decimal, *, final: bool) -> Command:
    assert session.tariff is not None
    return commands.request_command(
        tenant_id=session.tenant_id, station_id=session.station_id, kind=CommandKind.TELL_COST,
        arguments={
            "transaction_id": session.transaction_id, "total": str(total), "currency": session.tariff["currency"],
            "final": final, **({"text": final_words(session, total)} if final else _running(session)),
        },
        actor=_ACTOR, expires_in_seconds=settings.COST_UPDATE_SECONDS,
    )  # fmt: skip


def final_words(session: Session, total: Decimal) -> str:
    """For the driver: numbers read alike in every language."""
    assert session.tariff is not None
    kwh = (session.energy_wh / 1000).quantize(Decimal("0.01"))
    return f"{total} {session.tariff['currency']} · {kwh} kWh"


def _running(session: Session) -> dict[str, Any]:
    """What 1.6 shows beside the running cost; 2.x takes the total alone."""
    of = {
        component["type"]: _with_tax(component, bool((session.tariff or {}).get("tax_included")))
        for element in (session.tariff or {}).get("elements", ())
        for component in element["price_components"]
    }
    meter = session.meter_last_wh if session.meter_last_wh is not None else session.meter_start_wh
    given = {
        "meter_wh": meter, "charging": session.charging_state in ("", "charging"), "energy_price": of.get("ENERGY"),
        "hour_price": of.get("TIME"), "flat_fee": of.get("FLAT"), "idle_price": of.get("PARKING_TIME"),
    }  # fmt: skip
    return {
        name: value if isinstance(value, bool) else str(value)
        for name, value in given.items()
        if value is not None
    }


def _with_tax(component: dict[str, Any], included: bool) -> Decimal:
    price = Decimal(str(component["price"]))
    vat = Decimal(str(component.get("vat") or 0))
    return price if included else (price * (1 + vat / 100)).quantize(Decimal("0.0001"))


def follow_told(*, command: Command) -> None:
    """The station took the price: that is what its driver sees now."""
    if command.state != CommandState.ACCEPTED:
        return
    session = Session.objects.filter(
        tenant_id=command.tenant_id, station_id=command.station_id,
        transaction_id=str(command.arguments.get("transaction_id"))[:64],
    ).first()  # fmt: skip
    try:
        total = Decimal(str(command.arguments.get("total")))
    except ArithmeticError:
        return
    if session is None or not total.is_finite() or abs(total) >= 10**9:
        return
    cost, _made = SessionCost.objects.get_or_create(tenant_id=command.tenant_id, session=session)
    if command.arguments.get("final"):
        cost.final, cost.final_at, cost.final_how = total, command.settled_at, "command"
    else:
        cost.shown, cost.shown_at, cost.shown_count = total, command.settled_at, cost.shown_count + 1
    cost.save(update_fields=["final", "final_at", "final_how", "shown", "shown_at", "shown_count"])
    _announce(session)


def _announce(session: Session) -> None:
    live.publish(
        session.tenant_id, kind="session", station_id=session.station_id, site_id=session.site_id,
        data={"id": session.pk, "session_id": session.pk, "state": session.state},
    )  # fmt: skip


# --- what bounds a session ---


def _bind_prepaid(tenant_id: int, now: datetime) -> None:
    """Sessions of prepaid tokens that no answer has bound: stations older than 2.1, and starts told late."""
    account = PrepaidAccount.objects.filter(
        tenant_id=tenant_id, closed_at=None, token_id=OuterRef("token_id"), currency=OuterRef("currency"),
        created_at__lte=OuterRef("started_received_at"),
    )  # fmt: skip
    bound = SessionCost.objects.filter(tenant_id=tenant_id).exclude(limit_origin="")
    fresh = Session.objects.filter(
        Exists(account), tenant_id=tenant_id, started_at__gt=now - timedelta(days=7), tariff__isnull=False,
        state__in=(SessionState.ACTIVE, SessionState.ENDED, SessionState.RATED, SessionState.HELD),
    ).exclude(pk__in=bound.values("session_id"))  # fmt: skip
    for session in fresh.order_by("id")[:BATCH]:
        credit = rows.alone(tenant_id, prepaid.free([session.token_uid])).get(session.token_uid)
        if credit is not None:
            pricing.bind(tenant_id, session.pk, session.tariff, credit[0], credit[2], told=False)


def _hold_to_bound(session: Session, cost: SessionCost, total: Decimal | None, now: datetime) -> int:
    """Stop a session that has used up what it may. A 2.1 station that was told stops by itself: it gets one round."""
    if cost.limit_origin == LimitOrigin.STATION or cost.stop_command_id is not None:
        return 0  # what the driver chose at the station is the station's to keep
    reached = _reached(session, cost, total, now)
    if not reached:
        return 0
    if cost.limit_reached_at is None:
        cost.limit_reached, cost.limit_reached_at = reached, now
        cost.save(update_fields=["limit_reached", "limit_reached_at"])
        if cost.limit_told_at is not None:
            return 1
    stop = commands.request_command(
        tenant_id=session.tenant_id, station_id=session.station_id, kind=CommandKind.STOP,
        arguments={"transaction_id": session.transaction_id}, actor=_STOPS, expires_in_seconds=3600,
    )  # fmt: skip
    cost.stop_command_id = stop.pk
    cost.save(update_fields=["stop_command_id"])
    return 1


def _reached(session: Session, cost: SessionCost, total: Decimal | None, now: datetime) -> str:
    if cost.limit_cost is not None and total is not None and total >= cost.limit_cost:
        return "cost"
    if cost.limit_energy_wh is not None and session.energy_wh >= cost.limit_energy_wh:
        return "energy"
    if cost.limit_seconds is not None and now - session.started_at >= timedelta(seconds=cost.limit_seconds):
        return "time"
    if (
        cost.limit_soc is not None
        and session.soc_percent is not None
        and session.soc_percent >= cost.limit_soc
    ):
        return "soc"
    return ""


# --- the end ---


def _settle(tenant_id: int, now: datetime) -> int:
    """Tell the final price, compare it with the station's, book it; then the row is done with."""
    over = SessionCost.objects.filter(
        tenant_id=tenant_id, settled_at=None, session__state__in=(SessionState.RATED, SessionState.VOID)
    ).select_related("session", "session__station", "session__site")  # fmt: skip
    done = 0
    for cost in over.order_by("id")[:BATCH]:
        session = cost.session
        if session.cost_incl_tax is not None and session.state == SessionState.RATED:
            _tell_final(session, cost, now)
            cost.difference = _difference(session, cost)
            if cost.limit_origin == LimitOrigin.PREPAID:
                prepaid.book(session)
        cost.settled_at = now
        cost.save(update_fields=["difference", "settled_at"])
        _announce(session)
        done += 1
    return done


def _tell_final(session: Session, cost: SessionCost, now: datetime) -> None:
    if cost.final is not None or session.tariff is None or session.cost_incl_tax is None:
        return
    over = session.ended_received_at or session.ended_at
    if over is None or now - over > FINAL_PATIENCE or not session.station.online:
        return
    able = showing.of(session.tenant_id, [session.station_id]).get(session.station_id)
    if able is not None and able.cost:
        _send(session, session.cost_incl_tax, final=True)


def _difference(session: Session, cost: SessionCost) -> Decimal | None:
    """The station's total less ours, with tax; None where it told none, or in other money."""
    if (
        cost.station_total is None
        or session.cost_incl_tax is None
        or cost.station_currency != session.currency
    ):
        return None
    return cost.station_total - session.cost_incl_tax


def differs(cost: SessionCost) -> bool:
    """By more than the currency's smallest coin: rounding alone explains no more."""
    if cost.station_total is not None and cost.difference is None:
        return cost.settled_at is not None
    coin = Decimal(1).scaleb(-minor_digits(cost.station_currency or "EUR"))
    return cost.difference is not None and abs(cost.difference) > coin

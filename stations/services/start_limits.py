"""What an operator lets a session take that is started from here (OCPP 2.1 F07, E16): energy, time, charge, money.

It stands in the start's arguments as `limit`. Stations of 2.1 are told and stop by themselves; the others are stopped
by the sweep of `stations.services.costs`. What a driver has paid for counts before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from django.utils import timezone

from stations.models import Command, CommandKind, LimitOrigin, Session, SessionCost, SessionState
from stations.neutral import SessionLimit
from tenants.errors import Invalid

# name -> (the most of it, must it be whole)
_MOST = {
    "cost": (10**9, False),
    "energy_wh": (10**9, False),
    "seconds": (10**8, True),
    "soc_percent": (100, True),
}
BATCH = 500


def read(arguments: Mapping[str, Any]) -> SessionLimit | None:
    """The limit of a start. Invalid, in words, for one that says nothing or what cannot be."""
    told = arguments.get("limit")
    if told in (None, {}):
        return None
    if not isinstance(told, Mapping) or set(told) - set(_MOST):
        raise Invalid(fields={"limit": f"Give some of {', '.join(_MOST)}."})
    values = {name: _value(name, value) for name, value in told.items()}
    return SessionLimit(
        cost=values.get("cost"),
        energy_wh=values.get("energy_wh"),
        seconds=None if "seconds" not in values else int(values["seconds"]),
        soc_percent=None if "soc_percent" not in values else int(values["soc_percent"]),
    )


def _value(name: str, told: Any) -> Decimal:
    most, whole = _MOST[name]
    try:
        value = Decimal(str(told))
        if 0 < value <= most and (not whole or value == int(value)):
            return value
    except (InvalidOperation, ValueError):
        pass
    raise Invalid(fields={"limit": f"{name} is a {'whole ' if whole else ''}number above 0, at most {most}."})


def bind(tenant_id: int, session_ids: Sequence[int], *, told: bool) -> dict[int, SessionLimit]:
    """Hold these sessions to the limits of the starts that led to them. By session."""
    asked = Session.objects.filter(tenant_id=tenant_id, pk__in=session_ids, remote_command_id__isnull=False)
    commands = dict(asked.values_list("remote_command_id", "pk"))
    starts = Command.objects.filter(
        tenant_id=tenant_id, pk__in=list(commands), kind=CommandKind.START, arguments__has_key="limit"
    )
    bound: dict[int, SessionLimit] = {}
    for command in starts:
        limit = read(command.arguments)
        if limit is not None:
            session_id = commands[command.pk]
            _keep(tenant_id, session_id, limit, told=told)
            bound[session_id] = limit
    return bound


def _keep(tenant_id: int, session_id: int, limit: SessionLimit, *, told: bool) -> None:
    values: dict[str, Any] = {
        "limit_cost": limit.cost, "limit_energy_wh": limit.energy_wh, "limit_seconds": limit.seconds,
        "limit_soc": limit.soc_percent, "limit_origin": LimitOrigin.OPERATOR,
    }  # fmt: skip
    if told:
        values["limit_told_at"] = timezone.now()
    SessionCost.objects.update_or_create(tenant_id=tenant_id, session_id=session_id, defaults=values)


def sweep(*, tenant_id: int, now: datetime) -> None:
    """Bind sessions that no answer has bound: of stations older than 2.1, and starts told late."""
    bound = SessionCost.objects.filter(tenant_id=tenant_id).exclude(limit_origin="")
    limited = Command.objects.filter(tenant_id=tenant_id, kind=CommandKind.START, arguments__has_key="limit")
    fresh = Session.objects.filter(
        tenant_id=tenant_id, state=SessionState.ACTIVE, started_at__gt=now - timedelta(days=7),
        remote_command_id__in=limited.values("pk"),
    ).exclude(pk__in=bound.values("session_id"))  # fmt: skip
    found = list(fresh.order_by("id").values_list("pk", flat=True)[:BATCH])
    if found:
        bind(tenant_id, found, told=False)

"""What is wrong with the load management of sites, as findings for the rules of issues (stations.services.signals).

All is read from the newest picture of who steers. One that is old is still the best word there is, beside the finding
that nobody steers. A site whose load management is switched off has nothing wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from energy import kept_out as who_is_kept_out
from energy import picture
from energy.models import GridConnection, GridNode, Outlet, SiteMeter, Steering
from stations.models import Connector, Evse, Signal
from stations.services.signals import Finding

OVER_S = 60.0  # a row may be over for a moment: until lowered limits are confirmed
TINY_A, TINY_W = 0.05, 50.0


@dataclass(frozen=True)
class Seen:
    """The picture of one site."""

    connection: GridConnection
    at: datetime | None
    told: Mapping[str, Any]

    def listed(self, name: str) -> list[dict[str, Any]]:
        told = self.told.get(name)
        return [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []


def _seen(tenant_id: int) -> Iterator[Seen]:
    steering = {row.connection_id: row for row in Steering.objects.filter(tenant_id=tenant_id)}
    for connection in GridConnection.objects.filter(tenant_id=tenant_id, steers=True).order_by("id"):
        row = steering.get(connection.pk)
        told = row.picture if row is not None and isinstance(row.picture, dict) else {}
        yield Seen(connection, row.picture_at if row is not None else None, told)


def _moment(told: Any) -> datetime | None:
    return datetime.fromtimestamp(told, UTC) if isinstance(told, int | float) and told > 0 else None


def _number(told: Any) -> float:
    return float(told) if isinstance(told, int | float) else 0.0


def unsteered(tenant_id: int, now: datetime, minutes: float) -> Iterator[Finding]:
    """A site that is to be steered has had no picture for so long."""
    for seen in _seen(tenant_id):
        since = seen.at or seen.connection.changed_at
        if now - since > timedelta(minutes=minutes):
            yield Finding(None, None, since, now, {}, seen.connection.site_id)


def load_short(tenant_id: int, now: datetime, minutes: float) -> Iterator[Finding]:
    """What may be in force is over a row's limit for a minute, or cars wait for so long."""
    for seen in _seen(tenant_id):
        over, since_over = _over(seen, now)
        waits = [
            since
            for one in seen.listed("outlets")
            if one.get("why") == picture.WAITS and (since := _moment(one.get("since"))) is not None
        ]
        long = [since for since in waits if now - since > timedelta(minutes=minutes)]
        if not over and not long:
            continue
        evidence: dict[str, Any] = {"over": over} if over else {}
        if long:
            evidence["waiting"] = len(waits)
        yield Finding(None, None, min([*since_over, *long]), now, evidence, seen.connection.site_id)


def _over(seen: Seen, now: datetime) -> tuple[list[dict[str, str]], list[datetime]]:
    since = {
        one.get("node"): at
        for one in seen.listed("alerts")
        if one.get("kind") == picture.SHORT and (at := _moment(one.get("since"))) is not None
    }
    rows = [
        row
        for row in seen.listed("rows")
        if row.get("node") in since
        and now - since[row["node"]] > timedelta(seconds=OVER_S)
        and _promised(row) > _number(row.get("limit")) + (TINY_W if row.get("unit") == "W" else TINY_A)
    ]
    if not rows:
        return [], []
    found = GridNode.objects.filter(tenant_id=seen.connection.tenant_id, pk__in={row["node"] for row in rows})
    names = {node.pk: node.name for node in found}
    over = [
        {
            "part": str(row.get("part")), "node": names[row["node"]], "load": _quantity(_promised(row), row),
            "limit": _quantity(_number(row.get("limit")), row),
        }
        for row in rows
        if row["node"] in names
    ]  # fmt: skip
    return over, [since[row["node"]] for row in rows]


def _promised(row: Mapping[str, Any]) -> float:
    return _number(row.get("building")) + _number(row.get("committed"))


def _quantity(value: float, row: Mapping[str, Any]) -> str:
    return f"{value / 1000:.1f} kW" if row.get("unit") == "W" else f"{value:.1f} A"


def meter_mute(tenant_id: int, now: datetime, minutes: float) -> Iterator[Finding]:
    """A meter is silent or frozen for so long."""
    for seen in _seen(tenant_id):
        mute = {
            one["meter"]: since
            for one in seen.listed("meters")
            if one.get("mute") and isinstance(one.get("meter"), int)
            and (since := _moment(one.get("since")) or _moment(one.get("at")) or seen.connection.created_at)
            and now - since > timedelta(minutes=minutes)
        }  # fmt: skip
        rows = SiteMeter.objects.filter(tenant_id=tenant_id, connection=seen.connection, enabled=True)
        names = {meter.pk: meter.name for meter in rows if meter.pk in mute}
        if names:
            since = min(mute[number] for number in names)
            yield Finding(None, None, since, now, {"meters": sorted(names.values())}, seen.connection.site_id)


def disobeys(tenant_id: int, now: datetime, seconds: float) -> Iterator[Finding]:
    """A connector takes more than it was told for so long."""

    told = {
        one.get("evse"): since
        for seen in _seen(tenant_id)
        for one in seen.listed("alerts")
        if one.get("kind") == picture.DISOBEYS and (since := _moment(one.get("since"))) is not None
    }

    def since_of(one: Mapping[str, Any]) -> datetime | None:
        return _moment(one.get("since")) or told.get(one.get("evse"))

    def is_so(one: Mapping[str, Any]) -> bool:
        since = since_of(one)
        return one.get("why") == picture.DISOBEYS and (
            since is None or now - since > timedelta(seconds=seconds)
        )

    for one, plug in _plugs(tenant_id, is_so):
        evidence = {"draws_a": one.get("draw"), "asked_a": one.get("asked")}
        yield Finding(plug.evse.station_id, plug.pk, since_of(one) or now, now, evidence)


def no_default(tenant_id: int, now: datetime, _minutes: float) -> Iterator[Finding]:
    """Connectors of a site have 0 A when nobody speaks to them: one finding for all, for whoever set it up agreed."""
    by_site: dict[int, set[int]] = {}
    for seen in _seen(tenant_id):
        mine = {one["evse"] for one in seen.listed("outlets") if one.get("default") == 0 and "evse" in one}
        if mine := {number for number in mine if isinstance(number, int)}:
            by_site[seen.connection.site_id] = mine
    for site_id, numbers in by_site.items():
        found = Evse.objects.filter(tenant_id=tenant_id, pk__in=numbers).select_related("station")
        if places := sorted(f"{evse.station} {evse.number}" for evse in found):
            yield Finding(None, None, now, now, {"places": places}, site_id)


def kept_out(tenant_id: int, now: datetime, minutes: float) -> Iterator[Finding]:
    """For so long a station holds a limit beside which it has no place for load management."""
    for connection in GridConnection.objects.filter(tenant_id=tenant_id, steers=True).order_by("id"):
        wired = Outlet.objects.filter(tenant_id=tenant_id, connection=connection).values_list(
            "evse_id", flat=True
        )
        found = who_is_kept_out.of_evses(tenant_id, list(wired))
        plugs = Connector.objects.filter(tenant_id=tenant_id, evse_id__in=list(found)).select_related("evse")
        for plug in plugs.order_by("evse_id", "number").distinct("evse_id"):
            row = found[plug.evse_id]
            since = row.settled_at or row.created_at
            if now - since > timedelta(minutes=minutes):
                yield Finding(plug.evse.station_id, plug.pk, since, now, {"limit_by": row.label})


def _plugs(
    tenant_id: int, is_so: Callable[[Mapping[str, Any]], bool]
) -> Iterator[tuple[dict[str, Any], Connector]]:
    """Outlets of which something is so, each with the first connector of its EVSE."""
    told = {
        one["evse"]: one
        for seen in _seen(tenant_id)
        for one in seen.listed("outlets")
        if isinstance(one.get("evse"), int) and is_so(one)
    }
    plugs = Connector.objects.filter(tenant_id=tenant_id, evse_id__in=list(told)).select_related("evse")
    for plug in plugs.order_by("evse_id", "number").distinct("evse_id"):
        yield told[plug.evse_id], plug


FINDS: dict[str, Callable[[int, datetime, float], Iterable[Finding]]] = {
    Signal.UNSTEERED: unsteered,
    Signal.LOAD_SHORT: load_short,
    Signal.METER_MUTE: meter_mute,
    Signal.DISOBEYS: disobeys,
    Signal.NO_DEFAULT: no_default,
    Signal.KEPT_OUT: kept_out,
}

"""The energy and power curve of a session, right whatever mixture of values its station sends.

Energy since the start: from the import register, else from interval energies, else from power. Registers that count
from the session's start, or are told in the wrong unit, are seen by what the session drew. The registers told for the
start and the stop are points as well: many stations tell nothing else. Power: as told, else the mean
between two energies, unless the register fell between them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from stations.models import Reading, Session
from stations.neutral import SampledValue
from stations.services import clock, meters
from stations.services.evidence import Evidence, mean_power
from stations.services.sheet import milli

AHEAD_WH = Decimal(1000)  # a register may be ahead of what the session knew when it was told
# A register told in kWh with one decimal may begin below the meter value at the start.
ROUNDING_WH = Decimal(100)
MOST_POINTS = 20_000
# A reading beside the start or the stop that says the same is the same, told once more by another clock.
BESIDE = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class CurvePoint:
    at: datetime
    energy_wh: Decimal | None = None  # since the start
    power_w: float | None = None
    soc_percent: float | None = None
    offered_w: float | None = None
    is_mean: bool = False  # the power was not told: it is the mean since the energy before


@dataclass(frozen=True, slots=True)
class Mark:
    """The register as told for the start, or for the stop: the one that the session's figures rest on."""

    at: datetime
    register_wh: Decimal


@dataclass(slots=True)
class Instant:
    """All that was told of one instant, in however many messages and contexts."""

    at: datetime
    register_wh: Decimal | None = None
    interval_wh: Decimal | None = None
    power_w: float | None = None
    soc_percent: float | None = None
    offered_w: float | None = None


def of_session(session: Session) -> list[CurvePoint]:
    """The curve, oldest first. Inside the tenant's scope."""
    found = Reading.objects.filter(
        tenant_id=session.tenant_id, station_id=session.station_id, session_id=session.pk,
        sampled_at__gte=session.started_at - timedelta(hours=1),
    ).order_by("sampled_at", "id")  # fmt: skip
    if session.ended_at is not None:
        found = found.filter(sampled_at__lte=session.ended_at + timedelta(minutes=1))
    return points(
        _instants(found[:MOST_POINTS]), meter_start_wh=session.meter_start_wh, energy_wh=session.energy_wh,
        marks=marks(session), rating_w=session.connector.max_power_w if session.connector else 0,
    )  # fmt: skip


def marks(session: Session) -> list[Mark]:
    """The registers that were told for the start and the stop, as far as they were."""
    known = Evidence.from_json(session.evidence)
    return [
        Mark(clock.from_milliseconds(told[at][0]), counted)
        for told, at, counted in (
            (known.begins, 0, session.meter_start_wh),
            (known.ends, -1, session.meter_stop_wh),
        )
        # Figures that were decided upon stay, whatever was told later.
        if told and counted is not None and told[at][1] == milli(counted)
    ]


def points(
    instants: Sequence[Instant],
    *,
    meter_start_wh: Decimal | None,
    energy_wh: Decimal,
    marks: Sequence[Mark] = (),
    rating_w: int = 0,
) -> list[CurvePoint]:
    """Pure: the curve of a session that drew `energy_wh` so far. `instants` and `marks` in order of time."""
    ways = (_by_register(instants, meter_start_wh, energy_wh), _by_interval(instants), _by_power(instants))
    energies = next((way for way in ways if len(way) >= 2), ways[0])
    for mark in marks:
        drawn = mark.register_wh - (meter_start_wh or Decimal(0))
        if _fits(energies, mark.at, drawn, energy_wh + AHEAD_WH):
            energies[mark.at] = drawn
    told = {mark.at: Instant(mark.at) for mark in marks if mark.at in energies}
    told |= {one.at: one for one in instants}
    curve = [
        CurvePoint(one.at, energies.get(one.at), one.power_w, one.soc_percent, one.offered_w)
        for one in sorted(told.values(), key=lambda one: one.at)
    ]
    if sum(point.power_w is not None for point in curve) >= 2:
        return curve
    fallen = {one.at for one in instants if one.register_wh is not None} if energies is ways[0] else set()
    return _with_power(curve, fallen - energies.keys(), rating_w)


def _instants(rows: Iterable[Reading]) -> list[Instant]:
    by_time: dict[datetime, Instant] = {}
    for row in rows:
        one = by_time.setdefault(row.sampled_at, Instant(row.sampled_at))
        one.register_wh = row.energy_wh if one.register_wh is None else one.register_wh
        one.power_w = row.power_w if one.power_w is None else one.power_w
        one.soc_percent = row.soc_percent if one.soc_percent is None else one.soc_percent
        one.offered_w = row.offered_w if one.offered_w is None else one.offered_w
        if row.energy_wh is None and one.interval_wh is None:
            one.interval_wh = meters.measured([*_told(row.values)]).interval_wh
    return list(by_time.values())


def _told(kept: Iterable[dict[str, Any]]) -> Iterable[SampledValue]:
    """Interval energies as they were told (`meters.as_told`)."""
    for entry in kept:
        if entry.get("measurand") == meters.INTERVAL:
            try:
                number = Decimal(entry["value"])
            except (InvalidOperation, ValueError):
                continue
            yield SampledValue(
                meters.INTERVAL, number, entry["value"], entry.get("unit", ""), entry.get("phase", ""),
                entry.get("location", ""), "", entry.get("multiplier", 0),
            )  # fmt: skip


def _by_register(
    instants: Sequence[Instant], meter_start_wh: Decimal | None, energy_wh: Decimal
) -> dict[datetime, Decimal]:
    """Energy since the start from a register that rises; what does not fit what the session drew is left out."""
    told = [(one.at, one.register_wh) for one in instants if one.register_wh is not None]
    if not told:
        return {}
    first = told[0][1]
    base = meter_start_wh
    if base is None or first < base - ROUNDING_WH or first > base + energy_wh + AHEAD_WH:
        base = first  # it counts from the session's start, or from another zero
    energies: dict[datetime, Decimal] = {}
    newest = Decimal(0)
    for at, register in told:
        drawn = max(register - base, Decimal(0)) if register > base - ROUNDING_WH else register - base
        if newest <= drawn <= energy_wh + AHEAD_WH:
            energies[at] = newest = drawn
    return energies


def _fits(energies: dict[datetime, Decimal], at: datetime, drawn: Decimal, most: Decimal) -> bool:
    """May the curve lead through this point? Not where it is one told already, nor where it would fall."""
    if not 0 <= drawn <= most:
        return False
    if any(abs(there - at) <= BESIDE and energy == drawn for there, energy in energies.items()):
        return False
    return at not in energies and all(
        energy <= drawn if there < at else energy >= drawn for there, energy in energies.items()
    )


def _by_interval(instants: Sequence[Instant]) -> dict[datetime, Decimal]:
    energies: dict[datetime, Decimal] = {}
    total = Decimal(0)
    for one in instants:
        if one.interval_wh is not None and one.interval_wh >= 0:
            total += one.interval_wh
            energies[one.at] = total
    return energies


def _by_power(instants: Sequence[Instant]) -> dict[datetime, Decimal]:
    told = [(one.at, one.power_w) for one in instants if one.power_w is not None]
    energies: dict[datetime, Decimal] = {}
    total = 0.0
    for n, (at, power) in enumerate(told):
        if n:
            hours = (at - told[n - 1][0]).total_seconds() / 3600
            total += (power + told[n - 1][1]) / 2 * hours
        energies[at] = Decimal(total).quantize(Decimal("0.001"))
    return energies


def _with_power(curve: list[CurvePoint], fallen: set[datetime], rating_w: int) -> list[CurvePoint]:
    """Power that the station did not tell: the mean since the energy before. The first energy has none before it, and
    shares the power that follows. At `fallen` the register contradicted itself: nothing is known across it."""
    derived: list[CurvePoint] = []
    before: int | None = None  # place of the energy that the next mean begins at
    for place, point in enumerate(curve):
        derived.append(point)
        if point.at in fallen:
            before = None
        if point.energy_wh is None:
            continue
        since = derived[before] if before is not None else None
        watts = mean_power(_mark(since), _mark(point), rating_w=rating_w) if since else None
        if watts is not None and point.power_w is None:
            derived[place] = replace(point, power_w=watts, is_mean=True)
            if since and before is not None and since.power_w is None:
                derived[before] = replace(since, power_w=watts, is_mean=True)
        if since is None or point.at - since.at >= BESIDE:
            before = place
    return derived


def _mark(point: CurvePoint) -> tuple[int, int]:
    return clock.milliseconds(point.at), milli(point.energy_wh or Decimal(0))

"""The picture of a site's steering for its page, and the row a minute that the charts read (energy.picture)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from energy import picture
from energy.control import Controller
from energy.filling import NOBODY, fitting
from energy.grid import LINES, Floats
from energy.models import MeterKind, SiteMinute
from energy.services.loops import Loop
from stations import live
from tenants import rows

SHORT_A = 0.5  # above a row's limit by so much is worth a word
MINUTE_S = 60.0


def of(loop: Loop) -> dict[str, Any]:
    """Of what the loop knows now. Empty before it has looked."""
    control, tree = loop.control, loop.tree
    now = loop.clock()
    if control is None or tree is None:
        return {"at": now, "broken": loop.broken} if loop.broken else {}
    building, limits, for_peak = loop.building(now), loop.limits(now), _for_the_peak(loop, control, now)
    draw = np.where(control.ledger.plugged, np.nan_to_num(control.cars.draw), 0.0)
    cars, committed = control.grid.loads(draw), control.grid.loads(control.ledger.in_force(now))
    rows = [
        {
            "node": int(row.node), "part": row.part, "unit": row.unit, "limit": _round(limits[number]),
            "building": _round(building[number]), "cars": _round(cars[number]),
            "committed": _round(committed[number]),
        }
        for number, row in enumerate(control.grid.rows)
    ]  # fmt: skip
    return {
        "at": now,
        "rows": rows,
        "outlets": [_outlet(loop, control, leaf, now, for_peak) for leaf in range(len(control.grid.leaves))],
        "meters": [
            {
                "meter": pk, "amps": [] if meter.last is None else [_round(amps) for amps in meter.last],
                "at": _or_none(meter.last_at), "mute": meter.is_mute(now), "since": _or_none(meter.mute_since(now)),
                "dead": [line for line, dead in zip(LINES, meter.dead, strict=False) if dead],
            }
            for pk, meter in loop.meters.items()
        ],
        "building": _building(loop, now),
        "solar_w": _power(loop, MeterKind.SOLAR, now),
        "battery_w": _power(loop, MeterKind.BATTERY, now),
        "peak_w": _peak_w(loop, control, building),
        "alerts": _alerts(loop, control, building + committed - limits, now),
    }  # fmt: skip


def _peak_w(loop: Loop, control: Controller, building: Floats) -> float | None:
    """W of cars and building together that the programme would not go above."""
    if control.peak is None or not np.isfinite(control.peak).any():
        return None
    row = int(np.flatnonzero(np.isfinite(control.peak))[0])
    return _round(control.peak[row] + building[row])


def _outlet(loop: Loop, control: Controller, leaf: int, now: float, for_peak: set[int]) -> dict[str, Any]:
    assert loop.tree is not None
    ledger, cars = control.ledger, control.cars
    session = loop.sessions.get(leaf)
    why, row = _why(loop, control, leaf, for_peak)
    return {
        "evse": loop.tree.wired[leaf].evse_id, "plugged": bool(ledger.plugged[leaf]),
        "reachable": bool(ledger.reachable[leaf]), "session": session.id if session else None,
        "asked": _round(control.asked[leaf]), "until": _or_none(control.asked_until[leaf]),
        "granted": _round(ledger.granted(now)[leaf]), "committed": _round(ledger.in_force(now)[leaf]),
        "draw": _or_none(cars.draw[leaf]), "cap": _round(cars.cap[leaf]), "wanted": _round(cars.wanted[leaf]),
        "default": _round(ledger.default[leaf]), "need_wh": _or_none(cars.need_wh[leaf]),
        "departure": _or_none(cars.departure[leaf]), "priority": float(cars.priority[leaf]),
        "since": _or_none(cars.waited_at[leaf]) if why == picture.WAITS else None,
        "lines": _fewer_lines(control, leaf),
        "why": why, "node": None if row is None else int(control.grid.rows[row].node),
        "part": None if row is None else control.grid.rows[row].part,
    }  # fmt: skip


def _fewer_lines(control: Controller, leaf: int) -> list[str] | None:
    """Where its car is known to draw; None: it counts on all lines of its place."""
    counted, wired = control.counted[:, leaf], control.lines.wired[:, leaf]
    if not control.ledger.plugged[leaf] or np.array_equal(counted, wired):
        return None
    return [line for line, draws in zip(LINES, counted, strict=False) if draws]


def _why(loop: Loop, control: Controller, leaf: int, for_peak: set[int]) -> tuple[str, int | None]:
    """Why it has what it has, and the row that is to blame, if one is."""
    ledger, last, grid = control.ledger, control.last, control.grid
    if not ledger.obeys[leaf]:
        return picture.DISOBEYS, None
    if not ledger.reachable[leaf]:
        return picture.OFFLINE, None
    if not ledger.plugged[leaf]:
        return picture.IDLE, None
    if last is None or (leaf in control.open and control.asked[leaf] <= 0):
        return picture.STARTS, None
    pilot = float(last.pilots[leaf])
    binding = int(last.binding[leaf])
    row = binding if binding != NOBODY else None
    if last.waits[leaf]:
        return (picture.PEAK if leaf in for_peak else picture.WAITS), row
    if pilot > control.asked[leaf] + control.policy.band_a:
        return picture.RAMP, row
    most, step = float(grid.max_a[leaf]), float(grid.step_a[leaf])
    if pilot > most - step:
        return picture.FULL, None
    if pilot > float(loop.caps[leaf]) - max(step, 1.0):
        return picture.OTHERS, None
    if pilot >= float(loop.later[leaf]) - 1.0:
        return picture.LATER, None
    if row is not None and control.peak is not None and np.isfinite(control.peak[row]):
        return picture.PEAK, row
    if row is None:
        return picture.CAR, None
    return picture.BINDS, row


def _for_the_peak(loop: Loop, control: Controller, now: float) -> set[int]:
    """The leaves that wait and would each have their least but for the peak that the programme keeps."""
    if control.peak is None or control.last is None or not control.last.waits.any():
        return set()
    grid, limits = control.grid, loop.room(now)
    told = np.maximum(control.last.pilots, control.ledger.told(now))
    return {
        leaf
        for leaf in np.flatnonzero(control.last.waits).tolist()
        if fitting(grid, told, more=grid.min_a, order=np.array([leaf], dtype=np.intp), limits=limits)[leaf]
    }


def _alerts(loop: Loop, control: Controller, over: Floats, now: float) -> list[dict[str, Any]]:
    assert loop.tree is not None
    short = np.flatnonzero(over > SHORT_A).tolist()
    loop.short_since = {number: loop.short_since.get(number, now) for number in short}
    found: list[dict[str, Any]] = [
        {
            "kind": picture.SHORT, "node": int(control.grid.rows[number].node), "evse": None,
            "since": _round(loop.short_since[number]), "part": control.grid.rows[number].part,
            "over": _round(over[number]),
        }
        for number in short
    ]  # fmt: skip
    found += [
        {
            "kind": picture.MUTE,
            "meter": pk,
            "evse": None,
            "node": None,
            "since": _or_none(meter.mute_since(now)),
        }
        for pk, meter in loop.meters.items()
        if meter.is_mute(now)
    ]
    for one in control.disobeys():
        evse = loop.tree.wired[one.leaf].evse_id
        found.append({
            "kind": picture.DISOBEYS, "evse": evse, "node": None, "since": one.since, "over": _round(one.over_a),
            "draws": _round(one.draws_a),
        })  # fmt: skip
    return found


def _building(loop: Loop, now: float) -> dict[str, Any]:
    assert loop.tree is not None
    lines = LINES[: len(loop.tree.supply.lines)]
    root = str(loop.tree.root.pk) if loop.tree.root else ""
    load = loop.building(now)
    by_line = {row.part: load[number] for number, row in enumerate(loop.tree.grid.rows) if row.node == root}
    mute = [
        loop.meters[meter.pk].is_mute(now) for meter in loop.tree.meters if meter.kind == MeterKind.BUILDING
    ]
    return {"amps": [_round(by_line.get(line, 0.0)) for line in lines], "mute": any(mute) or not mute}


def _power(loop: Loop, kind: str, now: float) -> float | None:
    """W of all meters of a kind that are heard."""
    assert loop.tree is not None
    heard = [loop.meters[row.pk] for row in loop.tree.meters if row.kind == kind]
    told = [amps for meter in heard if not meter.is_mute(now) and (amps := meter.believed()) is not None]
    return _round(float(sum(amps.sum() for amps in told)) * loop.tree.supply.volts) if told else None


def _round(value: Any) -> float:
    return round(float(value), 2)


def _or_none(value: Any) -> float | None:
    number = float(value)
    return round(number, 2) if np.isfinite(number) else None


# In the order in which sites are held (ownership).
_SHOW = """
WITH mine AS (
    SELECT s.id, t.picture FROM energy_steering s
    JOIN json_to_recordset(%(rows)s::json) AS t(connection bigint, token bigint, picture jsonb)
      ON s.connection_id = t.connection AND s.token = t.token
    WHERE s.tenant_id = %(tenant)s ORDER BY s.connection_id FOR NO KEY UPDATE OF s
)
UPDATE energy_steering s SET picture = mine.picture, picture_at = statement_timestamp()
FROM mine WHERE s.tenant_id = %(tenant)s AND s.id = mine.id
"""


def show(*, loops: Sequence[Loop], owner: str) -> None:
    """Keep the pictures of sites of one tenant, and tell open pages."""
    told = [(loop, found) for loop in loops if (found := of(loop))]
    if not told:
        return
    tenant_id = told[0][0].tenant_id
    rows.run(_SHOW, tenant_id, [
        {"connection": loop.connection_id, "token": loop.token, "picture": found | {"owner": owner}}
        for loop, found in told
    ])  # fmt: skip
    live.publish_many(tenant_id, [
        live.event(kind="energy", station_id=0, site_id=loop.site_id, data={"id": loop.site_id})
        for loop, _found in told
    ])  # fmt: skip


@dataclass
class Tally:
    """What flowed since the minute began: means are over time, not over looks."""

    minute: float = 0.0
    at: float = 0.0
    seconds: float = 0.0
    cars_w: float = 0.0
    building_w: float = 0.0
    solar_w: float = 0.0
    most_w: float = 0.0
    sun: bool = False
    waiting: int = field(default=0)

    def add(self, loop: Loop) -> SiteMinute | None:
        """Count from the last look until now; the row of the minute that is over, if one is."""
        control, tree, now = loop.control, loop.tree, loop.clock()
        if control is None or tree is None:
            return None
        over = None
        minute = now - now % MINUTE_S
        if self.minute and minute != self.minute:
            over = self._row(loop)
        if minute != self.minute:
            self.minute, self.seconds, self.cars_w, self.building_w = minute, 0.0, 0.0, 0.0
            self.solar_w, self.most_w, self.waiting = 0.0, 0.0, 0
        passed = min(max(now - self.at, 0.0), MINUTE_S)
        self.at = now
        draw = np.where(
            control.ledger.plugged & control.ledger.reachable, np.nan_to_num(control.cars.draw), 0.0
        )
        cars = float((draw * control.grid.volts).sum())
        building = _measured_building(loop, now)
        solar = _power(loop, MeterKind.SOLAR, now)
        self.sun = self.sun or solar is not None
        self.seconds += passed
        self.cars_w += cars * passed
        self.building_w += building * passed
        self.solar_w += (solar or 0.0) * passed
        self.most_w = max(self.most_w, cars + building)
        self.waiting = max(self.waiting, int(control.last.waits.sum()) if control.last is not None else 0)
        return over

    def _row(self, loop: Loop) -> SiteMinute | None:
        if self.seconds <= 0 or loop.tree is None:
            return None
        root = loop.tree.root
        limits = loop.limits(self.minute)
        volts, lines = loop.tree.supply.volts, []
        total = None
        for number, row in enumerate(loop.tree.grid.rows):
            if root is not None and row.node == str(root.pk):
                if row.unit == "W":
                    total = float(limits[number])
                else:
                    lines.append(float(limits[number]) * volts)
        most = min([*([sum(lines)] if lines else []), *([total] if total is not None else [])], default=None)
        return SiteMinute(
            tenant_id=loop.tenant_id, connection_id=loop.connection_id,
            minute=datetime.fromtimestamp(self.minute, UTC), cars_w=self.cars_w / self.seconds,
            building_w=self.building_w / self.seconds, solar_w=self.solar_w / self.seconds if self.sun else None,
            grid_w=(self.cars_w + self.building_w - self.solar_w) / self.seconds,
            most_w=self.most_w, limit_w=most, waiting=self.waiting,
        )  # fmt: skip


def _measured_building(loop: Loop, now: float) -> float:
    """W as the building's meters last told; what nobody measures counts as nothing."""
    return _power(loop, MeterKind.BUILDING, now) or 0.0


def keep_minute(row: SiteMinute) -> None:
    """Once: another owner may have kept this minute."""
    SiteMinute.objects.bulk_create([row], ignore_conflicts=True)

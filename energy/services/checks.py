"""Accepted is not obeyed: stations are asked what they keep to (GetCompositeSchedule), and held against the ledger.

Once for each session, and once an hour. A station that tells more than it may has its profile sent anew and is asked
again; if it tells more once more, it counts with what its hardware gives, and people are told (`Controller.disobeys`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from energy.services.loops import Loop
from stations import limits, schedules
from stations.models import CommandKind, CompositeTold
from stations.services import commands
from tenants.errors import DomainError

EVERY_S = 3600.0
STEADY_S = 30.0  # a limit has held for so long before its station is asked
AHEAD_S = 300
MARGIN_A = 0.6  # stations round
REFUSALS = 3  # then a station is not asked again for this session


@dataclass
class Asked:
    """Of a session: when its station was asked last, and how often it was wrong or silent since."""

    session_id: int
    at: float
    wrong: int = 0
    unanswered: int = 0
    open: bool = True


@dataclass
class Checks:
    """Of one site; by leaf."""

    asked: dict[int, Asked] = field(default_factory=dict)

    def ask(self, loop: Loop) -> None:
        """Ask one station whose turn it is: one at a time, for it is not urgent."""
        control, tree, now = loop.control, loop.tree, loop.clock()
        if control is None or tree is None:
            return
        for leaf, session in loop.sessions.items():
            last = self.asked.get(leaf)
            known = last is not None and last.session_id == session.id
            if not control.ledger.reachable[leaf] or now - control.changed_at[leaf] < STEADY_S:
                continue
            if (
                known
                and last is not None
                and (
                    last.unanswered >= REFUSALS or now - last.at < (STEADY_S if last.wrong == 1 else EVERY_S)
                )
            ):
                continue
            one = tree.wired[leaf]
            unit = schedules.WATTS if one.is_dc else schedules.AMPS
            try:
                commands.request_command(
                    tenant_id=loop.tenant_id, station_id=one.station_id, kind=CommandKind.READ_COMPOSITE,
                    arguments={"evse": one.number, "duration_s": AHEAD_S, "unit": unit},
                    actor=commands.LOAD_MANAGEMENT,
                )  # fmt: skip
            except DomainError:
                continue
            before = last if known else None
            self.asked[leaf] = Asked(
                session.id, now, before.wrong if before else 0,
                before.unanswered + before.open if before else 0,
            )  # fmt: skip
            return

    def hear(self, loop: Loop) -> None:
        """What they answered since they were asked."""
        control, tree = loop.control, loop.tree
        waiting = {leaf: one for leaf, one in self.asked.items() if one.open and leaf in loop.sessions}
        if control is None or tree is None or not waiting:
            return
        told = {
            (row.station_id, row.evse_number): row
            for row in CompositeTold.objects.filter(
                tenant_id=loop.tenant_id, station_id__in=[tree.wired[leaf].station_id for leaf in waiting]
            )
        }
        for leaf, asked in waiting.items():
            one = tree.wired[leaf]
            row = told.get((one.station_id, one.number))
            if row is None or row.told_at.timestamp() < asked.at:
                continue
            asked.open = False
            amps = _in_force(row)
            if amps is None:
                continue
            if row.unit == schedules.WATTS:
                amps /= one.volts
            over = amps - float(control.ledger.told(loop.clock())[leaf])
            if over <= MARGIN_A:
                asked.wrong = 0
                continue
            asked.wrong += 1
            if asked.wrong == 1:
                control.doubt(leaf, loop.clock())
            else:
                control.watch.condemn(leaf, amps, over, loop.clock())


def _in_force(row: CompositeTold) -> float | None:
    """What the station says that it keeps to at the moment of its answer."""
    passed = [
        period
        for period in limits.read_periods(row.periods)
        if row.starts_at + timedelta(seconds=period.start_s) <= max(row.told_at, row.starts_at)
    ]
    return passed[-1].limit if passed else None

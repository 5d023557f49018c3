"""On which of its lines each car draws, learned from what its station measures on each of them.

Nobody knows it before the car charges: until then it counts on all lines of its place. Readings every few seconds with
a clear current on some lines, and nothing on the others since the car came, say it after a while. From then on it
counts on these alone for as long as readings come: the first with any current elsewhere, two that are missing, another
car or a station that was away, and it counts on all again. So a mistake lasts no longer than it takes to be seen and
made good, some ten seconds, and `rises` bounds its height: a limit above all under which a car was seen is given to a
few at a time, until their next reading.

The number of phases is not told with the order: a station that cannot switch takes it and does nothing, so that its
word proves nothing, and one that can would hold a car to one line that could use three.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from energy.filling import TINY
from energy.grid import Bools, Floats, Grid

CLEAR_A = 4.0  # who charges takes 6 A or a little less (IEC 61851)
NOTHING_A = 0.25  # a meter's noise; what a car's filter takes on a line that it is connected to is more
SPAN_S = 20.0  # for so long readings have agreed
EVERY_S = 6.0  # between two of them; from stations that send less often nothing is learned
FRESH_S = 12.0  # one may be lost later on
TRIALS = 10  # one car of so many may try a limit under which it was not seen yet, and one in any case
PAUSE_S = 30.0  # after one of them took to other lines


@dataclass
class Lines:
    """Of one site. Lines of the supply x leaves, and leaves."""

    wired: Bools
    learns: Bools  # of a leaf with one line, or between two, there is nothing to learn
    drawn: Bools  # on which each counts: all that it is wired to, or those it was ever seen on
    seen: Bools  # on which its car was ever seen
    since: Floats  # so long readings are clear; inf: the newest was not
    read_at: Floats
    seen_a: Floats  # the highest limit under which it drew there and nowhere else
    again_at: float = -np.inf  # for trials

    @classmethod
    def of(cls, grid: Grid) -> Lines:
        wired, count = grid.wired, len(grid.leaves)
        learns = np.array([len(leaf.lines) > 1 and not leaf.between for leaf in grid.leaves], dtype=bool)
        never = np.full(count, np.inf)
        return cls(wired, learns, wired.copy(), np.zeros_like(wired), never, -never, np.zeros(count))

    def read(self, leaf: int, amps: Floats, at: float, *, offered: float | None = None) -> None:
        """What it draws at `at`, A on each line of the supply, each of them measured. `offered`: the limit that it
        has followed for a while; None: it may follow another one just now."""
        if not self.learns[leaf] or at <= self.read_at[leaf] or not np.all(np.isfinite(amps)):
            return
        passed, self.read_at[leaf] = at - self.read_at[leaf], at
        drawn = np.zeros(len(self.wired))
        drawn[: len(amps)] = np.abs(amps)  # an electrician may turn a transformer round
        flows = (drawn > NOTHING_A) & self.wired[:, leaf]
        if np.any(flows & ~self.drawn[:, leaf]):
            self.again_at = at + PAUSE_S
        if passed > FRESH_S or np.any(flows & ~self.seen[:, leaf]):
            self.doubt(leaf)
        self.seen[:, leaf] |= flows
        clear = flows.any() and np.all(drawn[flows] >= CLEAR_A)
        if not clear or passed > EVERY_S:
            self.since[leaf] = np.inf
        if not clear:
            return
        self.since[leaf] = min(at, self.since[leaf])
        if at - self.since[leaf] >= SPAN_S - TINY:
            self.drawn[:, leaf] = self.seen[:, leaf]
        if offered is not None:
            self.seen_a[leaf] = max(self.seen_a[leaf], offered)

    def doubt(self, leaf: int) -> None:
        """Nobody knows what its car did meanwhile: it counts on all lines until it is seen again for a while."""
        self.drawn[:, leaf] = self.wired[:, leaf]
        self.since[leaf], self.seen_a[leaf] = np.inf, 0.0

    def forget(self, leaf: int) -> None:
        """Another car."""
        self.doubt(leaf)
        self.seen[:, leaf] = False

    def counted(self, now: float, *, charges: Bools, gone: Bools) -> Bools:
        """Where each counts now. `charges`: a car is there, at a station that obeys; `gone`: it has left, and may have
        drawn until a moment ago."""
        known = (charges & (now - self.read_at <= FRESH_S)) | gone
        return np.where(known, self.drawn, self.wired)

    def ends(self) -> Floats:
        """When what is known of each is too old; -inf: nothing is known."""
        return np.where(np.any(self.drawn != self.wired, axis=0), self.read_at + FRESH_S, -np.inf)

    def rises(
        self, now: float, who: Bools, *, asked: Floats, target: Floats, rank: Floats, counted: Bools
    ) -> Floats:
        """The targets of who is to rise; of those that wait for others' trials what they were seen under."""
        fewer = np.any(counted != self.wired, axis=0)
        tries = fewer & (asked > self.seen_a + TINY)
        free = max(1, len(asked) // TRIALS) - int(tries.sum()) if now >= self.again_at else 0
        wants = np.flatnonzero(who & fewer & ~tries & (target > self.seen_a + TINY))
        waits = wants[np.argsort(-rank[wants], kind="stable")][max(0, free) :]
        found = target.copy()
        found[waits] = self.seen_a[waits]
        return found

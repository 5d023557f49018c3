"""What the building takes, as its meter tells: the highest of the last half minute, or its maximum if it is mute.

Where the only meter counts the cars too (`Draws`), what they surely draw is taken off its reading: by line, by the
newest reading of each car that is heard and obeys, and never more than it was granted. While a car follows a new limit
nobody knows what it draws: then the building is held to be what it was, as far as the meter allows. Such a meter that
tells exactly 0 A of a line on which cars are measured to draw is broken there, and counts as silent.

What flows out is believed of lines alone that surely tell the right way (energy.direction).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from energy import direction
from energy.grid import Bools, Floats, Leaf
from energy.ledger import Ledger

WINDOW_S = 30.0
SILENT_S = 5.0
FROZEN = 10  # samples in a row that are alike to the last bit: no load is so steady
FRESH_S = 90.0  # a car's reading that is older says nothing
MARGIN_A = 1.0  # by which a car that its limit holds may be below it
DRAWS_A = 3.0  # of cars on a line, that a meter must show: half of what one takes at least (IEC 61851-1)
DEAD_S = 120.0  # of 0 A until it must: longer than any car's reading is believed (FRESH_S) and clocks differ
FOLLOW_S = 20.0  # after a change of its limit, until a reading shows what a car makes of it


@dataclass
class Meter:
    """Of one node, A on each line (or W in total). `maximum`: counted while the meter cannot be trusted. `window_s`: at
    least the interval of the cars' readings where they are taken off."""

    maximum: Floats
    alike: int = 0
    alike_since: float = -np.inf  # the first of those that are alike
    last_at: float = -np.inf
    last: Floats | None = None
    recent: deque[tuple[float, Floats]] = field(default_factory=deque)
    window_s: float = WINDOW_S
    limit: Floats | None = None  # of its node, if it counts the cars too
    sure: Bools | None = (
        None  # lines that surely tell what is drawn as positive; None: it is believed as it is
    )
    zero_since: Floats = field(init=False)  # by line: the first of those that were exactly 0; inf: it is not
    dead: Bools = field(init=False)  # by line: it was 0 while cars drew there, and is 0 still

    def __post_init__(self) -> None:
        self.zero_since = np.full(len(self.maximum), np.inf)
        self.dead = np.zeros(len(self.maximum), dtype=bool)

    def take(
        self,
        load: Floats,
        at: float,
        *,
        cars: tuple[Floats, Floats] | None = None,
    ) -> None:
        """A sample; one from the past is dropped. Negative is what flows out (solar). Of a meter that counts the cars
        too: `cars`, the least and the most of it that is theirs."""
        if at <= self.last_at or not np.all(np.isfinite(load)):
            return
        same = self.last is not None and bool(np.array_equal(load, self.last)) and bool(np.any(load))
        self.alike = self.alike + 1 if same else 0
        self.alike_since = self.alike_since if same else at
        self.last, self.last_at = load, at
        self.zero_since = np.where(load == 0, np.minimum(self.zero_since, at), np.inf)
        self.recent.append((at, self._building(load, at, cars)))
        self._drop(at)

    def _building(self, load: Floats, at: float, cars: tuple[Floats, Floats] | None) -> Floats:
        """What of it is not the cars'."""
        least, most = (np.zeros_like(load), np.zeros_like(load)) if cars is None else cars
        if self.sure is not None:
            load = direction.believed(load, sure=self.sure, most=self.maximum + least)
        if cars is None:
            return load
        self.dead = (load == 0) & (self.dead | (least >= DRAWS_A) & (at - self.zero_since >= DEAD_S))
        return self._without(load, least, most)

    def _without(self, load: Floats, least: Floats, most: Floats) -> Floats:
        """What is left for the building: what it was, unless the meter says that it cannot be. Where the limit is
        passed already nothing is given to who might be drawing it: what is surely not theirs is the building's."""
        before = self.recent[-1][1] if self.recent else load - least
        kept = np.clip(before, load - most, load - least)
        return kept if self.limit is None else np.where(load > self.limit, load - least, kept)

    def believed(self) -> Floats | None:
        """The newest sample, as far as its direction is believed; None: it never told anything."""
        if self.last is None or self.sure is None:
            return self.last
        return direction.believed(self.last, sure=self.sure, most=self.maximum)

    def is_mute(self, now: float) -> bool:
        return now - self.last_at > SILENT_S or self.alike >= FROZEN or bool(self.dead.any())

    def mute_since(self, now: float) -> float:
        """Since when nothing new has been told; inf: it is not mute, -inf: it never told anything."""
        if not self.is_mute(now):
            return np.inf
        if self.dead.any():
            return float(self.zero_since[self.dead].min())
        return self.alike_since if self.alike >= FROZEN else self.last_at

    def load(self, now: float) -> Floats:
        """What to count at `now`."""
        if self.is_mute(now):
            return self.maximum
        self._drop(now)
        return np.max([load for _at, load in self.recent], axis=0)

    def least(self, now: float) -> Floats:
        """What surely flows at `now`, of a source such as the sun: the lowest of the window, nothing if it is mute."""
        if self.is_mute(now):
            return np.zeros_like(self.maximum)
        self._drop(now)
        return np.maximum(np.min([load for _at, load in self.recent], axis=0), 0.0)

    def _drop(self, now: float) -> None:
        """What is older than the window, but never the newest."""
        while len(self.recent) > 1 and self.recent[0][0] < now - self.window_s:
            self.recent.popleft()


@dataclass
class Draws:
    """What the cars below a meter draw, as their stations told: A, lines of the supply x leaves."""

    below: Bools  # lines x leaves: where each may draw; no line: it is not below this meter
    amps: Floats
    read_at: Floats
    limit: Floats  # of each, when it was read

    @classmethod
    def of(cls, leaves: tuple[Leaf, ...], lines: int = 3, *, below: Bools | None = None) -> Draws:
        """`below`: the leaves that the meter counts (default: all)."""
        there = np.array([[line in leaf.lines for leaf in leaves] for line in range(lines)], dtype=bool)
        there &= True if below is None else below
        return cls(there, np.zeros(there.shape), np.full(len(leaves), -np.inf), np.zeros(len(leaves)))

    def take(self, leaf: int, amps: Floats, at: float, *, limit: float = 0.0) -> None:
        """A reading of a car, A on each line of the supply, measured at `at` under this limit (the ledger's `told`; not
        known: it may have held the car)."""
        if at >= self.read_at[leaf] and np.all(np.isfinite(amps)):
            self.amps[:, leaf], self.read_at[leaf] = np.where(self.below[:, leaf], amps, 0.0), at
            self.limit[leaf] = limit

    def gone(self, leaf: int) -> None:
        """Another car, or none."""
        self.amps[:, leaf], self.read_at[leaf], self.limit[leaf] = 0.0, -np.inf, 0.0

    def bounds(self, now: float, ledger: Ledger, changed_at: Floats) -> tuple[Floats, Floats]:
        """The least and the most of the meter's reading that is theirs, A on each line. `changed_at`: when each car's
        limit was changed last. Whoever is not heard or does not obey may draw nothing: nothing of it is taken off."""
        trusted, told = ledger.reachable & ledger.plugged & ledger.obeys, ledger.told(now)
        fresh = trusted & (now - self.read_at <= FRESH_S)
        least = np.where(fresh, np.minimum(self.amps, told), 0.0)
        # Whoever drew less than its limit does not follow it, up or down.
        draw = self.amps.max(axis=0)
        bound = (draw >= self.limit - MARGIN_A) | (draw > told)
        follows = (
            trusted & bound & (self.read_at < changed_at + FOLLOW_S) & (now - changed_at < FOLLOW_S + FRESH_S)
        )
        might = np.where(self.below, told, 0.0)
        most = np.where(follows, np.maximum(might, least), least)
        return least.sum(axis=1), most.sum(axis=1)

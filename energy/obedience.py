"""Who keeps to the limits: accepted is not obeyed, so each reading is held against what may have been in force.

A reading is of a moment before it arrives; it is compared with the highest limit that may have been in force since the
reading before. One that is above makes the station a suspect (its profile is sent anew, for it may have lost it); a
second one, later than a car needs to follow, says that it disobeys: the ledger counts it at its hardware limit, and it
is told to pause until it does. It is believed again after some minutes within limits that it went beyond before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from energy.filling import TINY
from energy.grid import Bools, Floats
from energy.ledger import SETTLE_S, Ledger

FORGIVE_S = 300.0
REMIND_S = 60.0  # between two orders to pause, at least


@dataclass(frozen=True, slots=True)
class Disobedience:
    """Seconds of the clock; `over_a`: above its limit, newest; `draws_a`: the most it took so."""

    leaf: int
    since: float
    over_a: float
    draws_a: float


@dataclass
class Watch:
    """Of one site's leaves. `margin_a`: by which a car may be above its limit (pilots and meters are not exact)."""

    ledger: Ledger
    margin_a: float
    ceiling: Floats  # the highest limit that may have been in force since the last reading
    over_since: Floats  # inf: it keeps to its limits
    over_a: Floats
    draws_a: Floats
    kept_since: Floats
    reminded_at: Floats

    @classmethod
    def of(cls, ledger: Ledger, margin_a: float) -> Watch:
        count = len(ledger.default)
        zero, never = (lambda: np.zeros(count)), (lambda: np.full(count, np.inf))
        return cls(ledger, margin_a, zero(), never(), zero(), zero(), never(), -never())

    def allow(self, told: Floats) -> None:
        """These limits may be in force now (the ledger's `told`)."""
        np.maximum(self.ceiling, told, out=self.ceiling)

    def begin(self, leaf: int, now: float) -> None:
        """Another session: what the last one was suspected of is forgotten, what was found out is not."""
        self.ceiling[leaf] = self.ledger.told(now)[leaf]
        if self.ledger.obeys[leaf]:
            self.forgive(leaf)

    def see(self, leaf: int, amps: float, now: float) -> bool:
        """A reading of a plugged-in car. Whether it is the first above what may be in force."""
        told = float(self.ledger.told(now)[leaf])
        limit = max(float(self.ceiling[leaf]), told)
        self.ceiling[leaf] = told
        if amps > limit + self.margin_a:
            return self._above(leaf, amps, amps - limit, now)
        self._within(leaf, limit, now)
        return False

    def _above(self, leaf: int, amps: float, over_a: float, now: float) -> bool:
        first = not np.isfinite(self.over_since[leaf])
        if first:
            self.over_since[leaf] = now
        elif now - self.over_since[leaf] > SETTLE_S - TINY:
            self.ledger.obeys[leaf] = False
        self.over_a[leaf], self.draws_a[leaf] = over_a, max(amps, self.draws_a[leaf])
        self.kept_since[leaf] = np.inf
        return bool(first)

    def condemn(self, leaf: int, amps: float, over_a: float, now: float) -> None:
        """It says itself that it keeps to another limit, so many A above what may be in force."""
        self.over_since[leaf] = min(self.over_since[leaf], now)
        self.ledger.obeys[leaf] = False
        self.over_a[leaf], self.draws_a[leaf] = over_a, max(amps, self.draws_a[leaf])
        self.kept_since[leaf] = np.inf

    def _within(self, leaf: int, limit: float, now: float) -> None:
        if self.ledger.obeys[leaf]:
            self.forgive(leaf)
        elif limit + self.margin_a < self.draws_a[leaf]:  # else it says nothing: it never took as much
            self.kept_since[leaf] = min(self.kept_since[leaf], now)
            if now - self.kept_since[leaf] >= FORGIVE_S:
                self.forgive(leaf)

    def to_pause(self, now: float, asked: Floats, until: Floats, early_s: float) -> Bools:
        """Who is to be told (again) to pause: a profile of 0 A is not asked of it, or ends within `early_s`."""
        ledger = self.ledger
        who = ~ledger.obeys & ledger.plugged & ledger.reachable & (now - self.reminded_at >= REMIND_S)
        who &= (asked > TINY) | (until - now < early_s)
        self.reminded_at[who] = now
        return who

    def forgive(self, leaf: int) -> None:
        """It is believed again: by its readings, or by somebody who mended it."""
        self.ledger.obeys[leaf] = True
        self.over_since[leaf], self.kept_since[leaf] = np.inf, np.inf
        self.over_a[leaf], self.draws_a[leaf] = 0.0, 0.0

    def disobeys(self) -> list[Disobedience]:
        """Who is counted at the hardware limit for it."""
        return [
            Disobedience(int(n), float(self.over_since[n]), float(self.over_a[n]), float(self.draws_a[n]))
            for n in np.flatnonzero(~self.ledger.obeys)
        ]

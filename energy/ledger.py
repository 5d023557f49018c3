"""The commitment ledger: for every connector the highest limit that may be in force, now and if we fall silent.

What we wish is one thing, what a station may be doing is another: a profile that was sent may be in force before its
answer arrives, one that timed out may be in force without, one that was replaced is drawn on for some seconds more
(IEC 61851-1: a car has 5 s to follow), one that expires gives way to the default, an unreachable station may have lost
all of them. The ledger counts the highest of what may be. Raises are granted only from what it leaves (`grant`), so no
order of losses and delays over-commits a node. Times are seconds of one clock; amounts A of pilot.

Dead man: profiles above the default (high ones) end soon, those below it (a pause is 0 A) outlive them. If we fall
silent, the high ones are gone before the first low one ends, and what is left are the defaults, which fit beside the
building's maximum (`defaults_fit`). A high one may last as long as a low one where it fits beside them as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from energy.filling import TINY, fill, fitting, in_order
from energy.grid import Bools, Floats, Grid

Where = NDArray[np.intp] | int
ALL = slice(None)
SETTLE_S = 6.0  # after its acknowledgement, until a lower limit is seen in the current: IEC 61851-1 gives the car 5 s
SKEW_S = 15.0  # by which a station's clock may be off: an expiry is earlier and later than told
NEVER = np.inf
SLOTS = 4  # of unanswered profiles told apart; more count as one that is as high and as long as any of them


@dataclass
class Ledger:
    """Of one site. Build it with `of`; after a restart fill `held` and what is open from the rows."""

    grid: Grid  # with the lines that cars are known to draw on
    wired: Grid  # with all lines: what lasts while nobody looks fits even so
    default: Floats  # what a session falls to when its profile ends; the hardware's most until the station took one
    delay: Floats  # s from a session's start in which the default gives 0 A (a relative default profile); 0: at once
    plugged: Bools
    reachable: Bools
    obeys: Bools
    held: Floats  # acknowledged last
    held_until: Floats
    flight: Floats  # sent and not answered yet
    flight_until: Floats
    stray: Floats  # sent and never answered, in force or not: SLOTS x leaves
    stray_until: Floats
    fading: Floats  # was in force a moment ago
    fading_until: Floats

    @classmethod
    def of(cls, grid: Grid, *, default: Floats, delay: Floats | None = None) -> Ledger:
        """Nothing plugged in, every station unreachable: it counts until it is heard of."""
        count = len(grid.leaves)
        zero, gone = lambda: np.zeros(count), lambda: np.full(count, -NEVER)
        no = lambda: np.zeros(count, dtype=bool)  # noqa: E731
        return cls(
            grid=grid, wired=grid, default=default.astype(float),
            delay=zero() if delay is None else delay.astype(float),
            plugged=no(), reachable=no(), obeys=~no(), held=default.astype(float), held_until=gone(),
            flight=zero(), flight_until=gone(), fading=zero(), fading_until=gone(),
            stray=np.zeros((SLOTS, count)), stray_until=np.full((SLOTS, count), -NEVER),
        )  # fmt: skip

    # --- what may be in force ---

    def granted(self, now: float, leaf: Where | slice = ALL) -> Floats:
        """The limit that each connector (or one) surely has: acknowledged and not over, else its default."""
        return np.where(now < self.held_until[leaf] - SKEW_S, self.held[leaf], self.default[leaf])

    def in_force(self, now: float, at: float | None = None) -> Floats:
        """The most that each connector may take at `at` (default: now) if no further message goes either way."""
        return np.where(self.obeys | self._idle, self.told(now, at), self.grid.max_a)

    def told(self, now: float, at: float | None = None) -> Floats:
        """The same of a station that obeys: the highest limit that may be in force."""
        at = now if at is None else at
        limit = np.where(at < self.held_until + SKEW_S, self.held, 0.0)
        limit = np.maximum(limit, np.where(at >= self.held_until - SKEW_S, self.default, 0.0))
        fading = np.where(at < self.fading_until, self.fading, 0.0)
        limit = np.maximum(self._with_open(limit, at), fading)
        limit = np.where(self._idle, fading, limit)
        return np.where(self.reachable, limit, np.maximum(limit, self.default))

    @property
    def _idle(self) -> Bools:
        """Nobody plugged in at a station that we hear draws nothing; whoever plugs in waits for us if the default
        waits, and who does not obey counts from then on."""
        return self.reachable & ~self.plugged & (self.delay > 0)

    def _with_open(self, limit: Floats, at: float) -> Floats:
        """With what was sent and is not settled: it may rule, and once it has ended the default in its stead."""
        for amps, until in self._open():
            limit = np.maximum(limit, np.where(at < until + SKEW_S, amps, 0.0))
            ended = (until > -NEVER) & (at >= until - SKEW_S)
            limit = np.maximum(limit, np.where(ended, self.default, 0.0))
        return limit

    def _open(self) -> list[tuple[Floats, Floats]]:
        """What was sent and is not settled, without what nobody has."""
        some = [(self.flight, self.flight_until)] if self.flight_until.max(initial=-NEVER) > -NEVER else []
        if self.stray_until.max(initial=-NEVER) > -NEVER:
            slots = zip(self.stray, self.stray_until, strict=True)
            some += [(amps, until) for amps, until in slots if until.max(initial=-NEVER) > -NEVER]
        return some

    def committed(self, now: float, high_until: float) -> Floats:
        """The most of each connector from now until the high profiles that are sent now are over, if we fall silent:
        what raises must leave room for."""
        end = high_until + SKEW_S
        rises = np.zeros(len(self.default), dtype=bool)
        for _amps, until in ((self.held, self.held_until), *self._open()):
            rises |= self.plugged & (until > -NEVER) & (until - SKEW_S < end)
        return np.maximum(self.in_force(now), np.where(rises, self.default, 0.0))

    def may_last(self, now: float, *, amps: Floats, who: Bools, limits: Floats, high_until: float) -> Bools:
        """Who of them may have a long profile of so many A: those with whom all fits once the short ones are over.
        `limits`: less the building's maximum."""
        if not who.any():
            return who
        later = np.maximum(self.in_force(now, high_until + SKEW_S), self.default)
        more = np.maximum(amps - later, 0.0)
        order = in_order(who, more)
        if (self.wired.excess(later, limits) > TINY).any():
            return who & (more <= 0)
        return who & fitting(self.wired, later, more=more, order=order, limits=limits)

    def worst(self, now: float) -> Floats:
        """Each row's highest load at any later moment if we fall silent now. For tests and for the page."""
        ends = np.concatenate([self.held_until, *(until for _amps, until in self._open())])
        turns = np.concatenate([ends - SKEW_S, ends + SKEW_S, self.fading_until])
        moments = [now, *np.unique(turns[np.isfinite(turns) & (turns > now)])]
        loads = [self.grid.loads(self.in_force(now, float(at))) for at in moments]
        return np.max(loads, axis=0)

    def grant(self, now: float, *, wish: Floats, weight: Floats, limits: Floats, high_until: float) -> Floats:
        """How far each connector may be raised now: up to `wish`, from what nobody may be using."""
        taken = self.committed(now, high_until)
        pilots, _binding = fill(
            self.grid, base=taken, upper=np.maximum(taken, wish), weight=weight, limits=limits
        )
        # Behind a full row even the default that comes by itself later is no reason to give it now; nor is what merely
        # may be drawn, such as the default of who was held to be unreachable until a moment ago.
        surely = np.minimum(self.in_force(now), self.granted(now))
        return np.minimum(np.where(self._beside_full(taken, limits), surely, pilots), wish)

    def may_go_on(self, now: float, *, limits: Floats, high_until: float) -> Bools:
        """Whose high profile may be sent anew as it is: those without a row that could be over before it ends."""
        return ~self._beside_full(self.committed(now, high_until), limits)

    def _beside_full(self, pilots: Floats, limits: Floats) -> Bools:
        """Leaves in a row that these pilots are over."""
        full = self.grid.excess(pilots, limits) > 1e-6
        found = np.zeros(len(pilots), dtype=bool)
        if full.any():
            found[self.grid.leaf_of[full[self.grid.row_of]]] = True
        return found

    # --- what happens ---

    def started(self, leaf: Where, now: float) -> None:
        """A session begins: the default rules, after its delay."""
        self._fade(leaf, now)
        self.plugged[leaf] = True
        self.held[leaf] = 0.0
        self.held_until[leaf] = np.where(self.delay[leaf] > 0, now + self.delay[leaf], -NEVER)
        self._forget_open(leaf)

    def ended(self, leaf: Where, now: float) -> None:
        """A session is over, and its profile with it."""
        self._fade(leaf, now)
        self.plugged[leaf] = False
        self.held[leaf], self.held_until[leaf] = 0.0, -NEVER
        self._forget_open(leaf)

    def sent(self, leaf: int, now: float, amps: float, until: float) -> None:
        """A profile is on its way. One that was under way already is as good as lost."""
        self.lost(leaf, now)
        self.flight[leaf], self.flight_until[leaf] = amps, until

    def lost(self, leaf: Where, now: float) -> None:
        """No answer came: what was sent may be in force or not."""
        for one in np.atleast_1d(leaf):
            self._stray(int(one), now, self.flight[one], self.flight_until[one])
        self.flight[leaf], self.flight_until[leaf] = 0.0, -NEVER

    def accepted(self, leaf: Where, now: float) -> None:
        """The station took what was sent last, and with it, in order, everything before."""
        amps, until = self.flight[leaf], self.flight_until[leaf]
        self._fade(leaf, now)
        self.held[leaf], self.held_until[leaf] = amps, until
        self._forget_open(leaf)

    def refused(self, leaf: Where) -> None:
        """The station did not take it: all stays."""
        self.flight[leaf], self.flight_until[leaf] = 0.0, -NEVER

    def taken_away(self, leaf: int, now: float) -> None:
        """The profile that it held is gone."""
        self._fade(leaf, now)
        self.held[leaf], self.held_until[leaf] = 0.0, -NEVER

    def away(self, leaf: Where, now: float) -> None:
        """The station is not reachable: it may restart, and cars may come."""
        self.lost(leaf, now)
        self.reachable[leaf] = False

    def back(self, leaf: Where, now: float, *, rebooted: bool) -> None:
        """It is heard again. After a restart the profile may be kept or gone."""
        self._fade(leaf, now)
        self.reachable[leaf] = True
        if rebooted:
            for one in np.atleast_1d(leaf):
                self._stray(int(one), now, self.held[one], self.held_until[one])
            self.held[leaf], self.held_until[leaf] = 0.0, -NEVER

    def took_default(self, leaf: Where, amps: float | Floats, delay: float | Floats = 0.0) -> None:
        """The station holds this default profile."""
        self.default[leaf], self.delay[leaf] = amps, delay

    def _fade(self, leaf: Where, now: float) -> None:
        """What may be in force now may be drawn for a moment more."""
        self.fading[leaf] = self.in_force(now)[leaf]
        self.fading_until[leaf] = now + SETTLE_S

    def _forget_open(self, leaf: Where) -> None:
        self.flight[leaf], self.flight_until[leaf] = 0.0, -NEVER
        self.stray[:, leaf], self.stray_until[:, leaf] = 0.0, -NEVER

    def _stray(self, leaf: int, now: float, amps: float, until: float) -> None:
        """This may be in force too. What has ended since leaves its default behind, and that alone."""
        if until == -NEVER:
            return
        told = zip(self.stray[:, leaf], self.stray_until[:, leaf], strict=True)
        known = [(0.0 if end + SKEW_S <= now else a, end) for a, end in told if end > -NEVER]
        kept: list[tuple[float, float]] = []
        for one in sorted([*known, (amps, until)], reverse=True):  # the highest first
            if not kept or one[1] > max(end for _amps, end in kept):
                kept.append(one)
        ended = [one for one in known if one[1] + SKEW_S <= now][:1]
        kept += [one for one in ended if one not in kept]
        while len(kept) > SLOTS:
            (first, _end), (_second, later) = kept[0], kept[1]
            kept[:2] = [(first, later)]
        self.stray[:, leaf], self.stray_until[:, leaf] = 0.0, -NEVER
        for slot, (height, end) in enumerate(kept):
            self.stray[slot, leaf], self.stray_until[slot, leaf] = height, end


def defaults_fit(grid: Grid, default: Floats, building: Floats) -> Floats:
    """By how much each row is over its limit when every connector takes its default and the building its maximum; what
    is above 0 trips the breaker on the day on which we fall silent."""
    return grid.excess(default, grid.limits - building)


def defaults(
    grid: Grid, building: Floats, *, floor: Floats | None = None, cap: Floats | float | None = None
) -> Floats:
    """The default for each connector, A, so that all of them and the building's maximum fit: as many as can have the
    minimum (or `floor`) have it, 0 A elsewhere. With `cap` those have that much who fit with it, and then need hardly a
    message; but nobody is filled up beside a row that could not give it to all: that would take the room in which
    profiles last, and cost more messages than it saves (docs/performance.md).

    Who needs least of the scarcest row goes first: one phase before three, the empty panel before the full one.
    """
    least = np.minimum(grid.min_a if floor is None else floor, grid.max_a)
    room = np.maximum(grid.limits - building, 0.0)
    everyone = np.ones(len(least), dtype=bool)
    order = in_order(everyone, _share(grid, least, room))
    chosen = fitting(grid, np.zeros(len(least)), more=least, order=order, limits=room)
    base = np.where(chosen, least, 0.0)
    if cap is None:
        return base
    most = np.clip(np.floor(cap / grid.step_a + TINY) * grid.step_a, least, grid.max_a)
    tight = grid.excess(most, room) > TINY
    beside = np.zeros(len(base), dtype=bool)
    beside[grid.leaf_of[tight[grid.row_of]]] = True
    filled = np.where(beside, base, most)
    return (
        base if np.any(grid.excess(filled, room) > TINY) else filled
    )  # behind a delta transformer less may be more


def _share(grid: Grid, amps: Floats, room: Floats) -> Floats:
    """For each leaf how much of its rows it would take: the sum of its parts of what all below that row ask for."""
    asked = grid.loads(amps)
    scarce = np.divide(asked, room, out=np.full(len(room), NEVER), where=room > TINY)
    parts = np.abs(grid.coefficients) * amps[grid.leaf_of] / np.maximum(room, TINY)[grid.row_of]
    share = np.zeros(len(amps))
    np.add.at(
        share, grid.leaf_of, np.where(scarce[grid.row_of] > 1.0, parts, 0.0)
    )  # what is no bottleneck is free
    return share

"""The ledger against stations that lose, delay, refuse, expire early and late, restart and fall silent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from energy.grid import Grid, Leaf, Node
from energy.ledger import SETTLE_S, SKEW_S, Ledger, defaults_fit

pytestmark = pytest.mark.nodb
COUNT, HIGH_S, LOW_S = 5, 120.0, 600.0
LEAVES = st.integers(0, COUNT - 1)


@dataclass
class Socket:
    """What a station does at one place; it never sees the ledger."""

    default: float
    delay: float
    skew: float
    car: bool = False
    plugged_at: float = 0.0
    profile: float | None = None
    until: float = 0.0

    def limit(self, now: float) -> float:
        if not self.car:
            return 0.0
        if self.profile is not None and now < self.until + self.skew:
            return self.profile
        return self.default if now >= self.plugged_at + self.delay else 0.0


# --- one rule at a time ---


def _two(default: float = 6.0) -> Ledger:
    """Two places below 32 A, both heard and plugged in long ago, at their default."""
    grid = Grid.of([Node("main", None, (32.0,) * 3)], [Leaf("a", "main"), Leaf("b", "main")])
    ledger = Ledger.of(grid, default=np.full(2, default), delay=np.full(2, HIGH_S + 2 * SKEW_S))
    both = np.array([0, 1])
    ledger.back(both, 0.0, rebooted=True)
    ledger.started(both, 0.0)
    return ledger


def _has(ledger: Ledger, leaf: int, now: float, amps: float, until: float) -> None:
    ledger.sent(leaf, now, amps, until)
    ledger.accepted(leaf, now)


def test_what_was_sent_counts_before_its_answer_and_what_was_is_drawn_for_a_while() -> None:
    ledger = _two()
    _has(ledger, 0, 1000, 16, 1120)
    ledger.sent(0, 1010, 20, 1130)
    assert ledger.in_force(1010)[0] == 20
    ledger.accepted(0, 1011)
    ledger.sent(0, 1020, 6, 1140)
    assert ledger.in_force(1020)[0] == 20, "a lower one counts only once it is taken"
    ledger.accepted(0, 1021)
    assert ledger.in_force(1021 + SETTLE_S - 0.1)[0] == 20
    assert ledger.in_force(1021 + SETTLE_S)[0] == 6


def test_one_without_an_answer_counts_until_its_end_by_any_clock_and_then_as_the_default() -> None:
    ledger = _two()
    _has(ledger, 0, 1000, 0, 1600)
    ledger.sent(0, 1010, 16, 1130)
    ledger.lost(0, 1040)
    assert ledger.in_force(1130 + SKEW_S - 0.1)[0] == 16
    assert ledger.in_force(1130 + SKEW_S)[0] == 6, "it may have taken the place of the pause"
    _has(ledger, 0, 1200, 0, 1800)
    assert ledger.in_force(1210)[0] == 0, "a later answer settles all before it"


def test_a_refused_one_leaves_all_as_it_was() -> None:
    ledger = _two()
    _has(ledger, 0, 1000, 10, 1120)
    ledger.sent(0, 1010, 16, 1130)
    ledger.refused(0)
    assert ledger.in_force(1020)[0] == 10


def test_an_end_is_earlier_and_later_than_told() -> None:
    ledger = _two()
    _has(ledger, 0, 1000, 0, 1600)
    _has(ledger, 1, 1000, 16, 1120)
    assert ledger.in_force(1600 - SKEW_S)[0] == 6 and ledger.in_force(1600 - SKEW_S - 0.1)[0] == 0
    assert ledger.in_force(1120 + SKEW_S - 0.1)[1] == 16 and ledger.in_force(1120 + SKEW_S)[1] == 6


def test_who_is_not_heard_counts_with_the_default_and_who_is_not_there_waits() -> None:
    ledger = _two()
    ledger.ended(np.array([0, 1]), 1000)
    assert ledger.in_force(1010).tolist() == [0, 0], "whoever comes waits for us"
    ledger.away(0, 1020)
    assert ledger.in_force(1020).tolist() == [6, 0]
    ledger.back(0, 1030, rebooted=False)
    ledger.started(0, 1030)
    assert ledger.in_force(1040)[0] == 0 and ledger.in_force(1030 + HIGH_S + SKEW_S)[0] == 6


def test_a_restart_keeps_the_profile_or_not() -> None:
    ledger = _two()
    for leaf, amps in ((0, 0.0), (1, 16.0)):
        _has(ledger, leaf, 1000, amps, 1120)
    both = np.array([0, 1])
    ledger.away(both, 1010)
    ledger.back(both, 1050, rebooted=True)
    assert ledger.in_force(1060).tolist() == [6, 16]


def test_who_does_not_obey_counts_with_the_hardware() -> None:
    ledger = _two()
    ledger.obeys[1] = False
    assert ledger.in_force(1000).tolist() == [6, 32]


def test_a_raise_takes_what_is_free_and_leaves_room_for_a_pause_that_ends() -> None:
    ledger = _two()
    _has(ledger, 0, 1000, 0, 1110)  # paused, for less long than the raise would last
    wish = np.array([0.0, 32.0])
    asked = {"wish": wish, "weight": np.ones(2), "limits": ledger.grid.limits}
    assert ledger.grant(1010, high_until=1130, **asked)[1] == pytest.approx(26)
    _has(ledger, 0, 1010, 0, 1600)
    assert ledger.grant(1010, high_until=1130, **asked)[1] == pytest.approx(32)
    ledger.sent(0, 1020, 0, 1130)
    ledger.lost(0, 1050)  # it may have taken the place of the long one
    assert ledger.grant(1060, high_until=1180, **asked)[1] == pytest.approx(26)


def test_a_high_profile_goes_on_only_beside_pauses_that_outlive_it() -> None:
    ledger = _two()
    _has(ledger, 0, 1000, 0, 1150)
    _has(ledger, 1, 1000, 30, 1120)
    limits = ledger.grid.limits
    assert ledger.may_go_on(1010, limits=limits, high_until=1119)[1]
    assert not ledger.may_go_on(1010, limits=limits, high_until=1130)[1]
    assert np.all(ledger.worst(1010) <= limits)


def test_a_high_profile_lasts_where_it_fits_beside_all_defaults() -> None:
    ledger = _two()

    def lasts(*amps: float) -> list[bool]:
        return ledger.may_last(
            1000, amps=np.array(amps), who=np.array([True, True]), limits=ledger.grid.limits - 4.0, high_until=1120
        ).tolist()  # fmt: skip

    assert lasts(14, 14) == [True, True]
    assert lasts(20, 16) == [False, True], "one of both"
    _has(ledger, 0, 1000, 16, 1600)
    assert lasts(0, 16) == [True, False]


class Faults(RuleBasedStateMachine):
    """Any order of events. Held after each: the ledger counts what is in force, and nothing is over-committed, now or
    at any later moment if everything falls silent."""

    @initialize(
        main=st.sampled_from([20.0, 32.0, 63.0]), panel=st.sampled_from([16.0, 40.0]), delays=st.booleans(),
        skews=st.lists(st.sampled_from([-14.9, 0.0, 14.9]), min_size=COUNT, max_size=COUNT),
    )  # fmt: skip
    def begin(self, main: float, panel: float, delays: bool, skews: list[float]) -> None:
        self.set_up(main, panel, delays, skews)

    def set_up(self, main: float, panel: float, delays: bool, skews: list[float]) -> None:
        nodes = [Node("main", None, (main,) * 3), Node("panel", "main", (panel,) * 3)]
        places = [
            Leaf(f"c{n}", "panel" if n < 3 else "main", (0, 1, 2) if n % 2 else (0,)) for n in range(COUNT)
        ]
        self.grid, self.now = Grid.of(nodes, places), 1000.0
        default = np.zeros(COUNT)
        for leaf in range(COUNT):
            default[leaf] = 6.0
            if np.any(defaults_fit(self.grid, default, np.zeros(len(self.grid.rows))) > 0):
                default[leaf] = 0.0
        delay = HIGH_S + 2 * SKEW_S if delays else 0.0
        self.ledger = Ledger.of(self.grid, default=default, delay=np.full(COUNT, delay))
        self.sockets = [Socket(float(default[n]), delay, skews[n]) for n in range(COUNT)]
        self.flying: dict[int, tuple[float, float]] = {}
        for leaf in range(COUNT):
            self.ledger.back(leaf, self.now, rebooted=True)
        self.now += SETTLE_S + 1

    @rule(seconds=st.sampled_from([0.5, 7.0, 31.0, 100.0, 110.0, 125.0, 140.0, 600.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(leaf=LEAVES)
    def car_comes_or_goes(self, leaf: int) -> None:
        socket = self.sockets[leaf]
        if not self.ledger.reachable[leaf]:
            return  # told when it is heard again: see back
        if socket.car:
            socket.car = False
            self.ledger.ended(leaf, self.now)
        else:
            socket.car, socket.plugged_at, socket.profile = True, self.now, None
            self.ledger.started(leaf, self.now)
        self.flying.pop(leaf, None)

    @rule(leaf=LEAVES, wish=st.sampled_from([6.0, 10.0, 16.0, 32.0]))
    def raise_one(self, leaf: int, wish: float) -> None:
        if not (self.ledger.plugged[leaf] and self.ledger.reachable[leaf]):
            return
        wishes = np.zeros(COUNT)
        wishes[leaf] = wish
        until = self.now + HIGH_S
        granted = self.ledger.grant(
            self.now, wish=wishes, weight=np.ones(COUNT), limits=self.grid.limits, high_until=until
        )
        before = self.ledger.in_force(self.now)[leaf]
        again = granted[leaf] <= before
        if again and not self.ledger.may_go_on(self.now, limits=self.grid.limits, high_until=until)[leaf]:
            return
        if granted[leaf] >= 6.0:
            lasts = self.ledger.may_last(
                self.now, amps=granted, who=wishes > 0, limits=self.grid.limits, high_until=until
            )
            self._send(leaf, float(granted[leaf]), self.now + LOW_S if lasts[leaf] else until)

    @rule(leaf=LEAVES, amps=st.sampled_from([0.0, 6.0, 8.0]))
    def lower_one(self, leaf: int, amps: float) -> None:
        ledger = self.ledger
        if not (ledger.plugged[leaf] and ledger.reachable[leaf]) or amps > ledger.in_force(self.now)[leaf]:
            return
        high = amps > ledger.default[leaf]
        until = self.now + (HIGH_S if high else LOW_S)
        if high and not ledger.may_go_on(self.now, limits=self.grid.limits, high_until=until)[leaf]:
            return
        self._send(leaf, amps, until)

    def _send(self, leaf: int, amps: float, until: float) -> None:
        self.ledger.sent(leaf, self.now, amps, until)
        self.flying[leaf] = (amps, until)

    @precondition(lambda self: self.flying)
    @rule(fate=st.sampled_from(["accepted", "refused", "answer lost", "call lost"]), data=st.data())
    def arrives(self, fate: str, data: st.DataObject) -> None:
        leaf = data.draw(st.sampled_from(sorted(self.flying)))
        amps, until = self.flying.pop(leaf)
        socket = self.sockets[leaf]
        if fate in ("accepted", "answer lost"):
            socket.profile, socket.until = amps, until
        if fate == "accepted":
            self.ledger.accepted(leaf, self.now)
        elif fate == "refused":
            self.ledger.refused(leaf)
        else:
            self.ledger.lost(leaf, self.now)

    @rule(
        leaf=LEAVES, restarts=st.booleans(), keeps=st.booleans(), seconds=st.sampled_from([1.0, 60.0, 400.0])
    )
    def goes_and_comes_back(self, leaf: int, restarts: bool, keeps: bool, seconds: float) -> None:
        self.flying.pop(leaf, None)
        self.ledger.away(leaf, self.now)
        if restarts and not keeps:
            self.sockets[leaf].profile = None
        self.counted()
        self.now += seconds
        self.counted()
        self.ledger.back(leaf, self.now, rebooted=restarts)

    @invariant()
    def counted(self) -> None:
        """The ledger counts at least what is in force."""
        if not hasattr(self, "ledger"):
            return
        in_force = self.ledger.in_force(self.now)
        for leaf, socket in enumerate(self.sockets):
            assert socket.limit(self.now) <= in_force[leaf] + 1e-6, f"{leaf}: more than the ledger says"


class Steered(Faults):
    """While every station is heard and nobody starts unasked: no raise over-commits, now or after a silence."""

    goes_and_comes_back = None  # type: ignore[assignment]

    @initialize(
        main=st.sampled_from([20.0, 32.0, 63.0]), panel=st.sampled_from([16.0, 40.0]),
        skews=st.lists(st.sampled_from([-14.9, 0.0, 14.9]), min_size=COUNT, max_size=COUNT),
    )  # fmt: skip
    def begin(self, main: float, panel: float, skews: list[float]) -> None:
        self.set_up(main, panel, True, skews)

    @invariant()
    def never_over(self) -> None:
        if not hasattr(self, "ledger"):
            return
        assert np.all(self.grid.excess(self.ledger.in_force(self.now)) <= 1e-6), "over-committed now"
        assert np.all(self.ledger.worst(self.now) <= self.grid.limits + 1e-6), (
            "over-committed if we fall silent"
        )


TestFaults = Faults.TestCase
TestFaults.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestSteered = Steered.TestCase
TestSteered.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)

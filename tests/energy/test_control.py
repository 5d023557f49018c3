"""The fast loop: who gets how much, when orders go out, and what happens when stations do not answer."""

from __future__ import annotations

import numpy as np
import pytest

from energy.control import LOWER, RAISE, Controller, Order, Policy
from energy.grid import Grid, Leaf, Node
from energy.ledger import SETTLE_S, Ledger

pytestmark = pytest.mark.nodb
POLICY = Policy()


class Garage:
    """Places below one breaker, each a station of its own that takes what it is told unless it is mute."""

    def __init__(self, count: int, main: float, default: float = 0.0, most: float = 32.0) -> None:
        self.grid = Grid.of(
            [Node("main", None, (main,) * 3)], [Leaf(f"c{n}", "main", max_a=most) for n in range(count)]
        )
        ledger = Ledger.of(self.grid, default=np.full(count, default), delay=np.full(count, POLICY.delay_s))
        self.control = Controller(self.grid, ledger, np.arange(count), np.zeros(3), POLICY)
        self.now, self.room, self.sent = 1000.0, self.grid.limits.copy(), list[Order]()
        self.mute: set[int] = set()
        for station in range(count):
            self.control.back(station, self.now, rebooted=True)
        self.now += SETTLE_S + 1

    def tick(self) -> list[Order]:
        orders = self.control.tick(self.now, self.room)
        self.sent += orders
        for order in orders:
            if order.leaf not in self.mute:
                self.control.answered(order.number, self.now, accepted=True)
        return orders

    def run(self, seconds: float, draws: dict[int, float] | None = None) -> None:
        """A tick each second, a reading of each car each minute: what it is allowed, or at most as given."""
        end = self.now + seconds
        while self.now < end:
            self.now += 1.0
            if self.now % 60 == 0:
                for leaf in np.flatnonzero(self.control.ledger.plugged):
                    amps = min(self.held[leaf], (draws or {}).get(int(leaf), 32.0))
                    self.control.reading(int(leaf), float(amps), self.now)
            self.tick()

    @property
    def held(self) -> list[float]:
        return [float(amps) for amps in self.control.ledger.held]

    def plug(self, *leaves: int, **needs: float) -> None:
        for leaf in leaves:
            self.control.plug(leaf, self.now, **needs)


def test_one_car_gets_all_that_it_can_take_in_one_order() -> None:
    garage = Garage(3, 63)
    garage.plug(0)
    (order,) = garage.tick()
    assert (order.leaf, order.amps, order.why) == (0, 32.0, RAISE)
    garage.run(20)
    assert len(garage.sent) == 1


def test_a_second_car_gets_its_share_once_the_first_has_given_it_up() -> None:
    garage = Garage(2, 40)
    garage.plug(0)
    garage.run(30)
    garage.plug(1)
    lowered, raised = garage.tick()
    assert (lowered.leaf, lowered.amps, lowered.why, lowered.urgent) == (0, 20, LOWER, True)
    assert (raised.leaf, raised.amps) == (1, 8), "what was free"
    garage.now += SETTLE_S - 0.5
    assert garage.tick() == [], "the first may still draw what it had"
    garage.run(SETTLE_S + 2)
    assert garage.held == [20.0, 20.0]


def test_a_raise_waits_while_the_lowering_has_no_answer() -> None:
    garage = Garage(2, 40)
    garage.plug(0)
    garage.run(30)
    garage.mute = {0}
    garage.plug(1)
    garage.run(25)
    assert garage.held == [32.0, 8.0], "what the first may still take is not given twice"


@pytest.mark.parametrize("how", ["refused", "unsent", "unanswered"])
def test_a_lowering_that_came_to_nothing_goes_out_again(how: str) -> None:
    """At once, though the row is over: all that is high ends by itself there, but not before two minutes are over."""
    garage = Garage(2, 40)
    garage.plug(0, 1)
    garage.run(30)
    assert garage.held == [20.0, 20.0]
    garage.room = garage.room - 8.0
    garage.mute = {0, 1}
    lowered = garage.tick()
    assert [order.why for order in lowered] == [LOWER, LOWER]
    first, second = (order.number for order in lowered)
    garage.control.answered(second, garage.now, accepted=True)
    if how == "refused":
        garage.control.answered(first, garage.now, accepted=False)
    else:
        getattr(garage.control, how)(first, garage.now)
    garage.mute = set()
    garage.now += 1.0
    assert [(order.leaf, order.amps, order.why) for order in garage.tick()] == [(0, lowered[0].amps, LOWER)]


def test_nobody_is_ever_told_less_than_the_minimum_but_a_pause() -> None:
    garage = Garage(5, 20)
    garage.plug(0, 1, 2, 3, 4)
    garage.run(60)
    assert sorted(garage.held) == [0.0, 0.0, 6.0, 7.0, 7.0]
    assert all(order.amps == 0 or order.amps >= 6 for order in garage.sent)


def test_who_waits_has_a_turn() -> None:
    garage = Garage(3, 13)
    garage.plug(0, 1, 2)
    had = set()
    for _quarter in range(5):
        garage.run(POLICY.turn_s)
        had |= {leaf for leaf, amps in enumerate(garage.held) if amps}
    assert had == {0, 1, 2}


def test_what_a_car_does_not_draw_goes_to_the_others() -> None:
    garage = Garage(2, 40)
    garage.plug(0, 1)
    garage.run(30)
    assert garage.held == [20.0, 20.0]
    garage.run(300, draws={0: 10.0})
    assert garage.held == [11.0, 29.0]
    garage.run(900)
    assert garage.held[0] >= 19.0, "a car that draws up to its limit gets more again"


def test_a_car_gets_more_again_where_pilots_have_long_steps() -> None:
    leaves = [Leaf("c0", "main", min_a=8.0, step_a=8.0), Leaf("c1", "main")]
    grid = Grid.of([Node("main", None, (40.0,) * 3)], leaves)
    ledger = Ledger.of(grid, default=np.zeros(2), delay=np.full(2, POLICY.delay_s))
    control = Controller(grid, ledger, np.arange(2), np.zeros(3), POLICY)
    for place in range(2):
        control.back(place, 0.0, rebooted=True)
        control.plug(place, 10.0)
    held = []
    for now in np.arange(30.0, 900.0, 10.0):
        for order in control.tick(now, grid.limits):
            control.answered(order.number, now, accepted=True)
        if now % 60 == 0:
            control.reading(0, 0.0 if now < 180 else float(ledger.held[0]), now)
            control.reading(1, float(ledger.held[1]), now)
        held.append(ledger.held[0])
    assert min(held[5:]) == 8 and held[-1] == 24, "its share, 21 A, by the nearest step"


def test_a_car_that_draws_nothing_after_its_profile_has_ended_says_nothing() -> None:
    garage = Garage(1, 40)
    garage.plug(0)
    garage.run(30)
    garage.now += POLICY.low_s + 60  # no order in between: the station fell back to its default of 0 A
    garage.control.reading(0, 0.0, garage.now)
    assert garage.control.cars.cap[0] == 32


def test_a_full_car_keeps_its_place_only_while_nobody_waits() -> None:
    garage = Garage(3, 13)
    garage.plug(0, 1)
    garage.run(300, draws={0: 0.0})
    garage.plug(2)
    garage.run(60, draws={0: 0.0})
    assert garage.held[0] == 0 and garage.held[1] >= 6 and garage.held[2] >= 6


def test_priority_goes_first() -> None:
    garage = Garage(3, 13)
    garage.plug(0, 1)
    garage.plug(2, priority=1)
    garage.run(30)
    assert garage.held[2] >= 6


def test_a_building_that_takes_more_is_given_way_at_once() -> None:
    garage = Garage(2, 63)
    garage.plug(0, 1)
    garage.run(30)
    assert sum(garage.held) >= 62
    garage.room = np.full(3, 30.0)
    orders = garage.tick()
    assert {order.leaf for order in orders} == {0, 1} and all(order.urgent for order in orders)
    assert sum(garage.held) <= 30


def test_where_a_lowering_has_no_answer_others_give_way() -> None:
    garage = Garage(2, 40)
    garage.plug(0, 1)
    garage.run(30)
    garage.mute = {0}
    garage.room = np.full(3, 30.0)
    garage.run(POLICY.patience_s + 2)
    assert garage.held == [20.0, 10.0]
    garage.mute = set()
    garage.run(POLICY.answer_s + 2 * SETTLE_S)
    assert garage.held == [15.0, 15.0]


def test_an_unreachable_station_keeps_what_it_may_be_using() -> None:
    garage = Garage(2, 40, default=6)
    garage.plug(0)
    garage.run(30)
    garage.control.away(0, garage.now)
    garage.plug(1)
    garage.run(30)
    assert garage.held[1] == 8
    garage.run(POLICY.low_s + 30)
    assert garage.held[1] == 32, "its profile is over, and it has its default"


def test_a_profile_goes_on_before_it_ends() -> None:
    garage = Garage(1, 20)
    garage.control.building_most = np.full(3, 20.0)
    garage.plug(0)
    garage.run(600)
    assert 5 <= len(garage.sent) <= 8
    ends = [order.until for order in garage.sent]
    assert all(later.until - POLICY.high_s < end for end, later in zip(ends, garage.sent[1:], strict=False))


def test_where_all_fits_without_us_profiles_last_ten_minutes() -> None:
    garage = Garage(1, 40)
    garage.plug(0)
    garage.run(1200)
    assert len(garage.sent) <= 4


def test_a_refused_raise_is_not_counted_on() -> None:
    garage = Garage(1, 20)
    garage.plug(0)
    (order,) = garage.control.tick(garage.now, garage.room)
    garage.control.answered(order.number, garage.now, accepted=False)
    assert garage.held == [0.0]
    assert garage.control.ledger.in_force(garage.now)[0] == 0
    garage.now += 5
    assert garage.tick(), "it is tried again"


def test_an_answer_that_comes_too_late_says_nothing() -> None:
    garage = Garage(1, 20)
    garage.plug(0)
    (order,) = garage.control.tick(garage.now, garage.room)
    garage.now += POLICY.answer_s + 1
    garage.control.tick(garage.now, garage.room)
    garage.control.answered(order.number, garage.now, accepted=True)
    assert garage.control.ledger.held[0] == 0


def test_an_order_that_never_left_is_surely_not_in_force() -> None:
    garage = Garage(1, 20)
    garage.plug(0)
    (order,) = garage.control.tick(garage.now, garage.room)
    assert garage.control.ledger.in_force(garage.now)[0] == 20
    garage.control.unsent(order.number, garage.now)
    assert garage.control.ledger.in_force(garage.now)[0] == 0
    (again,) = garage.tick()
    garage.control.unsent(order.number, garage.now)
    assert again.amps == 20 and garage.held == [20.0], "the old number says nothing any more"


def test_where_no_answer_will_come_the_order_may_be_in_force() -> None:
    """The wire knows it before the time-out: it is said anew at once."""
    garage = Garage(1, 20)
    garage.plug(0)
    (order,) = garage.control.tick(garage.now, garage.room)
    garage.now += 1
    garage.control.unanswered(order.number, garage.now)
    assert garage.held == [0.0] and garage.control.ledger.in_force(garage.now)[0] == 20
    garage.control.answered(order.number, garage.now, accepted=True)
    assert garage.held == [0.0], "an answer after all says nothing any more"
    (again,) = garage.tick()
    assert again.amps == 20 and garage.held == [20.0]


def test_what_a_car_draws_at_its_default_says_nothing_of_what_it_could_take() -> None:
    """Its profile of 20 A is over and not renewed: 6 A is its limit then, not its wish."""
    garage = Garage(1, 20, default=6)
    garage.plug(0)
    garage.run(60)
    assert garage.held == [20.0]
    garage.now += POLICY.low_s + 60  # the loop stood still
    garage.control.reading(0, 6.0, garage.now)
    assert garage.held == [20.0] and garage.control.cars.cap[0] == 32


def test_a_profile_that_lapsed_gives_the_car_time_to_follow() -> None:
    garage = Garage(1, 20)
    garage.plug(0)
    garage.run(30)
    garage.control.asked_until[0] = garage.now + 1
    garage.mute = {0}
    garage.control._time_out(garage.now + 1)
    assert garage.control.asked[0] == 0 and garage.control.changed_at[0] == garage.now + 1


@pytest.mark.parametrize(("high", "low"), [(120, 900), (600, 600), (20, 600)])
def test_a_policy_that_is_not_safe_is_refused(high: float, low: float) -> None:
    with pytest.raises(ValueError, match="ten minutes"):
        Policy(high_s=high, low_s=low)


def test_who_refuses_is_asked_less_and_less_often_and_others_wait() -> None:
    """One that holds all refuses to be lowered for the second that comes: it counts with what it holds."""
    garage = Garage(2, 20)
    garage.plug(0)
    garage.run(60)
    assert garage.held == [20, 0]
    garage.plug(1)
    asked = []
    for _second in range(100):
        garage.now += 1
        for order in garage.control.tick(garage.now, garage.room):
            asked += [garage.now] if order.leaf == 0 else []
            garage.control.answered(order.number, garage.now, accepted=order.leaf != 0)
        assert garage.control.ledger.in_force(garage.now).sum() <= 20 + 1e-6
    assert 3 <= len(asked) <= 8
    gaps = np.diff(asked[1:])
    assert list(gaps) == sorted(gaps)

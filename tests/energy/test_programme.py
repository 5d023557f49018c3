"""The programme of the day: by departure, below the limits, at the lowest peak and price."""

from __future__ import annotations

import numpy as np
import pytest

from energy.grid import WYE_208, Grid, Leaf, Node
from energy.programme import Needs, Prices, Programme, plan

pytestmark = pytest.mark.nodb
HOURS = 4


def _grid(count: int, amps: float) -> Grid:
    return Grid.of([Node("main", None, (amps,) * 3)], [Leaf(f"c{n}", "main", (0,)) for n in range(count)])


def _plan(
    grid: Grid, need_kwh: list[float], *, until: list[int] | None = None, prices: Prices | None = None,
    base_w: np.ndarray | None = None,
) -> Programme:  # fmt: skip
    upper = np.zeros((HOURS, len(need_kwh)))
    for leaf, hours in enumerate(until or [HOURS] * len(need_kwh)):
        upper[:hours, leaf] = grid.max_a[leaf]
    limits = np.tile(grid.limits, (HOURS, 1))
    found = plan(
        grid, period_s=3600, limits=limits, upper=upper, needs=Needs(np.array(need_kwh) * 1000),
        prices=prices or Prices(np.zeros(HOURS)), base_w=base_w,
    )  # fmt: skip
    assert found is not None
    return found


def test_who_leaves_early_is_served_first_where_both_can_be() -> None:
    found = _plan(_grid(2, 32), [7.36, 7.36], until=[1, 2])
    assert found.unmet_wh == pytest.approx([0, 0], abs=1e-3)
    assert found.pilots[:2].tolist() == [pytest.approx([32, 0]), pytest.approx([0, 32])]


def test_what_cannot_be_is_said() -> None:
    found = _plan(_grid(1, 16), [20.0])
    assert found.unmet_wh[0] == pytest.approx(20_000 - 4 * 16 * 230)


def test_a_peak_that_costs_is_kept_low_but_not_at_a_cars_expense() -> None:
    prices = Prices(np.zeros(HOURS), peak_kw=10.0)
    found = _plan(_grid(2, 32), [3.68, 3.68], prices=prices)
    assert found.peak_w == pytest.approx(1840) and found.unmet_wh.sum() == pytest.approx(0, abs=1e-3)


def test_a_peak_that_is_paid_already_is_used() -> None:
    prices = Prices(np.zeros(HOURS), peak_kw=10.0, paid_peak_w=7360)
    found = _plan(_grid(2, 32), [3.68, 3.68], prices=prices)
    assert found.peak_w == pytest.approx(7360, rel=1e-3), "early charging costs nothing more"


def test_the_building_counts_in_the_peak() -> None:
    base = np.array([5000.0, 0.0, 0.0, 0.0])
    found = _plan(_grid(1, 32), [7.36], prices=Prices(np.zeros(HOURS), peak_kw=10.0), base_w=base)
    assert found.pilots[0, 0] == pytest.approx(32) or found.peak_w <= 5000 + 1
    assert found.peak_w == pytest.approx(5000, abs=1)


def test_cheap_hours_are_used() -> None:
    found = _plan(_grid(1, 32), [7.36], prices=Prices(np.array([0.4, 0.1, 0.4, 0.4])))
    assert found.pilots[:, 0] == pytest.approx([0, 32, 0, 0], abs=1e-6)


def test_rows_with_angles_are_kept_within_their_tangents() -> None:
    pairs = [(0, 1), (1, 2), (2, 0)]
    leaves = [Leaf(f"c{pair}", "main", pair, between=True) for pair in pairs]
    grid = Grid.of([Node("main", None, (40.0,) * 3)], leaves, WYE_208)
    for need_kwh in ([50.0, 50.0, 50.0], [50.0, 50.0, 8.0], [50.0, 8.0, 50.0], [12.0, 50.0, 50.0]):
        found = _plan(grid, need_kwh)
        loads = [grid.loads(row) for row in found.pilots]
        assert np.max(loads) <= 40 * 1.004, "tangents every ten degrees"
        assert np.max(loads) >= 39


def test_periods_may_differ_in_length() -> None:
    grid = _grid(1, 32)
    long = np.array([900.0, 3600.0])
    found = plan(
        grid, period_s=long, limits=np.tile(grid.limits, (2, 1)), upper=np.full((2, 1), 32.0),
        needs=Needs(np.array([32 * 230 * 0.25 + 16 * 230.0])), prices=Prices(np.zeros(2)),
    )  # fmt: skip
    assert found is not None
    assert found.pilots[:, 0] == pytest.approx([32, 16]) and found.unmet_wh[0] == pytest.approx(0, abs=1e-3)


def test_who_may_be_gone_later_is_served_before_who_stays() -> None:
    grid = _grid(2, 32)
    there = np.array([[1.0, 1.0], [1.0, 0.5]])
    found = plan(
        grid, period_s=3600, limits=np.tile(grid.limits, (2, 1)), upper=np.full((2, 2), 32.0),
        needs=Needs(np.array([7360.0, 7360.0]), there=there), prices=Prices(np.zeros(2)),
    )  # fmt: skip
    assert found is not None and found.pilots[0].tolist() == pytest.approx([0, 32], abs=1e-6)


def test_nobody_goes_nearly_empty_where_others_get_all() -> None:
    """Both lack as much in sum, however it is shared: who got little of what it asked for goes first."""
    grid, needs = _grid(2, 32), Needs(np.array([7360.0, 7360.0]), asked_wh=np.array([73_600.0, 7360.0]))
    for order in ([0, 1], [1, 0]):
        found = plan(
            grid, period_s=3600, limits=grid.limits[None, :], upper=np.full((1, 2), 32.0),
            needs=Needs(needs.wh[order], needs.asked_wh[order]), prices=Prices(np.zeros(1)),  # type: ignore[index]
        )  # fmt: skip
        assert found is not None
        assert found.pilots[0, order.index(1)] >= 0.85 * 32 - 1e-6


def test_nobody_there_is_no_programme_to_make() -> None:
    assert _plan(_grid(2, 32), [5.0, 5.0], until=[0, 0]).unmet_wh.tolist() == [5000, 5000]


def test_the_share_of_a_request_counts_and_not_its_size() -> None:
    """What brings one car two thirds of its request brings the other one third: as many kWh, more for a person."""
    grid, asked_wh = _grid(2, 16), np.array([3680.0, 7360.0])
    for order in ([0, 1], [1, 0]):
        found = plan(
            grid, period_s=3600, limits=grid.limits[None, :] * 0.67, upper=np.full((1, 2), 32.0),
            needs=Needs(asked_wh[order]), prices=Prices(np.zeros(1)),
        )  # fmt: skip
        assert found is not None
        small = order.index(0)
        assert found.pilots[0, small] * 230 >= 2 / 3 * 3680 - 1

"""Days with faults: no breaker is over its limit for longer than it bears; the ledger never says too little."""

from __future__ import annotations

import pytest

from bench.energy.faults import Result, day
from bench.energy.world import OFTEN_S, READING_S, SEEN_S

pytestmark = pytest.mark.nodb


def _safe(result: Result) -> None:
    assert result.overloads == [], f"seed {result.seed}"
    assert result.beyond_ledger == 0, f"seed {result.seed}: a station did what the ledger held impossible"
    assert result.not_found == 0, f"seed {result.seed}: a station that disobeys was not found out"
    assert result.wh > 0 and result.messages.get("raise")


@pytest.mark.parametrize("seed", [3, 102])
def test_hours_with_faults(seed: int) -> None:
    _safe(day(seed, faults=True, hours=7, reading_s=READING_S))


def test_hours_with_cars_whose_lines_are_learned() -> None:
    """Some take to other lines: what is over then is seen and made good. And the site gives more."""
    result = day(202, faults=True, hours=5, reading_s=OFTEN_S)
    _safe(result)
    assert all(over["seconds"] <= SEEN_S for over in result.relined)
    assert result.wh > 1.05 * day(202, faults=True, hours=5, reading_s=READING_S).wh


def test_hours_with_a_meter_that_counts_the_cars_too() -> None:
    _safe(day(1004, faults=True, hours=5, grid_meter=True, reading_s=READING_S))


def test_a_station_that_ignores_its_profiles_is_found_and_made_good() -> None:
    """What is over until then is counted apart, and it is not for long."""
    result = day(303, faults=True, hours=4.6, reading_s=READING_S)
    _safe(result)
    assert result.faults["ignores its profiles"] and result.disobeyed


def test_a_controller_without_a_ledger_goes_over() -> None:
    """What the days are worth: they find out who does not count what may be in force."""
    result = day(107, faults=True, plain=True, hours=8, reading_s=READING_S)
    assert result.overloads or result.after_silence


@pytest.mark.long
@pytest.mark.parametrize("seed", range(200, 260))
def test_days_with_faults(seed: int) -> None:
    _safe(day(seed, faults=True))

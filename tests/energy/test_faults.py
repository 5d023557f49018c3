"""Days with faults: no breaker is over its limit for longer than it bears; the ledger never says too little."""

from __future__ import annotations

import pytest

from bench.energy.faults import Result, day

pytestmark = pytest.mark.nodb


def _safe(result: Result) -> None:
    assert result.overloads == [], f"seed {result.seed}"
    assert result.beyond_ledger == 0, f"seed {result.seed}: a station did what the ledger held impossible"
    assert result.wh > 0 and result.messages.get("raise")


@pytest.mark.parametrize("seed", [3, 102])
def test_hours_with_faults(seed: int) -> None:
    _safe(day(seed, faults=True, hours=7))


def test_a_controller_without_a_ledger_goes_over() -> None:
    """What the days are worth: they find out who does not count what may be in force."""
    result = day(107, faults=True, plain=True, hours=8)
    assert result.overloads


@pytest.mark.long
@pytest.mark.parametrize("seed", range(200, 260))
def test_days_with_faults(seed: int) -> None:
    _safe(day(seed, faults=True))

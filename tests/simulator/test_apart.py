"""The simulator and the benchmark speak over the wire only: they import nothing of the product."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from simulator.quirks import Quirks, read_quirks

pytestmark = pytest.mark.nodb

CHECKOUT = Path(__file__).resolve().parent.parent.parent
PRODUCT = {"cpo", "portal", "roaming", "energy", "stations", "billing", "fleets", "tenants", "django"}


def imported(path: Path) -> set[str]:
    """Top-level names of everything a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


LOOPS = ("allocation", "control", "day", "departures", "filling", "grid", "headroom", "ledger", "programme")


@pytest.mark.parametrize("package", ["simulator", "bench"])
def test_imports_nothing_of_the_product(package: str) -> None:
    files = sorted((CHECKOUT / package).rglob("*.py"))
    assert len(files) > 5
    for path in files:
        beside = (
            {"energy"} if path.parent == CHECKOUT / "bench" / "energy" else set()
        )  # see import-linter's contract
        assert imported(path) & PRODUCT <= beside, path


@pytest.mark.parametrize("module", LOOPS)
def test_the_loops_that_benchmarks_may_call_are_pure(module: str) -> None:
    assert imported(CHECKOUT / "energy" / f"{module}.py") & PRODUCT <= {"energy"}


def test_quirks_are_read_from_words() -> None:
    words = ["bare-stop", "repeat_stop=5", "ended_twice=next", "origin=http://x", "silent=no"]
    assert read_quirks(words) == Quirks(bare_stop=True, repeat_stop=5, ended_twice="next", origin="http://x")
    with pytest.raises(ValueError, match="no quirk nonsense"):
        read_quirks(["nonsense"])

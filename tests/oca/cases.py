"""The Open Charge Alliance's published test cases with the central system under test, and how tests name them.

`@oca("TC_B_01")` on a test, or `marks=oca(...)` on a parameter of it, says that it plays the case. The page
docs/oca-test-cases.md is made of the numbers that tests name (`python3 -m tests.oca.document`); a test holds it so.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent
# Cases that no test plays, and why.
NOT_PLAYED: dict[str, str] = {
    "TC_C_117": "not offered: bank cards shown at a station are debited by its terminal, never by us; where the driver"
    " pays on our web page (TC_C_131), that page is the receipt",
}


def oca(*cases: str) -> Any:
    """Mark of a test that plays these cases."""
    return pytest.mark.oca(*cases)


@dataclass(frozen=True)
class Case:
    number: str  # TC_B_01: the published number without its ending _CSMS
    versions: tuple[str, ...]
    title: str


def published() -> list[Case]:
    lines = (HERE / "cases.tsv").read_text(encoding="utf-8").splitlines()
    rows = (line.split("\t") for line in lines)
    return [Case(number, tuple(versions.split()), title) for number, versions, title in rows]


def played() -> dict[str, list[str]]:
    """Number of a case -> the tests that play it, "file::test" or, of a table of parameters, "file"."""
    numbers = {case.number for case in published()}
    found: dict[str, list[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        file = str(path.relative_to(TESTS.parent))
        for top in tree.body:
            is_test = isinstance(top, ast.FunctionDef | ast.AsyncFunctionDef)
            name = f"{file}::{top.name}" if is_test else file  # type: ignore[attr-defined]
            for node in ast.walk(top):
                if isinstance(node, ast.Constant) and node.value in numbers:
                    places = found.setdefault(str(node.value), [])
                    if name not in places:
                        places.append(name)
    return found

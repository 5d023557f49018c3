"""The Open Charge Alliance's published test cases with the central system under test, and how tests name them.

`@oca("TC_B_01")` on a test (or `marks=oca(...)` on its parameter) says that it plays the case. docs/oca-test-cases.md
is made of these marks by `python3 -m tests.oca.document`; a test holds it current.
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
NOT_PLAYED: dict[str, str] = {}


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
    """Number of a case -> the tests that play it, "file::test"."""
    found: dict[str, list[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for top in tree.body:
            _note(top, f"{path.relative_to(TESTS.parent)}", found)
    return found


def _note(top: ast.stmt, file: str, found: dict[str, list[str]]) -> None:
    name = top.name if isinstance(top, ast.FunctionDef | ast.AsyncFunctionDef) else ""
    for node in ast.walk(top):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "oca":
            for argument in node.args:
                assert isinstance(argument, ast.Constant), f"{file}: name the cases in words"
                found.setdefault(str(argument.value), []).append(f"{file}::{name}" if name else file)

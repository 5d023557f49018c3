"""docs/oca-test-cases.md says what the tests play."""

from __future__ import annotations

import pytest

from tests.oca import document
from tests.oca.cases import NOT_PLAYED, played, published

pytestmark = pytest.mark.nodb


def test_the_list_is_current() -> None:
    shown = document.PAGE.read_text(encoding="utf-8")
    assert shown == document.page(), "Run python3 -m tests.oca.document"


def test_marks_name_published_cases(request: pytest.FixtureRequest) -> None:
    numbers = {case.number for case in published()}
    marked = {
        number for item in request.session.items for mark in item.iter_markers("oca") for number in mark.args
    }
    assert marked <= numbers
    assert set(NOT_PLAYED) <= numbers - set(played())

"""What a test counts."""

from __future__ import annotations

from typing import Any

import pytest

from tenants import rows


@pytest.fixture
def round_trips(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many statements of `tenants.rows` went to PostgreSQL together, each time."""
    counted: list[int] = []
    execute_all = rows._Life.execute_all

    def counting(life: rows._Life, asked: Any) -> list[rows.Rows]:
        counted.append(len(asked))
        return execute_all(life, asked)

    monkeypatch.setattr(rows._Life, "execute_all", counting)
    return counted

"""A simulated station has a real answer to everything that a CSMS can ask of it, in every version."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.conftest import VERSIONS, Stations
from tests.simulator.csms import ScriptedCsms
from tests.simulator.test_golden_frames import FOLDERS, GOLDEN, frames

pytestmark = pytest.mark.nodb

CHECKOUT = Path(__file__).resolve().parent.parent.parent
REFUSALS = ("NotImplemented", "NotSupported", "UnknownVendorId")
# What the station on a fresh start has reason to refuse, and why.
FOR_A_REASON = {
    "DataTransfer": "messages of a vendor it does not know",
}


def asked_of_stations(version: str) -> list[str]:
    """By the product's own list of what it sends."""
    column = 3 + VERSIONS.index(version)
    found = []
    for line in (CHECKOUT / "docs" / "ocpp.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) > 6 and cells[2] == "we ask" and cells[column] != "-":
            found.append(cells[1])
    return found


def calls() -> list[tuple[str, str]]:
    return [(version, action) for version in VERSIONS for action in asked_of_stations(version)]


def test_the_list_is_whole() -> None:
    counted = [len(asked_of_stations(version)) for version in VERSIONS]
    assert all(now >= then for now, then in zip(counted, (26, 40, 55), strict=True)), counted
    assert set(FOLDERS) == set(VERSIONS)


@pytest.mark.parametrize(("version", "action"), calls())
async def test_a_real_answer(csms: ScriptedCsms, connected: Stations, version: str, action: str) -> None:
    path = GOLDEN / FOLDERS[version] / f"{action}.json"
    assert path.exists(), f"write a golden frame of {action} for {version}"
    asked = [frame for frame in frames(version, action) if frame[0] == 2]
    assert asked
    for number, frame in enumerate(asked):
        await connected(version, identity=f"CP {number}", auto_plug=None)
        answer = await csms.last.ask(action, frame[3])
        assert isinstance(answer, dict), f"{action}: CALLERROR {answer}"
        if action not in FOR_A_REASON:
            assert not set(words(answer)) & set(REFUSALS), f"{action}: {answer}"


def words(answer: Any) -> list[str]:
    """The status words of an answer, wherever they stand in it."""
    if isinstance(answer, list):
        return [word for item in answer for word in words(item)]
    if not isinstance(answer, dict):
        return []
    own = [
        value for name, value in answer.items() if name.lower().endswith("status") and isinstance(value, str)
    ]
    return own + [word for item in answer.values() for word in words(item)]


def test_words_are_found_in_depth() -> None:
    answer = json.loads('{"status": "A", "rows": [{"attributeStatus": "NotSupported"}]}')
    assert words(answer) == ["A", "NotSupported"]

"""What lists and reservations look like on the wire: frames written by hand from the specifications."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stations.models import CommandKind
from stations.ocpp.versions import BY_NAME
from tests.stations.ocpp.charger import VERSIONS

pytestmark = pytest.mark.nodb
GOLDEN = Path(__file__).parents[2] / "golden"
FOLDERS = {"1.6": "v16", "2.0.1": "v201", "2.1": "v21"}
UNTIL = "2099-01-31T12:00:00+00:00"
CARD = {"uid": "04A2B6C9D1E280", "kind": "iso14443"}
ARGUMENTS: dict[str, list[dict[str, Any]]] = {
    CommandKind.SEND_LIST: [
        {
            "version": 4, "full": True,
            "entries": [
                CARD | {"verdict": "accepted", "expires_at": UNTIL, "group": "STAFF", "language": "de",
                        "message": "Guten Tag"},
            ],
        },
        {"version": 5, "full": False, "entries": [CARD | {"verdict": None}]},
    ],
    CommandKind.READ_LIST_VERSION: [{}],
    CommandKind.RESERVE: [
        {
            "reservation_id": 7, "evse": 1, "standard": "IEC_62196_T2", "token_uid": CARD["uid"],
            "token_kind": "iso14443", "token_group": "STAFF", "expires_at": UNTIL,
        }
    ],
    CommandKind.CANCEL_RESERVATION: [{"reservation_id": 7}],
}  # fmt: skip


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", ARGUMENTS)
def test_we_say_what_the_specification_says(version: str, kind: str) -> None:
    say = BY_NAME[version].says[CommandKind(kind)]
    frames = json.loads((GOLDEN / FOLDERS[version] / f"{say.action}.json").read_text("utf-8"))
    calls = [frame[3] for frame in frames if frame[0] == 2]
    said = [say.encode(arguments, 1) for arguments in ARGUMENTS[kind]]
    text = json.dumps(said).replace("12:00:00.000Z", "12:00:00Z")
    assert json.loads(text) == calls

"""The official schemas, as the `ocpp` package ships them, compiled by jsonschema_rs."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import ocpp

FOLDER = Path(ocpp.__file__).parent


def schema_file(version: str, action: str, *, request: bool) -> Path:
    folder = FOLDER / f"v{version.replace('.', '')}" / "schemas"
    if not request:
        return folder / f"{action}Response.json"
    plain = folder / f"{action}.json"  # 1.6's requests, and 2.1's SEND
    return plain if plain.exists() else folder / f"{action}Request.json"


@functools.cache
def _validator(path: Path) -> Any:
    schema = json.loads(path.read_text(encoding="utf-8-sig"))
    return jsonschema_rs.validator_for(schema)


def problems(version: str, action: str, payload: Any, *, request: bool) -> list[str]:
    """What is wrong with a payload; empty when nothing is."""
    path = schema_file(version, action, request=request)
    if not path.exists():
        return [f"{version} has no {action}"]
    return [
        f"{version} {action}: {error.message} at {list(error.instance_path)}"
        for error in _validator(path).iter_errors(payload)
    ]

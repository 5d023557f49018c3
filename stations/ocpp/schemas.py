"""The official JSON schemas, compiled: the files of the `ocpp` package. Figures: `docs/performance.md`."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

import jsonschema_rs

_FOLDERS = {"1.6": "v16", "2.0.1": "v201", "2.1": "v21"}


@cache
def _names(version: str) -> frozenset[str]:
    folder = resources.files("ocpp") / _FOLDERS[version] / "schemas"
    return frozenset(entry.name for entry in folder.iterdir())


def actions(version: str) -> set[str]:
    """All actions that the version's specification defines."""
    suffix = ".json" if version == "1.6" else "Request.json"
    names = (name.removesuffix(suffix) for name in _names(version) if name.endswith(suffix))
    return {name for name in names if not name.endswith("Response")}


def validator(version: str, action: str, response: bool) -> Any | None:
    """Compiled schema of a request or response; None where the version has no such action."""
    suffix = "Response" if response else ("" if version == "1.6" else "Request")
    names = [f"{action}{suffix}.json"]
    if not response and suffix:
        names.append(f"{action}.json")  # 2.1: what is sent without an answer is no request
    return next((_compiled(version, name) for name in names if name in _names(version)), None)


@cache  # of files that exist alone: what a station makes up costs no memory
def _compiled(version: str, name: str) -> Any:
    file = resources.files("ocpp") / _FOLDERS[version] / "schemas" / name
    return jsonschema_rs.validator_for(json.loads(file.read_text("utf-8-sig")), validate_formats=True)


# The keyword that a payload broke, and the wire's word for it (1.6 / 2.x).
_FORMATION = "FormationViolation", "FormatViolation"
_TYPE = "TypeConstraintViolation", "TypeConstraintViolation"
_PROPERTY = "PropertyConstraintViolation", "PropertyConstraintViolation"
_OCCURRENCE = "OccurenceConstraintViolation", "OccurrenceConstraintViolation"  # 1.6 spells it so
_WORDS = {
    "type": _TYPE,
    "additionalProperties": _FORMATION,
    "required": _OCCURRENCE,
    "minItems": _OCCURRENCE,
    "maxItems": _OCCURRENCE,
}


def violation(version: str, error: Any) -> tuple[str, str]:
    """(wire code, what is wrong) for the first error of a payload."""
    keyword = str(error.schema_path[-1]) if error.schema_path else ""
    words = _WORDS.get(keyword, _PROPERTY)
    place = "/".join(str(part) for part in error.instance_path) or "payload"
    return words[0 if version == "1.6" else 1], f"{place}: {error.message}"[:255]


def check(
    version: str, action: str, payload: dict[str, Any], *, response: bool = False
) -> tuple[str, str] | None:
    """None if the payload is valid (or the schema unknown), else the first violation."""
    compiled = validator(version, action, response)
    if compiled is None or compiled.is_valid(payload):
        return None
    try:
        compiled.validate(payload)  # up to the first error: to collect all of a hostile frame's takes seconds
    except jsonschema_rs.ValidationError as first:
        return violation(version, first)
    return None

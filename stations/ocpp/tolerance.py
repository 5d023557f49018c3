"""What a tolerant reader understands without harm: repaired, noted at the station, and only then judged.

Strict stations (`Station.strict`) get none of this. Nothing here changes a number's meaning.
"""

from __future__ import annotations

import re
from typing import Any

from stations.ocpp import schemas

_NO_ZONE = re.compile(r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?$")
# Fields whose words only inform: an unknown word there is dropped or replaced, and the message lives on.
_INFORMATIVE = {
    "errorCode": "OtherError",
    "reason": "Other",
    "stoppedReason": "Other",
    "triggerReason": "AbnormalCondition",
    "context": "Other",
    "location": None,
    "format": None,
    "chargingState": None,
    "phase": None,
    "unit": None,
}
# Of these a station that leaves one out is understood as well; with a refusal the end of a session would be lost.
_MISSING = {"triggerReason": "AbnormalCondition"}
_TIMES = ("timestamp", "time", "generatedAt", "currentTime")
# What only tells under which circumstances a session charges: wrong in any way it is dropped, and the event counts.
_BESIDE = {
    "TransactionEvent": {
        ("numberOfPhasesUsed",), ("cableMaxCurrent",), ("preconditioningStatus",), ("evseSleep",),
        ("transactionInfo", "timeSpentCharging"), ("transactionInfo", "operationMode"),
    },
}  # fmt: skip
MAX_REPAIRS = 200  # a round; `Link` bounds the payload, for errors are collected eagerly
MAX_TEXT = {"transactionId": 64, "idTag": 255, "idToken": 255}  # keys of our rows: longer ones are refused


_EXACT = 2**53  # a float beyond it is no whole number that anybody meant, and one of 64 bits cannot be kept


def repair(version: str, action: str, payload: dict[str, Any]) -> list[str]:
    """Mend the payload in place, error by error; the notes say what was mended. Gives up silently on the rest."""
    compiled = schemas.validator(version, action, False)
    notes: list[str] = []
    if compiled is None:
        return notes
    for _round in range(4):  # mending one thing can uncover another
        errors = list(compiled.iter_errors(payload))[:MAX_REPAIRS]
        mended = [note for error in errors if (note := _mend(action, payload, error))]
        notes += mended
        if not mended:
            break
    return notes


def harmless(error: Any) -> bool:
    """What cannot be mended and yet hurts nobody: a time that is none (verbs sanitise it), text that is too long."""
    keyword = str(error.schema_path[-1]) if error.schema_path else ""
    name = str(error.instance_path[-1]) if error.instance_path else ""
    if keyword == "format" and name in _TIMES:
        return True
    return keyword == "maxLength" and len(str(error.instance)) <= MAX_TEXT.get(name, 10_000)


def accept(version: str, action: str, payload: dict[str, Any]) -> tuple[tuple[str, str] | None, list[str]]:
    """(what still is wrong, or None; notes of what was tolerated). Mends the payload in place."""
    notes = repair(version, action, payload)
    compiled = schemas.validator(version, action, False)
    for error in compiled.iter_errors(payload) if compiled is not None else ():
        if not harmless(error):
            return schemas.violation(version, error), notes
        notes.append(
            f"{error.instance_path[-1]}: {'odd time' if 'format' in error.schema_path else 'too long'}"
        )
    return None, notes


def _mend(action: str, payload: dict[str, Any], error: Any) -> str | None:
    path = list(error.instance_path)
    keyword = str(error.schema_path[-1]) if error.schema_path else ""
    if keyword == "additionalProperties":
        return _drop_unknown(_at(payload, path), error)
    if keyword == "required":
        return _fill_in(_at(payload, path), error)
    if not path:
        return None
    parent, name = _at(payload, path[:-1]), path[-1]
    if not isinstance(parent, dict) or name not in parent:
        return None
    beside = tuple(path) in _BESIDE.get(action, ())
    note = _mend_value(parent, name, keyword) if not beside or isinstance(parent[name], str) else None
    if note is None and beside:
        del parent[name]
        note = f"{name}: not understood"
    return note


def _mend_value(parent: dict[str, Any], name: str, keyword: str) -> str | None:
    value = parent[name]
    if isinstance(value, str):
        return _mend_text(parent, name, value, keyword)
    if keyword == "type" and isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        parent[name] = int(value)  # 1.0 where an integer is asked for
        return f"{name}: decimal point in a whole number"
    if keyword == "type" and value is None:
        del parent[name]
        return f"{name}: null instead of absent"
    if keyword == "type" and isinstance(value, int | float) and not isinstance(value, bool):
        parent[name] = str(value)  # a number where text is asked for, such as a sampled value
        return f"{name}: number instead of text"
    return None


def _mend_text(parent: dict[str, Any], name: str, value: str, keyword: str) -> str | None:
    if value != value.strip():
        parent[name] = value.strip()
        return f"{name}: extra white space"
    if value == "" and keyword != "required":
        del parent[name]
        return f"{name}: empty text"
    if name in _TIMES and _NO_ZONE.match(value):
        parent[name] = value.replace(" ", "T") + "Z"
        return f"{name}: time without zone, read as UTC"
    if keyword == "enum" and name in _INFORMATIVE:
        other = _INFORMATIVE[name]
        if other is None:
            del parent[name]
        elif value != other:
            parent[name] = other
        return f"{name}: unknown word"
    if keyword == "type" and re.fullmatch(r"-?\d{1,18}", value):
        parent[name] = int(value)
        return f"{name}: whole number written as text"
    return None


def _fill_in(target: Any, error: Any) -> str | None:
    missing = str(getattr(error.kind, "property", ""))
    if not isinstance(target, dict) or missing not in _MISSING:
        return None
    target[missing] = _MISSING[missing]
    return f"{missing}: missing"


def _drop_unknown(target: Any, error: Any) -> str | None:
    unexpected = getattr(error.kind, "unexpected", None)
    if not isinstance(target, dict) or not unexpected:
        return None
    for name in unexpected:
        target.pop(name, None)
    return f"{', '.join(str(name)[:40] for name in list(unexpected)[:3])}: unknown field"


def _at(payload: Any, path: list[Any]) -> Any:
    for step in path:
        payload = payload[step]
    return payload

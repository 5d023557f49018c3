"""OCPP-J frames as text: reading what may be hostile, writing what we say.

OCPP-J 1.6 section 4.2; OCPP 2.0.1 part 4 section 4.2; OCPP 2.1 part 4 adds SEND and CALLRESULTERROR.
orjson refuses NaN, numbers without end, lone surrogates and raw control characters, but takes duplicate keys silently
and nests a thousand deep: both are found here, at a cost only unusual frames pay.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import orjson

CALL, RESULT, ERROR, RESULT_ERROR, SEND = 2, 3, 4, 5, 6
_LENGTHS = {CALL: (4,), RESULT: (3,), ERROR: (4, 5), RESULT_ERROR: (4, 5), SEND: (4,)}


class BadFrame(Exception):
    """A frame that cannot be taken. `reason` is counted, `message_id` is what could be read of it ("" if nothing)."""

    def __init__(self, reason: str, detail: str, message_id: str = "") -> None:
        super().__init__(detail)
        self.reason, self.detail, self.message_id = reason, detail, message_id


@dataclass(slots=True)
class Incoming:
    kind: int
    message_id: str
    action: str  # CALL and SEND
    payload: Any  # CALLERROR: [code, description, details]
    payload_json: bytes


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise BadFrame("duplicate_key", "A member name occurs twice in one JSON object.")
    return members


def _depth_within(value: Any, most: int) -> bool:
    layer, depth = [value], 0
    while layer:
        depth += 1
        if depth > most:
            return False
        layer = [
            child
            for parent in layer
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, dict | list)
        ]
    return True


def _readable_id(frame: Any) -> str:
    if isinstance(frame, list) and len(frame) > 1 and isinstance(frame[1], str):
        return frame[1][:64]
    return ""


def parse(text: str, *, max_depth: int) -> Incoming:
    """A frame's parts, or BadFrame. What the payload holds is not looked at."""
    try:
        frame = orjson.loads(text)
    except (orjson.JSONDecodeError, UnicodeEncodeError) as error:
        raise BadFrame("not_json", f"Not JSON: {error}"[:200]) from None
    compact = orjson.dumps(frame)
    if text.count('":') != compact.count(b'":'):  # white space before a colon, or a key that came twice
        try:
            json.loads(text, object_pairs_hook=_refuse_duplicates)
        except BadFrame as error:
            error.message_id = _readable_id(frame)
            raise
        except (ValueError, RecursionError):
            raise BadFrame("not_json", "Not JSON that we can read.", _readable_id(frame)) from None
    if compact.count(b"[") + compact.count(b"{") > max_depth and not _depth_within(frame, max_depth):
        raise BadFrame("too_deep", f"Nested more than {max_depth} levels deep.", _readable_id(frame))
    if b"\\u0000" in compact:  # PostgreSQL holds none: made visible, but for the id, which the answer repeats
        compact = compact.replace(b"\\u0000", b"\\u2400")
        visible = orjson.loads(compact)
        if isinstance(frame, list) and isinstance(visible, list):
            visible[1:2] = frame[1:2]
        frame = visible
    return _checked(frame, compact)


def _checked(frame: Any, compact: bytes) -> Incoming:
    message_id = _readable_id(frame)
    if not isinstance(frame, list) or not frame:
        raise BadFrame("not_a_frame", "A frame is a JSON array: [type, id, ...].")
    kind = frame[0]
    if type(kind) is not int or kind not in _LENGTHS:
        raise BadFrame("unknown_type", f"Message type {str(kind)[:20]} is unknown.", message_id)
    if not message_id or len(frame[1]) > 64:
        raise BadFrame("bad_id", "The message id must be text of 1 to 36 characters.", message_id)
    if len(frame) not in _LENGTHS[kind]:
        raise BadFrame(
            "wrong_length", f"A message of type {kind} has {_LENGTHS[kind][0]} elements.", message_id
        )
    if kind in (CALL, SEND):
        action, payload = frame[2], frame[3]
        if not isinstance(action, str) or not 0 < len(action) <= 64:
            raise BadFrame("bad_action", "The action must be text.", message_id)
        if not isinstance(payload, dict):
            raise BadFrame("bad_payload", "The payload must be a JSON object.", message_id)
        head = 8 + len(message_id) + len(action)  # [2,"id","action",
        plain = compact[2:3] == b"," and compact[head - 1 : head + 1] == b",{"
        return Incoming(
            kind, message_id, action, payload, compact[head:-1] if plain else orjson.dumps(payload)
        )
    if kind == RESULT:
        if not isinstance(frame[2], dict):
            raise BadFrame("bad_payload", "The payload must be a JSON object.", message_id)
        return Incoming(kind, message_id, "", frame[2], orjson.dumps(frame[2]))
    return Incoming(kind, message_id, "", frame[2:], orjson.dumps(frame[2:]))


def call(message_id: str, action: str, payload: dict[str, Any]) -> str:
    return orjson.dumps([CALL, message_id, action, payload]).decode()


def result(message_id: str, payload_json: bytes) -> str:
    return f"[3,{orjson.dumps(message_id).decode()},{payload_json.decode()}]"


def error(message_id: str, code: str, description: str, kind: int = ERROR) -> str:
    return orjson.dumps([kind, message_id, code, description[:255], {}]).decode()


def fragment(payload_json: bytes) -> orjson.Fragment:
    """A payload for PostgreSQL, which holds no NUL: made visible."""
    if b"\\u0000" in payload_json:
        payload_json = payload_json.replace(b"\\u0000", b"\\u2400")
    return orjson.Fragment(payload_json)


def shortened(payload_json: bytes, most: int) -> bytes:
    """A payload that nobody answers for is kept up to a size: a flood of them must not fill memory or disk."""
    return payload_json if len(payload_json) <= most else orjson.dumps({"left out, bytes": len(payload_json)})


_SECRET = re.compile(r"(?is)(password|authorizationkey|secret).*")


def presentable(text: str) -> str:
    """The beginning of a frame that could not be read, up to anything that looks like a secret."""
    return storable(_SECRET.sub(r"\1 ***", text[:2000]))


def storable(text: str) -> str:
    """Text that PostgreSQL can hold: NUL made visible."""
    return text.replace("\x00", "\u2400").replace("\\u0000", "\\u2400")

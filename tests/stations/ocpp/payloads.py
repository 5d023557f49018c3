"""Payloads made from the official JSON schemas: valid ones, and ones that are wrong in one place."""

from __future__ import annotations

import copy
import json
from functools import cache
from importlib import resources
from typing import Any

from hypothesis import strategies as st

FOLDERS = {"1.6": "v16", "2.0.1": "v201", "2.1": "v21"}
MOST_ITEMS = 3
LONGEST = 40  # characters where the schema allows more: what is at the bound is tried apart
Payload = dict[str, Any]

# No lone surrogates: they are no JSON. All else that stations may send: NUL, controls, other scripts, emoji.
_TEXT = st.characters(exclude_categories=["Cs"])


@cache
def schema(version: str, action: str, response: bool) -> Payload:
    suffix = "Response" if response else ("" if version == "1.6" else "Request")
    folder = resources.files("ocpp") / FOLDERS[version] / "schemas"
    file = folder / f"{action}{suffix}.json"
    if not file.is_file():  # what is sent without an answer is no request
        file = folder / f"{action}.json"
    return dict(json.loads(file.read_text("utf-8-sig")))


def valid(version: str, action: str, *, response: bool = False) -> st.SearchStrategy[Payload]:
    """Payloads that keep to the schema."""
    whole = schema(version, action, response)
    return _strategy(whole, whole.get("definitions", {}), 0)


def nearly(version: str, action: str, *, response: bool = False) -> st.SearchStrategy[Payload]:
    """Payloads that were valid before one thing in them was changed."""
    return st.tuples(
        valid(version, action, response=response), st.integers(0, 2**30), st.sampled_from(_CHANGES)
    ).map(lambda drawn: _changed(*drawn))


def _strategy(node: Payload, definitions: Payload, depth: int) -> st.SearchStrategy[Any]:
    if "$ref" in node:
        name = node["$ref"].rsplit("/", 1)[1]
        if name == "CustomDataType":
            return st.just({"vendorId": "com.example"})
        return _strategy(definitions[name], definitions, depth + 1)
    if "enum" in node:
        return st.sampled_from(node["enum"])
    kind = node.get("type")
    if kind == "object":
        return _object(node, definitions, depth)
    if kind == "array":
        least = node.get("minItems", 0)
        most = max(least, min(MOST_ITEMS, node.get("maxItems", MOST_ITEMS)))
        return st.lists(_strategy(node["items"], definitions, depth + 1), min_size=least, max_size=most)
    return _plain(kind, node)


def _object(node: Payload, definitions: Payload, depth: int) -> st.SearchStrategy[Payload]:
    required = set(node.get("required", ()))
    members = {
        name: _strategy(part, definitions, depth + 1) for name, part in node.get("properties", {}).items()
    }
    must = {name: members[name] for name in members if name in required}
    may = {name: part for name, part in members.items() if name not in required}
    if depth > 4:
        may = {}
    return st.fixed_dictionaries(must, optional=may)


def _plain(kind: Any, node: Payload) -> st.SearchStrategy[Any]:
    if kind == "boolean":
        return st.booleans()
    if kind == "integer":
        least, most = int(node.get("minimum", -(2**31))), int(node.get("maximum", 2**31 - 1))
        near = st.integers(max(least, 0), min(most, 9)) if least <= 9 <= most or most < 9 else st.nothing()
        return near | st.integers(least, most)
    if kind == "number":
        if "multipleOf" in node:  # 1.6: limits in tenths
            return st.integers(0, 100_000).map(lambda tenths: round(tenths / 10, 1))
        least, most = node.get("minimum", -1e9), node.get("maximum", 1e12)
        whole = st.integers(int(max(least, 0)), int(min(most, 100_000)))
        return whole | st.floats(least, most, allow_nan=False, allow_infinity=False)
    if kind == "string":
        return _text(node)
    return st.none() | st.booleans() | st.integers(-10, 10) | st.text(_TEXT, max_size=10)


def _text(node: Payload) -> st.SearchStrategy[str]:
    if node.get("format") == "date-time":
        return st.sampled_from(
            (
                "2026-11-22T10:00:00Z",
                "2026-11-22T10:00:00.123Z",
                "2026-11-22T11:00:00+01:00",
                "1970-01-01T00:00:00Z",
                "2099-12-31T23:59:59.999999Z",
                "2026-11-23T00:00:00-11:30",
            )
        )
    if node.get("format") == "uri":
        return st.sampled_from(("https://example.com/a", "ftp://example.com/b"))
    most = min(node.get("maxLength", LONGEST), LONGEST)
    full = st.just("x" * node["maxLength"]) if node.get("maxLength", 10_000) <= 2_500 else st.nothing()
    word = st.text("0123456789ABCDEF", min_size=1, max_size=min(8, most))
    return word | st.text(_TEXT, max_size=most) | full


# --- wrong in one place ---

_CHANGES = ("drop", "add", "null", "type", "long", "word", "huge", "empty")


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [path, *(place for name in value for place in _places(value[name], (*path, name)))]
    if isinstance(value, list):
        return [path, *(place for n in range(len(value)) for place in _places(value[n], (*path, n)))]
    return [path]


def _changed(payload: Payload, which: int, change: str) -> Payload:
    made = copy.deepcopy(payload)
    places = _places(made)
    path = places[which % len(places)]
    if not path:
        made["surprise"] = which
        return made
    parent = made
    for step in path[:-1]:
        parent = parent[step]
    name, value = path[-1], parent[path[-1]]
    if change == "drop":
        del parent[name]
    elif change == "add" and isinstance(value, dict):
        value["surprise"] = "x"
    else:
        parent[name] = _OTHER[change](value)
    return made


_OTHER: dict[str, Any] = {
    "add": lambda value: value,
    "null": lambda value: None,
    "type": lambda value: 7 if isinstance(value, str) else "seven",
    "long": lambda value: value * 300 if isinstance(value, str) else [value],
    "word": lambda value: "Nonsense",
    "huge": lambda value: 10**30,
    "empty": lambda value: "" if isinstance(value, str) else {},
}

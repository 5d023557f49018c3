"""The draft of a tree: one JSON document that travels with the form, as far as it was typed. What somebody typed that
is no number stays in it as text, so that it is shown again beside what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext as _

from energy.document import OutletPart, of_outlet
from energy.document_reader import read
from energy.first_tree import add_station, wired
from energy.models import NodeKind
from energy.places import Places, by_station
from energy.queries import SUPPLIES

Json = dict[str, Any]
WINDOW_FIELDS = ("begins", "ends", "weekdays", "limit_a", "limit_w", "label", "first_day", "last_day")


class Draft:
    """`at`: the part that is open. `focus`: the field that the cursor goes to."""

    def __init__(self, value: Any, at: str = "") -> None:
        told = value if isinstance(value, dict) else {}
        self.value: Json = told | {name: _objects(told.get(name)) for name in ("nodes", "outlets")}
        self.at, self.focus = at, ""

    @classmethod
    def of_post(cls, post: QueryDict) -> Draft:
        """What was typed of the open part goes into the document that came along."""
        try:
            draft = cls(json.loads(post.get("draft", "")), post.get("at", ""))
        except (ValueError, RecursionError):
            draft = cls({})
        if str(post.get("revision", "")).isdecimal():
            draft.value["revision"] = int(str(post["revision"])[:15])
        draft._take(post)
        return draft

    # --- what is there ---

    @property
    def nodes(self) -> list[Json]:
        nodes: list[Json] = self.value["nodes"]
        return nodes

    @property
    def outlets(self) -> list[Json]:
        outlets: list[Json] = self.value["outlets"]
        return outlets

    def node(self, key: str | None) -> Json | None:
        return next((node for node in self.nodes if str(node.get("key")) == key), None)

    def outlet(self, part: str) -> Json | None:
        return next((one for one in self.outlets if of_outlet(one.get("evse_id", "")) == part), None)

    def as_text(self) -> str:
        return json.dumps(self.value)

    # --- what was typed ---

    def _take(self, typed: QueryDict) -> None:
        post = {name: str(value) for name, value in typed.items()}
        if "building_most_a" in post:
            self.value["building_most_a"] = number(post["building_most_a"]) or 0.0
            self.value["supply"] = post.get("supply", "")
        if (node := self.node(self.at)) is not None and "name" in post:
            node |= {
                "name": post["name"].strip(),
                "kind": post.get("kind", node.get("kind")),
                "limit_a": amps(post.get("limit_a", ""), len(self.lines)),
                "limit_w": watts(post.get("limit_kw", "")),
                "origin": post.get("origin", node.get("origin")),
                "rotation": post.get("rotation", "").split(),
                "module_w": watts(post.get("module_kw", "")),
                "windows": _windows(typed),
            }
            if "parent" in post:
                node["parent"] = post["parent"] or None
        elif (outlet := self.outlet(self.at)) is not None and "wiring" in post:
            wiring = post["wiring"]
            outlet |= {
                "node": post.get("node", outlet.get("node")),
                "lines": wiring.replace("-", " ").split(),
                "between": "-" in wiring,
                "max_a": number(post.get("max_a", "")),
                "min_a": number(post.get("min_a", "")),
                "step_a": number(post.get("step_a", "")),
                "guaranteed_a": number(post.get("guaranteed_a", "")) or 0.0,
                "priority": number(post.get("priority", "")) or 0,
            }

    @property
    def lines(self) -> tuple[str, ...]:
        supply = SUPPLIES.get(str(self.value.get("supply")), SUPPLIES["three_phase"])
        return supply.lines

    # --- what was pressed ---

    def do(self, pressed: str, places: Places) -> None:
        """`verb:part`, such as "add-panel:12". What is unknown does nothing."""
        verb, _colon, part = pressed.partition(":")
        verbs: dict[str, Callable[[], None]] = {
            "go": lambda: self._open(part),
            "add-panel": lambda: self._add(NodeKind.PANEL, _("Panel"), part),
            "add-circuit": lambda: self._add(NodeKind.CIRCUIT, _("Circuit"), part),
            "add-station": lambda: self._add(NodeKind.STATION, _("Station"), part),
            "up": lambda: self._shift(part, -1),
            "down": lambda: self._shift(part, 1),
            "remove": lambda: self._remove(part),
            "unwire": lambda: self._unwire(part),
            "wire": lambda: self._wire(part, places),
            "wire-all": lambda: self._wire_all(places),
            "add-window": self._add_window,
            "drop-window": lambda: self._drop_window(part),
        }
        verbs.get(verb, lambda: None)()

    def _open(self, part: str) -> None:
        self.at = "" if part == self.at else part

    def _add(self, kind: NodeKind, word: str, parent: str) -> None:
        if self.node(parent) is None:
            return
        keys = {str(node.get("key")) for node in self.nodes}
        key = next(f"new-{number}" for number in range(1, len(keys) + 2) if f"new-{number}" not in keys)
        self.nodes.append(
            {
                "key": key,
                "parent": parent,
                "kind": kind.value,
                "name": self._free_name(word),
                "origin": "fuse",
            }
        )
        self.at, self.focus = key, "name"

    def _free_name(self, word: str) -> str:
        names = {str(node.get("name", "")).casefold() for node in self.nodes}
        numbers = (f"{word} {number}" for number in range(1, len(names) + 2))
        return next(name for name in numbers if name.casefold() not in names)

    def _shift(self, part: str, step: int) -> None:
        """Before or behind its neighbour below the same part."""
        node = self.node(part)
        if node is None:
            return
        beside = [one for one in self.nodes if one.get("parent") == node.get("parent")]
        place = beside.index(node) + step
        if 0 <= place < len(beside):
            mine, theirs = self.nodes.index(node), self.nodes.index(beside[place])
            self.nodes[mine], self.nodes[theirs] = self.nodes[theirs], self.nodes[mine]
        self.at, self.focus = part, "up" if step < 0 else "down"

    def _remove(self, part: str) -> None:
        """What hangs below it moves up."""
        node = self.node(part)
        if node is None or node.get("parent") is None:
            return
        self.nodes.remove(node)
        for one in self.nodes:
            if one.get("parent") == part:
                one["parent"] = node["parent"]
        for outlet in self.outlets:
            if outlet.get("node") == part:
                outlet["node"] = node["parent"]
        self.at, self.focus = str(node["parent"]), "row"

    def _unwire(self, part: str) -> None:
        if (outlet := self.outlet(part)) is not None:
            self.outlets.remove(outlet)
            self.at, self.focus = str(outlet.get("node")), "row"

    def _wire(self, part: str, places: Places) -> None:
        """Below the part that is open, on the lines that its connectors tell."""
        place = next((one for one in places.values() if of_outlet(one.evse_id) == part), None)
        node = self.node(self.at) or next(iter(self.nodes), None)
        if place is None or node is None or self.outlet(part) is not None:
            return
        document, _unread = read(self.value)
        made = wired(place, str(node["key"]), document)
        self.outlets.append(_as_json(made))
        self.at, self.focus = part, "wiring"

    def _wire_all(self, places: Places) -> None:
        """A part for each station that is left out, as the first tree has."""
        document, _unread = read(self.value)
        told = {one.evse_id for one in document.outlets}
        for station in by_station(places).values():
            left = [place for place in station if place.evse_id not in told]
            if not left:
                continue
            count = len(document.outlets)
            document = add_station(document, left)
            node = document.nodes[-1]
            self.nodes.append(
                {
                    "key": node.key, "parent": node.parent, "kind": str(node.kind), "name": node.name,
                    "limit_a": list(node.limit_a or ()), "origin": str(node.origin),
                }
            )  # fmt: skip
            self.outlets.extend(_as_json(one) for one in document.outlets[count:])

    def _add_window(self) -> None:
        if (node := self.node(self.at)) is not None:
            node["windows"] = [
                *_objects(node.get("windows")),
                {"begins": "17:00", "ends": "20:00", "weekdays": []},
            ]
            self.focus = "window"

    def _drop_window(self, place: str) -> None:
        node = self.node(self.at)
        windows = _objects(node.get("windows")) if node else []
        if node is not None and place.isdecimal() and int(place[:4]) < len(windows):
            del windows[int(place[:4])]
            node["windows"] = windows
            self.focus = "add-window"


def _as_json(outlet: OutletPart) -> Json:
    return {
        "evse_id": outlet.evse_id,
        "node": outlet.node,
        "lines": [f"L{line + 1}" for line in outlet.lines],
        "between": outlet.between,
    }


def _objects(value: Any) -> list[Json]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _windows(post: QueryDict) -> list[Json]:
    columns = {name: post.getlist(f"window_{name}") for name in WINDOW_FIELDS}
    found = []
    for place in range(len(columns["begins"])):
        told: Json = {
            name: (values[place] if place < len(values) else "") for name, values in columns.items()
        }
        found.append(
            told
            | {
                "weekdays": [int(day) for day in told["weekdays"].split() if day.isdecimal()],
                "limit_a": number(told["limit_a"]),
                "limit_w": watts(told["limit_w"]),
                "first_day": told["first_day"] or None,
                "last_day": told["last_day"] or None,
            }
        )
    return found


def number(text: str) -> float | str | None:
    """As typed where it is none."""
    text = text.strip().replace(",", ".")
    try:
        value = float(text) if text else None
    except ValueError:
        return text[:40]
    return value if value is None or abs(value) < 1e12 else text[:40]


def watts(text: str) -> float | str | None:
    value = number(text)
    return round(value * 1000, 3) if isinstance(value, float) else value


def amps(text: str, lines: int) -> list[float | str] | str | None:
    """ "63" on each line, "63 / 50 / 40" on each its own."""
    told = [number(one) for one in text.replace(";", "/").split("/")]
    if told == [None]:
        return None
    if any(one is None or isinstance(one, str) for one in told):
        return text[:40]
    values = [one for one in told if one is not None]
    return values * lines if len(values) == 1 else values

"""Why a connector has what it has, in plain words (energy.picture.WHYS)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext as _

from energy import picture
from energy.grid import TOTAL
from energy.models import GridNode
from stations import limits

# Its word of the vocabulary (portal.vocabulary), which gives colour and icon.
LOOKS: Mapping[str, str] = {
    picture.IDLE: "available",
    picture.WAITS: "suspended_evse",
    picture.LATER: "suspended_evse",
    picture.OFFLINE: "offline",
    picture.DISOBEYS: "faulted",
    picture.STARTS: "preparing",
}


def amps(value: float | None) -> str:
    """16 A, 7.5 A."""
    if value is None:
        return "–"
    return f"{number_format(round(value, 1), 0 if abs(value - round(value)) < 0.05 else 1)}\u00a0A"


def kilowatts(watts: float | None) -> str:
    return "–" if watts is None else f"{number_format(round(watts / 1000, 1), 1)}\u00a0kW"


def quantity(value: float | None, unit: str) -> str:
    """Of a row: A of a line, W in total."""
    return kilowatts(value) if unit == "W" else amps(value)


def place(nodes: Mapping[int, GridNode], node_id: Any, part: Any) -> str:
    """L1 of Panel 2, the total of Panel 2; empty where it is not known."""
    node = nodes.get(node_id) if isinstance(node_id, int) else None
    if node is None:
        return ""
    if part == TOTAL:
        return _("the total of %(node)s") % {"node": node}
    return _("%(part)s of %(node)s") % {"part": part, "node": node} if part else str(node)


def for_how_long(since: Any, now: float) -> str:
    """12 min; empty where it is not known or under a minute."""
    minutes = int((now - since) // 60) if isinstance(since, int | float) else 0
    if minutes < 1:
        return ""
    return f"{minutes}\u00a0min" if minutes < 60 else f"{minutes // 60}\u00a0h {minutes % 60:02d}\u00a0min"


def clock(at: float) -> str:
    return limits.clock(datetime.fromtimestamp(at, UTC))


def of_outlet(outlet: Mapping[str, Any], nodes: Mapping[int, GridNode], now: float) -> str:
    """One sentence or two."""
    why, told = outlet.get("why"), outlet.get
    where = place(nodes, told("node"), told("part"))
    long = for_how_long(told("since"), now)
    least = amps(told("least") or 6.0)
    match why:
        case picture.IDLE:
            return _("A car is plugged in and asks for nothing.") if told("plugged") else _("Nobody charges.")
        case picture.FULL:
            return _("It has all that the connector gives.")
        case picture.CAR:
            return _("The car takes no more.")
        case picture.BINDS:
            return (
                _("%(place)s is full.") % {"place": _first(where)}
                if where
                else _("A limit above it is full.")
            )
        case picture.WAITS:
            turn = (
                _("Waits for its turn") if not long else _("Waits for its turn for %(long)s") % {"long": long}
            )
            reason = (
                _("%(place)s has no room for its %(least)s") % {"place": where, "least": least}
                if where
                else _("not all can have %(least)s at once") % {"least": least}
            )
            return f"{turn}: {reason}."
        case picture.PEAK:
            top = _("More would make a new peak.")
            return f"{top} {_('It binds at %(place)s.') % {'place': where}}" if where else top
        case picture.LATER:
            return _("The plan wants it later, for power is dearer now.")
        case picture.RAMP:
            return _("More follows in seconds: what others give up is not free yet.")
        case picture.OTHERS:
            return _("A limit holds here that somebody else set: its station's page tells who.")
        case picture.OFFLINE:
            return _("Offline: %(amps)s stay set aside, which it may give by itself.") % {
                "amps": amps(told("default") or 0.0)
            }
        case picture.DISOBEYS:
            return _(
                "It takes more than it was told, so %(amps)s stay set aside, the most that it can take."
            ) % {"amps": amps(told("committed"))}
        case picture.STARTS:
            return _("The session has just begun: its share follows.")
    return ""


def _first(text: str) -> str:
    return text[:1].upper() + text[1:]

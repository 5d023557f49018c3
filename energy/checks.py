"""What cannot be in a tree, and what can be but is worth a word: by part, in words that name things as people did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from django.utils.translation import gettext as _

from energy.composing import numbers_of, tree_of_document
from energy.document import Document, NodePart, OutletPart, Problem, of_outlet
from energy.grid import BadTree, Supply
from energy.models import LimitOrigin, SiteMeter
from energy.places import Places
from energy.queries import LEAST_AC_A, SUPPLIES


def problems(document: Document, places: Places) -> list[Problem]:
    """What must be mended before the tree can be kept."""
    supply = SUPPLIES[document.supply]
    found = [*_structure(document), *_limits(document, supply), *_outlets(document, places, supply)]
    if found:
        return found
    try:  # all that the loops themselves refuse
        _grid = tree_of_document(document, places).grid
    except BadTree as error:
        keys = {str(number): key for key, number in numbers_of(document).items()}
        return [
            Problem(keys.get(place, of_outlet(place)), "", text) for place, text in error.problems.items()
        ]
    return []


def _structure(document: Document) -> Iterable[Problem]:
    if not document.nodes:
        yield Problem("", "nodes", _("The tree is empty: begin with the grid connection."))
    keys = Counter(node.key for node in document.nodes)
    names = Counter(node.name.casefold() for node in document.nodes if node.name)
    by_key = document.by_key
    roots = [node for node in document.nodes if node.parent is None]
    for node in document.nodes:
        if keys[node.key] > 1:
            yield Problem(node.key, "key", _("Two parts have the key %(key)s.") % {"key": node.key})
        if names[node.name.casefold()] > 1:
            yield Problem(
                node.key, "name", _("Two parts are called %(name)s: give each its own name.") % {"name": node.name}
            )  # fmt: skip
        if node.parent is not None and node.parent not in by_key:
            yield Problem(node.key, "parent", _("It hangs below a part that is not there: choose another."))
        elif (path := _up(node, by_key)) and path[-1].key == node.key:
            told = " → ".join(one.name for one in [node, *path])
            yield Problem(node.key, "parent", _("It hangs below itself: %(path)s.") % {"path": told})
        if node.parent is None and roots[0] is not node:
            text = _(
                "Only one part is the grid connection, and that is %(name)s: hang this one below another."
            )
            yield Problem(node.key, "parent", text % {"name": roots[0].name})


def _up(node: NodePart, by_key: dict[str, NodePart]) -> list[NodePart]:
    """From its parent up; it ends with the node itself where that hangs below itself."""
    path: list[NodePart] = []
    upper = by_key.get(node.parent or "")
    while upper is not None and upper not in path:
        path.append(upper)
        if upper.key == node.key:
            break
        upper = by_key.get(upper.parent or "")
    return path


def _limits(document: Document, supply: Supply) -> Iterable[Problem]:
    count, lines = len(supply.lines), ", ".join(supply.lines)
    for node in document.nodes:
        if node.limit_a is not None and len(node.limit_a) != count:
            yield Problem(node.key, "limit_a", _("Give a limit for each of %(lines)s.") % {"lines": lines})
        if node.rotation and sorted(node.rotation) != list(range(count)):
            yield Problem(node.key, "rotation", _("Name each of %(lines)s once.") % {"lines": lines})
        for window in node.windows:
            if window.limit_a is None and window.limit_w is None:
                yield Problem(node.key, "windows", _("A limit by time needs A or kW."))
            if window.first_day and window.last_day and window.last_day < window.first_day:
                yield Problem(node.key, "windows", _("A limit by time ends before it begins."))


def _outlets(document: Document, places: Places, supply: Supply) -> Iterable[Problem]:
    count, lines = len(supply.lines), ", ".join(supply.lines)
    seen = Counter(outlet.evse_id for outlet in document.outlets)
    keys = {node.key for node in document.nodes}
    for outlet in document.outlets:
        part = of_outlet(outlet.evse_id)
        if outlet.evse_id not in places:
            text = _("There is no EVSE %(number)s at this site: take it out of the tree.")
            yield Problem(part, "evse_id", text % {"number": outlet.evse_id})
            continue
        if seen[outlet.evse_id] > 1:
            yield Problem(part, "evse_id", _("It is wired twice: take one out."))
        if outlet.node not in keys:
            yield Problem(part, "node", _("It hangs below a part that is not there: choose another."))
        if not outlet.lines:
            yield Problem(part, "lines", _("Say to which lines it is wired."))
        elif max(outlet.lines) >= count:
            yield Problem(
                part, "lines", _("It is wired to a line that the site has not: there is %(lines)s.") % {"lines": lines}
            )  # fmt: skip
        elif len(set(outlet.lines)) < len(outlet.lines) or (outlet.between and len(outlet.lines) != 2):
            yield Problem(part, "lines", _("Each of its phases needs a line of its own."))
        yield from _currents(outlet, places, supply)


def _currents(outlet: OutletPart, places: Places, supply: Supply) -> Iterable[Problem]:
    place, part = places[outlet.evse_id], of_outlet(outlet.evse_id)
    most = outlet.max_a if outlet.max_a is not None else place.most_a(supply, len(outlet.lines))
    least = outlet.min_a if outlet.min_a is not None else 0.0 if place.is_dc else LEAST_AC_A
    if outlet.max_a is not None and least > outlet.max_a:
        text = _("Its most, %(most)s A, is less than the %(least)s A below which nothing flows.")
        yield Problem(part, "max_a", text % {"most": f"{outlet.max_a:g}", "least": f"{least:g}"})
    elif outlet.min_a is not None and outlet.min_a > most:
        text = _("Its least, %(least)s A, is more than the %(most)s A that it gives.")
        yield Problem(part, "min_a", text % {"least": f"{outlet.min_a:g}", "most": f"{most:g}"})
    elif outlet.guaranteed_a > most:
        text = _("It cannot be guaranteed more than the %(most)s A that it gives.")
        yield Problem(part, "guaranteed_a", text % {"most": f"{most:g}"})


# --- worth a word ---


def warnings(document: Document, places: Places, meters: Sequence[SiteMeter] = ()) -> list[Problem]:
    """What can be kept. Only for documents without problems."""
    return [
        *_left_out(document, places), *_unlimited(document), *_above_parent(document, places),
        *_never_binding(document), *_guarantees(document, places), *_homeless(document, meters),
    ]  # fmt: skip


def _left_out(document: Document, places: Places) -> Iterable[Problem]:
    wired = {outlet.evse_id for outlet in document.outlets}
    for place in places.values():
        if place.evse_id not in wired:
            text = _("%(name)s is wired nowhere: load management neither sees nor limits it.")
            yield Problem("", "outlets", text % {"name": place.label})


def _unlimited(document: Document) -> Iterable[Problem]:
    root = document.root
    if root is not None and root.limit_a is None and root.limit_w is None:
        text = _("%(name)s has no limit: nothing is held back for its sake.")
        yield Problem(root.key, "limit_a", text % {"name": root.name})


def _above_parent(document: Document, places: Places) -> Iterable[Problem]:
    """Limits that never bind, since one further up is lower. What a station is rated for may well be more."""
    tree = tree_of_document(document, places)
    number_of, by_key = numbers_of(document), document.by_key
    pure = {node.key: tree.pure[number - 1] for node in document.nodes if (number := number_of[node.key])}
    for node in document.nodes:
        if node.origin == LimitOrigin.RATING:
            continue
        for upper in _up(node, by_key):
            told = {"name": upper.name}
            if node.limit_a is not None and upper.limit_a is not None:
                pairs = zip(pure[node.key].limit_a or (), pure[upper.key].limit_a or (), strict=False)
                over = [(own, theirs) for own, theirs in pairs if own > theirs]
                if over:
                    text = _("%(own)s A is more than %(name)s above it gives, %(theirs)s A: it never binds.")
                    own, theirs = over[0]
                    yield Problem(
                        node.key, "limit_a", text % {**told, "own": f"{own:g}", "theirs": f"{theirs:g}"}
                    )
                    break
            if node.limit_w is not None and upper.limit_w is not None and node.limit_w > upper.limit_w:
                text = _("%(own)s kW is more than %(name)s above it gives, %(theirs)s kW: it never binds.")
                kilowatts = {"own": f"{node.limit_w / 1000:g}", "theirs": f"{upper.limit_w / 1000:g}"}
                yield Problem(node.key, "limit_w", text % {**told, **kilowatts})
                break


def _never_binding(document: Document) -> Iterable[Problem]:
    for node in document.nodes:
        for window in node.windows:
            amps = window.limit_a is not None and node.limit_a and window.limit_a >= max(node.limit_a)
            watts = window.limit_w is not None and node.limit_w is not None and window.limit_w >= node.limit_w
            if (amps or window.limit_a is None) and (watts or window.limit_w is None) and (amps or watts):
                text = _("The limit from %(begins)s to %(ends)s is not below the limit of all day.")
                told = {"begins": f"{window.begins:%H:%M}", "ends": f"{window.ends:%H:%M}"}
                yield Problem(node.key, "windows", text % told)


def _guarantees(document: Document, places: Places) -> Iterable[Problem]:
    tree = tree_of_document(document, places)
    guaranteed = {outlet.evse_id: outlet.guaranteed_a for outlet in document.outlets}
    asked = np.array([guaranteed[one.evse_id] for one in tree.wired])
    if not np.any(asked):
        return
    keys = {str(number): key for key, number in numbers_of(document).items()}
    told: set[str] = set()
    for row, load in zip(tree.grid.rows, tree.grid.loads(asked), strict=True):
        if load > row.limit and row.node not in told:
            told.add(row.node)
            scale, unit = (1.0, "A") if row.unit == "A" else (1000.0, "kW")
            text = _(
                "All below it together are guaranteed %(sum)s %(unit)s, and it gives %(limit)s: some will wait."
            )
            yield Problem(
                keys[row.node], "guaranteed_a",
                text % {"sum": f"{load / scale:.4g}", "unit": unit, "limit": f"{row.limit / scale:.4g}"},
            )  # fmt: skip


def _homeless(document: Document, meters: Sequence[SiteMeter]) -> Iterable[Problem]:
    for meter in meters:
        if meter.node_id is not None and str(meter.node_id) not in document.by_key:
            text = _("The meter %(name)s is at a part that goes: it will count at the grid connection.")
            yield Problem("", "meters", text % {"name": meter.name})

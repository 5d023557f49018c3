"""Why load management set the limits of a session, in words: from what was kept with each profile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext as _

from energy import picture
from energy.models import GridNode
from stations.models import ChargingProfile


def of_profiles(rows: Sequence[ChargingProfile]) -> dict[int, str]:
    """By id of the profile; none for those of which nothing is known."""
    names = _names(rows)
    words = {
        row.pk: _words(str(row.more.get("why") or ""), names.get(_number(row.more.get("node")), ""))
        for row in rows
    }
    return {number: text for number, text in words.items() if text}


def _number(told: Any) -> int:
    return int(told) if str(told).isdecimal() and len(str(told)) < 18 else 0


def _names(rows: Sequence[ChargingProfile]) -> dict[int, str]:
    numbers = {_number(row.more.get("node")) for row in rows} - {0}
    if not numbers:
        return {}
    found = GridNode.objects.filter(tenant_id=rows[0].tenant_id, pk__in=numbers)
    return {node.pk: node.name for node in found}


def _words(why: str, node: str) -> str:
    """As it was then; what it was about is past."""
    if why == picture.BINDS and node:
        return _("%(node)s was full") % {"node": node}
    if why == picture.WAITS and node:
        return _("it waited for its turn: %(node)s was full") % {"node": node}
    return {
        picture.FULL: _("all that the connector gives"),
        picture.CAR: _("the car took no more"),
        picture.BINDS: _("a limit above it was full"),
        picture.WAITS: _("it waited for its turn"),
        picture.PEAK: _("more would have made a new peak"),
        picture.LATER: _("planned for later, when power is cheaper"),
        picture.RAMP: _("what others gave up was not free yet"),
        picture.OTHERS: _("a limit that somebody else set"),
        picture.OFFLINE: _("the station was not heard"),
        picture.DISOBEYS: _("it took more than it was told"),
        picture.STARTS: _("the session had just begun"),
    }.get(why, "")

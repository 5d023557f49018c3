"""The first thing the load page says: all is well, or what is wrong at the site, each with its one action."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from energy import picture, why_words
from energy.board import Board, Spot
from energy.models import MeterKind, SiteMeter
from energy.policy import Policies
from energy.queries import turned
from energy.why_words import clock, place, quantity


@dataclass(frozen=True)
class Answer:
    """One line. `url_name` and `args` of the page where something can be done; empty: nothing needs to be."""

    state: str
    title: str
    detail: str = ""
    action: str = ""
    url_name: str = ""
    args: tuple[Any, ...] = ()


def of(board: Board) -> list[Answer]:
    """Never empty. What is wrong comes first; if nothing is, the one line says how full the site is."""
    site_id = board.tree.connection.site_id
    if not board.tree.connection.steers:
        return [
            Answer(
                "neutral", _("Load management is switched off here"),
                _("Each car takes what its connector gives. Nobody watches the limits of this tree."),
                _("See the grid connection"), "site-grid", (site_id,),
            )
        ]  # fmt: skip
    if board.told.get("broken"):
        return [
            Answer(
                "faulted", _("The tree of this site cannot be steered by"), str(board.told["broken"])[:300],
                _("See the grid connection"), "site-grid", (site_id,),
            )
        ]  # fmt: skip
    if board.is_stale:
        return [_unsteered(board), *_wrong(board, site_id)] if board.at else [_unsteered(board)]
    wrong = list(_wrong(board, site_id))
    return wrong or [_well(board)]


def _unsteered(board: Board) -> Answer:
    rests = _(
        "Stations keep to what they were told for minutes at most, then to their defaults. New cars may have to wait. "
        "Who runs this installation can see why its process that steers has stopped."
    )
    if board.at is None:
        title = _("Nobody steers this site yet")
        rests = _("The process that steers has not taken it up. It does so within a minute if it runs.")
    else:
        title = _("Nobody steers this site since %(time)s") % {"time": clock(board.at.timestamp())}
    return Answer("faulted", title, rests)


def _wrong(board: Board, site_id: int) -> Iterator[Answer]:
    yield from _over(board, site_id)
    yield from _disobeying(board)
    yield from _kept_out(board)
    yield from _mute(board, site_id)
    yield from _turned(board, site_id)
    yield from _waiting(board, site_id)
    yield from _offline(board)


def _over(board: Board, site_id: int) -> Iterator[Answer]:
    for branch, bar in board.bars:
        if not bar.is_over and bar.share <= 1.0:
            continue
        told = {
            "place": place(board.tree.nodes, branch.node.pk, bar.part),
            "most": quantity(max(bar.load, bar.building + bar.committed), bar.unit),
            "limit": quantity(bar.limit, bar.unit),
        }
        detail = (
            _("The building alone takes %(building)s there.") % {"building": quantity(bar.building, bar.unit)}
            if bar.building > bar.limit
            else _(
                "Cars there are being lowered. What a station does not confirm counts until its profile ends."
            )
        )
        yield Answer(
            "faulted", _("%(place)s may carry %(most)s, more than its limit of %(limit)s") % told, detail,
            _("See the limits"), "site-grid", (site_id,),
        )  # fmt: skip


def _names(spots: list[Spot], most: int = 3) -> str:
    names = [
        _("%(station)s, connector %(number)s") % {"station": one.name, "number": one.number} for one in spots
    ]
    more = len(names) - most
    rest = [ngettext("%(count)s more", "%(count)s more", more) % {"count": more}] if more > 0 else []
    return "; ".join(names[:most] + rest)


def _disobeying(board: Board) -> Iterator[Answer]:
    for spot in (one for one in board.spots if one.why == picture.DISOBEYS):
        yield Answer(
            "faulted",
            _("%(place)s takes more than it was told") % {"place": _names([spot])},
            _(
                "Told %(asked)s, it draws %(draw)s. Others get less, for the most that it can take stays set aside. "
                "Restart it; if that does not help, its maker has to."
            )
            % {"asked": why_words.amps(spot.asked), "draw": why_words.amps(spot.draw)},
            _("See the station"), "station", (spot.station_id,),
        )  # fmt: skip


def _kept_out(board: Board) -> Iterator[Answer]:
    for spot in (one for one in board.spots if one.kept_out):
        yield Answer(
            "warning",
            _("%(place)s cannot be steered: %(limit)s") % {"place": _names([spot]), "limit": spot.kept_out},
            _(
                "Its station has no room for load management beside that limit, so it counts with the limit all the "
                "time. Clear it there, and enter it as the connector's most in the grid tree."
            ),
            _("See its limits"), "station-limits", (spot.station_id,),
        )  # fmt: skip


def _mute(board: Board, site_id: int) -> Iterator[Answer]:
    names = {meter.pk: meter for meter in board.tree.meters}
    told = board.told.get("meters")
    for one in told if isinstance(told, list) else []:
        meter = names.get(one.get("meter", 0)) if isinstance(one, dict) and one.get("mute") else None
        if meter is None:
            continue
        if isinstance(dead := one.get("dead"), list) and dead:
            yield _dead(meter, ", ".join(map(str, dead)), site_id)
            continue
        at, since = one.get("at"), one.get("since") or one.get("at")
        title = _mute_words(meter, at, since)
        detail = (
            _("No sun is counted meanwhile.")
            if meter.kind == MeterKind.SOLAR
            else _("The most that the building may take is counted meanwhile, so cars get less.")
        )
        yield Answer("warning", title, detail, _("See the meters"), "site-meters", (site_id,))


def _mute_words(meter: SiteMeter, at: Any, since: Any) -> str:
    """Since when nothing new is told; `at`: its newest reading, which is later where it hangs."""
    if not isinstance(at, int | float) or not isinstance(since, int | float):
        return _("The meter %(meter)s has told nothing yet") % {"meter": meter}
    told = {"meter": meter, "time": clock(since)}
    if at > since:
        return _("The meter %(meter)s hangs: it sends the very same since %(time)s") % told
    return _("The meter %(meter)s is silent since %(time)s") % told


def _dead(meter: SiteMeter, lines: str, site_id: int) -> Answer:
    title = _("The meter %(meter)s tells 0 A on %(lines)s while cars draw there") % {
        "meter": meter,
        "lines": lines,
    }
    detail = _(
        "Look at its clamps and its wires. The most that the building may take is counted until it tells more than 0."
    )
    return Answer("warning", title, detail, _("See the meters"), "site-meters", (site_id,))


def _turned(board: Board, site_id: int) -> Iterator[Answer]:
    names = {meter.pk: meter for meter in board.tree.meters}
    for pk, lines in turned(board.tree.meters).items():
        told = {"meter": names[pk], "lines": ", ".join(lines)}
        yield Answer(
            "warning", _("The meter %(meter)s is the wrong way round on %(lines)s, most likely") % told,
            _(
                "By its word power flows out all night, when no sun shines. Turn those clamps, or the sign of their "
                "values. What it tells there counts as drawn until a night shows otherwise."
            ),
            _("See the meters"), "site-meters", (site_id,),
        )  # fmt: skip


def _waiting(board: Board, site_id: int) -> Iterator[Answer]:
    by_place: dict[str, list[Spot]] = {}
    for spot in board.waiting:
        where = place(board.tree.nodes, spot.told.get("node"), spot.told.get("part"))
        by_place.setdefault(where, []).append(spot)
    for where, spots in by_place.items():
        told = {"count": len(spots), "place": where}
        title = (
            ngettext(
                "%(count)s car waits for its turn: %(place)s is full",
                "%(count)s cars wait for their turn: %(place)s is full", len(spots),
            )
            if where
            else ngettext("%(count)s car waits for its turn", "%(count)s cars wait for their turn", len(spots))
        ) % told  # fmt: skip
        minutes = Policies.of_row(board.tree.connection.policy).turn_minutes
        turn = _("A turn lasts %(minutes)s minutes.") % {"minutes": round(minutes)}
        yield Answer(
            "warning", title, f"{_names(spots)}. {turn}",
            _("Try another limit"), "site-what-ifs", (site_id,),
        )  # fmt: skip


def _offline(board: Board) -> Iterator[Answer]:
    away = [spot for spot in board.spots if spot.why == picture.OFFLINE]
    stations = {spot.station_id: spot for spot in away}
    for spot in list(stations.values())[:3]:
        yield Answer(
            "offline", _("%(station)s is offline") % {"station": spot.name},
            _("It cannot be steered: what it may give by itself stays set aside."),
            _("See its connection"), "station-health", (spot.station_id,),
        )  # fmt: skip
    if (more := len(stations) - 3) > 0:
        text = ngettext("%(count)s more station is offline", "%(count)s more stations are offline", more)
        yield Answer("offline", text % {"count": more})


SHORT_OF = (picture.BINDS, picture.PEAK, picture.LATER, picture.OTHERS, picture.RAMP)


def _well(board: Board) -> Answer:
    fullest = board.fullest
    told = {}
    if fullest:
        branch, bar = fullest
        told = {
            "load": why_words.quantity(bar.load, bar.unit),
            "limit": quantity(bar.limit, bar.unit),
            "place": place(board.tree.nodes, branch.node.pk, bar.part),
        }
    end = _("%(load)s of %(limit)s on %(place)s is the fullest.") % told if told else ""
    busy = [spot for spot in board.spots if spot.is_there]
    short = [spot for spot in busy if spot.why in SHORT_OF]
    if not busy:
        return Answer("well", _("Nobody charges now"), end)
    if short:
        title = ngettext(
            "%(count)s of %(all)s car gets less than it could take",
            "%(count)s of %(all)s cars get less than they could take", len(busy),
        ) % {"count": len(short), "all": len(busy)}  # fmt: skip
        return Answer("well", title, end)
    return Answer("well", _("All cars get what they ask for"), end)

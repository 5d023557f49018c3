"""Meter values of a station: of one of its EVSEs, or of its own main meter (EVSE 0, in 1.6 connector 0).

Settings: {"station_id", "evse_number"}. What the gateway keeps (stations_reading) is looked through each second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from energy.feeds import values
from energy.feeds.feed import Feed, Readings, Threads
from energy.feeds.problems import NO_STATION, FeedError
from energy.readings import Told
from stations.models import Reading, Station
from tenants.errors import Invalid

EVERY_S = 1.0
BACK = timedelta(minutes=15)  # stations send some of their readings late
MOST_AT_ONCE = 100
_LINES = {"L1": 1, "L1-N": 1, "L2": 2, "L2-N": 2, "L3": 3, "L3-N": 3, "": values.TOTAL}
# Measurand: of what it is, and its sign. Export is what flows back.
_MEASURANDS = {
    "Current.Import": (values.AMPS, 1.0),
    "Current.Export": (values.AMPS, -1.0),
    "Power.Active.Import": (values.WATTS, 1.0),
    "Power.Active.Export": (values.WATTS, -1.0),
}
_UNITS = {"": 1.0, "a": 1.0, "ma": 1e-3, "w": 1.0, "kw": 1e3, "mw": 1e6}


def checked(told: Mapping[str, Any]) -> dict[str, Any]:
    """The settings in full. Invalid says by field what is wrong. Whether the station is there, the caller sees."""
    wrong = {
        str(name)[:40]: "There is no such setting." for name in told.keys() - {"station_id", "evse_number"}
    }
    station_id, number = told.get("station_id"), told.get("evse_number", 0)
    if not isinstance(station_id, int) or isinstance(station_id, bool) or not 0 < station_id < 2**63:
        wrong["station_id"] = "Name the station whose meter values are taken."
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= 999:
        wrong["evse_number"] = "From 0 (the station's main meter) to 999."
    if wrong:
        raise Invalid(fields=wrong)
    return {"station_id": station_id, "evse_number": number}


def has_station(tenant_id: int, site_id: int, station_id: int) -> bool:
    return Station.objects.filter(
        tenant_id=tenant_id, site_id=site_id, pk=station_id, archived_at=None
    ).exists()


async def readings(feed: Feed, threads: Threads) -> Readings:
    """What comes from now on, and of what was there the newest."""
    station_id, number = feed.settings["station_id"], feed.settings["evse_number"]
    seen = await threads.within(feed.tenant_id, lambda: _begin(feed.tenant_id, station_id, number))
    while True:
        found = await threads.within(
            feed.tenant_id, partial(_since, feed.tenant_id, station_id, number, seen)
        )
        for reading in found:
            seen = max(seen, reading.pk)
            if (told := told_of(reading, feed.meter_id, feed.lines)) is not None:
                yield told
        await asyncio.sleep(EVERY_S)


def _mine(tenant_id: int, station_id: int, number: int) -> QuerySet[Reading]:
    since = timezone.now() - BACK
    return Reading.objects.filter(
        tenant_id=tenant_id, station_id=station_id, evse_number=number, sampled_at__gte=since
    )


def _begin(tenant_id: int, station_id: int, number: int) -> int:
    """The id before the newest reading."""
    if not Station.objects.filter(tenant_id=tenant_id, pk=station_id, archived_at=None).exists():
        raise FeedError(NO_STATION)
    newest = _mine(tenant_id, station_id, number).order_by("-sampled_at").values_list("pk", flat=True).first()
    return (newest or 1) - 1


def _since(tenant_id: int, station_id: int, number: int, seen: int) -> list[Reading]:
    return list(_mine(tenant_id, station_id, number).filter(pk__gt=seen).order_by("pk")[:MOST_AT_ONCE])


def told_of(reading: Reading, meter_id: int, lines: int) -> Told | None:
    """None where it tells neither current nor power. A current without a phase counts on every line."""
    found: dict[values.Key, float] = {}
    for key, number in _numbers(reading.values):
        found[key] = found.get(key, 0.0) + number  # import and export of one line
    if not found:
        return None
    each_a = found.pop((values.AMPS, values.TOTAL), None)
    amps, watts = values.together(found)
    if amps is None and each_a is not None:
        amps = [each_a] * lines
    return Told(meter_id, amps, watts, reading.sampled_at, reading.received_at)


def _numbers(told: Iterable[Mapping[str, Any]]) -> Iterable[tuple[values.Key, float]]:
    for value in told:
        of, sign = _MEASURANDS.get(str(value.get("measurand")), ("", 0.0))
        line = _LINES.get(str(value.get("phase", "")))
        unit = _UNITS.get(str(value.get("unit", "")).strip().lower())
        if not of or line is None or unit is None:
            continue
        try:
            number = float(value["value"]) * 10.0 ** int(value.get("multiplier", 0))
        except (KeyError, ValueError, TypeError, OverflowError):
            continue
        yield (of, line), sign * unit * number

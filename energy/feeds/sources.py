"""The table of sources: how the settings of each are checked, and how it is read. A test pins it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from energy.feeds import modbus, mqtt, ocpp
from energy.feeds.feed import Feed, Reader, Threads
from energy.feeds.problems import INTERNAL, NO_ANSWER, NO_READING, SILENT, FeedError
from energy.models import MeterSource
from energy.readings import Told
from tenants.errors import Invalid

log = logging.getLogger("voltyard.feeds")
TRY_S = 12.0


def _none(told: Mapping[str, Any]) -> dict[str, Any]:
    if told:
        raise Invalid(fields={"": "A meter that sends by REST has no settings."})
    return {}


@dataclass(frozen=True)
class Source:
    """`read` None: it is not read, but sends by itself."""

    checked: Callable[[Mapping[str, Any]], dict[str, Any]]
    read: Reader | None
    has_secret: bool = False


SOURCES: dict[str, Source] = {
    MeterSource.REST: Source(_none, None),
    MeterSource.MQTT: Source(mqtt.checked, mqtt.readings, has_secret=True),
    MeterSource.MODBUS: Source(modbus.checked, modbus.readings),
    MeterSource.OCPP: Source(ocpp.checked, ocpp.readings),
}
has_station = ocpp.has_station


def checked(source: str, told: Any) -> dict[str, Any]:
    """The settings in full. Invalid says by field what is wrong; the field "" is about all of it."""
    if not isinstance(told, dict):
        raise Invalid(fields={"": "An object with the settings of the source."})
    return SOURCES[source].checked(told)


def try_once(source: str, feed: Feed) -> Told:
    """One reading, from a thread without a loop. FeedError says why there is none."""
    return asyncio.run(_once(source, feed))


async def _once(source: str, feed: Feed) -> Told:
    read = SOURCES[source].read
    if read is None:
        raise FeedError(NO_READING)
    threads = Threads()
    try:
        async with asyncio.timeout(TRY_S), contextlib.aclosing(read(feed, threads)) as told:
            return await anext(told)
    except TimeoutError:
        nothing = {MeterSource.MQTT: SILENT, MeterSource.OCPP: NO_READING}
        raise FeedError(nothing.get(MeterSource(source), NO_ANSWER)) from None
    except (FeedError, asyncio.CancelledError):
        raise
    except Exception:
        log.exception("a meter could not be tried", extra={"source": source, "meter": feed.meter_id})
        raise FeedError(INTERNAL) from None
    finally:
        threads.close()

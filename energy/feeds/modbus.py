"""Modbus TCP, through pymodbus: a meter that is asked, each second unless told otherwise.

Settings: {"host", "port", "unit_id", "every_s", "values": [...]} with values as energy.feeds.registers checks them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pymodbus import ModbusException
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ConnectionException

from energy.feeds import address, registers, values
from energy.feeds.feed import Feed, Readings, Threads
from energy.feeds.mqtt import is_port
from energy.feeds.problems import (
    CUT_OFF,
    NO_ANSWER,
    NO_MODEL,
    NOT_SPOKEN,
    REGISTER,
    UNREACHABLE,
    FeedError,
)
from energy.readings import Told
from tenants.errors import Invalid

# It says on the log whatever we say on the meter, and each time anew.
logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)
ANSWER_S = 2.0
TRIES = 2  # a gateway to RS-485 loses a request now and then
LEAST_S, MOST_S = 0.2, 60.0
DEFAULTS = {"port": 502, "unit_id": 1, "every_s": 1}
# SunSpec: the map begins with "SunS" at one of these, then models follow each other by id and length to 0xFFFF.
_SUNSPEC_STARTS = (40_000, 0, 50_000)
_SUNS = [0x5375, 0x6E53]
_MOST_MODELS = 60
_REFUSALS = {1: "illegal function", 2: "illegal address", 3: "illegal value", 4: "device failure", 6: "busy",
             10: "gateway path", 11: "gateway target"}  # fmt: skip


def checked(told: Mapping[str, Any]) -> dict[str, Any]:
    """The settings in full. Invalid says by field what is wrong."""
    unknown = told.keys() - DEFAULTS.keys() - {"host", "values"}
    wrong = {str(name)[:40]: "There is no such setting." for name in unknown}
    found = {**DEFAULTS, **told}
    if not address.is_name(found.get("host")):
        wrong["host"] = "The meter's name or IP address, such as 192.168.10.20."
    if not is_port(found["port"]):
        wrong["port"] = "A number from 1 to 65535."
    unit_id, every_s = found["unit_id"], found["every_s"]
    if not isinstance(unit_id, int) or isinstance(unit_id, bool) or not 0 <= unit_id <= 255:
        wrong["unit_id"] = "A number from 0 to 255."
    if not isinstance(every_s, int | float) or isinstance(every_s, bool) or not LEAST_S <= every_s <= MOST_S:
        wrong["every_s"] = f"From {LEAST_S:g} to {MOST_S:g} seconds."
    try:
        listed = found.get("values")
        found["values"] = values.check_all(
            registers.checked(one) for one in (listed if isinstance(listed, list) else ())
        )
    except values.BadValue as bad:
        wrong["values"] = str(bad)
    if wrong:
        raise Invalid(fields=wrong)
    return found


async def readings(feed: Feed, threads: Threads) -> Readings:
    """A reading each `every_s`; one that comes late puts off the next and is not made up for."""
    settings = feed.settings
    host, port = settings["host"], settings["port"]
    at = await threads.net(address.resolve, host, port)
    client = AsyncModbusTcpClient(
        at, port=port, timeout=ANSWER_S, retries=TRIES - 1, reconnect_delay=0, name=f"meter {feed.meter_id}"
    )
    try:
        if not await client.connect():
            raise FeedError(UNREACHABLE, f"{host}:{port}")
        asking = Asking(client, settings["unit_id"])
        wanted = {value["model"] for value in settings["values"]} - {None}
        models = await asking.models() if wanted else {}
        if missing := wanted - models.keys():
            raise FeedError(NO_MODEL, f"{min(missing)}; {', '.join(map(str, sorted(models)))}")
        listed = registers.places(settings["values"], models)
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            found = await asking.values(listed)
            yield Told(feed.meter_id, *values.together(found), received_at=datetime.now(UTC))
            due = max(due + settings["every_s"], loop.time())
            await asyncio.sleep(due - loop.time())
    finally:
        client.close()


class Asking:
    """One device behind a connection."""

    def __init__(self, client: AsyncModbusTcpClient, unit_id: int) -> None:
        self._client, self._unit_id = client, unit_id

    async def values(self, listed: Sequence[registers.Placed]) -> dict[values.Key, float]:
        told: dict[tuple[str, int], int] = {}
        for block in registers.blocks(listed):
            read = await self.read(block)
            told |= {(block.kind, block.address + place): word for place, word in enumerate(read)}
        found = {}
        for value, begin, factor in listed:
            kind, count = value["kind"], registers.TYPES[value["type"]][1]
            words = [told[kind, begin + place] for place in range(count)]
            power = None if factor is None else told[kind, factor]
            found[values.key_of(value)] = registers.value_of(value, words, power)
        return found

    async def read(self, block: registers.Block) -> list[int]:
        """FeedError says which registers were not given, and why."""
        where = f"{block.kind} {block.address}-{block.address + block.count - 1}"
        ask = (
            self._client.read_input_registers
            if block.kind == "input"
            else self._client.read_holding_registers
        )
        try:
            answer = await ask(block.address, count=block.count, device_id=self._unit_id)
        except ConnectionException:
            raise FeedError(CUT_OFF) from None
        except ModbusException:
            raise FeedError(NO_ANSWER, where) from None
        if answer.isError():
            code = getattr(answer, "exception_code", 0)
            raise FeedError(REGISTER, f"{where}, {_REFUSALS.get(code, code)}")
        if len(answer.registers) != block.count:
            raise FeedError(NOT_SPOKEN, where)
        return list(answer.registers)

    async def models(self) -> dict[int, int]:
        """Where each SunSpec model begins; of two of one kind the first."""
        for start in _SUNSPEC_STARTS:
            try:
                if await self.read(registers.Block("holding", start, 2)) == _SUNS:
                    return await self._chain(start + 2)
            except FeedError as error:
                if not str(error).startswith(REGISTER):
                    raise
        return {}

    async def _chain(self, place: int) -> dict[int, int]:
        found: dict[int, int] = {}
        for _model in range(_MOST_MODELS):
            model, length = await self.read(registers.Block("holding", place, 2))
            if model == 0xFFFF or place + length + 2 >= registers.MOST_ADDRESS:
                break
            found.setdefault(model, place)
            place += length + 2
        return found

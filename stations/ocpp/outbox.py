"""Commands that wait, taken for many stations at once: who is over a limit lowers all its cars together."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from stations.models import Command, CommandState
from stations.ocpp import schemas
from stations.ocpp.link import Link
from stations.ocpp.version import Say
from stations.services import commands
from tenants.context import tenant_scope
from tenants.errors import Invalid

log = logging.getLogger("voltyard.gateway")

MOST_CLAIMED = 100  # in one transaction
AGAIN_S = 0.01  # where somebody else held the station


@dataclass(frozen=True, slots=True)
class Sending:
    """A command on its way: the row it goes out by, its arguments with their secrets, and what is sent."""

    command: Command
    message_id: str
    say: Say
    arguments: dict[str, Any]
    payload: dict[str, Any]


Asked = tuple[Link, "asyncio.Future[Sending | None]"]


class Outbox:
    """Of one gateway. `in_thread` runs a function beside the event loop."""

    def __init__(self, in_thread: Callable[[Callable[[], Any]], Awaitable[Any]]) -> None:
        self._in_thread = in_thread
        self._asked: dict[int, list[Asked]] = {}  # by tenant
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._calm = asyncio.Event()
        self._calm.set()

    async def next(self, link: Link) -> Sending | None:
        """The next command of this station that can be encoded; None: there is none."""
        future: asyncio.Future[Sending | None] = asyncio.get_running_loop().create_future()
        self._asked.setdefault(link.tenant_id, []).append((link, future))
        if link.tenant_id not in self._tasks:
            self._calm.clear()
            self._tasks[link.tenant_id] = asyncio.create_task(self._serve(link.tenant_id))
        return await future

    async def calm(self, seconds: float) -> None:
        """Until nothing waits to go out, but no longer than that: what is urgent goes before what is to be noted."""
        if not self._calm.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._calm.wait()

    async def _serve(self, tenant_id: int) -> None:
        try:
            while asked := self._asked.pop(tenant_id, []):
                now, later = asked[:MOST_CLAIMED], asked[MOST_CLAIMED:]
                again = await self._answer(tenant_id, now)
                self._asked[tenant_id] = later + again + self._asked.get(tenant_id, [])
                if again and len(self._asked[tenant_id]) == len(again):
                    await asyncio.sleep(AGAIN_S)
        finally:
            del self._tasks[tenant_id]
            if not self._tasks:
                self._calm.set()

    async def _answer(self, tenant_id: int, asked: Sequence[Asked]) -> list[Asked]:
        """Those that must ask again: somebody held their station, or their command could not be sent."""
        links = [link for link, future in asked if not link.closing and not future.done()]
        try:
            found, again = await self._in_thread(partial(_claim, tenant_id, links))
        except Exception as error:
            for _link, future in asked:
                if not future.done():
                    future.set_exception(error)
            return []
        for link, future in asked:
            if not future.done() and link not in again:
                future.set_result(found.get(link))
        return [one for one in asked if one[0] in again]


def _claim(tenant_id: int, links: Sequence[Link]) -> tuple[dict[Link, Sending], set[Link]]:
    """By socket; and those that must ask again. Of two sockets of one station the newest counts."""
    by_station = {link.station_id: link for link in sorted(links, key=lambda link: link.epoch)}
    epochs = {station_id: link.epoch for station_id, link in by_station.items()}
    found: dict[Link, Sending] = {}
    unsendable: list[tuple[Command, str]] = []
    with tenant_scope(tenant_id):
        claimed, busy = commands.claim(tenant_id=tenant_id, epochs=epochs)
        for command in claimed:
            link = by_station[command.station_id]
            try:
                found[link] = _encoded(link, command)
            except Invalid as error:
                unsendable.append((command, str(error)))
            except Exception as error:
                # Arguments are anybody's JSON: some that cannot be sent must not block the next command.
                unsendable.append((command, f"The arguments cannot be sent ({type(error).__name__})."))
        commands.mark_encoded(
            tenant_id=tenant_id,
            encoded=[(one.command, one.say.action, one.message_id, one.payload) for one in found.values()],
        )
    for (
        command,
        detail,
    ) in unsendable:  # apart: who follows its end may wait for a station that was held above
        with tenant_scope(tenant_id):
            commands.settle(
                tenant_id=tenant_id, command_id=command.pk, state=CommandState.FAILED, answer="invalid", detail=detail
            )  # fmt: skip
    return found, {
        by_station[station_id] for station_id in busy | {one.station_id for one, _why in unsendable}
    }


def _encoded(link: Link, command: Command) -> Sending:
    """Invalid, in words, for what cannot be sent."""
    arguments = commands.unsealed(command.arguments)
    say = link.version.say(command.kind, arguments)
    if say is None:
        raise Invalid(f"OCPP {link.version.name} has no such command.")
    payload = say.encode(arguments, command.pk)
    wrong = schemas.check(link.version.name, say.action, payload)
    if wrong is not None:
        raise Invalid(wrong[1])
    return Sending(command, secrets.token_hex(16), say, arguments, payload)

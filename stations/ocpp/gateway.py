"""One gateway process: the sockets it holds, its writer, and the loops that serve commands and liveness.

The process is named anew at each start. It tells PostgreSQL that it lives; stations of a silent gateway are offline.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import secrets
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.db import DataError, close_old_connections, connection
from django.utils import timezone

from stations import pki
from stations.models import Command, CommandState
from stations.neutral import EventReport
from stations.ocpp import frames, metrics, recording, schemas, tolerance
from stations.ocpp.access import Throttle
from stations.ocpp.errands import Errands
from stations.ocpp.link import Link
from stations.ocpp.outbox import Outbox, Sending
from stations.ocpp.version import Answered, Say
from stations.ocpp.writer import Writer
from stations.services import commands, connections, events, notes
from stations.services.connections import CloseRequest
from stations.services.stations import TAKEN_CHANNEL
from tenants.context import tenant_scope

log = logging.getLogger("voltyard.gateway")

ALIVE_SECONDS = 5.0
SEEN_SECONDS = 15.0
SEEN_ALL = 4  # every fourth time
POLL_SECONDS = 2.0  # commands whose NOTIFY was lost
CALM_SECONDS = 1.0  # that an answer waits at most until it is noted, while commands wait to go out


# What reading an answer raises that breaks its schema.
UNREADABLE = (AttributeError, LookupError, TypeError, ValueError, DataError)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended. `result`: the station answered with a CALLRESULT that can be read; then `detail` says where
    it bends the specification, if it does."""

    state: str
    word: str
    detail: str
    response: Any = None
    result: bool = False
    refusal: tuple[str, str] | None = None  # 2.1: what the station is told of its answer


class Gateway:
    def __init__(self) -> None:
        self.name = f"{socket.gethostname()[:40]}:{os.getpid()}:{secrets.token_hex(4)}"
        self.links: dict[int, Link] = {}
        self.writer = Writer(self.name)
        self.throttle = Throttle()
        self.errands = Errands()
        self.draining = False
        # Read once: Django's settings object costs more than what is done with them for a frame.
        self.frames_per_second: int = settings.OCPP_FRAMES_PER_SECOND
        self.frame_burst: int = settings.OCPP_FRAME_BURST
        self.max_depth: int = settings.OCPP_MAX_DEPTH
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="commands")
        self._claims = ThreadPoolExecutor(1, thread_name_prefix="claims")  # never behind answers
        self._outbox = Outbox(partial(self._in_thread, threads=self._claims))
        self._pulse = ThreadPoolExecutor(1, thread_name_prefix="pulse")  # never behind a mass of commands
        self._round = 0
        self._lost: set[tuple[int, int]] = set()
        self._work: set[asyncio.Task[Any]] = set()  # what runs beside, held so that it is not collected
        self._notes: dict[int, tuple[int, dict[str, int]]] = {}
        self._loops = [
            asyncio.create_task(self._repeat(loop, seconds))
            for loop, seconds in (
                (self._tell_alive, ALIVE_SECONDS),
                (self._tell_seen, SEEN_SECONDS),
                (self._poll, POLL_SECONDS),
            )
        ]
        self._loops.append(asyncio.create_task(self._listen()))

    # --- sockets ---

    def add(self, link: Link, *, commands_wait: bool) -> None:
        before = self.links.get(link.station_id)
        if before is not None and before.epoch > link.epoch:  # it was the newer one's turn first
            link.close(1000, "Replaced by a newer connection.")
            return
        self.links[link.station_id] = link
        metrics.SOCKETS.set(len(self.links))
        if before is not None:
            before.close(1000, "Replaced by a newer connection.")
        if commands_wait:
            self.wake(link)

    async def remove(self, link: Link, code: int, reason: str) -> None:
        if self.links.get(link.station_id) is link:
            del self.links[link.station_id]
        metrics.SOCKETS.set(len(self.links))
        # The pump stops: what still waits, waits for the next socket.
        link.closing = link.closing or (code, reason)
        link.end_calls()
        request = CloseRequest(link.station_id, link.epoch, timezone.now(), code, reason)
        await self.writer.call(link.tenant_id, connections.close_many, request)

    def tolerated(self, link: Link, action: str, found: list[str]) -> None:
        """Remember what a station bends, to be told with the next liveness."""
        counts = self._notes.setdefault(link.station_id, (link.tenant_id, {}))[1]
        for note in found[:20]:
            text = f"{action}: {note}"[:120]
            counts[text] = counts.get(text, 0) + 1

    # --- commands ---

    def wake(self, link: Link) -> None:
        """See whether a command waits for this station."""
        if link.pump is None or link.pump.done():
            link.wake_again = False
            link.pump = asyncio.create_task(self._pump(link))
        else:
            link.wake_again = True

    async def _pump(self, link: Link) -> None:
        """Send waiting commands one after the other: OCPP allows one CALL under way."""
        while not link.closing:
            link.wake_again = False
            try:
                ready = await self._outbox.next(link)
            except Exception:
                log.exception("commands not read", extra={"station": link.station_id})
                return
            if ready is None:
                if link.wake_again:
                    continue
                return
            try:
                await self._deliver(link, ready)
            finally:
                link.concluded.set()

    async def _deliver(self, link: Link, sending: Sending) -> None:
        try:
            answer = await link.ask_station(sending.message_id, sending.say.action, sending.payload)
        except TimeoutError:
            seconds = settings.OCPP_CALL_TIMEOUT_SECONDS
            outcome = Outcome(CommandState.TIMED_OUT, "", f"The station did not answer within {seconds} s.")
        except Exception:  # the socket ended in one of the many ways a socket can
            outcome = Outcome(CommandState.TIMED_OUT, "", "The connection ended before the station answered.")
        else:
            outcome = self._judged(link, sending.say, answer)
            if outcome.refusal is not None:
                with contextlib.suppress(Exception):  # the socket ended: nobody is there to be told
                    await link.refuse_answer(answer, *outcome.refusal)
        metrics.COMMANDS.labels(outcome.state).inc()
        try:
            await self._outbox.calm(CALM_SECONDS)
            await self._in_thread(lambda: self._conclude(link, sending, outcome))
        except Exception:
            log.exception(
                "answer not stored", extra={"command": sending.command.pk, "station": link.station_id}
            )

    def _judged(self, link: Link, say: Say, answer: frames.Incoming) -> Outcome:
        try:
            return self._judge(link, say, answer)
        except Exception as error:  # an answer of a shape that nobody foresaw
            detail = f"The answer cannot be understood ({type(error).__name__})."
            return Outcome(CommandState.FAILED, "malformed", detail, {"answer": answer.payload})

    def _judge(self, link: Link, say: Say, answer: frames.Incoming) -> Outcome:
        if answer.kind == frames.ERROR:
            code, text = str(answer.payload[0]), str(answer.payload[1])
            refused = code in ("NotImplemented", "NotSupported", "SecurityError")
            state = CommandState.REJECTED if refused else CommandState.FAILED
            return Outcome(state, code, text, {"error": answer.payload})
        wrong = schemas.check(link.version.name, say.action, answer.payload, response=True)
        if wrong is not None and (link.strict or self._unusable(link, say.action, answer)):
            refusal = wrong if link.version.sends else None
            return Outcome(CommandState.FAILED, "malformed", wrong[1], answer.payload, refusal=refusal)
        word = say.status(answer.payload)
        state = CommandState.ACCEPTED if word in say.accepted else CommandState.REJECTED
        detail = f"The answer bends the specification: {wrong[1]}" if wrong else ""
        return Outcome(state, word, detail, answer.payload, result=True)

    def _unusable(self, link: Link, action: str, answer: frames.Incoming) -> bool:
        """From 2.1 on an answer that breaks the schema by more than an odd time or a long text is sent back. Older
        stations cannot be told; what they answer is taken as far as it can be read."""
        if not link.version.sends:
            return False
        errors = schemas.validator(link.version.name, action, True).iter_errors(answer.payload)  # type: ignore[union-attr]
        return any(not tolerance.harmless(error) for error in itertools.islice(errors, 50))

    def not_understood(self, link: Link, action: str, error: Any, now: float) -> None:
        """A station could not take an answer of ours (CALLRESULTERROR): for the operator to see at the station."""
        code, text = ([str(part) for part in error[:2]] + ["", ""])[:2]
        report = EventReport(
            station_id=link.station_id, kind="note", severity="warning",
            text=f"It could not take our answer to {action or 'a message'}: {code}"[:200], raw_timestamp="",
            received_at=datetime.fromtimestamp(now, UTC),
            detail={"code": code[:60], "description": text[:400], "action": action},
        )  # fmt: skip

        def keep() -> None:
            with tenant_scope(link.tenant_id):
                events.record(tenant_id=link.tenant_id, reports=[report])

        task = asyncio.create_task(self._in_thread(keep))
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    def _conclude(self, link: Link, sending: Sending, outcome: Outcome) -> None:
        """First what the answer reports, so that who waits for the command finds it; then the command itself."""
        command, say = sending.command, sending.say
        if say.reports is not None and outcome.result:
            accepted = outcome.state == CommandState.ACCEPTED
            answered = Answered(
                link.station_id, command.pk, accepted, sending.arguments, sending.payload, outcome.response,
                timezone.now(),
            )  # fmt: skip
            try:
                with tenant_scope(link.tenant_id):
                    recording.record(tenant_id=link.tenant_id, reports=say.reports(answered))
            except Exception as error:  # an answer that cannot be kept is an answer all the same
                if outcome.detail and isinstance(error, UNREADABLE):
                    outcome = replace(outcome, state=CommandState.FAILED, word="malformed")
                else:
                    log.exception(
                        "answer not kept", extra={"command": command.pk, "station": link.station_id}
                    )
        with tenant_scope(link.tenant_id):
            self._settle(link, command, outcome)

    def _settle(self, link: Link, command: Command, outcome: Outcome) -> Command | None:
        return commands.settle(
            tenant_id=link.tenant_id,
            command_id=command.pk,
            state=outcome.state,
            answer=outcome.word,
            detail=outcome.detail,
            response=outcome.response,
        )

    # --- loops ---

    async def _in_thread(self, function: Callable[[], Any], threads: ThreadPoolExecutor | None = None) -> Any:
        def guarded() -> Any:
            close_old_connections()
            try:
                return function()
            finally:
                connection.close()  # back to the pool: idle threads hold none

        return await asyncio.get_running_loop().run_in_executor(threads or self._threads, guarded)

    async def _repeat(self, function: Callable[[], Any], seconds: float) -> None:
        while True:
            try:
                await function()
            except Exception as error:
                log.warning(
                    "gateway loop failed", extra={"loop": function.__name__, "error": str(error)[:200]}
                )
            await asyncio.sleep(seconds)

    async def _tell_alive(self) -> None:
        def tell() -> list[int]:
            connections.alive(gateway=self.name, certificate=_own_certificate())
            return connections.unwelcome(gateway=self.name)

        for station_id in await self._in_thread(tell, self._pulse):
            if station_id in self.links:
                self.links[station_id].close(1008, "This station is not served here.")

    async def _tell_seen(self) -> None:
        """When stations were last heard, and what they bend. Now and then of all, which also mends what an outage of
        the database left wrong: a station taken for offline, or one whose end could not be written."""
        self._round += 1
        everybody = self._round % SEEN_ALL == 0
        since = time.time() - SEEN_SECONDS - 1
        heard = [
            [link.tenant_id, link.station_id, link.last_seen, link.epoch]
            for link in self.links.values()
            if everybody or link.last_seen > since
        ]
        if heard:
            await self._in_thread(partial(connections.seen, gateway=self.name, heard=heard))
        if everybody:
            await self._drop_lost()
        told, self._notes = self._notes, {}
        for station_id, (tenant_id, counts) in told.items():
            await self._in_thread(
                partial(notes.add, tenant_id=tenant_id, station_id=station_id, counts=counts)
            )

    async def _drop_lost(self) -> None:
        """Sockets that are no longer their stations' (replaced, a new password, a certificate taken back) while the
        NOTIFY was lost, or came before they were here. Twice, for a sweep may take stations offline in between."""
        held = {(station_id, link.epoch) for station_id, link in self.links.items()}
        lost = await self._in_thread(partial(connections.close_forgotten, gateway=self.name, held=held))
        for station_id, epoch in lost & self._lost:
            link = self.links.get(station_id)
            if link is not None and link.epoch == epoch:
                link.close(1000, "Replaced by a newer connection.")
        self._lost = lost

    async def _poll(self) -> None:
        if self.links:
            for station_id in await self._in_thread(lambda: commands.waiting(gateway=self.name)):
                if station_id in self.links:
                    self.wake(self.links[station_id])

    async def _listen(self) -> None:
        """PostgreSQL's NOTIFY: a command waits; a station connected elsewhere."""
        while True:
            try:
                await self._listen_once()
            except Exception as error:
                log.warning("listening ended", extra={"error": f"{type(error).__name__}: {error}"[:200]})
            await asyncio.sleep(1)

    async def _listen_once(self) -> None:
        values = settings.DATABASES["default"]
        name = connection.settings_dict["NAME"]
        options = {key: value for key, value in values["OPTIONS"].items() if key != "pool"}
        options["application_name"] = "voltyard-gateway-listener"
        listener = await psycopg.AsyncConnection.connect(
            host=values["HOST"], port=values["PORT"], dbname=name, user=values["USER"], password=values["PASSWORD"],
            autocommit=True, **options,
        )  # fmt: skip
        async with listener:
            await listener.execute(f"LISTEN {commands.CHANNEL}")
            await listener.execute(f"LISTEN {TAKEN_CHANNEL}")
            async for notice in listener.notifies():
                parts = [int(part) for part in notice.payload.split(":")]
                link = self.links.get(parts[1])
                if link is None:
                    continue
                if notice.channel == commands.CHANNEL:
                    self.wake(link)
                elif parts[2] > link.epoch:
                    link.close(1000, "Replaced by a newer connection.")

    async def drain(self) -> None:
        """End all sockets, let what they said become durable, say goodbye."""
        self.draining = True
        links = list(self.links.values())
        for link in links:
            link.close(1001, connections.RESTARTS)
        tasks = [link.task for link in links if link.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=10)
        for loop in self._loops:
            loop.cancel()
        await self._in_thread(lambda: connections.gone(gateway=self.name))
        await self.writer.close()
        self.errands.close()
        self._threads.shutdown(wait=False)
        self._claims.shutdown(wait=False)
        self._pulse.shutdown(wait=False)


def _own_certificate() -> str:
    """PEM of the certificate that stations are shown, where TLS ends here: people must hear when it expires."""
    try:
        name = settings.OCPP_TLS_CERTIFICATE
        return Path(name).read_text()[: pki.MOST_BYTES] if name else ""
    except (OSError, UnicodeDecodeError):
        return ""


_current: Gateway | None = None


def current() -> Gateway:
    """The gateway of this process, made at its first use inside the event loop."""
    global _current
    if _current is None:
        _current = Gateway()
    return _current


async def lifespan(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """ASGI lifespan: start with the server, drain before it ends."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            current()
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await current().drain()
            await send({"type": "lifespan.shutdown.complete"})
            return

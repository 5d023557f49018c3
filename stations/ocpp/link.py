"""One open socket of a station: what comes in, what goes out, and how the two keep out of each other's way."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson
from django.conf import settings

from stations.models import Registration
from stations.ocpp import frames, metrics, schemas, tolerance
from stations.ocpp.version import Ask, Asked, Journal, Transfer, Version
from stations.services.commands import masked

if TYPE_CHECKING:
    from stations.ocpp.gateway import Gateway

log = logging.getLogger("voltyard.gateway")

MAX_BAD_FRAMES = 50  # of one socket within BAD_SECONDS; who talks mostly rubbish is asked to start anew
BAD_SECONDS = 600.0
MOST_MEMBERS = 1_000  # of a payload that is mended: to collect one error takes 20 microseconds
MOST_ANSWERED = 32  # answers of ours that a station may still complain about
MOST_KEPT = 8_192  # bytes of a frame that is kept though nobody answers for it
MOST_BESIDE = 2  # CALLs of one station that wait for somebody outside; with more it is read slower
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Closed(Exception):
    """This socket must be closed: code (RFC 6455 section 7.4) and reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class Link:
    __slots__ = (
        "allowance", "allowance_at", "answer", "answer_id", "answered", "bad_frames",
        "bad_since", "beside", "closing", "concluded", "epoch", "gateway", "identity",
        "last_seen", "pump", "registration", "send", "site_id", "station_id", "strict", "task", "tenant_id", "version",
        "wake_again",
    )  # fmt: skip

    def __init__(
        self, gateway: Gateway, send: Send, version: Version, found: Any, identity: str, epoch: int
    ) -> None:
        self.gateway, self.send, self.version, self.identity, self.epoch = (
            gateway,
            send,
            version,
            identity,
            epoch,
        )
        self.tenant_id, self.station_id, self.site_id = found.tenant_id, found.station_id, found.site_id
        self.strict, self.registration = found.strict, found.registration
        self.last_seen = self.allowance_at = time.time()
        self.allowance = float(gateway.frame_burst)
        self.bad_frames, self.bad_since = 0, self.last_seen
        self.closing: tuple[int, str] | None = None
        self.task: asyncio.Task[Any] | None = None
        self.pump: asyncio.Task[None] | None = None
        self.wake_again = False
        self.answered: dict[str, str] = {}  # ids of CALLs that we answered last, with their actions (2.1)
        self.answer: asyncio.Future[frames.Incoming] | None = None  # to the one CALL that is under way
        self.answer_id = ""
        self.concluded = asyncio.Event()  # what the station answered last is stored
        self.beside: set[asyncio.Task[None]] | None = None  # CALLs that wait for somebody outside

    # --- in ---

    async def received(self, text: str) -> None:
        """Deal with one frame. Closed when the socket must end."""
        now = time.time()
        self.last_seen = now
        await self._pace(now)
        try:
            frame = frames.parse(text, max_depth=self.gateway.max_depth)
        except frames.BadFrame as bad:
            await self._refuse_frame(bad, text)
            return
        if frame.kind == frames.CALL:
            await self._on_call(frame, now)
        elif frame.kind == frames.SEND and self.version.sends:
            await self._on_send(frame, now)
        elif frame.kind in (frames.RESULT, frames.ERROR):
            await self._on_answer(frame, now)
        elif frame.kind == frames.RESULT_ERROR and self.version.sends:
            self._on_result_error(frame, now)
        else:
            detail = f"Message type {frame.kind} is unknown."
            await self._refuse_frame(frames.BadFrame("unknown_type", detail, frame.message_id), text)

    async def _pace(self, now: float) -> None:
        """A token bucket: who sends faster than agreed is read slower, and TCP tells him."""
        rate, burst = self.gateway.frames_per_second, self.gateway.frame_burst
        self.allowance = min(float(burst), self.allowance + (now - self.allowance_at) * rate) - 1.0
        self.allowance_at = now
        if self.allowance < 0:
            metrics.BAD_FRAMES.labels("too_fast").inc()
            await asyncio.sleep(-self.allowance / rate)

    async def _refuse_frame(self, error: frames.BadFrame, text: str) -> None:
        kept = orjson.dumps(frames.presentable(text))
        self._note(0, error.message_id[:64], "", kept, time.time())
        self._bad(error.reason)
        if self.version.errors_unreadable:  # 2.0.1 part 4, 4.2.3: "-1" where no id could be read
            code = "MessageTypeNotSupported" if error.reason == "unknown_type" else "RpcFrameworkError"
            await self._text(frames.error(error.message_id or "-1", code, error.detail))
        elif (
            error.message_id and error.reason != "unknown_type"
        ):  # OCPP-J 1.6 4.2.2: unknown types are ignored
            await self._text(frames.error(error.message_id, "FormationViolation", error.detail))

    def _bad(self, reason: str) -> None:
        """Count a frame that is no good. Closed when they are too many."""
        metrics.BAD_FRAMES.labels(reason).inc()
        if self.last_seen - self.bad_since > BAD_SECONDS:
            self.bad_frames, self.bad_since = 0, self.last_seen
        self.bad_frames += 1
        if self.bad_frames > MAX_BAD_FRAMES:
            raise Closed(1008, "Too many frames that cannot be taken.")

    async def _on_call(self, frame: frames.Incoming, now: float) -> None:
        action, version = frame.action, self.version
        answer = version.answers.get(action)
        if answer is None:
            known = schemas.validator(version.name, action, False) is not None
            await self._fail(
                frame, "NotSupported" if known else "NotImplemented", f"{action[:40]} is not served.", now
            )
            self._bad("not_supported")
            return
        metrics.CALLS[version.name, action] += 1
        compiled = schemas.validator(version.name, action, False)
        if not compiled.is_valid(frame.payload):  # type: ignore[union-attr]
            wrong = self._tolerated(frame)
            if wrong is not None:
                await self._fail(frame, *wrong, now)
                self._bad("schema")
                return
        if self.registration == Registration.REJECTED and action not in ("BootNotification", "Heartbeat"):
            await self._fail(frame, "SecurityError", "This station is not accepted here.", now)
            return
        asked = Asked(self.station_id, datetime.fromtimestamp(now, UTC), frame.payload)
        if isinstance(answer, Transfer):
            answer = answer.row(asked)
        if isinstance(answer, Ask) and answer.errand is not None:
            await self._aside(frame, answer, asked, now)
        else:
            await self._answer_call(frame, answer, asked, now)

    async def _answer_call(
        self, frame: frames.Incoming, answer: Journal | Ask, asked: Asked, now: float, found: Any = None
    ) -> None:
        """`found`: the neutral request, where an errand has completed it."""
        action = frame.action
        try:
            if isinstance(answer, Journal):
                reply = self._checked_reply(action, answer.reply(asked))
                await self.gateway.writer.frame(
                    self._row(frame, now, frames.RESULT, reply, answer.decode is not None)
                )
            else:
                request = answer.request(asked) if found is None else found
                reply = await self._ask(action, answer, asked, request)
                kept = reply
                if answer.veil is not None:
                    frame.payload_json = orjson.dumps(answer.veil(frame.payload))
                    kept = orjson.dumps(answer.veil(orjson.loads(reply)))
                self.gateway.writer.note_frame(self._row(frame, now, frames.RESULT, kept, False))
        except Exception as error:
            log.exception("call not answered", extra={"action": action, "station": self.station_id})
            detail = f"Not stored ({type(error).__name__}); please send it again."
            await self._fail(frame, "InternalError", detail, now)
            return
        await self._text(frames.result(frame.message_id, reply))
        if self.version.sends:
            self.answered[frame.message_id] = action
            if len(self.answered) > MOST_ANSWERED:
                del self.answered[next(iter(self.answered))]

    async def _ask(self, action: str, answer: Ask, asked: Asked, request: Any) -> bytes:
        outcome = await self.gateway.writer.call(self.tenant_id, answer.verb, request)
        registration = getattr(outcome, "registration", None)
        if registration is not None:
            self.registration = registration
        return self._checked_reply(action, answer.respond(outcome, asked))

    async def _aside(self, frame: frames.Incoming, answer: Ask, asked: Asked, now: float) -> None:
        """Answer a CALL beside the reader, for somebody outside is asked first: the socket is read on meanwhile."""
        errand = answer.errand
        assert errand is not None
        try:
            request = answer.request(asked)
            if not errand.needed(request):
                await self._answer_call(frame, answer, asked, now, request)
                return
        except Exception:
            await self._answer_call(frame, answer, asked, now)  # fails in the same way, and says so
            return
        if self.beside is None:
            self.beside = set()
        while len(self.beside) >= MOST_BESIDE:
            await asyncio.wait(self.beside, return_when=asyncio.FIRST_COMPLETED)

        async def answer_it() -> None:
            try:
                found = await self.gateway.errands.run(self.tenant_id, errand, request)
                await self._answer_call(frame, answer, asked, now, found)
            except Exception as error:  # the peer vanished while we wrote, or worse
                log.warning("late answer lost", extra={"action": frame.action, "error": type(error).__name__})

        task = asyncio.create_task(answer_it())
        self.beside.add(task)
        task.add_done_callback(self.beside.discard)

    def _checked_reply(self, action: str, payload: dict[str, Any]) -> bytes:
        """The answer as JSON. One that breaks the schema is our bug: told loudly, and sent, for it is stored."""
        wrong = schemas.check(self.version.name, action, payload, response=True)
        if wrong is not None:
            metrics.BAD_FRAMES.labels("own_answer").inc()
            log.error("own answer breaks the schema", extra={"action": action, "detail": wrong[1]})
        return orjson.dumps(payload)

    async def _on_send(self, frame: frames.Incoming, now: float) -> None:
        """2.1 part 4, 4.2.5: a SEND is never answered, whatever is wrong with it."""
        journal = self.version.sends.get(frame.action)
        if journal is None or schemas.check(self.version.name, frame.action, frame.payload) is not None:
            kept = frames.shortened(frame.payload_json, MOST_KEPT)
            self._note(frame.kind, frame.message_id, frame.action, kept, now)
            self._bad("send")
            return
        await self.gateway.writer.frame(self._row(frame, now, None, None, journal.decode is not None))

    def _on_result_error(self, frame: frames.Incoming, now: float) -> None:
        """2.1 part 4, 4.2.4: the station cannot take an answer of ours. Kept, counted, shown at the station; what the
        answer said stays as it is, for it was durable before it was said."""
        action = self.answered.pop(frame.message_id, "")
        self._note(frame.kind, frame.message_id, action, frames.shortened(frame.payload_json, MOST_KEPT), now)
        self._bad("result_error")
        self.gateway.not_understood(self, action, frame.payload, now)

    def _tolerated(self, frame: frames.Incoming) -> tuple[str, str] | None:
        """None where the payload is, or could be made, acceptable; else (wire code, what is wrong)."""
        name, action = self.version.name, frame.action
        if self.strict or frame.payload_json.count(b",") > MOST_MEMBERS:
            return schemas.check(name, action, frame.payload)
        wrong, notes = tolerance.accept(name, action, frame.payload)
        self.allowance -= len(notes)  # each repair counts as a frame: mending is dearer than reading
        if wrong is None:
            metrics.TOLERATED.inc()
            frame.payload_json = orjson.dumps(frame.payload)
            self.gateway.tolerated(self, action, notes)
        return wrong

    async def _fail(self, frame: frames.Incoming, code: str, detail: str, now: float) -> None:
        reply = orjson.dumps([code, detail[:255], {}])
        answer = self.version.answers.get(frame.action)
        veil = getattr(answer, "veil", None)
        if veil is not None and isinstance(frame.payload, dict):
            frame.payload_json = orjson.dumps(veil(frame.payload))
        frame.payload_json = frames.shortened(frame.payload_json, MOST_KEPT)
        self.gateway.writer.note_frame(self._row(frame, now, frames.ERROR, reply, False))
        await self._text(frames.error(frame.message_id, code, detail))

    async def _on_answer(self, frame: frames.Incoming, now: float) -> None:
        if self.answer is not None and not self.answer.done() and frame.message_id == self.answer_id:
            self.answer.set_result(frame)
            # What it tells next may be about what it has just accepted ("Uploading"), and must find that.
            await self.concluded.wait()
            return
        kept = frames.shortened(orjson.dumps(masked(frame.payload)), MOST_KEPT)
        self._note(frame.kind, frame.message_id, "", kept, now)
        self._bad("unsolicited")

    # --- out ---

    async def ask_station(self, message_id: str, action: str, payload: dict[str, Any]) -> frames.Incoming:
        """Send a CALL and wait for its answer. TimeoutError when none comes; ConnectionError when the socket ends."""
        self.answer = asyncio.get_running_loop().create_future()
        self.answer_id = message_id
        self.concluded.clear()
        self._note(frames.CALL, message_id, action, orjson.dumps(masked(payload)), time.time(), outbound=True)
        try:
            async with asyncio.timeout(settings.OCPP_CALL_TIMEOUT_SECONDS):
                # Within the bound as well: a peer that does not read blocks us here.
                await self._text(frames.call(message_id, action, payload))
                answer = await self.answer
        finally:
            self.answer, self.answer_id = None, ""
        shown = masked(answer.payload) if isinstance(answer.payload, dict) else answer.payload
        self._note(answer.kind, message_id, action, orjson.dumps(shown), time.time())
        return answer

    async def refuse_answer(self, answer: frames.Incoming, code: str, detail: str) -> None:
        """2.1 part 4, 4.2.4: tell the station that its CALLRESULT cannot be taken."""
        kept = orjson.dumps([code, detail[:255], {}])
        self._note(frames.RESULT_ERROR, answer.message_id, "", kept, time.time(), outbound=True)
        await self._text(frames.error(answer.message_id, code, detail, frames.RESULT_ERROR))

    def end_calls(self) -> None:
        for task in self.beside or ():
            task.cancel()
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(ConnectionError("The connection ended before the station answered."))

    async def _text(self, text: str) -> None:
        await self.send({"type": "websocket.send", "text": text})

    def close(self, code: int, reason: str) -> None:
        """Ask the reader to end this socket."""
        if self.closing is None:
            self.closing = (code, reason)
            if self.task is not None:
                self.task.cancel()

    # --- the frame log ---

    def _row(
        self, frame: frames.Incoming, now: float, reply_type: int | None, reply: bytes | None, apply: bool
    ) -> dict[str, Any]:
        """A row of `stations_ingest_frames`."""
        return {
            "tenant": self.tenant_id,
            "station": self.station_id,
            "at": now,
            "outbound": False,
            "type": frame.kind,
            "id": frames.storable(frame.message_id),
            "action": frames.storable(frame.action),
            "version": self.version.name,
            "apply": apply,
            "payload": frames.fragment(frame.payload_json),
            "reply_type": reply_type,
            "reply": None if reply is None else orjson.Fragment(reply),
        }

    def _note(
        self, kind: int, message_id: str, action: str, payload: bytes, now: float, *, outbound: bool = False
    ) -> None:
        """Keep a frame that is no CALL with an answer of ours; nobody waits for it to be durable."""
        row = self._row(frames.Incoming(kind, message_id, action, None, payload), now, None, None, False)
        row["outbound"] = outbound
        self.gateway.writer.note_frame(row)

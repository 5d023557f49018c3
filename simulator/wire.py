"""Frames: the `ocpp` package's client side, with what it lacks.

The package matches answers through one queue, answers nothing to an action unknown in 2.1, and knows
message types 2 to 4. Here answers are matched by id, everything is answered, SEND (6) and
CALLRESULTERROR (5) of 2.1 exist, and each frame is remembered.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import uuid
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import ocpp.messages
from ocpp.charge_point import remove_nones, serialize_as_dict, snake_to_camel_case
from ocpp.exceptions import (
    FormatViolationError,
    GenericError,
    NotImplementedError,
    NotSupportedError,
    OCPPError,
)
from ocpp.messages import Call, CallError, CallResult, unpack
from websockets.exceptions import WebSocketException

if TYPE_CHECKING:
    from simulator.station import SimulatedStation

# Each validation would otherwise hop through a thread.
ocpp.messages.ASYNC_VALIDATION = False

SEND, CALL_RESULT_ERROR = 6, 5
LOG = logging.getLogger("simulator")


class Wire:
    """Goes in front of a version's `ocpp` ChargePoint. One per connection."""

    # What the package's ChargePoint gives.
    id: str
    route_map: dict[str, Any]
    _ocpp_version: str
    _call_lock: Any
    _connection: Any
    station: SimulatedStation
    actions: type  # the version's Action enum

    def __init__(self, station: SimulatedStation, connection: Any) -> None:
        super().__init__(station.identity, connection, response_timeout=station.answer_timeout)  # type: ignore[call-arg]
        self.station = station
        self._answers: dict[str, asyncio.Future[Any]] = {}
        self._after: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self._count = 0
        self._unique_id_generator = self._new_id
        if station.quirks.two_calls_in_flight:
            self._call_lock = contextlib.nullcontext()

    def _new_id(self) -> str:
        self._count += 1
        if self.station.quirks.repeating_message_ids:
            return str(self._count)
        return str(uuid.UUID(int=self.station.rng.getrandbits(128), version=4))

    def then(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run this after the answer to the CALL in hand is on its way."""
        self._after.append(work)

    async def serve(self) -> None:
        """Read until the connection ends."""
        async for text in self._connection:
            self.station.remember("in", text)
            try:
                await self.route_message(text)
            except OCPPError as error:  # a result or error that is none
                LOG.warning("%s: cannot read %.200s: %s", self.id, text, error)

    async def route_message(self, text: str) -> None:
        frame = _parse(text)
        match frame:
            case [5, str(message_id), *rest]:
                self.station.result_errors.append((message_id, *rest))
            case [6, *_]:
                pass  # nothing is sent to a station this way yet; 2.1 says an unknown SEND is dropped
            case [3 | 4, str(message_id), *_]:
                self._settle(message_id, unpack(text))
            case [2, str(message_id), str(action), dict(payload)]:
                await self._answer_call(Call(message_id, action, payload))
            case [2, str(message_id), *_]:
                error = FormatViolationError(details={"cause": "A CALL has four elements"})
                await self._send(Call(message_id, "", {}).create_call_error(error).to_json())
            case _:
                LOG.warning("%s: cannot read %.200s", self.id, text)

    def _settle(self, message_id: str, answer: Any) -> None:
        waiting = self._answers.get(message_id)
        if waiting and not waiting.done():
            waiting.set_result(answer)
        else:
            self.station.unasked.append(answer)

    async def _answer_call(self, call: Call) -> None:
        self.station.calls.append((call.action, call.payload))
        ruled = self.station.rulings.get(call.action)
        if self.station.quirks.silent or ruled is Silence:
            return
        try:
            if ruled is not None:
                await self._answer_as_ruled(call, ruled)
            elif call.action not in self.route_map or call.action not in self._known:
                raise self._unknown(call.action)
            else:
                await self._handle_call(call)  # type: ignore[attr-defined]
        except OCPPError as error:
            await self._send(call.create_call_error(error).to_json())
        after, self._after = self._after, []
        for work in after:
            self.station.background(work())

    async def _answer_as_ruled(self, call: Call, ruled: Any) -> None:
        answer = ruled(call.payload) if callable(ruled) else ruled
        if isinstance(answer, OCPPError):
            raise answer
        await self._send(call.create_call_result(answer).to_json())

    @property
    def _known(self) -> set[str]:
        """The actions of this version."""
        return {str(member.value) for member in self.actions}  # type: ignore[attr-defined]

    def _unknown(self, action: str) -> OCPPError:
        known = action in self._known
        cause = {"cause": f"{action} is not implemented by this station."}
        return NotImplementedError(details=cause) if known else NotSupportedError(details=cause)

    async def ask(self, payload: Any, *, message_id: str | None = None, check: bool | None = None) -> Any:
        """Send a CALL, wait for its answer. Raises OCPPError for a CALLERROR, ConnectionError, TimeoutError."""
        skip = not (self.station.validate if check is None else check)
        try:
            return await self.call(payload, suppress=False, unique_id=message_id, skip_schema_validation=skip)  # type: ignore[attr-defined]
        except OCPPError as error:
            await self._complain(error)
            raise
        except (OSError, WebSocketException, TimeoutError):
            raise
        except Exception as error:  # an error code or a result that the package cannot read
            raise GenericError(details={"cause": repr(error)}) from error

    async def _complain(self, error: OCPPError) -> None:
        """2.1: a CALLRESULT that breaks the schema is answered with CALLRESULTERROR."""
        broken = error.details.get("ocpp_message") if isinstance(error.details, dict) else None
        if isinstance(broken, CallResult) and self._ocpp_version == "2.1":
            frame = [CALL_RESULT_ERROR, broken.unique_id, error.code, error.description[:255], {}]
            await self._send(json.dumps(frame))

    async def ask_raw(self, action: str, payload: dict[str, Any], *, message_id: str | None = None) -> Any:
        """Send a CALL with a payload exactly as given; gives the CallResult or CallError."""
        message_id = message_id or self._new_id()
        async with self._call_lock:
            await self._send(json.dumps([2, message_id, action, payload], separators=(",", ":")))
            return await self._get_specific_response(message_id, self.station.answer_timeout)

    async def send(self, payload: Any) -> None:
        """2.1's SEND: no answer comes."""
        body = remove_nones(snake_to_camel_case(serialize_as_dict(payload)))
        await self._send(
            json.dumps([SEND, self._new_id(), type(payload).__name__, body], separators=(",", ":"))
        )

    async def _get_specific_response(self, unique_id: str, timeout: float) -> CallResult | CallError:
        waiting: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._answers[unique_id] = waiting
        try:
            async with asyncio.timeout(timeout):  # `wait_for` of Python 3.11 may swallow a cancellation
                return await waiting
        finally:
            self._answers.pop(unique_id, None)

    async def _send(self, text: str) -> None:
        if self.station.quirks.white_space:
            text = json.dumps(json.loads(text), indent=1) + "\r\n"
        self.station.remember("out", text)
        await self._connection.send(text)

    def lost(self) -> None:
        """The connection is gone: nobody will answer any more."""
        for waiting in self._answers.values():
            if not waiting.done():
                waiting.set_exception(ConnectionResetError("The connection was lost before the answer came"))


class Silence:
    """As a ruling: do not answer."""


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None

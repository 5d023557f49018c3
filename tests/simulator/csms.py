"""A small scripted other side for the simulator's own tests. It is no product code: it answers what the
script says and checks each frame against the official schemas."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve

from tests.simulator.schemas import problems

SUBPROTOCOLS = {"ocpp1.6": "1.6", "ocpp2.0.1": "2.0.1", "ocpp2.1": "2.1"}


class Session:
    """One connection of one station."""

    def __init__(self, csms: ScriptedCsms, connection: ServerConnection) -> None:
        self.csms, self.connection = csms, connection
        request = connection.request
        assert request is not None
        self.path, self.headers = request.path, request.headers
        self.version = SUBPROTOCOLS[connection.subprotocol or ""]
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.frames: list[Any] = []
        self._waiting: dict[str, tuple[str, asyncio.Future[Any]]] = {}
        self._count = 0

    async def run(self) -> None:
        async for text in self.connection:
            await self._take(json.loads(text))

    async def _take(self, frame: list[Any]) -> None:
        self.frames.append(frame)
        match frame:
            case [2, message_id, action, payload]:
                self.calls.append((action, payload))
                self.csms.calls.append((action, payload))
                self.csms.note(self.version, action, payload, request=True)
                answer = self.csms.answer_to(action, payload, self.version)
                if answer is not None:
                    await self.connection.send(json.dumps([answer[0], message_id, *answer[1:]]))
            case [6, _, action, payload]:
                self.csms.calls.append((action, payload))
                self.csms.note(self.version, action, payload, request=True)
            case [3, message_id, payload] if message_id in self._waiting:
                action, waiting = self._waiting.pop(message_id)
                self.csms.note(self.version, action, payload, request=False)
                waiting.set_result(payload)
            case [4, message_id, code, *_] if message_id in self._waiting:
                _, waiting = self._waiting.pop(message_id)
                waiting.set_result(code)
        self.csms.changed()

    async def ask(self, action: str, payload: dict[str, Any] | None = None) -> Any:
        """Send a CALL; gives the payload of the answer, or the code of a CALLERROR."""
        self._count += 1
        message_id = f"csms-{self._count}"
        waiting: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[message_id] = (action, waiting)
        await self.connection.send(json.dumps([2, message_id, action, payload or {}]))
        return await asyncio.wait_for(waiting, 10)


class ScriptedCsms:
    """`async with ScriptedCsms() as csms`: listens on a free port of loopback."""

    def __init__(self, passwords: dict[str, str] | None = None, subprotocols: tuple[str, ...] = ()) -> None:
        self.passwords = passwords
        self.subprotocols = subprotocols or tuple(SUBPROTOCOLS)
        self.sessions: list[Session] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.violations: list[str] = []
        self.script: dict[str, list[Any]] = {}
        self.verdicts: dict[str, str] = {}
        self.registration = ["Accepted"]
        self.interval = 300
        self.transactions: dict[Any, int] = {}
        self._server: Server | None = None
        self._waiters: list[asyncio.Future[None]] = []

    async def __aenter__(self) -> ScriptedCsms:
        self._server = await serve(
            self._accept,
            "127.0.0.1",
            0,
            subprotocols=self.subprotocols,  # type: ignore[arg-type]
            process_request=self._check,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"ws://127.0.0.1:{next(iter(self._server.sockets)).getsockname()[1]}/ocpp/acme"

    def _check(self, connection: ServerConnection, request: Any) -> Any:
        if self.passwords is None:
            return None
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        user, _, password = (
            base64.b64decode(text).decode().partition(":") if scheme == "Basic" else ("", "", "")
        )
        if self.passwords.get(user) != password:
            return connection.respond(HTTPStatus.UNAUTHORIZED, "no")
        return None

    async def _accept(self, connection: ServerConnection) -> None:
        if not connection.subprotocol:
            await connection.close(1002)
            return
        session = Session(self, connection)
        self.sessions.append(session)
        self.changed()
        await session.run()

    @property
    def last(self) -> Session:
        return self.sessions[-1]

    def note(self, version: str, action: str, payload: Any, *, request: bool) -> None:
        self.violations += problems(version, action, payload, request=request)

    def changed(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def until(self, what: Callable[[], Any], timeout: float = 10) -> None:
        async with asyncio.timeout(timeout):
            while not what():
                waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._waiters.append(waiter)
                await waiter

    def of(self, action: str) -> list[dict[str, Any]]:
        """Payloads of the CALLs of this action, from all connections."""
        return [payload for name, payload in self.calls if name == action]

    # -- answers

    def answer_to(self, action: str, payload: dict[str, Any], version: str) -> list[Any] | None:
        """[3, payload], [4, code, text, {}], or None for silence. Scripted answers come first, once each."""
        if self.script.get(action):
            return self.script[action].pop(0)
        return [3, self._usual(action, payload, version)]

    def _usual(self, action: str, payload: dict[str, Any], version: str) -> dict[str, Any]:
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        match action:
            case "BootNotification":
                status = self.registration.pop(0) if len(self.registration) > 1 else self.registration[0]
                return {"currentTime": now, "interval": self.interval, "status": status}
            case "Heartbeat":
                return {"currentTime": now}
            case "Authorize" if version == "1.6":
                return {"idTagInfo": {"status": self.verdicts.get(payload["idTag"], "Accepted")}}
            case "Authorize":
                return {
                    "idTokenInfo": {"status": self.verdicts.get(payload["idToken"]["idToken"], "Accepted")}
                }
            case "StartTransaction":
                key = (payload["connectorId"], payload["timestamp"], payload["idTag"], payload["meterStart"])
                number = self.transactions.setdefault(key, len(self.transactions) + 1)
                status = self.verdicts.get(payload["idTag"], "Accepted")
                return {"transactionId": number, "idTagInfo": {"status": status}}
            case "TransactionEvent" if payload.get("idToken"):
                status = self.verdicts.get(payload["idToken"]["idToken"], "Accepted")
                return {"idTokenInfo": {"status": status}}
            case "VatNumberValidation":
                return {"status": "Accepted", "vatNumber": payload["vatNumber"]}
            case "DataTransfer" | "OpenPeriodicEventStream":
                return {"status": "Accepted"}
        return {}

"""The stage of a certification scenario: a charger that writes its own frames, and an operator who works by REST.

Every frame that the system under test sends is held against the official schema by `jsonschema`, which is not the
library that the gateway itself uses.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any

import jsonschema

from stations.models import Station
from tenants.models import Tenant
from tests.people import ApiClient
from tests.stations.ocpp.charger import BOOT, Charger
from tests.stations.ocpp.conftest import Plug, applied, in_thread

FOLDERS = {"1.6": "v16", "2.0.1": "v201", "2.1": "v21"}
V2 = ("2.0.1", "2.1")
Payload = dict[str, Any]


def stamp(at: datetime | None = None) -> str:
    return (at or datetime.now(UTC)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@cache
def _schema(version: str, name: str) -> Any:
    file = resources.files("ocpp") / FOLDERS[version] / "schemas" / f"{name}.json"
    schema = json.loads(file.read_text("utf-8-sig"))
    return jsonschema.validators.validator_for(schema)(schema)


def keeps_to(version: str, action: str, payload: Payload, *, response: bool) -> None:
    suffix = "Response" if response else ("" if version == "1.6" else "Request")
    _schema(version, f"{action}{suffix}").validate(payload)


class Order:
    """A command that the operator gave."""

    def __init__(self, told: Payload) -> None:
        self.id = int(told["id"])


class Scene:
    def __init__(
        self, version: str, wire: Charger, desk: ApiClient, tenant: Tenant, station: Station
    ) -> None:
        self.version, self.wire, self.desk = version, wire, desk
        self.tenant, self.station = tenant, station

    # --- the charger ---

    async def tell(self, action: str, payload: Payload) -> Payload:
        """Send a CALL; the answer's payload, held against its schema."""
        keeps_to(self.version, action, payload, response=False)
        answer = await self.wire.ok(action, payload)
        keeps_to(self.version, action, answer, response=True)
        return answer

    async def boot(self, **more: Any) -> Payload:
        return await self.tell("BootNotification", BOOT[self.version] | more)

    async def status(self, status: str, evse: int = 1, **more: Any) -> None:
        if self.version == "1.6":
            await self.tell(
                "StatusNotification",
                {"connectorId": evse, "errorCode": "NoError", "status": status, "timestamp": stamp()} | more,
            )
        else:
            told = {"evseId": evse, "connectorId": 1, "connectorStatus": status, "timestamp": stamp()}
            await self.tell("StatusNotification", told | more)

    async def hears(self, action: str, expected: Payload | None = None) -> list[Any]:
        """The next CALL of the system under test, which must be this one; `expected` members as given."""
        call = await self.wire.next_call()
        assert call[2] == action, call
        keeps_to(self.version, action, call[3], response=False)
        for name, value in (expected or {}).items():
            assert call[3].get(name) == value, (name, call[3])
        return call

    async def answers(self, call: list[Any], payload: Payload) -> None:
        keeps_to(self.version, call[2], payload, response=True)
        await self.wire.answer(call, payload)

    # --- the operator ---

    async def rest(self, method: str, path: str, data: Any = None, *, status: int | None = None) -> Any:
        """Body of a call of the REST interface that must end with `status` (or any 2xx)."""
        response = await in_thread(lambda: self.desk.call(method, path, data))
        wanted = [status] if status else range(200, 300)
        assert response.status_code in wanted, (response.status_code, response.content)
        return response.json() if response.content else None

    async def order(self, kind: str, **arguments: Any) -> Order:
        body = {"kind": kind, "arguments": arguments}
        return Order(await self.rest("POST", f"/stations/{self.station.pk}/commands", body, status=202))

    async def outcome(self, order: Order) -> Payload:
        """The command once it is settled."""
        for _try in range(200):
            told = await self.rest("GET", f"/commands/{order.id}")
            if told["state"] not in ("queued", "sent"):
                return dict(told)
        raise AssertionError(f"not settled: {told}")

    async def does(
        self, kind: str, arguments: Payload, action: str, expected: Payload, answer: Payload, state: str
    ) -> Payload:
        """The whole way of a command: ordered, heard, answered, settled. Gives the payload that was heard."""
        order = await self.order(kind, **arguments)
        call = await self.hears(action, expected)
        await self.answers(call, answer)
        done = await self.outcome(order)
        assert done["state"] == state, done
        return dict(call[3])

    async def applied(self) -> None:
        await applied(self.tenant)

    async def seen(self, path: str, **query: Any) -> list[Payload]:
        """Rows of a list of the REST interface, newest first, once all that was told is applied."""
        await self.applied()
        response = await in_thread(lambda: self.desk.read(path, **query))
        return list(response["results"])

    async def session(self) -> Payload:
        """The station's newest session as the operator sees it."""
        return (await self.seen("/sessions", station_id=self.station.pk))[0]


Stage = Callable[..., Any]


def make_stage(plug: Plug, tenant: Tenant, station: Station, desk: ApiClient) -> Stage:
    @asynccontextmanager
    async def stage(version: str, *, booted: bool = True, **options: Any) -> AsyncIterator[Scene]:
        async with plug(station, version, **options) as wire:
            scene = Scene(version, wire, desk, tenant, station)
            if booted:
                assert (await scene.boot())["status"] == "Accepted"
            yield scene

    return stage

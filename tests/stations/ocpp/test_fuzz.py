"""Every action of every version with payloads made from its schema: one answer each, which keeps to its own schema.

A slice of them with each run of the suite; `--long` tries many, and other ones each time.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from stations.models import Command, CommandState, Frame, Station, StationEvent
from stations.ocpp import schemas
from stations.ocpp.versions import BY_NAME
from stations.services import commands
from tenants.context import tenant_scope
from tenants.models import Tenant
from tests.servers import Role, Roles
from tests.stations.ocpp import payloads
from tests.stations.ocpp.charger import Charger, charger
from tests.stations.ocpp.conftest import applied, in_thread, rows
from tests.stations.ocpp.test_tables import ARGUMENTS

VERSIONS = ("1.6", "2.0.1", "2.1")
ACTIONS = [(version, action) for version in VERSIONS for action in sorted(BY_NAME[version].answers)]
SENDS = sorted(BY_NAME["2.1"].sends)
KINDS = [(version, kind) for version in VERSIONS for kind in sorted(BY_NAME[version].says)]
# Faults that a station never sees: the gateway's log must know none of them.
MOST_BYTES = 200_000
FAULTS = (
    "call not answered",
    "own answer breaks the schema",
    "answer not kept",
    "was not followed up",
    "answered without prices",
    "journal not applied",
    "frame not applied",
    "commands not read",
    "answer not stored",
)
REFUSALS_PER_SOCKET = 40  # of 50 that the gateway bears


@pytest.fixture(scope="module")
def patient(session_roles: Roles) -> Role:
    """A gateway that reads as fast as it is written to."""
    return session_roles.start(
        "gateway",
        env={
            "OCPP_FRAMES_PER_SECOND": "100000",
            "OCPP_FRAME_BURST": "100000",
            "OCPP_CALL_TIMEOUT_SECONDS": "5",
        },
    )


class Line:
    """A station's socket for tests that hypothesis drives: opened anew before the gateway loses patience."""

    def __init__(self, gateway: Role, tenant: Tenant, station: Station, version: str) -> None:
        self.runner = asyncio.Runner()
        self.where = (gateway.ws_url, tenant.slug, station.identity, station.password, version)  # type: ignore[attr-defined]
        self.context: Any = None
        self.wire: Charger | None = None
        self.refused = 0

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_error: Any) -> None:
        self.hang_up()
        self.runner.close()

    def hang_up(self) -> None:
        if self.context is not None:
            self.runner.run(self.context.__aexit__(None, None, None))
        self.context, self.wire, self.refused = None, None, 0

    def run(self, work: Callable[[Charger], Any]) -> Any:
        if self.wire is None or self.refused >= REFUSALS_PER_SOCKET:
            self.hang_up()
            self.context = charger(*self.where)
            self.wire = self.runner.run(self.context.__aenter__())
        return self.runner.run(work(self.wire))

    def call(self, action: str, payload: dict[str, Any]) -> list[Any]:
        try:
            reply: list[Any] = self.run(lambda wire: wire.call(action, payload))
        except TimeoutError:
            pytest.fail(f"no answer to {json.dumps(payload)[:3000]}")
        self.refused += reply[0] == 4
        return reply


@pytest.fixture
def line(patient: Role, tenant: Tenant, station: Station) -> Iterator[Callable[[str], Line]]:
    lines: list[Line] = []

    def make(version: str) -> Line:
        lines.append(Line(patient, tenant, station, version))
        return lines[-1]

    yield make
    for one in lines:
        one.__exit__()


def examples(pytestconfig: pytest.Config, few: int, many: int) -> Any:
    long = bool(pytestconfig.getoption("--long"))
    return settings(
        max_examples=many if long else few, derandomize=not long, deadline=None, database=None,
        suppress_health_check=list(HealthCheck), phases=(Phase.explicit, Phase.generate),
    )  # fmt: skip


@pytest.mark.parametrize(("version", "action"), ACTIONS)
def test_each_call_gets_one_answer_by_its_schema(
    line: Callable[[str], Line], patient: Role, tenant: Tenant, station: Station, pytestconfig: pytest.Config,
    version: str, action: str,
) -> None:  # fmt: skip
    begun = len(patient.output())
    own = line(version)

    @examples(pytestconfig, 12, 400)
    @given(payloads.valid(version, action))
    def valid(payload: dict[str, Any]) -> None:
        assume(len(json.dumps(payload)) < MOST_BYTES)
        reply = own.call(action, payload)
        assert reply[0] == 3, (reply, payload)
        wrong = schemas.check(version, action, reply[2], response=True)
        assert wrong is None, (wrong, reply, payload)

    @examples(pytestconfig, 12, 400)
    @given(payloads.nearly(version, action))
    def bent(payload: dict[str, Any]) -> None:
        assume(len(json.dumps(payload)) < MOST_BYTES)  # a larger frame ends the socket, as it should
        reply = own.call(action, payload)
        assert reply[0] in (3, 4), reply
        if reply[0] == 4:
            assert reply[2] != "InternalError", (reply, payload)
        else:
            assert schemas.check(version, action, reply[2], response=True) is None, (reply, payload)

    valid()
    bent()
    assert own.wire is not None and own.wire.others.empty(), "an answer too many"
    own.run(lambda wire: wire.ok("Heartbeat", {}))
    asyncio.run(applied(tenant))
    with tenant_scope(tenant.pk):
        notes = StationEvent.objects.filter(
            station=station, kind="note", text__contains="could not be understood"
        )
        lost = [Frame.objects.get(pk=note.detail["frame"]).payload for note in notes[:3]]
    assert not lost, lost
    assert_no_fault(patient, begun)


def assert_no_fault(gateway: Role, begun: int) -> None:
    told = gateway.output()[begun:]
    found = [line for line in told.splitlines() if any(fault in line for fault in FAULTS)]
    assert not found, found[0][:3000]


@pytest.mark.parametrize("action", SENDS)
def test_what_is_sent_gets_no_answer_and_is_applied(
    line: Callable[[str], Line], patient: Role, tenant: Tenant, station: Station, pytestconfig: pytest.Config,
    action: str,
) -> None:  # fmt: skip
    begun = len(patient.output())
    own = line("2.1")

    @examples(pytestconfig, 20, 400)
    @given(payloads.valid("2.1", action) | payloads.nearly("2.1", action))
    def send(payload: dict[str, Any]) -> None:
        own.refused += schemas.check("2.1", action, payload) is not None
        own.run(lambda wire: wire.raw(json.dumps([6, "s", action, payload])))

    send()
    own.run(lambda wire: wire.ok("Heartbeat", {}))
    assert own.wire is not None and own.wire.others.empty()
    asyncio.run(applied(tenant))
    with tenant_scope(tenant.pk):
        assert not StationEvent.objects.filter(station=station, kind="note").exists()
    assert_no_fault(patient, begun)


async def _asked(
    wire: Charger, tenant: Tenant, station: Station, actor: Any, kind: str, action: str, answer: Any
) -> Command:
    """Ask, have the station answer so, and give the command as it ended."""

    def ask() -> Command:
        return commands.request_command(
            tenant_id=tenant.pk,
            station_id=station.pk,
            kind=kind,
            arguments=ARGUMENTS[kind],
            actor=actor,
        )

    command: Command = await rows(tenant, ask)
    call = await wire.next_of(action)  # what was asked before may have led to another question
    await wire.answer(call, answer)
    while not wire.others.empty():  # 2.1 tells what is wrong with an answer
        assert (await wire.next_other())[0] == 5

    def ended() -> Command:
        return commands.wait(tenant_id=tenant.pk, command_id=command.pk, timeout_seconds=15)

    done: Command = await in_thread(ended)
    return done


@pytest.mark.parametrize(("version", "kind"), KINDS)
def test_each_command_settles_whatever_is_answered(
    line: Callable[[str], Line], patient: Role, tenant: Tenant, station: Station, owner_actor: Any,
    pytestconfig: pytest.Config, version: str, kind: str,
) -> None:  # fmt: skip
    begun = len(patient.output())
    own = line(version)
    action = BY_NAME[version].says[kind].action
    own.run(lambda wire: wire.ok("Heartbeat", {}))

    @examples(pytestconfig, 4, 60)
    @given(
        st.one_of(
            payloads.valid(version, action, response=True), payloads.nearly(version, action, response=True)
        )
    )
    def settles(answer: dict[str, Any]) -> None:
        done = own.run(lambda wire: _asked(wire, tenant, station, owner_actor, kind, action, answer))
        assert done.settled and done.state != CommandState.TIMED_OUT, (done.state, done.detail, answer)
        if schemas.check(version, action, answer, response=True) is None:
            assert done.state in (CommandState.ACCEPTED, CommandState.REJECTED), (done.detail, answer)

    settles()
    assert_no_fault(patient, begun)

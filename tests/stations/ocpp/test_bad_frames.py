"""Broken or hostile frames: each gets the reply its version prescribes, or a close code; the station lives on."""

from __future__ import annotations

import asyncio
import json

import pytest

from stations.models import Frame, Station
from stations.ocpp.link import MAX_BAD_FRAMES
from tenants.models import Tenant
from tests.stations.ocpp.charger import VERSIONS
from tests.stations.ocpp.conftest import Plug, in_thread, rows

HEARTBEAT = '"Heartbeat",{}]'
# frame, code for 1.6 (None: silence is right), code for 2.x, id in the reply
UNREADABLE = [
    ("nonsense", None, "RpcFrameworkError", "-1"),
    ("", None, "RpcFrameworkError", "-1"),
    ('{"a":1}', None, "RpcFrameworkError", "-1"),
    ("[]", None, "RpcFrameworkError", "-1"),
    ("[" * 5000 + "]" * 5000, None, "RpcFrameworkError", "-1"),
    (
        '[2,"d1","Heartbeat",' + '{"a":' * 40 + "1" + "}" * 40 + "]",
        "FormationViolation",
        "RpcFrameworkError",
        "d1",
    ),
    ('[2,"big","Heartbeat",{"a":1' + "0" * 5000 + "}]", None, "RpcFrameworkError", "-1"),
    ('[2,"nan","Heartbeat",{"a":NaN}]', None, "RpcFrameworkError", "-1"),
    ('[2,"inf","Heartbeat",{"a":-Infinity}]', None, "RpcFrameworkError", "-1"),
    ('[2,"sur","Heartbeat",{"a":"\\ud800"}]', None, "RpcFrameworkError", "-1"),
    ('[2,"dup","Heartbeat",{"a":1,"a":2}]', "FormationViolation", "RpcFrameworkError", "dup"),
    ("[2,7," + HEARTBEAT, None, "RpcFrameworkError", "-1"),
    ('[2,"",' + HEARTBEAT, None, "RpcFrameworkError", "-1"),
    ('[2,"short","Heartbeat"]', "FormationViolation", "RpcFrameworkError", "short"),
    ('[2,"long","Heartbeat",{},{}]', "FormationViolation", "RpcFrameworkError", "long"),
    ('[2,"list","Heartbeat",[]]', "FormationViolation", "RpcFrameworkError", "list"),
    ('[2,"number",5,{}]', "FormationViolation", "RpcFrameworkError", "number"),
    ('[9,"type","Heartbeat",{}]', None, "MessageTypeNotSupported", "type"),
    ('[2.0,"float","Heartbeat",{}]', None, "MessageTypeNotSupported", "float"),
    ('[true,"bool",{}]', None, "MessageTypeNotSupported", "bool"),
]


@pytest.mark.parametrize("version", VERSIONS)
async def test_each_unreadable_frame_gets_its_reply_and_harms_nothing(
    plug: Plug, tenant: Tenant, station: Station, version: str
) -> None:
    async with plug(station, version) as wire:
        for text, code_16, code_2x, message_id in UNREADABLE:
            await wire.raw(text)
            code = code_16 if version == "1.6" else code_2x
            if code is not None:
                reply = await wire.next_other()
                assert (reply[0], reply[1], reply[2]) == (4, message_id, code), text[:60]
            assert (await wire.ok("Heartbeat", {}))["currentTime"], text[:60]
        assert wire.others.empty()


@pytest.mark.parametrize("version", VERSIONS)
async def test_payloads_that_break_the_schema_are_refused_with_the_reason(
    plug: Plug, tenant: Tenant, station: Station, version: str
) -> None:
    occurrence = "OccurenceConstraintViolation" if version == "1.6" else "OccurrenceConstraintViolation"
    async with plug(station, version) as wire:
        missing = await wire.call("BootNotification", {})
        assert missing[:1] + missing[2:3] == [4, occurrence]
        assert "required" in missing[3]
        typed = await wire.call("DataTransfer", {"vendorId": {"a": 1}})
        assert typed[2] == "TypeConstraintViolation"
        unknown = await wire.call("MakeCoffee", {})
        assert unknown[2] == "NotImplemented"
        ours = await wire.call("ClearCache", {})  # known, but not ours to answer
        assert ours[2] in ("NotSupported", "NotImplemented")


async def test_a_strict_station_is_held_to_the_letter(
    plug: Plug, tenant: Tenant, make_station: object
) -> None:
    strict = await in_thread(lambda: make_station(strict=True))  # type: ignore[operator]
    bent = {"connectorId": 1, "errorCode": "NoError", "status": "Available", "info": "", "extra": 1}
    async with plug(strict) as wire:
        assert (await wire.call("StatusNotification", bent))[2] == "FormationViolation"


async def test_what_a_tolerant_reader_understands_is_taken_and_noted(
    plug: Plug, tenant: Tenant, station: Station
) -> None:
    from stations.ocpp.gateway import SEEN_SECONDS

    bent = {
        "connectorId": 1,
        "errorCode": "SomethingNew",
        "status": " Available ",
        "timestamp": "2026-11-22T10:00:00",
        "vendorId": "",
        "extra": 1,
    }
    async with plug(station) as wire:
        await wire.ok("StatusNotification", bent)
        for _wait in range(int(SEEN_SECONDS + 10) * 4):
            now = await rows(tenant, lambda: Station.objects.get(tenant=tenant, pk=station.pk))
            if now.notes:
                break
            await asyncio.sleep(0.25)
    told = " ".join(now.notes)
    assert "errorCode: unknown word" in told
    assert "read as UTC" in told
    assert "extra white space" in told
    assert "unknown field" in told


async def test_a_binary_frame_ends_the_socket(plug: Plug, station: Station) -> None:
    async with plug(station) as wire:
        await wire.raw(b"\x00\x01")
        assert (await wire.closed())[0] == 1003


async def test_a_frame_beyond_the_limit_ends_the_socket(plug: Plug, station: Station) -> None:
    async with plug(station) as wire:
        await wire.raw('[2,"x","DataTransfer",{"vendorId":"a","data":"' + "x" * 300_000 + '"}]')
        assert (await wire.closed())[0] == 1009


async def test_a_station_that_talks_only_rubbish_is_asked_to_start_anew(plug: Plug, station: Station) -> None:
    async with plug(station) as wire:
        for _frame in range(MAX_BAD_FRAMES + 1):
            await wire.raw("rubbish")
        assert (await wire.closed())[0] == 1008


@pytest.mark.parametrize("version", VERSIONS)
async def test_answers_that_nobody_asked_for_are_dropped(plug: Plug, station: Station, version: str) -> None:
    async with plug(station, version) as wire:
        for number in range(20):
            await wire.raw(json.dumps([3, f"ghost{number}", {"status": "Accepted"}]))
            await wire.raw(json.dumps([4, f"ghost{number}", "GenericError", "", {}]))
        await wire.ok("Heartbeat", {})
        assert wire.others.empty()


async def test_two_calls_in_flight_are_answered_in_order(plug: Plug, station: Station) -> None:
    async with plug(station) as wire:
        status = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
        await wire.raw(
            json.dumps([2, "boot", "BootNotification", {"chargePointVendor": "A", "chargePointModel": "B"}])
        )
        await wire.raw(json.dumps([2, "status", "StatusNotification", status]))
        assert [(await wire.next_other())[1], (await wire.next_other())[1]] == ["boot", "status"]


async def test_message_ids_may_repeat_from_station_to_station(
    plug: Plug, tenant: Tenant, station: Station, make_station: object
) -> None:
    other = await in_thread(lambda: make_station())  # type: ignore[operator]
    async with plug(station) as one, plug(other) as two:
        answers = await asyncio.gather(*(wire.ok("Heartbeat", {}, "1") for wire in (one, two, one, two)[:2]))
        assert len(answers) == 2


async def test_a_send_is_taken_without_an_answer_on_2_1_alone(
    plug: Plug, tenant: Tenant, station: Station
) -> None:
    stream = {"id": 1, "pending": 0, "basetime": "2026-11-22T10:00:00Z", "data": [{"t": 0, "v": "5"}]}
    async with plug(station, "2.1") as wire:
        await wire.raw(json.dumps([6, "s1", "NotifyPeriodicEventStream", stream]))
        await wire.raw(json.dumps([6, "s2", "NoSuchStream", {}]))
        await wire.ok("Heartbeat", {})
        assert wire.others.empty()
    async with plug(station, "2.0.1") as wire:
        await wire.raw(json.dumps([6, "s3", "NotifyPeriodicEventStream", stream]))
        assert (await wire.next_other())[1:3] == ["s3", "MessageTypeNotSupported"]


async def test_a_nul_in_a_text_is_kept_visibly(plug: Plug, tenant: Tenant, station: Station) -> None:
    async with plug(station) as wire:
        await wire.ok("DataTransfer", {"vendorId": "a\x00b", "data": "c\x00d"})

    def kept() -> list[str]:
        frames = Frame.objects.filter(tenant=tenant, station=station, action="DataTransfer")
        return [frame.payload for frame in frames]

    (payload,) = await rows(tenant, kept)
    assert json.loads(payload) == {"vendorId": "a\u2400b", "data": "c\u2400d"}

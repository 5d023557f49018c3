"""Logs: asked of a station, uploaded through the file door, followed by its notices. One body for every version."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from stations.models import Command, FileTicket, Frame, LogFile, LogRequest, LogState, Station, StationEvent
from stations.services.files import logs, store, tickets
from tenants.context import tenant_scope
from tenants.errors import Unavailable
from tenants.models import Tenant
from tests.servers import Role
from tests.stations.ocpp.charger import VERSIONS, Charger
from tests.stations.ocpp.conftest import Plug, applied, eventually, rows

NOTICE = {
    "1.6": "DiagnosticsStatusNotification",
    "2.0.1": "LogStatusNotification",
    "2.1": "LogStatusNotification",
}
FAILED = {"1.6": "UploadFailed", "2.0.1": "UploadFailure", "2.1": "UploadFailure"}


async def ask(tenant: Tenant, station: Station, actor: Any, **how: Any) -> LogRequest:
    return await rows(
        tenant, lambda: logs.request(tenant_id=tenant.pk, station_id=station.pk, actor=actor, **how)
    )


async def now(tenant: Tenant, asked: LogRequest) -> LogRequest:
    return await rows(tenant, lambda: LogRequest.objects.select_related("station").get(pk=asked.pk))


def location(call: list[Any], gateway: Role) -> str:
    """Where to upload, at the gateway of this test (its port is not that of GATEWAY_URL)."""
    told = call[3].get("location") or call[3]["log"]["remoteLocation"]
    return gateway.url + "/files/" + told.partition("/files/")[2]


async def accept(wire: Charger, call: list[Any], version: str) -> None:
    answer = {"fileName": "cp.log"} if version == "1.6" else {"status": "Accepted", "filename": "cp.log"}
    await wire.answer(call, answer)


async def tell(wire: Charger, version: str, call: list[Any], status: str) -> None:
    number = {} if version == "1.6" else {"requestId": call[3]["requestId"]}
    await wire.ok(NOTICE[version], {"status": status} | number)


async def until(tenant: Tenant, asked: LogRequest, state: str) -> LogRequest:
    await applied(tenant)

    async def there() -> bool:
        return (await now(tenant, asked)).state == state

    await eventually(there)
    return await now(tenant, asked)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_log_is_asked_for_uploaded_and_linked(
    plug: Plug, gateway: Role, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    async with plug(station, version) as wire:
        await rows(tenant, lambda: Station.objects.filter(pk=station.pk).update(ocpp_version=version))
        asked = await ask(tenant, station, owner_actor)
        call = await wire.next_call()
        if version == "1.6":
            assert call[2] == "GetDiagnostics"
            assert set(call[3]) == {"location", "startTime", "retries", "retryInterval"}
        else:
            assert call[2] == "GetLog"
            assert call[3]["logType"] == "DiagnosticsLog"
            assert call[3]["requestId"] == asked.command_id
        await accept(wire, call, version)
        await tell(wire, version, call, "Uploading")
        assert (await until(tenant, asked, "uploading")).station_file == "cp.log"
        text = b"12:00:01 INFO boot\n12:00:02 ERROR relay stuck\n"
        async with httpx.AsyncClient() as http:
            put = await http.put(location(call, gateway) + "cp-2026.log", content=text)
        assert put.status_code == 200, put.text
        await tell(wire, version, call, "Uploaded")
        await applied(tenant)
    done = await now(tenant, asked)
    assert (done.state, done.station_word, done.told_at is not None) == ("uploaded", "Uploaded", True)
    file = await rows(tenant, lambda: LogFile.objects.get(request=asked))
    assert (file.name, file.size_bytes, file.content_type) == ("cp-2026.log", len(text), "text/plain")
    assert b"".join(store.chunks(store.opened(file.storage_name))) == text


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_failed_upload_keeps_the_stations_word_and_can_be_tried_again(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    async with plug(station, version) as wire:
        await rows(tenant, lambda: Station.objects.filter(pk=station.pk).update(ocpp_version=version))
        asked = await ask(tenant, station, owner_actor)
        call = await wire.next_call()
        await accept(wire, call, version)
        await tell(wire, version, call, FAILED[version])
        failed = await until(tenant, asked, "failed")
        assert failed.station_word == FAILED[version]
        again = await rows(tenant, lambda: logs.retry(asked=failed, actor=owner_actor))
        second = await wire.next_call()
        assert second[2] == call[2] and again.retry_of_id == asked.pk
        assert (second[3].get("location") or second[3]["log"]) != (call[3].get("location") or call[3]["log"])
    events = await rows(tenant, lambda: list(StationEvent.objects.filter(station=station, kind="log")))
    assert [event.severity for event in events] == ["error"]


async def test_the_address_is_secret_everywhere_but_on_the_wire(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    async with plug(station, "2.0.1") as wire:
        await rows(tenant, lambda: Station.objects.filter(pk=station.pk).update(ocpp_version="2.0.1"))
        asked = await ask(tenant, station, owner_actor)
        call = await wire.next_call()
        token = call[3]["log"]["remoteLocation"].rstrip("/").rpartition("/")[2]
        assert len(token) == 32
        await accept(wire, call, "2.0.1")
        await until(tenant, asked, "accepted")
        await wire.ok("Heartbeat", {})

    def kept() -> str:
        command = LogRequest.objects.select_related("command").get(pk=asked.pk).command
        assert command is not None
        frames = list(Frame.objects.filter(station=station).values_list("payload", flat=True))
        return json.dumps([command.arguments, command.request, frames])

    text = await rows(tenant, kept)
    assert "/files/***" in text and token not in text


async def test_multipart_forms_and_several_files_are_taken(
    plug: Plug, gateway: Role, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    async with plug(station) as wire:
        await rows(tenant, lambda: Station.objects.filter(pk=station.pk).update(ocpp_version="1.6"))
        asked = await ask(tenant, station, owner_actor)
        call = await wire.next_call()
        await accept(wire, call, "1.6")
        packed = gzip.compress(b"line\n" * 50_000)
        async with httpx.AsyncClient() as http:
            where = location(call, gateway)
            form = await http.post(where, files={"file": ("../../etc/cp 1.log.gz", packed)}, data={"a": "b"})
            raw = await http.post(where, content=b"plain words\n")
            same = await http.post(where, content=b"plain words\n")
            empty = await http.put(where, content=b"")
        assert [answer.status_code for answer in (form, raw, same, empty)] == [200, 200, 200, 400]
    found = await rows(tenant, lambda: list(LogFile.objects.filter(request=asked).order_by("id")))
    assert [(file.name, file.content_type) for file in found] == [
        ("cp_1.log.gz", "application/gzip"),
        ("cp.log", "text/plain"),
    ]
    assert (await now(tenant, asked)).state == "uploaded"


async def test_strangers_and_expired_addresses_upload_nothing(
    plug: Plug, gateway: Role, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    async with plug(station) as wire, httpx.AsyncClient() as http:
        await rows(tenant, lambda: Station.objects.filter(pk=station.pk).update(ocpp_version="1.6"))
        asked = await ask(tenant, station, owner_actor)
        where = location(await wire.next_call(), gateway)
        for path in ("0" * 32 + "/", "x", "", "../health"):
            assert (await http.put(f"{gateway.url}/files/{path}", content=b"x")).status_code in (404, 426)
        assert (await http.get(where)).status_code == 410
        assert (await http.delete(where)).status_code == 405
        await rows(tenant, lambda: logs.cancel(asked=asked, actor=owner_actor))
        assert (await http.put(where, content=b"too late")).status_code == 404
    assert not await rows(tenant, LogFile.objects.filter(request=asked).exists)


async def test_a_file_that_is_too_large_is_refused_whether_or_not_it_says_so(
    plug: Plug, gateway: Role, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    async with plug(station) as wire, httpx.AsyncClient(timeout=60) as http:
        await rows(tenant, lambda: Station.objects.filter(pk=station.pk).update(ocpp_version="1.6"))
        asked = await ask(tenant, station, owner_actor)
        where = location(await wire.next_call(), gateway)
        large = b"x" * 3_000_000

        async def body() -> Any:
            yield large

        assert (await http.put(where, content=large)).status_code == 413
        assert "2 MB" in (await now(tenant, asked)).reason  # who waits for it reads why nothing comes
        assert (await http.put(where, content=body())).status_code == 413
        assert (await http.put(where, content=b"small")).status_code == 200
    assert await rows(tenant, LogFile.objects.filter(request=asked).count) == 1


async def test_a_station_that_lies_about_the_upload_is_found_out(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    async with plug(station) as wire:
        await rows(tenant, lambda: Station.objects.filter(pk=station.pk).update(ocpp_version="1.6"))
        asked = await ask(tenant, station, owner_actor)
        call = await wire.next_call()
        await accept(wire, call, "1.6")
        await tell(wire, "1.6", call, "Uploaded")
        await applied(tenant)

        def later() -> int:
            LogRequest.objects.filter(pk=asked.pk).update(
                deadline_at=datetime.now(UTC) - timedelta(seconds=1)
            )
            return logs.give_up(tenant_id=tenant.pk)

        assert await rows(tenant, later) == 1
    assert (await now(tenant, asked)).state == LogState.MISSING


async def test_nothing_to_upload_is_said_and_an_unknown_message_is_said_otherwise(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    async with plug(station) as wire:
        await rows(tenant, lambda: Station.objects.filter(pk=station.pk).update(ocpp_version="1.6"))
        asked = await ask(tenant, station, owner_actor)
        await wire.answer(await wire.next_call(), {})
        refused = await until(tenant, asked, "refused")
        assert "nothing" in refused.reason
        asked = await ask(tenant, station, owner_actor)
        call = await wire.next_call()
        await wire.raw(json.dumps([4, call[1], "NotImplemented", "no such message", {}]))
        call = await wire.next_call()  # the newer message for the same log
        assert call[2] == "GetLog" and call[3]["logType"] == "DiagnosticsLog"
        await wire.answer(call, {"status": "Rejected"})
        assert (await until(tenant, asked, "refused")).reason == "Rejected"


async def test_a_newer_request_replaces_an_older_one(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    async with plug(station, "2.0.1") as wire:
        await rows(tenant, lambda: Station.objects.filter(pk=station.pk).update(ocpp_version="2.0.1"))
        first = await ask(tenant, station, owner_actor)
        await accept(wire, await wire.next_call(), "2.0.1")
        second = await ask(tenant, station, owner_actor, kind="security")
        call = await wire.next_call()
        assert call[3]["logType"] == "SecurityLog"
        await wire.answer(call, {"status": "AcceptedCanceled"})
        assert (await until(tenant, second, "accepted")).station_word == ""
        await until(tenant, first, "replaced")


async def test_notices_of_nobodys_request_stay_events(plug: Plug, tenant: Tenant, station: Station) -> None:
    async with plug(station, "2.1") as wire:
        for payload in (
            {"status": "Idle"},
            {"status": "Uploaded", "requestId": 7},
            {"status": "UploadFailure"},
        ):
            await wire.ok("LogStatusNotification", payload)
        await applied(tenant)
    assert await rows(tenant, StationEvent.objects.filter(station=station, kind="log").count) == 3


async def test_what_a_station_tells_after_its_answer_finds_the_answer_stored(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    """1.6 names no request in its notices: one that came first would find nothing that waits for it."""
    held, release = threading.Event(), threading.Event()

    def hold(command_id: int | None) -> None:
        Command.objects.select_for_update().get(pk=command_id or 0)
        held.set()
        release.wait(10)

    async with plug(station) as wire:
        asked = await ask(tenant, station, owner_actor)
        call = await wire.next_call()
        storing = asyncio.create_task(rows(tenant, lambda: hold(asked.command_id)))
        assert await asyncio.to_thread(held.wait, 10)
        await accept(wire, call, "1.6")
        telling = asyncio.create_task(tell(wire, "1.6", call, "Uploading"))
        await asyncio.sleep(0.5)
        assert not telling.done()
        release.set()
        await asyncio.gather(storing, telling)
        assert (await until(tenant, asked, "uploading")).station_file == "cp.log"


def test_logs_of_one_company_take_no_more_than_their_share(
    tenant: Tenant, station: Station, owner_actor: Any, settings: Any
) -> None:
    settings.LOG_TENANT_MB = 1
    with tenant_scope(tenant.pk):
        asked = logs.request(tenant_id=tenant.pk, station_id=station.pk, actor=owner_actor)
        ticket = FileTicket.objects.get(log_request=asked)
        LogFile.objects.create(
            tenant=tenant, station=station, request=asked, name="old.log", storage_name="x", size_bytes=900_000,
            sha256="0" * 64, received_at=datetime.now(UTC),
        )  # fmt: skip

        def begin(expected: int | None) -> logs.Upload:
            return logs.begin_upload(
                tenant_id=tenant.pk, ticket_id=ticket.pk, expected=expected, address="::1"
            )

        assert begin(None).limit == 100_000
        with pytest.raises(store.TooLarge, match="Delete old ones"):
            begin(100_001)


def test_a_file_that_ends_after_its_request_was_cancelled_is_not_kept(
    tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    with tenant_scope(tenant.pk):
        asked = logs.request(tenant_id=tenant.pk, station_id=station.pk, actor=owner_actor)
        ticket = FileTicket.objects.get(log_request=asked)
        upload = logs.begin_upload(tenant_id=tenant.pk, ticket_id=ticket.pk, expected=None, address="::1")
        logs.cancel(asked=asked, actor=owner_actor)
        with pytest.raises(tickets.Gone):
            logs.finish_upload(
                upload=upload,
                storage_name="x",
                name="a",
                size=1,
                sha256="0" * 64,
                head=b"a",
                protocol="https",
            )


def test_a_file_leaves_the_disk_its_reserve(monkeypatch: pytest.MonkeyPatch) -> None:
    spooled = store.spool(1_000_000)
    monkeypatch.setattr(store, "RESERVE", store.free_bytes() * 2)
    with pytest.raises(Unavailable, match="nearly full"):
        spooled.write(b"x")
    spooled.discard()
    assert not spooled.path.exists()

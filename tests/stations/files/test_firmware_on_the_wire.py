"""Firmware: ordered, fetched through the file door, followed by notices, proved by the boot. For every version."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
import pytest

from stations.models import Command, FirmwareImage, FirmwarePublication, FirmwareUpdate, Station
from stations.services.files import campaigns, images, publications, updates
from tenants.errors import Conflict, Invalid
from tenants.models import Fact, Tenant
from tests.objects import create_image, signed_by_maker
from tests.servers import Role
from tests.stations.ocpp.charger import BOOT, VERSIONS, Charger
from tests.stations.ocpp.conftest import Plug, applied, eventually, rows

CONTENT = bytes(range(256)) * 2000


def booted(version: str, firmware: str) -> dict[str, Any]:
    if version == "1.6":
        return BOOT["1.6"] | {"firmwareVersion": firmware}
    station = BOOT["2.0.1"]["chargingStation"] | {"firmwareVersion": firmware}
    return {"reason": "FirmwareUpdate", "chargingStation": station}


async def plan(
    tenant: Tenant, station: Station, image: FirmwareImage, actor: Any, **how: Any
) -> FirmwareUpdate:
    return await rows(
        tenant,
        lambda: updates.plan(
            tenant_id=tenant.pk, station_id=station.pk, image_id=image.pk, actor=actor, **how
        ),
    )


async def now(tenant: Tenant, update: FirmwareUpdate) -> FirmwareUpdate:
    found = FirmwareUpdate.objects.select_related("image", "station", "campaign")
    return await rows(tenant, lambda: found.get(pk=update.pk))


async def until(tenant: Tenant, update: FirmwareUpdate, state: str) -> FirmwareUpdate:
    await applied(tenant)

    async def there() -> bool:
        return (await now(tenant, update)).state == state

    await eventually(there)
    return await now(tenant, update)


def told(call: list[Any]) -> str:
    return str(call[3].get("location") or call[3]["firmware"]["location"])


def location(call: list[Any], gateway: Role) -> str:
    return gateway.url + "/files/" + told(call).partition("/files/")[2]


async def tell(wire: Charger, version: str, call: list[Any], status: str) -> None:
    if version == "1.6" and call[2] == "SignedUpdateFirmware":
        await wire.ok(
            "SignedFirmwareStatusNotification", {"status": status, "requestId": call[3]["requestId"]}
        )
    else:
        number = {} if version == "1.6" else {"requestId": call[3]["requestId"]}
        await wire.ok("FirmwareStatusNotification", {"status": status} | number)


async def accept(wire: Charger, call: list[Any]) -> None:
    await wire.answer(call, {} if "requestId" not in call[3] else {"status": "Accepted"})


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("signed", [False, True])
async def test_an_update_from_the_order_to_the_boot_that_proves_it(
    plug: Plug, gateway: Role, tenant: Tenant, station: Station, owner_actor: Any, version: str, signed: bool
) -> None:
    text, pem = signed_by_maker(CONTENT, "ECDSA") if signed else ("", "")
    image = await rows_of(tenant, content=CONTENT, signature=text, certificate=pem)
    async with plug(station, version) as wire, httpx.AsyncClient() as http:
        await wire.ok("BootNotification", booted(version, "1.2.3"))
        update = await plan(tenant, station, image, owner_actor)
        call = await wire.next_call()
        assert call[2] == ("SignedUpdateFirmware" if signed and version == "1.6" else "UpdateFirmware")
        if signed:
            assert (call[3]["firmware"]["signature"], call[3]["firmware"]["signingCertificate"]) == (
                text,
                pem,
            )
        assert told(call).endswith("/acme-2.0.0.bin")
        await accept(wire, call)
        half = await http.get(location(call, gateway), headers={"Range": "bytes=0-255999"})
        assert (half.status_code, half.headers["content-range"]) == (206, "bytes 0-255999/512000")
        await until(tenant, update, "downloading")

        async def half_sent() -> bool:
            return (await now(tenant, update)).percent == 50

        await eventually(half_sent)
        rest = await http.get(
            location(call, gateway), headers={"Range": "bytes=256000-", "If-Range": half.headers["etag"]}
        )
        assert half.content + rest.content == CONTENT
        for status, state in (("Downloaded", "downloaded"), ("Installing", "installing")):
            await tell(wire, version, call, status)
            assert (await until(tenant, update, state)).station_word == status
        await tell(wire, version, call, "Downloading")  # late or twice: it goes forward only
        await tell(wire, version, call, "Installed")
        await applied(tenant)
        assert (await now(tenant, update)).state == "installing"  # its word alone is no proof
        await wire.ok("BootNotification", booted(version, "2.0.0"))
        await rows(tenant, lambda: campaigns.advance(tenant_id=tenant.pk))
    done = await now(tenant, update)
    assert (done.state, done.from_version, done.to_version, done.signed) == (
        "installed",
        "1.2.3",
        "2.0.0",
        signed,
    )
    fact = await rows(tenant, lambda: Fact.objects.get(tenant=tenant, kind="firmware.updated"))
    assert (fact.payload["from"], fact.payload["to"]) == ("1.2.3", "2.0.0")


async def rows_of(tenant: Tenant, **values: Any) -> FirmwareImage:
    from tests.stations.ocpp.conftest import in_thread

    return await in_thread(lambda: create_image(tenant, **values))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("status", "words"),
    [("DownloadFailed", "could not download"), ("InstallationFailed", "could not install")],
)
async def test_a_failure_is_kept_in_words_and_tried_again_as_often_as_allowed(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str, status: str, words: str
) -> None:
    image = await rows_of(tenant)
    async with plug(station, version) as wire:
        await wire.ok("BootNotification", booted(version, "1.2.3"))
        update = await plan(tenant, station, image, owner_actor, max_attempts=2)
        call = await wire.next_call()
        await accept(wire, call)
        await tell(wire, version, call, status)
        failed = await until(tenant, update, "waiting")
        assert failed.blocked_by == "retry" and words in failed.reason

        def due() -> int:
            FirmwareUpdate.objects.filter(pk=update.pk).update(retry_at=datetime.now(UTC))
            return campaigns.advance(tenant_id=tenant.pk)

        assert await rows(tenant, due) == 1
        call = await wire.next_call()
        await accept(wire, call)
        await tell(wire, version, call, status)
        assert (await until(tenant, update, "failed")).attempts == 2


async def test_a_bad_signature_is_not_tried_again(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    text, pem = signed_by_maker(CONTENT, "RSA-PSS")
    image = await rows_of(tenant, content=CONTENT, signature=text, certificate=pem)
    async with plug(station, "2.1") as wire:
        await wire.ok("BootNotification", booted("2.1", "1.2.3"))
        update = await plan(tenant, station, image, owner_actor, max_attempts=3)
        call = await wire.next_call()
        await accept(wire, call)
        await tell(wire, "2.1", call, "InvalidSignature")
        assert (await until(tenant, update, "failed")).attempts == 1
        again = await plan(tenant, station, image, owner_actor, max_attempts=3)
        await wire.answer(await wire.next_call(), {"status": "InvalidCertificate"})
        assert "does not trust" in (await until(tenant, again, "failed")).reason


async def test_a_station_without_the_security_extension_gets_it_unsigned_with_a_note(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    text, pem = signed_by_maker(CONTENT, "ECDSA")
    image = await rows_of(tenant, content=CONTENT, signature=text, certificate=pem)
    async with plug(station) as wire:
        await wire.ok("BootNotification", booted("1.6", "1.2.3"))
        update = await plan(tenant, station, image, owner_actor)
        call = await wire.next_call()
        assert call[2] == "SignedUpdateFirmware"
        await wire.raw(json.dumps([4, call[1], "NotImplemented", "", {}]))
        call = await wire.next_call()
        assert (call[2], set(call[3])) == (
            "UpdateFirmware",
            {"location", "retrieveDate", "retries", "retryInterval"},
        )
        await wire.answer(call, {})
        sent = await now(tenant, update)
        assert sent.signed is False and "without a signature" in sent.note


async def test_silence_ends_an_attempt_and_says_where_it_stopped(
    plug: Plug, gateway: Role, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    image = await rows_of(tenant, content=CONTENT)
    async with plug(station) as wire, httpx.AsyncClient() as http:
        await wire.ok("BootNotification", booted("1.6", "1.2.3"))
        update = await plan(tenant, station, image, owner_actor)
        call = await wire.next_call()
        await accept(wire, call)
        await http.get(location(call, gateway), headers={"Range": "bytes=0-127999"})

        async def counted() -> bool:  # a moment after the last byte has left
            return (await now(tenant, update)).percent == 25

        await eventually(counted)

        def late() -> None:
            FirmwareUpdate.objects.filter(pk=update.pk).update(deadline_at=datetime.now(UTC))
            campaigns.advance(tenant_id=tenant.pk)

        await rows(tenant, late)
        assert (await now(tenant, update)).reason == "The download stopped at 25 %."
        # The notice that came too late belongs to nobody, and breaks nothing.
        await wire.ok("FirmwareStatusNotification", {"status": "Installed"})
        await applied(tenant)
        assert (await now(tenant, update)).state == "failed"


async def test_one_that_says_installed_and_boots_with_the_old_version_has_failed(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    image = await rows_of(tenant)
    async with plug(station, "2.0.1") as wire:
        await wire.ok("BootNotification", booted("2.0.1", "1.2.3"))
        update = await plan(tenant, station, image, owner_actor)
        call = await wire.next_call()
        await accept(wire, call)
        await wire.ok("BootNotification", booted("2.0.1", "1.2.3"))
        await tell(wire, "2.0.1", call, "Installed")
        await until(tenant, update, "installing")

        def late() -> None:
            FirmwareUpdate.objects.filter(pk=update.pk).update(deadline_at=datetime.now(UTC))
            campaigns.advance(tenant_id=tenant.pk)

        await rows(tenant, late)
    assert "reports version 1.2.3" in (await now(tenant, update)).reason


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("told_version", ["2.0.0", "1.2.3"])
async def test_one_that_installs_without_a_restart_is_asked_for_its_version(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str, told_version: str
) -> None:
    image = await rows_of(tenant)
    async with plug(station, version) as wire:
        await wire.ok("BootNotification", booted(version, "1.2.3"))
        update = await plan(tenant, station, image, owner_actor)
        call = await wire.next_call()
        await accept(wire, call)
        await tell(wire, version, call, "Installed")
        await until(tenant, update, "installing")
        for minutes in (1, 3, 4):
            later = datetime.now(UTC) + timedelta(minutes=minutes)
            await rows(tenant, partial(campaigns.advance, tenant_id=tenant.pk, now=later))
        asked = await wire.next_call()
        if version == "1.6":
            assert asked[2:] == ["TriggerMessage", {"requestedMessage": "BootNotification"}]
            await wire.answer(asked, {"status": "Accepted"})
            await wire.ok("BootNotification", booted(version, told_version))
        else:
            variable = {"component": {"name": "ChargingStation"}, "variable": {"name": "FirmwareVersion"}}
            assert asked[2:] == ["GetVariables", {"getVariableData": [variable]}]
            value = variable | {"attributeStatus": "Accepted", "attributeValue": told_version}
            await wire.answer(asked, {"getVariableResult": [value]})
        await applied(tenant)

        async def heard() -> bool:
            return not await rows(tenant, Command.objects.filter(station=station, state="sent").exists)

        await eventually(heard)
        await rows(tenant, lambda: campaigns.advance(tenant_id=tenant.pk))
        good = told_version == "2.0.0"
        found = await now(tenant, update)
        assert (found.state, found.station.firmware_version) == (
            ("installed", "2.0.0") if good else ("installing", "1.2.3")
        )
        assert wire.calls.empty(), "asked once"


async def test_what_the_door_gives_out(
    plug: Plug, gateway: Role, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    image = await rows_of(tenant, content=CONTENT)
    async with plug(station) as wire, httpx.AsyncClient() as http:
        await wire.ok("BootNotification", booted("1.6", "1.2.3"))
        await plan(tenant, station, image, owner_actor)
        where = location(await wire.next_call(), gateway)
        whole = await http.get(where)
        assert hashlib.sha256(whole.content).hexdigest() == image.sha256
        assert whole.headers["content-disposition"] == 'attachment; filename="acme-2.0.0.bin"'
        head = await http.head(where)
        assert (head.status_code, head.headers["content-length"], head.content) == (
            200,
            str(len(CONTENT)),
            b"",
        )
        for asked, status, size in (
            ("bytes=-100", 206, 100), ("bytes=511999-", 206, 1), ("bytes=512000-", 416, None),
            ("bytes=0-1,5-6", 200, len(CONTENT)), ("lines=1-2", 200, len(CONTENT)), ("bytes=5-2", 416, None),
        ):  # fmt: skip
            answer = await http.get(where, headers={"Range": asked})
            assert answer.status_code == status, asked
            assert size is None or len(answer.content) == size
        changed = await http.get(where, headers={"Range": "bytes=0-9", "If-Range": '"other"'})
        assert (changed.status_code, len(changed.content)) == (200, len(CONTENT))
        assert (await http.put(where, content=b"x")).status_code == 410


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
async def test_a_local_controller_publishes_and_stations_of_its_site_fetch_there(
    plug: Plug, gateway: Role, tenant: Tenant, station: Station, make_station: Callable[..., Station],
    owner_actor: Any, version: str,
) -> None:  # fmt: skip
    image = await rows_of(tenant, content=CONTENT)
    from tests.stations.ocpp.conftest import in_thread

    near = await in_thread(lambda: make_station(site=station.site))
    async with plug(station, version) as wire, httpx.AsyncClient() as http:
        await wire.ok("BootNotification", booted(version, "1.2.3"))
        publication = await rows(
            tenant,
            lambda: publications.publish(
                tenant_id=tenant.pk, station_id=station.pk, image_id=image.pk, actor=owner_actor
            ),
        )
        call = await wire.next_call()
        assert (call[2], call[3]["checksum"]) == ("PublishFirmware", hashlib.md5(CONTENT).hexdigest())
        assert (await http.get(location(call, gateway))).content == CONTENT
        await wire.answer(call, {"status": "Accepted"})
        for status in ("Downloading", "Downloaded", "ChecksumVerified"):
            await wire.ok(
                "PublishFirmwareStatusNotification", {"status": status, "requestId": call[3]["requestId"]}
            )
        there = ["http://10.0.0.5/acme.bin"]
        await wire.ok(
            "PublishFirmwareStatusNotification",
            {"status": "Published", "location": there, "requestId": call[3]["requestId"]},
        )
        await applied(tenant)
        found = await rows(tenant, lambda: FirmwarePublication.objects.get(pk=publication.pk))
        assert (found.state, found.locations) == ("published", there)
        async with plug(near, "1.6") as other:
            await other.ok("BootNotification", booted("1.6", "1.2.3"))
            update = await plan(tenant, near, image, owner_actor)
            assert (await other.next_call())[3]["location"] == there[0]
            assert "local controller" in (await now(tenant, update)).note
        withdrawing = FirmwarePublication.objects.select_related("station", "image")
        await rows(
            tenant,
            lambda: publications.withdraw(publication=withdrawing.get(pk=publication.pk), actor=owner_actor),
        )
        call = await wire.next_call()
        assert (call[2], call[3]["checksum"]) == ("UnpublishFirmware", image.md5)
        await wire.answer(call, {"status": "Unpublished"})

        async def withdrawn() -> bool:
            row = await rows(tenant, lambda: FirmwarePublication.objects.get(pk=publication.pk))
            return bool(row.state == "withdrawn")

        await eventually(withdrawn)


@pytest.mark.parametrize("scheme", ["RSA-PSS", "RSA PKCS #1 v1.5", "ECDSA"])
def test_a_good_signature_is_known_and_a_bad_one_refused(scheme: str) -> None:
    text, pem = signed_by_maker(CONTENT, scheme)
    signed = images.verified(hashlib.sha256(CONTENT).digest(), text, pem)
    assert (signed.scheme, signed.by) == (scheme, "CN=Acme Firmware")
    for digest, given, certificate in (
        (hashlib.sha256(b"other").digest(), text, pem),
        (hashlib.sha256(CONTENT).digest(), signed_by_maker(CONTENT, scheme)[0], pem),
        (hashlib.sha256(CONTENT).digest(), "not base64!", pem),
        (hashlib.sha256(CONTENT).digest(), text, "no certificate"),
        (hashlib.sha256(CONTENT).digest(), text, ""),
    ):
        with pytest.raises(Invalid):
            images.verified(digest, given, certificate)


async def test_only_one_update_of_a_station_is_open_and_one_that_waits_can_be_taken_back(
    tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    image = await rows_of(tenant)

    def known() -> None:
        Station.objects.filter(pk=station.pk).update(
            ocpp_version="1.6", vendor="ACME", firmware_version="1.0"
        )

    await rows(tenant, known)
    update = await plan(tenant, station, image, owner_actor)
    assert (update.state, update.blocked_by) == ("waiting", "offline")
    with pytest.raises(Conflict):
        await plan(tenant, station, image, owner_actor)
    await rows(tenant, lambda: updates.cancel(update=update, actor=owner_actor))
    await rows(tenant, lambda: Station.objects.filter(pk=station.pk).update(vendor="Other"))
    with pytest.raises(Invalid, match="Made by Other"):
        await plan(tenant, station, image, owner_actor, anyway=True)

"""Files in a bucket: a server that speaks S3, the platform's own code on both sides of it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import boto3
import httpx
import pytest
from django.conf import settings
from django.test import override_settings
from moto.server import ThreadedMotoServer

from cpo import storages
from stations.models import LogFile, Station
from stations.services.files import store
from tenants.errors import Unavailable
from tenants.models import Tenant
from tests.objects import create_image
from tests.servers import Roles
from tests.stations.files import test_firmware_on_the_wire as on_the_wire
from tests.stations.files.test_logs_on_the_wire import accept, ask, location, tell, until
from tests.stations.ocpp.charger import charger
from tests.stations.ocpp.conftest import applied, rows

KEY, SECRET = "AKIDEXAMPLE", "secret+/with=signs"


class Bucket:
    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.name = f"voltyard-{secrets.token_hex(4)}"  # servers of one process share what they keep
        self.client = boto3.client(
            "s3", endpoint_url=endpoint, aws_access_key_id=KEY, aws_secret_access_key=SECRET,
            region_name="eu-central-1",
        )  # fmt: skip
        self.client.create_bucket(
            Bucket=self.name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )

    @property
    def url(self) -> str:
        secret = quote(SECRET, safe="")
        return f"s3://{KEY}:{secret}@{self.name}/cpo?endpoint={self.endpoint}&region=eu-central-1"

    def names(self) -> list[str]:
        return [item["Key"] for item in self.client.list_objects_v2(Bucket=self.name).get("Contents", ())]


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        made = Bucket(f"http://{host}:{port}")
        with override_settings(STORAGES={**settings.STORAGES, "default": storages.files(made.url)}):
            yield made
    finally:
        server.stop()


def test_a_file_goes_to_the_bucket_and_comes_back(bucket: Bucket) -> None:
    content = bytes(range(256)) * 20_000
    spooled = store.spool(10_000_000)
    spooled.write(content)
    name = spooled.keep("logs")
    assert bucket.names() == [f"cpo/{name}"]
    assert b"".join(store.chunks(store.opened(name))) == content
    assert b"".join(store.chunks(store.opened(name), start=300_000, length=1_000)) == content[300_000:301_000]
    copy = store.local_copy(name, spooled.sha256)
    assert copy.read_bytes() == content
    store.forget(name)
    store.forget(name)  # gone already
    assert bucket.names() == []
    assert store.local_copy(name, spooled.sha256) == copy, "what is cached needs no bucket"


def test_a_bucket_that_lost_a_file_or_is_away_is_said(bucket: Bucket) -> None:
    spooled = store.spool(1_000)
    spooled.write(b"log")
    name = spooled.keep("logs")
    bucket.client.delete_object(Bucket=bucket.name, Key=f"cpo/{name}")
    with pytest.raises(Unavailable):
        list(store.chunks(store.opened(name)))
    damaged = store.spool(1_000)
    damaged.write(b"image")
    name = damaged.keep("firmware")
    bucket.client.put_object(Bucket=bucket.name, Key=f"cpo/{name}", Body=b"other")
    with pytest.raises(Unavailable, match="damaged"):
        store.local_copy(name, damaged.sha256)


async def test_stations_upload_to_it_and_fetch_from_it(
    bucket: Bucket, roles: Roles, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    gateway = roles.start("gateway", env={"FILES_STORAGE_URL": bucket.url})
    content = b"voltyard-firmware 4.0.0\n" + bytes(400_000)
    image = await rows(tenant, lambda: create_image(tenant, content=content))
    password = station.password  # type: ignore[attr-defined]
    async with (
        charger(gateway.ws_url, tenant.slug, station.identity, password, "2.0.1") as wire,
        httpx.AsyncClient() as http,
    ):
        await rows(tenant, lambda: Station.objects.filter(pk=station.pk).update(ocpp_version="2.0.1"))
        asked = await ask(tenant, station, owner_actor)
        call = await wire.next_call()
        await accept(wire, call, "2.0.1")
        put = await http.put(location(call, gateway) + "cp.log", content=b"12:00 ERROR relay stuck\n")
        assert put.status_code == 200, put.text
        await tell(wire, "2.0.1", call, "Uploaded")
        await applied(tenant)
        await until(tenant, asked, "uploaded")
        await wire.ok("BootNotification", on_the_wire.booted("2.0.1", "1.2.3"))
        await on_the_wire.plan(tenant, station, image, owner_actor)
        call = await wire.next_call()
        fetched = await http.get(on_the_wire.location(call, gateway))
        assert fetched.content == content
    file = await rows(tenant, lambda: LogFile.objects.get(request=asked))
    assert {f"cpo/{file.storage_name}", f"cpo/{image.storage_name}"} == set(bucket.names())
    assert b"".join(store.chunks(store.opened(file.storage_name))) == b"12:00 ERROR relay stuck\n"
    logged = gateway.output()
    assert SECRET not in logged and quote(SECRET, safe="") not in logged

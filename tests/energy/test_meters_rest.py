"""REST of meters: a gateway sends with a key that can do nothing else; hostile bodies; a live stack."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from energy.models import MeterSample, SiteMeter
from stations.models import Station
from tenants.context import tenant_scope
from tenants.models import Site, Tenant
from tests.energy.sites import Rows, create_tree
from tests.people import ApiClient
from tests.servers import Roles

MQTT = {"host": "broker.example.com", "values": [{"of": "watts", "topic": "house/power"}]}


@pytest.fixture
def tree(tenant: Tenant, site: Site, station: Station) -> Rows:
    return create_tree(tenant, site, [station])


@pytest.fixture
def gateway(api_client: Callable[..., ApiClient]) -> ApiClient:
    return api_client(["meter.send"])


@pytest.fixture
def address(tree: Rows) -> str:
    assert tree.meter is not None
    return f"/sites/{tree.connection.site_id}/meters/{tree.meter.pk}"


def _count(tree: Rows) -> int:
    with tenant_scope(tree.connection.tenant_id):
        return MeterSample.objects.filter(meter=tree.meter).count()


def test_a_gateway_sends_and_can_do_nothing_else(
    tree: Rows, gateway: ApiClient, api_client: Callable[..., ApiClient], address: str
) -> None:
    told = gateway.write("POST", f"{address}/readings", {"amps": [8.2, 7.9, 8.0]})
    assert told == {"kept": 1, "known": 0, "refused": []}
    for method, path in (
        ("GET", address), ("GET", f"{address}/readings"), ("GET", f"{address}/readings.csv"), ("PATCH", address),
        ("DELETE", address), ("GET", "/sites"), ("GET", f"/sites/{tree.connection.site_id}/meters"),
    ):  # fmt: skip
        assert gateway.call(method, path).status_code == 403, (method, path)
    shown = api_client().read(address)
    assert shown["last_a"] == [8.2, 7.9, 8.0] and shown["error"] == ""


def test_a_list_keeps_what_can_be_and_says_what_cannot(tree: Rows, gateway: ApiClient, address: str) -> None:
    now = datetime.now(UTC)
    told = gateway.write(
        "POST",
        f"{address}/readings",
        [
            {"watts": 6900, "at": (now - timedelta(seconds=2)).isoformat()},
            {"amps": [1e9]},
            {"watts": [2300, 0, 0], "at": (now - timedelta(seconds=1)).timestamp()},
            {"volts": 230},
            {"at": now.isoformat()},
            "much",
        ],
    )
    assert told["kept"] == 2 and [one["place"] for one in told["refused"]] == [1, 3, 4, 5]
    assert "no site has so much" in told["refused"][0]["why"] and "volts" in told["refused"][1]["why"]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b"{}", b"1", b'"x"', b"[[]]", b"[null]", b'{"amps": "8"}', b'{"amps": [1, 2, 3, 4]}',
        b'{"amps": [NaN]}', b'{"amps": [1e999]}', b'{"watts": ' + b"9" * 400 + b"}", b'{"amps": [1], "amps": [2]}',
        b'{"amps": ' + b"[" * 5000 + b"]" * 5000 + b"}", b'{"amps": {"L1": 1}}', b"\xff\xfe", b'{"amps": [true]}',
        b'{"amps": ["\\u0000"]}', json.dumps([{"amps": [1]}] * 1001).encode(),
    ],
)  # fmt: skip
def test_bodies_that_are_no_readings(tree: Rows, gateway: ApiClient, address: str, body: bytes) -> None:
    answer = gateway.call("POST", f"{address}/readings", body)
    assert answer.status_code in (400, 422), answer.content[:200]
    assert answer.json()["detail"] and _count(tree) == 0


def test_a_thousand_at_once_and_again(tree: Rows, gateway: ApiClient, address: str) -> None:
    begin = datetime.now(UTC) - timedelta(hours=1)
    listed = [{"amps": [n / 100], "at": (begin + timedelta(seconds=n)).isoformat()} for n in range(1000)]
    assert gateway.write("POST", f"{address}/readings", listed)["kept"] == 1000
    again = gateway.write("POST", f"{address}/readings", listed[::-1])
    assert (again["kept"], again["known"]) == (0, 1000) and _count(tree) == 1000


def test_readings_come_by_page_by_time_and_as_csv(
    tree: Rows, api_client: Callable[..., ApiClient], address: str
) -> None:
    api, begin = api_client(), datetime(2026, 11, 1, tzinfo=UTC)
    with tenant_scope(tree.connection.tenant_id):
        MeterSample.objects.bulk_create(
            MeterSample(
                tenant_id=tree.connection.tenant_id, meter=tree.meter, at=begin + timedelta(seconds=n),
                received_at=begin, amps=[n, 0.5], watts=n if n else None,
            )
            for n in range(60)
        )  # fmt: skip
    first = api.read(f"{address}/readings")
    assert len(first["results"]) == 50 and first["results"][0]["amps"] == [59, 0.5]
    some = api.read(f"{address}/readings", after="2026-11-01T00:00:10Z", before="2026-11-01T00:00:20Z")
    assert [one["watts"] for one in some["results"]] == list(range(19, 9, -1))
    file = api.call("GET", f"{address}/readings.csv", before="2026-11-01T00:00:02Z")
    assert file["Content-Type"].startswith("text/csv") and "attachment" in file["Content-Disposition"]
    assert file.content.decode().splitlines() == [
        "at,received_at,l1_a,l2_a,l3_a,watts",
        "2026-11-01T00:00:00+00:00,2026-11-01T00:00:00+00:00,0.000,0.500,,",
        "2026-11-01T00:00:01+00:00,2026-11-01T00:00:00+00:00,1.000,0.500,,1.0",
    ]
    assert api.call("GET", f"{address}/readings.csv", after="yesterday").status_code == 422


def test_a_meter_is_entered_changed_and_removed(
    tree: Rows, api_client: Callable[..., ApiClient], site: Site
) -> None:
    api = api_client()
    made = api.write(
        "POST", f"/sites/{site.pk}/meters",
        {"name": "House", "kind": "grid", "source": "mqtt", "settings": MQTT, "secret": "open sesame"}, status=201,
    )  # fmt: skip
    assert made["has_secret"] is True and "sesame" not in json.dumps(made)
    path = f"/sites/{site.pk}/meters/{made['id']}"
    changed = api.write("PATCH", path, {"maximum_a": 40, "node_id": tree.root.pk})
    assert (changed["maximum_a"], changed["node_id"], changed["has_secret"]) == (40, tree.root.pk, True)
    wrong = api.call("PATCH", path, {"settings": {"host": "a b", "values": []}})
    assert wrong.status_code == 422 and {one["field"] for one in wrong.json()["errors"]} == {
        "settings.host", "settings.values"
    }  # fmt: skip
    refused = api.call("POST", f"{path}/readings", {"amps": [1]})
    assert refused.status_code == 422 and "MQTT" in refused.json()["detail"]
    assert api.call("PATCH", path, {"node_id": 10**12}).status_code == 404
    assert api.write("DELETE", path, status=204) is None
    assert api.call("GET", path).status_code == 404


def test_another_company_sees_no_meter(
    address: str, api_client: Callable[..., ApiClient], other_tenant: Tenant
) -> None:
    stranger = api_client(tenant=other_tenant)
    for method, path in (
        ("GET", address),
        ("POST", f"{address}/readings"),
        ("GET", f"{address}/readings.csv"),
    ):
        assert stranger.call(method, path, {"amps": [1]} if method == "POST" else None).status_code == 404


def test_through_the_live_stack(tree: Rows, gateway: ApiClient, address: str, roles: Roles) -> None:
    web, took = roles.start("web"), []
    for number in range(30):
        asked = urllib.request.Request(
            f"{web.url}/api/v1{address}/readings", json.dumps({"amps": [number + 1, 1, 1]}).encode(),
            {"Authorization": f"Bearer {gateway.key}", "Content-Type": "application/json"}, method="POST",
        )  # fmt: skip
        began = time.monotonic()
        with urllib.request.urlopen(asked, timeout=10) as answer:
            assert json.loads(answer.read())["kept"] == 1
        took.append(time.monotonic() - began)
    print(f"REST: median {sorted(took)[15] * 1000:.0f} ms, worst {max(took) * 1000:.0f} ms")
    with tenant_scope(tree.connection.tenant_id):
        assert SiteMeter.objects.get(pk=tree.meter.pk if tree.meter else 0).last_a == [30, 1, 1]
    assert sorted(took)[15] < 0.25


def test_many_meters_in_one_call(
    tenant: Tenant,
    tree: Rows,
    gateway: ApiClient,
    other_tenant: Tenant,
    api_client: Callable[..., ApiClient],
) -> None:
    with tenant_scope(tenant.pk):
        site = Site.objects.create(tenant=tenant, name="Second")
        theirs = Site.objects.create(tenant=tenant, name="Third")
    second, third = create_tree(tenant, site, []), create_tree(tenant, theirs, [])
    with tenant_scope(other_tenant.pk):
        elsewhere = create_tree(other_tenant, Site.objects.create(tenant=other_tenant, name="Other"), [])
    assert tree.meter and second.meter and third.meter and elsewhere.meter
    with tenant_scope(tenant.pk):
        SiteMeter.objects.filter(pk=third.meter.pk).update(source="mqtt")
    told = gateway.write(
        "POST",
        "/meter-readings",
        [
            {"meter_id": tree.meter.pk, "amps": [1, 2, 3]},
            {"meter_id": second.meter.pk, "watts": 6900},
            {"meter_id": third.meter.pk, "amps": [1]},
            {"meter_id": elsewhere.meter.pk, "amps": [1]},
            {"amps": [1]},
            {"meter_id": True, "amps": [1]},
            {"meter_id": second.meter.pk, "amps": [1e9]},
            7,
        ],
    )
    assert told["kept"] == 2 and [one["place"] for one in told["refused"]] == [2, 3, 4, 5, 6, 7]
    whys = [one["why"] for one in told["refused"]]
    assert (
        "MQTT" in whys[0]
        and whys[1] == "There is no such meter."
        and "meter_id" in whys[2]
        and whys[3] == whys[2]
    )
    with tenant_scope(tenant.pk):
        assert SiteMeter.objects.get(pk=second.meter.pk).last_w == 6900
    bodies: list[Any] = [
        [],
        {},
        [{"meter_id": elsewhere.meter.pk, "amps": [1]}],
        [{"meter_id": 2**70, "amps": [1]}],
    ]
    for body in bodies:
        assert gateway.call("POST", "/meter-readings", body).status_code == 422
    assert gateway.call("GET", "/meter-readings").status_code == 405
    blind = api_client(["site.view"])
    assert (
        blind.call("POST", "/meter-readings", [{"meter_id": tree.meter.pk, "amps": [1]}]).status_code == 403
    )

"""Whoever types, sends or imports what cannot be is told so in words: no page and no call falls over."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from energy.models import GridConnection, GridNode, MeterSample, Outlet
from stations.models import Evse, Station
from tenants.context import tenant_scope
from tenants.models import Site, Tenant
from tests.energy.sites import Rows, create_tree
from tests.objects import create_site, create_station
from tests.people import ApiClient
from tests.portal.conftest import Visitor, visitor

__all__ = ["visitor"]
Make = Callable[..., Any]
TOLD = (200, 201, 204, 302, 400, 403, 404, 409, 413, 422)
ODD: list[Any] = [
    None, True, 0, -1, 1e9, 10**30, "nan", "inf", "-1", "", "\x00", "\ud800", "a" * 5000, "٣", [], {}, [[]], [None],
    [{}], {"a": [1]}, ["L1", "L1"], "24:00", "9999-12-31T23:59:59Z", "0001-01-01", [0, 1e400], "<script>", 6, [16],
]  # fmt: skip


@pytest.fixture
def tree(tenant: Tenant, site: Site, station: Station) -> Rows:
    return create_tree(tenant, site, [station], steers=False)


def _document(tree: Rows) -> dict[str, Any]:
    with tenant_scope(tree.connection.tenant_id):
        evse = Outlet.objects.get(connection=tree.connection).evse_id
    return {
        "revision": 9, "supply": "three_phase", "building_most_a": 1,
        "nodes": [
            {
                "key": "a", "parent": None, "kind": "connection", "name": "Main", "limit_a": [63], "limit_w": None,
                "origin": "fuse", "rotation": [], "module_w": None, "windows": [],
            },
            {
                "key": "b", "parent": "a", "name": "Panel", "limit_a": [32],
                "windows": [
                    {
                        "begins": "17:00", "ends": "20:00", "weekdays": [1], "limit_a": 5, "limit_w": None,
                        "label": "dear", "first_day": None, "last_day": None,
                    }
                ],
            },
        ],
        "outlets": [
            {
                "evse_id": evse, "node": "b", "lines": ["L1"], "between": False, "max_a": 16, "min_a": 6, "step_a": 1,
                "guaranteed_a": 0, "priority": 0,
            }
        ],
    }  # fmt: skip


def _spoilt(random: Random, told: Any) -> Any:
    """One thing of it is something odd."""
    if isinstance(told, dict) and told and random.random() < 0.9:
        name = random.choice(list(told))
        return told | {name: _spoilt(random, told[name])}
    if isinstance(told, list) and told and random.random() < 0.8:
        place = random.randrange(len(told))
        return [_spoilt(random, one) if number == place else one for number, one in enumerate(told)]
    return random.choice(ODD)


def _body(told: Any) -> bytes:
    return json.dumps(told).encode()


@pytest.mark.parametrize("seed", range(6))
def test_trees_that_cannot_be(tree: Rows, api_client: Make, visitor: Make, seed: int) -> None:
    api, owner, random = api_client(), visitor("owner"), Random(seed)
    api.raise_request_exception = True
    address = f"/sites/{tree.connection.site_id}/grid"
    page = f"sites/{tree.connection.site_id}/grid/"
    fine = _document(tree)
    for _round in range(25):
        told = _spoilt(random, fine)
        assert api.call("POST", f"{address}/check", _body(told)).status_code in TOLD, told
        answer = api.call("PUT", address, _body(told))
        assert answer.status_code in TOLD, told
        pressed = random.choice(["add-panel:a", "add-window", "remove:b", "go:b", "wire-all", "up:b", "\x00"])
        at = random.choice(["a", "b", "evse-1", "\x00"])
        assert owner.post(f"{page}draft/", draft=json.dumps(told), at=at, do=pressed).status_code in TOLD, (
            told
        )
        assert owner.post(page, draft=json.dumps(told), revision="9", at=at).status_code in TOLD, told
        assert owner.get(page).status_code == 200
        assert owner.get(page.replace("/grid/", "/load/")).status_code in TOLD
    with tenant_scope(tree.connection.tenant_id):
        limits = [amps for node in GridNode.objects.all() for amps in node.limit_a or []]
        assert all(0 <= amps <= 1e5 for amps in limits)


def test_a_circle_and_a_tree_of_two_thousand_nodes(tree: Rows, api_client: Make) -> None:
    api, address = api_client(), f"/sites/{tree.connection.site_id}/grid"
    document = _document(tree)
    document["nodes"][1]["parent"] = "b"
    assert api.call("PUT", address, document).status_code == 422
    document["nodes"][0]["parent"], document["nodes"][1]["parent"] = "b", "a"
    assert api.call("PUT", address, document).status_code == 422
    many = [{"key": f"n{n}", "parent": f"n{n - 1}" if n else None, "name": f"N {n}"} for n in range(2000)]
    assert api.call("PUT", address, document | {"nodes": many}).status_code in TOLD
    deep = [{"key": f"n{n}", "parent": f"n{n - 1}" if n else None, "name": f"N {n}"} for n in range(490)]
    answer = api.call("PUT", address, document | {"nodes": deep, "outlets": []})
    assert answer.status_code in TOLD


@pytest.mark.parametrize("seed", range(3))
def test_policies_that_cannot_be(tree: Rows, api_client: Make, visitor: Make, seed: int) -> None:
    api, random = api_client(), Random(seed)
    api.raise_request_exception = True
    address = f"/sites/{tree.connection.site_id}/grid/policy"
    policy = api.read(address)
    policy["price"]["windows"] = [
        {"weekdays": [0], "begins": "10:00", "ends": "12:00", "per_kwh": 1, "co2_g_per_kwh": 1}
    ]
    policy["priority_by_fleet"] = {"1": 5}
    for _round in range(40):
        told = _spoilt(random, policy)
        assert api.call("PUT", address, _body(told)).status_code in TOLD, told
        assert visitor_ok(visitor, tree) if _round == 39 else True


def visitor_ok(visitor: Make, tree: Rows) -> bool:
    owner: Visitor = visitor("owner")
    return owner.get(f"sites/{tree.connection.site_id}/load/").status_code == 200


@pytest.mark.parametrize("seed", range(3))
def test_meters_and_readings_that_cannot_be(tree: Rows, api_client: Make, seed: int) -> None:
    api, random = api_client(), Random(seed)
    api.raise_request_exception = True
    address = f"/sites/{tree.connection.site_id}/meters"
    assert tree.meter is not None
    shapes: list[dict[str, Any]] = [
        {
            "name": "House", "kind": "building", "source": "modbus", "maximum_a": 20, "enabled": True, "node_id": None,
            "settings": {
                "host": "meter.example.com", "port": 502, "unit_id": 1, "every_s": 1,
                "values": [{"of": "amps", "line": 1, "kind": "input", "address": 6, "type": "float32"}],
            },
        },
        {
            "name": "Sun", "kind": "solar", "source": "mqtt", "secret": "x",
            "settings": {
                "host": "b.example.com", "username": "u",
                "values": [{"of": "watts", "line": 0, "topic": "a/b", "path": "c.d", "scale": 1}],
            },
        },
        {"name": "Gate", "kind": "building", "source": "ocpp", "settings": {"station_id": 1, "evse_number": 0}},
    ]  # fmt: skip
    readings = [{"amps": [1.0, 2.0, 3.0], "watts": [1, 2, 3], "at": "2026-11-23T10:00:00Z"}, {"watts": 1000}]
    for number in range(40):
        told = _spoilt(random, shapes[number % 3])
        assert api.call("POST", address, _body(told)).status_code in TOLD, told
        assert api.call("PATCH", f"{address}/{tree.meter.pk}", _body(_spoilt(random, {"name": "Building"}))
                        ).status_code in TOLD, told  # fmt: skip
        told = _spoilt(random, readings)
        answer = api.call("POST", f"{address}/{tree.meter.pk}/readings", _body(told))
        assert answer.status_code in TOLD, told
        assert api.call("GET", f"{address}/{tree.meter.pk}/readings", after=str(random.choice(ODD))[:200]
                        .replace("\ud800", "")).status_code in TOLD  # fmt: skip
    with tenant_scope(tree.connection.tenant_id):
        kept = MeterSample.objects.values_list("amps", flat=True)
        assert all(abs(amps) <= 20_000 for amps_of in kept for amps in amps_of)


@pytest.mark.parametrize(
    "form",
    [
        {"first_day": "0001-01-01", "last_day": "0001-01-02"},
        {"first_day": "9999-12-30", "last_day": "9999-12-31"},
        {"first_day": "2026-01-01", "last_day": "9999-12-31"},
        {"first_day": "2026-03-02", "last_day": "2026-03-01"},
        {"node": "999999999"},
        {"limit_a": "nan"},
        {"limit_a": "1e9"},
        {"peak_kw": "-inf"},
        {"share": "\x00"},
    ],
)
def test_what_ifs_that_cannot_be(tree: Rows, visitor: Make, form: dict[str, str]) -> None:
    owner: Visitor = visitor("owner")
    usual = {"first_day": "2026-03-02", "last_day": "2026-03-02", "node": str(tree.root.pk), "share": "need"}
    answer = owner.post(f"sites/{tree.connection.site_id}/what-if/", **(usual | form))
    assert answer.status_code == 422


def test_an_evse_of_another_company_or_site_is_not_wired(
    tree: Rows, other_tenant: Tenant, make_site: Make, make_station: Make, api_client: Make
) -> None:
    foreign = create_station(other_tenant, create_site(other_tenant))
    elsewhere = make_station(site=make_site())
    api: ApiClient = api_client()
    address = f"/sites/{tree.connection.site_id}/grid"
    for tenant_id, station in ((other_tenant.pk, foreign), (tree.connection.tenant_id, elsewhere)):
        with tenant_scope(tenant_id):
            evse = Evse.objects.get(station=station)
        document = _document(tree)
        document["outlets"].append({"evse_id": evse.pk, "node": "b", "lines": ["L1"]})
        assert api.call("PUT", address, document).status_code == 422
        told = api.call("POST", f"{address}/check", document).content.decode()
        assert str(station) not in told


def test_who_saves_after_another_overwrites_nothing(tree: Rows, visitor: Make) -> None:
    owner: Visitor = visitor("owner")
    page = f"sites/{tree.connection.site_id}/grid/"
    first = json.loads(owner.get(f"{page}export.json").content)
    second = json.loads(owner.get(f"{page}export.json").content)
    first["nodes"][0]["limit_a"] = [50.0] * 3
    second["nodes"][0]["limit_a"] = [100.0] * 3
    assert owner.post(page, draft=json.dumps(first), at="").status_code == 302
    assert owner.post(page, draft=json.dumps(second), at="").status_code == 409
    with tenant_scope(tree.connection.tenant_id):
        assert GridNode.objects.get(pk=tree.root.pk).limit_a == [50.0] * 3
        assert GridConnection.objects.get(pk=tree.connection.pk).revision == tree.connection.revision + 1

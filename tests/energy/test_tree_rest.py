"""The grid tree by REST: read, checked, replaced, its policy, on and off."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stations.models import Evse, Station
from tenants.context import tenant_scope
from tenants.models import Site, Tenant

Make = Callable[..., Any]


def document(tenant: Tenant, station: Station) -> dict[str, Any]:
    with tenant_scope(tenant.pk):
        evse = Evse.objects.get(station=station)
    return {
        "revision": 0,
        "building_most_a": 10,
        "nodes": [
            {"key": "main", "parent": None, "kind": "connection", "name": "Main", "limit_a": [63]},
            {
                "key": "garage", "parent": "main", "name": "Garage", "limit_w": 20000,
                "windows": [{"begins": "17:00", "ends": "20:00", "limit_w": 10000}],
            },
        ],
        "outlets": [{"evse_id": evse.pk, "node": "garage", "lines": ["L2"]}],
    }  # fmt: skip


def test_a_tree_goes_in_and_comes_out(tenant: Tenant, site: Site, station: Station, api_client: Make) -> None:
    api = api_client()
    address = f"/sites/{site.pk}/grid"
    assert api.read(address)["nodes"] == []
    kept = api.write("PUT", address, document(tenant, station))
    main, garage = kept["nodes"]
    assert main["limit_a"] == [63.0] * 3 and garage["parent"] == main["key"]
    assert garage["windows"][0]["begins"] == "17:00" and garage["windows"][0]["limit_w"] == 10000.0
    assert kept["outlets"][0]["node"] == garage["key"] and kept["outlets"][0]["lines"] == ["L2"]
    assert api.read(address) == kept
    again = api.write("PUT", address, kept)  # what is read can be written
    assert again == kept | {"revision": kept["revision"] + 1}


def test_who_writes_on_an_older_tree_is_refused(
    tenant: Tenant, site: Site, station: Station, api_client: Make
) -> None:
    api = api_client()
    api.write("PUT", f"/sites/{site.pk}/grid", document(tenant, station))
    told = api.write("PUT", f"/sites/{site.pk}/grid", document(tenant, station), status=409)
    assert told["code"] == "tree_changed" and "save again with revision 1" in told["detail"]


def test_a_check_tells_faults_and_warnings_and_keeps_nothing(
    tenant: Tenant, site: Site, station: Station, make_station: Make, api_client: Make
) -> None:
    api, body = api_client(), document(tenant, station)
    make_station(site=site, name="Forgotten")
    fine = api.write("POST", f"/sites/{site.pk}/grid/check", body)
    assert fine["faults"] == []
    assert [one["detail"] for one in fine["warnings"]] == [
        "Forgotten is wired nowhere: load management neither sees nor limits it."
    ]
    assert fine["silent"] == [{"evse_id": body["outlets"][0]["evse_id"], "amps": 6.0}]
    body["nodes"][0]["parent"] = "garage"
    told = api.write("POST", f"/sites/{site.pk}/grid/check", body)
    assert {one["part"]: one["detail"] for one in told["faults"]} == {
        "main": "It hangs below itself: Main → Garage → Main.",
        "garage": "It hangs below itself: Garage → Main → Garage.",
    }
    refused = api.write("PUT", f"/sites/{site.pk}/grid", body, status=422)
    assert {one["field"] for one in refused["errors"]} == {"main.parent", "garage.parent"}
    assert api.read(f"/sites/{site.pk}/grid")["nodes"] == []


def test_it_is_switched_on_and_off(tenant: Tenant, site: Site, station: Station, api_client: Make) -> None:
    api = api_client()
    told = api.write("POST", f"/sites/{site.pk}/grid/steering", {"on": True}, status=409)
    assert "no tree yet" in told["detail"]
    kept = api.write("PUT", f"/sites/{site.pk}/grid", document(tenant, station) | {"building_most_a": 60})
    told = api.write("POST", f"/sites/{site.pk}/grid/steering", {"on": True}, status=409)
    assert told["code"] == "some_wait"
    told = api.write("POST", f"/sites/{site.pk}/grid/steering", {"on": True, "accept_waiting": True})
    assert told == {"on": True, "revision": 2, "waiting_evse_ids": [kept["outlets"][0]["evse_id"]]}
    assert api.write("POST", f"/sites/{site.pk}/grid/steering", {"on": False})["on"] is False


def test_a_policy_is_replaced_as_a_whole(site: Site, api_client: Make) -> None:
    api = api_client()
    before = api.read(f"/sites/{site.pk}/grid/policy")
    assert before["share"] == "need" and before["peak"]["mode"] == "none"
    told = {"share": "equal", "peak": {"mode": "save"}, "price": {"per_kw": 120}}
    kept = api.write("PUT", f"/sites/{site.pk}/grid/policy", told)
    assert kept == api.read(f"/sites/{site.pk}/grid/policy")
    assert (kept["share"], kept["price"]["per_kw"], kept["turn_minutes"]) == ("equal", 120.0, 15.0)
    window = {"begins": "17:00", "ends": "20:00", "per_kwh": 0.4}
    assert api.write(
        "PUT", f"/sites/{site.pk}/grid/policy", kept | {"price": {"windows": [window], "per_kw": 1}}
    )
    refused = api.write("PUT", f"/sites/{site.pk}/grid/policy", {"peak": {"mode": "hold"}}, status=422)
    assert refused["errors"][0]["field"] == "peak.limit_kw"


def test_a_key_that_only_reads_changes_nothing(
    tenant: Tenant, site: Site, station: Station, api_client: Make
) -> None:
    api = api_client(["site.view"])
    assert api.read(f"/sites/{site.pk}/grid")
    api.write("PUT", f"/sites/{site.pk}/grid", document(tenant, station), status=403)
    api.write("POST", f"/sites/{site.pk}/grid/steering", {"on": True}, status=403)
    api.write("PUT", f"/sites/{site.pk}/grid/policy", {}, status=403)

"""A write repeated under the same Idempotency-Key does nothing again and gets the first answer."""

from collections.abc import Callable

from stations.models import Command, Station
from tenants.context import tenant_scope
from tenants.models import IdempotencyRecord, Site, Tenant
from tests.people import ApiClient

KEY = {"idempotency-key": "order-4711"}


def test_a_repeat_gets_the_first_answer_with_its_secret(
    api_client: Callable[..., ApiClient], tenant: Tenant
) -> None:
    api = api_client()
    body = {"name": "Ledger", "scopes": ["site.view"]}
    first = api.call("POST", "/api-keys", body, headers=KEY)
    second = api.call("POST", "/api-keys", body, headers=KEY)
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    assert second["Idempotency-Replayed"] == "true"
    assert [row["name"] for row in api.read("/api-keys")["results"]].count("Ledger") == 1


def test_the_kept_answer_holds_no_secret_in_clear(
    api_client: Callable[..., ApiClient], tenant: Tenant
) -> None:
    body = {"name": "Ledger", "scopes": ["site.view"]}
    key = api_client().call("POST", "/api-keys", body, headers=KEY).json()["key"]
    with tenant_scope(tenant.pk):
        kept = IdempotencyRecord.objects.get(tenant=tenant, key="order-4711")
    assert kept.status == 201
    assert key not in str(kept.body) and key.split("_")[2] not in str(kept.body)


def test_the_key_of_another_request_is_refused(api_client: Callable[..., ApiClient]) -> None:
    api = api_client()
    api.call("POST", "/fleets", {"name": "Vans"}, headers=KEY)
    other = api.call("POST", "/fleets", {"name": "Buses"}, headers=KEY)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_a_refused_write_may_be_tried_again_under_its_key(
    api_client: Callable[..., ApiClient], tenant: Tenant
) -> None:
    api = api_client()
    api.write("POST", "/fleets", {"name": "Vans"}, status=201)
    body = {"name": "Vans"}
    assert api.call("POST", "/fleets", body, headers=KEY).status_code == 409
    fleet = api.read("/fleets")["results"][0]
    api.write("PATCH", f"/fleets/{fleet['id']}", {"name": "Old vans"})
    assert api.call("POST", "/fleets", body, headers=KEY).status_code == 201


def test_two_callers_may_use_the_same_key(api_client: Callable[..., ApiClient]) -> None:
    assert api_client().call("POST", "/fleets", {"name": "Vans"}, headers=KEY).status_code == 201
    assert api_client().call("POST", "/fleets", {"name": "Buses"}, headers=KEY).status_code == 201


def test_a_command_is_sent_once_whether_waited_for_or_not(
    api_client: Callable[..., ApiClient], station: Station, tenant: Tenant
) -> None:
    api = api_client()
    body = {"kind": "reset", "arguments": {"hard": False}, "wait_seconds": 0.05}
    path = f"/stations/{station.pk}/commands"
    answers = [api.call("POST", path, body, headers=KEY) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202, 202, 202]
    assert len({answer.json()["id"] for answer in answers}) == 1
    with tenant_scope(tenant.pk):
        assert Command.objects.filter(tenant=tenant).count() == 1


def test_a_refused_command_frees_its_key(api_client: Callable[..., ApiClient], station: Station) -> None:
    api = api_client()
    path = f"/stations/{station.pk}/commands"
    assert api.call("POST", path, {"kind": "explode"}, headers=KEY).status_code == 422
    assert api.call("POST", path, {"kind": "reset"}, headers=KEY).status_code == 202


def test_a_delete_repeated_is_still_a_success(api_client: Callable[..., ApiClient], site: Site) -> None:
    api = api_client()
    answers = [api.call("DELETE", f"/sites/{site.pk}", headers=KEY) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [204, 204]
    assert api.call("DELETE", f"/sites/{site.pk}").status_code == 404

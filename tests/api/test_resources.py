"""What is particular to each resource, beyond what the walks show of all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from billing.models import Charge
from stations.models import Session
from tenants.context import tenant_scope
from tenants.models import Membership, Role, Webhook
from tests import samples
from tests.people import PASSWORD, ApiClient, make_api_client
from tests.samples import World


@pytest.fixture
def world() -> World:
    return samples.build()


def test_me_tells_company_and_scopes(api_client: Callable[..., ApiClient]) -> None:
    told = api_client(["site.view", "station.view"]).read("/me")
    assert told["scopes"] == ["site.view", "station.view"]
    assert (told["kind"], told["name"], told["tenant"]["currency"]) == ("key", "Warehouse system", "EUR")


def test_a_revoked_key_opens_nothing(world: World) -> None:
    made = world.api.write("POST", "/api-keys", {"name": "Temp", "scopes": ["site.view"]}, status=201)
    temporary = ApiClient(made["key"])
    assert temporary.call("GET", "/sites").status_code == 200
    world.api.write("DELETE", f"/api-keys/{made['id']}", status=204)
    assert temporary.call("GET", "/sites").status_code == 401


def test_an_expired_key_opens_nothing(world: World) -> None:
    body = {"name": "Old", "scopes": ["site.view"], "expires_at": "2020-01-01T00:00:00Z"}
    made = world.api.write("POST", "/api-keys", body, status=201)
    assert ApiClient(made["key"]).call("GET", "/sites").status_code == 401


def test_a_key_grants_no_more_than_it_may_itself(world: World) -> None:
    small = make_api_client(world.tenant, ["key.edit", "site.view"])
    body = {"name": "Bigger", "scopes": ["member.edit"]}
    refused = small.call("POST", "/api-keys", body)
    assert refused.status_code == 422 and "member.edit" in refused.json()["detail"]


def test_a_new_member_is_limited_to_the_sites_named(world: World) -> None:
    body = {"email": f"{world.marker}@example.com", "role": "facility_manager", "password": PASSWORD}
    made = world.api.write("POST", "/members", {**body, "site_ids": [world.site.pk]}, status=201)
    assert made["site_ids"] == [world.site.pk]
    changed = world.api.write("PATCH", f"/members/{made['id']}", {"site_ids": []})
    assert (changed["site_ids"], changed["role"]) == ([], "facility_manager")


def test_the_last_owner_stays(world: World) -> None:
    with tenant_scope(world.tenant.pk):
        owner = Membership.objects.get(tenant=world.tenant, role=Role.OWNER)
    refused = world.api.call("PATCH", f"/members/{owner.pk}", {"active": False})
    assert (refused.status_code, refused.json()["code"]) == (409, "last_owner")


def test_a_weak_password_is_refused_in_words(world: World) -> None:
    body = {"email": f"{world.marker}@example.com", "role": "auditor", "password": "short"}
    refused = world.api.call("POST", "/members", body)
    assert refused.status_code == 422 and refused.json()["errors"][0]["field"] == "password"


def test_a_webhooks_secret_is_shown_once_and_stored_encrypted(world: World) -> None:
    made = world.api.write("POST", "/webhooks", {"url": "https://hooks.example.com/x"}, status=201)
    assert "secret" not in world.api.read(f"/webhooks/{made['id']}")
    with tenant_scope(world.tenant.pk):
        assert Webhook.objects.get(pk=made["id"]).secret == made["secret"]
    renewed = world.api.write("POST", f"/webhooks/{made['id']}/secret", {})
    assert renewed["secret"] != made["secret"]


def test_many_tokens_are_created_all_or_none(world: World) -> None:
    wrong = [{"uid": "AA01"}, {"uid": "AA01"}, {"uid": "AA02", "fleet_id": 10**9}]
    refused = world.api.call("POST", "/tokens/bulk", {"tokens": wrong})
    assert [error["field"] for error in refused.json()["errors"]] == ["tokens.1", "tokens.2.fleet_id"]
    assert world.api.read("/tokens", uid="AA01")["results"] == []
    world.api.write("POST", "/tokens/bulk", {"tokens": [{"uid": "aa01"}, {"uid": "AA02"}]}, status=201)
    assert world.api.read("/tokens", uid="aa01")["results"][0]["uid"] == "AA01"


def test_tokens_come_from_csv_with_errors_by_row(world: World) -> None:
    refused = world.api.call("POST", "/tokens/import", {"csv": "uid,kind\nBB01,nonsense\n"})
    assert refused.json()["errors"][0]["field"] == "row 2, kind"
    told = world.api.write("POST", "/tokens/import", {"csv": "uid;blocked\nBB01;yes\nBB02;no\n"})
    assert told == {"created": 2, "updated": 0}


def test_a_token_is_blocked_with_a_reason_and_taken_back(world: World) -> None:
    path = f"/tokens/{world.token.pk}"
    blocked = world.api.write("POST", f"{path}/block", {"reason": "Lost"})
    assert (blocked["blocked"], blocked["blocked_reason"]) == (True, "Lost")
    assert world.api.write("POST", f"{path}/unblock", {})["blocked"] is False


def test_a_driver_with_tokens_is_not_removed(world: World) -> None:
    world.api.write("PATCH", f"/tokens/{world.token.pk}", {"driver_id": world.driver.pk})
    assert world.api.call("DELETE", f"/drivers/{world.driver.pk}").status_code == 409
    world.api.write("PATCH", f"/tokens/{world.token.pk}", {"driver_id": None})
    world.api.write("DELETE", f"/drivers/{world.driver.pk}", status=204)


def test_a_tariff_tells_where_it_is_wrong(world: World) -> None:
    elements = [{"price_components": [{"type": "ENERGY", "price": "-1"}]}]
    refused = world.api.call("POST", "/tariffs", {"name": "Bad", "elements": elements})
    assert refused.json()["errors"][0]["field"] == "elements.0.price_components.0.price"


def test_a_preview_is_right_to_the_cent(world: World) -> None:
    """10 kWh at 0.49 and 1.00 to start, plus 19 %."""
    told = world.api.write("POST", f"/tariffs/{world.tariff.pk}/preview", {"energy_wh": "10000"})
    assert (told["excl_tax"], told["tax"], told["incl_tax"]) == ("5.90", "1.12", "7.02")


def test_money_is_text_with_its_currency(world: World) -> None:
    told = world.api.read(f"/charges/{world.charge.pk}")
    assert (told["incl_tax"], told["currency"]) == ("7.0200", "EUR")


def test_a_session_shows_the_lines_of_its_price(world: World) -> None:
    with tenant_scope(world.tenant.pk):
        Charge.objects.filter(pk=world.charge.pk).update(subject=f"session:{world.session.pk}")
        Session.objects.filter(pk=world.session.pk).update(cost_incl_tax="7.02", currency="EUR")
    told = world.api.read(f"/sessions/{world.session.pk}")
    assert told["charge"]["incl_tax"] == "7.0200" and told["cost_incl_tax"] == "7.0200"


@pytest.mark.parametrize("name", ["cost_incl_tax", "currency", "charge"])
def test_prices_are_for_those_who_may_see_money(name: str, world: World) -> None:
    without = make_api_client(world.tenant, ["session.view"])
    assert name not in without.read(f"/sessions/{world.session.pk}")
    assert name not in without.read("/sessions")["results"][0]
    assert name in world.api.read(f"/sessions/{world.session.pk}")


def test_a_held_session_is_released_or_voided_once(world: World) -> None:
    path = f"/sessions/{world.session.pk}"
    assert world.api.write("POST", f"{path}/release", {"energy_wh": "1000"})["state"] == "ended"
    assert world.api.call("POST", f"{path}/release", {}).status_code == 409
    assert world.api.write("POST", f"{path}/void", {"reason": "Test"})["state"] == "void"


def test_an_orphan_stop_is_applied_to_one_of_the_sessions_it_fits(world: World) -> None:
    path = f"/orphans/{world.orphan.pk}"
    (fit,) = world.api.read(f"{path}/sessions")["results"]
    assert fit["session"]["id"] == world.session.pk
    assert set(fit["outcome"]) == {"state", "ended_at", "energy_wh", "flags", "held_reason"}
    applied = world.api.write("POST", f"{path}/apply", {"session_id": world.session.pk})
    assert (applied["session_id"], applied["resolved_at"] is None) == (world.session.pk, False)
    assert world.api.read(f"{path}/sessions")["results"] == []
    refused = world.api.call("POST", f"{path}/apply", {"session_id": world.session.pk})
    assert (refused.status_code, refused.json()["code"]) == (409, "resolved")


def test_an_orphan_stop_reaches_no_session_of_another_company(world: World) -> None:
    stranger = samples.build()
    refused = stranger.api.call(
        "POST", f"/orphans/{stranger.orphan.pk}/apply", {"session_id": world.session.pk}
    )
    assert refused.status_code == 422 and refused.json()["errors"][0]["field"] == "session_id"
    assert stranger.api.read(f"/orphans/{stranger.orphan.pk}")["session_id"] is None


def test_an_orphan_stop_is_not_applied_to_a_reviewed_session(world: World) -> None:
    world.api.write("POST", f"/sessions/{world.session.pk}/void", {"reason": "Test"})
    refused = world.api.call("POST", f"/orphans/{world.orphan.pk}/apply", {"session_id": world.session.pk})
    assert (refused.status_code, refused.json()["code"]) == (409, "reviewed")


def test_an_adopted_station_leaves_the_quarantine(world: World) -> None:
    path = f"/quarantine/{world.quarantined.pk}"
    made = world.api.write("POST", f"{path}/adopt", {"site_id": world.site.pk}, status=201)
    assert made["identity"] == world.quarantined.identity and len(made["password"]) == 20
    assert world.api.call("GET", path).status_code == 404


def test_every_write_stands_in_the_audit(world: World) -> None:
    site = world.api.write("POST", "/sites", {"name": "New depot"}, status=201)
    (written, *_rest) = world.api.read("/audit", object_type="site", object_id=str(site["id"]))["results"]
    assert (written["action"], written["actor_kind"]) == ("site.create", "key")


def test_a_site_tariff_counts_until_it_is_taken_away(world: World) -> None:
    path = f"/sites/{world.site.pk}/tariff"
    assert world.api.write("PUT", path, {"tariff_id": world.tariff.pk})["id"] == world.tariff.pk
    world.api.write("DELETE", path, status=204)
    told: Any = world.api.call("GET", path)
    assert told.status_code == 404 and "default" in told.json()["detail"]

"""The table of roles is what REST and the portal enforce: every permission, every role."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import get_resolver

from fleets.models import FleetScope
from tenants.context import tenant_scope
from tenants.models import Role
from tenants.permissions import ROLE_PERMISSIONS, Permission
from tests import people, samples
from tests.samples import World
from tests.walks.addresses import PORTAL, addresses, status

P = Permission
# A REST call for each permission: method and route below /api/v1/. The body comes from tests/samples.py.
PROBES: dict[Permission, list[tuple[str, str]]] = {
    P.SITE_VIEW: [("GET", "sites"), ("GET", "sites/<int:site_id>")],
    P.SITE_EDIT: [("POST", "sites"), ("PATCH", "sites/<int:site_id>"), ("DELETE", "sites/<int:site_id>")],
    P.STATION_VIEW: [
        ("GET", "stations"),
        ("GET", "stations/<int:station_id>/variables"),
        ("GET", "commands"),
    ],
    P.STATION_EDIT: [
        ("POST", "stations"),
        ("POST", "stations/<int:station_id>/password"),
        ("GET", "quarantine"),
    ],
    P.LIMIT_SET: [
        ("POST", "constraints"),
        ("POST", "constraints/<int:constraint_id>/clear"),
        ("POST", "sites/<int:site_id>/meters"),
        ("PATCH", "sites/<int:site_id>/meters/<int:meter_id>"),
        ("PUT", "sites/<int:site_id>/grid"),
        ("PUT", "sites/<int:site_id>/grid/policy"),
        ("POST", "sites/<int:site_id>/grid/steering"),
    ],
    P.METER_SEND: [("POST", "sites/<int:site_id>/meters/<int:meter_id>/readings")],
    P.STATION_COMMAND: [
        ("POST", "stations/<int:station_id>/limits"),
        ("POST", "stations/<int:station_id>/der-controls"),
        ("POST", "charging-profiles/<int:profile_id>/clear"),
        ("POST", "stations/<int:station_id>/commands"),
        ("POST", "commands/<int:command_id>/cancel"),
    ],
    P.STATION_CONFIGURE: [("CONFIGURE", "stations/<int:station_id>/commands")],
    P.FRAME_VIEW: [
        ("GET", "stations/<int:station_id>/frames"),
        ("GET", "stations/<int:station_id>/frames.jsonl"),
    ],
    P.SESSION_VIEW: [
        ("GET", "sessions"),
        ("GET", "sessions/<int:session_id>/readings"),
        ("GET", "orphans"),
        ("GET", "orphans/<int:orphan_id>/sessions"),
    ],
    P.SESSION_REVIEW: [
        ("POST", "sessions/<int:session_id>/release"),
        ("POST", "sessions/<int:session_id>/void"),
        ("POST", "orphans/<int:orphan_id>/apply"),
        ("PATCH", "orphans/<int:orphan_id>"),
    ],
    P.TOKEN_VIEW: [("GET", "tokens"), ("GET", "tokens/<int:token_id>")],
    P.TOKEN_EDIT: [
        ("GET", "seen-vehicles"),
        ("POST", "tokens"),
        ("POST", "tokens/bulk"),
        ("POST", "tokens/<int:token_id>/block"),
    ],
    P.DRIVER_VIEW: [("GET", "drivers"), ("GET", "fleets"), ("GET", "vehicles/<int:vehicle_id>")],
    P.DRIVER_EDIT: [("POST", "drivers"), ("POST", "fleets"), ("PATCH", "vehicles/<int:vehicle_id>")],
    P.TARIFF_VIEW: [("GET", "tariffs"), ("POST", "tariffs/<int:tariff_id>/preview")],
    P.TARIFF_EDIT: [("POST", "tariffs"), ("PUT", "sites/<int:site_id>/tariff")],
    P.MONEY_VIEW: [("GET", "charges"), ("GET", "charges/<int:charge_id>")],
    P.MEMBER_VIEW: [("GET", "members"), ("GET", "members/<int:member_id>")],
    P.MEMBER_EDIT: [("POST", "members"), ("PATCH", "members/<int:member_id>")],
    P.KEY_EDIT: [
        ("GET", "api-keys"),
        ("POST", "webhooks"),
        ("GET", "webhooks/<int:webhook_id>/deliveries"),
        ("DELETE", "api-keys/<int:key_id>"),
    ],
    P.AUDIT_VIEW: [("GET", "audit")],
    P.TENANT_EDIT: [("PATCH", "plug-and-charge")],
}
WITHOUT_REST = {
    P.OWN_VIEW: "keys are no drivers",
}


@pytest.mark.nodb
def test_every_permission_is_probed() -> None:
    assert set(PROBES) | set(WITHOUT_REST) == set(Permission)


@pytest.mark.nodb
def test_every_role_is_in_the_table_and_the_owner_may_all() -> None:
    assert set(ROLE_PERMISSIONS) == set(Role.values)
    assert ROLE_PERMISSIONS[Role.OWNER] == frozenset(Permission)
    assert ROLE_PERMISSIONS[Role.DRIVER] == {P.OWN_VIEW}


def _ask(api: people.ApiClient, method: str, route: str, world: World) -> int:
    (address,) = [a for a in addresses() if a.route == f"api/v1/{route}"]
    if method == "CONFIGURE":
        body: Any = {"kind": "write_configuration", "arguments": {"values": []}}
        return api.call("POST", address.path(world), body).status_code
    body = None if method == "GET" else address.body(method, world)
    return api.call(method, address.path(world), body).status_code


@pytest.mark.parametrize("permission", PROBES, ids=str)
def test_rest_enforces_the_table(permission: Permission) -> None:
    world = samples.build()
    by_right = sorted(Role.values, key=lambda role: permission in ROLE_PERMISSIONS[role])
    for role in by_right:  # those who may not go first: nothing has changed before them
        api = people.make_api_client(world.tenant, ROLE_PERMISSIONS[role])
        for method, route in PROBES[permission]:
            status = _ask(api, method, route, world)
            if permission in ROLE_PERMISSIONS[role]:
                assert status != 403 and status < 500, f"{role} may: {method} {route} gave {status}"
            else:
                assert status == 403, f"{role} may not: {method} {route} gave {status}"


def _member(world: World, role: str) -> Client:
    user = people.make_user(f"{role} of {world.tenant.slug}")
    member = people.join(user, world.tenant, role, [world.site] if role == Role.FACILITY_MANAGER else [])
    if role == Role.FLEET_MANAGER:
        with tenant_scope(world.tenant.pk):
            FleetScope.objects.create(tenant=world.tenant, membership=member, fleet=world.fleet)
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


@pytest.mark.nodb
def test_every_page_names_its_permission() -> None:
    """By `tenants.pages.page`. What needs none is listed here with the reason."""
    unguarded = {
        address.route.removeprefix(PORTAL)
        for address in addresses()
        if address.is_portal and not hasattr(address.view, "permission")
    }
    assert unguarded <= {
        "theme.css",  # the company's colour, for each of its members
        "search/",  # finds what the reader may see
    }


@pytest.mark.parametrize("role", Role.values)
def test_pages_enforce_the_table(role: str) -> None:
    world = samples.build()
    browser = _member(world, role)
    wrong = []
    for address in addresses():
        needs = getattr(address.view, "permission", None)
        if not address.is_portal or needs is None:
            continue
        told = status(browser.get(address.path(world)))
        may = needs in ROLE_PERMISSIONS[role]
        if told == 405:
            told = browser.post(address.path(world)).status_code
        if told >= 500 or (not may and told != 403):
            wrong.append((address.route, needs.value, told))
    assert not wrong, f"{role}: {wrong}"


@pytest.mark.nodb
def test_the_resolver_is_the_products() -> None:
    assert get_resolver().urlconf_name == "cpo.urls"

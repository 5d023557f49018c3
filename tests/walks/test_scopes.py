"""A member who is limited to a site or a fleet reaches nothing of another one, by any page of the portal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from fleets.models import FleetScope
from stations.models import LogFile, LogRequest, OrphanMessage
from tenants.context import tenant_scope
from tenants.models import Role
from tests import objects, people, samples
from tests.energy import sites
from tests.samples import SAMPLES, World
from tests.walks.addresses import FORM, PORTAL, Address, addresses, status

PAGES = [address for address in addresses() if address.is_portal]
# What belongs to one site, and to one fleet. Other objects belong to the whole company.
OF_SITE = {
    "site_id", "station_id", "session_id", "command_id", "batch_id", "orphan_id", "reservation_id", "issue_id",
    "exclusion_id", "report_id", "form", "log_id", "log_file_id",
    "what_if_id",
}  # fmt: skip
OF_FLEET = {"fleet_id", "driver_id", "vehicle_id", "token_id", "session_id"}
# Pages that show something of the whole company to everybody who may open them.
COMPANY_WIDE = {
    "firmware/": "images are the company's, whatever the site",
    "tariffs/": "price lists are the company's, whatever the site",
    "issues/rules/": "rules are the company's, whatever the site",
    "tokens/new/": "names of sites, to limit a token to some of them",
}


class Limited:
    """A browser of a member limited to part of a company, and the objects of the other part."""

    def __init__(self, world: World, client: Client, foreign: dict[str, Any], foreign_marker: str) -> None:
        self.world, self.client, self.foreign, self.foreign_marker = world, client, foreign, foreign_marker

    def walk(self, names: set[str]) -> list[str]:
        """What this member reached of the other part."""
        reached = []
        for address in PAGES:
            foreign = {name: self.foreign[name] for name in address.objects if name in self.foreign}
            if set(address.objects) - names or address.route.removeprefix(PORTAL) in COMPANY_WIDE:
                continue
            for method in ("GET", "POST") if address.objects else ("GET",):
                response = self.client.generic(method, address.path(self.world, **foreign), "", FORM)
                shown = self.foreign_marker in response.content.decode()
                refused = status(response) in (403, 404, 405)
                if shown or (address.objects and not refused) or response.status_code >= 500:
                    reached.append(f"{method} {address.route}: {response.status_code}, shown: {shown}")
        return reached

    def sees_own(self, address: Address) -> int:
        return self.client.get(address.path(self.world)).status_code


def _logged_in(user: Any) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


@pytest.fixture
def facility_manager() -> Limited:
    world = samples.build()
    marker = f"other{world.marker}"
    site = objects.create_site(world.tenant, name=f"Site {marker}")
    station = objects.create_station(world.tenant, site, identity=f"CP-{marker}")
    session = objects.create_session(world.tenant, station, transaction_id=marker, state="held")
    with tenant_scope(world.tenant.pk):
        command = objects.create_command(world.tenant, station, note=marker)
        batch = objects.create_batch(world.tenant, station, note=marker)
        orphan = OrphanMessage.objects.create(
            tenant=world.tenant, station=station, action="stop", transaction_id=marker, content_hash=marker,
            payload={}, received_at=datetime.now(UTC),
        )  # fmt: skip
        health = samples.health_of(world.tenant, site, station, marker)
        what_if = sites.one_of_each(world.tenant, site, station, marker).what_if
        assert what_if is not None
        at = datetime.now(UTC)
        log = LogRequest.objects.create(
            tenant=world.tenant, station=station, protocol="https", origin_label=marker, deadline_at=at
        )
        file = LogFile.objects.create(
            tenant=world.tenant, station=station, request=log, kind="diagnostics", name=marker, storage_name="x",
            size_bytes=1, sha256="0" * 64, content_type="text/plain", protocol="https", received_at=at,
        )  # fmt: skip
    reservation = objects.create_reservation(world.tenant, station, token_uid=marker)
    user = people.make_user("Frida Facility")
    people.join(user, world.tenant, Role.FACILITY_MANAGER, [world.site])
    foreign = {
        "site_id": site.pk,
        "station_id": station.pk,
        "session_id": session.pk,
        "command_id": command.pk,
        "batch_id": batch.pk,
        "orphan_id": orphan.pk,
        "issue_id": health["issue"].pk,
        "exclusion_id": health["exclusion"].pk,
        "report_id": health["report"].pk,
        "log_id": log.pk,
        "what_if_id": what_if.pk,
        "log_file_id": file.pk,
        "reservation_id": reservation.pk,
    }
    return Limited(world, _logged_in(user), foreign, marker)


@pytest.fixture
def fleet_manager() -> Limited:
    world = samples.build()
    marker = f"other{world.marker}"
    fleet = objects.create_fleet(world.tenant, name=f"Fleet {marker}")
    driver = objects.create_driver(world.tenant, name=f"Driver {marker}", fleet=fleet)
    token = objects.create_token(world.tenant, visual_number=marker, driver=driver)
    vehicle = objects.create_vehicle(world.tenant, plate=marker[-20:], fleet=fleet)
    session = objects.create_session(
        world.tenant, world.station, transaction_id=marker, driver=driver, fleet=fleet, token_uid=token.uid
    )
    user = people.make_user("Fritz Fleet")
    member = people.join(user, world.tenant, Role.FLEET_MANAGER)
    with tenant_scope(world.tenant.pk):
        FleetScope.objects.create(tenant=world.tenant, membership=member, fleet=world.fleet)
    foreign = {"fleet_id": fleet.pk, "driver_id": driver.pk, "token_id": token.pk, "vehicle_id": vehicle.pk}
    return Limited(world, _logged_in(user), {**foreign, "session_id": session.pk}, marker)


def _page(route: str) -> Address:
    (found,) = [address for address in PAGES if address.route == f"t/<slug:tenant_slug>/{route}"]
    return found


def test_a_facility_manager_stays_at_their_sites(facility_manager: Limited) -> None:
    for route in ("sites/<int:site_id>/", "stations/<int:station_id>/", "sessions/<int:session_id>/"):
        assert facility_manager.sees_own(_page(route)) == 200
    assert facility_manager.walk(OF_SITE) == []


def test_a_fleet_manager_stays_with_their_fleets(fleet_manager: Limited) -> None:
    assert fleet_manager.sees_own(_page("fleets/<int:fleet_id>/")) == 200
    assert fleet_manager.walk(OF_FLEET) == []


@pytest.mark.parametrize("role", [Role.FACILITY_MANAGER, Role.FLEET_MANAGER, Role.DRIVER])
def test_limited_to_nothing_means_seeing_nothing(role: str) -> None:
    """A forgotten limit must not open the whole company."""
    world = samples.build()
    user = people.make_user("Nora Nothing")
    people.join(user, world.tenant, role)
    own = {name: make(world) for name, make in SAMPLES.items() if name in OF_SITE | OF_FLEET}
    limited = Limited(world, _logged_in(user), own, world.marker)
    assert limited.walk(OF_SITE | OF_FLEET) == []

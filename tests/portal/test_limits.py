"""Limits in the portal: what holds, what one would cost, setting, taking back, limits by others, what cars want."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from stations.models import ChargingProfile, Command, DerControl, PowerConstraint, SessionPower, Station
from tenants.context import tenant_scope
from tenants.models import Role, Tenant
from tests import objects


@pytest.fixture
def browser(make_member: Any, portal_client: Any) -> Client:
    user, _password = make_member(Role.OWNER)
    client: Client = portal_client(user)
    return client


def base(tenant: Tenant, station: Station) -> str:
    return f"/t/{tenant.slug}/stations/{station.pk}"


def text(response: Any) -> str:
    return str(response.content.decode())


def test_a_limit_says_what_it_costs_and_is_sent(browser: Client, tenant: Tenant, station: Station) -> None:
    session = objects.create_session(tenant, station, power_w=11_000.0)
    told = {"evse": "1", "value": "4", "unit": "kW", "until": ""}
    said = text(browser.get(f"{base(tenant, station)}/limits/preview/", told))
    assert "the car gets about 168 kWh less" in said  # 7 kW less for a day
    response = browser.post(f"{base(tenant, station)}/limits/set/now/", told)
    assert response.status_code == 302
    with tenant_scope(tenant.pk):
        sent = list(ChargingProfile.objects.order_by("id").values_list("purpose", "unit", "session_id"))
        commands = list(Command.objects.order_by("id").values_list("kind", flat=True))
    assert sent == [("transaction", "W", session.pk), ("default", "W", None)]
    assert commands == ["set_charging_profile"] * 2
    shown = text(browser.get(f"{base(tenant, station)}/limits/"))
    assert "No limit holds now" in shown  # until the station has taken it
    with tenant_scope(tenant.pk):
        ChargingProfile.objects.update(state="accepted")
        [_own, default] = ChargingProfile.objects.order_by("id")
    shown = text(browser.get(f"{base(tenant, station)}/limits/"))
    assert "Limited to 4\u00a0kW" in shown or "5.8\u00a0A (4\u00a0kW)" in shown
    assert browser.post(f"{base(tenant, station)}/limits/{default.pk}/clear/").status_code == 302
    with tenant_scope(tenant.pk):
        assert Command.objects.order_by("-id")[0].arguments == {"number": default.number}


def test_a_limit_that_cannot_be_keeps_what_was_typed(
    browser: Client, tenant: Tenant, station: Station
) -> None:
    yesterday = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    told = {"evse": "1", "value": "7.5", "unit": "kW", "until": yesterday}
    response = browser.post(f"{base(tenant, station)}/limits/set/now/", told)
    assert response.status_code == 422
    assert "over already" in text(response) and 'value="7.5"' in text(response)


def test_a_limit_by_others_stands_at_the_site_and_the_station(
    browser: Client, tenant: Tenant, station: Station
) -> None:
    site = f"/t/{tenant.slug}/sites/{station.site_id}"
    told = {"source": "grid_operator", "power_kw": "4.2", "until": "", "reference": "DIM-1"}
    assert browser.post(f"{site}/limits/", told).status_code == 302
    for address in (f"{site}/limits/", f"{site}/", f"{base(tenant, station)}/limits/"):
        assert "4.2\u00a0kW" in text(browser.get(address)), address
    with tenant_scope(tenant.pk):
        row = PowerConstraint.objects.get()
    browser.post(f"{site}/limits/{row.pk}/clear/")
    with tenant_scope(tenant.pk):
        assert PowerConstraint.objects.get().cleared_at is not None


def test_what_a_car_wants_stands_on_its_session(browser: Client, tenant: Tenant, station: Station) -> None:
    session = objects.create_session(tenant, station)
    leaves = datetime.now(UTC) + timedelta(hours=3)
    with tenant_scope(tenant.pk):
        SessionPower.objects.create(
            tenant=tenant, station=station, evse_number=1, session=session, needs_at=datetime.now(UTC),
            energy_wh=22_000, departure_at=leaves, plan_at=leaves, plan_starts_at=datetime.now(UTC), plan_unit="W",
            plan=[{"start_s": 0, "limit": 7000}],
        )  # fmt: skip
    shown = text(browser.get(f"/t/{tenant.slug}/sessions/{session.pk}/"))
    assert "The car wants 22.0 kWh by " in shown and "own plan" in shown


def test_a_grid_control_is_set_by_its_form(browser: Client, tenant: Tenant, make_station: Any) -> None:
    station = make_station(ocpp_version="2.1")
    address = f"{base(tenant, station)}/grid/new/volt_var/"
    assert "92, 44" in text(browser.get(address))
    told = {"points": "92, 44\nnonsense", "y_unit": "pct_max_var", "priority": "0"}
    assert browser.post(address, told).status_code == 422
    assert browser.post(address, told | {"points": "92, 44\n108; -44"}).status_code == 302
    with tenant_scope(tenant.pk):
        row = DerControl.objects.get()
    assert row.settings["points"] == [[92.0, 44.0], [108.0, -44.0]]
    assert "Volt-var" in text(browser.get(f"{base(tenant, station)}/grid/"))

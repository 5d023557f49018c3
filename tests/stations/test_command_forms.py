"""What the portal's forms of commands give: a start within limits, a reset after which sessions go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stations.models import Station
from stations.ocpp.versions import BY_NAME as VERSIONS_BY_NAME
from stations.views.offer import ResetForm, StartForm, permitted
from tenants.context import tenant_scope
from tenants.models import Tenant
from tenants.permissions import system


@pytest.mark.parametrize(
    ("version", "how", "given"),
    [
        ("1.6", "no", {"hard": False}),
        ("2.0.1", "yes", {"hard": True}),
        ("2.0.1", "resume", None),
        ("2.1", "resume", {"hard": True, "resume": True}),
    ],
)
def test_how_a_station_is_reset(
    tenant: Tenant, make_station: Callable[..., Station], version: str, how: str, given: Any
) -> None:
    station = make_station(ocpp_version=version)
    with tenant_scope(tenant.pk):
        form = ResetForm({"hard": how}, station=station)
        assert form.is_valid() == (given is not None)
        assert given is None or form.arguments() == given


def test_a_start_within_limits(tenant: Tenant, station: Station) -> None:
    typed = {"evse": "1", "token_uid": "04A2B3C4", "most_kwh": "10.5", "most_minutes": "90"}
    with tenant_scope(tenant.pk):
        form = StartForm(typed, station=station)
        assert form.is_valid(), form.errors
        assert form.arguments() == {
            "evse": 1, "token_uid": "04A2B3C4", "limit": {"energy_wh": 10_500, "seconds": 5400},
        }  # fmt: skip
        form = StartForm({"evse": "1", "token_uid": "04A2B3C4"}, station=station)
        assert form.is_valid() and form.arguments() == {"evse": 1, "token_uid": "04A2B3C4"}


@pytest.mark.parametrize("version", sorted(VERSIONS_BY_NAME))
def test_whatever_a_version_can_say_the_portal_offers(station: Station, version: str) -> None:
    station.ocpp_version = version
    offered = [offer.kind for offer in permitted(system("Everything"), station)]
    assert sorted(offered) == sorted(VERSIONS_BY_NAME[version].says)

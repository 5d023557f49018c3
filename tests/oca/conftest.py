from __future__ import annotations

from collections.abc import Callable

import pytest

from stations.models import Station
from tenants.models import Tenant
from tests.oca.scene import Stage, make_stage
from tests.people import ApiClient
from tests.stations.ocpp.conftest import Plug, gateway, plug

__all__ = ["gateway", "plug", "stage"]


@pytest.fixture
def stage(plug: Plug, tenant: Tenant, station: Station, api_client: Callable[..., ApiClient]) -> Stage:
    """stage(version) -> a scene with a booted charger; see tests/oca/scene.py."""
    return make_stage(plug, tenant, station, api_client())

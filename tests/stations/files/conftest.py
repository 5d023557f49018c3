from __future__ import annotations

from collections.abc import Callable

import pytest

from stations.models import FirmwareImage
from tenants.models import Tenant
from tests.objects import create_image
from tests.stations.ocpp.conftest import gateway, plug

__all__ = ["gateway", "plug"]


@pytest.fixture
def make_image(tenant: Tenant) -> Callable[..., FirmwareImage]:
    return lambda **values: create_image(tenant, **values)

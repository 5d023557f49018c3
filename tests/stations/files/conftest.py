from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stations.models import FirmwareImage
from stations.services.files import images, store
from tenants.context import tenant_scope
from tenants.models import Tenant
from tenants.permissions import system
from tests.stations.ocpp.conftest import FILES_URL, gateway, plug

__all__ = ["gateway", "plug"]


@pytest.fixture(autouse=True)
def _files_url(settings: Any) -> None:
    settings.FILES_URL = FILES_URL


def create_image(tenant: Tenant, *, content: bytes = b"firmware " * 1000, **values: Any) -> FirmwareImage:
    """An image whose file is in the storage."""
    given = {"vendor": "Acme", "version": "2.0.0"} | values
    signature, certificate = given.pop("signature", ""), given.pop("certificate", "")
    spooled = store.spool(10_000_000)
    spooled.write(content)
    with tenant_scope(tenant.pk):
        image = images.create(tenant_id=tenant.pk, actor=system("tests"), **given)
        return images.attach(
            image=image, spooled=spooled, name=f"acme-{image.version}.bin", actor=system("tests"),
            signature=signature, certificate=certificate,
        )  # fmt: skip


@pytest.fixture
def make_image(tenant: Tenant) -> Callable[..., FirmwareImage]:
    return lambda **values: create_image(tenant, **values)

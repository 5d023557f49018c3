"""A simulated car with a contract, at simulated stations of each version: it is plugged in and charges, or does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from simulator.car import Car, Contract
from simulator.pki import Pki
from stations.models import ContractCheck, Session, Station
from stations.services import trust
from tenants.models import Tenant
from tenants.permissions import system
from tests.servers import Role
from tests.stations.ocpp.charger import VERSIONS
from tests.stations.ocpp.conftest import in_thread, rows
from tests.stations.ocpp.test_access_simulated import simulated
from tests.stations.responder import Responder, responder

EMAID = "DE8AAC12345678"


@pytest.fixture
def ocsp() -> Iterator[Responder]:
    with responder() as made:
        yield made


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_car_is_plugged_in_and_charges_on_its_contract(
    gateway: Role,
    tenant: Tenant,
    station: Station,
    ocsp: Responder,
    make_token: Callable[..., Any],
    version: str,
) -> None:
    await in_thread(lambda: make_token(uid=EMAID, kind="emaid"))
    pki = ocsp.serve(Pki(ocsp_url=ocsp.url))
    anchor: dict[str, Any] = {"actor": system("tests"), "use": "mo_root", "certificate": pki.mo_root.pem}
    await rows(tenant, lambda: trust.add_anchor(tenant_id=tenant.pk, **anchor))
    good, revoked = pki.contract(EMAID), pki.contract(EMAID)
    pki.mo_sub2.revoke(revoked.serial)
    async with simulated(gateway, tenant, station, version) as own:
        await own.plug_in(1, Car(contract=Contract(EMAID, revoked.chain)))
        assert await own.plug_and_charge(1) is None
        assert (own.last_verdict, own.last_certificate) == ("Invalid", "CertificateRevoked")
        await own.unplug(1)
        await own.plug_in(1, Car(contract=Contract(EMAID, good.chain)))
        assert await own.plug_and_charge(1) is not None
    session = await rows(
        tenant, lambda: Session.objects.select_related("token").filter(tenant=tenant).latest("id")
    )
    assert (session.verdict, session.token_uid, session.token.kind) == ("accepted", EMAID, "emaid")
    checks = await rows(tenant, lambda: list(ContractCheck.objects.filter(tenant=tenant)))
    assert [check.status for check in checks] == ["accepted", "revoked"]

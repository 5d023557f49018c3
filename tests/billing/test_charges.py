"""A charge is made once for its subject, whatever is retried, replayed or done at the same time."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, connections

from billing.models import Charge, ChargeState
from billing.services import charges
from billing.services.rating import NotRatable
from billing.usage import Usage, simple_usage
from tenants.context import tenant_scope
from tenants.errors import Conflict, Forbidden
from tenants.models import AuditRecord, Fact, Role, Site, Tenant
from tenants.permissions import system
from tests.objects import ELEMENTS

TARIFF: dict[str, Any] = {
    "name": "Standard",
    "currency": "EUR",
    "elements": ELEMENTS,
    "tax_included": False,
}
DEARER = TARIFF | {"elements": [{"price_components": [{"type": "FLAT", "price": "99"}]}]}


def used(energy_wh: str = "10000") -> Usage:
    return simple_usage(
        started_at=datetime(2026, 3, 2, 8, tzinfo=UTC),
        ended_at=datetime(2026, 3, 2, 10, tzinfo=UTC),
        time_zone="Europe/Berlin",
        energy_wh=Decimal(energy_wh),
    )


def make(tenant: Tenant, site: Site | None = None, **changed: Any) -> Charge:
    values: dict[str, Any] = {"subject": "session:1", "tariff": TARIFF, "usage": used()} | changed
    return charges.charge(tenant_id=tenant.pk, site_id=site.pk if site else None, **values)


def test_a_charge_keeps_all_it_was_made_from(tenant: Tenant, site: Site) -> None:
    made = make(tenant, site)
    assert (made.incl_tax, made.tax, made.excl_tax) == (Decimal("7.02"), Decimal("1.12"), Decimal("5.90"))
    assert made.occurred_at == datetime(2026, 3, 2, 10, tzinfo=UTC)
    with tenant_scope(tenant.pk):
        stored = Charge.objects.get(tenant=tenant, pk=made.pk)
    assert charges.replay(stored).incl_tax == stored.incl_tax
    assert [line["component"] for line in stored.lines] == ["FLAT", "ENERGY"]


def test_charging_again_returns_the_first_charge_unchanged(tenant: Tenant) -> None:
    first = make(tenant)
    again = make(tenant, tariff=DEARER, usage=used("90000"))
    assert (again.pk, again.incl_tax) == (first.pk, first.incl_tax)


def test_two_companies_may_charge_the_same_subject(tenant: Tenant, other_tenant: Tenant) -> None:
    assert make(tenant).pk != make(other_tenant).pk


def test_many_at_once_make_one_charge_and_one_fact(tenant: Tenant) -> None:
    gate = threading.Barrier(8)

    def one(_number: int) -> int:
        try:
            gate.wait()
            return make(tenant).pk
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(one, range(8)))
    with tenant_scope(tenant.pk):
        assert found == set(Charge.objects.filter(tenant=tenant).values_list("pk", flat=True))
        assert len(found) == 1
        assert Fact.objects.filter(tenant=tenant, kind="charge.rated").count() == 1


def test_a_second_process_that_comes_in_mid_charge_gets_the_first_one_s(tenant: Tenant) -> None:
    """It saw no charge, then waits for the database to decide: the moment in which doubles are made."""
    session: list[int] = []
    found: list[int] = []

    def second() -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                session.extend(cursor.fetchone())
            found.append(make(tenant, tariff=DEARER).pk)
        finally:
            connections.close_all()

    thread = threading.Thread(target=second)
    with tenant_scope(tenant.pk):
        first = make(tenant)
        thread.start()
        _until_it_waits_for_a_lock(session)
    thread.join()
    assert found == [first.pk]


def _until_it_waits_for_a_lock(session: list[int]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with connections["owner"].cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = ANY (%s)", [session])
            if cursor.fetchone()[0]:
                return
        time.sleep(0.02)
    raise AssertionError("the second charge was not held up by the first")


def test_nothing_is_stored_when_the_tariff_cannot_be_priced(tenant: Tenant) -> None:
    limited = TARIFF | {"elements": [ELEMENTS[0] | {"restrictions": {"max_kwh": 10}}]}
    with pytest.raises(NotRatable):
        make(tenant, tariff=limited)
    with tenant_scope(tenant.pk):
        assert not Charge.objects.filter(tenant=tenant).exists()


def test_a_void_charge_is_audited_and_never_made_again(tenant: Tenant) -> None:
    made = make(tenant)
    with tenant_scope(tenant.pk):
        charges.void(charge=made, actor=system("review"), reason="The meter was broken")
        record = AuditRecord.objects.get(tenant=tenant, action="charge.void")
    assert record.detail == {"reason": "The meter was broken"}
    again = make(tenant)
    assert (again.pk, again.state) == (made.pk, ChargeState.VOID)


def test_a_void_needs_a_reason_and_the_right(tenant: Tenant, make_actor: Any) -> None:
    made, driver = make(tenant), make_actor(Role.DRIVER)
    with tenant_scope(tenant.pk):
        with pytest.raises(Conflict):
            charges.void(charge=made, actor=system("review"), reason=" ")
        with pytest.raises(Forbidden):
            charges.void(charge=made, actor=driver, reason="Because")

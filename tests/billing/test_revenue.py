"""Revenue counts by the local day, at the sites one may see, without what was taken back."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from billing import queries
from billing.services import charges
from billing.usage import simple_usage
from tenants.context import tenant_scope
from tenants.models import Role, Site, Tenant
from tenants.permissions import system

PRICE = {"currency": "EUR", "elements": [{"price_components": [{"type": "FLAT", "price": "2.00"}]}]}
SPAN: dict[str, Any] = {"start": datetime(2026, 3, 1, tzinfo=UTC), "end": datetime(2026, 3, 9, tzinfo=UTC)}


def charge(tenant: Tenant, subject: str, ended_at: datetime, site: Site, **price: Any) -> Any:
    usage = simple_usage(
        started_at=ended_at - timedelta(hours=1),
        ended_at=ended_at,
        time_zone="Europe/Berlin",
        energy_wh=Decimal(1000),
    )
    return charges.charge(
        tenant_id=tenant.pk, subject=subject, tariff=PRICE | price, usage=usage, site_id=site.pk
    )


def test_a_day_is_the_site_s_local_day(tenant: Tenant, site: Site) -> None:
    charge(tenant, "a", datetime(2026, 3, 2, 22, 59, tzinfo=UTC), site)  # 23:59 in Berlin
    charge(tenant, "b", datetime(2026, 3, 2, 23, 1, tzinfo=UTC), site)  # 00:01 on the next day there
    with tenant_scope(tenant.pk):
        found = queries.revenue_per_day(tenant.pk, system("t"), time_zone="Europe/Berlin", **SPAN)
    assert [(row.day, row.incl_tax) for row in found] == [
        (date(2026, 3, 2), Decimal(2)),
        (date(2026, 3, 3), Decimal(2)),
    ]


def test_void_charges_and_other_companies_do_not_count(
    tenant: Tenant, other_tenant: Tenant, site: Site, make_site: Any
) -> None:
    at = datetime(2026, 3, 2, 12, tzinfo=UTC)
    charge(tenant, "kept", at, site)
    gone = charge(tenant, "gone", at, site)
    charge(other_tenant, "theirs", at, make_site(tenant=other_tenant))
    with tenant_scope(tenant.pk):
        charges.void(charge=gone, actor=system("t"), reason="wrong")
        [row] = queries.revenue(tenant.pk, system("t"), **SPAN)
    assert (row.charges, row.incl_tax, row.energy_wh) == (1, Decimal(2), Decimal(1000))


def test_currencies_are_never_added_up(tenant: Tenant, site: Site) -> None:
    at = datetime(2026, 3, 2, 12, tzinfo=UTC)
    charge(tenant, "a", at, site)
    charge(tenant, "b", at, site, currency="DKK")
    with tenant_scope(tenant.pk):
        found = queries.revenue(tenant.pk, system("t"), **SPAN)
    assert [row.currency for row in found] == ["DKK", "EUR"]


def test_a_facility_manager_sees_the_revenue_of_their_sites(
    tenant: Tenant, site: Site, make_site: Any, make_actor: Any
) -> None:
    elsewhere, at = make_site(name="Elsewhere"), datetime(2026, 3, 2, 12, tzinfo=UTC)
    charge(tenant, "a", at, site)
    charge(tenant, "b", at, elsewhere)
    limited = make_actor(Role.FACILITY_MANAGER, [site])
    with tenant_scope(tenant.pk):
        seen = queries.revenue_per_site(tenant.pk, limited, **SPAN)
        everything = queries.revenue_per_site(tenant.pk, system("t"), **SPAN)
    assert [row.place for row in seen] == [site.name]
    assert len(everything) == 2


def test_who_is_limited_to_a_fleet_sees_no_charges_of_others(
    tenant: Tenant, site: Site, make_actor: Any
) -> None:
    charge(tenant, "a", datetime(2026, 3, 2, 12, tzinfo=UTC), site)
    manager, driver = make_actor(Role.FLEET_MANAGER), make_actor(Role.DRIVER)
    with tenant_scope(tenant.pk):
        assert not queries.revenue(tenant.pk, manager, **SPAN)
        assert not queries.revenue(tenant.pk, driver, **SPAN)

"""Tariffs: what is refused and where, which one counts, and that a session's price is frozen."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from billing import queries
from billing.models import Tariff
from billing.services import tariffs
from tenants import rows
from tenants.context import tenant_scope
from tenants.errors import Conflict, Forbidden, Invalid
from tenants.models import AuditRecord, Role, Site, Tenant
from tenants.permissions import Actor, system
from tests.objects import ELEMENTS

ACTOR = system("tests")


def component(**changed: Any) -> list[dict[str, Any]]:
    return [
        {"price_components": [{"type": "ENERGY", "price": "0.49", "vat": "19", "step_size": 1} | changed]}
    ]


def create(tenant: Tenant, name: str = "Standard", actor: Actor = ACTOR, **changed: Any) -> Tariff:
    values = {"name": name, "currency": "EUR", "elements": ELEMENTS} | changed
    with tenant_scope(tenant.pk):
        return tariffs.create_tariff(tenant_id=tenant.pk, actor=actor, **values)


@pytest.mark.parametrize(
    ("elements", "field"),
    [
        ([], "elements"),
        ("cheap", "elements"),
        ([1], "elements.0"),
        ([{"price_components": []}], "elements.0.price_components"),
        (component(type="KWH"), "elements.0.price_components.0.type"),
        (component(price="-1"), "elements.0.price_components.0.price"),
        (component(price="NaN"), "elements.0.price_components.0.price"),
        (component(price="1e999"), "elements.0.price_components.0.price"),
        (component(price=True), "elements.0.price_components.0.price"),
        (component(vat="much"), "elements.0.price_components.0.vat"),
        (component(vat=101), "elements.0.price_components.0.vat"),
        (component(step_size=1.5), "elements.0.price_components.0.step_size"),
        (component(step_size=-1), "elements.0.price_components.0.step_size"),
        (component(colour="blue"), "elements.0.price_components.0.colour"),
        ([component()[0] | {"restrictions": {"start_time": "18:00"}}], "elements.0.restrictions"),
        (
            [{"price_components": component()[0]["price_components"] * 2}],
            "elements.0.price_components.1.type",
        ),
    ],
)
def test_wrong_elements_are_named(tenant: Tenant, elements: Any, field: str) -> None:
    with pytest.raises(Invalid) as error:
        create(tenant, elements=elements)
    assert list(error.value.fields) == [field]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": ""}, "name"),
        ({"currency": "euro"}, "currency"),
        ({"min_price": Decimal(-1)}, "min_price"),
        ({"min_price": Decimal(5), "max_price": Decimal(4)}, "max_price"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_wrong_fields_are_named(tenant: Tenant, values: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as error:
        create(tenant, **values)
    assert field in error.value.fields


def test_prices_are_kept_as_exact_text(tenant: Tenant) -> None:
    made = create(tenant, elements=component(price=0.1, vat=19))
    assert made.elements[0]["price_components"][0]["price"] == "0.1"


def test_a_name_is_given_once(tenant: Tenant, other_tenant: Tenant) -> None:
    create(tenant)
    create(other_tenant)
    with pytest.raises(Conflict):
        create(tenant)


def test_only_who_may_changes_prices(tenant: Tenant, make_actor: Any) -> None:
    with pytest.raises(Forbidden):
        create(tenant, actor=make_actor(Role.OPERATOR))
    assert create(tenant, actor=make_actor(Role.BILLING)).pk


def test_a_change_is_audited_with_before_and_after(tenant: Tenant) -> None:
    made = create(tenant)
    with tenant_scope(tenant.pk):
        tariffs.update_tariff(tariff=made, actor=ACTOR, name="Winter")
        record = AuditRecord.objects.get(tenant=tenant, action="tariff.edit")
    assert record.detail["changed"] == {"name": ["Standard", "Winter"]}


def names(tenant: Tenant, *requests: tuple[int, int | None]) -> list[str | None]:
    return [None if one is None else str(one["name"]) for one in frozen(tenant, *requests)]


def frozen(tenant: Tenant, *requests: tuple[int, int | None]) -> list[dict[str, Any] | None]:
    with tenant_scope(tenant.pk):
        return rows.alone(tenant.pk, tariffs.snapshot_for(requests))


def test_the_station_s_tariff_counts_before_the_site_s_before_the_default(
    tenant: Tenant, site: Site, make_site: Any
) -> None:
    bare = make_site()
    general, local, own = create(tenant, "General"), create(tenant, "Local"), create(tenant, "Own")
    with tenant_scope(tenant.pk):
        tariffs.set_default(tariff=general, actor=ACTOR)
        tariffs.set_site_tariff(site=site, tariff=local, actor=ACTOR)
    asked = [(site.pk, own.pk), (site.pk, None), (bare.pk, None), (bare.pk, own.pk), (site.pk, 0)]
    assert names(tenant, *asked) == ["Own", "Local", "General", "Own", "Local"]


def test_without_any_tariff_there_is_none(tenant: Tenant, other_tenant: Tenant, site: Site) -> None:
    theirs = create(other_tenant, "Theirs")
    with tenant_scope(other_tenant.pk):
        tariffs.set_default(tariff=theirs, actor=ACTOR)
    assert names(tenant, (site.pk, None), (site.pk, theirs.pk)) == [None, None]
    assert names(tenant) == []


def test_an_archived_tariff_of_a_station_gives_way(tenant: Tenant, site: Site) -> None:
    general, own = create(tenant, "General"), create(tenant, "Own")
    with tenant_scope(tenant.pk):
        tariffs.set_default(tariff=general, actor=ACTOR)
        tariffs.archive_tariff(tariff=own, actor=ACTOR)
    assert names(tenant, (site.pk, own.pk)) == ["General"]


def test_a_tariff_in_use_is_not_archived(tenant: Tenant, site: Site) -> None:
    general, local = create(tenant, "General"), create(tenant, "Local")
    with tenant_scope(tenant.pk):
        tariffs.set_default(tariff=general, actor=ACTOR)
        tariffs.set_site_tariff(site=site, tariff=local, actor=ACTOR)
        for used in (general, local):
            with pytest.raises(Conflict):
                tariffs.archive_tariff(tariff=used, actor=ACTOR)
        tariffs.set_site_tariff(site=site, tariff=None, actor=ACTOR)
        tariffs.archive_tariff(tariff=local, actor=ACTOR)
        assert queries.site_tariff(tenant.pk, site.pk) is None
        with pytest.raises(Conflict):
            tariffs.set_site_tariff(site=site, tariff=local, actor=ACTOR)


def test_another_default_replaces_the_first(tenant: Tenant) -> None:
    first, second = create(tenant, "First"), create(tenant, "Second")
    with tenant_scope(tenant.pk):
        for one in (first, second):
            tariffs.set_default(tariff=one, actor=ACTOR)
        assert queries.default_tariff(tenant.pk) == second


def test_a_snapshot_does_not_change_with_its_tariff(tenant: Tenant, site: Site) -> None:
    made = create(tenant, min_price=Decimal("1.50"), tax_included=True)
    [before] = frozen(tenant, (site.pk, made.pk))
    assert before == tariffs.snapshot(made) | {"min_price": {"incl_tax": "1.5000"}}
    with tenant_scope(tenant.pk):
        tariffs.update_tariff(tariff=made, actor=ACTOR, elements=component(price="9.99"))
    assert before["elements"][0]["price_components"][0]["price"] == "0.49"


def test_a_batch_is_one_statement(tenant: Tenant, site: Site, round_trips: list[int]) -> None:
    frozen(tenant, *[(site.pk, None)] * 20)
    assert round_trips == [1]

"""Tokens from CSV: all rows or none, each wrong row named; and back to CSV."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from fleets import queries
from fleets.models import FleetScope, Token, TokenSite
from fleets.services.token_files import ImportReport, export_tokens, import_tokens
from tenants.context import tenant_scope
from tenants.errors import Invalid
from tenants.models import AuditRecord, Membership, Role, Tenant
from tenants.permissions import Actor, system
from tenants.services import actors

ACTOR = system("tests")


def load(tenant: Tenant, text: str, actor: Actor = ACTOR) -> ImportReport:
    with tenant_scope(tenant.pk):
        return import_tokens(tenant_id=tenant.pk, actor=actor, text=text)


def stored(tenant: Tenant) -> dict[str, Token]:
    with tenant_scope(tenant.pk):
        return {
            token.uid: token
            for token in Token.objects.filter(tenant=tenant).select_related("driver", "fleet")
        }


def test_rows_become_tokens(tenant: Tenant, make_driver: Any, make_fleet: Any, make_site: Any) -> None:
    make_driver(name="Dora Drake", email="dora@example.com")
    make_fleet(name="Vans")
    make_site(name="Harbour")
    make_site(name="Office")
    report = load(
        tenant,
        "\ufeffUID;Driver;Fleet;expires_at;blocked;sites\n"
        "04ab;dora@example.com;vans;2027-01-31;no;Harbour|Office\n"
        "04ac;;;;yes;\n\n",
    )
    assert (report.created, report.updated, report.errors) == (2, 0, [])
    first, second = stored(tenant)["04AB"], stored(tenant)["04AC"]
    assert first.driver and first.driver.name == "Dora Drake"
    assert first.fleet and first.fleet.name == "Vans"
    assert first.expires_at == datetime(2027, 1, 31, 23, tzinfo=UTC)  # the end of that day in Berlin
    assert second.blocked and second.driver is None
    with tenant_scope(tenant.pk):
        assert TokenSite.objects.filter(tenant=tenant, token=first).count() == 2
        assert AuditRecord.objects.get(tenant=tenant, action="token.import").detail == {
            "created": 2,
            "updated": 0,
        }


def test_every_wrong_row_is_named_and_nothing_is_stored(tenant: Tenant, make_driver: Any) -> None:
    make_driver(name="Jan", email="a@example.com")
    make_driver(name="Jan", email="b@example.com")
    report = load(
        tenant,
        "uid,driver,kind,expires_at,blocked\n"
        "04AA,,,,\n"
        ",,,,\n"
        "04AB,Nobody,,,\n"
        "04AC,Jan,,,\n"
        "04AD,,card,,\n"
        "04AE,,,31.1.2027,\n"
        "04AF,,,,maybe\n"
        "04aa,,,,\n"
        ",a@example.com,,,\n",
    )
    assert [(error.row, error.column) for error in report.errors] == [
        (4, "driver"),
        (5, "driver"),
        (6, "kind"),
        (7, "expires_at"),
        (8, "blocked"),
        (9, "uid"),
        (10, "uid"),
    ]
    assert stored(tenant) == {}
    assert (report.created, report.updated) == (0, 0)


def test_known_tokens_are_changed_in_the_columns_that_are_there(tenant: Tenant, make_token: Any) -> None:
    make_token(uid="04AA", visual_number="CARD-1", blocked=True)
    report = load(tenant, "uid,blocked\n04aa,no\n")
    token = stored(tenant)["04AA"]
    assert (report.created, report.updated) == (0, 1)
    assert (token.blocked, token.visual_number) == (False, "CARD-1")


@pytest.mark.parametrize("text", ["", "name\nx\n", "uid,shoe_size\n04AA,44\n"])
def test_a_file_without_usable_columns_is_refused(tenant: Tenant, text: str) -> None:
    with pytest.raises(Invalid) as error:
        load(tenant, text)
    assert "file" in error.value.fields


def test_an_exported_file_can_be_imported_again(tenant: Tenant, make_token: Any, make_driver: Any) -> None:
    make_token(
        uid="04AA",
        visual_number="=1+1",
        driver=make_driver(email="d@example.com"),
        valid_from=datetime(2026, 1, 1, tzinfo=UTC),
    )
    with tenant_scope(tenant.pk):
        text = export_tokens(tenant_id=tenant.pk, tokens=queries.tokens(tenant.pk, ACTOR))
    assert ",'=1+1," in text  # a spreadsheet must not run it
    before = stored(tenant)["04AA"]
    assert load(tenant, text).updated == 1
    after = stored(tenant)["04AA"]
    assert (after.visual_number, after.driver, after.valid_from) == ("=1+1", before.driver, before.valid_from)


def test_a_fleet_manager_imports_for_their_own_fleet_only(
    tenant: Tenant, make_fleet: Any, make_member: Any, make_token: Any
) -> None:
    own = make_fleet(name="Own")
    make_fleet(name="Other")
    make_token(uid="04FF")
    user, _password = make_member(Role.FLEET_MANAGER)
    with tenant_scope(tenant.pk):
        member = Membership.objects.get(tenant=tenant, user=user)
        FleetScope.objects.create(tenant=tenant, membership=member, fleet=own)
        actor = actors.of_member(member)
    refused = load(tenant, "uid,fleet\n04AA,Own\n04AB,Other\n04AC,\n04FF,Own\n", actor)
    assert [error.row for error in refused.errors] == [3, 4, 5]
    assert load(tenant, "uid,fleet\n04AA,Own\n", actor).created == 1

"""Tokens, drivers and fleets as people keep them, each within what they may."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from fleets import queries
from fleets.models import Driver, Fleet, Token, TokenSite
from fleets.services import drivers, fleets, scopes, tokens
from tenants.context import tenant_scope
from tenants.errors import Conflict, Forbidden, Invalid
from tenants.models import AuditRecord, Fact, Membership, Role, Tenant
from tenants.permissions import Actor, system
from tenants.services import actors

ACTOR = system("tests")


def fleet_manager(tenant: Tenant, make_member: Any, *own: Fleet) -> Actor:
    user, _password = make_member(Role.FLEET_MANAGER)
    with tenant_scope(tenant.pk):
        member = Membership.objects.get(tenant=tenant, user=user)
        scopes.limit_to_fleets(member=member, fleets=own, actor=ACTOR)
        return actors.of_member(member)


def test_a_token_is_stored_in_its_normal_form_and_told(tenant: Tenant) -> None:
    with tenant_scope(tenant.pk):
        token = tokens.create_token(tenant_id=tenant.pk, actor=ACTOR, uid=" 04abCD ")
        assert token.uid == "04ABCD"
        assert AuditRecord.objects.get(tenant=tenant).action == "token.create"
        assert Fact.objects.get(tenant=tenant).kind == "token.created"
        with pytest.raises(Conflict):
            tokens.create_token(tenant_id=tenant.pk, actor=ACTOR, uid="04ABcd")


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"uid": " "}, "uid"),
        ({"uid": "A\0B"}, "uid"),
        ({"uid": "A" * 256}, "uid"),
        ({"uid": "AA", "kind": "wooden"}, "kind"),
        ({"uid": "AA", "colour": "blue"}, "colour"),
        (
            {
                "uid": "AA",
                "valid_from": datetime(2026, 2, 1, tzinfo=UTC),
                "expires_at": datetime(2026, 1, 1, tzinfo=UTC),
            },
            "expires_at",
        ),
    ],
)
def test_what_is_no_token_is_refused_by_field(tenant: Tenant, values: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as error, tenant_scope(tenant.pk):
        tokens.create_token(tenant_id=tenant.pk, actor=ACTOR, **values)
    assert field in error.value.fields


def test_blocking_and_unblocking_leave_traces(tenant: Tenant, make_token: Any) -> None:
    token = make_token()
    with tenant_scope(tenant.pk):
        tokens.block_token(token=token, actor=ACTOR, reason="Lost")
        tokens.block_token(token=token, actor=ACTOR, reason="Lost again")
        assert (token.blocked, token.blocked_reason) == (True, "Lost")
        tokens.unblock_token(token=token, actor=ACTOR)
        actions = list(
            AuditRecord.objects.filter(tenant=tenant).order_by("pk").values_list("action", flat=True)
        )
    assert actions == ["token.block", "token.unblock"]


def test_sites_of_a_token_can_be_changed_and_taken_away(
    tenant: Tenant, make_token: Any, make_site: Any
) -> None:
    token, one, two = make_token(), make_site(name="One"), make_site(name="Two")
    with tenant_scope(tenant.pk):
        tokens.update_token(token=token, actor=ACTOR, sites=[one, two])
        tokens.update_token(token=token, actor=ACTOR, sites=[two])
        rows = TokenSite.objects.filter(tenant=tenant, token=token)
        assert [row.site_id for row in rows] == [two.pk]
        tokens.update_token(token=token, actor=ACTOR, sites=[])
        assert not rows.all().exists()


def test_a_deleted_token_leaves_the_session_its_number(
    tenant: Tenant, make_token: Any, station: Any, make_session: Any
) -> None:
    token = make_token()
    session = make_session(station, token=token, token_uid=token.uid)
    with tenant_scope(tenant.pk):
        tokens.delete_token(token=token, actor=ACTOR)
        session.refresh_from_db()
    assert (session.token_id, session.token_uid) == (None, token.uid)


def test_a_fleet_manager_sees_and_changes_their_fleet_alone(
    tenant: Tenant, make_fleet: Any, make_driver: Any, make_token: Any, make_member: Any
) -> None:
    own, other = make_fleet(), make_fleet()
    mine, theirs = make_driver(fleet=own), make_driver(fleet=other)
    my_token, their_token, loose = make_token(driver=mine), make_token(fleet=other), make_token()
    actor = fleet_manager(tenant, make_member, own)
    with tenant_scope(tenant.pk):
        assert list(queries.tokens(tenant.pk, actor)) == [my_token]
        assert list(queries.drivers(tenant.pk, actor)) == [mine]
        assert list(queries.fleets(tenant.pk, actor)) == [own]
        tokens.block_token(token=my_token, actor=actor)
        for token in (their_token, loose):
            with pytest.raises(Forbidden):
                tokens.block_token(token=token, actor=actor)
        with pytest.raises(Forbidden):
            drivers.update_driver(driver=theirs, actor=actor, name="Mine now")
        with pytest.raises(Forbidden):
            drivers.update_driver(driver=mine, actor=actor, fleet=other)
        with pytest.raises(Forbidden):
            fleets.create_fleet(tenant_id=tenant.pk, actor=actor, name="Another")


def test_a_fleet_manager_without_fleets_sees_nothing(
    tenant: Tenant, make_token: Any, make_member: Any
) -> None:
    make_token()
    actor = fleet_manager(tenant, make_member)
    with tenant_scope(tenant.pk):
        assert actor.fleet_ids == frozenset()
        assert not queries.tokens(tenant.pk, actor).exists()


def test_a_driver_sees_their_own_tokens_alone(
    tenant: Tenant, make_driver: Any, make_token: Any, make_member: Any
) -> None:
    user, _password = make_member(Role.DRIVER)
    driver = make_driver(user=user)
    own = make_token(driver=driver)
    make_token(driver=make_driver())
    with tenant_scope(tenant.pk):
        actor = actors.of_member(Membership.objects.get(tenant=tenant, user=user))
        assert actor.driver_ids == frozenset({driver.pk})
        assert list(queries.tokens(tenant.pk, actor)) == [own]
        with pytest.raises(Forbidden):
            tokens.block_token(token=own, actor=actor)


def test_what_is_in_use_is_not_removed(
    tenant: Tenant, make_fleet: Any, make_driver: Any, make_token: Any
) -> None:
    fleet = make_fleet()
    driver = make_driver(fleet=fleet)
    token = make_token(driver=driver)
    with tenant_scope(tenant.pk):
        with pytest.raises(Conflict):
            fleets.delete_fleet(fleet=fleet, actor=ACTOR)
        with pytest.raises(Conflict):
            drivers.delete_driver(driver=driver, actor=ACTOR)
        assert not AuditRecord.objects.filter(tenant=tenant).exists()  # nothing happened, nothing is told
        Token.objects.filter(tenant=tenant, pk=token.pk).delete()
        drivers.delete_driver(driver=driver, actor=ACTOR)
        fleets.delete_fleet(fleet=fleet, actor=ACTOR)
        assert not Driver.objects.filter(tenant=tenant).exists()


def test_searching_finds_tokens_by_what_people_know(
    tenant: Tenant, make_token: Any, make_driver: Any
) -> None:
    token = make_token(uid="04AB99", visual_number="NC-7", driver=make_driver(name="Dora Drake"))
    make_token(uid="04CD")
    with tenant_scope(tenant.pk):
        for text in ("ab99", "nc-7", "drake"):
            assert list(queries.search_tokens(queries.tokens(tenant.pk, ACTOR), text)) == [token]
        assert not queries.search_tokens(queries.tokens(tenant.pk, ACTOR), "\0").exists()

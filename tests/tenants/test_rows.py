"""Statements that go to PostgreSQL together."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.db import DataError

from tenants import rows
from tenants.context import tenant_scope
from tenants.models import Fact, Tenant
from tenants.rows import Ask
from tenants.services import facts

DOUBLE = "SELECT 2 * (r#>>'{}')::int FROM json_array_elements(%(rows)s::json) r"


def doubled(*numbers: int) -> rows.Lookup[list[int]]:
    return [row[0] for row in (yield Ask(DOUBLE, numbers))]


def quadrupled(*numbers: int) -> rows.Lookup[list[int]]:
    twice = yield from doubled(*numbers)
    return (yield from doubled(*twice))


def nothing() -> rows.Lookup[str]:
    return "nothing"
    yield  # a look-up all the same


def test_look_ups_of_many_rounds_each_get_their_answer(tenant: Tenant) -> None:
    with tenant_scope(tenant.pk):
        answers = rows.together(tenant.pk, doubled(1, 2), nothing(), quadrupled(3), doubled())
    assert answers == [[2, 4], "nothing", [12], []]


def test_a_round_is_one_round_trip(tenant: Tenant, round_trips: list[int]) -> None:
    with tenant_scope(tenant.pk):
        rows.together(tenant.pk, doubled(1), quadrupled(2), quadrupled(3))
    assert round_trips == [3, 2]


def test_more_arguments_and_times_pass(tenant: Tenant) -> None:
    at = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)

    def told() -> rows.Lookup[datetime]:
        return (yield Ask("SELECT %(at)s::timestamptz", [], {"at": at}))[0][0]

    with tenant_scope(tenant.pk):
        assert rows.together(tenant.pk, told(), doubled(1)) == [at, [2]]


def test_a_failure_in_company_is_a_database_error_and_undoes_the_transaction(tenant: Tenant) -> None:
    with pytest.raises(DataError), tenant_scope(tenant.pk):
        facts.publish_many(tenant_id=tenant.pk, facts=[("test.lost", "test", 1, {})])
        rows.together(tenant.pk, doubled(1), doubled(2**31), doubled(2))
    with tenant_scope(tenant.pk):
        assert not Fact.objects.filter(tenant=tenant, kind="test.lost").exists()
        assert rows.together(tenant.pk, doubled(1), doubled(2)) == [[2], [4]]


def test_what_is_sent_at_once_is_there_afterwards_and_in_order(tenant: Tenant) -> None:
    with tenant_scope(tenant.pk), rows.at_once():
        for n in range(3):
            facts.publish_many(tenant_id=tenant.pk, facts=[("test.sent", "test", n, {})])
    with tenant_scope(tenant.pk):
        sent = Fact.objects.filter(tenant=tenant, kind="test.sent").order_by("pk")
        assert [fact.subject_id for fact in sent] == [0, 1, 2]


def test_nothing_overtakes_what_waits_to_be_sent(tenant: Tenant) -> None:
    with pytest.raises(RuntimeError, match="overtake"), tenant_scope(tenant.pk), rows.at_once():
        facts.publish_many(tenant_id=tenant.pk, facts=[("test.waits", "test", 1, {})])
        rows.run(DOUBLE, tenant.pk, [1])


def test_one_block_sends_them_all(tenant: Tenant) -> None:
    with (
        pytest.raises(RuntimeError, match="already"),
        tenant_scope(tenant.pk),
        rows.at_once(),
        rows.at_once(),
    ):
        pass


def test_what_fails_on_the_way_sends_nothing_and_leaves_nothing_waiting(tenant: Tenant) -> None:
    with pytest.raises(ZeroDivisionError), tenant_scope(tenant.pk), rows.at_once():
        facts.publish_many(tenant_id=tenant.pk, facts=[("test.dropped", "test", 1, {})])
        raise ZeroDivisionError
    with tenant_scope(tenant.pk):
        facts.publish_many(tenant_id=tenant.pk, facts=[("test.kept", "test", 1, {})])
        kinds = set(Fact.objects.filter(tenant=tenant).values_list("kind", flat=True))
    assert "test.kept" in kinds and "test.dropped" not in kinds

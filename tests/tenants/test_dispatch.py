"""Facts reach every subscriber, again until it worked; one that fails holds up nobody else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, connections
from django.utils import timezone

from tenants import tasks
from tenants.context import tenant_scope
from tenants.models import Fact, FactDelivery, IdempotencyRecord, Site, Tenant
from tenants.services import dispatch, facts

Subscribe = Callable[..., None]


@pytest.fixture
def subscribe() -> Iterator[Subscribe]:
    """subscribe(name, handler, kinds): for this test alone."""
    before = dict(facts._subscribers)

    def enter(name: str, handler: facts.Handler, *kinds: str) -> None:
        facts.subscribe(name, set(kinds or {"test.happened"}), handler)

    yield enter
    facts._subscribers.clear()
    facts._subscribers.update(before)


def happen(tenant: Tenant, subject_id: int = 1, kind: str = "test.happened") -> Fact:
    with tenant_scope(tenant.pk):
        return facts.publish(
            tenant_id=tenant.pk, kind=kind, subject_type="thing", subject_id=subject_id, payload={}
        )


def delivery(tenant: Tenant, subscriber: str) -> FactDelivery:
    with tenant_scope(tenant.pk):
        return FactDelivery.objects.get(tenant=tenant, subscriber=subscriber)


def make_due(tenant: Tenant) -> None:
    with tenant_scope(tenant.pk):
        FactDelivery.objects.filter(tenant=tenant, done_at=None).update(next_attempt_at=timezone.now())


def pending(tenant: Tenant) -> int:
    with tenant_scope(tenant.pk):
        return Fact.objects.filter(tenant=tenant, dispatched_at=None).count()


def test_each_subscriber_hears_of_a_fact_once(tenant: Tenant, subscribe: Subscribe) -> None:
    heard: list[str] = []
    subscribe("one", lambda fact: heard.append(f"one {fact.subject_id}"))
    subscribe("all", lambda fact: heard.append(f"all {fact.subject_id}"), "*")
    subscribe("other", lambda fact: heard.append("other"), "test.something_else")
    happen(tenant, 7)
    for _ in range(2):
        dispatch.dispatch(tenant_id=tenant.pk)
    assert sorted(heard) == ["all 7", "one 7"]
    assert pending(tenant) == 0


def test_facts_come_in_the_order_in_which_they_happened(tenant: Tenant, subscribe: Subscribe) -> None:
    heard: list[int] = []
    subscribe("one", lambda fact: heard.append(fact.subject_id))
    for number in range(5):
        happen(tenant, number)
    dispatch.dispatch(tenant_id=tenant.pk)
    assert heard == [0, 1, 2, 3, 4]


def test_a_fact_that_nobody_waits_for_is_over_at_once(tenant: Tenant) -> None:
    happen(tenant, kind="test.unheard")
    dispatch.dispatch(tenant_id=tenant.pk)
    assert pending(tenant) == 0


def test_a_failing_subscriber_is_tried_again_later_and_blocks_nobody(
    tenant: Tenant, subscribe: Subscribe
) -> None:
    heard: list[int] = []
    broken = True

    def fragile(fact: Fact) -> None:
        if broken:
            raise RuntimeError("out of order")
        heard.append(-fact.subject_id)

    subscribe("fragile", fragile)
    subscribe("sound", lambda fact: heard.append(fact.subject_id))
    happen(tenant, 1)
    happen(tenant, 2)
    dispatch.dispatch(tenant_id=tenant.pk)
    assert heard == [1, 2]
    assert pending(tenant) == 2
    with tenant_scope(tenant.pk):
        waiting = list(FactDelivery.objects.filter(tenant=tenant, subscriber="fragile"))
    assert [(one.attempts, one.last_error, one.done_at) for one in waiting] == [
        (1, "RuntimeError: out of order", None)
    ] * 2
    assert all(one.next_attempt_at > timezone.now() for one in waiting)
    broken = False
    dispatch.dispatch(tenant_id=tenant.pk)  # not due yet
    assert heard == [1, 2]
    make_due(tenant)
    dispatch.dispatch(tenant_id=tenant.pk)
    assert sorted(heard) == [-2, -1, 1, 2]
    assert pending(tenant) == 0


def test_the_delay_grows_up_to_an_hour() -> None:
    now = datetime(2026, 3, 2, tzinfo=UTC)
    delays = [dispatch.next_attempt(attempts, now) - now for attempts in (1, 2, 3, 11, 12, 30_000)]
    seconds, hour = timedelta(seconds=1), timedelta(hours=1)
    assert delays == [2 * seconds, 4 * seconds, 8 * seconds, 2048 * seconds, hour, hour]


def test_what_a_failed_subscriber_wrote_is_undone(tenant: Tenant, subscribe: Subscribe) -> None:
    def half(fact: Fact) -> None:
        Site.objects.create(tenant_id=fact.tenant_id, name="Half made")
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 / 0")

    subscribe("half", half)
    happen(tenant)
    dispatch.dispatch(tenant_id=tenant.pk)
    assert "division by zero" in delivery(tenant, "half").last_error
    with tenant_scope(tenant.pk):
        assert not Site.objects.filter(tenant=tenant).exists()


def test_what_a_subscriber_writes_is_stored_with_its_mark(tenant: Tenant, subscribe: Subscribe) -> None:
    subscribe("writer", lambda fact: Site.objects.create(tenant_id=fact.tenant_id, name="Made once") and None)
    happen(tenant)
    for _ in range(3):
        dispatch.dispatch(tenant_id=tenant.pk)
    with tenant_scope(tenant.pk):
        assert Site.objects.filter(tenant=tenant).count() == 1


def test_a_subscriber_that_was_removed_is_not_waited_for(tenant: Tenant, subscribe: Subscribe) -> None:
    subscribe("gone", lambda fact: None)
    happen(tenant)
    dispatch.spread(tenant_id=tenant.pk)
    del facts._subscribers["gone"]
    dispatch.dispatch(tenant_id=tenant.pk)
    assert pending(tenant) == 0


def test_several_workers_at_once_deliver_each_fact_once(tenant: Tenant, subscribe: Subscribe) -> None:
    heard: list[int] = []
    subscribe("one", lambda fact: heard.append(fact.subject_id))
    for number in range(30):
        happen(tenant, number)
    gate = threading.Barrier(4)

    def work(_number: int) -> None:
        try:
            gate.wait()
            dispatch.dispatch(tenant_id=tenant.pk)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    dispatch.dispatch(tenant_id=tenant.pk)
    assert sorted(heard) == list(range(30))
    assert pending(tenant) == 0


def test_one_company_s_trouble_stops_no_other_s(
    tenant: Tenant, other_tenant: Tenant, subscribe: Subscribe
) -> None:
    heard: list[int] = []

    def listen(fact: Fact) -> None:
        if fact.tenant_id == tenant.pk:
            raise RuntimeError("out of order")
        heard.append(fact.tenant_id)

    subscribe("one", listen)
    happen(tenant)
    happen(other_tenant)
    tasks.dispatch_facts()
    assert heard == [other_tenant.pk]
    assert tenant.pk in dispatch.tenants_waiting()
    assert other_tenant.pk not in dispatch.tenants_waiting()


def test_old_facts_and_answers_are_removed(tenant: Tenant) -> None:
    old, new, waiting = happen(tenant), happen(tenant), happen(tenant)
    long_ago = timezone.now() - timedelta(days=40)
    with tenant_scope(tenant.pk):
        Fact.objects.filter(tenant=tenant, pk=old.pk).update(dispatched_at=long_ago)
        Fact.objects.filter(tenant=tenant, pk=new.pk).update(dispatched_at=timezone.now())
        Fact.objects.filter(tenant=tenant, pk=waiting.pk).update(created_at=long_ago)
        for key in ("old", "new"):
            IdempotencyRecord.objects.create(tenant=tenant, caller="key:1", key=key, request_hash="")
        IdempotencyRecord.objects.filter(tenant=tenant, key="old").update(created_at=long_ago)
    tasks.purge()
    with tenant_scope(tenant.pk):
        assert set(Fact.objects.filter(tenant=tenant).values_list("pk", flat=True)) == {new.pk, waiting.pk}
        assert [row.key for row in IdempotencyRecord.objects.filter(tenant=tenant)] == ["new"]

"""A write repeated under the same key is done once and answered the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Event, Thread

import pytest
from django.db import connections
from django.utils import timezone

from tenants.context import tenant_scope
from tenants.errors import Conflict, Invalid
from tenants.models import IdempotencyRecord, Tenant
from tenants.services import idempotency
from tenants.services.idempotency import Answer, KeyReused

HASH = idempotency.request_hash("POST", "/api/v1/sites", b'{"name": "A"}')


def begin(tenant: Tenant, key: str = "k", request_hash: str = HASH, caller: str = "key:1") -> Answer | None:
    return idempotency.begin(tenant_id=tenant.pk, caller=caller, key=key, request_hash=request_hash)


def write(tenant: Tenant, key: str = "k", caller: str = "key:1") -> None:
    with tenant_scope(tenant.pk):
        assert begin(tenant, key, caller=caller) is None
        idempotency.finish(tenant_id=tenant.pk, caller=caller, key=key, status=201, body={"id": 5})


def test_a_repeat_gets_the_stored_answer(tenant: Tenant) -> None:
    write(tenant)
    with tenant_scope(tenant.pk):
        assert begin(tenant) == Answer(201, {"id": 5})


def test_another_request_under_the_same_key_is_refused(tenant: Tenant) -> None:
    write(tenant)
    for changed in (("PUT", "/api/v1/sites", b'{"name": "A"}'), ("POST", "/api/v1/sites", b'{"name": "B"}')):
        with pytest.raises(KeyReused) as error, tenant_scope(tenant.pk):
            begin(tenant, request_hash=idempotency.request_hash(*changed))
        assert error.value.status == 422


def test_callers_and_companies_have_keys_of_their_own(tenant: Tenant, other_tenant: Tenant) -> None:
    write(tenant)
    write(tenant, caller="key:2")
    write(other_tenant)


def test_a_write_that_was_rolled_back_can_be_tried_again(tenant: Tenant) -> None:
    with pytest.raises(RuntimeError), tenant_scope(tenant.pk):
        begin(tenant)
        raise RuntimeError("refused")
    write(tenant)


@contextmanager
def first_under_way(tenant: Tenant) -> Iterator[None]:
    """Another process is in the middle of the first request."""
    begun, end = Event(), Event()

    def work() -> None:
        try:
            with tenant_scope(tenant.pk):
                begin(tenant)
                begun.set()
                end.wait(30)
        finally:
            begun.set()
            connections.close_all()

    thread = Thread(target=work)
    thread.start()
    begun.wait(30)
    try:
        yield
    finally:
        end.set()
        thread.join()


def test_a_repeat_while_the_first_is_under_way_conflicts_at_once(tenant: Tenant) -> None:
    with first_under_way(tenant), pytest.raises(Conflict) as error, tenant_scope(tenant.pk):
        begin(tenant)
    assert (error.value.status, error.value.code) == (409, "idempotency_under_way")


def test_a_request_that_ended_without_an_answer_is_not_done_again(tenant: Tenant) -> None:
    """Its own transactions were committed, then the process died: nobody knows what became of it."""
    with tenant_scope(tenant.pk):
        begin(tenant)
    with pytest.raises(Conflict), tenant_scope(tenant.pk):
        begin(tenant)
    with tenant_scope(tenant.pk):
        idempotency.forget(tenant_id=tenant.pk, caller="key:1", key="k")
    write(tenant)


def test_a_key_is_free_again_after_a_day(tenant: Tenant) -> None:
    write(tenant)
    with tenant_scope(tenant.pk):
        long_ago = timezone.now() - timedelta(hours=25)
        IdempotencyRecord.objects.filter(tenant=tenant).update(created_at=long_ago)
    write(tenant)


@pytest.mark.parametrize("key", ["", "x" * 256, "a\0b"])
def test_an_unusable_key_is_refused(tenant: Tenant, key: str) -> None:
    with pytest.raises(Invalid), tenant_scope(tenant.pk):
        begin(tenant, key)

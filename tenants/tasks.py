"""Sweeps. Rows are the list of work: each task is safe to run twice, and at the same time."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

from celery import shared_task
from django.db import connections

from tenants.context import tenant_scope
from tenants.models import Tenant
from tenants.services import dispatch, idempotency, webhooks
from tenants.services.locks import only_one

log = logging.getLogger(__name__)

_RECEIVERS_AT_ONCE = 8  # tenants whose receivers are asked at the same time


@shared_task
def dispatch_facts() -> None:
    """Bring new facts to their subscribers. One tenant's trouble stops no other's."""
    for tenant_id in dispatch.tenants_waiting():
        try:
            dispatch.dispatch(tenant_id=tenant_id)
        except Exception:
            log.exception("facts of tenant %s could not be dispatched", tenant_id)


@shared_task
def deliver_webhooks() -> None:
    """Send facts to the tenants' own systems. Only one at a time, so that slow receivers bind one worker at most."""
    with only_one("deliver webhooks") as alone:
        if alone:
            with ThreadPoolExecutor(_RECEIVERS_AT_ONCE) as pool:
                list(pool.map(_deliver, dispatch.tenants_waiting()))


def _deliver(tenant_id: int) -> None:
    try:
        if webhooks.deliver_due(tenant_id=tenant_id, at_most=20):
            dispatch.settle(tenant_id=tenant_id)
    except Exception:
        log.exception("webhooks of tenant %s could not be served", tenant_id)
    finally:
        connections.close_all()


@shared_task
def purge() -> None:
    """Remove what has had its time: answers kept for repeats, facts that reached everybody."""
    for tenant_id in Tenant.objects.values_list("pk", flat=True):
        with tenant_scope(tenant_id):
            idempotency.purge(tenant_id=tenant_id)
        while dispatch.purge(tenant_id=tenant_id, at_most=5000) == 5000:
            pass

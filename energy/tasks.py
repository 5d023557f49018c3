"""Sweeps of load management. Safe to run twice, and at the same time."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from energy.models import SiteMeter
from energy.services import leftovers, meters, whatif
from tenants.context import tenant_scope
from tenants.models import Tenant
from tenants.services.locks import only_one

log = logging.getLogger("voltyard.sweeps")


@shared_task
def trim_samples() -> int:
    """Single readings past METER_SAMPLE_DAYS go, each batch in a transaction of its own."""
    before, gone = timezone.now() - timedelta(days=settings.METER_SAMPLE_DAYS), 0
    for tenant_id in Tenant.objects.order_by("id").values_list("id", flat=True):
        try:
            gone += _trim(tenant_id, before)
        except Exception:
            log.exception("sweep failed", extra={"sweep": "samples", "tenant": tenant_id})
    return gone


def _trim(tenant_id: int, before: datetime) -> int:
    with tenant_scope(tenant_id):
        ids = list(SiteMeter.objects.filter(tenant_id=tenant_id).values_list("pk", flat=True))
    gone = 0
    for meter_id in ids:
        went = meters.TRIMMED_AT_ONCE
        while went == meters.TRIMMED_AT_ONCE:
            with tenant_scope(tenant_id):
                went = meters.trim(
                    tenant_id=tenant_id, meter_id=meter_id, before=before, most=meters.TRIMMED_AT_ONCE
                )
            gone += went
    return gone


@shared_task
def run_what_ifs() -> int:
    """Past times of sites are replayed, by one worker alone: they take seconds, and others do what is urgent."""
    with only_one("what ifs") as alone:
        numbers = Tenant.objects.order_by("id").values_list("id", flat=True) if alone else ()
        return sum(_replay(tenant_id) for tenant_id in numbers)


def _replay(tenant_id: int) -> int:
    try:
        return whatif.run_due(tenant_id=tenant_id)
    except Exception:
        log.exception("sweep failed", extra={"sweep": "what-if", "tenant": tenant_id})
        return 0


@shared_task
def take_back_profiles() -> int:
    """Where load management was switched off, or a connector was taken out of its tree."""
    return _sweep("profiles", leftovers.take_back)


@shared_task
def learn_nights() -> int:
    """Which way the clamps of meters look."""
    return _sweep("nights", meters.learn_nights)


@shared_task
def trim_orders() -> int:
    return _sweep("orders", leftovers.trim)


def _sweep(name: str, verb: Callable[..., int]) -> int:
    done = 0
    for tenant_id in Tenant.objects.order_by("id").values_list("id", flat=True):
        try:
            with tenant_scope(tenant_id):
                done += verb(tenant_id=tenant_id)
        except Exception:
            log.exception("sweep failed", extra={"sweep": name, "tenant": tenant_id})
    return done

"""Sweeps over rows that wait. Each loops over tenants, is safe to run twice and at the same time."""

from __future__ import annotations

import logging
from collections.abc import Callable

import psycopg
from celery import shared_task
from django.conf import settings
from django.db import OperationalError, connection
from django.utils import timezone

from stations.services import (
    alerts,
    commands,
    configuration,
    connections,
    costs,
    customers,
    der,
    desired,
    displays,
    escalation,
    guardian,
    local_lists,
    passwords,
    profiles,
    rating,
    reports,
    reservations,
    rollouts,
    security_profiles,
    settlements,
    signing,
    station_tariffs,
    uptime,
    uptime_reports,
    watch,
    web_payments,
)
from stations.services.files import campaigns, logs, publications, store, tickets
from stations.services.pnc import vehicles
from tenants.context import tenant_scope
from tenants.models import Tenant
from tenants.services.locks import only_one

log = logging.getLogger("voltyard.sweeps")


def _for_each_tenant(what: str, sweep: Callable[[int], int]) -> int:
    """Tenant by tenant in a transaction of its own: the trouble of one is not the next one's."""
    done = 0
    for tenant_id in Tenant.objects.order_by("id").values_list("id", flat=True):
        try:
            with tenant_scope(tenant_id):
                done += sweep(tenant_id)
        except Exception:
            log.exception("sweep failed", extra={"sweep": what, "tenant": tenant_id})
    return done


@shared_task
def rate_ended() -> int:
    """Give sessions that have ended their price."""
    return _for_each_tenant("rate", lambda tenant_id: rating.rate_ended(tenant_id=tenant_id))


@shared_task
def guard_sessions() -> int:
    """Close sessions that never end by themselves."""
    now = timezone.now()
    return _for_each_tenant("guard", lambda tenant_id: guardian.sweep(tenant_id=tenant_id, now=now))


@shared_task
def forget_vehicles() -> int:
    """Cars that were seen and never linked go after 30 days."""
    now = timezone.now()
    return _for_each_tenant("vehicles", lambda tenant_id: vehicles.forget(tenant_id=tenant_id, now=now))


@shared_task
def expire_commands() -> int:
    """Commands that were not delivered in time, or whose gateway died, come to their end."""
    return _for_each_tenant("expire", lambda tenant_id: commands.expire(tenant_id=tenant_id))


@shared_task
def end_profiles() -> int:
    """Charging profiles and grid controls whose time or session is over come to their end."""
    now = timezone.now()

    def sweep(tenant_id: int) -> int:
        return profiles.sweep(tenant_id=tenant_id) + der.sweep(tenant_id=tenant_id, now=now)

    return _for_each_tenant("profiles", sweep)


@shared_task
def sync_lists() -> int:
    """Local authorisation lists come in step with the tokens."""
    now = timezone.now()
    return _for_each_tenant("lists", lambda tenant_id: local_lists.sweep(tenant_id=tenant_id, now=now))


@shared_task
def keep_reservations() -> int:
    """Stations are asked for reservations that begin; those that are over end."""
    now = timezone.now()
    return _for_each_tenant(
        "reservations", lambda tenant_id: reservations.sweep(tenant_id=tenant_id, now=now)
    )


@shared_task
def take_offline_orphans() -> int:
    """Stations whose gateway has fallen silent are offline."""
    return _for_each_tenant(
        "offline", lambda tenant_id: connections.take_offline_orphans(tenant_id=tenant_id)
    )


@shared_task
def advance_security() -> int:
    """Changes of profiles and passwords whose time is up, and rollouts of roots, go on."""

    def sweep(tenant_id: int) -> int:
        return (
            security_profiles.sweep(tenant_id=tenant_id)
            + passwords.settle(tenant_id=tenant_id)
            + rollouts.sweep(tenant_id=tenant_id)
        )

    return _for_each_tenant("security", sweep)


@shared_task
def renew_certificates() -> int:
    """Stations are asked for a new certificate before theirs ends."""
    return _for_each_tenant("renewal", lambda tenant_id: signing.renew_due(tenant_id=tenant_id))


@shared_task
def follow_configuration() -> int:
    """What was asked of settings comes to its end; stations are compared with their templates."""
    now = timezone.now()

    def sweep(tenant_id: int) -> int:
        done = configuration.sweep(tenant_id=tenant_id, now=now)
        done += reports.sweep(tenant_id=tenant_id, now=now)
        done += customers.sweep(tenant_id=tenant_id, now=now)
        return done + desired.sweep(tenant_id=tenant_id, now=now)

    return _for_each_tenant("configuration", sweep)


@shared_task
def apply_templates() -> int:
    """Go on asking the stations of the runs that are under way."""
    return _for_each_tenant("templates", lambda tenant_id: desired.sweep_runs(tenant_id=tenant_id))


@shared_task
def trim_configuration() -> int:
    """History of settings, reports and alerts is bounded."""
    now = timezone.now()

    def purge(tenant_id: int) -> int:
        done = configuration.purge(tenant_id=tenant_id, now=now) + reports.purge(tenant_id=tenant_id, now=now)
        return done + alerts.purge(tenant_id=tenant_id)

    return _for_each_tenant("trim", purge)


@shared_task
def advance_firmware() -> int:
    """Updates and campaigns go on: orders, waves, ends."""
    return _for_each_tenant("firmware", lambda tenant_id: campaigns.advance(tenant_id=tenant_id))


@shared_task
def give_up_logs() -> int:
    """Logs that never came, and images that a local controller never published."""
    _for_each_tenant("publications", lambda tenant_id: publications.give_up(tenant_id=tenant_id))
    return _for_each_tenant("logs", lambda tenant_id: logs.give_up(tenant_id=tenant_id))


@shared_task
def drop_files() -> int:
    """Logs past LOG_RETENTION_DAYS, tickets that are no good, and what uploads left behind that broke off."""
    store.sweep_spool()
    _for_each_tenant("tickets", lambda tenant_id: tickets.purge(tenant_id=tenant_id))
    return _for_each_tenant("files", lambda tenant_id: logs.drop_old(tenant_id=tenant_id))


def _partitions(statement: str, *values: int) -> int:
    """What the function answers. 0 where writers held a table for too long: the next run tries again."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            return int(cursor.fetchone()[0] or 0)
    except OperationalError as error:
        if not isinstance(error.__cause__, psycopg.errors.LockNotAvailable):
            raise
        log.warning("partitions were busy", extra={"statement": statement})
        return 0


@shared_task
def watch_signals() -> int:
    """Signals become issues, issues are followed to their end."""
    now = timezone.now()
    return _for_each_tenant("watch", lambda tenant_id: watch.sweep(tenant_id=tenant_id, now=now))


@shared_task
def mail_escalations() -> int:
    """Tell by mail what has escalated. The mail server is waited for outside of any transaction, and by one worker
    alone: a slow one binds no more, and nobody is told twice."""
    sent = 0
    with only_one("mail escalations") as alone:
        for tenant_id in Tenant.objects.order_by("id").values_list("id", flat=True) if alone else ():
            try:
                sent += escalation.mail_due(tenant_id=tenant_id)
            except Exception:
                log.exception("mailing failed", extra={"tenant": tenant_id})
    return sent


@shared_task
def compute_uptime() -> int:
    """Months of ports are brought up to date."""
    now = timezone.now()
    return _for_each_tenant("uptime", lambda tenant_id: uptime.sweep(tenant_id=tenant_id, now=now))


@shared_task
def report_uptime() -> int:
    """The monthly reports, once a month's figures are final."""
    now = timezone.now()
    return _for_each_tenant("reports", lambda tenant_id: uptime_reports.monthly(tenant_id=tenant_id, now=now))


@shared_task
def ensure_partitions() -> None:
    """Tomorrow's frames and next month's readings have a place."""
    _partitions("SELECT stations_ensure_partitions()")


@shared_task
def drop_frames() -> int:
    """Frames older than FRAME_RETENTION_DAYS go, a day's partition at a time, once all frames are applied."""
    return _partitions("SELECT stations_drop_frames(%s)", settings.FRAME_RETENTION_DAYS)


@shared_task
def tell_costs() -> int:
    """The running cost goes to stations that show it; sessions that have used up their credit end."""
    now = timezone.now()
    return _for_each_tenant("costs", lambda tenant_id: costs.sweep(tenant_id=tenant_id, now=now))


@shared_task
def tend_payments() -> int:
    """Payments at stations are brought on, and held against prices."""
    now = timezone.now()

    def sweep(tenant_id: int) -> int:
        brought = web_payments.sweep(tenant_id=tenant_id, now=now)
        return brought + settlements.compare(tenant_id=tenant_id, now=now)

    return _for_each_tenant("payments", sweep)


@shared_task
def sync_tariffs() -> int:
    """Stations that keep tariffs have those that count there now."""
    now = timezone.now()
    return _for_each_tenant("tariffs", lambda tenant_id: station_tariffs.sync(tenant_id=tenant_id, now=now))


@shared_task
def expire_displays() -> int:
    """Messages whose time is over are no longer on the display."""
    now = timezone.now()
    return _for_each_tenant("displays", lambda tenant_id: displays.expire(tenant_id=tenant_id, now=now))

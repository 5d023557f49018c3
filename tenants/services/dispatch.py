"""Brings facts to their subscribers: at least once, each on its own, again until it worked.

A fact first becomes a row of FactDelivery per subscriber; those rows are the list of work. A subscriber runs in the
transaction that marks its delivery done, so what it writes is written once. Any number of workers may dispatch at once.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db import connections, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from tenants.context import current_alias, tenant_scope
from tenants.models import Fact, FactDelivery, Webhook
from tenants.services import facts

log = logging.getLogger(__name__)

WEBHOOK = "webhook:"  # subscriber names of rows of Webhook; delivered by tenants.services.webhooks
FACTS_KEPT_FOR = timedelta(days=30)
_AT_ONCE = 500
_FIRST_DELAY = timedelta(seconds=2)
_LONGEST_DELAY = timedelta(hours=1)
_ERROR_LENGTH = 2000


def tenants_waiting() -> list[int]:
    """Tenants with facts that have not reached all subscribers. Works outside any tenant."""
    with connections[current_alias()].cursor() as cursor:
        cursor.execute("SELECT tenant_id FROM tenants_with_waiting_facts()")
        return [row[0] for row in cursor.fetchall()]


def dispatch(*, tenant_id: int, at_most: int = 1000) -> int:
    """Fan new facts out and run the deliveries that are due. Returns how many were tried."""
    while spread(tenant_id=tenant_id) == _AT_ONCE:
        pass
    done = 0
    while done < at_most and _next(tenant_id):
        done += 1
    settle(tenant_id=tenant_id)
    return done


def spread(*, tenant_id: int) -> int:
    """Write the deliveries of facts that have none yet. Returns how many facts were looked at."""
    with tenant_scope(tenant_id):
        seen = FactDelivery.objects.filter(tenant_id=tenant_id, fact=OuterRef("pk"))
        new = Fact.objects.filter(~Exists(seen), tenant_id=tenant_id, dispatched_at=None)
        found = list(new.order_by("pk").select_for_update(skip_locked=True)[:_AT_ONCE])
        if not found:
            return 0
        hooks = list(Webhook.objects.filter(tenant_id=tenant_id, active=True))
        rows = [
            FactDelivery(tenant_id=tenant_id, fact=fact, subscriber=name)
            for fact in found
            for name in _subscribers(fact, hooks)
        ]
        FactDelivery.objects.bulk_create(rows, ignore_conflicts=True, batch_size=1000)
        heard = {row.fact_id for row in rows}
        unheard = [fact.pk for fact in found if fact.pk not in heard]
        Fact.objects.filter(tenant_id=tenant_id, pk__in=unheard).update(dispatched_at=timezone.now())
        return len(found)


def _subscribers(fact: Fact, hooks: list[Webhook]) -> Iterator[str]:
    yield from facts.subscribers_of(fact.kind)
    for hook in hooks:
        if not hook.kinds or fact.kind in hook.kinds:
            yield f"{WEBHOOK}{hook.pk}"


def settle(*, tenant_id: int) -> None:
    """Mark the facts that have reached all their subscribers."""
    with tenant_scope(tenant_id):
        all_of_it = FactDelivery.objects.filter(tenant_id=tenant_id, fact=OuterRef("pk"))
        waiting = Fact.objects.filter(tenant_id=tenant_id, dispatched_at=None)
        over = waiting.filter(Exists(all_of_it), ~Exists(all_of_it.filter(done_at=None)))
        over.update(dispatched_at=timezone.now())


def _next(tenant_id: int) -> bool:
    """Run one delivery that is due, in a transaction of its own. False: none is."""
    with tenant_scope(tenant_id):
        due = FactDelivery.objects.filter(
            tenant_id=tenant_id, done_at=None, next_attempt_at__lte=timezone.now()
        )
        due = due.exclude(subscriber__startswith=WEBHOOK).select_related("fact")
        delivery = (
            due.order_by("next_attempt_at", "pk").select_for_update(skip_locked=True, of=("self",)).first()
        )
        if delivery is None:
            return False
        _run(delivery)
        return True


def _run(delivery: FactDelivery) -> None:
    handler = facts.subscribers_of(delivery.fact.kind).get(delivery.subscriber)
    delivery.attempts = min(delivery.attempts + 1, 30_000)
    try:
        if handler is not None:  # else the subscriber is gone from the table: nobody waits for this any more
            with transaction.atomic(using=current_alias()):
                handler(delivery.fact)
        delivery.done_at, delivery.last_error = timezone.now(), ""
    except Exception as error:
        log.exception("subscriber %s failed at fact %s", delivery.subscriber, delivery.fact_id)
        delivery.last_error = f"{type(error).__name__}: {error}"[:_ERROR_LENGTH].replace("\0", "")
        delivery.next_attempt_at = next_attempt(delivery.attempts)
    delivery.save(update_fields=["attempts", "done_at", "last_error", "next_attempt_at"])


def next_attempt(attempts: int, now: datetime | None = None) -> datetime:
    """2 s after the first failure, then twice as long each time, at most an hour."""
    delay: timedelta = min(_FIRST_DELAY * (1 << min(attempts - 1, 20)), _LONGEST_DELAY)
    return (now or timezone.now()) + delay


def purge(*, tenant_id: int, at_most: int = 5000) -> int:
    """Remove facts that reached everybody long ago, with their deliveries. Returns how many went."""
    with tenant_scope(tenant_id):
        old = Fact.objects.filter(tenant_id=tenant_id, dispatched_at__lt=timezone.now() - FACTS_KEPT_FOR)
        numbers = list(old.order_by("pk").values_list("pk", flat=True)[:at_most])
        FactDelivery.objects.filter(tenant_id=tenant_id, fact_id__in=numbers).delete()
        Fact.objects.filter(tenant_id=tenant_id, pk__in=numbers).delete()
        return len(numbers)

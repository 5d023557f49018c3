"""Webhooks: facts sent to the tenant's own systems, signed, again until they were taken."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from tenants import secrets
from tenants.context import tenant_scope
from tenants.errors import Conflict, Invalid
from tenants.models import Fact, FactDelivery, Tenant, Webhook
from tenants.permissions import Actor, Permission
from tenants.services import audit, facts, outbound
from tenants.services.dispatch import WEBHOOK, next_attempt

log = logging.getLogger(__name__)

SIGNATURE = "Voltyard-Signature"
ATTEMPTS = 18  # over about seven hours
_LEASE = timedelta(minutes=2)
_MOST_KINDS = 50


def create_webhook(
    *, tenant_id: int, actor: Actor, url: str, kinds: Iterable[str] = ()
) -> tuple[Webhook, str]:
    """A new webhook and its secret, with which the receiver checks signatures. No kinds: all facts."""
    actor.require(Permission.KEY_EDIT)
    secret = secrets.new_secret(40)
    hook = Webhook.objects.create(
        tenant_id=tenant_id, url=_checked_url(url), kinds=_checked_kinds(kinds), secret=secret
    )
    audit.record(
        tenant_id=tenant_id, actor=actor, action="webhook.create", subject=hook, detail={"url": hook.url}
    )
    return hook, secret


def update_webhook(
    *,
    hook: Webhook,
    actor: Actor,
    url: str | None = None,
    kinds: Iterable[str] | None = None,
    active: bool | None = None,
) -> Webhook:
    """Change what is given. Switched on again, it gets what happens from now on."""
    actor.require(Permission.KEY_EDIT)
    before = {"url": hook.url, "kinds": hook.kinds, "active": hook.active}
    if url is not None:
        hook.url = _checked_url(url)
    if kinds is not None:
        hook.kinds = _checked_kinds(kinds)
    if active is not None:
        hook.active, hook.disabled_reason = active, ""
    changed = audit.changes(before, {"url": hook.url, "kinds": hook.kinds, "active": hook.active})
    if changed:
        hook.save(update_fields=["url", "kinds", "active", "disabled_reason"])
        audit.record(
            tenant_id=hook.tenant_id,
            actor=actor,
            action="webhook.edit",
            subject=hook,
            detail={"changed": changed},
        )
    return hook


def renew_secret(*, hook: Webhook, actor: Actor) -> str:
    """A new secret, shown once; the old one signs nothing from now on."""
    actor.require(Permission.KEY_EDIT)
    hook.secret = secrets.new_secret(40)
    hook.save(update_fields=["secret"])
    audit.record(tenant_id=hook.tenant_id, actor=actor, action="webhook.secret", subject=hook)
    return hook.secret


def try_out(*, hook: Webhook, actor: Actor) -> FactDelivery:
    """Send a fact of kind `webhook.test` to this webhook alone. Conflict for one that is switched off."""
    actor.require(Permission.KEY_EDIT)
    if not hook.active:
        raise Conflict("The webhook is switched off. Switch it on first.")
    fact = facts.publish(
        tenant_id=hook.tenant_id, kind="webhook.test", subject_type="webhook", subject_id=hook.pk,
        payload={"asked_by": actor.label},
    )  # fmt: skip
    # With a delivery of its own from the start it is spread to nobody else.
    return FactDelivery.objects.create(tenant_id=hook.tenant_id, fact=fact, subscriber=f"{WEBHOOK}{hook.pk}")


def deliveries(*, hook: Webhook) -> QuerySet[FactDelivery]:
    """What was sent to this webhook, or waits for it, newest first."""
    return (
        FactDelivery.objects.filter(tenant_id=hook.tenant_id, subscriber=f"{WEBHOOK}{hook.pk}")
        .select_related("fact")
        .order_by("-pk")
    )


def repeat(*, hook: Webhook, delivery: FactDelivery, actor: Actor) -> FactDelivery:
    """Send a fact once more, at once. Conflict for a webhook that is switched off."""
    actor.require(Permission.KEY_EDIT)
    if not hook.active:
        raise Conflict("The webhook is switched off. Switch it on first.")
    delivery.done_at, delivery.attempts, delivery.next_attempt_at = None, 0, timezone.now()
    delivery.save(update_fields=["done_at", "attempts", "next_attempt_at"])
    audit.record(
        tenant_id=hook.tenant_id, actor=actor, action="webhook.repeat", subject=hook,
        detail={"delivery": delivery.pk, "fact": delivery.fact_id},
    )  # fmt: skip
    return delivery


def delete_webhook(*, hook: Webhook, actor: Actor) -> None:
    actor.require(Permission.KEY_EDIT)
    audit.record(tenant_id=hook.tenant_id, actor=actor, action="webhook.delete", subject=hook)
    hook.delete()


def signature(secret: str, at: int, body: bytes) -> str:
    """`t=<epoch s>,v1=<HMAC-SHA256 of "<t>.<body>", hex>`: the time is signed too, against replays."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


def deliver_due(*, tenant_id: int, at_most: int = 50) -> int:
    """Send what is due to the tenant's webhooks. Returns how many were tried. Opens its own short transactions."""
    tried = 0
    while tried < at_most:
        claimed = _claim(tenant_id)
        if claimed is None:
            break
        tried += 1
        _settle(claimed, _send(claimed))
    return tried


@dataclass(frozen=True, slots=True)
class _Claimed:
    delivery_id: int
    tenant_id: int
    subscriber: str
    attempts: int
    url: str
    secret: str
    body: bytes


def _claim(tenant_id: int) -> _Claimed | None:
    """Take one due delivery for a while: no transaction stays open while a stranger's server thinks."""
    with tenant_scope(tenant_id):
        now = timezone.now()
        due = FactDelivery.objects.filter(
            tenant_id=tenant_id, done_at=None, next_attempt_at__lte=now, subscriber__startswith=WEBHOOK
        )
        rows = due.select_related("fact").order_by("next_attempt_at", "pk")
        delivery = rows.select_for_update(skip_locked=True, of=("self",)).first()
        if delivery is None:
            return None
        number = delivery.subscriber.removeprefix(WEBHOOK)
        hook = Webhook.objects.filter(tenant_id=tenant_id, pk=number, active=True).first()
        if hook is None:  # removed or switched off since
            delivery.done_at, delivery.last_error = now, "The webhook is gone or switched off."
            delivery.save(update_fields=["done_at", "last_error"])
            return _claim(tenant_id)
        delivery.attempts += 1
        delivery.next_attempt_at = now + _LEASE
        delivery.save(update_fields=["attempts", "next_attempt_at"])
        return _Claimed(
            delivery.pk,
            tenant_id,
            delivery.subscriber,
            delivery.attempts,
            hook.url,
            hook.secret,
            _body(delivery.fact),
        )


def _body(fact: Fact) -> bytes:
    slug = Tenant.objects.values_list("slug", flat=True).get(pk=fact.tenant_id)
    told: dict[str, Any] = {
        "id": fact.pk,
        "kind": fact.kind,
        "created_at": fact.created_at.isoformat(),
        "tenant": slug,
        "subject": {"type": fact.subject_type, "id": fact.subject_id},
        "data": fact.payload,
    }
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def _send(claimed: _Claimed) -> str:
    """What went wrong; empty: the receiver has taken it."""
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Voltyard",
        "Voltyard-Delivery": str(claimed.delivery_id),
        SIGNATURE: signature(claimed.secret, int(timezone.now().timestamp()), claimed.body),
    }
    try:
        status = outbound.post(claimed.url, claimed.body, headers)
    except outbound.Refused as refused:
        return str(refused)
    except OSError as error:
        return f"No answer: {error or type(error).__name__}."
    return "" if 200 <= status < 300 else f"The receiver answered {status}."


def _settle(claimed: _Claimed, problem: str) -> None:
    now = timezone.now()
    with tenant_scope(claimed.tenant_id):
        rows = FactDelivery.objects.filter(tenant_id=claimed.tenant_id, done_at=None)
        own = rows.filter(pk=claimed.delivery_id)
        if not problem:
            own.update(done_at=now, last_error="")
        elif claimed.attempts >= ATTEMPTS:
            own.update(done_at=now, last_error=problem)
            _switch_off(claimed, problem)
        else:
            later = next_attempt(claimed.attempts, now)
            own.update(next_attempt_at=later, last_error=problem)
            # A receiver that is down is asked once in a while, not once for each fact that waits for it.
            rows.filter(subscriber=claimed.subscriber, next_attempt_at__lt=later).update(
                next_attempt_at=later
            )


def _switch_off(claimed: _Claimed, problem: str) -> None:
    number = claimed.subscriber.removeprefix(WEBHOOK)
    hooks = Webhook.objects.filter(tenant_id=claimed.tenant_id, pk=number)
    hooks.update(active=False, disabled_reason=f"Failed {ATTEMPTS} times. {problem}"[:200])
    log.warning("webhook %s of tenant %s is switched off: %s", number, claimed.tenant_id, problem)


def _checked_url(url: str) -> str:
    url = url.strip()
    try:
        if len(url) > 400:
            raise outbound.Refused("Write an address of at most 400 characters.")
        outbound.split(url)
    except outbound.Refused as refused:
        raise Invalid(fields={"url": str(refused)}) from None
    return url


def _checked_kinds(kinds: Iterable[str]) -> list[str]:
    wanted = list(dict.fromkeys(kinds))
    if len(wanted) > _MOST_KINDS or not all(isinstance(kind, str) and 0 < len(kind) <= 60 for kind in wanted):
        raise Invalid(fields={"kinds": "Name kinds of facts such as session.ended, or none for all."})
    return wanted

"""Idempotent writes: a request repeated under the same Idempotency-Key gets the first answer and does nothing again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import connections
from django.utils import timezone

from tenants.context import current_alias
from tenants.errors import Conflict, Invalid
from tenants.models import IdempotencyRecord

KEPT_FOR = timedelta(hours=24)
MAX_KEY = 255


class KeyReused(Conflict):
    """The key was used for another request: a mistake of the caller, not a matter of state."""

    code, title, status = "idempotency_key_reused", "This Idempotency-Key belongs to another request", 422


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Any


def request_hash(method: str, path: str, body: bytes) -> str:
    """What makes two requests the same."""
    head = f"{method.upper()} {path}\n".encode("utf-8", "surrogatepass")
    return hashlib.sha256(head + body).hexdigest()


def begin(*, tenant_id: int, caller: str, key: str, request_hash: str) -> Answer | None:
    """The answer stored under this key; None: go ahead, and call `finish` in the end.

    Inside the tenant's transaction. `caller` is "<kind>:<id>" of the actor. Conflict while the first request is under
    way, or where it ended without an answer (its outcome is then unknown: look at the object). KeyReused if the key was
    used for another request. If the transaction rolls back, the key is free again.
    """
    if not key or len(key) > MAX_KEY or "\0" in key:
        raise Invalid(fields={"Idempotency-Key": f"Write 1 to {MAX_KEY} characters."})
    with connections[current_alias()].cursor() as cursor:
        lock = int.from_bytes(
            hashlib.sha256(f"{tenant_id} {caller} {key}".encode()).digest()[:8], "big", signed=True
        )
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [lock])
        if not cursor.fetchone()[0]:
            raise _under_way()
    record, created = IdempotencyRecord.objects.get_or_create(
        tenant_id=tenant_id, caller=caller, key=key, defaults={"request_hash": request_hash}
    )
    if created:
        return None
    if record.created_at < timezone.now() - KEPT_FOR:
        record.delete()
        return begin(tenant_id=tenant_id, caller=caller, key=key, request_hash=request_hash)
    if record.request_hash != request_hash:
        raise KeyReused("This Idempotency-Key was used for another request. Use a new key.")
    if record.status is None:
        raise _under_way()
    return Answer(record.status, record.body)


def finish(*, tenant_id: int, caller: str, key: str, status: int, body: Any) -> None:
    """Keep the answer for repeats. In the transaction of the write, or right after it where that has its own."""
    IdempotencyRecord.objects.filter(tenant_id=tenant_id, caller=caller, key=key).update(
        status=status, body=body
    )


def forget(*, tenant_id: int, caller: str, key: str) -> None:
    """Free a key whose request did nothing (it was refused), where `begin` had a transaction of its own."""
    IdempotencyRecord.objects.filter(tenant_id=tenant_id, caller=caller, key=key, status=None).delete()


def purge(*, tenant_id: int) -> int:
    """Remove what is older than KEPT_FOR. Returns how many rows went."""
    old = IdempotencyRecord.objects.filter(tenant_id=tenant_id, created_at__lt=timezone.now() - KEPT_FOR)
    return old.delete()[0]


def _under_way() -> Conflict:
    return Conflict(
        "A request with this Idempotency-Key is under way or ended without an answer. Look at what became of it.",
        code="idempotency_under_way",
    )

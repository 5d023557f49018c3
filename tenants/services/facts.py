"""The outbox: lower layers say what happened, upper layers subscribe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tenants import rows
from tenants.models import Fact

Handler = Callable[[Fact], None]
_subscribers: dict[str, tuple[frozenset[str], Handler]] = {}


def publish(
    *, tenant_id: int, kind: str, subject_type: str, subject_id: int, payload: dict[str, Any]
) -> Fact:
    """Store a fact in the caller's transaction; subscribers hear of it after the commit, at least once."""
    return Fact.objects.create(
        tenant_id=tenant_id, kind=kind, subject_type=subject_type, subject_id=subject_id, payload=payload
    )


_PUBLISH = """
INSERT INTO tenants_fact (tenant_id, kind, subject_type, subject_id, payload, created_at)
SELECT %(tenant)s, r->>0, r->>1, (r->>2)::bigint, (r->3)::jsonb, now() FROM json_array_elements(%(rows)s::json) r
"""


def publish_many(*, tenant_id: int, facts: Sequence[tuple[str, str, int, dict[str, Any]]]) -> None:
    """Store many facts (kind, subject type, subject id, payload) in the caller's transaction, by one statement."""
    if not facts:
        return
    rows.send(_PUBLISH, tenant_id, facts)


def subscribe(name: str, kinds: set[str], handler: Handler) -> None:
    """Enter a subscriber. Called from the one table in `cpo.subscribers`, never at import of an app."""
    _subscribers[name] = (frozenset(kinds), handler)


def subscribers_of(kind: str) -> dict[str, Handler]:
    return {name: handler for name, (kinds, handler) in _subscribers.items() if kind in kinds or "*" in kinds}


def table() -> dict[str, frozenset[str]]:
    return {name: kinds for name, (kinds, _handler) in _subscribers.items()}

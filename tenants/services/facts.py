"""The outbox: lower layers say what happened, upper layers subscribe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tenants.models import Fact

Handler = Callable[[Fact], None]
_subscribers: dict[str, tuple[frozenset[str], Handler]] = {}


def publish(*, tenant_id: int, kind: str, subject_type: str, subject_id: int, payload: dict[str, Any]) -> Fact:
    """Store a fact in the caller's transaction; subscribers hear of it after the commit, at least once."""
    return Fact.objects.create(
        tenant_id=tenant_id, kind=kind, subject_type=subject_type, subject_id=subject_id, payload=payload
    )


def subscribe(name: str, kinds: set[str], handler: Handler) -> None:
    """Enter a subscriber. Called from the one table in `cpo.subscribers`, never at import of an app."""
    _subscribers[name] = (frozenset(kinds), handler)


def subscribers_of(kind: str) -> dict[str, Handler]:
    return {name: handler for name, (kinds, handler) in _subscribers.items() if kind in kinds or "*" in kinds}


def table() -> dict[str, frozenset[str]]:
    return {name: kinds for name, (kinds, _handler) in _subscribers.items()}

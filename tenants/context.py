"""Which tenant a transaction acts for, and through which database role a request speaks.

Row security reads `app.tenant`, which is set for one transaction and never for a session: a session-level
setting would leak to the next user of a pooled connection.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.db import connections, transaction

_alias: ContextVar[str] = ContextVar("database_alias", default="default")
_tenants: ContextVar[dict[str, int]] = ContextVar("tenants_by_alias", default={})  # noqa: B039 - never mutated


class TenantMismatch(RuntimeError):
    """A second tenant was entered inside the transaction of the first: a programming error."""


def current_alias() -> str:
    return _alias.get()


def current_tenant_id() -> int | None:
    return _tenants.get().get(current_alias())


@contextmanager
def as_platform() -> Iterator[None]:
    """Within this block queries run as the platform role, which sees every tenant. For staff tools, audited."""
    token = _alias.set("platform")
    try:
        yield
    finally:
        _alias.reset(token)


@contextmanager
def tenant_scope(tenant_id: int) -> Iterator[None]:
    """One transaction in which only this tenant's rows exist. Nests for the same tenant; TenantMismatch otherwise."""
    alias = current_alias()
    entered = _tenants.get()
    present = entered.get(alias)
    if present is not None and connections[alias].in_atomic_block:
        if present != tenant_id:
            raise TenantMismatch(f"transaction belongs to tenant {present}, not {tenant_id}")
        with transaction.atomic(using=alias):
            yield
        return
    if connections[alias].in_atomic_block:
        raise TenantMismatch("enter the tenant before the transaction begins, or its first part sees no rows")
    token = _tenants.set(entered | {alias: tenant_id})
    try:
        with transaction.atomic(using=alias):
            with connections[alias].cursor() as cursor:
                cursor.execute("SELECT set_config('app.tenant', %s, true)", [str(tenant_id)])
            yield
    finally:
        _tenants.reset(token)

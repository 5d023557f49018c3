from __future__ import annotations

from typing import Any

from django.db import models

from tenants.models import AuditRecord
from tenants.permissions import Actor


def record(
    *,
    tenant_id: int,
    actor: Actor,
    action: str,
    subject: models.Model | None = None,
    site_id: int | None = None,
    detail: dict[str, Any] | None = None,
) -> None:
    """Write who did what, in the caller's transaction. `detail` is JSON and carries no secrets."""
    AuditRecord.objects.create(
        tenant_id=tenant_id,
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_label=actor.label[:120],
        action=action,
        object_type=subject._meta.model_name or "" if subject is not None else "",
        object_id=str(subject.pk) if subject is not None else "",
        object_label=str(subject)[:160] if subject is not None else "",
        site_id=site_id,
        detail=detail or {},
    )


def changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, list[str]]:
    """{field: [before, after]} as text, for the fields that differ."""
    return {name: [str(before[name]), str(after[name])] for name in after if before.get(name) != after[name]}

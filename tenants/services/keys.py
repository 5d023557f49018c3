"""API keys: `vy_<prefix>_<secret>`. The secret is shown once and stored as a fingerprint."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from tenants import queries, secrets
from tenants.context import tenant_scope
from tenants.errors import Invalid
from tenants.models import ApiKey
from tenants.permissions import Actor, Permission
from tenants.services import audit

PURPOSE = "api key"


def create_key(
    *, tenant_id: int, actor: Actor, name: str, scopes: list[str], expires_at: datetime | None = None
) -> tuple[ApiKey, str]:
    """A new key and its text, which is not kept. Nobody can grant more than they may do themselves."""
    actor.require(Permission.KEY_EDIT)
    unknown = [scope for scope in scopes if scope not in Permission.values]
    if unknown or not scopes:
        raise Invalid(fields={"scopes": f"Choose from {', '.join(Permission.values)}."})
    beyond = [scope for scope in scopes if not actor.may(Permission(scope))]
    if beyond:
        raise Invalid(
            fields={"scopes": f"You cannot grant what you may not do yourself: {', '.join(beyond)}."}
        )
    prefix = secrets.new_secret(16).replace("_", "x").replace("-", "y")[:10]
    secret = secrets.new_secret(40)
    key = ApiKey.objects.create(
        tenant_id=tenant_id,
        name=name,
        prefix=prefix,
        key_hash=secrets.fingerprint(secret, purpose=PURPOSE),
        scopes=scopes,
        created_by_id=actor.user_id,
        expires_at=expires_at,
    )
    audit.record(
        tenant_id=tenant_id, actor=actor, action="key.create", subject=key, detail={"scopes": scopes}
    )
    return key, f"vy_{prefix}_{secret}"


def revoke_key(*, key: ApiKey, actor: Actor) -> None:
    actor.require(Permission.KEY_EDIT)
    if key.revoked_at is None:
        key.revoked_at = timezone.now()
        key.save(update_fields=["revoked_at"])
        audit.record(tenant_id=key.tenant_id, actor=actor, action="key.revoke", subject=key)


def authenticate(header: str) -> ApiKey | None:
    """The key named by an Authorization header (`Bearer vy_...`), or None. Constant time in the secret."""
    scheme, _space, text = header.partition(" ")
    parts = text.strip().split("_", 2)
    if scheme.lower() != "bearer" or len(parts) != 3 or parts[0] != "vy" or "\0" in text:
        return None
    found = queries.find_api_key(parts[1])
    stored = found[2] if found else "0" * 64
    if not secrets.matches(parts[2], stored, purpose=PURPOSE) or found is None:
        return None
    tenant_id, key_id, _stored = found
    with tenant_scope(tenant_id):
        key = ApiKey.objects.select_related("tenant").get(tenant_id=tenant_id, pk=key_id)
        now = timezone.now()
        if key.last_used_at is None or now - key.last_used_at > timedelta(minutes=1):
            key.last_used_at = now
            key.save(update_fields=["last_used_at"])
    return key

"""Reads of this app, tenant first."""

from __future__ import annotations

from django.db import connections
from django.db.models import QuerySet

from tenants.context import current_alias
from tenants.models import ApiKey, AuditRecord, Membership, MembershipSite, Site, Tenant
from tenants.permissions import SITE_SCOPED, Actor


def tenants_of(user_id: int) -> list[tuple[Tenant, str]]:
    """(tenant, role) of each active membership, by the tenant's name. Works outside any tenant."""
    with connections[current_alias()].cursor() as cursor:
        cursor.execute("SELECT tenant_id, role FROM tenants_memberships_of(%s)", [user_id])
        rows = cursor.fetchall()
    tenants = Tenant.objects.in_bulk([tenant_id for tenant_id, _role in rows])
    return [(tenants[tenant_id], role) for tenant_id, role in rows]


def tenant_by_slug(slug: str) -> Tenant | None:
    return Tenant.objects.filter(slug=slug, suspended=False).first()


def find_api_key(prefix: str) -> tuple[int, int, str] | None:
    """(tenant id, key id, fingerprint) of a usable key. Works outside any tenant."""
    with connections[current_alias()].cursor() as cursor:
        cursor.execute("SELECT tenant_id, id, key_hash FROM tenants_find_api_key(%s)", [prefix])
        row = cursor.fetchone()
    return (row[0], row[1], row[2]) if row else None


def membership(tenant_id: int, user_id: int) -> Membership | None:
    return (
        Membership.objects.select_related("user")
        .filter(tenant_id=tenant_id, user_id=user_id, active=True, user__is_active=True)
        .first()
    )


def site_scope(member: Membership) -> frozenset[int] | None:
    """Sites that a member is limited to; None for all."""
    listed = frozenset(
        MembershipSite.objects.filter(tenant_id=member.tenant_id, membership=member).values_list(
            "site_id", flat=True
        )
    )
    return listed if listed or member.role in SITE_SCOPED else None


def sites(tenant_id: int, actor: Actor) -> QuerySet[Site]:
    found = Site.objects.filter(tenant_id=tenant_id, archived_at=None)
    return found if actor.site_ids is None else found.filter(id__in=actor.site_ids)


def audit(tenant_id: int, actor: Actor) -> QuerySet[AuditRecord]:
    found = AuditRecord.objects.filter(tenant_id=tenant_id)
    return found if actor.site_ids is None else found.filter(site_id__in=actor.site_ids)


def api_keys(tenant_id: int) -> QuerySet[ApiKey]:
    return ApiKey.objects.filter(tenant_id=tenant_id)

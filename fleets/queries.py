"""Reads of this app, tenant first, narrowed to what the actor may see."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce

from fleets.models import Driver, Fleet, FleetScope, Token, TokenSite, Vehicle
from tenants.models import Membership
from tenants.permissions import FLEET_SCOPED, Actor


def fleets(tenant_id: int, actor: Actor) -> QuerySet[Fleet]:
    found = Fleet.objects.filter(tenant_id=tenant_id).order_by("name", "pk")
    if actor.driver_ids is not None:
        return found.filter(drivers__id__in=actor.driver_ids).distinct()
    return found if actor.fleet_ids is None else found.filter(id__in=actor.fleet_ids)


def drivers(tenant_id: int, actor: Actor) -> QuerySet[Driver]:
    found = Driver.objects.filter(tenant_id=tenant_id).select_related("fleet").order_by("name", "pk")
    if actor.driver_ids is not None:
        found = found.filter(id__in=actor.driver_ids)
    return found if actor.fleet_ids is None else found.filter(fleet_id__in=actor.fleet_ids)


def vehicles(tenant_id: int, actor: Actor) -> QuerySet[Vehicle]:
    found = Vehicle.objects.filter(tenant_id=tenant_id).select_related("fleet", "driver")
    found = found.order_by("plate", "pk")
    if actor.driver_ids is not None:
        found = found.filter(driver_id__in=actor.driver_ids)
    if actor.fleet_ids is None:
        return found
    return found.filter(Q(fleet_id__in=actor.fleet_ids) | Q(fleet=None, driver__fleet_id__in=actor.fleet_ids))


def tokens(tenant_id: int, actor: Actor) -> QuerySet[Token]:
    """Tokens with their driver and fleet. `of_fleet` is the token's own fleet, else its driver's."""
    found = Token.objects.filter(tenant_id=tenant_id).select_related("driver", "fleet")
    found = found.annotate(of_fleet=Coalesce("fleet_id", "driver__fleet_id"))
    found = found.order_by("visual_number", "uid")
    if actor.driver_ids is not None:
        found = found.filter(driver_id__in=actor.driver_ids)
    return found if actor.fleet_ids is None else found.filter(of_fleet__in=actor.fleet_ids)


def search_tokens(found: QuerySet[Token], text: str) -> QuerySet[Token]:
    """Tokens whose number, driver or fleet contains the text."""
    text = text.strip()
    if not text or "\0" in text:
        return found.none() if text else found
    return found.filter(
        Q(uid__icontains=text)
        | Q(visual_number__icontains=text)
        | Q(driver__name__icontains=text)
        | Q(driver__email__icontains=text)
        | Q(fleet__name__icontains=text)
    )


def token_by_uid(tenant_id: int, uid: str) -> Token | None:
    """A token by its normal UID (see fleets.uid)."""
    return Token.objects.filter(tenant_id=tenant_id, uid=uid).first() if uid else None


def listable(
    tenant_id: int, site_id: int, scope: str, group: str, now: datetime
) -> list[tuple[str, str, str, datetime | None, bool, str, str]]:
    """Tokens for the local list of a station at this site: (uid, kind, group, expires at, blocked, language, message).

    `scope`: "all" that are good there, those limited to some "site"s, or those of a "group". First those of the site,
    then the newest; blocked ones last.
    """
    limits = TokenSite.objects.filter(tenant_id=tenant_id, token_id=OuterRef("pk"))
    found = Token.objects.filter(
        Q(valid_from=None) | Q(valid_from__lte=now),
        Q(expires_at=None) | Q(expires_at__gt=now),
        tenant_id=tenant_id,
    ).annotate(
        here=Exists(limits.filter(site_id=site_id)), limited=Exists(limits), barred=F("driver__blocked")
    )
    found = found.filter(here=True) if scope == "site" else found.filter(Q(here=True) | Q(limited=False))
    if scope == "group":
        found = found.filter(group=group)
    rows = found.order_by("-here", "-pk").values_list(
        "uid", "kind", "group", "expires_at", "blocked", "barred", "language", "message"
    )
    listed = [(*row[:4], bool(row[4] or row[5]), *row[6:]) for row in rows]
    return sorted(listed, key=lambda row: row[4])


def scope_of(member: Membership) -> tuple[frozenset[int] | None, frozenset[int] | None]:
    """(fleet ids, driver ids) that a member is limited to; None for all."""
    if member.role == "driver":
        own = Driver.objects.filter(tenant_id=member.tenant_id, user_id=member.user_id)
        return None, frozenset(own.values_list("id", flat=True))
    rows = FleetScope.objects.filter(tenant_id=member.tenant_id, membership=member)
    listed = frozenset(rows.values_list("fleet_id", flat=True))
    return (listed if listed or member.role in FLEET_SCOPED else None), None

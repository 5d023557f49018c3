"""What an actor may see of certificates, requests, changes and events: those of the stations at their sites."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db.models import Count, Model, QuerySet

from stations import visible
from stations.models import (
    CHANGE_OPEN,
    PasswordChange,
    ProfileChange,
    SecurityEvent,
    SigningRequest,
    StationCertificate,
)
from tenants.permissions import Actor

Row = TypeVar("Row", bound=Model)


def _of_stations(model: type[Row], tenant_id: int, actor: Actor) -> QuerySet[Row]:
    rows: QuerySet[Row] = model._default_manager.filter(tenant_id=tenant_id).select_related("station")
    return rows if actor.site_ids is None else rows.filter(station__site_id__in=actor.site_ids)


def certificates(tenant_id: int, actor: Actor) -> QuerySet[StationCertificate]:
    return _of_stations(StationCertificate, tenant_id, actor)


def requests(tenant_id: int, actor: Actor) -> QuerySet[SigningRequest]:
    return _of_stations(SigningRequest, tenant_id, actor)


def events(tenant_id: int, actor: Actor) -> QuerySet[SecurityEvent]:
    return _of_stations(SecurityEvent, tenant_id, actor)


def profile_changes(tenant_id: int, actor: Actor) -> QuerySet[ProfileChange]:
    return _of_stations(ProfileChange, tenant_id, actor)


def open_changes(tenant_id: int, actor: Actor) -> QuerySet[ProfileChange]:
    return profile_changes(tenant_id, actor).filter(state__in=CHANGE_OPEN)


def password_changes(tenant_id: int, actor: Actor) -> QuerySet[PasswordChange]:
    return _of_stations(PasswordChange, tenant_id, actor)


def of_company(model: type[Row], tenant_id: int, actor: Actor) -> QuerySet[Row]:
    """What belongs to no site (roots, authorities, rollouts) is not for who is limited to some."""
    rows: QuerySet[Row] = model._default_manager.filter(tenant_id=tenant_id)
    return rows if actor.site_ids is None else rows.none()


def by_profile(tenant_id: int, actor: Actor) -> dict[Any, int]:
    """Stations by the profile of their last connection; None: never seen."""
    rows = visible.stations(tenant_id, actor).order_by().values_list("effective_profile")
    return dict(rows.annotate(Count("id")))

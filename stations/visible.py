"""What an actor may see of this app: the tenant's rows, narrowed to the actor's sites, fleets or own sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict, TypeVar

from django.db.models import Case, CharField, F, Model, OuterRef, Prefetch, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce

from stations.models import (
    ConfigurationRun,
    ConfigurationTemplate,
    Connector,
    ConnectorStatus,
    DesiredSetting,
    FirmwarePublication,
    FirmwareUpdate,
    LogFile,
    LogRequest,
    Reservation,
    Session,
    SessionState,
    Station,
    VariableChange,
)
from tenants.permissions import Actor

if TYPE_CHECKING:
    from django_stubs_ext import WithAnnotations

OFFLINE = "offline"
Row = TypeVar("Row", bound=Model)


class Effective(TypedDict):
    effective: str


# 2.x connectors say no more than "occupied": whether the car charges is told of the transaction.
_TOLD_OF_SESSION = (
    Session.objects.filter(
        Q(connector_id=OuterRef("pk")) | Q(connector_id=None),
        tenant_id=OuterRef("tenant_id"),
        evse_id=OuterRef("evse_id"),
        state=SessionState.ACTIVE,
        charging_state__in=(
            ConnectorStatus.CHARGING,
            ConnectorStatus.SUSPENDED_EV,
            ConnectorStatus.SUSPENDED_EVSE,
        ),
    )
    .order_by("-id")
    .values("charging_state")[:1]
)
# What a connector shows: what its station last said, unless the station cannot be heard.
EFFECTIVE = Case(
    When(evse__station__online=False, then=Value(OFFLINE)),
    When(status=ConnectorStatus.OCCUPIED, then=Coalesce(Subquery(_TOLD_OF_SESSION), F("status"))),
    default=F("status"),
    output_field=CharField(),
)


def stations(tenant_id: int, actor: Actor) -> QuerySet[Station]:
    found = Station.objects.filter(tenant_id=tenant_id, archived_at=None)
    return found if actor.site_ids is None else found.filter(site_id__in=actor.site_ids)


def connectors(tenant_id: int, actor: Actor) -> QuerySet[WithAnnotations[Connector, Effective]]:
    """Connectors with `effective`: their state as people should read it."""
    found = Connector.objects.filter(tenant_id=tenant_id, evse__station__archived_at=None)
    if actor.site_ids is not None:
        found = found.filter(evse__station__site_id__in=actor.site_ids)
    return found.annotate(effective=EFFECTIVE)


def of_stations(tenant_id: int, actor: Actor) -> Prefetch:
    """For a list of stations: their connectors with `effective`."""
    return Prefetch("evses__connectors", queryset=connectors(tenant_id, actor))


def sessions(tenant_id: int, actor: Actor) -> QuerySet[Session]:
    """Sessions at the actor's sites, of the actor's fleets, or of the driver that the actor is."""
    found = Session.objects.filter(tenant_id=tenant_id)
    if actor.site_ids is not None:
        found = found.filter(site_id__in=actor.site_ids)
    if actor.fleet_ids is not None:
        found = found.filter(fleet_id__in=actor.fleet_ids)
    if actor.driver_ids is not None:
        found = found.filter(driver_id__in=actor.driver_ids)
    return found


def templates(tenant_id: int, actor: Actor) -> QuerySet[ConfigurationTemplate]:
    """Who is limited to sites sees the templates that hold for a station there."""
    found = ConfigurationTemplate.objects.filter(tenant_id=tenant_id)
    if actor.site_ids is None:
        return found
    own = DesiredSetting.objects.filter(tenant_id=tenant_id, station__site_id__in=actor.site_ids)
    return found.filter(pk__in=own.values("template_id"))


def runs(tenant_id: int, actor: Actor) -> QuerySet[ConfigurationRun]:
    found = ConfigurationRun.objects.filter(tenant_id=tenant_id)
    if actor.site_ids is None:
        return found
    own = VariableChange.objects.filter(tenant_id=tenant_id, station__site_id__in=actor.site_ids)
    return found.filter(pk__in=own.exclude(run=None).values("run_id"))


def logs(tenant_id: int, actor: Actor) -> QuerySet[LogRequest]:
    return _at_sites(LogRequest.objects.filter(tenant_id=tenant_id), actor)


def log_files(tenant_id: int, actor: Actor) -> QuerySet[LogFile]:
    return _at_sites(LogFile.objects.filter(tenant_id=tenant_id), actor)


def updates(tenant_id: int, actor: Actor) -> QuerySet[FirmwareUpdate]:
    return _at_sites(FirmwareUpdate.objects.filter(tenant_id=tenant_id), actor)


def publications(tenant_id: int, actor: Actor) -> QuerySet[FirmwarePublication]:
    return _at_sites(FirmwarePublication.objects.filter(tenant_id=tenant_id), actor)


def _at_sites(rows: QuerySet[Row], actor: Actor) -> QuerySet[Row]:
    return rows if actor.site_ids is None else rows.filter(station__site_id__in=actor.site_ids)


def reservations(tenant_id: int, actor: Actor) -> QuerySet[Reservation]:
    found = Reservation.objects.filter(tenant_id=tenant_id)
    return found if actor.site_ids is None else found.filter(site_id__in=actor.site_ids)


def matching(text: str) -> Q:
    """Stations whose identity, name, model, serial number or site contains the text."""
    return (
        Q(identity__icontains=text)
        | Q(name__icontains=text)
        | Q(model__icontains=text)
        | Q(vendor__icontains=text)
        | Q(serial_number__icontains=text)
        | Q(site__name__icontains=text)
    )

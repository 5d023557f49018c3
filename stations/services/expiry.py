"""What expires when: certificates of stations and authorities, roots on stations, and the gateway's own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Exists, OuterRef, Q
from django.utils import timezone

from stations import pki
from stations.models import Authority, GatewayProcess, StationCertificate, TrustAnchor
from tenants.errors import Invalid

SOON = timedelta(days=30)
ALIVE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Expiring:
    kind: str  # station | authority | root | gateway
    name: str
    not_after: datetime
    id: int | None = None  # of the certificate, the authority or the root
    station_id: int | None = None
    stations: int = 0  # that hold this root

    @property
    def days(self) -> int:
        return (self.not_after - timezone.now()).days

    @property
    def state(self) -> str:
        if self.not_after <= timezone.now():
            return "error"
        return "warning" if self.not_after <= timezone.now() + SOON else "info"


def expiring(
    *, tenant_id: int, site_ids: frozenset[int] | None, days: int = 90, most: int = 200
) -> list[Expiring]:
    """What ends within so many days, or has ended and is still in use; the soonest first."""
    until = timezone.now() + timedelta(days=days)
    found = [*_stations(tenant_id, site_ids, until, most)]
    if site_ids is None:
        found += [*_authorities(tenant_id, until), *_roots(tenant_id, until), *_gateways(until)]
    return sorted(found, key=lambda one: one.not_after)[:most]


def _stations(tenant_id: int, site_ids: frozenset[int] | None, until: datetime, most: int) -> list[Expiring]:
    """The newest certificate of each station and use, if it ends soon: older ones were replaced."""
    rows = StationCertificate.objects.filter(tenant_id=tenant_id, revoked_at=None, station__archived_at=None)
    if site_ids is not None:
        rows = rows.filter(station__site_id__in=site_ids)
    lasting = rows.filter(not_after__gt=until, station_id=OuterRef("station_id"), use=OuterRef("use"))
    soon = rows.filter(not_after__lte=until).exclude(Exists(lasting)).select_related("station")
    newest = {(row.station_id, row.use): row for row in soon.order_by("not_after", "id")}
    return [
        Expiring("station", str(row.station), row.not_after, row.pk, station_id=row.station_id)
        for row in list(newest.values())[:most]
    ]


def _authorities(tenant_id: int, until: datetime) -> list[Expiring]:
    rows = Authority.objects.filter(tenant_id=tenant_id, active=True, not_after__lte=until)
    return [Expiring("authority", row.name, row.not_after, row.pk) for row in rows]


def _roots(tenant_id: int, until: datetime) -> list[Expiring]:
    rows = TrustAnchor.objects.filter(tenant_id=tenant_id, not_after__lte=until).annotate(
        held=Count("installed")
    )
    rows = rows.filter(Q(archived_at=None) | Q(held__gt=0))
    return [Expiring("root", row.name, row.not_after, row.pk, stations=row.held) for row in rows]


def _gateways(until: datetime) -> list[Expiring]:
    """Of gateway processes that end TLS themselves: they tell with each sign of life."""
    alive = GatewayProcess.objects.filter(alive_at__gt=timezone.now() - ALIVE).exclude(certificate="")
    found: dict[str, Expiring] = {}
    for text in alive.values_list("certificate", flat=True).distinct():
        try:
            certificate = pki.one(text)
        except Invalid:
            continue
        if certificate.not_valid_after_utc <= until:
            found[pki.fingerprint(certificate)] = Expiring(
                "gateway", pki.name(certificate), certificate.not_valid_after_utc
            )
    return list(found.values())

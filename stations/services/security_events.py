"""What bears on security: told by stations (A04), and seen at the gateway's door. People note the grave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F, QuerySet
from django.utils import timezone

from stations import live
from stations.models import SecurityEvent, Station
from stations.models.journal import Severity
from stations.neutral import EventReport, SecurityReport
from stations.services import clock, events
from tenants.errors import Conflict
from tenants.permissions import Actor, Permission
from tenants.services import audit, facts

# OCPP 2.1 part 2, appendix 1 (2.0.1 and the 1.6 whitepaper know fewer): (severity here, critical there). There
# "critical" says that a station must tell of it, a start among them; how grave it is for an operator is our word.
_I, _W, _E = Severity.INFO, Severity.WARNING, Severity.ERROR
TYPES: dict[str, tuple[Severity, bool]] = {
    "FirmwareUpdated": (_I, True),
    "FailedToAuthenticateAtCsms": (_W, False),
    "CsmsFailedToAuthenticate": (_W, False),
    "SettingSystemTime": (_I, True),
    "StartupOfTheDevice": (_I, True),
    "ResetOrReboot": (_I, True),
    "SecurityLogWasCleared": (_E, True),
    "ReconfigurationOfSecurityParameters": (_W, False),
    "MemoryExhaustion": (_E, True),
    "InvalidMessages": (_W, False),
    "AttemptedReplayAttacks": (_E, False),
    "TamperDetectionActivated": (_E, True),
    "InvalidFirmwareSignature": (_E, False),
    "InvalidFirmwareSigningCertificate": (_E, False),
    "InvalidCsmsCertificate": (_E, False),
    "InvalidChargingStationCertificate": (_W, False),
    "InvalidTLSVersion": (_W, False),
    "InvalidTLSCipherSuite": (_W, False),
    "MaintenanceLoginAccepted": (_I, True),
    "MaintenanceLoginFailed": (_W, True),
}
# The whitepaper's names for 1.6.
ALIASES = {
    "FailedToAuthenticateAtCentralSystem": "FailedToAuthenticateAtCsms",
    "CentralSystemFailedToAuthenticate": "CsmsFailedToAuthenticate",
    "InvalidCentralSystemCertificate": "InvalidCsmsCertificate",
    "InvalidChargePointCertificate": "InvalidChargingStationCertificate",
}
# Seen at the door; ours, not OCPP's.
AT_THE_DOOR: dict[str, Severity] = {
    "WrongPassword": _W,
    "ProfileTooLow": _E,
    "CertificateRefused": _E,
    "CertificateHeaderForged": _E,
}
SAME_WITHIN = timedelta(hours=1)
MOST_A_DAY = 500  # rows of one station: what it tells beyond is in its frames and its timeline


@dataclass(frozen=True, slots=True)
class Refused:
    """Somebody was refused at the door under this station's name."""

    station_id: int
    type: str  # of AT_THE_DOOR
    tech_info: str
    at: datetime


def _kind(told: str) -> str:
    return ALIASES.get(told, told)


def severity(told: str) -> tuple[Severity, bool]:
    """(severity, critical by OCPP). What nobody knows deserves a look: a warning."""
    return TYPES.get(_kind(told), (_W, False))


def record(*, tenant_id: int, reports: Sequence[SecurityReport]) -> None:
    """Keep what stations tell, here and on their timelines."""
    events.record(
        tenant_id=tenant_id,
        reports=[
            EventReport(
                report.station_id, "security", severity(report.type)[0], f"Security event: {report.type}"[:200],
                report.raw_timestamp, report.received_at, report.detail,
            )
            for report in reports
        ],
    )  # fmt: skip
    made = []
    room: dict[int, int] = {}
    for report in reports:
        left = room.setdefault(report.station_id, _room(tenant_id, report.station_id))
        if left <= 0:
            continue
        room[report.station_id] -= 1
        grave, critical = severity(report.type)
        raw = report.raw_timestamp.strip()
        at = clock.sanitise(raw, report.received_at)[0] if raw else report.received_at
        made.append(
            SecurityEvent(
                tenant_id=tenant_id, station_id=report.station_id, type=_kind(report.type)[:50], severity=grave,
                critical=critical, tech_info=report.tech_info.replace("\0", "")[:255], occurred_at=at,
                received_at=report.received_at,
            )
        )  # fmt: skip
    _tell(tenant_id, SecurityEvent.objects.bulk_create(made))


def _room(tenant_id: int, station_id: int) -> int:
    since = timezone.now() - timedelta(days=1)
    rows = SecurityEvent.objects.filter(tenant_id=tenant_id, station_id=station_id).order_by("-id")
    newest = list(rows.values_list("received_at", flat=True)[:MOST_A_DAY])
    return MOST_A_DAY - sum(at > since for at in newest)


def note_refused(*, tenant_id: int, requests: Sequence[Refused]) -> list[None]:
    """Count who was refused at the door: one row an hour, station and reason."""
    now = timezone.now()
    made = []
    for (station_id, kind), count in Counter((one.station_id, one.type) for one in requests).items():
        latest = next(one for one in reversed(requests) if (one.station_id, one.type) == (station_id, kind))
        rows = SecurityEvent.objects.filter(
            tenant_id=tenant_id, station_id=station_id, type=kind, source="gateway",
            occurred_at__gt=now - SAME_WITHIN, acknowledged_at=None,
        )  # fmt: skip
        if not rows.update(count=F("count") + count, received_at=latest.at, tech_info=latest.tech_info[:255]):
            made.append(
                SecurityEvent(
                    tenant_id=tenant_id, station_id=station_id, type=kind, severity=AT_THE_DOOR.get(kind, _W),
                    tech_info=latest.tech_info[:255], source="gateway", count=count, occurred_at=latest.at,
                    received_at=latest.at,
                )
            )  # fmt: skip
    _tell(tenant_id, SecurityEvent.objects.bulk_create(made))
    return [None] * len(requests)


def _tell(tenant_id: int, made: Sequence[SecurityEvent]) -> None:
    sites = dict(
        Station.objects.filter(tenant_id=tenant_id, pk__in={event.station_id for event in made}).values_list(
            "pk", "site_id"
        )
    )
    for event in made:
        if event.severity == Severity.ERROR:
            facts.publish(
                tenant_id=tenant_id, kind="security.event", subject_type="securityevent", subject_id=event.pk,
                payload={
                    "event": event.pk, "station": event.station_id, "type": event.type,
                    "severity": event.severity,
                },
            )  # fmt: skip
    live.publish_many(
        tenant_id,
        [
            live.event(
                kind="security", station_id=event.station_id, site_id=sites[event.station_id],
                data={"id": event.pk},
            )
            for event in made
            if event.station_id in sites
        ],
    )  # fmt: skip


def open_events(tenant_id: int, site_ids: frozenset[int] | None) -> QuerySet[SecurityEvent]:
    """Grave ones that nobody has taken note of yet."""
    rows = SecurityEvent.objects.filter(tenant_id=tenant_id, severity=Severity.ERROR, acknowledged_at=None)
    return rows if site_ids is None else rows.filter(station__site_id__in=site_ids)


def acknowledge(*, event: SecurityEvent, actor: Actor) -> SecurityEvent:
    """Somebody took note. Conflict for a second time."""
    actor.require(Permission.STATION_COMMAND, site_id=event.station.site_id)
    changed = SecurityEvent.objects.filter(
        tenant_id=event.tenant_id, pk=event.pk, acknowledged_at=None
    ).update(acknowledged_at=timezone.now(), acknowledged_by=actor.label[:120])
    if not changed:
        raise Conflict("Somebody took note of this event already.")
    event.refresh_from_db()
    audit.record(
        tenant_id=event.tenant_id, actor=actor, action="security.acknowledge", subject=event,
        site_id=event.station.site_id, detail={"type": event.type},
    )  # fmt: skip
    live.publish(
        event.tenant_id, kind="security", station_id=event.station_id, site_id=event.station.site_id,
        data={"id": event.pk},
    )  # fmt: skip
    return event


def acknowledge_all(*, tenant_id: int, actor: Actor) -> int:
    """Take note of every grave event at the sites that the actor sees."""
    rows = open_events(tenant_id, actor.site_ids).select_related("station")
    return sum(bool(acknowledge(event=event, actor=actor)) for event in rows[:1000])

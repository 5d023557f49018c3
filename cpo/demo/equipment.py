"""What was done to the stations: templates, limits, messages, certificates, logs, a roll-out.

What stations must answer is asked of them and waits until the simulated ones connect; the rest is entered as it would
have been told.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID
from django.utils import timezone

from cpo.demo import contracts, watching
from cpo.demo.founding import Company
from stations import pki
from stations.models import (
    CertificateUse,
    Command,
    CommandKind,
    CommandState,
    SecurityEvent,
    Station,
    StationCertificate,
    TemplateMode,
    TrustAnchor,
)
from stations.neutral import SecurityReport
from stations.services import (
    authority,
    commands,
    constraints,
    desired,
    displays,
    networks,
    profiles,
    reservations,
    rollouts,
    security_events,
    signing,
    trust,
)
from stations.services.files import campaigns, images, logs, store
from tenants.permissions import system

WAITS = timedelta(minutes=20)  # of commands: until the simulated stations are there
_IMAGE_BYTES = 96_000


@dataclass(frozen=True)
class _Scene:
    company: Company
    now: datetime

    @property
    def scope(self) -> dict[str, Any]:
        return {"tenant_id": self.company.tenant.pk, "actor": self.company.actor}

    def station(self, identity: str) -> Station:
        return next(one for _plan, one, _power, _version in self.company.stations if one.identity == identity)


def write(company: Company, now: datetime) -> None:
    """Of the company that has the stations for it."""
    scene = _Scene(company, now)
    for part in (_templates, _readings, _limits, _reservations, _display, _security, _files, _network):
        part(scene)
    watching.write(company, scene.station("NOR-SOL-03"), now)
    contracts.write(company, scene.station("NOR-SOL-01"), now)
    waiting = Command.objects.filter(tenant_id=company.tenant.pk, state=CommandState.QUEUED)
    waiting.update(expires_at=timezone.now() + WAITS)


def _templates(scene: _Scene) -> None:
    """One that all keep to, one from which the hub differs, one that puts the depot right by itself."""

    def make(name: str, mode: TemplateMode, settings: dict[str, str], **values: Any) -> None:
        told = [
            dict(zip(("component", "name"), key.split("."), strict=True)) | {"value": value}
            for key, value in settings.items()
        ]
        desired.save_template(**scene.scope, name=name, mode=mode, settings=told, **values)

    make(
        "Every station", TemplateMode.REPORT,
        {"TxCtrlr.EVConnectionTimeOut": "60", "AuthCtrlr.LocalAuthorizeOffline": "true",
         "TxCtrlr.StopTxOnInvalidId": "true", "AuthCtrlr.OfflineTxForUnknownIdEnabled": "false"},
    )  # fmt: skip
    make(
        "Motorway hub", TemplateMode.REPORT,
        {"OCPPCommCtrlr.WebSocketPingInterval": "30", "OCPPCommCtrlr.ResetRetries": "3",
         "OCPPCommCtrlr.OfflineThreshold": "120"},
        vendor="Voltyard", model="VY-DC*", priority=200,
    )  # fmt: skip
    make(
        "Depot at night", TemplateMode.REPAIR,
        {"OCPPCommCtrlr.ResetRetries": "5", "OCPPCommCtrlr.WebSocketPingInterval": "60",
         "SampledDataCtrlr.TxUpdatedInterval": "5"},
        site=scene.company.sites["depot"], priority=150,
    )  # fmt: skip


def _readings(scene: _Scene) -> None:
    """All settings of a few stations."""
    for identity in ("NOR-SOL-01", "NOR-SOL-03", "NOR-BER-01", "NOR-CPH-01"):
        commands.request_command(
            **scene.scope, station_id=scene.station(identity).pk, kind=CommandKind.READ_REPORT, arguments={}
        )
    for identity in ("NOR-SOL-02", "NOR-CPH-02", "NOR-HAM-01"):
        commands.request_command(
            **scene.scope,
            station_id=scene.station(identity).pk,
            kind=CommandKind.READ_CONFIGURATION,
            arguments={},
        )


def _limits(scene: _Scene) -> None:
    """Two bays go slow in the evening peak; the grid operator has announced a dimming."""
    for identity in ("NOR-HAM-01", "NOR-HAM-03"):
        profiles.limit_daily(
            **scene.scope, station_id=scene.station(identity).pk, evse=1, begins=time(17), ends=time(20),
            power_w=11_000,
        )  # fmt: skip
    tonight = (scene.now + timedelta(hours=8)).replace(minute=0, second=0, microsecond=0)
    constraints.set_limit(
        **scene.scope, source="grid_operator", site_id=scene.company.sites["depot"].pk, power_w=90_000,
        starts_at=tonight, ends_at=tonight + timedelta(hours=2), reference="EnWG 14a, 2026-11",
    )  # fmt: skip


def _reservations(scene: _Scene) -> None:
    cards = [token.uid for token in scene.company.tokens["customers"][20:24]]
    hour = scene.now.replace(minute=0, second=0, microsecond=0)
    for identity, evse, after, hours in (
        ("NOR-CPH-01", 1, 3, 1.0),
        ("NOR-CPH-01", 2, 5, 0.75),
        ("NOR-SOL-04", 1, 7, 0.5),
    ):
        start = hour + timedelta(hours=after)
        reservations.reserve(
            station=scene.station(identity), actor=scene.company.actor, token_uid=cards.pop(), evse=evse,
            starts_at=start, expires_at=start + timedelta(hours=hours),
        )  # fmt: skip


def _display(scene: _Scene) -> None:
    displays.write(
        **scene.scope,
        stations=[scene.station(f"NOR-SOL-0{number}") for number in (1, 2, 3, 4)],
        contents=[
            {"language": "en", "format": "utf8", "text": "Coffee to go: 10 % off with your charging receipt"},
            {"language": "de", "format": "utf8", "text": "Kaffee: 10 % Rabatt mit Ihrem Ladebeleg"},
        ],
        ends_at=scene.now + timedelta(days=14),
    )


# (identity, type as the station tells it, what it adds, hours ago)
_EVENTS = (
    ("NOR-SOL-01", "StartupOfTheDevice", "", 200.0),
    ("NOR-HAM-07", "SettingSystemTime", "from 2026-11-14T08:02:11Z, by NTP", 190.0),
    ("NOR-SOL-03", "FirmwareUpdated", "3.2.0 to 3.2.1", 150.0),
    ("NOR-CPH-02", "MaintenanceLoginFailed", "user service, 3 tries", 75.0),
    ("NOR-CPH-02", "MaintenanceLoginAccepted", "user service", 74.8),
    ("NOR-CPH-02", "SecurityLogWasCleared", "by user service", 74.5),
    ("NOR-BER-01", "InvalidTLSCipherSuite", "", 31.0),
    ("NOR-SOL-04", "TamperDetectionActivated", "door contact, cabinet 1", 9.0),
)


def _security(scene: _Scene) -> None:
    """An authority, two stations that ask it for a certificate, its root on its way to the hub, events of a week."""
    authority.create(**scene.scope)
    for identity in ("NOR-SOL-01", "NOR-SOL-03"):
        signing.ask(station=scene.station(identity), actor=scene.company.actor)
    _certificate(scene, scene.station("NOR-SOL-04"))
    root = TrustAnchor.objects.filter(
        tenant_id=scene.company.tenant.pk, use=CertificateUse.CSMS_ROOT, archived_at=None
    ).get()
    hub = [scene.station(f"NOR-SOL-0{number}") for number in (1, 3, 4)]
    rollouts.start(anchor=root, actor=scene.company.actor, stations=hub)
    security_events.record(
        tenant_id=scene.company.tenant.pk,
        reports=[
            SecurityReport(
                scene.station(identity).pk,
                kind,
                info,
                (at := scene.now - timedelta(hours=ago)).isoformat(),
                at,
            )
            for identity, kind, info, ago in _EVENTS
        ],
    )
    cleared = SecurityEvent.objects.get(tenant_id=scene.company.tenant.pk, type="SecurityLogWasCleared")
    security_events.acknowledge(event=cleared, actor=system("Meike Claasen"))


def _certificate(scene: _Scene, station: Station) -> None:
    """One that was signed two years ago and ends soon."""
    issuer = authority.ensure(scene.company.tenant.pk)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, station.identity)])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(pki.new_key(), hashes.SHA256())
    made = pki.issue(
        request=request, common_name=station.identity, organisation=scene.company.tenant.name, days=47,
        issuer=authority.signer(issuer),
    )  # fmt: skip
    StationCertificate.objects.create(
        tenant_id=scene.company.tenant.pk, station=station, authority=issuer, serial=pki.serial(made),
        subject=pki.name(made), key=pki.strong(made.public_key()), pem=pki.pem(made),
        fingerprint=pki.fingerprint(made), not_before=scene.now - timedelta(days=683),
        not_after=made.not_valid_after_utc,
    )  # fmt: skip


def _files(scene: _Scene) -> None:
    """A newer firmware that goes to the depot by night, one an older one was; the log of a station that flaps."""
    for version, notes in (
        ("3.2.1", "Meter readings every 15 s while charging."),
        ("3.3.0", "Cable lock tries again three times. Corrects the clock after a power cut."),
    ):
        spooled = store.spool(2 * _IMAGE_BYTES)
        spooled.write(f"Voltyard demo firmware {version}\n".encode().ljust(64, b"\0") * (_IMAGE_BYTES // 64))
        newest = images.add(
            **scene.scope, spooled=spooled, name=f"vy-ac-{version}.bin", vendor="Voltyard", version=version,
            models_allowed=["VY-AC*"], notes=notes,
        )  # fmt: skip
    depot = [one.pk for plan, one, _power, _version in scene.company.stations if plan.site == "depot"]
    Station.objects.filter(tenant_id=scene.company.tenant.pk, pk__in=depot).update(
        vendor="Voltyard", model="VY-AC 22", firmware_version="3.2.1"
    )  # as they report it when they boot
    campaigns.start(
        **scene.scope, name="Depot to 3.3.0", image=newest, choice=campaigns.Choice(station_ids=depot),
        rules=campaigns.Rules(canary=2, window_from=time(1), window_until=time(4)),
    )  # fmt: skip
    logs.request(**scene.scope, station_id=scene.station("NOR-HAM-09").pk)
    logs.request(**scene.scope, station_id=scene.station("NOR-SOL-03").pk, kind="security")


def _network(scene: _Scene) -> None:
    networks.set_profile(
        **scene.scope, station_id=scene.station("NOR-SOL-03").pk, slot=2, ocpp_version="2.1", interface="wireless0",
        url="wss://backup.nordlicht.example/ocpp/nordlicht", security_profile=2, timeout_s=30,
        apn={"name": "iot.example"},
    )  # fmt: skip
    trust.read(station=scene.station("NOR-SOL-03"), actor=scene.company.actor)

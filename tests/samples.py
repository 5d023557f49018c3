"""One of everything at a company, for tests that walk over all addresses.

A new kind of object in an address: add a column to `World` and a line to SAMPLES. A new write: a line to BODIES,
with a body that its owner's call succeeds with.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from billing.models import Charge, SiteTariff, Tariff
from energy.models import SiteMeter, WhatIf
from energy.site_state import state_of
from fleets.models import Autocharge, Driver, Fleet, FleetScope, Token, TokenSite, Vehicle
from stations.models import (
    AccessRule,
    Alert,
    Authority,
    Authorization,
    BatterySlot,
    BatterySwap,
    Campaign,
    CertificateInstallation,
    ChargingProfile,
    Command,
    CommandBatch,
    CompositeTold,
    ConfigurationRun,
    ConfigurationTemplate,
    Connection,
    Connector,
    Contract,
    ContractCheck,
    CustomerQuery,
    DerControl,
    DesiredSetting,
    DeviceReport,
    DisplayMessage,
    DisplayNotice,
    Evse,
    Exclusion,
    FileTicket,
    FirmwareImage,
    FirmwarePublication,
    FirmwareUpdate,
    Frame,
    HealthPolicy,
    InstalledCertificate,
    Issue,
    IssueEvent,
    IssuerCertificate,
    IssueRule,
    JournalCursor,
    JournalHead,
    LocalList,
    LogFile,
    LogRequest,
    Monitor,
    NetworkProfile,
    OrphanMessage,
    PasswordChange,
    PlugAndCharge,
    PortMonth,
    PowerConstraint,
    PrepaidAccount,
    PrepaidEntry,
    ProfileChange,
    QuarantinedStation,
    Reading,
    Reservation,
    RevocationCheck,
    Rollout,
    RolloutStep,
    SecurityEvent,
    SecurityPolicy,
    SeenVehicle,
    Session,
    SessionCost,
    SessionEvent,
    SessionPower,
    Settlement,
    SigningRequest,
    Station,
    StationCertificate,
    StationDrift,
    StationEvent,
    StationTariff,
    StatusEntry,
    Stream,
    StreamValue,
    TrustAnchor,
    UptimeReport,
    Variable,
    VariableChange,
    VatCheck,
    VendorProfile,
    WebPayment,
    WebPaymentAccess,
)
from stations.models.journal import GatewayProcess
from tenants.context import tenant_scope
from tenants.models import (
    ApiKey,
    AuditRecord,
    Fact,
    FactDelivery,
    IdempotencyRecord,
    Membership,
    MembershipSite,
    Site,
    Tenant,
    User,
    Webhook,
)
from tests import objects, people
from tests.energy import sites
from tests.stations import pki


@dataclass
class World:
    """A company with one of everything. `marker` occurs in each thing, so that a leak of any shows."""

    tenant: Tenant
    owner: User
    api: people.ApiClient
    marker: str
    site: Site
    station: Station
    tariff: Tariff
    fleet: Fleet
    driver: Driver
    vehicle: Vehicle
    token: Token
    session: Session
    command: Command
    batch: CommandBatch
    quarantined: QuarantinedStation
    orphan: OrphanMessage
    rule: IssueRule
    issue: Issue
    exclusion: Exclusion
    report: UptimeReport
    charge: Charge
    notice: DisplayNotice
    message: DisplayMessage
    account: PrepaidAccount
    variable: Variable
    monitor: Monitor
    alert: Alert
    stream: Stream
    query: CustomerQuery
    template: ConfigurationTemplate
    run: ConfigurationRun
    vendor_profile: VendorProfile
    member: Membership
    key: ApiKey
    webhook: Webhook
    what_if: WhatIf
    image: FirmwareImage
    new_image: FirmwareImage
    campaign: Campaign
    update: FirmwareUpdate
    publication: FirmwarePublication
    log: LogRequest
    log_file: LogFile
    profile: ChargingProfile
    constraint: PowerConstraint
    der: DerControl
    running: Session
    anchor: TrustAnchor
    certificate: StationCertificate
    signing: SigningRequest
    rollout: Rollout
    change: ProfileChange
    security_event: SecurityEvent
    contract: Contract
    seen_vehicle: SeenVehicle
    reservation: Reservation
    delivery: FactDelivery
    meter: SiteMeter

    @property
    def nothing(self) -> dict[str, Any]:
        return {}

    def new_token(self) -> Token:
        return objects.create_token(self.tenant)

    def grid(self) -> dict[str, Any]:
        """The tree of its site, as REST tells it."""
        with tenant_scope(self.tenant.pk):
            return state_of(self.site).document.as_json()

    def charging_at_21(self) -> World:
        """The same, with its session running at a station of OCPP 2.1."""
        with tenant_scope(self.tenant.pk):
            Station.objects.filter(pk=self.station.pk).update(ocpp_version="2.1")
            Session.objects.filter(pk=self.session.pk).update(state="active")
        return self


SAMPLES: dict[str, Callable[[World], Any]] = {
    "tenant_slug": lambda world: world.tenant.slug,
    "site_id": lambda world: world.site.pk,
    "station_id": lambda world: world.station.pk,
    "what_if_id": lambda world: world.what_if.pk,
    "tariff_id": lambda world: world.tariff.pk,
    "fleet_id": lambda world: world.fleet.pk,
    "driver_id": lambda world: world.driver.pk,
    "vehicle_id": lambda world: world.vehicle.pk,
    "token_id": lambda world: world.token.pk,
    "session_id": lambda world: world.session.pk,
    "batch_id": lambda world: world.batch.pk,
    "command_id": lambda world: world.command.pk,
    "quarantined_id": lambda world: world.quarantined.pk,
    "row_id": lambda world: world.quarantined.pk,
    "orphan_id": lambda world: world.orphan.pk,
    "rule_id": lambda world: world.rule.pk,
    "issue_id": lambda world: world.issue.pk,
    "exclusion_id": lambda world: world.exclusion.pk,
    "report_id": lambda world: world.report.pk,
    "meter_id": lambda world: world.meter.pk,
    "form": lambda world: "csv",
    "charge_id": lambda world: world.charge.pk,
    "notice_id": lambda world: world.notice.pk,
    "message_id": lambda world: world.message.pk,
    "account_id": lambda world: world.account.pk,
    "variable_id": lambda world: world.variable.pk,
    "monitor_id": lambda world: world.monitor.pk,
    "alert_id": lambda world: world.alert.pk,
    "stream_id": lambda world: world.stream.pk,
    "query_id": lambda world: world.query.pk,
    "template_id": lambda world: world.template.pk,
    "run_id": lambda world: world.run.pk,
    "vendor_profile_id": lambda world: world.vendor_profile.pk,
    "member_id": lambda world: world.member.pk,
    "key_id": lambda world: world.key.pk,
    "webhook_id": lambda world: world.webhook.pk,
    "image_id": lambda world: world.image.pk,
    "new_image_id": lambda world: world.new_image.pk,
    "campaign_id": lambda world: world.campaign.pk,
    "update_id": lambda world: world.update.pk,
    "publication_id": lambda world: world.publication.pk,
    "log_id": lambda world: world.log.pk,
    "log_file_id": lambda world: world.log_file.pk,
    "profile_id": lambda world: world.profile.pk,
    "constraint_id": lambda world: world.constraint.pk,
    "der_id": lambda world: world.der.pk,
    "limit_how": lambda world: "now",
    "der_kind": lambda world: "volt_var",
    "running_id": lambda world: world.running.pk,
    "anchor_id": lambda world: world.anchor.pk,
    "certificate_id": lambda world: world.certificate.pk,
    "signing_id": lambda world: world.signing.pk,
    "rollout_id": lambda world: world.rollout.pk,
    "change_id": lambda world: world.change.pk,
    "security_event_id": lambda world: world.security_event.pk,
    "contract_id": lambda world: world.contract.pk,
    "seen_vehicle_id": lambda world: world.seen_vehicle.pk,
    "reservation_id": lambda world: world.reservation.pk,
    "delivery_id": lambda world: world.delivery.pk,
}

# Of REST writes, by method and route below /api/v1/. Nothing listed: {}.
BODIES: dict[tuple[str, str], Callable[[World], Any]] = {
    ("POST", "sites"): lambda world: {"name": "New site"},
    ("PATCH", "sites/<int:site_id>"): lambda world: {"city": "Kiel"},
    ("POST", "sites/<int:site_id>/meters"): lambda world: {"name": "New meter", "kind": "solar"},
    ("PATCH", "sites/<int:site_id>/meters/<int:meter_id>"): lambda world: {"maximum_a": 40},
    ("POST", "sites/<int:site_id>/meters/<int:meter_id>/readings"): lambda world: {"amps": [8.1, 7.9, 8]},
    ("POST", "meter-readings"): lambda world: [{"meter_id": world.meter.pk, "amps": [8.1, 7.9, 8]}],
    ("PUT", "sites/<int:site_id>/tariff"): lambda world: {"tariff_id": world.tariff.pk},
    ("POST", "members"): lambda world: {
        "email": f"new-{secrets.token_hex(4)}@example.com",
        "role": "facility_manager",
        "password": people.PASSWORD,
        "site_ids": [world.site.pk],
    },
    ("PATCH", "members/<int:member_id>"): lambda world: {"role": "auditor"},
    ("POST", "api-keys"): lambda world: {"name": "New key", "scopes": ["site.view"]},
    ("POST", "webhooks"): lambda world: {"url": "https://hooks.example.com/new"},
    ("PATCH", "webhooks/<int:webhook_id>"): lambda world: {"active": False},
    ("POST", "stations"): lambda world: {"identity": "NEW-1", "site_id": world.site.pk},
    ("PATCH", "stations/<int:station_id>"): lambda world: {"name": "Renamed"},
    ("POST", "stations/<int:station_id>/commands"): lambda world: {"kind": "reset", "arguments": {}},
    ("POST", "command-batches"): lambda world: {"order": "clear_cache", "station_ids": [world.station.pk]},
    ("POST", "command-batches/<int:batch_id>/again"): lambda world: _let_fail(world),
    ("POST", "stations/<int:station_id>/logs"): lambda world: {"kind": "security"},
    ("PATCH", "logs/<int:log_id>"): lambda world: {"state": "cancelled"},
    ("POST", "firmware"): lambda world: {"vendor": "Acme", "version": "9.9"},
    ("PATCH", "firmware/<int:image_id>"): lambda world: {"notes": "Better"},
    ("PUT", "firmware/<int:new_image_id>/file"): lambda world: {"any": "bytes"},
    ("PUT", "firmware/<int:image_id>/signature"): lambda world: objects.signature(b"firmware"),
    ("POST", "stations/<int:station_id>/updates"): lambda world: {"image_id": world.image.pk},
    ("PATCH", "updates/<int:update_id>"): lambda world: {"state": "cancelled"},
    ("POST", "campaigns"): lambda world: {"name": "New campaign", "image_id": world.image.pk},
    ("POST", "campaigns/preview"): lambda world: {"image_id": world.image.pk},
    ("PATCH", "campaigns/<int:campaign_id>"): lambda world: {"state": "paused"},
    ("POST", "publications"): lambda world: {"image_id": world.image.pk, "station_id": world.station.pk},
    ("POST", "stations/<int:station_id>/limits"): lambda world: {"evse": 0, "amps": 10},
    ("POST", "stations/<int:station_id>/limits/daily"): lambda world: {
        "evse": 1,
        "power_w": 5000,
        "begins": "17:00",
        "ends": "20:00",
    },
    ("POST", "stations/<int:station_id>/limits/dynamic"): lambda world: {
        "evse": 2,
        "values": {"limit": 7000},
    },
    ("POST", "stations/<int:station_id>/charging-profiles"): lambda world: {
        "evse": 1,
        "purpose": "default",
        "kind": "relative",
        "periods": [{"start_s": 0, "limit": 10}],
    },
    ("POST", "stations/<int:station_id>/der-controls"): lambda world: {
        "kind": "gradients",
        "settings": {"gradient": 20, "soft_gradient": 2},
    },
    ("POST", "charging-profiles/<int:profile_id>/update"): lambda world: {"values": {"limit": 6000}},
    ("POST", "constraints"): lambda world: {"site_id": world.site.pk, "power_w": 4200},
    ("POST", "sessions/<int:running_id>/wish"): lambda world: {"energy_wh": 20_000, "departure_at": None},
    ("POST", "sessions/<int:running_id>/priority"): lambda world: {"active": True},
    ("POST", "sessions/<int:running_id>/energy-transfer"): lambda world: {"transfers": ["AC_BPT"]},
    ("POST", "stations/<int:station_id>/variables"): lambda world: {
        "settings": [{"name": "HeartbeatInterval", "value": "60"}]
    },
    ("POST", "stations/<int:station_id>/monitors"): lambda world: {
        "monitors": [{"component": "EVSE", "name": "Power", "kind": "upper", "value": 1, "severity": 5}]
    },
    ("POST", "stations/<int:station_id>/network-profiles"): lambda world: {
        "slot": 1,
        "url": "wss://csms.example.com/ocpp",
        "ocpp_version": "2.0.1",
        "interface": "wired0",
        "security_profile": 2,
    },
    ("PUT", "stations/<int:station_id>/network-profiles/priority"): lambda world: {"slots": [1, 0]},
    ("POST", "stations/<int:station_id>/customer-data"): lambda world: {"token_uid": "04AABBCC"},
    ("POST", "configuration-templates"): lambda world: {
        "name": "New template",
        "settings": [{"name": "HeartbeatInterval", "value": "60"}],
    },
    ("PATCH", "configuration-templates/<int:template_id>"): lambda world: {"priority": 7},
    ("POST", "configuration-templates/<int:template_id>/apply"): lambda world: {
        "station_ids": [world.station.pk]
    },
    ("POST", "vendor-profiles"): lambda world: {"name": "New profile", "vendor": "Acme", "quirks": {}},
    ("PATCH", "vendor-profiles/<int:vendor_profile_id>"): lambda world: {"notes": "Seen at two sites"},
    ("PATCH", "access-rules"): lambda world: {"no_show_limit": 2},
    ("PATCH", "sites/<int:site_id>/access-rules"): lambda world: {"reserve_minutes": 20},
    ("PATCH", "stations/<int:station_id>/access-rules"): lambda world: {"local_list": True},
    ("POST", "reservations"): lambda world: {
        "station_id": world.station.pk,
        "evse": 1,
        "token_uid": "04AB12CD",
        "minutes": 15,
    },
    ("PATCH", "reservations/<int:reservation_id>"): lambda world: {
        "expires_at": (world.reservation.expires_at + timedelta(minutes=5)).isoformat()
    },
    ("POST", "quarantine/<int:quarantined_id>/adopt"): lambda world: {"site_id": world.site.pk},
    ("PATCH", "orphans/<int:orphan_id>"): lambda world: {"resolution": "Looked at"},
    ("POST", "orphans/<int:orphan_id>/apply"): lambda world: {"session_id": world.session.pk},
    ("POST", "issues/bulk"): lambda world: {
        "issue_ids": [world.issue.pk],
        "action": "close",
        "reason": "A test",
    },
    ("POST", "issues/<int:issue_id>/assign"): lambda world: {"assignee_id": world.member.pk},
    ("POST", "issues/<int:issue_id>/snooze"): lambda world: {"until": None},
    ("POST", "issues/<int:issue_id>/comment"): lambda world: {"text": "Looked at"},
    ("POST", "issues/<int:issue_id>/close"): lambda world: {"reason": "A test"},
    ("POST", "issue-rules"): lambda world: {"name": "Ours", "signal": "faulted", "site_ids": [world.site.pk]},
    ("PATCH", "issue-rules/<int:rule_id>"): lambda world: {"grace_minutes": 5},
    ("PATCH", "issue-policy"): lambda world: {"recovery_on": False},
    ("POST", "exclusions"): lambda world: {
        "category": "utility",
        "site_id": world.site.pk,
        "starts_at": "2026-03-01T00:00:00Z",
        "ends_at": "2026-03-01T01:00:00Z",
        "evidence": "Notice 7 of the utility",
    },
    ("POST", "exclusions/<int:exclusion_id>/withdraw"): lambda world: {"reason": "A test"},
    ("POST", "uptime-reports"): lambda world: {
        "scheme": "us",
        "month": "2026-03-01",
        "site_id": world.site.pk,
    },
    ("POST", "sessions/<int:session_id>/release"): lambda world: {"energy_wh": "1000"},
    ("POST", "sessions/<int:session_id>/void"): lambda world: {"reason": "A test"},
    ("POST", "tokens"): lambda world: {"uid": "04AABBCC", "driver_id": world.driver.pk},
    ("POST", "tokens/bulk"): lambda world: {"tokens": [{"uid": "04AABBCD", "fleet_id": world.fleet.pk}]},
    ("POST", "tokens/import"): lambda world: {"csv": "uid\n04AABBCE\n"},
    ("PATCH", "tokens/<int:token_id>"): lambda world: {"group": "STAFF"},
    ("POST", "drivers"): lambda world: {"name": "New driver", "fleet_id": world.fleet.pk},
    ("PATCH", "drivers/<int:driver_id>"): lambda world: {"phone": "+49 40 1"},
    ("POST", "fleets"): lambda world: {"name": "New fleet"},
    ("PATCH", "fleets/<int:fleet_id>"): lambda world: {"cost_centre": "4711"},
    ("POST", "vehicles"): lambda world: {"plate": "HH-VY 1", "driver_id": world.driver.pk},
    ("PATCH", "vehicles/<int:vehicle_id>"): lambda world: {"vin": "W0L000051T2123456"},
    ("PATCH", "plug-and-charge"): lambda world: {"unchecked": "accept"},
    ("PUT", "autocharge"): lambda world: {"enabled": True},
    ("PUT", "sites/<int:site_id>/autocharge"): lambda world: {"enabled": None},
    ("POST", "seen-vehicles/<int:seen_vehicle_id>/confirm"): lambda world: {"driver_id": world.driver.pk},
    ("POST", "tariffs"): lambda world: {"name": "New tariff", "elements": objects.ELEMENTS},
    ("PATCH", "tariffs/<int:tariff_id>"): lambda world: {"tax_included": True},
    ("POST", "tariffs/<int:tariff_id>/preview"): lambda world: {"energy_wh": "10000"},
    ("POST", "displays"): lambda world: {
        "contents": [{"language": "en", "text": "Half price today"}],
        "station_ids": [world.station.pk],
    },
    ("PUT", "stations/<int:station_id>/tariff"): lambda world: {"tariff_id": world.tariff.pk},
    ("POST", "sessions/<int:session_id>/tariff"): lambda world: {
        "tariff_id": world.charging_at_21().tariff.pk
    },
    ("POST", "stations/<int:station_id>/display-messages/<int:message_id>/send-again"): lambda world: (
        world.charging_at_21().nothing
    ),
    ("POST", "stations/<int:station_id>/swaps"): lambda world: {"token_uid": "04AABBCC"},
    ("POST", "prepaid"): lambda world: {"token_id": world.new_token().pk},
    ("POST", "prepaid/<int:account_id>/pay-in"): lambda world: {"amount": "20.00"},
    ("POST", "charges/<int:charge_id>/void"): lambda world: {"reason": "A test"},
    ("PATCH", "security/policy"): lambda world: {"approval": "manual"},
    ("POST", "security/roots"): lambda world: {"use": "csms_root", "certificate": pki.Authority("New").pem},
    ("POST", "security/rollouts"): lambda world: {"anchor_id": world.anchor.pk},
    ("POST", "security/requests/<int:signing_id>/certificate"): lambda world: {"certificate": _signed(world)},
    ("POST", "stations/<int:station_id>/profile-changes"): lambda world: _next_change(world),
    ("PUT", "stations/<int:station_id>/security-profile"): lambda world: {"profile": 2},
    ("PUT", "sites/<int:site_id>/grid"): lambda world: world.grid(),
    ("POST", "sites/<int:site_id>/grid/check"): lambda world: world.grid(),
    ("PUT", "sites/<int:site_id>/grid/policy"): lambda world: {"share": "equal"},
    ("POST", "sites/<int:site_id>/grid/steering"): lambda world: {"on": True, "accept_waiting": True},
}

# Of pages that take only a filled form, by route below the company.
FORMS: dict[str, Callable[[World], dict[str, Any]]] = {
    "stations/<int:station_id>/limits/set/<slug:limit_how>/": lambda world: {
        "evse": 1,
        "value": "7.4",
        "unit": "kW",
    },
    "stations/<int:station_id>/limits/<int:profile_id>/update/": lambda world: {"value": "6"},
    "stations/<int:station_id>/grid/new/<slug:der_kind>/": lambda world: {
        "points": "92, 44\n98, 0",
        "y_unit": "pct_max_var",
        "priority": "0",
    },
    "stations/<int:station_id>/driver/words/": lambda world: {"price": "0.45 EUR/kWh"},
    "sites/<int:site_id>/grid/": lambda world: {"draft": json.dumps(world.grid())},
    "sites/<int:site_id>/grid/draft/": lambda world: {"draft": json.dumps(world.grid()), "do": "check"},
    "sites/<int:site_id>/grid/set-up/": lambda world: {
        "limit_a": "63",
        "supply": "three_phase",
        "building_most_a": "0",
    },
    "sites/<int:site_id>/meters/try/": lambda world: {
        "meter": world.meter.pk,
        "name": "M",
        "kind": "building",
    },
    "sites/<int:site_id>/what-if/": lambda world: {
        "first_day": "2026-03-02",
        "last_day": "2026-03-03",
        "share": "need",
    },
    "sites/<int:site_id>/limits/": lambda world: {"source": "grid_operator", "power_kw": "4.2"},
    "sessions/<int:running_id>/wish/": lambda world: {f"wish-{world.running.pk}-kwh": "20"},
    "me/charging/<int:running_id>/wish/": lambda world: {f"wish-{world.running.pk}-kwh": "20"},
    "sessions/<int:running_id>/priority/": lambda world: {"active": "yes"},
    "sessions/<int:running_id>/transfer/": lambda world: {"transfers": "AC_BPT"},
    "stations/<int:station_id>/security/change/": lambda world: (
        _next_change(world) | {"slot": 2, "interface": "wired0"}
    ),
    "autocharge/switch/": lambda world: {"state": "on"},
    "stations/<int:station_id>/commands/send/": lambda world: {"kind": "clear_cache"},
    "stations/orders/new/": lambda world: {"order": "clear_cache", "station": world.station.pk},
    "issues/bulk/": lambda world: {"action": "assign", "issue": world.issue.pk},
    "issues/<int:issue_id>/act/": lambda world: {"action": "comment", "text": "Looked at"},
    "issues/rules/policy/": lambda world: {"recovery_on": "on"},
    "uptime/reports/new/": lambda world: {"scheme": "us", "month": "2026-03-01"},
    "uptime/exclusions/<int:exclusion_id>/withdraw/": lambda world: {"reason": "A test"},
    "stations/<int:station_id>/files/fetch/": lambda world: {"kind": "diagnostics", "hours": "24"},
    "stations/<int:station_id>/files/update/": lambda world: {"image_id": world.image.pk, "when": "idle"},
    "stations/<int:station_id>/logs/<int:log_id>/again/": lambda world: {"verb": "cancel"},
    "firmware/<int:image_id>/sign/": lambda world: objects.signature(b"firmware"),
    "firmware/<int:image_id>/publish/": lambda world: {"station": world.station.pk},
    "campaigns/<int:campaign_id>/turn/": lambda world: {"verb": "pause"},
    "stations/<int:station_id>/access/reserve/": lambda world: {
        "place": "evse:1",
        "token_uid": "04AB12CD",
        "sure": "04AB12CD",
        "minutes": 15,
    },
    "me/reserve/new/": lambda world: {"station": world.station.pk, "evse": 1, "minutes": 15},
    "stations/<int:station_id>/orphans/<int:orphan_id>/apply/": lambda world: {
        "session_id": world.session.pk
    },
    "stations/<int:station_id>/network/set/": lambda world: {
        "slot": 1,
        "url": "wss://csms.example.com/ocpp",
        "ocpp_version": "2.0.1",
        "interface": "wired0",
        "security_profile": 2,
        "timeout_s": 30,
    },
    "stations/<int:station_id>/network/order/": lambda world: {"slots": "1,0"},
}


def build() -> World:
    """A fresh company with one of everything."""
    tenant = people.make_tenant()
    marker = f"mark{secrets.token_hex(4)}"
    owner = people.make_user("Olga Owner")
    people.join(owner, tenant, "owner")
    site = objects.create_site(tenant, name=f"Site {marker}")
    known: dict[str, Any] = {
        "vendor": "Acme",
        "model": "One",
        "firmware_version": "1.0",
        "ocpp_version": "2.1",
    }
    station = objects.create_station(tenant, site, identity=f"CP-{marker}", evses=2, **known)
    tariff = objects.create_tariff(tenant, name=f"Tariff {marker}")
    of_site = objects.create_tariff(tenant, name=f"Site's {marker}")
    fleet = objects.create_fleet(tenant, name=f"Fleet {marker}")
    driver = objects.create_driver(tenant, name=f"Driver {marker}", user=owner)
    token = objects.create_token(tenant, uid=f"04{marker}", visual_number=marker, group=marker)
    session = objects.create_session(tenant, station, transaction_id=marker, state="held", token=token)
    running = _running(tenant, station, marker, driver)
    member = people.join(people.make_user(f"Mia {marker}"), tenant, "operator")
    with tenant_scope(tenant.pk):
        rows_of_drivers = _drivers(tenant, station, session, tariff, marker)
        _links(tenant, member, site, fleet, token, marker)
        _history(tenant, station, session, of_site, marker)
        rows = _rows(tenant, site, station, driver, marker) | _security(tenant, station, marker)
        rows |= _files(tenant, site, station, marker)
        grid = sites.one_of_each(tenant, site, station, marker)
        rows["meter"] = grid.meter
        rows["what_if"] = grid.what_if
        rows["delivery"] = _delivery(tenant, rows["webhook"], site, marker)
        vehicle = Vehicle.objects.create(tenant=tenant, plate=marker, fleet=None)
    return World(
        tenant=tenant,
        owner=owner,
        api=people.make_api_client(tenant),
        marker=marker,
        site=site,
        station=station,
        tariff=tariff,
        fleet=fleet,
        driver=driver,
        vehicle=vehicle,
        token=token,
        session=session,
        running=running,
        member=member,
        **rows,
        **rows_of_drivers,
    )


def _running(tenant: Tenant, station: Station, marker: str, driver: Driver) -> Session:
    """The owner's own, at the second EVSE."""
    with tenant_scope(tenant.pk):
        evse = Evse.objects.get(tenant=tenant, station=station, number=2)
    return objects.create_session(
        tenant,
        station,
        evse=evse,
        connector=None,
        driver=driver,
        transaction_id=f"running-{marker}",
        transaction_number=None,
        started_at=datetime.now(UTC) + timedelta(minutes=5),  # after what the orphan is about
    )


def _configuration(tenant: Tenant, station: Station, marker: str) -> dict[str, Any]:
    """The device model of a station: a setting, its template, monitors, streams, reports."""
    now = datetime.now(UTC)
    own = {"tenant": tenant, "station": station}
    named = {"component": "EVSE", "name": marker}
    template = ConfigurationTemplate.objects.create(
        tenant=tenant, name=marker, settings=[{"name": "HeartbeatInterval", "value": "60"}]
    )
    run = ConfigurationRun.objects.create(
        tenant=tenant, label=marker, template_id=template.pk, origin_kind="user", origin_label="Olga"
    )
    stream = Stream.objects.create(**own, number=1, opened_at=now)
    StreamValue.objects.create(tenant=tenant, stream=stream, at=now, value=marker)
    VariableChange.objects.create(
        **own,
        **named,
        run=run,
        after="60",
        origin_kind="user",
        origin_label=marker,
        asked_at=now,
        state="done",
    )
    DeviceReport.objects.create(
        **own, kind="report", request_id=1, base=marker[:16], created_at=now, last_at=now
    )
    NetworkProfile.objects.create(
        **own,
        slot=1,
        url=f"wss://{marker}",
        ocpp_version="2.0.1",
        interface="wired0",
        security_profile=2,
        timeout_s=30,
        origin_label="Olga",
        asked_at=now,
    )
    StationDrift.objects.create(**own, wanted=1, drifted=1, state="drifted")
    DesiredSetting.objects.create(**own, **named, template=template, wanted="60", state="drifted")
    return {
        "template": template,
        "run": run,
        "stream": stream,
        "variable": Variable.objects.create(
            **own, **named, value="60", read_at=now, source="report", supports_monitoring=True
        ),
        "monitor": Monitor.objects.create(
            **own, **named, number=1, kind="upper", value=80, severity=3, state="set", created_at=now
        ),
        "alert": Alert.objects.create(
            **own, **named, event_number=1, severity=3, value=marker, opened_at=now, last_at=now
        ),
        "query": CustomerQuery.objects.create(
            **own,
            request_id=1,
            subject=marker,
            report=True,
            clear=False,
            state="complete",
            told=json.dumps({"0": f"Told of {marker}"}),
            origin_label="Olga",
            created_at=now,
            last_at=now,
            delete_at=now + timedelta(days=1),
        ),
        "vendor_profile": VendorProfile.objects.create(tenant=tenant, name=marker, vendor=marker),
    }


def _rows(tenant: Tenant, site: Site, station: Station, driver: Driver, marker: str) -> dict[str, Any]:
    now = datetime.now(UTC)
    money = {"excl_tax": Decimal("5.90"), "tax": Decimal("1.12"), "incl_tax": Decimal("7.02")}
    return {
        **_health(tenant, site, station, marker),
        **_configuration(tenant, station, marker),
        "command": objects.create_command(tenant, station, note=marker),
        "batch": objects.create_batch(tenant, station, note=marker),
        "quarantined": QuarantinedStation.objects.create(
            tenant=tenant, identity=f"Q-{marker}", first_seen_at=now, last_seen_at=now
        ),
        "orphan": OrphanMessage.objects.create(
            tenant=tenant,
            station=station,
            action="stop",
            transaction_id=marker,
            content_hash=marker,
            payload={},
            told={
                "number": 1,
                "meter_stop_wh": "6000",
                "raw_timestamp": now.isoformat(),
                "token": None,
                "reason": "",
                "samples": [],
            },
            received_at=now,
        ),
        "charge": Charge.objects.create(
            tenant=tenant,
            subject=f"session:{marker}",
            tariff={},
            usage={},
            currency="EUR",
            energy_wh=10_000,
            site=site,
            occurred_at=now,
            **money,
        ),
        "key": ApiKey.objects.create(
            tenant=tenant, name=marker, prefix=secrets.token_hex(5), key_hash="0" * 64
        ),
        "profile": ChargingProfile.objects.create(
            tenant=tenant,
            station=station,
            evse_number=1,
            number=77,
            purpose="default",
            kind="dynamic",
            label=marker,
            periods=[{"start_s": 0, "limit": 8000.0}],
            state="accepted",
            unit="W",
        ),
        "constraint": PowerConstraint.objects.create(
            tenant=tenant,
            site=site,
            source="grid_operator",
            periods=[{"start_s": 0, "limit": 4200.0}],
            starts_at=now,
            told_by="api",
            reference=marker,
        ),
        "der": DerControl.objects.create(
            tenant=tenant,
            station=station,
            control_id=marker,
            kind="gradients",
            state="active",
            settings={"gradient": 20, "soft_gradient": 2},
            settled_at=now,
        ),
        "webhook": Webhook.objects.create(tenant=tenant, url=f"https://hooks.example.com/{marker}"),
        **_plug_and_charge(tenant, site, station, marker, now),
        "reservation": objects.create_reservation(
            tenant, station, driver=driver, by_driver=True, asked_by=marker
        ),
    }


def _files(tenant: Tenant, site: Site, station: Station, marker: str) -> dict[str, Any]:
    """Logs and firmware. The image is one that nobody was to get yet; the update waits at another station."""
    now = datetime.now(UTC)
    image = objects.create_image(tenant, version=f"2.0-{marker}", content=b"firmware")
    sent = objects.create_image(tenant, version=f"1.9-{marker}", content=b"older")
    new_image = FirmwareImage.objects.create(
        tenant=tenant, vendor="Acme", version=f"3.0-{marker}", created_by="Olga"
    )
    campaign = Campaign.objects.create(tenant=tenant, name=marker, image=sent, created_by="Olga")
    other = objects.create_station(tenant, site, identity=f"CPF-{marker}")
    update = FirmwareUpdate.objects.create(
        tenant=tenant, station=other, image=sent, campaign=campaign, origin_label=marker
    )
    publication = FirmwarePublication.objects.create(
        tenant=tenant, station=station, image=sent, state="published", origin_label=marker
    )
    log = LogRequest.objects.create(
        tenant=tenant, station=station, protocol="https", origin_label=marker, since=now, deadline_at=now
    )
    stored = default_storage.save(f"{tenant.pk}/logs/{marker}", ContentFile(marker.encode()))
    log_file = LogFile.objects.create(
        tenant=tenant, station=station, request=log, kind="diagnostics", name=f"{marker}.log", storage_name=stored,
        size_bytes=len(marker), sha256="0" * 64, content_type="text/plain", protocol="https", received_at=now,
    )  # fmt: skip
    FileTicket.objects.create(
        tenant=tenant, station=station, purpose="log", token_hash=marker, log_request=log, expires_at=now
    )
    return {
        "image": image, "new_image": new_image, "campaign": campaign, "update": update,
        "publication": publication, "log": log, "log_file": log_file,
    }  # fmt: skip


def _drivers(
    tenant: Tenant, station: Station, session: Session, tariff: Tariff, marker: str
) -> dict[str, Any]:
    """What drivers see and pay."""
    now = datetime.now(UTC)
    own: dict[str, Any] = {"tenant": tenant, "station": station}
    contents = [{"language": "en", "format": "utf8", "text": marker}]
    notice = DisplayNotice.objects.create(
        tenant=tenant, contents=contents, priority="in_front", written_by=marker
    )
    message = DisplayMessage.objects.create(
        **own,
        notice=notice,
        number=7,
        contents=contents,
        priority="in_front",
        standing="refused",
        detail=marker,
    )
    account = PrepaidAccount.objects.create(
        tenant=tenant,
        token=objects.create_token(tenant, uid=f"05{marker}", visual_number=marker),
        currency="EUR",
    )
    PrepaidEntry.objects.create(tenant=tenant, account=account, kind="top_up", amount=0, label=marker)
    SessionCost.objects.create(tenant=tenant, session=session, station_tariff=marker)
    StationTariff.objects.create(
        **own, tariff=tariff, wire_id=marker, terms={"name": marker, "currency": "EUR", "elements": []},
        standing="installed", changed_at=now,
    )  # fmt: skip
    Settlement.objects.create(
        **own, session=session, psp_ref=marker, status="settled", amount=1, settled_at=now, received_at=now
    )
    VatCheck.objects.create(**own, number=marker[:20], accepted=True, at=now)
    WebPaymentAccess.objects.create(**own, secret=marker)
    WebPayment.objects.create(
        **own, evse_number=1, code=marker[:12], key=marker, token_uid=marker, reference=marker, expires_at=now
    )
    BatterySlot.objects.create(
        **own,
        evse_number=1,
        present=True,
        serial_number=marker,
        soc_percent=90,
        soh_percent=99,
        changed_at=now,
    )
    BatterySwap.objects.create(**own, request_id=1, token_uid=marker, state="swap_done", began_at=now)
    return {"notice": notice, "message": message, "account": account}


def _security(tenant: Tenant, station: Station, marker: str) -> dict[str, Any]:
    """Certificates with all that belongs to them: real ones, for some addresses read them."""
    now = datetime.now(UTC)
    later = now + timedelta(days=30)
    own = {"tenant": tenant, "station": station}
    root = pki.Authority(marker)
    dates = {"not_before": now, "not_after": later}
    SecurityPolicy.objects.create(tenant=tenant, organisation=marker)
    signer = Authority.objects.create(
        tenant=tenant,
        kind="delegated",
        name=marker,
        pem=root.pem,
        key=pki.key_pem(root.key),
        subject=marker,
        fingerprint=marker,
        **dates,
    )
    anchor = TrustAnchor.objects.create(
        tenant=tenant,
        use="csms_root",
        name=marker,
        pem=root.pem,
        serial="1a",
        issuer_name_hash="0" * 64,
        fingerprint=marker,
        **dates,
    )
    InstalledCertificate.objects.create(
        **own, use="csms_root", hash_algorithm="SHA256", issuer_name_hash=marker, serial="1a", anchor=anchor
    )
    csr, _key = pki.request(station.identity)
    rollout = Rollout.objects.create(tenant=tenant, anchor=anchor, started_by=marker, deadline=later)
    RolloutStep.objects.create(**own, rollout=rollout)
    PasswordChange.objects.create(**own, state="used", started_by=marker)
    return {
        "anchor": anchor,
        "rollout": rollout,
        "signing": SigningRequest.objects.create(
            **own, csr=csr, common_name=station.identity, detail=marker, received_at=now
        ),
        "certificate": StationCertificate.objects.create(
            **own, authority=signer, serial="2b", subject=marker, fingerprint=marker, pem=root.pem, **dates
        ),
        "change": ProfileChange.objects.create(
            **own, from_profile=1, to_profile=2, state="return", started_by=marker, deadline=later
        ),
        "security_event": SecurityEvent.objects.create(
            **own,
            type="TamperDetectionActivated",
            severity="error",
            tech_info=marker,
            occurred_at=now,
            received_at=now,
        ),
    }


def _signed(world: World) -> str:
    """The certificate that answers the sample's request."""
    with tenant_scope(world.tenant.pk):
        signer = Authority.objects.filter(tenant=world.tenant).earliest("pk")
    return pki.answer(world.signing.csr, signer.pem, signer.key, world.signing.common_name)


def _let_fail(world: World) -> dict[str, Any]:
    """The station of the order has refused it, and takes orders now."""
    with tenant_scope(world.tenant.pk):
        Command.objects.filter(batch=world.batch).update(state="rejected")
        Station.objects.filter(pk=world.station.pk).update(online=True)
    return {}


def _next_change(world: World) -> dict[str, Any]:
    """A change of profile, once the one that is under way has ended."""
    with tenant_scope(world.tenant.pk):
        ProfileChange.objects.filter(pk=world.change.pk).update(state="done")
    return {"profile": 2, "url": "wss://csms.example/ocpp"}


def _plug_and_charge(
    tenant: Tenant, site: Site, station: Station, marker: str, now: datetime
) -> dict[str, Any]:
    PlugAndCharge.objects.create(tenant=tenant, audience=marker)
    Autocharge.objects.create(tenant=tenant, site=site, enabled=True)
    dates = {"not_after": now, "first_seen_at": now, "last_seen_at": now}
    IssuerCertificate.objects.create(
        tenant=tenant, name_hash="0" * 64, fingerprint="0" * 64, subject=marker, pem="", not_after=now, seen_at=now
    )  # fmt: skip
    RevocationCheck.objects.create(
        tenant=tenant, key=marker, source="ocsp", serial="1", responder=marker, status="good", checked_at=now,
        good_until=now,
    )  # fmt: skip
    ContractCheck.objects.create(
        tenant=tenant, station=station, emaid="DE8AAC12345678", at=now, status="accepted", verdict="accepted",
        detail=marker,
    )  # fmt: skip
    CertificateInstallation.objects.create(
        tenant=tenant, station=station, at=now, schema="urn:iso:15118:2:2013:MsgDef", accepted=True, detail=marker,
        request_characters=1,
    )  # fmt: skip
    return {
        "contract": Contract.objects.create(
            tenant=tenant, emaid="DE8AAC12345678", issuer=marker, serial="1", fingerprint="0" * 64, key_type="P-256",
            chain="", not_before=now, status="accepted", **dates,
        ),
        "seen_vehicle": SeenVehicle.objects.create(
            tenant=tenant, uid=marker, kind="vin", station=station, first_seen_at=now,
            last_seen_at=now,
        ),
    }  # fmt: skip


def _health(tenant: Tenant, site: Site, station: Station, marker: str) -> dict[str, Any]:
    HealthPolicy.objects.create(tenant=tenant, mails=[f"{marker}@example.com"])
    return health_of(tenant, site, station, marker)


def health_of(tenant: Tenant, site: Site, station: Station, marker: str) -> dict[str, Any]:
    """An issue, an exclusion, a month and a report of one station. Inside the tenant's scope."""
    now = datetime.now(UTC)
    connector = Connector.objects.filter(tenant=tenant, evse__station=station).order_by("id")[0]
    rule = IssueRule.objects.create(
        tenant=tenant,
        name=marker,
        signal="faulted",
        threshold=1,
        steps=[{"kind": "trigger", "wait_minutes": 1}],
    )
    issue = Issue.objects.create(
        tenant=tenant, rule=rule, signal="faulted", site=site, station=station, connector=connector,
        severity="major", since=now, opened_at=now, seen_at=now, evidence={"info": marker},
    )  # fmt: skip
    IssueEvent.objects.create(tenant=tenant, issue=issue, at=now, kind="comment", text=marker)
    StatusEntry.objects.create(
        tenant=tenant, station=station, evse_number=1, connector_number=1, status="faulted", info=marker, at=now,
        received_at=now,
    )  # fmt: skip
    PortMonth.objects.create(
        tenant=tenant, station=station, evse=connector.evse, month=now.date().replace(day=1), month_s=100,
        period_s=100, unknown_s=0, outage_s=5, excluded_s=0, failed_s=0, uk_period_s=100, uk_down_s=5,
        outages=[{"from": now.isoformat(), "to": now.isoformat(), "why": "faulted", "detail": marker, "seconds": 5}],
        computed_at=now,
    )  # fmt: skip
    return {
        "rule": rule,
        "issue": issue,
        "exclusion": Exclusion.objects.create(
            tenant=tenant, category="utility", site=site, station=station, starts_at=now,
            ends_at=datetime(2100, 1, 1, tzinfo=UTC), evidence=marker, entered_by="Olga",
        ),
        "report": UptimeReport.objects.create(
            tenant=tenant, scheme="us", month=now.date().replace(day=1), csv=marker, pdf=b"%PDF", made_by=marker,
            site=site,
        ),
    }  # fmt: skip


def _delivery(tenant: Tenant, hook: Webhook, site: Site, marker: str) -> FactDelivery:
    """A fact that the webhook was told of."""
    fact = Fact.objects.create(
        tenant=tenant, kind="site.seen", subject_type="site", subject_id=site.pk, payload={"name": marker}
    )
    return FactDelivery.objects.create(
        tenant=tenant, fact=fact, subscriber=f"webhook:{hook.pk}", done_at=fact.created_at
    )


def _links(tenant: Tenant, member: Membership, site: Site, fleet: Fleet, token: Token, marker: str) -> None:
    """Rows that no address names."""
    MembershipSite.objects.create(tenant=tenant, membership=member, site=site)
    FleetScope.objects.create(tenant=tenant, membership=member, fleet=fleet)
    TokenSite.objects.create(tenant=tenant, token=token, site=site)
    JournalHead.objects.create(tenant=tenant, gateway="g")
    JournalCursor.objects.create(tenant=tenant, gateway="g")
    IdempotencyRecord.objects.create(tenant=tenant, caller="key:1", key=marker, request_hash="0" * 64)
    now = datetime.now(UTC)
    GatewayProcess.objects.create(name=f"g-{marker}", started_at=now, alive_at=now)


def _history(tenant: Tenant, station: Station, session: Session, tariff: Tariff, marker: str) -> None:
    """What is read below a station or a session."""
    now = datetime.now(UTC)
    own = {"tenant": tenant, "station": station}
    StationEvent.objects.create(**own, kind="boot", text=marker, occurred_at=now, received_at=now)
    Variable.objects.create(**own, name=marker, value="60", read_at=now, source="get_configuration")
    Variable.objects.create(
        **own,
        component="TariffCostCtrlr",
        name="TariffFallbackMessage",
        value="",
        read_at=now,
        source="report",
    )
    Connection.objects.create(
        **own, epoch=1, gateway="g", ocpp_version="1.6", opened_at=now, close_reason=marker
    )
    Frame.objects.create(
        **own,
        id=secrets.randbits(60),
        received_at=now,
        gateway="g",
        outbound=False,
        message_type=2,
        message_id=marker,
        action="Heartbeat",
        ocpp_version="1.6",
        apply=False,
        payload="{}",
    )
    Reading.objects.create(
        **own,
        id=secrets.randbits(60),
        evse_number=1,
        session_id=session.pk,
        sampled_at=now,
        raw_timestamp=marker,
        received_at=now,
        context="Sample.Periodic",
        digest=marker,
        values=[],
    )
    SessionEvent.objects.create(
        tenant=tenant,
        session=session,
        kind="started",
        trigger=marker,
        occurred_at=now,
        received_at=now,
        content_hash=marker,
        payload={},
    )
    CompositeTold.objects.create(
        **own,
        evse_number=1,
        unit="A",
        starts_at=now,
        duration_s=3600,
        told_at=now,
        periods=[{"start_s": 0, "limit": 16}],
    )
    SessionPower.objects.create(
        **own, evse_number=1, session=session, needs_at=now, energy_wh=22_000, transfer=marker[:20]
    )
    SiteTariff.objects.create(tenant=tenant, site=station.site, tariff=tariff)
    Authorization.objects.create(**own, token_uid=marker, verdict="accepted", at=now)
    LocalList.objects.create(**own, problem=marker)
    AccessRule.objects.create(tenant=tenant, list_group=marker)
    AccessRule.objects.create(tenant=tenant, station=station, local_list=True)
    AuditRecord.objects.create(
        tenant=tenant, actor_kind="user", actor_label="Olga", action="site.edit", object_label=marker
    )

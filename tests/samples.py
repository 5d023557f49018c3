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

from billing.models import Charge, SiteTariff, Tariff
from fleets.models import Driver, Fleet, FleetScope, Token, TokenSite, Vehicle
from stations.models import (
    AccessRule,
    Alert,
    Authorization,
    BatterySlot,
    BatterySwap,
    ChargingProfile,
    Command,
    CompositeTold,
    ConfigurationRun,
    ConfigurationTemplate,
    Connection,
    CustomerQuery,
    DerControl,
    DesiredSetting,
    DeviceReport,
    DisplayMessage,
    DisplayNotice,
    Evse,
    Frame,
    InstalledCertificate,
    JournalCursor,
    JournalHead,
    LocalList,
    Monitor,
    NetworkProfile,
    OrphanMessage,
    PowerConstraint,
    PrepaidAccount,
    PrepaidEntry,
    QuarantinedStation,
    Reading,
    Reservation,
    Session,
    SessionCost,
    SessionEvent,
    SessionPower,
    Settlement,
    Station,
    StationDrift,
    StationEvent,
    StationTariff,
    Stream,
    StreamValue,
    TrustAnchor,
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
    quarantined: QuarantinedStation
    orphan: OrphanMessage
    charge: Charge
    variable: Variable
    monitor: Monitor
    alert: Alert
    stream: Stream
    query: CustomerQuery
    template: ConfigurationTemplate
    run: ConfigurationRun
    vendor_profile: VendorProfile
    notice: DisplayNotice
    message: DisplayMessage
    account: PrepaidAccount
    member: Membership
    key: ApiKey
    webhook: Webhook
    profile: ChargingProfile
    constraint: PowerConstraint
    der: DerControl
    running: Session
    reservation: Reservation
    delivery: FactDelivery

    @property
    def nothing(self) -> dict[str, Any]:
        return {}

    def new_token(self) -> Token:
        return objects.create_token(self.tenant)

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
    "tariff_id": lambda world: world.tariff.pk,
    "fleet_id": lambda world: world.fleet.pk,
    "driver_id": lambda world: world.driver.pk,
    "vehicle_id": lambda world: world.vehicle.pk,
    "token_id": lambda world: world.token.pk,
    "session_id": lambda world: world.session.pk,
    "command_id": lambda world: world.command.pk,
    "quarantined_id": lambda world: world.quarantined.pk,
    "row_id": lambda world: world.quarantined.pk,
    "orphan_id": lambda world: world.orphan.pk,
    "charge_id": lambda world: world.charge.pk,
    "variable_id": lambda world: world.variable.pk,
    "monitor_id": lambda world: world.monitor.pk,
    "alert_id": lambda world: world.alert.pk,
    "stream_id": lambda world: world.stream.pk,
    "query_id": lambda world: world.query.pk,
    "template_id": lambda world: world.template.pk,
    "run_id": lambda world: world.run.pk,
    "vendor_profile_id": lambda world: world.vendor_profile.pk,
    "notice_id": lambda world: world.notice.pk,
    "message_id": lambda world: world.message.pk,
    "account_id": lambda world: world.account.pk,
    "member_id": lambda world: world.member.pk,
    "key_id": lambda world: world.key.pk,
    "webhook_id": lambda world: world.webhook.pk,
    "profile_id": lambda world: world.profile.pk,
    "constraint_id": lambda world: world.constraint.pk,
    "der_id": lambda world: world.der.pk,
    "limit_how": lambda world: "now",
    "der_kind": lambda world: "volt_var",
    "running_id": lambda world: world.running.pk,
    "reservation_id": lambda world: world.reservation.pk,
    "delivery_id": lambda world: world.delivery.pk,
}

# Of REST writes, by method and route below /api/v1/. Nothing listed: {}.
BODIES: dict[tuple[str, str], Callable[[World], dict[str, Any]]] = {
    ("POST", "sites"): lambda world: {"name": "New site"},
    ("PATCH", "sites/<int:site_id>"): lambda world: {"city": "Kiel"},
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
    ("POST", "sessions/<int:running_id>/priority"): lambda world: {"active": True},
    ("POST", "sessions/<int:running_id>/energy-transfer"): lambda world: {"transfers": ["AC_BPT"]},
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
    "sites/<int:site_id>/limits/": lambda world: {"source": "grid_operator", "power_kw": "4.2"},
    "sessions/<int:running_id>/priority/": lambda world: {"active": "yes"},
    "sessions/<int:running_id>/transfer/": lambda world: {"transfers": "AC_BPT"},
    "stations/<int:station_id>/commands/send/": lambda world: {"kind": "clear_cache"},
    "stations/<int:station_id>/access/reserve/": lambda world: {
        "place": "evse:1",
        "token_uid": "04AB12CD",
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
    station = objects.create_station(tenant, site, identity=f"CP-{marker}", evses=2)
    tariff = objects.create_tariff(tenant, name=f"Tariff {marker}")
    of_site = objects.create_tariff(tenant, name=f"Site's {marker}")
    fleet = objects.create_fleet(tenant, name=f"Fleet {marker}")
    driver = objects.create_driver(tenant, name=f"Driver {marker}", user=owner)
    token = objects.create_token(tenant, uid=f"04{marker}", visual_number=marker, group=marker)
    session = objects.create_session(tenant, station, transaction_id=marker, state="held", token=token)
    running = _running(tenant, station, marker)
    member = people.join(people.make_user(f"Mia {marker}"), tenant, "operator")
    with tenant_scope(tenant.pk):
        rows_of_drivers = _drivers(tenant, station, session, tariff, marker)
        _links(tenant, member, site, fleet, token, marker)
        _history(tenant, station, session, of_site, marker)
        rows = _rows(tenant, site, station, driver, marker)
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


def _running(tenant: Tenant, station: Station, marker: str) -> Session:
    """At the second EVSE."""
    with tenant_scope(tenant.pk):
        evse = Evse.objects.get(tenant=tenant, station=station, number=2)
    return objects.create_session(
        tenant,
        station,
        evse=evse,
        connector=None,
        transaction_id=f"running-{marker}",
        transaction_number=None,
        started_at=datetime.now(UTC) + timedelta(minutes=5),  # after what the orphan is about
    )


def _rows(tenant: Tenant, site: Site, station: Station, driver: Driver, marker: str) -> dict[str, Any]:
    now = datetime.now(UTC)
    money = {"excl_tax": Decimal("5.90"), "tax": Decimal("1.12"), "incl_tax": Decimal("7.02")}
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
        "command": objects.create_command(tenant, station, note=marker),
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
        "reservation": objects.create_reservation(
            tenant, station, driver=driver, by_driver=True, asked_by=marker
        ),
    }


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
    anchor = TrustAnchor.objects.create(
        tenant=tenant,
        use="csms_root",
        name=marker,
        serial="1a",
        issuer_name_hash="0" * 64,
        fingerprint=marker,
        not_before=now,
        not_after=now,
    )
    InstalledCertificate.objects.create(
        **own, use="csms_root", hash_algorithm="SHA256", issuer_name_hash=marker, serial="1a", anchor=anchor
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

"""Vendor profiles: what odd chargers tell is put right before it is stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from stations.models import Reading, Session, Station, VendorProfile
from stations.neutral import EventReport, MeterReport, SampledValue, StatusReport
from stations.ocpp import recording
from stations.services import quirks, vendor_profiles
from tenants.context import tenant_scope
from tenants.errors import Conflict, Forbidden, Invalid
from tenants.models import Role, Tenant
from tests.stations.telling import POWER, REGISTER, Speaker, now, sample, value

Make = Callable[..., Station]
KWH = {"units": [{"measurand": REGISTER, "told": "Wh", "means": "kWh"}]}


@pytest.fixture
def odd(make_station: Make) -> Station:
    return make_station(vendor="Acme", model="Odd 22", firmware_version="2.4.1")


def profile(tenant: Tenant, actor: Any, told: dict[str, Any], **values: Any) -> VendorProfile:
    given = {"name": "Odd", "vendor": "Acme", "model": "Odd*"} | values
    with tenant_scope(tenant.pk):
        return vendor_profiles.save(tenant_id=tenant.pk, actor=actor, quirks=told, **given)


def told(station: Station, *values: SampledValue, at: datetime | str = "") -> Reading:
    report = MeterReport(station.pk, 1, now(), (sample(at or now(), *values),))
    with tenant_scope(station.tenant_id):
        recording.record(tenant_id=station.tenant_id, reports=[report])
        return Reading.objects.filter(tenant_id=station.tenant_id, station=station).latest("id")


def test_kilowatt_hours_called_watt_hours_are_put_right(
    tenant: Tenant, odd: Station, owner_actor: Any
) -> None:
    profile(tenant, owner_actor, KWH)
    reading = told(odd, value(361, unit="Wh"), value(9451, POWER, unit="W"))
    assert (reading.energy_wh, reading.power_w) == (Decimal(361_000), 9451)
    assert reading.values[0]["value"] == "361"  # as told


def test_the_unit_that_another_unit_stands_for_may_be_unknown(
    tenant: Tenant, odd: Station, owner_actor: Any
) -> None:
    profile(tenant, owner_actor, {"units": [{"measurand": REGISTER, "told": "kW", "means": "kWh"}]})
    assert told(odd, value(3, unit="kW")).energy_wh == Decimal(3000)


@pytest.mark.parametrize(
    "rule",
    [{"vendor": "Other", "model": ""}, {"firmware_from": "2.5"}, {"firmware_to": "2.4"}, {"enabled": False}],
)
def test_others_are_taken_at_their_word(
    tenant: Tenant, odd: Station, owner_actor: Any, rule: dict[str, Any]
) -> None:
    profile(tenant, owner_actor, KWH, **rule)
    assert told(odd, value(361, unit="Wh")).energy_wh == Decimal(361)


def test_another_company_has_profiles_of_its_own(
    tenant: Tenant, other_tenant: Tenant, make_station: Make, owner_actor: Any
) -> None:
    profile(tenant, owner_actor, KWH)
    theirs = make_station(tenant=other_tenant, vendor="Acme", model="Odd 22")
    assert told(theirs, value(361, unit="Wh")).energy_wh == Decimal(361)


@pytest.mark.parametrize(("zone", "hours"), [("Asia/Shanghai", 8), ("site", 1)])
def test_a_clock_that_names_no_zone_has_one(
    tenant: Tenant, odd: Station, owner_actor: Any, zone: str, hours: int
) -> None:
    with tenant_scope(tenant.pk):
        odd.site.time_zone = "Africa/Lagos"  # UTC+1 all year
        odd.site.save()
    profile(tenant, owner_actor, {"clock": {"zone": zone}})
    local = (now() + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%S")
    reading = told(odd, value(1), at=local)
    assert abs(reading.sampled_at - now()) < timedelta(seconds=10)
    assert not reading.flags
    # What names a zone is believed.
    assert told(odd, value(2), at=now().isoformat()).sampled_at <= now()


def test_a_clock_that_calls_its_local_time_utc(tenant: Tenant, odd: Station, owner_actor: Any) -> None:
    profile(tenant, owner_actor, {"clock": {"zone": "Asia/Shanghai", "when": "always"}})
    local = (now() + timedelta(hours=8)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert abs(told(odd, value(1), at=local).sampled_at - now()) < timedelta(seconds=10)


def test_times_of_all_reports_are_put_right(tenant: Tenant, odd: Station, owner_actor: Any) -> None:
    profile(tenant, owner_actor, {"clock": {"zone": "Asia/Shanghai"}})
    local = (now() + timedelta(hours=8)).strftime("%Y-%m-%dT%H:%M:%S")
    reports = [
        StatusReport(odd.pk, 1, 1, "available", local, now()),
        EventReport(odd.pk, "vendor", "info", "Hello", local, now()),
    ]
    with tenant_scope(tenant.pk):
        recording.record(tenant_id=tenant.pk, reports=reports)
        status_at = odd.evses.get().connectors.get().status_at
        event = odd.events.get(kind="vendor")
    assert status_at is not None
    assert abs(status_at - now()) < timedelta(seconds=10) and abs(event.occurred_at - now()) < timedelta(
        seconds=10
    )


def test_registers_and_reasons_of_a_session_are_put_right(
    tenant: Tenant, odd: Station, owner_actor: Any
) -> None:
    profile(tenant, owner_actor, {"registers": "kWh", "stop_reasons": {"": "EVDisconnected"}})
    speaker = Speaker(odd)
    (started,) = speaker.start(meter=100)
    stop = speaker.stop_request(started.transaction_number, meter=112, reason="Local")
    speaker.stop(replace(stop, reason_told=False))
    with tenant_scope(tenant.pk):
        session = Session.objects.get(tenant=tenant)
    assert (session.meter_start_wh, session.meter_stop_wh, session.stop_reason) == (
        100_000,
        112_000,
        "EVDisconnected",
    )


def test_a_profile_takes_the_place_of_ours(tenant: Tenant, make_station: Make, owner_actor: Any) -> None:
    station = make_station(vendor="OpenEVSE", model="Two", firmware_version="4.2.2")
    assert told(station, value(5, unit="Wh")).energy_wh == Decimal(5000)
    profile(tenant, owner_actor, {}, vendor="OpenEVSE", model="", shipped="openevse-register-kwh")
    assert told(station, value(6, unit="Wh")).energy_wh == Decimal(6)
    newer = make_station(vendor="OpenEVSE", firmware_version="5.0.0")
    assert told(newer, value(5, unit="Wh")).energy_wh == Decimal(5)


@pytest.mark.nodb
def test_all_that_come_along_can_be_used() -> None:
    keys = [entry["key"] for entry in quirks.shipped()]
    assert keys and len(keys) == len(set(keys))
    for entry in quirks.shipped():
        quirks.read(entry["name"], entry["quirks"])
        assert entry["notes"]


@pytest.mark.nodb
@pytest.mark.parametrize(
    "wrong",
    [
        {"unit": []}, {"units": [{"told": "Wh"}]}, {"units": [{"told": "Wh", "means": "miles"}]},
        {"clock": {"zone": "Mars/Olympus"}}, {"clock": {"zone": "site", "when": "sometimes"}}, {"registers": "J"},
        {"max_items": {"SetVariables": 0}}, {"apply": {"reset": "twice"}}, {"keys": [{"kind": "integer"}]},
        {"units": {}, "keys": "no"},
    ],
)  # fmt: skip
def test_a_quirk_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        quirks.read("Odd", wrong)


def test_who_may_not_configure_changes_no_profile(
    tenant: Tenant, odd: Station, owner_actor: Any, make_actor: Any
) -> None:
    with pytest.raises(Forbidden):
        profile(tenant, make_actor(Role.AUDITOR), KWH)
    with pytest.raises(Invalid):
        profile(tenant, owner_actor, KWH, vendor="", model="")
    profile(tenant, owner_actor, KWH)
    with pytest.raises(Conflict):
        profile(tenant, owner_actor, KWH)

"""Charging limits on the wire: from what an operator asks to what the station holds, and what it tells by itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from functools import partial
from typing import Any

import pytest

from stations import limits
from stations.models import (
    ChargingProfile,
    Command,
    CompositeTold,
    PowerConstraint,
    Session,
    SessionPower,
    Station,
    StationEvent,
    Variable,
)
from stations.services import commands, constraints, dynamic, priority, profiles
from tenants.errors import Conflict, Invalid
from tenants.models import Tenant
from tests import objects
from tests.stations.ocpp.charger import VERSIONS, Charger
from tests.stations.ocpp.conftest import Plug, applied, in_thread, rows

V2 = ("2.0.1", "2.1")
SCHEDULE = "chargingSchedule"


def profile_of(call: list[Any], version: str) -> tuple[int, dict[str, Any], dict[str, Any]]:
    """(EVSE, profile, its schedule) of a SetChargingProfile on the wire."""
    told = call[3]
    if version == "1.6":
        assert call[2] == "SetChargingProfile" and set(told) == {"connectorId", "csChargingProfiles"}
        return told["connectorId"], told["csChargingProfiles"], told["csChargingProfiles"][SCHEDULE]
    assert call[2] == "SetChargingProfile" and set(told) == {"evseId", "chargingProfile"}
    [schedule] = told["chargingProfile"][SCHEDULE]
    return told["evseId"], told["chargingProfile"], schedule


def id_of(profile: dict[str, Any]) -> int:
    return profile["chargingProfileId"] if "chargingProfileId" in profile else profile["id"]


async def have(tenant: Tenant, station: Station) -> list[tuple[str, str, int]]:
    """(purpose, state, EVSE) of the profiles of a station, oldest first."""
    return await rows(
        tenant,
        lambda: list(
            ChargingProfile.objects.filter(tenant=tenant, station=station)
            .order_by("id")
            .values_list("purpose", "state", "evse_number")
        ),
    )


async def until(tenant: Tenant, check: Callable[[], Any], what: str) -> Any:
    """What `check` gives inside the tenant, once it is true."""
    import asyncio

    for _try in range(150):
        if found := await rows(tenant, check):
            return found
        await asyncio.sleep(0.1)
    raise AssertionError(what)


async def all_settled(tenant: Tenant, station: Station) -> None:
    await until(
        tenant,
        lambda: (
            not Command.objects.filter(tenant=tenant, station=station, state__in=("queued", "sent")).exists()
        ),
        "commands are under way",
    )


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_limit_of_now_goes_to_the_running_session_and_to_those_that_follow(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    session = await in_thread(lambda: objects.create_session(tenant, station))
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=2)

    async with plug(station, version) as wire:
        await rows(
            tenant,
            lambda: profiles.limit(
                tenant_id=tenant.pk, station_id=station.pk, evse=1, amps=10, until=ends, actor=owner_actor
            ),
        )
        purposes = []
        for _profile in range(2):
            call = await wire.next_call()
            evse, profile, schedule = profile_of(call, version)
            purposes.append(profile["chargingProfilePurpose"])
            assert evse == 1 and profile["chargingProfileKind"] == "Absolute"
            assert schedule["chargingRateUnit"] == "A"
            assert schedule["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": 10}]
            begins = datetime.fromisoformat(schedule["startSchedule"])
            assert begins <= datetime.now(UTC)
            assert begins + timedelta(seconds=schedule["duration"]) == ends
            if profile["chargingProfilePurpose"] == "TxProfile":
                told = profile["transactionId"]
                assert told == (int(session.transaction_id) if version == "1.6" else session.transaction_id)
            else:
                assert "transactionId" not in profile
            await wire.answer(call, {"status": "Accepted"})
        await all_settled(tenant, station)
    assert purposes == ["TxProfile", "TxDefaultProfile"]
    assert await have(tenant, station) == [("transaction", "accepted", 1), ("default", "accepted", 1)]
    now = await rows(tenant, lambda: limits.of_station(Station.objects.get(pk=station.pk)).composite(1))
    assert [(one.limit, one.binding is not None) for one in now] == [(10, True), (32, False)]


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_limit_of_the_whole_station_and_the_newer_takes_the_place_of_the_older(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    async def say(amps: float, wire: Charger, status: str) -> dict[str, Any]:
        await rows(
            tenant,
            lambda: profiles.limit(
                tenant_id=tenant.pk, station_id=station.pk, evse=0, amps=amps, actor=owner_actor
            ),
        )
        call = await wire.next_call()
        evse, profile, _schedule = profile_of(call, version)
        assert evse == 0
        await wire.answer(call, {"status": status})
        await all_settled(tenant, station)
        return profile

    async with plug(station, version) as wire:
        first = await say(20, wire, "Accepted")
        second = await say(12, wire, "Accepted")
        refused = await say(8, wire, "Rejected")
    word = "ChargePointMaxProfile" if version == "1.6" else "ChargingStationMaxProfile"
    assert first["chargingProfilePurpose"] == word
    # the same id: a station of 2.x refuses another one in the same place (K01.FR.39)
    assert id_of(first) == id_of(second) == id_of(refused)
    assert await have(tenant, station) == [
        ("station_max", "replaced", 0),
        ("station_max", "accepted", 0),
        ("station_max", "rejected", 0),
    ]


async def test_a_newer_limit_replaces_one_that_still_waits(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    def ask(amps: float) -> None:
        profiles.limit(tenant_id=tenant.pk, station_id=station.pk, evse=1, amps=amps, actor=owner_actor)

    for amps in (20, 16, 6):
        await rows(tenant, partial(ask, amps))
    async with plug(station) as wire:
        call = await wire.next_call()
        assert profile_of(call, "1.6")[2]["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": 6}]
        await wire.answer(call, {"status": "Accepted"})
        await all_settled(tenant, station)
        assert wire.calls.empty()
    assert [state for _purpose, state, _evse in await have(tenant, station)] == [
        "replaced", "replaced", "accepted",
    ]  # fmt: skip


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_daily_limit_recurs_at_the_sites_time_and_is_cleared(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    async with plug(station, version) as wire:
        row = await rows(
            tenant,
            lambda: profiles.limit_daily(
                tenant_id=tenant.pk, station_id=station.pk, evse=1, begins=time(17), ends=time(6, 30), amps=8,
                actor=owner_actor,
            ),
        )  # fmt: skip
        call = await wire.next_call()
        _evse, profile, schedule = profile_of(call, version)
        assert (profile["chargingProfileKind"], profile["recurrencyKind"]) == ("Recurring", "Daily")
        assert schedule["duration"] == 13.5 * 3600
        zone = await rows(
            tenant, lambda: Station.objects.select_related("site").get(pk=station.pk).site.time_zone
        )
        from zoneinfo import ZoneInfo

        local = datetime.fromisoformat(schedule["startSchedule"]).astimezone(ZoneInfo(zone))
        assert (local.hour, local.minute) == (17, 0)
        await wire.answer(call, {"status": "Accepted"})
        await all_settled(tenant, station)
        await rows(tenant, lambda: profiles.clear(tenant_id=tenant.pk, profile_id=row.pk, actor=owner_actor))
        call = await wire.next_call()
        name = "id" if version == "1.6" else "chargingProfileId"
        assert call[2:] == ["ClearChargingProfile", {name: id_of(profile)}]
        await wire.answer(call, {"status": "Accepted"})
        await all_settled(tenant, station)
    assert await have(tenant, station) == [("default", "cleared", 1)]


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_profile_that_is_not_answered_or_breaks_is_not_in_the_station(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    async with plug(station, version) as wire:
        for _way in range(2):
            await rows(
                tenant,
                lambda: profiles.limit(
                    tenant_id=tenant.pk, station_id=station.pk, evse=1, amps=10, actor=owner_actor
                ),
            )
        call = await wire.next_call()
        await wire.raw(json.dumps([4, call[1], "InternalError", "out of memory", {}]))
        await all_settled(tenant, station)
    found = await rows(
        tenant, lambda: list(ChargingProfile.objects.filter(station=station).values_list("state", "reason"))
    )
    assert ("failed", "out of memory") in found
    assert not any(state == "accepted" for state, _reason in found)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_profile_sent_as_a_bare_command_is_known_as_well(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    profile = {
        "evse": 1, "purpose": "default", "kind": "relative", "unit": "W", "stack_level": 1,
        "periods": [{"start_s": 0, "limit": 7400.06, "phases": 1}],
    }  # fmt: skip
    async with plug(station, version) as wire:
        command = await rows(
            tenant,
            lambda: commands.request_command(
                tenant_id=tenant.pk, station_id=station.pk, kind="set_charging_profile",
                arguments={"profile": profile}, actor=owner_actor,
            ),
        )  # fmt: skip
        call = await wire.next_call()
        _evse, told, schedule = profile_of(call, version)
        assert schedule["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": 7400.1, "numberPhases": 1}]
        await wire.answer(call, {"status": "Accepted"})
        await all_settled(tenant, station)
    row = await rows(tenant, lambda: ChargingProfile.objects.get(station=station, command_id=command.pk))
    assert (row.number, row.state, row.intent) == (id_of(told), "accepted", "raw")


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_limit_goes_along_with_a_remote_start(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    profile = {
        "evse": 1, "purpose": "transaction", "kind": "relative", "unit": "A",
        "periods": [{"start_s": 0, "limit": 8}],
    }  # fmt: skip
    async with plug(station, version) as wire:
        command = await rows(
            tenant,
            lambda: commands.request_command(
                tenant_id=tenant.pk, station_id=station.pk, kind="start", actor=owner_actor,
                arguments={"evse": 1, "token_uid": "04A2B3", "charging_profile": profile},
            ),
        )  # fmt: skip
        call = await wire.next_call()
        told = call[3]["chargingProfile"]
        assert told["chargingProfilePurpose"] == "TxProfile" and "transactionId" not in told
        await wire.answer(call, {"status": "Accepted"})
        await all_settled(tenant, station)
    await in_thread(lambda: objects.create_session(tenant, station, remote_command_id=command.pk))
    await rows(tenant, lambda: profiles.sweep(tenant_id=tenant.pk))
    row = await rows(tenant, lambda: ChargingProfile.objects.select_related("session").get(station=station))
    assert row.state == "accepted" and row.session is not None
    assert row.transaction_id == row.session.transaction_id


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_the_station_says_that_it_keeps_to_is_compared(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    async with plug(station, version) as wire:
        await rows(
            tenant,
            lambda: commands.request_command(
                tenant_id=tenant.pk, station_id=station.pk, kind="read_composite_schedule",
                arguments={"evse": 1, "duration_s": 7200, "unit": "A"}, actor=owner_actor,
            ),
        )  # fmt: skip
        call = await wire.next_call()
        which = "connectorId" if version == "1.6" else "evseId"
        assert call[2:] == ["GetCompositeSchedule", {which: 1, "duration": 7200, "chargingRateUnit": "A"}]
        start = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        body = {
            "duration": 7200,
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [
                {"startPeriod": 0, "limit": 32.0},
                {"startPeriod": 3600, "limit": 16.0},
            ],
        }
        answer = (
            {"connectorId": 1, "scheduleStart": start, "chargingSchedule": body}
            if version == "1.6"
            else {"schedule": body | {"evseId": 1, "scheduleStart": start}}
        )
        await wire.answer(call, {"status": "Accepted"} | answer)
        await all_settled(tenant, station)

    def drifts() -> Any:
        assert CompositeTold.objects.get(station=station).evse_number == 1
        return limits.drift(limits.of_station(Station.objects.get(pk=station.pk)), 1)

    [one] = await rows(tenant, drifts)
    assert (one.ours, one.theirs, one.unit) == (32, 16, "A")
    assert one.ends - one.begins == timedelta(hours=1)


@pytest.mark.parametrize("version", V2)
async def test_what_the_station_reports_becomes_what_we_believe(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    def mine(number: int, **values: Any) -> ChargingProfile:
        return ChargingProfile.objects.create(
            tenant=tenant, station=station, number=number, purpose="default", state="accepted",
            periods=[{"start_s": 0, "limit": 16}], settled_at=datetime.now(UTC) - timedelta(hours=1),
            starts_at=datetime.now(UTC), **({"evse_number": 1} | values),
        )  # fmt: skip

    await rows(tenant, lambda: [mine(70), mine(71, stack_level=1)])
    async with plug(station, version) as wire:
        command = await rows(
            tenant,
            lambda: commands.request_command(
                tenant_id=tenant.pk, station_id=station.pk, kind="read_charging_profiles", arguments={},
                actor=owner_actor,
            ),
        )  # fmt: skip
        call = await wire.next_call()
        request = command.pk % 2_147_483_647
        assert call[2:] == ["GetChargingProfiles", {"requestId": request, "chargingProfile": {}}]
        await wire.answer(call, {"status": "Accepted"})

        def part(number: int, source: str, purpose: str, evse: int, *, more: bool) -> dict[str, Any]:
            schedule = {
                "id": number,
                "chargingRateUnit": "A",
                "startSchedule": "2026-11-23T08:00:00Z",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 13.0}],
            }
            profile = {
                "id": number, "stackLevel": 1, "chargingProfilePurpose": purpose,
                "chargingProfileKind": "Absolute", "chargingSchedule": [schedule],
            }  # fmt: skip
            return {
                "requestId": request, "chargingLimitSource": source, "evseId": evse, "tbc": more,
                "chargingProfile": [profile],
            }  # fmt: skip

        external = "ChargingStationExternalConstraints"
        await wire.ok("ReportChargingProfiles", part(5, "SO", external, 0, more=True))
        await wire.ok("ReportChargingProfiles", part(71, "CSO", "TxDefaultProfile", 1, more=False))
    await applied(tenant)
    found = await rows(
        tenant,
        lambda: set(
            ChargingProfile.objects.filter(station=station).values_list(
                "number", "state", "source", "purpose"
            )
        ),
    )
    assert found == {
        (70, "cleared", "operator", "default"),  # the station no longer tells of it
        (71, "accepted", "operator", "default"),
        (5, "accepted", "grid_operator", "external"),
    }
    row = await rows(tenant, lambda: ChargingProfile.objects.get(station=station, number=71))
    assert row.periods == [{"start_s": 0, "limit": 13.0}]


@pytest.mark.parametrize("version", V2)
async def test_a_limit_that_somebody_else_sets_is_a_constraint_until_it_is_taken_back(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    def told(limit: float) -> dict[str, Any]:
        return {
            "evseId": 1,
            "chargingLimit": {"chargingLimitSource": "SO", "isGridCritical": True},
            "chargingSchedule": [
                {
                    "id": 1,
                    "chargingRateUnit": "W",
                    "duration": 3600,
                    "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}],
                }
            ],
        }

    def open_ones() -> list[Any]:
        return [
            (row.source, row.grid_critical, row.evse_number, row.periods[0]["limit"])
            for row in limits.open_constraints(tenant.pk, station=station)
        ]

    async with plug(station, version) as wire:
        await wire.ok("NotifyChargingLimit", told(4200.0))
        await wire.ok("NotifyChargingLimit", told(3000.0))
        await applied(tenant)
        assert await rows(tenant, open_ones) == [("grid_operator", True, 1, 3000.0)]
        now = await rows(
            tenant, lambda: limits.of_station(Station.objects.get(pk=station.pk)).composite(1, unit="W")
        )
        assert [one.limit for one in now] == [3000, 22000]
        await wire.ok("ClearedChargingLimit", {"chargingLimitSource": "SO", "evseId": 1})
        await applied(tenant)
    assert await rows(tenant, open_ones) == []
    texts = await rows(
        tenant,
        lambda: list(
            StationEvent.objects.filter(station=station, kind="limit")
            .order_by("id")
            .values_list("text", flat=True)
        ),
    )
    assert texts == ["Limit set by: Grid operator"] * 2 + ["Limit taken back by: Grid operator"]


NEEDS = {
    "2.0.1": {
        "requestedEnergyTransfer": "AC_three_phase",
        "departureTime": "",
        "acChargingParameters": {
            "energyAmount": 22000,
            "evMinCurrent": 6,
            "evMaxCurrent": 16,
            "evMaxVoltage": 230,
        },
    },
    "2.1": {
        "requestedEnergyTransfer": "AC_BPT",
        "availableEnergyTransfer": ["AC_BPT", "AC_three_phase"],
        "controlMode": "ScheduledControl",
        "departureTime": "",
        "v2xChargingParameters": {
            "evTargetEnergyRequest": 22000.0,
            "maxChargePower": 11040.0,
            "maxDischargePower": 10000.0,
            "targetSoC": 80,
        },
    },
}


@pytest.mark.parametrize("version", V2)
async def test_what_a_car_needs_is_kept_for_its_session_and_planned_for(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    session = await in_thread(lambda: objects.create_session(tenant, station))
    departure = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=4)
    needs = NEEDS[version] | {"departureTime": departure.strftime("%Y-%m-%dT%H:%M:%SZ")}
    async with plug(station, version) as wire:
        answer = await wire.ok(
            "NotifyEVChargingNeeds", {"evseId": 1, "maxScheduleTuples": 3, "chargingNeeds": needs}
        )
        assert answer == {"status": "Accepted"}
        call = await wire.next_call()
        evse, profile, schedule = profile_of(call, version)
        assert (evse, profile["chargingProfilePurpose"]) == (1, "TxProfile")
        assert profile["transactionId"] == session.transaction_id
        assert schedule["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": 32, "numberPhases": 3}]
        await wire.answer(call, {"status": "Accepted"})
        await all_settled(tenant, station)
        row = await rows(tenant, lambda: SessionPower.objects.get(session=session))
        assert (row.energy_wh, row.departure_at, row.max_power_w) == (22000, departure, 11040)
        assert row.needs_answer == "accepted"

        # a limit of now: the plan follows it, for in the car it would stand above the limit otherwise
        await rows(
            tenant,
            lambda: profiles.limit(
                tenant_id=tenant.pk, station_id=station.pk, evse=1, amps=10, actor=owner_actor
            ),
        )
        limits_sent = []
        for _profile in range(4):
            call = await wire.next_call()
            _evse, profile, schedule = profile_of(call, version)
            limits_sent.append(schedule["chargingSchedulePeriod"][0]["limit"])
            await wire.answer(call, {"status": "Accepted"})
        assert limits_sent == [10, 10, 10, 10] and profile["stackLevel"] == 0
        await all_settled(tenant, station)

        plan: dict[str, Any] = {
            "timeBase": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "evseId": 1,
            "chargingSchedule": {
                "id": 1,
                "chargingRateUnit": "W",
                "duration": 7200,
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6000.0}],
            },
        }
        assert await wire.ok("NotifyEVChargingSchedule", plan) == {"status": "Accepted"}
        plan["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"] = 11000.0
        assert await wire.ok("NotifyEVChargingSchedule", plan) == {"status": "Rejected"}
    row = await rows(tenant, lambda: SessionPower.objects.get(session=session))
    assert (row.plan, row.plan_accepted) == ([{"start_s": 0, "limit": 11000.0}], False)


@pytest.mark.parametrize("version", V2)
async def test_needs_without_a_session_get_no_profile_and_are_found_once_it_runs(
    plug: Plug, tenant: Tenant, station: Station, version: str
) -> None:
    needs = {name: value for name, value in NEEDS[version].items() if name != "departureTime"}
    async with plug(station, version) as wire:
        answer = await wire.ok("NotifyEVChargingNeeds", {"evseId": 1, "chargingNeeds": needs})
        assert answer == {"status": "Rejected" if version == "2.0.1" else "NoChargingProfile"}
        absurd = {"evseId": 999_999, "chargingNeeds": needs | {"departureTime": "9999-12-31T00:00:00Z"}}
        assert await wire.ok("NotifyEVChargingNeeds", absurd) == {"status": "Rejected"}
    started = datetime.now(UTC)
    session = await in_thread(lambda: objects.create_session(tenant, station, started_at=started))
    from stations.services import needs as service

    row = await rows(
        tenant, lambda: service.of_session(Session.objects.select_related("evse").get(pk=session.pk))
    )
    assert row.energy_wh == 22000


async def test_priority_charging_and_ways_of_transfer(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    session = await in_thread(lambda: objects.create_session(tenant, station))
    own = {"tenant_id": tenant.pk, "session_id": session.pk, "actor": owner_actor}
    async with plug(station, "2.1") as wire:
        await rows(tenant, lambda: priority.switch(active=True, **own))
        call = await wire.next_call()
        assert call[2:] == [
            "UsePriorityCharging",
            {"transactionId": session.transaction_id, "activate": True},
        ]
        await wire.answer(call, {"status": "NoProfile"})
        await all_settled(tenant, station)
        assert not await rows(tenant, lambda: SessionPower.objects.filter(session=session).exists())
        await wire.ok("NotifyPriorityCharging", {"transactionId": session.transaction_id, "activated": True})
        await applied(tenant)
        await rows(tenant, lambda: priority.allow(transfers=["AC_BPT"], **own))
        call = await wire.next_call()
        assert call[2] == "NotifyAllowedEnergyTransfer"
        assert call[3] == {"transactionId": session.transaction_id, "allowedEnergyTransfer": ["AC_BPT"]}
        await wire.answer(call, {"status": "Accepted"})
        await all_settled(tenant, station)
    row = await rows(tenant, lambda: SessionPower.objects.get(session=session))
    assert (row.priority, row.priority_by, row.allowed_transfers) == (True, "station", ["AC_BPT"])


async def test_a_dynamic_limit_is_pushed_and_fetched(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    await in_thread(lambda: objects.create_session(tenant, station))
    async with plug(station, "2.1") as wire:
        row = await rows(
            tenant,
            lambda: dynamic.begin(
                tenant_id=tenant.pk, station_id=station.pk, evse=1, values={"setpoint": 7000}, actor=owner_actor,
                mode="central_setpoint", interval_s=60,
            ),
        )  # fmt: skip
        call = await wire.next_call()
        _evse, profile, schedule = profile_of(call, "2.1")
        assert (profile["chargingProfileKind"], profile["dynUpdateInterval"]) == ("Dynamic", 60)
        assert schedule["chargingSchedulePeriod"] == [
            {"startPeriod": 0, "setpoint": 7000, "operationMode": "CentralSetpoint"}
        ]
        await wire.answer(call, {"status": "Accepted"})
        await all_settled(tenant, station)
        await rows(
            tenant,
            lambda: dynamic.update(
                tenant_id=tenant.pk, profile_id=row.pk, values={"setpoint": -5000.04}, actor=owner_actor
            ),
        )
        call = await wire.next_call()
        number = row.number
        assert call[2:] == [
            "UpdateDynamicSchedule", {"chargingProfileId": number, "scheduleUpdate": {"setpoint": -5000}},
        ]  # fmt: skip
        await wire.answer(call, {"status": "Rejected"})
        await all_settled(tenant, station)
        answer = await wire.ok("PullDynamicScheduleUpdate", {"chargingProfileId": number})
        assert answer == {"status": "Accepted", "scheduleUpdate": {"setpoint": -5000}}
        answer = await wire.ok("PullDynamicScheduleUpdate", {"chargingProfileId": 2**40})
        assert answer["status"] == "Rejected"
    kept = await rows(tenant, lambda: ChargingProfile.objects.get(pk=row.pk))
    assert kept.periods[0]["setpoint"] == -5000.04 and kept.updated_at is not None


@pytest.mark.parametrize(("most", "level"), [("0", 0), ("1", 1), ("2", 2), ("8", 2)])
async def test_a_dynamic_limit_goes_to_a_stack_level_that_the_station_knows(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, most: str, level: int
) -> None:
    await in_thread(lambda: objects.create_session(tenant, station))
    async with plug(station, "2.1") as wire:
        await rows(
            tenant,
            lambda: (
                Variable.objects.create(
                    tenant=tenant, station=station, component="SmartChargingCtrlr", name="ProfileStackLevel",
                    value=most, attribute="actual", read_at=datetime.now(UTC), source="notify_report",
                ),
                dynamic.begin(
                    tenant_id=tenant.pk, station_id=station.pk, evse=1, values={"limit": 7000}, actor=owner_actor
                ),
            ),
        )  # fmt: skip
        _evse, profile, _schedule = profile_of(call := await wire.next_call(), "2.1")
        assert profile["stackLevel"] == level
        await wire.answer(call, {"status": "Accepted"})
        await all_settled(tenant, station)


async def test_a_frequency_signal_goes_out(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    async with plug(station, "2.1") as wire:
        await rows(
            tenant,
            lambda: commands.request_command(
                tenant_id=tenant.pk, station_id=station.pk, kind="afrr_signal", actor=owner_actor,
                arguments={"signal": -40, "at": "2026-11-23T08:00:00Z"},
            ),
        )  # fmt: skip
        call = await wire.next_call()
        assert call[2:] == ["AFRRSignal", {"timestamp": "2026-11-23T08:00:00.000Z", "signal": -40}]
        await wire.answer(call, {"status": "Accepted"})
        await all_settled(tenant, station)


# --- refused before anything is sent ---


@pytest.mark.parametrize(
    ("version", "variable", "values", "field"),
    [
        ("1.6", ("", "ChargingScheduleAllowedChargingRateUnit", "Power"), {"unit": "A"}, "unit"),
        ("2.0.1", ("SmartChargingCtrlr", "RateUnit", "W"), {"unit": "A"}, "unit"),
        ("1.6", ("", "ChargeProfileMaxStackLevel", "3"), {"stack_level": 4}, "stack_level"),
        ("2.1", ("SmartChargingCtrlr", "ProfileStackLevel", "3"), {"stack_level": 4}, "stack_level"),
        ("1.6", ("", "ChargingScheduleMaxPeriods", "1"), {"periods": 2}, "periods"),
        ("1.6", ("", "MaxChargingProfilesInstalled", "0"), {"purpose": "external"}, "purpose"),
        ("2.0.1", None, {"purpose": "priority"}, "purpose"),
        ("2.0.1", None, {"purpose": "station_max"}, "evse"),
        ("1.6", None, {"kind": "recurring"}, "recurrency"),
        ("1.6", None, {"starts_at": None}, "starts_at"),
        ("1.6", None, {"kind": "dynamic", "starts_at": None}, "kind"),
    ],
)
def test_what_a_station_cannot_take_is_refused_by_name(
    tenant: Tenant, make_station: Any, owner_actor: Any, version: str, variable: Any, values: Any, field: str
) -> None:
    from stations.schedules import Period, Profile
    from tenants.context import tenant_scope

    station = make_station(ocpp_version=version)
    count = values.get("periods", 1)
    told = {
        "evse": 1, "purpose": "default", "kind": "absolute", "unit": "A", "starts_at": datetime.now(UTC),
        "periods": tuple(Period(60 * n, 10.0) for n in range(count)),
    } | {name: value for name, value in values.items() if name != "periods"}  # fmt: skip
    with tenant_scope(tenant.pk):
        if variable:
            Variable.objects.create(
                tenant=tenant, station=station, component=variable[0], name=variable[1], value=variable[2],
                read_at=datetime.now(UTC), source="report",
            )  # fmt: skip
        with pytest.raises(Invalid) as refused:
            profiles.install(
                tenant_id=tenant.pk, station_id=station.pk, profile=Profile(**told), actor=owner_actor
            )
        assert field in refused.value.fields, refused.value.fields
        assert not Command.objects.filter(station=station).exists()


def test_a_profile_for_a_session_needs_one(tenant: Tenant, station: Station, owner_actor: Any) -> None:
    from stations.schedules import Period, Profile
    from tenants.context import tenant_scope

    own = Profile(1, "transaction", "relative", "A", (Period(0, 10.0),))
    with tenant_scope(tenant.pk), pytest.raises(Conflict, match="No session runs"):
        profiles.install(tenant_id=tenant.pk, station_id=station.pk, profile=own, actor=owner_actor)


def test_profiles_end_with_their_session_and_with_their_time(tenant: Tenant, station: Station) -> None:
    from tenants.context import tenant_scope

    ended = datetime.now(UTC) - timedelta(minutes=1)
    over = objects.create_session(tenant, station, ended_at=ended, state="ended")
    with tenant_scope(tenant.pk):

        def create(number: int, **values: Any) -> None:
            ChargingProfile.objects.create(
                tenant=tenant, station=station, number=number, state="accepted",
                periods=[{"start_s": 0, "limit": 6}], **({"purpose": "default"} | values),
            )  # fmt: skip

        create(1, purpose="transaction", session=over, evse_number=1)
        create(2, valid_to=ended)
        create(3, starts_at=ended - timedelta(hours=1), duration_s=3600)
        create(4, starts_at=ended, duration_s=3600)
        held = limits.held(tenant.pk, [station.pk]).values_list("number", flat=True)
        assert 1 not in held and 2 not in held and 4 in held  # at once, before any sweep
        assert profiles.sweep(tenant_id=tenant.pk) == 3
        found = dict(ChargingProfile.objects.values_list("number", "state"))
    assert found == {1: "ended", 2: "expired", 3: "expired", 4: "accepted"}


def test_a_grid_operators_limit_is_a_row_that_a_newer_one_replaces(
    tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    from tenants.context import tenant_scope

    def dim(power_w: float) -> PowerConstraint:
        return constraints.set_limit(
            tenant_id=tenant.pk, actor=owner_actor, source="grid_operator", site_id=station.site_id,
            power_w=power_w, ends_at=datetime.now(UTC) + timedelta(hours=1), reference="DIM-1",
        )  # fmt: skip

    with tenant_scope(tenant.pk):
        dim(4200)
        second = dim(8400)
        [row] = limits.open_constraints(tenant.pk, site_id=station.site_id)
        assert row == second
        constraints.clear(tenant_id=tenant.pk, constraint_id=row.pk, actor=owner_actor)
        assert not limits.open_constraints(tenant.pk, site_id=station.site_id).exists()
        with pytest.raises(Invalid, match="over already"):
            constraints.set_limit(
                tenant_id=tenant.pk, actor=owner_actor, source="grid_operator", site_id=station.site_id,
                power_w=1, ends_at=datetime.now(UTC) - timedelta(hours=1),
            )  # fmt: skip

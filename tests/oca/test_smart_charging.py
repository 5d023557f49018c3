"""Compliance cases of smart charging: of running sessions, of others' limits, of cars' needs (1.6, 2.x block K)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fleets.models import Token
from tests.oca import test_16_core as core
from tests.oca.cases import oca
from tests.oca.scene import V2, Payload, Scene, Stage, stamp
from tests.oca.visit import Visit, token
from tests.stations.ocpp.conftest import eventually

CARD = "04A2B3C4"
ALL = ("1.6", *V2)
STEPS = [{"start_s": 0, "limit": 6}, {"start_s": 60, "limit": 10}, {"start_s": 120, "limit": 8}]
SAID = [{"startPeriod": 0, "limit": 6}, {"startPeriod": 60, "limit": 10}, {"startPeriod": 120, "limit": 8}]
on_2x = pytest.mark.parametrize("version", V2)
on_21 = pytest.mark.parametrize("version", ["2.1"])


@pytest.fixture
def card(make_token: Callable[..., Token]) -> Token:
    return make_token(uid=CARD)


async def charging(scene: Scene) -> str:
    """A session runs at EVSE 1; its transaction id as REST tells it."""
    if scene.version == "1.6":
        return str(await core.charging(scene))
    visit = Visit(scene)
    await visit.charging(CARD)
    return visit.transaction_id


def profile_in(call: list[Any], version: str) -> Payload:
    return dict(call[3]["csChargingProfiles" if version == "1.6" else "chargingProfile"])


def schedule_in(call: list[Any], version: str) -> Payload:
    schedule = profile_in(call, version)["chargingSchedule"]
    return dict(schedule if version == "1.6" else schedule[0])


def limits_in(call: list[Any], version: str = "2.1") -> list[Any]:
    return [period["limit"] for period in schedule_in(call, version)["chargingSchedulePeriod"]]


async def sent(scene: Scene, **profile: Any) -> Payload:
    """A charging profile that the operator sends by REST, as told after."""
    path = f"/stations/{scene.station.pk}/charging-profiles"
    body = {"evse": 1, "purpose": "transaction", "starts_at": stamp(), "periods": STEPS} | profile
    return dict(await scene.rest("POST", path, body, status=201))


async def stands(scene: Scene, row: Payload, state: str = "accepted") -> Payload:
    """The profile as the operator sees it, once it is in this state."""

    async def settled() -> Payload | None:
        now = await scene.rest("GET", f"/charging-profiles/{row['id']}")
        return now if now["state"] == state else None

    return dict(await eventually(settled))


# --- profiles of a running session


@oca("TC_057", "TC_K_60")
@pytest.mark.parametrize("version", ALL)
async def test_a_profile_of_a_running_session(stage: Stage, version: str, card: Token) -> None:
    async with stage(version) as scene:
        transaction = await charging(scene)
        row = await sent(scene)
        call = await scene.hears("SetChargingProfile", {"connectorId" if version == "1.6" else "evseId": 1})
        profile = profile_in(call, version)
        assert profile["chargingProfilePurpose"] == "TxProfile"
        assert str(profile["transactionId"]) == transaction
        assert schedule_in(call, version)["chargingSchedulePeriod"] == SAID
        await scene.answers(call, {"status": "Accepted"})
        await stands(scene, row)


@oca("TC_K_02")
@on_2x
async def test_a_profile_of_a_session_that_does_not_run(stage: Stage, version: str) -> None:
    body = {"evse": 1, "purpose": "transaction", "starts_at": stamp(), "periods": STEPS}
    async with stage(version) as scene:
        path = f"/stations/{scene.station.pk}/charging-profiles"
        refused = await scene.rest("POST", path, body, status=409)
        assert "No session runs at this connector" in str(refused)
        profile = body | {"transaction_id": "tx-9", "kind": "absolute", "unit": "A"}
        await scene.does(
            "set_charging_profile", {"profile": profile}, "SetChargingProfile", {"evseId": 1},
            {"status": "Rejected", "statusInfo": {"reasonCode": "TxNotFound"}}, "rejected",
        )  # fmt: skip


@oca("TC_059", "TC_K_37")
@pytest.mark.parametrize("version", ALL)
async def test_a_remote_start_with_a_profile(stage: Stage, version: str, card: Token) -> None:
    profile = {"evse": 1, "purpose": "transaction", "kind": "relative", "unit": "A", "periods": STEPS}
    action = "RemoteStartTransaction" if version == "1.6" else "RequestStartTransaction"
    async with stage(version) as scene:
        heard = await scene.does(
            "start", {"evse": 1, "token_uid": CARD, "charging_profile": profile}, action, {},
            {"status": "Accepted"}, "accepted",
        )  # fmt: skip
        told = heard["chargingProfile"]
        assert (told["chargingProfilePurpose"], "transactionId" in told) == ("TxProfile", False)
        schedule = told["chargingSchedule"] if version == "1.6" else told["chargingSchedule"][0]
        assert schedule["chargingSchedulePeriod"] == SAID
        if version == "1.6":
            await core.start(scene)
        else:
            visit = Visit(scene)
            info = {"remoteStartId": heard["remoteStartId"]}
            await visit.event("Started", "RemoteStart", "Charging", token=token(CARD), info=info)
        assert (await scene.session())["remote_command_id"] is not None
        (row,) = await scene.seen(f"/stations/{scene.station.pk}/charging-profiles")
        assert (row["purpose"], row["state"]) == ("transaction", "accepted")


@oca("TC_K_70")
@on_2x
async def test_several_profiles(stage: Stage, version: str, card: Token) -> None:
    async with stage(version) as scene:
        await charging(scene)
        numbers = set()
        for given in (
            {"purpose": "station_max", "evse": 0},
            {"purpose": "default"},
            {"purpose": "default", "stack_level": 1},
            {"purpose": "transaction"},
        ):
            row = await sent(scene, **given)
            call = await scene.hears("SetChargingProfile", {"evseId": given.get("evse", 1)})
            numbers.add(profile_in(call, version)["id"])
            await scene.answers(call, {"status": "Accepted"})
            await stands(scene, row)
        assert len(numbers) == 4, "each profile has a number of its own (K01.FR.05)"


# --- limits of others


def limit(source: str = "EMS", evse: int | None = None, amps: float = 8.0) -> Payload:
    schedule = {
        "id": 1,
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": amps}],
    }
    where = {} if evse is None else {"evseId": evse}
    return {"chargingLimit": {"chargingLimitSource": source}, "chargingSchedule": [schedule]} | where


async def binding(scene: Scene, evse: int = 1) -> float:
    """What holds now at the connector, by REST."""
    await scene.applied()
    told = await scene.rest("GET", f"/stations/{scene.station.pk}/limits?evse={evse}")
    return float(told["holding"][0]["schedule"][0]["limit"])


@oca("TC_K_48", "TC_K_50", "TC_K_51")
@on_2x
@pytest.mark.parametrize("running", [False, True])
async def test_an_external_limit(stage: Stage, version: str, card: Token, running: bool) -> None:
    async with stage(version) as scene:
        visit = Visit(scene)
        if running:
            await visit.charging(CARD)
        before = await binding(scene)
        for amps in (12.0, 8.0):  # set, and set anew
            assert await scene.tell("NotifyChargingLimit", limit(evse=1, amps=amps)) == {}
            if running:
                await visit.event("Updated", "ChargingRateChanged", "Charging")
            assert await binding(scene) == amps
        open_ones = await scene.seen("/constraints", station_id=scene.station.pk, open="true")
        assert [(one["source"], one["evse_number"]) for one in open_ones] == [("energy_management", 1)]
        cleared = {"chargingLimitSource": "EMS", "evseId": 1}
        assert await scene.tell("ClearedChargingLimit", cleared) == {}
        if running:
            await visit.event("Updated", "ChargingRateChanged", "Charging")
        assert await binding(scene) == before
        assert await scene.seen("/constraints", station_id=scene.station.pk, open="true") == []


@oca("TC_K_52")
@on_2x
async def test_an_external_limit_is_reported(stage: Stage, version: str) -> None:
    external = {
        "id": 5, "stackLevel": 0, "chargingProfilePurpose": "ChargingStationExternalConstraints",
        "chargingProfileKind": "Absolute", "chargingSchedule": [limit()["chargingSchedule"][0] | {
            "startSchedule": stamp(datetime.now(UTC) - timedelta(minutes=1))}],
    }  # fmt: skip
    async with stage(version) as scene:
        assert await scene.tell("NotifyChargingLimit", limit(evse=0)) == {}
        heard = await scene.does(
            "read_charging_profiles", {"evse": 0, "sources": ["energy_management"]}, "GetChargingProfiles",
            {"evseId": 0, "chargingProfile": {"chargingLimitSource": ["EMS"]}}, {"status": "Accepted"}, "accepted",
        )  # fmt: skip
        told = {"chargingLimitSource": "EMS", "evseId": 0, "chargingProfile": [external]}
        assert await scene.tell("ReportChargingProfiles", told | {"requestId": heard["requestId"]}) == {}
        (row,) = await scene.seen(f"/stations/{scene.station.pk}/charging-profiles")
        assert (row["source"], row["purpose"], row["number"]) == ("energy_management", "external", 5)


# --- cars' needs


AC: Payload = {
    "requestedEnergyTransfer": "AC_three_phase",
    "acChargingParameters": {
        "energyAmount": 22000,
        "evMinCurrent": 6,
        "evMaxCurrent": 16,
        "evMaxVoltage": 230,
    },
}
V2X: Payload = {
    "requestedEnergyTransfer": "AC_BPT",
    "availableEnergyTransfer": ["AC_BPT", "AC_three_phase"],
    "controlMode": "ScheduledControl",
    "mobilityNeedsMode": "EVCC",
    "v2xChargingParameters": {
        "evTargetEnergyRequest": 22000.0,
        "maxChargePower": 11040.0,
        "maxDischargePower": 9000.0,
    },
}
DYNAMIC = V2X | {"controlMode": "DynamicControl", "mobilityNeedsMode": "EVCC_SECC"}


async def needs(scene: Scene, wish: Payload, *, hours: float = 4, energy_wh: float = 22000) -> None:
    """The car tells its needs; accepted, and seen by the operator."""
    wish = wish | {"departureTime": stamp(datetime.now(UTC) + timedelta(hours=hours))}
    answer = await scene.tell(
        "NotifyEVChargingNeeds", {"evseId": 1, "maxScheduleTuples": 3, "chargingNeeds": wish}
    )
    assert answer["status"] == "Accepted"


async def planned(scene: Scene, transaction: str) -> list[Any]:
    """The profile that follows the car's needs."""
    call = await scene.hears("SetChargingProfile", {"evseId": 1})
    profile = profile_in(call, scene.version)
    assert (profile["chargingProfilePurpose"], profile["transactionId"]) == ("TxProfile", transaction)
    assert len(schedule_in(call, scene.version)["chargingSchedulePeriod"]) <= 3  # maxScheduleTuples
    await scene.answers(call, {"status": "Accepted"})
    return call


async def all_taken(scene: Scene) -> list[Any]:
    """All profiles that go out now, and what follows them; each is accepted."""
    heard: list[Any] = []

    async def quiet() -> bool:
        while not scene.wire.calls.empty():
            heard.append(await scene.hears("SetChargingProfile"))
            await scene.answers(heard[-1], {"status": "Accepted"})
        commands = await scene.seen("/commands", station_id=scene.station.pk)
        return scene.wire.calls.empty() and all(one["state"] == "accepted" for one in commands)

    await eventually(quiet)
    return heard


async def plan(scene: Scene, watts: float, status: str) -> None:
    """The car's own schedule."""
    schedule = {
        "id": 1, "chargingRateUnit": "W", "duration": 7200,
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": watts}],
    }  # fmt: skip
    told = {"timeBase": stamp(), "evseId": 1, "chargingSchedule": schedule}
    assert (await scene.tell("NotifyEVChargingSchedule", told))["status"] == status


async def wish_of(scene: Scene) -> Payload:
    session = await scene.session()
    return dict(await scene.rest("GET", f"/sessions/{session['id']}/wish"))


@oca("TC_K_53", "TC_K_57")
@on_2x
async def test_a_car_charges_by_a_schedule_and_asks_anew(stage: Stage, version: str, card: Token) -> None:
    async with stage(version) as scene:
        transaction = await charging(scene)
        for hours in (4, 2):  # the second time while it charges
            await needs(scene, AC, hours=hours)
            await planned(scene, transaction)
            await plan(scene, 6000, "Accepted")
        told = await wish_of(scene)
        assert (told["energy_wh"], told["needs_answer"], told["plan_accepted"]) == (22000, "accepted", True)
        departure = datetime.fromisoformat(told["departure_at"])
        assert departure - datetime.now(UTC) < timedelta(hours=2)


@oca("TC_K_55")
@on_2x
async def test_a_cars_schedule_above_the_limits(stage: Stage, version: str, card: Token) -> None:
    """K15.FR.11: refused, and the car is given its limits anew; once, lest the two talk for ever."""
    async with stage(version) as scene:
        transaction = await charging(scene)
        await needs(scene, AC)
        first = await planned(scene, transaction)
        await plan(scene, 90_000, "Rejected")
        again = await planned(scene, transaction)
        assert limits_in(again, version) == limits_in(first, version)
        await plan(scene, 90_000, "Rejected")
        await plan(scene, 6000, "Accepted")
        assert scene.wire.calls.empty()


@oca("TC_K_58", "TC_K_59", "TC_K_113")
@on_2x
@pytest.mark.parametrize("asks", [False, True])
async def test_a_schedule_is_changed_at_our_request(
    stage: Stage, version: str, card: Token, asks: bool
) -> None:
    """The operator limits the connector: the running session follows; the car may tell its needs again (15118-2)."""
    async with stage(version) as scene:
        transaction = await charging(scene)
        await needs(scene, V2X if version == "2.1" else AC)
        await planned(scene, transaction)
        await plan(scene, 6000, "Accepted")
        limited = {"evse": 1, "amps": 6}
        await scene.rest("POST", f"/stations/{scene.station.pk}/limits", limited, status=201)
        calls = await all_taken(scene)
        assert {limits_in(call, version)[0] for call in calls} == {6}
        assert transaction in {profile_in(call, version).get("transactionId") for call in calls}
        if asks:
            await needs(scene, V2X if version == "2.1" else AC)
            await planned(scene, transaction)
        await plan(scene, 4000, "Accepted")
        await plan(scene, 9000, "Rejected")


@oca("TC_K_114", "TC_K_115", "TC_K_117")
@on_21
@pytest.mark.parametrize("wish", [V2X, DYNAMIC])
async def test_a_car_of_the_newer_edition(stage: Stage, version: str, card: Token, wish: Payload) -> None:
    async with stage(version) as scene:
        transaction = await charging(scene)
        await needs(scene, wish)
        await planned(scene, transaction)
        told = await wish_of(scene)
        assert (told["transfer"], told["bidirectional"]["maxDischargePower"]) == ("AC_BPT", 9000)
        parameters = wish["v2xChargingParameters"] | {"evTargetEnergyRequest": 5000.0}
        await needs(scene, wish | {"v2xChargingParameters": parameters})  # it wants less now
        await planned(scene, transaction)
        await visit_updates(scene, transaction)
        assert (await wish_of(scene))["energy_wh"] == 5000


async def visit_updates(scene: Scene, transaction: str) -> None:
    visit = Visit(scene, transaction_id=transaction)
    visit.seq_no = 3
    await visit.event("Updated", "ChargingRateChanged", "Charging", wh=2100.0)


@oca("TC_K_126")
@on_21
async def test_a_car_whose_session_is_not_known_gets_no_profile(stage: Stage, version: str) -> None:
    async with stage(version) as scene:
        answer = await scene.tell("NotifyEVChargingNeeds", {"evseId": 1, "chargingNeeds": DYNAMIC})
        assert answer["status"] == "NoChargingProfile"
        await scene.tell("Heartbeat", {})
        assert scene.wire.calls.empty()


# --- what 2.1 adds to profiles


async def taken(scene: Scene, profile: Payload, transaction: str = "") -> Payload:
    """The profile on the wire of a command that carries it."""
    given = {"number": 77, "kind": "absolute", "unit": "W", "starts_at": stamp(), "evse": 1} | profile
    if transaction:
        given |= {"purpose": "transaction", "transaction_id": transaction}
    heard = await scene.does(
        "set_charging_profile", {"profile": given}, "SetChargingProfile", {"evseId": given["evse"]},
        {"status": "Accepted"}, "accepted",
    )  # fmt: skip
    return dict(heard["chargingProfile"])


FLAT = [{"start_s": 0, "limit": 7000}]


@oca("TC_K_100", "TC_K_102", "TC_K_106")
@on_21
async def test_profiles_say_what_holds_offline_from_a_charge_and_with_a_delay(
    stage: Stage, version: str
) -> None:
    more = {
        "max_offline_s": 300, "invalid_after_offline": True, "limit_at_soc": {"soc": 80, "limit": 3000},
        "randomized_delay_s": 600,
    }  # fmt: skip
    async with stage(version) as scene:
        told = await taken(scene, {"purpose": "default", "periods": FLAT, "more": more})
        assert (told["maxOfflineDuration"], told["invalidAfterOfflineDuration"]) == (300, True)
        (schedule,) = told["chargingSchedule"]
        assert (schedule["limitAtSoC"], schedule["randomizedDelay"]) == ({"soc": 80, "limit": 3000}, 600)


@oca("TC_K_101")
@on_21
async def test_the_mode_of_operation_changes(stage: Stage, version: str, card: Token) -> None:
    periods = [
        {"start_s": 0, "limit": 7000, "mode": "charging_only"},
        {"start_s": 60, "setpoint": -5000, "mode": "central_setpoint"},
    ]
    async with stage(version) as scene:
        transaction = await charging(scene)
        told = await taken(scene, {"periods": periods}, transaction)
        modes = [period["operationMode"] for period in told["chargingSchedule"][0]["chargingSchedulePeriod"]]
        assert modes == ["ChargingOnly", "CentralSetpoint"]
        visit = Visit(scene, transaction_id=transaction)
        visit.seq_no = 3
        info = {"operationMode": "CentralSetpoint"}
        await visit.event("Updated", "OperationModeChanged", "Charging", wh=2100.0, info=info)
        assert (await scene.session())["state"] == "active"


@oca("TC_K_104", "TC_K_118")
@on_21
@pytest.mark.parametrize(("word", "state"), [("Accepted", "accepted"), ("NoProfile", "rejected")])
async def test_priority_charging(stage: Stage, version: str, card: Token, word: str, state: str) -> None:
    async with stage(version) as scene:
        transaction = await charging(scene)
        told = await taken(scene, {"purpose": "priority", "periods": FLAT})
        assert told["chargingProfilePurpose"] == "PriorityCharging" and "transactionId" not in told
        session = await scene.session()
        order = await scene.rest("POST", f"/sessions/{session['id']}/priority", {"active": True}, status=202)
        call = await scene.hears("UsePriorityCharging", {"transactionId": transaction, "activate": True})
        await scene.answers(call, {"status": word})

        async def settled() -> bool:
            return bool((await scene.rest("GET", f"/commands/{order['id']}"))["state"] == state)

        await eventually(settled)
        if state == "accepted":
            await visit_updates(scene, transaction)
        assert bool((await wish_of(scene))["priority"]) == (state == "accepted")


@oca("TC_K_109")
@on_21
async def test_our_numbers_keep_away_from_those_of_the_station(stage: Stage, version: str) -> None:
    """Numbers up to MaxExternalConstraintsId are for limits that the station is given by others."""
    async with stage(version) as scene:
        variable = {
            "component": {"name": "SmartChargingCtrlr"},
            "variable": {"name": "MaxExternalConstraintsId"},
        }
        order = await scene.order("read_configuration", names=["SmartChargingCtrlr.MaxExternalConstraintsId"])
        call = await scene.hears("GetVariables")
        value = variable | {"attributeStatus": "Accepted", "attributeValue": "1000"}
        await scene.answers(call, {"getVariableResult": [value]})
        assert (await scene.outcome(order))["state"] == "accepted"
        await sent(scene, purpose="default")
        call = await scene.hears("SetChargingProfile")
        assert profile_in(call, version)["id"] > 1000
        await scene.answers(call, {"status": "Accepted"})


# --- bidirectional power (block Q)


CURVE = [[49.0, -9000], [49.9, 0], [50.1, 0], [51.0, 9000]]
MODES: list[Any] = [
    pytest.param({"mode": "central_setpoint", "setpoint": -5000}, {"setpoint": -5000}, marks=oca("TC_Q_108")),
    pytest.param({"mode": "external_setpoint"}, {}, marks=oca("TC_Q_111")),
    pytest.param(
        {"mode": "external_limits", "limit": 11000, "discharge_limit": -9000},
        {"limit": 11000, "dischargeLimit": -9000},
        marks=oca("TC_Q_112"),
    ),
    pytest.param({"mode": "central_frequency", "setpoint": 3000}, {"setpoint": 3000}, marks=oca("TC_Q_117")),
    pytest.param(
        {"mode": "local_frequency", "setpoint": 0, "signal_watt": [[-100, -9000], [100, 9000]]},
        {"v2xSignalWattCurve": [{"signal": -100, "power": -9000}, {"signal": 100, "power": 9000}]},
        marks=oca("TC_Q_120"),
    ),
    pytest.param(
        {"mode": "local_frequency", "baseline_w": 500, "freq_watt": CURVE},
        {"v2xBaseline": 500, "v2xFreqWattCurve": [{"frequency": hz, "power": w} for hz, w in CURVE]},
        marks=oca("TC_Q_121"),
    ),
    pytest.param({"mode": "local_load_balancing"}, {}, marks=oca("TC_Q_124")),
]


@pytest.mark.parametrize(("period", "expected"), MODES)
async def test_a_bidirectional_mode(stage: Stage, card: Token, period: Payload, expected: Payload) -> None:
    async with stage("2.1") as scene:
        transaction = await charging(scene)
        await needs(scene, V2X)
        await planned(scene, transaction)
        told = await taken(scene, {"periods": [{"start_s": 0} | period]}, transaction)
        (heard,) = told["chargingSchedule"][0]["chargingSchedulePeriod"]
        word = "".join(part.capitalize() for part in period["mode"].split("_"))
        assert (
            heard
            == {"startPeriod": 0, "operationMode": word}
            | ({"setpoint": 0} if period.get("setpoint") == 0 else {})
            | expected
        )
        if period["mode"] == "central_frequency":
            await scene.does(
                "afrr_signal",
                {"signal": -40},
                "AFRRSignal",
                {"signal": -40},
                {"status": "Accepted"},
                "accepted",
            )


@oca("TC_Q_109", "TC_Q_110", "TC_K_121")
@pytest.mark.parametrize("pulls", [False, True])
async def test_a_setpoint_that_changes_as_it_goes(stage: Stage, card: Token, pulls: bool) -> None:
    async with stage("2.1") as scene:
        await charging(scene)
        body = {"evse": 1, "values": {"setpoint": 7000}, "mode": "central_setpoint"}
        path = f"/stations/{scene.station.pk}/limits/dynamic"
        row = await scene.rest("POST", path, body | ({"interval_s": 60} if pulls else {}), status=201)
        call = await scene.hears("SetChargingProfile", {"evseId": 1})
        profile = profile_in(call, "2.1")
        assert profile["chargingProfileKind"] == "Dynamic"
        assert profile.get("dynUpdateInterval") == (60 if pulls else None)
        await scene.answers(call, {"status": "Accepted"})
        await stands(scene, row)
        values = {"values": {"setpoint": -5000}}
        await scene.rest("POST", f"/charging-profiles/{row['id']}/update", values, status=202)
        call = await scene.hears("UpdateDynamicSchedule", {"scheduleUpdate": {"setpoint": -5000}})
        assert call[3]["chargingProfileId"] == profile["id"]
        await scene.answers(call, {"status": "Rejected" if pulls else "Accepted"})
        if pulls:
            answer = await scene.tell("PullDynamicScheduleUpdate", {"chargingProfileId": profile["id"]})
            assert answer == {"status": "Accepted", "scheduleUpdate": {"setpoint": -5000}}
            answer = await scene.tell("PullDynamicScheduleUpdate", {"chargingProfileId": 99})
            assert answer["status"] == "Rejected"


@oca("TC_Q_102")
async def test_a_car_may_give_energy_back_where_the_operator_says_so(stage: Stage, card: Token) -> None:
    """Left out, allowedEnergyTransfer lets it charge only."""
    async with stage("2.1") as scene:
        answer = await scene.tell("Authorize", {"idToken": token(CARD)})
        assert "allowedEnergyTransfer" not in answer
        site = f"/sites/{scene.station.site_id}/access-rules"
        await scene.rest("PATCH", "/access-rules", {"bidirectional": False})
        await scene.rest("PATCH", site, {"bidirectional": True})
        answer = await scene.tell("Authorize", {"idToken": token(CARD)})
        assert {"AC_BPT", "DC_BPT", "AC_three_phase"} <= set(answer["allowedEnergyTransfer"])
        transaction = await charging(scene)
        await needs(scene, V2X)
        await planned(scene, transaction)
        told = await wish_of(scene)
        assert (told["transfer"], told["bidirectional"]["maxDischargePower"]) == ("AC_BPT", 9000)
        refused = await scene.tell("Authorize", {"idToken": token("04FFFFFF")})
        assert "allowedEnergyTransfer" not in refused
        await scene.rest("PATCH", f"/stations/{scene.station.pk}/access-rules", {"bidirectional": False})
        answer = await scene.tell("Authorize", {"idToken": token(CARD)})
        assert "allowedEnergyTransfer" not in answer


@oca("TC_Q_103")
async def test_needs_that_the_operator_forbids_are_refused(stage: Stage, card: Token) -> None:
    async with stage("2.1") as scene:
        await scene.rest("PATCH", f"/stations/{scene.station.pk}/access-rules", {"bidirectional": False})
        transaction = await charging(scene)
        told = {"evseId": 1, "chargingNeeds": V2X}
        assert (await scene.tell("NotifyEVChargingNeeds", told))["status"] == "Rejected"
        assert (await wish_of(scene))["needs_answer"] == "rejected"
        assert scene.wire.calls.empty()
        await needs(scene, V2X | {"requestedEnergyTransfer": "AC_three_phase"})  # so it charges only
        await planned(scene, transaction)
        session = await scene.session()
        order = await scene.rest(
            "POST", f"/sessions/{session['id']}/energy-transfer", {"transfers": ["AC_BPT"]}, status=202
        )
        await scene.answers(await scene.hears("NotifyAllowedEnergyTransfer"), {"status": "Accepted"})

        async def taken_on() -> bool:
            return bool((await scene.rest("GET", f"/commands/{order['id']}"))["state"] == "accepted")

        await eventually(taken_on)
        await scene.applied()
        await needs(scene, V2X)  # allowed to this session alone
        await planned(scene, transaction)


@oca("TC_Q_107")
async def test_charging_only_until_the_operator_allows_more(stage: Stage, card: Token) -> None:
    async with stage("2.1") as scene:
        transaction = await charging(scene)
        await needs(scene, V2X | {"requestedEnergyTransfer": "AC_three_phase"})
        await planned(scene, transaction)
        session = await scene.session()
        transfers = {"transfers": ["AC_BPT", "AC_three_phase"]}
        await scene.rest("POST", f"/sessions/{session['id']}/energy-transfer", transfers, status=202)
        call = await scene.hears("NotifyAllowedEnergyTransfer", {"transactionId": transaction})
        assert call[3]["allowedEnergyTransfer"] == ["AC_BPT", "AC_three_phase"]
        await scene.answers(call, {"status": "Accepted"})
        await needs(scene, V2X)  # the car begins anew, in both directions
        await planned(scene, transaction)
        told = await wish_of(scene)
        assert (told["transfer"], told["allowed_transfers"]) == ("AC_BPT", ["AC_BPT", "AC_three_phase"])

"""Grid controls (OCPP 2.1 block R) on the wire: set, superseded, started, read back, cleared; and the grid's alarms."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.urls import reverse

from stations.models import Command, DerControl, DerType, Station, StationEvent
from stations.ocpp import schemas
from stations.ocpp.versions import BY_NAME
from stations.services import commands, der
from stations.views.der import GROUPS
from tenants.context import tenant_scope
from tenants.errors import Invalid
from tenants.models import Role, Tenant
from tests.stations.ocpp.conftest import Plug, applied, rows
from tests.stations.ocpp.test_smart import all_settled

CURVE = {"points": [[92, 44], [98, 0], [102, 0], [108, -44]], "y_unit": "pct_max_var", "response_time_s": 5}
SETTINGS: dict[str, dict[str, Any]] = dict.fromkeys(DerType.values, CURVE) | {
    DerType.ENTER_SERVICE: {"high_voltage": 1.05, "low_voltage": 0.95, "high_freq": 50.1, "low_freq": 49.9},
    DerType.FIXED_PF_ABSORB: {"displacement": 0.95, "excitation": True},
    DerType.FIXED_PF_INJECT: {"displacement": 0.95, "excitation": False},
    DerType.FIXED_VAR: {"setpoint": 30, "unit": "pct_max_var"},
    DerType.FREQ_DROOP: {
        "over_freq": 50.2,
        "under_freq": 49.8,
        "over_droop": 5,
        "under_droop": 5,
        "response_time_s": 2,
    },
    DerType.GRADIENTS: {"gradient": 20, "soft_gradient": 2},
    DerType.LIMIT_MAX_DISCHARGE: {"percent": 60, "must_trip": CURVE},
}


@pytest.mark.parametrize("kind", DerType.values)
def test_every_control_keeps_to_the_schema_and_reads_back_as_it_was(
    tenant: Tenant, make_station: Any, owner_actor: Any, kind: str
) -> None:
    station = make_station(ocpp_version="2.1")
    with tenant_scope(tenant.pk):
        row = der.set_control(
            tenant_id=tenant.pk, station_id=station.pk, kind=kind, settings=SETTINGS[kind], actor=owner_actor
        )
        command = Command.objects.get(pk=row.command_id or 0)
    payload = BY_NAME["2.1"].says["set_der_control"].encode(command.arguments, command.pk)
    assert schemas.check("2.1", "SetDERControl", payload) is None, payload
    assert payload["controlId"] == row.control_id
    from stations.ocpp.v21.der import KIND_TOLD, PLAIN, _settings

    body = payload[PLAIN[kind][0]] if kind in PLAIN else payload["curve"]
    assert KIND_TOLD[payload["controlType"]] == kind
    assert _settings(kind, body) == SETTINGS[kind] | (
        {"must_trip": CURVE} if kind == DerType.LIMIT_MAX_DISCHARGE else {}
    )


async def test_a_control_lives_from_its_order_to_its_end(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    own = {"tenant_id": tenant.pk, "station_id": station.pk, "actor": owner_actor}

    def states() -> dict[str, str]:
        return dict(DerControl.objects.filter(station=station).values_list("control_id", "state"))

    async with plug(station, "2.1") as wire:
        first = await rows(tenant, lambda: der.set_control(kind="volt_var", settings=CURVE, **own))
        call = await wire.next_call()
        assert call[2] == "SetDERControl"
        assert call[3] == {
            "isDefault": True,
            "controlId": first.control_id,
            "controlType": "VoltVar",
            "curve": {
                "priority": 0,
                "curveData": [
                    {"x": 92.0, "y": 44.0},
                    {"x": 98.0, "y": 0.0},
                    {"x": 102.0, "y": 0.0},
                    {"x": 108.0, "y": -44.0},
                ],
                "yUnit": "PctMaxVar",
                "responseTime": 5,
            },
        }
        await wire.answer(call, {"status": "Accepted"})
        second = await rows(
            tenant,
            lambda: der.set_control(
                kind="volt_var", settings=CURVE, is_default=False, starts_at=start, duration_s=600, **own
            ),
        )
        call = await wire.next_call()
        assert call[3]["curve"]["startTime"] == start.isoformat(timespec="milliseconds").replace(
            "+00:00", "Z"
        )
        await wire.answer(call, {"status": "Accepted"})
        await all_settled(tenant, station)
        assert await rows(tenant, states) == {first.control_id: "active", second.control_id: "scheduled"}

        def switch(*, started: bool) -> dict[str, Any]:
            return {
                "controlId": second.control_id, "started": started, "supersededIds": [first.control_id],
                "timestamp": datetime.now(UTC).isoformat(),
            }  # fmt: skip

        await wire.ok("NotifyDERStartStop", switch(started=True))
        await applied(tenant)
        assert await rows(tenant, states) == {first.control_id: "superseded", second.control_id: "active"}
        await wire.ok("NotifyDERStartStop", switch(started=False))
        await applied(tenant)
        assert await rows(tenant, states) == {first.control_id: "active", second.control_id: "ended"}
        await rows(tenant, lambda: der.clear(tenant_id=tenant.pk, control=first.pk, actor=owner_actor))
        call = await wire.next_call()
        assert call[2:] == ["ClearDERControl", {"isDefault": True, "controlId": first.control_id}]
        await wire.answer(call, {"status": "NotFound"})
        await all_settled(tenant, station)
    assert (await rows(tenant, states))[first.control_id] == "cleared"


async def test_a_control_whose_end_nobody_told_ends_with_its_time(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    """The station was restarted in the middle: it says nothing of the end. What else it holds is read back."""
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=5)
    own = {"tenant_id": tenant.pk, "station_id": station.pk, "actor": owner_actor}
    timed: dict[str, Any] = {"is_default": False, "starts_at": start, "duration_s": 600.0}

    def swept(minutes: float) -> tuple[int, str]:
        ended = der.sweep(tenant_id=tenant.pk, now=start + timedelta(minutes=minutes))
        return ended, DerControl.objects.get(station=station).state

    async with plug(station, "2.1") as wire:
        await rows(tenant, lambda: der.set_control(kind="volt_var", settings=CURVE, **timed, **own))
        await wire.answer(await wire.next_call(), {"status": "Accepted"})
        await all_settled(tenant, station)
        assert await rows(tenant, lambda: swept(-1)) == (0, "scheduled")
        assert await rows(tenant, lambda: swept(11)) == (0, "scheduled"), "its word may be on the way"
        assert await rows(tenant, lambda: swept(13)) == (1, "ended")
        assert (await wire.next_call())[2] == "GetDERControl"
        assert await rows(tenant, lambda: swept(14)) == (0, "ended")


@pytest.mark.parametrize("points", ["nan, 1", "1, inf", "1e999, 0", "1, 2, 3", "a, b", "1"])
def test_points_that_are_no_numbers_are_refused_in_words(
    tenant: Tenant, station: Station, portal_client: Any, make_member: Any, points: str
) -> None:
    user, _password = make_member(Role.OPERATOR)
    desk = portal_client(user)
    new = reverse("der-new", args=[tenant.slug, station.pk, "volt_var"])
    answer = desk.post(new, {"points": f"98, 0\n{points}", "y_unit": "pct_max_var", "priority": "0"})
    assert answer.status_code == 422 and "Write two numbers a line" in answer.content.decode()
    assert (
        desk.get(reverse("der-drawn", args=[tenant.slug]), {"points": f"98, 0\n{points}"}).status_code == 200
    )
    assert not DerControl.objects.filter(station=station).exists()


@pytest.mark.parametrize(
    ("answer", "state", "reason"),
    [
        ({"status": "NotSupported"}, "rejected", "The station does not know this control."),
        ({"status": "Rejected", "statusInfo": {"reasonCode": "InvalidValue"}}, "rejected", "InvalidValue"),
    ],
)
async def test_a_refused_control_says_why(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, answer: Any, state: str, reason: str
) -> None:
    async with plug(station, "2.1") as wire:
        row = await rows(
            tenant,
            lambda: der.set_control(
                tenant_id=tenant.pk, station_id=station.pk, kind="gradients", actor=owner_actor,
                settings=SETTINGS["gradients"],
            ),
        )  # fmt: skip
        await wire.answer(await wire.next_call(), answer)
        await all_settled(tenant, station)
    kept = await rows(tenant, lambda: DerControl.objects.get(pk=row.pk))
    assert (kept.state, kept.reason) == (state, reason)


async def test_a_report_in_parts_says_what_the_station_has(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    await rows(
        tenant,
        lambda: DerControl.objects.create(
            tenant=tenant,
            station=station,
            control_id="GONE",
            kind="volt_watt",
            state="active",
            settled_at=hour_ago,
        ),
    )
    async with plug(station, "2.1") as wire:
        command = await rows(
            tenant,
            lambda: commands.request_command(
                tenant_id=tenant.pk, station_id=station.pk, kind="read_der_controls", arguments={},
                actor=owner_actor,
            ),
        )  # fmt: skip
        call = await wire.next_call()
        request = command.pk % 2_147_483_647
        assert call[2:] == ["GetDERControl", {"requestId": request}]
        await wire.answer(call, {"status": "Accepted"})
        droop = {
            "priority": 2, "overFreq": 50.2, "underFreq": 49.8, "overDroop": 5.0, "underDroop": 5.0,
            "responseTime": 2.0,
        }  # fmt: skip
        part = {"id": "A", "isDefault": True, "isSuperseded": False, "freqDroop": droop}
        await wire.ok("ReportDERControl", {"requestId": request, "tbc": True, "freqDroop": [part]})
        curve = {
            "priority": 0,
            "yUnit": "PctMaxW",
            "curveData": [{"x": 50.2, "y": 100.0}, {"x": 51.5, "y": 0.0}],
        }
        part = {"id": "B", "isDefault": False, "isSuperseded": True, "curveType": "FreqWatt", "curve": curve}
        await wire.ok("ReportDERControl", {"requestId": request, "curve": [part]})
        await applied(tenant)
    found = await rows(
        tenant,
        lambda: set(DerControl.objects.filter(station=station).values_list("control_id", "kind", "state")),
    )
    assert found == {
        ("GONE", "volt_watt", "cleared"),
        ("A", "freq_droop", "active"),
        ("B", "freq_watt", "superseded"),
    }


async def test_alarms_of_the_grid_stand_on_the_timeline(plug: Plug, tenant: Tenant, station: Station) -> None:
    alarm = {
        "controlType": "HVMustTrip", "gridEventFault": "OverVoltage", "timestamp": datetime.now(UTC).isoformat(),
    }  # fmt: skip
    async with plug(station, "2.1") as wire:
        await wire.ok("NotifyDERAlarm", alarm)
        await wire.ok("NotifyDERAlarm", alarm | {"alarmEnded": True})
        await applied(tenant)
    found = await rows(
        tenant,
        lambda: list(
            StationEvent.objects.filter(station=station, kind="der_alarm")
            .order_by("id")
            .values_list("severity", "text")
        ),
    )
    assert found == [
        ("error", "Grid alarm: High voltage, must trip (over voltage)"),
        ("info", "Grid back within bounds: High voltage, must trip (over voltage)"),
    ]


@pytest.mark.parametrize(
    ("kind", "values", "field"),
    [
        ("gradients", {"is_default": False}, "is_default"),
        ("volt_var", {"is_default": False}, "starts_at"),
        ("volt_var", {"settings": {"points": [[1, 2]] * 11}}, "points"),
        ("freq_droop", {"settings": {"over_freq": 50.2}}, "under_freq"),
        ("nonsense", {}, "type"),
    ],
)
def test_what_the_standard_does_not_allow_is_refused_by_name(
    tenant: Tenant, make_station: Any, owner_actor: Any, kind: str, values: Any, field: str
) -> None:
    station = make_station(ocpp_version="2.1")
    with tenant_scope(tenant.pk), pytest.raises(Invalid) as refused:
        der.set_control(
            tenant_id=tenant.pk, station_id=station.pk, kind=kind, actor=owner_actor,
            **({"settings": SETTINGS.get(kind, {})} | values),
        )  # fmt: skip
    assert field in refused.value.fields


@pytest.mark.nodb
def test_each_control_is_offered_in_one_group() -> None:
    assert sorted(kind for _title, kinds in GROUPS for kind in kinds) == sorted(DerType)

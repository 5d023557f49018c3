"""Dynamic limits of OCPP 2.1 (K28): one number that is changed as it goes, pushed by us or fetched by the
station. What is wanted stands in the row, so that both give the same."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils import timezone

from stations import schedules
from stations.models import ChargingProfile, Command, CommandKind, CommandState, ProfileState
from stations.neutral_power import DynamicAnswer, DynamicAsked
from stations.schedules import Period, Profile
from stations.services import commands, profiles
from tenants.errors import Conflict, Invalid, NotFound
from tenants.permissions import Actor

VALUES = (
    "limit", "limit_l2", "limit_l3", "discharge_limit", "discharge_limit_l2", "discharge_limit_l3", "setpoint",
    "setpoint_l2", "setpoint_l3", "setpoint_reactive", "setpoint_reactive_l2", "setpoint_reactive_l3",
)  # fmt: skip


def begin(
    *,
    tenant_id: int,
    station_id: int,
    evse: int,
    actor: Actor,
    values: dict[str, float],
    unit: str = "W",
    mode: str = "",
    interval_s: int | None = None,
) -> ChargingProfile:
    """Give the session at this connector a dynamic limit, or setpoint (`mode` central_setpoint, block Q).

    `interval_s`: the station fetches the newest values so often; without it they come by push alone.
    """
    _check(values)
    station = profiles.station_of(tenant_id, station_id, actor)
    of = profiles.known(tenant_id, [station])[station_id]
    period = Period(
        0,
        limit=values.get("limit"),
        discharge_limit=values.get("discharge_limit"),
        setpoint=values.get("setpoint"),
        mode=mode,
        more={
            name: value
            for name, value in values.items()
            if name not in ("limit", "discharge_limit", "setpoint")
        },
    )
    profile = Profile(
        evse=evse,
        purpose=schedules.TRANSACTION,
        kind=schedules.DYNAMIC,
        unit=unit,
        periods=(period,),
        stack_level=of.level(profiles.LIMIT_STACK),
        more={"dyn_update_interval_s": interval_s} if interval_s else {},
    )
    return profiles.install(
        tenant_id=tenant_id,
        station_id=station_id,
        profile=profile,
        actor=actor,
        intent="limit",
        known_of=of,
    )


def _check(values: dict[str, float]) -> None:
    unknown = values.keys() - set(VALUES)
    if unknown or not values:
        raise Invalid(fields={"values": f"Give some of {', '.join(VALUES)}."})
    if any(values.get(name, 0) > 0 for name in values if name.startswith("discharge")):
        raise Invalid(fields={"values": "A limit of discharging is 0 or negative."})


def update(*, tenant_id: int, profile_id: int, values: dict[str, float], actor: Actor) -> Command:
    """Change a dynamic limit: pushed now (UpdateDynamicSchedule), and what the station fetches from now on."""
    row = ChargingProfile.objects.select_for_update().filter(tenant_id=tenant_id, pk=profile_id).first()
    if row is None:
        raise NotFound("There is no such profile.")
    profiles.station_of(tenant_id, row.station_id, actor)
    if row.kind != schedules.DYNAMIC or row.state != ProfileState.ACCEPTED:
        raise Conflict("Only a dynamic limit that is in the station can be changed as it goes.")
    _check(values)
    row.more = row.more | {"wanted": (row.more.get("wanted") or {}) | values}
    row.save(update_fields=["more"])
    return commands.request_command(
        tenant_id=tenant_id,
        station_id=row.station_id,
        kind=CommandKind.UPDATE_DYNAMIC,
        arguments={"number": row.number, "values": values},
        actor=actor,
        urgent=True,
    )


def updated(*, command: Command) -> None:
    """The station took on new values (outcomes.FOLLOWERS)."""
    if command.state != CommandState.ACCEPTED:
        return
    row = _row(command.tenant_id, command.station_id, command.arguments.get("number"))
    if row is not None:
        _hold(row, command.arguments.get("values") or {})


def fetch(*, tenant_id: int, requests: Sequence[DynamicAsked]) -> list[DynamicAnswer]:
    """PullDynamicScheduleUpdate: the newest values; None where we know of no such profile."""
    answers = []
    for asked in requests:
        row = _row(tenant_id, asked.station_id, asked.number)
        if row is None:
            answers.append(DynamicAnswer(None))
            continue
        period = (row.periods or [{}])[0]
        values = {name: period[name] for name in VALUES if period.get(name) is not None}
        values |= row.more.get("wanted") or {}
        _hold(row, values)
        answers.append(DynamicAnswer(values or None))
    return answers


def _row(tenant_id: int, station_id: int, number: object) -> ChargingProfile | None:
    if not isinstance(number, int) or not 0 <= number < 2**63:
        return None
    return (
        ChargingProfile.objects.select_for_update()
        .filter(
            tenant_id=tenant_id, station_id=station_id, number=number, kind=schedules.DYNAMIC,
            state=ProfileState.ACCEPTED,
        )
        .first()
    )  # fmt: skip


def _hold(row: ChargingProfile, values: dict[str, float]) -> None:
    row.periods = [(row.periods or [{"start_s": 0}])[0] | values]
    row.updated_at = timezone.now()
    row.save(update_fields=["periods", "updated_at"])

"""SmartCharging profile: charging profiles and the schedule that they make."""

from __future__ import annotations

from stations.models import CommandKind
from stations.neutral_power import CompositeAnswered
from stations.ocpp import profiles, wire
from stations.ocpp.version import Answered, Payload, Say
from stations.ocpp.wire import optional
from tenants.errors import Invalid


def _say_set(arguments: Payload, command_id: int) -> Payload:
    profile = profiles.read_arguments(arguments.get("profile"), command_id)
    return {"connectorId": profile.evse, "csChargingProfiles": profiles.say_16(profile)}


def _say_clear(arguments: Payload, command_id: int) -> Payload:
    """5.5: an id alone, or what all of those share that go."""
    if arguments.get("number") is not None:
        return {"id": arguments["number"]}
    purpose = arguments.get("purpose")
    if purpose and purpose not in profiles.PURPOSE_16:
        raise Invalid(fields={"purpose": f"OCPP 1.6 knows no profiles of this purpose: {purpose}."})
    return optional(
        connectorId=wire.connector_16(arguments),
        chargingProfilePurpose=profiles.PURPOSE_16[purpose] if purpose else None,
        stackLevel=arguments.get("stack_level"),
    )


def _say_composite(arguments: Payload, command_id: int) -> Payload:
    return {
        "connectorId": wire.connector_16(arguments) or 0,
        "duration": arguments.get("duration_s") or 86_400,
    } | optional(chargingRateUnit=arguments.get("unit"))


def _composite(answered: Answered) -> list[CompositeAnswered]:
    told = answered.response
    schedule = told.get("chargingSchedule")
    if not answered.accepted or not schedule:
        return []
    start = profiles.moment(told.get("scheduleStart") or schedule.get("startSchedule"))
    return [
        CompositeAnswered(
            station_id=answered.station_id,
            evse=told["connectorId"] if "connectorId" in told else answered.request["connectorId"],
            unit=schedule.get("chargingRateUnit", "A"),
            starts_at=start or answered.received_at,
            duration_s=schedule.get("duration") or answered.request["duration"],
            periods=profiles.periods_told(schedule),
            received_at=answered.received_at,
        )
    ]


SAYS: dict[str, Say] = {
    CommandKind.CLEAR_PROFILE: Say("ClearChargingProfile", _say_clear, cases="5.5"),
    CommandKind.READ_COMPOSITE: Say("GetCompositeSchedule", _say_composite, reports=_composite, cases="5.7"),
    CommandKind.SET_PROFILE: Say("SetChargingProfile", _say_set, cases="5.16"),
}

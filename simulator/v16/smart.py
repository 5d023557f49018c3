"""What a 1.6 station answers: SmartCharging, Reservation and LocalAuthListManagement."""

from __future__ import annotations

from typing import Any

from ocpp.routing import on
from ocpp.v16 import call_result
from ocpp.v16.enums import Action

from simulator.local_auth import Entry
from simulator.profiles import read_profile
from simulator.v16.core import Answers


class Smart(Answers):
    @on(Action.set_charging_profile)
    def on_set_charging_profile(self, connector_id: int, cs_charging_profiles: dict[str, Any]) -> Any:
        status = self.station.install_profile(read_profile(connector_id, cs_charging_profiles))
        return call_result.SetChargingProfile(status)

    @on(Action.clear_charging_profile)
    def on_clear_charging_profile(
        self,
        id: int | None = None,
        connector_id: int | None = None,
        charging_profile_purpose: str | None = None,
        stack_level: int | None = None,
    ) -> Any:
        gone = self.station.profiles.clear(
            id=id, evse=connector_id, purpose=charging_profile_purpose, stack=stack_level
        )
        self.station.limits_changed()
        return call_result.ClearChargingProfile("Accepted" if gone else "Unknown")

    @on(Action.get_composite_schedule)
    def on_get_composite_schedule(
        self, connector_id: int, duration: int, charging_rate_unit: str | None = None
    ) -> Any:
        station = self.station
        if connector_id and connector_id not in station.connectors:
            return call_result.GetCompositeSchedule("Rejected")
        unit = charging_rate_unit or "A"
        start, periods = station.composite(connector_id, duration, unit)
        schedule = {
            "duration": duration,
            "start_schedule": start,
            "charging_rate_unit": unit,
            "charging_schedule_period": [
                {"start_period": p.start, "limit": p.limit, "number_phases": p.phases} for p in periods
            ],
        }
        return call_result.GetCompositeSchedule(
            "Accepted",
            connector_id=connector_id,
            schedule_start=start,
            charging_schedule=schedule,
        )

    @on(Action.reserve_now)
    def on_reserve_now(
        self,
        connector_id: int,
        expiry_date: str,
        id_tag: str,
        reservation_id: int,
        parent_id_tag: str | None = None,
    ) -> Any:
        status = self.station.reserve(connector_id, reservation_id, id_tag, expiry_date, parent_id_tag or "")
        self.then(self.station.tell_changed_states)
        return call_result.ReserveNow(status)

    @on(Action.cancel_reservation)
    def on_cancel_reservation(self, reservation_id: int) -> Any:
        status = self.station.cancel_reservation(reservation_id)
        self.then(self.station.tell_changed_states)
        return call_result.CancelReservation(status)

    @on(Action.send_local_list)
    def on_send_local_list(
        self,
        list_version: int,
        update_type: str,
        local_authorization_list: list[dict[str, Any]] | None = None,
    ) -> Any:
        entries = [_entry(entry) for entry in local_authorization_list or []]
        if not self.station.device.flag("LocalAuthListEnabled"):
            return call_result.SendLocalList("NotSupported")
        return call_result.SendLocalList(self.station.take_list(list_version, update_type == "Full", entries))

    @on(Action.get_local_list_version)
    def on_get_local_list_version(self) -> Any:
        """-1: no lists here (5.10); 0: the list is empty."""
        if not self.station.device.flag("LocalAuthListEnabled"):
            return call_result.GetLocalListVersion(-1)
        return call_result.GetLocalListVersion(self.station.local_auth.version)


def _entry(told: dict[str, Any]) -> Entry:
    info = told.get("id_tag_info") or {}
    return Entry(
        told["id_tag"], info.get("status"), info.get("expiry_date", ""), info.get("parent_id_tag", "")
    )

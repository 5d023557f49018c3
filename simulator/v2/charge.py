"""What a 2.x station answers about charging: transactions, smart charging, reservations, the local list."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ocpp.routing import on
from ocpp.v201.enums import Action

from simulator.local_auth import Entry
from simulator.profiles import Profile, read_profile

if TYPE_CHECKING:
    from simulator.station import SimulatedStation


class Answers:
    """What every group of answers has at hand. `call_result` is the version's module of dataclasses."""

    station: SimulatedStation
    call_result: ModuleType
    then: Callable[[Callable[[], Coroutine[Any, Any, None]]], None]


class Charge(Answers):
    @on(Action.request_start_transaction)
    def on_request_start(
        self,
        id_token: dict[str, Any],
        remote_start_id: int,
        evse_id: int | None = None,
        charging_profile: dict[str, Any] | None = None,
        **_: Any,
    ) -> Any:
        station = self.station
        number = station.connector_for_start(evse_id, id_token["id_token"])
        if number is None:
            return self.call_result.RequestStartTransaction(status="Rejected")
        profile = read_profile(number, charging_profile) if charging_profile else None
        transaction = station.connectors[number].transaction  # begun by the cable already
        self.then(
            lambda: station.remote_start(
                number, id_token["id_token"], id_token["type"], remote_start_id, profile
            )
        )
        return self.call_result.RequestStartTransaction(
            status="Accepted", transaction_id=transaction.id if transaction else None
        )

    @on(Action.request_stop_transaction)
    def on_request_stop(self, transaction_id: str, **_: Any) -> Any:
        number = self.station.connector_of(transaction_id)
        if number is None:
            return self.call_result.RequestStopTransaction(status="Rejected")
        self.then(lambda: self.station.remote_stop(number))
        return self.call_result.RequestStopTransaction(status="Accepted")

    @on(Action.get_transaction_status)
    def on_get_transaction_status(self, transaction_id: str | None = None, **_: Any) -> Any:
        ongoing = self.station.connector_of(transaction_id) is not None if transaction_id else None
        return self.call_result.GetTransactionStatus(
            messages_in_queue=len(self.station.outbox) > 0, ongoing_indicator=ongoing
        )

    @on(Action.unlock_connector)
    def on_unlock(self, evse_id: int, connector_id: int, **_: Any) -> Any:
        station = self.station
        connector = station.connectors.get(evse_id)
        if connector is None or connector_id != 1:
            return self.call_result.UnlockConnector(status="UnknownConnector")
        if connector.transaction is not None:  # F05.FR.02: never under an authorised transaction
            return self.call_result.UnlockConnector(status="OngoingAuthorizedTransaction")
        if connector.unlock_fails:
            return self.call_result.UnlockConnector(status="UnlockFailed")
        self.then(lambda: station.unlocked(evse_id))
        return self.call_result.UnlockConnector(status="Unlocked")

    @on(Action.set_charging_profile)
    def on_set_charging_profile(self, evse_id: int, charging_profile: dict[str, Any], **_: Any) -> Any:
        status = self.station.install_profile(read_profile(evse_id, charging_profile))
        return self.call_result.SetChargingProfile(status=status)

    @on(Action.clear_charging_profile)
    def on_clear_charging_profile(
        self,
        charging_profile_id: int | None = None,
        charging_profile_criteria: dict[str, Any] | None = None,
        **_: Any,
    ) -> Any:
        criteria = charging_profile_criteria or {}
        gone = self.station.profiles.clear(
            id=charging_profile_id,
            evse=criteria.get("evse_id"),
            purpose=criteria.get("charging_profile_purpose"),
            stack=criteria.get("stack_level"),
        )
        self.station.limits_changed()
        return self.call_result.ClearChargingProfile(status="Accepted" if gone else "Unknown")

    @on(Action.get_charging_profiles)
    def on_get_charging_profiles(
        self, request_id: int, charging_profile: dict[str, Any], evse_id: int | None = None, **_: Any
    ) -> Any:
        found = [
            profile for profile in self.station.profiles.all if _asked_for(profile, evse_id, charging_profile)
        ]
        if not found:
            return self.call_result.GetChargingProfiles(status="NoProfiles")
        self.then(lambda: self.station.report_profiles(request_id, found))
        return self.call_result.GetChargingProfiles(status="Accepted")

    @on(Action.get_composite_schedule)
    def on_get_composite_schedule(
        self, duration: int, evse_id: int, charging_rate_unit: str | None = None, **_: Any
    ) -> Any:
        station = self.station
        if evse_id and evse_id not in station.connectors:
            return self.call_result.GetCompositeSchedule(status="Rejected")
        unit = charging_rate_unit or "A"
        start, periods = station.composite(evse_id, duration, unit)
        schedule = {
            "evse_id": evse_id,
            "duration": duration,
            "schedule_start": start,
            "charging_rate_unit": unit,
            "charging_schedule_period": [
                {"start_period": p.start, "limit": p.limit, "number_phases": p.phases} for p in periods
            ],
        }
        return self.call_result.GetCompositeSchedule(status="Accepted", schedule=schedule)

    @on(Action.reserve_now)
    def on_reserve_now(
        self,
        id: int,
        expiry_date_time: str,
        id_token: dict[str, Any],
        evse_id: int | None = None,
        group_id_token: dict[str, Any] | None = None,
        **_: Any,
    ) -> Any:
        station = self.station
        parent = group_id_token["id_token"] if group_id_token else ""
        status = station.reserve(evse_id or 0, id, id_token["id_token"], expiry_date_time, parent)
        self.then(station.tell_changed_states)
        return self.call_result.ReserveNow(status=status)

    @on(Action.cancel_reservation)
    def on_cancel_reservation(self, reservation_id: int, **_: Any) -> Any:
        status = self.station.cancel_reservation(reservation_id)
        self.then(self.station.tell_changed_states)
        return self.call_result.CancelReservation(status=status)

    @on(Action.send_local_list)
    def on_send_local_list(
        self,
        version_number: int,
        update_type: str,
        local_authorization_list: list[dict[str, Any]] | None = None,
        **_: Any,
    ) -> Any:
        entries = [_entry(entry) for entry in local_authorization_list or []]
        if not self.station.device.flag("LocalAuthListEnabled"):  # D01.FR.13
            return self.call_result.SendLocalList(status="Failed")
        status = self.station.take_list(version_number, update_type == "Full", entries)
        return self.call_result.SendLocalList(status=status)

    @on(Action.get_local_list_version)
    def on_get_local_list_version(self, **_: Any) -> Any:
        """0: no list is in use, or it is empty (D02.FR.02, FR.03)."""
        held = self.station.local_auth
        used = self.station.device.flag("LocalAuthListEnabled") and held.entries
        return self.call_result.GetLocalListVersion(version_number=held.version if used else 0)


def _entry(told: dict[str, Any]) -> Entry:
    info = told.get("id_token_info") or {}
    group = (info.get("group_id_token") or {}).get("id_token", "")
    return Entry(
        told["id_token"]["id_token"], info.get("status"), info.get("cache_expiry_date_time", ""), group
    )


def _asked_for(profile: Profile, evse_id: int | None, criterion: dict[str, Any]) -> bool:
    purpose = criterion.get("charging_profile_purpose")
    return (
        (evse_id is None or profile.evse == evse_id)
        and (purpose is None or profile.purpose == purpose)
        and (criterion.get("stack_level") is None or profile.stack == criterion["stack_level"])
        and (not criterion.get("charging_profile_id") or profile.id in criterion["charging_profile_id"])
    )

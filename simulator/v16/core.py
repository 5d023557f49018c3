"""What a 1.6 station answers: the Core and RemoteTrigger profiles."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from ocpp.routing import on
from ocpp.v16 import call_result
from ocpp.v16.enums import Action

from simulator.device import WRITE_ONLY, Setting
from simulator.driver import COST_VENDOR
from simulator.profiles import read_profile
from simulator.v16.plug_and_charge import PNC, answer

if TYPE_CHECKING:
    from simulator.station import SimulatedStation


class Answers:
    """What every group of answers has at hand."""

    station: SimulatedStation
    then: Callable[[Callable[[], Coroutine[Any, Any, None]]], None]


class Core(Answers):
    @on(Action.remote_start_transaction)
    def on_remote_start(
        self, id_tag: str, connector_id: int | None = None, charging_profile: Any = None
    ) -> Any:
        station = self.station
        number = station.connector_for_start(connector_id, id_tag)
        if number is None:
            return call_result.RemoteStartTransaction("Rejected")
        profile = read_profile(number, charging_profile) if charging_profile else None
        self.then(lambda: station.remote_start(number, id_tag, "ISO14443", None, profile))
        return call_result.RemoteStartTransaction("Accepted")

    @on(Action.remote_stop_transaction)
    def on_remote_stop(self, transaction_id: int) -> Any:
        station = self.station
        number = station.connector_of(transaction_id)
        if number is None:
            return call_result.RemoteStopTransaction("Rejected")
        self.then(lambda: station.remote_stop(number))
        return call_result.RemoteStopTransaction("Accepted")

    @on(Action.unlock_connector)
    def on_unlock(self, connector_id: int) -> Any:
        station = self.station
        connector = station.connectors.get(connector_id)
        if connector is None:
            return call_result.UnlockConnector("NotSupported")
        if connector.unlock_fails:
            return call_result.UnlockConnector("UnlockFailed")
        self.then(lambda: station.unlocked(connector_id))
        return call_result.UnlockConnector("Unlocked")

    @on(Action.reset)
    def on_reset(self, type: str) -> Any:
        station = self.station
        self.then(
            lambda: station.reboot(reason="RemoteReset", stop_reason=f"{type}Reset", hard=type == "Hard")
        )
        return call_result.Reset("Accepted")

    @on(Action.change_availability)
    async def on_change_availability(self, connector_id: int, type: str) -> Any:
        station = self.station
        if connector_id and connector_id not in station.connectors:
            return call_result.ChangeAvailability("Rejected")
        numbers = [connector_id] if connector_id else list(station.connectors)
        operative = type == "Operative"
        if not connector_id:
            station.operative = operative
        status = await station.set_operative(numbers, operative)
        self.then(station.tell_changed_states)
        return call_result.ChangeAvailability(status)

    @on(Action.get_configuration)
    def on_get_configuration(self, key: list[str] | None = None) -> Any:
        device = self.station.device
        if not key:
            known = [setting for setting in device.settings if setting.key]
            return call_result.GetConfiguration([_told(setting) for setting in known], [])
        found = [(name, device.by_key(name)) for name in key]
        return call_result.GetConfiguration(
            [_told(setting) for _, setting in found if setting],
            [name for name, setting in found if not setting],
        )

    @on(Action.change_configuration)
    def on_change_configuration(self, key: str, value: str) -> Any:
        station = self.station
        setting = station.device.by_key(key)
        if setting is None:
            return call_result.ChangeConfiguration("NotSupported")
        if setting.key == "SecurityProfile" and not station.security.may_rise(value):
            return call_result.ChangeConfiguration("Rejected")
        status = station.device.change(setting, value)
        if status == "Accepted":
            self.then(lambda: station.setting_changed(setting))
        return call_result.ChangeConfiguration(status)

    @on(Action.clear_cache)
    def on_clear_cache(self) -> Any:
        if not self.station.device.flag("AuthorizationCacheEnabled"):
            return call_result.ClearCache("Rejected")
        self.station.local_auth.cache.clear()
        return call_result.ClearCache("Accepted")

    @on(Action.data_transfer)
    def on_data_transfer(self, vendor_id: str, message_id: str | None = None, data: str | None = None) -> Any:
        if vendor_id == COST_VENDOR and self.station.device.flag("CustomDisplayCostAndPrice"):
            return call_result.DataTransfer(self.station.screen.tell(message_id or "", data or ""))
        if vendor_id == PNC and self.station.device.flag("ISO15118PnCEnabled"):
            return call_result.DataTransfer(*answer(self.station, message_id or "", data or "", self.then))
        if vendor_id != "Voltyard":
            return call_result.DataTransfer("UnknownVendorId")
        if message_id not in (None, "", "echo"):
            return call_result.DataTransfer("UnknownMessageId")
        return call_result.DataTransfer("Accepted", data)

    @on(Action.trigger_message)
    def on_trigger(self, requested_message: str, connector_id: int | None = None) -> Any:
        return call_result.TriggerMessage(self._trigger(requested_message, connector_id))

    @on(Action.extended_trigger_message)
    def on_extended_trigger(self, requested_message: str, connector_id: int | None = None) -> Any:
        return call_result.ExtendedTriggerMessage(self._trigger(requested_message, connector_id))

    def _trigger(self, message: str, connector_id: int | None) -> str:
        if connector_id is not None and connector_id not in {0, *self.station.connectors}:
            return "Rejected"
        numbers = [connector_id] if connector_id else list(self.station.connectors)
        return self.station.trigger(message, numbers, self.then)


def _told(setting: Setting) -> dict[str, Any]:
    """A write-only key is listed without its value (1.6 security whitepaper, A00.FR.004)."""
    told: dict[str, Any] = {"key": setting.key, "readonly": setting.access == "ReadOnly"}
    if setting.access != WRITE_ONLY:
        told["value"] = setting.value
    return told

"""What a 2.x station answers about itself: reset, availability, triggers, firmware, logs."""

from __future__ import annotations

from typing import Any

from ocpp.routing import on
from ocpp.v201.enums import Action

from simulator.commands import told_firmware, told_log
from simulator.v2.charge import Answers


class Manage(Answers):
    @on(Action.reset)
    def on_reset(self, type: str, evse_id: int | None = None, **_: Any) -> Any:
        station = self.station
        if evse_id is not None and evse_id not in station.connectors:
            return self.call_result.Reset(status="Rejected")
        if evse_id is not None:
            self.then(lambda: station.reset_evse(evse_id))
            return self.call_result.Reset(status="Accepted")
        busy = any(connector.transaction is not None for connector in station.connectors.values())
        if type == "OnIdle" and busy:
            self.then(station.reset_when_idle)
            return self.call_result.Reset(status="Scheduled")
        hard = type != "OnIdle"
        self.then(lambda: station.reboot(reason="RemoteReset", stop_reason="ImmediateReset", hard=hard))
        return self.call_result.Reset(status="Accepted")

    @on(Action.change_availability)
    async def on_change_availability(
        self, operational_status: str, evse: dict[str, Any] | None = None, **_: Any
    ) -> Any:
        station = self.station
        if evse and evse["id"] not in station.connectors:
            return self.call_result.ChangeAvailability(status="Rejected")
        numbers = [evse["id"]] if evse else list(station.connectors)
        if evse is None:
            station.operative = operational_status == "Operative"
        status = await station.set_operative(numbers, operational_status == "Operative")
        self.then(station.tell_changed_states)
        return self.call_result.ChangeAvailability(status=status)

    @on(Action.trigger_message)
    def on_trigger(self, requested_message: str, evse: dict[str, Any] | None = None, **_: Any) -> Any:
        station = self.station
        if evse and evse["id"] not in station.connectors:
            return self.call_result.TriggerMessage(status="Rejected")
        numbers = [evse["id"]] if evse else list(station.connectors)
        return self.call_result.TriggerMessage(status=station.trigger(requested_message, numbers, self.then))

    @on(Action.clear_cache)
    def on_clear_cache(self, **_: Any) -> Any:
        if not self.station.device.flag("AuthorizationCacheEnabled"):
            return self.call_result.ClearCache(status="Rejected")
        self.station.local_auth.cache.clear()
        return self.call_result.ClearCache(status="Accepted")

    @on(Action.data_transfer)
    def on_data_transfer(
        self, vendor_id: str, message_id: str | None = None, data: Any = None, **_: Any
    ) -> Any:
        if vendor_id != "Voltyard":
            return self.call_result.DataTransfer(status="UnknownVendorId")
        if message_id not in (None, "", "echo"):
            return self.call_result.DataTransfer(status="UnknownMessageId")
        return self.call_result.DataTransfer(status="Accepted", data=data)

    @on(Action.update_firmware)
    def on_update_firmware(self, request_id: int, firmware: dict[str, Any], **_: Any) -> Any:
        self.then(lambda: self.station.update_firmware(request_id=request_id, **told_firmware(firmware)))
        return self.call_result.UpdateFirmware(status="Accepted")

    @on(Action.get_log)
    def on_get_log(self, log: dict[str, Any], log_type: str, request_id: int, **_: Any) -> Any:
        name = f"{self.station.serial}-{log_type}.zip"
        self.then(
            lambda: self.station.upload_log(request_id=request_id, name=name, **told_log(log, log_type))
        )
        return self.call_result.GetLog(status="Accepted", filename=name)

    @on(Action.publish_firmware)
    def on_publish_firmware(self, location: str, checksum: str, request_id: int, **_: Any) -> Any:
        self.then(lambda: self.station.publish_firmware(location, checksum, request_id))
        return self.call_result.PublishFirmware(status="Accepted")

    @on(Action.unpublish_firmware)
    def on_unpublish_firmware(self, checksum: str, **_: Any) -> Any:
        known = self.station.published.pop(checksum, None)
        return self.call_result.UnpublishFirmware(status="Unpublished" if known else "NoFirmware")

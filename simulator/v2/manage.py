"""What a 2.x station answers about itself: reset, availability, triggers, firmware, logs, monitoring."""

from __future__ import annotations

from typing import Any

from ocpp.routing import on
from ocpp.v21.enums import Action as Action21
from ocpp.v201.enums import Action

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
        self.then(lambda: station.reboot(reason="RemoteReset", stop_reason="ImmediateReset"))
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
        location, when = firmware["location"], firmware["retrieve_date_time"]
        self.then(lambda: self.station.update_firmware(location, when, request_id))
        return self.call_result.UpdateFirmware(status="Accepted")

    @on(Action.get_log)
    def on_get_log(self, log: dict[str, Any], log_type: str, request_id: int, **_: Any) -> Any:
        self.then(lambda: self.station.upload_log(log["remote_location"], request_id))
        return self.call_result.GetLog(status="Accepted", filename=f"{self.station.serial}-{log_type}.zip")

    @on(Action.set_variable_monitoring)
    def on_set_variable_monitoring(self, set_monitoring_data: list[dict[str, Any]], **_: Any) -> Any:
        results = [
            {
                "status": "Rejected",
                "type": item["type"],
                "severity": item["severity"],
                "component": item["component"],
                "variable": item["variable"],
            }
            for item in set_monitoring_data
        ]
        return self.call_result.SetVariableMonitoring(set_monitoring_result=results)

    @on(Action.clear_variable_monitoring)
    def on_clear_variable_monitoring(self, id: list[int], **_: Any) -> Any:
        results = [{"status": "NotFound", "id": number} for number in id]
        return self.call_result.ClearVariableMonitoring(clear_monitoring_result=results)

    # -- 2.1

    @on(Action21.get_periodic_event_stream)
    def on_get_periodic_event_stream(self, **_: Any) -> Any:
        streams = list(self.station.streams.values())
        return self.call_result.GetPeriodicEventStream(constant_stream_data=streams or None)

    @on(Action21.adjust_periodic_event_stream)
    def on_adjust_periodic_event_stream(self, id: int, params: dict[str, Any], **_: Any) -> Any:
        stream = self.station.streams.get(id)
        if stream is None:
            return self.call_result.AdjustPeriodicEventStream(status="Rejected")
        stream["params"] = params
        return self.call_result.AdjustPeriodicEventStream(status="Accepted")

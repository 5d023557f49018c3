"""What a 2.x station answers about monitors, event streams (2.1) and what it keeps of a customer: block N."""

from __future__ import annotations

from typing import Any

from ocpp.routing import on
from ocpp.v21.enums import Action as Action21
from ocpp.v201.enums import Action

from simulator.v2.charge import Answers
from simulator.v2.variables import find, matches


class Monitoring(Answers):
    @on(Action.set_variable_monitoring)
    def on_set_variable_monitoring(self, set_monitoring_data: list[dict[str, Any]], **_: Any) -> Any:
        results = [self._set_monitor(item) for item in set_monitoring_data]
        self.station.keep_watching()
        return self.call_result.SetVariableMonitoring(set_monitoring_result=results)

    def _set_monitor(self, item: dict[str, Any]) -> dict[str, Any]:
        station, monitor = self.station, None
        setting, status = find(station.device, item)
        if setting is not None:
            status, monitor = station.monitors.put(
                setting, item["type"], item["value"], item["severity"],
                transaction=bool(item.get("transaction")), number=item.get("id"),
            )  # fmt: skip
        told = {name: item[name] for name in ("type", "severity", "component", "variable")}
        if monitor is None:
            return {**told, "status": status}
        params = item.get("periodic_event_stream")
        if params is not None and monitor.stream is None:
            number = max(station.streams, default=0) + 1
            station.streams[number] = {}  # the number is taken
            self.then(lambda: station.stream_monitor(number, monitor.id, params))
        else:
            self.then(station.look_now)
        return {**told, "status": status, "id": monitor.id}

    @on(Action.clear_variable_monitoring)
    def on_clear_variable_monitoring(self, id: list[int], **_: Any) -> Any:
        results = [{"status": self._clear(number), "id": number} for number in id]
        return self.call_result.ClearVariableMonitoring(clear_monitoring_result=results)

    def _clear(self, number: int) -> str:
        held = self.station.monitors.all.get(number)
        status = self.station.monitors.clear(number)
        if status == "Accepted" and held is not None and held.stream is not None:
            stream = held.stream
            self.then(lambda: self.station.close_stream(stream))
        return status

    @on(Action.get_monitoring_report)
    def on_get_monitoring_report(
        self,
        request_id: int,
        component_variable: list[dict[str, Any]] | None = None,
        monitoring_criteria: list[str] | None = None,
        **_: Any,
    ) -> Any:
        wanted = component_variable or []
        found = self.station.monitors.asked_for(
            monitoring_criteria or [],
            lambda setting: not wanted or any(matches(setting, item) for item in wanted),
        )
        if not found:
            return self.call_result.GetMonitoringReport(status="EmptyResultSet")
        self.then(lambda: self.station.report_monitors(request_id, found))
        return self.call_result.GetMonitoringReport(status="Accepted")

    @on(Action.set_monitoring_base)
    def on_set_monitoring_base(self, monitoring_base: str, **_: Any) -> Any:
        self.station.monitors.use(monitoring_base)
        for stream in self.station.orphaned_streams():
            self.then(lambda number=stream: self.station.close_stream(number))  # type: ignore[misc]
        return self.call_result.SetMonitoringBase(status="Accepted")

    @on(Action.set_monitoring_level)
    def on_set_monitoring_level(self, severity: int, **_: Any) -> Any:
        if not 0 <= severity <= 9:
            return self.call_result.SetMonitoringLevel(status="Rejected")
        self.station.device.put("MonitoringCtrlr.ActiveMonitoringLevel", str(severity))
        return self.call_result.SetMonitoringLevel(status="Accepted")

    @on(Action.customer_information)
    def on_customer_information(
        self,
        request_id: int,
        report: bool,
        clear: bool,
        id_token: dict[str, Any] | None = None,
        customer_identifier: str | None = None,
        customer_certificate: dict[str, Any] | None = None,
        **_: Any,
    ) -> Any:
        station = self.station
        if sum(map(bool, (id_token, customer_identifier, customer_certificate))) != 1:  # N09.FR.01
            return self.call_result.CustomerInformation(status="Invalid")
        if not report and not clear:
            return self.call_result.CustomerInformation(status="Rejected")
        uids = station.uids_of(id_token, customer_identifier, customer_certificate)
        text = station.known_of(uids)
        if clear:
            station.forget_customer(uids)
        if report:
            self.then(lambda: station.report_customer(request_id, text))
        return self.call_result.CustomerInformation(status="Accepted")


class Streams(Answers):
    @on(Action21.get_periodic_event_stream)
    def on_get_periodic_event_stream(self, **_: Any) -> Any:
        streams = [stream for stream in self.station.streams.values() if stream]
        return self.call_result.GetPeriodicEventStream(constant_stream_data=streams or None)

    @on(Action21.adjust_periodic_event_stream)
    def on_adjust_periodic_event_stream(self, id: int, params: dict[str, Any], **_: Any) -> Any:
        stream = self.station.streams.get(id)
        if not stream:
            return self.call_result.AdjustPeriodicEventStream(status="Rejected")
        stream["params"] = {**stream["params"], **params}
        return self.call_result.AdjustPeriodicEventStream(status="Accepted")

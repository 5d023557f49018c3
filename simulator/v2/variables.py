"""What a 2.x station answers about its variables, and its reports."""

from __future__ import annotations

from typing import Any

from ocpp.routing import on
from ocpp.v201.enums import Action

from simulator.device import READ_WRITE, WRITE_ONLY, Device, Setting
from simulator.v2.charge import Answers

SUMMARY = ("AvailabilityState", "Available", "Problem")  # B07: what can be used, and what is wrong


class Variables(Answers):
    @on(Action.get_variables)
    def on_get_variables(self, get_variable_data: list[dict[str, Any]], **_: Any) -> Any:
        results = [self._get(item) for item in get_variable_data]
        return self.call_result.GetVariables(get_variable_result=results)

    @on(Action.set_variables)
    def on_set_variables(self, set_variable_data: list[dict[str, Any]], **_: Any) -> Any:
        results = [self._set(item) for item in set_variable_data]
        return self.call_result.SetVariables(set_variable_result=results)

    @on(Action.get_base_report)
    def on_get_base_report(self, request_id: int, report_base: str, **_: Any) -> Any:
        settings = [setting for setting in self.station.device.settings if setting.component]
        if report_base == "ConfigurationInventory":
            settings = [setting for setting in settings if setting.access in (READ_WRITE, WRITE_ONLY)]
        if report_base == "SummaryInventory":
            settings = [setting for setting in settings if setting.variable in SUMMARY]
        self.then(lambda: self.station.report_settings(request_id, settings))
        return self.call_result.GetBaseReport(status="Accepted")

    @on(Action.get_report)
    def on_get_report(
        self,
        request_id: int,
        component_variable: list[dict[str, Any]] | None = None,
        component_criteria: list[str] | None = None,
        **_: Any,
    ) -> Any:
        """B08. A component is asked for by its Active, Available, Enabled or Problem being true."""
        wanted = component_variable or []
        settings = [
            setting
            for setting in self.station.device.settings
            if setting.component and (not wanted or any(matches(setting, item) for item in wanted))
        ]
        if component_criteria:
            there = {
                (setting.component, setting.evse)
                for setting in self.station.device.settings
                if setting.variable in component_criteria and self.station.variable_value(setting) == "true"
            }
            settings = [setting for setting in settings if (setting.component, setting.evse) in there]
        if not settings:
            return self.call_result.GetReport(status="EmptyResultSet")
        self.then(lambda: self.station.report_settings(request_id, settings))
        return self.call_result.GetReport(status="Accepted")

    def _get(self, item: dict[str, Any]) -> dict[str, Any]:
        kind = item.get("attribute_type", "Actual")
        told = {"component": item["component"], "variable": item["variable"], "attribute_type": kind}
        setting, status = find(self.station.device, item)
        if setting is None:
            return {**told, "attribute_status": status}
        if kind != "Actual":
            return {**told, "attribute_status": "NotSupportedAttributeType"}
        if setting.access == WRITE_ONLY:
            return {**told, "attribute_status": "Rejected"}
        return {
            **told,
            "attribute_status": "Accepted",
            "attribute_value": self.station.variable_value(setting),
        }

    def _set(self, item: dict[str, Any]) -> dict[str, Any]:
        kind = item.get("attribute_type", "Actual")
        told = {"component": item["component"], "variable": item["variable"], "attribute_type": kind}
        setting, status = find(self.station.device, item)
        if setting is None:
            return {**told, "attribute_status": status}
        if kind != "Actual":
            return {**told, "attribute_status": "NotSupportedAttributeType"}
        status = self.station.device.change(setting, item["attribute_value"])
        if status == "Accepted":
            self.then(lambda: self.station.setting_changed(setting))
        return {**told, "attribute_status": status}


def find(device: Device, item: dict[str, Any]) -> tuple[Setting | None, str]:
    """The setting asked for, or why there is none."""
    component, variable = item["component"], item["variable"]
    evse = (component.get("evse") or {}).get("id")
    if not device.component(component["name"]):
        return None, "UnknownComponent"
    setting = device.by_variable(component["name"], variable["name"], variable.get("instance") or "", evse)
    return setting, "UnknownVariable"


def matches(setting: Setting, item: dict[str, Any]) -> bool:
    component, variable = item["component"], item.get("variable")
    evse = (component.get("evse") or {}).get("id")
    return (
        setting.component.lower() == component["name"].lower()
        and (evse is None or setting.evse == evse)
        and (variable is None or setting.variable.lower() == variable["name"].lower())
    )


def report_row(setting: Setting, value: str) -> dict[str, Any]:
    """One setting as ReportDataType."""
    component: dict[str, Any] = {"name": setting.component}
    if setting.evse is not None:
        component["evse"] = {"id": setting.evse, "connector_id": setting.connector}
    attribute: dict[str, Any] = {"type": "Actual", "mutability": setting.access, "persistent": True}
    if setting.access != WRITE_ONLY:
        attribute["value"] = value
    return {
        "component": component,
        "variable": {"name": setting.variable, "instance": setting.instance or None},
        "variable_attribute": [attribute],
        "variable_characteristics": {
            "data_type": setting.kind,
            "unit": setting.unit or None,
            "min_limit": setting.low,
            "max_limit": setting.high,
            "values_list": setting.choices or None,
            "supports_monitoring": setting.watchable,
        },
    }

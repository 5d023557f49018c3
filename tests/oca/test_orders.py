"""Compliance cases in which the operator asks something of the station and the station answers: blocks B, E, K to O.

Each row is a case: what the operator orders, which CALL must be heard, what the station answers and tells afterwards.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.oca.cases import oca
from tests.oca.scene import V2, Payload, Stage, stamp

URL = "https://files.example/fw.bin"
PROFILE = {
    "number": 77, "purpose": "default", "kind": "absolute", "unit": "A", "stack_level": 1, "evse": 1,
    "starts_at": "2026-11-23T08:00:00Z", "periods": [{"start_s": 0, "limit": 10}],
}  # fmt: skip
TEXT = [{"language": "en", "format": "utf8", "text": "Half price today"}]
MONITOR = {"component": "EVSE", "evse": 1, "name": "Power", "kind": "upper", "value": 22000, "severity": 5}
SET = {"component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "Power"}, "type": "UpperThreshold",
       "severity": 5}  # fmt: skip
TARIFF = {"id": 1, "currency": "EUR", "elements": [
    {"price_components": [{"type": "ENERGY", "price": "0.49", "vat": "19", "step_size": 1}]}]}  # fmt: skip
BY_DAY = {"id": 1, "currency": "EUR", "elements": [
    {"price_components": [{"type": "ENERGY", "price": price, "vat": "19", "step_size": 1}],
     "restrictions": {"start_time": start, "end_time": end}}
    for price, start, end in [("0.49", "06:00", "22:00"), ("0.29", "22:00", "06:00")]]}  # fmt: skip
REQUEST = "<the request's id>"  # replaced by what was heard


def row(
    *cases: str, on: tuple[str, ...] = V2, kind: str, arguments: Any, action: str, expected: Any,
    answer: Payload, state: str = "accepted", then: list[tuple[str, Payload]] | None = None, name: str = "",
) -> Any:  # fmt: skip
    label = name or f"{'-'.join(cases)}"
    return pytest.param(
        on, kind, arguments, action, expected, answer, state, then or [], marks=oca(*cases), id=label
    )


def log_row(*cases: str, log: str, word: str, answer: str, state: str, told: str) -> Any:
    return row(
        *cases, on=("1.6", *V2) if log == "security" else V2, kind="fetch_log", action="GetLog",
        arguments={"location": "https://files.example/logs/", "log": log}, expected={"logType": word},
        answer={"status": answer, "filename": "log.gz"}, state=state,
        then=[("LogStatusNotification", {"status": told, "requestId": REQUEST})] if told else [],
    )  # fmt: skip


def firmware_row(*cases: str, told: list[str], answer: str = "Accepted", state: str = "accepted") -> Any:
    return row(
        *cases, kind="update_firmware", action="UpdateFirmware",
        arguments={"location": URL, "retrieve_at": "2026-01-31T12:00:00Z", "signature": "MEUCIQ", "certificate": "PEM"},
        expected={}, answer={"status": answer}, state=state,
        then=[("FirmwareStatusNotification", {"status": word, "requestId": REQUEST}) for word in told],
    )  # fmt: skip


def message_row(
    *cases: str, answer: str = "Accepted", state: str = "accepted", on: tuple[str, ...] = V2, **more: Any
) -> Any:
    return row(
        *cases, on=on, kind="show_message", arguments={"number": 7, "contents": TEXT, "priority": "in_front"} | more,
        action="SetDisplayMessage", expected={}, answer={"status": answer}, state=state,
    )  # fmt: skip


def shown(number: int = 7) -> Payload:
    text = {"format": "UTF8", "content": "Half price today"}
    return {"requestId": REQUEST, "messageInfo": [{"id": number, "priority": "InFront", "message": text}]}


def limits_row(*cases: str, arguments: Payload, criterion: Payload, evse: int | None = None) -> Any:
    reported = {
        "requestId": REQUEST, "chargingLimitSource": "CSO", "evseId": evse or 0, "chargingProfile": [{
            "id": 77, "stackLevel": 1, "chargingProfilePurpose": "TxDefaultProfile", "chargingProfileKind": "Absolute",
            "chargingSchedule": [{"id": 1, "chargingRateUnit": "A", "startSchedule": "2026-11-23T08:00:00Z",
                                  "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10}]}],
        }],
    }  # fmt: skip
    return row(
        *cases, kind="read_charging_profiles", arguments=arguments, action="GetChargingProfiles",
        expected={"chargingProfile": criterion, "evseId": evse}, answer={"status": "Accepted"},
        then=[("ReportChargingProfiles", reported)],
    )  # fmt: skip


def customer_row(
    *cases: str, report: bool, clear: bool, data: str, answer: str = "Accepted", **who: Any
) -> Any:
    told = {"requestId": REQUEST, "seqNo": 0, "generatedAt": stamp(), "data": data}
    return row(
        *cases, kind="customer_information", arguments={"report": report, "clear": clear} | who,
        action="CustomerInformation", expected={"report": report, "clear": clear}, answer={"status": answer},
        state="accepted" if answer == "Accepted" else "rejected",
        then=[("NotifyCustomerInformation", told)] if answer == "Accepted" and data else [],
    )  # fmt: skip


SLOT = [("OcppCsmsUrl", "wss://csms.example.com/ocpp"), ("SecurityProfile", "2"), ("OcppInterface", "Wired0"),
        ("OcppTransport", "JSON"), ("MessageTimeout", "30")]  # fmt: skip
TRIGGERED_16: list[tuple[str, str, Payload, Payload]] = [
    ("meter_values", "MeterValues", {"evse": 1}, {"connectorId": 1, "meterValue": [
        {"timestamp": stamp(), "sampledValue": [{"value": "1000", "context": "Trigger"}]}]}),
    ("status", "StatusNotification", {"evse": 1},
     {"connectorId": 1, "errorCode": "NoError", "status": "Available", "timestamp": stamp()}),
    ("log", "DiagnosticsStatusNotification", {}, {"status": "Idle"}),
    ("firmware", "FirmwareStatusNotification", {}, {"status": "Idle"}),
]  # fmt: skip
VARIABLE = {"component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "AvailabilityState"}}
CARD = {"token_uid": "04A2B3C4"}

ROWS = [
    # B
    row("TC_B_18", kind="read_components",
        arguments={"criteria": ["problem"],
                   "variables": [{"component": "EVSE", "evse": 1, "name": "AvailabilityState"}]},
        action="GetReport", expected={"componentCriteria": ["Problem"], "componentVariable": [VARIABLE]},
        answer={"status": "Accepted"},
        then=[("NotifyReport", {"requestId": REQUEST, "generatedAt": stamp(), "seqNo": 0, "reportData": [
            VARIABLE | {"variableAttribute": [{"value": "Available"}]}]})]),
    row("TC_B_10", kind="write_configuration",
        arguments={"variables": [{"component": "OCPPCommCtrlr", "name": "HeartbeatInterval", "value": "60"},
                                 {"component": "OCPPCommCtrlr", "name": "OfflineThreshold", "value": "30"}]},
        action="SetVariables", expected={"setVariableData": [
            {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": name}, "attributeValue": value}
            for name, value in (("HeartbeatInterval", "60"), ("OfflineThreshold", "30"))]},
        answer={"setVariableResult": [
            {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": name}, "attributeStatus": "Accepted"}
            for name in ("HeartbeatInterval", "OfflineThreshold")]}),
    *[row(case, kind="set_network_profile",
          arguments={"slot": 1, "url": "wss://csms.example.com/ocpp", "ocpp_version": "2.0.1", "interface": "wired0",
                     "security_profile": 2},
          action="SetNetworkProfile", expected={"configurationSlot": 1}, answer={"status": word}, state=state)
      for case, word, state in [("TC_B_42", "Accepted", "accepted"), ("TC_B_44", "Failed", "rejected")]],
    row("TC_B_100", on=("2.1",), kind="set_network_profile",
        arguments={"slot": 1, "url": "wss://csms.example.com/ocpp", "ocpp_version": "2.1", "interface": "any",
                   "security_profile": 2, "identity": "CP-NEW", "password": "a-brand-new-password"},
        action="SetNetworkProfile", expected={"configurationSlot": 1, "connectionData": {
            "ocppVersion": "OCPP21", "ocppTransport": "JSON", "ocppCsmsUrl": "wss://csms.example.com/ocpp",
            "messageTimeout": 30, "ocppInterface": "Any", "securityProfile": 2, "identity": "CP-NEW",
            "basicAuthPassword": "a-brand-new-password"}},
        answer={"status": "Accepted"}),
    row("TC_B_105", on=("2.1",), kind="write_configuration", arguments={"variables": [
            {"component": "NetworkConfiguration", "component_instance": "2", "name": name, "value": value}
            for name, value in SLOT]},
        action="SetVariables", expected={"setVariableData": [
            {"component": {"name": "NetworkConfiguration", "instance": "2"}, "variable": {"name": name},
             "attributeValue": value} for name, value in SLOT]},
        answer={"setVariableResult": [
            {"component": {"name": "NetworkConfiguration", "instance": "2"}, "variable": {"name": name},
             "attributeStatus": "Accepted"} for name, _value in SLOT]}),
    # F and 1.6's remote trigger
    *[row(case, on=("1.6",), kind="trigger", arguments={"message": message} | where, action="TriggerMessage",
          expected={"requestedMessage": word, "connectorId": where.get("evse")}, answer={"status": answer}, state=state,
          then=[(word, told)] if answer == "Accepted" else [], name=f"{case}-{message}")
      for message, word, where, told in TRIGGERED_16
      for case, answer, state in [("TC_054", "Accepted", "accepted"), ("TC_055", "Rejected", "rejected")]],
    row("TC_F_100", on=("2.1",), kind="trigger", arguments={"message": "custom", "custom": "example-trigger"},
        action="TriggerMessage", expected={"requestedMessage": "CustomTrigger", "customTrigger": "example-trigger"},
        answer={"status": "Accepted"}),
    # E
    *[row(case, kind="transaction_status", arguments={} if ongoing is None else {"transaction_id": "tx-1"},
          action="GetTransactionStatus", expected={"transactionId": None if ongoing is None else "tx-1"},
          answer={"messagesInQueue": queued} | ({} if ongoing is None else {"ongoingIndicator": ongoing}))
      for case, ongoing, queued in [("TC_E_29", True, True), ("TC_E_30", True, False), ("TC_E_31", False, True),
                                    ("TC_E_33", None, True), ("TC_E_34", None, False)]],
    # I
    *[row(case, on=("2.1",), kind="set_tariff", arguments={"evse": 1, "tariff": tariff} , action="SetDefaultTariff",
          expected={"evseId": 1}, answer={"status": word}, state=state, name=f"{case}-{word}")
      for case, tariff, word, state in [
          ("TC_I_101", BY_DAY, "Accepted", "accepted"), ("TC_I_102", BY_DAY, "TooManyElements", "rejected"),
          ("TC_I_105", BY_DAY, "ConditionNotSupported", "rejected"), ("TC_I_106", TARIFF, "Accepted", "accepted"),
          ("TC_I_106", TARIFF, "Rejected", "rejected"), ("TC_I_106", TARIFF, "DuplicateTariffId", "rejected")]],
    *[row("TC_I_110", on=("2.1",), kind="clear_tariffs", arguments=arguments, action="ClearTariffs",
          expected=expected, answer={"clearTariffsResult": [{"tariffId": "T1-0123456789abcdef", "status": word}]},
          state=state, name=f"TC_I_110-{word}")
      for arguments, expected, word, state in [
          ({"wire_ids": ["T1-0123456789abcdef"]}, {"tariffIds": ["T1-0123456789abcdef"], "evseId": None},
           "Accepted", "accepted"),
          ({"evse": 1}, {"tariffIds": None, "evseId": 1}, "Accepted", "accepted"),
          ({}, {"tariffIds": None, "evseId": None}, "NoTariff", "accepted"),
          ({}, {"tariffIds": None, "evseId": None}, "Rejected", "rejected")]],
    # K and 1.6's smart charging
    row("TC_K_01", kind="set_charging_profile", arguments={"profile": PROFILE}, action="SetChargingProfile",
        expected={"evseId": 1}, answer={"status": "Accepted"}),
    row("TC_056", on=("1.6",), kind="set_charging_profile", arguments={"profile": PROFILE},
        action="SetChargingProfile", expected={"connectorId": 1}, answer={"status": "Accepted"}),
    row("TC_K_03", kind="set_charging_profile",
        arguments={"profile": PROFILE | {"purpose": "station_max", "evse": 0}},
        action="SetChargingProfile", expected={"evseId": 0}, answer={"status": "Accepted"}),
    row("TC_K_10", kind="set_charging_profile", arguments={"profile": PROFILE | {"evse": 0}},
        action="SetChargingProfile", expected={"evseId": 0}, answer={"status": "Accepted"}),
    row("TC_K_04", kind="set_charging_profile", arguments={"profile": PROFILE | {"number": 78}},
        action="SetChargingProfile", expected={"evseId": 1}, answer={"status": "Accepted"}),
    row("TC_K_15", kind="set_charging_profile", arguments={"profile": PROFILE}, action="SetChargingProfile",
        expected={}, answer={"status": "Rejected"}, state="rejected"),
    row("TC_K_19", kind="set_charging_profile",
        arguments={"profile": PROFILE | {"kind": "recurring", "recurrence": "daily", "duration_s": 86400}},
        action="SetChargingProfile", expected={"evseId": 1}, answer={"status": "Accepted"}),
    row("TC_K_05", kind="clear_charging_profile", arguments={"number": 77}, action="ClearChargingProfile",
        expected={"chargingProfileId": 77}, answer={"status": "Accepted"}),
    row("TC_067", on=("1.6",), kind="clear_charging_profile", arguments={"number": 77}, action="ClearChargingProfile",
        expected={"id": 77}, answer={"status": "Accepted"}),
    row("TC_K_06", kind="clear_charging_profile", arguments={"evse": 1, "purpose": "default", "stack_level": 1},
        action="ClearChargingProfile",
        expected={"chargingProfileCriteria": {
            "evseId": 1, "chargingProfilePurpose": "TxDefaultProfile", "stackLevel": 1}},
        answer={"status": "Accepted"}),
    row("TC_K_08", kind="clear_charging_profile", arguments={"number": 77}, action="ClearChargingProfile",
        expected={"chargingProfileId": 77}, answer={"status": "Unknown"}, state="rejected"),
    limits_row("TC_K_29", arguments={"evse": 0}, criterion={}, evse=0),
    limits_row("TC_K_30", arguments={"evse": 1}, criterion={}, evse=1),
    limits_row("TC_K_31", arguments={}, criterion={}),
    limits_row("TC_K_32", arguments={"number": 77}, criterion={"chargingProfileId": [77]}),
    limits_row("TC_K_33", arguments={"evse": 1, "stack_level": 1}, criterion={"stackLevel": 1}, evse=1),
    limits_row("TC_K_34", arguments={"evse": 1, "sources": ["energy_management"]},
               criterion={"chargingLimitSource": ["EMS"]}, evse=1),
    limits_row("TC_K_35", arguments={"evse": 1, "purpose": "default"},
               criterion={"chargingProfilePurpose": "TxDefaultProfile"}, evse=1),
    limits_row("TC_K_36", arguments={"evse": 1, "purpose": "default", "stack_level": 1},
               criterion={"chargingProfilePurpose": "TxDefaultProfile", "stackLevel": 1}, evse=1),
    *[row(case, kind="read_composite_schedule", arguments={"evse": evse, "duration_s": 300},
          action="GetCompositeSchedule", expected={"evseId": evse, "duration": 300},
          answer={"status": "Accepted", "schedule": {
              "evseId": evse, "duration": 300, "scheduleStart": "2026-11-23T08:00:00Z", "chargingRateUnit": "A",
              "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10}]}})
      for case, evse in [("TC_K_43", 1), ("TC_K_44", 0)]],
    row("TC_066", on=("1.6",), kind="read_composite_schedule", arguments={"evse": 1, "duration_s": 300},
        action="GetCompositeSchedule", expected={"connectorId": 1, "duration": 300},
        answer={"status": "Accepted", "connectorId": 1, "scheduleStart": "2026-11-23T08:00:00Z", "chargingSchedule": {
            "chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10}]}}),
    # L and 1.6's firmware
    firmware_row("TC_L_01", told=["Downloading", "Downloaded", "SignatureVerified", "Installing", "Installed"]),
    firmware_row("TC_L_02", told=["Downloading", "Downloaded", "InstallScheduled", "Installing", "Installed"]),
    firmware_row("TC_L_03", told=["DownloadScheduled", "Downloading", "Downloaded", "Installing", "Installed"]),
    firmware_row("TC_L_04", answer="RevokedCertificate", state="rejected", told=[]),
    firmware_row("TC_L_05", answer="InvalidCertificate", state="rejected", told=[]),
    firmware_row("TC_L_06", told=["Downloading", "Downloaded", "InvalidSignature"]),
    firmware_row("TC_L_07", told=["Downloading", "DownloadFailed"]),
    firmware_row("TC_L_08", told=["Downloading", "Downloaded", "InstallVerificationFailed"]),
    firmware_row("TC_L_09", told=["Downloading", "Downloaded", "Installing", "InstallationFailed"]),
    firmware_row("TC_L_10", answer="AcceptedCanceled", told=["Downloading"]),
    firmware_row("TC_L_11", answer="Rejected", state="rejected", told=[]),
    firmware_row("TC_L_13", told=["Downloading", "Downloaded", "InstallScheduled"]),
    *[row(case, on=("1.6",), kind="update_firmware",
          arguments={"location": URL, "retrieve_at": "2026-01-31T12:00:00Z"}, action="UpdateFirmware",
          expected={"location": URL}, answer={},
          then=[("FirmwareStatusNotification", {"status": word}) for word in words])
      for case, words in [("TC_044_1", ["Downloading", "Downloaded", "Installing", "Installed"]),
                          ("TC_044_2", ["Downloading", "DownloadFailed"]),
                          ("TC_044_3", ["Downloading", "Downloaded", "Installing", "InstallationFailed"])]],
    *[row(case, on=("1.6",), kind="fetch_diagnostics", arguments={"location": "ftp://files.example/logs/"},
          action="GetDiagnostics", expected={"location": "ftp://files.example/logs/"}, answer={"fileName": "log.gz"},
          then=[("DiagnosticsStatusNotification", {"status": word}) for word in words])
      for case, words in [("TC_045_1", ["Uploading", "Uploaded"]), ("TC_045_2", ["Uploading", "UploadFailed"])]],
    *[row(case, on=("1.6",), kind="update_signed_firmware",
          arguments={"location": URL, "signature": "MEUCIQ", "certificate": "PEM"}, action="SignedUpdateFirmware",
          expected={}, answer={"status": "Accepted"},
          then=[("SignedFirmwareStatusNotification", {"status": word, "requestId": REQUEST}) for word in words])
      for case, words in [("TC_080", ["Downloading", "Downloaded", "SignatureVerified", "Installing", "Installed"]),
                          ("TC_081", ["Downloading", "Downloaded", "InvalidSignature"])]],
    *[row(case, kind="publish_firmware", arguments={"location": URL, "checksum": "d41d8cd98f00b204e9800998ecf8427e"},
          action="PublishFirmware", expected={"checksum": "d41d8cd98f00b204e9800998ecf8427e"},
          answer={"status": "Accepted"},
          then=[("PublishFirmwareStatusNotification", {"status": word, "requestId": REQUEST}
                 | ({"location": ["http://10.0.0.1/fw"]} if word == "Published" else {})) for word in words])
      for case, words in [("TC_L_17", ["Downloading", "Downloaded", "ChecksumVerified", "Published"]),
                          ("TC_L_19", ["Downloading", "Downloaded", "InvalidChecksum"]),
                          ("TC_L_20", ["Downloading", "Downloaded", "ChecksumVerified", "PublishFailed"]),
                          ("TC_L_24", ["Downloading", "DownloadFailed"])]],
    *[row(case, kind="unpublish_firmware", arguments={"checksum": "d41d8cd98f00b204e9800998ecf8427e"},
          action="UnpublishFirmware", expected={"checksum": "d41d8cd98f00b204e9800998ecf8427e"},
          answer={"status": word}, state=state)
      for case, word, state in [("TC_L_21", "Unpublished", "accepted"), ("TC_L_22", "NoFirmware", "accepted"),
                                ("TC_L_23", "DownloadOngoing", "rejected")]],
    # N
    log_row("TC_N_25", log="diagnostics", word="DiagnosticsLog", answer="Accepted", state="accepted", told="Uploaded"),
    log_row("TC_N_34", log="diagnostics", word="DiagnosticsLog", answer="Rejected", state="rejected", told=""),
    log_row("TC_N_35", "TC_079", log="security", word="SecurityLog", answer="Accepted", state="accepted",
            told="Uploaded"),
    log_row("TC_N_36", log="diagnostics", word="DiagnosticsLog", answer="AcceptedCanceled", state="accepted",
            told="AcceptedCanceled"),
    row("TC_N_100", on=("2.1",), kind="fetch_log",
        arguments={"location": "https://files.example/logs/", "log": "data_collector"}, action="GetLog",
        expected={"logType": "DataCollectorLog"}, answer={"status": "Accepted"}),
    *[row(case, kind="read_monitors", arguments=arguments, action="GetMonitoringReport", expected=expected,
          answer={"status": "Accepted"},
          then=[("NotifyMonitoringReport", {"requestId": REQUEST, "seqNo": 0, "generatedAt": stamp(), "monitor": [
              {"component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "Power"}, "variableMonitoring": [
                  {"id": 12, "transaction": False, "value": 22000, "type": "UpperThreshold", "severity": 5}
                  | ({"eventNotificationType": "CustomMonitor"} if version == "2.1" else {})]}]})],
          on=(version,), name=f"{case}-{version}")
      for version in V2
      for case, arguments, expected in [
          ("TC_N_01", {"criteria": ["threshold"]},
           {"monitoringCriteria": ["ThresholdMonitoring"], "componentVariable": None}),
          ("TC_N_02", {"variables": [{"component": "EVSE", "evse": 1, "name": "AvailabilityState"}]},
           {"componentVariable": [VARIABLE], "monitoringCriteria": None}),
          ("TC_N_03", {"criteria": ["delta"],
                       "variables": [{"component": "EVSE", "evse": 1, "name": "AvailabilityState"}]},
           {"componentVariable": [VARIABLE], "monitoringCriteria": ["DeltaMonitoring"]}),
          ("TC_N_60", {"criteria": ["delta", "periodic"],
                       "variables": [{"component": "EVSE", "evse": 1, "name": "AvailabilityState"}]},
           {"componentVariable": [VARIABLE], "monitoringCriteria": ["DeltaMonitoring", "PeriodicMonitoring"]}),
          ("TC_N_47", {}, {"componentVariable": None, "monitoringCriteria": None})]],
    *[row("TC_N_05", kind="set_monitoring_base", arguments={"base": base}, action="SetMonitoringBase",
          expected={"monitoringBase": word}, answer={"status": "Accepted"}, name=f"TC_N_05-{base}")
      for base, word in [("all", "All"), ("factory", "FactoryDefault"), ("hard_wired", "HardWiredOnly")]],
    row("TC_N_08", kind="set_monitors", arguments={"monitors": [MONITOR]}, action="SetVariableMonitoring", expected={},
        answer={"setMonitoringResult": [SET | {"id": 1, "status": "Accepted"}]}),
    row("TC_N_09", kind="set_monitors",
        arguments={"monitors": [MONITOR, MONITOR | {"kind": "delta", "value": 1}]}, action="SetVariableMonitoring",
        expected={}, answer={"setMonitoringResult": [SET | {"id": 1, "status": "Accepted"},
                                                     SET | {"id": 2, "status": "Accepted", "type": "Delta"}]}),
    row("TC_N_24", kind="set_monitors", arguments={"monitors": [MONITOR | {"kind": "periodic", "value": 900}]},
        action="SetVariableMonitoring", expected={},
        answer={"setMonitoringResult": [SET | {"id": 3, "status": "Accepted", "type": "Periodic"}]}),
    *[row(case, kind="set_monitoring_level", arguments={"severity": 4}, action="SetMonitoringLevel",
          expected={"severity": 4}, answer={"status": word}, state=state)
      for case, word, state in [("TC_N_16", "Accepted", "accepted"), ("TC_N_17", "Rejected", "rejected")]],
    row("TC_N_44", kind="clear_monitors", arguments={"ids": [12]}, action="ClearVariableMonitoring",
        expected={"id": [12]}, answer={"clearMonitoringResult": [{"id": 12, "status": "Rejected"}]}, state="rejected"),
    customer_row("TC_N_27", report=True, clear=False, data="Name: Dora", **CARD),
    customer_row("TC_N_28", report=True, clear=False, data="", **CARD),
    customer_row("TC_N_29", report=True, clear=False, data="", answer="Rejected", **CARD),
    customer_row("TC_N_30", report=True, clear=True, data="Name: Dora", **CARD),
    customer_row("TC_N_31", report=True, clear=True, data="", **CARD),
    customer_row("TC_N_32", report=False, clear=True, data="", **CARD),
    customer_row("TC_N_62", report=False, clear=True, data="", customer_identifier="OpenChargeAlliance"),
    customer_row("TC_N_63", report=False, clear=True, data="", certificate={
        "algorithm": "SHA256", "issuer_name_hash": "a1" * 32, "issuer_key_hash": "b2" * 32, "serial_number": "1a2b"}),
    *[row(case, on=("2.1",), kind="fetch_log", arguments={"location": location, "log": "diagnostics"},
          action="GetLog", expected={"log": {"remoteLocation": location}},
          answer={"status": "Accepted", "filename": "log.gz"},
          then=[("LogStatusNotification", {"status": word, "requestId": REQUEST})
                for word in ("Uploading", "Uploaded")])
      for case, location in [("TC_N_102", "http://station:secret@files.example/logs/"),
                             ("TC_N_102_2", "https://station:secret@files.example/logs/")]],
    row("TC_N_104", on=("2.1",), kind="read_monitors", arguments={"criteria": ["delta"]}, action="GetMonitoringReport",
        expected={"monitoringCriteria": ["DeltaMonitoring"]}, answer={"status": "Accepted"},
        then=[("NotifyMonitoringReport", {"requestId": REQUEST, "seqNo": 0, "generatedAt": stamp(), "monitor": [
            {"component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "Power"}, "variableMonitoring": [
                {"id": 12, "transaction": False, "value": 5, "type": "TargetDelta", "severity": 5,
                 "eventNotificationType": "CustomMonitor"}]}]})]),
    # O
    message_row("TC_O_01"),
    message_row("TC_O_06", transaction_id="tx-1"),
    message_row("TC_O_10", transaction_id="tx-9", answer="UnknownTransaction", state="rejected"),
    message_row("TC_O_12"),
    message_row("TC_O_13", starts_at="2026-11-24T08:00:00Z"),
    message_row("TC_O_14", ends_at="2026-11-24T08:00:00Z"),
    message_row("TC_O_17", priority="always_front", answer="NotSupportedPriority", state="rejected"),
    message_row("TC_O_18", answer="NotSupportedState", state="rejected"),
    message_row("TC_O_19", answer="NotSupportedMessageFormat", state="rejected"),
    message_row("TC_O_26", answer="Rejected", state="rejected"),
    message_row("TC_O_100", answer="LanguageNotSupported", state="rejected", on=("2.1",)),
    message_row("TC_O_27", transaction_id="tx-1", starts_at="2026-11-24T08:00:00Z"),
    message_row("TC_O_28", transaction_id="tx-1", ends_at="2026-11-24T08:00:00Z"),
    row("TC_O_25", kind="show_message", arguments={"number": 7, "contents": TEXT, "state": "charging"},
        action="SetDisplayMessage", expected={}, answer={"status": "Accepted"}),
    *[row(case, kind="read_messages", arguments=arguments, action="GetDisplayMessages", expected=expected,
          answer={"status": word}, then=[("NotifyDisplayMessages", shown())] if word == "Accepted" else [])
      for case, arguments, expected, word in [
          ("TC_O_02", {}, {"id": None}, "Accepted"), ("TC_O_03", {}, {"id": None}, "Unknown"),
          ("TC_O_07", {"numbers": [7]}, {"id": [7]}, "Accepted"),
          ("TC_O_08", {"priority": "in_front"}, {"priority": "InFront"}, "Accepted"),
          ("TC_O_09", {"state": "idle"}, {"state": "Idle"}, "Accepted"),
          ("TC_O_11", {"numbers": [99]}, {"id": [99]}, "Unknown")]],
    *[row(case, kind="clear_message", arguments={"number": 7}, action="ClearDisplayMessage", expected={"id": 7},
          answer={"status": word})
      for case, word in [("TC_O_04", "Accepted"), ("TC_O_05", "Unknown")]],
]  # fmt: skip


def _in_version(rows: list[Any]) -> list[Any]:
    """A parameter a version that the case is published for."""
    return [
        pytest.param(version, *param.values[1:], marks=param.marks, id=f"{param.id}-{version}")
        for param in rows
        for version in param.values[0]
    ]


@pytest.mark.parametrize(
    ("version", "kind", "arguments", "action", "expected", "answer", "state", "then"), _in_version(ROWS)
)
async def test_an_order(
    stage: Stage, version: str, kind: str, arguments: Payload, action: str, expected: Payload, answer: Payload,
    state: str, then: list[tuple[str, Payload]],
) -> None:  # fmt: skip
    async with stage(version) as scene:
        heard = await scene.does(kind, arguments, action, expected, answer, state)
        for told, payload in then:
            named = (
                {**payload, "requestId": heard["requestId"]}
                if payload.get("requestId") == REQUEST
                else payload
            )
            assert await scene.tell(told, named) == {}
        notes = await scene.seen(f"/stations/{scene.station.pk}/events", kind="note")
        assert notes == [], "could not be understood"

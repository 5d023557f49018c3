"""The tables of the versions, pinned: nothing registers or disappears unseen."""

from __future__ import annotations

from typing import Any

import pytest

from stations.models import ONLY_IN, CommandKind
from stations.ocpp import schemas
from stations.ocpp.versions import BY_NAME, VERSIONS, choose

ANSWERS_16 = {
    "Authorize", "BootNotification", "DataTransfer", "DiagnosticsStatusNotification", "FirmwareStatusNotification",
    "Heartbeat", "LogStatusNotification", "MeterValues", "SecurityEventNotification",
    "SignCertificate", "SignedFirmwareStatusNotification", "StartTransaction", "StatusNotification", "StopTransaction",
}  # fmt: skip
ANSWERS_2X = {
    "Authorize", "BootNotification", "ClearedChargingLimit", "DataTransfer", "FirmwareStatusNotification",
    "Get15118EVCertificate", "GetCertificateStatus", "Heartbeat", "LogStatusNotification", "MeterValues",
    "NotifyChargingLimit", "NotifyCustomerInformation", "NotifyDisplayMessages", "NotifyEVChargingNeeds",
    "NotifyEVChargingSchedule", "NotifyEvent", "NotifyMonitoringReport", "NotifyReport",
    "PublishFirmwareStatusNotification", "ReportChargingProfiles", "ReservationStatusUpdate",
    "SecurityEventNotification", "SignCertificate", "StatusNotification", "TransactionEvent",
}  # fmt: skip
ANSWERS_21 = ANSWERS_2X | {
    "BatterySwap", "ClosePeriodicEventStream", "GetCertificateChainStatus", "NotifyDERAlarm", "NotifyDERStartStop",
    "NotifyPriorityCharging", "NotifySettlement", "OpenPeriodicEventStream", "PullDynamicScheduleUpdate",
    "ReportDERControl", "VatNumberValidation",
}  # fmt: skip
SENDS_21 = {"NotifyPeriodicEventStream"}
BOTH_WAYS = {"DataTransfer"}
TERMS: dict[str, Any] = {
    "id": 1,
    "name": "Standard",
    "currency": "EUR",
    "tax_included": False,
    "elements": [{"price_components": [{"type": "ENERGY", "price": "0.49", "vat": "19", "step_size": 1}]}],
}
PROFILE = {
    "evse": 1, "purpose": "transaction", "kind": "absolute", "unit": "A", "number": 7, "stack_level": 2,
    "transaction_id": "12", "starts_at": "2026-11-23T08:00:00+00:00", "duration_s": 3600,
    "periods": [{"start_s": 0, "limit": 16.04, "phases": 3}],
}  # fmt: skip
ARGUMENTS: dict[str, dict[str, Any]] = {
    CommandKind.RESET: {"hard": True},
    CommandKind.START: {"evse": 1, "token_uid": "04A2B3", "token_kind": "iso14443"},
    CommandKind.STOP: {"transaction_id": "12"},
    CommandKind.UNLOCK: {"evse": 1},
    CommandKind.SET_AVAILABILITY: {"operative": False, "evse": 1},
    CommandKind.READ_CONFIGURATION: {"names": ["OCPPCommCtrlr.HeartbeatInterval"]},
    CommandKind.READ_REPORT: {},
    CommandKind.WRITE_CONFIGURATION: {
        "component": "OCPPCommCtrlr",
        "name": "HeartbeatInterval",
        "value": "60",
    },
    CommandKind.TRIGGER: {"message": "status", "evse": 1},
    CommandKind.CLEAR_CACHE: {},
    CommandKind.SET_PROFILE: {"profile": PROFILE},
    CommandKind.CLEAR_PROFILE: {"evse": 1, "purpose": "default", "stack_level": 2},
    CommandKind.READ_PROFILES: {"evse": 1},
    CommandKind.READ_COMPOSITE: {"evse": 1, "duration_s": 3600, "unit": "W"},
    CommandKind.UPDATE_DYNAMIC: {"number": 7, "values": {"limit": 11000, "discharge_limit": -5000}},
    CommandKind.USE_PRIORITY: {"transaction_id": "T-1", "active": True},
    CommandKind.ALLOW_TRANSFER: {"transaction_id": "T-1", "transfers": ["AC_BPT", "AC_three_phase"]},
    CommandKind.AFRR_SIGNAL: {"signal": -40, "at": "2026-11-23T08:00:00Z"},
    CommandKind.SET_DER: {
        "type": "volt_var",
        "priority": 1,
        "settings": {"points": [[92, 44], [98, 0], [102, 0], [108, -44]], "y_unit": "pct_max_var"},
    },
    CommandKind.READ_DER: {},
    CommandKind.CLEAR_DER: {"is_default": True, "type": "volt_var"},
    CommandKind.SEND_LIST: {
        "version": 3,
        "full": True,
        "entries": [
            {
                "uid": "04A2B3",
                "kind": "iso14443",
                "verdict": "accepted",
                "group": "STAFF",
                "expires_at": "2040-01-31T12:00:00+00:00",
                "language": "de",
                "message": "Guten Tag",
            },
            {"uid": "04A2B4", "verdict": None},
        ],
    },
    CommandKind.READ_LIST_VERSION: {},
    CommandKind.RESERVE: {
        "reservation_id": 7,
        "evse": 1,
        "standard": "IEC_62196_T2",
        "token_uid": "04A2B3",
        "token_kind": "iso14443",
        "token_group": "STAFF",
        "expires_at": "2040-01-31T12:00:00+00:00",
    },
    CommandKind.CANCEL_RESERVATION: {"reservation_id": 7},
    CommandKind.DATA_TRANSFER: {"vendor_id": "acme", "message_id": "hello", "data": "x"},
    CommandKind.SHOW_MESSAGE: {
        "number": 7,
        "priority": "in_front",
        "state": "charging",
        "starts_at": "2026-11-22T10:00:00Z",
        "contents": [{"language": "en", "format": "utf8", "text": "Half price today"}],
    },
    CommandKind.READ_MESSAGES: {"numbers": [7], "priority": "in_front", "state": "idle"},
    CommandKind.CLEAR_MESSAGE: {"number": 7},
    CommandKind.TELL_COST: {"transaction_id": "12", "total": "3.31", "currency": "EUR"},
    CommandKind.TELL_PRICE: {"token_uid": "04A2B3", "text": "0.49 EUR per kWh"},
    CommandKind.SET_TARIFF: {"evse": 0, "tariff": TERMS},
    CommandKind.READ_TARIFFS: {"evse": 0},
    CommandKind.CLEAR_TARIFFS: {"wire_ids": ["T1"]},
    CommandKind.CHANGE_TARIFF: {"transaction_id": "tx-1", "tariff": TERMS},
    CommandKind.WEB_PAYMENT: {"evse": 1, "timeout_seconds": 300},
    CommandKind.SWAP_BATTERY: {"token_uid": "04A2B3", "token_kind": "iso14443"},
    CommandKind.INSTALL_CERTIFICATE: {"use": "csms_root", "certificate": "PEM"},
    CommandKind.DELETE_CERTIFICATE: {
        "hash_algorithm": "SHA256",
        "issuer_name_hash": "ab",
        "issuer_key_hash": "cd",
        "serial_number": "1a",
    },
    CommandKind.READ_CERTIFICATES: {"uses": ["csms_root"]},
    CommandKind.SEND_CERTIFICATE: {"chain": "PEM", "request_id": 7},
    CommandKind.READ_COMPONENTS: {
        "variables": [{"component": "EVSE", "evse": 1}],
        "criteria": ["problem"],
    },
    CommandKind.SET_MONITORS: {
        "monitors": [
            {
                "component": "EVSE",
                "evse": 1,
                "name": "Temperature",
                "kind": "upper",
                "value": 80,
                "severity": 3,
            }
        ]
    },
    CommandKind.CLEAR_MONITORS: {"ids": [12]},
    CommandKind.READ_MONITORS: {"criteria": ["threshold"]},
    CommandKind.SET_MONITORING_BASE: {"base": "factory"},
    CommandKind.SET_MONITORING_LEVEL: {"severity": 6},
    CommandKind.CUSTOMER_INFORMATION: {"token_uid": "04A2B3", "report": True},
    CommandKind.SET_NETWORK_PROFILE: {
        "slot": 1,
        "url": "wss://csms.example.com/ocpp",
        "ocpp_version": "2.0.1",
        "interface": "wired0",
        "security_profile": 2,
        "apn": {"name": "internet", "password": "p", "pin_secret": "1234"},
        "vpn": {"server": "vpn.example.com", "user": "u", "password": "p", "key_secret": "k"},
    },
    CommandKind.ADJUST_STREAM: {"id": 1, "interval_s": 60},
    CommandKind.READ_STREAMS: {},
    CommandKind.TRANSACTION_STATUS: {"transaction_id": "t-1"},
    CommandKind.EXTENDED_TRIGGER: {"message": "sign_certificate"},
    CommandKind.FETCH_DIAGNOSTICS: {"location": "ftp://files.example/", "since": "2026-01-31T12:00:00Z"},
    CommandKind.FETCH_LOG: {"location": "https://files.example/", "log": "security", "retries": 2},
    CommandKind.UPDATE_FIRMWARE: {
        "location": "https://files.example/fw.bin",
        "retries": 2,
        "retry_seconds": 60,
    },
    CommandKind.UPDATE_SIGNED_FIRMWARE: {
        "location": "https://files.example/fw.bin",
        "signature": "MEUCIQ",
        "certificate": "-----BEGIN CERTIFICATE-----",
    },
    CommandKind.PUBLISH_FIRMWARE: {
        "location": "https://files.example/fw.bin",
        "checksum": "d41d8cd98f00b204e9800998ecf8427e",
    },
    CommandKind.UNPUBLISH_FIRMWARE: {"checksum": "d41d8cd98f00b204e9800998ecf8427e"},
}


def test_what_is_answered() -> None:
    assert set(BY_NAME["1.6"].answers) == ANSWERS_16
    assert set(BY_NAME["2.0.1"].answers) == ANSWERS_2X
    assert set(BY_NAME["2.1"].answers) == ANSWERS_21
    assert {name: set(version.sends) for name, version in BY_NAME.items() if version.sends} == {
        "2.1": SENDS_21
    }


@pytest.mark.parametrize("name", ["1.6", "2.0.1", "2.1"])
def test_what_is_said(name: str) -> None:
    """All that the specification defines and stations do not ask."""
    version = BY_NAME[name]
    asked = set(version.answers) | set(version.sends)
    assert {say.action for say in version.says.values()} == schemas.actions(name) - asked | BOTH_WAYS
    assert set(version.says) == {kind for kind in CommandKind.values if name in ONLY_IN.get(kind, (name,))}


@pytest.mark.parametrize("name", ["1.6", "2.0.1", "2.1"])
def test_all_that_is_said_keeps_to_the_official_schema(name: str) -> None:
    version = BY_NAME[name]
    for kind, say in version.says.items():
        payload = say.encode(ARGUMENTS[CommandKind(kind)], 4_000_000_000)
        assert schemas.check(name, say.action, payload) is None, (kind, payload)
        assert schemas.validator(name, say.action, True) is not None


def test_every_action_has_its_schemas() -> None:
    for version in VERSIONS:
        for action in version.answers:
            assert schemas.validator(version.name, action, False) is not None, (version.name, action)
            assert schemas.validator(version.name, action, True) is not None, (version.name, action)


def test_the_newest_version_wins_whatever_the_order() -> None:
    assert choose(["ocpp1.6", "ocpp2.1", "ocpp2.0.1"]) is BY_NAME["2.1"]
    assert choose(["OCPP1.6"]) is BY_NAME["1.6"]
    assert choose(["ocpp1.5"]) is None
    assert choose([]) is None

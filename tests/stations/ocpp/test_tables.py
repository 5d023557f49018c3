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
    "SignedFirmwareStatusNotification", "StartTransaction", "StatusNotification", "StopTransaction",
}  # fmt: skip
ANSWERS_2X = {
    "Authorize", "BootNotification", "DataTransfer", "FirmwareStatusNotification", "Heartbeat",
    "LogStatusNotification", "MeterValues", "NotifyEvent", "NotifyReport", "PublishFirmwareStatusNotification",
    "SecurityEventNotification",
    "StatusNotification", "TransactionEvent",
    "ReservationStatusUpdate",
}  # fmt: skip
SAYS = {
    "1.6": {
        "ClearCache", "DataTransfer", "GetConfiguration", "Reset", "ChangeAvailability", "RemoteStartTransaction",
        "RemoteStopTransaction", "TriggerMessage", "UnlockConnector", "ChangeConfiguration", "SendLocalList",
        "GetLocalListVersion", "ReserveNow", "CancelReservation",
        "CertificateSigned", "DeleteCertificate", "GetInstalledCertificateIds", "InstallCertificate",
        "ExtendedTriggerMessage", "GetDiagnostics", "GetLog", "SignedUpdateFirmware", "UpdateFirmware",
    },
    "2.0.1": {
        "ClearCache", "DataTransfer", "GetVariables", "GetBaseReport", "Reset", "ChangeAvailability",
        "RequestStartTransaction", "RequestStopTransaction", "TriggerMessage", "UnlockConnector", "SetVariables",
        "SendLocalList", "GetLocalListVersion", "ReserveNow", "CancelReservation",
        "CertificateSigned", "DeleteCertificate", "GetInstalledCertificateIds", "InstallCertificate",
        "GetLog", "PublishFirmware", "UnpublishFirmware", "UpdateFirmware",
    },
}  # fmt: skip
SAYS["2.1"] = SAYS["2.0.1"]
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
    CommandKind.INSTALL_CERTIFICATE: {"use": "csms_root", "certificate": "PEM"},
    CommandKind.DELETE_CERTIFICATE: {
        "hash_algorithm": "SHA256",
        "issuer_name_hash": "ab",
        "issuer_key_hash": "cd",
        "serial_number": "1a",
    },
    CommandKind.READ_CERTIFICATES: {"uses": ["csms_root"]},
    CommandKind.SEND_CERTIFICATE: {"chain": "PEM", "request_id": 7},
}


def test_what_is_answered() -> None:
    assert set(BY_NAME["1.6"].answers) == ANSWERS_16
    assert set(BY_NAME["2.0.1"].answers) == set(BY_NAME["2.1"].answers) == ANSWERS_2X
    assert {name: set(version.sends) for name, version in BY_NAME.items() if version.sends} == {
        "2.1": {"NotifyPeriodicEventStream"}
    }


@pytest.mark.parametrize("name", ["1.6", "2.0.1", "2.1"])
def test_what_is_said(name: str) -> None:
    version = BY_NAME[name]
    assert {say.action for say in version.says.values()} == SAYS[name]
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

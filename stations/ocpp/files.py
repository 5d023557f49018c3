"""Logs and firmware as 1.6 (with its security extension) and 2.x read and write them alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from stations.neutral import (
    EventReport,
    FirmwareNotice,
    LogAnswered,
    LogNotice,
    PublicationNotice,
)
from stations.ocpp import shared, wire
from stations.ocpp.version import Answered, Asked, Payload
from stations.ocpp.wire import optional, wanted

MOST = 2_147_483_647
ACCEPTED = frozenset({"Accepted", "AcceptedCanceled"})
LOG_STATUS = {
    "Idle": "idle",
    "Uploading": "uploading",
    "Uploaded": "uploaded",
    "UploadFailed": "failed",  # 1.6 DiagnosticsStatus
    "UploadFailure": "failed",
    "BadMessage": "failed",
    "NotSupportedOperation": "failed",
    "PermissionDenied": "failed",
    "AcceptedCanceled": "replaced",  # N01.FR.12: this upload gave way to a newer request
}
FIRMWARE_STATUS = {
    "Idle": "idle",
    "DownloadScheduled": "scheduled",
    "Downloading": "downloading",
    "DownloadPaused": "paused",
    "Downloaded": "downloaded",
    "SignatureVerified": "verified",
    "InstallScheduled": "install_scheduled",
    "Installing": "installing",
    "InstallRebooting": "rebooting",
    "Installed": "installed",
    "DownloadFailed": "download_failed",
    "InstallationFailed": "install_failed",
    "InstallVerificationFailed": "install_failed",
    "InvalidSignature": "bad_signature",
}
PUBLICATION_STATUS = {
    "Idle": "idle",
    "DownloadScheduled": "downloading",
    "Downloading": "downloading",
    "DownloadPaused": "downloading",
    "Downloaded": "downloading",
    "ChecksumVerified": "downloading",
    "Published": "published",
    "DownloadFailed": "failed",
    "InvalidChecksum": "failed",
    "PublishFailed": "failed",
}
_LOG_TYPE = {
    "diagnostics": "DiagnosticsLog",
    "security": "SecurityLog",
    "data_collector": "DataCollectorLog",  # 2.1
}
Decoder = Callable[[Asked], list[Any]]


def _number(told: Payload) -> int | None:
    number = told.get("requestId")
    return (
        number if isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= MOST else None
    )


def _info(told: Payload) -> str:
    """StatusInfoType of 2.1 in one line."""
    info = told.get("statusInfo") or {}
    parts = (str(info.get("reasonCode", "")), str(info.get("additionalInfo", "")))
    return ", ".join(part for part in parts if part)[:200]


def _notice(kind: str, words: str, make: type, statuses: Mapping[str, str]) -> Decoder:
    """The notice for the timeline, and for the request that it belongs to."""
    event = shared.notice(kind, words)

    def decode(asked: Asked) -> list[Any]:
        told = asked.payload
        word = str(told["status"])
        events: list[EventReport] = event(asked)
        more = (
            {"locations": tuple(map(str, told.get("location") or ()))[:10]}
            if make is PublicationNotice
            else {}
        )
        return [
            *events,
            make(
                station_id=asked.station_id,
                received_at=asked.received_at,
                status=statuses.get(word, "idle"),
                word=word[: wire.WORD],
                number=_number(told),
                info=_info(told),
                **more,
            ),
        ]

    return decode


diagnostics_notice = _notice("log", "Diagnostics", LogNotice, LOG_STATUS)
log_notice = _notice("log", "Log", LogNotice, LOG_STATUS)
firmware_notice = _notice("firmware", "Firmware", FirmwareNotice, FIRMWARE_STATUS)
publication_notice = _notice("firmware", "Publishing firmware", PublicationNotice, PUBLICATION_STATUS)


def number(arguments: Payload, command_id: int) -> int:
    """The request's number on the wire: its command's, for that is unique."""
    given = arguments.get("number")
    return given if isinstance(given, int) and not isinstance(given, bool) else command_id % MOST


def again(arguments: Payload) -> Payload:
    """How often the station itself shall try, and after how many seconds."""
    return optional(retries=arguments.get("retries"), retryInterval=arguments.get("retry_seconds"))


def say_log(arguments: Payload, command_id: int) -> Payload:
    """GetLog of the security extension and of 2.x (N01)."""
    kind = arguments.get("log", "diagnostics")
    where = optional(
        remoteLocation=wanted(arguments, "location", str),
        oldestTimestamp=arguments.get("since"),
        latestTimestamp=arguments.get("until"),
    )
    return {
        "logType": _LOG_TYPE.get(kind, kind),
        "requestId": number(arguments, command_id),
        "log": where,
    } | again(arguments)


def log_answered(answered: Answered) -> list[LogAnswered]:
    told = answered.response
    if not answered.accepted:
        return []
    return [
        LogAnswered(
            station_id=answered.station_id,
            received_at=answered.received_at,
            command_id=answered.command_id,
            file_name=str(told.get("filename") or ""),
            replaces=told.get("status") == "AcceptedCanceled",
        )
    ]


def firmware(arguments: Payload) -> Payload:
    """FirmwareType. Times as given; without one the download begins at once."""
    return optional(
        location=wanted(arguments, "location", str),
        retrieveDateTime=arguments.get("retrieve_at") or wire.stamp(wire.now()),
        installDateTime=arguments.get("install_at"),
        signingCertificate=arguments.get("certificate"),
        signature=arguments.get("signature"),
    )


def say_firmware(arguments: Payload, command_id: int) -> Payload:
    """SignedUpdateFirmware of 1.6 and UpdateFirmware of 2.x (L01, L02)."""
    return {"requestId": number(arguments, command_id), "firmware": firmware(arguments)} | again(arguments)

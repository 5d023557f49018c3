"""What 1.6 and 2.x read and write alike."""

from __future__ import annotations

from typing import Any

from stations.neutral import EventReport, SecurityReport
from stations.ocpp import wire
from stations.ocpp.version import Asked, Payload
from stations.ocpp.wire import optional, wanted
from stations.services import boot


def booted(answer: boot.BootAnswer, asked: Asked) -> Payload:
    return {
        "status": wire.REGISTRATION[answer.registration],  # type: ignore[index]
        "currentTime": wire.stamp(asked.received_at),
        "interval": answer.interval_seconds,
    }


FAILURES = ("Fail", "BadMessage", "Error", "Rejected", "Invalid", "Denied", "NotSupported")


def notice(kind: str, words: str) -> Any:
    """Decoder of a firmware or log status."""

    def decode(asked: Asked) -> list[EventReport]:
        status = asked.payload["status"]
        failed = any(word in status for word in FAILURES)
        return [
            EventReport(
                station_id=asked.station_id,
                kind=kind,
                severity="error" if failed else "info",
                text=f"{words}: {status}",
                raw_timestamp="",
                received_at=asked.received_at,
                detail=asked.payload,
            )
        ]

    return decode


def security_event(asked: Asked) -> list[SecurityReport]:
    told = asked.payload
    return [
        SecurityReport(
            asked.station_id, str(told["type"]), str(told.get("techInfo") or ""),
            str(told.get("timestamp", "")), asked.received_at, told,
        )
    ]  # fmt: skip


def vendor_message(asked: Asked) -> list[EventReport]:
    told = asked.payload
    return [
        EventReport(
            station_id=asked.station_id,
            kind="vendor",
            severity="info",
            text=f"Vendor message {told.get('vendorId', '')} {told.get('messageId', '')}".strip(),
            raw_timestamp="",
            received_at=asked.received_at,
            detail=told,
        )
    ]


def nothing(asked: Asked) -> Payload:
    return {}


def current_time(asked: Asked) -> Payload:
    return {"currentTime": wire.stamp(asked.received_at)}


def say_transfer(arguments: Payload, command_id: int) -> Payload:
    return optional(
        vendorId=wanted(arguments, "vendor_id", str),
        messageId=arguments.get("message_id"),
        data=arguments.get("data"),
    )

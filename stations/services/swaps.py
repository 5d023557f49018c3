"""Battery swaps (OCPP 2.1, block S): what went in, what came out, and what is in the slots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from fleets.models import Token
from fleets.uid import normal_uid
from stations import live
from stations.models import BatterySlot, BatterySwap, Command, CommandKind, CommandState, Station, SwapState
from stations.neutral import BatteryTold, SwapReport
from stations.services import commands
from tenants.permissions import Actor

MOST_SLOTS = 200
_STATE = {"in": SwapState.BATTERY_IN, "out": SwapState.DONE, "timeout": SwapState.TIMED_OUT}
_FINAL = (SwapState.DONE, SwapState.TIMED_OUT)
_MOST_ID = 2**31 - 1


def ask(*, station: Station, token_uid: str, token_kind: str, actor: Actor) -> BatterySwap:
    """Have the station begin a swap for a driver (S02)."""
    command = commands.request_command(
        tenant_id=station.tenant_id, station_id=station.pk, kind=CommandKind.SWAP_BATTERY,
        arguments={"token_uid": token_uid, "token_kind": token_kind}, actor=actor,
    )  # fmt: skip
    return _asked(command)


def _asked(command: Command) -> BatterySwap:
    uid = normal_uid(str(command.arguments.get("token_uid", "")))[:255]
    swap, _made = BatterySwap.objects.get_or_create(
        tenant_id=command.tenant_id, station_id=command.station_id, request_id=command.pk % _MOST_ID, token_uid=uid,
        defaults={
            "state": SwapState.ASKED, "command_id": command.pk, "began_at": command.created_at,
            "token": Token.objects.filter(tenant_id=command.tenant_id, uid=uid).first(),
        },
    )  # fmt: skip
    return swap


def follow(*, command: Command) -> None:
    """The station took the wish, or did not; asked for by REST as a mere command, it becomes a row here."""
    swap = _asked(command)
    if swap.state != SwapState.ASKED or command.state == CommandState.ACCEPTED:
        return
    refused = command.state == CommandState.REJECTED
    swap.state = SwapState.REFUSED if refused else SwapState.UNREACHED
    info = (command.response or {}).get("statusInfo") or {}
    swap.detail = (info.get("additionalInfo") or info.get("reasonCode") or command.detail or "")[:400]
    swap.save(update_fields=["state", "detail"])


def record(*, tenant_id: int, reports: Sequence[SwapReport]) -> None:
    """Keep what happened at the slots, in the order told."""
    for report in reports:
        station = Station.objects.filter(tenant_id=tenant_id, pk=report.station_id).first()
        if station is None:
            continue
        _swap(tenant_id, report)
        for battery in report.batteries[:MOST_SLOTS]:
            _slot(tenant_id, report, battery)
        live.publish(
            tenant_id, kind="swap", station_id=station.pk, site_id=station.site_id,
            data={"request": report.request, "kind": report.kind},
        )  # fmt: skip


def _swap(tenant_id: int, report: SwapReport) -> None:
    uid = normal_uid(report.token.uid)[:255]
    if not -(2**63) <= report.request < 2**63:
        return
    swap, _made = BatterySwap.objects.select_for_update().get_or_create(
        tenant_id=tenant_id, station_id=report.station_id, request_id=report.request, token_uid=uid,
        defaults={
            "state": _STATE[report.kind], "began_at": report.received_at,
            "token": Token.objects.filter(tenant_id=tenant_id, uid=uid).first(),
        },
    )  # fmt: skip
    batteries = [_told(battery) for battery in report.batteries[:MOST_SLOTS]]
    if report.kind == "in":
        swap.put_in, swap.in_at = batteries, report.received_at
    elif report.kind == "out":
        swap.taken_out, swap.out_at = batteries, report.received_at
    else:
        swap.detail = "The driver did not take the battery in time."
    if swap.state not in _FINAL or report.kind == "out":
        swap.state = _STATE[report.kind]
    swap.save()


def _told(battery: BatteryTold) -> dict[str, Any]:
    shown = asdict(battery)
    return shown | {"serial_number": battery.serial_number[:50], "vendor_info": battery.vendor_info[:500]}


def _slot(tenant_id: int, report: SwapReport, battery: BatteryTold) -> None:
    """A battery that was put in is in its slot; one that was taken out is not; one that was not taken still is."""
    if not 0 <= battery.evse <= 999:
        return
    slots = BatterySlot.objects.filter(tenant_id=tenant_id, station_id=report.station_id)
    found = slots.filter(evse_number=battery.evse).first()
    if found is None and slots.count() >= MOST_SLOTS:
        return
    if found is not None and found.changed_at > report.received_at:
        return
    present = report.kind != "out"
    BatterySlot.objects.update_or_create(
        tenant_id=tenant_id, station_id=report.station_id, evse_number=battery.evse,
        defaults={
            "present": present, "changed_at": report.received_at,
            "serial_number": battery.serial_number[:50] if present else "",
            "soc_percent": battery.soc_percent if present else None,
            "soh_percent": battery.soh_percent if present else None,
            "produced_at": _produced(battery.produced_at) if present else None,
            "vendor_info": battery.vendor_info[:500] if present else "",
        },
    )  # fmt: skip


def _produced(raw: str) -> datetime | None:
    """A battery may be years old: not measured against our clock as an event is."""
    try:
        at = datetime.fromisoformat(raw) if raw else None
    except ValueError:
        return None
    return at if at is not None and at.tzinfo and 1990 <= at.year <= 2200 else None

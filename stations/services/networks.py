"""Network profiles of 2.x: where and how a station connects, by slot (B09), and the order of the slots (B10)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.utils import timezone

from stations.models import (
    Command,
    CommandKind,
    CommandState,
    NetworkProfile,
    Station,
    Variable,
    VariableChange,
)
from stations.services import commands, configuration, verification
from tenants.errors import Invalid
from tenants.permissions import Actor

PRIORITY = ("OCPPCommCtrlr", "", 0, 0, "NetworkConfigurationPriority", "", "actual")
INTERFACES = (*(f"{kind}{number}" for kind in ("wired", "wireless") for number in range(4)), "any")
MOST_SLOTS = 20


def set_profile(*, tenant_id: int, station_id: int, actor: Actor, **given: Any) -> NetworkProfile:
    """Give a slot of a station an address and a way to it: `slot`, `url`, `ocpp_version`, `interface`,
    `security_profile`, `timeout_s`, `identity`, `password`, `apn` and `vpn` as the command takes them."""
    _check(given)
    command = commands.request_command(
        tenant_id=tenant_id, station_id=station_id, kind=CommandKind.SET_NETWORK_PROFILE,
        arguments={name: value for name, value in given.items() if value not in (None, "")}, actor=actor,
    )  # fmt: skip
    return _profile_of(command)


def _check(given: dict[str, Any]) -> None:
    wrong = {}
    slot = given.get("slot")
    if not isinstance(slot, int) or isinstance(slot, bool) or not 0 <= slot <= 1000:
        wrong["slot"] = "The number of a slot, from 0 on."
    parts = urlsplit(str(given.get("url") or ""))
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        wrong["url"] = "An address that begins with wss:// or ws://, without the station's name at its end."
    if given.get("interface") not in INTERFACES:
        wrong["interface"] = f"Choose one of {', '.join(INTERFACES)}."
    profile = given.get("security_profile")
    if isinstance(profile, bool) or profile not in (0, 1, 2, 3):
        wrong["security_profile"] = "From 0 to 3."
    elif profile >= 2 and parts.scheme == "ws":
        wrong["url"] = "Security profiles 2 and 3 need wss://."
    if given.get("ocpp_version") not in ("1.6", "2.0.1", "2.1"):
        wrong["ocpp_version"] = "Choose one of 1.6, 2.0.1, 2.1."
    if wrong:
        raise Invalid(fields=wrong)


def _profile_of(command: Command) -> NetworkProfile:
    given = command.arguments
    apn, vpn = given.get("apn") or {}, given.get("vpn") or {}
    profile, _made = NetworkProfile.objects.update_or_create(
        tenant_id=command.tenant_id,
        station_id=command.station_id,
        slot=given["slot"],
        defaults={
            "url": str(given.get("url", ""))[:2000],
            "ocpp_version": str(given.get("ocpp_version", ""))[:8],
            "interface": str(given.get("interface", ""))[:12],
            "security_profile": given.get("security_profile") or 0,
            "timeout_s": int(given.get("timeout_s") or 30),
            "identity": str(given.get("identity") or "")[:48],
            "apn": str(apn.get("name") or "")[:200] if isinstance(apn, dict) else "",
            "vpn": str(vpn.get("server") or "")[:200] if isinstance(vpn, dict) else "",
            "state": NetworkProfile.State.ASKED,
            "reason": "",
            "command": command,
            "origin_label": command.origin_label,
            "asked_at": timezone.now(),
            "settled_at": None,
        },
    )
    return profile


def follow(*, command: Command) -> None:
    """The end of the command decides on the slot."""
    slot = command.arguments.get("slot")
    if not isinstance(slot, int) or isinstance(slot, bool) or not 0 <= slot <= 1000:
        return
    profile = NetworkProfile.objects.filter(tenant_id=command.tenant_id, command=command).first()
    if profile is None:
        profile = _profile_of(command)
    State = NetworkProfile.State
    profile.state = {CommandState.ACCEPTED: State.SET, CommandState.REJECTED: State.REFUSED}.get(
        CommandState(command.state), State.FAILED
    )
    profile.reason = "" if profile.state == State.SET else (command.detail or command.answer)[:200]
    profile.settled_at = command.settled_at
    profile.save(update_fields=["state", "reason", "settled_at"])
    verification.tell(command.tenant_id, command.station_id)


def set_priority(*, tenant_id: int, station_id: int, slots: Sequence[int], actor: Actor) -> VariableChange:
    """The order in which the station tries its slots; it counts after a reset, and may lead the station elsewhere."""
    if not slots or len(slots) > MOST_SLOTS or len(set(slots)) != len(slots):
        raise Invalid(fields={"slots": "Give the slots in their order, each once."})
    setting = configuration.Setting(
        "NetworkConfigurationPriority", ",".join(map(str, slots)), component="OCPPCommCtrlr"
    )
    (change,) = configuration.change(
        tenant_id=tenant_id, station_id=station_id, settings=[setting], actor=actor, lenient=True
    )
    return change


def priority(station: Station) -> Variable | None:
    return Variable.objects.filter(
        tenant_id=station.tenant_id, station=station, **verification.named(PRIORITY)
    ).first()


def of_station(station: Station) -> list[NetworkProfile]:
    return list(
        NetworkProfile.objects.filter(tenant_id=station.tenant_id, station=station).order_by("slot")[:50]
    )

"""Block B: network connection profiles (B09); which of them is used, and in which order, is a variable (B10)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stations.models import CommandKind
from stations.ocpp.version import Payload, Say
from stations.ocpp.wire import optional, wanted
from tenants.errors import Invalid

VERSIONS = {"1.6": "OCPP16", "2.0.1": "OCPP20"}
INTERFACES = {
    f"{kind}{number}": f"{kind.title()}{number}" for kind in ("wired", "wireless") for number in range(4)
}
_APN = {"none": "NONE", "pap": "PAP", "chap": "CHAP", "auto": "AUTO"}
_VPN = {"ikev2": "IKEv2", "ipsec": "IPSec", "l2tp": "L2TP", "pptp": "PPTP"}


def word(words: Mapping[str, str], arguments: Payload, name: str) -> str:
    told = words.get(str(arguments.get(name, "")).lower())
    if told is None:
        raise Invalid(fields={name: f"Choose one of {', '.join(words)}."})
    return told


def connection(
    arguments: Payload, versions: Mapping[str, str], interfaces: Mapping[str, str]
) -> dict[str, Any]:
    """NetworkConnectionProfileType."""
    apn, vpn = arguments.get("apn"), arguments.get("vpn")
    return optional(
        ocppVersion=word(versions, arguments, "ocpp_version"),
        ocppTransport="JSON",
        ocppCsmsUrl=wanted(arguments, "url", str),
        messageTimeout=int(arguments.get("timeout_s") or 30),
        ocppInterface=word(interfaces, arguments, "interface"),
        apn=_apn(apn) if isinstance(apn, dict) and apn.get("name") else None,
        vpn=_vpn(vpn) if isinstance(vpn, dict) and vpn.get("server") else None,
    ) | {"securityProfile": wanted(arguments, "security_profile", int)}


def _apn(told: Payload) -> Payload:
    pin = str(told.get("pin_secret") or "")
    return optional(
        apn=told["name"],
        apnUserName=told.get("user"),
        apnPassword=told.get("password"),
        simPin=int(pin) if pin.isdecimal() else None,
        preferredNetwork=told.get("preferred_network"),
        apnAuthentication=word(_APN, {"authentication": "auto"} | told, "authentication"),
    )


def _vpn(told: Payload) -> Payload:
    return optional(server=told["server"], user=told.get("user"), group=told.get("group")) | {
        "password": str(told.get("password") or ""),
        "key": str(told.get("key_secret") or ""),
        "type": word(_VPN, {"type": "ikev2"} | told, "type"),
    }


def _say(arguments: Payload, command_id: int) -> Payload:
    return {
        "configurationSlot": wanted(arguments, "slot", int),
        "connectionData": connection(arguments, VERSIONS, INTERFACES),
    }


SAYS: dict[str, Say] = {
    CommandKind.SET_NETWORK_PROFILE: Say("SetNetworkProfile", _say, cases="B09 B10"),
}

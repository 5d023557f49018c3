"""The addresses under which other devices on the local network reach this machine (IPv4, as chargers do)."""

from __future__ import annotations

import fcntl
import ipaddress
import socket
import struct
from contextlib import suppress

from cpo.embedded.ports import ALL, HOST
from cpo.embedded.problems import Problem

_SIOCGIFADDR = 0x8915  # Linux: the address of an interface
_SOMEWHERE = ("192.0.2.1", 9)  # for documentation (RFC 5737); connecting a datagram socket sends nothing


def addresses() -> list[str]:
    """The one that reaches further networks first. Empty without a network."""
    found = [_outward(), *(_of_interface(name) for _index, name in socket.if_nameindex())]
    return list(dict.fromkeys(one for one in found if one and not ipaddress.ip_address(one).is_loopback))


def reached_at(host: str) -> list[str]:
    """Addresses at which others find what listens on `host`, the best first."""
    return [*addresses(), HOST] if host == ALL else [host]


def allowed_hosts(host: str) -> list[str]:
    """What browsers may call the portal that listens on `host`."""
    name = socket.gethostname().lower()
    return ["localhost", HOST, *reached_at(host), name, f"{name}.local"]


def is_open(host: str) -> bool:
    """Whether others than this machine reach what listens on `host`."""
    return not ipaddress.ip_address(host).is_loopback


def check(host: str) -> str:
    """The address, if it is one of this machine's; else a sentence."""
    try:
        if host == ALL or ipaddress.IPv4Address(host).is_loopback:
            return host
        with socket.socket() as probe:
            probe.bind((host, 0))
    except (ValueError, OSError):
        known = ", ".join(addresses()) or "none, for it has no network"
        raise Problem(
            f"{host!r} is no IPv4 address of this machine; its addresses are: {known}.",
            "Give --lan one of them, or nothing for all.",
        ) from None
    return host


def _outward() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect(_SOMEWHERE)
        return str(probe.getsockname()[0])
    return ""


def _of_interface(name: str) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        row = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
        return socket.inet_ntoa(row[20:24])
    return ""

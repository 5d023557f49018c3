"""Where meters may be: addresses that tenants enter are called from inside our network (SSRF).

In production the internet at large, and the networks that the installation names by METER_NETWORKS: a VPN to the
sites. Never the machine itself nor its neighbours on the link, where clouds keep their metadata.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl

from django.conf import settings

from energy.feeds.problems import NOT_ALLOWED, UNKNOWN_NAME, UNREACHABLE, UNTRUSTED, FeedError
from tenants.services.outbound import is_public

CONNECT_S = 5.0
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:.]{2,45}")


def is_name(host: object) -> bool:
    """Whether it is written as a host's name or IP address."""
    return isinstance(host, str) and _NAME.fullmatch(host) is not None


def may_call(text: str) -> bool:
    """Whether a meter may be read at this IP address."""
    if not settings.PRODUCTION:
        return True
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast:
        return False
    return is_public(text) or any(
        address.version == network.version and address in network for network in settings.METER_NETWORKS
    )


def resolve(host: str, port: int) -> str:
    """The IP address to connect to: the very one that was checked, so that the name's second answer leads nowhere else.

    FeedError unless all that the name stands for may be called.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise FeedError(UNKNOWN_NAME, host) from None
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not addresses:
        raise FeedError(UNKNOWN_NAME, host)
    if not all(may_call(address) for address in addresses):
        raise FeedError(NOT_ALLOWED, host)
    return addresses[0]


def connect(host: str, port: int, context: ssl.SSLContext | None = None) -> socket.socket:
    """A connected socket, with TLS if a context is given. FeedError says what was in the way."""
    address = resolve(host, port)
    try:
        plain = socket.create_connection((address, port), timeout=CONNECT_S)
    except OSError:
        raise FeedError(UNREACHABLE, f"{host}:{port}") from None
    if context is None:
        return plain
    try:
        return context.wrap_socket(plain, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        plain.close()
        raise FeedError(UNTRUSTED, f"{host}, {error.verify_message}") from None
    except (OSError, ValueError):
        plain.close()
        raise FeedError(UNREACHABLE, f"TLS {host}:{port}") from None

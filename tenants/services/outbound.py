"""HTTP requests to addresses that customers name: never to our own network (SSRF), never for long, never redirected."""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

TIMEOUT_S = 5.0
_READ_AT_MOST = 4096
_TUNNELS = tuple(
    ipaddress.ip_network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
)


class Refused(Exception):
    """The address may not be called; the text says why."""


def split(url: str) -> SplitResult:
    """The parts of an address that may be called. Refused says what is wrong with it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Refused("This is no address such as https://example.com/hook.") from None
    schemes = ("https",) if settings.PRODUCTION else ("https", "http")
    if parts.scheme not in schemes or not parts.hostname or port == 0:
        raise Refused("Write an address that begins with https://, such as https://example.com/hook.")
    if parts.username is not None or any(character <= " " for character in url):
        raise Refused("The address must hold neither a password nor spaces.")
    return parts


def is_public(text: str) -> bool:
    """Whether an IP address belongs to the internet at large. What tunnels to other addresses counts as not."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        elif any(address in network for network in _TUNNELS):
            return False
    return address.is_global and not address.is_multicast


def resolve(host: str, port: int) -> list[str]:
    """The IP addresses of a host, all of which may be called. Refused if one may not, or there is none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Refused(f"{host} is not known to the domain name system.") from None
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if settings.PRODUCTION and not all(is_public(one) for one in addresses):
        raise Refused(f"{host} lies in a private network, where nothing is sent.")
    if not addresses:
        raise Refused(f"{host} has no address.")
    return addresses


def post(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    """POST to a checked IP address of the host. The status; Refused or OSError if there is none.

    The name is resolved once and the connection goes to the very address that was checked, so that a second answer of
    the name server cannot lead elsewhere. Redirects are not followed.
    """
    parts = split(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    raw = socket.create_connection((resolve(host, port)[0], port), timeout=TIMEOUT_S)
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    try:
        if parts.scheme == "https":
            raw = ssl.create_default_context().wrap_socket(raw, server_hostname=host)
        connection.sock = raw
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", path, body=body, headers=dict(headers))
        answer = connection.getresponse()
        answer.read(_READ_AT_MOST)
        return answer.status
    except http.client.HTTPException as error:
        raise OSError(f"the answer is no HTTP: {type(error).__name__}") from None
    finally:
        connection.close()
        raw.close()

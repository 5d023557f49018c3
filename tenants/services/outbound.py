"""HTTP requests to addresses that customers name: never to our own network (SSRF), never for long, never redirected."""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

TIMEOUT_S = 5.0  # for a single step: connecting, a send, a receive
DEADLINE_S = 10.0  # for all of it: a receiver that drips a byte now and then binds us no longer than this
_TUNNELS = tuple(
    ipaddress.ip_network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
)


class Refused(Exception):
    """The address may not be called; the text says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    content_type: str = ""


def split(url: str, *, plain: bool = False) -> SplitResult:
    """The parts of an address that may be called. Refused says what is wrong with it.

    `plain`: http will do, for what is signed in itself (OCSP responses, revocation lists).
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Refused("This is no address such as https://example.com/hook.") from None
    schemes = ("https",) if settings.PRODUCTION and not plain else ("https", "http")
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
    """POST to a checked IP address of the host. The status; Refused or OSError if there is none."""
    return exchange(url, method="POST", body=body, headers=headers).status  # nobody reads what else it says


def exchange(
    url: str,
    *,
    method: str = "GET",
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    most_bytes: int = 0,
    plain: bool = False,
    tls: ssl.SSLContext | None = None,
    deadline_s: float = DEADLINE_S,
) -> Answer:
    """A request to a checked IP address of the host, and as much of the answer as is wanted.

    The name is resolved once and the connection goes to the very address that was checked, so that a second answer of
    the name server cannot lead elsewhere. Redirects are not followed. Refused, or OSError: of a longer answer too.
    """
    parts = split(url, plain=plain)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    step_s = min(TIMEOUT_S, deadline_s)
    connected = socket.create_connection((resolve(host, port)[0], port), timeout=step_s)
    with _Guarded(connected, deadline_s) as guarded:
        if parts.scheme == "https":
            guarded.begin_tls(host, tls or ssl.create_default_context())
        connection = http.client.HTTPConnection(host, port, timeout=step_s)
        connection.sock = guarded.socket
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            connection.request(method, path, body=body, headers={**(headers or {}), "Connection": "close"})
            response = connection.getresponse()
            read = response.read(most_bytes + 1) if most_bytes else b""
        except http.client.HTTPException as error:
            raise OSError(f"the answer is no HTTP: {type(error).__name__}") from None
        if guarded.over:
            raise TimeoutError(f"not done within {deadline_s:.0f} s")
        if len(read) > most_bytes:
            raise OSError(f"the answer is longer than {most_bytes} bytes")
        return Answer(response.status, read, response.headers.get("Content-Type", ""))


class _Guarded:
    """A socket that is shut when the deadline is over, whatever its reader waits for."""

    def __init__(self, connected: socket.socket, deadline_s: float) -> None:
        self.socket = connected
        self.over = False
        self._timer = threading.Timer(deadline_s, self._shut)
        self._timer.daemon = True

    def __enter__(self) -> _Guarded:
        self._timer.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._timer.cancel()
        self.socket.close()

    def begin_tls(self, host: str, context: ssl.SSLContext) -> None:
        self.socket = context.wrap_socket(self.socket, server_hostname=host, do_handshake_on_connect=False)
        self.socket.do_handshake()  # apart, so that the deadline counts for it too

    def _shut(self) -> None:
        self.over = True
        with contextlib.suppress(OSError):
            socket.socket.shutdown(
                self.socket, socket.SHUT_RDWR
            )  # not SSLSocket's: it pulls the rug from the reader

"""TLS that ends at the gateway: who asks gets our certificate, and may show its own.

A certificate that no known authority signed ends the handshake; whose authority it was, and whether the station may
come by it, is decided after (`stations.ocpp.access`). OCPP 2.0.1 part 2, A00.FR.312 to 318; whitepaper 2.3.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path

from django.conf import settings
from django.db import close_old_connections, connection

from stations.services import authority

log = logging.getLogger("voltyard.gateway.tls")

LOOK_SECONDS = 2.0
HANDSHAKE_SECONDS = 15.0  # a peer that does not go on holds nothing for longer
# A00.FR.318, with the forward secret ones of RSA before those that stations without elliptic curves need.
CIPHERS = ":".join(
    (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "AES128-GCM-SHA256",
        "AES256-GCM-SHA384",
    )
)


class Door:
    """The TLS context, kept up to date: new handshakes see what has changed, open sockets go on."""

    def __init__(self) -> None:
        self._files = (Path(settings.OCPP_TLS_CERTIFICATE), Path(settings.OCPP_TLS_KEY))
        self._seen: tuple[float, ...] = ()
        self._trusted: set[str] = set()
        context = self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(CIPHERS)
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_RENEGOTIATION
        context.verify_mode = ssl.CERT_OPTIONAL
        # An issuing authority of a company's own PKI is trusted by itself; its root may be unknown here.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        self._read_files()

    def _read_files(self) -> None:
        seen = tuple(file.stat().st_mtime for file in self._files)
        if seen != self._seen:
            self.context.load_cert_chain(*self._files)
            self._seen = seen
            log.info("certificate read", extra={"file": str(self._files[0])})

    def _read_authorities(self) -> None:
        close_old_connections()
        try:
            found = set(authority.all_trusted())
        finally:
            connection.close()
        if new := found - self._trusted:
            self.context.load_verify_locations(cadata="".join(sorted(new)))
            self._trusted |= new

    async def keep(self) -> None:
        while True:
            for read in (self._read_files, self._read_authorities):
                try:
                    await asyncio.to_thread(read)
                except (
                    Exception
                ) as error:  # a file that is half written, a database that is away: the last ones hold
                    log.warning("TLS not refreshed", extra={"error": str(error)[:200]})
            await asyncio.sleep(LOOK_SECONDS)

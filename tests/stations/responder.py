"""A responder of the tests: OCSP (RFC 6960) and revocation lists over HTTP, for the authorities of a simulated PKI."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from simulator.pki import Authority, Issued, Pki, digest


class Responder:
    """Answers for what its authorities issued. What it does wrong is set by a test."""

    def __init__(self) -> None:
        self.authorities: list[Authority] = []
        self.asked: list[int] = []  # serial numbers
        self.lists = 0
        self.status = 200
        self.hours = 6.0  # until the next update; below zero: out of date
        self.wrong_nonce = False
        self.without_nonce = False
        self.signer: Issued | None = None  # a delegated responder
        self.impostor: Authority | None = None  # signs in the authority's place
        self.asked_at_all = threading.Event()
        self.hang = threading.Event()
        self.hang.set()  # cleared: it answers nobody
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/ocsp"

    @property
    def crl_url(self) -> str:
        return self.url.replace("/ocsp", "/list.crl")

    def serve(self, pki: Pki) -> Pki:
        self.authorities += pki.authorities
        return pki

    def answer(self, der: bytes) -> bytes:
        request = ocsp.load_der_ocsp_request(der)
        self.asked.append(request.serial_number)
        authority = next(one for one in self.authorities if _names(one, request))
        now = datetime.now(UTC)
        at = authority.revoked.get(request.serial_number)
        builder = ocsp.OCSPResponseBuilder().add_response_by_hash(
            request.issuer_name_hash, request.issuer_key_hash, request.serial_number, request.hash_algorithm,
            ocsp.OCSPCertStatus.REVOKED if at else ocsp.OCSPCertStatus.GOOD, now - timedelta(hours=8),
            now + timedelta(hours=self.hours), at, x509.ReasonFlags.cessation_of_operation if at else None,
        )  # fmt: skip
        if not self.without_nonce:
            nonce = request.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
            builder = builder.add_extension(
                x509.OCSPNonce(b"another one" if self.wrong_nonce else nonce), critical=False
            )
        key, certificate, shape = authority.key, authority.certificate, authority.shape
        if self.impostor is not None:
            key, certificate, shape = self.impostor.key, self.impostor.certificate, self.impostor.shape
        if self.signer is not None:
            key, certificate = self.signer.key, self.signer.certificate
            builder = builder.certificates([certificate])
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, certificate)
        return builder.sign(key, digest(shape)).public_bytes(Encoding.DER)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        responder = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.headers["Content-Type"] == "application/ocsp-request"
                responder.asked_at_all.set()
                responder.hang.wait(30)
                self._send(responder.answer(body), "application/ocsp-response")

            def do_GET(self) -> None:
                responder.lists += 1
                self._send(responder.authorities[-1].revocation_list(responder.hours), "application/pkix-crl")

            def _send(self, body: bytes, kind: str) -> None:
                self.send_response(responder.status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


def _names(authority: Authority, request: ocsp.OCSPRequest) -> bool:
    mine = authority.hash_data(authority.certificate)
    assert isinstance(request.hash_algorithm, hashes.SHA256)
    return (request.issuer_name_hash.hex(), request.issuer_key_hash.hex()) == (
        mine["issuerNameHash"],
        mine["issuerKeyHash"],
    )


@contextmanager
def responder() -> Iterator[Responder]:
    made = Responder()
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.hang.set()
        made.server.shutdown()
        made.server.server_close()

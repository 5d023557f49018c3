"""A provider of the tests that speaks OPCP over real TLS, backed by a simulated PKI; and the same PKI as a provider of
its own, without a network between."""

from __future__ import annotations

import base64
import json
import ssl
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from simulator.pki import Pki, pem
from stations.services.pnc.provider import CarAnswer, CarQuestion, OfferedRoot, ProviderError
from tests.stations.pki import Authority as WebAuthority

NO_CONTRACT = "gJgCCo9xtdUEfZHBAMIagnkDGyuToktzm6MLY2EDm6MLo6uY"  # a refusal in the car's own words


class LocalPki:
    """stations.services.pnc.provider.Provider, made of a simulated PKI. Contracts by the car's EXI message."""

    def __init__(self, pki: Pki) -> None:
        self.pki = pki
        self.contracts: dict[str, list[tuple[str, str]]] = {}  # EXI asked -> (contract id, EXI answered)

    def car_certificate(self, question: CarQuestion) -> CarAnswer:
        offered = self.contracts.get(question.exi, [])
        if not offered:
            return CarAnswer(NO_CONTRACT, False, "no contract")
        remaining = None if question.wanted_chains is None else min(len(offered), question.wanted_chains) - 1
        return CarAnswer(offered[0][1], remaining=remaining)

    def roots(self) -> list[OfferedRoot]:
        own = (
            ("v2g_root", self.pki.v2g_root),
            ("mo_root", self.pki.mo_root),
            ("oem_root", self.pki.oem_root),
        )
        return [OfferedRoot(use, root.pem, root.name) for use, root in own]

    def sign(self, csr: str, use: str) -> str:
        request = x509.load_pem_x509_csr(csr.encode())
        if not request.is_signature_valid:
            raise ProviderError("not signed by its own key")
        return pem(self.pki.cpo_sub2.sign_request(request)) + self.pki.cpo_sub2.chain


class Server:
    """OPCP around a LocalPki. What it does wrong is set by a test."""

    def __init__(self, folder: Path) -> None:
        self.local = LocalPki(Pki())
        self.secret = "s3cret-of-the-provider"
        self.calls: list[tuple[str, str, Any]] = []  # method, path, body
        self.token = "token-1"
        self.fails: list[int] = []  # statuses of the next answers
        self.hang = threading.Event()
        self.hang.set()
        self.web = WebAuthority("Provider's web authority")
        certificate, key = self.web.issue("127.0.0.1", names=("127.0.0.1",))
        (folder / "chain.pem").write_text(certificate + key)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "chain.pem")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server.server_address[1]}"

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "provider": "opcp", "base_url": self.url, "token_url": f"{self.url}/oauth/token",
            "audience": "https://eu.plugncharge.example", "client_id": "voltyard", "client_secret": self.secret,
            "trusted_ca": self.web.pem,
        }  # fmt: skip

    def answer(self, method: str, path: str, body: bytes, authorization: str) -> tuple[int, bytes]:
        told: Any = json.loads(body) if body[:1] == b"{" else body.decode()
        self.calls.append((method, path, told))
        if path == "/oauth/token":
            if told["client_secret"] != self.secret or told["grant_type"] != "client_credentials":
                return 401, b'{"error": "access_denied"}'
            given = {"access_token": self.token, "expires_in": 86400, "token_type": "Bearer", "scope": "x"}
            return 200, json.dumps(given).encode()
        if self.fails:
            return self.fails.pop(0), b'{"errorMessages": ["Out of order"]}'
        if authorization != f"Bearer {self.token}":
            return 401, b"{}"
        return self._serve(path, told)

    def _serve(self, path: str, told: Any) -> tuple[int, bytes]:
        if path == "/v1/ccp/signedContractData":
            offered = self.local.contracts.get(told["certificateInstallationReq"], [])
            listed = [{"messageDef": {"certificateInstallationRes": e, "emaid": i}} for i, e in offered]
            refusal = [{"messageDef": {"certificateInstallationRes": NO_CONTRACT}}]
            body = {"CCPResponse": {"emaidContent": listed or refusal}}
            return 200 if listed else 404, json.dumps(body).encode()
        if path == "/v1/root/rootCerts":
            words = {"v2g_root": "V2G", "mo_root": "MO", "oem_root": "OEM"}
            given: list[dict[str, Any]] = [
                {
                    "caCertificate": base64.b64encode(ssl.PEM_cert_to_DER_cert(root.pem)).decode(),
                    "rootType": words[root.use], "commonName": root.name,
                }
                for root in self.local.roots()
            ]  # fmt: skip
            return 200, json.dumps({"RootCertificateCollection": {"rootCertificates": given}}).encode()
        if path.startswith("/.well-known/est/cpo/simpleenroll/"):
            request = x509.load_der_x509_csr(base64.b64decode(told))
            made = self.local.pki.cpo_sub2.sign_request(request)
            return 200, base64.encodebytes(pkcs7.serialize_certificates([made], Encoding.DER))
        if path.startswith("/cpo/cacerts/"):
            pki = self.local.pki
            above = [a.certificate for a in (pki.v2g_root, pki.cpo_sub1, pki.cpo_sub2)]
            return 200, base64.encodebytes(pkcs7.serialize_certificates(above, Encoding.DER))
        return 404, b"{}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def _do(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                server.hang.wait(30)
                status, told = server.answer(
                    self.command, self.path, body, self.headers.get("Authorization", "")
                )
                self.send_response(status)
                self.send_header("Content-Length", str(len(told)))
                self.end_headers()
                self.wfile.write(told)

            do_GET = do_POST = _do

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


def csr_pem(key: Any, common_name: str) -> str:
    from cryptography.hazmat.primitives import hashes

    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
    made = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


@contextmanager
def server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as folder:
        made = Server(Path(folder))
        threading.Thread(target=made.server.serve_forever, daemon=True).start()
        try:
            yield made
        finally:
            made.hang.set()
            made.server.shutdown()
            made.server.server_close()

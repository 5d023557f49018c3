"""A provider that speaks the Open Plug&Charge Protocol (OPCP 1.0, as Hubject publishes it), over HTTPS.

Contract data from the contract certificate pool (CCP), roots from the root certificate pool (RCP), certificates of
stations by EST (RFC 7030). Access tokens by OAuth 2 client credentials.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import ssl
import threading
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from fleets import emaid
from stations import pki
from stations.models import CertificateUse, PlugAndCharge
from stations.services.pnc.provider import CarAnswer, CarQuestion, OfferedRoot, Provider, ProviderError
from tenants.services import outbound
from tenants.services.outbound import Answer

SECONDS = 8.0  # for one call
ATTEMPTS = 2  # of what the network lost or the provider could not do just now
BUDGET_SECONDS = 14.0  # for all attempts
MOST_BYTES = 2_000_000
REST_SECONDS = 15.0  # a provider that is down is left alone so long
MARGIN_SECONDS = 60  # a token is renewed so long before it expires
_USES = {"V2G": CertificateUse.V2G_ROOT, "MO": CertificateUse.MO_ROOT, "OEM": CertificateUse.OEM_ROOT}
_STANDARDS = {"v2g": ("ISO15118-2", "secp256r1"), "v2g20": ("ISO15118-20", "secp521r1")}

# Of this process alone: what is lost is fetched again.
_lock = threading.Lock()
_tokens: dict[str, tuple[str, float]] = {}  # whose -> (token, until)
_resting: dict[
    tuple[str, str], float
] = {}  # (whose, host) -> until: one company's trouble is not the next one's


class Opcp:
    def __init__(self, settings: PlugAndCharge) -> None:
        self._base = settings.base_url.rstrip("/")
        self._token_url = settings.token_url
        self._audience, self._client_id = settings.audience, settings.client_id
        self._client_secret = settings.client_secret
        self._tls = ssl.create_default_context(cadata=settings.trusted_ca or None)
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2
        own = "|".join(
            (str(settings.tenant_id), self._token_url, self._audience, self._client_id, self._client_secret)
        )
        self._owner = hashlib.sha256(own.encode()).hexdigest()

    # --- what it is asked

    def car_certificate(self, question: CarQuestion) -> CarAnswer:
        """CCP: POST /v1/ccp/signedContractData. A car without a contract gets a refusal of its own (404 with EXI)."""
        told = {"certificateInstallationReq": question.exi, "xsdMsgDefNamespace": question.schema}
        answer = self._call("POST", "/v1/ccp/signedContractData", json.dumps(told).encode())
        offered = _contents(answer)
        if answer.status == 404:
            if not offered:
                raise ProviderError("The provider knows no contract for this car.")
            return CarAnswer(offered[0][1], False, "The provider knows no contract for this car.")
        self._must_succeed(answer)
        if not offered:
            raise ProviderError("The provider's answer holds no contract.")
        chosen = _preferred(offered, question.emaids)
        remaining = None
        if question.wanted_chains is not None:
            remaining = max(0, min(len(offered), question.wanted_chains) - 1)
        return CarAnswer(chosen[1], remaining=remaining, detail=emaid.shown(chosen[0]) if chosen[0] else "")

    def roots(self) -> list[OfferedRoot]:
        """RCP: GET /v1/root/rootCerts."""
        answer = self._call("GET", "/v1/root/rootCerts")
        self._must_succeed(answer)
        listed = _member(_json(answer), "RootCertificateCollection", "rootCertificates")
        found = []
        for entry in listed if isinstance(listed, list) else ():
            use = _USES.get(str(entry.get("rootType", ""))) if isinstance(entry, dict) else None
            if use is not None:
                der = _bytes(str(entry.get("caCertificate", "")))
                found.append(
                    OfferedRoot(use.value, pki.pem_of_der(der), str(entry.get("commonName", ""))[:120])
                )
        return found

    def sign(self, csr: str, use: str) -> str:
        """EST simpleenroll for the certificate, cacerts for the authorities between it and the root."""
        standard, algorithm = _STANDARDS[use]
        request = x509.load_pem_x509_csr(csr.encode())
        body = base64.b64encode(request.public_bytes(Encoding.DER))
        answer = self._call(
            "POST", f"/.well-known/est/cpo/simpleenroll/{standard}", body, content_type="application/pkcs10"
        )
        self._must_succeed(answer)
        own = [c for c in _certificates(answer) if c.public_key() == request.public_key()]
        if not own:
            raise ProviderError("The provider's answer holds no certificate for the station's key.")
        chain = [own[0]]
        between = [c for c in _certificates(answer) if c is not own[0]]
        if not any(pki.issued_by(own[0], c) for c in between):
            above = self._call("GET", f"/cpo/cacerts/{standard}/{algorithm}/")
            self._must_succeed(above)
            between += _certificates(above)
        while len(chain) < pki.MOST_IN_CHAIN:
            issuer = next((c for c in between if pki.issued_by(chain[-1], c)), None)
            if issuer is None or issuer.issuer == issuer.subject:
                break
            chain.append(issuer)
        return "".join(pki.pem(certificate) for certificate in chain)

    # --- how it is asked

    def _call(
        self, method: str, path: str, body: bytes = b"", *, content_type: str = "application/json"
    ) -> Answer:
        """The answer, whatever its status; ProviderError where there is none. An expired token is renewed once."""
        url = self._base + path
        deadline = time.monotonic() + BUDGET_SECONDS
        answer = self._insist(method, url, body, content_type, self._token(deadline), deadline)
        if answer.status == 401:
            _forget_token(self._owner)
            answer = self._insist(method, url, body, content_type, self._token(deadline), deadline)
        return answer

    def _insist(
        self, method: str, url: str, body: bytes, content_type: str, token: str, deadline: float
    ) -> Answer:
        headers = {"Accept": "*/*", "Content-Type": content_type}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        host = urlsplit(url).netloc
        _awake(self._owner, host)
        problem = ""
        for attempt in range(ATTEMPTS):
            left = deadline - time.monotonic()
            if left < 0.5:
                break
            try:
                answer = outbound.exchange(
                    url, method=method, body=body, headers=headers, most_bytes=MOST_BYTES, tls=self._tls,
                    deadline_s=min(SECONDS, left),
                )  # fmt: skip
            except outbound.Refused as refused:
                raise ProviderError(str(refused)) from None
            except OSError as error:
                problem = str(error) or type(error).__name__
            else:
                if answer.status < 500 and answer.status != 429:
                    return answer
                problem = f"HTTP {answer.status}"
            if attempt + 1 < ATTEMPTS:
                time.sleep(min(0.3 * 2**attempt, max(0.0, deadline - time.monotonic())))
        _rest(self._owner, host)
        raise ProviderError(f"{host} does not answer ({problem or 'no time left'}).")

    def _token(self, deadline: float) -> str:
        """OAuth 2 client credentials (RFC 6749 4.4), as JSON: so OPCP has it."""
        with _lock:
            known = _tokens.get(self._owner)
        if known is not None and known[1] > time.monotonic():
            return known[0]
        told = {
            "grant_type": "client_credentials",
            "client_id": self._client_id,
            "client_secret": self._client_secret,
            **({"audience": self._audience} if self._audience else {}),
        }
        answer = self._insist(
            "POST", self._token_url, json.dumps(told).encode(), "application/json", "", deadline
        )
        if answer.status in (400, 401, 403):
            raise ProviderError("The provider refused the client id or the client secret.")
        self._must_succeed(answer)
        given = _json(answer)
        token = str(given.get("access_token", "")) if isinstance(given, dict) else ""
        if not token or any(character <= " " or character > "~" for character in token):
            raise ProviderError("The provider gave no access token.")
        lasts = given.get("expires_in", 0)
        seconds = float(lasts) if isinstance(lasts, int | float) else 0.0
        with _lock:
            _tokens[self._owner] = token, time.monotonic() + max(0.0, seconds - MARGIN_SECONDS)
        return token

    @staticmethod
    def _must_succeed(answer: Answer) -> None:
        if answer.status == 403:
            raise ProviderError("The provider does not allow this to the client id.")
        if not 200 <= answer.status < 300:
            raise ProviderError(f"The provider answered with HTTP {answer.status}.{_said(answer)}")


def provider(settings: PlugAndCharge) -> Provider:
    return Opcp(settings)


def _forget_token(owner: str) -> None:
    with _lock:
        _tokens.pop(owner, None)


def _awake(owner: str, host: str) -> None:
    with _lock:
        until = _resting.get((owner, host), 0.0)
    if until > time.monotonic():
        raise ProviderError(f"{host} did not answer a moment ago; it is asked again in some seconds.")


def _rest(owner: str, host: str) -> None:
    with _lock:
        _resting[owner, host] = time.monotonic() + REST_SECONDS


def _json(answer: Answer) -> Any:
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        raise ProviderError("The provider's answer is no JSON.") from None


def _member(value: Any, *names: str) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _said(answer: Answer) -> str:
    """What an error says of itself, if it is JSON with `errorMessages`."""
    try:
        listed = _member(json.loads(answer.body), "errorMessages")
    except (ValueError, RecursionError):
        return ""
    return f" It says: {str(listed[0])[:120]}" if isinstance(listed, list) and listed else ""


def _contents(answer: Answer) -> list[tuple[str, str]]:
    """(contract id, EXI) of each contract in an answer; empty where it is none."""
    try:
        listed = _member(json.loads(answer.body), "CCPResponse", "emaidContent")
    except (ValueError, RecursionError):
        return []
    found = []
    for entry in listed if isinstance(listed, list) else ():
        message = _member(entry, "messageDef")
        exi = _member(message, "certificateInstallationRes")
        if isinstance(exi, str) and exi:
            found.append((str(_member(message, "emaid") or ""), exi))
    return found


def _preferred(offered: Sequence[tuple[str, str]], emaids: Sequence[str]) -> tuple[str, str]:
    for wanted in emaids:
        for entry in offered:
            if emaid.same(entry[0], wanted):
                return entry
    return offered[0]


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise ProviderError("The provider's answer is no base64.") from None


def _certificates(answer: Answer) -> list[x509.Certificate]:
    """RFC 7030 4.2.3: certificates alone, in a PKCS #7 in base64."""
    try:
        return pkcs7.load_der_pkcs7_certificates(_bytes(answer.body.decode("ascii", "replace")))
    except ValueError:
        raise ProviderError("The provider's answer holds no certificates.") from None

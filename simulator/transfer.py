"""Files over the wire as a station moves them: HTTP(S) and FTP(S), for real."""

from __future__ import annotations

import base64
import io
import ssl
import zipfile
from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from urllib.parse import unquote, urlsplit

import aioftp
import httpx
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

TIMEOUT_S = 30.0
MAGIC = b"voltyard-firmware "  # an image begins with this and its version


class TransferError(Exception):
    """The other side could not be reached, or refused."""


async def download(location: str) -> bytes:
    """The file at an address. TransferError."""
    parts = urlsplit(location)
    try:
        if parts.scheme in ("http", "https"):
            async with httpx.AsyncClient(timeout=TIMEOUT_S, verify=False) as http:
                answer = await http.get(location)
                answer.raise_for_status()
                return answer.content
        async with _ftp(location) as client:
            found = bytearray()
            async with client.download_stream(unquote(parts.path).lstrip("/")) as stream:
                async for block in stream.iter_by_block():
                    found += block
            return bytes(found)
    except (httpx.HTTPError, httpx.InvalidURL, aioftp.AIOFTPException, OSError, ValueError) as error:
        raise TransferError(str(error) or type(error).__name__) from error


async def upload(location: str, name: str, content: bytes, *, form: bool = False) -> None:
    """Put the file below an address, as `curl -T` does; `form`: by POST as multipart. TransferError."""
    parts = urlsplit(location)
    target = location if not parts.path.endswith("/") and parts.path else location.rstrip("/") + f"/{name}"
    try:
        if parts.scheme in ("http", "https"):
            async with httpx.AsyncClient(timeout=TIMEOUT_S, verify=False) as http:
                if form:
                    answer = await http.post(location, files={"file": (name, content)})
                else:
                    answer = await http.put(target, content=content)
                answer.raise_for_status()
                return
        async with _ftp(location) as client, client.upload_stream(name) as stream:
            await stream.write(content)
    except (httpx.HTTPError, httpx.InvalidURL, aioftp.AIOFTPException, OSError, ValueError) as error:
        raise TransferError(str(error) or type(error).__name__) from error


def _ftp(location: str) -> AbstractAsyncContextManager[aioftp.Client]:
    parts = urlsplit(location)
    if parts.scheme not in ("ftp", "ftps"):
        raise ValueError(f"{parts.scheme} is not known here")
    secure = parts.scheme == "ftps"
    context = ssl.create_default_context() if secure else None
    if context is not None:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return aioftp.Client.context(
        parts.hostname or "",
        parts.port or (990 if secure else 21),
        unquote(parts.username or "anonymous"),
        unquote(parts.password or ""),
        ssl=context,
        socket_timeout=TIMEOUT_S,
    )


def version_in(content: bytes) -> str:
    """The version that an image says it is; empty for one that says nothing."""
    line = content[:120].partition(b"\n")[0]
    return line[len(MAGIC) :].decode("ascii", "replace").strip() if line.startswith(MAGIC) else ""


def is_signed_by(content: bytes, signature: str, certificate: str) -> bool:
    """Whether the certificate's key made this signature (base64, SHA-256; RSA-PSS or ECDSA)."""
    try:
        key = x509.load_pem_x509_certificate(certificate.encode()).public_key()
        raw = base64.b64decode(signature)
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(raw, content, ec.ECDSA(SHA256()))
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(raw, content, padding.PSS(padding.MGF1(SHA256()), padding.PSS.AUTO), SHA256())
        else:
            return False
    except (InvalidSignature, ValueError):
        return False
    return True


def packed(files: Mapping[str, Iterable[str]]) -> bytes:
    """A zip with logs, each by its lines."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, lines in files.items():
            archive.writestr(name, "".join(f"{line}\n" for line in lines))
    return target.getvalue()

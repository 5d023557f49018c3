"""Bytes on disk and in the storage: spooled first, whole files alone reach the storage, nothing is held in memory."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from django.conf import settings
from django.core.files import File
from django.core.files.storage import default_storage
from django.utils import timezone

from stations.services import words
from tenants.errors import DomainError, Unavailable

CHUNK = 256 * 1024
HEAD = 4096  # bytes that tell what a file is
RESERVE = 256_000_000  # bytes of the disk that no file may take: the database may live there too
_CACHE_DAYS = 7
_KINDS = (
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"PK\x05\x06", "application/zip"),
    (257, b"ustar", "application/x-tar"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"BZh", "application/x-bzip2"),
    (0, b"\xfd7zXZ\x00", "application/x-xz"),
    (0, b"\x7fELF", "application/x-executable"),
    (0, b"%PDF", "application/pdf"),
    (0, b"\xd4\xc3\xb2\xa1", "application/vnd.tcpdump.pcap"),
    (0, b"\xa1\xb2\xc3\xd4", "application/vnd.tcpdump.pcap"),
)


class TooLarge(DomainError):
    code, title, status = "too_large", "The file is larger than is allowed here", 413


def sniffed(head: bytes) -> str:
    """What a file is by its first bytes, whatever its name says."""
    for offset, magic, kind in _KINDS:
        if head[offset : offset + len(magic)] == magic:
            return kind
    if b"\0" in head:
        return "application/octet-stream"
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        # A character cut in two at the end of the head is text all the same.
        if error.start < len(head) - 4 or len(head) < HEAD:
            printable = sum(byte in b"\t\n\r" or 32 <= byte < 127 for byte in head)
            return "text/plain" if printable > 0.95 * len(head) else "application/octet-stream"
    return "text/plain"


def plain_name(name: str, default: str) -> str:
    """A file name of harmless characters, without a folder."""
    last = re.split(r"[/\\]", name.strip())[-1]
    kept = re.sub(r"[^\w.+=@-]+", "_", last, flags=re.ASCII).lstrip(".")
    return kept[-120:] or default


@dataclass
class Spooled:
    """A file as it comes in. `path` is ours until `keep` or `discard`."""

    path: Path
    limit: int
    size: int = 0
    head: bytes = b""

    def __post_init__(self) -> None:
        self._file: IO[bytes] = self.path.open("wb")
        self._sha256, self._md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)

    def write(self, data: bytes) -> None:
        """TooLarge once the limit is passed; Unavailable where the disk is full."""
        if self.size + len(data) > self.limit:
            raise TooLarge(f"Files here may have {self.limit // 1_000_000} MB at most.")
        if free_bytes() < RESERVE:
            raise Unavailable(words.DISK_FULL)
        try:
            self._file.write(data)
        except OSError as error:
            raise Unavailable(words.OUR_TROUBLE) from error
        if len(self.head) < HEAD:
            self.head += data[: HEAD - len(self.head)]
        self.size += len(data)
        self._sha256.update(data)
        self._md5.update(data)

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    @property
    def md5(self) -> str:
        return self._md5.hexdigest()

    @property
    def digest(self) -> bytes:
        return self._sha256.digest()

    def close(self) -> None:
        self._file.close()

    def discard(self) -> None:
        self.close()
        with suppress(OSError):
            self.path.unlink()

    def keep(self, folder: str) -> str:
        """Hand the whole file to the storage; its name there."""
        self.close()
        wanted = f"{folder}/{timezone.now():%Y/%m}/{secrets.token_hex(16)}"
        with self.path.open("rb") as content:
            name: str = default_storage.save(wanted, File(content))
        self.discard()
        return name


def spool(limit: int) -> Spooled:
    folder = Path(settings.DATA_DIR) / "spool"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return Spooled(folder / secrets.token_hex(16), limit)


def sweep_spool(older_than_seconds: float = 86_400) -> int:
    """Uploads whose process died."""
    gone = 0
    folder = Path(settings.DATA_DIR) / "spool"
    for path in folder.iterdir() if folder.is_dir() else ():
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > older_than_seconds:
                path.unlink()
                gone += 1
    return gone


def forget(storage_name: str) -> None:
    """Delete from the storage; what is gone already is no error."""
    if storage_name:
        with suppress(FileNotFoundError):
            default_storage.delete(storage_name)


def opened(storage_name: str) -> IO[bytes]:
    """For reading. Unavailable where the storage has lost it or cannot be reached."""
    try:
        return cast(IO[bytes], default_storage.open(storage_name, "rb"))
    except Exception as error:
        raise Unavailable("The storage does not give this file out now.") from error


def chunks(file: IO[bytes], start: int = 0, length: int | None = None) -> Iterator[bytes]:
    """The file from `start`, so many bytes; closes it."""
    try:
        file.seek(start)
        left = length
        while left is None or left > 0:
            data = file.read(CHUNK if left is None else min(CHUNK, left))
            if not data:
                return
            if left is not None:
                left -= len(data)
            yield data
    finally:
        file.close()


def local_copy(storage_name: str, sha256: str) -> Path:
    """A path from which parts can be read again and again: hundreds of stations fetch the same image.

    In a local storage the file itself; else a copy, fetched once, checked, and dropped a week after its last use.
    """
    try:
        return Path(default_storage.path(storage_name))
    except NotImplementedError:
        pass
    folder = Path(settings.DATA_DIR) / "cache"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    wanted = folder / sha256
    if wanted.exists():
        os.utime(wanted)
        return wanted
    draft = folder / f"{sha256}.{secrets.token_hex(4)}"
    found = hashlib.sha256()
    try:
        with draft.open("wb") as copy:
            for data in chunks(opened(storage_name)):
                found.update(data)
                copy.write(data)
        if found.hexdigest() != sha256:
            raise Unavailable("The stored image is damaged. Upload it again.")
        draft.replace(wanted)
    finally:
        draft.unlink(missing_ok=True)
    _prune(folder)
    return wanted


def _prune(folder: Path) -> None:
    for path in folder.iterdir():
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _CACHE_DAYS * 86_400:
                path.unlink()


def free_bytes() -> int:
    return shutil.disk_usage(settings.DATA_DIR).free

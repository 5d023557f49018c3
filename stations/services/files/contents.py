"""What stands in an uploaded log, within bounds: lines of text, members of archives. Nothing is unpacked to disk, and
an archive that swells (a zip bomb) is read no further than the bound."""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BufferedIOBase, RawIOBase
from typing import IO, Any, cast

from stations.models import LogFile
from stations.services.files import store

MOST_BYTES = 24_000_000  # of text that is looked at
MOST_LINES = 300_000
MOST_UNPACKED = 120_000_000  # that an archive may swell to while its members are listed
MOST_MEMBERS = 500
MOST_DIRECTORY = 4_000_000  # bytes of a zip's list of members: it is read into memory as a whole
LONGEST_LINE = 2_000
PAGE = 400  # lines
ERROR = re.compile(
    r"\b(error|err|fail(?:ed|ure)?|fault(?:ed)?|exception|traceback|fatal|critical|panic|alarm|emerg)\b",
    re.IGNORECASE,
)
WARNING = re.compile(r"\b(warn(?:ing)?|timeout|retry|refused|denied)\b", re.IGNORECASE)


class TooMuch(Exception):
    """The bound is reached."""


@dataclass(frozen=True, slots=True)
class Member:
    name: str
    size: int | None


@dataclass(frozen=True, slots=True)
class Line:
    number: int
    text: str
    level: str  # error | warning | ""


@dataclass(slots=True)
class Shown:
    """A page of a file. `more`: the file goes on past what was looked at."""

    lines: list[Line] = field(default_factory=list)
    members: list[Member] = field(default_factory=list)
    member: str = ""
    total: int = 0  # lines that match
    all_lines: int = 0
    errors: int = 0
    warnings: int = 0
    more: bool = False
    readable: bool = True
    problem: str = ""


class _Bounded(RawIOBase):
    """A stream that ends by TooMuch after so many bytes."""

    def __init__(self, inner: Any, most: int) -> None:
        self._inner, self._left = inner, most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._inner.read(min(len(buffer), store.CHUNK))
        self._left -= len(data)
        if self._left < 0:
            raise TooMuch
        buffer[: len(data)] = data
        return len(data)


def shown(file: LogFile, *, member: str = "", query: str = "", only: str = "", page: int = 1) -> Shown:
    """A page of a log's lines, or of a member of an archive. `only`: "error" or "warning" narrows to those."""
    answer = Shown(member=member)
    with store.opened(file.storage_name) as raw:
        try:
            text = _text(raw, file, member, answer)
            if text is not None:
                _read(text, answer, query.lower(), only, page)
        except TooMuch:
            answer.more = True
        except (OSError, EOFError, ValueError, RuntimeError, NotImplementedError, zlib.error, lzma.LZMAError,
                zipfile.BadZipFile, tarfile.TarError):  # fmt: skip
            answer.problem = "damaged"
    return answer


def _text(raw: IO[bytes], file: LogFile, member: str, answer: Shown) -> Any:
    """The stream of text to show; None where there is only a list of members, or nothing readable."""
    kind = file.content_type
    if kind == "text/plain":
        return raw
    if kind == "application/zip":
        return _zip(raw, member, answer)
    unpack = {
        "application/gzip": gzip.GzipFile,
        "application/x-bzip2": bz2.BZ2File,
        "application/x-xz": lzma.LZMAFile,
    }
    if kind in unpack:
        opened = _unpacked(unpack[kind], raw)
        head = opened.read(store.HEAD)
        raw.seek(0)
        opened = _unpacked(unpack[kind], raw)
        if head[257:262] == b"ustar":
            return _tar(opened, member, answer)
        answer.readable = store.sniffed(head) == "text/plain"
        return opened if answer.readable else None
    if kind == "application/x-tar":
        return _tar(raw, member, answer)
    answer.readable = False
    return None


def _unpacked(how: Any, raw: IO[bytes]) -> Any:
    return how(fileobj=raw) if how is gzip.GzipFile else how(raw)


def _zip(raw: IO[bytes], member: str, answer: Shown) -> Any:
    end = zipfile._EndRecData(raw)  # type: ignore[attr-defined]  # as ZipFile itself reads it, before it reads the list
    if end and end[5] > MOST_DIRECTORY:
        answer.more = True
        return None
    archive = zipfile.ZipFile(raw)
    found = [info for info in archive.infolist() if not info.is_dir()]
    answer.members = [Member(info.filename[:300], info.file_size) for info in found[:MOST_MEMBERS]]
    answer.more = len(found) > MOST_MEMBERS
    chosen = member or _only(answer)
    if not chosen:
        return None
    info = next((one for one in found if one.filename == chosen), None)
    if info is None or info.flag_bits & 1:  # encrypted
        answer.problem = "missing" if info is None else "encrypted"
        return None
    answer.member = chosen
    return _peeked(archive.open(info), answer)


def _tar(stream: Any, member: str, answer: Shown) -> Any:
    archive = tarfile.open(fileobj=cast(Any, _Bounded(stream, MOST_UNPACKED)), mode="r|")  # noqa: SIM115 - nothing to close: the stream is the caller's
    for number, info in enumerate(archive):
        if number >= MOST_MEMBERS * 2:
            answer.more = True
            break
        if not info.isfile():
            continue
        answer.members.append(Member(info.name[:300], info.size))
        if info.name == member:
            answer.member = member
            inner = archive.extractfile(info)
            return _peeked(inner, answer) if inner else None
        if len(answer.members) >= MOST_MEMBERS:
            answer.more = True
            break
    if member:
        answer.problem = "missing"
    return None


def _only(answer: Shown) -> str:
    return answer.members[0].name if len(answer.members) == 1 else ""


def _peeked(stream: Any, answer: Shown) -> Any:
    """The stream, if it is text; what was looked at stays in it."""
    head = stream.read(store.HEAD)
    kind = store.sniffed(head)
    if kind == "application/gzip":
        inner = gzip.GzipFile(fileobj=cast(Any, _Rest(head, stream)))
        head = inner.read(store.HEAD)
        answer.readable = store.sniffed(head) == "text/plain"
        return _Rest(head, inner) if answer.readable else None
    answer.readable = kind == "text/plain"
    return _Rest(head, stream) if answer.readable else None


class _Rest(BufferedIOBase):
    """A stream with its head put back."""

    def __init__(self, head: bytes, stream: Any) -> None:
        self._head, self._stream = head, stream

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        if not self._head:
            return bytes(self._stream.read(store.CHUNK if size is None or size < 0 else size))
        size = len(self._head) if size is None or size < 0 else size
        data, self._head = self._head[:size], self._head[size:]
        return data


def _read(stream: Any, answer: Shown, query: str, only: str, page: int) -> None:
    first = (page - 1) * PAGE
    for number, text in enumerate(_lines(stream, answer), start=1):
        if number > MOST_LINES:
            answer.more = True
            return
        answer.all_lines = number
        level = "error" if ERROR.search(text) else "warning" if WARNING.search(text) else ""
        answer.errors += level == "error"
        answer.warnings += level == "warning"
        if (only and level != only) or (query and query not in text.lower()):
            continue
        answer.total += 1
        if first < answer.total <= first + PAGE:
            answer.lines.append(Line(number, text, level))


def _lines(stream: Any, answer: Shown) -> Iterator[str]:
    """Lines as text, cut where they are endless; marks `more` at the bound."""
    decode = codecs.getincrementaldecoder("utf-8")("replace")
    left, seen = "", 0
    while data := stream.read(store.CHUNK):
        seen += len(data)
        parts = (left + decode.decode(data)).split("\n")
        left = parts.pop()
        for part in parts:
            yield _clean(part)
        while len(left) > LONGEST_LINE:
            yield _clean(left[:LONGEST_LINE])
            left = left[LONGEST_LINE:]
        if seen >= MOST_BYTES:
            answer.more = True
            return
    if left:
        yield _clean(left)


def _clean(text: str) -> str:
    """Without control characters, which terminals obey and readers do not."""
    cut = text[:LONGEST_LINE].rstrip("\r")
    return "".join(letter if letter == "\t" or letter >= " " else "\ufffd" for letter in cut)

"""multipart/form-data as a stream: of all parts only the file, of the file only the piece in hand (RFC 7578)."""

from __future__ import annotations

import re
from collections.abc import Iterator

MOST_HEADER = 16_384
_BOUNDARY = re.compile(r'boundary=(?:"([^"]{1,200})"|([^;,\s]{1,200}))', re.IGNORECASE)
_NAME = re.compile(r'filename\*?=(?:UTF-8\'\')?(?:"([^"]*)"|([^;\r\n]+))', re.IGNORECASE)


class Malformed(ValueError):
    """A body that is no multipart."""


def boundary_of(content_type: str) -> bytes | None:
    if not content_type.lower().startswith("multipart/"):
        return None
    found = _BOUNDARY.search(content_type)
    return (found[1] or found[2]).encode() if found else None


class FilePart:
    """Feed it the body; it gives the bytes of the first part that has a file name, else of none."""

    def __init__(self, boundary: bytes) -> None:
        self.name = ""
        self.begun = False
        self.done = False
        self._mark = b"\r\n--" + boundary
        self._left = b"\r\n"  # so that the first boundary looks like all others
        self._in_file = False
        self._at_headers = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._left += data
        while not self.done:
            if self._at_headers:
                if not self._read_headers():
                    return
                continue
            place = self._left.find(self._mark)
            if place < 0:
                ready = len(self._left) - len(self._mark)
                if ready > 0:
                    if self._in_file:
                        yield self._left[:ready]
                    self._left = self._left[ready:]
                return
            if len(self._left) < place + len(self._mark) + 2:
                return
            if self._in_file and place:
                yield self._left[:place]
            after = self._left[place + len(self._mark) :]
            self._left = after
            self._at_headers = True
            if self._in_file or after[:2] == b"--":
                self.done = True

    def _read_headers(self) -> bool:
        end = self._left.find(b"\r\n\r\n")
        if end < 0:
            if len(self._left) > MOST_HEADER:
                raise Malformed("a part's header has no end")
            return False
        header = self._left[:end].decode("utf-8", "replace")
        self._left = self._left[end + 4 :]
        found = _NAME.search(header)
        self._at_headers, self._in_file = False, found is not None
        if found is not None:
            self.name, self.begun = found[1] or found[2] or "", True
        return True

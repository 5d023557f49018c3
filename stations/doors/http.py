"""The file door by HTTP: `/files/<secret>/...`, beside the sockets of the gateway.

PUT and POST (raw or multipart) upload a log; GET and HEAD give out a firmware image, in parts if asked (RFC 9110 14).
Bodies stream: what the disk or the peer cannot take yet waits at its sender.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from django.conf import settings

from stations.doors.multipart import FilePart, Malformed, boundary_of
from stations.doors.work import (
    IDLE_SECONDS,
    LONGEST_SECONDS,
    PROGRESS_SECONDS,
    BrokeOff,
    Moving,
    Receiving,
    Threads,
    begin_upload,
    describe,
)
from stations.services import words
from stations.services.files import tickets, updates
from tenants.errors import DomainError, Unavailable
from tenants.middleware import client_address

log = logging.getLogger("voltyard.files")

BLOCK = 128 * 1024
MOST_AFTER = 10_000_000  # bytes of a refused body that are read and dropped, so that the peer sees why
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class Refused(Exception):
    def __init__(self, status: int, detail: str, **headers: str) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers


@dataclass(slots=True)
class Request:
    scope: dict[str, Any]
    receive: Any
    send: Any
    ended: bool = False  # the body was read to its end

    @property
    def method(self) -> str:
        return str(self.scope["method"])

    def header(self, name: bytes) -> str:
        found = next((value for key, value in self.scope["headers"] if key == name), b"")
        return bytes(found).decode("latin-1")

    @property
    def address(self) -> str:
        direct = (self.scope.get("client") or ("",))[0]
        return client_address(direct, self.header(b"x-forwarded-for"))[:64]

    @property
    def is_secure(self) -> bool:
        direct = (self.scope.get("client") or ("",))[0]
        proxied = client_address(direct, self.header(b"x-forwarded-for")) != direct
        return self.scope.get("scheme") == "https" or (
            proxied and self.header(b"x-forwarded-proto") == "https"
        )

    async def body(self) -> AsyncIterator[bytes]:
        """BrokeOff when it ends too early."""
        while not self.ended:
            try:
                message = await asyncio.wait_for(self.receive(), IDLE_SECONDS)
            except TimeoutError:
                raise BrokeOff(words.FELL_SILENT) from None
            if message["type"] == "http.disconnect":
                raise BrokeOff(words.BROKE_OFF)
            self.ended = not message.get("more_body")
            if data := message.get("body", b""):
                yield data

    async def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        listed = {"content-length": str(len(body)), "x-content-type-options": "nosniff"}
        listed |= {name.replace("_", "-"): value for name, value in headers.items()}
        await self.start(status, listed)
        await self.send({"type": "http.response.body", "body": b"" if self.method == "HEAD" else body})

    async def start(self, status: int, headers: dict[str, str]) -> None:
        pairs = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": pairs})


class FileDoor:
    """The ASGI application below /files/."""

    def __init__(self) -> None:
        self._threads, self._moving = Threads(), Moving()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        request = Request(scope, receive, send)
        try:
            await self._serve(request)
        except Refused as refusal:
            await self._refuse(request, refusal.status, refusal.detail, **refusal.headers)
        except DomainError as error:
            await self._refuse(request, error.status, error.detail)
        except BrokeOff:
            pass
        except Exception:
            log.exception("file door failed")
            await self._refuse(request, 500, words.OUR_TROUBLE)

    async def _refuse(self, request: Request, status: int, detail: str, **headers: str) -> None:
        """A peer that still sends sees the answer only once its body is taken, up to a bound."""
        if request.method in ("PUT", "POST"):
            with contextlib.suppress(BrokeOff):
                dropped = 0
                async with asyncio.timeout(IDLE_SECONDS):
                    if request.header(b"expect").lower() != "100-continue":
                        async for data in request.body():
                            dropped += len(data)
                            if dropped > MOST_AFTER:
                                break
        text = json.dumps({"status": status, "detail": detail}).encode()
        with contextlib.suppress(Exception):
            await request.answer(
                status, text, content_type="application/problem+json", connection="close", **headers
            )

    async def _serve(self, request: Request) -> None:
        if not (request.is_secure or settings.FILES_ALLOW_HTTP):
            raise Refused(403, "Use https: this installation takes no files over plain http.")
        token, _slash, rest = request.scope["path"].removeprefix(tickets.HTTP_ROOT).partition("/")
        found = await self._threads.run(lambda: tickets.find(token))
        if found is None:
            raise Refused(404, "There is no such address, or it has expired.")
        if self._moving.full:
            raise Refused(503, "Many files are moving now. Try again in a minute.", retry_after="60")
        with self._moving.one(found.ticket_id):
            try:
                async with asyncio.timeout(LONGEST_SECONDS):
                    await self._move(request, found, unquote(rest))
            except TimeoutError:
                raise BrokeOff(words.TOOK_TOO_LONG) from None

    async def _move(self, request: Request, found: tickets.Found, rest: str) -> None:
        if request.method in ("PUT", "POST"):
            await self._upload(request, found, rest)
        elif request.method in ("GET", "HEAD"):
            await self._download(request, found)
        else:
            raise Refused(405, "PUT or POST a log, GET an image.", allow="GET, HEAD, POST, PUT")

    # --- up ---

    async def _upload(self, request: Request, found: tickets.Found, rest: str) -> None:
        length = request.header(b"content-length")
        expected = int(length) if length.isdecimal() and len(length) < 16 else None
        boundary = boundary_of(request.header(b"content-type"))
        upload = await begin_upload(self._threads, found, expected=expected, address=request.address)
        receiving = Receiving(self._threads, upload, "https" if request.is_secure else "http")
        try:
            name = await self._take(request, receiving, boundary)
        except BaseException as error:
            if isinstance(error, Malformed):
                error = Refused(400, f"The form cannot be read: {error}.")
            await asyncio.shield(
                receiving.drop(error.detail if isinstance(error, Refused) else describe(error))
            )
            raise error from None
        file = await receiving.keep(name or rest or _disposed(request.header(b"content-disposition")))
        told = {"file": file.name, "size": file.size_bytes, "sha256": file.sha256}
        await request.answer(200, json.dumps(told).encode(), content_type="application/json")

    async def _take(self, request: Request, receiving: Receiving, boundary: bytes | None) -> str:
        part = FilePart(boundary) if boundary else None
        async for data in request.body():
            if part is None:
                await receiving.write(data)
            else:
                for piece in part.feed(data):
                    await receiving.write(piece)
        if part is not None and not part.begun:
            raise Malformed("it has no part with a file name")
        if part is not None and not part.done:
            raise Malformed("its last part has no end")
        if receiving.size == 0:
            raise Refused(400, words.EMPTY)
        return part.name if part else ""

    # --- down ---

    async def _download(self, request: Request, found: tickets.Found) -> None:
        given = await self._threads.within(
            found.tenant_id,
            lambda: updates.begin_download(
                tenant_id=found.tenant_id, ticket_id=found.ticket_id, address=request.address
            ),
        )
        etag = f'"{given.sha256}"'
        headers = {
            "content-type": "application/octet-stream",
            "content-disposition": f'attachment; filename="{given.name}"',
            "accept-ranges": "bytes",
            "etag": etag,
            "cache-control": "private, no-store",
            "x-content-type-options": "nosniff",
        }
        start, end = 0, given.size
        status = 200
        wanted = request.header(b"range")
        if wanted and request.header(b"if-range") in ("", etag):
            span = byte_range(wanted, given.size)
            if span is None:
                raise Refused(416, "This part is not in the file.", content_range=f"bytes */{given.size}")
            start, end = span
            if (start, end) != (0, given.size):
                status = 206
                headers["content-range"] = f"bytes {start}-{end - 1}/{given.size}"
        headers["content-length"] = str(end - start)
        path = Path(await self._threads.run(lambda: updates.local_copy(given)))
        await request.start(status, headers)
        if request.method == "HEAD":
            await request.send({"type": "http.response.body", "body": b""})
            return
        await self._give(request, given, path, start, end)

    async def _give(
        self, request: Request, given: updates.Download, path: Path, start: int, end: int
    ) -> None:
        gone = asyncio.create_task(_disconnected(request))
        told, at, reported = time.monotonic(), start, start
        try:
            with await self._threads.run(lambda: path.open("rb")) as file:
                file.seek(start)
                while at < end and not gone.done():
                    size = min(BLOCK, end - at)
                    data = await self._threads.run(lambda size=size: file.read(size))  # type: ignore[misc]
                    if not data:
                        raise Unavailable("The image is shorter than it was.")
                    async with asyncio.timeout(IDLE_SECONDS):
                        await request.send({"type": "http.response.body", "body": data, "more_body": True})
                    at += len(data)
                    if time.monotonic() - told > PROGRESS_SECONDS:
                        told = time.monotonic()
                        await self._progress(given, at, at - reported)
                        reported = at
            if not gone.done():
                await request.send({"type": "http.response.body", "body": b""})
        except TimeoutError:
            raise BrokeOff(words.FELL_SILENT) from None
        finally:
            gone.cancel()
            await asyncio.shield(self._progress(given, at, at - reported))

    async def _progress(self, given: updates.Download, reached: int, moved: int) -> None:
        with contextlib.suppress(Exception):
            await self._threads.within(
                given.tenant_id, lambda: updates.progress(download=given, reached=reached, moved=moved)
            )


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def byte_range(text: str, size: int) -> tuple[int, int] | None:
    """(first, last + 1) of a Range header; the whole for one of many parts or of other units; None: not in the file."""
    found = _RANGE.fullmatch(text.strip().replace(" ", ""))
    if found is None or (not found[1] and not found[2]):
        return 0, size
    if not found[1]:
        length = int(found[2])
        return (max(0, size - length), size) if length else None
    start = int(found[1])
    end = min(size, int(found[2]) + 1) if found[2] else size
    return (start, end) if start < end else None


def _disposed(header: str) -> str:
    found = re.search(r'filename="?([^";]+)"?', header)
    return found[1] if found else ""

"""Stored files as answers: streamed from the storage, marked as what they are, never shown by a browser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import IO

from asgiref.sync import sync_to_async
from django.http import HttpResponse, StreamingHttpResponse

from stations.services.files import store


async def _parts(file: IO[bytes]) -> AsyncIterator[bytes]:
    try:
        while data := await sync_to_async(file.read, thread_sensitive=False)(store.CHUNK):
            yield data
    finally:
        await sync_to_async(file.close, thread_sensitive=False)()


def attachment(storage_name: str, name: str, size: int) -> StreamingHttpResponse:
    """A download. Whatever it holds, no browser may take it for a page (nosniff, attachment, a sandbox)."""
    response = StreamingHttpResponse(
        _parts(store.opened(storage_name)), content_type="application/octet-stream"
    )
    response["Content-Length"] = str(size)
    _guard(response, name)
    return response


def _guard(response: HttpResponse | StreamingHttpResponse, name: str) -> None:
    response["Content-Disposition"] = f'attachment; filename="{store.plain_name(name, "file")}"'
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response["Cache-Control"] = "private, no-store"

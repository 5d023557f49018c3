"""Structured logs: one JSON event a line, nothing secret in them."""

from __future__ import annotations

import json
import logging
import re
import time
import traceback
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse

_PLAIN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_SECRETS = (
    re.compile(r"(?i)(authorization: *\w+ +)\S+"),
    re.compile(r"(\w+://[^:/@\s]*:)[^@/\s]+(@)"),
    re.compile(r"\b(vy_[^_\s]+_)\S+"),
    re.compile(r"(?i)((?:password|secret|authorizationkey|api_?key)[\"']?\s*[:=]\s*[\"']?)[^\s\"',}]+"),
)


def masked(text: str) -> str:
    """The text with credentials that are recognised by their shape replaced by asterisks."""
    for pattern in _SECRETS:
        text = pattern.sub(_stars, text)
    return text


def _stars(found: re.Match[str]) -> str:
    return found.group(1) + "***" + (found.group(2) if found.lastindex == 2 else "")


_SECRET_NAME = re.compile(r"(?i)password|secret|authorization|api_?key|token$")


def _clean(value: Any, name: str = "") -> Any:
    """The value as JSON with secrets masked, by what they are called and by how they look."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if name and _SECRET_NAME.search(name):
        return "***"
    if isinstance(value, dict):
        return {str(key): _clean(part, str(key)) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(part) for part in value]
    return masked(str(value))


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        event: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": settings.PROCESS,
            "event": masked(record.getMessage()),
        }
        event |= {name: value for name, value in vars(record).items() if name not in _PLAIN}
        if isinstance(event.get("request"), HttpRequest):
            # Django hands over the whole request, whose text holds the query string.
            event["request_id"] = getattr(event.pop("request"), "request_id", None)
        if record.exc_info:
            event["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(_clean(event), ensure_ascii=False)


log = logging.getLogger("voltyard.request")


class RequestLogMiddleware:
    """One event a request, with an id that the answer carries too. Query strings stay out: they may hold secrets."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request_id = uuid.uuid4().hex[:16]
        request.request_id = request_id  # type: ignore[attr-defined]
        began = time.perf_counter()
        response = self.get_response(request)
        response["X-Request-Id"] = request_id
        if not request.path.startswith(("/static/", "/health/", "/metrics")):
            log.info(
                "request",
                extra={
                    "request_id": request_id,
                    "method": request.method,
                    "path": request.path,
                    "status": response.status_code,
                    "ms": round((time.perf_counter() - began) * 1000, 1),
                    "tenant": getattr(getattr(request, "tenant", None), "slug", None),
                },
            )
        return response

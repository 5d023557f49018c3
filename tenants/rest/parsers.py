"""JSON as strangers send it: refused early where the database or the machine could choke on it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import IO, Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from tenants.errors import Invalid

MAX_DEPTH = 32


class StrictJSONParser(BaseParser):
    """UTF-8 JSON without duplicate names, NaN, NUL, lone surrogates or nesting beyond MAX_DEPTH."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        body = stream.read(most + 1)
        if len(body) > most:
            raise RequestDataTooBig
        try:
            text = body.decode("utf-8")
            value = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            raise ParseError(f"The body is no valid JSON: {_reason(error)}") from None
        check(value)
        return value


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8."
    return "it is nested too deeply." if isinstance(error, RecursionError) else f"{error}."


def _unique(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the name {name[:60]!r} occurs twice")
        found[name] = value
    return found


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no number")


def unstorable(text: str) -> bool:
    """PostgreSQL stores neither NUL nor lone surrogates."""
    return "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text)


def check(value: Any, path: str = "", depth: int = 0) -> None:
    """Invalid if a name or text anywhere inside cannot be stored, or if it is nested too deeply."""
    if depth > MAX_DEPTH:
        raise Invalid(f"The body is nested more than {MAX_DEPTH} levels deep.")
    if isinstance(value, str) and unstorable(value):
        raise Invalid(fields={path or "body": "Contains a NUL character or half of a surrogate pair."})
    if isinstance(value, dict):
        for name, part in value.items():
            check(name, path or "body", depth)
            check(part, f"{path}.{name}" if path else name, depth + 1)
    elif isinstance(value, list):
        for number, part in enumerate(value):
            check(part, f"{path}.{number}" if path else str(number), depth + 1)

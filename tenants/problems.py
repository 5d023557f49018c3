"""Domain errors as HTTP, in one place: RFC 9457 problem documents for REST, a page for people."""

from __future__ import annotations

import math
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import IntegrityError, transaction
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from rest_framework import exceptions
from rest_framework.response import Response

from tenants.context import current_alias
from tenants.errors import Conflict, DomainError, Forbidden, Invalid, NotFound, TooMany

CONTENT_TYPE = "application/problem+json"
UNIQUE_VIOLATION = "23505"  # PostgreSQL Appendix A: two writers raced, or a service did not look first
TITLES = {
    400: "The request cannot be read",
    401: "A usable API key is needed",
    405: "This address has no such method",
    406: "Only JSON is given here",
    415: "Only JSON is taken here",
}


def document(error: DomainError) -> dict[str, Any]:
    """The problem document (RFC 9457 section 3) of a domain error."""
    body: dict[str, Any] = {
        "type": f"urn:voltyard:problem:{error.code}",
        "title": str(error.title),
        "status": error.status,
        "detail": str(error.detail),
        "code": error.code,
    }
    if isinstance(error, Invalid) and error.fields:
        body["errors"] = [{"field": name, "detail": str(text)} for name, text in error.fields.items()]
    return body


def json_response(error: DomainError) -> JsonResponse:
    return JsonResponse(document(error), status=error.status, content_type=CONTENT_TYPE)


def page_response(request: HttpRequest, error: DomainError) -> HttpResponse:
    return render(request, "error.html", {"error": error}, status=error.status)


def to_response(request: HttpRequest, error: DomainError) -> HttpResponse:
    return json_response(error) if request.path.startswith("/api/") else page_response(request, error)


def _flatten(detail: Any, name: str = "") -> dict[str, str]:
    if isinstance(detail, dict):
        fields: dict[str, str] = {}
        for key, value in detail.items():
            fields |= _flatten(value, f"{name}.{key}" if name else str(key))
        return fields
    if isinstance(detail, list):
        return {name: "; ".join(str(part) for part in detail)}
    return {name: str(detail)}


def from_exception(error: Exception) -> DomainError | None:
    """The domain error that an exception of Django or of the REST framework means; None if it means none."""
    if isinstance(error, DomainError):
        return error
    if isinstance(error, Http404):
        return NotFound()
    if isinstance(error, PermissionDenied | exceptions.PermissionDenied):
        return Forbidden()
    if isinstance(error, IntegrityError) and getattr(error.__cause__, "sqlstate", "") == UNIQUE_VIOLATION:
        return Conflict(
            "Something with these values exists already. Read it, then change it or choose others."
        )
    if isinstance(error, RequestDataTooBig):
        return _told("The body is too large.", "too_large", 413, "The body is too large")
    if isinstance(error, exceptions.ValidationError):
        return Invalid(fields=_flatten(error.detail))
    if isinstance(error, exceptions.Throttled):
        return TooMany(str(error.detail))
    if isinstance(error, exceptions.APIException):
        title = TITLES.get(error.status_code, str(error.default_detail))
        return _told(str(error.detail), str(error.default_code), error.status_code, title)
    return None


def _told(detail: str, code: str, status: int, title: str) -> DomainError:
    error = DomainError(detail, code=code)
    error.status, error.title = status, title
    return error


def problem_response(error: Exception, context: dict[str, Any]) -> Response | None:
    """Exception handler of the REST framework. Whatever the request wrote is undone."""
    known = from_exception(error)
    if known is None:
        return None
    connection = transaction.get_connection(current_alias())
    if connection.in_atomic_block:
        connection.set_rollback(True)
    return Response(
        document(known), status=known.status, content_type=CONTENT_TYPE, headers=_headers(error, known)
    )


def _headers(error: Exception, known: DomainError) -> dict[str, str]:
    if known.status == 401:
        return {"WWW-Authenticate": "Bearer"}
    wait = getattr(error, "wait", None)
    return {"Retry-After": str(math.ceil(wait))} if wait is not None else {}

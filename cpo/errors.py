"""Errors that reach no view: REST answers with a problem document, the portal with a page."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt

from tenants import problems
from tenants.errors import DomainError, Forbidden, NotFound


class Broken(DomainError):
    code, title, status = "broken", "Something broke on our side", 500


class Unreadable(DomainError):
    code, title, status = "unreadable", "The request cannot be read", 400


def _is_api(request: HttpRequest) -> bool:
    return request.path.startswith("/api/")


@csrf_exempt
def no_such_endpoint(request: HttpRequest, rest: str = "") -> HttpResponse:
    """Any address below /api/ that is none."""
    return problems.json_response(NotFound("There is no such endpoint. /api/schema/ lists them all."))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if _is_api(request):
        return problems.json_response(Unreadable())
    return defaults.bad_request(request, exception)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    return (
        problems.json_response(Forbidden())
        if _is_api(request)
        else defaults.permission_denied(request, exception)
    )


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    return (
        problems.json_response(NotFound())
        if _is_api(request)
        else defaults.page_not_found(request, exception)
    )


def server_error(request: HttpRequest, *args: Any) -> HttpResponseBase:
    """Says nothing of the cause: that stands in the log, under the request's id."""
    if _is_api(request):
        return problems.json_response(
            Broken("It is in the log under X-Request-Id. Nothing of this request was carried out.")
        )
    return defaults.server_error(request)

"""Liveness (the process answers) and readiness (it can do its work)."""

from __future__ import annotations

from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse


def live(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"status": "live"})


def ready(request: HttpRequest) -> HttpResponse:
    """200 when the database answers and is migrated; 503 otherwise. Redis is disposable and does not count."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM tenants_tenant")
    except DatabaseError as error:
        return JsonResponse({"status": "not ready", "database": type(error).__name__}, status=503)
    return JsonResponse({"status": "ready"})

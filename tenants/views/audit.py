"""The audit: who did what, newest first."""

from __future__ import annotations

from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import render

from tenants import queries
from tenants.pages import PageRequest, csv_response, listing, page
from tenants.permissions import Permission

KINDS = ("user", "key", "task", "partner", "station", "staff")


@page(Permission.AUDIT_VIEW)
def audit(request: PageRequest) -> HttpResponse:
    rows = queries.audit(request.tenant.pk, request.actor)
    if text := request.GET.get("q", "").strip():
        rows = rows.filter(
            Q(actor_label__icontains=text) | Q(action__icontains=text) | Q(object_label__icontains=text)
        )
    kind = request.GET.get("by", "")
    if kind in KINDS:
        rows = rows.filter(actor_kind=kind)
    if (object_type := request.GET.get("object")) and (object_id := request.GET.get("id")):
        rows = rows.filter(object_type=object_type, object_id=object_id)
    if request.GET.get("format") == "csv":
        header = ("at", "actor_kind", "actor", "action", "object_type", "object_id", "object", "detail")
        lines = (
            (
                r.at.isoformat(),
                r.actor_kind,
                r.actor_label,
                r.action,
                r.object_type,
                r.object_id,
                r.object_label,
                r.detail,
            )
            for r in rows[:50_000]
        )
        return csv_response("audit.csv", header, lines)
    return render(
        request, "tenants/audit.html", {"listing": listing(request, rows), "kinds": KINDS, "kind": kind}
    )

"""Limits that others set for a site: the grid operator's dimming, an energy management, a partner."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from stations import limits
from stations.models import LimitSource, PowerConstraint
from stations.services import constraints
from stations.views.limits import LOCAL_TIME, constraint_line
from tenants import queries as tenants
from tenants.errors import DomainError, NotFound
from tenants.models import Site
from tenants.pages import PageRequest, PortalForm, go, page
from tenants.permissions import Permission


class ConstraintForm(PortalForm):
    source = forms.ChoiceField(
        label=_("Set by"), choices=LimitSource.choices, initial=LimitSource.GRID_OPERATOR
    )
    power_kw = forms.FloatField(label=_("At most (kW)"), min_value=0, max_value=1_000_000, localize=False)
    until = forms.DateTimeField(
        label=_("Until"),
        required=False,
        input_formats=[LOCAL_TIME],
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format=LOCAL_TIME),
        help_text=_("Empty: until it is taken back."),
    )
    reference = forms.CharField(
        label=_("Reference"), required=False, max_length=80, help_text=_("Such as the order's number.")
    )


@page(Permission.SITE_VIEW)
def site_constraints(request: PageRequest, site_id: int) -> HttpResponse:
    site = _site(request, site_id)
    may_set = request.actor.may(Permission.LIMIT_SET, site_id=site.pk)
    with timezone.override(ZoneInfo(site.time_zone)):
        until = timezone.localtime() + timedelta(hours=2)
        form = ConstraintForm(request.POST or None, initial={"until": until.replace(second=0, microsecond=0)})
        if request.method == "POST" and form.is_valid():
            told = form.cleaned_data
            try:
                constraints.set_limit(
                    tenant_id=site.tenant_id, actor=request.actor, site_id=site.pk, source=told["source"],
                    power_w=told["power_kw"] * 1000, ends_at=told["until"], reference=told["reference"],
                    told_by="portal",
                )  # fmt: skip
                return go(request, "site-constraints", site.pk)
            except DomainError as error:
                form.refused(error)
        rows = limits.open_constraints(site.tenant_id, site_id=site.pk).select_related("station")
        earlier = PowerConstraint.objects.filter(tenant_id=site.tenant_id, site=site).exclude(
            pk__in=[row.pk for row in rows]
        )
        context: dict[str, Any] = {
            "site": site,
            "form": form,
            "lines": [constraint_line(row) for row in rows],
            "earlier": [constraint_line(row) for row in earlier.select_related("station")[:30]],
            "may_set": may_set,
        }
        status = 422 if request.method == "POST" else 200
        return render(request, "portal/site_constraints.html", context, status=status)


def _site(request: PageRequest, site_id: int) -> Site:
    found = tenants.sites(request.tenant.pk, request.actor).filter(pk=site_id).first()
    if found is None:
        raise NotFound
    return found


@require_POST
@page(Permission.LIMIT_SET)
def clear(request: PageRequest, site_id: int, constraint_id: int) -> HttpResponse:
    site = _site(request, site_id)
    if not PowerConstraint.objects.filter(tenant_id=site.tenant_id, site=site, pk=constraint_id).exists():
        raise NotFound
    try:
        constraints.clear(tenant_id=site.tenant_id, constraint_id=constraint_id, actor=request.actor)
    except DomainError as error:
        messages.error(request, str(error))
    return go(request, "site-constraints", site.pk)

"""Meters of a site: what each shows now, entering and changing, and trying before it counts."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from energy import queries
from energy.board import STALE
from energy.feeds import problems, sources, templates
from energy.feeds.feed import Feed
from energy.headroom import FROZEN, SILENT_S
from energy.models import GridConnection, MeterSample, MeterSource, SiteMeter, Steering
from energy.queries import SUPPLIES
from energy.readings import BadReading, sample_of
from energy.services import meters
from energy.views import meter_forms
from energy.views.meter_forms import FORMS, MeterForm
from tenants import queries as tenants
from tenants.context import tenant_scope
from tenants.errors import DomainError, Invalid, NotFound
from tenants.models import Site
from tenants.pages import PageRequest, go, page
from tenants.permissions import Permission

SHOWN = 60  # samples of the line
TRIES_AT_ONCE = 4  # of one process: each holds a thread for up to `sources.TRY_S`
_trying = threading.BoundedSemaphore(TRIES_AT_ONCE)


@dataclass(frozen=True)
class Line:
    """A meter in the list. `state` is a word of the vocabulary, `says` the same as a sentence."""

    meter: SiteMeter
    state: str
    says: str
    curve: list[float]
    total_a: float | None

    @property
    def lines(self) -> list[tuple[str, float]]:
        return [(f"L{number}", value) for number, value in enumerate(self.meter.last_a, 1)]


@dataclass(frozen=True)
class Doubts:
    """Why meters are not believed, by meter: names of lines."""

    dead: Mapping[int, Sequence[str]] = field(default_factory=dict)  # 0 A while cars draw there
    turned: Mapping[int, Sequence[str]] = field(default_factory=dict)  # the wrong way round, most likely

    @classmethod
    def of(cls, site: Site, rows: Iterable[SiteMeter], now: datetime) -> Doubts:
        steering = Steering.objects.filter(tenant_id=site.tenant_id, connection__site=site)
        told = steering.filter(picture_at__gt=now - STALE).values_list("picture__meters", flat=True).first()
        found = [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []
        return cls({one["meter"]: one["dead"] for one in found if one.get("dead")}, queries.turned(rows))


NO_DOUBTS = Doubts()


def line_of(meter: SiteMeter, recent: list[MeterSample], now: datetime, doubts: Doubts = NO_DOUBTS) -> Line:
    """`recent`: its newest samples, oldest first."""
    state, says = _state(meter, recent, now, doubts)
    curve = [sample.watts if sample.watts is not None else sum(sample.amps) for sample in recent]
    low = min([0.0, *curve])
    return Line(
        meter, state, says, [value - low for value in curve], sum(meter.last_a) if meter.last_a else None
    )


def _state(meter: SiteMeter, recent: list[MeterSample], now: datetime, doubts: Doubts) -> tuple[str, str]:
    if not meter.enabled:
        return "unavailable", _("Switched off")
    if meter.error:
        return "faulted", problems.said(meter.error)
    if meter.last_at is None:
        return "unknown", _("No reading yet")
    if (age_s := (now - meter.last_at).total_seconds()) > SILENT_S:
        return "offline", _("Silent for %(age)s: its maximum counts until it speaks again") % {
            "age": _age(age_s)
        }
    # As energy.headroom.Meter counts them: the first is followed by so many that are alike.
    last = [sample.amps for sample in recent[-FROZEN - 1 :]]
    if len(last) > FROZEN and any(last[-1]) and all(amps == last[-1] for amps in last):
        return "offline", _("Frozen: the same to the last digit, again and again. Its maximum counts")
    if lines := doubts.dead.get(meter.pk):
        return "faulted", _("Tells 0 A on %(lines)s while cars draw there: look at its clamps. Its maximum counts") % {
            "lines": ", ".join(lines)
        }  # fmt: skip
    if lines := doubts.turned.get(meter.pk):
        return "faulted", _(
            "The wrong way round on %(lines)s, most likely: by its word power flows out all night, when no sun shines. "
            "Turn those clamps, or the sign of their values. Until a night shows otherwise the amount counts as drawn"
        ) % {"lines": ", ".join(lines)}  # fmt: skip
    return "available", _("Reads")


def _age(seconds: float) -> str:
    for length, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


@page(Permission.SITE_VIEW)
def site_meters(request: PageRequest, site_id: int) -> HttpResponse:
    site = _site(request, site_id)
    rows = list(_meters(site).order_by("kind", "name"))
    recent = meters.newest(site.tenant_id, [meter.pk for meter in rows], SHOWN)
    now = timezone.now()
    doubts = Doubts.of(site, rows, now)
    context = {
        "site": site,
        "lines": [line_of(meter, recent[meter.pk], now, doubts) for meter in rows],
        "sources": MeterSource.choices,
        "has_connection": _connection(site) is not None,
        "may_change": request.actor.may(Permission.LIMIT_SET, site_id=site.pk),
    }
    with timezone.override(ZoneInfo(site.time_zone)):
        return render(request, "energy/meters.html", context)


@page(Permission.LIMIT_SET)
def new_meter(request: PageRequest, site_id: int) -> HttpResponse:
    site = _site(request, site_id)
    request.actor.require(Permission.LIMIT_SET, site_id=site.pk)
    source = request.GET.get("source", MeterSource.REST)
    if source not in FORMS:
        raise NotFound
    template = templates.by_key(request.GET.get("template", ""))
    connection = _connection(site)
    form = FORMS[source](
        request.POST or None, connection=connection, initial=meter_forms.of_new(source, template)
    )
    if request.method == "POST" and form.is_valid():
        try:
            meter = meters.create_meter(
                tenant_id=site.tenant_id, site_id=site.pk, actor=request.actor, source=source,
                secret=form.secret() or "", **_values(site, form),
            )  # fmt: skip
        except DomainError as error:
            form.refused(error)
        else:
            messages.success(request, _("%(name)s is entered.") % {"name": meter.name})
            return go(request, "site-meter", site.pk, meter.pk)
    context = {
        "site": site,
        "form": form,
        "source": source,
        "sources": MeterSource.choices,
        "templates": templates.of(source),
        "template": template,
        "has_connection": connection is not None,
    }
    return render(request, "energy/meter_new.html", context, status=422 if form.errors else 200)


@page(Permission.SITE_VIEW)
def site_meter(request: PageRequest, site_id: int, meter_id: int) -> HttpResponse:
    """What it shows, and for who may change it the form."""
    site = _site(request, site_id)
    meter = _meter(site, meter_id)
    may_change = request.actor.may(Permission.LIMIT_SET, site_id=site.pk)
    form = FORMS[meter.source](
        request.POST or None, connection=meter.connection, meter=meter, initial=meter_forms.of_meter(meter)
    )
    if request.method == "POST":
        request.actor.require(Permission.LIMIT_SET, site_id=site.pk)
        if form.is_valid():
            try:
                meters.change_meter(
                    meter=meter, actor=request.actor, secret=form.secret(),
                    enabled=form.cleaned_data["enabled"], **_values(site, form),
                )  # fmt: skip
            except DomainError as error:
                form.refused(error)
            else:
                messages.success(request, _("Saved %(name)s.") % {"name": meter.name})
                return go(request, "site-meter", site.pk, meter.pk)
    recent, now = meters.newest(site.tenant_id, [meter.pk], SHOWN)[meter.pk], timezone.now()
    context = {
        "site": site,
        "meter": meter,
        "line": line_of(meter, recent, now, Doubts.of(site, _meters(site), now)),
        "recent": recent[-10:][::-1],
        "form": form,
        "source": meter.source,
        "may_change": may_change,
    }
    with timezone.override(ZoneInfo(site.time_zone)):
        return render(request, "energy/meter.html", context, status=422 if form.errors else 200)


@require_POST
@page(Permission.LIMIT_SET)
def remove(request: PageRequest, site_id: int, meter_id: int) -> HttpResponse:
    site = _site(request, site_id)
    meter = _meter(site, meter_id)
    meters.remove_meter(meter=meter, actor=request.actor)
    messages.success(request, _("%(name)s is removed, and its readings with it.") % {"name": meter.name})
    return go(request, "site-meters", site.pk)


@require_POST
@page(Permission.LIMIT_SET)
def try_meter(request: PageRequest, site_id: int) -> HttpResponse:
    """Read once by what is typed, saved or not. The wait is outside of any transaction."""
    tenant_id = request.tenant.pk
    with tenant_scope(tenant_id):
        site = _site(request, site_id)
        request.actor.require(Permission.LIMIT_SET, site_id=site.pk)
        connection, known = _connection(site), _known(site, request.POST.get("meter", ""))
        source = known.source if known else request.POST.get("source", "")
        form = FORMS[source](request.POST, connection=connection) if source in FORMS else None
        usable = form is not None and (form.is_valid() or not set(form.errors) & {*form.own, "password"})
    found: dict[str, Any] = {"wrong": _("Correct the fields that are marked first.")}
    if connection is None:
        found = {"wrong": _("Enter the grid connection of this site first: a meter measures a part of it.")}
    elif usable and form is not None:
        found = _tried(connection, source, form, known)
    with tenant_scope(tenant_id):
        return render(request, "energy/_meter_tried.html", found | {"form": form if not usable else None})


try_meter.manages_transactions = True  # type: ignore[attr-defined]


def _tried(
    connection: GridConnection, source: str, form: MeterForm, known: SiteMeter | None
) -> dict[str, Any]:
    if not _trying.acquire(blocking=False):
        return {"wrong": _("Others are trying meters right now. Try again in a few seconds.")}
    try:
        settings, secret = sources.checked(source, form.settings()), form.secret()
        if secret is None and known is not None:
            if not meters.keeps_secret(known, source, settings):
                return {"wrong": _("It goes elsewhere now: enter the password again.")}
            secret = known.secret
        supply = SUPPLIES[connection.supply]
        number = known.pk if known else 0
        feed = Feed(
            connection.tenant_id, number, settings, secret or "", lines=len(supply.lines), retained=True
        )
        told = sources.try_once(source, feed)
        return {"sample": sample_of(told, supply, timezone.now())}
    except Invalid as invalid:
        return {"wrong": "; ".join(invalid.fields.values())}
    except problems.FeedError as error:
        return {"wrong": problems.said(str(error))}
    except BadReading as bad:
        return {"wrong": str(bad)}
    finally:
        _trying.release()


def _values(site: Site, form: MeterForm) -> dict[str, Any]:
    told = form.cleaned_data
    return {
        "name": told["name"],
        "kind": told["kind"],
        "node": meters.node_of(tenant_id=site.tenant_id, site_id=site.pk, node_id=told["node"]),
        "maximum_a": told["maximum_a"],
        "settings": form.settings(),
    }


def _known(site: Site, text: str) -> SiteMeter | None:
    return _meter(site, int(text)) if text.isdecimal() and len(text) < 19 else None


def _site(request: PageRequest, site_id: int) -> Site:
    found = tenants.sites(request.tenant.pk, request.actor).filter(pk=site_id).first()
    if found is None:
        raise NotFound
    return found


def _meters(site: Site) -> Any:
    return SiteMeter.objects.select_related("connection", "node").filter(
        tenant_id=site.tenant_id, connection__site=site
    )


def _meter(site: Site, meter_id: int) -> SiteMeter:
    found: SiteMeter | None = _meters(site).filter(pk=meter_id).first()
    if found is None:
        raise NotFound
    return found


def _connection(site: Site) -> GridConnection | None:
    return GridConnection.objects.filter(tenant_id=site.tenant_id, site=site).first()

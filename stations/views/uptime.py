"""Uptime by the rules of regulators: network, site, station, port; what cost most; exclusions; reports."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.template.defaultfilters import date as format_date
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from stations import visible
from stations.models import Connector, Exclusion, ExclusionCategory, PortMonth, UptimeReport, UptimeScheme
from stations.services import exclusions as exclusion_verbs
from stations.services import uptime, uptime_reports
from stations.services.uptime import Sum
from tenants import queries as tenants
from tenants.errors import DomainError, NotFound
from tenants.models import Site
from tenants.pages import PageRequest, PortalForm, address, go, listing, page
from tenants.permissions import Permission

FLOOR = Decimal(90)  # where the bars begin: above it lies all that is worth telling apart
HEIGHT = 140.0


@dataclass(frozen=True)
class Bar:
    """A month in the chart; y and height in its units."""

    month: date
    sum: Sum
    x: float
    width: float
    y: float
    height: float
    label: str
    tells: str


@dataclass(frozen=True)
class Line:
    """A row of the table: a site, a station or a port."""

    name: str
    url: str
    year: Sum
    month: Sum
    ports: int
    below: int


SCHEMES = (
    (UptimeScheme.US.value, _("US, above 97 %")),
    (UptimeScheme.UK.value, _("UK, 99 %")),
    (UptimeScheme.EFFECTIVE.value, _("Effective")),
)
OF_COUNTRY = {"US": UptimeScheme.US.value, "GB": UptimeScheme.UK.value}  # elsewhere none prescribes a sum


@page(Permission.STATION_VIEW)
def uptime_page(request: PageRequest) -> HttpResponse:
    scheme = request.GET.get("scheme", "")
    if scheme not in UptimeScheme.values:
        scheme = OF_COUNTRY.get(request.tenant.country, UptimeScheme.EFFECTIVE.value)
    sites = tenants.sites(request.tenant.pk, request.actor)
    site = _chosen(request, "site", sites)
    station = _chosen(
        request, "station", visible.stations(request.tenant.pk, request.actor).select_related("site")
    )
    site = station.site if station else site
    month = timezone.now().astimezone(ZoneInfo(request.tenant.time_zone)).date().replace(day=1)
    first = month.replace(month=1) if scheme == UptimeScheme.UK else uptime.shifted(month, -11)
    narrowed = [site.pk] if site else None if request.actor.site_ids is None else list(request.actor.site_ids)
    rows = uptime.rows_of(
        request.tenant.pk, scheme, first, month, site_ids=narrowed, station_id=station.pk if station else None
    )
    this = [row for row in rows if row.month == month]
    years = _by(rows, lambda row: row.evse_id)
    sums = [uptime.total(one, scheme, year=True) for one in years.values()]
    ports = [one for one in sums if one.passes is not None]
    reports = list(_reports(request)[:6])
    context = {
        "scheme": scheme,
        "schemes": SCHEMES,
        "site": site,
        "station": station,
        "threshold": uptime.THRESHOLDS[scheme],
        "year": uptime.total(rows, scheme),
        "month_sum": uptime.total(this, scheme),
        "month": month,
        "ports": len(ports),
        "silent": len(sums) - len(ports),
        "below": sum(one.passes is False for one in ports),
        "bars": _bars(rows, scheme, first, month),
        "line_y": HEIGHT * float(1 - (uptime.THRESHOLDS[scheme] - FLOOR) / (100 - FLOOR)),
        "height": HEIGHT,
        "lines": _lines(request, rows, scheme, site, station),
        "outages": [_outage(one) for one in uptime_reports.worst_outages(rows, most=12, scheme=scheme)],
        "reports": reports,
        "outdated": uptime_reports.outdated(tenant_id=request.tenant.pk, reports=reports),
        "may_make": request.actor.may(Permission.STATION_EDIT),
        "months": [uptime.shifted(month, -n) for n in range(13)],
        "any": bool(rows) or PortMonth.objects.filter(tenant_id=request.tenant.pk).exists(),
        "excluded": _excluded(request).filter(withdrawn_at=None).count(),
    }
    return render(request, "stations/uptime.html", context)


def _chosen(request: PageRequest, name: str, rows: Any) -> Any:
    text = request.GET.get(name, "")
    if not text:
        return None
    found = rows.filter(pk=int(text)).first() if text.isdecimal() and len(text) < 18 else None
    if found is None:
        raise NotFound
    return found


def _by(rows: Iterable[PortMonth], key: Callable[[PortMonth], Any]) -> dict[Any, list[PortMonth]]:
    found: dict[Any, list[PortMonth]] = defaultdict(list)
    for row in rows:
        found[key(row)].append(row)
    return found


def _bars(rows: list[PortMonth], scheme: str, first: date, last: date) -> list[Bar]:
    by_month = _by(rows, lambda row: row.month)
    count = (last.year - first.year) * 12 + last.month - first.month + 1
    bars = []
    for place in range(count):
        month = uptime.shifted(first, place)
        found = uptime.total(by_month.get(month, []), scheme)
        share = 0.0 if found.percent is None else max(0.02, float((found.percent - FLOOR) / (100 - FLOOR)))
        height = HEIGHT * max(0.0, min(1.0, share))
        name = format_date(month, "F Y")
        tells = (
            _t("%(month)s: no port in service") % {"month": name}
            if found.percent is None
            else _t("%(month)s: %(percent)s %%, outage of %(hours)s h that counts")
            % {"month": name, "percent": f"{found.percent:.2f}", "hours": round(found.counted_s / 3600, 1)}
        )
        bars.append(
            Bar(
                month, found, 100 * (place + 0.15) / count, 70 / count, HEIGHT - height, height,
                format_date(month, "M"), tells,
            )
        )  # fmt: skip
    return bars


def _lines(request: PageRequest, rows: list[PortMonth], scheme: str, site: Any, station: Any) -> list[Line]:
    """One level down: sites, stations, ports."""
    base = address(request, "uptime")
    if station:
        grouped = _by(rows, lambda row: (_t("Port %(number)s") % {"number": row.evse.number}, ""))
    elif site:
        grouped = _by(
            rows, lambda row: (str(row.station), f"{base}?scheme={scheme}&station={row.station_id}")
        )
    else:
        grouped = _by(
            rows, lambda row: (row.station.site.name, f"{base}?scheme={scheme}&site={row.station.site_id}")
        )
    newest = max((row.month for row in rows), default=None)
    lines = []
    for (name, url), found in grouped.items():
        ports = [uptime.total(one, scheme, year=True) for one in _by(found, lambda row: row.evse_id).values()]
        lines.append(
            Line(
                name, url, uptime.total(found, scheme, year=bool(station)),
                uptime.total([row for row in found if row.month == newest], scheme),
                len(ports), sum(one.passes is False for one in ports),
            )
        )  # fmt: skip
    return sorted(lines, key=lambda line: (line.year.percent is None, line.year.percent or 0, line.name))


def _outage(one: dict[str, Any]) -> dict[str, Any]:
    words = {"offline": "offline", "faulted": "faulted", "unavailable": "unavailable"}
    # A form holds whole minutes: the last one belongs to the outage as well.
    whole = one["to"] if one["to"] <= one["to"].replace(second=0, microsecond=0) else (
        one["to"].replace(second=0, microsecond=0) + timedelta(minutes=1)
    )  # fmt: skip
    return one | {"state": words.get(one["why"], "unknown"), "until": whole}


def _reports(request: PageRequest) -> Any:
    found = (
        UptimeReport.objects.filter(tenant_id=request.tenant.pk).defer("csv", "pdf").select_related("site")
    )
    return found if request.actor.site_ids is None else found.filter(site_id__in=request.actor.site_ids)


@require_POST
@page(Permission.STATION_EDIT)
def report_new(request: PageRequest) -> HttpResponse:
    try:
        month = parse_date(request.POST.get("month", ""))
    except ValueError:
        month = None
    number = request.POST.get("site", "")
    site = None
    if number:
        site = (
            tenants.sites(request.tenant.pk, request.actor)
            .filter(pk=int(number) if number.isdecimal() else 0)
            .first()
        )
        if site is None:
            raise NotFound
    try:
        report = uptime_reports.make(
            tenant_id=request.tenant.pk, actor=request.actor, scheme=request.POST.get("scheme", "us"),
            month=month or timezone.now().date().replace(day=1), site=site,
        )  # fmt: skip
    except DomainError as error:
        messages.error(request, str(error.detail))
        return go(request, "uptime")
    messages.success(
        request, _t("The report of %(month)s is ready below.") % {"month": format_date(report.month, "F Y")}
    )
    return go(request, "uptime-reports")


@page(Permission.STATION_VIEW)
def report_list(request: PageRequest) -> HttpResponse:
    found = listing(request, _reports(request))
    outdated = uptime_reports.outdated(tenant_id=request.tenant.pk, reports=list(found.page))
    return render(request, "stations/uptime_reports.html", {"listing": found, "outdated": outdated})


@page(Permission.STATION_VIEW)
def report_file(request: PageRequest, report_id: int, form: str) -> HttpResponse:
    """The CSV or the PDF of a report that was kept."""
    found = _reports(request).defer(None).filter(pk=report_id).first()
    if found is None or form not in ("csv", "pdf"):
        raise NotFound
    if form == "csv":
        response = HttpResponse(found.csv, content_type="text/csv; charset=utf-8")
    else:
        response = HttpResponse(bytes(found.pdf), content_type="application/pdf")
    response["Content-Disposition"] = f'attachment; filename="uptime-{found}.{form}"'
    return response


# --- exclusions


class ExclusionForm(PortalForm):
    category = forms.ChoiceField(
        label=_("Reason"), choices=ExclusionCategory.choices,
        help_text=_("An interruption of the network is kept for the record: neither rule takes it off."),
    )  # fmt: skip
    place = forms.ChoiceField(label=_("Where"))
    starts_at = forms.DateTimeField(
        label=_("From"), widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
    )
    ends_at = forms.DateTimeField(
        label=_("Until"),
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    evidence = forms.CharField(
        label=_("Evidence"), max_length=2000, widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("What shows that the port would have worked: a notice of the utility, a ticket, a police report."),
    )  # fmt: skip
    reference = forms.CharField(label=_("File number or link"), max_length=400, required=False)

    def __init__(self, *args: Any, places: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["place"].choices = places  # type: ignore[attr-defined]


def _excluded(request: PageRequest) -> Any:
    found = Exclusion.objects.filter(tenant_id=request.tenant.pk).select_related(
        "site", "station", "connector"
    )
    return found if request.actor.site_ids is None else found.filter(site_id__in=request.actor.site_ids)


@page(Permission.STATION_VIEW)
def exclusions(request: PageRequest) -> HttpResponse:
    context = {
        "listing": listing(request, _excluded(request)),
        "may_edit": request.actor.may(Permission.STATION_EDIT),
        "now": timezone.now(),
    }
    return render(request, "stations/exclusions.html", context)


def _places(request: PageRequest) -> list[tuple[str, Any]]:
    """Sites, each with its stations and their connectors: value "site:1", "station:2" or "connector:3"."""
    connectors = (
        Connector.objects.filter(
            tenant_id=request.tenant.pk,
            evse__station__in=visible.stations(request.tenant.pk, request.actor),
        )
        .select_related("evse__station")
        .order_by("evse__station__identity", "evse__number", "number")
    )
    inside: dict[int, list[tuple[str, str]]] = defaultdict(list)
    seen: set[int] = set()
    for connector in connectors[:5000]:
        station = connector.evse.station
        if station.pk not in seen:
            seen.add(station.pk)
            inside[station.site_id].append((f"station:{station.pk}", str(station)))
        name = _t("%(station)s, connector %(number)s") % {"station": station, "number": connector.evse.number}
        inside[station.site_id].append((f"connector:{connector.pk}", name))
    return [
        (site.name, [(f"site:{site.pk}", _t("All of %(site)s") % {"site": site}), *inside[site.pk]])
        for site in tenants.sites(request.tenant.pk, request.actor)
    ]


def _place(request: PageRequest, value: str) -> dict[str, Any]:
    kind, _colon, number = value.partition(":")
    pk = int(number)
    stations = visible.stations(request.tenant.pk, request.actor).select_related("site")
    if kind == "site":
        site: Site | None = tenants.sites(request.tenant.pk, request.actor).filter(pk=pk).first()
        if site is None:
            raise NotFound
        return {"site": site}
    connector = None
    if kind == "connector":
        connector = (
            Connector.objects.filter(tenant_id=request.tenant.pk, pk=pk, evse__station__in=stations)
            .select_related("evse")
            .first()
        )
        pk = connector.evse.station_id if connector else 0
    station = stations.filter(pk=pk).first()
    if station is None:
        raise NotFound
    return {"site": station.site, "station": station, "connector": connector}


@page(Permission.STATION_EDIT)
def exclusion_new(request: PageRequest) -> HttpResponse:
    start: dict[str, Any] = {}
    for name in ("site", "station", "connector"):
        if request.GET.get(name, "").isdecimal():
            start["place"] = f"{name}:{request.GET[name]}"
    for name in ("from", "until"):
        if text := request.GET.get(name, ""):
            start[{"from": "starts_at", "until": "ends_at"}[name]] = text[:16]
    form = ExclusionForm(request.POST or None, places=_places(request), initial=start)
    if request.method == "POST" and form.is_valid():
        given = dict(form.cleaned_data)
        try:
            exclusion_verbs.enter(
                tenant_id=request.tenant.pk,
                actor=request.actor,
                **_place(request, given.pop("place")),
                **given,
            )
        except DomainError as error:
            form.refused(error)
        else:
            messages.success(request, _t("Entered. The months it touches are computed anew."))
            return go(request, "exclusions")
    context = {"form": form}
    return render(request, "stations/exclusion_form.html", context, status=422 if form.errors else 200)


@require_POST
@page(Permission.STATION_EDIT)
def exclusion_withdraw(request: PageRequest, exclusion_id: int) -> HttpResponse:
    found = _excluded(request).filter(pk=exclusion_id).first()
    if found is None:
        raise NotFound
    try:
        exclusion_verbs.withdraw(exclusion=found, actor=request.actor, reason=request.POST.get("reason", ""))
    except DomainError as error:
        messages.error(request, str(error.detail))
    else:
        messages.success(request, _t("Withdrawn. It stays in the list and counts no longer."))
    return go(request, "exclusions")

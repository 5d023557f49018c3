"""What if: a past time of a site under another limit or policy, beside what really was."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from energy import demand, replay, why_words
from energy.models import GridConnection, GridNode, WhatIf
from energy.queries import NO_LIMIT_A
from energy.services import whatif as service
from energy.views.live import site_of, tree_of
from stations import visible
from tenants.errors import DomainError, Invalid, NotFound
from tenants.models import Site
from tenants.pages import PageRequest, PortalForm, csv_response, go, page
from tenants.permissions import Permission

DAY = "%Y-%m-%d"
# Beyond them the calendar ends, and with it the reckoning of zones.
_DAYS = [MinValueValidator(date(2000, 1, 1)), MaxValueValidator(date(2200, 1, 1))]
SHARE_WORDS = (
    (replay.BY_NEED, _("By need until departure, as it is now")),
    (replay.EQUAL, _("The same for all")),
    (replay.FIRST_COME, _("First come, first served")),
)


class WhatIfForm(PortalForm):
    first_day = forms.DateField(
        label=_("From"), widget=forms.DateInput(attrs={"type": "date"}, format=DAY), validators=_DAYS
    )
    last_day = forms.DateField(
        label=_("To, that day included"),
        widget=forms.DateInput(attrs={"type": "date"}, format=DAY),
        validators=_DAYS,
    )
    node = forms.ChoiceField(label=_("Which limit"), required=False)
    limit_a = forms.FloatField(
        label=_("It may carry (A per phase)"), required=False, min_value=0, max_value=10_000, localize=False,
        help_text=_("Empty: as it is. It may be higher than today's."),
    )  # fmt: skip
    peak_kw = forms.FloatField(
        label=_("Highest power of the site (kW)"), required=False, min_value=0, max_value=100_000, localize=False,
        help_text=_("Cars and building together. Empty: none."),
    )  # fmt: skip
    share = forms.ChoiceField(label=_("How cars share"), choices=SHARE_WORDS)

    def __init__(self, *args: Any, nodes: list[GridNode], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["node"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(str(node.pk), f"{node.name}{_limit(node)}") for node in nodes]


def _limit(node: GridNode) -> str:
    if not node.limit_a or min(node.limit_a) >= NO_LIMIT_A:
        return ""
    return f" ({why_words.amps(min(node.limit_a))})"


def _nodes(connection: GridConnection) -> list[GridNode]:
    """The root first."""
    found = GridNode.objects.filter(tenant_id=connection.tenant_id, connection=connection)
    return sorted(found, key=lambda node: (node.parent_id is not None, node.position, node.pk))


def _rows(site: Site) -> Any:
    found = WhatIf.objects.filter(tenant_id=site.tenant_id, connection__site=site)
    return found.select_related("connection__site")


@page(Permission.SITE_VIEW)
def what_ifs(request: PageRequest, site_id: int) -> HttpResponse:
    """The form, and what was asked earlier."""
    site = site_of(request, site_id)
    tree = tree_of(site)
    if tree is None or not tree.wired:
        return go(request, "site-load", site.pk)
    may_ask = request.actor.may(Permission.LIMIT_SET, site_id=site.pk)
    nodes = _nodes(tree.connection)
    with timezone.override(ZoneInfo(site.time_zone)):
        yesterday = timezone.localdate() - timedelta(days=1)
        start = {"first_day": yesterday - timedelta(days=6), "last_day": yesterday, "share": replay.BY_NEED}
        form = WhatIfForm(request.POST or None, nodes=nodes, initial=start | {"node": str(nodes[0].pk)})
        if request.method == "POST":
            request.actor.require(Permission.LIMIT_SET, site_id=site.pk)
            if form.is_valid() and (made := _ask(request, form, tree.connection, nodes)) is not None:
                return go(request, "site-what-if", site.pk, made.pk)
        names = {node.pk: node.name for node in nodes}
        context = {
            "site": site,
            "form": form,
            "may_ask": may_ask,
            "rows": [(row, words(row, names)) for row in _rows(site)[: service.MOST_KEPT]],
            "days": service.LONGEST.days,
        }
        status = 422 if request.method == "POST" else 200
        return render(request, "energy/whatif.html", context, status=status)


def _ask(
    request: PageRequest, form: WhatIfForm, connection: GridConnection, nodes: list[GridNode]
) -> WhatIf | None:
    told = form.cleaned_data
    node, limit_a = told["node"], told["limit_a"]
    settings = service.Settings(
        node=int(node) if node and limit_a is not None else None, limit_a=limit_a, peak_kw=told["peak_kw"],
        share=told["share"],
    )  # fmt: skip
    begins = datetime.combine(told["first_day"], datetime.min.time(), timezone.get_current_timezone())
    ends = datetime.combine(
        told["last_day"] + timedelta(days=1), datetime.min.time(), timezone.get_current_timezone()
    )
    try:
        return service.ask(
            connection=connection, actor=request.actor, begins_at=begins.astimezone(UTC),
            ends_at=ends.astimezone(UTC), settings=settings,
        )  # fmt: skip
    except DomainError as error:
        if isinstance(error, Invalid):
            places = {"begins_at": "first_day", "ends_at": "last_day"}
            error.fields = {places.get(name, name): text for name, text in error.fields.items()}
        form.refused(error)
        return None


def words(row: WhatIf, names: dict[int, str]) -> str:
    """What was asked, in words."""
    told = service.Settings.of(row.settings)
    parts = []
    if told.limit_a is not None:
        name = names.get(told.node or 0) or next(iter(names.values()), "")
        parts.append(_t("%(node)s at %(amps)s") % {"node": name, "amps": why_words.amps(told.limit_a)})
    if told.peak_kw is not None:
        parts.append(_t("the site at most %(power)s") % {"power": why_words.kilowatts(told.peak_kw * 1000)})
    if told.share != replay.BY_NEED:
        parts.append(str(dict(SHARE_WORDS).get(told.share, "")).lower())
    return ", ".join(parts) or _t("as it is")


def _one(request: PageRequest, site_id: int, what_if_id: int) -> WhatIf:
    found = _rows(site_of(request, site_id)).filter(pk=what_if_id).first()
    if found is None:
        raise NotFound
    return found


@dataclass(frozen=True)
class Line:
    """A line of the comparison: the same figure of three columns."""

    label: str
    values: tuple[Any, ...]
    kind: str  # percent | count | power | money | hours | energy


def _lines(result: dict[str, Any], with_money: bool) -> list[Line]:
    sides = [result[name] for name in ("what_if", "as_it_is", "really")]
    need = result["need_wh"]

    def of(name: str) -> tuple[Any, ...]:
        return tuple(side[name] for side in sides)

    found = [
        Line(_t("Energy"), of("given_wh"), "energy"),
        Line(
            _t("Of what cars took"),
            tuple(100 * one / need if need else None for one in of("given_wh")),
            "percent",
        ),
        Line(_t("Sessions not full"), of("not_full"), "count"),
        Line(_t("Highest quarter of an hour"), of("peak_w"), "power"),
        Line(_t("A limit held somebody back"), of("bound_h"), "hours"),
    ]
    if with_money and any(one is not None for one in of("cost")):
        found.append(Line(_t("Cost of the cars' energy"), of("cost"), "money"))
    if with_money and any(one is not None for one in of("peak_cost")):
        found.append(Line(_t("Cost of the peak"), of("peak_cost"), "money"))
    return found


@page(Permission.SITE_VIEW)
def what_if(request: PageRequest, site_id: int, what_if_id: int) -> HttpResponse:
    row = _one(request, site_id, what_if_id)
    site = row.connection.site
    result = row.result if row.state == "done" else {}
    names = {node.pk: node.name for node in _nodes(row.connection)}
    money = request.actor.may(Permission.MONEY_VIEW, site_id=site.pk)
    seen = visible.sessions(request.tenant.pk, request.actor)
    short = [one for one in result.get("rows", []) if one[3] < service.FULL * one[1]]
    short = sorted(short, key=lambda one: one[3] - one[1])[:20]
    mine = {one.pk: one for one in seen.filter(pk__in=[one[0] for one in short]).select_related("station")}
    with timezone.override(ZoneInfo(site.time_zone)):
        context = {
            "site": site,
            "row": row,
            "words": words(row, names),
            "lines": _lines(result, money) if result else [],
            "result": result,
            "known_percent": 100 * result.get("known", 0.0),
            "short": [(mine.get(number), need, before, after) for number, need, before, after in short],
            "may_delete": request.actor.may(Permission.LIMIT_SET, site_id=site.pk),
        }
        return render(request, "energy/whatif_result.html", context)


@page(Permission.SITE_VIEW)
def chart(request: PageRequest, site_id: int, what_if_id: int) -> JsonResponse:
    row = _one(request, site_id, what_if_id)
    result = row.result
    zone = row.connection.site.time_zone
    if not result:
        return JsonResponse({"x": [], "series": [], "zone": zone})
    columns = (
        ("really", _t("Really"), "ink-soft", "line"),
        ("as_it_is", _t("Replayed as it is"), "ink", "dotted"),
        ("what_if", _t("What if"), "charging", "area"),
    )
    x = [result["begin"] + number * demand.QUARTER_S for number in range(len(result["what_if"]["site_w"]))]
    series = [
        {"label": label, "unit": "kW", "state": state, "kind": kind, "values": _kilo(result[name]["site_w"])}
        for name, label, state, kind in columns
    ]
    return JsonResponse({"x": x, "zone": zone, "series": series})


def _kilo(watts: list[float | None]) -> list[float | None]:
    return [None if one is None else round(one / 1000, 2) for one in watts]


@page(Permission.SITE_VIEW)
def download(request: PageRequest, site_id: int, what_if_id: int) -> HttpResponse:
    """Each quarter of an hour, UTC, mean W of the whole site."""
    row = _one(request, site_id, what_if_id)
    result = row.result
    if not result:
        raise NotFound
    sides = [result[name]["site_w"] for name in ("really", "as_it_is", "what_if")]
    lines = [
        [datetime.fromtimestamp(result["begin"] + number * demand.QUARTER_S, UTC).isoformat(), *values]
        for number, values in enumerate(zip(*sides, strict=True))
    ]
    header = ["quarter_from", "really_w", "as_it_is_w", "what_if_w"]
    return csv_response(f"what-if-{row.pk}.csv", header, lines)


@page(Permission.SITE_VIEW)
def download_sessions(request: PageRequest, site_id: int, what_if_id: int) -> HttpResponse:
    """Each session's energy: what it took, and what the replays gave it."""
    row = _one(request, site_id, what_if_id)
    if not row.result:
        raise NotFound
    header = ["session", "took_wh", "as_it_is_wh", "what_if_wh"]
    return csv_response(f"what-if-{row.pk}-sessions.csv", header, row.result["rows"])


@require_POST
@page(Permission.LIMIT_SET)
def delete(request: PageRequest, site_id: int, what_if_id: int) -> HttpResponse:
    service.delete(row=_one(request, site_id, what_if_id), actor=request.actor)
    return go(request, "site-what-ifs", site_id)

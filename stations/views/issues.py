"""Issues: the list with what needs somebody, one issue with its life, and what people do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.db.models import Case, Count, IntegerField, Q, QuerySet, Value, When
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from stations import issue_words, visible
from stations.models import OF_SITE, Issue, IssueSeverity, IssueState, Signal, StepKind
from stations.services import issues as service
from stations.services.signals import DETECTORS
from tenants import queries as tenants
from tenants.errors import DomainError, Invalid, NotFound
from tenants.models import Membership
from tenants.pages import Column, PageRequest, go, listing, page
from tenants.permissions import Actor, Permission

SNOOZES = (
    ("1", _("1 hour")),
    ("8", _("8 hours")),
    ("24", _("1 day")),
    ("168", _("1 week")),
)
COLUMNS = (
    Column("issue", _("Issue")),
    Column("state", _("State")),
    Column("site", _("Site"), ("site__name",)),
    Column("since", _("Since"), ("since",)),
    Column("assignee", _("Given to")),
)
SEVERITY_ORDER = Case(
    When(severity=IssueSeverity.CRITICAL, then=Value(0)),
    When(severity=IssueSeverity.MAJOR, then=Value(1)),
    default=Value(2),
    output_field=IntegerField(),
)
# What is open first, the most severe and oldest on top; the newest of the past after it.
LOAD = (*OF_SITE, Signal.DISOBEYS, Signal.KEPT_OUT)
MOST_LINES = 300  # of a life on its page: what wavers for weeks has thousands
CHIPS = ("open", "recovering", "escalated", "snoozed", "resolved")


@dataclass(frozen=True)
class Act:
    """The one thing to do about an issue. A page is one of its station, but "site-load" of its site."""

    label: str
    url_name: str = ""  # a page; else a form on the issue's page: `post`
    post: str = ""
    query: str = ""
    note: str = ""


@dataclass(frozen=True)
class Shown:
    issue: Issue
    title: str
    says: str
    told: list[str]
    act: Act
    state: str  # of the vocabulary
    blocked: str

    @property
    def about(self) -> int:
        """Of whose page the act is one."""
        return self.issue.site_id if self.act.url_name == "site-load" else self.issue.station_id or 0


def shown(issue: Issue, actor: Actor) -> Shown:
    return Shown(
        issue=issue,
        title=str(issue),
        says=str(DETECTORS[issue.signal].says),
        told=issue_words.evidence(issue.evidence),
        act=next_act(issue, actor),
        state=look(issue),
        blocked=issue_words.blocked(issue.blocked_by),
    )


def look(issue: Issue) -> str:
    """Its word of the vocabulary: an issue that was put to sleep says so."""
    if issue.is_open and issue.snoozed_until and issue.snoozed_until > timezone.now():
        return "snoozed"
    return f"issue_{issue.state}"


def next_act(issue: Issue, actor: Actor) -> Act:
    """What to do next, by what is known."""
    may = actor.may(Permission.STATION_COMMAND, site_id=issue.site_id)
    if issue.signal in LOAD:
        return Act(_t("See the load"), "site-load")
    if not issue.is_open:
        return Act(_t("See its health"), "station-health")
    if issue.signal in (Signal.OFFLINE, Signal.FLAPPING, Signal.UNUSED, Signal.REBOOTS) or not may:
        return Act(_t("See its health"), "station-health")
    if issue.signal == Signal.NOT_ACCEPTED:
        if not actor.may(Permission.STATION_EDIT, site_id=issue.site_id):
            return Act(_t("See its health"), "station-health")
        return Act(_t("Change its registration"), "station-edit")
    if issue.signal == Signal.CLOCK_DRIFT:
        return Act(_t("See its settings"), "station-configuration")
    if issue.signal == Signal.SECURITY:
        return Act(_t("See its security"), "station-security")
    if issue.signal == Signal.ALERT:
        return Act(_t("See its monitors"), "station-monitoring")
    if issue.signal == Signal.METER_JUMPED:
        return Act(_t("Review its sessions"), "station-sessions")
    if issue.command_id or (issue.step_at and issue.step_at > timezone.now() - timedelta(minutes=2)):
        return Act(_t("Watch its commands"), "station-commands", note=_t("A step of recovery is under way."))
    if issue.rule and issue.rule.steps and not issue.blocked_by and DETECTORS[issue.signal].needs_socket:
        return Act(_t("Try recovery now"), post="recover")
    return Act(_t("Send a command"), "station-commands")


def of_actor(tenant_id: int, actor: Actor) -> QuerySet[Issue]:
    rows = Issue.objects.filter(tenant_id=tenant_id).select_related(
        "station__site", "site", "connector__evse", "rule", "assignee__user"
    )
    return rows if actor.site_ids is None else rows.filter(site_id__in=actor.site_ids)


def open_count(tenant_id: int, actor: Actor) -> int:
    return of_actor(tenant_id, actor).exclude(state=IssueState.RESOLVED).order_by().count()


def _in_state(rows: QuerySet[Issue], state: str) -> QuerySet[Issue]:
    quiet = Q(snoozed_until__gt=timezone.now())
    if state == "snoozed":
        return rows.filter(quiet).exclude(state=IssueState.RESOLVED)
    if state in IssueState.values:
        return (
            rows.filter(state=state)
            if state == IssueState.RESOLVED
            else rows.filter(state=state).exclude(quiet)
        )
    return rows.exclude(state=IssueState.RESOLVED)


@page(Permission.STATION_VIEW)
def issues(request: PageRequest) -> HttpResponse:
    own = of_actor(request.tenant.pk, request.actor)
    base = _filtered(request, own)
    state = request.GET.get("state", "")
    rows = _in_state(base, state).order_by(SEVERITY_ORDER, "opened_at")
    if state == IssueState.RESOLVED:
        rows = rows.order_by("-resolved_at")
    found = listing(request, rows, COLUMNS)
    open_rows = own.exclude(state=IssueState.RESOLVED)
    counts = dict(open_rows.order_by().values_list("severity").annotate(n=Count("pk")))
    context = {
        "listing": found,
        "rows": [shown(issue, request.actor) for issue in found.page],
        "chips": _chips(base, state),
        "state": state,
        "total": sum(counts.values()),
        "counts": [(name, counts[name]) for name in IssueSeverity.values if counts.get(name)],
        "recovering": open_rows.filter(state=IssueState.RECOVERING).count(),
        "any": own.exists(),
        "healed": own.filter(resolution="recovered", resolved_at__gt=timezone.now() - timedelta(days=30)).count(),
        "signals": Signal.choices,
        "severities": IssueSeverity.choices,
        "sites": tenants.sites(request.tenant.pk, request.actor),
        "chosen": {name: request.GET.get(name, "") for name in ("signal", "severity", "site", "mine", "q")},
        "snoozes": SNOOZES,
        "members": members(request),
    }  # fmt: skip
    return render(request, "stations/issues.html", context)


def _filtered(request: PageRequest, rows: QuerySet[Issue]) -> QuerySet[Issue]:
    given = request.GET
    if given.get("signal") in Signal.values:
        rows = rows.filter(signal=given["signal"])
    if given.get("severity") in IssueSeverity.values:
        rows = rows.filter(severity=given["severity"])
    if (site := given.get("site", "")).isdecimal() and len(site) < 18:
        rows = rows.filter(site_id=int(site))
    if (station := given.get("station", "")).isdecimal() and len(station) < 18:
        rows = rows.filter(station_id=int(station))
    if given.get("mine") and request.actor.user_id:
        rows = rows.filter(assignee__user_id=request.actor.user_id)
    if text := given.get("q", "").strip()[:100]:
        stations = visible.stations(request.tenant.pk, request.actor).filter(visible.matching(text))
        rows = rows.filter(Q(station__in=stations) | Q(station=None, site__name__icontains=text))
    return rows


def _chips(rows: QuerySet[Issue], state: str) -> list[tuple[str, str, int]]:
    """(value in the address, word of the vocabulary, how many)."""
    counted = [(name, _in_state(rows, name).order_by().count()) for name in CHIPS]
    return [
        (name, name if name == "snoozed" else f"issue_{name}", count)
        for name, count in counted
        if count or name == state
    ]


def members(request: PageRequest) -> Sequence[Membership]:
    """To whom issues can be given: who may send commands. Names are for who may act."""
    if not request.actor.may(Permission.STATION_COMMAND):
        return []
    found = Membership.objects.filter(tenant_id=request.tenant.pk, active=True, role__in=service.MAY_HAVE)
    return list(found.select_related("user").order_by("user__name", "user__email")[:200])


def _one(request: PageRequest, issue_id: int) -> Issue:
    found = of_actor(request.tenant.pk, request.actor).filter(pk=issue_id).first()
    if found is None:
        raise NotFound
    return found


@page(Permission.STATION_VIEW)
def issue(request: PageRequest, issue_id: int) -> HttpResponse:
    return _issue_page(request, _one(request, issue_id))


def _issue_page(request: PageRequest, found: Issue, wrong: dict[str, str] | None = None) -> HttpResponse:
    station = found.station
    steps = found.rule.steps if found.rule else []
    events = list(found.events.filter(tenant_id=found.tenant_id).order_by("-at", "-id")[: MOST_LINES + 1])
    context = {
        "issue": found,
        "station": station,
        "shown": shown(found, request.actor),
        "happenings": [issue_words.line(event) for event in reversed(events[:MOST_LINES])],
        "more": len(events) > MOST_LINES,
        "took": issue_words.took(found),
        "ending": issue_words.ending(found.resolution, found.helped_by) if not found.is_open else "",
        "steps": [
            (StepKind(step["kind"]).label, step["wait_minutes"], number <= found.step)
            for number, step in enumerate(steps, 1)
        ],
        "detector": DETECTORS[found.signal],
        "snoozes": SNOOZES,
        "members": members(request),
        "may_act": request.actor.may(Permission.STATION_COMMAND, site_id=found.site_id),
        "may_rules": request.actor.may(Permission.STATION_CONFIGURE) and request.actor.site_ids is None,
        "before": Issue.objects.filter(
            tenant_id=found.tenant_id, station=station, signal=found.signal,
            connector=found.connector, **({} if station else {"site_id": found.site_id}),
        ).exclude(pk=found.pk)[:5],
        "wrong": wrong or {},
    }  # fmt: skip
    with timezone.override(ZoneInfo(found.site.time_zone)):
        return render(request, "stations/issue.html", context, status=422 if wrong else 200)


def _values(request: PageRequest, action: str) -> dict[str, Any]:
    """What was typed, for the verb."""
    given = request.POST
    if action == "assign":
        return {"member": _member(request, given.get("member", ""))}
    if action == "snooze":
        return {"until": _until(given.get("hours", ""))}
    if action == "close":
        return {"reason": given.get("reason", "")}
    if action == "comment":
        return {"text": given.get("text", "")}
    return {}


def _member(request: PageRequest, number: str) -> Membership | None:
    if not number:
        return None
    found = next((one for one in members(request) if str(one.pk) == number), None)
    if found is None:
        raise Invalid(fields={"member": _t("There is no such member.")})
    return found


def _until(hours: str) -> datetime | None:
    if not hours:
        return None
    if hours not in dict(SNOOZES):
        raise Invalid(fields={"hours": _t("Choose one of the times.")})
    return timezone.now() + timedelta(hours=int(hours))


ACTIONS: dict[str, Any] = {
    "assign": service.assign,
    "snooze": service.snooze,
    "comment": service.comment,
    "close": service.close,
    "recover": service.recover_now,
}


@require_POST
@page(Permission.STATION_COMMAND)
def act(request: PageRequest, issue_id: int) -> HttpResponse:
    """One of ACTIONS on one issue."""
    found = _one(request, issue_id)
    action = request.POST.get("action", "")
    if action not in ACTIONS:
        raise NotFound
    try:
        ACTIONS[action](issue=found, actor=request.actor, **_values(request, action))
    except Invalid as error:
        return _issue_page(
            request, _one(request, issue_id), {name: str(text) for name, text in error.fields.items()}
        )
    except DomainError as error:
        messages.error(request, str(error.detail))
    return go(request, "issue", issue_id)


@require_POST
@page(Permission.STATION_COMMAND)
def bulk(request: PageRequest) -> HttpResponse:
    """Assign, snooze or close what was ticked."""
    numbers = [int(text) for text in request.POST.getlist("issue") if text.isdecimal() and len(text) < 18][
        :500
    ]
    chosen = list(of_actor(request.tenant.pk, request.actor).filter(pk__in=numbers))
    action = request.POST.get("action", "")
    try:
        if not chosen:
            raise Invalid(_t("Tick the issues first."))
        done = service.many(issues=chosen, actor=request.actor, action=action, **_values(request, action))
    except DomainError as error:
        messages.error(request, str(error.detail))
    else:
        text = ngettext("Done for %(count)s issue.", "Done for %(count)s issues.", done)
        messages.success(request, text % {"count": done})
    return go(request, "issues")

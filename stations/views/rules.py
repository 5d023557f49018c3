"""Rules for issues: which signal, where, what is tried, who is told; and the switch of all recovery."""

from __future__ import annotations

from math import ceil
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.template.defaultfilters import floatformat
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from stations.models import Issue, IssueRule, IssueSeverity, IssueState, Signal, StepKind
from stations.services import issue_rules as service
from stations.services.signals import DETECTORS, UNITS
from tenants import queries as tenants
from tenants.errors import DomainError, NotFound
from tenants.models import Site
from tenants.pages import PageRequest, PortalForm, go, page
from tenants.permissions import Permission

STEP_FIELDS = 5


class RuleForm(PortalForm):
    name = forms.CharField(label=_("Name"), max_length=80)
    signal = forms.ChoiceField(label=_("Signal"), choices=Signal.choices)
    threshold = forms.FloatField(
        label=_("Threshold"), help_text=_("In the unit of the signal; the table above the form says which.")
    )
    grace_minutes = forms.IntegerField(
        label=_("Wait before it is an issue (min)"), min_value=0, max_value=10_080, initial=0
    )
    severity = forms.ChoiceField(
        label=_("Severity"), choices=IssueSeverity.choices, initial=IssueSeverity.MAJOR
    )
    position = forms.IntegerField(
        label=_("Order"),
        initial=50,
        help_text=_("Of several rules for one signal the lowest that fits counts."),
    )
    stations_like = forms.CharField(
        label=_("Only these makers or models"),
        required=False,
        max_length=200,
        help_text=_("Parts of names, separated by commas. Empty: all."),
    )
    sites = forms.ModelMultipleChoiceField(
        label=_("Only these sites"), queryset=Site.objects.none(), required=False, widget=forms.CheckboxSelectMultiple,
        help_text=_("None chosen: all sites."),
    )  # fmt: skip
    rounds_per_day = forms.IntegerField(
        label=_("Rounds of recovery a day, at most"), min_value=1, max_value=24, initial=2
    )
    backoff_minutes = forms.IntegerField(
        label=_("Pause before the second round (min)"), min_value=1, max_value=1440, initial=30,
        help_text=_("Doubled before each further one."),
    )  # fmt: skip
    under_session = forms.BooleanField(
        label=_("Resets and unlocks also while a car charges. It cuts the session."), required=False
    )
    escalate = forms.BooleanField(
        label=_("Escalate when recovery does not help"), required=False, initial=True
    )
    escalate_minutes = forms.IntegerField(
        label=_("Escalate at the latest after (min)"), min_value=0, max_value=10_080, initial=60
    )
    mails = forms.CharField(
        label=_("Mail to"),
        required=False,
        help_text=_("Addresses, separated by commas, besides the company's."),
    )
    active = forms.BooleanField(label=_("In use"), required=False, initial=True)

    def __init__(self, *args: Any, sites: Any, steps: int = 0, **kwargs: Any) -> None:
        """`steps`: how many the rule has, made elsewhere; none of them may get lost."""
        super().__init__(*args, **kwargs)
        self.numbers = range(1, max(STEP_FIELDS, steps) + 1)
        self.fields["sites"].queryset = sites  # type: ignore[attr-defined]
        for number in self.numbers:
            self.fields[f"step_{number}"] = forms.ChoiceField(
                label=_t("Step %(number)s") % {"number": number},
                choices=[("", _t("nothing")), *StepKind.choices],
                required=False,
                widget=forms.Select(attrs={"class": "form-select"}),
            )
            self.fields[f"wait_{number}"] = forms.IntegerField(
                label=_t("then wait (min)"),
                required=False,
                min_value=1,
                max_value=120,
                initial=3,
                widget=forms.NumberInput(attrs={"class": "form-control"}),
            )

    @property
    def steps(self) -> list[tuple[Any, Any]]:
        return [(self[f"step_{n}"], self[f"wait_{n}"]) for n in self.numbers]

    def values(self) -> dict[str, Any]:
        given = dict(self.cleaned_data)
        steps = [(given.pop(f"step_{n}"), given.pop(f"wait_{n}")) for n in self.numbers]
        given["steps"] = [{"kind": kind, "wait_minutes": wait or 3} for kind, wait in steps if kind]
        given["site_ids"] = [site.pk for site in given.pop("sites")]
        given["mails"] = given["mails"].split(",")
        return given


class PolicyForm(PortalForm):
    recovery_on = forms.BooleanField(
        label=_("Recovery may act by itself"),
        required=False,
        help_text=_("Off: issues are noticed and escalated, but nothing is sent to any station."),
    )
    mails = forms.CharField(
        label=_("Mail every escalation to"), required=False, help_text=_("Addresses, separated by commas.")
    )


def _initial(rule: IssueRule) -> dict[str, Any]:
    start = {
        name: getattr(rule, name) for name in service.FIELDS if name not in ("steps", "site_ids", "mails")
    }
    for number, step in enumerate(rule.steps, 1):
        start |= {f"step_{number}": step["kind"], f"wait_{number}": step["wait_minutes"]}
    return start | {"name": rule.title, "sites": rule.site_ids, "mails": ", ".join(rule.mails)}


def units() -> list[tuple[str, str, str, str]]:
    """(signal, what it means, unit, usual threshold) for the help beside the form."""
    return [
        (str(Signal(name).label), str(one.says), str(UNITS[one.unit]), f"{one.threshold:g}")
        for name, one in DETECTORS.items()
    ]


@page(Permission.STATION_VIEW)
def rules(request: PageRequest) -> HttpResponse:
    policy = service.policy(tenant_id=request.tenant.pk)
    may = request.actor.may(Permission.STATION_CONFIGURE) and request.actor.site_ids is None
    form = PolicyForm(initial={"recovery_on": policy.recovery_on, "mails": ", ".join(policy.mails)})
    names = {site.pk: site.name for site in tenants.sites(request.tenant.pk, request.actor)}
    open_by_rule = dict(
        Issue.objects.filter(tenant_id=request.tenant.pk)
        .exclude(state=IssueState.RESOLVED)
        .order_by()
        .values_list("rule_id")
        .annotate(n=_count())
    )
    listed = [
        {
            "rule": rule,
            "counts": _counts_from(rule),
            "steps": [StepKind(step["kind"]).label for step in rule.steps],
            "sites": [names[number] for number in rule.site_ids if number in names],
            "open": open_by_rule.get(rule.pk, 0),
        }
        for rule in IssueRule.objects.filter(tenant_id=request.tenant.pk)
    ]
    context = {"rules": listed, "policy": policy, "form": form, "may_edit": may}
    return render(request, "stations/rules.html", context)


def _counts_from(rule: IssueRule) -> str:
    """The threshold in words: 1 minute, 3 times."""
    value, least = floatformat(rule.threshold, -1), ceil(rule.threshold)
    match DETECTORS[rule.signal].unit:
        case "minutes":
            words = ngettext("%(value)s minute", "%(value)s minutes", least)
        case "hours":
            words = ngettext("%(value)s hour", "%(value)s hours", least)
        case "seconds":
            words = ngettext("%(value)s second", "%(value)s seconds", least)
        case "count":
            words = ngettext("the first time", "%(value)s times", least)
        case _:
            words = _t("%(value)s times the usual gap")
    return words % {"value": value}


def _count() -> Any:
    from django.db.models import Count

    return Count("pk")


@require_POST
@page(Permission.STATION_CONFIGURE)
def policy(request: PageRequest) -> HttpResponse:
    form = PolicyForm(request.POST)
    if form.is_valid():
        given = form.cleaned_data
        try:
            service.change_policy(
                tenant_id=request.tenant.pk, actor=request.actor, recovery_on=given["recovery_on"],
                mails=given["mails"].split(","),
            )  # fmt: skip
        except DomainError as error:
            messages.error(request, str(error.detail))
        else:
            on = given["recovery_on"]
            text = _t("Recovery acts by itself.") if on else _t("Recovery is off: nothing is sent by itself.")
            messages.success(request, text)
    return go(request, "issue-rules")


@page(Permission.STATION_CONFIGURE)
def rule_new(request: PageRequest) -> HttpResponse:
    return _form(request, None)


@page(Permission.STATION_CONFIGURE)
def rule_edit(request: PageRequest, rule_id: int) -> HttpResponse:
    return _form(request, _rule(request, rule_id))


def _rule(request: PageRequest, rule_id: int) -> IssueRule:
    found = IssueRule.objects.filter(tenant_id=request.tenant.pk, pk=rule_id).first()
    if found is None:
        raise NotFound
    return found


def _form(request: PageRequest, rule: IssueRule | None) -> HttpResponse:
    sites = tenants.sites(request.tenant.pk, request.actor)
    signal = request.GET.get("signal", "")
    start: dict[str, Any] = {}
    if rule is not None:
        start = _initial(rule)
    elif signal in DETECTORS:
        start = {"signal": signal, "threshold": DETECTORS[signal].threshold, "name": Signal(signal).label}
    held = len(rule.steps) if rule else 0
    form = RuleForm(request.POST or None, sites=sites, steps=held, initial=start)
    if request.method == "POST" and form.is_valid():
        try:
            if rule is None:
                saved = service.create_rule(tenant_id=request.tenant.pk, actor=request.actor, **form.values())
            else:
                saved = service.update_rule(rule=rule, actor=request.actor, **form.values())
        except DomainError as error:
            form.refused(error)
        else:
            messages.success(
                request, _t("Saved. %(name)s counts from the next look on.") % {"name": saved.title}
            )
            return go(request, "issue-rules")
    open_now = (
        Issue.objects.filter(tenant_id=request.tenant.pk, rule=rule)
        .exclude(state=IssueState.RESOLVED)
        .count()
        if rule
        else 0
    )
    consequence = (
        ngettext("Its %(count)s open issue ends with it.", "Its %(count)s open issues end with it.", open_now)
        % {"count": open_now}
        if open_now
        else _t("It has no open issue.")
    )
    context = {"form": form, "rule": rule, "units": units(), "consequence": consequence}
    return render(request, "stations/rule_form.html", context, status=422 if form.errors else 200)


@require_POST
@page(Permission.STATION_CONFIGURE)
def rule_delete(request: PageRequest, rule_id: int) -> HttpResponse:
    rule = _rule(request, rule_id)
    service.delete_rule(rule=rule, actor=request.actor)
    messages.success(request, _t("%(name)s is removed.") % {"name": rule.title})
    return go(request, "issue-rules")

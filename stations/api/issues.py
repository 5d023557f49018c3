"""Issues and the rules that make them."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from stations.api.common import BelowStation
from stations.models import (
    HealthPolicy,
    Issue,
    IssueEvent,
    IssueRule,
    IssueSeverity,
    IssueState,
    Signal,
    StatusEntry,
    StepKind,
)
from stations.services import issue_rules, issues
from tenants.models import Membership
from tenants.permissions import Permission
from tenants.rest import Filters, IdFilter, In, Out, TenantView, Verb


class IssueOut(Out):
    connector_number = serializers.SerializerMethodField()
    evse_number = serializers.SerializerMethodField()

    class Meta:
        model = Issue
        fields = [
            "id", "signal", "severity", "state", "site_id", "station_id", "connector_id", "evse_number",
            "connector_number", "rule_id", "since", "opened_at", "seen_at", "evidence", "times", "round", "step",
            "blocked_by", "escalated_at", "assignee_id", "snoozed_until", "resolved_at", "resolution", "helped_by",
            "reason",
        ]  # fmt: skip

    def get_evse_number(self, issue: Issue) -> int | None:
        return issue.connector.evse.number if issue.connector else None

    def get_connector_number(self, issue: Issue) -> int | None:
        return issue.connector.number if issue.connector else None


class IssueEventOut(Out):
    class Meta:
        model = IssueEvent
        fields = ["id", "at", "kind", "actor_label", "text", "data"]


class IssueFilter(Filters):
    state = django_filters.ChoiceFilter(choices=IssueState.choices)
    open = django_filters.BooleanFilter(method="only_open")
    signal = django_filters.ChoiceFilter(choices=Signal.choices)
    severity = django_filters.ChoiceFilter(choices=IssueSeverity.choices)
    site_id = IdFilter()
    station_id = IdFilter()
    assignee_id = IdFilter()

    def only_open(self, rows: QuerySet[Issue], name: str, value: bool) -> QuerySet[Issue]:
        closed = {"state": IssueState.RESOLVED}
        return rows.exclude(**closed) if value else rows.filter(**closed)


class AssignIn(In):
    assignee_id = serializers.IntegerField(min_value=1, max_value=2**63 - 1, allow_null=True)


class SnoozeIn(In):
    until = serializers.DateTimeField(allow_null=True, help_text="null: no longer quiet")


class CommentIn(In):
    text = serializers.CharField(max_length=2000)


class CloseIn(In):
    reason = serializers.CharField(max_length=400, help_text="What was found out or done")


class BulkIn(In):
    issue_ids = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1), min_length=1, max_length=500
    )
    action = serializers.ChoiceField(["assign", "snooze", "close"])
    assignee_id = serializers.IntegerField(min_value=1, max_value=2**63 - 1, allow_null=True, required=False)
    until = serializers.DateTimeField(allow_null=True, required=False)
    reason = serializers.CharField(max_length=400, required=False)


class BulkOut(serializers.Serializer[Any]):
    changed = serializers.IntegerField()


class IssueView(TenantView):
    def rows(self) -> QuerySet[Issue]:
        found = Issue.objects.filter(tenant_id=self.tenant_id).select_related(
            "station__site", "site", "connector__evse", "rule", "assignee__user"
        )
        return found if self.actor.site_ids is None else found.filter(site_id__in=self.actor.site_ids)

    def issue(self) -> Issue:
        return self.one(self.rows(), pk=self.kwargs["issue_id"])

    def members(self) -> QuerySet[Membership]:
        return Membership.objects.filter(tenant_id=self.tenant_id).select_related("user")


class IssueList(IssueView):
    """What is wrong, and what was, newest first."""

    verbs = {"GET": Verb(Permission.STATION_VIEW, gives=IssueOut, many=True, says="List issues")}
    filterset_class = IssueFilter

    def get(self, request: Request) -> Response:
        return self.page()


class IssueOne(IssueView):
    verbs = {"GET": Verb(Permission.STATION_VIEW, gives=IssueOut, says="Read an issue")}

    def get(self, request: Request, issue_id: int) -> Response:
        return self.answer(self.issue())


class IssueEvents(IssueView):
    """The life of an issue: evidence, steps of recovery, comments, mails, the end."""

    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=IssueEventOut, many=True, says="List an issue's events")
    }

    def rows(self) -> Any:
        issue = self.one(super().rows(), pk=self.kwargs["issue_id"])
        return IssueEvent.objects.filter(tenant_id=self.tenant_id, issue=issue)

    def get(self, request: Request, issue_id: int) -> Response:
        return self.page()


class IssueAssign(IssueView):
    """Give it to a member, or with null to nobody."""

    verbs = {"POST": Verb(Permission.STATION_COMMAND, takes=AssignIn, gives=IssueOut, says="Assign an issue")}

    def post(self, request: Request, issue_id: int) -> Response:
        issue, given = self.issue(), self.given()
        self.row_for(given, "assignee", self.members())
        return self.answer(issues.assign(issue=issue, actor=self.actor, member=given["assignee"]))


class IssueSnooze(IssueView):
    """Quiet until then: nothing is tried, nobody is told."""

    verbs = {"POST": Verb(Permission.STATION_COMMAND, takes=SnoozeIn, gives=IssueOut, says="Snooze an issue")}

    def post(self, request: Request, issue_id: int) -> Response:
        issue = self.issue()
        return self.answer(issues.snooze(issue=issue, actor=self.actor, **self.given()))


class IssueComment(IssueView):
    verbs = {
        "POST": Verb(Permission.STATION_COMMAND, takes=CommentIn, gives=IssueOut, says="Comment on an issue")
    }

    def post(self, request: Request, issue_id: int) -> Response:
        issue = self.issue()
        return self.answer(issues.comment(issue=issue, actor=self.actor, **self.given()))


class IssueClose(IssueView):
    """Close it with what was found out. New evidence opens another."""

    verbs = {"POST": Verb(Permission.STATION_COMMAND, takes=CloseIn, gives=IssueOut, says="Close an issue")}

    def post(self, request: Request, issue_id: int) -> Response:
        issue = self.issue()
        return self.answer(issues.close(issue=issue, actor=self.actor, **self.given()))


class IssueRecover(IssueView):
    """Begin a round of recovery now, whatever the back-off says."""

    verbs = {"POST": Verb(Permission.STATION_COMMAND, takes=In, gives=IssueOut, says="Recover now")}

    def post(self, request: Request, issue_id: int) -> Response:
        self.given()
        return self.answer(issues.recover_now(issue=self.issue(), actor=self.actor))


class IssueBulk(IssueView):
    """Assign, snooze or close up to 500 issues. Those that are resolved already are passed over."""

    verbs = {
        "POST": Verb(
            Permission.STATION_COMMAND, takes=BulkIn, gives=BulkOut, says="Change many issues at once"
        )
    }

    def post(self, request: Request) -> Response:
        given = self.given()
        chosen = self.rows_for("issue_ids", given.pop("issue_ids"), self.rows())
        action = given.pop("action")
        values: dict[str, Any] = {"close": {"reason": given.get("reason", "")}}.get(action, {})
        if action == "assign":
            self.row_for(given, "assignee", self.members())
            values = {"member": given.get("assignee")}
        elif action == "snooze":
            values = {"until": given.get("until")}
        return self.answer({"changed": issues.many(issues=chosen, actor=self.actor, action=action, **values)})


# --- rules


class RecoveryStep(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(StepKind.choices)
    wait_minutes = serializers.IntegerField(min_value=1, max_value=120)


class IssueRuleOut(Out):
    class Meta:
        model = IssueRule
        fields = ["id", *issue_rules.FIELDS, "created_at", "changed_at"]


class IssueRuleIn(In):
    name = serializers.CharField(max_length=80)
    signal = serializers.ChoiceField(Signal.choices)
    active = serializers.BooleanField(required=False)
    position = serializers.IntegerField(required=False)
    threshold = serializers.FloatField(required=False, help_text="In the signal's unit; see docs/health.md")
    grace_minutes = serializers.IntegerField(required=False)
    severity = serializers.ChoiceField(IssueSeverity.choices, required=False)
    site_ids = serializers.ListField(child=serializers.IntegerField(), required=False, max_length=1000)
    stations_like = serializers.CharField(max_length=200, required=False, allow_blank=True)
    steps = RecoveryStep(many=True, required=False)
    under_session = serializers.BooleanField(required=False)
    rounds_per_day = serializers.IntegerField(required=False)
    backoff_minutes = serializers.IntegerField(required=False)
    escalate = serializers.BooleanField(required=False)
    escalate_minutes = serializers.IntegerField(required=False)
    mails = serializers.ListField(child=serializers.CharField(max_length=254), required=False, max_length=50)


def _plain(given: dict[str, Any]) -> dict[str, Any]:
    return given | ({"steps": [dict(step) for step in given["steps"]]} if "steps" in given else {})


class IssueRuleView(TenantView):
    def rows(self) -> QuerySet[IssueRule]:
        issue_rules.policy(tenant_id=self.tenant_id)
        return IssueRule.objects.filter(tenant_id=self.tenant_id)


class IssueRuleList(IssueRuleView):
    """Rules in their order: of several for one signal the first that fits a station counts."""

    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=IssueRuleOut, many=True, says="List rules for issues"),
        "POST": Verb(
            Permission.STATION_CONFIGURE,
            takes=IssueRuleIn,
            gives=IssueRuleOut,
            status=201,
            says="Create a rule",
        ),
    }

    def get(self, request: Request) -> Response:
        return self.page()

    def post(self, request: Request) -> Response:
        given = _plain(self.given())
        return self.answer(issue_rules.create_rule(tenant_id=self.tenant_id, actor=self.actor, **given))


class IssueRuleOne(IssueRuleView):
    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=IssueRuleOut, says="Read a rule"),
        "PATCH": Verb(
            Permission.STATION_CONFIGURE, takes=IssueRuleIn, gives=IssueRuleOut, says="Change a rule"
        ),
        "DELETE": Verb(Permission.STATION_CONFIGURE, status=204, says="Remove a rule"),
    }

    def rule(self) -> IssueRule:
        return self.one(self.rows(), pk=self.kwargs["rule_id"])

    def get(self, request: Request, rule_id: int) -> Response:
        return self.answer(self.rule())

    def patch(self, request: Request, rule_id: int) -> Response:
        rule = self.rule()
        return self.answer(issue_rules.update_rule(rule=rule, actor=self.actor, **_plain(self.given())))

    def delete(self, request: Request, rule_id: int) -> Response:
        issue_rules.delete_rule(rule=self.rule(), actor=self.actor)
        return self.answer()


class IssuePolicyOut(Out):
    class Meta:
        model = HealthPolicy
        fields = ["recovery_on", "mails"]


class IssuePolicyIn(In):
    recovery_on = serializers.BooleanField(required=False)
    mails = serializers.ListField(child=serializers.CharField(max_length=254), required=False, max_length=50)


class IssuePolicy(TenantView):
    """Whether recovery may act at all, and who is told of every escalation."""

    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=IssuePolicyOut, says="Read the policy of recovery"),
        "PATCH": Verb(
            Permission.STATION_CONFIGURE,
            takes=IssuePolicyIn,
            gives=IssuePolicyOut,
            says="Change the policy of recovery",
        ),
    }

    def get(self, request: Request) -> Response:
        return self.answer(issue_rules.policy(tenant_id=self.tenant_id))

    def patch(self, request: Request) -> Response:
        return self.answer(
            issue_rules.change_policy(tenant_id=self.tenant_id, actor=self.actor, **self.given())
        )


# --- history


class StatusOut(Out):
    class Meta:
        model = StatusEntry
        fields = [
            "id", "evse_number", "connector_number", "status", "error_code", "vendor_error_code", "info", "at",
            "received_at",
        ]  # fmt: skip


class StatusFilter(Filters):
    evse_number = django_filters.NumberFilter()
    after = django_filters.IsoDateTimeFilter("at", lookup_expr="gte")
    before = django_filters.IsoDateTimeFilter("at", lookup_expr="lt")


class StatusHistory(BelowStation):
    """Every status that a station told, at the time it told it for: each holds until the next by `at`."""

    verbs = {
        "GET": Verb(
            Permission.STATION_VIEW, gives=StatusOut, many=True, says="List the status history of a station"
        )
    }
    filterset_class = StatusFilter

    def rows(self) -> QuerySet[StatusEntry]:
        return StatusEntry.objects.filter(tenant_id=self.tenant_id, station=self.station())

    def get(self, request: Request, station_id: int) -> Response:
        return self.page()

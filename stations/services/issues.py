"""Issues: what is wrong, from the first sign to the record of what helped. One open row a signal and connector."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from stations import live
from stations.models import Issue, IssueEvent, IssueRule, IssueState, Resolution, Station
from stations.services.signals import DETECTORS, Finding
from tenants.errors import Conflict, Invalid
from tenants.models import Membership
from tenants.permissions import Actor, Permission
from tenants.services import audit, facts

LONGEST_SNOOZE = timedelta(days=90)
TELL_AGAIN = timedelta(hours=12)  # what wavers for days escalates so often, not once and never again
MAY_HAVE = ("owner", "operator", "technician", "facility_manager")  # roles that can do something about it


def note(issue: Issue, kind: str, at: datetime, *, by: str = "", text: str = "", **data: Any) -> None:
    """A line in its life."""
    IssueEvent.objects.create(
        tenant_id=issue.tenant_id,
        issue=issue,
        at=at,
        kind=kind,
        actor_label=by[:120],
        text=text[:2000],
        data=data,
    )


def tell(issue: Issue, fact: str = "") -> None:
    """Open pages hear of it; with `fact` the outbox, and so the webhooks, as well."""
    live.publish(
        issue.tenant_id, kind="issue", station_id=issue.station_id or 0, site_id=issue.site_id,
        data={"id": issue.pk, "state": issue.state},
    )  # fmt: skip
    if not fact:
        return
    connector = issue.connector
    facts.publish(
        tenant_id=issue.tenant_id, kind=f"issue.{fact}", subject_type="issue", subject_id=issue.pk,
        payload={
            "issue": issue.pk, "signal": issue.signal, "severity": issue.severity, "state": issue.state,
            "station": issue.station_id, "site": issue.site_id,
            "identity": issue.station.identity if issue.station else None,
            "evse": connector.evse.number if connector else None,
            "connector": connector.number if connector else None,
            "since": issue.since.isoformat(), "opened_at": issue.opened_at.isoformat(),
            "evidence": issue.evidence, "resolution": issue.resolution, "helped_by": issue.helped_by,
        },
    )  # fmt: skip


def open_issue(
    *, station: Station | None, site_id: int, rule: IssueRule, finding: Finding, now: datetime
) -> Issue:
    """Of a station, or of the whole site."""
    issue = Issue.objects.create(
        tenant_id=rule.tenant_id, rule=rule, signal=rule.signal, site_id=site_id, station=station,
        connector_id=finding.connector_id, severity=rule.severity, since=finding.since, opened_at=now,
        seen_at=finding.at, evidence=finding.evidence,
    )  # fmt: skip
    note(issue, "opened", now, rule=rule.name, **finding.evidence)
    tell(issue, "opened")
    return issue


def reopen(*, issue: Issue, finding: Finding, now: datetime) -> Issue:
    """It came back while fresh: the same issue goes on, so that a wavering station is one issue and not twenty."""
    issue.state = IssueState.ESCALATED if issue.escalated_at else IssueState.OPEN
    issue.times, issue.resolved_at, issue.resolution, issue.helped_by = issue.times + 1, None, "", ""
    issue.gone_at, issue.seen_at, issue.evidence = None, finding.at, finding.evidence
    if issue.escalated_at and now - issue.escalated_at > TELL_AGAIN:
        issue.state, issue.escalated_at, issue.mailed_at = IssueState.OPEN, None, None
    issue.save()
    note(issue, "reopened", now, times=issue.times, **finding.evidence)
    tell(issue, "reopened")
    return issue


def resolve(
    *, issue: Issue, now: datetime, resolution: str, by: str = "", reason: str = "", helped_by: str = ""
) -> Issue:
    """The end, with what helped and how long it took."""
    issue.state, issue.resolved_at, issue.resolution = IssueState.RESOLVED, now, resolution
    issue.reason, issue.helped_by = reason[:400], helped_by
    issue.blocked_by, issue.snoozed_until = "", None
    issue.save()
    note(
        issue, "resolved", now, by=by, text=reason, resolution=resolution, helped_by=helped_by,
        seconds=round((now - issue.opened_at).total_seconds()),
    )  # fmt: skip
    tell(issue, "resolved")
    return issue


# --- people


def _changed(issue: Issue, actor: Actor, action: str, **detail: Any) -> None:
    issue.save()
    audit.record(
        tenant_id=issue.tenant_id, actor=actor, action=f"issue.{action}", subject=issue, site_id=issue.site_id,
        detail=detail,
    )  # fmt: skip
    tell(issue)


def _require(issue: Issue, actor: Actor) -> None:
    actor.require(Permission.STATION_COMMAND, site_id=issue.site_id)


def _held(issue: Issue, actor: Actor) -> Issue:
    """The same as it is now, under lock: the sweep may have gone on with it since it was read."""
    _require(issue, actor)
    rows = Issue.objects.select_for_update(of=("self",), no_key=True).select_related(
        "station__site", "site", "connector__evse", "rule", "assignee__user"
    )
    held = rows.get(tenant_id=issue.tenant_id, pk=issue.pk)
    if not held.is_open:
        raise Conflict("This issue is resolved already.")
    return held


def assign(*, issue: Issue, actor: Actor, member: Membership | None) -> Issue:
    """Give it to a member, or to nobody. Escalations go to the member as well."""
    issue = _held(issue, actor)
    if member is not None and not member.active:
        raise Invalid(fields={"assignee_id": "This member is not active."})
    if member is not None and member.role not in MAY_HAVE:
        raise Invalid(fields={"assignee_id": "This member may not send commands to stations."})
    if issue.assignee_id != (member.pk if member else None):
        issue.assignee = member
        name = str(member.user) if member else ""
        note(issue, "assigned", timezone.now(), by=actor.label, name=name)
        _changed(issue, actor, "assign", to=name)
    return issue


def snooze(*, issue: Issue, actor: Actor, until: datetime | None) -> Issue:
    """Quiet until then: nothing is tried, nobody is told. None wakes it."""
    issue = _held(issue, actor)
    now = timezone.now()
    if until is not None and not now < until <= now + LONGEST_SNOOZE:
        raise Invalid(fields={"until": "Choose a time within the next 90 days."})
    issue.snoozed_until = until
    note(
        issue,
        "snoozed" if until else "woken",
        now,
        by=actor.label,
        until=until.isoformat() if until else None,
    )
    _changed(issue, actor, "snooze", until=until.isoformat() if until else None)
    return issue


def comment(*, issue: Issue, actor: Actor, text: str) -> Issue:
    _require(issue, actor)
    if not text.strip():
        raise Invalid(fields={"text": "Write something first."})
    if issue.events.filter(tenant_id=issue.tenant_id, kind="comment").count() >= 500:
        raise Conflict("This issue has 500 comments already.")
    note(issue, "comment", timezone.now(), by=actor.label, text=text.strip())
    tell(issue)
    return issue


def close(*, issue: Issue, actor: Actor, reason: str) -> Issue:
    """Closed by a person. It stays closed while the same evidence lasts; new evidence opens another."""
    issue = _held(issue, actor)
    if not reason.strip():
        raise Invalid(fields={"reason": "Say what was found out or done."})
    resolve(
        issue=issue, now=timezone.now(), resolution=Resolution.CLOSED, by=actor.label, reason=reason.strip()
    )
    audit.record(
        tenant_id=issue.tenant_id, actor=actor, action="issue.close", subject=issue, site_id=issue.site_id,
        detail={"reason": issue.reason},
    )  # fmt: skip
    return issue


def recover_now(*, issue: Issue, actor: Actor) -> Issue:
    """Begin a round of recovery with the next sweep, whatever the back-off says. The other bounds hold."""
    issue = _held(issue, actor)
    if issue.station_id is None or issue.rule is None or not issue.rule.steps:
        raise Conflict("The rule of this issue has no steps of recovery.")
    if not DETECTORS[issue.signal].needs_socket:
        raise Conflict("The station is offline: no command reaches it.")
    issue.step, issue.step_at, issue.next_at, issue.blocked_by = 0, None, None, ""
    issue.command_id, issue.snoozed_until = None, None
    note(issue, "recovery_asked", timezone.now(), by=actor.label)
    _changed(issue, actor, "recover")
    return issue


def many(*, issues: Sequence[Issue], actor: Actor, action: str, **values: Any) -> int:
    """The same for many: assign, snooze or close. Those that are resolved already are passed over."""
    verbs: dict[str, Any] = {"assign": assign, "snooze": snooze, "close": close}
    if action not in verbs:
        raise Invalid(fields={"action": f"Choose one of {', '.join(verbs)}."})
    done = 0
    for issue in sorted(issues, key=lambda one: one.pk):
        with contextlib.suppress(Conflict):
            verbs[action](issue=issue, actor=actor, **values)
            done += 1
    return done

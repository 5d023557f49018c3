"""Recovery: the steps of a rule, one after the other, mildest first, each only as long as the signal is there.

Nothing is restarted under a car that charges, or that is plugged in with a card accepted, unless the rule says so;
nothing happens in scheduled maintenance, while snoozed, or when the tenant's switch is off. A reset is a step of all
issues of the station that wait for one.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from stations.models import (
    Authorization,
    Command,
    CommandKind,
    CommandState,
    Connector,
    ConnectorStatus,
    Issue,
    IssueRule,
    IssueState,
    Session,
    SessionState,
    Station,
    StepKind,
)
from stations.services import commands, issues
from stations.services.signals import DETECTORS, Finding
from tenants.permissions import system

ACTOR = system("Recovery")
RESETS = (StepKind.SOFT_RESET, StepKind.HARD_RESET)
PLUGGED = (
    ConnectorStatus.PREPARING, ConnectorStatus.OCCUPIED, ConnectorStatus.CHARGING, ConnectorStatus.SUSPENDED_EV,
    ConnectorStatus.SUSPENDED_EVSE,
)  # fmt: skip
CARD_COUNTS = timedelta(minutes=15)
AFTER_RESET = timedelta(minutes=3)  # of another issue at the same station
DELIVER_WITHIN_S = 30  # a step that comes late could meet a car


def advance(*, issue: Issue, rule: IssueRule, station: Station, finding: Finding, now: datetime) -> None:
    """One look at one issue that is still there: note how the last step went, send the next one when it is due."""
    if not rule.steps or (issue.snoozed_until and issue.snoozed_until > now):
        return
    if not answered(issue, now):
        return
    if issue.step_at is not None and issue.step:
        waited = timedelta(minutes=rule.steps[min(issue.step, len(rule.steps)) - 1]["wait_minutes"])
        if now < issue.step_at + waited:
            return
        if DETECTORS[issue.signal].of_events and finding.at <= issue.step_at:
            return  # no news since the step: it may have helped, the next attempts will show
    if issue.step >= len(rule.steps):
        _round_is_over(issue, rule, now)
        return
    if issue.next_at is not None and now < issue.next_at:
        return
    _take(issue, rule, station, rule.steps[issue.step]["kind"], now)


def answered(issue: Issue, now: datetime) -> bool:
    """Whether no step's command is under way; the outcome of one that has ended is noted."""
    if issue.command_id is None:
        return True
    command = Command.objects.filter(tenant_id=issue.tenant_id, pk=issue.command_id).first()
    if command is not None and not command.settled:
        return False
    issue.command_id = None
    if command is not None:
        accepted = command.state == CommandState.ACCEPTED
        issue.helped_by = issue.helped_by if accepted else ""
        issues.note(
            issue, "step_result", now, command=command.pk, state=command.state, answer=command.answer,
            detail=command.detail[:200],
        )  # fmt: skip
        if not accepted:
            issue.step_at = now - timedelta(days=1)  # nothing to wait for
    issue.save(update_fields=["command_id", "helped_by", "step_at"])
    return True


def _round_is_over(issue: Issue, rule: IssueRule, now: datetime) -> None:
    issue.round += 1
    again = issue.round < rule.rounds_per_day
    pause = timedelta(minutes=rule.backoff_minutes * 2 ** min(issue.round - 1, 6))
    issue.next_at = now + (pause if again else timedelta(days=1))
    issues.note(issue, "round_failed", now, round=issue.round, next_at=issue.next_at.isoformat())
    issue.step, issue.step_at, issue.helped_by = 0, None, ""
    if not again:
        issue.round = 0
    if issue.state == IssueState.RECOVERING and not rule.escalate:
        issue.state = IssueState.OPEN
    issue.save()
    issues.tell(issue)


def _take(issue: Issue, rule: IssueRule, station: Station, kind: str, now: datetime) -> None:
    if kind == StepKind.UNLOCK and issue.connector is None:
        issue.step += 1  # nothing to unlock
        issue.save(update_fields=["step"])
        return
    shared = _shared(issue, kind, now)
    blocked = "" if shared else _blocked(issue, rule, station, kind, now)
    if blocked:
        if blocked != issue.blocked_by:
            issue.blocked_by = blocked
            issue.save(update_fields=["blocked_by"])
            issues.note(issue, "waits", now, step=kind, why=blocked)
            issues.tell(issue)
        return
    command = shared or commands.request_command(
        tenant_id=issue.tenant_id, station_id=station.pk, actor=ACTOR, expires_in_seconds=DELIVER_WITHIN_S,
        **_command(kind, issue.connector),
    )  # fmt: skip
    issue.step, issue.step_at, issue.command_id = issue.step + 1, now, command.pk
    issue.blocked_by, issue.helped_by = "", kind
    if issue.state == IssueState.OPEN:
        issue.state = IssueState.RECOVERING
    issue.save()
    issues.note(issue, "step", now, step=kind, number=issue.step, of=len(rule.steps), command=command.pk)
    issues.tell(issue)


def _command(kind: str, connector: Connector | None) -> dict[str, Any]:
    place = {"evse": connector.evse.number, "connector": connector.number} if connector else {}
    if kind == StepKind.TRIGGER:
        message = "status" if connector else "heartbeat"
        return {"kind": CommandKind.TRIGGER, "arguments": {"message": message, **place}}
    if kind == StepKind.UNLOCK:
        return {"kind": CommandKind.UNLOCK, "arguments": place}
    return {"kind": CommandKind.RESET, "arguments": {"hard": kind == StepKind.HARD_RESET}}


def _blocked(issue: Issue, rule: IssueRule, station: Station, kind: str, now: datetime) -> str:
    """Why this step must wait; empty: nothing speaks against it."""
    if not station.online:
        return "offline"
    if kind == StepKind.TRIGGER:
        return ""
    if not rule.under_session and busy(station, issue.connector if kind == StepKind.UNLOCK else None, now):
        return "busy"
    if kind in RESETS:
        allowed = rule.rounds_per_day * sum(step["kind"] in RESETS for step in rule.steps)
        if _resets(issue, now - timedelta(days=1)).count() >= allowed:
            return "limit"
        just_now = issue.step_at is None and _resets(issue, now - AFTER_RESET).exists()
        if just_now or _others_resets(issue, now):
            return "other"
    return ""


def _resets(issue: Issue, since: datetime) -> QuerySet[Command]:
    """Resets of recovery at the station."""
    return Command.objects.filter(
        tenant_id=issue.tenant_id, station=issue.station, kind=CommandKind.RESET, origin_kind=ACTOR.kind,
        origin_id=ACTOR.id, created_at__gt=since,
    )  # fmt: skip


def _others_resets(issue: Issue, now: datetime) -> list[Command]:
    """Those of a moment ago that were steps of other issues: its own steps wait as the rule says."""
    found = list(_resets(issue, now - AFTER_RESET).order_by("-id"))
    if not found:
        return []
    steps = issue.events.filter(tenant_id=issue.tenant_id, kind="step").values_list("data", flat=True)
    mine = {data.get("command") for data in steps.order_by("-at", "-id")[:50]}
    return [command for command in found if command.pk not in mine]


def _shared(issue: Issue, kind: str, now: datetime) -> Command | None:
    """A reset that another issue of the station has just had, since this one was noticed: four connectors that fail
    together are reset once."""
    if kind not in RESETS:
        return None
    hard = kind == StepKind.HARD_RESET
    for one in _others_resets(issue, now):
        if one.created_at > issue.opened_at and (one.arguments.get("hard") or not hard):
            return one
    return None


def busy(station: Station, connector: Connector | None, now: datetime) -> bool:
    """Whether a car charges there, or is plugged in with a card just accepted."""
    running = Session.objects.filter(
        tenant_id=station.tenant_id, station_id=station.pk, state=SessionState.ACTIVE
    )
    plugged = Connector.objects.filter(
        tenant_id=station.tenant_id, evse__station_id=station.pk, status__in=PLUGGED
    )
    if connector is not None:
        running, plugged = running.filter(evse_id=connector.evse_id), plugged.filter(pk=connector.pk)
    if running.exists():
        return True
    card = Authorization.objects.filter(
        tenant_id=station.tenant_id, station_id=station.pk, verdict="accepted", at__gt=now - CARD_COUNTS
    )
    asked = Command.objects.filter(
        tenant_id=station.tenant_id, station_id=station.pk, kind=CommandKind.START,
        state__in=[CommandState.QUEUED, CommandState.SENT, CommandState.ACCEPTED],
        created_at__gt=now - timedelta(minutes=3),
    )  # fmt: skip
    return asked.exists() or (plugged.exists() and card.exists())

"""Escalation: who must know when recovery did not help, by mail and by webhook."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils import timezone, translation

from stations.models import HealthPolicy, Issue, IssueEvent, IssueRule, IssueState
from stations.services import issues
from stations.services.signals import DETECTORS
from tenants.context import tenant_scope
from tenants.models import Tenant

log = logging.getLogger("voltyard.health")
MOST_IN_A_MAIL = 30
MOST_AT_ONCE = 5_000  # more are never open
APART = timedelta(minutes=5)  # mails to the same people: what escalates meanwhile is in the next one
GIVE_UP = timedelta(hours=24)


def consider(*, issue: Issue, rule: IssueRule, policy: HealthPolicy, now: datetime) -> bool:
    """Escalate where a round of recovery has failed or the issue is older than the rule bears."""
    if not rule.escalate or issue.escalated_at or (issue.snoozed_until and issue.snoozed_until > now):
        return False
    failed = bool(rule.steps) and policy.recovery_on and issue.next_at is not None
    if not failed and now - issue.opened_at < timedelta(minutes=rule.escalate_minutes):
        return False
    issue.state, issue.escalated_at = IssueState.ESCALATED, now
    issue.save(update_fields=["state", "escalated_at"])
    issues.note(issue, "escalated", now, why="recovery" if failed else "time", to=recipients(issue, policy))
    issues.tell(issue, "escalated")
    return True


def recipients(issue: Issue, policy: HealthPolicy) -> list[str]:
    """The rule's, the company's and the one it is given to."""
    own = [issue.assignee.user.email] if issue.assignee and issue.assignee.active else []
    listed = (issue.rule.mails if issue.rule else []) + policy.mails + own
    return list(dict.fromkeys(mail.lower() for mail in listed))


def mail_due(*, tenant_id: int) -> int:
    """Send what has escalated and was not mailed: one mail a circle of recipients, however many issues, and the next
    some minutes later. Opens its own transactions: a mail server may be slow."""
    with tenant_scope(tenant_id):
        policy = HealthPolicy.objects.filter(tenant_id=tenant_id).first()
        due = list(
            Issue.objects.filter(
                tenant_id=tenant_id, escalated_at__gt=timezone.now() - GIVE_UP, mailed_at=None
            )
            .exclude(state=IssueState.RESOLVED)
            .select_related("station", "site", "connector__evse", "rule", "assignee__user")
            .order_by("escalated_at")[:MOST_AT_ONCE]
        )
        tenant = Tenant.objects.get(pk=tenant_id)
        lately = _told_lately(tenant_id) if due else set()
    if policy is None or not due:
        return 0
    circles: dict[tuple[str, ...], list[Issue]] = {}
    for issue in due:
        circle = tuple(recipients(issue, policy))
        if circle not in lately:
            circles.setdefault(circle, []).append(issue)
    sent = 0
    for circle, found in circles.items():
        if circle:
            if not _send(tenant, list(circle), found):
                continue
            sent += 1
        with tenant_scope(tenant_id):
            now = timezone.now()
            for issue in found:
                Issue.objects.filter(tenant_id=tenant_id, pk=issue.pk).update(mailed_at=now)
                if circle:
                    issues.note(issue, "mailed", now, to=list(circle))
    return sent


def _told_lately(tenant_id: int) -> set[tuple[str, ...]]:
    """The circles that had a mail within the last minutes. Issues of a site that goes dark come by and by."""
    since = timezone.now() - APART
    told = IssueEvent.objects.filter(
        tenant_id=tenant_id, issue__mailed_at__gt=since, kind="mailed", at__gt=since
    ).order_by()
    return {tuple(data.get("to", [])) for data in told.values_list("data", flat=True)}


def _send(tenant: Tenant, to: list[str], found: list[Issue]) -> bool:
    with translation.override(tenant.language), timezone.override(ZoneInfo(tenant.time_zone)):
        message = compose(tenant, to, found)
    try:
        message.send()
    except Exception:
        log.exception("an escalation could not be mailed", extra={"tenant": tenant.pk, "issues": len(found)})
        return False
    return True


def told(issue: Issue) -> str:
    """The station's own words of what is wrong, its codes after them."""
    names = ("info", "error", "vendor_error", "text")
    return ", ".join(str(issue.evidence[name]) for name in names if issue.evidence.get(name))


def compose(tenant: Tenant, to: list[str], found: list[Issue]) -> EmailMultiAlternatives:
    """Plain text and HTML of the same words."""
    address = (settings.PUBLIC_URL or "").rstrip("/")
    context: dict[str, Any] = {
        "tenant": tenant, "count": len(found), "more": max(0, len(found) - MOST_IN_A_MAIL),
        "rows": [
            {
                "issue": issue, "says": DETECTORS[issue.signal].says,
                "url": f"{address}/t/{tenant.slug}/issues/{issue.pk}/",
                "told": told(issue),
                "tried": issue.rule is not None and bool(issue.rule.steps),
            }
            for issue in found[:MOST_IN_A_MAIL]
        ],
        "list_url": f"{address}/t/{tenant.slug}/issues/?state=escalated",
    }  # fmt: skip
    subject = " ".join(render_to_string("stations/mail/issue_subject.txt", context).split())
    message = EmailMultiAlternatives(
        subject, render_to_string("stations/mail/issue.txt", context), settings.DEFAULT_FROM_EMAIL, to
    )
    message.attach_alternative(render_to_string("stations/mail/issue.html", context), "text/html")
    return message

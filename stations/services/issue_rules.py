"""Rules: which signal is an issue at which stations, what is tried, and who is told. Sensible ones are shipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils import timezone
from django.utils.translation import gettext as _

from stations.models import HealthPolicy, IssueRule, IssueSeverity, Signal, Station, StepKind
from stations.services.signals import DETECTORS
from tenants.errors import Conflict, Invalid
from tenants.models import Site
from tenants.permissions import Actor, Permission
from tenants.services import audit

MOST_RULES, MOST_STEPS, MOST_MAILS = 100, 8, 20
FIELDS = (
    "name", "signal", "active", "position", "threshold", "grace_minutes", "severity", "site_ids", "stations_like",
    "steps", "under_session", "rounds_per_day", "backoff_minutes", "escalate", "escalate_minutes", "mails",
)  # fmt: skip


def _step(kind: str, minutes: int) -> dict[str, Any]:
    return {"kind": kind, "wait_minutes": minutes}


_MILD = [_step(StepKind.TRIGGER, 1)]
_RESET = [_step(StepKind.TRIGGER, 1), _step(StepKind.SOFT_RESET, 5), _step(StepKind.HARD_RESET, 6)]
_UNLOCK = [_step(StepKind.TRIGGER, 1), _step(StepKind.UNLOCK, 2), _step(StepKind.SOFT_RESET, 5)]
# signal: (severity, grace in minutes, steps, escalates, after minutes)
DEFAULTS: dict[str, tuple[str, int, list[dict[str, Any]], bool, int]] = {
    Signal.FAULTED: (IssueSeverity.CRITICAL, 2, _RESET, True, 60),
    Signal.OFFLINE: (IssueSeverity.CRITICAL, 0, [], True, 30),
    Signal.SILENT: (
        IssueSeverity.MAJOR,
        0,
        [_step(StepKind.TRIGGER, 2), _step(StepKind.HARD_RESET, 6)],
        True,
        60,
    ),
    Signal.FAILED_STARTS: (IssueSeverity.CRITICAL, 0, _RESET, True, 120),
    Signal.SECURITY: (IssueSeverity.CRITICAL, 0, [], True, 0),
    Signal.NOT_ACCEPTED: (IssueSeverity.MAJOR, 0, [], False, 0),
    Signal.NO_ENERGY: (IssueSeverity.MAJOR, 0, _MILD, True, 60),
    Signal.METER_STUCK: (IssueSeverity.MAJOR, 0, _MILD, True, 120),
    Signal.FLAPPING: (IssueSeverity.MAJOR, 0, [], False, 0),
    Signal.REBOOTS: (IssueSeverity.MAJOR, 0, [], True, 30),
    Signal.ALERT: (IssueSeverity.MAJOR, 0, [], True, 30),
    Signal.METER_JUMPED: (IssueSeverity.MAJOR, 0, [], False, 0),
    Signal.PLUGGED_IDLE: (IssueSeverity.MINOR, 0, _UNLOCK[:1], False, 0),
    Signal.SUSPENDED: (IssueSeverity.MINOR, 0, _MILD, False, 0),
    Signal.OUT_OF_SERVICE: (IssueSeverity.MINOR, 0, _MILD, False, 0),
    Signal.UNUSED: (IssueSeverity.MINOR, 0, _MILD, False, 0),
    Signal.CLOCK_DRIFT: (IssueSeverity.MINOR, 30, [], False, 0),
    Signal.UNSTEERED: (IssueSeverity.CRITICAL, 0, [], True, 5),
    Signal.DISOBEYS: (IssueSeverity.MAJOR, 0, [], True, 15),
    Signal.METER_MUTE: (IssueSeverity.MAJOR, 0, [], True, 30),
    Signal.LOAD_SHORT: (IssueSeverity.MAJOR, 0, [], True, 60),
    Signal.NO_DEFAULT: (IssueSeverity.MINOR, 0, [], False, 0),
    Signal.KEPT_OUT: (IssueSeverity.MINOR, 0, [], False, 0),
}


def policy(*, tenant_id: int) -> HealthPolicy:
    """The tenant's policy; the first call makes it, and the rules that are shipped. Of signals that came later, too."""
    found = HealthPolicy.objects.filter(tenant_id=tenant_id).first()
    if found is not None and set(DEFAULTS) <= set(found.shipped):
        return found
    if found is None:
        HealthPolicy.objects.get_or_create(tenant_id=tenant_id)
    made = HealthPolicy.objects.select_for_update(no_key=True).get(tenant_id=tenant_id)
    new = [signal for signal in DEFAULTS if signal not in made.shipped]
    if new:
        made.shipped = [*made.shipped, *map(str, new)]
        made.save(update_fields=["shipped"])
        IssueRule.objects.bulk_create(
            IssueRule(
                tenant_id=tenant_id, name=str(Signal(signal).label), signal=signal, position=100 + 10 * place,
                threshold=DETECTORS[signal].threshold, severity=severity, grace_minutes=grace, steps=steps,
                escalate=escalate, escalate_minutes=minutes,
            )
            for place, (signal, (severity, grace, steps, escalate, minutes)) in enumerate(DEFAULTS.items())
            if signal in new
        )  # fmt: skip
    return made


def change_policy(
    *, tenant_id: int, actor: Actor, recovery_on: bool | None = None, mails: Sequence[str] | None = None
) -> HealthPolicy:
    """The kill switch of all recovery, and who is told by default."""
    actor.require(
        Permission.TENANT_EDIT if actor.may(Permission.TENANT_EDIT) else Permission.STATION_CONFIGURE
    )
    _company_wide(actor)
    row = policy(tenant_id=tenant_id)
    before = {"recovery_on": row.recovery_on, "mails": row.mails}
    if recovery_on is not None:
        row.recovery_on = recovery_on
    if mails is not None:
        row.mails = checked_mails(mails)
    changed = audit.changes(before, {"recovery_on": row.recovery_on, "mails": row.mails})
    if changed:
        row.save(update_fields=["recovery_on", "mails"])
        audit.record(
            tenant_id=tenant_id, actor=actor, action="health.edit", subject=row, detail={"changed": changed}
        )
    return row


def _company_wide(actor: Actor) -> None:
    """Rules are the company's: who is limited to sites does not make them."""
    if actor.site_ids is not None:
        actor = Actor(actor.kind, actor.id, actor.label, frozenset())
        actor.require(Permission.STATION_CONFIGURE)


def create_rule(*, tenant_id: int, actor: Actor, **values: Any) -> IssueRule:
    actor.require(Permission.STATION_CONFIGURE)
    _company_wide(actor)
    policy(tenant_id=tenant_id)
    if IssueRule.objects.filter(tenant_id=tenant_id).count() >= MOST_RULES:
        raise Conflict(f"At most {MOST_RULES} rules. Remove one that is no longer needed.")
    rule = IssueRule(tenant_id=tenant_id)
    signal = values.get("signal", "")
    if "threshold" not in values and signal in DETECTORS:
        values["threshold"] = DETECTORS[signal].threshold
    _apply(rule, values)
    rule.save()
    audit.record(tenant_id=tenant_id, actor=actor, action="rule.create", subject=rule, detail=_told(rule))
    return rule


def update_rule(*, rule: IssueRule, actor: Actor, **values: Any) -> IssueRule:
    actor.require(Permission.STATION_CONFIGURE)
    _company_wide(actor)
    before = _told(rule)
    _apply(rule, values)
    changed = audit.changes(before, _told(rule))
    if changed:
        rule.save()
        audit.record(
            tenant_id=rule.tenant_id,
            actor=actor,
            action="rule.edit",
            subject=rule,
            detail={"changed": changed},
        )
    return rule


def delete_rule(*, rule: IssueRule, actor: Actor) -> None:
    """Its open issues close with the next sweep."""
    actor.require(Permission.STATION_CONFIGURE)
    _company_wide(actor)
    audit.record(
        tenant_id=rule.tenant_id, actor=actor, action="rule.delete", subject=rule, detail=_told(rule)
    )
    rule.delete()


def _told(rule: IssueRule) -> dict[str, Any]:
    return {name: getattr(rule, name) for name in FIELDS}


def _apply(rule: IssueRule, values: Mapping[str, Any]) -> None:
    """Set and check. Invalid names each field that cannot be used."""
    wrong: dict[str, str] = {}
    for name in FIELDS:
        if name in values:
            setattr(rule, name, values[name])
    if not str(rule.name).strip():
        wrong["name"] = _("Give it a name.")
    detector = DETECTORS.get(rule.signal)
    if detector is None:
        raise Invalid(fields={"signal": f"Choose one of {', '.join(Signal.values)}."})
    if not detector.least <= rule.threshold <= 1_000_000:
        wrong["threshold"] = _("At least %(least)s.") % {"least": f"{detector.least:g}"}
    for name, least, most in (
        ("grace_minutes", 0, 10_080), ("rounds_per_day", 1, 24), ("backoff_minutes", 1, 1_440),
        ("escalate_minutes", 0, 10_080), ("position", -10_000, 10_000),
    ):  # fmt: skip
        if not least <= getattr(rule, name) <= most:
            wrong[name] = _("Between %(least)s and %(most)s.") % {"least": least, "most": most}
    rule.steps = _checked_steps(rule.steps, wrong)
    known = set(Site.objects.filter(tenant_id=rule.tenant_id).values_list("id", flat=True))
    if not isinstance(rule.site_ids, list) or not set(rule.site_ids) <= known:
        wrong["site_ids"] = _("There is no such site.")
    try:
        rule.mails = checked_mails(rule.mails)
    except Invalid as error:
        wrong |= error.fields
    if wrong:
        raise Invalid(fields=wrong)
    rule.changed_at = timezone.now()


def _checked_steps(steps: Any, wrong: dict[str, str]) -> list[dict[str, Any]]:
    found = []
    for step in steps if isinstance(steps, list) else [None]:
        kind = step.get("kind") if isinstance(step, dict) else None
        minutes = step.get("wait_minutes", 3) if isinstance(step, dict) else None
        if kind not in StepKind.values or not isinstance(minutes, int) or not 1 <= minutes <= 120:
            wrong["steps"] = _("Each step is one of %(kinds)s and waits between 1 and 120 minutes.") % {
                "kinds": ", ".join(StepKind.values)
            }
            return []
        found.append({"kind": kind, "wait_minutes": minutes})
    if len(found) > MOST_STEPS:
        wrong["steps"] = _("At most %(most)s steps.") % {"most": MOST_STEPS}
    return found


def checked_mails(mails: Sequence[str]) -> list[str]:
    found = list(dict.fromkeys(str(mail).strip() for mail in mails if str(mail).strip()))
    if len(found) > MOST_MAILS:
        raise Invalid(fields={"mails": _("At most %(most)s addresses.") % {"most": MOST_MAILS}})
    for mail in found:
        try:
            validate_email(mail)
        except ValidationError:
            raise Invalid(fields={"mails": _("%(mail)s is no address.") % {"mail": mail[:80]}}) from None
    return found


def fits_site(rule: IssueRule, site_id: int) -> bool:
    return not rule.site_ids or site_id in rule.site_ids


def fits(rule: IssueRule, station: Station) -> bool:
    """Whether the rule speaks of this station."""
    if not fits_site(rule, station.site_id):
        return False
    wanted = [text.strip().lower() for text in rule.stations_like.split(",") if text.strip()]
    told = f"{station.vendor} {station.model}".lower()
    return not wanted or any(text in told for text in wanted)

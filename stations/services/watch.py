"""The sweep that turns signals into issues, sees them through, and closes them with a record."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Case, F, Q, When

from stations.models import (
    Command,
    CommandKind,
    CommandState,
    Exclusion,
    ExclusionCategory,
    Issue,
    IssueRule,
    IssueState,
    Resolution,
    Station,
)
from stations.services import escalation, issue_rules, issues, recovery, signals
from stations.services.signals import DETECTORS, Finding
from tenants import locks

log = logging.getLogger("voltyard.health")

MOST_NEW = 100  # issues a sweep
MOST_OPEN = 2_000  # issues a tenant
CALM = timedelta(seconds=45)  # gone for so long is gone
FRESH = timedelta(minutes=15)  # back within so long is the same issue
STILL = timedelta(minutes=10)  # seen within so long: what a person closed has not been away since
# What people may have mended it with.
MENDS = (
    CommandKind.RESET,
    CommandKind.UNLOCK,
    CommandKind.SET_AVAILABILITY,
    CommandKind.UPDATE_FIRMWARE,
    CommandKind.UPDATE_SIGNED_FIRMWARE,
)

# Signal, station, connector, and the site where it is of no station.
Key = tuple[str, int | None, int | None, int | None]


@dataclass
class Hit:
    rule: IssueRule
    station: Station | None
    site_id: int
    finding: Finding


def sweep(*, tenant_id: int, now: datetime) -> int:
    """One look at everything of a tenant. Returns how many issues are open after it. One at a time a tenant."""
    if not locks.hold("health", tenant_id, waits=False):
        return 0
    signals.measure_clocks(tenant_id=tenant_id, now=now)
    policy = issue_rules.policy(tenant_id=tenant_id)
    found = list(IssueRule.objects.filter(tenant_id=tenant_id, active=True))
    stations = {
        row.pk: row
        for row in Station.objects.filter(tenant_id=tenant_id, archived_at=None).select_related("site")
    }
    calm = _in_maintenance(tenant_id, now)
    hits, blind = _hits(tenant_id, found, stations, now)
    still_open = _follow(tenant_id, hits, blind, stations, {rule.pk for rule in found}, calm, now)
    _begin(tenant_id, hits, still_open, calm, now)
    for key, issue in still_open.items():
        hit = hits.get(key)
        if hit is None or _is_calm(hit.station, calm):
            continue
        if policy.recovery_on and hit.station is not None:
            _safely(
                issue, lambda issue=issue, hit=hit: recovery.advance(
                    issue=issue, rule=hit.rule, station=hit.station, finding=hit.finding, now=now
                ),
            )  # fmt: skip
        escalation.consider(issue=issue, rule=hit.rule, policy=policy, now=now)
    return len(still_open)


def _safely(issue: Issue, step: object) -> None:
    """One issue's trouble is not the next one's."""
    try:
        with transaction.atomic():
            step()  # type: ignore[operator]
    except Exception:
        log.exception("recovery failed", extra={"issue": issue.pk})


def _in_maintenance(tenant_id: int, now: datetime) -> list[Exclusion]:
    return list(
        Exclusion.objects.filter(
            tenant_id=tenant_id, category=ExclusionCategory.MAINTENANCE, withdrawn_at=None, starts_at__lte=now,
            ends_at__gt=now,
        )
    )  # fmt: skip


def _is_calm(station: Station | None, windows: Iterable[Exclusion]) -> bool:
    return station is not None and any(one.speaks_of(station) for one in windows)


def _hits(
    tenant_id: int, found: list[IssueRule], stations: dict[int, Station], now: datetime
) -> tuple[dict[Key, Hit], set[str]]:
    """What is wrong now, each with the first rule that fits its station; and the signals that could not be read."""
    hits: dict[Key, Hit] = {}
    blind: set[str] = set()
    first: dict[tuple[str, int], IssueRule] = {}
    for rule in found:
        try:
            with transaction.atomic():
                findings = list(DETECTORS[rule.signal].find(tenant_id, now, rule.threshold))
        except Exception:
            log.exception("a signal could not be looked at", extra={"signal": rule.signal})
            blind.add(rule.signal)
            continue
        for station in stations.values():
            if (rule.signal, station.pk) not in first and issue_rules.fits(rule, station):
                first[(rule.signal, station.pk)] = rule
        for finding in findings:
            hit = _hit(rule, finding, stations, first)
            if hit is None or now - finding.since < timedelta(minutes=rule.grace_minutes):
                continue
            key = (rule.signal, finding.station_id, finding.connector_id, finding.site_id)
            if key not in hits or hits[key].finding.since > finding.since:
                hits[key] = hit
    return hits, blind


def _hit(
    rule: IssueRule, finding: Finding, stations: dict[int, Station], first: dict[tuple[str, int], IssueRule]
) -> Hit | None:
    """None where the rule does not speak of the place, or another one does before it."""
    if finding.station_id is None:
        if finding.site_id is None or not issue_rules.fits_site(rule, finding.site_id):
            return None
        before = first.setdefault((rule.signal, -finding.site_id), rule)  # no station has such a number
        return Hit(rule, None, finding.site_id, finding) if before is rule else None
    station = stations.get(finding.station_id)
    if station is None or first.get((rule.signal, finding.station_id)) is not rule:
        return None
    return Hit(rule, station, station.site_id, finding)


def _key(issue: Issue) -> Key:
    site_id = issue.site_id if issue.station_id is None else None
    return issue.signal, issue.station_id, issue.connector_id, site_id


def _follow(
    tenant_id: int, hits: dict[Key, Hit], blind: set[str], stations: dict[int, Station], rule_ids: set[int],
    calm: list[Exclusion], now: datetime,
) -> dict[Key, Issue]:  # fmt: skip
    """Bring the open issues up to date; those whose cause is gone end. Returns the ones that stay open."""
    kept: dict[Key, Issue] = {}
    rows = list(
        Issue.objects.select_for_update(of=("self",), no_key=True)
        .filter(~Q(state=IssueState.RESOLVED), tenant_id=tenant_id)
        .select_related("station__site", "connector__evse", "rule", "assignee__user")
        .order_by("id")
    )
    back = _back(tenant_id, {issue.signal for issue in rows} - blind, now)
    for issue in rows:
        _move(issue, stations)
        hit = hits.get(_key(issue))
        if hit is not None:
            issue.seen_at, issue.evidence, issue.gone_at = hit.finding.at, hit.finding.evidence, None
            issue.rule, issue.severity = hit.rule, hit.rule.severity
            issue.save(update_fields=["seen_at", "evidence", "gone_at", "rule", "severity"])
            kept[_key(issue)] = issue
        elif _key(issue) in back and _is_meant(issue, stations, rule_ids):
            # After a reset, say: there for too short a time to be found, and yet it was not mended.
            if issue.gone_at is not None:
                issue.gone_at = None
                issue.save(update_fields=["gone_at"])
            kept[_key(issue)] = issue
        elif not _ends(issue, blind, stations, rule_ids, calm, now):
            kept[_key(issue)] = issue
    return kept


def _move(issue: Issue, stations: dict[int, Station]) -> None:
    """It goes with its station: who answers for the old site sees and steers it no longer."""
    station = stations.get(issue.station_id or 0)
    if station is not None and issue.site_id != station.site_id:
        issue.site = station.site
        issue.save(update_fields=["site"])


def _is_meant(issue: Issue, stations: dict[int, Station], rule_ids: set[int]) -> bool:
    """Whether its rule still speaks of its station."""
    station = stations.get(issue.station_id or 0)
    if station is None or issue.rule is None or issue.rule_id not in rule_ids:
        return False
    return issue_rules.fits(issue.rule, station)


def _back(tenant_id: int, signals_open: set[str], now: datetime) -> set[Key]:
    """Where what an open issue is about is there, for however short a time."""
    found: set[Key] = set()
    for signal in signals_open:
        if DETECTORS[signal].waits:
            for one in DETECTORS[signal].find(tenant_id, now, 0):
                found.add((signal, one.station_id, one.connector_id, one.site_id))
    return found


def _ends(
    issue: Issue, blind: set[str], stations: dict[int, Station], rule_ids: set[int], calm: list[Exclusion],
    now: datetime,
) -> bool:  # fmt: skip
    """Whether an issue that was not seen in this sweep is over. Then it is resolved."""
    station = stations.get(issue.station_id or 0)
    if (station is None and issue.station_id is not None) or issue.rule_id not in rule_ids:
        issues.resolve(issue=issue, now=now, resolution=Resolution.GONE)
        return True
    detector = DETECTORS[issue.signal]
    if issue.signal in blind or detector.sticky or _is_calm(station, calm):
        return False
    if detector.needs_socket and station is not None and not station.online:
        return False  # what cannot be heard is not mended
    if issue.gone_at is None:
        issue.gone_at = now
        issue.save(update_fields=["gone_at"])
        recovery.answered(issue, now)
        return False
    if now - issue.gone_at < CALM:
        return False
    recovery.answered(issue, issue.gone_at)
    hand = _by_hand(issue) if station is not None else None
    if hand is not None:
        issues.resolve(
            issue=issue, now=issue.gone_at, resolution=Resolution.BY_HAND, by=hand.origin_label,
            reason=f"{hand}, {hand.origin_label}",
        )  # fmt: skip
        return True
    helped = issue.helped_by if issue.step_at else ""
    issues.resolve(
        issue=issue, now=issue.gone_at, helped_by=helped,
        resolution=Resolution.RECOVERED if helped else Resolution.BY_ITSELF,
    )  # fmt: skip
    return True


def _by_hand(issue: Issue) -> Command | None:
    """The newest command by which a person may have mended it, if recovery took no step after it."""
    since = max(issue.opened_at, issue.step_at or issue.opened_at)
    return (
        Command.objects.filter(
            tenant_id=issue.tenant_id, station=issue.station, kind__in=MENDS, state=CommandState.ACCEPTED,
            origin_kind__in=("user", "key"), created_at__range=(since, issue.gone_at),
        )
        .first()
    )  # fmt: skip


def _begin(
    tenant_id: int, hits: dict[Key, Hit], still_open: dict[Key, Issue], calm: list[Exclusion], now: datetime
) -> None:
    """Open what is new. Never a flood: so many a sweep, so many a tenant; the rest comes with the next sweeps."""
    new = [key for key in hits if key not in still_open and not _is_calm(hits[key].station, calm)]
    room = min(MOST_NEW, MOST_OPEN - len(still_open))
    ended = _newest_ended(tenant_id, new)
    for key in sorted(new, key=lambda one: hits[one].finding.since):
        hit, last = hits[key], ended.get(key)
        if last is not None and _was_closed(last, hit, now):
            continue  # takes no place: who closed a hundred that last is still told of the next one
        if room <= 0:
            continue
        room -= 1
        if last is not None and last.resolved_at and last.resolution != Resolution.CLOSED and (
            now - last.resolved_at < FRESH
        ):  # fmt: skip
            still_open[key] = issues.reopen(issue=last, finding=hit.finding, now=now)
        else:
            still_open[key] = issues.open_issue(
                station=hit.station, site_id=hit.site_id, rule=hit.rule, finding=hit.finding, now=now
            )


def _newest_ended(tenant_id: int, keys: list[Key]) -> dict[Key, Issue]:
    """The last issue at each of these places that had one."""
    stations = {key[1] for key in keys if key[1] is not None}
    sites = {key[3] for key in keys if key[3] is not None}
    newest = (
        Issue.objects.filter(
            Q(station_id__in=stations) | Q(station_id=None, site_id__in=sites),
            tenant_id=tenant_id, signal__in={key[0] for key in keys},
        )
        .annotate(whole=Case(When(station_id=None, then=F("site_id"))))
        .order_by("signal", "station_id", "connector_id", "whole", "-id")
        .distinct("signal", "station_id", "connector_id", "whole")
    )  # fmt: skip
    rows = Issue.objects.select_for_update(of=("self",), no_key=True).select_related(
        "station__site", "connector__evse", "rule", "assignee__user"
    )
    wanted = set(keys)
    chosen = [one.pk for one in newest if _key(one) in wanted] if keys else []
    return {_key(one): one for one in rows.filter(tenant_id=tenant_id, pk__in=chosen).order_by("id")}


def _was_closed(last: Issue, hit: Hit, now: datetime) -> bool:
    """A person closed it and nothing new was seen: it stays closed."""
    if last.resolution != Resolution.CLOSED or last.resolved_at is None:
        return False
    if DETECTORS[last.signal].of_events:
        return hit.finding.at <= last.resolved_at
    if now - max(last.seen_at, last.resolved_at) > STILL:
        return False
    last.seen_at = now
    last.save(update_fields=["seen_at"])
    return True

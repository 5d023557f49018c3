"""The past of connectors: what each told, an issue that healed, excluded times, months of uptime."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime, timedelta
from random import Random
from typing import Any

from django.utils import timezone

from cpo.demo.founding import Company, connectors
from stations.models import (
    Connector,
    Issue,
    IssueEvent,
    IssueRule,
    IssueState,
    PortMonth,
    Resolution,
    Session,
    Signal,
    Station,
    StationEvent,
    StatusEntry,
    StepKind,
)
from stations.services import exclusions, issue_rules, uptime, uptime_reports
from tenants.permissions import system

WEEKS = 6
_TIMELINE = timedelta(hours=900)  # of which faults stand on a station's timeline too
EARLIER_MONTHS = 10  # of uptime, before the six weeks of which everything is kept
_FAULTS = (
    ("GroundFailure", "E17", "Residual current"),
    ("HighTemperature", "T02", "Cable too hot"),
    ("ConnectorLockFailure", "L01", "Lock does not close"),
    ("PowerMeterFailure", "M04", ""),
)


def write(company: Company, sessions: list[Session], now: datetime) -> None:
    faults = _faults(company, now)
    _statuses(company, sessions, faults, now)
    issue_rules.policy(tenant_id=company.tenant.pk)
    issue_rules.change_policy(
        tenant_id=company.tenant.pk, actor=company.actor, mails=[f"operations@{company.tenant.slug}.example"]
    )
    if len(company.sites) > 1:
        _healed(company, now)
        _excluded(company, now)
    _months(company, now)


Fault = tuple[datetime, datetime, str, str, str]


def _faults(company: Company, now: datetime) -> dict[int, list[Fault]]:
    """By connector. One station of the hub was down for days: it is what the uptime page shows first."""
    found: dict[int, list[Fault]] = defaultdict(list)
    for connector in _own(company):
        rng = Random(f"faults {connector.evse.station.identity} {connector.evse.number}")
        for _ in range(rng.choice((0, 0, 1, 1, 2, 3))):
            at = now - timedelta(hours=rng.uniform(30, 24 * 7 * WEEKS - 30))
            long = timedelta(minutes=rng.uniform(4, 260))
            found[connector.pk].append((at, at + long, *rng.choice(_FAULTS)))
        if connector.evse.station.identity == "NOR-SOL-03" and connector.evse.number == 2:
            began = now - timedelta(days=19, hours=5)
            found[connector.pk].append((began, began + timedelta(hours=61), *_FAULTS[1]))
    return found


def _own(company: Company) -> list[Connector]:
    planned = {station.pk for _plan, station, _power, _version in company.stations}
    return [one for one in connectors(company) if one.evse.station_id in planned]


def _statuses(
    company: Company, sessions: list[Session], faults: dict[int, list[Fault]], now: datetime
) -> None:
    """Available, preparing, charging, finishing for each session; faults where no car stood."""
    by_connector: dict[int, list[Session]] = defaultdict(list)
    for session in sessions:
        if session.connector_id:
            by_connector[session.connector_id].append(session)
    rows: list[StatusEntry] = []
    told: list[StationEvent] = []
    for connector in _own(company):
        old = connector.evse.station.ocpp_version == "1.6"
        points: list[tuple[datetime, str, tuple[str, str, str]]] = [
            (now - timedelta(weeks=WEEKS), "available", ("", "", ""))
        ]
        for session in by_connector[connector.pk]:
            end = session.ended_at or now
            points.append(
                (session.started_at - timedelta(seconds=50), "preparing" if old else "occupied", ("", "", ""))
            )
            points.append((session.started_at, "charging" if old else "occupied", ("", "", "")))
            points.append((end, "finishing" if old else "occupied", ("", "", "")))
            points.append((end + timedelta(seconds=80), "available", ("", "", "")))
        busy = [(s.started_at, s.ended_at or now) for s in by_connector[connector.pk]]
        for start, end, code, vendor, info in faults[connector.pk]:
            if not any(a < end and b > start for a, b in busy) or end - start > timedelta(days=1):
                points = [point for point in points if not start <= point[0] < end]
                points += [(start, "faulted", (code, vendor, info)), (end, "available", ("", "", ""))]
                if start > now - _TIMELINE:
                    told += [_told(connector, "faulted", start, (code, vendor, info))]
                    told += [_told(connector, "available", end, ("", "", ""))]
        rows += [
            StatusEntry(
                tenant_id=company.tenant.pk, station=connector.evse.station, evse_number=connector.evse.number,
                connector_number=connector.number, status=status, error_code=code, vendor_error_code=vendor,
                info=info, at=at, received_at=at,
            )
            for at, status, (code, vendor, info) in sorted(points)
            if at < now
        ]  # fmt: skip
    StatusEntry.objects.bulk_create(rows, batch_size=4000)
    StationEvent.objects.bulk_create(sorted(told, key=lambda event: event.occurred_at))


def _told(connector: Connector, status: str, at: datetime, why: tuple[str, str, str]) -> StationEvent:
    """A line of the station's timeline: what the lanes draw and uptime counts."""
    detail = dict(zip(("error_code", "vendor_error_code", "info"), why, strict=True))
    return StationEvent(
        tenant_id=connector.tenant_id, station=connector.evse.station, evse_number=connector.evse.number,
        connector_number=connector.number, kind="status", severity="error" if status == "faulted" else "info",
        text=status, detail={name: word for name, word in detail.items() if word}, occurred_at=at, received_at=at,
    )  # fmt: skip


def _station(company: Company, identity: str) -> Station | None:
    return next((one for _plan, one, _power, _version in company.stations if one.identity == identity), None)


def _healed(company: Company, now: datetime) -> None:
    """An issue of yesterday that a reset has healed, with its whole life."""
    station = _station(company, "NOR-HAM-07")
    if station is None:
        return
    began = (now - timedelta(hours=26)).replace(second=12, microsecond=0)
    rule = IssueRule.objects.filter(tenant_id=company.tenant.pk, signal=Signal.FAULTED).first()
    connector = Connector.objects.filter(tenant_id=company.tenant.pk, evse__station=station).first()
    issue = Issue.objects.create(
        tenant_id=company.tenant.pk, rule=rule, signal=Signal.FAULTED, site_id=station.site_id, station=station,
        connector=connector, state=IssueState.RESOLVED, severity="critical", since=began,
        opened_at=began + timedelta(minutes=2), seen_at=began + timedelta(minutes=6),
        evidence={"error": "ConnectorLockFailure", "vendor_error": "L01", "info": "Lock does not close"},
        resolved_at=began + timedelta(minutes=8), resolution=Resolution.RECOVERED, helped_by=StepKind.SOFT_RESET,
        step=2, step_at=began + timedelta(minutes=4),
    )  # fmt: skip
    life: tuple[tuple[float, str, dict[str, Any]], ...] = (
        (2, "opened", {"rule": str(rule), **issue.evidence}),
        (2, "step", {"step": "trigger", "number": 1, "of": 3}),
        (2.1, "step_result", {"state": "accepted", "answer": "Accepted", "detail": ""}),
        (4, "step", {"step": "soft_reset", "number": 2, "of": 3}),
        (4.2, "step_result", {"state": "accepted", "answer": "Accepted", "detail": ""}),
        (8, "resolved", {"resolution": "recovered", "helped_by": "soft_reset", "seconds": 360}),
    )
    IssueEvent.objects.bulk_create(
        IssueEvent(
            tenant_id=company.tenant.pk,
            issue=issue,
            at=began + timedelta(minutes=minutes),
            kind=kind,
            data=data,
        )
        for minutes, kind, data in life
    )


def _excluded(company: Company, now: datetime) -> None:
    """A cut of the utility, and maintenance that lies ahead."""
    scope: dict[str, Any] = {"tenant_id": company.tenant.pk, "actor": company.actor}
    hub = _station(company, "NOR-SOL-03")
    if hub is not None:
        began = now - timedelta(days=18, hours=20)
        exclusions.enter(
            **scope, category="utility", site=company.sites["hub"], starts_at=began,
            ends_at=began + timedelta(hours=7),
            evidence="The grid operator switched the line off after a cable fault and confirmed it in writing.",
            reference="Avacon ST-2026-48113",
        )  # fmt: skip
    start = (now + timedelta(days=2)).replace(hour=21, minute=0, second=0, microsecond=0)
    exclusions.enter(
        **scope, category="maintenance", site=company.sites["depot"], starts_at=start,
        ends_at=start + timedelta(hours=6),
        evidence="Exchange of the main distribution board, announced to the tenants.", reference="Job 2231",
    )  # fmt: skip


def _months(company: Company, now: datetime) -> None:
    """The months that the kept past covers are computed; earlier ones are made up, as an import would bring them."""
    this = now.date().replace(day=1)
    uptime.refresh(tenant_id=company.tenant.pk, months=[uptime.shifted(this, -1), this], now=now)
    first = uptime.shifted((now - timedelta(weeks=WEEKS)).date().replace(day=1), -1)
    rows = []
    for connector in _own(company):
        if connector.number != 1:
            continue
        rng = Random(f"months {connector.evse.station.identity} {connector.evse.number}")
        for back in range(EARLIER_MONTHS):
            rows.append(_earlier(company, connector, uptime.shifted(first, -back), rng, now))
    PortMonth.objects.bulk_create(rows, ignore_conflicts=True)
    last = uptime.shifted(this, -1)
    if len(company.sites) > 1:
        for scheme in ("us", "uk", "effective"):
            uptime_reports.make(
                tenant_id=company.tenant.pk, actor=system("Monthly reports"), scheme=scheme, month=last
            )


def _earlier(company: Company, connector: Connector, month: date, rng: Random, now: datetime) -> PortMonth:
    start, end = uptime.edges(month, connector.evse.station.site.time_zone)
    whole = round((end - start).total_seconds())
    outage = round(whole * rng.choice((0.001, 0.002, 0.004, 0.006, 0.01, 0.02, 0.05)) * rng.uniform(0.5, 1.3))
    starts = rng.randrange(60, 260)
    return PortMonth(
        tenant_id=company.tenant.pk, station=connector.evse.station, evse=connector.evse, month=month,
        month_s=whole, period_s=whole, unknown_s=0, outage_s=outage,
        excluded_s=round(outage * rng.choice((0, 0, 0, 0.2, 0.5))), failed_s=round(outage * rng.uniform(0, 0.6)),
        uk_period_s=whole, uk_down_s=round(outage * 0.4), starts=starts,
        failed_starts=round(starts * rng.uniform(0, 0.06)), final=True, computed_at=timezone.now(),
    )  # fmt: skip

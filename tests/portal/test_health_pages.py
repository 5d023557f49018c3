"""Pages of health: the picture, issues, rules, uptime, exclusions, reports."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone, translation

from stations.models import (
    Alert,
    Connection,
    Connector,
    Evse,
    Exclusion,
    HealthPolicy,
    Issue,
    IssueRule,
    PortMonth,
    Signal,
    Station,
    UptimeReport,
)
from stations.services import exclusions, issue_rules, report_pdf, uptime, uptime_reports, watch
from tenants.context import as_platform, tenant_scope
from tenants.models import AuditRecord, Site, Tenant
from tenants.permissions import system
from tests.portal.conftest import Visitor
from tests.stations.telling import Speaker

Visit = Callable[..., Visitor]


@pytest.fixture
def ill(tenant: Tenant, make_station: Any, site: Any) -> Station:
    """A station that was online for a day and has been faulted for an hour."""
    now = timezone.now()
    station: Station = make_station(
        site=site,
        name="Ramp 7",
        online=True,
        last_seen_at=now,
        online_changed_at=now - timedelta(days=1),
        epoch=1,
    )
    with tenant_scope(tenant.pk):
        Connection.objects.create(
            tenant=tenant, station=station, epoch=1, gateway="g", ocpp_version="1.6",
            opened_at=now - timedelta(days=1),
        )  # fmt: skip
    speaker = Speaker(station)
    for hours, status in ((23, "available"), (1, "faulted")):
        when = now - timedelta(hours=hours)
        speaker.status(
            status, at=when, received_at=when, error_code="GroundFailure" if status == "faulted" else ""
        )
    return station


@pytest.fixture
def issue(tenant: Tenant, ill: Station) -> Issue:
    with tenant_scope(tenant.pk):
        watch.sweep(tenant_id=tenant.pk, now=timezone.now())
        return Issue.objects.get(station=ill)


def test_health_opens_with_the_answer_and_draws_the_lanes(visitor: Visit, ill: Station, issue: Issue) -> None:
    text = visitor("technician").text(f"stations/{ill.pk}/health/")
    assert "1 thing needs you" in text and "GroundFailure" in text
    assert 'class="health-bar"' in text and 'data-state="faulted"' in text
    assert "The same as a table" in text


def test_a_healthy_station_says_so(visitor: Visit, make_station: Any) -> None:
    station = make_station(online=True, last_seen_at=timezone.now())
    assert "No issue is open at this station" in visitor().text(f"stations/{station.pk}/health/")


@pytest.mark.parametrize(
    "query", ["span=30", "span=99", "until=x", "until=2000-01-01T00:00:00Z", "until=9999"]
)
def test_any_address_of_health_answers(visitor: Visit, ill: Station, query: str) -> None:
    name, _equals, value = query.partition("=")
    visitor().text(f"stations/{ill.pk}/health/", **{name: value})


def test_the_list_of_issues_narrows_and_the_menu_counts(visitor: Visit, issue: Issue) -> None:
    olga = visitor("operator")
    assert "1 issue is open" in olga.text("issues/") and "alert-count" in olga.text("issues/")
    assert "Ramp 7" in olga.text("issues/", signal="faulted", severity="critical")
    assert "Ramp 7" not in olga.text("issues/", signal="offline")
    assert "Ramp 7" not in olga.text("issues/", state="resolved")


def test_an_issue_is_commented_given_made_quiet_and_closed(
    visitor: Visit, tenant: Tenant, issue: Issue
) -> None:
    tom = visitor("technician")
    address = f"issues/{issue.pk}/act/"
    tom.post(address, action="comment", text="The lid is open.")
    assert "The lid is open." in tom.text(f"issues/{issue.pk}/")
    tom.post(address, action="snooze", hours="8")
    assert "Quiet" in tom.text("issues/", state="snoozed")
    refused = tom.post(address, action="close", reason=" ")
    assert refused.status_code == 422
    tom.post(address, action="close", reason="Lid closed again.")
    with tenant_scope(tenant.pk):
        issue.refresh_from_db()
        assert (issue.state, issue.resolution, issue.reason) == ("resolved", "closed", "Lid closed again.")
        assert AuditRecord.objects.filter(action="issue.close", object_id=str(issue.pk)).exists()


def test_many_are_closed_at_once(visitor: Visit, tenant: Tenant, issue: Issue) -> None:
    visitor("operator").post("issues/bulk/", issue=[issue.pk], action="close", reason="Known")
    with tenant_scope(tenant.pk):
        assert Issue.objects.get(pk=issue.pk).reason == "Known"


def test_who_may_only_read_changes_nothing(visitor: Visit, issue: Issue) -> None:
    auditor = visitor("auditor")
    assert auditor.post(f"issues/{issue.pk}/act/", action="close", reason="x").status_code == 403
    assert auditor.get("issues/rules/new/").status_code == 403
    assert auditor.post("uptime/reports/new/", month="2026-01-01").status_code == 403


def test_a_rule_is_made_and_the_switch_is_thrown(visitor: Visit, tenant: Tenant) -> None:
    olga = visitor("operator")
    form = {
        "name": "Fast ones", "signal": "faulted", "threshold": "3", "grace_minutes": "5", "severity": "critical",
        "position": "1", "rounds_per_day": "2", "backoff_minutes": "30", "escalate": "on", "escalate_minutes": "10",
        "mails": "a@example.com, b@example.com", "active": "on", "step_1": "trigger", "wait_1": "2",
        "step_2": "hard_reset", "wait_2": "6",
    }  # fmt: skip
    assert olga.post("issues/rules/new/", **(form | {"threshold": "-1"})).status_code == 422
    assert olga.post("issues/rules/new/", **form).status_code == 302
    with tenant_scope(tenant.pk):
        rule = IssueRule.objects.get(name="Fast ones")
    assert [step["kind"] for step in rule.steps] == ["trigger", "hard_reset"]
    assert rule.mails == ["a@example.com", "b@example.com"]
    olga.post("issues/rules/policy/", mails="noc@example.com")
    with tenant_scope(tenant.pk):
        assert not HealthPolicy.objects.get().recovery_on
    assert "Recovery is off." in olga.text("issues/rules/")
    olga.post(f"issues/rules/{rule.pk}/delete/")
    with tenant_scope(tenant.pk):
        assert not IssueRule.objects.filter(pk=rule.pk).exists()


def test_the_overview_speaks_of_issues(visitor: Visit, issue: Issue) -> None:
    text = visitor("operator").text("")
    assert f"issues/{issue.pk}/" in text and text.count("Ramp 7") >= 1


def test_an_excluded_time_changes_the_month_and_can_be_withdrawn(
    visitor: Visit, tenant: Tenant, ill: Station
) -> None:
    now = timezone.now()
    with tenant_scope(tenant.pk):
        station = Station.objects.select_related("site").get(pk=ill.pk)
        month = uptime.month_of(now - timedelta(minutes=50), station.site.time_zone)
        (before,) = uptime.compute(station=station, month=month, now=now)
    assert 3000 <= before.outage_s <= 3700 and before.excluded_s == 0
    olga, zone = visitor("operator"), ZoneInfo(tenant.time_zone)
    form = {
        "category": "utility", "place": f"station:{ill.pk}", "evidence": "Notice 7", "reference": "ST-1",
        "starts_at": f"{(now - timedelta(minutes=50)).astimezone(zone):%Y-%m-%dT%H:%M}",
        "ends_at": f"{(now - timedelta(minutes=20)).astimezone(zone):%Y-%m-%dT%H:%M}",
    }  # fmt: skip
    assert olga.post("uptime/exclusions/new/", **(form | {"evidence": ""})).status_code == 422
    assert olga.post("uptime/exclusions/new/", **form).status_code == 302
    with tenant_scope(tenant.pk):
        found = PortMonth.objects.get(station=ill, month=month)
        assert found.excluded_s == 1800
        row = Exclusion.objects.get()
        assert AuditRecord.objects.filter(action="exclusion.create").exists()
    assert "Notice 7" in olga.text("uptime/exclusions/")
    olga.post(f"uptime/exclusions/{row.pk}/withdraw/", reason="It was ours")
    with tenant_scope(tenant.pk):
        assert PortMonth.objects.get(station=ill, month=month).excluded_s == 0
        assert Exclusion.objects.count() == 1, "it stays, marked"
    assert "It was ours" in olga.text("uptime/exclusions/")


@pytest.mark.parametrize("scheme", ["us", "uk", "effective"])
def test_a_report_is_made_kept_and_downloaded(
    visitor: Visit, tenant: Tenant, ill: Station, scheme: str
) -> None:
    olga = visitor("operator")
    month = timezone.now().date().replace(day=1)
    olga.post("uptime/reports/new/", scheme=scheme, month=month.isoformat())
    with tenant_scope(tenant.pk):
        report = UptimeReport.objects.get()
    pdf = olga.get(f"uptime/reports/{report.pk}.pdf")
    assert pdf["Content-Type"] == "application/pdf" and pdf.content.startswith(b"%PDF-")
    lines = olga.get(f"uptime/reports/{report.pk}.csv").content.decode().splitlines()
    assert lines[0].startswith("site,station,port,period")
    assert (len(lines) == 1) == (scheme == "uk"), "an AC port is no rapid one"
    for level in ("", f"&site={ill.site_id}", f"&station={ill.pk}"):
        query = dict(part.split("=") for part in f"scheme={scheme}{level}".split("&"))
        olga.text("uptime/", **query)


def test_a_fault_without_an_issue_is_not_all_well(
    visitor: Visit, tenant: Tenant, site: Site, make_station: Callable[..., Station]
) -> None:
    station = make_station(site=site, online=True, last_seen_at=timezone.now())
    page = f"stations/{station.pk}/health/"
    olga = visitor("operator")
    assert "All is well" in olga.text(page)
    with tenant_scope(tenant.pk):
        Connector.objects.filter(tenant=tenant).update(status="faulted")
        Alert.objects.create(
            tenant=tenant, station=station, evse_number=1, tech_code="VY-0211", tech_info="Residual current 34 mA",
            component="EVSE", name="Problem", event_number=1, opened_at=timezone.now(), last_at=timezone.now(),
        )  # fmt: skip
    text = olga.text(page)
    assert "All is well" not in text and "Connector 1 is faulted" in text
    assert "Residual current 34 mA, VY-0211" in text
    assert "Residual current 34 mA, VY-0211" in olga.text(f"stations/{station.pk}/")


@pytest.mark.parametrize(("country", "scheme"), [("US", "us"), ("GB", "uk"), ("DE", "effective")])
def test_uptime_opens_with_the_sum_of_the_country(
    visitor: Visit, tenant: Tenant, ill: Station, country: str, scheme: str
) -> None:
    tenant.country = country
    with as_platform():
        tenant.save()
    chosen = re.search(
        r'href="\?scheme=(\w+)[^"]*" aria-current', visitor("operator").get("uptime/").content.decode()
    )
    assert chosen and chosen[1] == scheme


def test_the_monthly_report_comes_once_late_news_are_in(tenant: Tenant, ill: Station) -> None:
    now = timezone.now()
    last = uptime.shifted(now.date().replace(day=1), -1)
    start, end = uptime.edges(last, "UTC")
    Speaker(ill).status("available", at=start, received_at=start)
    with tenant_scope(tenant.pk):
        Connection.objects.filter(station=ill).update(opened_at=start)
        uptime.refresh(tenant_id=tenant.pk, months=[last], now=now)
        assert uptime_reports.monthly(tenant_id=tenant.pk, now=end + timedelta(days=1)) == 0
        assert uptime_reports.monthly(tenant_id=tenant.pk, now=end + timedelta(days=8)) == 2
        assert uptime_reports.monthly(tenant_id=tenant.pk, now=end + timedelta(days=9)) == 0
        assert set(UptimeReport.objects.values_list("scheme", flat=True)) == {"us", "effective"}


def test_a_facility_manager_sees_their_sites_issues_alone(
    visitor: Visit, issue: Issue, make_site: Any, site: Any
) -> None:
    assert "Ramp 7" in visitor("facility_manager", [site]).text("issues/")
    assert "Ramp 7" not in visitor("facility_manager", [make_site()]).text("issues/")


def test_rules_are_made_once(tenant: Tenant) -> None:
    with tenant_scope(tenant.pk):
        issue_rules.policy(tenant_id=tenant.pk)
        count = IssueRule.objects.count()
        IssueRule.objects.all().delete()
        issue_rules.policy(tenant_id=tenant.pk)
        assert count == len(issue_rules.DEFAULTS) and not IssueRule.objects.exists()


def test_a_uk_report_lists_the_outages_that_its_rule_counts(tenant: Tenant, ill: Station) -> None:
    """Offline is "unknown" there, and no outage (SI 2023/1168, regulation 7)."""
    at = timezone.now().isoformat()
    outages = [
        {"from": at, "to": at, "why": why, "seconds": 100, "excluded_s": 10, "uk_down_s": down}
        for why, down in (("offline", 0), ("faulted", 30))
    ]
    with tenant_scope(tenant.pk):
        rows = [PortMonth(tenant=tenant, station=ill, evse=ill.evses.get(), outages=outages)]
        uk = uptime_reports.worst_outages(rows, scheme="uk")
        us = uptime_reports.worst_outages(rows)
    assert [(one["why"], one["counted_s"]) for one in uk] == [("faulted", 30)]
    assert [one["counted_s"] for one in us] == [90, 90]


def test_an_open_issue_leads_to_the_stations_logs(visitor: Visit, issue: Issue) -> None:
    assert f"/stations/{issue.station_id}/files/" in visitor("operator").text(f"issues/{issue.pk}/")


def test_the_first_page_of_a_station_tells_what_is_open(visitor: Visit, ill: Station, issue: Issue) -> None:
    operator = visitor("operator")
    for part in ("", "now/"):
        text = operator.text(f"stations/{ill.pk}/{part}")
        assert "1 thing needs you" in text and f"/issues/{issue.pk}/" in text


def test_a_report_says_what_its_figure_is_and_when_it_is_outdated(
    visitor: Visit, tenant: Tenant, ill: Station
) -> None:
    now, robot = timezone.now(), system("tests")
    month = now.date().replace(day=1)
    with tenant_scope(tenant.pk):
        station = Station.objects.select_related("site").get(pk=ill.pk)
        uptime_reports.make(tenant_id=tenant.pk, actor=robot, scheme="us", month=month)
        uptime_reports.make(tenant_id=tenant.pk, actor=robot, scheme="us", month=uptime.shifted(month, -14))
    olga, says = visitor("operator"), "Excluded times have changed since"
    text = olga.text("uptime/reports/")
    assert "twelve months" in text and says not in text
    with tenant_scope(tenant.pk):
        row = exclusions.enter(
            tenant_id=tenant.pk, actor=robot, category="utility", site=station.site, evidence="Notice 7",
            starts_at=now - timedelta(minutes=50), ends_at=now - timedelta(minutes=20),
        )  # fmt: skip
    assert olga.text("uptime/reports/").count(says) == 1, "the older one speaks of another year"
    with tenant_scope(tenant.pk):
        exclusions.withdraw(exclusion=row, actor=robot, reason="It was ours")
    assert says not in olga.text("uptime/reports/"), "it came and went"


def test_an_outage_is_excluded_to_its_last_second(visitor: Visit, tenant: Tenant, ill: Station) -> None:
    """The form holds whole minutes."""
    begin = timezone.now().replace(second=20, microsecond=0) - timedelta(minutes=30)
    Speaker(ill).status("available", at=begin, received_at=begin)
    month = timezone.now().date().replace(day=1)
    with tenant_scope(tenant.pk):
        uptime.refresh(tenant_id=tenant.pk, months=[month], now=timezone.now())
    until = (begin + timedelta(seconds=40)).astimezone(ZoneInfo(tenant.time_zone))
    assert f"until={until:%Y-%m-%dT%H:%M}" in visitor("operator").text("uptime/", scheme="us")


def test_rules_as_shipped_speak_the_readers_language(visitor: Visit, tenant: Tenant) -> None:
    with tenant_scope(tenant.pk):
        issue_rules.policy(tenant_id=tenant.pk)
        IssueRule.objects.filter(signal="flapping").update(name="Our rule for flapping")
        rule = IssueRule.objects.get(signal="offline")
        with translation.override("de"):
            found = {one.signal: one.title for one in IssueRule.objects.all()}
            assert found["faulted"] == str(Signal.FAULTED.label) != "Faulted"
        assert found["flapping"] == "Our rule for flapping"
        with translation.override("de"):
            rule.name = rule.title
        assert rule.title == "Offline"


def test_ports_without_a_figure_are_not_said_to_be_above(
    visitor: Visit, tenant: Tenant, ill: Station
) -> None:
    month = timezone.now().date().replace(day=1)
    rest = {"tenant": tenant, "station": ill, "month": month, "month_s": 9000, "outage_s": 0, "excluded_s": 0,
            "failed_s": 0, "uk_period_s": 9000, "uk_down_s": 0, "computed_at": timezone.now()}  # fmt: skip
    with tenant_scope(tenant.pk):
        PortMonth.objects.create(evse=ill.evses.get(), period_s=0, unknown_s=9000, **rest)
        second = Evse.objects.create(tenant=tenant, station=ill, number=2)
    olga = visitor("operator")
    assert "No port has told its state" in olga.text("uptime/", scheme="us")
    with tenant_scope(tenant.pk):
        PortMonth.objects.create(evse=second, period_s=9000, unknown_s=0, **rest)
        told = uptime_reports.content(
            tenant_id=tenant.pk, scheme="us", month=month, site=None, now=timezone.now(), made_by="x"
        )
        text = report_pdf._answer(told, 400)[-1].getPlainText()
    page = olga.text("uptime/", scheme="us")
    assert "The port is above 97" in page and "1 port has no figure" in page
    assert text == "The port is above 97 %. 1 port has no figure, for it never told its state."


def test_no_step_gets_lost_on_the_page_of_a_rule(visitor: Visit, tenant: Tenant) -> None:
    """By REST a rule has up to eight."""
    steps = [{"kind": kind, "wait_minutes": 1} for kind in ("trigger",) * 6 + ("hard_reset",)]
    with tenant_scope(tenant.pk):
        rule = issue_rules.create_rule(
            tenant_id=tenant.pk, actor=system("tests"), name="Long", signal="faulted", steps=steps
        )
    olga, page = visitor("operator"), f"issues/rules/{rule.pk}/"
    form = dict(re.findall(r'name="(wait_\d)"[^>]*value="(\d+)"', olga.text(page)))
    form |= {f"step_{n}": step["kind"] for n, step in enumerate(steps, 1)}
    rest = {"name": "Longer", "signal": "faulted", "threshold": "3", "grace_minutes": "5", "severity": "critical",
            "position": "1", "rounds_per_day": "2", "backoff_minutes": "30", "escalate_minutes": "10"}  # fmt: skip
    assert olga.post(page, **form, **rest).status_code == 302
    with tenant_scope(tenant.pk):
        rule.refresh_from_db()
    assert (rule.name, len(rule.steps), rule.steps[-1]["kind"]) == ("Longer", 7, "hard_reset")


@pytest.mark.parametrize("role", ["facility_manager", "technician", "auditor"])
def test_what_an_issue_offers_is_open_to_its_reader(
    visitor: Visit, tenant: Tenant, site: Site, ill: Station, issue: Issue, role: str
) -> None:
    somebody = visitor(role, [site] if role == "facility_manager" else [])
    for signal in Signal.values:
        with tenant_scope(tenant.pk):
            Issue.objects.filter(pk=issue.pk).update(signal=signal, connector=None)
        text = somebody.text("issues/")
        offered = set(
            re.findall(rf'class="btn btn-small" href="(/t/{tenant.slug}/stations/{ill.pk}/[^"]*)"', text)
        )
        for address in offered:
            assert somebody.client.get(address.replace("&amp;", "&")).status_code == 200, (signal, address)

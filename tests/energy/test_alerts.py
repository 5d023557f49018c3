"""Alerts of load management: issues of a station or of a whole site, which open and end by themselves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from energy.models import GridConnection
from stations import issue_words
from stations.models import ChargingProfile, HealthPolicy, Issue, IssueRule, Signal, Station
from stations.services import escalation, issue_rules, watch
from tenants.context import tenant_scope
from tenants.models import Fact, Role, Site, Tenant
from tests.energy.pictures import outlet, row, show
from tests.energy.sites import Rows, create_tree, full_of_limits

Make = Callable[..., Any]


class Watched:
    """A site whose load management is on, and the sweeps over its picture."""

    def __init__(self, made: Rows) -> None:
        self.made, self.tenant, self.at = made, made.connection.tenant, timezone.now()

    def see(self, *, seconds: float = 0, stale: bool = False, **parts: Any) -> list[Issue]:
        """The open issues of load management after a picture like this."""
        self.at += timedelta(seconds=seconds)
        if not stale:
            show(self.made, at=self.at, **parts)
        with tenant_scope(self.tenant.pk):
            watch.sweep(tenant_id=self.tenant.pk, now=self.at)
            rows = Issue.objects.exclude(state="resolved").exclude(signal=Signal.OFFLINE)
            return list(rows.select_related("station", "site", "connector__evse").order_by("id"))

    def ago(self, seconds: float) -> float:
        return (self.at - timedelta(seconds=seconds)).timestamp()

    def over(self, seconds: float, **values: Any) -> dict[str, Any]:
        """L1 of the main breaker promises more than it may carry, since then."""
        node = self.made.root.pk
        told = {"building": 20.0, "committed": 46.0} | values
        return {
            "rows": [row(node, "L1", **told)],
            "alerts": [{"kind": "short", "node": node, "since": self.ago(seconds)}],
        }


@pytest.fixture
def watched(tenant: Tenant, site: Site, make_station: Make) -> Watched:
    station = make_station(site=site, name="Ramp 1", evses=2, online=True, last_seen_at=timezone.now())
    return Watched(create_tree(tenant, site, [station]))


def told(issues: list[Issue]) -> list[tuple[str, str]]:
    return [(issue.signal, str(issue)) for issue in issues]


def test_a_row_over_its_limit_for_a_minute(watched: Watched) -> None:
    assert watched.see(**watched.over(50)) == []
    [issue] = watched.see(seconds=20, **watched.over(70))
    assert told([issue]) == [("load_short", f"Power is short: {watched.made.connection.site}")]
    assert issue.station is None and issue.site_id == watched.made.connection.site_id
    assert issue.evidence == {"over": [{"part": "L1", "node": "Main", "load": "66.0 A", "limit": "63.0 A"}]}
    assert watched.see(seconds=10, **watched.over(80, committed=43.0)) != [], "it is seen out for a while"
    assert watched.see(seconds=50, **watched.over(130, committed=43.0)) == []
    with tenant_scope(watched.tenant.pk):
        assert Issue.objects.get(pk=issue.pk).resolution == "by_itself"


def test_cars_that_wait_longer_than_the_rule_bears(watched: Watched) -> None:
    def waits(minutes: float) -> dict[str, Any]:
        one = outlet(watched.made.outlets[0].evse_id, "waits", since=watched.ago(60 * minutes))
        return {"outlets": [one]}

    assert watched.see(**waits(19)) == []
    [issue] = watched.see(**waits(21))
    assert issue.evidence == {"waiting": 1}
    with tenant_scope(watched.tenant.pk):
        IssueRule.objects.filter(signal="load_short").update(threshold=30)
    watched.see(seconds=1, **waits(21))
    assert watched.see(seconds=60, **waits(22)) == []


def test_a_connector_that_disobeys(watched: Watched) -> None:
    evse = watched.made.outlets[1].evse_id
    one = outlet(evse, "disobeys", asked=6.0, draw=15.8, since=watched.ago(40))
    [issue] = watched.see(outlets=[one])
    assert told([issue]) == [("disobeys", "Takes more than it was told: Ramp 1, connector 2")]
    assert issue.evidence == {"draws_a": 15.8, "asked_a": 6.0}
    watched.see(seconds=1, outlets=[outlet(evse)])
    assert watched.see(seconds=50, outlets=[outlet(evse)]) == []


@pytest.mark.parametrize("most", [0, 1])
def test_a_limit_that_keeps_load_management_out(watched: Watched, most: int) -> None:
    with tenant_scope(watched.tenant.pk):
        station = Station.objects.get(tenant=watched.tenant)
        since = watched.at - timedelta(minutes=4)
        limit = full_of_limits(station, most=most, settled_at=since)
    assert watched.see() == []
    [issue] = watched.see(seconds=61)
    assert told([issue]) == [("kept_out", "A limit keeps load management out: Ramp 1, connector 1")]
    assert issue.since == since and issue_words.evidence(issue.evidence) == ["limit set by Olga Operator"]
    with tenant_scope(watched.tenant.pk):
        ChargingProfile.objects.filter(pk=limit.pk).update(state="cleared")
    watched.see(seconds=1)
    assert watched.see(seconds=50) == [], "there is a place now"


def test_a_silent_meter(watched: Watched) -> None:
    assert watched.made.meter is not None

    def meters(seconds: float) -> list[dict[str, Any]]:
        return [{"meter": watched.made.meter.pk, "mute": True, "at": watched.ago(seconds)}]  # type: ignore[union-attr]

    assert watched.see(meters=meters(290)) == []
    [issue] = watched.see(meters=meters(310))
    assert (issue.signal, issue.evidence, issue.station) == ("meter_mute", {"meters": ["Building"]}, None)


def test_nobody_steers(watched: Watched) -> None:
    assert watched.see() == []
    assert watched.see(seconds=50, stale=True) == []
    [issue] = watched.see(seconds=20, stale=True)
    assert issue.signal == "unsteered" and abs((watched.at - issue.since).total_seconds() - 70) < 1
    watched.see(seconds=1)
    assert watched.see(seconds=50) == []


def test_where_it_is_switched_off_nothing_is_wrong(watched: Watched) -> None:
    assert len(watched.see(**watched.over(70))) == 1
    with tenant_scope(watched.tenant.pk):
        GridConnection.objects.update(steers=False)
    watched.see(seconds=100, stale=True)
    assert watched.see(seconds=100, stale=True) == []


def test_a_connector_without_a_default(watched: Watched) -> None:
    outlets = [outlet(one.evse_id, "idle", default=0.0) for one in watched.made.outlets]
    [issue] = watched.see(outlets=outlets)
    assert (issue.signal, issue.severity, issue.station) == ("no_default", "minor", None)
    assert issue.evidence == {"places": ["Ramp 1 1", "Ramp 1 2"]}
    outlets[0]["default"] = 6.0
    [issue] = watched.see(seconds=5, outlets=outlets)
    assert issue.evidence == {"places": ["Ramp 1 2"]}


def test_two_sites_of_a_company_are_two_issues(watched: Watched, make_site: Make, make_station: Make) -> None:
    site = make_site(name="Depot")
    other = create_tree(watched.tenant, site, [make_station(site=site)])
    show(other, at=watched.at - timedelta(minutes=5))
    show(watched.made, at=watched.at - timedelta(minutes=5))
    found = watched.see(stale=True)
    assert sorted(one.site_id for one in found) == sorted([site.pk, watched.made.connection.site_id])
    with tenant_scope(watched.tenant.pk):
        IssueRule.objects.filter(signal="unsteered").update(site_ids=[site.pk])
    watched.see(seconds=1, stale=True)
    assert [one.site_id for one in watched.see(seconds=60, stale=True)] == [site.pk]


def test_it_is_mailed_and_told_to_webhooks(watched: Watched) -> None:
    with tenant_scope(watched.tenant.pk):
        issue_rules.policy(tenant_id=watched.tenant.pk)
        HealthPolicy.objects.update(mails=["duty@example.com"])
    watched.see(**watched.over(70))
    watched.see(seconds=3601, **watched.over(3671))
    mail.outbox.clear()
    with tenant_scope(watched.tenant.pk):
        assert [issue.state for issue in Issue.objects.filter(signal="load_short")] == ["escalated"]
        Issue.objects.exclude(signal="load_short").delete()
        fact = Fact.objects.filter(kind="issue.escalated").latest("id")
        Issue.objects.update(escalated_at=timezone.now())
    assert fact.payload["station"] is None and fact.payload["identity"] is None
    assert escalation.mail_due(tenant_id=watched.tenant.pk) == 1
    assert mail.outbox[0].subject == f"Power is short: {watched.made.connection.site}"


def test_the_overview_and_its_page_show_it(
    watched: Watched, make_member: Make, portal_client: Make, make_site: Make
) -> None:
    [issue] = watched.see(**watched.over(70))
    user, _password = make_member(Role.FACILITY_MANAGER, [watched.made.connection.site])
    browser: Client = portal_client(user)
    base = f"/t/{watched.tenant.slug}/"
    overview = browser.get(base).content.decode()
    assert f"Power is short: {watched.made.connection.site}" in overview
    assert "L1 of Main: 66.0 A of 63.0 A." in overview
    page = browser.get(f"{base}issues/{issue.pk}/").content.decode()
    assert f'href="{base}sites/{issue.site_id}/load/">See the load' in page
    listed = browser.get(f"{base}issues/").content.decode()
    assert f'id="issue-{issue.pk}"' in listed
    assert browser.post(f"{base}issues/{issue.pk}/act/", {"action": "recover"}).status_code == 302
    assert browser.post(f"{base}issues/{issue.pk}/act/", {"action": "close", "reason": "x"}).status_code in (
        302,
        403,
    )
    other, _password = make_member(Role.FACILITY_MANAGER, [make_site()])
    assert portal_client(other).get(f"{base}issues/{issue.pk}/").status_code == 404


def test_rules_of_signals_that_came_later_are_made_once(tenant: Tenant) -> None:
    with tenant_scope(tenant.pk):
        issue_rules.policy(tenant_id=tenant.pk)
        IssueRule.objects.filter(signal__in=["unsteered", "offline"]).delete()
        HealthPolicy.objects.update(shipped=[one for one in issue_rules.DEFAULTS if one != "unsteered"])
        issue_rules.policy(tenant_id=tenant.pk)
        issue_rules.policy(tenant_id=tenant.pk)
        assert IssueRule.objects.filter(signal="unsteered").count() == 1
        assert not IssueRule.objects.filter(signal="offline").exists(), "what a person removed stays so"


def test_a_picture_that_makes_no_sense_finds_nothing(watched: Watched) -> None:
    junk: list[Any] = [
        {},
        [],
        {"rows": [{"node": "x"}], "alerts": [{"kind": "short", "node": "x", "since": 1}, 7]},
    ]
    for told_ in [*junk, {"meters": [{"mute": True}], "outlets": [{"why": "disobeys"}, {"default": 0}]}]:
        with tenant_scope(watched.tenant.pk):
            watched.see()
            from energy.models import Steering

            Steering.objects.update(picture=told_, picture_at=datetime.now(timezone.get_current_timezone()))
        assert watched.see(stale=True) == []

"""From a sign to an issue, its recovery step by step, its escalation, and its end with a record."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core import mail
from django.db.models import Q

from stations.models import (
    Alert,
    Command,
    CommandState,
    Connection,
    Connector,
    Exclusion,
    Issue,
    IssueEvent,
    IssueRule,
    Session,
    Station,
    StationEvent,
)
from stations.services import commands, escalation, issue_rules, issues, watch
from tenants.context import tenant_scope
from tenants.errors import Conflict, Invalid
from tenants.models import Fact, Tenant
from tenants.permissions import Actor, system
from tests.energy.pictures import outlet, show
from tests.energy.sites import create_tree, full_of_limits
from tests.stations.telling import Speaker, now

ROBOT = system("tests")


class Scene:
    """A station that is watched, and a clock of its own."""

    def __init__(self, speaker: Speaker) -> None:
        self.speaker, self.station, self.tenant_id = speaker, speaker.station, speaker.tenant_id
        self.at = now()
        with tenant_scope(self.tenant_id):
            issue_rules.policy(tenant_id=self.tenant_id)
        self.set(online=True, last_seen_at=self.at, online_changed_at=self.at - timedelta(hours=2))

    def set(self, **values: Any) -> None:
        with tenant_scope(self.tenant_id):
            Station.objects.filter(pk=self.station.pk).update(**values)

    def rule(self, signal: str, **values: Any) -> None:
        with tenant_scope(self.tenant_id):
            rule = IssueRule.objects.get(tenant_id=self.tenant_id, signal=signal)
            issue_rules.update_rule(rule=rule, actor=ROBOT, **values)

    def fault(self, minutes: float = 10) -> None:
        when = self.at - timedelta(minutes=minutes)
        self.speaker.status("faulted", at=when, received_at=when, error_code="GroundFailure")

    def mend(self) -> None:
        self.speaker.status("available", at=self.at, received_at=self.at)

    def later(self, **span: float) -> list[Issue]:
        """The open issues after a sweep so much later; the station goes on being heard."""
        self.at += timedelta(**span)
        with tenant_scope(self.tenant_id):
            Station.objects.filter(pk=self.station.pk, online=True).update(last_seen_at=self.at)
            watch.sweep(tenant_id=self.tenant_id, now=self.at)
        return self.issues()

    def issues(self, **which: Any) -> list[Issue]:
        with tenant_scope(self.tenant_id):
            here = Q(station=self.station) | Q(station=None, site_id=self.station.site_id)
            rows = Issue.objects.filter(here, **which).exclude(state="resolved")
            return list(rows.select_related("station__site", "connector__evse", "rule").order_by("id"))

    def all(self) -> list[Issue]:
        with tenant_scope(self.tenant_id):
            return list(
                Issue.objects.filter(station=self.station)
                .select_related("station__site", "connector__evse", "rule")
                .order_by("id")
            )

    def kinds(self, issue: Issue) -> list[str]:
        with tenant_scope(self.tenant_id):
            return list(IssueEvent.objects.filter(issue=issue).values_list("kind", flat=True))

    def sent(self) -> list[tuple[str, dict[str, Any]]]:
        with tenant_scope(self.tenant_id):
            rows = Command.objects.filter(station=self.station, origin_id="Recovery").order_by("id")
            return [(row.kind, row.arguments) for row in rows]

    def answer(self, state: str = CommandState.ACCEPTED) -> None:
        with tenant_scope(self.tenant_id):
            for row in Command.objects.filter(station=self.station, state__in=["queued", "sent"]):
                commands.settle(tenant_id=self.tenant_id, command_id=row.pk, state=state, answer="Accepted")

    def facts(self) -> list[str]:
        with tenant_scope(self.tenant_id):
            rows = Fact.objects.filter(tenant_id=self.tenant_id, kind__startswith="issue.").order_by("id")
            return list(rows.values_list("kind", flat=True))


@pytest.fixture
def scene(speaker: Speaker) -> Scene:
    return Scene(speaker)


def steps(*kinds: str) -> list[dict[str, Any]]:
    return [{"kind": kind, "wait_minutes": 2} for kind in kinds]


# --- opening


def test_a_fault_is_one_issue_however_often_it_is_seen(scene: Scene) -> None:
    scene.fault()
    for _ in range(5):
        (issue,) = scene.later(seconds=10)
    assert (issue.signal, issue.severity) == ("faulted", "critical")
    assert issue.connector is not None and issue.evidence["error"] == "GroundFailure"
    assert scene.facts() == ["issue.opened"]


def test_the_grace_of_a_rule_is_waited_for(scene: Scene) -> None:
    scene.rule("faulted", grace_minutes=30)
    scene.fault(minutes=10)
    assert scene.later(seconds=10) == []
    assert len(scene.later(minutes=21)) == 1


def test_a_rule_for_other_stations_does_not_speak_of_this_one(scene: Scene) -> None:
    scene.set(vendor="Acme", model="Turbo 9")
    scene.rule("faulted", stations_like="Globex, Initech")
    scene.fault()
    assert scene.later() == []
    scene.rule("faulted", stations_like="globex, turbo")
    assert len(scene.later()) == 1


def test_the_first_rule_that_fits_counts(scene: Scene) -> None:
    with tenant_scope(scene.tenant_id):
        issue_rules.create_rule(
            tenant_id=scene.tenant_id, actor=ROBOT, name="Ours", signal="faulted", severity="minor", position=1,
            site_ids=[scene.station.site_id],
        )  # fmt: skip
    scene.fault()
    (issue,) = scene.later()
    assert (issue.severity, issue.rule.name if issue.rule else "") == ("minor", "Ours")


def test_what_comes_back_at_once_is_the_same_issue(scene: Scene) -> None:
    scene.rule("faulted", steps=[], threshold=0, grace_minutes=0)
    for _ in range(4):
        scene.fault(minutes=0.01)
        scene.later(seconds=30)
        scene.mend()
        scene.later(seconds=30)
        scene.later(minutes=1)
    (issue,) = scene.all()
    assert issue.times == 4 and issue.state == "resolved"
    assert scene.facts().count("issue.opened") == 1


def test_a_fault_that_is_told_again_is_the_same_fault(scene: Scene) -> None:
    """Many stations repeat a status when they are asked for it, or after a boot."""
    scene.fault(minutes=5)
    (issue,) = scene.later()
    since = issue.since
    for _ in range(4):
        scene.fault(minutes=0)
        (issue,) = scene.later(seconds=50)
        assert (issue.since, issue.gone_at) == (since, None)
    with tenant_scope(scene.tenant_id):
        connector = issue.connector
        assert connector is not None and connector.status_since is not None
        assert connector.status_received_at is not None
        assert connector.status_received_at - connector.status_since > timedelta(minutes=5)


def test_a_reset_after_which_it_is_faulted_again_did_not_help(scene: Scene) -> None:
    scene.rule("faulted", steps=steps("soft_reset"))
    scene.fault()
    scene.later()
    scene.later(minutes=2)
    scene.mend()
    scene.later(seconds=5)
    scene.fault(minutes=0)
    for _ in range(3):  # too short for the rule's minutes, and far longer than what is gone takes to be over
        (issue,) = scene.later(seconds=40)
        assert issue.gone_at is None
    assert "issue.resolved" not in scene.facts()


# --- the end


def test_what_goes_away_by_itself_is_closed_with_how_long_it_took(scene: Scene) -> None:
    scene.rule("faulted", steps=[])
    scene.fault()
    scene.later()
    scene.at += timedelta(minutes=20)
    scene.mend()
    scene.later(seconds=10)
    assert scene.later(minutes=1) == []
    (issue,) = scene.all()
    assert issue.resolution == "by_itself"
    assert scene.facts() == ["issue.opened", "issue.resolved"]
    with tenant_scope(scene.tenant_id):
        end = IssueEvent.objects.get(issue=issue, kind="resolved")
    assert 1190 <= end.data["seconds"] <= 1300


@pytest.mark.parametrize(("after", "resolution"), [(True, "by_hand"), (False, "recovered")])
def test_a_command_of_a_person_after_the_last_step_gets_the_credit(
    scene: Scene, owner_actor: Actor, after: bool, resolution: str
) -> None:
    scene.rule("faulted", steps=steps("trigger"))
    scene.fault()
    scene.later()
    scene.answer()
    with tenant_scope(scene.tenant_id):
        command = commands.request_command(
            tenant_id=scene.tenant_id, station_id=scene.station.pk, kind="reset", arguments={"hard": True},
            actor=owner_actor,
        )  # fmt: skip
        at = scene.at + timedelta(minutes=1 if after else -1)
        Command.objects.filter(pk=command.pk).update(created_at=at)
    scene.answer()
    scene.at += timedelta(minutes=1, seconds=30)
    scene.mend()
    scene.later(seconds=10)
    assert scene.later(minutes=1) == []
    (issue,) = scene.all()
    assert issue.resolution == resolution
    assert (issue.reason == f"{command}, {owner_actor.label}") is after


def test_a_fault_without_words_of_its_own_has_those_of_a_monitor(scene: Scene) -> None:
    when = scene.at - timedelta(minutes=10)
    scene.speaker.status("faulted", at=when, received_at=when, error_code="Faulted")
    told = {"component": "Connector", "name": "Problem", "event_number": 1, "value": "true", "last_at": when}
    with tenant_scope(scene.tenant_id):
        for evse, code in ((1, "VY-0211"), (2, "VY-0999")):
            Alert.objects.create(
                tenant_id=scene.tenant_id, station=scene.station, evse_number=evse, connector_number=1,
                tech_code=code, tech_info="Residual current", opened_at=when, **told,
            )  # fmt: skip
    (issue,) = scene.later()
    assert issue.evidence == {"vendor_error": "VY-0211", "info": "Residual current"}


def test_a_station_that_cannot_be_heard_is_not_mended(scene: Scene) -> None:
    scene.rule("faulted", steps=[])
    scene.fault()
    scene.later()
    scene.set(online=False, online_changed_at=scene.at)
    scene.later(minutes=5)
    assert [issue.signal for issue in scene.later(minutes=20)] == ["faulted", "offline"]


def test_what_a_person_closed_stays_closed_until_it_was_away(scene: Scene, owner_actor: Actor) -> None:
    scene.rule("faulted", steps=[])
    scene.fault()
    (issue,) = scene.later()
    with tenant_scope(scene.tenant_id):
        with pytest.raises(Invalid):
            issues.close(issue=issue, actor=owner_actor, reason=" ")
        issues.close(issue=issue, actor=owner_actor, reason="Known, the part is ordered.")
    for _ in range(20):
        assert scene.later(minutes=2) == []
    scene.mend()
    scene.later(minutes=30)
    scene.fault()
    assert len(scene.later(seconds=10)) == 1


def test_a_rule_that_is_switched_off_ends_its_issues(scene: Scene) -> None:
    scene.fault()
    scene.later()
    scene.rule("faulted", active=False)
    assert scene.later() == []
    assert scene.all()[0].resolution == "gone"


# --- recovery


def test_recovery_goes_step_by_step_and_records_what_helped(scene: Scene) -> None:
    scene.rule("faulted", steps=steps("trigger", "unlock", "soft_reset", "hard_reset"))
    scene.fault()
    (issue,) = scene.later()
    place = {"evse": 1, "connector": 1}
    assert issue.state == "recovering"
    assert scene.sent() == [("trigger", {"message": "status", **place})]
    assert len(scene.later(minutes=5)) == 1 and len(scene.sent()) == 1, (
        "no second step before the first answer"
    )
    scene.answer()
    scene.later(seconds=10)
    assert scene.sent()[1:] == [("unlock", place)]
    scene.answer()
    scene.later(seconds=10)
    assert len(scene.sent()) == 2, "it waits to see whether it helped"
    scene.later(minutes=2)
    assert scene.sent()[2:] == [("reset", {"hard": False})]
    scene.answer()
    scene.at += timedelta(minutes=1)
    scene.mend()
    scene.later(seconds=10)
    assert scene.later(minutes=1) == []
    (issue,) = scene.all()
    assert (issue.resolution, issue.helped_by) == ("recovered", "soft_reset")
    assert len(scene.sent()) == 3


def test_a_refused_step_did_not_help(scene: Scene) -> None:
    scene.rule("faulted", steps=steps("soft_reset"))
    scene.fault()
    scene.later()
    scene.answer(CommandState.REJECTED)
    scene.mend()
    scene.later(seconds=10)
    scene.later(minutes=1)
    assert scene.all()[0].resolution == "by_itself"


@pytest.mark.parametrize("kind", ["soft_reset", "hard_reset"])
def test_nothing_is_reset_under_a_running_session(
    scene: Scene, make_session: Callable[..., Session], make_station: Any, kind: str
) -> None:
    """Not even one at another connector of the station."""
    with tenant_scope(scene.tenant_id):
        from stations.models import Evse

        second = Evse.objects.create(tenant_id=scene.tenant_id, station=scene.station, number=2)
        Connector.objects.create(tenant_id=scene.tenant_id, evse=second, number=1, status="charging")
    session = make_session(
        scene.station, evse=second, connector=None, last_progress_at=scene.at + timedelta(days=1)
    )
    scene.rule("faulted", steps=steps(kind))
    scene.fault()
    (issue,) = scene.later()
    assert (issue.blocked_by, scene.sent()) == ("busy", [])
    scene.later(minutes=30)
    (issue,) = scene.issues(signal="faulted")
    assert scene.sent() == []
    assert scene.kinds(issue).count("waits") == 1, "said once"
    with tenant_scope(scene.tenant_id):
        Session.objects.filter(pk=session.pk).update(state="ended", ended_at=scene.at, energy_wh=9000)
        Connector.objects.filter(evse=second).update(status="available")
    scene.later(seconds=10)
    assert [kind for kind, _arguments in scene.sent()] == ["reset"]


def test_unless_the_rule_says_so(scene: Scene, make_session: Callable[..., Session]) -> None:
    make_session(scene.station, last_progress_at=scene.at + timedelta(days=1))
    scene.rule("faulted", steps=steps("hard_reset"), under_session=True)
    scene.fault()
    scene.later()
    assert scene.sent() == [("reset", {"hard": True})]


def test_nor_under_a_car_that_is_plugged_in_with_a_card_accepted(scene: Scene) -> None:
    from stations.models import Authorization

    scene.rule("plugged_idle", steps=steps("unlock"), threshold=5)
    when = scene.at - timedelta(minutes=10)
    scene.speaker.status("preparing", at=when, received_at=when)
    with tenant_scope(scene.tenant_id):
        card = Authorization.objects.create(
            tenant_id=scene.tenant_id, station=scene.station, token_uid="CARD", verdict="accepted", at=when
        )
    (issue,) = scene.later()
    assert (issue.blocked_by, scene.sent()) == ("busy", [])
    with tenant_scope(scene.tenant_id):
        card.delete()
    scene.later(seconds=10)
    assert [kind for kind, _arguments in scene.sent()] == ["unlock"]


def test_attempts_are_bounded_a_day_and_farther_and_farther_apart(scene: Scene) -> None:
    scene.rule("faulted", steps=steps("soft_reset"), rounds_per_day=3, backoff_minutes=30, escalate=False)
    scene.fault()
    times = []
    for _ in range(23 * 12):
        before = len(scene.sent())
        scene.later(minutes=5)
        scene.answer()
        if len(scene.sent()) > before:
            times.append(scene.at)
    assert len(times) == 3
    gaps = [(b - a) / timedelta(minutes=1) for a, b in itertools.pairwise(times)]
    assert 30 <= gaps[0] <= 45 and 60 <= gaps[1] <= 75


def test_the_switch_stops_all_recovery(scene: Scene, owner_actor: Actor) -> None:
    with tenant_scope(scene.tenant_id):
        issue_rules.change_policy(tenant_id=scene.tenant_id, actor=owner_actor, recovery_on=False)
    scene.fault()
    for _ in range(8):
        scene.later(minutes=10)
    assert scene.sent() == []
    assert scene.issues()[0].state == "escalated", "the reader is told all the same"


def test_in_scheduled_maintenance_nothing_is_tried_and_nobody_is_woken(scene: Scene) -> None:
    with tenant_scope(scene.tenant_id):
        Exclusion.objects.create(
            tenant_id=scene.tenant_id, category="maintenance", site_id=scene.station.site_id,
            starts_at=scene.at - timedelta(hours=1), ends_at=scene.at + timedelta(hours=2), evidence="Job 7",
            entered_by="Olga",
        )  # fmt: skip
    scene.fault()
    assert scene.later(minutes=100) == []
    assert len(scene.later(minutes=30)) == 1


def test_an_offline_station_is_escalated_without_steps(scene: Scene) -> None:
    scene.set(online=False, online_changed_at=scene.at - timedelta(minutes=11))
    (issue,) = scene.later()
    assert issue.state == "open"
    (issue,) = scene.later(minutes=31)
    assert issue.state == "escalated" and scene.sent() == []


# --- escalation and people


def test_escalation_is_mailed_once_to_all_who_are_entered(
    scene: Scene, owner_actor: Actor, make_member: Any, settings: Any
) -> None:
    settings.PUBLIC_URL = "https://cpo.example"
    with tenant_scope(scene.tenant_id):
        issue_rules.change_policy(tenant_id=scene.tenant_id, actor=owner_actor, mails=["noc@example.com"])
    scene.rule("faulted", steps=steps("trigger"), mails=["Field@example.com"])
    scene.fault()
    scene.later()
    scene.answer()
    scene.later(minutes=3)
    (issue,) = scene.later(seconds=10)
    assert issue.state == "escalated"
    assert "issue.escalated" in scene.facts()
    assert escalation.mail_due(tenant_id=scene.tenant_id) == 1
    assert escalation.mail_due(tenant_id=scene.tenant_id) == 0
    (sent,) = mail.outbox
    assert sent.to == ["field@example.com", "noc@example.com"]
    assert "Faulted" in sent.subject and scene.station.identity in sent.subject
    since = issue.since.astimezone(ZoneInfo("Europe/Berlin"))
    assert f"{since:%H:%M %Z}" in sent.body, "in the company's time"
    html = sent.alternatives[0][0]  # type: ignore[attr-defined]
    for text in (sent.body, html):
        assert "GroundFailure" in text and "Recovery has been tried" in text
        assert (
            f"https://cpo.example/t/{Tenant.objects.get(pk=scene.tenant_id).slug}/issues/{issue.pk}/" in text
        )
    assert "mailed" in scene.kinds(issue)


def test_many_that_escalate_together_are_one_mail(
    scene: Scene, make_station: Any, owner_actor: Actor
) -> None:
    tenant = Tenant.objects.get(pk=scene.tenant_id)
    gone = scene.at - timedelta(hours=2)
    for _ in range(12):
        make_station(tenant=tenant, online=False, online_changed_at=gone, last_seen_at=gone)
    with tenant_scope(scene.tenant_id):
        issue_rules.change_policy(tenant_id=scene.tenant_id, actor=owner_actor, mails=["noc@example.com"])
    scene.rule("offline", escalate_minutes=0)
    scene.later()
    assert escalation.mail_due(tenant_id=scene.tenant_id) == 1
    assert "12" in mail.outbox[-1].subject


def test_a_snoozed_issue_is_quiet_until_then(scene: Scene, owner_actor: Actor) -> None:
    scene.rule("faulted", steps=steps("trigger"), grace_minutes=0, escalate_minutes=0)
    scene.fault()
    scene.rule("faulted", escalate=False, steps=[])
    (issue,) = scene.later()
    with tenant_scope(scene.tenant_id):
        issues.snooze(issue=issue, actor=owner_actor, until=scene.at + timedelta(hours=2))
    scene.rule("faulted", escalate=True, steps=steps("trigger"), escalate_minutes=0)
    (issue,) = scene.later(hours=1)
    assert (issue.state, scene.sent()) == ("open", [])
    (issue,) = scene.later(hours=1.1)
    assert issue.state == "escalated" and len(scene.sent()) == 1


def test_assigned_issues_are_mailed_to_their_member_too(
    scene: Scene, owner_actor: Actor, make_member: Any
) -> None:
    from tenants.models import Membership

    user, _password = make_member("technician")
    scene.rule("faulted", steps=[], escalate_minutes=30)
    scene.fault()
    (issue,) = scene.later()
    with tenant_scope(scene.tenant_id):
        member = Membership.objects.select_related("user").get(user=user)
        issues.assign(issue=issue, actor=owner_actor, member=member)
        issues.comment(issue=issue, actor=owner_actor, text="Take the spare cable.")
    scene.later(minutes=31)
    escalation.mail_due(tenant_id=scene.tenant_id)
    assert mail.outbox[-1].to == [user.email.lower()]
    assert {"assigned", "comment"} <= set(scene.kinds(issue))


# --- each signal


def _connections(scene: Scene, count: int) -> None:
    with tenant_scope(scene.tenant_id):
        for n in range(count):
            opened = scene.at - timedelta(minutes=5 * n + 1)
            Connection.objects.create(
                tenant_id=scene.tenant_id, station=scene.station, epoch=n + 1, gateway="g", ocpp_version="1.6",
                opened_at=opened, closed_at=opened + timedelta(minutes=1),
            )  # fmt: skip


def _events(scene: Scene, kind: str, severity: str, count: int = 1) -> None:
    with tenant_scope(scene.tenant_id):
        for n in range(count):
            when = scene.at - timedelta(minutes=n + 1)
            StationEvent.objects.create(
                tenant_id=scene.tenant_id, station=scene.station, kind=kind, severity=severity, text="Tampering",
                occurred_at=when, received_at=when,
            )  # fmt: skip


def _told(scene: Scene, status: str, minutes: float) -> None:
    when = scene.at - timedelta(minutes=minutes)
    scene.speaker.status(status, at=when, received_at=when)


def _silence(scene: Scene) -> None:
    scene.set(last_seen_at=scene.at - timedelta(minutes=40))
    scene.later = lambda **span: _plain(scene, **span)  # type: ignore[method-assign]


def _plain(scene: Scene, **span: float) -> list[Issue]:
    scene.at += timedelta(**span)
    with tenant_scope(scene.tenant_id):
        watch.sweep(tenant_id=scene.tenant_id, now=scene.at)
    return scene.issues()


Arrange = Callable[[Scene, Callable[..., Session]], object]
SIGNS: dict[str, Arrange] = {
    "offline": lambda scene, _: scene.set(online=False, online_changed_at=scene.at - timedelta(minutes=20)),
    "silent": lambda scene, _: _silence(scene),
    "flapping": lambda scene, _: _connections(scene, 7),
    "not_accepted": lambda scene, _: scene.set(registration="pending"),
    "faulted": lambda scene, _: scene.fault(),
    "out_of_service": lambda scene, _: _told(scene, "unavailable", 60 * 30),
    "plugged_idle": lambda scene, _: _told(scene, "preparing", 40),
    "suspended": lambda scene, _: _told(scene, "suspended_evse", 90),
    "clock_drift": lambda scene, _: scene.speaker.status(
        "available", at=scene.at + timedelta(hours=3), received_at=scene.at + timedelta(seconds=5)
    ),
    "reboots": lambda scene, _: _events(scene, "boot", "info", 5),
    "security": lambda scene, _: _events(scene, "security", "error"),
    "alert": lambda scene, _: _events(scene, "monitor", "error"),
    "no_energy": lambda scene, session: session(scene.station, power_w=0),
    "meter_stuck": lambda scene, session: session(
        scene.station, power_w=9000, last_reading_at=scene.at,
        last_progress_at=scene.at - timedelta(minutes=45),
    ),
    "meter_jumped": lambda scene, session: session(
        scene.station, state="held", flags=["meter_rollback"], ended_at=scene.at, energy_wh=Decimal(5000)
    ),
    "failed_starts": lambda scene, session: [
        session(
            scene.station, state="rated", started_at=scene.at - timedelta(hours=n + 1), energy_wh=Decimal(0),
            ended_at=scene.at - timedelta(hours=n),
        )
        for n in range(4)
    ],
    "unused": lambda scene, session: [
        session(
            scene.station, state="rated", started_at=scene.at - timedelta(days=20) + timedelta(hours=6 * n),
            ended_at=scene.at - timedelta(days=20) + timedelta(hours=6 * n + 1), energy_wh=Decimal(9000),
        )
        for n in range(15)
    ],
    "unsteered": lambda scene, _: _steered(scene, age_s=120),
    "load_short": lambda scene, _: _steered(
        scene, outlet={"why": "waits", "since": (scene.at - timedelta(minutes=30)).timestamp()}
    ),
    "disobeys": lambda scene, _: _steered(
        scene, outlet={"why": "disobeys", "since": (scene.at - timedelta(minutes=1)).timestamp()}
    ),
    "no_default": lambda scene, _: _steered(scene, outlet={"why": "idle", "default": 0.0}),
    "kept_out": lambda scene, _: _kept_out(scene),
    "meter_mute": lambda scene, _: _steered(
        scene, meter={"mute": True, "since": (scene.at - timedelta(minutes=6)).timestamp()}
    ),
}  # fmt: skip


def _kept_out(scene: Scene) -> None:
    """An operator's limit has the only stack level that the station knows."""
    _steered(scene)
    with tenant_scope(scene.tenant_id):
        full_of_limits(scene.station, settled_at=scene.at - timedelta(minutes=6))


def _steered(scene: Scene, *, age_s: float = 0, **parts: Any) -> None:
    """Load management is on at the scene's site, and shows this."""
    tenant = Tenant.objects.get(pk=scene.tenant_id)
    made = create_tree(tenant, scene.station.site, [scene.station])
    assert made.meter is not None
    of = parts.get("outlet", {"why": "full"})
    meters = [{"meter": made.meter.pk, **parts["meter"]}] if "meter" in parts else []
    at = scene.at + timedelta(seconds=10 - age_s)
    show(made, at=at, outlets=[outlet(made.outlets[0].evse_id, **of)], meters=meters)


def test_every_signal_has_its_scene() -> None:
    from stations.models import Signal
    from stations.services.signals import DETECTORS

    assert set(SIGNS) == set(Signal.values) == {str(name) for name in DETECTORS} == {
        str(name) for name in issue_rules.DEFAULTS
    }  # fmt: skip


@pytest.mark.parametrize("signal", SIGNS)
def test_the_sign_is_seen_and_only_then(
    scene: Scene, make_session: Callable[..., Session], signal: str
) -> None:
    scene.mend()
    assert scene.later() == [], "a station that is well has no issue"
    SIGNS[signal](scene, make_session)
    assert [issue.signal for issue in scene.later(seconds=10)] == [signal]


def test_a_start_that_works_ends_the_doubt(scene: Scene, make_session: Callable[..., Session]) -> None:
    SIGNS["failed_starts"](scene, make_session)
    scene.rule("failed_starts", steps=steps("soft_reset"))
    scene.later()
    scene.answer()
    scene.later(minutes=10)
    assert len(scene.sent()) == 1, "old failures do not speak against the reset"
    make_session(
        scene.station, state="rated", started_at=scene.at, ended_at=scene.at, energy_wh=Decimal(8000)
    )
    scene.later(minutes=1)
    assert scene.later(minutes=1) == []
    assert (scene.all()[0].resolution, scene.all()[0].helped_by) == ("recovered", "soft_reset")


def test_a_security_event_waits_for_a_person(scene: Scene) -> None:
    _events(scene, "security", "error")
    scene.later()
    assert [issue.signal for issue in scene.later(days=3)] == ["security"]


def test_what_we_ended_ourselves_is_no_flapping(scene: Scene) -> None:
    _connections(scene, 7)
    with tenant_scope(scene.tenant_id):
        Connection.objects.filter(station=scene.station, epoch__lte=3).update(
            close_reason="The gateway restarts; please connect again."
        )
    assert scene.later(seconds=10) == []


@pytest.mark.parametrize(("orders", "seen"), [(["reset", "update_firmware"], []), (["reset"], ["reboots"])])
def test_a_boot_that_was_ordered_is_no_trouble(
    scene: Scene, make_command: Callable[..., Command], orders: list[str], seen: list[str]
) -> None:
    _events(scene, "boot", "info", 5)
    for kind in (*orders, "clear_cache"):
        make_command(scene.station, kind=kind, state="accepted", settled_at=scene.at - timedelta(minutes=20))
    assert [issue.signal for issue in scene.later(seconds=10)] == seen


def test_a_station_that_cries_all_day_hides_no_other(scene: Scene, make_station: Any) -> None:
    second = make_station()
    with tenant_scope(scene.tenant_id):
        StationEvent.objects.bulk_create(
            StationEvent(
                tenant_id=scene.tenant_id, station_id=station_id, kind="security", severity="critical", text="Tampered",
                occurred_at=scene.at, received_at=scene.at,
            )
            for station_id in [scene.station.pk] * 2001 + [second.pk]
        )  # fmt: skip
    scene.later()
    with tenant_scope(scene.tenant_id):
        told = dict(Issue.objects.filter(signal="security").values_list("station_id", "evidence__count"))
    assert told == {scene.station.pk: 2001, second.pk: 1}


def test_a_flood_is_bounded(scene: Scene, make_station: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "MOST_NEW", 3)
    gone: datetime = scene.at - timedelta(hours=2)
    for _ in range(5):
        make_station(online=False, online_changed_at=gone, last_seen_at=gone)
    scene.later()
    with tenant_scope(scene.tenant_id):
        assert Issue.objects.count() == 3
    scene.later(seconds=10)
    with tenant_scope(scene.tenant_id):
        assert Issue.objects.count() == 5


# --- what happens at the same time


def test_what_people_closed_leaves_room_for_what_is_new(
    scene: Scene, make_station: Any, owner_actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stations in storage, closed as known, are still offline, and older than all that comes."""
    monkeypatch.setattr(watch, "MOST_NEW", 3)
    gone: datetime = scene.at - timedelta(hours=9)
    for _ in range(3):
        make_station(online=False, online_changed_at=gone, last_seen_at=gone)
    scene.later()
    with tenant_scope(scene.tenant_id):
        stored = list(Issue.objects.all())
        assert issues.many(issues=stored, actor=owner_actor, action="close", reason="In storage") == 3
    scene.fault()
    assert [issue.signal for issue in scene.later(seconds=10)] == ["faulted"]
    with tenant_scope(scene.tenant_id):
        assert Issue.objects.count() == 4


def test_a_person_does_not_undo_what_the_sweep_did_meanwhile(scene: Scene, owner_actor: Actor) -> None:
    """The page was read before the step was taken; what is written must not make it be taken again."""
    scene.rule("faulted", steps=steps("hard_reset"), grace_minutes=5)
    scene.fault(minutes=1)
    scene.rule("faulted", steps=[], grace_minutes=0)
    (read,) = scene.later()
    scene.rule("faulted", steps=steps("hard_reset"))
    scene.later(seconds=10)
    assert len(scene.sent()) == 1
    with tenant_scope(scene.tenant_id):
        issues.snooze(issue=read, actor=owner_actor, until=scene.at + timedelta(minutes=1))
    (issue,) = scene.issues()
    assert (issue.step, issue.state) == (1, "recovering") and issue.command_id
    with tenant_scope(scene.tenant_id):
        issues.close(issue=read, actor=owner_actor, reason="Known")
        with pytest.raises(Conflict):
            issues.assign(issue=read, actor=owner_actor, member=None)
        with pytest.raises(Conflict):
            issues.close(issue=read, actor=owner_actor, reason="Known")
    assert scene.facts().count("issue.resolved") == 1


def test_connectors_that_fail_together_are_reset_once(scene: Scene) -> None:
    from stations.models import Evse

    with tenant_scope(scene.tenant_id):
        for number in (2, 3, 4):
            evse = Evse.objects.create(tenant_id=scene.tenant_id, station=scene.station, number=number)
            Connector.objects.create(tenant_id=scene.tenant_id, evse=evse, number=1)
        when = scene.at - timedelta(minutes=10)
        Connector.objects.update(status="faulted", status_at=when, status_since=when)
    scene.rule("faulted", steps=steps("trigger", "soft_reset"), rounds_per_day=24, backoff_minutes=1)
    assert len(scene.later()) == 4
    scene.answer()
    scene.later(minutes=2)
    scene.later(seconds=10)
    resets = [kind for kind, _arguments in scene.sent() if kind == "reset"]
    assert resets == ["reset"]
    scene.answer()
    with tenant_scope(scene.tenant_id):
        Connector.objects.update(status="available")
    scene.later(seconds=10)
    assert scene.later(minutes=1) == []
    assert {(issue.resolution, issue.helped_by) for issue in scene.all()} == {("recovered", "soft_reset")}


def test_one_issue_does_not_cut_short_what_another_waits_for(scene: Scene) -> None:
    """Two rules at one station: a hard reset is no remedy while the soft one of the other still runs."""
    scene.rule("faulted", steps=steps("trigger", "soft_reset"))
    scene.rule("not_accepted", steps=steps("trigger", "hard_reset"))
    scene.set(registration="pending")
    scene.fault()
    assert len(scene.later()) == 2
    scene.answer()
    scene.later(minutes=2)
    found = {issue.signal: issue for issue in scene.issues()}
    resets = [arguments for kind, arguments in scene.sent() if kind == "reset"]
    assert len(resets) == 1
    assert "other" in {one.blocked_by for one in found.values()} or resets == [{"hard": True}]


def test_who_hears_that_it_ended_hears_that_it_came_back(scene: Scene) -> None:
    scene.rule("faulted", steps=[], threshold=0, grace_minutes=0)
    scene.fault(minutes=0.01)
    scene.later(seconds=30)
    scene.mend()
    scene.later(seconds=10)
    assert scene.later(minutes=1) == []
    scene.fault(minutes=0.01)
    assert len(scene.later(seconds=30)) == 1
    assert scene.facts() == ["issue.opened", "issue.resolved", "issue.reopened"]


def test_what_escalates_by_and_by_waits_for_the_next_mail(
    scene: Scene, make_station: Any, owner_actor: Actor
) -> None:
    """A site goes dark: a hundred issues now, a hundred with the next look, and so on."""
    gone = scene.at - timedelta(hours=2)
    with tenant_scope(scene.tenant_id):
        issue_rules.change_policy(tenant_id=scene.tenant_id, actor=owner_actor, mails=["noc@example.com"])
    scene.rule("offline", escalate_minutes=0)
    for _ in range(4):
        make_station(online=False, online_changed_at=gone, last_seen_at=gone)
        scene.later(seconds=10)
        escalation.mail_due(tenant_id=scene.tenant_id)
    assert len(mail.outbox) == 1
    with tenant_scope(scene.tenant_id):
        earlier = scene.at - timedelta(minutes=6)
        IssueEvent.objects.filter(kind="mailed").update(at=earlier)
    assert escalation.mail_due(tenant_id=scene.tenant_id) == 1
    assert "3" in mail.outbox[-1].subject


def test_nobody_waits_for_a_mail_server_for_ever() -> None:
    from django.core.mail.backends.smtp import EmailBackend

    assert EmailBackend().timeout


def test_recovery_that_is_asked_for_twice_resets_once(scene: Scene, owner_actor: Actor) -> None:
    scene.rule("faulted", steps=steps("hard_reset"))
    scene.fault()
    scene.later()
    scene.answer()
    for _ in range(2):
        (issue,) = scene.issues()
        with tenant_scope(scene.tenant_id):
            issues.recover_now(issue=issue, actor=owner_actor)
        (issue,) = scene.later(seconds=10)
    assert len(scene.sent()) == 1 and issue.blocked_by == "other"


def test_what_wavers_for_days_is_told_again(scene: Scene) -> None:
    scene.rule(
        "faulted", steps=[], threshold=0, grace_minutes=0, escalate_minutes=0, mails=["noc@example.com"]
    )
    for hours in (0, 1, 13):
        scene.fault(minutes=0.01)
        scene.later(seconds=30)
        scene.mend()
        scene.later(seconds=10)
        assert scene.later(minutes=1) == []
        with tenant_scope(scene.tenant_id):
            Issue.objects.update(
                escalated_at=scene.at - timedelta(hours=hours), resolved_at=scene.at - timedelta(minutes=5)
            )
    scene.fault(minutes=0.01)
    scene.later(seconds=30)
    assert scene.facts().count("issue.escalated") == 2
    assert len(scene.all()) == 1


def test_an_issue_goes_with_its_station(scene: Scene, make_site: Any) -> None:
    scene.rule("faulted", steps=[])
    scene.fault()
    scene.later()
    elsewhere = make_site()
    scene.set(site=elsewhere)
    (issue,) = scene.later(seconds=10)
    assert issue.site_id == elsewhere.pk


def test_an_issue_is_given_to_who_can_do_something_about_it(
    scene: Scene, owner_actor: Actor, make_member: Any
) -> None:
    from tenants.models import Membership

    user, _password = make_member("driver")
    scene.rule("faulted", steps=[])
    scene.fault()
    (issue,) = scene.later()
    with tenant_scope(scene.tenant_id):
        member = Membership.objects.get(user=user)
        with pytest.raises(Invalid):
            issues.assign(issue=issue, actor=owner_actor, member=member)


def test_a_reset_before_the_fault_is_no_step_against_it(scene: Scene) -> None:
    """What is noticed right after a reset is not what that reset was for."""
    scene.rule("not_accepted", steps=steps("soft_reset"))
    scene.rule("faulted", steps=steps("soft_reset"), grace_minutes=0, threshold=0)
    scene.set(registration="pending")
    scene.later()
    assert [kind for kind, _arguments in scene.sent()] == ["reset"]
    scene.answer()
    scene.fault(minutes=0)
    scene.later(minutes=2)
    (issue,) = scene.issues(signal="faulted")
    assert (len(scene.sent()), issue.step, issue.blocked_by) == (1, 0, "other")

"""Campaigns whose stations and people do the unexpected: each update comes to an end, and none is wrong about it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from stations.models import (
    Campaign,
    Command,
    CommandState,
    FirmwareImage,
    FirmwarePublication,
    FirmwareUpdate,
    LogRequest,
    Station,
)
from stations.neutral import FirmwareNotice, PublicationNotice
from stations.services import commands
from stations.services.files import campaigns, images, logs, publications, store, updates
from stations.services.files.campaigns import Choice
from tenants.context import tenant_scope
from tenants.errors import Conflict, Forbidden
from tenants.models import Role, Site, Tenant
from tests.stations.files.test_campaigns import KNOWN, Rollout, rollout, six  # noqa: F401
from tests.stations.test_locks import in_thread

MakeStation = Callable[..., Station]


def change(rollout: Rollout, *identities: str, **values: Any) -> None:  # noqa: F811
    with tenant_scope(rollout.tenant.pk):
        Station.objects.filter(identity__in=identities).update(**values)


def update_of(rollout: Rollout, identity: str) -> FirmwareUpdate:  # noqa: F811
    with tenant_scope(rollout.tenant.pk):
        return FirmwareUpdate.objects.get(campaign=rollout.campaign, station__identity=identity)


def tell(rollout: Rollout, station: Station, status: str, number: int | None = None) -> None:  # noqa: F811
    with tenant_scope(rollout.tenant.pk):
        notice = FirmwareNotice(station.pk, timezone.now(), status, status.title(), number=number)
        updates.record_notices(tenant_id=rollout.tenant.pk, reports=[notice])


def test_what_fails_after_the_campaign_was_cancelled_has_failed(
    rollout: Rollout,  # noqa: F811
    six: list[Station],  # noqa: F811
    owner_actor: Any,
) -> None:
    """It neither waits for ever nor keeps its station from another update."""
    rollout.start(canary=6, max_attempts=3)
    rollout.look()
    rollout.do(campaigns.cancel)
    rollout.refuse("S1")
    with tenant_scope(rollout.tenant.pk):
        never_sent = Command.objects.get(station=six[1], kind="update_firmware")
        commands.settle(tenant_id=rollout.tenant.pk, command_id=never_sent.pk, state=CommandState.EXPIRED)
    rollout.look()
    assert (rollout.of("failed"), rollout.of("cancelled")) == (["S1"], ["S2"])
    with tenant_scope(rollout.tenant.pk):
        again = updates.plan(
            tenant_id=rollout.tenant.pk, station_id=six[0].pk, image_id=rollout.image.pk, actor=owner_actor
        )
    assert again.state == "sent"


def test_one_order_that_cannot_be_given_stops_no_other(
    rollout: Rollout,  # noqa: F811
    six: list[Station],  # noqa: F811
) -> None:
    rollout.start(canary=6, max_failures=5)
    with tenant_scope(rollout.tenant.pk):
        FirmwareUpdate.objects.filter(station=six[0]).update(protocol="ftps")  # was offered here until today
    rollout.look()
    assert (rollout.of("failed"), len(rollout.of("sent"))) == (["S1"], 5)
    assert "Not offered here" in update_of(rollout, "S1").reason


def test_a_station_that_was_removed_is_left_out_though_it_never_comes_back(
    rollout: Rollout,  # noqa: F811
    six: list[Station],  # noqa: F811
) -> None:
    rollout.start(Choice(station_ids=[six[0].pk]), canary=1)
    change(rollout, "S1", online=False, archived_at=timezone.now())
    rollout.look()
    assert rollout.of("skipped") == ["S1"] and rollout.campaign.state == "finished"


@pytest.mark.parametrize(
    "now", [{"vendor": "Other"}, {"model": "Two"}, {"firmware_version": "0.9"}, {"firmware_version": "1.5"}]
)
def test_who_can_take_it_no_more_when_its_turn_comes_is_left_out(
    rollout: Rollout,  # noqa: F811
    six: list[Station],  # noqa: F811
    now: dict[str, Any],
) -> None:
    with tenant_scope(rollout.tenant.pk):
        FirmwareImage.objects.update(models_allowed=["One"], from_versions=["1.0"])
    rollout.image.models_allowed, rollout.image.from_versions = ["One"], ["1.0"]
    rollout.start(canary=1)
    change(rollout, "S2", **now)  # another machine under the same name, or another firmware, by hand
    rollout.look()
    rollout.install("S1")
    rollout.look()
    rollout.look()
    assert rollout.of("skipped") == ["S2"]
    with tenant_scope(rollout.tenant.pk):
        assert not Command.objects.filter(station=six[1]).exists()


def test_a_station_that_boots_with_the_image_while_its_next_attempt_is_due_is_updated(
    rollout: Rollout,  # noqa: F811
    six: list[Station],  # noqa: F811
) -> None:
    rollout.start(canary=1, max_attempts=3)
    rollout.look()
    rollout.look(timezone.now() + timedelta(hours=3))  # patience is over
    assert rollout.of("retry") == ["S1"]
    rollout.install("S1")
    rollout.look()
    assert rollout.of("installed") == ["S1"]


def test_a_station_given_up_that_comes_back_with_the_image_is_updated(
    rollout: Rollout,  # noqa: F811
    six: list[Station],  # noqa: F811
) -> None:
    rollout.start(canary=2, max_failures=2)
    rollout.look()
    rollout.look(timezone.now() + timedelta(hours=3))
    assert len(rollout.of("failed")) == 2 and rollout.campaign.state == "halted"
    rollout.install("S1", "S2")
    rollout.do(campaigns.resume)
    rollout.look()
    assert rollout.of("installed") == ["S1", "S2"]
    rollout.look()
    rollout.refuse(*rollout.of("sent"))  # two of the next wave
    rollout.look()
    assert rollout.states() and rollout.campaign.state == "halted"  # what was forgiven is no credit


def test_a_failure_of_an_older_order_says_nothing_of_the_present_one(
    rollout: Rollout,  # noqa: F811
    six: list[Station],  # noqa: F811
) -> None:
    """L01.FR.24: the station drops the older when a newer order comes, and may say so late."""
    rollout.start(canary=1, max_attempts=5, retry_minutes=0)
    rollout.look()
    first = update_of(rollout, "S1").number
    rollout.look(timezone.now() + timedelta(hours=3))
    rollout.look()
    assert update_of(rollout, "S1").number != first
    tell(rollout, six[0], "install_failed", number=first)
    assert update_of(rollout, "S1").state == "sent"
    tell(rollout, six[0], "install_failed", number=999_999_999)  # a number that the station made up
    assert update_of(rollout, "S1").blocked_by == "retry"


def test_who_is_away_for_days_holds_up_no_later_wave(
    rollout: Rollout,  # noqa: F811
    six: list[Station],  # noqa: F811
) -> None:
    rollout.start(canary=2, wave_percent=50)
    change(rollout, "S2", online=False)
    rollout.look()
    rollout.look()
    assert (rollout.of("sent"), rollout.of("offline"), len(rollout.of("wave"))) == (["S1"], ["S2"], 4)
    rollout.install("S1")
    rollout.look()
    rollout.look()
    assert len(rollout.of("sent")) == 3
    change(rollout, "S2", online=True)
    rollout.look()
    assert "S2" in rollout.of("sent")
    rollout.install("S1", "S2", "S3", "S4", "S5")
    rollout.look()
    rollout.look()
    change(rollout, "S6", online=False)
    with tenant_scope(rollout.tenant.pk):
        Command.objects.filter(station__identity="S6").update(expires_at=timezone.now())
        commands.expire(tenant_id=rollout.tenant.pk)
    rollout.look()
    assert rollout.of("offline") == ["S6"] and rollout.campaign.state == "running"  # the last is waited for


def test_a_wave_of_which_most_have_a_car_is_waited_for(
    rollout: Rollout,  # noqa: F811
    six: list[Station],  # noqa: F811
    make_session: Callable[..., Any],
) -> None:
    """One success of five is no evidence; of three of five it is, and the two get it once they are idle."""
    sessions = [make_session(station) for station in six[1:5]]
    rollout.start(canary=5)
    rollout.look()
    rollout.install("S1")
    for _look in range(3):
        rollout.look()
    assert rollout.of("wave") == ["S6"]
    with tenant_scope(rollout.tenant.pk):
        type(sessions[0]).objects.filter(pk__in=[sessions[0].pk, sessions[1].pk]).update(state="ended")
    rollout.look()
    rollout.install("S2", "S3")
    rollout.look()
    rollout.look()
    assert (rollout.of("sent"), rollout.of("busy")) == (["S6"], ["S4", "S5"])


def test_while_all_of_a_canary_are_away_nobody_else_begins(
    rollout: Rollout,  # noqa: F811
    six: list[Station],  # noqa: F811
) -> None:
    rollout.start(canary=2)
    change(rollout, "S1", "S2", online=False)
    for _look in range(3):
        rollout.look()
    assert (rollout.of("offline"), len(rollout.of("wave"))) == (["S1", "S2"], 4)


def test_an_installation_that_was_put_off_for_days_is_waited_for(
    tenant: Tenant,
    make_station: MakeStation,
    site: Site,
    make_image: Callable[..., FirmwareImage],
    owner_actor: Any,
) -> None:
    station, image = make_station(site=site, identity="S1", **KNOWN), make_image()
    at = datetime.now(UTC) + timedelta(days=4)
    with tenant_scope(tenant.pk):
        update = updates.plan(
            tenant_id=tenant.pk, station_id=station.pk, image_id=image.pk, actor=owner_actor, install_at=at
        )
        for status in ("downloaded", "install_scheduled"):
            told = FirmwareNotice(station.pk, timezone.now(), status, status, number=update.number)
            updates.record_notices(tenant_id=tenant.pk, reports=[told])
    with tenant_scope(tenant.pk):
        campaigns.advance(tenant_id=tenant.pk, now=at - timedelta(hours=1))
        update.refresh_from_db()
    assert update.state == "downloaded"
    with tenant_scope(tenant.pk):
        campaigns.advance(tenant_id=tenant.pk, now=at + timedelta(hours=3))
        update.refresh_from_db()
    assert update.state == "failed"


def test_a_station_that_waits_for_a_car_to_leave_is_given_a_day(
    rollout: Rollout,  # noqa: F811
    six: list[Station],  # noqa: F811
) -> None:
    """L01: it installs once no transaction runs, and says InstallScheduled until then."""
    rollout.start(canary=1)
    rollout.look()
    tell(rollout, six[0], "install_scheduled", number=update_of(rollout, "S1").number)
    rollout.look(timezone.now() + timedelta(hours=20))
    assert rollout.of("downloaded") == ["S1"]
    rollout.look(timezone.now() + timedelta(hours=25))
    assert rollout.of("failed") == ["S1"]


def test_two_orders_at_the_same_moment_are_one(
    tenant: Tenant,
    make_station: MakeStation,
    site: Site,
    make_image: Callable[..., FirmwareImage],
    owner_actor: Any,
) -> None:
    station, image = make_station(site=site, identity="S1", **KNOWN), make_image()
    refused: list[BaseException] = []
    together = threading.Barrier(3)

    def order() -> None:
        with tenant_scope(tenant.pk):
            together.wait(5)
            updates.plan(tenant_id=tenant.pk, station_id=station.pk, image_id=image.pk, actor=owner_actor)

    for thread in [in_thread(order, refused) for _number in range(3)]:
        thread.join()
    assert [type(error) for error in refused] == [Conflict, Conflict]
    with tenant_scope(tenant.pk):
        assert Command.objects.filter(station=station, kind="update_firmware").count() == 1


def test_another_attempt_is_refused_while_another_update_is_open(
    tenant: Tenant,
    make_station: MakeStation,
    site: Site,
    make_image: Callable[..., FirmwareImage],
    owner_actor: Any,
) -> None:
    station = make_station(site=site, identity="S1", **KNOWN)
    old, new = make_image(), make_image(content=b"new", version="3.0")
    with tenant_scope(tenant.pk):
        first = updates.plan(tenant_id=tenant.pk, station_id=station.pk, image_id=old.pk, actor=owner_actor)
        assert first.command is not None
        commands.settle(
            tenant_id=tenant.pk, command_id=first.command.pk, state=CommandState.REJECTED, answer="Rejected"
        )
        updates.plan(tenant_id=tenant.pk, station_id=station.pk, image_id=new.pk, actor=owner_actor)
        with pytest.raises(Conflict):
            updates.retry(update=first, actor=owner_actor)


def test_who_sees_some_of_its_sites_turns_no_campaign(
    rollout: Rollout,  # noqa: F811
    six: list[Station],  # noqa: F811
    make_site: Callable[..., Site],
    make_station: MakeStation,
) -> None:
    elsewhere = make_site()
    make_station(site=elsewhere, identity="S7", **KNOWN)
    rollout.start(canary=7)
    some = replace(rollout.actor, site_ids=frozenset({elsewhere.pk}))
    for verb in (campaigns.pause, campaigns.cancel, campaigns.retry_failed):
        with tenant_scope(rollout.tenant.pk), pytest.raises(Forbidden):
            verb(campaign=rollout.campaign, actor=some)
    every = replace(rollout.actor, site_ids=frozenset({elsewhere.pk, six[0].site_id}))
    with tenant_scope(rollout.tenant.pk):
        assert campaigns.pause(campaign=rollout.campaign, actor=every).state == "paused"


def test_what_waits_for_its_wave_is_not_looked_at(
    rollout: Rollout,  # noqa: F811
    six: list[Station],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Twenty thousand of them are neither read nor locked every three seconds."""
    seen: list[int] = []
    found = updates.busy_stations

    def counted(tenant_id: int, station_ids: list[int]) -> set[int]:
        seen.append(len(station_ids))
        return found(tenant_id, station_ids)

    rollout.start(canary=1, wave_percent=100)
    monkeypatch.setattr(updates, "busy_stations", counted)
    rollout.look()
    rollout.install("S1")
    rollout.look()
    rollout.do(campaigns.pause)
    rollout.look()
    rollout.look()
    rollout.do(campaigns.resume)
    rollout.look()
    assert seen == [1, 1, 5, 5]  # while it is paused, nobody
    assert len(rollout.of("sent")) == 5


@pytest.mark.parametrize(
    ("value", "pattern", "fits"),
    [
        ("1.0[beta]", "1.0[beta]", True), ("1.0[beta]", "1.0*", True), ("1.0b", "1.0[beta]", False),
        ("one pro max", "One*Max", True), ("aba", "ab*ba", False), ("x", "*", True), ("", "*", True),
        ("a-b-c", "a*b*c", True), ("a" * 64, "*a" * 30 + "b", False), ("1.2", "1?2", False),
    ],
)  # fmt: skip
def test_a_star_stands_for_any_letters_and_nothing_else_does(value: str, pattern: str, fits: bool) -> None:
    assert images.matches(value, [pattern]) is fits


def test_two_uploads_of_one_images_file_are_one(
    tenant: Tenant, owner_actor: Any, make_image: Callable[..., FirmwareImage]
) -> None:
    """The second does not take the place of what stations may be fetching already."""
    with tenant_scope(tenant.pk):
        image = images.create(tenant_id=tenant.pk, actor=owner_actor, vendor="Acme", version="7")
    refused: list[BaseException] = []
    together = threading.Barrier(2)

    def put(content: bytes) -> None:
        spooled = store.spool(1_000)
        spooled.write(content)
        with tenant_scope(tenant.pk):
            mine = FirmwareImage.objects.get(pk=image.pk)
            together.wait(5)
            images.attach(image=mine, spooled=spooled, name="a.bin", actor=owner_actor)

    for thread in [in_thread(lambda text=text: put(text), refused) for text in (b"one", b"two")]:  # type: ignore[misc]
        thread.join()
    assert [type(error) for error in refused] == [Conflict]


def test_a_controller_that_falls_silent_has_failed_and_what_it_offers_late_counts(
    rollout: Rollout,  # noqa: F811
    six: list[Station],  # noqa: F811
) -> None:
    """Else the image could never be published there again."""

    def publish() -> FirmwarePublication:
        with tenant_scope(rollout.tenant.pk):
            return publications.publish(
                tenant_id=rollout.tenant.pk,
                station_id=six[5].pk,
                image_id=rollout.image.pk,
                actor=rollout.actor,
            )

    first = publish()
    with pytest.raises(Conflict):
        publish()
    with tenant_scope(rollout.tenant.pk):
        assert publications.give_up(tenant_id=rollout.tenant.pk) == 0
        FirmwarePublication.objects.update(changed_at=timezone.now() - timedelta(days=1))
        assert publications.give_up(tenant_id=rollout.tenant.pk) == 1
    second = publish()
    places = ("http://10.0.0.1/a.bin",)
    with tenant_scope(rollout.tenant.pk):
        told = [
            PublicationNotice(
                six[5].pk, timezone.now(), "published", "Published", number=row.number, locations=places
            )
            for row in (first, second)
        ]
        publications.record_notices(tenant_id=rollout.tenant.pk, reports=told[:1])
        first.refresh_from_db()
        assert first.state == "published"
    rollout.start(Choice(station_ids=[six[0].pk]), canary=1, max_attempts=2, retry_minutes=0)
    rollout.look()
    assert "local controller" in update_of(rollout, "S1").note
    tell(rollout, six[0], "download_failed", number=update_of(rollout, "S1").number)
    rollout.look()
    assert (update_of(rollout, "S1").attempts, update_of(rollout, "S1").state) == (2, "sent")
    assert "local controller" not in update_of(rollout, "S1").note  # it failed there: from here now


def test_a_rollback_reaches_every_station_that_the_campaign_has_updated(
    rollout: Rollout,  # noqa: F811
    six: list[Station],  # noqa: F811
    make_image: Callable[..., FirmwareImage],
    make_member: Callable[..., Any],
    portal_client: Callable[..., Any],
    tenant: Tenant,
) -> None:
    """All of them, be they thousands: none is named one by one in an address. Those it did not reach are left alone."""
    before = make_image(content=b"old", version="1.0")
    rollout.start(canary=4)
    rollout.look()
    rollout.install("S1", "S2", "S3")
    rollout.look()
    change(rollout, "S6", firmware_version=rollout.image.version)  # has it, and not by this campaign
    browser = portal_client(make_member(Role.OWNER)[0])
    page = browser.get(f"/t/{tenant.slug}/campaigns/new/", {"rollback": rollout.campaign.pk})
    form = page.context["form"]
    assert form["station_ids"].value() in ("", None) and rollout.campaign.name in page.content.decode()
    given = {name: form[name].value() for name in form.fields if form[name].value() not in (None, "", False)}
    shown = browser.get(f"/t/{tenant.slug}/campaigns/preview/", given)
    assert [station.identity for station, _wave in shown.context["preview"].targets] == ["S1", "S2", "S3"]
    answer = browser.post(f"/t/{tenant.slug}/campaigns/new/", given)
    assert answer.status_code == 302
    with tenant_scope(tenant.pk):
        back = Campaign.objects.get(rollback_of=rollout.campaign)
        assert (back.image, back.updates.count()) == (before, 3)


def test_a_button_pressed_twice_does_what_it_says_once(
    rollout: Rollout,  # noqa: F811
    six: list[Station],  # noqa: F811
    make_member: Callable[..., Any],
    portal_client: Callable[..., Any],
    tenant: Tenant,
) -> None:
    """The second "try again" does not take back what the first began, nor the second "wait no longer" ask anew."""
    rollout.start(canary=1)
    rollout.look()
    rollout.refuse("S1")
    browser = portal_client(make_member(Role.OWNER)[0])
    update = update_of(rollout, "S1")
    for _press in range(2):
        assert (
            browser.post(f"/t/{tenant.slug}/updates/{update.pk}/turn/", {"verb": "retry"}).status_code == 302
        )
    assert update_of(rollout, "S1").state == "waiting"
    for _press in range(2):
        browser.post(f"/t/{tenant.slug}/updates/{update.pk}/turn/", {"verb": "cancel"})
    assert update_of(rollout, "S1").state == "cancelled"
    with tenant_scope(tenant.pk):
        asked = logs.request(tenant_id=tenant.pk, station_id=six[0].pk, actor=rollout.actor)
    for _press in range(2):
        browser.post(f"/t/{tenant.slug}/stations/{six[0].pk}/logs/{asked.pk}/again/", {"verb": "cancel"})
    with tenant_scope(tenant.pk):
        assert list(LogRequest.objects.values_list("state", flat=True)) == ["cancelled"]

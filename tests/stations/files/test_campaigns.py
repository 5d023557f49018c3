"""Campaigns: who is chosen, in which wave, what each waits for, and when it stops by itself. Stations are rows here;
`test_campaign_with_simulated_stations` has them speak."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from stations.models import (
    Campaign,
    Command,
    CommandState,
    Connector,
    FileTicket,
    FirmwareImage,
    FirmwareUpdate,
    Station,
)
from stations.services import commands
from stations.services.files import campaigns, updates
from stations.services.files.campaigns import Choice, Rules
from tenants.context import tenant_scope
from tenants.errors import Conflict, Invalid
from tenants.models import Fact, Site, Tenant

MakeStation = Callable[..., Station]
MakeImage = Callable[..., FirmwareImage]
KNOWN: dict[str, Any] = {
    "vendor": "Acme",
    "model": "One",
    "firmware_version": "1.0",
    "ocpp_version": "2.0.1",
    "online": True,
}


class Rollout:
    """A campaign and the moves of its stations."""

    def __init__(self, tenant: Tenant, actor: Any, image: FirmwareImage) -> None:
        self.tenant, self.actor, self.image = tenant, actor, image
        self.campaign: Campaign

    def start(self, choice: Choice = Choice(), **rules: Any) -> Campaign:
        with tenant_scope(self.tenant.pk):
            self.campaign = campaigns.start(
                tenant_id=self.tenant.pk, name="Spring", image=self.image, choice=choice, actor=self.actor,
                rules=Rules(**({"max_per_site": 100, "max_attempts": 1} | rules)),
            )  # fmt: skip
        return self.campaign

    def look(self, now: datetime | None = None) -> int:
        with tenant_scope(self.tenant.pk):
            return campaigns.advance(tenant_id=self.tenant.pk, now=now)

    def do(self, verb: Callable[..., Any], **more: Any) -> Any:
        with tenant_scope(self.tenant.pk):
            return verb(campaign=self.campaign, actor=self.actor, **more)

    def states(self) -> dict[str, str]:
        """{identity: state, or what it waits for}."""
        with tenant_scope(self.tenant.pk):
            self.campaign.refresh_from_db()
            rows = FirmwareUpdate.objects.filter(campaign=self.campaign).select_related("station")
            return {row.station.identity: row.blocked_by or row.state for row in rows}

    def of(self, word: str) -> list[str]:
        return sorted(name for name, state in self.states().items() if state == word)

    def install(self, *identities: str) -> None:
        """These stations boot with the new version."""
        with tenant_scope(self.tenant.pk):
            Station.objects.filter(identity__in=identities).update(
                firmware_version=self.image.version, booted_at=datetime.now(UTC)
            )

    def refuse(self, *identities: str) -> None:
        """These stations refuse the order."""
        with tenant_scope(self.tenant.pk):
            for command in Command.objects.filter(
                station__identity__in=identities, state=CommandState.QUEUED
            ):
                commands.settle(
                    tenant_id=self.tenant.pk,
                    command_id=command.pk,
                    state=CommandState.REJECTED,
                    answer="Rejected",
                )


@pytest.fixture
def rollout(tenant: Tenant, owner_actor: Any, make_image: MakeImage) -> Rollout:
    return Rollout(tenant, owner_actor, make_image())


@pytest.fixture
def six(make_station: MakeStation, site: Site) -> list[Station]:
    return [make_station(site=site, identity=f"S{number}", **KNOWN) for number in range(1, 7)]


def test_waves_begin_one_after_the_other_and_the_campaign_finishes(
    rollout: Rollout, six: list[Station]
) -> None:
    campaign = rollout.start(canary=1, wave_percent=34)
    assert campaign.waves == 3
    rollout.look()
    assert (rollout.of("sent"), len(rollout.of("wave"))) == (["S1"], 5)
    rollout.look()  # twice is no more than once
    with tenant_scope(rollout.tenant.pk):
        assert Command.objects.filter(kind="update_firmware").count() == 1
    rollout.install("S1")
    rollout.look()
    rollout.look()
    assert rollout.of("sent") == ["S2", "S3", "S4"]
    rollout.install("S2", "S3", "S4")
    rollout.look()
    rollout.look()
    rollout.install("S5", "S6")
    rollout.look()
    assert set(rollout.states().values()) == {"installed"}
    assert rollout.campaign.state == "finished"
    with tenant_scope(rollout.tenant.pk):
        kinds = list(Fact.objects.filter(tenant=rollout.tenant).values_list("kind", flat=True))
    assert kinds.count("firmware.updated") == 6 and kinds.count("campaign.finished") == 1


def test_the_last_byte_counts_though_the_station_was_done_first(rollout: Rollout, six: list[Station]) -> None:
    rollout.start(canary=6)
    rollout.look()
    tenant_id = rollout.tenant.pk
    with tenant_scope(tenant_id):
        ticket = FileTicket.objects.get(update__station=six[0])
        download = updates.begin_download(tenant_id=tenant_id, ticket_id=ticket.pk, address="")
    rollout.install("S1")
    rollout.look()
    assert rollout.of("installed") == ["S1"]
    with tenant_scope(tenant_id):
        updates.progress(download=download, reached=download.size, moved=download.size)
        assert FirmwareUpdate.objects.get(station=six[0]).percent == 100


def test_a_canary_that_fails_halts_it_before_the_next_wave(rollout: Rollout, six: list[Station]) -> None:
    rollout.start(canary=2, max_failures=5)
    rollout.look()
    rollout.refuse("S1")
    rollout.install("S2")
    rollout.look()
    rollout.look()
    assert (rollout.of("failed"), rollout.of("installed"), len(rollout.of("paused"))) == (["S1"], ["S2"], 4)
    assert rollout.campaign.state == "halted"
    assert "only 1 of 2" in rollout.campaign.reason
    rollout.do(campaigns.resume)
    rollout.look()
    rollout.look()
    assert len(rollout.of("sent")) == 2  # 25 % of six
    with tenant_scope(rollout.tenant.pk):
        assert Fact.objects.filter(tenant=rollout.tenant, kind="campaign.halted").count() == 1


def test_the_failure_bound_halts_it_at_once(rollout: Rollout, six: list[Station]) -> None:
    rollout.start(canary=6, max_failures=2)
    rollout.look()
    rollout.refuse("S1")
    rollout.look()
    assert rollout.states() and rollout.campaign.state == "running"
    rollout.refuse("S2")
    rollout.look()
    assert rollout.states() and (rollout.campaign.state, "bound is 2" in rollout.campaign.reason) == (
        "halted",
        True,
    )


def test_a_busy_station_waits_until_it_is_idle(
    rollout: Rollout, six: list[Station], make_session: Callable[..., Any]
) -> None:
    session = make_session(six[0])
    with tenant_scope(rollout.tenant.pk):
        Connector.objects.filter(evse__station=six[1]).update(status="preparing")
    rollout.start(canary=6)
    rollout.look()
    assert rollout.of("busy") == ["S1", "S2"]
    with tenant_scope(rollout.tenant.pk):
        type(session).objects.filter(pk=session.pk).update(state="ended")
    rollout.look()
    assert rollout.of("busy") == ["S2"]
    with tenant_scope(rollout.tenant.pk):
        Connector.objects.filter(evse__station=six[1]).update(status="available")
    rollout.look()
    assert len(rollout.of("sent")) == 6


def test_offline_stations_wait_for_their_return(rollout: Rollout, six: list[Station]) -> None:
    with tenant_scope(rollout.tenant.pk):
        Station.objects.filter(pk=six[0].pk).update(online=False)
    rollout.start(canary=1)
    rollout.look()
    assert rollout.of("sent") == ["S2"]  # the canary is one that can be reached
    rollout.install("S2")
    for _look in range(8):
        rollout.look()
        rollout.install(*rollout.of("sent"))
    assert rollout.of("offline") == ["S1"]


def test_a_window_counts_by_the_clock_of_the_site(
    rollout: Rollout, make_station: MakeStation, make_site: Callable[..., Site]
) -> None:
    berlin, porto = make_site(time_zone="Europe/Berlin"), make_site(time_zone="Europe/Lisbon")
    make_station(site=berlin, identity="B", **KNOWN)
    make_station(site=porto, identity="P", **KNOWN)
    rollout.start(canary=2, window_from=time(23), window_until=time(1))
    winter = datetime(2026, 1, 15, tzinfo=UTC)
    rollout.look(winter.replace(hour=21, minute=59))
    assert rollout.of("window") == ["B", "P"]
    rollout.look(winter.replace(hour=22, minute=0))  # 23:00 in Berlin, 22:00 in Lisbon
    assert (rollout.of("sent"), rollout.of("window")) == (["B"], ["P"])
    rollout.look(winter + timedelta(days=1, minutes=59))
    assert rollout.of("window") == []


def test_no_more_than_so_many_at_once_at_a_site(rollout: Rollout, six: list[Station]) -> None:
    rollout.start(canary=6, max_per_site=2)
    rollout.look()
    assert (len(rollout.of("sent")), len(rollout.of("site"))) == (2, 4)
    rollout.install(*rollout.of("sent"))
    rollout.look()
    rollout.look()
    assert (len(rollout.of("installed")), len(rollout.of("sent"))) == (2, 2)


def test_pause_resume_and_cancel(rollout: Rollout, six: list[Station]) -> None:
    rollout.start(canary=2)
    rollout.do(campaigns.pause)
    rollout.look()
    assert len(rollout.of("paused")) == 6
    rollout.do(campaigns.resume)
    rollout.look()
    assert rollout.of("sent") == ["S1", "S2"]
    rollout.do(campaigns.cancel)
    assert (rollout.of("sent"), len(rollout.of("cancelled"))) == (["S1", "S2"], 4)
    rollout.install("S1")
    rollout.look()
    assert rollout.of("installed") == ["S1"]  # what was sent is followed to its end
    with pytest.raises(Conflict):
        rollout.do(campaigns.resume)


def test_failed_ones_are_tried_again_on_demand(rollout: Rollout, six: list[Station]) -> None:
    rollout.start(canary=6, max_failures=100, success_percent=0)
    rollout.look()
    rollout.refuse("S1", "S2")
    assert rollout.do(campaigns.retry_failed) == 2
    rollout.look()
    assert len(rollout.of("sent")) == 6


def test_the_preview_names_each_exclusion(
    rollout: Rollout, make_station: MakeStation, site: Site, make_image: MakeImage, owner_actor: Any
) -> None:
    image = make_image(content=b"other", version="3.0", models_allowed=["One*"], from_versions=["1.*", "2.1"])
    given: dict[str, dict[str, Any]] = {
        "FITS": {}, "FITS2": {"model": "One Pro", "firmware_version": "2.1"}, "HAS": {"firmware_version": "3.0"},
        "MODEL": {"model": "Two"}, "FROM": {"firmware_version": "2.0"}, "VENDOR": {"vendor": "Other"},
        "NEW": {"ocpp_version": "", "vendor": "", "online": False},
    }  # fmt: skip
    for identity, told in given.items():
        make_station(site=site, identity=identity, **(KNOWN | told))
    with tenant_scope(rollout.tenant.pk):
        found = campaigns.preview(
            tenant_id=rollout.tenant.pk, image=image, choice=Choice(), rules=Rules(), actor=owner_actor
        )
    assert [station.identity for station, _wave in found.targets] == ["FITS", "FITS2"]
    assert {station.identity: why for station, why in found.excluded} == {
        "HAS": "It has this version already.",
        "MODEL": "Model Two is not among the image's.",
        "FROM": "Version 2.0 cannot take it directly.",
        "VENDOR": "Made by Other.",
        "NEW": "The station has never connected.",
    }


def test_stations_of_another_campaign_are_left_out_and_updated_ones_skipped(
    rollout: Rollout, six: list[Station], make_image: MakeImage, owner_actor: Any
) -> None:
    rollout.start(Choice(station_ids=[six[0].pk, six[1].pk]), canary=1)
    other = Rollout(rollout.tenant, owner_actor, make_image(content=b"new", version="9"))
    other.start(canary=10)
    assert sorted(other.states()) == ["S3", "S4", "S5", "S6"]
    with tenant_scope(rollout.tenant.pk):
        Station.objects.filter(pk=six[0].pk).update(firmware_version="2.0.0")  # by hand, in the garage
    rollout.look()
    assert rollout.of("skipped") == ["S1"]


def test_a_rollback_leads_to_the_image_from_before(
    rollout: Rollout, six: list[Station], make_image: MakeImage
) -> None:
    before = make_image(content=b"old", version="1.0")
    rollout.start(canary=6)
    rollout.look()
    rollout.install("S1", "S2")
    rollout.look()
    with tenant_scope(rollout.tenant.pk):
        assert campaigns.previous_image(rollout.campaign) == before


@pytest.mark.parametrize(
    ("rules", "field"),
    [
        ({"canary": 0}, "canary"), ({"wave_percent": 0}, "wave_percent"), ({"max_failures": 0}, "max_failures"),
        ({"window_from": time(1)}, "window_until"), ({"signed_only": True}, "signed_only"),
        ({"protocol": "ftp"}, "protocol"),
    ],
)  # fmt: skip
def test_rules_that_make_no_sense_are_refused(
    rollout: Rollout, six: list[Station], rules: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        rollout.start(**rules)
    assert field in refused.value.fields


def test_two_tenants_and_two_workers_do_not_meet(
    rollout: Rollout, six: list[Station], other_tenant: Tenant
) -> None:
    rollout.start(canary=6)
    with tenant_scope(other_tenant.pk):
        assert campaigns.advance(tenant_id=other_tenant.pk) == 0
    import threading

    from django.db import connections

    moved: list[int] = []

    def look() -> None:
        try:
            moved.append(rollout.look())
        finally:
            connections.close_all()

    workers = [threading.Thread(target=look) for _number in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    with tenant_scope(rollout.tenant.pk):
        assert Command.objects.filter(kind="update_firmware").count() == 6

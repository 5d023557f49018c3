"""A station is taken to a higher security profile, and told a new password: what it is asked, and what follows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import websockets
from django.utils import timezone

from simulator import SimulatedStation
from stations.models import (
    ChangeState,
    Command,
    PasswordChange,
    ProfileChange,
    Station,
    StationCertificate,
)
from stations.services import authority, commands, connections, passwords, security_profiles, trust
from tenants.context import tenant_scope
from tenants.errors import Conflict
from tenants.models import Tenant
from tests.servers import Role
from tests.stations.ocpp.charger import VERSIONS, charger
from tests.stations.ocpp.conftest import Plug, eventually, rows
from tests.stations.ocpp.proxies import Papers
from tests.stations.ocpp.test_profiles_at_the_door import gateway, papers, secret, tls_port, told  # noqa: F401

PASSWORD_SETTING = {
    "1.6": ("ChangeConfiguration", lambda value: {"key": "AuthorizationKey", "value": value}),
    "2.0.1": (
        "SetVariables",
        lambda value: {
            "setVariableData": [
                {
                    "component": {"name": "SecurityCtrlr"},
                    "variable": {"name": "BasicAuthPassword"},
                    "attributeValue": value,
                }
            ]
        },
    ),
}
PASSWORD_SETTING["2.1"] = PASSWORD_SETTING["2.0.1"]


def verdict(version: str, word: str) -> dict[str, Any]:
    if version == "1.6":
        return {"status": word}
    result = {
        "attributeStatus": word,
        "component": {"name": "SecurityCtrlr"},
        "variable": {"name": "BasicAuthPassword"},
    }
    return {"setVariableResult": [result]}


async def start(tenant: Tenant, station: Station, actor: Any, **given: Any) -> ProfileChange:
    return await rows(
        tenant,
        lambda: security_profiles.start(station=Station.objects.get(pk=station.pk), actor=actor, **given),
    )


async def newest(tenant: Tenant, station: Station) -> ProfileChange:
    return await rows(tenant, lambda: ProfileChange.objects.filter(station=station)[0])


async def in_state(tenant: Tenant, station: Station, *states: str) -> ProfileChange:
    async def reached() -> ProfileChange | None:
        change = await newest(tenant, station)
        if change.state == "failed" and "failed" not in states:
            raise RuntimeError(f"failed in {change.failed_in}: {change.detail}")
        return change if change.state in states else None

    try:
        return await eventually(reached, 60)
    except AssertionError:
        change = await newest(tenant, station)
        raise AssertionError(f"it stays in {change.state}: {change.detail}") from None


# --- step by step, by hand (1.6 needs nothing but ChangeConfiguration for profile 2)


async def test_a_station_switches_and_returns_by_tls(
    gateway: Role,  # noqa: F811
    papers: Papers,  # noqa: F811
    plug: Plug,
    tenant: Tenant,
    station: Station,
    owner_actor: Any,
) -> None:
    async with plug(station) as wire:
        await start(tenant, station, owner_actor, profile=2)
        call = await wire.next_call()
        assert call[2:] == ["ChangeConfiguration", {"key": "SecurityProfile", "value": "2"}]
        await wire.answer(call, {"status": "Accepted"})
        await in_state(tenant, station, "return")
        with pytest.raises(Conflict):
            await start(tenant, station, owner_actor, profile=3)
    async with plug(station):  # it may still come by the old one
        assert (await newest(tenant, station)).state == "return"
    url = f"wss://127.0.0.1:{tls_port(gateway)}"
    async with charger(url, tenant.slug, station.identity, secret(station), tls=papers.client()):
        change = await in_state(tenant, station, "done")
        assert change.ended_at is not None
    with pytest.raises(websockets.InvalidStatus):
        async with plug(station):
            pass
    with pytest.raises(Conflict, match="on profile 2 already"):
        await start(tenant, station, owner_actor, profile=2)


async def test_a_station_that_needs_a_restart_gets_one(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    async with plug(station) as wire:
        await start(tenant, station, owner_actor, profile=2)
        await wire.answer(await wire.next_call(), {"status": "RebootRequired"})
        call = await wire.next_call()
        assert call[2:] == ["Reset", {"type": "Soft"}]
        await wire.answer(call, {"status": "Accepted"})


async def test_one_that_stays_without_a_word_is_restarted(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    async with plug(station) as wire:
        await start(tenant, station, owner_actor, profile=2)
        await wire.answer(await wire.next_call(), {"status": "Accepted"})
        change = await in_state(tenant, station, "return")

        def later() -> None:
            ProfileChange.objects.filter(pk=change.pk).update(
                stepped_at=timezone.now() - timedelta(minutes=2)
            )
            security_profiles.sweep(tenant_id=tenant.pk)
            security_profiles.sweep(tenant_id=tenant.pk)

        await rows(tenant, later)
        await wire.next_of("Reset")
        assert wire.calls.empty()


async def test_a_refusal_fails_and_says_in_which_step(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    async with plug(station) as wire:
        await start(tenant, station, owner_actor, profile=2)
        await wire.answer(await wire.next_call(), {"status": "Rejected"})
        change = await in_state(tenant, station, "failed")
    assert (change.failed_in, change.detail) == ("switch", "The station answered Rejected.")
    async with plug(station):
        assert (await told(tenant, station)).security_profile == 1


async def test_when_time_is_up_the_old_profile_counts_on(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    async with plug(station) as wire:
        await start(tenant, station, owner_actor, profile=2)
        await wire.answer(await wire.next_call(), {"status": "Accepted"})
        await in_state(tenant, station, "return")
    async with plug(station):
        late = timezone.now() - timedelta(seconds=1)
        await rows(tenant, lambda: ProfileChange.objects.update(deadline=late))
        await eventually(lambda: rows(tenant, lambda: security_profiles.sweep(tenant_id=tenant.pk)))
        change = await newest(tenant, station)
    assert change.state == "failed" and "came back only by profile 1" in change.detail
    async with plug(station):
        pass


async def test_a_change_can_be_given_up(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    async with plug(station) as wire:
        change = await start(tenant, station, owner_actor, profile=2)
        await wire.answer(await wire.next_call(), {"status": "Accepted"})
        await in_state(tenant, station, "return")
        await rows(tenant, lambda: security_profiles.cancel(change=change, actor=owner_actor))
        assert (await newest(tenant, station)).state == "cancelled"
        with pytest.raises(Conflict):
            await rows(tenant, lambda: security_profiles.cancel(change=change, actor=owner_actor))


@pytest.mark.parametrize("given_up", [True, False])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_switch_that_was_not_sent_is_taken_back(
    tenant: Tenant, station: Station, owner_actor: Any, version: str, given_up: bool
) -> None:
    """And nothing has to be set back then."""
    with tenant_scope(tenant.pk):
        Station.objects.filter(pk=station.pk).update(ocpp_version=version)
        change = security_profiles.start(
            station=Station.objects.get(pk=station.pk),
            actor=owner_actor,
            profile=2,
            url="wss://gateway.example",
        )
        if version != "1.6":
            change.old_priority = "1"
            security_profiles._enter(change, ChangeState.SWITCH)
        switch = change.command
        assert switch is not None and switch.kind == "write_configuration"
        if given_up:
            security_profiles.cancel(change=change, actor=owner_actor)
        else:
            ProfileChange.objects.update(deadline=timezone.now() - timedelta(seconds=1))
            security_profiles.sweep(tenant_id=tenant.pk)
        told = Command.objects.filter(station=station).exclude(state="cancelled")
        assert not told.exists()
        change.refresh_from_db()
        assert (change.state, change.failed_in) == ("cancelled" if given_up else "failed", "switch")


def test_a_fall_back_follows_a_switch_that_was_sent(
    tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    with tenant_scope(tenant.pk):
        Station.objects.filter(pk=station.pk).update(ocpp_version="2.0.1")
        change = security_profiles.start(
            station=Station.objects.get(pk=station.pk),
            actor=owner_actor,
            profile=2,
            url="wss://gateway.example",
        )
        change.old_priority = "1"
        security_profiles._enter(change, ChangeState.SWITCH)
        Command.objects.filter(pk=change.command_id or 0).update(state="sent", sent_at=timezone.now())
        security_profiles.cancel(change=change, actor=owner_actor)
        back = Command.objects.get(station=station, state="queued")
    assert back.arguments["value"] == "1"


def test_who_arrived_by_a_higher_profile_in_the_meantime_keeps_it(
    tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    with tenant_scope(tenant.pk):
        stale = Station.objects.get(pk=station.pk)
        arrival = security_profiles.Arrival(station.pk, 1, 3)
        security_profiles.arrived(tenant_id=tenant.pk, requests=[arrival])
        with pytest.raises(Conflict):
            security_profiles.require(station=stale, actor=owner_actor, profile=1)
        assert security_profiles.require(station=stale, actor=owner_actor, profile=3).highest_profile == 3
        assert Station.objects.get(pk=station.pk).highest_profile == 3


async def test_a_profile_that_was_not_kept_is_kept_at_the_next_connection(
    plug: Plug, tenant: Tenant, station: Station
) -> None:
    """The gateway ended between the socket and what is kept of its way in: else nothing would ever rise."""
    await rows(tenant, lambda: Station.objects.update(effective_profile=1, highest_profile=0))
    async with plug(station):

        async def kept() -> bool:
            return (await told(tenant, station)).highest_profile == 1

        await eventually(kept)


async def test_a_station_that_forgets_to_ask_for_its_certificate_is_told_again(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    async with plug(station, "2.0.1") as wire:
        change = await start(tenant, station, owner_actor, profile=3, url="wss://gateway.example")
        await wire.answer(await wire.next_call(), {"status": "Accepted"})

        async def taken() -> bool:
            return "asks for a certificate" in (await newest(tenant, station)).detail

        await eventually(taken)

        def later() -> None:
            ProfileChange.objects.filter(pk=change.pk).update(
                stepped_at=timezone.now() - timedelta(minutes=3)
            )
            security_profiles.sweep(tenant_id=tenant.pk)
            security_profiles.sweep(tenant_id=tenant.pk)

        await rows(tenant, later)
        call = await wire.next_call()
        assert call[2:] == ["TriggerMessage", {"requestedMessage": "SignChargingStationCertificate"}]
        assert wire.calls.empty()


# --- the whole way, with a station that has keys of its own


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_station_rises_from_1_to_3(
    gateway: Role,  # noqa: F811
    papers: Papers,  # noqa: F811
    tenant: Tenant,
    station: Station,
    owner_actor: Any,
    version: str,
) -> None:
    url = f"wss://127.0.0.1:{tls_port(gateway)}/ocpp/{tenant.slug}"
    anchor = await rows(
        tenant,
        lambda: trust.add_anchor(
            tenant_id=tenant.pk, actor=owner_actor, use="csms_root", certificate=papers.root.pem
        ),
    )
    await rows(tenant, lambda: authority.ensure(tenant.pk))  # gateways look for new ones every two seconds
    simulated = SimulatedStation(
        url=f"{gateway.ws_url}/ocpp/{tenant.slug}",
        identity=station.identity,
        password=secret(station),
        version=version,
        secure_url=url,
        settings={"CpoName": tenant.name},
        back_off=(0.05, 0.5),
    )
    async with simulated:
        assert (await told(tenant, station)).effective_profile == 1
        await start(tenant, station, owner_actor, profile=2, anchor=anchor, url=url)
        await in_state(tenant, station, "done")
        assert (await told(tenant, station)).effective_profile == 2
        await simulated.until(lambda: simulated.booted)
        await start(tenant, station, owner_actor, profile=3, url=url, slot=3)
        await in_state(tenant, station, "done")
        now = await told(tenant, station)
        assert (now.effective_profile, now.security_profile, now.highest_profile) == (3, 3, 3)
        row = await rows(tenant, lambda: StationCertificate.objects.get(station=station))
        assert row.state == "in_use"
        assert row.pem in simulated.security.chain
        await simulated.drop()
        await simulated.back()
        assert (await told(tenant, station)).effective_profile == 3


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_station_that_finds_no_way_falls_back(
    gateway: Role,  # noqa: F811
    papers: Papers,  # noqa: F811
    tenant: Tenant,
    station: Station,
    owner_actor: Any,
    version: str,
) -> None:
    """The new address leads nowhere: it comes back by the old one, and the page says so when time is up."""
    url = f"wss://127.0.0.1:9/ocpp/{tenant.slug}"
    simulated = SimulatedStation(
        url=f"{gateway.ws_url}/ocpp/{tenant.slug}",
        identity=station.identity,
        password=secret(station),
        version=version,
        secure_url=url,
        trust=papers.root.pem,
        back_off=(0.02, 0.1),
    )
    async with simulated:
        before = (await told(tenant, station)).epoch
        await start(tenant, station, owner_actor, profile=2, url=url)

        async def returned() -> bool:
            now = await told(tenant, station)
            return now.epoch > before and now.online and (await newest(tenant, station)).state == "return"

        await eventually(returned, 60)

        late = timezone.now() - timedelta(seconds=1)
        await rows(tenant, lambda: ProfileChange.objects.update(deadline=late))
        # One that is held in this moment, by a gateway that hears of it, waits for the next sweep.
        await eventually(lambda: rows(tenant, lambda: security_profiles.sweep(tenant_id=tenant.pk)))
        change = await newest(tenant, station)
        assert change.state == "failed" and "only by profile 1" in change.detail


# --- passwords


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_new_password_replaces_the_old_one_once_it_was_used(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    fresh = "a-brand-new-password"
    action, payload = PASSWORD_SETTING[version]
    async with plug(station, version) as wire:
        await rows(tenant, lambda: passwords.rotate(station=station, actor=owner_actor, password=fresh))
        call = await wire.next_call()
        assert call[2:] == [action, payload(fresh)]
        await wire.answer(call, verdict(version, "Accepted"))

        async def taken() -> bool:
            return (
                await rows(tenant, lambda: PasswordChange.objects.get(station=station))
            ).state == "accepted"

        await eventually(taken)
    async with plug(station, version):  # the old one still opens
        pass
    async with plug(station, version, password=fresh):

        async def used() -> bool:
            return (await rows(tenant, lambda: PasswordChange.objects.get(station=station))).state == "used"

        await eventually(used)
    with pytest.raises(websockets.InvalidStatus):
        async with plug(station, version):
            pass


async def test_16_gets_it_as_hexadecimal_if_it_wants_it_so(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    fresh = "a-brand-new-password"
    async with plug(station) as wire:
        await rows(tenant, lambda: passwords.rotate(station=station, actor=owner_actor, password=fresh))
        await wire.answer(await wire.next_call(), {"status": "Rejected"})
        call = await wire.next_call()
        assert call[3] == {"key": "AuthorizationKey", "value": fresh.encode().hex()}
        await wire.answer(call, {"status": "Accepted"})
    async with plug(station, password=fresh):
        pass


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_refused_password_leaves_the_old_one(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    fresh = "a-brand-new-password"
    async with plug(station, version) as wire:
        await rows(tenant, lambda: passwords.rotate(station=station, actor=owner_actor, password=fresh))
        for _try in range(2 if version == "1.6" else 1):
            await wire.answer(await wire.next_call(), verdict(version, "Rejected"))

        async def failed() -> bool:
            return (await rows(tenant, lambda: PasswordChange.objects.get(station=station))).state == "failed"

        await eventually(failed)
    with pytest.raises(websockets.InvalidStatus):
        async with plug(station, version, password=fresh):
            pass
    async with plug(station, version):
        pass


@pytest.mark.parametrize(
    ("profile", "used_next", "state"),
    [(1, False, "failed"), (1, True, "used"), (0, False, "sent"), (3, False, "sent")],
)
def test_only_who_comes_by_the_old_password_did_not_take_the_new_one(
    tenant: Tenant, station: Station, owner_actor: Any, profile: int, used_next: bool, state: str
) -> None:
    """The sweep comes as soon as the socket is known, before anything else is kept of it."""
    with tenant_scope(tenant.pk):
        change, coming = unanswered(station, owner_actor)
        request = connections.OpenRequest(
            station.pk, "g", "1.6", "", timezone.now(), profile, used_next=used_next
        )
        connections.open_many(tenant_id=tenant.pk, requests=[request])
        passwords.settle(tenant_id=tenant.pk)
        change.refresh_from_db()
        now = Station.objects.get(pk=station.pk)
    assert change.state == state
    assert (coming in (now.password_hash, now.next_password_hash)) == (state != "failed")
    assert now.password_hash == coming or not used_next


def test_a_password_that_was_never_answered_opens_on(
    tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    """The station may have it. Another change can be made."""
    with tenant_scope(tenant.pk):
        change, coming = unanswered(station, owner_actor)
        PasswordChange.objects.update(created_at=timezone.now() - timedelta(days=8))
        assert passwords.settle(tenant_id=tenant.pk) == 1
        change.refresh_from_db()
        assert (change.state, change.secret) == ("failed", "")
        assert Station.objects.get(pk=station.pk).next_password_hash == coming
        passwords.rotate(station=station, actor=owner_actor)


def unanswered(station: Station, actor: Any) -> tuple[PasswordChange, str]:
    """A change of the password that the station did not answer, and what it would come by."""
    change = passwords.rotate(station=station, actor=actor)
    Command.objects.filter(pk=change.command_id or 0).update(state="sent", sent_at=timezone.now())
    commands.settle(tenant_id=station.tenant_id, command_id=change.command_id or 0, state="timed_out")
    return change, Station.objects.get(pk=station.pk).next_password_hash

"""A station is taken to a higher security profile, and told a new password: what it is asked, and what follows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import websockets
from django.utils import timezone

from simulator import SimulatedStation
from stations.models import PasswordChange, ProfileChange, Station, StationCertificate
from stations.services import authority, passwords, security_profiles, trust
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

        def late() -> None:
            ProfileChange.objects.update(deadline=timezone.now() - timedelta(seconds=1))
            security_profiles.sweep(tenant_id=tenant.pk)

        await rows(tenant, late)
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

        def late() -> None:
            ProfileChange.objects.update(deadline=timezone.now() - timedelta(seconds=1))
            security_profiles.sweep(tenant_id=tenant.pk)

        await rows(tenant, late)
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

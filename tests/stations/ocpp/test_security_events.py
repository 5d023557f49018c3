"""Security events: told on the wire, graded, shown to people and machines, noted. And roots for many stations."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from portal.attention import needs
from stations.models import Rollout, SecurityEvent, Station, StationEvent
from stations.services import authority, expiry, rollouts, security_events, trust
from tenants.context import tenant_scope
from tenants.errors import Conflict
from tenants.models import AuditRecord, Fact, Tenant
from tests.people import ApiClient
from tests.portal.conftest import Visitor, visitor  # noqa: F401
from tests.stations import pki
from tests.stations.ocpp.charger import VERSIONS
from tests.stations.ocpp.conftest import Plug, applied, eventually, rows

NOW = "2026-11-23T03:00:00Z"


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_grave_event_surfaces_until_somebody_takes_note(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    async with plug(station, version) as wire:
        told = {"type": "TamperDetectionActivated", "timestamp": NOW, "techInfo": "Door contact 1"}
        assert await wire.ok("SecurityEventNotification", told) == {}
        await wire.ok("SecurityEventNotification", {"type": "ResetOrReboot", "timestamp": NOW})
        await wire.ok("SecurityEventNotification", {"type": "VendorSpecific", "timestamp": NOW})
        await applied(tenant)

    def seen() -> Any:
        found = SecurityEvent.objects.filter(station=station).order_by("id")
        return [(one.type, one.severity, one.critical, one.tech_info) for one in found]

    assert await rows(tenant, seen) == [
        ("TamperDetectionActivated", "error", True, "Door contact 1"),
        ("ResetOrReboot", "info", True, ""),
        ("VendorSpecific", "warning", False, ""),
    ]

    def titles() -> list[str]:
        return [need.title for need in needs(tenant, owner_actor)]

    assert "1 grave security event" in await rows(tenant, titles)
    assert await rows(tenant, lambda: Fact.objects.filter(kind="security.event").count()) == 1
    assert (
        await rows(tenant, lambda: StationEvent.objects.filter(station=station, kind="security").count()) == 3
    )

    def note() -> None:
        event = SecurityEvent.objects.select_related("station").get(severity="error")
        security_events.acknowledge(event=event, actor=owner_actor)
        with pytest.raises(Conflict):
            security_events.acknowledge(event=event, actor=owner_actor)

    await rows(tenant, note)
    assert "1 grave security event" not in await rows(tenant, titles)
    assert await rows(tenant, lambda: AuditRecord.objects.filter(action="security.acknowledge").count()) == 1


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("InvalidCentralSystemCertificate", "InvalidCsmsCertificate"),
        ("InvalidChargePointCertificate", "InvalidChargingStationCertificate"),
    ],
)
async def test_the_whitepapers_names_are_those_of_2x(
    plug: Plug, tenant: Tenant, station: Station, told: str, kept: str
) -> None:
    async with plug(station) as wire:
        await wire.ok("SecurityEventNotification", {"type": told, "timestamp": NOW})
        await applied(tenant)
    assert await rows(tenant, lambda: SecurityEvent.objects.get(station=station).type) == kept


async def test_a_flood_of_events_is_kept_within_bounds(
    tenant: Tenant, station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stations.neutral import SecurityReport

    monkeypatch.setattr(security_events, "MOST_A_DAY", 10)
    report = SecurityReport(station.pk, "MemoryExhaustion", "x\0" * 400, "nonsense", timezone.now())
    for _batch in range(3):
        await rows(tenant, lambda: security_events.record(tenant_id=tenant.pk, reports=[report] * 7))
    assert await rows(tenant, lambda: SecurityEvent.objects.filter(station=station).count()) == 10


def test_people_and_machines_see_and_note_them(
    visitor: Callable[..., Visitor],  # noqa: F811
    api_client: Callable[..., ApiClient],
    tenant: Tenant,
    station: Station,
) -> None:
    with tenant_scope(tenant.pk):
        event = SecurityEvent.objects.create(
            tenant=tenant, station=station, type="SecurityLogWasCleared", severity="error",
            occurred_at=timezone.now(), received_at=timezone.now(),
        )  # fmt: skip
    owner = visitor()
    assert "Security log cleared" in owner.text("security/events/", severity="error", open="1")
    assert "Security log cleared" not in owner.text("security/events/", severity="info")
    assert "SecurityLogWasCleared" in owner.text("security/events/", format="csv")
    assert "Security log cleared" in owner.text("security/")
    api = api_client()
    assert [one["type"] for one in api.read("/security/events", acknowledged="false")["results"]] == [
        "SecurityLogWasCleared"
    ]
    noted = api.write("POST", f"/security/events/{event.pk}/note")
    assert noted["acknowledged_by"] == "Warehouse system"
    assert api.read("/security/events", acknowledged="false")["results"] == []


# --- roots for many stations


async def test_a_root_reaches_the_stations_that_are_online_and_the_others_later(
    plug: Plug, tenant: Tenant, station: Station, other: Station, owner_actor: Any
) -> None:
    root = pki.Authority("Roll me out")

    def begin() -> Rollout:
        anchor = trust.add_anchor(
            tenant_id=tenant.pk, actor=owner_actor, use="csms_root", certificate=root.pem
        )
        return rollouts.start(anchor=anchor, actor=owner_actor, stations=list(Station.objects.order_by("pk")))

    async with plug(station, "2.0.1") as wire:
        rollout = await rows(tenant, begin)
        call = await wire.next_call()
        assert call[2] == "InstallCertificate"
        await wire.answer(call, {"status": "Accepted"})

        async def counts() -> dict[str, int]:
            return await rows(tenant, lambda: rollouts.counts(rollout))

        async def one_done() -> bool:
            return await counts() == {"waiting": 1, "sent": 0, "done": 1, "failed": 0}

        await eventually(one_done)
    async with plug(other, "1.6") as wire:
        await rows(tenant, lambda: rollouts.sweep(tenant_id=tenant.pk))
        await wire.answer(await wire.next_call(), {"status": "Failed"})

        async def ended() -> bool:
            state = await rows(tenant, lambda: Rollout.objects.get(pk=rollout.pk).state)
            return state == "done" and (await counts())["failed"] == 1

        await eventually(ended)
    # Taken away again: the one that holds it deletes it, the other has nothing to do.
    async with plug(station, "2.0.1") as wire:
        again = await rows(
            tenant,
            lambda: rollouts.start(
                anchor=rollout.anchor, actor=owner_actor, stations=list(Station.objects.all()), remove=True
            ),
        )
        call = await wire.next_call()
        assert call[2:] == ["DeleteCertificate", {"certificateHashData": root.hash_data()}]
        await wire.answer(call, {"status": "Accepted"})

        async def gone() -> bool:
            return (await rows(tenant, lambda: rollouts.counts(again)))["done"] == 1

        await eventually(gone)
    await rows(tenant, lambda: rollouts.cancel(rollout=again, actor=owner_actor))


@pytest.fixture
def other(make_station: Callable[..., Station]) -> Station:
    return make_station()


def test_what_expires_is_told_soonest_first(tenant: Tenant, owner_actor: Any) -> None:
    with tenant_scope(tenant.pk):
        for days in (60, 5, 200):
            trust.add_anchor(
                tenant_id=tenant.pk, actor=owner_actor, use="manufacturer_root",
                certificate=pki.Authority(f"Root of {days}", days=days).pem,
            )  # fmt: skip
        authority.ensure(tenant.pk)
        found = expiry.expiring(tenant_id=tenant.pk, site_ids=None)
    found = [one for one in found if one.kind != "gateway"]  # which gateways run is not this test's to say
    assert [(one.kind, one.name, one.state) for one in found] == [
        ("root", "Root of 5", "warning"),
        ("root", "Root of 60", "info"),
    ]
    assert timedelta(days=4) < found[0].not_after - timezone.now() < timedelta(days=5)

"""A station that breaks is healed over the wire: the fault told, the steps sent, the end recorded. In every version."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from stations.models import Issue, IssueEvent, IssueRule, Station, StatusEntry
from stations.services import issue_rules, watch
from tenants.models import Tenant
from tenants.permissions import system
from tests.stations.ocpp.charger import BOOT, VERSIONS, Charger
from tests.stations.ocpp.conftest import Plug, applied, rows
from tests.stations.telling import wire as stamp


async def tell(charger: Charger, version: str, status: str) -> None:
    now = timezone.now()
    if version == "1.6":
        error = "GroundFailure" if status == "Faulted" else "NoError"
        told: dict[str, Any] = {
            "connectorId": 1,
            "errorCode": error,
            "status": status,
            "timestamp": stamp(now),
        }
    else:
        told = {"evseId": 1, "connectorId": 1, "connectorStatus": status, "timestamp": stamp(now)}
    await charger.ok("StatusNotification", told)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_fault_is_healed_by_a_reset(
    plug: Plug, tenant: Tenant, station: Station, version: str
) -> None:
    steps = [{"kind": "trigger", "wait_minutes": 1}, {"kind": "soft_reset", "wait_minutes": 1}]

    def arrange() -> None:
        issue_rules.policy(tenant_id=tenant.pk)
        rule = IssueRule.objects.get(signal="faulted")
        issue_rules.update_rule(rule=rule, actor=system("tests"), steps=steps, threshold=0, grace_minutes=0)

    async def look(minutes: float) -> None:
        at = timezone.now() + timedelta(minutes=minutes)
        await rows(tenant, lambda: watch.sweep(tenant_id=tenant.pk, now=at))

    await rows(tenant, arrange)
    async with plug(station, version) as charger:
        await charger.ok("BootNotification", BOOT[version])
        await tell(charger, version, "Faulted")
        await applied(tenant)
        await look(0.1)
        call = await charger.next_call()
        place = {"connectorId": 1} if version == "1.6" else {"evse": {"id": 1, "connectorId": 1}}
        assert call[2:] == ["TriggerMessage", {"requestedMessage": "StatusNotification", **place}]
        await charger.answer(call, {"status": "Accepted"})
        await tell(charger, version, "Faulted")
        await applied(tenant)
        await settled(tenant)
        await look(2)
        call = await charger.next_call()
        assert call[2:] == ["Reset", {"type": "Soft" if version == "1.6" else "OnIdle"}]
        await charger.answer(call, {"status": "Accepted"})
        await settled(tenant)
        await tell(charger, version, "Available")
        await applied(tenant)
        await look(3)
        await look(5)

    issue = await rows(tenant, lambda: Issue.objects.get(station=station, signal="faulted"))
    assert (issue.state, issue.resolution, issue.helped_by) == ("resolved", "recovered", "soft_reset")
    kinds = await rows(
        tenant, lambda: list(IssueEvent.objects.filter(issue=issue).values_list("kind", flat=True))
    )
    assert kinds == ["opened", "step", "step_result", "step", "step_result", "resolved"]
    told = StatusEntry.objects.filter(station=station).order_by("at", "id")
    assert (await rows(tenant, lambda: list(told.values_list("status", flat=True))))[-1] == "available"


async def settled(tenant: Tenant) -> None:
    """Once no command is under way."""
    import asyncio

    from stations.models import Command

    for _try in range(150):
        if not await rows(tenant, lambda: Command.objects.filter(state__in=["queued", "sent"]).exists()):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("a command is still under way")

"""What stations tell of their updates, and the sweep that gives orders, never wait for each other in a circle."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.utils import timezone

from stations.models import OPEN_UPDATES, FileTicket, Station
from stations.neutral import FirmwareNotice
from stations.services.files import campaigns, tickets, updates
from tenants.context import tenant_scope
from tests.stations.files.test_campaigns import Rollout, rollout, six  # noqa: F401
from tests.stations.test_locks import in_thread


def test_notices_in_any_order_pass_the_sweep(rollout: Rollout, six: list[Station]) -> None:  # noqa: F811
    rollout.start(canary=6)
    rollout.look()
    tenant_id = rollout.tenant.pk
    errors: list[BaseException] = []
    holding, telling = threading.Event(), threading.Event()

    def tell() -> None:
        told = [
            FirmwareNotice(station.pk, timezone.now(), "downloaded", "Downloaded")
            for station in reversed(six)  # the newest update is heard of first
        ]
        holding.wait(5)
        with tenant_scope(tenant_id):
            telling.set()
            updates.record_notices(tenant_id=tenant_id, reports=told)

    def sweep() -> None:
        with tenant_scope(tenant_id):
            waiting = updates.locked(tenant_id).filter(state__in=OPEN_UPDATES).order_by("id")
            waiting.first()
            holding.set()
            telling.wait(5)
            time.sleep(0.2)  # the notices have come to their locks
            list(waiting)

    for thread in [in_thread(tell, errors), in_thread(sweep, errors)]:
        thread.join()
    assert errors == []
    assert set(rollout.states().values()) == {"downloaded"}


@pytest.mark.parametrize("verb", [campaigns.pause, campaigns.cancel])
def test_what_a_person_decides_waits_for_the_look_that_goes_on(
    rollout: Rollout,  # noqa: F811
    six: list[Station],  # noqa: F811
    verb: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No circle, and no order is given after the person was told that it is so."""
    rollout.start(canary=6)
    errors: list[BaseException] = []
    looking, decided = threading.Event(), threading.Event()
    busy = updates.busy_stations

    def slow(tenant_id: int, station_ids: Sequence[int]) -> set[int]:
        looking.set()  # all updates are held, the campaigns are not
        decided.wait(0.5)
        return busy(tenant_id, station_ids)

    def decide() -> None:
        looking.wait(5)
        rollout.do(verb)
        decided.set()

    monkeypatch.setattr(updates, "busy_stations", slow)
    for thread in [in_thread(rollout.look, errors), in_thread(decide, errors)]:  # type: ignore[arg-type]
        thread.join()
    assert errors == []
    assert set(rollout.states().values()) == {"sent"}
    assert rollout.campaign.state in ("paused", "cancelled")


@pytest.mark.parametrize("begins", [True, False])
def test_a_download_passes_an_order(rollout: Rollout, six: list[Station], begins: bool) -> None:  # noqa: F811
    rollout.start(canary=6)
    rollout.look()
    tenant_id = rollout.tenant.pk
    with tenant_scope(tenant_id):
        ticket = FileTicket.objects.filter(update__isnull=False)[0]
        download = updates.begin_download(tenant_id=tenant_id, ticket_id=ticket.pk, address="")
    errors: list[BaseException] = []
    holding = threading.Event()

    def fetch() -> None:
        holding.wait(5)
        with tenant_scope(tenant_id):
            if begins:
                updates.begin_download(tenant_id=tenant_id, ticket_id=ticket.pk, address="")
            else:
                updates.progress(download=download, reached=1, moved=1)

    def order() -> None:
        with tenant_scope(tenant_id):
            updates.locked(tenant_id).get(pk=ticket.update_id or 0)
            holding.set()
            time.sleep(0.3)  # the door has come to its locks
            tickets.expire(tenant_id=tenant_id, minutes=5, update_id=ticket.update_id or 0)

    for thread in [in_thread(fetch, errors), in_thread(order, errors)]:
        thread.join()
    assert errors == []

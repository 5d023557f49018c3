"""What stations tell of their updates, and the sweep that gives orders, never wait for each other in a circle."""

from __future__ import annotations

import threading
import time

from django.utils import timezone

from stations.models import OPEN_UPDATES, Station
from stations.neutral import FirmwareNotice
from stations.services.files import updates
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

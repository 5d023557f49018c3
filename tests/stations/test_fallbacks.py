"""Words that a station shows without a connection: kept as its settings, within its bounds, sent when they change."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from stations.models import Command, Station
from stations.neutral import VariableReport
from stations.services import fallbacks
from stations.services.devices import record_variables
from tenants.context import tenant_scope
from tenants.errors import Forbidden, Invalid
from tenants.models import Tenant


def told(tenant: Tenant, station: Station, **values: str) -> None:
    reports = [
        VariableReport(name, value, component="TariffCostCtrlr", max_limit=20)
        for name, value in values.items()
    ]
    record_variables(
        tenant_id=tenant.pk, station_id=station.pk, reports=reports, source="report", at=datetime.now(UTC)
    )


def test_only_what_changes_is_sent(tenant: Tenant, station: Station, owner_actor: Any) -> None:
    with tenant_scope(tenant.pk):
        assert fallbacks.of_station(station) == fallbacks.Fallbacks()
        told(tenant, station, TariffFallbackMessage="Ask us", TotalCostFallbackMessage="")
        assert fallbacks.of_station(station) == fallbacks.Fallbacks("Ask us", "", 20)
        with pytest.raises(Invalid, match="already"):
            fallbacks.set_words(station=station, actor=owner_actor, price=" Ask us ", total="")
        with pytest.raises(Invalid) as long:
            fallbacks.set_words(station=station, actor=owner_actor, price="Ask us", total="x" * 21)
        assert set(long.value.fields) == {"total"}
        fallbacks.set_words(station=station, actor=owner_actor, price="Ask us", total="See the app")
        (command,) = Command.objects.filter(station=station)
    (setting,) = command.arguments.get("settings", [command.arguments])
    assert (setting["name"], setting["value"]) == ("TotalCostFallbackMessage", "See the app")


def test_a_station_without_such_words_is_asked_for_nothing(
    tenant: Tenant, station: Station, owner_actor: Any, make_actor: Any
) -> None:
    with tenant_scope(tenant.pk):
        with pytest.raises(Invalid):
            fallbacks.set_words(station=station, actor=owner_actor, price="Ask us", total="")
        told(tenant, station, TariffFallbackMessage="")
        with pytest.raises(Forbidden):
            fallbacks.set_words(station=station, actor=make_actor("auditor"), price="Ask us", total="")

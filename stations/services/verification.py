"""Whether what was asked of a station's settings holds: its changes are compared with what it tells later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.utils import timezone

from stations import catalogue, live
from stations.models import (
    DesiredSetting,
    DriftState,
    Station,
    StationDrift,
    Variable,
    VariableChange,
    VariableChangeState,
)
from stations.services import words

Key = tuple[Any, ...]


def told(*, tenant_id: int, station_id: int, values: Mapping[Key, str | None], at: datetime) -> set[Key]:
    """Settle the changes that wait for these values. Returns the keys whose new value was asked for from here."""
    waiting = VariableChange.objects.select_for_update(no_key=True).filter(
        tenant_id=tenant_id,
        station_id=station_id,
        state__in=(VariableChangeState.TAKEN, VariableChangeState.RESET),
    )
    found = [change for change in waiting.order_by("id") if change.key in values]
    explained = set()
    booted_at = None
    if any(change.state == VariableChangeState.RESET for change in found):
        booted_at = Station.objects.values_list("booted_at", flat=True).get(
            tenant_id=tenant_id, pk=station_id
        )
    for change in found:
        value = values[change.key]
        same = value is not None and catalogue.same(change.name, value, change.after)
        explained.add(change.key)
        if change.settled_at is not None and at < change.settled_at:
            continue  # read before the change
        if change.state == VariableChangeState.RESET and (
            booted_at is None or booted_at < (change.settled_at or at)
        ):
            continue  # it has not restarted since
        if value is None:
            _settle(change, VariableChangeState.DONE, "The station does not tell this value.", at)
        elif same:
            _settle(change, VariableChangeState.DONE, change.reason, at)
        else:
            _settle(change, VariableChangeState.DIFFERS, (words.TELLS_OTHER % {"value": value})[:200], at)
    touch(tenant_id=tenant_id, station_ids=[station_id], only_known=True)
    return explained


def _settle(change: VariableChange, state: str, reason: str, at: datetime) -> None:
    change.state, change.reason, change.settled_at = state, reason, at
    change.save(update_fields=["state", "reason", "settled_at"])
    Variable.objects.filter(
        tenant_id=change.tenant_id, station_id=change.station_id, **named(change.key), reboot_required=True
    ).update(reboot_required=False)
    tell(change.tenant_id, change.station_id)


def named(key: Key) -> dict[str, Any]:
    component, component_instance, evse, connector, name, instance, attribute = key
    return {
        "component": component, "component_instance": component_instance, "evse_number": evse,
        "connector_number": connector, "name": name, "instance": instance, "attribute": attribute,
    }  # fmt: skip


def absent(*, tenant_id: int, station_id: int, keys: Sequence[Key]) -> None:
    """The station has no such variables: what templates want of them cannot be had."""
    wanted = DesiredSetting.objects.filter(tenant_id=tenant_id, station_id=station_id)
    listed = [row.pk for row in wanted if row.key in set(keys)]
    if listed:
        DesiredSetting.objects.filter(tenant_id=tenant_id, pk__in=listed).update(
            state=DriftState.ABSENT, actual=None, reason=""
        )
        touch(tenant_id=tenant_id, station_ids=[station_id])
    Variable.objects.filter(
        tenant_id=tenant_id, station_id=station_id, name__in=[key[4] for key in keys], gone_at=None
    ).filter(pk__in=_ids(tenant_id, station_id, keys)).update(gone_at=timezone.now())


def _ids(tenant_id: int, station_id: int, keys: Sequence[Key]) -> list[int]:
    wanted = set(keys)
    found = Variable.objects.filter(
        tenant_id=tenant_id, station_id=station_id, name__in={key[4] for key in keys}
    )
    return [variable.pk for variable in found if variable.key in wanted]


def touch(*, tenant_id: int, station_ids: Sequence[int], only_known: bool = False) -> None:
    """Look anew at how these stations stand against the templates."""
    now = timezone.now()
    known = StationDrift.objects.filter(tenant_id=tenant_id, station_id__in=station_ids)
    known.update(due_at=now)
    if only_known:
        return
    missing = set(station_ids) - set(known.values_list("station_id", flat=True))
    StationDrift.objects.bulk_create(
        [
            StationDrift(tenant_id=tenant_id, station_id=number, due_at=now, state=DriftState.UNKNOWN)
            for number in sorted(missing)
        ],
        ignore_conflicts=True,
    )


def tell(tenant_id: int, station_id: int) -> None:
    """Open pages of the station look again."""
    site_id = Station.objects.values_list("site_id", flat=True).get(tenant_id=tenant_id, pk=station_id)
    live.publish(
        tenant_id, kind="station", station_id=station_id, site_id=site_id, data={"configuration": True}
    )

"""The device model: 1.6 configuration keys and 2.x variables, as a station last told them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from stations.models import Variable, VariableChange, VariableChangeState
from stations.models.variable import KEY
from stations.neutral import VariableReport, VariablesTold
from stations.services import verification
from stations.services.commands import is_secret
from tenants import rows

# A station reports hundreds of variables, a hostile one millions: what is beyond is left out.
MOST_VARIABLES = 5_000
MASK = "***"  # stands for a secret: stations tell passwords in clear, and nobody is to read them here
LONGEST_VALUE = 10_000  # 2.x: 2,500 characters; 1.6: 500
MOST_NOTICED = 200  # changes of one message that are kept as history

# What tells another value than before comes back, with the value before.
_WRITE = """
WITH told AS (
INSERT INTO stations_variable (tenant_id, station_id, component, component_instance, evse_number, connector_number,
    name, instance, attribute, value, mutability, data_type, unit, values_list, min_limit, max_limit, max_elements,
    supports_monitoring, persistent, constant, reboot_required, read_at, source)
SELECT %(tenant)s, %(station)s, w.component, w.component_instance, w.evse, w.connector, w.name, w.instance, w.attribute,
    w.value, w.mutability, w.data_type, w.unit, w.values_list, w.min_limit, w.max_limit, w.max_elements, w.monitoring,
    w.persistent, w.constant, false, %(at)s, %(source)s
FROM json_to_recordset(%(rows)s::json) AS w(component text, component_instance text, evse int, connector int, name text,
    instance text, attribute text, value text, mutability text, data_type text, unit text, values_list text,
    min_limit float8, max_limit float8, max_elements int, monitoring boolean, persistent boolean, constant boolean)
ON CONFLICT (tenant_id, station_id, component, component_instance, evse_number, connector_number, name, instance,
             attribute)
DO UPDATE SET value = excluded.value, read_at = excluded.read_at, source = excluded.source, gone_at = NULL,
    changed_at = CASE WHEN stations_variable.value IS DISTINCT FROM excluded.value THEN excluded.read_at
                      ELSE stations_variable.changed_at END,
    mutability = coalesce(nullif(excluded.mutability, ''), stations_variable.mutability),
    data_type = coalesce(nullif(excluded.data_type, ''), stations_variable.data_type),
    unit = coalesce(nullif(excluded.unit, ''), stations_variable.unit),
    values_list = coalesce(nullif(excluded.values_list, ''), stations_variable.values_list),
    min_limit = coalesce(excluded.min_limit, stations_variable.min_limit),
    max_limit = coalesce(excluded.max_limit, stations_variable.max_limit),
    max_elements = coalesce(excluded.max_elements, stations_variable.max_elements),
    supports_monitoring = coalesce(excluded.supports_monitoring, stations_variable.supports_monitoring),
    persistent = coalesce(excluded.persistent, stations_variable.persistent),
    constant = coalesce(excluded.constant, stations_variable.constant)
WHERE stations_variable.read_at <= excluded.read_at
RETURNING old.id AS was_id, old.value AS was, new.*
)
SELECT component, component_instance, evse_number, connector_number, name, instance, attribute, was, value
FROM told WHERE was_id IS NOT NULL AND was IS DISTINCT FROM value AND mutability <> 'read_only' LIMIT 200
"""


def record(*, tenant_id: int, reports: Sequence[VariablesTold]) -> None:
    """Keep what stations told of their device models, message by message."""
    for told in reports:
        record_variables(
            tenant_id=tenant_id, station_id=told.station_id, reports=told.variables, source=told.source,
            at=told.received_at,
        )  # fmt: skip
        if told.whole and told.variables:
            mark_gone(tenant_id=tenant_id, station_id=told.station_id, before=told.received_at)
        if told.absent:
            verification.absent(
                tenant_id=tenant_id,
                station_id=told.station_id,
                keys=[key_of(one) for one in told.absent[:500]],
            )


def record_variables(
    *,
    tenant_id: int,
    station_id: int,
    reports: Sequence[VariableReport],
    source: str,
    at: datetime,
    history: bool = True,
) -> None:
    """Keep what was told; the last word of a batch counts, older news does not overwrite newer.

    `source`: read_configuration | report | event | set. What a later report leaves out (type, unit, limits) stays as it
    was told before. A value that nobody asked for becomes history; one that was asked for, its verification.
    """
    latest = {key_of(report): report for report in reports[:MOST_VARIABLES]}
    listed = [_row(report) for _key, report in sorted(latest.items())]
    if not listed:
        return
    changed = rows.run(_WRITE, tenant_id, listed, station=station_id, source=source[:24], at=at)
    if not history:
        return
    values = {key: shown(report) for key, report in latest.items()}
    explained = verification.told(tenant_id=tenant_id, station_id=station_id, values=values, at=at)
    noticed = [
        VariableChange(
            tenant_id=tenant_id, station_id=station_id, **dict(zip(KEY, row[:7], strict=True)), before=row[7],
            after=row[8], state=VariableChangeState.TOLD, origin_kind="station", origin_label="", asked_at=at,
            settled_at=at,
        )
        for row in changed if tuple(row[:7]) not in explained
    ]  # fmt: skip
    VariableChange.objects.bulk_create(noticed[:MOST_NOTICED])


def mark_gone(*, tenant_id: int, station_id: int, before: datetime) -> None:
    """A report of everything did not name these: the station has them no more (another firmware, for one)."""
    Variable.objects.filter(
        tenant_id=tenant_id, station_id=station_id, read_at__lt=before, gone_at=None
    ).update(gone_at=before)


def key_of(report: VariableReport) -> tuple[Any, ...]:
    """The natural key, as models.Variable holds it."""
    return (
        report.component[:80], report.component_instance[:80], _small(report.evse), _small(report.connector),
        report.name[:80], report.instance[:80], report.attribute[:8],
    )  # fmt: skip


def _row(report: VariableReport) -> dict[str, Any]:
    component, component_instance, evse, connector, name, instance, attribute = key_of(report)
    return {
        "component": component, "component_instance": component_instance, "evse": evse, "connector": connector,
        "name": name, "instance": instance, "attribute": attribute,
        "value": shown(report),
        "mutability": report.mutability[:12], "data_type": report.data_type[:16], "unit": report.unit[:16],
        "values_list": report.values_list, "min_limit": report.min_limit, "max_limit": report.max_limit,
        "max_elements": _integer(report.max_elements), "monitoring": report.supports_monitoring,
        "persistent": report.persistent, "constant": report.constant,
    }  # fmt: skip


def shown(report: VariableReport) -> str | None:
    """The value, or the mask where the name looks like a secret's. That none was told stays visible."""
    if report.value and is_secret(report.name):
        return MASK
    return None if report.value is None else report.value.replace("\0", "")[:LONGEST_VALUE]


def _small(number: int) -> int:
    return number if 0 <= number <= 32_767 else 0


def _integer(number: int | None) -> int | None:
    return number if number is not None and abs(number) < 2**31 else None

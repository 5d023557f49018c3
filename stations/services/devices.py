"""The device model: 1.6 configuration keys and 2.x variables, as a station last told them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from stations.neutral import VariableReport, VariablesTold
from stations.services.commands import is_secret
from tenants import rows

# A station reports hundreds of variables, a hostile one millions: what is beyond is left out.
MOST_VARIABLES = 5_000
MASK = "***"  # stands for a secret: stations tell passwords in clear, and nobody is to read them here
_LONGEST_VALUE = 10_000  # 2.x: 2,500 characters; 1.6: 500

_WRITE = """
INSERT INTO stations_variable (tenant_id, station_id, component, component_instance, evse_number, connector_number,
    name, instance, attribute, value, mutability, data_type, unit, values_list, min_limit, max_limit, reboot_required,
    read_at, source)
SELECT %(tenant)s, %(station)s, w.component, w.component_instance, w.evse, w.connector, w.name, w.instance, w.attribute,
    w.value, w.mutability, w.data_type, w.unit, w.values_list, w.min_limit, w.max_limit, false, %(at)s, %(source)s
FROM json_to_recordset(%(rows)s::json) AS w(component text, component_instance text, evse int, connector int, name text,
    instance text, attribute text, value text, mutability text, data_type text, unit text, values_list text,
    min_limit float8, max_limit float8)
ON CONFLICT (tenant_id, station_id, component, component_instance, evse_number, connector_number, name, instance,
             attribute)
DO UPDATE SET value = excluded.value, mutability = excluded.mutability, read_at = excluded.read_at,
    source = excluded.source,
    data_type = coalesce(nullif(excluded.data_type, ''), stations_variable.data_type),
    unit = coalesce(nullif(excluded.unit, ''), stations_variable.unit),
    values_list = coalesce(nullif(excluded.values_list, ''), stations_variable.values_list),
    min_limit = coalesce(excluded.min_limit, stations_variable.min_limit),
    max_limit = coalesce(excluded.max_limit, stations_variable.max_limit)
WHERE stations_variable.read_at <= excluded.read_at
"""


def record(*, tenant_id: int, reports: Sequence[VariablesTold]) -> None:
    """Keep what stations told of their device models, message by message."""
    for told in reports:
        record_variables(
            tenant_id=tenant_id, station_id=told.station_id, reports=told.variables, source=told.source,
            at=told.received_at,
        )  # fmt: skip


def record_variables(
    *, tenant_id: int, station_id: int, reports: Sequence[VariableReport], source: str, at: datetime
) -> None:
    """Keep what was told; the last word of a batch counts, older news does not overwrite newer.

    `source`: get_configuration | get_variables | report | set. What a later report leaves out (type, unit, limits)
    stays as it was told before.
    """
    latest = {_key(report): report for report in reports[:MOST_VARIABLES]}
    listed = [_row(report) for _key_, report in sorted(latest.items())]
    if listed:
        rows.run(_WRITE, tenant_id, listed, station=station_id, source=source[:24], at=at)


def _key(report: VariableReport) -> tuple[Any, ...]:
    return (
        report.component[:80], report.component_instance[:80], _small(report.evse), _small(report.connector),
        report.name[:80], report.instance[:80], report.attribute[:8],
    )  # fmt: skip


def _row(report: VariableReport) -> dict[str, Any]:
    component, component_instance, evse, connector, name, instance, attribute = _key(report)
    return {
        "component": component, "component_instance": component_instance, "evse": evse, "connector": connector,
        "name": name, "instance": instance, "attribute": attribute,
        "value": _shown(report),
        "mutability": report.mutability[:12], "data_type": report.data_type[:16], "unit": report.unit[:16],
        "values_list": report.values_list, "min_limit": report.min_limit, "max_limit": report.max_limit,
    }  # fmt: skip


def _shown(report: VariableReport) -> str | None:
    """The value, or the mask where the name looks like a secret's. That none was told stays visible."""
    if report.value and is_secret(report.name):
        return MASK
    return None if report.value is None else report.value[:_LONGEST_VALUE]


def _small(number: int) -> int:
    return number if 0 <= number <= 32_767 else 0

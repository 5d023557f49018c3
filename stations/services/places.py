"""Where something happens: the EVSE and connector of a station, made when a station names one for the first time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tenants import rows
from tenants.rows import Ask

Wanted = tuple[int, int, int]  # station id, EVSE number, connector number (0: any)
HIGHEST_NUMBER = 999  # no station has more EVSEs; a larger number is a fault of the station's


@dataclass(frozen=True, slots=True)
class Place:
    station_id: int
    site_id: int
    tariff_id: int | None
    evse_id: int
    evse_number: int
    connector_id: int
    connector_number: int
    max_power_w: int


def sane_number(number: int) -> int:
    """The EVSE meant: 1 where the number told can be none."""
    return number if 1 <= number <= HIGHEST_NUMBER else 1


def find(wanted: Iterable[Wanted]) -> rows.Lookup[dict[Wanted, Place]]:
    """The place for each; EVSEs and connectors that are not there yet are made. Unknown stations are left out."""
    asked = sorted(set(wanted))
    found = _places((yield Ask(_LOOK_UP, asked))) if asked else {}
    missing = [key for key, place in found.items() if place is None]
    if missing:
        yield Ask(_MAKE, missing)
        found |= _places((yield Ask(_LOOK_UP, missing)))
    return {key: place for key, place in found.items() if place is not None}


# Per row, one index lookup each, which LIMIT makes certain: a join is planned to read all of a table that is small.
_LOOK_UP = """
SELECT w.station, w.evse, w.connector, s.id, s.site_id, s.tariff_id, e.id, e.number, c.id, c.number, c.max_power_w
FROM (SELECT (r->>0)::bigint station, (r->>1)::int evse, (r->>2)::int connector
      FROM json_array_elements(%(rows)s::json) r OFFSET 0) w
CROSS JOIN LATERAL (
    SELECT k.id, k.site_id, k.tariff_id FROM stations_station k
    WHERE k.tenant_id = %(tenant)s AND k.id = w.station LIMIT 1) s
LEFT JOIN LATERAL (
    SELECT k.id, k.number FROM stations_evse k
    WHERE k.tenant_id = %(tenant)s AND k.station_id = w.station AND k.number = w.evse LIMIT 1) e ON true
LEFT JOIN LATERAL (
    SELECT k.id, k.number, k.max_power_w FROM stations_connector k
    WHERE k.tenant_id = %(tenant)s AND k.evse_id = e.id AND (w.connector = 0 OR k.number = w.connector)
    ORDER BY k.number LIMIT 1) c ON true
"""


def _places(found: rows.Rows) -> dict[Wanted, Place | None]:
    return {
        (station, evse, connector): None if ids[3] is None or ids[5] is None else Place(*ids)
        for station, evse, connector, *ids in found
    }


_MAKE = """
WITH w AS (
    SELECT DISTINCT (r->>0)::bigint station, (r->>1)::int evse, greatest((r->>2)::int, 1) connector
    FROM json_array_elements(%(rows)s::json) r
), made AS (
    INSERT INTO stations_evse (tenant_id, station_id, number, evse_id)
    SELECT DISTINCT %(tenant)s, station, evse, '' FROM w ORDER BY 2, 3
    ON CONFLICT (tenant_id, station_id, number) DO UPDATE SET number = excluded.number
    RETURNING id, station_id, number
)
INSERT INTO stations_connector (tenant_id, evse_id, number, standard, power_type, max_power_w, max_amps, status,
                                error_code, vendor_error_code, info)
SELECT %(tenant)s, made.id, w.connector, 'IEC_62196_T2', 'AC_3_PHASE', 22000, 32, 'unknown', '', '', ''
FROM w JOIN made ON made.station_id = w.station AND made.number = w.evse ORDER BY 2, 3
ON CONFLICT (tenant_id, evse_id, number) DO NOTHING
"""

"""What a station can show to drivers, as its configuration tells."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from stations.models import Variable
from tenants import rows
from tenants.rows import Ask

TARIFF_COST, DISPLAY, WEB = "TariffCostCtrlr", "DisplayMessageCtrlr", "WebPaymentsCtrlr"
CALIFORNIA = "CustomDisplayCostAndPrice"  # the key of 1.6


@dataclass(frozen=True, slots=True)
class Shows:
    """`cost`: while charging and at the end; `price`: of the driver, in words; `tariff`: whole tariffs (2.1)."""

    cost: bool = False
    price: bool = False
    tariff: bool = False


_TOLD = """
SELECT v.station_id, v.component, v.name, v.instance, lower(v.value)
FROM (SELECT (r#>>'{}')::bigint station FROM json_array_elements(%(rows)s::json) r OFFSET 0) w
CROSS JOIN LATERAL (
    SELECT k.station_id, k.component, k.name, k.instance, k.value FROM stations_variable k
    WHERE k.tenant_id = %(tenant)s AND k.station_id = w.station
      AND k.component = 'TariffCostCtrlr' AND k.attribute = 'actual' AND k.name IN ('Available', 'Enabled')
    UNION ALL
    SELECT k.station_id, k.component, k.name, k.instance, k.value FROM stations_variable k
    WHERE k.tenant_id = %(tenant)s AND k.station_id = w.station AND k.component = ''
      AND k.name = 'CustomDisplayCostAndPrice') v
"""


def abilities(station_ids: Iterable[int]) -> rows.Lookup[dict[int, Shows]]:
    """Of stations that show anything. 2.x: TariffCostCtrlr.Enabled counts, where it is told; else Available."""
    asked = sorted(set(station_ids))
    told: dict[int, dict[tuple[str, str], bool]] = {}
    for station, component, name, instance, value in (yield Ask(_TOLD, asked)) if asked else ():
        key = (name if component else CALIFORNIA, instance.lower())
        told.setdefault(station, {})[key] = value == "true"
    return {station: _shows(values) for station, values in told.items()}


def _shows(told: dict[tuple[str, str], bool]) -> Shows:
    if (CALIFORNIA, "") in told:
        return Shows(cost=told[CALIFORNIA, ""], price=told[CALIFORNIA, ""])

    def on(what: str) -> bool:
        return told.get(("Enabled", what), told.get(("Available", what), False))

    return Shows(cost=on("cost"), price=on("tariff"), tariff=on("tariff"))


def of(tenant_id: int, station_ids: Iterable[int]) -> dict[int, Shows]:
    found: dict[int, Shows] = rows.alone(tenant_id, abilities(station_ids))
    return found


@dataclass(frozen=True, slots=True)
class Display:
    """What DisplayMessageCtrlr says. Empty sets: not told, so nothing is ruled out."""

    known: bool = False
    available: bool = True
    formats: frozenset[str] = frozenset()
    priorities: frozenset[str] = frozenset()
    states: frozenset[str] = frozenset()
    count: int | None = None
    most: int | None = None
    languages: tuple[str, ...] = field(default_factory=tuple)


def display(tenant_id: int, station_id: int) -> Display:
    told = {
        (one.name, one.attribute): one
        for one in Variable.objects.filter(tenant_id=tenant_id, station_id=station_id, component=DISPLAY)
    }

    def words(name: str) -> frozenset[str]:
        one = told.get((name, "actual"))
        text = (one.value or "") if one else ""
        text = text or (one.values_list if one else "")
        return frozenset(word.strip().lower() for word in text.split(",") if word.strip())

    count = told.get(("DisplayMessages", "actual"))
    off = [told.get((name, "actual")) for name in ("Available", "Enabled")]
    language = told.get(("Language", "actual"))
    return Display(
        known=bool(told),
        available=not any(one is not None and (one.value or "").lower() == "false" for one in off),
        formats=words("SupportedFormats"),
        priorities=words("SupportedPriorities"),
        states=words("SupportedStates"),
        count=int(count.value) if count and count.value and count.value.isdecimal() else None,
        most=int(count.max_limit) if count and count.max_limit is not None else None,
        languages=tuple(
            word.strip() for word in (language.values_list if language else "").split(",") if word.strip()
        ),
    )

"""Words for drivers where a station has no price or total from us (I04, I05 of OCPP 2.x), kept as its settings."""

from __future__ import annotations

from dataclasses import dataclass

from stations.models import Station, Variable, VariableChange
from stations.services import configuration
from stations.services.configuration import Setting
from stations.services.showing import TARIFF_COST
from tenants.errors import Invalid
from tenants.permissions import Actor

NAMES = {"price": "TariffFallbackMessage", "total": "TotalCostFallbackMessage"}
LONGEST = 255  # of the variables, where the station tells no other bound


@dataclass(frozen=True, slots=True)
class Fallbacks:
    """`price`: shown when a card is held and no tariff is known; `total`: at the end without a total of ours.
    None: the station has no such words. `longest`: characters of either."""

    price: str | None = None
    total: str | None = None
    longest: int = LONGEST


def of_station(station: Station) -> Fallbacks:
    told = {
        one.name: one
        for one in Variable.objects.filter(
            tenant_id=station.tenant_id, station=station, component=TARIFF_COST, instance="", attribute="actual",
            name__in=NAMES.values(),
        )
    }  # fmt: skip
    bounds = [int(one.max_limit) for one in told.values() if one.max_limit]
    values = {part: told[name].value or "" if name in told else None for part, name in NAMES.items()}
    return Fallbacks(**values, longest=min([LONGEST, *bounds]))


def set_words(*, station: Station, actor: Actor, price: str, total: str) -> list[VariableChange]:
    """Ask the station to keep these words; what it holds already is not sent again. Invalid where they are too long
    or nothing would change."""
    held = of_station(station)
    wanted = {"price": price.strip(), "total": total.strip()}
    if long := [part for part, text in wanted.items() if len(text) > held.longest]:
        raise Invalid(fields={long[0]: f"The station shows at most {held.longest} characters."})
    settings = [
        Setting(NAMES[part], text, TARIFF_COST)
        for part, text in wanted.items()
        if getattr(held, part) is not None and text != getattr(held, part)
    ]
    if not settings:
        raise Invalid("The station holds these words already.")
    return configuration.change(
        tenant_id=station.tenant_id, station_id=station.pk, settings=settings, actor=actor
    )

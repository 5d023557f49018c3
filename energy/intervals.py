"""How often stations tell what their cars draw, by their own settings, beside what steering needs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Q

from stations.models import Variable

# A reading counts for 90 s (energy.headroom.FRESH_S). Without one a car counts with all that it was told, and is not
# taken off a meter that counts the cars too.
NEEDED_S = 60
SETTING = "MeterValueSampleInterval"  # in templates it stands for TxUpdatedInterval of OCPP 2 as well
_OURS = Q(component="", name=SETTING) | Q(component="SampledDataCtrlr", name="TxUpdatedInterval")


@dataclass(frozen=True)
class Seldom:
    """A station that tells less often than steering needs. `every_s` 0: never during a session."""

    station_id: int
    station: str
    every_s: int


def seldom(tenant_id: int, station_ids: Iterable[int]) -> list[Seldom]:
    """Of these stations, in the order of their names; those of which nothing was read are not told. One statement."""
    rows = Variable.objects.filter(
        _OURS, tenant_id=tenant_id, station_id__in=set(station_ids), attribute="actual", gone_at=None
    ).select_related("station")
    newest = {row.station_id: row for row in rows.order_by("read_at")}  # 1.6 or 2, as it speaks now
    found = [Seldom(row.station_id, str(row.station), _seconds(row.value)) for row in newest.values()]
    return sorted(
        (one for one in found if one.every_s == 0 or one.every_s > NEEDED_S), key=lambda one: one.station
    )


def _seconds(told: str | None) -> int:
    """What is no number says nothing: as often as needed."""
    text = (told or "").strip()
    return int(text) if text.isdecimal() and len(text) < 10 else NEEDED_S

"""A building beside the chargers: what it takes, and its meter, which tells it over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import datetime
from random import Random
from zoneinfo import ZoneInfo

import httpx

# Share of its most that a building takes, by the hour of its day: lights, machines, an air conditioner.
_HOURS = (
    0.16, 0.15, 0.15, 0.15, 0.16, 0.20, 0.34, 0.48, 0.58, 0.62, 0.64, 0.66,
    0.60, 0.64, 0.66, 0.62, 0.56, 0.48, 0.40, 0.34, 0.28, 0.24, 0.20, 0.18,
)  # fmt: skip
_WEEKEND = 0.5
_EVERY_S = 2.0
_MACHINE_S = 30  # a lift, a compressor: on or off for so long


@dataclass(frozen=True)
class Building:
    """`url`: where its readings go, with this API key. `most_a`: A on each line that it never passes."""

    name: str
    url: str
    key: str
    most_a: float
    time_zone: str = "UTC"


def load_a(name: str, most_a: float, local: datetime) -> list[float]:
    """A on each of three lines at this time of its wall clock. The same building at the same time takes the same."""
    hour = local.hour + local.minute / 60
    before, after = _HOURS[local.hour], _HOURS[(local.hour + 1) % 24]
    base = before + (after - before) * (hour - local.hour)
    if local.weekday() > 4:
        base *= _WEEKEND
    machine = Random(f"{name} {int(local.timestamp()) // _MACHINE_S}")
    runs = machine.uniform(0.15, 0.3) if machine.random() < base / 4 else 0.0
    wander = Random(f"{name} {int(local.timestamp())}")
    return [
        round(min(most_a, most_a * (base * share + runs) * wander.uniform(0.97, 1.03)), 2)
        for share in (1.0, 0.92, 1.06)
    ]


async def tell(building: Building) -> None:
    """Send a reading every two seconds for as long as it lives; one that does not arrive is not sent again."""
    zone = ZoneInfo(building.time_zone)
    headers = {"Authorization": f"Bearer {building.key}"}
    async with httpx.AsyncClient(headers=headers, timeout=5, trust_env=False) as client:
        while True:
            amps = load_a(building.name, building.most_a, datetime.now(zone))
            with contextlib.suppress(httpx.HTTPError):
                await client.post(building.url, json={"amps": amps})
            await asyncio.sleep(_EVERY_S)

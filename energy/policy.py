"""What a site wants of its load management, as `GridConnection.policy` keeps it.

    {
      "share": "need",                  # when not all can have all: by "need" until departure, or "equal"
      "turn_minutes": 15,               # how long a car charges before its place goes to one that waits
      "guaranteed_a": 0,                # A that a car which charges has at least; 0: what its connector needs at least
      "priority_by_fleet": {"12": 1},   # added to the connector's own; higher goes first. By the number of the fleet
      "reserve_percent": 0,             # of each limit, left free at all times
      "default_cap_a": 6,               # most A of a connector while the central system is silent; null: its least
      "peak": {
        "mode": "none",                 # "none", "hold" (stay below `limit_kw`), "save" (no new peak without need)
        "limit_kw": null,               # of the whole site, for "hold"
        "paid_kw": 0                    # the peak of this billing period so far: up to it power costs no more
      },
      "price": {
        "per_kwh": null,                # in the company's currency; null: none is known
        "per_kw": 0,                    # of the peak of a billing period
        "windows": [{"weekdays": [], "begins": "17:00", "ends": "20:00", "per_kwh": 0.45, "co2_g_per_kwh": null}]
      },
      "co2": {
        "weight": 0,                    # 0: price alone, 1: CO2 alone
        "g_per_kwh": null               # outside the windows
      }
    }

Windows are by the site's wall clock; the first that is open counts, and one that ends before it begins goes past
midnight. What is not told has the value shown here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import time
from typing import Any

from django.utils.translation import gettext as _

from tenants.errors import Invalid

NEED, EQUAL = "need", "equal"
NO_PEAK, HOLD, SAVE = "none", "hold", "save"
SHARES, PEAK_MODES = (NEED, EQUAL), (NO_PEAK, HOLD, SAVE)
MOST_FLEETS, MOST_WINDOWS = 200, 100


@dataclass(frozen=True)
class PriceWindow:
    """None: as outside of it."""

    begins: time
    ends: time
    weekdays: tuple[int, ...] = ()
    per_kwh: float | None = None
    co2_g_per_kwh: float | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "weekdays": list(self.weekdays), "begins": f"{self.begins:%H:%M}", "ends": f"{self.ends:%H:%M}",
            "per_kwh": self.per_kwh, "co2_g_per_kwh": self.co2_g_per_kwh,
        }  # fmt: skip


@dataclass(frozen=True)
class Policies:
    """See above; units are in the names."""

    share: str = NEED
    turn_minutes: float = 15.0
    guaranteed_a: float = 0.0
    priority_by_fleet: dict[int, int] = field(default_factory=dict)
    reserve_percent: float = 0.0
    default_cap_a: float | None = 6.0
    peak_mode: str = NO_PEAK
    peak_limit_kw: float | None = None
    peak_paid_kw: float = 0.0
    per_kwh: float | None = None
    per_kw: float = 0.0
    windows: tuple[PriceWindow, ...] = ()
    co2_weight: float = 0.0
    co2_g_per_kwh: float | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "share": self.share,
            "turn_minutes": self.turn_minutes,
            "guaranteed_a": self.guaranteed_a,
            "priority_by_fleet": {str(fleet): one for fleet, one in self.priority_by_fleet.items()},
            "reserve_percent": self.reserve_percent,
            "default_cap_a": self.default_cap_a,
            "peak": {"mode": self.peak_mode, "limit_kw": self.peak_limit_kw, "paid_kw": self.peak_paid_kw},
            "price": {
                "per_kwh": self.per_kwh,
                "per_kw": self.per_kw,
                "windows": [window.as_json() for window in self.windows],
            },
            "co2": {"weight": self.co2_weight, "g_per_kwh": self.co2_g_per_kwh},
        }

    @classmethod
    def read(cls, value: Any) -> Policies:
        """Invalid with a sentence for every field that cannot be, by its path, such as `peak.limit_kw`."""
        wrong: dict[str, str] = {}
        found = _policies(value, wrong)
        if wrong:
            raise Invalid(fields=wrong)
        return found

    @classmethod
    def of_row(cls, value: Any) -> Policies:
        """As kept; what cannot be read has its default."""
        return _policies(value, {})


def _policies(value: Any, wrong: dict[str, str]) -> Policies:
    top = _Part(value, "", wrong, ("share", "turn_minutes", "guaranteed_a", "priority_by_fleet", "reserve_percent",
                                   "default_cap_a", "peak", "price", "co2"))  # fmt: skip
    peak = _Part(top.get("peak"), "peak", wrong, ("mode", "limit_kw", "paid_kw"))
    price = _Part(top.get("price"), "price", wrong, ("per_kwh", "per_kw", "windows"))
    co2 = _Part(top.get("co2"), "co2", wrong, ("weight", "g_per_kwh"))
    mode = peak.choice("mode", PEAK_MODES, NO_PEAK)
    limit_kw = peak.number("limit_kw", None, 0, 1e6)
    if mode == HOLD and limit_kw is None and "peak.limit_kw" not in wrong:
        wrong["peak.limit_kw"] = _("Say at which power the peak is to be held.")
    per_kw = price.number("per_kw", 0.0, 0, 1e6)
    if mode == SAVE and not per_kw and "price.per_kw" not in wrong:
        wrong["price.per_kw"] = _("Say what a kW of the peak costs, or there is nothing to save.")
    default = Policies()
    return Policies(
        share=top.choice("share", SHARES, default.share),
        turn_minutes=top.number("turn_minutes", default.turn_minutes, 1, 1440) or default.turn_minutes,
        guaranteed_a=top.number("guaranteed_a", 0.0, 0, 1000) or 0.0,
        priority_by_fleet=_fleets(top),
        reserve_percent=top.number("reserve_percent", 0.0, 0, 90) or 0.0,
        default_cap_a=top.number("default_cap_a", default.default_cap_a, 0, 1000),
        peak_mode=mode,
        peak_limit_kw=limit_kw,
        peak_paid_kw=peak.number("paid_kw", 0.0, 0, 1e6) or 0.0,
        per_kwh=price.number("per_kwh", None, -100, 1e4),
        per_kw=per_kw or 0.0,
        windows=_windows(price),
        co2_weight=co2.number("weight", 0.0, 0, 1) or 0.0,
        co2_g_per_kwh=co2.number("g_per_kwh", None, 0, 1e4),
    )


def _fleets(top: _Part) -> dict[int, int]:
    told = top.get("priority_by_fleet")
    if told in (None, {}):
        return {}
    if not isinstance(told, Mapping) or len(told) > MOST_FLEETS:
        top.says("priority_by_fleet", _("This maps numbers of fleets to their priority."))
        return {}
    found = {}
    for fleet, priority in told.items():
        whole = isinstance(priority, int) and not isinstance(priority, bool) and -100 <= priority <= 100
        if str(fleet).isdecimal() and len(str(fleet)) < 19 and whole:
            found[int(fleet)] = priority
        else:
            top.says(
                "priority_by_fleet", _("Priorities are whole numbers from -100 to 100, by a fleet's number.")
            )
    return found


def _windows(price: _Part) -> tuple[PriceWindow, ...]:
    told = price.get("windows") or []
    if not isinstance(told, list) or len(told) > MOST_WINDOWS:
        price.says("windows", _("This is a list of at most %(most)s windows.") % {"most": MOST_WINDOWS})
        return ()
    found = []
    for number, one in enumerate(told):
        names = ("weekdays", "begins", "ends", "per_kwh", "co2_g_per_kwh")
        part = _Part(one, f"price.windows.{number}", price.wrong, names)
        begins, ends = part.clock("begins"), part.clock("ends")
        days = part.get("weekdays") or []
        if not isinstance(days, list) or any(
            isinstance(day, bool) or not isinstance(day, int) or not 0 <= day <= 6 for day in days
        ):
            part.says("weekdays", _("Weekdays are numbers from 0, Monday, to 6, Sunday."))
            days = []
        per_kwh = part.number("per_kwh", None, -100, 1e4)
        co2 = part.number("co2_g_per_kwh", None, 0, 1e4)
        if per_kwh is None and co2 is None:
            part.says("per_kwh", _("Give the price in this window, or the CO2."))
        if begins is not None and ends is not None:
            found.append(PriceWindow(begins, ends, tuple(sorted(set(days))), per_kwh, co2))
    return tuple(found)


class _Part:
    """An object of the JSON, and where it stands."""

    def __init__(self, value: Any, path: str, wrong: dict[str, str], known: tuple[str, ...]) -> None:
        self.path, self.wrong = path, wrong
        self.told: Mapping[str, Any] = value if isinstance(value, Mapping) else {}
        if value is not None and not isinstance(value, Mapping):
            wrong[path or "policy"] = _("This is a JSON object.")
        for name in [str(name)[:40] for name in self.told if name not in known][:5]:
            self.says(name, _("There is no such field. Known ones: %(known)s.") % {"known": ", ".join(known)})

    def says(self, name: str, text: str) -> None:
        self.wrong.setdefault(f"{self.path}.{name}" if self.path else name, text)

    def get(self, name: str) -> Any:
        return self.told.get(name)

    def number(self, name: str, default: float | None, least: float, most: float) -> float | None:
        """None is a value of its own where the default may be None or a number of choice."""
        if name not in self.told:
            return default
        value = self.told[name]
        if value is None:
            return None
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and math.isfinite(value) and least <= value <= most:
            return float(value)
        self.says(
            name,
            _("A number from %(least)s to %(most)s.") % {"least": f"{least:g}", "most": f"{most:g}"},
        )
        return default

    def choice(self, name: str, known: tuple[str, ...], default: str) -> str:
        value = self.told.get(name, default)
        if isinstance(value, str) and value in known:
            return value
        self.says(name, _("Choose one of %(known)s.") % {"known": ", ".join(known)})
        return default

    def clock(self, name: str) -> time | None:
        value = self.told.get(name)
        if isinstance(value, time):
            return value
        read: Callable[[str], time] = time.fromisoformat
        try:
            return read(str(value)).replace(tzinfo=None)
        except ValueError:
            self.says(name, _("Give times as 17:30."))
            return None

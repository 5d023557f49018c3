"""The quirks of charger models, applied: what a station tells wrongly is put right before any verb sees it.

A profile says, as data, for which vendor, model and firmware it holds and what is odd about them:

    units        [{"measurand": "Energy.Active.Import.Register", "told": "Wh", "means": "kWh"}]
    registers    "kWh": meterStart and meterStop of 1.6, which are Wh, are told in this unit
    clock        {"zone": "Asia/Shanghai" or "site", "when": "no_zone" (or "always": the Z it writes is wrong)}
    stop_reasons {"": "EVDisconnected", "Other": "Local"}: what is missing, or told wrongly, means this
    keys         [{"name", "kind", "help", "unit", "least", "most", "options", "reset"}]: settings of its own
    unsupported  ["LightIntensity"]: settings that it names but does not follow
    max_items    {"SetVariables": 1}: fewer in a message than it says
    apply        {"reset": "hard", "keys": ["*"]}: what it accepts counts after a reset only

Profiles and the stations they hold for are looked up once in CACHE_SECONDS, a batch at a time.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from stations.catalogue import TYPES, Entry
from stations.models import Station, VendorProfile
from stations.neutral import Sample, SampledValue
from stations.services import meters
from tenants.errors import Invalid

CACHE_SECONDS = 30.0
MOST_CACHED = 200_000  # stations
SHIPPED = Path(__file__).parents[1] / "data" / "vendor_profiles.json"
UNITS = ("Wh", "kWh", "MWh", "W", "kW", "MW", "A", "mA", "V", "kV")
_SHIFT = {"wh": 0, "kwh": 3, "mwh": 6}


@dataclass(frozen=True)
class Quirks:
    """What is odd about a station, ready to use. The empty one stands for none."""

    name: str = ""
    units: Mapping[tuple[str, str], tuple[int, str]] = field(default_factory=dict)  # -> (power of ten, unit)
    register_shift: int = 0
    zone: str = ""
    zone_always: bool = False
    stop_reasons: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, Entry] = field(default_factory=dict)
    unsupported: frozenset[str] = frozenset()
    max_items: Mapping[str, int] = field(default_factory=dict)
    reset: str = ""  # soft | hard
    reset_keys: frozenset[str] = frozenset()

    @property
    def bends_messages(self) -> bool:
        return bool(self.units or self.register_shift or self.zone or self.stop_reasons)

    def needs_reset(self, name: str) -> bool:
        return bool(self.reset) and ("*" in self.reset_keys or name.lower() in self.reset_keys)


NONE = Quirks()


@dataclass(frozen=True)
class Profile:
    """A vendor profile, shipped or a company's own."""

    name: str
    vendor: str
    model: str
    firmware_from: str
    firmware_to: str
    quirks: Quirks
    shipped: str = ""
    row_id: int | None = None

    def matches(self, vendor: str, model: str, firmware: str) -> bool:
        return matches(self, vendor, model, firmware)


def matches(rule: Any, vendor: str, model: str, firmware: str) -> bool:
    """Whether a rule with vendor, model and a range of firmware holds. Empty: any; * stands for anything."""
    return (
        _fits(rule.vendor, vendor)
        and _fits(rule.model, model)
        and (not rule.firmware_from or version_key(firmware) >= version_key(rule.firmware_from))
        and (not rule.firmware_to or version_key(firmware) <= version_key(rule.firmware_to))
    )


def _fits(pattern: str, text: str) -> bool:
    return not pattern or fnmatchcase(text.strip().lower(), pattern.strip().lower().replace("[", "[[]"))


@lru_cache(maxsize=4096)
def version_key(text: str) -> tuple[tuple[int, int, str], ...]:
    """Orders firmware versions: numbers by size, 1.10 after 1.9."""
    return tuple(
        (1, int(part[:18]), "") if part.isdigit() else (0, 0, part)
        for part in re.findall(r"[0-9]+|[a-z]+", text.lower())
    )


# --- reading profiles ---


@lru_cache(maxsize=1)
def shipped() -> tuple[dict[str, Any], ...]:
    """The profiles that come with the product: {"key", "name", "vendor", "model", ..., "quirks", "notes"}."""
    return tuple(json.loads(SHIPPED.read_text(encoding="utf-8")))


def read(name: str, told: Mapping[str, Any]) -> Quirks:
    """The quirks of a profile's data. Invalid names what cannot be used."""
    _known(told, {"units", "registers", "clock", "stop_reasons", "keys", "unsupported", "max_items", "apply"})
    clock = _mapping(told, "clock")
    _known(clock, {"zone", "when"})
    zone = str(clock.get("zone") or "")
    if zone and zone != "site" and zone not in available_timezones():
        raise _wrong(f"clock: there is no time zone {zone[:60]}; write one such as Europe/Berlin, or site.")
    if clock.get("when", "no_zone") not in ("no_zone", "always"):
        raise _wrong("clock: when is no_zone or always.")
    registers = str(told.get("registers") or "Wh").lower()
    if registers not in _SHIFT:
        raise _wrong("registers: Wh, kWh or MWh.")
    apply = _mapping(told, "apply")
    _known(apply, {"reset", "keys"})
    if apply.get("reset", "") not in ("", "soft", "hard"):
        raise _wrong("apply: reset is soft or hard.")
    return Quirks(
        name=name,
        units=dict(_unit(entry) for entry in _listed(told, "units")),
        register_shift=_SHIFT[registers],
        zone=zone,
        zone_always=clock.get("when") == "always",
        stop_reasons={
            str(key)[:40]: str(value)[:40] for key, value in _mapping(told, "stop_reasons").items()
        },
        keys={entry.key.lower(): entry for entry in map(_key, _listed(told, "keys"))},
        unsupported=frozenset(str(key).lower() for key in _listed(told, "unsupported")),
        max_items={str(key): _count(value) for key, value in _mapping(told, "max_items").items()},
        reset=str(apply.get("reset") or ""),
        reset_keys=frozenset(str(key).lower() for key in apply.get("keys") or ("*",)),
    )


def _wrong(text: str) -> Invalid:
    return Invalid(fields={"quirks": text})


def _known(told: Mapping[str, Any], names: set[str]) -> None:
    if unknown := sorted(set(told) - names):
        raise _wrong(f"{unknown[0][:40]} is not known here; known are {', '.join(sorted(names))}.")


def _mapping(told: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = told.get(name) or {}
    if not isinstance(value, Mapping) or len(value) > 200:
        raise _wrong(f"{name}: an object, such as in the examples.")
    return value


def _listed(told: Mapping[str, Any], name: str) -> list[Any]:
    value = told.get(name) or []
    if not isinstance(value, list) or len(value) > 500:
        raise _wrong(f"{name}: a list of at most 500.")
    return value


def _unit(entry: Any) -> tuple[tuple[str, str], tuple[int, str]]:
    if not isinstance(entry, Mapping) or not {"told", "means"} <= set(entry):
        raise _wrong('units: {"measurand": ..., "told": "Wh", "means": "kWh"}.')
    measurand = str(entry.get("measurand") or meters.REGISTER)
    powers = meters._POWERS.get(measurand)
    told, means = str(entry["told"]).strip().lower(), str(entry["means"]).strip()
    if powers is None or means.lower() not in powers:
        raise _wrong(f"units: {measurand[:60]} in {means[:20]} is not known here.")
    if told in powers:
        return (measurand, told), (powers[means.lower()] - powers[told], "")
    return (measurand, told), (0, means)


def _key(entry: Any) -> Entry:
    if not isinstance(entry, Mapping) or not str(entry.get("name") or ""):
        raise _wrong('keys: {"name": ..., "kind": "integer", "help": ...}.')
    _known(entry, {"name", "kind", "help", "unit", "least", "most", "options", "reset", "access"})
    kind = str(entry.get("kind") or "string")
    if kind not in TYPES:
        raise _wrong(f"keys: {kind[:20]} is no type; known are {', '.join(TYPES)}.")
    return Entry(
        str(entry["name"])[:80], "", kind, str(entry.get("help") or "")[:300], str(entry.get("unit") or "")[:16],
        _bound(entry.get("least")), _bound(entry.get("most")), str(entry.get("options") or "")[:2000],
        str(entry.get("access") or "read_write"), bool(entry.get("reset")), "vendor",
    )  # fmt: skip


def _bound(value: Any) -> float | None:
    if value is None or isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 500:
        raise _wrong("max_items: numbers from 1 to 500.")
    return value


# --- which profile holds ---

_profiles: dict[int, tuple[float, tuple[Profile, ...]]] = {}
_stations: dict[int, dict[int, tuple[float, Quirks]]] = {}


def profiles(tenant_id: int) -> tuple[Profile, ...]:
    """The profiles in use, a company's own before ours, the most particular first."""
    now = time.monotonic()
    kept = _profiles.get(tenant_id)
    if kept is not None and kept[0] > now:
        return kept[1]
    rows = list(VendorProfile.objects.filter(tenant_id=tenant_id)[:2000])
    taken = {row.shipped for row in rows if row.shipped}
    own = [
        Profile(
            row.name, row.vendor, row.model, row.firmware_from, row.firmware_to, _usable(row.name, row.quirks),
            row.shipped, row.pk,
        )
        for row in rows if row.enabled
    ]  # fmt: skip
    ours = [
        Profile(
            entry["name"], entry.get("vendor", ""), entry.get("model", ""), entry.get("firmware_from", ""),
            entry.get("firmware_to", ""), _usable(entry["name"], entry["quirks"]), entry["key"],
        )
        for entry in shipped() if entry["key"] not in taken
    ]  # fmt: skip
    found = tuple(sorted([*own, *ours], key=_particular))
    _profiles[tenant_id] = (now + CACHE_SECONDS, found)
    return found


def _usable(name: str, told: Any) -> Quirks:
    try:
        return read(name, told)
    except Invalid:  # written before a word was dropped: no reason to lose readings
        return Quirks(name)


def _particular(profile: Profile) -> tuple[bool, bool, bool, bool]:
    ranged = bool(profile.firmware_from or profile.firmware_to)
    return (profile.row_id is None, not ranged, not profile.model, not profile.vendor)


def match(tenant_id: int, vendor: str, model: str, firmware: str) -> Profile | None:
    """The profile that holds for such a station."""
    if not vendor and not model:
        return None
    return next((one for one in profiles(tenant_id) if one.matches(vendor, model, firmware)), None)


def of(station: Station) -> Quirks:
    found = match(station.tenant_id, station.vendor, station.model, station.firmware_version)
    return found.quirks if found else NONE


def entry(station: Station, component: str, name: str) -> Entry | None:
    """What the station's profile says of a setting of its own."""
    return None if component else of(station).keys.get(name.lower())


def forget(tenant_id: int) -> None:
    """Look up anew: a profile was changed. Other processes follow within CACHE_SECONDS."""
    _profiles.pop(tenant_id, None)
    _stations.pop(tenant_id, None)


def _of_stations(tenant_id: int, wanted: Iterable[int]) -> dict[int, Quirks]:
    """The quirks of those stations that bend their messages."""
    now = time.monotonic()
    if len(_stations) > 10_000 or sum(map(len, _stations.values())) > MOST_CACHED:
        _stations.clear()
    kept = _stations.setdefault(tenant_id, {})
    ids = set(wanted)
    missing = [number for number in ids if number not in kept or kept[number][0] <= now]
    if missing:
        found = Station.objects.filter(tenant_id=tenant_id, pk__in=missing).values_list(
            "id", "vendor", "model", "firmware_version", "site__time_zone"
        )
        for number, vendor, model, firmware, zone in found:
            profile = match(tenant_id, vendor, model, firmware)
            quirks = profile.quirks if profile else NONE
            if quirks.zone == "site":
                quirks = replace(quirks, zone=zone)
            kept[number] = (now + CACHE_SECONDS, quirks)
    return {number: kept[number][1] for number in ids if number in kept and kept[number][1].bends_messages}


# --- correcting ---


def corrected(tenant_id: int, reports: Sequence[Any]) -> Sequence[Any]:
    """The reports with what their stations' profiles know to be wrong put right; most often just as they are."""
    if not reports:
        return reports
    odd = _of_stations(tenant_id, (report.station_id for report in reports))
    if not odd:
        return reports
    return [
        correct(report, odd[report.station_id]) if report.station_id in odd else report for report in reports
    ]


def correct(report: Any, quirks: Quirks) -> Any:
    """One neutral report, whatever its kind: times, measured values, registers, reasons."""
    changes: dict[str, Any] = {}
    raw = getattr(report, "raw_timestamp", "")
    if quirks.zone and raw:
        changes["raw_timestamp"] = in_zone(raw, quirks)
    if samples := getattr(report, "samples", ()):
        changes["samples"] = tuple(_sample(sample, quirks) for sample in samples)
    if quirks.register_shift:
        for name in ("meter_start_wh", "meter_stop_wh"):
            if isinstance(told := getattr(report, name, None), Decimal) and told.is_finite():
                changes[name] = told.scaleb(quirks.register_shift)
    if quirks.stop_reasons:
        changes |= _stop_reason(report, quirks)
    return replace(report, **changes) if changes else report


def _stop_reason(report: Any, quirks: Quirks) -> dict[str, str]:
    if hasattr(report, "meter_stop_wh"):
        told = report.reason if report.reason_told else ""
        name = "reason"
    elif getattr(report, "kind", "") == "ended" and hasattr(report, "stopped_reason"):
        told, name = report.stopped_reason, "stopped_reason"
    else:
        return {}
    return {name: quirks.stop_reasons[told]} if told in quirks.stop_reasons else {}


def in_zone(raw: str, quirks: Quirks) -> str:
    """A time of a clock that runs by local time, with the zone it forgot or told wrongly."""
    try:
        told = datetime.fromisoformat(raw.strip())
        if told.tzinfo is not None and not quirks.zone_always:
            return raw
        return told.replace(tzinfo=ZoneInfo(quirks.zone)).isoformat()
    except (ValueError, OverflowError, KeyError):
        return raw


def _sample(sample: Sample, quirks: Quirks) -> Sample:
    raw = in_zone(sample.raw_timestamp, quirks) if quirks.zone else sample.raw_timestamp
    values = tuple(_value(value, quirks) for value in sample.values) if quirks.units else sample.values
    return Sample(raw, values)


def _value(value: SampledValue, quirks: Quirks) -> SampledValue:
    meant = quirks.units.get((value.measurand or meters.REGISTER, value.unit.strip().lower()))
    if meant is None:
        return value
    shift, unit = meant
    return value._replace(unit=unit) if unit else value._replace(multiplier=value.multiplier + shift)

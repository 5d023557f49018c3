"""Charging profiles and the limit that they make together, now and later. Pure: no database, no wire.

OCPP 1.6 3.13 and 5.16, OCPP 2.0.1 and 2.1 block K. Of each purpose the profile in force with the highest stack level
rules (of two alike the EVSE's own before the station's); what rules for the transaction replaces the default, moment by
moment; then the lowest of that, the station's own limit and the limits from outside holds. Profiles in A mean A per
phase. Between A and W it is 230 V times the phases (K08: the composite schedule is what the station would keep to).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

VOLTS = 230.0
STATION_MAX, DEFAULT, TRANSACTION = "station_max", "default", "transaction"
EXTERNAL, PRIORITY, LOCAL_GENERATION = "external", "priority", "local_generation"
ABSOLUTE, RECURRING, RELATIVE, DYNAMIC = "absolute", "recurring", "relative", "dynamic"
AMPS, WATTS = "A", "W"
CYCLES = {"daily": timedelta(days=1), "weekly": timedelta(days=7)}
NEVER = datetime(2100, 1, 1, tzinfo=UTC)
MOST_TURNS = 3000  # of one calculation: what lies beyond is left out


@dataclass(frozen=True, slots=True)
class Period:
    """From `start_s` on, until the next. Discharge limits are negative (2.1); `more`: its other members."""

    start_s: int
    limit: float | None = None
    phases: int | None = None
    phase_to_use: int | None = None
    discharge_limit: float | None = None
    setpoint: float | None = None
    mode: str = ""  # 2.1 operation mode; empty: charging only
    more: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        told = {
            "start_s": self.start_s, "limit": self.limit, "phases": self.phases, "phase_to_use": self.phase_to_use,
            "discharge_limit": self.discharge_limit, "setpoint": self.setpoint, "mode": self.mode,
        }  # fmt: skip
        return {name: value for name, value in told.items() if value not in (None, "")} | dict(self.more)


_MEMBERS = ("start_s", "limit", "phases", "phase_to_use", "discharge_limit", "setpoint", "mode")


def read_period(told: Mapping[str, Any]) -> Period:
    """From `Period.as_json`. KeyError, TypeError or ValueError where it is none."""
    whole = told.get("phases")
    return Period(
        start_s=int(told["start_s"]),
        limit=_float(told.get("limit")),
        phases=None if whole is None else int(whole),
        phase_to_use=told.get("phase_to_use"),
        discharge_limit=_float(told.get("discharge_limit")),
        setpoint=_float(told.get("setpoint")),
        mode=str(told.get("mode") or ""),
        more={name: value for name, value in told.items() if name not in _MEMBERS},
    )


def _float(value: Any) -> float | None:
    return None if value is None else float(value)


@dataclass(frozen=True, slots=True)
class Profile:
    """A charging profile in neutral words. `evse` 0 is the station; `number` its id on the wire."""

    evse: int
    purpose: str
    kind: str
    unit: str
    periods: tuple[Period, ...]
    number: int = 0
    stack_level: int = 0
    recurrency: str = ""
    starts_at: datetime | None = None
    duration_s: int | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    transaction_id: str = ""
    min_rate: float | None = None
    more: Mapping[str, Any] = field(
        default_factory=dict
    )  # what 2.x adds: dyn_update_interval_s, local_time, ...

    def begins(self, at: datetime, begun: datetime) -> datetime:
        """When the schedule that may cover `at` began; `begun`: the transaction, or else what was asked for."""
        if self.kind == RELATIVE:
            return begun
        start = self.starts_at or self.valid_from or begun
        cycle = CYCLES.get(self.recurrency)
        if self.kind == RECURRING and cycle:  # the start is an anchor: what recurs was there before it
            return start + cycle * ((at - start) // cycle)
        return start

    def period_at(self, at: datetime, begun: datetime) -> Period | None:
        """The period in force; None where the profile says nothing of that moment."""
        if (self.valid_from and at < self.valid_from) or (self.valid_to and at >= self.valid_to):
            return None
        elapsed = (at - self.begins(at, begun)).total_seconds()
        if elapsed < 0 or (self.duration_s is not None and elapsed >= self.duration_s):
            return None
        place = bisect_right(self.periods, elapsed, key=lambda period: period.start_s) - 1
        return self.periods[place] if place >= 0 else None

    def turns(self, start: datetime, end: datetime, begun: datetime) -> set[datetime]:
        """The moments after start and before end at which what this profile says may change."""
        seconds = {period.start_s for period in self.periods} | {0}
        seconds |= {self.duration_s} if self.duration_s is not None else set()
        found = {moment for moment in (self.valid_from, self.valid_to) if moment}
        lap, cycle = self.begins(start, begun), CYCLES.get(self.recurrency)
        while lap < end:
            found |= {later(lap, second) for second in seconds}
            if self.kind != RECURRING or not cycle:
                break
            lap += cycle
        return {moment for moment in found if start < moment < end}


def as_json(profile: Profile) -> dict[str, Any]:
    """A profile as commands carry it and rows keep it; `read` reads it back."""
    told = {
        "evse": profile.evse,
        "purpose": profile.purpose,
        "kind": profile.kind,
        "unit": profile.unit,
        "number": profile.number,
        "stack_level": profile.stack_level,
        "recurrency": profile.recurrency,
        "starts_at": profile.starts_at and profile.starts_at.isoformat(),
        "duration_s": profile.duration_s,
        "valid_from": profile.valid_from and profile.valid_from.isoformat(),
        "valid_to": profile.valid_to and profile.valid_to.isoformat(),
        "transaction_id": profile.transaction_id,
        "min_rate": profile.min_rate,
        "periods": [period.as_json() for period in profile.periods],
        "more": dict(profile.more),
    }
    return {name: value for name, value in told.items() if value not in (None, "", {})}


def read(told: Mapping[str, Any]) -> Profile:
    """From `as_json`. KeyError, TypeError or ValueError where it is no profile."""
    return Profile(
        evse=int(told.get("evse") or 0),
        purpose=str(told["purpose"]),
        kind=str(told.get("kind") or ABSOLUTE),
        unit=str(told.get("unit") or AMPS),
        number=int(told.get("number") or 0),
        stack_level=int(told.get("stack_level") or 0),
        recurrency=str(told.get("recurrency") or ""),
        starts_at=_moment(told.get("starts_at")),
        duration_s=None if told.get("duration_s") is None else int(told["duration_s"]),
        valid_from=_moment(told.get("valid_from")),
        valid_to=_moment(told.get("valid_to")),
        transaction_id=str(told.get("transaction_id") or ""),
        min_rate=_float(told.get("min_rate")),
        periods=tuple(read_period(period) for period in told["periods"]),
        more=dict(told.get("more") or {}),
    )


def _moment(told: Any) -> datetime | None:
    if told in (None, ""):
        return None
    at = told if isinstance(told, datetime) else datetime.fromisoformat(str(told))
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def later(at: datetime, seconds: float) -> datetime:
    try:
        return min(at + timedelta(seconds=seconds), NEVER)
    except OverflowError:
        return NEVER


@dataclass(frozen=True, slots=True)
class Hardware:
    """The most that can flow: A per phase, W over all phases."""

    amps: float
    watts: float
    phases: int = 3

    def in_unit(self, unit: str) -> float:
        return self.amps if unit == AMPS else self.watts


@dataclass(frozen=True, slots=True)
class Slice:
    """From `start_s` after what was asked for, until the next: the limit, over so many phases, and which profile binds
    (None: nothing but the hardware, or at the station the sum of its EVSEs)."""

    start_s: int
    limit: float
    phases: int
    binding: Profile | None = None


def to_unit(value: float, unit: str, wanted: str, phases: int) -> float:
    if unit == wanted:
        return value
    return value / (VOLTS * phases) if wanted == AMPS else value * VOLTS * phases


@dataclass(frozen=True)
class Station:
    """What is known of a station: profiles in force or to come, hardware, running transactions {evse: (id, since)}.

    `external` limits are profiles of purpose EXTERNAL; `priority`: EVSEs where priority charging is on (2.1 K21).
    """

    profiles: Sequence[Profile]
    evses: Mapping[int, Hardware]
    whole: Hardware
    transactions: Mapping[int, tuple[str, datetime]] = field(default_factory=dict)
    priority: Collection[int] = ()

    def composite(self, evse: int, start: datetime, end: datetime, unit: str) -> list[Slice]:
        """The limits from start to end as one schedule (K08, 1.6 5.7)."""
        chosen = [profile for profile in self.profiles if not evse or profile.evse in (0, evse)]
        turns: set[datetime] = set()
        for profile in chosen:
            for number in [profile.evse] if profile.evse else [0, *self.evses]:
                turns |= profile.turns(start, end, self._begun(number, start))
        slices: list[Slice] = []
        for moment in sorted({start, *turns})[:MOST_TURNS]:
            found = self.at(evse, moment, start, unit)
            last = slices[-1] if slices else None
            if last is None or (last.limit, last.phases, last.binding) != (
                found.limit, found.phases, found.binding,
            ):  # fmt: skip
                slices.append(replace(found, start_s=round((moment - start).total_seconds())))
        return slices

    def at(self, evse: int, moment: datetime, start: datetime, unit: str) -> Slice:
        """What holds at one moment. Relative profiles without transaction count from `start`."""
        if evse:
            return self._of_evse(evse, moment, start, unit)
        station = self._least(self._caps(0, moment, start), self.whole, unit)
        parts = [self._of_evse(number, moment, start, unit, shared=False) for number in self.evses]
        total = sum(part.limit for part in parts)
        phases = min([station.phases, *(part.phases for part in parts)])
        if parts and total < station.limit:
            return Slice(0, total, phases, parts[0].binding if len(parts) == 1 else None)
        return replace(station, phases=phases)

    def _of_evse(
        self, evse: int, moment: datetime, start: datetime, unit: str, *, shared: bool = True
    ) -> Slice:
        caps = self._caps(evse, moment, start)
        if shared:
            caps += self._caps(0, moment, start)
        if own := self._own(evse, moment, start):
            caps.append(own)
        return self._least(caps, self.evses.get(evse, self.whole), unit)

    def _own(self, evse: int, moment: datetime, start: datetime) -> tuple[Profile, Period] | None:
        """What rules for the car there: priority charging, else its transaction, else the default."""
        running, begun = self.transactions.get(evse), self._begun(evse, start)
        first = running and evse in self.priority
        if first and (found := self._strongest(PRIORITY, (evse, 0), moment, begun)):
            return found
        if running and (found := self._strongest(TRANSACTION, (evse,), moment, begun, running[0])):
            return found
        return self._strongest(DEFAULT, (evse, 0), moment, begun)

    def _caps(self, evse: int, moment: datetime, start: datetime) -> list[tuple[Profile, Period]]:
        """What caps from above: the station's own limit, and limits from outside, of which each counts."""
        begun = self._begun(evse, start)
        station = self._strongest(STATION_MAX, (evse,), moment, begun)
        outside = [
            (profile, period)
            for profile in self.profiles
            if profile.purpose == EXTERNAL and profile.evse == evse
            if (period := profile.period_at(moment, begun))
        ]
        return ([station] if station else []) + outside

    def _begun(self, evse: int, start: datetime) -> datetime:
        return self.transactions[evse][1] if evse in self.transactions else start

    def _strongest(
        self, purpose: str, evses: tuple[int, ...], moment: datetime, begun: datetime, transaction: str = ""
    ) -> tuple[Profile, Period] | None:
        best: tuple[Profile, Period] | None = None
        for profile in self.profiles:
            if profile.purpose != purpose or profile.evse not in evses:
                continue
            if transaction and profile.transaction_id and profile.transaction_id != transaction:
                continue
            if best and (profile.stack_level, profile.evse > 0) <= (best[0].stack_level, best[0].evse > 0):
                continue
            if period := profile.period_at(moment, begun):
                best = profile, period
        return best

    def _least(self, caps: Iterable[tuple[Profile, Period]], hardware: Hardware, unit: str) -> Slice:
        limit, phases, binding = hardware.in_unit(unit), hardware.phases, None
        for profile, period in caps:
            used = min(period.phases or hardware.phases, hardware.phases)
            phases = min(phases, used)
            if period.limit is None:
                continue
            value = to_unit(period.limit, profile.unit, unit, used)
            if value < limit:
                limit, binding = value, profile
        return Slice(0, limit, phases, binding)


def energy_wh(slices: Sequence[Slice], seconds: float, most_w: float, unit: str = WATTS) -> float:
    """What flows under these limits in so many seconds, if the car would take `most_w`."""
    total = 0.0
    for place, one in enumerate(slices):
        until = slices[place + 1].start_s if place + 1 < len(slices) else seconds
        length = max(0.0, min(until, seconds) - one.start_s)
        total += min(most_w, to_unit(one.limit, unit, WATTS, one.phases)) * length / 3600
    return total


def number_of(command_id: int) -> int:
    """The id on the wire of a new profile: away from the small ones that stations give their own."""
    return 10_000 + command_id % 2_000_000_000


def fewer(periods: Sequence[Period], most: int) -> tuple[Period, ...]:
    """At most so many periods (K15.FR.05): the last of them keeps to the lowest of those that it stands for."""
    if most < 1 or len(periods) <= most:
        return tuple(periods)
    rest = periods[most - 1 :]
    lowest = min(rest, key=lambda period: float("inf") if period.limit is None else period.limit)
    return (*periods[: most - 1], replace(lowest, start_s=rest[0].start_s))

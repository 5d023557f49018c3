"""Charging profiles: which limit holds at a connector, now and later.

OCPP 1.6 section 3.13 and OCPP 2.0.1 part 2, chapter K: per purpose the valid profile with the highest
stack level rules; a TxProfile replaces TxDefault; the lowest of the purposes' limits holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from simulator.car import NOMINAL_VOLTS
from simulator.clock import read_stamp

NO_LIMIT = float("inf")

# 1.6's word for a purpose -> 2.x's word, under which a profile is kept
PURPOSES = {"ChargePointMaxProfile": "ChargingStationMaxProfile"}


@dataclass(frozen=True)
class Limit:
    """The lesser of both holds. `phases` None: as many as there are."""

    amps: float = NO_LIMIT
    watts: float = NO_LIMIT
    phases: int | None = None
    give_watts: float = 0.0  # 2.1: asked back from a car that can discharge

    def and_(self, other: Limit) -> Limit:
        phases = [count for count in (self.phases, other.phases) if count]
        return Limit(
            min(self.amps, other.amps),
            min(self.watts, other.watts),
            min(phases) if phases else None,
            max(self.give_watts, other.give_watts),
        )


@dataclass
class Period:
    start: int
    limit: float
    phases: int | None = None
    give: float = 0.0  # 2.1: what a setpoint below zero asks back


@dataclass
class Profile:
    id: int
    evse: int
    purpose: str
    stack: int
    kind: str
    unit: str
    periods: list[Period]
    recurrency: str = ""
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    start: datetime | None = None
    duration: int | None = None
    transaction_id: Any = None
    wire: dict[str, Any] = field(default_factory=dict)  # as it came, for ReportChargingProfiles

    def begins(self, at: datetime, transaction_start: datetime | None) -> datetime | None:
        """When the schedule that may cover `at` began."""
        if self.kind == "Relative":
            return transaction_start
        if self.kind == "Recurring" and self.start:
            cycle = timedelta(days=7 if self.recurrency == "Weekly" else 1)
            return self.start + cycle * ((at - self.start) // cycle)
        return self.start or self.valid_from or transaction_start

    def period_at(self, at: datetime, transaction_start: datetime | None) -> Period | None:
        """The period in force at that moment; None when the profile says nothing about it."""
        if (self.valid_from and at < self.valid_from) or (self.valid_to and at >= self.valid_to):
            return None
        begun = self.begins(at, transaction_start) or at
        elapsed = (at - begun).total_seconds()
        if elapsed < 0 or (self.duration is not None and elapsed >= self.duration):
            return None
        current = [period for period in self.periods if period.start <= elapsed]
        return current[-1] if current else None

    def turns(self, start: datetime, end: datetime, transaction_start: datetime | None) -> list[datetime]:
        """The moments between start and end at which this profile's limit may change."""
        begun = self.begins(start, transaction_start) or start
        cycle = {"Weekly": timedelta(days=7), "Daily": timedelta(days=1)}.get(self.recurrency)
        seconds = [period.start for period in self.periods] + ([self.duration] if self.duration else [])
        moments = [moment for moment in (self.valid_from, self.valid_to) if moment]
        for lap in range(3 if cycle else 1):
            lap_start = begun + (cycle * lap if cycle else timedelta(0))
            moments += [lap_start + timedelta(seconds=second) for second in seconds]
        return [moment for moment in moments if start < moment < end]


def read_profile(evse: int, wire: dict[str, Any]) -> Profile:
    """From the payload of either version, with its keys in snake case as the `ocpp` package gives them."""
    schedule = wire["charging_schedule"]
    schedule = schedule[0] if isinstance(schedule, list) else schedule
    return Profile(
        id=wire["charging_profile_id"] if "charging_profile_id" in wire else wire["id"],
        evse=evse,
        purpose=PURPOSES.get(wire["charging_profile_purpose"], wire["charging_profile_purpose"]),
        stack=wire["stack_level"],
        kind=wire["charging_profile_kind"],
        unit=schedule["charging_rate_unit"],
        periods=[_read_period(period) for period in schedule["charging_schedule_period"]],
        recurrency=wire.get("recurrency_kind") or "",
        valid_from=_moment(wire.get("valid_from")),
        valid_to=_moment(wire.get("valid_to")),
        start=_moment(schedule.get("start_schedule")),
        duration=schedule.get("duration"),
        transaction_id=wire.get("transaction_id"),
        wire=wire,
    )


def _read_period(wire: dict[str, Any]) -> Period:
    limit = float(wire["limit"]) if wire.get("limit") is not None else NO_LIMIT
    return Period(
        wire["start_period"],
        _with_setpoint(limit, wire.get("setpoint")),
        wire.get("number_phases"),
        max(0.0, -float(wire.get("setpoint") or 0)),
    )


def _with_setpoint(limit: float, setpoint: float | None) -> float:
    """2.1: a car that takes what it may keeps to a setpoint too; below zero it takes nothing."""
    return limit if setpoint is None else min(limit, max(0.0, float(setpoint)))


def _moment(text: str | None) -> datetime | None:
    return read_stamp(text) if text else None


class Profiles:
    """The profiles a station holds."""

    def __init__(self) -> None:
        self.all: list[Profile] = []
        self.first: set[int] = set()  # EVSEs where priority charging is on (2.1)

    def add(self, profile: Profile) -> None:
        """A profile of the same id, or of the same purpose, stack level and EVSE, is replaced."""

        def same(old: Profile) -> bool:
            place = (old.purpose, old.stack, old.evse) == (profile.purpose, profile.stack, profile.evse)
            return old.id == profile.id or (place and old.transaction_id == profile.transaction_id)

        self.all = [old for old in self.all if not same(old)] + [profile]

    def in_the_way(self, new: Profile) -> bool:
        """Whether another profile holds this place at the same time: 2.x refuses it, 1.6 replaces it."""

        def overlaps(old: Profile) -> bool:
            starts = [p.valid_from for p in (old, new) if p.valid_from]
            ends = [p.valid_to for p in (old, new) if p.valid_to]
            return not (starts and ends) or max(starts) < min(ends)

        place = (new.purpose, new.stack, new.evse, new.transaction_id)
        return any(
            old.id != new.id
            and (old.purpose, old.stack, old.evse, old.transaction_id) == place
            and overlaps(old)
            for old in self.all
        )

    def clear(
        self,
        *,
        id: int | None = None,
        evse: int | None = None,
        purpose: str | None = None,
        stack: int | None = None,
    ) -> int:
        """Drop those that match everything given; an id alone decides. Gives how many went."""
        purpose = PURPOSES.get(purpose, purpose) if purpose else None

        def goes(profile: Profile) -> bool:
            if id is not None:
                return profile.id == id
            return (
                (evse is None or profile.evse == evse)
                and (purpose is None or profile.purpose == purpose)
                and (stack is None or profile.stack == stack)
            )

        kept = [profile for profile in self.all if not goes(profile)]
        gone = len(self.all) - len(kept)
        self.all = kept
        return gone

    def give_priority(self, evse: int, active: bool) -> None:
        (self.first.add if active else self.first.discard)(evse)

    def update_dynamic(self, id: int, values: dict[str, Any]) -> bool:
        """2.1: new values of a dynamic profile. False where there is none of this id."""
        for profile in self.all:
            if profile.id == id and profile.kind == "Dynamic":
                period = profile.periods[0]
                limit = float(values["limit"]) if values.get("limit") is not None else period.limit
                if values.get("setpoint") is not None:
                    limit = NO_LIMIT
                period.limit = _with_setpoint(limit, values.get("setpoint"))
                period.give = max(0.0, -float(values.get("setpoint") or 0))
                return True
        return False

    def end_transaction(self, evse: int) -> None:
        self.first.discard(evse)
        self.all = [p for p in self.all if not (p.purpose == "TxProfile" and p.evse == evse)]

    def limit(self, evse: int, at: datetime, begun: datetime | None, sharing: int = 1) -> Limit:
        """What connector `evse` may take. `sharing`: how many connectors share the station's own limit."""
        station = self._strongest(("ChargingStationMaxProfile",), (0,), at, begun)
        outside = self._strongest(("ChargingStationExternalConstraints",), (0,), at, begun)
        own = self._strongest(("ChargingStationExternalConstraints",), (evse,), at, begun)
        transaction = self._strongest(("TxProfile",), (evse,), at, begun) if begun else None
        if begun and evse in self.first:
            transaction = self._strongest(("PriorityCharging",), (evse, 0), at, begun) or transaction
        chosen = transaction or self._strongest(("TxDefaultProfile",), (evse, 0), at, begun)
        shared = _as_limit(station, sharing).and_(_as_limit(outside, sharing))
        return shared.and_(_as_limit(own)).and_(_as_limit(chosen)).and_(Limit(give_watts=_asked_back(chosen)))

    def _strongest(
        self, purposes: tuple[str, ...], evses: tuple[int, ...], at: datetime, begun: datetime | None
    ) -> tuple[Profile, Period] | None:
        """Of the profiles that say something now: the highest stack, of two alike the EVSE's own."""
        rivals = [p for p in self.all if p.purpose in purposes and p.evse in evses]
        for profile in sorted(rivals, key=lambda p: (-p.stack, -p.evse)):
            if period := profile.period_at(at, begun):
                return profile, period
        return None

    def composite(
        self, evse: int, start: datetime, seconds: int, begun: datetime | None, unit: str, best: Limit
    ) -> list[Period]:
        """The limits of the next seconds as one schedule."""
        end = start + timedelta(seconds=seconds)
        turns = {moment for profile in self.all for moment in profile.turns(start, end, begun)}
        periods: list[Period] = []
        for moment in sorted({start, *turns}):
            limit = self.limit(evse, moment, begun).and_(best)
            value = round(in_unit(limit, unit), 1)
            if not periods or periods[-1].limit != value:
                periods.append(Period(int((moment - start).total_seconds()), value, limit.phases))
        return periods


def _as_limit(ruling: tuple[Profile, Period] | None, sharing: int = 1) -> Limit:
    if ruling is None:
        return Limit()
    profile, period = ruling
    share = period.limit / max(1, sharing)
    return (
        Limit(amps=share, phases=period.phases)
        if profile.unit == "A"
        else Limit(watts=share, phases=period.phases)
    )


def _asked_back(ruling: tuple[Profile, Period] | None) -> float:
    if ruling is None:
        return 0.0
    profile, period = ruling
    return period.give * (1 if profile.unit == "W" else NOMINAL_VOLTS * (period.phases or 3))


def in_unit(limit: Limit, unit: str) -> float:
    """A limit in A per phase or in W in all, over three phases unless it says fewer."""
    phases = limit.phases or 3
    if unit == "A":
        return min(limit.amps, limit.watts / (NOMINAL_VOLTS * phases))
    return min(limit.watts, limit.amps * NOMINAL_VOLTS * phases)


def sharing(transactions: Iterable[Any]) -> int:
    return sum(1 for transaction in transactions if transaction is not None)

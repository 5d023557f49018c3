"""What is known of a session, and what follows from it. Pure.

Messages come twice, late and out of order, so that a session's figures are never computed step by step: what each
message says is merged into the evidence (merging is commutative and idempotent), and `conclude` derives all figures
from the whole of it. The same messages in any order give the same session.

A mark is (milliseconds since 1970, milliwatt-hours): exact integers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Mark = tuple[int, int]

# Flags that follow from the evidence; others ("no_zone", "token_refused", ...) are noted and stay.
SEQ_GAP = "seq_gap"
START_MISSING = "start_missing"
METER_MISSING = "meter_missing"
METER_NEGATIVE = "meter_negative"
METER_ROLLBACK = "meter_rollback"
UNIT_MISMATCH = "unit_mismatch"
ENERGY_ABSURD = "energy_absurd"
READINGS_DISAGREE = "readings_disagree"
STOPS_DIFFER = "stops_differ"
TIMES_REVERSED = "times_reversed"
TOKEN_MISSING = "token_missing"

# A register may be told in kWh with one decimal: less is no contradiction.
TOLERANCE_MWH = 100_000
# Generous: a connector's rating may be noted wrongly and clocks drift. Wh taken for kWh is a factor of 1000.
RATING_FACTOR = 2
SLACK_HOURS = 0.25
SLACK_WH = 2_000
UNKNOWN_RATING_W = 400_000
PEAK_LIMIT_W = 1_000_000  # a power told above it is a unit confusion and proves nothing
# Two registers of one meter that differ by such a factor were told in different units; the second, where kWh was told
# as Wh on one side and Wh as kWh on the other.
_UNIT_FACTORS = ((300, 3_000), (300_000, 3_000_000))
MOST_STATES = 100
# Between registers that are told in whole Wh, by clocks of whole seconds; less proves no power.
LEAST_SPAN_MS = 5_000


@dataclass(slots=True)
class Evidence:
    begins: list[Mark] = field(
        default_factory=list
    )  # the register at the start: lowest and highest mark told
    ends: list[Mark] = field(default_factory=list)  # the same at the stop
    first: Mark | None = None  # register readings on the way: the earliest, the latest
    last: Mark | None = None
    low: int | None = None  # and the least and most they showed
    high: int | None = None
    started: Mark | None = None  # (told, received)
    ended: Mark | None = None
    ended_latest: int | None = None
    earliest: int | None = None  # of any message
    latest: int | None = None
    seqs: list[list[int]] = field(default_factory=list)  # ranges of sequence numbers seen
    expects_start: bool = False  # 2.x: tells its start by an event that may be missing
    after: int | None = None  # messages dated before it belong to an earlier transaction of the same id
    peak_w: float = 0.0
    closed: Mark | None = None  # by the guardian: (when, register)
    notes: list[str] = field(default_factory=list)
    token: list[Any] | None = None  # [rank, milliseconds, uid]: a start's token before a later one's
    states: list[list[Any]] = field(default_factory=list)  # [milliseconds, charging state], in order of time
    reason: list[Any] | None = None  # [milliseconds, why it stopped]
    # circumstance: [milliseconds, its latest value]
    around: dict[str, list[Any]] = field(default_factory=dict)

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Evidence:
        evidence = cls(**kept)
        evidence.begins = [(m[0], m[1]) for m in evidence.begins]
        evidence.ends = [(m[0], m[1]) for m in evidence.ends]
        for name in ("first", "last", "started", "ended", "closed"):
            mark = getattr(evidence, name)
            if mark is not None:
                setattr(evidence, name, (mark[0], mark[1]))
        return evidence

    def to_json(self) -> dict[str, Any]:
        """Only what is known."""
        return {name: value for name, value in _items(self) if value or (value == 0 and value is not False)}

    def begin(self, at: int, register: int) -> None:
        self.begins = _spread(self.begins, (at, register))

    def end(self, at: int, register: int) -> None:
        self.ends = _spread(self.ends, (at, register))

    def register(self, at: int, register: int) -> None:
        mark = (at, register)
        self.first = mark if self.first is None else min(self.first, mark)
        self.last = mark if self.last is None else max(self.last, mark)
        self.low = register if self.low is None else min(self.low, register)
        self.high = register if self.high is None else max(self.high, register)

    def power(self, watts: float) -> None:
        if watts > self.peak_w:
            self.peak_w = watts

    def heard(self, at: int) -> None:
        self.earliest = at if self.earliest is None else min(self.earliest, at)
        self.latest = at if self.latest is None else max(self.latest, at)

    def start(self, at: int, received: int) -> None:
        self.started = (at, received) if self.started is None else min(self.started, (at, received))

    def stop(self, at: int, received: int, reason: str) -> None:
        self.ended = (at, received) if self.ended is None else min(self.ended, (at, received))
        self.ended_latest = max(self.ended_latest or at, at)
        if reason:
            self.reason = min(self.reason or [at, reason], [at, reason])

    def show(self, rank: int, at: int, uid: str) -> None:
        self.token = min(self.token or [rank, at, uid], [rank, at, uid])

    def state(self, at: int, state: str) -> None:
        entry = [at, state]
        if entry in self.states:
            return
        self.states = sorted([*self.states, entry])
        if len(self.states) > MOST_STATES:  # a chatty station: what only repeats its predecessor goes first
            changes = [one for n, one in enumerate(self.states) if n == 0 or one[1] != self.states[n - 1][1]]
            self.states = changes[: MOST_STATES // 2] + changes[MOST_STATES // 2 :][-MOST_STATES // 2 :]

    def circumstance(self, at: int, name: str, value: Any) -> None:
        before = self.around.get(name)
        if before is None or (at, str(value)) > (before[0], str(before[1])):
            self.around[name] = [at, value]

    def note(self, *flags: str) -> None:
        for flag in flags:
            if flag not in self.notes:
                self.notes = sorted([*self.notes, flag])

    def sequence(self, number: int) -> None:
        """Enter a sequence number into the ranges seen."""
        ranges = self.seqs
        if ranges and ranges[-1][1] + 1 == number:  # the usual case
            ranges[-1][1] = number
            return
        if any(low <= number <= high for low, high in ranges):
            return
        merged: list[list[int]] = []
        for low, high in sorted([*ranges, [number, number]]):
            if merged and low <= merged[-1][1] + 1:
                merged[-1][1] = max(merged[-1][1], high)
            else:
                merged.append([low, high])
        self.seqs = merged[:1] + merged[-31:] if len(merged) > 32 else merged  # a mad counter costs no memory


@dataclass(slots=True)
class Conclusion:
    meter_start: int | None
    meter_stop: int | None  # None while it runs
    meter_last: int | None
    energy: int  # mWh; the best figure there is, to be billed only when nothing holds it
    flags: set[str]


def conclude(evidence: Evidence, *, rating_w: int) -> Conclusion:
    """Meter figures and flags from all that is known."""
    begin = _earliest(evidence)
    over = evidence.ended is not None or evidence.closed is not None
    end = _final(evidence) if over else None
    flags = _sequence_flags(evidence)
    last = evidence.last[1] if evidence.last else None
    if not over:
        return Conclusion(begin, None, last, _so_far(evidence, begin, rating_w), flags)
    flags |= _stop_flags(evidence)
    if begin is None or end is None or _lone_mark(evidence):
        energy = _so_far(evidence, begin, rating_w)
        flags.add(METER_MISSING)
        return Conclusion(begin, end, last, energy, flags | _token_flags(evidence, energy))
    bound = energy_bound(evidence, rating_w)
    flags |= _meter_flags(begin, end, bound) | _reading_flags(evidence, begin, end, bound)
    flags |= _token_flags(evidence, end - begin)
    return Conclusion(begin, end, last if last is not None else end, end - begin, flags)


def energy_bound(evidence: Evidence, rating_w: int) -> int:
    """More (mWh) cannot have flowed within the time known, be the connector's rating told roughly."""
    moments = [mark[0] for mark in (evidence.started, evidence.ended, evidence.first, evidence.last) if mark]
    moments += [at for at in (evidence.earliest, evidence.latest) if at is not None]
    hours = (max(moments) - min(moments)) / 3_600_000 if moments else 0.0
    watts = max(rating_w or UNKNOWN_RATING_W, min(evidence.peak_w, PEAK_LIMIT_W))
    return int((RATING_FACTOR * watts * (hours + SLACK_HOURS) + SLACK_WH) * 1000)


def mean_power(before: Mark, after: Mark, *, rating_w: int) -> float | None:
    """W between two registers of one meter; None where they prove nothing: too close together, fallen, or more than
    the connector could give."""
    span, drawn = after[0] - before[0], after[1] - before[1]
    if span < LEAST_SPAN_MS or drawn < 0:
        return None
    watts = drawn * 3600 / span  # mWh an hour, ms
    return round(watts, 1) if watts <= RATING_FACTOR * (rating_w or UNKNOWN_RATING_W) else None


def _earliest(evidence: Evidence) -> int | None:
    """The register at the start: as told for it, else the first reading."""
    if evidence.begins:
        return evidence.begins[0][1]
    return evidence.first[1] if evidence.first else None


def _final(evidence: Evidence) -> int | None:
    """The register at the stop: as told for it, else the last reading."""
    if evidence.ended is None and evidence.closed is not None:
        return evidence.closed[1]
    if evidence.ends:
        return evidence.ends[-1][1]
    return evidence.last[1] if evidence.last else None


def _lone_mark(evidence: Evidence) -> bool:
    """One value cannot be start and stop at once."""
    if (evidence.begins and evidence.ends) or (evidence.closed and not evidence.ended):
        return False
    return len({*evidence.begins, *evidence.ends, evidence.first, evidence.last} - {None}) < 2


def _so_far(evidence: Evidence, begin: int | None, rating_w: int) -> int:
    """What a running session has drawn, as far as the registers make sense."""
    if evidence.last is None or begin is None:
        return 0
    bound = energy_bound(evidence, rating_w)
    for base in (begin, evidence.first[1] if evidence.first else begin):
        if 0 <= evidence.last[1] - base <= bound:
            return evidence.last[1] - base
    return 0


def _sequence_flags(evidence: Evidence) -> set[str]:
    flags = set()
    if len(evidence.seqs) > 1:
        flags.add(SEQ_GAP)
    if evidence.expects_start and evidence.started is None:
        flags.add(START_MISSING)
    return flags


def _token_flags(evidence: Evidence, energy: int) -> set[str]:
    """Who charged was never said: neither by an event, were it "NoAuthorization", nor by who asked for the start.

    Only 2.x can leave it out; its sessions expect a start that is told.
    """
    return {TOKEN_MISSING} if evidence.expects_start and evidence.token is None and energy > 0 else set()


def _stop_flags(evidence: Evidence) -> set[str]:
    flags = set()
    registers = [register for _at, register in evidence.ends]
    if registers and max(registers) - min(registers) > TOLERANCE_MWH:
        flags.add(STOPS_DIFFER)
    if evidence.started and evidence.ended and evidence.ended[0] < evidence.started[0]:
        flags.add(TIMES_REVERSED)
    return flags


def _meter_flags(begin: int, end: int, bound: int) -> set[str]:
    flags = set()
    if begin < 0 or end < 0:
        flags.add(METER_NEGATIVE)
    if end < begin:
        flags.add(METER_ROLLBACK)
        if _units_differ(begin, end):
            flags.add(UNIT_MISMATCH)
    elif end - begin > bound:
        flags.add(ENERGY_ABSURD)
        if _units_differ(end, begin):
            flags.add(UNIT_MISMATCH)
    return flags


def _reading_flags(evidence: Evidence, begin: int, end: int, bound: int) -> set[str]:
    """Do the readings on the way contradict start and stop?

    A register that fell on the way was reset. Readings a thousand times off were told in the wrong unit; if they
    would be plausible in themselves, start and stop may be the wrong ones, and a person has to look.
    """
    if evidence.first is None or evidence.last is None or evidence.high is None or evidence.low is None:
        return set()
    above, below = evidence.high > end + TOLERANCE_MWH, evidence.low < begin - TOLERANCE_MWH
    if not above and not below:
        return set()
    off = _units_differ(evidence.high, end) or (below and _units_differ(begin, max(evidence.low, 1)))
    drawn = evidence.last[1] - evidence.first[1]
    if off:
        plausible = 0 <= drawn <= bound
        return {UNIT_MISMATCH} if plausible else {READINGS_DISAGREE}
    if above and evidence.high - begin <= bound:
        return {METER_ROLLBACK}
    return {READINGS_DISAGREE}


def _units_differ(large: int, small: int) -> bool:
    return small > 0 and any(least <= large / small <= most for least, most in _UNIT_FACTORS)


def _spread(marks: list[Mark], mark: Mark) -> list[Mark]:
    if not marks:
        return [mark]
    low, high = min(marks[0], mark), max(marks[-1], mark)
    return [low] if low == high else [low, high]


def _items(evidence: Evidence) -> list[tuple[str, Any]]:
    return [(name, getattr(evidence, name)) for name in Evidence.__slots__]

"""A session's sheet: the row as the verbs work on it, and how its figures follow from the evidence."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from fleets.models import Verdict
from stations.models import SessionState
from stations.services import clock, evidence, holding
from stations.services.evidence import Evidence

# Noted when a person has decided upon the figures, and when a stop came after the price: both freeze the figures.
REVIEWED = "reviewed"
LATE_STOP = "late_stop"
GUARDIAN_UNSURE = "guardian_unsure"
# States that messages may still change. A rated or void session was decided upon: messages only leave marks.
OPEN_STATES = frozenset({SessionState.ACTIVE.value, SessionState.ENDED.value, SessionState.HELD.value})


@dataclass(slots=True)
class Sheet:
    id: int
    station_id: int
    evse_id: int
    evse_number: int
    connector_id: int | None
    site_id: int
    rating_w: int
    transaction_id: str
    state: str
    token_uid: str
    token_id: int | None
    driver_id: int | None
    fleet_id: int | None
    verdict: str
    stop_token_uid: str
    started_at: datetime
    ended_at: datetime | None
    started_received_at: datetime
    ended_received_at: datetime | None
    energy_wh: Decimal
    power_w: float | None
    soc_percent: float | None
    last_reading_at: datetime | None
    last_progress_at: datetime | None
    charging_state: str
    stop_reason: str
    held_reason: str
    transaction_number: int | None
    evidence: Evidence
    start_key: str = ""
    tariff: dict[str, Any] | None = None
    currency: str = ""
    remote_command_id: int | None = None
    meter_start_wh: Decimal | None = None
    meter_stop_wh: Decimal | None = None
    meter_last_wh: Decimal | None = None
    last_seq_no: int | None = None
    flags: list[str] = field(default_factory=list)
    state_before: str = ""
    version: str = ""  # of the row as it was loaded

    @property
    def is_active(self) -> bool:
        return self.state == SessionState.ACTIVE

    @property
    def is_open(self) -> bool:
        """May messages still change the figures? Not once it has a price, or a person has decided."""
        return self.state in OPEN_STATES and not {REVIEWED, LATE_STOP} & set(self.evidence.notes)

    def conclude(self) -> None:
        """Bring every figure in line with the evidence."""
        known = self.evidence
        figures = evidence.conclude(known, rating_w=self.rating_w)
        progress = _wh(figures.energy)
        if progress > self.energy_wh and known.last is not None:
            self.last_progress_at = clock.from_milliseconds(known.last[0])
        self._set_times()
        self.charging_state = known.states[-1][1] if known.states else self.charging_state
        self.stop_reason = known.reason[1][:40] if known.reason else self.stop_reason
        self.last_seq_no = known.seqs[-1][1] if known.seqs else None
        self.flags = sorted(figures.flags | set(known.notes))
        if known.ended is not None and GUARDIAN_UNSURE in self.flags:
            self.flags.remove(GUARDIAN_UNSURE)  # the stop came after all
        if not self.is_open:
            return
        self.meter_start_wh, self.meter_stop_wh = (
            _optional(figures.meter_start),
            _optional(figures.meter_stop),
        )
        self.meter_last_wh, self.energy_wh = _optional(figures.meter_last), progress
        if known.ended is not None or known.closed is not None:
            self.power_w = None
            self.held_reason = holding.reason(self.flags, verdict=self.verdict, energy_wh=self.energy_wh)
            self.state = SessionState.HELD.value if self.held_reason else SessionState.ENDED.value

    def _set_times(self) -> None:
        known = self.evidence
        if not self.is_open:
            return
        if known.started is not None:
            self.started_at = clock.from_milliseconds(known.started[0])
        elif known.earliest is not None:
            self.started_at = clock.from_milliseconds(known.earliest)
        end = known.ended or known.closed
        if end is not None:
            self.ended_at = max(clock.from_milliseconds(end[0]), self.started_at)


def _wh(milli: int) -> Decimal:
    return Decimal(milli).scaleb(-3)


def _optional(milli: int | None) -> Decimal | None:
    return None if milli is None else _wh(milli)


def milli(wh: Decimal) -> int:
    return int(wh.scaleb(3).to_integral_value())


def new(
    *,
    place: Any,
    transaction_id: str,
    start_key: str,
    started_at: datetime,
    received_at: datetime,
) -> Sheet:
    """A running session at a place, not yet written."""
    return Sheet(
        id=0, station_id=place.station_id, evse_id=place.evse_id, evse_number=place.evse_number,
        connector_id=place.connector_id, site_id=place.site_id, rating_w=place.max_power_w,
        transaction_id=transaction_id, state=SessionState.ACTIVE.value, token_uid="", token_id=None, driver_id=None,
        fleet_id=None, verdict=Verdict.ACCEPTED.value, stop_token_uid="", started_at=started_at, ended_at=None,
        started_received_at=received_at, ended_received_at=None, energy_wh=Decimal(0), power_w=None,
        soc_percent=None, last_reading_at=None, last_progress_at=None, charging_state="", stop_reason="",
        held_reason="", transaction_number=None, evidence=Evidence(), start_key=start_key,
    )  # fmt: skip

"""A transaction as the station sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from simulator.readings import Readings


@dataclass
class Token:
    """Who charges. `kind` is a 2.x idToken type; 1.6 sends the text alone."""

    uid: str
    kind: str = "ISO14443"


@dataclass
class Transaction:
    """`id` is given by the other side in 1.6 (None until it has answered), by the station in 2.x."""

    connector: int
    token: Token | None
    meter_start_wh: int
    started_at: datetime
    id: Any = None
    remote_start_id: int | None = None
    reservation_id: int | None = None
    verdict: str = ""
    meter_stop_wh: int | None = None
    stopped_at: datetime | None = None
    reason: str = ""
    seq_no: int = 0
    charging_state: str = ""  # the last one told, 2.x
    announced: bool = False  # 2.x: Started was sent
    authorized: bool = False
    total_cost: float | None = None
    limit: dict[str, Any] = field(default_factory=dict)  # 2.1: max_cost, max_energy, max_time, max_soc
    allowed: list[str] | None = None  # 2.1: ways of transfer that the operator allows; None: as the car likes
    begin: Readings | None = None
    next_sample: float = 0.0  # simulated seconds
    history: list[Readings] = field(default_factory=list)

    @property
    def open(self) -> bool:
        return self.stopped_at is None

    @property
    def may_give(self) -> bool:
        return self.allowed is None or any("BPT" in way for way in self.allowed)

    @property
    def energy_wh(self) -> int | None:
        return None if self.meter_stop_wh is None else self.meter_stop_wh - self.meter_start_wh

    def next_seq_no(self) -> int:
        number, self.seq_no = self.seq_no, self.seq_no + 1
        return number

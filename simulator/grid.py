"""What a station does for the grid (OCPP 2.1 block R): the controls it holds, and which of them gives way."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from simulator.clock import read_stamp


@dataclass
class Control:
    id: str
    kind: str  # DERControlEnumType
    is_default: bool
    member: str  # under which its body came: curve, freq_droop, ...
    body: dict[str, Any]
    superseded: bool = False
    taken_at: datetime | None = None
    running: bool = False

    def starts(self) -> datetime | None:
        text = self.body.get("start_time")
        return read_stamp(text) if text else None

    def ends(self) -> datetime | None:
        """None: it stays until it is cleared."""
        begins = self.starts() or self.taken_at
        seconds = self.body.get("duration")
        return begins + timedelta(seconds=seconds) if begins and seconds else None

    def report(self) -> dict[str, Any]:
        """An entry of ReportDERControl."""
        inner = "fixed_pf" if self.member.startswith("fixed_pf") else self.member
        told: dict[str, Any] = {"id": self.id, inner: self.body}
        if self.member not in ("enter_service", "gradient"):
            told |= {"is_default": self.is_default, "is_superseded": self.superseded}
        return told | ({"curve_type": self.kind} if self.member == "curve" else {})


@dataclass
class Grid:
    controls: dict[str, Control] = field(default_factory=dict)
    signals: list[int] = field(default_factory=list)  # of AFRRSignal

    def take(self, control: Control, now: datetime) -> list[str]:
        """Hold a control. Gives the ids of those of its kind that give way now: as urgent or less (R04)."""
        begins = control.starts()
        control.taken_at = now
        control.running = begins is None or begins <= now
        self.controls[control.id] = control
        return self._supersede(control) if control.running else []

    def _supersede(self, control: Control) -> list[str]:
        gone = [
            other
            for other in self.controls.values()
            if other.kind == control.kind
            and other.id != control.id
            and other.running
            and not other.superseded
            if other.is_default == control.is_default
            and other.body.get("priority", 0) >= control.body.get("priority", 0)
        ]
        for other in gone:
            other.superseded = True
        return [other.id for other in gone]

    @property
    def waiting(self) -> bool:
        """Whether a control is yet to begin or to end by itself."""
        return any(not one.running or one.ends() for one in self.controls.values())

    def turned(self, now: datetime) -> list[tuple[str, bool, list[str]]]:
        """The controls that have begun (and whom they supersede) or ended since the last look."""
        found: list[tuple[str, bool, list[str]]] = []
        for control in list(self.controls.values()):
            begins, ends = control.starts(), control.ends()
            if not control.running and begins is not None and begins <= now:
                control.running = True
                found.append((control.id, True, self._supersede(control)))
            if control.running and ends is not None and ends <= now:
                del self.controls[control.id]
                found.append((control.id, False, []))
        return found

    def matching(
        self,
        is_default: bool | None = None,
        control_type: str | None = None,
        control_id: str | None = None,
        **_: Any,
    ) -> list[Control]:
        return [
            control
            for control in self.controls.values()
            if (is_default is None or control.is_default == is_default)
            and (control_type is None or control.kind == control_type)
            and (control_id is None or control.id == control_id)
        ]

    def clear(self, **criteria: Any) -> int:
        gone = self.matching(**criteria)
        for control in gone:
            del self.controls[control.id]
        return len(gone)

"""What a station does for the grid (OCPP 2.1 block R): the controls it holds, and which of them gives way."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
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

    def starts(self) -> datetime | None:
        text = self.body.get("start_time")
        return read_stamp(text) if text else None

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
        waits = begins is not None and begins > now
        gone = [
            other
            for other in self.controls.values()
            if other.kind == control.kind and other.id != control.id and not other.superseded and not waits
            if other.is_default == control.is_default
            and other.body.get("priority", 0) >= control.body.get("priority", 0)
        ]
        for other in gone:
            other.superseded = True
        self.controls[control.id] = control
        return [other.id for other in gone]

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

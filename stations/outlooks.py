"""What load management has in mind with sessions that run. Only a layer above knows it: `cpo` plugs it in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from stations.models import Session


@dataclass(frozen=True)
class Outlook:
    """`sentence`: what it does now. `need_wh`, `departure_at`: what it plans with, Wh still to come; None: not known.
    `ready_at`: when the car will have it, by the plan of the day. `missing_wh`: what it will lack at its departure.
    `is_old`: that plan knows nothing yet of what people said since, so neither is told."""

    sentence: str
    need_wh: float | None = None
    departure_at: datetime | None = None
    ready_at: datetime | None = None
    missing_wh: float = 0.0
    is_old: bool = False


Find = Callable[[int, Sequence[Session]], Mapping[int, Outlook]]
_finds: list[Find] = []


def plug_in(find: Find) -> None:
    _finds[:] = [find]


def of_session(session: Session) -> Outlook | None:
    """None where nobody steers it at the moment."""
    return _finds[0](session.tenant_id, [session]).get(session.pk) if _finds else None

"""Under which circumstances a session charges, as its station tells: why a car is slow, and which way the energy goes.

Kept in the session's evidence, the latest of each: `phases` (1 to 3), `cable_a` (A, what the cable bears), `charging_s`
(s, time in which energy flowed), and of OCPP 2.1 `mode` (a word of MODES), `battery` (a word of BATTERY), `asleep`.
"""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from stations.models import Session
from stations.services.evidence import Evidence

MODES = {
    "idle": gettext_lazy("Idle"),
    "charging_only": gettext_lazy("Charging only"),
    "central_setpoint": gettext_lazy("Setpoint from here"),
    "external_setpoint": gettext_lazy("Setpoint of another system"),
    "external_limits": gettext_lazy("Limits of another system"),
    "central_frequency": gettext_lazy("Frequency support from here"),
    "local_frequency": gettext_lazy("Frequency support by the station"),
    "local_load_balancing": gettext_lazy("Load balancing on site"),
}
BATTERY = {
    "ready": gettext_lazy("ready"),
    "not_ready": gettext_lazy("too cold or too warm"),
    "preconditioning": gettext_lazy("being brought to temperature"),
}


# Energy flows no longer than the session lasts (2.x TransactionType): more is milliseconds, or of all sessions.
SLACK_S = 3600  # of clocks


def of_session(session: Session) -> dict[str, Any]:
    return {name: value for name, (_at, value) in sorted(Evidence.from_json(session.evidence).around.items())}


def rows(session: Session) -> list[tuple[str, str, Any]]:
    """(name, what it is called, its value in words; of `charging_s` the seconds)."""
    told = of_session(session)
    words: list[tuple[str, str, Any]] = []
    if "phases" in told:
        words.append(("phases", _("Phases in use"), str(told["phases"])))
    if "cable_a" in told:
        words.append(("cable_a", _("The cable bears"), f"{told['cable_a']} A"))
    if told.get("charging_s") and told["charging_s"] <= _lasted_s(session) + SLACK_S:
        words.append(("charging_s", _("Time with energy"), told["charging_s"]))
    if told.get("mode") in MODES:
        words.append(("mode", _("Mode"), MODES[told["mode"]]))
    if told.get("battery") in BATTERY:
        words.append(("battery", _("The car's battery"), BATTERY[told["battery"]]))
    if told.get("asleep"):
        words.append(("asleep", _("Power electronics"), _("asleep, to save energy")))
    return words


def _lasted_s(session: Session) -> float:
    return ((session.ended_at or timezone.now()) - session.started_at).total_seconds()

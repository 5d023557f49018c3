"""Issues in words: their evidence, and each line of their life."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.template.defaultfilters import date as format_date
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from stations.event_words import said
from stations.health import failure_text, length_text
from stations.history import Happening
from stations.models import CommandState, Issue, IssueEvent, Resolution, StepKind

MOST_PLACES = 5  # are named; the rest is counted
WAITS = {
    "offline": "cloud-off",
    "busy": "bolt",
    "limit": "hourglass",
    "other": "hourglass",
}


def evidence(told: dict[str, Any]) -> list[str]:
    """What speaks for it, one short sentence each."""
    found: list[str] = []
    words = [said(str(told[name])) for name in ("info", "error", "vendor_error", "text") if told.get(name)]
    if words:
        found.append(_("The station says: %(words)s") % {"words": ", ".join(dict.fromkeys(words))})
    if told.get("running"):
        running = int(told["running"])
        text = ngettext("%(count)s session runs there", "%(count)s sessions run there", running)
        found.append(text % {"count": running})
    if told.get("ahead_s"):
        length = length_text(timedelta(seconds=abs(told["ahead_s"])))
        found.append(
            (_("%(length)s ahead") if told["ahead_s"] > 0 else _("%(length)s behind")) % {"length": length}
        )
    if told.get("registration"):
        found.append(_("Its registration here is %(state)s") % {"state": told["registration"]})
    if told.get("usual_hours"):
        found.append(_("usually one session every %(hours)s hours") % {"hours": told["usual_hours"]})
    if told.get("session"):
        found.append(_("Session #%(id)s") % {"id": told["session"]})
    found += [
        _("%(part)s of %(node)s: %(load)s of %(limit)s") % row
        for row in told.get("over") or ()
        if isinstance(row, dict) and {"part", "node", "load", "limit"} <= row.keys()
    ]
    if told.get("waiting"):
        waiting = int(told["waiting"])
        text = ngettext("%(count)s car waits for its turn", "%(count)s cars wait for their turn", waiting)
        found.append(text % {"count": waiting})
    if places := told.get("places"):
        more = len(places) - MOST_PLACES
        rest = [ngettext("%(count)s more", "%(count)s more", more) % {"count": more}] if more > 0 else []
        found.append(", ".join([*places[:MOST_PLACES], *rest]))
    if told.get("meters"):
        found.append(_("Meter: %(names)s") % {"names": ", ".join(told["meters"])})
    if told.get("draws_a") is not None:
        found.append(
            _("it draws %(draws)s A, told %(asked)s A")
            % {"draws": told["draws_a"], "asked": told.get("asked_a")}
        )
    if "limit_by" in told:
        who = str(told["limit_by"])
        found.append(_("limit set by %(who)s") % {"who": who} if who else _("a limit that is in the station"))
    if told.get("why"):
        found += [failure_text(why.strip()) for why in str(told["why"]).split(",")]
    if told.get("count"):
        found.append(ngettext("%(count)s time", "%(count)s times", told["count"]) % {"count": told["count"]})
    return found


def blocked(reason: str) -> str:
    """Why the next step waits."""
    return {
        "offline": _("The station is offline."),
        "busy": _("A car charges there, or is plugged in with a card accepted."),
        "limit": _("It was reset often enough within a day."),
        "other": _("It was reset a moment ago for another issue."),
    }.get(reason, "")


def _moment(text: str | None) -> str:
    at = parse_datetime(text or "")
    return format_date(timezone.localtime(at), "j M, H:i") if at else ""


def _step(kind: str) -> str:
    return str(StepKind(kind).label) if kind in StepKind.values else kind


def line(event: IssueEvent) -> Happening:
    """A line of its life."""
    data = event.data
    by = _("by %(who)s") % {"who": event.actor_label} if event.actor_label else ""
    state, text, detail, icon = _line(event.kind, data, event.text)
    return Happening(event.at, state, text, ", ".join(filter(None, (detail, by))), None, icon)


def _line(kind: str, data: dict[str, Any], words: str) -> tuple[str, str, str, str]:
    told = ", ".join(evidence(data))
    if kind == "opened":
        return "faulted", _("Noticed"), told, "alert-circle"
    if kind == "reopened":
        return "warning", _("It came back"), told, "refresh-alert"
    if kind == "step":
        text = _("Step %(number)s of %(of)s: %(step)s") % {
            "number": data.get("number"), "of": data.get("of"), "step": _step(data.get("step", "")),
        }  # fmt: skip
        return "charging", text, "", "tool"
    if kind == "step_result":
        state = data.get("state", "")
        label = str(CommandState(state).label) if state in CommandState.values else state
        return state, label, data.get("detail") or "", "message-2"
    if kind == "waits":
        text = _("%(step)s waits") % {"step": _step(data.get("step", ""))}
        return "neutral", text, blocked(data.get("why", "")), WAITS.get(data.get("why", ""), "hourglass")
    if kind == "round_failed":
        text = _("All steps were taken and it is still there")
        return "warning", text, _("next try not before %(at)s") % {"at": _moment(data.get("next_at"))}, "x"
    if kind == "escalated":
        why = _("recovery did not help") if data.get("why") == "recovery" else _("it lasted too long")
        return "faulted", _("Escalated"), why, "arrow-up"
    if kind == "mailed":
        return "neutral", _("Mail sent"), ", ".join(data.get("to", [])), "mail"
    return _people(kind, data, words)


def _people(kind: str, data: dict[str, Any], words: str) -> tuple[str, str, str, str]:
    if kind == "assigned":
        name = data.get("name")
        text = _("Given to %(name)s") % {"name": name} if name else _("Given to nobody")
        return "neutral", text, "", "user"
    if kind == "snoozed":
        return "neutral", _("Quiet until %(at)s") % {"at": _moment(data.get("until"))}, "", "clock"
    if kind == "woken":
        return "neutral", _("No longer quiet"), "", "clock"
    if kind == "comment":
        return "neutral", words, "", "message-2"
    if kind == "recovery_asked":
        return "charging", _("Recovery asked for"), "", "tool"
    if kind == "resolved":
        return "available", ending(data.get("resolution", ""), data.get("helped_by", "")), ", ".join(
            filter(None, (words, _after(data)))
        ), "circle-check"  # fmt: skip
    return "info", kind, words, ""


def _after(data: dict[str, Any]) -> str:
    length = length_text(timedelta(seconds=data.get("seconds") or 0))
    return _("after %(length)s") % {"length": length}


def ending(resolution: str, helped_by: str) -> str:
    """How it ended: what helped."""
    if resolution == Resolution.RECOVERED:
        return _("Resolved: %(step)s helped") % {"step": _step(helped_by)}
    return (
        {
            Resolution.BY_HAND: _("Resolved by hand"),
            Resolution.BY_ITSELF: _("Resolved: it went away by itself"),
            Resolution.CLOSED: _("Closed"),
            Resolution.GONE: _("Ended: the station or the rule is gone"),
        }.get(Resolution(resolution), _("Resolved"))
        if resolution in Resolution.values
        else _("Resolved")
    )


def took(issue: Issue) -> timedelta:
    return (issue.resolved_at or timezone.now()) - issue.opened_at

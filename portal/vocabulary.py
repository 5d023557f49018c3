"""The one vocabulary of states: colour, icon and word go together everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True)
class Appearance:
    tone: str  # data-state of tokens.css, gives the colour
    icon: str  # of @tabler/icons
    word: Any


_TABLE: dict[str, Appearance] = {
    # connectors
    "available": Appearance("available", "circle-check", _("Available")),
    "preparing": Appearance("preparing", "plug", _("Preparing")),
    "occupied": Appearance("occupied", "plug", _("Plugged in")),
    "charging": Appearance("charging", "bolt", _("Charging")),
    "suspended_ev": Appearance("suspended_ev", "player-pause", _("Paused by the car")),
    "suspended_evse": Appearance("suspended_evse", "player-pause", _("Paused by the station")),
    "finishing": Appearance("finishing", "plug-x", _("Finishing")),
    "reserved": Appearance("reserved", "bookmark", _("Reserved")),
    "unavailable": Appearance("unavailable", "ban", _("Out of service")),
    "faulted": Appearance("faulted", "alert-triangle", _("Faulted")),
    "unknown": Appearance("unknown", "help-circle", _("Unknown")),
    "offline": Appearance("offline", "cloud-off", _("Offline")),
    "online": Appearance("available", "wifi", _("Online")),
    # commands
    "queued": Appearance("neutral", "clock", _("Waiting")),
    "sent": Appearance("charging", "send", _("Sent, no answer yet")),
    "accepted": Appearance("available", "circle-check", _("Accepted")),
    "rejected": Appearance("faulted", "circle-x", _("Refused by the station")),
    "failed": Appearance("faulted", "alert-triangle", _("Failed")),
    "timed_out": Appearance("warning", "clock-x", _("No answer")),
    "expired": Appearance("warning", "clock-x", _("Not delivered in time")),
    "cancelled": Appearance("neutral", "ban", _("Cancelled")),
    # logs, firmware, campaigns
    "requested": Appearance("charging", "send", _("Asked for")),
    "uploading": Appearance("charging", "upload", _("Uploading")),
    "uploaded": Appearance("available", "file-check", _("Here")),
    "replaced": Appearance("neutral", "replace", _("Replaced by a newer request")),
    "downloading": Appearance("charging", "download", _("Downloading")),
    "downloaded": Appearance("charging", "package", _("Downloaded")),
    "installing": Appearance("preparing", "refresh", _("Installing")),
    "skipped": Appearance("unavailable", "player-skip-forward", _("Left out")),
    "running": Appearance("charging", "player-play", _("Running")),
    "paused": Appearance("suspended_ev", "player-pause", _("Paused")),
    "halted": Appearance("faulted", "hand-stop", _("Halted")),
    "finished": Appearance("available", "circle-check", _("Finished")),
    "published": Appearance("available", "circle-check", _("Published")),
    "withdrawn": Appearance("neutral", "ban", _("Withdrawn")),
    # messages, tariffs, payments and batteries at stations
    "waiting": Appearance("neutral", "clock", _("On its way")),
    "shown": Appearance("available", "device-tv", _("On the display")),
    "refused": Appearance("faulted", "circle-x", _("Refused")),
    "unreached": Appearance("warning", "cloud-off", _("Station not reached")),
    "clearing": Appearance("neutral", "clock", _("Being taken off")),
    "cleared": Appearance("neutral", "eraser", _("Taken off")),
    "display_expired": Appearance("neutral", "calendar-off", _("Over")),
    "missing": Appearance("warning", "help-circle", _("The station has it no more")),
    "installed": Appearance("available", "circle-check", _("Installed")),
    "drift": Appearance("warning", "alert-circle", _("The station has another one")),
    "settled": Appearance("available", "circle-check", _("Paid")),
    "canceled": Appearance("neutral", "ban", _("Called off")),
    "open": Appearance("preparing", "hourglass", _("Driver is paying")),
    "authorized": Appearance("charging", "credit-card", _("Paid, charging is asked for")),
    "started": Appearance("available", "circle-check", _("Charging asked for and accepted")),
    "abandoned": Appearance("neutral", "clock-x", _("Not paid in time")),
    "asked": Appearance("neutral", "send", _("Asked for")),
    "battery_in": Appearance("charging", "battery-charging", _("Old battery is in")),
    "swap_done": Appearance("available", "circle-check", _("Swapped")),
    "out_timeout": Appearance("warning", "clock-x", _("Battery not taken in time")),
    # sessions
    "active": Appearance("charging", "bolt", _("Running")),
    "ended": Appearance("preparing", "hourglass", _("Ended, price follows")),
    "rated": Appearance("neutral", "check", _("Completed")),
    "held": Appearance("warning", "eye-exclamation", _("Held for review")),
    "void": Appearance("neutral", "ban", _("Not billed")),
    # issues
    "issue_open": Appearance("faulted", "alert-circle", _("Open")),
    "issue_recovering": Appearance("charging", "tool", _("Recovery runs")),
    "issue_escalated": Appearance("faulted", "arrow-up", _("Escalated")),
    "issue_resolved": Appearance("available", "circle-check", _("Resolved")),
    "snoozed": Appearance("neutral", "zzz", _("Quiet")),
    "critical": Appearance("faulted", "alert-triangle", _("Critical")),
    "major": Appearance("warning", "alert-circle", _("Major")),
    "minor": Appearance("neutral", "info-circle", _("Minor")),
    # reservations
    "reservation_planned": Appearance("neutral", "calendar-time", _("Planned")),
    "reservation_requested": Appearance("preparing", "send", _("Asked of the station")),
    "reservation_reserved": Appearance("reserved", "bookmark", _("Reserved")),
    "reservation_cancelling": Appearance("preparing", "hourglass", _("Being cancelled")),
    "reservation_used": Appearance("available", "circle-check", _("Used")),
    "reservation_expired": Appearance("warning", "clock-x", _("Lapsed")),
    "reservation_no_show": Appearance("warning", "user-off", _("Nobody came")),
    "reservation_cancelled": Appearance("neutral", "ban", _("Cancelled")),
    "reservation_refused": Appearance("faulted", "circle-x", _("Refused")),
    # local lists
    "list_off": Appearance("neutral", "ban", _("Off")),
    "list_unknown": Appearance("unknown", "help-circle", _("Not known what it holds")),
    "list_checking": Appearance("preparing", "hourglass", _("Asking the station")),
    "list_waiting": Appearance("preparing", "clock", _("Changes wait")),
    "list_sending": Appearance("charging", "send", _("Being sent")),
    "list_in_step": Appearance("available", "circle-check", _("In step")),
    "list_failed": Appearance("faulted", "alert-triangle", _("Not taken")),
    "list_unsupported": Appearance("neutral", "circle-x", _("Not supported")),
    "entry_held": Appearance("available", "check", _("There")),
    "entry_new": Appearance("preparing", "plus", _("To be added")),
    "entry_changed": Appearance("preparing", "edit", _("To be changed")),
    "entry_leaving": Appearance("preparing", "trash", _("To be removed")),
    # tokens and members
    "valid": Appearance("neutral", "check", _("Valid")),
    "blocked": Appearance("faulted", "lock", _("Blocked")),
    "token_expired": Appearance("neutral", "calendar-off", _("Expired")),
    "invalid": Appearance("faulted", "circle-x", _("Not valid here")),
    "concurrent_tx": Appearance("warning", "copy", _("Already charging elsewhere")),
    "revoked": Appearance("neutral", "ban", _("Revoked")),
    "inactive": Appearance("neutral", "user-off", _("Not active")),
    # contract certificates
    "certificate_accepted": Appearance("available", "circle-check", _("Certificate good")),
    "certificate_signature_error": Appearance("faulted", "circle-x", _("Signature wrong")),
    "certificate_expired": Appearance("neutral", "calendar-off", _("Certificate expired")),
    "certificate_revoked": Appearance("faulted", "ban", _("Certificate revoked")),
    "certificate_not_available": Appearance("warning", "help-circle", _("Certificate not checkable")),
    "certificate_chain_error": Appearance("faulted", "circle-x", _("Chain not trusted")),
    "certificate_cancelled": Appearance("faulted", "ban", _("Contract cancelled")),
    # settings, drift and reports
    "taken": Appearance("charging", "eye", _("Being read back")),
    "reset": Appearance("warning", "refresh-alert", _("Counts after a reset")),
    "done": Appearance("available", "circle-check", _("In force")),
    "differs": Appearance("warning", "arrows-diff", _("Differs")),
    "noticed": Appearance("neutral", "ear", _("Changed at the station")),
    "in_line": Appearance("available", "circle-check", _("In line")),
    "drifted": Appearance("warning", "arrows-diff", _("Drifted")),
    "pending": Appearance("charging", "hourglass", _("Under way")),
    "absent": Appearance("neutral", "minus", _("No such setting")),
    "receiving": Appearance("charging", "loader", _("Coming in")),
    "complete": Appearance("available", "circle-check", _("Complete")),
    "incomplete": Appearance("warning", "alert-circle", _("Parts are missing")),
    "set": Appearance("available", "eye", _("Watching")),
    "deleted": Appearance("neutral", "trash", _("Deleted")),
    # webhooks and their deliveries
    "told": Appearance("available", "circle-check", _("Active")),
    "switched_off": Appearance("neutral", "ban", _("Switched off")),
    "failing": Appearance("faulted", "alert-triangle", _("Not taken yet")),
    "delivered": Appearance("available", "circle-check", _("Taken")),
    "given_up": Appearance("faulted", "circle-x", _("Given up")),
    # what happened
    "well": Appearance("available", "circle-check", _("All well")),
    "warning": Appearance("warning", "alert-circle", _("Warning")),
    "error": Appearance("faulted", "alert-triangle", _("Error")),
    "info": Appearance("neutral", "info-circle", _("Information")),
}
_FALLBACK = "unknown"

# The order in which states are counted and drawn: what earns money first, what needs somebody last.
CONNECTOR_STATES = (
    "charging",
    "suspended_ev",
    "suspended_evse",
    "preparing",
    "occupied",
    "finishing",
    "reserved",
    "available",
    "unavailable",
    "offline",
    "unknown",
    "faulted",
)


def appearance(state: str) -> Appearance:
    """Look and word of a state; an unknown one looks unknown and never breaks a page."""
    return _TABLE.get(str(state), _TABLE[_FALLBACK])

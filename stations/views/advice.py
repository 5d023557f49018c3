"""What to try next after a command, in the words of who stands before the station."""

from __future__ import annotations

from django.utils.translation import gettext as _

from stations.models import Command, CommandKind, CommandState


def next_step(command: Command) -> str:
    """One sentence; empty where nothing is left to do."""
    state = command.state
    if state == CommandState.QUEUED:
        if not command.station.online:
            return _("The station is offline. The command goes out if it returns before the command expires.")
        return ""
    if state == CommandState.EXPIRED:
        return _("The station was not connected in time. Look at its timeline, then send the command again.")
    if state == CommandState.TIMED_OUT:
        return _(
            "The station did not answer. It may still have done it: look at the connectors before sending it again."
        )
    if state == CommandState.FAILED:
        return _(
            "The station could not read the command or broke off. The frames tab shows its exact answer."
        )
    if state == CommandState.REJECTED:
        return _refused(command)
    if state == CommandState.ACCEPTED:
        return _accepted(command)
    return ""


def _refused(command: Command) -> str:
    texts = {
        CommandKind.START: _(
            "Check that a car is plugged in, the connector is free and the token is valid, then try again."
        ),
        CommandKind.STOP: _(
            "The station does not know this session any more. If the car is still locked, send Unlock connector."
        ),
        CommandKind.UNLOCK: _(
            "The plug is held by the car or the lock is broken. Ask the driver to unlock the car first."
        ),
        CommandKind.RESET: _(
            "The station refuses a reset while it is busy. Stop its sessions first, or reset at once."
        ),
        CommandKind.WRITE_CONFIGURATION: _(
            "The key is unknown there, read-only, or the value is out of its range."
        ),
        CommandKind.TRIGGER: _("This station does not send that message on request."),
    }
    return texts.get(CommandKind(command.kind), _("The station refused it. Its answer is below."))


def _accepted(command: Command) -> str:
    texts = {
        CommandKind.START: _("The session appears once the car draws power."),
        CommandKind.RESET: _("It goes offline now and should be back within a few minutes."),
        CommandKind.WRITE_CONFIGURATION: _("Some settings need a reset before they count."),
    }
    if command.answer.lower() in ("scheduled", "rebootrequired"):
        return _("The station does it later, when it is idle or after its next reset.")
    return texts.get(CommandKind(command.kind), "")

"""What follows from the end of a command: the row that waits for it (a reservation, a list, an update) goes on."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib import import_module
from typing import cast

from django.db import transaction

from stations.models import Command, CommandKind

log = logging.getLogger("voltyard.commands")

# Kind of command -> the verb that is told, "module.function", called as verb(command=...) in the transaction that ends
# the command, whatever its end: answered, timed out, expired, cancelled. By name, for those verbs send commands.
FOLLOWERS: dict[str, str] = {
    "fetch_diagnostics": "stations.services.files.logs.follow",
    "fetch_log": "stations.services.files.logs.follow",
    "update_firmware": "stations.services.files.updates.follow",
    "update_signed_firmware": "stations.services.files.updates.follow",
    "publish_firmware": "stations.services.files.publications.follow",
    "unpublish_firmware": "stations.services.files.publications.follow_withdrawal",
    CommandKind.SHOW_MESSAGE: "stations.services.displays.follow_show",
    CommandKind.CLEAR_MESSAGE: "stations.services.displays.follow_clear",
    CommandKind.TELL_COST: "stations.services.costs.follow_told",
    CommandKind.SET_TARIFF: "stations.services.station_tariffs.follow_set",
    CommandKind.CLEAR_TARIFFS: "stations.services.station_tariffs.follow_clear",
    CommandKind.CHANGE_TARIFF: "stations.services.station_tariffs.follow_change",
    CommandKind.SWAP_BATTERY: "stations.services.swaps.follow",
    "start": "stations.services.profiles.started",
    "set_charging_profile": "stations.services.profile_life.settled",
    "clear_charging_profile": "stations.services.profile_life.cleared",
    "read_charging_profiles": "stations.services.profiles.read",
    "update_dynamic_schedule": "stations.services.profile_life.updated",
    "set_der_control": "stations.services.der.settled",
    "clear_der_control": "stations.services.der.cleared",
    CommandKind.CUSTOMER_INFORMATION: "stations.services.customers.follow",
    CommandKind.SET_MONITORING_BASE: "stations.services.monitors.follow_base",
    CommandKind.SET_MONITORING_LEVEL: "stations.services.monitors.follow_level",
    CommandKind.SET_MONITORS: "stations.services.monitors.follow",
    CommandKind.SET_NETWORK_PROFILE: "stations.services.networks.follow",
    CommandKind.WRITE_CONFIGURATION: "stations.services.configuration.follow_write",
    CommandKind.SEND_LIST: "stations.services.local_lists.follow",
    CommandKind.READ_LIST_VERSION: "stations.services.local_lists.follow",
    CommandKind.RESERVE: "stations.services.reservations.follow",
    CommandKind.CANCEL_RESERVATION: "stations.services.reservations.follow",
}

# Rule of the product that sent it (`permissions.system`) -> the verb that goes on, told likewise.
RULES: dict[str, str] = {
    "Certificate authority": "stations.services.signing.handed_over",
    "Password change": "stations.services.passwords.follow",
    "Rollout of certificates": "stations.services.rollouts.follow",
    "Security profile": "stations.services.security_profiles.follow",
}


def follow(command: Command) -> None:
    """Tell who waits for this command. Its end stands even where a follower fails."""
    if command.kind in FOLLOWERS:
        _tell(FOLLOWERS[command.kind], command)
    if command.origin_kind == "task" and command.origin_id in RULES:
        _tell(RULES[command.origin_id], command)


def _tell(name: str, command: Command) -> None:
    module, _dot, function = name.rpartition(".")
    verb = cast(Callable[..., object], getattr(import_module(module), function))
    try:
        with transaction.atomic():
            verb(command=command)
    except Exception:
        log.exception("the end of a command was not followed up", extra={"command": command.pk})

"""The one table of who hears of which facts, and of what upper layers plug into lower ones."""

from __future__ import annotations

from energy import outlook, reasons
from energy.services import alerts
from fleets.services import scopes
from stations import history, outlooks
from stations.services import local_lists, signals
from tenants.services import actors, facts
from tenants.services.facts import Handler

# name -> (kinds of facts, or "*" for all; what is called with each). Names are stored with deliveries: keep them.
# Webhooks of the tenants hear of facts as well; they are rows, not entries here.
SUBSCRIBERS: dict[str, tuple[set[str], Handler]] = {
    "stations.local_lists": (
        {
            "token.created",
            "token.changed",
            "token.deleted",
            "token.imported",
            "driver.changed",
            "access.changed",
        },
        local_lists.hear,
    ),
}


def connect() -> None:
    """Called once, when all apps are loaded."""
    actors.plug_in_scopes(scopes.narrow)
    history.plug_in_reasons(reasons.of_profiles)
    outlooks.plug_in(outlook.of_sessions)
    for signal, find in alerts.FINDS.items():
        signals.plug_in(signal, find)
    for name, (kinds, handler) in SUBSCRIBERS.items():
        facts.subscribe(name, kinds, handler)

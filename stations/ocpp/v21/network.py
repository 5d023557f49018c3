"""What 2.1 adds to network profiles: its own version, any interface, identity and password of the new connection."""

from __future__ import annotations

from stations.models import CommandKind
from stations.ocpp.v201 import network
from stations.ocpp.version import Payload, Say
from stations.ocpp.wire import optional, wanted

_VERSIONS = {"1.6": "OCPP16", "2.0.1": "OCPP201", "2.1": "OCPP21"}
_INTERFACES = network.INTERFACES | {"any": "Any"}


def _say(arguments: Payload, command_id: int) -> Payload:
    data = network.connection(arguments, _VERSIONS, _INTERFACES)
    own = optional(identity=arguments.get("identity"), basicAuthPassword=arguments.get("password"))
    return {"configurationSlot": wanted(arguments, "slot", int), "connectionData": data | own}


SAYS: dict[str, Say] = {
    CommandKind.SET_NETWORK_PROFILE: Say("SetNetworkProfile", _say, cases="B09 B10"),
}

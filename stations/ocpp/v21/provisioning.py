"""Block B: 2.1 adds a reset after which transactions go on (B13)."""

from __future__ import annotations

from dataclasses import replace

from stations.models import CommandKind
from stations.ocpp.v201 import provisioning
from stations.ocpp.version import Payload, Say

_RESET = provisioning.SAYS[CommandKind.RESET]


def _say_reset(arguments: Payload, command_id: int) -> Payload:
    told = _RESET.encode(arguments, command_id)
    return told | ({"type": "ImmediateAndResume"} if arguments.get("resume") else {})


SAYS: dict[str, Say] = {
    CommandKind.RESET: replace(_RESET, encode=_say_reset, cases=f"{_RESET.cases} B13"),
}

"""The one table of OCPP versions a station can speak."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from simulator.v2.says import SAYS_21, SAYS_201
from simulator.v2.wire import Wire21, Wire201
from simulator.v16.says import Says16
from simulator.v16.wire import Wire16


@dataclass(frozen=True)
class Version:
    subprotocol: str
    wire: Any  # answers what comes in
    says: Any  # builds what goes out


VERSIONS = {
    "1.6": Version("ocpp1.6", Wire16, Says16()),
    "2.0.1": Version("ocpp2.0.1", Wire201, SAYS_201),
    "2.1": Version("ocpp2.1", Wire21, SAYS_21),
}
BY_SUBPROTOCOL = {version.subprotocol: name for name, version in VERSIONS.items()}

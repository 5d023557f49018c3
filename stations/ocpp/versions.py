"""The versions we speak, newest first: the one visible table."""

from __future__ import annotations

from collections.abc import Sequence

from stations.ocpp import v16, v21, v201
from stations.ocpp.version import Version

VERSIONS: tuple[Version, ...] = (v21.VERSION, v201.VERSION, v16.VERSION)
BY_NAME = {version.name: version for version in VERSIONS}


def choose(offered: Sequence[str]) -> Version | None:
    """The newest version that the station offers and we speak."""
    words = {word.strip().lower() for word in offered}
    return next((version for version in VERSIONS if version.subprotocol in words), None)

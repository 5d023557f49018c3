"""What happens at a charger."""

from stations.models.certificate import CertificateUse, InstalledCertificate, TrustAnchor
from stations.models.command import ONLY_IN, Command, CommandKind, CommandState
from stations.models.journal import Frame, GatewayProcess, JournalCursor, JournalHead, Reading, StationEvent
from stations.models.session import (
    Authorization,
    OrphanMessage,
    Session,
    SessionEvent,
    SessionState,
)
from stations.models.station import (
    Connection,
    Connector,
    ConnectorStatus,
    Evse,
    PowerType,
    QuarantinedStation,
    Registration,
    Station,
    Variable,
)

__all__ = [
    "ONLY_IN",
    "Authorization",
    "CertificateUse",
    "Command",
    "CommandKind",
    "CommandState",
    "Connection",
    "Connector",
    "ConnectorStatus",
    "Evse",
    "Frame",
    "GatewayProcess",
    "InstalledCertificate",
    "JournalCursor",
    "JournalHead",
    "OrphanMessage",
    "PowerType",
    "QuarantinedStation",
    "Reading",
    "Registration",
    "Session",
    "SessionEvent",
    "SessionState",
    "Station",
    "StationEvent",
    "TrustAnchor",
    "Variable",
]

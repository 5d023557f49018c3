"""What happens at a charger."""

from stations.models.access import (
    LIVE_RESERVATIONS,
    AccessRule,
    ListScope,
    ListState,
    LocalList,
    Reservation,
    ReservationState,
)
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
    "LIVE_RESERVATIONS",
    "ONLY_IN",
    "AccessRule",
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
    "ListScope",
    "ListState",
    "LocalList",
    "OrphanMessage",
    "PowerType",
    "QuarantinedStation",
    "Reading",
    "Registration",
    "Reservation",
    "ReservationState",
    "Session",
    "SessionEvent",
    "SessionState",
    "Station",
    "StationEvent",
    "TrustAnchor",
    "Variable",
]

"""What happens at a charger."""

from stations.models.certificate import CertificateUse, InstalledCertificate, TrustAnchor
from stations.models.charging import (
    ChargingProfile,
    CompositeTold,
    LimitSource,
    PowerConstraint,
    ProfileKind,
    ProfileState,
    Purpose,
    SessionPower,
)
from stations.models.command import ONLY_IN, Command, CommandKind, CommandState
from stations.models.der import DerControl, DerState, DerType
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
    "ChargingProfile",
    "Command",
    "CommandKind",
    "CommandState",
    "CompositeTold",
    "Connection",
    "Connector",
    "ConnectorStatus",
    "DerControl",
    "DerState",
    "DerType",
    "Evse",
    "Frame",
    "GatewayProcess",
    "InstalledCertificate",
    "JournalCursor",
    "JournalHead",
    "LimitSource",
    "OrphanMessage",
    "PowerConstraint",
    "PowerType",
    "ProfileKind",
    "ProfileState",
    "Purpose",
    "QuarantinedStation",
    "Reading",
    "Registration",
    "Session",
    "SessionEvent",
    "SessionPower",
    "SessionState",
    "Station",
    "StationEvent",
    "TrustAnchor",
    "Variable",
]

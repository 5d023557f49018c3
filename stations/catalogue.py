# ruff: noqa: E501 -- one setting a line reads as a table
"""The standard settings, as data: what each means, its type, unit and range, and its name in 1.6 and in 2.x.

1.6 (section 9, and the security whitepaper) tells a key's value alone: what it is, stands here. 2.x tells types and
limits itself; from here it takes the meaning. A setting that both know is one setting with two names.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

TYPES = ("string", "integer", "decimal", "boolean", "dateTime", "OptionList", "SequenceList", "MemberList")
LISTS = ("SequenceList", "MemberList")
MEASURANDS = (
    "Energy.Active.Import.Register,Energy.Active.Export.Register,Energy.Reactive.Import.Register,"
    "Energy.Active.Import.Interval,Power.Active.Import,Power.Active.Export,Power.Offered,Power.Factor,"
    "Current.Import,Current.Offered,Voltage,SoC,Temperature,Frequency,RPM"
)
RO, RW, WO = "read_only", "read_write", "write_only"


@dataclass(frozen=True)
class Entry:
    """`key` is the 1.6 name, `name` the 2.x one ("Component.Variable[instance]"); either may be empty."""

    key: str
    name: str
    kind: str
    help: Any
    unit: str = ""
    least: float | None = None
    most: float | None = None
    options: str = ""
    access: str = RW
    reset: bool = False  # counts after a reset, as a rule
    group: str = "core"

    @property
    def component(self) -> str:
        return self.name.partition(".")[0]

    @property
    def variable(self) -> str:
        return self.name.partition(".")[2].partition("[")[0]

    @property
    def instance(self) -> str:
        return self.name.partition("[")[2].rstrip("]")


def E(
    key: str, name: str, kind: str, help: Any, unit: str = "", least: float | None = None, **more: Any
) -> Entry:
    return Entry(key, name, kind, help, unit, least, **more)


CORE, LISTED, RESERVATION, SMART, FIRMWARE, SECURITY = (
    "core",
    "local_list",
    "reservation",
    "smart_charging",
    "firmware",
    "security",
)

TABLE: tuple[Entry, ...] = (
    # 1.6 section 9.1, Core
    E("AllowOfflineTxForUnknownId", "AuthCtrlr.OfflineTxForUnknownIdEnabled", "boolean", _("While offline, cards that the station does not know may charge.")),
    E("AuthorizationCacheEnabled", "AuthCacheCtrlr.Enabled", "boolean", _("The station remembers cards it has seen and accepts them faster.")),
    E("AuthorizeRemoteTxRequests", "AuthCtrlr.AuthorizeRemoteStart", "boolean", _("A remote start is authorised like a card before it begins.")),
    E("BlinkRepeat", "", "integer", _("How often the lights blink as a signal."), "", 0),
    E("ClockAlignedDataInterval", "AlignedDataCtrlr.Interval", "integer", _("Time between readings taken by the clock; 0: none."), "s", 0),
    E("ConnectionTimeOut", "TxCtrlr.EVConnectionTimeOut", "integer", _("How long the station waits for the plug after a card was shown."), "s", 0),
    E("ConnectorPhaseRotation", "", "MemberList", _("How the phases of each connector are wired to the grid, such as 1.RST.")),
    E("ConnectorPhaseRotationMaxLength", "", "integer", _("Most entries in ConnectorPhaseRotation."), "", 0, access=RO),
    E("GetConfigurationMaxKeys", "DeviceDataCtrlr.ItemsPerMessage[GetVariables]", "integer", _("Most settings that can be read in one message."), "", 1, access=RO),
    E("HeartbeatInterval", "OCPPCommCtrlr.HeartbeatInterval", "integer", _("Time between heartbeats while nothing else is said."), "s", 1),
    E("LightIntensity", "", "integer", _("Brightness of the lights."), "%", 0, most=100),
    E("LocalAuthorizeOffline", "AuthCtrlr.LocalAuthorizeOffline", "boolean", _("While offline, cards of the local list and the cache may charge.")),
    E("LocalPreAuthorize", "AuthCtrlr.LocalPreAuthorize", "boolean", _("Known cards start at once, without waiting for our answer.")),
    E("MaxEnergyOnInvalidId", "TxCtrlr.MaxEnergyOnInvalidId", "integer", _("Energy that a session may still take after its card was refused."), "Wh", 0),
    E("MeterValuesAlignedData", "AlignedDataCtrlr.Measurands", "MemberList", _("What is measured by the clock."), options=MEASURANDS),
    E("MeterValuesAlignedDataMaxLength", "", "integer", _("Most measurands in MeterValuesAlignedData."), "", 0, access=RO),
    E("MeterValuesSampledData", "SampledDataCtrlr.TxUpdatedMeasurands", "MemberList", _("What is measured during a session."), options=MEASURANDS),
    E("MeterValuesSampledDataMaxLength", "", "integer", _("Most measurands in MeterValuesSampledData."), "", 0, access=RO),
    E("MeterValueSampleInterval", "SampledDataCtrlr.TxUpdatedInterval", "integer", _("Time between readings during a session; 0: none."), "s", 0),
    E("MinimumStatusDuration", "", "integer", _("How long a status must last before it is told."), "s", 0),
    E("NumberOfConnectors", "", "integer", _("How many connectors the station has."), "", 0, access=RO),
    E("ResetRetries", "OCPPCommCtrlr.ResetRetries", "integer", _("How often a reset that fails is tried again."), "", 0),
    E("StopTransactionOnEVSideDisconnect", "TxCtrlr.StopTxOnEVSideDisconnect", "boolean", _("Pulling the plug at the car ends the session.")),
    E("StopTransactionOnInvalidId", "TxCtrlr.StopTxOnInvalidId", "boolean", _("A session ends when its card turns out to be refused.")),
    E("StopTxnAlignedData", "AlignedDataCtrlr.TxEndedMeasurands", "MemberList", _("What readings by the clock are told at the end of a session."), options=MEASURANDS),
    E("StopTxnAlignedDataMaxLength", "", "integer", _("Most measurands in StopTxnAlignedData."), "", 0, access=RO),
    E("StopTxnSampledData", "SampledDataCtrlr.TxEndedMeasurands", "MemberList", _("What readings are told at the end of a session."), options=MEASURANDS),
    E("StopTxnSampledDataMaxLength", "", "integer", _("Most measurands in StopTxnSampledData."), "", 0, access=RO),
    E("SupportedFeatureProfiles", "", "MemberList", _("Parts of OCPP 1.6 that the station can do."), access=RO),
    E("SupportedFeatureProfilesMaxLength", "", "integer", _("Most entries in SupportedFeatureProfiles."), "", 0, access=RO),
    E("TransactionMessageAttempts", "OCPPCommCtrlr.MessageAttempts[TransactionEvent]", "integer", _("How often a message about a session is sent until we answer."), "", 0),
    E("TransactionMessageRetryInterval", "OCPPCommCtrlr.MessageAttemptInterval[TransactionEvent]", "integer", _("Time before a message about a session is sent again."), "s", 0),
    E("UnlockConnectorOnEVSideDisconnect", "OCPPCommCtrlr.UnlockOnEVSideDisconnect", "boolean", _("The plug is freed at the station when it is pulled at the car.")),
    E("WebSocketPingInterval", "OCPPCommCtrlr.WebSocketPingInterval", "integer", _("Time between pings that keep the connection open; 0: none."), "s", 0, reset=True),
    # 9.2 Local authorisation list
    E("LocalAuthListEnabled", "LocalAuthListCtrlr.Enabled", "boolean", _("The local list of cards is used."), group=LISTED),
    E("LocalAuthListMaxLength", "LocalAuthListCtrlr.Entries", "integer", _("Most cards in the local list."), "", 0, access=RO, group=LISTED),
    E("SendLocalListMaxLength", "LocalAuthListCtrlr.ItemsPerMessage", "integer", _("Most cards in one message of the local list."), "", 0, access=RO, group=LISTED),
    # 9.3 Reservation
    E("ReserveConnectorZeroSupported", "ReservationCtrlr.NonEvseSpecific", "boolean", _("A reservation can be for any connector of the station."), access=RO, group=RESERVATION),
    # 9.4 Smart charging
    E("ChargeProfileMaxStackLevel", "SmartChargingCtrlr.ProfileStackLevel", "integer", _("Highest stack level of a charging profile."), "", 0, access=RO, group=SMART),
    E("ChargingScheduleAllowedChargingRateUnit", "SmartChargingCtrlr.RateUnit", "MemberList", _("Units that charging profiles may use: Current, Power."), access=RO, options="Current,Power", group=SMART),
    E("ChargingScheduleMaxPeriods", "SmartChargingCtrlr.PeriodsPerSchedule", "integer", _("Most periods in a charging profile."), "", 0, access=RO, group=SMART),
    E("ConnectorSwitch3to1PhaseSupported", "SmartChargingCtrlr.Phases3to1", "boolean", _("The station can switch from three phases to one while charging."), access=RO, group=SMART),
    E("MaxChargingProfilesInstalled", "SmartChargingCtrlr.Entries[ChargingProfiles]", "integer", _("Most charging profiles at a time."), "", 0, access=RO, group=SMART),
    # Firmware management (security whitepaper; erratum to 9.1)
    E("SupportedFileTransferProtocols", "OCPPCommCtrlr.FileTransferProtocols", "MemberList", _("How the station can fetch and send files."), access=RO, options="FTP,FTPS,HTTP,HTTPS,SFTP", group=FIRMWARE),
    # Security whitepaper
    E("AdditionalRootCertificateCheck", "SecurityCtrlr.AdditionalRootCertificateCheck", "boolean", _("A new root certificate must be signed by the one before."), access=RO, group=SECURITY),
    E("AuthorizationKey", "SecurityCtrlr.BasicAuthPassword", "string", _("Password the station signs in with. Change it on the page of its password."), access=WO, group=SECURITY),
    E("CertificateSignedMaxChainSize", "SecurityCtrlr.MaxCertificateChainSize", "integer", _("Longest certificate chain the station takes."), "B", 0, access=RO, group=SECURITY),
    E("CertificateStoreMaxLength", "SecurityCtrlr.CertificateEntries", "integer", _("Most root certificates the station keeps."), "", 0, access=RO, group=SECURITY),
    E("CpoName", "SecurityCtrlr.OrganizationName", "string", _("Name of the operator in the station's certificate."), group=SECURITY),
    E("SecurityProfile", "SecurityCtrlr.SecurityProfile", "integer", _("How the connection is secured, 0 to 3. It can be raised, not lowered."), "", 0, most=3, reset=True, group=SECURITY),
    # Common beyond the standard
    E("WebsocketURL", "", "string", _("Where the station connects to. A wrong address loses the station.")),
    E("FreevendEnabled", "", "boolean", _("Charging without a card.")),
    E("FreevendIdTag", "", "string", _("Card that sessions without a card are told with.")),
    E("StopTransactionMaxMeterValues", "", "integer", _("Most readings told at the end of a session."), "", 0),
    E("ContractValidationOffline", "ISO15118Ctrlr.ContractValidationOffline", "boolean", _("While offline, the station checks contract certificates itself.")),
    E("CentralContractValidationAllowed", "ISO15118Ctrlr.CentralContractValidationAllowed", "boolean", _("Contract certificates that the station cannot check are checked by us.")),
    E("ISO15118PnCEnabled", "ISO15118Ctrlr.PnCEnabled", "boolean", _("Cars may identify themselves by contract certificate.")),
    # 2.x alone
    E("", "OCPPCommCtrlr.NetworkConfigurationPriority", "SequenceList", _("Order in which the slots of network profiles are tried."), reset=True),
    E("", "OCPPCommCtrlr.NetworkProfileConnectionAttempts", "integer", _("How often a network profile is tried before the next one."), "", 0),
    E("", "OCPPCommCtrlr.OfflineThreshold", "integer", _("Offline for longer than this, the station tells all statuses anew."), "s", 0),
    E("", "OCPPCommCtrlr.QueueAllMessages", "boolean", _("While offline, all messages are kept, not only those about sessions.")),
    E("", "OCPPCommCtrlr.MessageTimeout", "integer", _("How long the station waits for an answer."), "s", 0),
    E("", "OCPPCommCtrlr.RetryBackOffWaitMinimum", "integer", _("Shortest wait before the station connects again."), "s", 0),
    E("", "OCPPCommCtrlr.RetryBackOffRepeatTimes", "integer", _("How often that wait is doubled."), "", 0),
    E("", "OCPPCommCtrlr.RetryBackOffRandomRange", "integer", _("Random part of that wait."), "s", 0),
    E("", "OCPPCommCtrlr.ActiveNetworkProfile", "integer", _("The slot whose network profile is in use."), "", 0, access=RO),
    E("", "TxCtrlr.TxStartPoint", "MemberList", _("What must have happened for a session to begin."), options="ParkingBayOccupancy,EVConnected,Authorized,DataSigned,PowerPathClosed,EnergyTransfer"),
    E("", "TxCtrlr.TxStopPoint", "MemberList", _("What must be over for a session to end."), options="ParkingBayOccupancy,EVConnected,Authorized,DataSigned,PowerPathClosed,EnergyTransfer"),
    E("", "SampledDataCtrlr.TxStartedMeasurands", "MemberList", _("What is measured at the start of a session."), options=MEASURANDS),
    E("", "SampledDataCtrlr.TxEndedInterval", "integer", _("Time between the readings told at the end of a session."), "s", 0),
    E("", "AlignedDataCtrlr.TxEndedInterval", "integer", _("Time between the readings by the clock told at the end of a session."), "s", 0),
    E("", "AlignedDataCtrlr.SendDuringIdle", "boolean", _("Readings by the clock only while nobody charges.")),
    E("", "AuthCtrlr.Enabled", "boolean", _("A card is needed to charge.")),
    E("", "AuthCacheCtrlr.LifeTime", "integer", _("How long the station remembers a card."), "s", 0),
    E("", "AuthCacheCtrlr.Policy", "OptionList", _("Which card is forgotten first when the memory is full."), options="LRU,LFU,FIFO,CUSTOM"),
    E("", "ClockCtrlr.TimeSource", "SequenceList", _("Where the station gets the time from, the best first."), options="Heartbeat,NTP,GPS,RealTimeClock,MobileNetwork,RadioTimeTransmitter"),
    E("", "ClockCtrlr.TimeZone", "string", _("Zone of the times shown at the station.")),
    E("", "ClockCtrlr.NtpServerUri", "string", _("Server the station gets the time from.")),
    E("", "MonitoringCtrlr.Enabled", "boolean", _("The station watches its variables.")),
    E("", "MonitoringCtrlr.ActiveMonitoringBase", "OptionList", _("Which monitors are in use."), access=RO, options="All,FactoryDefault,HardWiredOnly"),
    E("", "MonitoringCtrlr.ActiveMonitoringLevel", "integer", _("Events of up to this severity are told; 0 is the gravest."), "", 0, most=9, access=RO),
    E("", "MonitoringCtrlr.OfflineQueuingSeverity", "integer", _("While offline, events of up to this severity are kept."), "", 0, most=9),
    E("", "DeviceDataCtrlr.ItemsPerMessage", "integer", _("Most settings in one message."), "", 1, access=RO),
    E("", "DeviceDataCtrlr.BytesPerMessage", "integer", _("Longest message of settings."), "B", 1, access=RO),
    E("", "ReservationCtrlr.Enabled", "boolean", _("Connectors can be reserved.")),
    E("", "SmartChargingCtrlr.Enabled", "boolean", _("Charging profiles are followed.")),
    E("", "SmartChargingCtrlr.LimitChangeSignificance", "decimal", _("A limit that changes by less than this is not told."), "Percent", 0, most=100),
    E("", "TariffCostCtrlr.Enabled", "boolean", _("Prices and costs are shown at the station.")),
    E("", "TariffCostCtrlr.TariffFallbackMessage", "string", _("Shown to drivers when the station knows no price.")),
    E("", "TariffCostCtrlr.TotalCostFallbackMessage", "string", _("Shown to drivers when the station knows no total.")),
    E("", "DisplayMessageCtrlr.Enabled", "boolean", _("Messages can be shown at the station.")),
    E("", "SecurityCtrlr.Identity", "string", _("Name under which the station connects."), reset=True),
)  # fmt: skip

_BY_KEY = {entry.key.lower(): entry for entry in TABLE if entry.key}
_BY_NAME: dict[tuple[str, str, str], Entry] = {
    (entry.component.lower(), entry.variable.lower(), entry.instance.lower()): entry
    for entry in TABLE
    if entry.name
}


def find(component: str, name: str, instance: str = "") -> Entry | None:
    """What is known of a setting: without a component a 1.6 key, with one a 2.x variable."""
    if not component:
        return _BY_KEY.get(name.lower())
    place = component.lower(), name.lower()
    return _BY_NAME.get((*place, instance.lower())) or _BY_NAME.get((*place, ""))


def translated(component: str, name: str, instance: str, *, v2: bool) -> tuple[str, str, str] | None:
    """(component, name, instance) of a setting as this version names it; None where it has no such setting."""
    if bool(component) == v2:
        return component, name, instance
    entry = find(component, name, instance)
    if entry is None:
        return None
    if v2:
        return (entry.component, entry.variable, entry.instance) if entry.name else None
    return ("", entry.key, "") if entry.key else None


def same(name: str, told: str, wanted: str | None, kind: str = "") -> bool:
    """Whether two values of a setting mean the same: 60 and 60.0, true and True, a,b and b, a."""
    if wanted is None or told == wanted:
        return told == wanted
    told, wanted = told.strip(), wanted.strip()
    if told.lower() == wanted.lower() and wanted.lower() in ("true", "false"):
        return True
    try:
        return float(told) == float(wanted)
    except ValueError:
        pass
    entry = _BY_KEY.get(name.lower())
    kind = kind or (entry.kind if entry else "")
    if "," in told + wanted or kind in LISTS:
        here, there = members(told), members(wanted)
        return here == there if kind == "SequenceList" else sorted(here) == sorted(there)
    return told == wanted


def members(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def refusal(name: str, value: str, known: Any, entry: Entry | None) -> str:
    """Why a station cannot take this value, as far as its device model and the standard tell; empty when it may."""
    told = bool(known and known.data_type)
    kind = known.data_type if told else (entry.kind if entry else "")
    least = (
        known.min_limit
        if known and known.min_limit is not None
        else (None if told or not entry else entry.least)
    )
    most = (
        known.max_limit
        if known and known.max_limit is not None
        else (None if told or not entry else entry.most)
    )
    options = members(known.values_list) if told and known.values_list else []
    if known and known.mutability == RO:
        return _t("%(name)s cannot be changed.") % {"name": name}
    if kind in ("integer", "decimal"):
        return _number_refusal(name, value, kind, least, most)
    if kind == "boolean" and value.strip().lower() not in ("true", "false"):
        return _t("%(name)s is true or false.") % {"name": name}
    if kind == "OptionList" and options and value not in options:
        return _t("%(name)s is one of %(options)s.") % {"name": name, "options": ", ".join(options)[:300]}
    if kind in LISTS and options and (unknown := _unknown(members(value), options)):
        return _t("%(name)s takes no %(unknown)s.") % {"name": name, "unknown": unknown}
    return ""


def _unknown(chosen: Iterable[str], options: list[str]) -> str:
    return next((part for part in chosen if part not in options), "")


def _number_refusal(name: str, value: str, kind: str, least: float | None, most: float | None) -> str:
    text = value.strip()
    try:
        number = float(text)
    except ValueError:
        return _t("%(name)s is a number.") % {"name": name}
    if kind == "integer" and not (text.isascii() and text.lstrip("-").isdecimal()):
        return _t("%(name)s is a whole number.") % {"name": name}
    if least is not None and number < least:
        return _t("%(name)s is %(least)s or more.") % {"name": name, "least": f"{least:g}"}
    if most is not None and number > most:
        return _t("%(name)s is %(most)s or less.") % {"name": name, "most": f"{most:g}"}
    return ""

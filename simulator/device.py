# ruff: noqa: E501 -- one setting a line reads as a table
"""The settings of a station: 1.6 configuration keys and 2.x variables are two names of one value."""

from __future__ import annotations

from dataclasses import dataclass, replace

READ_ONLY, READ_WRITE, WRITE_ONLY = "ReadOnly", "ReadWrite", "WriteOnly"

SAMPLED = "Energy.Active.Import.Register,Power.Active.Import,Current.Import,Voltage,SoC"


@dataclass
class Setting:
    """`key` is the 1.6 name, `component` and `variable` the 2.x one; either may be missing."""

    key: str
    component: str
    variable: str
    value: str
    access: str = READ_ONLY
    kind: str = "string"
    instance: str = ""  # of the variable
    evse: int | None = None
    connector: int | None = None
    unit: str = ""
    low: int | None = None
    high: int | None = None
    choices: str = ""
    reboot: bool = False  # a change takes effect after a reboot

    @property
    def name(self) -> str:
        """For people."""
        place = self.component if self.evse is None else f"{self.component} {self.evse}"
        return f"{place} {self.variable}"

    @property
    def watchable(self) -> bool:
        """Whether a monitor may be set on it (2.x, block N)."""
        return self.access != WRITE_ONLY and self.kind in ("decimal", "integer", "boolean", "OptionList")

    def check(self, text: str) -> str:
        """Why this value cannot be set; empty when it can."""
        if self.kind == "integer":
            return self._check_integer(text)
        if self.kind == "boolean" and text.strip().lower() not in ("true", "false"):
            return "not a boolean"
        if self.kind == "OptionList" and self.choices and text not in self.choices.split(","):
            return "not among the values"
        if self.kind == "MemberList" and self.choices:
            unknown = [part for part in text.split(",") if part.strip() not in self.choices.split(",")]
            return f"unknown: {unknown[0]}" if unknown and text else ""
        return ""

    def _check_integer(self, text: str) -> str:
        if not text.strip().lstrip("-").isdigit():
            return "not an integer"
        number = int(text)
        if (self.low is not None and number < self.low) or (self.high is not None and number > self.high):
            return "out of range"
        return ""


MEASURANDS = (
    "Energy.Active.Import.Register,Power.Active.Import,Power.Offered,Current.Import,Current.Offered,"
    "Voltage,SoC,Temperature,Frequency,Energy.Active.Export.Register,Power.Active.Export"
)
PROFILES_16 = "Core,FirmwareManagement,LocalAuthListManagement,Reservation,SmartCharging,RemoteTrigger"


def S(
    key: str, name: str, value: str, access: str = READ_ONLY, kind: str = "string", **more: object
) -> Setting:
    """One line of the table; `name` is "Component.Variable" or "Component.Variable[instance]"."""
    component, _, variable = name.partition(".")
    variable, _, instance = variable.rstrip("]").partition("[")
    return Setting(key, component, variable, value, access, kind, instance, **more)  # type: ignore[arg-type]


TABLE: tuple[Setting, ...] = (
    S("HeartbeatInterval", "OCPPCommCtrlr.HeartbeatInterval", "300", READ_WRITE, "integer", unit="s", low=1),
    S("ConnectionTimeOut", "TxCtrlr.EVConnectionTimeOut", "60", READ_WRITE, "integer", unit="s", low=0),
    S("ResetRetries", "OCPPCommCtrlr.ResetRetries", "3", READ_WRITE, "integer", low=0),
    S("MeterValueSampleInterval", "SampledDataCtrlr.TxUpdatedInterval", "60", READ_WRITE, "integer", unit="s", low=0),
    S("ClockAlignedDataInterval", "AlignedDataCtrlr.Interval", "0", READ_WRITE, "integer", unit="s", low=0),
    S("MeterValuesSampledData", "SampledDataCtrlr.TxUpdatedMeasurands", SAMPLED, READ_WRITE, "MemberList", choices=MEASURANDS),
    S("MeterValuesAlignedData", "AlignedDataCtrlr.Measurands", "Energy.Active.Import.Register", READ_WRITE, "MemberList", choices=MEASURANDS),
    S("StopTxnSampledData", "SampledDataCtrlr.TxEndedMeasurands", "Energy.Active.Import.Register", READ_WRITE, "MemberList", choices=MEASURANDS),
    S("", "SampledDataCtrlr.TxStartedMeasurands", "Energy.Active.Import.Register", READ_WRITE, "MemberList", choices=MEASURANDS),
    S("StopTxnAlignedData", "AlignedDataCtrlr.TxEndedMeasurands", "", READ_WRITE, "MemberList", choices=MEASURANDS),
    S("", "AlignedDataCtrlr.TxEndedInterval", "0", READ_WRITE, "integer", unit="s", low=0),
    S("StopTransactionOnInvalidId", "TxCtrlr.StopTxOnInvalidId", "true", READ_WRITE, "boolean"),
    S("StopTransactionOnEVSideDisconnect", "TxCtrlr.StopTxOnEVSideDisconnect", "true", READ_WRITE, "boolean"),
    S("", "TxCtrlr.TxStartPoint", "PowerPathClosed", READ_WRITE, "MemberList", choices="ParkingBayOccupancy,EVConnected,Authorized,DataSigned,PowerPathClosed,EnergyTransfer"),
    S("", "TxCtrlr.TxStopPoint", "PowerPathClosed", READ_WRITE, "MemberList", choices="ParkingBayOccupancy,EVConnected,Authorized,DataSigned,PowerPathClosed,EnergyTransfer"),
    S("AuthorizeRemoteTxRequests", "AuthCtrlr.AuthorizeRemoteStart", "false", READ_WRITE, "boolean"),
    S("LocalPreAuthorize", "AuthCtrlr.LocalPreAuthorize", "false", READ_WRITE, "boolean"),
    S("LocalAuthorizeOffline", "AuthCtrlr.LocalAuthorizeOffline", "true", READ_WRITE, "boolean"),
    S("AllowOfflineTxForUnknownId", "AuthCtrlr.OfflineTxForUnknownIdEnabled", "false", READ_WRITE, "boolean"),
    S("AuthorizationCacheEnabled", "AuthCacheCtrlr.Enabled", "true", READ_WRITE, "boolean"),
    S("LocalAuthListEnabled", "LocalAuthListCtrlr.Enabled", "true", READ_WRITE, "boolean"),
    S("LocalAuthListMaxLength", "", "1000", kind="integer"),
    S("SendLocalListMaxLength", "LocalAuthListCtrlr.ItemsPerMessage", "100", kind="integer"),
    S("TransactionMessageAttempts", "OCPPCommCtrlr.MessageAttempts[TransactionEvent]", "3", READ_WRITE, "integer", low=0),
    S("TransactionMessageRetryInterval", "OCPPCommCtrlr.MessageAttemptInterval[TransactionEvent]", "10", READ_WRITE, "integer", unit="s", low=0),
    S("WebSocketPingInterval", "OCPPCommCtrlr.WebSocketPingInterval", "30", READ_WRITE, "integer", unit="s", low=0, reboot=True),
    S("UnlockConnectorOnEVSideDisconnect", "OCPPCommCtrlr.UnlockOnEVSideDisconnect", "true", READ_WRITE, "boolean"),
    S("MinimumStatusDuration", "", "0", READ_WRITE, "integer", unit="s", low=0),
    S("LightIntensity", "", "80", READ_WRITE, "integer", unit="%", low=0, high=100),
    S("BlinkRepeat", "", "3", READ_WRITE, "integer", low=0),
    S("GetConfigurationMaxKeys", "DeviceDataCtrlr.ItemsPerMessage[GetVariables]", "50", kind="integer"),
    S("", "DeviceDataCtrlr.ItemsPerMessage[SetVariables]", "20", kind="integer"),
    S("", "DeviceDataCtrlr.ItemsPerMessage[GetReport]", "20", kind="integer"),
    S("", "DeviceDataCtrlr.BytesPerMessage[GetVariables]", "16384", kind="integer"),
    S("", "DeviceDataCtrlr.BytesPerMessage[SetVariables]", "16384", kind="integer"),
    S("SupportedFeatureProfiles", "", PROFILES_16, kind="MemberList"),
    S("ChargeProfileMaxStackLevel", "SmartChargingCtrlr.ProfileStackLevel", "10", kind="integer"),
    S("ChargingScheduleAllowedChargingRateUnit", "SmartChargingCtrlr.RateUnit", "Current,Power", kind="MemberList"),
    S("ChargingScheduleMaxPeriods", "SmartChargingCtrlr.PeriodsPerSchedule", "48", kind="integer"),
    S("MaxChargingProfilesInstalled", "SmartChargingCtrlr.Entries[ChargingProfiles]", "20", kind="integer"),
    S("", "SmartChargingCtrlr.Enabled", "true", READ_WRITE, "boolean"),
    S("ReserveConnectorZeroSupported", "ReservationCtrlr.NonEvseSpecific", "false", kind="boolean"),
    S("ConnectorSwitch3to1PhaseSupported", "SmartChargingCtrlr.Phases3to1", "true", kind="boolean"),
    S("AuthorizationKey", "SecurityCtrlr.BasicAuthPassword", "", WRITE_ONLY),
    S("SecurityProfile", "SecurityCtrlr.SecurityProfile", "1", READ_WRITE, "integer", low=0, high=3, reboot=True),
    S("CpoName", "SecurityCtrlr.OrganizationName", "Voltyard", READ_WRITE),
    S("", "SecurityCtrlr.CertificateEntries", "0", kind="integer"),
    S("", "SecurityCtrlr.Identity", "", READ_ONLY),
    S("", "OCPPCommCtrlr.NetworkConfigurationPriority", "1", READ_WRITE, "SequenceList", reboot=True),
    S("", "OCPPCommCtrlr.NetworkProfileConnectionAttempts", "3", READ_WRITE, "integer", low=0),
    S("", "OCPPCommCtrlr.OfflineThreshold", "60", READ_WRITE, "integer", unit="s", low=0),
    S("", "OCPPCommCtrlr.MessageTimeout[Default]", "30", kind="integer", unit="s"),
    S("SupportedFileTransferProtocols", "OCPPCommCtrlr.FileTransferProtocols", "HTTPS,HTTP,FTP", kind="MemberList"),
    S("", "OCPPCommCtrlr.QueueAllMessages", "false", READ_WRITE, "boolean"),
    S("", "ClockCtrlr.DateTime", "", kind="dateTime"),
    S("", "ClockCtrlr.TimeSource", "Heartbeat", READ_WRITE, "SequenceList"),
    S("", "AlignedDataCtrlr.Enabled", "true", READ_WRITE, "boolean"),
    S("", "SampledDataCtrlr.Enabled", "true", READ_WRITE, "boolean"),
    S("CustomDisplayCostAndPrice", "TariffCostCtrlr.Enabled[Cost]", "true", READ_WRITE, "boolean"),
    S("", "TariffCostCtrlr.Enabled[Tariff]", "true", READ_WRITE, "boolean"),
    S("", "TariffCostCtrlr.Currency", "EUR", READ_WRITE),
    S("", "TariffCostCtrlr.TariffFallbackMessage", "", READ_WRITE, high=255),
    S("", "TariffCostCtrlr.TotalCostFallbackMessage", "", READ_WRITE, high=255),
    S("", "DisplayMessageCtrlr.Enabled", "true", READ_WRITE, "boolean"),
    S("", "DisplayMessageCtrlr.DisplayMessages", "0", kind="integer", high=10),
    S("", "DisplayMessageCtrlr.SupportedFormats", "ASCII,UTF8,QRCODE", kind="MemberList"),
    S("", "DisplayMessageCtrlr.SupportedPriorities", "AlwaysFront,InFront,NormalCycle", kind="MemberList"),
    S("", "WebPaymentsCtrlr.Enabled", "false", READ_WRITE, "boolean"),
    S("", "WebPaymentsCtrlr.URLTemplate", "", READ_WRITE),
    S("", "WebPaymentsCtrlr.TOTPVersion", "v1", READ_WRITE),
    S("", "WebPaymentsCtrlr.ValidityTime", "60", READ_WRITE, "integer", unit="s", low=6, high=3600),
    S("", "WebPaymentsCtrlr.Length", "8", READ_WRITE, "integer", low=4, high=32),
    S("", "WebPaymentsCtrlr.SharedSecret", "", WRITE_ONLY),
    S("MaxEnergyOnInvalidId", "TxCtrlr.MaxEnergyOnInvalidId", "0", READ_WRITE, "integer", unit="Wh", low=0),
    S("ConnectorPhaseRotation", "", "1.RST", READ_WRITE, "MemberList"),
    S("MeterValuesSampledDataMaxLength", "", "11", kind="integer"),
    S("StopTxnSampledDataMaxLength", "", "11", kind="integer"),
    S("CertificateStoreMaxLength", "", "20", kind="integer"),
    S("CertificateSignedMaxChainSize", "SecurityCtrlr.MaxCertificateChainSize", "10000", kind="integer"),
    S("CertSigningWaitMinimum", "SecurityCtrlr.CertSigningWaitMinimum", "30", READ_WRITE, "integer", unit="s", low=0),
    S("CertSigningRepeatTimes", "SecurityCtrlr.CertSigningRepeatTimes", "3", READ_WRITE, "integer", low=0),
    S("AdditionalRootCertificateCheck", "SecurityCtrlr.AdditionalRootCertificateCheck", "false", kind="boolean"),
    S("ISO15118PnCEnabled", "ISO15118Ctrlr.PnCEnabled", "true", READ_WRITE, "boolean"),
    S("CentralContractValidationAllowed", "ISO15118Ctrlr.CentralContractValidationAllowed", "true", READ_WRITE, "boolean"),
    S("ContractValidationOffline", "ISO15118Ctrlr.ContractValidationOffline", "false", READ_WRITE, "boolean"),
    S("", "ISO15118Ctrlr.SeccId", ""),
    S("", "MonitoringCtrlr.Enabled", "true", READ_WRITE, "boolean"),
    S("", "MonitoringCtrlr.ActiveMonitoringBase", "All", kind="OptionList", choices="All,FactoryDefault,HardWiredOnly"),
    S("", "MonitoringCtrlr.ActiveMonitoringLevel", "9", kind="integer", low=0, high=9),
    S("", "MonitoringCtrlr.OfflineQueuingSeverity", "4", READ_WRITE, "integer", low=0, high=9),
    S("", "MonitoringCtrlr.ItemsPerMessage[SetVariableMonitoring]", "20", kind="integer"),
    S("", "MonitoringCtrlr.ItemsPerMessage[GetMonitoringReport]", "2", kind="integer"),
    S("", "ChargingStation.Problem", "false", kind="boolean"),
    S("", "Controller.FirmwareVersion", ""),
    S("", "DataLink.ICCID", "8949020000001234567"),
    S("", "DataLink.SignalStrength", "-71", kind="integer", unit="dBm"),
    S("", "TemperatureSensor.Temperature", "24.0", kind="decimal", unit="Celsius", low=-40, high=120),
    S("", "FiscalMetering.Manufacturer", "Voltyard VY-M3"),
    S("", "ChargingStation.Model", ""),
    S("", "ChargingStation.VendorName", ""),
    S("", "ChargingStation.SerialNumber", ""),
    S("", "ChargingStation.AvailabilityState", "Available", kind="OptionList"),
    S("", "ChargingStation.SupplyPhases", "3", kind="integer"),
    S("NumberOfConnectors", "", "1", kind="integer"),
)  # fmt: skip


class Device:
    """The settings of one station, with their present values."""

    def __init__(self, connectors: int, kind: str, **values: str) -> None:
        self.settings = [replace(setting) for setting in TABLE]
        for number in range(1, connectors + 1):
            self.settings += _evse_settings(number, kind)
        self.put("NumberOfConnectors", str(connectors))
        for name, value in values.items():
            self.put(name, value)
        self.pending_reboot: dict[int, str] = {}

    def by_key(self, key: str) -> Setting | None:
        """1.6 keys are compared without case (section 9)."""
        return next((s for s in self.settings if s.key and s.key.lower() == key.lower()), None)

    def component(self, name: str) -> list[Setting]:
        return [s for s in self.settings if s.component and s.component.lower() == name.lower()]

    def by_variable(
        self, component: str, variable: str, instance: str = "", evse: int | None = None
    ) -> Setting | None:
        for setting in self.component(component):
            same_name = setting.variable.lower() == variable.lower()
            if same_name and setting.instance.lower() == instance.lower() and setting.evse == evse:
                return setting
        return None

    def _named(self, name: str) -> Setting:
        component, _, variable = name.partition(".")
        variable, _, instance = variable.rstrip("]").partition("[")
        found = self.by_key(name) or self.by_variable(component, variable, instance)
        if found is None:
            raise KeyError(f"A simulated station has no setting named {name}")
        return found

    def text(self, name: str) -> str:
        """Value by 1.6 key or by "Component.Variable"."""
        return self._named(name).value

    def number(self, name: str) -> int:
        return int(self._named(name).value or 0)

    def flag(self, name: str) -> bool:
        return self._named(name).value.strip().lower() == "true"

    def members(self, name: str) -> list[str]:
        return [part.strip() for part in self._named(name).value.split(",") if part.strip()]

    def put(self, name: str, value: str) -> None:
        """Set without asking for access: what the station itself or its installer does."""
        self._named(name).value = value

    def change(self, setting: Setting, value: str) -> str:
        """What the other side wants changed: Accepted, Rejected or RebootRequired."""
        if setting.access == READ_ONLY or setting.check(value):
            return "Rejected"
        if setting.reboot:
            self.pending_reboot[id(setting)] = value
            return "RebootRequired"
        setting.value = value
        return "Accepted"

    def reboot(self) -> None:
        """Changes that waited for a reboot take effect."""
        for setting in self.settings:
            if id(setting) in self.pending_reboot:
                setting.value = self.pending_reboot.pop(id(setting))


def _evse_settings(number: int, kind: str) -> list[Setting]:
    plug = "cCCS2" if kind == "dc" else "sType2"
    power = "150000" if kind == "dc" else "22000"
    return [
        Setting("", "EVSE", "AvailabilityState", "Available", kind="OptionList", evse=number),
        Setting("", "EVSE", "Available", "true", kind="boolean", evse=number),
        Setting("", "EVSE", "Power", power, kind="decimal", unit="W", evse=number),
        Setting("", "EVSE", "SupplyPhases", "3", kind="integer", evse=number),
        Setting("", "EVSE", "AllowReset", "true", kind="boolean", evse=number),
        Setting(
            "", "EVSE", "Temperature", "22.0", kind="decimal", unit="Celsius", low=-40, high=120, evse=number
        ),
        Setting("", "EVSE", "ActivePower", "0", kind="decimal", unit="W", evse=number),
        Setting("", "Connector", "Problem", "false", kind="boolean", evse=number, connector=1),
        Setting(
            "", "Connector", "AvailabilityState", "Available", kind="OptionList", evse=number, connector=1
        ),
        Setting("", "Connector", "Available", "true", kind="boolean", evse=number, connector=1),
        Setting("", "Connector", "ConnectorType", plug, evse=number, connector=1),
        Setting("", "Connector", "SupplyPhases", "3", kind="integer", evse=number, connector=1),
    ]

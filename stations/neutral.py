"""What stations say, in neutral words: the language between a version's file and the service verbs.

Times are given twice: `raw_timestamp` as on the wire, and `received_at` by our clock (aware, UTC). Verbs sanitise
the raw one (`stations.services.clock`). Energies are Wh, powers W, currents A. Wire words do not occur here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from fleets.models import Verdict


class SampledValue(NamedTuple):
    """One measured value as told. `value` is None where it is no number (signed data stay in `raw`).

    `measurand` keeps OCPP's dotted term ("Energy.Active.Import.Register", "Power.Active.Import", "SoC", ...), which
    1.6 and 2.x share; `unit` is as told ("Wh", "kWh", "W", ...; empty: the measurand's default), `multiplier` is 2.x's
    power of ten; `phase`, `location`, `context` as told, empty when not.
    """

    measurand: str
    value: Decimal | None
    raw: str
    unit: str = ""
    phase: str = ""
    location: str = ""
    context: str = ""
    multiplier: int = 0
    signed: bool = False


class Sample(NamedTuple):
    raw_timestamp: str
    values: tuple[SampledValue, ...]


@dataclass(frozen=True, slots=True)
class TokenShown:
    """A token as shown at a station. `kind` is a TokenKind value; 1.6 does not tell: empty."""

    uid: str
    kind: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class CertificateHash:
    """A certificate by hash data, as OCPP OCSPRequestDataType: SHA256 | SHA384 | SHA512, hexadecimal texts."""

    algorithm: str
    issuer_name_hash: str
    issuer_key_hash: str
    serial_number: str
    responder_url: str = ""


@dataclass(frozen=True, slots=True)
class ContractShown:
    """What a car proves its contract with: its certificate chain (PEM), or hash data of it, or both."""

    chain: str = ""
    hashes: tuple[CertificateHash, ...] = ()


@dataclass(frozen=True, slots=True)
class ContractFound:
    """What the proof was found to be. `status`: a CertificateStatus value; `path`: PEM from the contract to the root.

    `trusted`: the path reaches a trusted root, so that who the certificate names is true. `flagged`: accepted though
    its revocation could not be checked.
    """

    status: str
    detail: str = ""
    steps: tuple[dict[str, Any], ...] = ()
    path: tuple[str, ...] = ()
    trusted: bool = False
    flagged: bool = False


@dataclass(frozen=True, slots=True)
class AuthorizeRequest:
    station_id: int
    token: TokenShown
    received_at: datetime
    contract: ContractShown | None = None
    found: ContractFound | None = None


@dataclass(frozen=True, slots=True)
class AuthorizeAnswer:
    """`message`: for the driver, in `language`; `tariff`: its frozen terms (billing.services.tariffs.snapshot);
    `certificate`: a CertificateStatus value where a contract was to be proved; `bidirectional`: it may flow back."""

    verdict: Verdict
    group: str = ""
    expires_at: datetime | None = None
    language: str = ""
    message: str = ""
    no_credit: bool = False
    tariff: dict[str, Any] | None = None
    certificate: str = ""
    reason: str = ""
    priority: int | None = None
    bidirectional: bool = False


@dataclass(frozen=True, slots=True)
class CarCertificateRequest:
    """Get15118EVCertificate: the EXI message of the car goes to the provider as it is. `most_answer`: characters."""

    station_id: int
    received_at: datetime
    schema: str
    update: bool
    exi: str
    most_answer: int
    wanted_chains: int | None = None
    emaids: tuple[str, ...] = ()
    answer: CarCertificateAnswer | None = None


@dataclass(frozen=True, slots=True)
class CarCertificateAnswer:
    accepted: bool
    exi: str = ""
    detail: str = ""
    remaining: int | None = None
    took_ms: int = 0


@dataclass(frozen=True, slots=True)
class StatusQuestion:
    """Of which certificate the station wants to know, where it may be asked. `source`: ocsp | crl."""

    hash: CertificateHash
    source: str = "ocsp"
    urls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StatusRequest:
    """GetCertificateStatus (one question) and GetCertificateChainStatus (up to four)."""

    station_id: int
    received_at: datetime
    questions: tuple[StatusQuestion, ...]
    most_answer: int = 0  # characters of an OCSP response in base64
    answers: tuple[StatusTold, ...] = ()


@dataclass(frozen=True, slots=True)
class StatusTold:
    """`status`: a RevocationStatus value. `response`: an OCSP response in base64, as it came."""

    question: StatusQuestion
    status: str
    detail: str = ""
    response: str = ""
    next_update: datetime | None = None


@dataclass(frozen=True, slots=True)
class StartRequest:
    """1.6 StartTransaction."""

    station_id: int
    connector: int
    token: TokenShown
    meter_start_wh: Decimal
    raw_timestamp: str
    received_at: datetime
    payload: dict[str, Any]
    reservation: int | None = None  # the number we gave


@dataclass(frozen=True, slots=True)
class StartAnswer:
    transaction_number: int
    verdict: Verdict
    group: str = ""
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StopRequest:
    """1.6 StopTransaction."""

    station_id: int
    transaction_number: int
    meter_stop_wh: Decimal
    raw_timestamp: str
    received_at: datetime
    payload: dict[str, Any]
    token: TokenShown | None = None
    reason: str = ""
    samples: tuple[Sample, ...] = ()
    reason_told: bool = True  # False: the default of the specification stands in


@dataclass(frozen=True, slots=True)
class StopAnswer:
    verdict: Verdict | None = None  # of the token shown at the stop, if one was
    group: str = ""
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TransactionEvent:
    """2.x TransactionEvent."""

    station_id: int
    kind: str  # started | updated | ended
    transaction_id: str
    seq_no: int
    raw_timestamp: str
    received_at: datetime
    payload: dict[str, Any]
    trigger: str = ""
    offline: bool = False
    evse: int = 0  # 0: not told
    connector: int = 0
    token: TokenShown | None = None
    charging_state: str = ""
    stopped_reason: str = ""
    remote_start_id: int | None = None
    reservation: int | None = None  # the number we gave
    samples: tuple[Sample, ...] = ()
    circumstances: Mapping[str, Any] = field(default_factory=dict)  # see `stations.circumstances`
    # 2.1: what the station reckons, by which tariff, and what bounds the session
    cost: CostReckoned | None = None
    tariff_id: str = ""
    limit: SessionLimit | None = None


@dataclass(frozen=True, slots=True)
class TransactionAnswer:
    """`total`: what the session costs, tax included; `text`: for the driver to read; `limit`: what bounds it."""

    verdict: Verdict | None = None
    group: str = ""
    expires_at: datetime | None = None
    language: str = ""
    message: str = ""
    no_credit: bool = False
    total: Decimal | None = None
    text: str = ""
    limit: SessionLimit | None = None
    reason: str = ""
    priority: int | None = None


@dataclass(frozen=True, slots=True)
class StatusReport:
    """StatusNotification. `status` is a ConnectorStatus value; evse 0 is the station itself."""

    station_id: int
    evse: int
    connector: int
    status: str
    raw_timestamp: str
    received_at: datetime
    error_code: str = ""
    vendor_error_code: str = ""
    info: str = ""


@dataclass(frozen=True, slots=True)
class MeterReport:
    """MeterValues. `transaction_number` is 1.6's; None: not told."""

    station_id: int
    evse: int
    received_at: datetime
    samples: tuple[Sample, ...]
    transaction_number: int | None = None


@dataclass(frozen=True, slots=True)
class BootReport:
    station_id: int
    received_at: datetime
    vendor: str = ""
    model: str = ""
    serial_number: str = ""
    firmware_version: str = ""
    iccid: str = ""
    imsi: str = ""
    reason: str = ""
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EventReport:
    """Firmware, log, security and monitoring notices, and vendor messages: told, kept, shown."""

    station_id: int
    kind: str  # firmware | log | security | monitor | vendor | note
    severity: str  # info | warning | error
    text: str
    raw_timestamp: str
    received_at: datetime
    detail: dict[str, Any] = field(default_factory=dict)
    evse: int | None = None
    connector: int | None = None


@dataclass(frozen=True, slots=True)
class VariableReport:
    """A 1.6 configuration key or a 2.x variable attribute as told by a station; see models.Variable."""

    name: str
    value: str | None
    mutability: str = ""  # read_only | write_only | read_write; empty: not told
    component: str = ""
    component_instance: str = ""
    evse: int = 0
    connector: int = 0
    instance: str = ""
    attribute: str = "actual"
    data_type: str = ""
    unit: str = ""
    values_list: str = ""
    min_limit: float | None = None
    max_limit: float | None = None
    max_elements: int | None = None
    supports_monitoring: bool | None = None
    persistent: bool | None = None
    constant: bool | None = None


@dataclass(frozen=True, slots=True)
class VariablesTold:
    """What a station told of its device model in one message. `source`: read_configuration | report | event.

    `whole`: these are all that it has. `absent`: what was asked for and is not there.
    """

    station_id: int
    received_at: datetime
    source: str
    variables: tuple[VariableReport, ...]
    whole: bool = False
    absent: tuple[VariableReport, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportPromised:
    """The station's word on whether it will tell in parts what a command asked for. `kind`: report | monitors."""

    station_id: int
    command_id: int
    request_id: int
    received_at: datetime
    kind: str
    base: str = ""
    accepted: bool = True
    empty: bool = False


@dataclass(frozen=True, slots=True)
class ReportPart:
    """One part of what a station tells in many. `part` counts from 0, `more`: it is not the last."""

    station_id: int
    received_at: datetime
    kind: str
    request_id: int
    part: int
    more: bool
    items: int
    raw_timestamp: str = ""


@dataclass(frozen=True, slots=True)
class SettingAnswer:
    """What became of one setting. `status`: accepted | reset | refused | unknown; `reason` is the station's word."""

    variable: VariableReport
    status: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SettingsAnswered:
    station_id: int
    command_id: int
    received_at: datetime
    results: tuple[SettingAnswer, ...]


@dataclass(frozen=True, slots=True)
class MonitorReport:
    """A monitor as told. `kind` and `base` are MonitorKind and MonitorBase values; `variable` says on what.

    `status` of an answer: set | refused | unknown | unsupported | duplicate | gone.
    """

    number: int | None
    kind: str
    value: float
    severity: int
    variable: VariableReport
    during_transaction: bool = False
    base: str = "unknown"
    status: str = "set"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class MonitorsTold:
    """Monitors of one part of a report, told of request `request_id`."""

    station_id: int
    received_at: datetime
    monitors: tuple[MonitorReport, ...]


@dataclass(frozen=True, slots=True)
class MonitorsAnswered:
    """What the station made of the monitors that a command sets, in the order asked."""

    station_id: int
    command_id: int
    received_at: datetime
    monitors: tuple[MonitorReport, ...]


@dataclass(frozen=True, slots=True)
class MonitorsCleared:
    """(id, set | refused | gone, reason) of each that a command removes."""

    station_id: int
    command_id: int
    received_at: datetime
    results: tuple[tuple[int, str, str], ...]


@dataclass(frozen=True, slots=True)
class MonitorEvent:
    """One event of a monitor. `trigger`: alert | delta | periodic; `severity` None: not told (2.0.1)."""

    station_id: int
    received_at: datetime
    raw_timestamp: str
    number: int
    variable: VariableReport
    trigger: str
    value: str
    base: str
    cleared: bool = False
    monitor_number: int | None = None
    cause_number: int | None = None
    severity: int | None = None
    tech_code: str = ""
    tech_info: str = ""
    transaction_id: str = ""
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CustomerPart:
    """One part of what a station keeps of a customer."""

    station_id: int
    received_at: datetime
    request_id: int
    part: int
    more: bool
    text: str


@dataclass(frozen=True, slots=True)
class StreamOffer:
    """An event stream that a station opens, or says that it has open."""

    station_id: int
    received_at: datetime
    number: int
    monitor_number: int | None
    interval_s: int | None = None
    values_per_message: int | None = None


@dataclass(frozen=True, slots=True)
class StreamClosed:
    station_id: int
    received_at: datetime
    number: int


@dataclass(frozen=True, slots=True)
class StreamsListed:
    """All event streams that a station has open."""

    station_id: int
    received_at: datetime
    streams: tuple[StreamOffer, ...]


@dataclass(frozen=True, slots=True)
class StreamTold:
    """Values of a stream: (seconds after `raw_timestamp`, value)."""

    station_id: int
    received_at: datetime
    number: int
    raw_timestamp: str
    pending: int
    values: tuple[tuple[float, str], ...]


@dataclass(frozen=True, slots=True)
class TransactionStatusTold:
    """Whether a transaction still runs (None: not asked of one), and whether messages of it wait at the station."""

    station_id: int
    command_id: int
    received_at: datetime
    transaction_id: str
    ongoing: bool | None
    queued: bool


@dataclass(frozen=True, slots=True)
class LogNotice:
    """How an upload goes. `status`: idle | uploading | uploaded | failed | replaced; `word` as told.

    `number` is that of the request; None where the version tells none: the newest open request is meant.
    """

    station_id: int
    received_at: datetime
    status: str
    word: str
    number: int | None = None
    info: str = ""


@dataclass(frozen=True, slots=True)
class LogAnswered:
    """The answer to a request for a log. `nothing`: there is no such log; `replaces`: another upload was dropped."""

    station_id: int
    received_at: datetime
    command_id: int
    file_name: str = ""
    nothing: bool = False
    replaces: bool = False


@dataclass(frozen=True, slots=True)
class FirmwareNotice:
    """How an update goes.

    `status`: idle | scheduled | downloading | paused | downloaded | verified | install_scheduled | installing |
    rebooting | installed | download_failed | install_failed | bad_signature; `word` as told; `number` as in LogNotice.
    """

    station_id: int
    received_at: datetime
    status: str
    word: str
    number: int | None = None
    info: str = ""


@dataclass(frozen=True, slots=True)
class PublicationNotice:
    """How a local controller gets on with publishing. `status`: idle | downloading | published | failed."""

    station_id: int
    received_at: datetime
    status: str
    word: str
    number: int | None = None
    locations: tuple[str, ...] = ()
    info: str = ""


@dataclass(frozen=True, slots=True)
class DisplayTold:
    """A message as the station says it shows it. `contents` as in models.DisplayNotice; words are models' values."""

    number: int
    priority: str
    contents: tuple[dict[str, str], ...]
    state: str = ""
    starts_at: str = ""
    ends_at: str = ""
    transaction_id: str = ""
    evse: int = 0


@dataclass(frozen=True, slots=True)
class DisplaysTold:
    """A part of what a station shows. `request`: of the command that asked. `last`: no part follows."""

    station_id: int
    received_at: datetime
    request: int
    messages: tuple[DisplayTold, ...]
    last: bool


@dataclass(frozen=True, slots=True)
class TariffAssigned:
    """A tariff that a station says it has. `kind`: default | driver."""

    wire_id: str
    kind: str
    evses: tuple[int, ...] = ()
    tokens: int = 0  # how many drivers have it
    valid_from: str = ""


@dataclass(frozen=True, slots=True)
class TariffsTold:
    station_id: int
    received_at: datetime
    evse: int  # 0: of all
    assignments: tuple[TariffAssigned, ...]


@dataclass(frozen=True, slots=True)
class CostReckoned:
    """2.1 costDetails: what the station makes of its tariff. `failure`: why it could not."""

    total_incl: Decimal | None
    total_excl: Decimal | None
    currency: str
    details: dict[str, Any]
    failure: str = ""


@dataclass(frozen=True, slots=True)
class SessionLimit:
    """What bounds a session; None: no bound. Wh, seconds, percent, money with tax."""

    cost: Decimal | None = None
    energy_wh: Decimal | None = None
    seconds: int | None = None
    soc_percent: int | None = None

    @property
    def any(self) -> bool:
        return (self.cost, self.energy_wh, self.seconds, self.soc_percent) != (None, None, None, None)


@dataclass(frozen=True, slots=True)
class SettlementReport:
    """2.1 NotifySettlement. `status` is a SettlementStatus value."""

    station_id: int
    received_at: datetime
    psp_ref: str
    status: str
    amount: Decimal | None
    raw_timestamp: str
    transaction_id: str = ""
    info: str = ""
    receipt_id: str = ""
    receipt_url: str = ""
    vat_number: str = ""
    vat_company: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class SettlementAnswer:
    receipt_id: str = ""
    receipt_url: str = ""


@dataclass(frozen=True, slots=True)
class VatRequest:
    station_id: int
    received_at: datetime
    number: str
    evse: int | None = None


@dataclass(frozen=True, slots=True)
class VatAnswer:
    """`reason`: why not, a code of at most 20 letters; `text` says it in words."""

    accepted: bool
    reason: str = ""
    text: str = ""
    company: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class BatteryTold:
    evse: int
    serial_number: str
    soc_percent: float
    soh_percent: float
    produced_at: str = ""
    vendor_info: str = ""


@dataclass(frozen=True, slots=True)
class SwapReport:
    """2.1 BatterySwap. `kind`: in | out | timeout."""

    station_id: int
    received_at: datetime
    request: int
    kind: str
    token: TokenShown
    batteries: tuple[BatteryTold, ...]


@dataclass(frozen=True, slots=True)
class ListAnswered:
    """What a station made of a local list. `outcome`: taken | mismatch | refused | unsupported."""

    station_id: int
    command_id: int
    outcome: str


@dataclass(frozen=True, slots=True)
class ListVersionTold:
    """The version of a station's local list; 0: empty, below: it has none."""

    station_id: int
    command_id: int
    received_at: datetime
    version: int


@dataclass(frozen=True, slots=True)
class ReservationAnswered:
    """`outcome`: held | occupied | faulted | unavailable | refused | cancelled | unknown (nothing to cancel)."""

    station_id: int
    command_id: int
    outcome: str


@dataclass(frozen=True, slots=True)
class ReservationTold:
    """2.x: a reservation ended at the station by itself. `outcome`: expired | removed | no_transaction."""

    station_id: int
    number: int
    outcome: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class CertificateTold:
    """A certificate in a station's store, by its hash data. `use` is a CertificateUse value."""

    use: str
    hash_algorithm: str
    issuer_name_hash: str
    issuer_key_hash: str
    serial: str
    children: tuple[tuple[str, str, str, str], ...] = ()  # algorithm, name hash, key hash, serial


@dataclass(frozen=True, slots=True)
class CertificatesTold:
    """All that a station holds of these uses; empty `uses`: of every use."""

    station_id: int
    received_at: datetime
    uses: tuple[str, ...]
    certificates: tuple[CertificateTold, ...]


@dataclass(frozen=True, slots=True)
class CertificateTaken:
    """A station has installed this certificate."""

    station_id: int
    received_at: datetime
    use: str
    pem: str


@dataclass(frozen=True, slots=True)
class CertificateGone:
    """A station has deleted this certificate, or never had it."""

    station_id: int
    received_at: datetime
    hash_algorithm: str
    issuer_name_hash: str
    issuer_key_hash: str
    serial: str


@dataclass(frozen=True, slots=True)
class SecurityReport:
    """SecurityEventNotification. `type` as told: OCPP's word, or one of the maker's own."""

    station_id: int
    type: str
    tech_info: str
    raw_timestamp: str
    received_at: datetime
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SignRequest:
    """SignCertificate. `use` is a SigningUse value; `request_id` and `root_hash` are 2.1's."""

    station_id: int
    received_at: datetime
    csr: str
    use: str = "station"
    request_id: int | None = None
    root_hash: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class SignAnswer:
    accepted: bool
    code: str = ""  # at most 20 characters, for machines
    reason: str = ""

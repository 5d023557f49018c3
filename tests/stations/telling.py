"""A station as the scenarios let it speak: neutral words straight to the verbs, without sockets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from stations.models import OrphanMessage, Reading, Session, SessionEvent, Station
from stations.neutral import (
    MeterReport,
    Sample,
    SampledValue,
    StartRequest,
    StatusReport,
    StopRequest,
    TokenShown,
    TransactionEvent,
)
from stations.services import connectors, readings, sessions, transactions
from tenants.context import tenant_scope

REGISTER = "Energy.Active.Import.Register"
POWER = "Power.Active.Import"


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def wire(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def value(number: object, measurand: str = REGISTER, **rest: Any) -> SampledValue:
    text = str(number)
    try:
        decimal: Decimal | None = Decimal(text)
    except ArithmeticError:
        decimal = None
    return SampledValue(measurand, decimal, text, **rest)


def sample(at: datetime | str, *values: SampledValue) -> Sample:
    return Sample(at if isinstance(at, str) else wire(at), values)


@dataclass
class Speaker:
    """Speaks for one station. `began` is when the scenario's session starts."""

    station: Station
    began: datetime = field(default_factory=lambda: now() - timedelta(hours=1))

    @property
    def tenant_id(self) -> int:
        return self.station.tenant_id

    # 1.6

    def start_request(self, uid: str = "CARD", *, connector: int = 1, meter: object = 1000, at: Any = None,
                      received_at: datetime | None = None) -> StartRequest:  # fmt: skip
        told = at if isinstance(at, str) else wire(at or self.began)
        received = received_at or (at if isinstance(at, datetime) else self.began)
        payload = {"connectorId": connector, "idTag": uid, "meterStart": int(str(meter)), "timestamp": told}
        return StartRequest(
            self.station.pk, connector, TokenShown(uid), Decimal(str(meter)), told, received, payload
        )

    def start(self, *requests: StartRequest, **values: Any) -> list[Any]:
        with tenant_scope(self.tenant_id):
            return sessions.start(
                tenant_id=self.tenant_id, requests=requests or [self.start_request(**values)]
            )

    def stop_request(
        self,
        number: int,
        *,
        meter: object = 6000,
        at: Any = None,
        received_at: datetime | None = None,
        uid: str | None = None,
        reason: str = "",
        samples: Sequence[Sample] = (),
    ) -> StopRequest:
        told = at if isinstance(at, str) else wire(at or self.began + timedelta(minutes=50))
        payload = {"transactionId": number, "meterStop": str(meter), "timestamp": told}
        return StopRequest(
            self.station.pk, number, Decimal(str(meter)), told, received_at or now(), payload,
            TokenShown(uid) if uid is not None else None, reason, tuple(samples),
        )  # fmt: skip

    def stop(self, *requests: StopRequest, **values: Any) -> list[Any]:
        with tenant_scope(self.tenant_id):
            return sessions.stop(tenant_id=self.tenant_id, requests=requests or [self.stop_request(**values)])

    def meter(self, *samples: Sample, evse: int = 1, number: int | None = None,
              received_at: datetime | None = None) -> None:  # fmt: skip
        report = MeterReport(self.station.pk, evse, received_at or now(), samples, number)
        with tenant_scope(self.tenant_id):
            readings.record(tenant_id=self.tenant_id, reports=[report]).settle()

    def status(self, status: str, *, evse: int = 1, connector: int = 1, at: Any = None,
               received_at: datetime | None = None, **rest: Any) -> None:  # fmt: skip
        received = received_at or now()
        told = at if isinstance(at, str) else wire(at or received)
        report = StatusReport(self.station.pk, evse, connector, status, told, received, **rest)
        with tenant_scope(self.tenant_id):
            connectors.record_status(tenant_id=self.tenant_id, reports=[report])

    # 2.x

    def event(self, kind: str, seq_no: int, *, minutes: float = 0, transaction_id: str = "tx-1", uid: str | None = None,
              samples: Iterable[SampledValue] = (), evse: int = 1, at: Any = None, received_at: datetime | None = None,
              **rest: Any) -> TransactionEvent:  # fmt: skip
        told = at if isinstance(at, str) else wire(at or self.began + timedelta(minutes=minutes))
        taken = tuple(samples)
        return TransactionEvent(
            self.station.pk, kind, transaction_id, seq_no, told, received_at or now(),
            {"eventType": kind, "seqNo": seq_no, "timestamp": told}, evse=evse,
            token=TokenShown(uid) if uid is not None else None,
            samples=(Sample(told, taken),) if taken else (), **rest,
        )  # fmt: skip

    def tell(self, *events: TransactionEvent) -> list[Any]:
        with tenant_scope(self.tenant_id):
            return transactions.record(tenant_id=self.tenant_id, events=events)

    # What became of it

    def sessions(self) -> list[Session]:
        with tenant_scope(self.tenant_id):
            return list(Session.objects.filter(station=self.station).select_related("evse").order_by("id"))

    def session(self) -> Session:
        (one,) = self.sessions()
        return one

    def readings(self) -> list[Reading]:
        with tenant_scope(self.tenant_id):
            return list(Reading.objects.filter(station=self.station).order_by("sampled_at", "id"))

    def events(self) -> list[SessionEvent]:
        with tenant_scope(self.tenant_id):
            return list(SessionEvent.objects.filter(session__station=self.station).order_by("id"))

    def orphans(self) -> list[OrphanMessage]:
        with tenant_scope(self.tenant_id):
            return list(OrphanMessage.objects.filter(station=self.station).order_by("id"))


def begin(number: object, **rest: Any) -> SampledValue:
    return value(number, context="Transaction.Begin", **rest)


def end(number: object, **rest: Any) -> SampledValue:
    return value(number, context="Transaction.End", **rest)

"""Which verb keeps which neutral report: the one table for what stations tell unasked and for what they answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from stations.neutral import (
    CertificateGone,
    CertificatesTold,
    CertificateTaken,
    DisplaysTold,
    EventReport,
    FirmwareNotice,
    ListAnswered,
    ListVersionTold,
    LogAnswered,
    LogNotice,
    MeterReport,
    MonitorEvent,
    MonitorsAnswered,
    MonitorsCleared,
    MonitorsTold,
    PublicationNotice,
    ReportPart,
    ReportPromised,
    ReservationAnswered,
    ReservationTold,
    SecurityReport,
    SettingsAnswered,
    StatusReport,
    StreamClosed,
    StreamOffer,
    StreamsListed,
    StreamTold,
    SwapReport,
    TariffsTold,
    TransactionStatusTold,
    VariablesTold,
)
from stations.neutral_power import (
    CompositeAnswered,
    DerAlarm,
    DerAnswered,
    DersTold,
    DerSwitched,
    LimitTold,
    PriorityTold,
    ProfilesTold,
    TransfersAllowed,
)
from stations.services import (
    alerts,
    configuration,
    connectors,
    constraints,
    der,
    devices,
    displays,
    events,
    local_lists,
    monitors,
    priority,
    profiles,
    quirks,
    readings,
    reservations,
    security_events,
    station_tariffs,
    streams,
    swaps,
    trust,
)
from stations.services import reports as device_reports
from stations.services.files import logs, publications, updates

# In this order; each verb gets all reports of its kind in the order told.
RECORDERS: dict[type, Callable[..., Any]] = {
    MeterReport: readings.record,
    StatusReport: connectors.record_status,
    EventReport: events.record,
    VariablesTold: devices.record,
    LogAnswered: logs.record_answers,
    LogNotice: logs.record_notices,
    FirmwareNotice: updates.record_notices,
    PublicationNotice: publications.record_notices,
    ProfilesTold: profiles.record_reports,
    CompositeAnswered: profiles.record_composites,
    LimitTold: constraints.record,
    PriorityTold: priority.record,
    TransfersAllowed: priority.record_transfers,
    DerAnswered: der.record_answers,
    DersTold: der.record_reports,
    DerSwitched: der.record_switches,
    DerAlarm: der.record_alarms,
    SecurityReport: security_events.record,
    SettingsAnswered: configuration.record_answers,
    MonitorsTold: monitors.record_told,
    MonitorsAnswered: monitors.record_answers,
    MonitorsCleared: monitors.record_cleared,
    MonitorEvent: alerts.record,
    ReportPromised: device_reports.record_promises,
    ReportPart: device_reports.record_parts,
    StreamOffer: streams.record_offers,
    StreamTold: streams.record_values,
    StreamClosed: streams.record_closed,
    StreamsListed: streams.record_list,
    TransactionStatusTold: events.record_transaction_status,
    ListAnswered: local_lists.answered,
    ListVersionTold: local_lists.told_version,
    ReservationAnswered: reservations.answered,
    ReservationTold: reservations.told,
    CertificatesTold: trust.record_listing,
    CertificateTaken: trust.record_taken,
    CertificateGone: trust.record_gone,
    DisplaysTold: displays.record,
    TariffsTold: station_tariffs.record,
    SwapReport: swaps.record,
}


def record(*, tenant_id: int, reports: Sequence[Any]) -> None:
    """Keep the reports, inside the caller's transaction. LookupError for one that no verb takes."""
    by_kind: dict[type, list[Any]] = {}
    for report in quirks.corrected(tenant_id, reports):
        by_kind.setdefault(type(report), []).append(report)
    if unknown := by_kind.keys() - RECORDERS.keys():
        raise LookupError(f"No verb takes {sorted(kind.__name__ for kind in unknown)}.")
    progress = None
    for kind, verb in RECORDERS.items():
        if kind in by_kind:
            answer = verb(tenant_id=tenant_id, reports=by_kind[kind])
            progress = answer if kind is MeterReport else progress
    if progress is not None:  # last of all: stops wait for these sessions until the commit
        progress.settle()

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
    ListAnswered,
    ListVersionTold,
    MeterReport,
    ReservationAnswered,
    ReservationTold,
    SecurityReport,
    StatusReport,
    SwapReport,
    TariffsTold,
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
    connectors,
    constraints,
    der,
    devices,
    displays,
    events,
    local_lists,
    priority,
    profiles,
    readings,
    reservations,
    security_events,
    station_tariffs,
    swaps,
    trust,
)

# In this order; each verb gets all reports of its kind in the order told.
RECORDERS: dict[type, Callable[..., Any]] = {
    MeterReport: readings.record,
    StatusReport: connectors.record_status,
    EventReport: events.record,
    VariablesTold: devices.record,
    SecurityReport: security_events.record,
    ProfilesTold: profiles.record_reports,
    CompositeAnswered: profiles.record_composites,
    LimitTold: constraints.record,
    PriorityTold: priority.record,
    TransfersAllowed: priority.record_transfers,
    DerAnswered: der.record_answers,
    DersTold: der.record_reports,
    DerSwitched: der.record_switches,
    DerAlarm: der.record_alarms,
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
    for report in reports:
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

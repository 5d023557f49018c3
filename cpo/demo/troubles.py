"""What needs somebody: held sessions, an orphan, refused cards, a quarantined station, faults, an uptime with gaps."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from billing.models import Charge
from cpo.demo import equipment, health
from cpo.demo.founding import OWN_CHARGER, Company, connectors
from fleets.models import Verdict
from stations.models import (
    Authorization,
    Connection,
    Connector,
    ConnectorStatus,
    QuarantinedStation,
    Session,
    SessionState,
    Station,
)
from stations.neutral import StopRequest
from stations.services import clock, holding, orphans
from stations.services.evidence import Evidence
from stations.services.sheet import milli

_HELD = (
    (("meter_rollback",), Verdict.ACCEPTED),
    (("guardian_closed", "guardian_unsure"), Verdict.ACCEPTED),
    (("token_refused",), Verdict.BLOCKED),
)


def write(company: Company, sessions: list[Session], now: datetime) -> None:
    _connectors(company, now)
    _uptime(company, now)
    health.write(company, sessions, now)
    _refused_cards(company, now)
    if len(company.sites) > 1:
        held = _held(company, sessions)
        _orphan(company, held["guardian_unsure"], now)
        _quarantined(company, now)
        equipment.write(company, now)


def _connectors(company: Company, now: datetime) -> None:
    """Free until the stations report themselves; the own charger has never been heard."""
    rows = [one for one in connectors(company) if one.evse.station.identity != OWN_CHARGER]
    for row in rows:
        row.status = ConnectorStatus.AVAILABLE
        row.status_at = row.status_received_at = row.status_since = now
    Connector.objects.bulk_update(rows, ["status", "status_at", "status_received_at", "status_since"])


def _uptime(company: Company, now: datetime) -> None:
    """Sockets of the past weeks, with a gap now and then; the newest ended when the demo was made."""
    found: list[Connection] = []
    stations: list[Station] = []
    for _plan, station, _power_w, version in company.stations:
        rng, at, epoch = Random(station.identity), now - timedelta(weeks=6), 0
        while at < now:
            until = min(now, at + timedelta(hours=rng.uniform(60, 400)))
            epoch += 1
            found.append(_connection(company, station, epoch, version, at, until))
            at = until + timedelta(minutes=rng.choice((1, 2, 3, 8, 45)))
        station.epoch, station.ocpp_version = epoch, version
        station.last_seen_at = station.online_changed_at = now
        stations.append(station)
    Connection.objects.bulk_create(found)
    Station.objects.bulk_update(stations, ["epoch", "ocpp_version", "last_seen_at", "online_changed_at"])


def _connection(
    company: Company, station: Station, epoch: int, version: str, opened: datetime, closed: datetime
) -> Connection:
    return Connection(
        tenant_id=company.tenant.pk,
        station=station,
        epoch=epoch,
        gateway="demo",
        ocpp_version=version,
        remote_address="127.0.0.1",
        opened_at=opened,
        closed_at=closed,
        close_code=1006,
        close_reason="the line was lost",
    )


def _refused_cards(company: Company, now: datetime) -> None:
    verdicts = (Verdict.EXPIRED, Verdict.BLOCKED, Verdict.BLOCKED)
    Authorization.objects.bulk_create(
        Authorization(
            tenant_id=company.tenant.pk,
            station=company.rng.choice(company.stations)[1],
            token_uid=token.uid,
            token=token,
            verdict=verdict,
            at=now - timedelta(hours=company.rng.uniform(1, 200)),
        )
        for token, verdict in zip(company.tokens["refused"], verdicts, strict=True)
        for _ in range(4)
    )


def _held(company: Company, sessions: list[Session]) -> dict[str, Session]:
    """Some of the last days' sessions were odd: they wait for review, unpriced. By their last flag."""
    held = {}
    late = [one for one in sessions[-400:] if one.energy_wh > 5000]
    for (flags, verdict), session in zip(_HELD, company.rng.sample(late, len(_HELD)), strict=True):
        Charge.objects.filter(tenant_id=company.tenant.pk, subject=f"session:{session.pk}").delete()
        session.state, session.flags, session.verdict = SessionState.HELD, sorted(flags), verdict
        session.held_reason = holding.reason(flags, verdict=verdict, energy_wh=session.energy_wh)
        session.charge_id = session.cost_incl_tax = None
        if verdict == Verdict.BLOCKED:
            token = company.tokens["refused"][1]
            session.token, session.token_uid = token, token.uid
            session.driver, session.fleet = token.driver, None
        session.save()
        held[flags[-1]] = session
    return held


def _orphan(company: Company, lost: Session, now: datetime) -> None:
    """The stop of a session that was given up, told for another number: it waits to be applied to it."""
    assert lost.ended_at is not None and lost.meter_start_wh is not None and lost.meter_stop_wh is not None
    known, start = Evidence(), clock.milliseconds(lost.started_at)
    known.start(start, start)
    known.begin(start, milli(lost.meter_start_wh))
    known.closed = (clock.milliseconds(lost.ended_at), milli(lost.meter_stop_wh))
    known.register(*known.closed)
    known.note(*lost.flags)
    lost.evidence, lost.ended_received_at = known.to_json(), None
    lost.save(update_fields=["evidence", "ended_received_at"])
    at, meter_wh = min(lost.ended_at + timedelta(minutes=12), now), lost.meter_stop_wh + 1_240
    payload: dict[str, Any] = {
        "transactionId": 48211,
        "meterStop": int(meter_wh),
        "timestamp": at.isoformat(timespec="seconds"),
        "reason": "PowerLoss",
    }
    stop = StopRequest(
        station_id=lost.station_id,
        transaction_number=48211,
        meter_stop_wh=Decimal(int(meter_wh)),
        raw_timestamp=payload["timestamp"],
        received_at=at,
        payload=payload,
        reason="PowerLoss",
    )
    orphans.keep_stops(company.tenant.pk, [stop])


def _quarantined(company: Company, now: datetime) -> None:
    QuarantinedStation.objects.create(
        tenant_id=company.tenant.pk,
        identity="NOR-SOL-05",
        first_seen_at=now - timedelta(hours=26),
        last_seen_at=now - timedelta(minutes=4),
        attempts=311,
        remote_address="192.0.2.41",
        subprotocols="ocpp2.0.1, ocpp1.6",
    )

"""Some weeks of completed sessions with readings, events and charges, set-based; the rating engine makes each price."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connections
from django.db.models import F

from billing.models import Charge
from billing.services import charges, tariffs
from billing.usage import Usage, UsagePeriod
from cpo.demo.companies import DemoStations
from cpo.demo.founding import Company, connectors
from cpo.demo.patterns import Sample, Visit, samples, visits
from fleets.models import Token, Verdict
from stations.models import Authorization, Connector, Session, SessionEvent, SessionState
from tenants.context import current_alias

WEEKS = 6
_BATCH = 4000


@dataclass
class _Rows:
    sessions: list[Session] = field(default_factory=list)
    events: list[SessionEvent] = field(default_factory=list)
    charges: list[Charge] = field(default_factory=list)
    shown: list[Authorization] = field(default_factory=list)
    readings: list[list[Any]] = field(default_factory=list)


def write(company: Company, now: datetime) -> list[Session]:
    """Fill the past up to a few minutes ago. Returns the sessions, oldest first."""
    rows = _Rows()
    plans = {station.pk: (plan, power_w, version) for plan, station, power_w, version in company.stations}
    stays = sorted(_stays(company, plans, now), key=lambda stay: stay[1].start)
    ids = iter(_next_ids("stations_session", len(stays)))
    charge_ids = iter(_next_ids("billing_charge", len(stays)))
    numbers = iter(_next_numbers(len(stays)))
    registers: dict[int, int] = {}
    busy: dict[int, datetime] = {}
    for connector, visit in stays:
        plan, power_w, version = plans[connector.evse.station_id]
        token = _pick(company, plan, company.rng, visit, busy)
        start_wh = registers.setdefault(connector.pk, company.rng.randrange(400_000, 9_000_000))
        taken = samples(visit, company.rng, station_w=power_w, dc=plan.kind == "dc")
        session = _session(
            company, connector, visit, taken, token, start_wh, version, next(ids), next(numbers)
        )
        registers[connector.pk] = start_wh + taken[-1].register_wh
        rows.sessions.append(session)
        rows.events += _events(session)
        rows.readings += _readings(session, connector, taken, dc=plan.kind == "dc")
        rows.shown.append(_shown(session))
        _price(company, session, taken, next(charge_ids), rows)
    _store(company, rows)
    return rows.sessions


def _stays(
    company: Company, plans: dict[int, tuple[DemoStations, int, str]], now: datetime
) -> Iterator[tuple[Connector, Visit]]:
    first = (now - timedelta(weeks=WEEKS)).date()
    for connector in connectors(company):
        if connector.evse.station_id in plans:
            plan = plans[connector.evse.station_id][0]
            zone = ZoneInfo(company.sites[plan.site].time_zone)
            rng = Random(f"{connector.evse.station.identity} {connector.evse.number}")
            for visit in visits(plan.pattern, rng, first, now - timedelta(minutes=6), zone):
                yield connector, visit


def _pick(
    company: Company, plan: DemoStations, rng: Random, visit: Visit, busy: dict[int, datetime]
) -> Token:
    """A card that is nowhere else in use at that time."""
    pool = company.tokens[plan.pool]
    free = [token for token in pool if busy.get(token.pk, visit.start) <= visit.start] or pool
    token = rng.choice(free)
    busy[token.pk] = visit.end
    return token


def _session(
    company: Company,
    connector: Connector,
    visit: Visit,
    taken: list[Sample],
    token: Token,
    start_wh: int,
    version: str,
    session_id: int,
    number: int,
) -> Session:
    station, rng = connector.evse.station, company.rng
    old = version == "1.6"
    full = taken[-1].register_wh >= visit.energy_wh
    driver = token.driver
    return Session(
        id=session_id,
        tenant_id=company.tenant.pk,
        station=station,
        evse=connector.evse,
        connector=connector,
        site_id=station.site_id,
        transaction_number=number if old else None,
        transaction_id=str(number) if old else f"{rng.getrandbits(64):016x}",
        start_key=hashlib.sha256(f"demo {session_id}".encode()).hexdigest(),
        state=SessionState.RATED,
        token_uid=token.uid,
        token=token,
        driver=driver,
        fleet_id=token.fleet_id or (driver.fleet_id if driver else None),
        started_at=visit.start,
        ended_at=visit.end,
        started_received_at=visit.start,
        ended_received_at=visit.end,
        meter_start_wh=Decimal(start_wh),
        meter_stop_wh=Decimal(start_wh + taken[-1].register_wh),
        meter_last_wh=Decimal(start_wh + taken[-1].register_wh),
        energy_wh=Decimal(taken[-1].register_wh),
        power_w=0.0,
        soc_percent=taken[-1].soc_percent,
        last_reading_at=visit.end,
        last_progress_at=_charged_until(taken),
        stop_reason=rng.choice(("EVDisconnected", "Local", "Local" if full else "EVDisconnected")),
        currency=company.tenant.currency,
    )


def _charged_until(taken: list[Sample]) -> datetime:
    """When energy last grew."""
    return max((sample.at for sample in taken if sample.power_w > 0), default=taken[0].at)


def _price(company: Company, session: Session, taken: list[Sample], charge_id: int, rows: _Rows) -> None:
    site = next(site for site in company.sites.values() if site.pk == session.site_id)
    name = next(one.tariff for one in company.plan.sites if company.sites[one.key].pk == site.pk)
    tariff = company.tariffs[name or company.plan.tariffs[0]["name"]]
    session.tariff = tariffs.snapshot(tariff)
    until = _charged_until(taken)
    assert session.ended_at is not None
    periods = [UsagePeriod(session.started_at, until, session.energy_wh, True)]
    if until < session.ended_at:
        periods.append(UsagePeriod(until, session.ended_at, Decimal(0), False))
    usage = Usage(session.started_at, session.ended_at, site.time_zone, tuple(periods))
    charge = charges.draft(
        tenant_id=company.tenant.pk,
        subject=f"session:{session.pk}",
        tariff=session.tariff,
        usage=usage,
        site_id=site.pk,
    )
    charge.pk = charge_id
    session.charge_id, session.cost_incl_tax = charge_id, charge.incl_tax
    rows.charges.append(charge)


def _events(session: Session) -> Iterator[SessionEvent]:
    for seq_no, (kind, at) in enumerate((("started", session.started_at), ("ended", session.ended_at))):
        assert at is not None
        yield SessionEvent(
            tenant_id=session.tenant_id,
            session=session,
            kind=kind,
            trigger="Authorized" if kind == "started" else session.stop_reason,
            seq_no=None if session.transaction_number else seq_no,
            occurred_at=at,
            raw_timestamp=at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            received_at=at,
            content_hash=hashlib.sha256(f"demo {session.pk} {kind}".encode()).hexdigest(),
            payload={"meter_wh": str(session.meter_start_wh if kind == "started" else session.meter_stop_wh)},
        )


def _shown(session: Session) -> Authorization:
    return Authorization(
        tenant_id=session.tenant_id,
        station_id=session.station_id,
        token_uid=session.token_uid,
        token_id=session.token_id,
        verdict=Verdict.ACCEPTED,
        at=session.started_at,
    )


def _readings(
    session: Session, connector: Connector, taken: list[Sample], *, dc: bool
) -> Iterator[list[Any]]:
    """Rows for `_INSERT_READINGS`."""
    assert session.meter_start_wh is not None
    base = int(session.meter_start_wh)
    volts = 400.0 if dc else 230.0
    for index, sample in enumerate(taken):
        context = "Transaction.Begin" if index == 0 else "Sample.Periodic"
        context = "Transaction.End" if index == len(taken) - 1 else context
        digest = hashlib.blake2b(f"{session.pk} {index}".encode(), digest_size=16).hexdigest()
        amps = round(sample.power_w / (volts if dc else 3 * volts), 2)
        yield [
            session.station_id,
            connector.evse.number,
            session.pk,
            sample.at.timestamp(),
            context,
            digest,
            base + sample.register_wh,
            sample.power_w,
            amps,
            volts,
            sample.soc_percent,
        ]


_INSERT_READINGS = """
INSERT INTO stations_reading (tenant_id, station_id, evse_number, session_id, sampled_at, raw_timestamp, received_at,
                              context, digest, energy_wh, power_w, current_a, voltage_v, soc_percent, values)
SELECT %s, r.station, r.evse, r.session, to_timestamp(r.at),
       to_char(to_timestamp(r.at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), to_timestamp(r.at),
       r.context, r.digest, r.wh, r.w, r.a, r.v, r.soc,
       jsonb_build_array(
           jsonb_build_object('measurand', 'Energy.Active.Import.Register', 'value', r.wh::text, 'unit', 'Wh'),
           jsonb_build_object('measurand', 'Power.Active.Import', 'value', r.w::text, 'unit', 'W'))
FROM (SELECT (row->>0)::bigint AS station, (row->>1)::smallint AS evse, (row->>2)::bigint AS session,
             (row->>3)::double precision AS at, row->>4 AS context, row->>5 AS digest, (row->>6)::numeric AS wh,
             (row->>7)::double precision AS w, (row->>8)::double precision AS a, (row->>9)::double precision AS v,
             (row->>10)::double precision AS soc
      FROM json_array_elements(%s::json) AS row) AS r
ON CONFLICT DO NOTHING
"""


def _store(company: Company, rows: _Rows) -> None:
    Charge.objects.bulk_create(rows.charges, batch_size=500)
    Session.objects.bulk_create(rows.sessions, batch_size=500)
    SessionEvent.objects.bulk_create(rows.events, batch_size=1000)
    Authorization.objects.bulk_create(rows.shown, batch_size=1000)
    ids = [charge.pk for charge in rows.charges]
    Charge.objects.filter(tenant_id=company.tenant.pk, pk__in=ids).update(rated_at=F("occurred_at"))
    with connections[current_alias()].cursor() as cursor:
        for start in range(0, len(rows.readings), _BATCH):
            batch = json.dumps(rows.readings[start : start + _BATCH])
            cursor.execute(_INSERT_READINGS, [company.tenant.pk, batch])


def _next_ids(table: str, count: int) -> Iterable[int]:
    return _sequence(f"pg_get_serial_sequence('{table}', 'id')", count)


def _next_numbers(count: int) -> Iterable[int]:
    return _sequence("'stations_transaction_number'", count)


def _sequence(name: str, count: int) -> list[int]:
    with connections[current_alias()].cursor() as cursor:
        cursor.execute(f"SELECT nextval({name}) FROM generate_series(1, %s)", [count])
        return [row[0] for row in cursor.fetchall()]

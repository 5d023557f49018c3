"""Meter values: kept as rows that replays cannot double, and brought into the running sessions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from stations import live
from stations.neutral import MeterReport, Sample
from stations.services import clock, evidence, meters, places, sheets
from stations.services.sheet import Sheet, milli
from tenants import rows

# A reading just before the start or after the stop still belongs to the session: clocks and messages jitter.
JITTER = timedelta(seconds=60)


@dataclass(slots=True)
class Row:
    station_id: int
    evse_number: int
    sampled_at: datetime
    raw_timestamp: str
    received_at: datetime
    context: str
    digest: str
    measured: meters.Measured
    told: list[dict[str, object]]
    flags: tuple[str, ...]
    session_id: int | None = None
    mean_w: float | None = None  # since the register before, where no power was told


def rows_of(
    *, station_id: int, evse_number: int, samples: Iterable[Sample], received_at: datetime
) -> list[Row]:
    """One row for each instant and context of the samples."""
    made = []
    for sample in samples:
        at, clock_flags = clock.sanitise(sample.raw_timestamp, received_at)
        for context, values in meters.by_context(sample.values).items():
            measured = meters.measured(values)
            made.append(
                Row(
                    station_id, evse_number, at, sample.raw_timestamp[:64], received_at, context[:24],
                    meters.digest(context, values), measured, meters.as_told(values),
                    clock_flags + measured.flags,
                )
            )  # fmt: skip
    return made


_INSERT = """
INSERT INTO stations_reading (tenant_id, station_id, evse_number, session_id, sampled_at, raw_timestamp, received_at,
    context, digest, energy_wh, power_w, current_a, voltage_v, soc_percent, offered_w, values, flags)
SELECT %(tenant)s, w.* FROM json_to_recordset(%(rows)s::json) AS w(
    station bigint, evse smallint, session bigint, sampled timestamptz, raw text, received timestamptz, context text,
    digest text, energy_wh numeric, power_w float8, current_a float8, voltage_v float8, soc float8, offered_w float8,
    told jsonb, flags jsonb)
ON CONFLICT (tenant_id, station_id, evse_number, sampled_at, digest) DO NOTHING
"""


def store(tenant_id: int, readings: Sequence[Row]) -> None:
    """Keep the rows; what is there already stays as it is."""
    if not readings:
        return
    listed = [
        {
            "station": reading.station_id,
            "evse": reading.evse_number,
            "session": reading.session_id,
            "sampled": reading.sampled_at,
            "raw": reading.raw_timestamp,
            "received": reading.received_at,
            "context": reading.context,
            "digest": reading.digest,
            "energy_wh": reading.measured.energy_wh,
            "power_w": reading.measured.power_w,
            "current_a": reading.measured.current_a,
            "voltage_v": reading.measured.voltage_v,
            "soc": reading.measured.soc_percent,
            "offered_w": reading.measured.offered_w,
            "told": reading.told,
            "flags": reading.flags,
        }
        for reading in readings
    ]
    rows.send(_INSERT, tenant_id, listed)


def enter(sheet: Sheet, reading: Row, *, marks: bool) -> None:
    """Bring a reading into a session's evidence. Entering it twice changes nothing.

    `marks`: contexts that say "at the start" and "at the stop" count as such (2.x; in 1.6 start and stop tell the
    register themselves).
    """
    reading.session_id = sheet.id
    known = sheet.evidence
    at = clock.milliseconds(reading.sampled_at)
    measured = reading.measured
    if measured.energy_wh is not None:
        register = milli(measured.energy_wh)
        if measured.power_w is None and sheet.is_active:
            reading.mean_w = _mean_power(sheet, (at, register))
        if marks and reading.context == meters.BEGIN:
            known.begin(at, register)
        elif marks and reading.context == meters.END:
            known.end(at, register)
        elif known.ended is None or at <= known.ended[0] + JITTER // timedelta(milliseconds=1):
            known.register(at, register)
    if measured.power_w is not None:
        known.power(measured.power_w)
    if sheet.last_reading_at is None or reading.sampled_at >= sheet.last_reading_at:
        sheet.last_reading_at = reading.sampled_at
        if sheet.is_active:
            if measured.power_w is not None:
                sheet.power_w = measured.power_w
            elif reading.mean_w is not None:
                sheet.power_w = reading.mean_w
            sheet.soc_percent = (
                measured.soc_percent if measured.soc_percent is not None else sheet.soc_percent
            )


def _mean_power(sheet: Sheet, mark: evidence.Mark) -> float | None:
    """Power since the newest register of a session whose station tells none, unless that register had fallen."""
    known = sheet.evidence
    if known.peak_w:  # it does tell it, in messages of its own
        return None
    before = known.last or (known.begins[-1] if known.begins else None)
    if before is None or (known.high is not None and before[1] < known.high):
        return None
    return evidence.mean_power(before, mark, rating_w=sheet.rating_w)


@dataclass(slots=True)
class Progress:
    """What readings mean for sessions: found without holding them, to be settled at the end of the transaction."""

    tenant_id: int
    entered: dict[int, tuple[Sheet, list[Row]]]

    def settle(self) -> None:
        """Bring the sessions up to date. They are locked from here on: commit soon."""
        looked_at = [sheet for sheet, _rows in self.entered.values()]
        changed = sheets.hold(self.tenant_id, looked_at)
        running = [sheet for sheet in looked_at if sheet.is_active and sheet.id not in changed]
        for sheet in running:
            sheet.conclude()
        sheets.save_progress(self.tenant_id, running)
        # Those that a stop has overtaken, most likely, begin anew with what is there now.
        others = sheets.by_ids(self.tenant_id, self.entered.keys() - {sheet.id for sheet in running})
        for sheet in others.values():
            for reading in self.entered[sheet.id][1]:
                enter(sheet, reading, marks=False)
            sheet.conclude()
        sheets.save(self.tenant_id, others.values())
        live.publish_many(self.tenant_id, [update(sheet) for sheet in [*running, *others.values()]])


def record(*, tenant_id: int, reports: Sequence[MeterReport]) -> Progress:
    """Keep the readings of MeterValues. The sessions they belong to follow by `settle`."""
    where = rows.alone(
        tenant_id,
        places.find(
            (report.station_id, places.sane_number(report.evse), 0) for report in reports if report.evse > 0
        ),
    )
    running = _sessions(tenant_id, reports, where)
    kept: list[Row] = []
    entered: dict[int, tuple[Sheet, list[Row]]] = {}
    latest: dict[int, Row] = {}  # connector id -> newest reading with a power
    for report in reports:
        number = places.sane_number(report.evse) if report.evse > 0 else 0
        made = rows_of(
            station_id=report.station_id, evse_number=number, samples=report.samples,
            received_at=report.received_at,
        )  # fmt: skip
        kept += made
        place = where.get((report.station_id, number, 0))
        for reading in made:
            sheet = running.of(report, number, reading.sampled_at)
            if sheet is not None:
                enter(sheet, reading, marks=False)
                entered.setdefault(sheet.id, (sheet, []))[1].append(reading)
            told = reading.measured.power_w is not None or reading.mean_w is not None
            if place is not None and told:
                before = latest.get(place.connector_id)
                if before is None or before.sampled_at <= reading.sampled_at:
                    latest[place.connector_id] = reading
    store(tenant_id, kept)
    set_power(tenant_id, latest)
    return Progress(tenant_id, entered)


class _Running:
    """The sessions that a batch of reports may belong to."""

    def __init__(self, found: Iterable[Sheet]) -> None:
        self.by_number: dict[tuple[int, str], Sheet] = {}
        self.by_evse: dict[tuple[int, int], list[Sheet]] = {}
        for sheet in found:
            self.by_number[sheet.station_id, sheet.transaction_id] = sheet
            self.by_evse.setdefault((sheet.station_id, sheet.evse_number), []).append(sheet)

    def of(self, report: MeterReport, evse_number: int, at: datetime) -> Sheet | None:
        """By its number; without one, or with one that is unknown here, by EVSE and time."""
        if report.transaction_number is not None:
            told = self.by_number.get((report.station_id, str(report.transaction_number)))
            if told is not None:
                return told
        fitting = [
            sheet
            for sheet in self.by_evse.get((report.station_id, evse_number), ())
            if sheet.started_at - JITTER <= at and (sheet.ended_at is None or at <= sheet.ended_at + JITTER)
        ]
        return max(fitting, key=lambda sheet: sheet.started_at, default=None)


# What runs on the EVSE, what bears the number; and where no number is told, what ran there last: its stop may have
# overtaken these readings, which wait in the journal while a stop is taken at once.
_WANTED = """
    SELECT x.id FROM json_array_elements(%(rows)s::json) r CROSS JOIN LATERAL (
        (SELECT k.id FROM stations_session k
         WHERE k.tenant_id = %(tenant)s AND k.state = 'active' AND k.evse_id = (r->>1)::bigint LIMIT 20)
        UNION ALL
        (SELECT k.id FROM stations_session k
         WHERE k.tenant_id = %(tenant)s AND k.station_id = (r->>0)::bigint AND k.transaction_id = r->>2 LIMIT 1)
        UNION ALL
        (SELECT k.id FROM stations_session k
         WHERE r->>2 = '' AND k.tenant_id = %(tenant)s AND k.station_id = (r->>0)::bigint
           AND k.evse_id = (r->>1)::bigint ORDER BY k.started_at DESC LIMIT 2)) x
"""


def _sessions(
    tenant_id: int, reports: Sequence[MeterReport], where: dict[places.Wanted, places.Place]
) -> _Running:
    wanted = set()
    for report in reports:
        place = where.get((report.station_id, places.sane_number(report.evse), 0))
        number = str(report.transaction_number or "")
        wanted.add((report.station_id, place.evse_id if place and report.evse > 0 else 0, number))
    return _Running(rows.alone(tenant_id, sheets.load(_WANTED, sorted(wanted), lock=sheets.LOOK)))


# Who holds sessions never waits for connectors: somebody who records a status holds those and may wait for sessions.
# A power that is left out thereby is told again with the next reading, or reset by the status itself.
_POWER = """
WITH w AS (
    SELECT (r->>0)::bigint id, (r->>1)::float8 power, (r->>2)::timestamptz at
    FROM json_array_elements(%(rows)s::json) r
), held AS (
    SELECT c.id FROM stations_connector c WHERE c.tenant_id = %(tenant)s AND c.id = ANY (ARRAY (SELECT w.id FROM w))
    ORDER BY c.id FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE stations_connector c SET power_w = w.power, power_at = w.at
FROM w JOIN held USING (id) WHERE c.tenant_id = %(tenant)s AND c.id = w.id AND coalesce(c.power_at <= w.at, true)
"""


def set_power(tenant_id: int, latest: dict[int, Row]) -> None:
    """The newest power of each connector, by its id."""
    if latest:
        listed = [
            [key, row.mean_w if row.measured.power_w is None else row.measured.power_w, row.sampled_at]
            for key, row in sorted(latest.items())
        ]
        rows.send(_POWER, tenant_id, listed)


def update(sheet: Sheet) -> live.Event:
    """What an open page hears of a session."""
    return live.event(kind="session", station_id=sheet.station_id, site_id=sheet.site_id, data=summary(sheet))


def summary(sheet: Sheet) -> dict[str, object]:
    """What an open page needs of a session."""
    return {
        "id": sheet.id,
        "session_id": sheet.id,
        "evse": sheet.evse_number,
        "connector_id": sheet.connector_id,
        "state": sheet.state,
        "energy_wh": float(sheet.energy_wh),
        "power_w": sheet.power_w,
        "soc_percent": sheet.soc_percent,
    }


def zero_power(tenant_id: int, ended: Iterable[Sheet]) -> None:
    """A session is over: its connector delivers nothing, although many stations never say so."""
    listed = [
        [sheet.connector_id, 0.0, sheet.ended_at] for sheet in sorted(ended, key=lambda one: one.connector_id or 0)
        if sheet.connector_id is not None and sheet.ended_at is not None
    ]  # fmt: skip
    if listed:
        rows.send(_POWER, tenant_id, listed)

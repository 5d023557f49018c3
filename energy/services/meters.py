"""Meters of a site: entered, changed, removed; their readings taken, from whatever source, many at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.db import IntegrityError, connections, transaction
from django.db.models import F
from django.utils import timezone

from energy import direction
from energy.feeds import sources
from energy.models import GridConnection, GridNode, MeterKind, MeterSample, MeterSource, SiteMeter
from energy.queries import SUPPLIES
from energy.readings import BadReading, Sample, Told, apart, sample_of
from energy.services import signal
from tenants import rows
from tenants.context import current_alias
from tenants.errors import Conflict, Invalid, NotFound
from tenants.permissions import Actor, Permission
from tenants.services import audit

MOST_METERS = 50  # of one site
FIELDS = ("name", "kind", "source", "node", "settings", "maximum_a", "enabled")
MOST_MAXIMUM_A = 20_000.0
TRIMMED_AT_ONCE = 10_000


@dataclass(frozen=True)
class Refusal:
    """A sample that was not taken: its place in the batch, its meter, and why in words."""

    place: int
    meter_id: int
    why: str


@dataclass
class Taken:
    """`kept`: new samples; `known`: that were there already."""

    kept: int = 0
    known: int = 0
    refused: list[Refusal] = field(default_factory=list)


_METERS = """
SELECT m.id, m.enabled, c.supply, c.site_id
FROM energy_sitemeter m
JOIN energy_gridconnection c ON c.tenant_id = m.tenant_id AND c.id = m.connection_id
WHERE m.tenant_id = %(tenant)s AND m.id = ANY (ARRAY (
    SELECT (r #>> '{}')::bigint FROM json_array_elements(%(rows)s::json) r))
"""
# Meters are held in their order, so that two batches never wait for each other in a circle; of one that another batch
# has held meanwhile PostgreSQL looks at its new row, so that its newest sample never goes back in time.
_TAKE = """
WITH told AS (
    SELECT * FROM json_to_recordset(%(rows)s::json) AS t(
        meter bigint, at timestamptz, received timestamptz, amps float8[], watts float8)
), held AS (
    SELECT m.id FROM energy_sitemeter m
    WHERE m.tenant_id = %(tenant)s AND m.id = ANY (ARRAY (SELECT t.meter FROM told t))
    ORDER BY m.id FOR NO KEY UPDATE
), kept AS (
    INSERT INTO energy_metersample (tenant_id, meter_id, at, received_at, amps, watts)
    SELECT %(tenant)s, t.meter, t.at, t.received, t.amps, t.watts FROM told t JOIN held h ON h.id = t.meter
    ORDER BY t.meter, t.at
    ON CONFLICT (meter_id, at, tenant_id) DO NOTHING
    RETURNING meter_id
), newest AS (
    SELECT DISTINCT ON (t.meter) t.meter, t.at, t.amps, t.watts
    FROM told t JOIN held h ON h.id = t.meter ORDER BY t.meter, t.at DESC
), shown AS (
    UPDATE energy_sitemeter m SET last_at = n.at, last_a = n.amps, last_w = n.watts, error = '', error_at = NULL
    FROM newest n WHERE m.tenant_id = %(tenant)s AND m.id = n.meter AND coalesce(m.last_at < n.at, true)
)
SELECT k.meter_id, count(*) FROM kept k GROUP BY k.meter_id
"""


def take(*, tenant_id: int, samples: Sequence[Told]) -> Taken:
    """Keep what meters told, in one statement, and wake who steers their sites.

    One that cannot be taken is refused in words and harms no other. One that is there already changes nothing.
    """
    now, taken = timezone.now(), Taken()
    known = {
        row[0]: row[1:] for row in rows.run(_METERS, tenant_id, sorted({told.meter_id for told in samples}))
    }
    usable: list[Sample] = []
    for place, told in enumerate(samples):
        try:
            usable.append(_sample(told, known, now))
        except BadReading as bad:
            taken.refused.append(Refusal(place, told.meter_id, str(bad)))
    if not usable:
        return taken
    listed = [
        {"meter": one.meter_id, "at": one.at, "received": one.received_at, "amps": one.amps, "watts": one.watts}
        for one in apart(usable)
    ]  # fmt: skip
    counts: dict[int, int] = dict(rows.run(_TAKE, tenant_id, listed))
    taken.kept = sum(counts.values())
    taken.known = len(usable) - taken.kept
    signal.wake(tenant_id=tenant_id, site_ids={known[meter_id][2] for meter_id in counts})
    return taken


def _sample(told: Told, known: Mapping[int, tuple[Any, ...]], now: datetime) -> Sample:
    if told.meter_id not in known:
        raise BadReading("There is no such meter.")
    enabled, supply, _site_id = known[told.meter_id]
    if not enabled:
        raise BadReading("This meter is switched off.")
    return sample_of(told, SUPPLIES[supply], now)


def fail(*, tenant_id: int, meter_id: int, error: str) -> None:
    """A feed does not work: say so on its meter. What was wrong before keeps the time since when."""
    SiteMeter.objects.filter(tenant_id=tenant_id, pk=meter_id).exclude(error=error[:200]).update(
        error=error[:200], error_at=timezone.now()
    )


def create_meter(*, tenant_id: int, site_id: int, actor: Actor, secret: str = "", **values: Any) -> SiteMeter:
    """Enter a meter of a site. Conflict where its grid connection has not been entered."""
    connection = _connection(tenant_id, site_id, actor)
    count = SiteMeter.objects.filter(tenant_id=tenant_id, connection=connection).count()
    if count >= MOST_METERS:
        raise Conflict(f"A site has {MOST_METERS} meters at most.")
    meter = SiteMeter(tenant_id=tenant_id, connection=connection, secret=secret)
    _fill(meter, values)
    _save(meter)
    _changed(meter, actor, "meter.create", {"source": meter.source, "kind": meter.kind})
    return meter


def change_meter(*, meter: SiteMeter, actor: Actor, secret: str | None = None, **values: Any) -> SiteMeter:
    """Change a meter. `secret` None: as it is. What was wrong with its feed is forgotten, for it begins anew."""
    connection = _connection(meter.tenant_id, meter.connection.site_id, actor)
    meter = SiteMeter.objects.select_for_update().get(tenant_id=meter.tenant_id, pk=meter.pk)
    meter.connection = connection
    before = {name: getattr(meter, name) for name in FIELDS}
    _fill(meter, values)
    if not sources.SOURCES[meter.source].has_secret:
        meter.secret, secret = "", None
    if secret is None and not keeps_secret(meter, before["source"], before["settings"]):
        raise Invalid(fields={"secret": "It goes elsewhere now: enter the password again."})
    if secret is not None:
        meter.secret = secret
    meter.error, meter.error_at = "", None
    if any(getattr(meter, name) != before[name] for name in ("kind", "source", "settings")):
        meter.night_a, meter.night_at = [], None  # other values may look the other way
    _save(meter)
    differs = audit.changes(before, {name: getattr(meter, name) for name in FIELDS})
    _changed(meter, actor, "meter.edit", {"changes": differs, "secret": secret is not None})
    return meter


def keeps_secret(meter: SiteMeter, source: str, settings: Mapping[str, Any]) -> bool:
    """Whether its password may go where these settings lead: to no other than the one it was entered for."""
    same = all(meter.settings.get(name) == settings.get(name) for name in ("host", "port", "tls", "username"))
    return not meter.secret or (same and meter.source == source)


def remove_meter(*, meter: SiteMeter, actor: Actor) -> None:
    """Its readings go with it. What flowed at the site stays (SiteMinute)."""
    meter.connection = _connection(meter.tenant_id, meter.connection.site_id, actor)
    _changed(meter, actor, "meter.remove", {})
    meter.delete()


def _connection(tenant_id: int, site_id: int, actor: Actor) -> GridConnection:
    """Of the site, held: who steers reads its revision."""
    actor.require(Permission.LIMIT_SET, site_id=site_id)
    found = GridConnection.objects.select_for_update().filter(tenant_id=tenant_id, site_id=site_id).first()
    if found is None:
        raise Conflict("Enter the grid connection of this site first: a meter measures a part of it.")
    return found


def _fill(meter: SiteMeter, values: Mapping[str, Any]) -> None:
    """Invalid says by field what is wrong."""
    for name in values.keys() & set(FIELDS):
        setattr(meter, name, values[name])
    wrong: dict[str, str] = {}
    if not meter.name.strip():
        wrong["name"] = "Give it a name."
    if meter.kind not in MeterKind.values:
        wrong["kind"] = f"Choose one of {', '.join(MeterKind.values)}."
    if meter.maximum_a is not None and not 0 <= meter.maximum_a <= MOST_MAXIMUM_A:
        wrong["maximum_a"] = f"From 0 to {MOST_MAXIMUM_A:.0f} A."
    if meter.source not in MeterSource.values:
        wrong["source"] = f"Choose one of {', '.join(MeterSource.values)}."
    else:
        _check_settings(meter, wrong)
    if wrong:
        raise Invalid(fields=wrong)


def _check_settings(meter: SiteMeter, wrong: dict[str, str]) -> None:
    try:
        meter.settings = sources.checked(meter.source, meter.settings)
    except Invalid as invalid:
        wrong.update(
            {f"settings.{name}" if name else "settings": text for name, text in invalid.fields.items()}
        )
        return
    if meter.source == MeterSource.OCPP and not sources.has_station(
        meter.tenant_id, meter.connection.site_id, meter.settings["station_id"]
    ):
        wrong["settings.station_id"] = "There is no such station at this site."


def _save(meter: SiteMeter) -> None:
    try:
        with transaction.atomic(using=current_alias()):
            meter.save()
    except IntegrityError:
        raise Conflict(f"This site has a meter named {meter.name} already.") from None


def _changed(meter: SiteMeter, actor: Actor, action: str, detail: dict[str, Any]) -> None:
    connection = meter.connection
    connection.revision += 1
    connection.save(update_fields=["revision", "changed_at"])
    audit.record(
        tenant_id=meter.tenant_id, actor=actor, action=action, subject=meter, site_id=connection.site_id,
        detail=detail,
    )  # fmt: skip
    signal.wake(tenant_id=meter.tenant_id, site_ids=[connection.site_id])


def node_of(*, tenant_id: int, site_id: int, node_id: int | None) -> GridNode | None:
    """The node at which a meter stands; None: at the root. NotFound for one of another site."""
    if node_id is None:
        return None
    found = GridNode.objects.filter(tenant_id=tenant_id, connection__site_id=site_id, pk=node_id).first()
    if found is None:
        raise NotFound("There is no such node in the tree of this site.")
    return found


_NIGHT = """
SELECT array_agg(t.amps ORDER BY t.line), max(t.readings) FROM (
    SELECT u.line, percentile_disc(%(share)s) WITHIN GROUP (ORDER BY u.amps) AS amps, count(*) AS readings
    FROM energy_metersample s CROSS JOIN LATERAL unnest(s.amps) WITH ORDINALITY u(amps, line)
    WHERE s.tenant_id = %(tenant)s AND s.meter_id = %(meter)s AND s.at >= %(begins)s AND s.at < %(ends)s
    GROUP BY u.line) t
"""


def learn_nights(*, tenant_id: int, now: datetime | None = None) -> int:
    """Which way the clamps of meters look, by the dark hours of today where they are over (energy.direction); how many
    were told anew. Who steers begins anew where that changes what is believed."""
    now, learned = now or timezone.now(), 0
    found = SiteMeter.objects.filter(
        tenant_id=tenant_id, enabled=True, kind__in=(MeterKind.BUILDING, MeterKind.GRID)
    )
    for meter in found.select_related("connection__site").order_by("id"):
        begins, ends = direction.dark_hours(now, ZoneInfo(meter.connection.site.time_zone))
        if now < ends or (meter.night_at is not None and meter.night_at >= ends):
            continue
        night_a = _night(meter, begins, ends)
        if night_a is None:
            continue
        lines = len(SUPPLIES[meter.connection.supply].lines)
        changed = direction.sure(night_a, lines) != direction.sure(meter.night_a, lines)
        SiteMeter.objects.filter(tenant_id=tenant_id, pk=meter.pk).update(night_a=night_a, night_at=ends)
        if changed.any():
            GridConnection.objects.filter(tenant_id=tenant_id, pk=meter.connection_id).update(
                revision=F("revision") + 1
            )
            signal.wake(tenant_id=tenant_id, site_ids=[meter.connection.site_id])
        learned += 1
    return learned


def _night(meter: SiteMeter, begins: datetime, ends: datetime) -> list[float] | None:
    """None: it told too little."""
    asked: dict[str, Any] = {"tenant": meter.tenant_id, "meter": meter.pk, "begins": begins, "ends": ends}
    with connections[current_alias()].cursor() as cursor:
        cursor.execute(_NIGHT, {"share": direction.SHARE} | asked)
        amps, readings = cursor.fetchone()
    return amps if amps and readings >= direction.FEWEST else None


_TRIM = """
DELETE FROM energy_metersample WHERE tenant_id = %(tenant)s AND id IN (
    SELECT s.id FROM energy_metersample s WHERE s.tenant_id = %(tenant)s AND s.meter_id = %(meter)s
      AND s.at < %(edge)s ORDER BY s.at LIMIT %(most)s)
"""


def trim(*, tenant_id: int, meter_id: int, before: datetime, most: int) -> int:
    """Remove the oldest samples of a meter from before a time, so many at most; how many went."""
    with connections[current_alias()].cursor() as cursor:
        cursor.execute(_TRIM, {"tenant": tenant_id, "meter": meter_id, "edge": before, "most": most})
        return int(cursor.rowcount)


def newest(tenant_id: int, meter_ids: Sequence[int], count: int) -> dict[int, list[MeterSample]]:
    """The last samples of each meter, oldest first."""
    return {
        meter_id: list(
            MeterSample.objects.filter(tenant_id=tenant_id, meter_id=meter_id).order_by("-at")[:count]
        )[::-1]
        for meter_id in meter_ids
    }

"""Readings are taken once, the newest shows, and who steers the site is woken; meters are entered and changed."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from energy import queries, tasks
from energy.models import GridConnection, MeterSample, SiteMeter
from energy.readings import Told
from energy.services import meters, signal
from stations.models import Station
from tenants.context import tenant_scope
from tenants.errors import Conflict, Forbidden, Invalid
from tenants.models import AuditRecord, Site, Tenant
from tenants.permissions import Actor, system
from tests.energy.sites import Rows, create_tree

MQTT = {"host": "broker.example.com", "values": [{"of": "watts", "topic": "house/power", "path": ""}]}


@pytest.fixture
def tree(tenant: Tenant, site: Site, station: Station) -> Rows:
    return create_tree(tenant, site, [station])


def _take(tree: Rows, *told: Told) -> meters.Taken:
    with tenant_scope(tree.connection.tenant_id):
        return meters.take(tenant_id=tree.connection.tenant_id, samples=told)


def _meter(tree: Rows) -> SiteMeter:
    assert tree.meter is not None
    with tenant_scope(tree.connection.tenant_id):
        return SiteMeter.objects.get(pk=tree.meter.pk)


def _samples(tree: Rows) -> list[MeterSample]:
    with tenant_scope(tree.connection.tenant_id):
        return list(MeterSample.objects.filter(meter=tree.meter).order_by("at"))


def _at(seconds: float) -> str:
    return (timezone.now() + timedelta(seconds=seconds)).isoformat()


def test_readings_are_kept_and_the_newest_shows(tree: Rows) -> None:
    number = _meter(tree).pk
    taken = _take(tree, Told(number, [9, 8, 7], 5500, _at(-1)), Told(number, [1, 2, 3], None, _at(-3)))
    assert (taken.kept, taken.known, taken.refused) == (2, 0, [])
    assert [sample.amps for sample in _samples(tree)] == [[1, 2, 3], [9, 8, 7]]
    shown = _meter(tree)
    assert shown.last_a == [9, 8, 7] and shown.last_w == 5500 and shown.last_at == _samples(tree)[1].at


def test_the_newest_never_goes_back_in_time(tree: Rows) -> None:
    number = _meter(tree).pk
    _take(tree, Told(number, [9], at=_at(-1)))
    assert _take(tree, Told(number, [1], at=_at(-60))).kept == 1
    assert _meter(tree).last_a == [9] and len(_samples(tree)) == 2


def test_what_is_told_again_changes_nothing(tree: Rows) -> None:
    number, at = _meter(tree).pk, _at(-5)
    _take(tree, Told(number, [9], at=at))
    taken = _take(tree, Told(number, [1], at=at), Told(number, [2], at=at))
    assert (taken.kept, taken.known) == (0, 2)
    assert [sample.amps for sample in _samples(tree)] == [[9]]


def test_one_that_cannot_be_taken_harms_no_other(tree: Rows, other_tenant: Tenant) -> None:
    number = _meter(tree).pk
    taken = _take(
        tree, Told(number, [float("nan")]), Told(number, [5]), Told(number + 10**6, [5]), Told(number)
    )
    assert taken.kept == 1 and [refused.place for refused in taken.refused] == [0, 2, 3]
    assert "no such meter" in taken.refused[1].why
    with tenant_scope(other_tenant.pk):
        strange = meters.take(tenant_id=other_tenant.pk, samples=[Told(number, [99])])
    assert strange.kept == 0 and "no such meter" in strange.refused[0].why
    assert _meter(tree).last_a == [5]


def test_a_meter_that_is_off_takes_nothing(tree: Rows) -> None:
    with tenant_scope(tree.connection.tenant_id):
        SiteMeter.objects.filter(pk=_meter(tree).pk).update(enabled=False)
    taken = _take(tree, Told(_meter(tree).pk, [5]))
    assert taken.kept == 0 and "switched off" in taken.refused[0].why


def test_a_thousand_readings_are_a_look_and_a_statement(tree: Rows, round_trips: list[int]) -> None:
    number = _meter(tree).pk
    listed = [Told(number, [n / 100, 1, 1], at=_at(-2000 + n)) for n in range(1000)]
    assert _take(tree, *listed).kept == 1000
    assert round_trips == [1, 1]


def test_who_steers_is_woken_once_and_not_for_what_is_known(tree: Rows) -> None:
    number, at, tenant_id = _meter(tree).pk, _at(-1), tree.connection.tenant_id
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as ear:
        ear.execute(f"LISTEN {signal.CHANNEL}")
        _take(tree, Told(number, [5], at=at), Told(number, [6], at=_at(-2)))
        _take(tree, Told(number, [5], at=at))
        heard = [note.payload for note in ear.notifies(timeout=1.0)]
    assert heard == [f"{tenant_id}:{tree.connection.site_id}"]


def test_two_at_once_wait_for_each_other_and_keep_all(tree: Rows) -> None:
    number, wrong = _meter(tree).pk, []

    def send(first: int) -> None:
        try:
            for n in range(20):
                _take(
                    tree, *[Told(number, [first], at=_at(-100 + first + m / 1000)) for m in range(n, n + 20)]
                )
        except Exception as error:
            wrong.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=send, args=(n,)) for n in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not wrong
    assert _meter(tree).last_at == _samples(tree)[-1].at


def test_an_error_is_told_until_readings_come(tree: Rows) -> None:
    meter = _meter(tree)
    with tenant_scope(meter.tenant_id):
        meters.fail(tenant_id=meter.tenant_id, meter_id=meter.pk, error="Cannot be reached: broker:1883")
        since = _meter(tree).error_at
        meters.fail(tenant_id=meter.tenant_id, meter_id=meter.pk, error="Cannot be reached: broker:1883")
    assert _meter(tree).error_at == since, "since when it is so"
    _take(tree, Told(meter.pk, [5]))
    assert _meter(tree).error == "" and _meter(tree).error_at is None


# --- entering ---


def test_a_meter_is_entered_with_its_password_hidden(tree: Rows, owner_actor: Actor) -> None:
    tenant_id, site_id = tree.connection.tenant_id, tree.connection.site_id
    with tenant_scope(tenant_id):
        row = meters.create_meter(
            tenant_id=tenant_id, site_id=site_id, actor=owner_actor, name="House", source="mqtt", settings=MQTT,
            secret="open sesame",
        )  # fmt: skip
        assert row.settings["port"] == 1883 and row.settings["tls"] is False
        assert GridConnection.objects.get(pk=tree.connection.pk).revision == tree.connection.revision + 1
        told = AuditRecord.objects.get(tenant_id=tenant_id, action="meter.create")
        meters.change_meter(meter=row, actor=owner_actor, secret="sesame, open", kind="grid")
        changed = AuditRecord.objects.get(tenant_id=tenant_id, action="meter.edit")
        with connection.cursor() as cursor:
            cursor.execute("SELECT secret FROM energy_sitemeter WHERE id = %s", [row.pk])
            (stored,) = cursor.fetchone()
    assert "sesame" not in f"{told.detail} {changed.detail} {stored}"
    assert changed.detail["changes"] == {"kind": ["building", "grid"]} and changed.detail["secret"] is True


def test_a_password_goes_nowhere_else_than_it_was_entered_for(tree: Rows, owner_actor: Actor) -> None:
    tenant_id, site_id = tree.connection.tenant_id, tree.connection.site_id
    with tenant_scope(tenant_id):
        row = meters.create_meter(
            tenant_id=tenant_id, site_id=site_id, actor=owner_actor, name="House", source="mqtt", settings=MQTT,
            secret="open sesame",
        )  # fmt: skip
    for change in ({"host": "elsewhere.example.com"}, {"port": 1884}, {"tls": True}):
        with pytest.raises(Invalid, match="enter the password again"), tenant_scope(tenant_id):
            meters.change_meter(meter=row, actor=owner_actor, settings=MQTT | change)
    with tenant_scope(tenant_id):
        values = [{"of": "watts", "topic": "house/other"}]
        kept = meters.change_meter(meter=row, actor=owner_actor, settings=MQTT | {"values": values})
        assert kept.secret == "open sesame"
        again = meters.change_meter(meter=row, actor=owner_actor, settings=MQTT | {"tls": True}, secret="new")
        assert again.secret == "new"
        assert meters.change_meter(meter=row, actor=owner_actor, source="rest", settings={}).secret == ""


def test_a_change_that_is_refused_leaves_all_as_it_was(tree: Rows, owner_actor: Actor) -> None:
    meter = _meter(tree)
    with pytest.raises(Invalid) as refused, tenant_scope(meter.tenant_id):
        meters.change_meter(
            meter=meter, actor=owner_actor, name=" ", source="modbus", settings={"host": "a b"}, maximum_a=-1
        )
    assert set(refused.value.fields) == {"name", "maximum_a", "settings.host", "settings.values"}
    assert _meter(tree).source == "rest"


def test_names_are_told_apart_within_a_site(tree: Rows, owner_actor: Actor) -> None:
    with pytest.raises(Conflict, match="named Building"), tenant_scope(tree.connection.tenant_id):
        meters.create_meter(
            tenant_id=tree.connection.tenant_id, site_id=tree.connection.site_id, actor=owner_actor, name="Building"
        )  # fmt: skip


def test_without_a_grid_connection_there_is_nothing_to_measure(tenant: Tenant, site: Site) -> None:
    with pytest.raises(Conflict, match="grid connection"), tenant_scope(tenant.pk):
        meters.create_meter(tenant_id=tenant.pk, site_id=site.pk, actor=system("tests"), name="House")


def test_the_station_of_another_site_is_no_source(
    tree: Rows, owner_actor: Actor, make_site: Any, make_station: Any
) -> None:
    elsewhere = make_station(site=make_site(name="Elsewhere"))
    with pytest.raises(Invalid, match="no such station"), tenant_scope(tree.connection.tenant_id):
        meters.create_meter(
            tenant_id=tree.connection.tenant_id, site_id=tree.connection.site_id, actor=owner_actor, name="Main",
            source="ocpp", settings={"station_id": elsewhere.pk},
        )  # fmt: skip


def test_a_facility_manager_changes_the_meters_of_the_own_site_alone(
    tree: Rows, make_actor: Any, make_site: Any, site: Site
) -> None:
    with tenant_scope(tree.connection.tenant_id):
        meters.change_meter(meter=_meter(tree), actor=make_actor("facility_manager", [site]), name="Mine")
    other = make_actor("facility_manager", [make_site(name="Elsewhere")])
    with pytest.raises(Forbidden), tenant_scope(tree.connection.tenant_id):
        meters.remove_meter(meter=_meter(tree), actor=other)


def _night(tree: Rows, *, readings: int, amps: Callable[[int], list[float]], days_ago: int = 0) -> datetime:
    """So many readings in the dark hours of today, by the site's clock; their end."""
    meter = _meter(tree)
    zone = ZoneInfo(tree.connection.site.time_zone)
    begins = datetime.combine(datetime.now(zone).date() - timedelta(days=days_ago), time(0), zone)
    step = timedelta(hours=3) / readings
    with tenant_scope(meter.tenant_id):
        MeterSample.objects.bulk_create(
            MeterSample(
                tenant_id=meter.tenant_id, meter=meter, at=begins + step * number, received_at=begins,
                amps=amps(number),
            )
            for number in range(readings)
        )  # fmt: skip
    return begins + timedelta(hours=3)


def _revision(tree: Rows) -> int:
    with tenant_scope(tree.connection.tenant_id):
        return GridConnection.objects.get(pk=tree.connection.pk).revision


def _learn(tree: Rows, now: datetime) -> int:
    with tenant_scope(tree.connection.tenant_id):
        return meters.learn_nights(tenant_id=tree.connection.tenant_id, now=now)


def test_a_night_tells_which_way_the_clamps_look(tree: Rows) -> None:
    """L1 draws, L2 is the wrong way round, L3 draws a tenth of the time and gives the rest."""
    ends = _night(
        tree, readings=100, amps=lambda n: [5 + n / 100, -5 - n / 100, 2.0 if n % 10 == 0 else -3.0]
    )
    before = _revision(tree)
    assert _learn(tree, ends - timedelta(minutes=1)) == 0, "it is not over"
    assert _learn(tree, ends + timedelta(minutes=1)) == 1
    meter = _meter(tree)
    assert meter.night_a == [pytest.approx(5.89), pytest.approx(-5.1), -3.0] and meter.night_at == ends
    assert queries.turned([meter]) == {meter.pk: ("L2", "L3")}
    assert _revision(tree) == before + 1, "who steers takes it"
    assert _learn(tree, ends + timedelta(hours=1)) == 0, "once a night"


def test_a_night_that_told_little_changes_nothing(tree: Rows) -> None:
    ends = _night(tree, readings=59, amps=lambda _n: [5.0, 5.0, 5.0])
    assert _learn(tree, ends + timedelta(minutes=1)) == 0
    assert _meter(tree).night_a == []


def test_what_was_known_goes_with_the_settings_it_was_known_of(tree: Rows, make_actor: Any) -> None:
    meter = _meter(tree)
    with tenant_scope(meter.tenant_id):
        SiteMeter.objects.update(night_a=[5.0, 5.0, 5.0], night_at=datetime.now(UTC))
        actor = make_actor("operator")
        meters.change_meter(meter=meter, actor=actor, name="Other")
        assert SiteMeter.objects.get(pk=meter.pk).night_a == [5.0, 5.0, 5.0]
        meters.change_meter(meter=meter, actor=actor, kind="grid")
        assert SiteMeter.objects.get(pk=meter.pk).night_a == []


def test_old_readings_go_and_young_ones_stay(
    tree: Rows, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.METER_SAMPLE_DAYS = 7
    monkeypatch.setattr(meters, "TRIMMED_AT_ONCE", 3)  # many batches
    meter, now = _meter(tree), datetime.now(UTC)
    with tenant_scope(meter.tenant_id):
        MeterSample.objects.bulk_create(
            MeterSample(tenant_id=meter.tenant_id, meter=meter, at=now - timedelta(days=d), received_at=now, amps=[d])
            for d in range(1, 20)
        )  # fmt: skip
    tasks.trim_samples()
    assert [sample.amps[0] for sample in _samples(tree)] == [6, 5, 4, 3, 2, 1]

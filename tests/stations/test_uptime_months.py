"""Months of ports as they are kept: lines that were lost, exclusions, stations that are moved or have no port."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from stations import lanes
from stations.models import Connection, Connector, GatewayProcess, PortMonth, Session, Station
from stations.services import exclusions, uptime, uptime_reports
from stations.services import stations as keeping
from tenants.context import tenant_scope
from tenants.models import Site, Tenant
from tenants.permissions import Actor, system
from tests.stations.telling import Speaker

ROBOT = system("tests")
OCTOBER = datetime(2025, 10, 1, tzinfo=UTC).date()
# The site's clock is Berlin's: the month has an hour more than 31 days.
FIRST, LAST = uptime.edges(OCTOBER, "Europe/Berlin")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def socket(station: Station, epoch: int, start: datetime, end: datetime | None, gateway: str = "g") -> None:
    Connection.objects.create(
        tenant_id=station.tenant_id, station=station, epoch=epoch, gateway=gateway, ocpp_version="1.6",
        opened_at=start, closed_at=end,
    )  # fmt: skip


@pytest.fixture
def heard(tenant: Tenant, station: Station) -> Station:
    """A station that was online and available all of October."""
    Speaker(station).status("available", at=FIRST, received_at=FIRST)
    with tenant_scope(tenant.pk):
        socket(station, 1, FIRST, LAST)
        Station.objects.filter(pk=station.pk).update(epoch=1)
        return Station.objects.select_related("site").get(pk=station.pk)


def month_of(station: Station) -> PortMonth:
    with tenant_scope(station.tenant_id):
        station = Station.objects.select_related("site").get(pk=station.pk)
        (row,) = uptime.compute(station=station, month=OCTOBER, now=timezone.now())
    return row


def test_the_month_of_the_clock_change_has_an_hour_more(heard: Station) -> None:
    row = month_of(heard)
    assert row.month_s == row.period_s == (31 * 24 + 1) * 3600 and row.outage_s == 0


def test_a_line_whose_end_nobody_wrote_lasted_until_the_next(heard: Station) -> None:
    """The gateway was killed, and the station came back to another one before anybody missed it."""
    with tenant_scope(heard.tenant_id):
        Connection.objects.filter(station=heard).update(closed_at=None)
        socket(heard, 2, FIRST + 20 * DAY, LAST, "h")
        Station.objects.filter(pk=heard.pk).update(epoch=2)
        assert month_of(heard).outage_s == 0
        GatewayProcess.objects.create(name="g", started_at=FIRST, alive_at=FIRST + 20 * DAY - 2 * HOUR)
        assert month_of(heard).outage_s == 2 * 3600, "no longer than that gateway lived"


def test_one_line_that_was_lost_long_ago_is_not_open_until_today(heard: Station) -> None:
    """The line after it had ended before the time that is looked at."""
    with tenant_scope(heard.tenant_id):
        Connection.objects.filter(station=heard).delete()
        socket(heard, 1, FIRST - 20 * DAY, None)
        socket(heard, 2, FIRST - 10 * DAY, FIRST - 5 * DAY)
        socket(heard, 3, FIRST + 3 * DAY, FIRST + 4 * DAY)
        station = Station.objects.get(pk=heard.pk)
        assert lanes.online_spans(station, FIRST, LAST) == [(FIRST + 3 * DAY, FIRST + 4 * DAY)]


def enter(at: Station, category: str, start: datetime, end: datetime, **values: Any) -> Any:
    with tenant_scope(at.tenant_id):
        site = Site.objects.get(pk=at.site_id)
        return exclusions.enter(
            tenant_id=at.tenant_id, actor=ROBOT, category=category, site=site, starts_at=start, ends_at=end,
            evidence="Notice 7", **values,
        )  # fmt: skip


@pytest.fixture
def broken(heard: Station) -> Station:
    """The same, and faulted for a day of the month."""
    speaker = Speaker(heard)
    speaker.status("faulted", at=FIRST + 2 * DAY, received_at=FIRST + 2 * DAY)
    speaker.status("available", at=FIRST + 3 * DAY, received_at=FIRST + 3 * DAY)
    return heard


@pytest.mark.parametrize(
    ("category", "counts"),
    [
        ("utility", True),
        ("vehicle", True),
        ("maintenance", True),
        ("vandalism", True),
        ("disaster", True),
        ("closed", True),
        ("network", False),
        ("blocked", False),
    ],
)
def test_what_680_116_takes_off(broken: Station, category: str, counts: bool) -> None:
    enter(broken, category, FIRST + 2 * DAY, FIRST + 3 * DAY)
    row = month_of(broken)
    assert (row.outage_s, row.excluded_s) == (86_400, 86_400 if counts else 0)


def test_the_fault_of_a_vehicle_is_no_failed_start(
    heard: Station, make_session: Callable[..., Session]
) -> None:
    began = FIRST + 5 * DAY
    for at, energy in ((began, 0), (began + HOUR, 9000)):
        make_session(
            heard, state="rated", started_at=at, ended_at=at + HOUR / 4, energy_wh=Decimal(energy),
            verdict="accepted",
        )  # fmt: skip
    assert month_of(heard).failed_s == 3600
    enter(heard, "vehicle", began, began + HOUR / 2)
    assert month_of(heard).failed_s == 1800


def test_hours_in_which_it_is_closed_are_not_looked_at_in_the_uk(broken: Station) -> None:
    """SI 2023/1168, regulation 7(5)."""
    enter(broken, "closed", FIRST + 2 * DAY, FIRST + 2 * DAY + 12 * HOUR)
    row = month_of(broken)
    assert row.uk_period_s == row.month_s - 12 * 3600
    assert row.uk_down_s == 12 * 3600


def test_only_rapid_ports_in_the_kingdom_are_of_its_network(
    tenant: Tenant, heard: Station, make_site: Any, make_station: Any
) -> None:
    british = make_station(site=make_site(country="GB"))
    with tenant_scope(tenant.pk):
        Connector.objects.filter(tenant=tenant).update(max_power_w=150_000)
        assert uptime.rapid_evses(tenant.pk) == {british.evses.get().pk}


def test_a_year_of_the_uk_is_that_of_the_calendar(heard: Station) -> None:
    rows = [
        PortMonth(month=uptime.shifted(OCTOBER, n), month_s=2_635_200, period_s=2_635_200, unknown_s=0, outage_s=0,
                  excluded_s=0, failed_s=0, uk_period_s=2_635_200, uk_down_s=0)
        for n in range(12)
    ]  # fmt: skip
    assert uptime.total(rows, "us", year=True).period_s == uptime.YEAR_S
    assert uptime.total(rows, "uk", year=True).period_s == 12 * 2_635_200


def test_an_excluded_time_goes_with_its_station(
    broken: Station, make_site: Callable[..., Site], owner_actor: Actor
) -> None:
    row = enter(broken, "utility", FIRST + 2 * DAY, FIRST + 3 * DAY, station=broken)
    with tenant_scope(broken.tenant_id):
        keeping.edit_station(station=broken, actor=owner_actor, changes={"site_id": make_site().pk})
    assert month_of(broken).excluded_s == 86_400
    with tenant_scope(broken.tenant_id):
        exclusions.withdraw(exclusion=row, actor=ROBOT, reason="It was ours")
        assert PortMonth.objects.get(station=broken).excluded_s == 0


def test_stations_without_a_port_leave_room_for_the_others(
    tenant: Tenant, heard: Station, make_station: Any
) -> None:
    for _ in range(3):
        make_station(evses=0)
    with tenant_scope(tenant.pk):
        uptime.sweep(tenant_id=tenant.pk, now=LAST + DAY, at_most=2)
        assert PortMonth.objects.filter(station=heard).count() == 2


def test_one_stations_trouble_is_not_the_next_ones(
    tenant: Tenant, heard: Station, make_site: Any, make_station: Any
) -> None:
    make_station(site=make_site(name="A", time_zone="No/Where"))
    with tenant_scope(tenant.pk):
        uptime.sweep(tenant_id=tenant.pk, now=LAST + DAY)
        assert PortMonth.objects.filter(station=heard).exists()


def test_a_month_wholly_closed_is_told_in_the_us(heard: Station) -> None:
    enter(heard, "closed", FIRST, LAST)
    with tenant_scope(heard.tenant_id):
        assert [row.uk_period_s for row in uptime.rows_of(heard.tenant_id, "us", OCTOBER, OCTOBER)] == [0]


def test_a_uk_report_by_the_month_is_made_where_there_is_something_to_tell(
    tenant: Tenant, heard: Station
) -> None:
    with tenant_scope(tenant.pk):
        Site.objects.update(country="GB")
        uptime.refresh(tenant_id=tenant.pk, months=[OCTOBER], now=LAST)
        assert uptime_reports.monthly(tenant_id=tenant.pk, now=LAST + 8 * DAY) == 2


def test_a_month_that_nobody_was_here_to_end_is_ended_later(tenant: Tenant, heard: Station) -> None:
    with tenant_scope(tenant.pk):
        uptime.sweep(tenant_id=tenant.pk, now=FIRST + 20 * DAY)
        uptime.sweep(tenant_id=tenant.pk, now=LAST + 90 * DAY)
        row = PortMonth.objects.get(station=heard, month=OCTOBER)
        assert row.final and row.period_s == row.month_s


def test_who_excludes_a_long_time_at_a_large_site_does_not_wait_for_all_of_it(
    broken: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    month_of(broken)
    monkeypatch.setattr(uptime, "AT_ONCE", 0)
    enter(broken, "utility", FIRST + 2 * DAY, FIRST + 3 * DAY)
    with tenant_scope(broken.tenant_id):
        assert PortMonth.objects.get(station=broken, month=OCTOBER).excluded_s == 0
        uptime.sweep(tenant_id=broken.tenant_id, now=timezone.now())
        row = PortMonth.objects.get(station=broken, month=OCTOBER)
    assert row.excluded_s == 86_400 and row.final

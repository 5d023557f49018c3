"""A browser on the load page: it changes by itself, breaks no rule, and fits a phone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

import pytest
from django.utils import timezone

from energy.models import GridNode, Outlet
from energy.services import whatif
from stations import live
from stations.models import Reading, Station
from tenants.context import tenant_scope
from tenants.models import Site, Tenant
from tenants.permissions import system
from tests import objects
from tests.energy.pictures import minutes, outlet, row, show
from tests.energy.sites import Rows, create_tree
from tests.portal.test_browser import broken_rules, quiet, sign_in, web  # noqa: F401 - fixtures
from tests.servers import Role

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
Make = Callable[..., Any]


def publish(made: Rows) -> None:
    """As who steers does after each picture."""
    connection = made.connection
    with tenant_scope(connection.tenant_id):
        live.publish(
            connection.tenant_id, kind="energy", station_id=0, site_id=connection.site_id,
            data={"id": connection.site_id},
        )  # fmt: skip


@pytest.fixture
def depot(tenant: Tenant, site: Site, make_station: Make) -> Rows:
    """A main breaker, two panels and ten connectors; a day behind it, some hours planned."""
    stations = [make_station(site=site, name=f"Ramp {number}", evses=2) for number in range(1, 6)]
    made = create_tree(tenant, site, stations, main_a=100.0, panel_a=63.0)
    with tenant_scope(tenant.pk):
        panel = GridNode.objects.create(
            tenant=tenant,
            connection=made.connection,
            parent=made.root,
            name="Panel 2",
            limit_a=[32.0] * 3,
            position=2,
        )
        mine = [one.pk for one in made.outlets[6:]]
        Outlet.objects.filter(pk__in=mine).update(node=panel)
        first = GridNode.objects.get(tenant=tenant, name="Panel")
    begin = (timezone.now() - timedelta(hours=24)).replace(second=0, microsecond=0)
    for hour, (cars, building, solar) in enumerate(
        [(4, 9, 0)] * 6 + [(12, 14, 6)] * 8 + [(38, 11, 1)] * 6 + [(26, 8, 0)] * 4
    ):
        minutes(
            made, begin + timedelta(hours=hour), 60, cars_w=cars * 1000, building_w=building * 1000,
            solar_w=solar * 1000, limit_w=69_000,
        )  # fmt: skip
    for number, station in enumerate(stations[:4]):
        session = objects.create_session(
            tenant, station, started_at=timezone.now() - timedelta(hours=6), power_w=9000.0, energy_wh=22_000
        )
        with tenant_scope(tenant.pk):
            Reading.objects.create(
                id=session.pk, tenant_id=tenant.pk, station_id=station.pk, evse_number=1, session_id=session.pk,
                sampled_at=session.started_at, received_at=session.started_at, context="Sample.Periodic",
                digest=str(number), power_w=22_000.0, values=[],
            )  # fmt: skip
    made.nodes = [made.root.pk, first.pk, panel.pk]  # type: ignore[attr-defined]
    return made


def _lines(node: int, cars: tuple[float, ...], **values: Any) -> list[dict[str, Any]]:
    return [row(node, part, cars=amps, **values) for part, amps in zip(("L1", "L2", "L3"), cars, strict=True)]


def picture(made: Rows, **more: Any) -> None:
    main, first, panel = made.nodes  # type: ignore[attr-defined]
    now = timezone.now().timestamp()
    ids = [one.evse_id for one in made.outlets]
    with tenant_scope(made.connection.tenant_id):
        session = Station.objects.get(pk=made.outlets[0].evse.station_id).sessions.get().pk
    rows = [
        *_lines(main, (58.0, 41.0, 39.5), limit=100.0, building=18.0, committed=62.0),
        row(main, "total", unit="W", limit=69_000, building=12_400, cars=31_000, committed=38_000),
        *_lines(first, (34.0, 22.0, 20.0), building=0.0, committed=40.0),
        *_lines(panel, (31.5, 20.0, 19.0), limit=32.0, building=0.0, committed=32.0),
    ]
    outlets = [
        outlet(
            ids[0], "full", session=session, need_wh=12_000.0, departure=now + 5 * 3600, priority=2, asked=32.0,
            draw=31.4,
        ),
        outlet(ids[1], "car", asked=17.0, draw=15.8),
        outlet(ids[2], "later", asked=0.0, draw=0.0, need_wh=40_000.0, departure=now + 9 * 3600),
        outlet(ids[3], "offline", asked=6.0, draw=None),
        outlet(ids[4], "idle"), outlet(ids[5], "idle"),
        outlet(ids[6], "binds", node=panel, part="L1", asked=14.0, draw=13.7),
        outlet(ids[7], "waits", node=panel, part="L1", asked=0.0, draw=0.0, since=now - 780),
        outlet(ids[8], "waits", node=panel, part="L1", asked=0.0, draw=0.0, since=now - 240),
        outlet(ids[9], "binds", node=panel, part="L1", asked=12.0, draw=11.8),
    ]  # fmt: skip
    start = now - now % 900
    programme = {
        "at": now, "start": start, "period_s": 900, "total_w": [31_000.0] * 12 + [44_000.0] * 16 + [9_000.0] * 20,
        "building_w": [12_000.0] * 48, "limit_w": [69_000.0] * 48, "price": [0.42] * 12 + [0.28] * 36, "peak_w": 56_000,
    }  # fmt: skip
    show(made, rows=rows, outlets=outlets, programme=programme, **more)


def test_it_changes_by_itself(quiet: Page, web: Role, depot: Rows, make_member: Make) -> None:  # noqa: F811
    user, password = make_member("facility_manager", [depot.connection.site])
    page = quiet
    picture(depot)
    sign_in(page, web, user.email, password)
    page.goto(f"{web.url}/t/{depot.connection.tenant.slug}/sites/{depot.connection.site_id}/load/")
    page.get_by_text("2 cars wait for their turn: L1 of Panel 2 is full").wait_for()
    page.locator(".chart canvas").first.wait_for()
    page.get_by_text("2 connectors are free").click()
    page.evaluate(f"window.kept = document.getElementById('node-{depot.root.pk}')")
    page.wait_for_function("document.body.dataset.link === 'open'")
    show(
        depot,
        rows=[row(depot.root.pk, "L1", limit=100.0)],
        outlets=[outlet(depot.outlets[0].evse_id, "full", asked=32)],
    )
    publish(depot)
    page.get_by_text("All cars get what they ask for").wait_for(timeout=5000)
    assert (
        page.locator(f"#why-{depot.outlets[0].evse_id}").inner_text()
        == "It has all that the connector gives."
    )
    assert page.evaluate("window.kept.isConnected"), "the drawing is changed, not drawn anew"
    assert page.locator("#idle-spots").get_attribute("open") is not None, "what was opened stays open"


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_it_fits_and_breaks_no_rule(
    quiet: Page, web: Role, depot: Rows, make_member: Make, width: int, scheme: Literal["light", "dark"],  # noqa: F811
) -> None:  # fmt: skip
    user, password = make_member("operator")
    page = quiet
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    picture(depot)
    tenant_id = depot.connection.tenant_id
    with tenant_scope(tenant_id):
        asked = whatif.ask(
            connection=depot.connection, actor=system("tests"), begins_at=timezone.now() - timedelta(hours=20),
            ends_at=timezone.now() - timedelta(hours=1), settings=whatif.Settings(limit_a=32.0),
        )  # fmt: skip
    whatif.run_due(tenant_id=tenant_id)
    sign_in(page, web, user.email, password)
    base = f"{web.url}/t/{depot.connection.tenant.slug}/sites/{depot.connection.site_id}/"
    for path in ("load/", "what-if/", f"what-if/{asked.pk}/"):
        page.goto(base + path)
        if path != "what-if/":
            page.locator(".chart canvas").first.wait_for()
        assert broken_rules(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    show(depot, age_s=600)
    page.goto(f"{base}load/")
    page.get_by_text("Nobody steers this site since").wait_for()
    assert broken_rules(page) == []

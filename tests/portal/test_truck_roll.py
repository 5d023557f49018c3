"""Nobody drives out: a broken station is found, diagnosed, its log read, reset and updated in a browser."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.utils import timezone

from simulator.thread import StationThread
from stations.models import IssueRule, Station
from stations.services import issue_rules, watch
from tenants.context import tenant_scope
from tenants.models import Site, Tenant
from tenants.permissions import system
from tests.objects import create_image
from tests.portal.test_browser import gateway, quiet, sign_in  # noqa: F401
from tests.servers import Role, Roles

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
Make = Callable[..., Any]


def look(tenant: Tenant, *, minutes: int = 0, until: int = 0) -> None:
    """What the worker does every ten seconds, as if so many minutes had passed, until so many issues are open."""
    for _try in range(150):
        with tenant_scope(tenant.pk):
            if watch.sweep(tenant_id=tenant.pk, now=timezone.now() + timedelta(minutes=minutes)) == until:
                return
        time.sleep(0.2)  # what the station told is applied from the journal
    raise AssertionError(f"there were never {until} issues")


@pytest.mark.parametrize("version", ["1.6", "2.1"])
def test_a_broken_station_is_mended_from_the_desk(
    quiet: Page, gateway: Role, roles: Roles, tenant: Tenant, site: Site, make_station: Make,  # noqa: F811
    make_member: Make, version: str,
) -> None:  # fmt: skip
    page = quiet
    web = roles.start("web", env={"FILES_URL": gateway.url})
    broken: Station = make_station(site=site, name="Ramp 3")
    make_station(site=site, name="Ramp 4")
    create_image(
        tenant, vendor="Voltyard", version="4.0.0", content=b"voltyard-firmware 4.0.0\n" + bytes(50_000)
    )
    user, password = make_member("owner")

    url = f"{gateway.ws_url}/ocpp/{tenant.slug}"
    with StationThread(
        url=url, identity=broken.identity, password=broken.password, version=version, speed=60,  # type: ignore[attr-defined]
    ) as own:  # fmt: skip
        sign_in(page, web, user.email, password)
        own.do(own.station.settled())
        with tenant_scope(tenant.pk):
            issue_rules.policy(tenant_id=tenant.pk)
            rule = IssueRule.objects.get(tenant=tenant, signal="faulted")
            issue_rules.update_rule(rule=rule, actor=system("tests"), threshold=0, grace_minutes=0, steps=[])
        own.do(own.station.fault(1, "GroundFailure", heals="hard_reset"))
        own.do(own.station.settled())
        look(tenant, until=1)

        # Found: the overview, open all the time, says what is wrong and since when.
        page.get_by_role("heading", name="1 thing needs you").wait_for()
        page.get_by_text("Faulted: Ramp 3, connector 1").wait_for()
        page.get_by_role("link", name="See the issue").click()
        page.get_by_role("heading", name="Faulted: Ramp 3").wait_for()

        # Diagnosed: the issue tells the fault, the log what the station saw.
        for _try in range(50):  # 2.x tells the cause by a message of its own, after the status
            if page.get_by_text("VY-0211").count():
                break
            look(tenant, until=1)
            page.reload()
        assert page.get_by_text("VY-0211").first.is_visible()
        page.get_by_role("link", name="Fetch its log").click()
        page.get_by_role("button", name="Fetch the log").click()
        page.locator("#outcome[data-value=uploaded]").wait_for()
        page.get_by_role("link", name="Read").click()
        page.get_by_role("link", name="station.log").click()
        page.get_by_role("link", name=re.compile("Errors")).click()
        page.get_by_text("VY-0211 GroundFailure: Residual current 34 mA, limit 30 mA").wait_for()

        # Reset: what a soft one does not end, a hard one does.
        page.get_by_role("link", name="Commands", exact=True).click()
        page.locator("#offer-reset summary").click()
        page.locator("#offer-reset").get_by_text("Nobody charges here now").wait_for()
        page.locator("#offer-reset").get_by_label("How").select_option("yes")
        page.locator("#offer-reset").get_by_role("button", name="Reset").click()
        page.get_by_role("heading", name="Reset: accepted").wait_for()
        own.do(own.station.back())
        page.get_by_role("link", name="Live", exact=True).click()
        page.locator("article").get_by_text("Available").wait_for()
        look(tenant, until=1)  # what is gone for an instant is not mended yet
        look(tenant, minutes=12)

        # Updated: from the platform's own store, followed on the page until the station proves it by its boot.
        page.get_by_role("link", name="Health", exact=True).click()
        page.get_by_role("link", name="Logs and firmware").click()
        page.get_by_label("When").select_option("now")
        page.get_by_role("button", name="Update this station").click()
        page.locator("#update").get_by_text("from 3.2.1").wait_for(timeout=60_000)
        assert own.station.firmware == "4.0.0"

        # Closed: the issue recorded what happened, and nothing needs anybody.
        page.get_by_role("link", name="Issues").click()
        page.get_by_role("heading", name="No issue is open").wait_for()
        page.get_by_role("link", name=re.compile("Resolved")).click()
        page.get_by_role("link", name="Faulted: Ramp 3").click()
        page.locator("#issue").get_by_text("Resolved by hand").first.wait_for()
        assert page.get_by_text(re.compile(rf"Reset #\d+, {user}")).first.is_visible()

"""Pages of load management at the widths that people have: nothing is cut off, what belongs together is in one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from energy.models import GridNode
from fleets.models import Driver
from tenants.context import tenant_scope
from tenants.models import Site, Tenant
from tests import objects
from tests.energy.pictures import row, show
from tests.energy.sites import create_tree
from tests.portal.test_browser import broken_rules, quiet, sign_in, web  # noqa: F401 - fixtures
from tests.servers import Role

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
Make = Callable[..., Any]


def test_a_tree_of_three_levels_fits_a_laptop(
    quiet: Page, web: Role, tenant: Tenant, site: Site, make_station: Make, make_member: Make  # noqa: F811
) -> None:  # fmt: skip
    page = quiet
    page.set_viewport_size({"width": 1280, "height": 900})
    made = create_tree(tenant, site, [make_station(site=site, name="Ramp 1")], panel_a=32.0)
    with tenant_scope(tenant.pk):
        panel = GridNode.objects.get(tenant=tenant, name="Panel")
        ramp = GridNode.objects.create(
            tenant=tenant,
            connection=made.connection,
            parent=panel,
            kind="station",
            name="Ramp 1",
            limit_a=[32.0] * 3,
        )
        type(made.outlets[0]).objects.update(node=ramp)
    show(made, rows=[row(node.pk, "L1", limit=100.0) for node in (made.root, panel, ramp)])
    user, password = make_member("operator")
    sign_in(page, web, user.email, password)
    base = f"{web.url}/t/{tenant.slug}/sites/{site.pk}/"
    page.goto(f"{base}load/")
    assert (
        page.evaluate(
            "(() => { const t = document.querySelector('.load-tree'); return t.scrollWidth - t.clientWidth })()"
        )
        <= 0
    )
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(f"{base}grid/policy/")
        assert broken_rules(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_driver_says_it_with_one_hand(
    quiet: Page, web: Role, tenant: Tenant, site: Site, make_station: Make, make_member: Make  # noqa: F811
) -> None:  # fmt: skip
    page = quiet
    page.set_viewport_size({"width": 390, "height": 844})
    user, password = make_member("driver")
    with tenant_scope(tenant.pk):
        person = Driver.objects.create(tenant=tenant, name="Dora Drake", user=user)
    station = make_station(site=site, name="Ramp 1", online=True)
    objects.create_session(tenant, station, state="active", driver=person, energy_wh=7_380)
    sign_in(page, web, user.email, password)
    page.goto(f"{web.url}/t/{tenant.slug}/me/")
    energy, leaves = page.get_by_label("Energy in all, kWh"), page.get_by_label("Leaves at")
    boxes = [one.bounding_box() for one in (energy, leaves)]
    assert boxes[0] and boxes[1]
    assert (boxes[0]["y"], boxes[0]["height"]) == (boxes[1]["y"], boxes[1]["height"]), "side by side"
    assert page.get_by_text("7.4 kWh of it are charged.").is_visible()
    energy.fill("30")
    page.get_by_role("button", name="Plan it so").click()
    page.locator("#charging").get_by_text("At least 30.0 kWh.").wait_for()
    assert broken_rules(page) == []
    page.get_by_text("Change what you need").click()
    page.get_by_role("button", name="Take it back").click()
    page.get_by_text("Taken back: load management goes by what it knows.").wait_for()
    assert page.locator("#charging").get_by_text("At least 30.0 kWh.").count() == 0

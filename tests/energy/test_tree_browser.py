"""The editor of a site's tree in a real browser: by keyboard, by the drawing, over a reload, on a phone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from energy.services import tree
from energy.site_state import state_of
from tenants.context import tenant_scope
from tenants.models import Site, Tenant
from tenants.permissions import system
from tests.portal.test_browser import broken_rules, quiet, sign_in, web
from tests.servers import Role

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["quiet", "web"]
pytestmark = pytest.mark.browser
Make = Callable[..., Any]


@pytest.fixture
def garage(tenant: Tenant, site: Site, make_station: Make) -> Site:
    """With a first tree of two stations."""
    make_station(site=site, name="Bay 1", evses=2)
    make_station(site=site, name="Bay 2")
    with tenant_scope(tenant.pk):
        tree.set_up(tenant_id=tenant.pk, site_id=site.pk, actor=system("Demo set-up"), limit_a=63)
    return site


def names(site: Site) -> list[str]:
    with tenant_scope(site.tenant_id):
        return [node.name for node in state_of(site).document.nodes]


def opened(page: Page, web: Role, site: Site, tenant: Tenant, make_member: Make) -> None:
    user, password = make_member("owner")
    sign_in(page, web, user.email, password)
    page.goto(f"{web.url}/t/{tenant.slug}/sites/{site.pk}/grid/")


def test_a_panel_is_added_and_a_station_moved_below_it_by_keyboard(
    quiet: Page, web: Role, tenant: Tenant, garage: Site, make_member: Make
) -> None:
    page = quiet
    opened(page, web, garage, tenant, make_member)
    page.locator(".tree-row").first.focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Panel below").focus()
    page.keyboard.press("Enter")
    page.locator("[name=name]:focus").wait_for()
    page.keyboard.type("Level -1")  # its name was selected
    page.keyboard.press("Tab")
    page.locator(".tree-drawing text", has_text="Level -1").wait_for()  # drawn before it is saved
    assert names(garage) == ["Grid connection", "Bay 1", "Bay 2"]

    page.locator(".tree-row", has_text="Bay 1").first.focus()
    page.keyboard.press("ArrowUp")
    assert "Grid connection" in page.locator(":focus").inner_text()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.locator(".tree-line.open > .tree-row", has_text="Bay 1").wait_for()
    assert (
        page.get_by_label("Name", exact=True).input_value() == "Bay 1"
    )  # not what was typed of another part
    page.get_by_label("Hangs below", exact=True).select_option("Level -1")
    page.get_by_text("2 changes not saved").wait_for()
    page.get_by_role("button", name="Save the tree").click()
    page.get_by_text("Saved.").wait_for()
    assert names(garage) == ["Grid connection", "Bay 2", "Level -1", "Bay 1"]
    assert page.locator("#kept-draft").is_hidden()


def test_what_was_not_saved_is_there_again_after_a_reload(
    quiet: Page, web: Role, tenant: Tenant, garage: Site, make_member: Make
) -> None:
    page = quiet
    opened(page, web, garage, tenant, make_member)
    page.locator(".tree-drawing [data-part]", has_text="Grid connection").click()
    page.get_by_label("Limit, A on each line").fill("50")
    page.keyboard.press("Tab")
    page.get_by_text("1 change not saved").wait_for()
    page.reload()
    page.get_by_text("You have changes that were not saved").wait_for()
    page.get_by_role("button", name="Go on with them").click()
    page.get_by_text("1 change not saved").wait_for()
    page.locator(".tree-drawing .limit", has_text="50 A").wait_for()
    page.get_by_role("link", name="Discard").click()
    page.get_by_text("Nothing has changed").wait_for()
    assert page.locator("#kept-draft").is_hidden()


def test_a_fault_is_told_beside_its_part_as_one_types(
    quiet: Page, web: Role, tenant: Tenant, garage: Site, make_member: Make
) -> None:
    page = quiet
    opened(page, web, garage, tenant, make_member)
    page.locator(".tree-row", has_text="Bay 2").first.click()
    page.get_by_label("Name", exact=True).fill("Bay 1")
    page.keyboard.press("Tab")
    page.locator(".tree-line.open .error-line", has_text="Two parts are called Bay 1").wait_for()
    assert page.locator(".tree-drawing [data-state=faulted]").count() == 2


@pytest.mark.parametrize(("scheme", "width"), [("dark", 1440), ("light", 390)])
def test_the_editor_fits_its_screen_and_breaks_no_rule(
    quiet: Page, web: Role, tenant: Tenant, garage: Site, make_member: Make, scheme: str, width: int
) -> None:
    page = quiet
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": width, "height": 900})
    opened(page, web, garage, tenant, make_member)
    for part in ("Grid connection", "Bay 1 · 1"):
        page.locator(".tree-row", has_text=part).first.click()
        page.locator(".tree-line.open > .tree-row", has_text=part).wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert not broken_rules(page)

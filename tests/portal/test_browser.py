"""A browser clicks through the main job: sign in, see the network, steer a station, read the session and its price."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client
from django.utils import timezone

from portal.assets import PACKAGES
from simulator.thread import StationThread
from stations.models import Session, SessionState, Station, Variable
from stations.services.rating import rate_ended
from tenants.context import tenant_scope
from tenants.models import Site, Tenant
from tests import samples
from tests.servers import Role, Roles
from tests.stations.telling import Speaker
from tests.walks.addresses import addresses

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
Make = Callable[..., Any]


@pytest.fixture(scope="session")
def web(session_roles: Roles) -> Role:
    return session_roles.start("web")


@pytest.fixture(scope="session")
def gateway(session_roles: Roles) -> Role:
    return session_roles.start("gateway")


@pytest.fixture
def quiet(page: Page) -> Iterator[Page]:
    """A page on which nothing may complain: no script error, no policy violation, no missing file."""
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    assert not complaints, complaints


def broken_rules(page: Page) -> list[str]:
    """What axe finds against WCAG and good practice: the rule and the first element."""
    page.evaluate((PACKAGES / "axe-core" / "axe.min.js").read_text())
    found = page.evaluate("axe.run().then(result => result.violations)")
    return [f"{rule['id']}: {rule['nodes'][0]['html'][:200]}" for rule in found]


def sign_in(page: Page, web: Role, email: str, password: str) -> None:
    page.goto(f"{web.url}/login/")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(re.compile("/t/"))


def test_the_main_job(
    quiet: Page, web: Role, gateway: Role, tenant: Tenant, site: Site, make_station: Make, make_member: Make,
    make_token: Make, make_tariff: Make,
) -> None:  # fmt: skip
    page = quiet
    make_tariff(is_default=True)
    token = make_token()
    station = make_station(site=site, name="Ramp 1")
    user, password = make_member("operator")
    sign_in(page, web, user.email, password)
    page.get_by_role("link", name="Stations").first.click()
    page.get_by_role("link", name="Ramp 1").click()
    assert page.get_by_text("Waiting for its first connection").is_visible()

    url = f"{gateway.ws_url}/ocpp/{tenant.slug}"
    with StationThread(
        url=url, identity=station.identity, password=station.password, speed=60, auto_plug=0
    ) as own:
        # It comes online on the open page, without a reload.
        page.locator("#station-head").get_by_text("Online").wait_for()
        page.locator("article").get_by_text("Available").wait_for()

        page.get_by_role("link", name="Start charging").click()
        page.locator("#offer-start").get_by_label("Token").fill(token.uid)
        page.locator("#offer-start").get_by_role("button", name="Start charging").click()
        page.get_by_role("heading", name="Start charging: accepted").wait_for()
        assert page.get_by_text("Sent to the station").is_visible()

        page.get_by_role("link", name="Live", exact=True).click()
        page.locator("article").get_by_text("Charging", exact=True).wait_for()
        page.locator("article").get_by_text(re.compile(r"Session #\d+")).wait_for()
        page.locator("article svg.meter").wait_for()
        page.locator("article").get_by_role("button", name="Stop charging").click()
        page.get_by_role("heading", name="Stop charging: accepted").wait_for()
        own.do(own.station.settled())

    page.get_by_role("link", name="Sessions").first.click()
    page.get_by_role("link", name=re.compile(r"^#\d+$")).first.click()
    page.locator("#session-state").get_by_text(re.compile("Ended|Completed")).wait_for()
    with tenant_scope(tenant.pk):
        rate_ended(tenant_id=tenant.pk)
        session = Session.objects.get(tenant=tenant)
        assert session.state == SessionState.RATED, session.held_reason
    page.reload()
    page.get_by_role("heading", name="Power and energy").wait_for()
    page.locator(".chart canvas").wait_for()
    assert page.locator("section[aria-labelledby=price-title]").get_by_text("total").is_visible()
    assert page.get_by_text("Charging ended").is_visible()


def test_a_lost_connection_is_said_and_caught_up(
    page: Page, roles: Roles, tenant: Tenant, site: Site, make_station: Make, make_member: Make
) -> None:
    web = roles.start("web")
    station = make_station(site=site, name="Ramp 2", online=True)
    user, password = make_member("operator")
    sign_in(page, web, user.email, password)
    page.goto(f"{web.url}/t/{tenant.slug}/stations/{station.pk}/")
    page.locator(".live", has_text="Live").first.wait_for()
    web.stop()
    page.get_by_text("Connection lost. What you see is from").wait_for()
    with tenant_scope(tenant.pk):
        station.evses.get().connectors.update(status="faulted")
    roles.start("web", port=web.port)
    page.locator("article").get_by_text("Faulted").wait_for(timeout=60_000)
    assert page.get_by_text("Connection lost. What you see is from").is_hidden()


@pytest.mark.parametrize(("scheme", "width"), [("dark", 1440), ("light", 390)])  # the others: below
def test_every_page_fits_its_screen_and_breaks_no_rule(
    quiet: Page, web: Role, tenant: Tenant, site: Site, make_station: Make, make_session: Make, make_token: Make,
    make_tariff: Make, make_driver: Make, make_member: Make, scheme: str, width: int,
) -> None:  # fmt: skip
    station = make_station(
        site=site, name="A station with quite a long name, second level", evses=4, online=True
    )
    session, tariff, driver = make_session(station), make_tariff(), make_driver()
    Speaker(station).stop(number=48211, meter=6500, uid="04A2B3C4D5E680")
    (orphan,) = Speaker(station).orphans()
    token = make_token(driver=driver)
    user, password = make_member("owner")
    page = quiet
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": width, "height": 900})
    sign_in(page, web, user.email, password)
    own = f"stations/{station.pk}/"
    for path in (
        "", "sites/", f"sites/{site.pk}/", "sites/new/", "stations/", own, f"{own}commands/?open=reset",
        f"{own}configuration/", f"{own}frames/", f"{own}health/", f"{own}sessions/", f"{own}edit/",
        f"{own}orphans/{orphan.pk}/",
        "stations/connect/", "quarantine/", "sessions/", f"sessions/{session.pk}/",
        "tokens/", f"tokens/{token.pk}/", "tokens/import/",
        "drivers/", f"drivers/{driver.pk}/", "tariffs/", f"tariffs/{tariff.pk}/", "tariffs/new/", "members/",
        "members/new/", "api-keys/", "audit/", "search/?q=level", "me/",
    ):  # fmt: skip
        page.goto(f"{web.url}/t/{tenant.slug}/{path}")
        assert page.locator("h1").count() == 1, path
        assert broken_rules(page) == [], path
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{path} is {wide} px too wide"


PARTS = 6  # of the walk below, so that several workers share it


@pytest.fixture(scope="module")
def world(worker_database: str) -> samples.World:
    return samples.build()


@pytest.fixture(scope="module")
def every_page(world: samples.World) -> list[str]:
    """Addresses of whole pages, from the resolver: a new page is looked at without being asked."""
    client = Client(raise_request_exception=False)
    client.force_login(world.owner)
    found = []
    for address in addresses():
        if address.is_portal and "GET" in address.methods:
            path = address.path(world)
            response = client.get(path)
            if response.status_code == 200 and not response.streaming and b"</html>" in response.content:
                found.append(path)
            response.close()
    return found


@pytest.mark.parametrize("part", range(PARTS))
def test_every_page_of_a_company_with_one_of_everything(
    quiet: Page, web: Role, world: samples.World, every_page: list[str], part: int
) -> None:
    page = quiet
    assert len(every_page) > 100
    world.owner.set_password("walk the pages")
    world.owner.save()
    sign_in(page, web, world.owner.email, "walk the pages")
    wrong: list[str] = []
    page.on("response", lambda one: wrong.append(f"{one.status}: {one.url}") if one.status >= 400 else None)
    for path in every_page[part::PARTS]:
        page.emulate_media(color_scheme="light", reduced_motion="reduce")  # or axe sees colours on their way
        page.set_viewport_size({"width": 1440, "height": 900})
        page.goto(f"{web.url}{path}")
        wrong += [f"{path}: {count} h1" for count in [page.locator("h1").count()] if count != 1]
        wrong += [f"{path}, wide and light: {rule}" for rule in broken_rules(page)]
        page.emulate_media(color_scheme="dark", reduced_motion="reduce")
        page.set_viewport_size({"width": 390, "height": 844})
        wrong += [f"{path}, narrow and dark: {rule}" for rule in broken_rules(page)]
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        wrong += [f"{path} is {wide} px too wide on a phone"] if wide > 0 else []
    assert not wrong, "\n".join(wrong)


def test_commands_are_found_by_typing(
    quiet: Page, web: Role, site: Site, make_station: Make, make_member: Make
) -> None:
    station = make_station(site=site, ocpp_version="2.1", online=True)
    user, password = make_member("operator")
    page = quiet
    sign_in(page, web, user.email, password)
    page.goto(f"{web.url}/t/{site.tenant.slug}/stations/{station.pk}/commands/")
    sought = page.get_by_text("Ask what limits hold")
    assert sought.is_hidden()
    page.get_by_label("Find a command").fill("what limits")
    sought.wait_for()
    assert page.locator("#offer-unlock").is_hidden()
    page.get_by_label("Find a command").fill("zzz")
    page.get_by_text("No command of this station is called so.").wait_for()


def test_many_stations_get_one_order(
    quiet: Page, web: Role, tenant: Tenant, site: Site, make_station: Make, make_member: Make
) -> None:
    """What is ticked stays ticked while the list goes on living; the order is looked over, given and followed."""
    one, two, _three = (
        make_station(site=site, name=name, online=True) for name in ("Alpha", "Bravo", "Charlie")
    )
    user, password = make_member("operator")
    page = quiet
    sign_in(page, web, user.email, password)
    page.goto(f"{web.url}/t/{tenant.slug}/stations/")
    bar = page.get_by_role("button", name="Look it over")
    assert bar.is_hidden()
    for station in (one, two):
        page.get_by_role("checkbox", name=station.name).check()
    with tenant_scope(tenant.pk):
        Station.objects.filter(pk=one.pk).update(name="Alpha 1")
    page.evaluate("window.htmx.trigger('#rows', 'live')")
    page.get_by_role("link", name="Alpha 1").wait_for()
    assert page.locator("tbody input:checked").count() == 2
    page.get_by_label("Order").select_option("clear_cache")
    bar.click()
    page.get_by_role("button", name="Clear their cache of cards: 2 stations").click()
    page.get_by_text("0 of 2 done").wait_for()
    page.get_by_role("button", name="Take back 2 that wait").click()
    page.get_by_text("2 were taken back.").wait_for()


def test_a_setting_is_changed_in_its_dialog(
    quiet: Page, web: Role, tenant: Tenant, site: Site, make_station: Make, make_member: Make
) -> None:
    station = make_station(site=site, ocpp_version="1.6", online=True)
    with tenant_scope(tenant.pk):
        Variable.objects.create(
            tenant=tenant, station=station, name="HeartbeatInterval", value="300", mutability="read_write",
            read_at=timezone.now(),
        )  # fmt: skip
    user, password = make_member("operator")
    page = quiet
    sign_in(page, web, user.email, password)
    page.goto(f"{web.url}/t/{tenant.slug}/stations/{station.pk}/configuration/")
    page.get_by_role("button", name="Change HeartbeatInterval").click()
    page.get_by_role("dialog").get_by_label("Value").fill("120")
    page.get_by_role("dialog").get_by_role("button", name="Send to the station").click()
    page.get_by_role("heading", name="1 change under way").wait_for()


def test_on_a_phone_the_open_tab_is_in_sight(
    quiet: Page, web: Role, site: Site, make_station: Make, make_member: Make
) -> None:
    station = make_station(site=site, ocpp_version="2.1")
    user, password = make_member("operator")
    page = quiet
    page.set_viewport_size({"width": 390, "height": 844})
    sign_in(page, web, user.email, password)
    page.goto(f"{web.url}/t/{site.tenant.slug}/stations/{station.pk}/security/")
    box = page.locator(".tabs [aria-current]").bounding_box()
    assert box is not None
    assert box["x"] >= 0 and box["x"] + box["width"] <= 390


def test_the_keyboard_reaches_search_and_shows_its_keys(
    quiet: Page, web: Role, site: Site, make_station: Make, make_member: Make
) -> None:
    make_station(site=site, name="Needle")
    user, password = make_member("operator")
    page = quiet
    sign_in(page, web, user.email, password)
    page.keyboard.press("?")
    page.get_by_role("heading", name="Keys").wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("needle")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Needle").wait_for()


def test_typed_words_outlive_what_happens_meanwhile(
    page: Page, web: Role, gateway: Role, tenant: Tenant, site: Site, make_station: Make, make_member: Make,
    make_token: Make,
) -> None:  # fmt: skip
    token = make_token()
    station = make_station(site=site, evses=2, ocpp_version="2.0.1")
    user, password = make_member("operator")
    url = f"{gateway.ws_url}/ocpp/{tenant.slug}"
    sign_in(page, web, user.email, password)
    with StationThread(
        url=url, identity=station.identity, password=station.password, version="2.0.1", connectors=2, speed=0
    ) as own:

        def refreshed(path: str) -> None:
            """The connector is plugged in or free, and the page has drawn it anew."""
            with page.expect_response(
                lambda answer: "hx-request" in answer.request.headers and path in answer.url
            ):
                connector = own.station.connectors[2]
                own.do(own.station.unplug(2) if connector.car else own.station.plug_in(2))
            page.wait_for_function("!document.querySelector('.htmx-request, .htmx-settling')")

        page.goto(f"{web.url}/t/{tenant.slug}/stations/{station.pk}/access/")
        page.locator("#reserve summary").click()
        page.get_by_label("For the token").fill("NOPE")
        page.get_by_label("Connector", exact=True).select_option("any")
        page.get_by_label("For how long").focus()
        refreshed("/access/")
        assert page.get_by_label("For the token").input_value() == "NOPE"
        assert page.get_by_label("Connector", exact=True).input_value() == "any"

        # Refused: its page has an address for forms alone. It keeps what it says, and can be asked for anew.
        page.get_by_role("button", name="Reserve").click()
        said = page.get_by_text("No token here has this UID")
        said.wait_for()
        own.do(own.station.unplug(2))
        page.get_by_label("For the token").fill(token.uid)
        assert said.is_visible()
        page.goto(page.url)
        assert page.url.endswith(f"/stations/{station.pk}/access/")


@pytest.mark.parametrize("told", ["before the button is up", "later"])
def test_a_limit_is_set_by_the_first_press(
    quiet: Page, web: Role, site: Site, make_station: Make, make_member: Make, told: str
) -> None:
    """What it would cost is asked for meanwhile; the button must neither move away nor go dead under the finger."""
    station = make_station(site=site, ocpp_version="2.0.1", online=True)
    user, password = make_member("operator")
    page = quiet
    sign_in(page, web, user.email, password)
    page.goto(f"{web.url}/t/{site.tenant.slug}/stations/{station.pk}/limits/")
    if told == "later":
        page.route("**/limits/preview/**", lambda route: None)
    page.get_by_label("At most").first.fill("6")
    button = page.get_by_role("button", name="Set the limit").first
    box = button.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    with page.expect_request("**/limits/preview/**"):
        page.mouse.down()
    if told != "later":
        page.locator("#consequence .notice").wait_for()
    page.mouse.up()
    page.get_by_text("Sent to").first.wait_for()

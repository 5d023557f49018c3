"""Nobody reaches another company's things by any address: the owner does, the stranger gets 404.

The addresses come from the resolver, the objects from tests/samples.py.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests import samples
from tests.samples import World
from tests.walks.addresses import ADMIN, FORM, GLOBAL, Address, addresses, status

ALL = addresses()
REST = [address for address in ALL if address.is_api]
PAGES = [address for address in ALL if address.is_portal]
ADMIN_PAGES = [address for address in ALL if address.route.startswith(ADMIN)]
# Lists that show nothing of what the sample company holds, each with the reason.
WITHOUT_MARKER: dict[str, str] = {
    "api/v1/vendor-profiles/shipped": "profiles that come with the product, the same for all",
}


def _name(value: Any) -> str | None:
    return value.route if isinstance(value, Address) else None


def _cases(of: list[Address]) -> list[Any]:
    return [
        pytest.param(address, method, id=f"{method} {address.route}")
        for address in of
        for method in address.methods
    ]


@pytest.fixture(scope="module")
def shared_world(worker_database: str) -> World:
    """For tests that only read."""
    return samples.build()


@pytest.fixture
def world(request: pytest.FixtureRequest, shared_world: World) -> World:
    """A fresh one where something is written."""
    method = request.node.callspec.params.get("method")
    return shared_world if method == "GET" else samples.build()


@pytest.fixture(scope="module")
def stranger(worker_database: str) -> World:
    """The owner of another company, with every right there."""
    return samples.build()


def _browser(world: World) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(world.owner)
    return client


def _ok(response: Any) -> bool:
    return 200 <= status(response) < 400


def _numbers(value: Any, key: str = "") -> list[int]:
    """Numbers of rows that a body refers to."""
    if isinstance(value, dict):
        return [number for name, part in value.items() for number in _numbers(part, name)]
    if isinstance(value, list):
        return [number for part in value for number in _numbers(part, key)]
    return [value] if isinstance(value, int) and key.endswith(("_id", "_ids")) else []


@pytest.mark.nodb
def test_every_address_belongs_to_a_company_or_is_reviewed() -> None:
    known = {*REST, *PAGES, *ADMIN_PAGES}
    unknown = [a.route for a in ALL if a not in known and a.route not in GLOBAL]
    assert not unknown, f"Stand these below a company, or review them and add them to GLOBAL: {unknown}"


@pytest.mark.nodb
def test_every_parameter_can_be_filled() -> None:
    problems = []
    for address in [*REST, *PAGES]:
        problems += [name for name in address.names if name not in samples.SAMPLES]
    assert not problems, f"Add to SAMPLES of tests/samples.py: {sorted(set(problems))}"


@pytest.mark.nodb
def test_the_walk_sees_pages_rest_and_admin() -> None:
    assert len(REST) > 40 and len(PAGES) > 30 and len(ADMIN_PAGES) > 30


@pytest.mark.parametrize(("address", "method"), _cases([a for a in REST if a.objects]), ids=_name)
def test_rest_hides_another_companys_object(
    address: Address, method: str, world: World, stranger: World
) -> None:
    path = address.path(world)
    refused = stranger.api.call(method, path, None if method == "GET" else address.body(method, stranger))
    assert refused.status_code == 404, refused.content
    assert world.marker not in refused.content.decode()
    answered = world.api.call(method, path, None if method == "GET" else address.body(method, world))
    assert _ok(answered), (
        f"{method} {path} must work for its owner, else the walk proves nothing; for a write, put a body into "
        f"BODIES of tests/samples.py. Got {answered.status_code}: {answered.content.decode()[:500]}"
    )


@pytest.mark.parametrize(("address", "method"), _cases([a for a in REST if not a.objects]), ids=_name)
def test_rest_lists_only_the_own_company(
    address: Address, method: str, world: World, stranger: World
) -> None:
    path = address.path(world)
    body = None if method == "GET" else address.body(method, world)
    seen = stranger.api.call(method, path, body)
    if method == "GET":
        assert seen.status_code == 200 and world.marker not in seen.content.decode()
    elif _numbers(body):
        assert seen.status_code in (404, 422), "a stranger named our object in a body"
    answered = world.api.call(method, path, body)
    assert _ok(answered), answered.content
    if method == "GET" and address.route not in WITHOUT_MARKER:
        shown = answered.content.decode()
        assert world.marker in shown or world.tenant.slug in shown, "the list shows nothing: no proof"


def test_rest_asks_anybody_else_for_a_key(shared_world: World) -> None:
    client, wrong = Client(raise_request_exception=False), []
    for address in REST:
        for method in address.methods:
            response = client.generic(method, address.path(shared_world))
            if response.status_code != 401 or response["Content-Type"] != "application/problem+json":
                wrong.append((method, address.route, response.status_code))
    assert not wrong


@pytest.mark.parametrize("address", PAGES, ids=_name)
def test_pages_hide_another_company(address: Address, world: World, stranger: World) -> None:
    path = address.path(world)
    theirs, ours = _browser(stranger), _browser(world)
    real: list[str] = []
    for method in ("GET", "POST"):
        form = address.form(method, world)
        refused = theirs.generic(method, path, form, FORM)
        assert refused.status_code == 404, refused.content[:300]
        assert world.marker not in refused.content.decode()
        if address.objects:
            through_their_own = address.path(world, tenant_slug=stranger.tenant.slug)
            assert status(theirs.generic(method, through_their_own, form, FORM)) in (404, 405)
        if real and not address.objects:
            continue  # a list, and it answered
        answered = ours.generic(method, path, form, FORM)
        real += [method] if _ok(answered) else []
        accepted = (405, 409, 422)  # not this method; or found, and the empty form was refused
        assert _ok(answered) or status(answered) in accepted, answered.content.decode()[:500]
    assert real, f"{path} never works for its owner: put a form into FORMS of tests/samples.py"


def test_pages_send_anybody_else_to_the_login(shared_world: World) -> None:
    client, wrong = Client(raise_request_exception=False), []
    for address in PAGES:
        response = client.get(address.path(shared_world))
        if response.status_code != 302 or not response["Location"].startswith("/login/"):
            wrong.append((address.route, response.status_code))
    assert not wrong


def test_admin_is_closed_to_members(shared_world: World) -> None:
    browser, wrong = _browser(shared_world), []
    for address in ADMIN_PAGES:
        if address.route in ("admin/login/", "admin/logout/", "admin/jsi18n/"):
            continue  # Django's own, the same for everybody
        path = _admin_path(address, shared_world)
        response = browser.get(path)
        to_login = response.status_code == 302 and response["Location"].startswith("/admin/login/")
        if response.status_code != 404 and not to_login:
            wrong.append((path, response.status_code))
    assert not wrong


def _admin_path(address: Address, world: World) -> str:
    path = "/" + address.route
    for name in address.names:
        start, end = path.index("<"), path.index(">")
        path = f"{path[:start]}{'x' if name == 'url' else world.site.pk}{path[end + 1 :]}"
    return path.replace("(?P1$", "").replace("^", "").replace("$", "")

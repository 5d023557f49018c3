"""Pages of the meters: state in words, forms that keep what was typed, trying, passwords that are never shown."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from energy.headroom import FROZEN
from energy.models import MeterSample, SiteMeter
from energy.queries import turned
from energy.services import meters
from energy.views.meters import Doubts, line_of
from stations.models import Station
from tenants.context import tenant_scope
from tenants.models import Role, Site, Tenant
from tenants.permissions import system
from tests.energy.pictures import show
from tests.energy.servers import PASSWORD, USER, Broker, Device
from tests.energy.sites import Rows, create_tree


@pytest.fixture
def tree(tenant: Tenant, site: Site, station: Station) -> Rows:
    return create_tree(tenant, site, [station])


@pytest.fixture
def browser(make_member: Callable[..., Any], portal_client: Callable[..., Client]) -> Callable[..., Client]:
    def make(role: str = Role.OWNER, sites: Any = ()) -> Client:
        user, _password = make_member(role, sites)
        return portal_client(user)

    return make


def _path(tree: Rows, more: str = "") -> str:
    return f"/t/{tree.connection.tenant.slug}/sites/{tree.connection.site_id}/meters/{more}"


def _text(answer: Any) -> str:
    return str(answer.content.decode())


def _modbus(port: int, **more: Any) -> dict[str, Any]:
    return {
        "source": "modbus", "name": "House", "kind": "building", "host": "127.0.0.1", "port": port, "unit_id": 1,
        "every_s": "1", "values": "amps L1 input 6 float32\namps L2 input 8 float32\n\nwatts total input 52 float32",
    } | more  # fmt: skip


def _saved(tree: Rows, name: str) -> SiteMeter:
    with tenant_scope(tree.connection.tenant_id):
        return SiteMeter.objects.get(connection=tree.connection, name=name)


def test_the_list_and_the_way_there(tree: Rows, browser: Callable[..., Client]) -> None:
    page = browser()
    site = _text(page.get(_path(tree).removesuffix("meters/")))
    assert _path(tree) in site
    shown = _text(page.get(_path(tree)))
    assert "Building" in shown and "No reading yet" in shown and "Enter a meter" in shown


def test_a_meter_is_tried_and_entered(tree: Rows, browser: Callable[..., Client], device: Device) -> None:
    device.put("input", 6, "f", 8.25, 7.5)
    device.put("input", 52, "f", 3622)
    page = browser()
    form = _text(page.get(_path(tree, "new/?source=modbus&template=sdm630")))
    assert "amps L1 input 6 float32" in form and "30007" in form
    tried = _text(page.post(_path(tree, "try/"), _modbus(device.port)))
    assert "L1 8.2 A, L2 7.5 A" in tried or "L1 8.3 A, L2 7.5 A" in tried
    assert page.post(_path(tree, "new/?source=modbus"), _modbus(device.port)).status_code == 302
    saved = _saved(tree, "House")
    assert saved.settings["values"][2] == {
        "of": "watts", "line": 0, "scale": 1.0, "kind": "input", "address": 52, "type": "float32", "words": "big",
        "model": None, "factor": None,
    }  # fmt: skip
    shown = _text(page.get(_path(tree, f"{saved.pk}/")))
    assert "watts total input 52 float32" in shown


def test_what_cannot_be_used_stands_beside_its_field_and_stays_typed(
    tree: Rows, browser: Callable[..., Client]
) -> None:
    page = browser()
    answer = page.post(
        _path(tree, "new/?source=modbus"), _modbus(502, values="amps L1 input 6 float32\namps L7 input 1 u16")
    )
    assert answer.status_code == 422
    assert "Line 2:" in _text(answer) and "amps L7 input 1 u16" in _text(answer)
    tried = _text(page.post(_path(tree, "try/"), _modbus(502, host="no host")))
    assert "no host" in tried or "name or IP address" in tried
    assert page.post(_path(tree, "try/"), {"source": "nothing"}).status_code == 200
    again = page.post(_path(tree, "new/?source=rest"), {"name": "Building", "kind": "grid"})
    assert again.status_code == 422 and "named Building" in _text(again)


def test_why_it_cannot_be_read_is_told(tree: Rows, browser: Callable[..., Client], device: Device) -> None:
    device.close()
    tried = _text(browser().post(_path(tree, "try/"), _modbus(device.port)))
    assert f"Cannot be reached: 127.0.0.1:{device.port}" in tried


def test_a_kept_password_is_used_shown_to_nobody_and_sent_nowhere_else(
    tree: Rows, browser: Callable[..., Client], broker: Broker
) -> None:
    page = browser()
    form = {
        "source": "mqtt", "name": "House", "kind": "building", "host": "127.0.0.1", "port": broker.port,
        "username": USER, "password": PASSWORD, "values": "watts total house/power",
    }  # fmt: skip
    assert page.post(_path(tree, "new/?source=mqtt"), form).status_code == 302
    saved = _saved(tree, "House")
    assert saved.secret == PASSWORD
    shown = _text(page.get(_path(tree, f"{saved.pk}/")))
    assert PASSWORD not in shown and "•" in shown
    kept = form | {"password": "•" * 8, "meter": saved.pk, "enabled": "on"}
    with broker.publisher() as client:
        client.publish("house/power", "6900", retain=True, qos=1).wait_for_publish(5)
        assert "L1 10.0 A" in _text(page.post(_path(tree, "try/"), kept)), "kept by the broker will do to try"
    elsewhere = _text(page.post(_path(tree, "try/"), kept | {"host": "localhost"}))
    assert "enter the password again" in elsewhere
    refused = page.post(_path(tree, f"{saved.pk}/"), kept | {"host": "localhost"})
    assert refused.status_code == 422 and "enter the password again" in _text(refused)
    assert page.post(_path(tree, f"{saved.pk}/"), kept | {"kind": "grid"}).status_code == 302
    assert _saved(tree, "House").secret == PASSWORD and _saved(tree, "House").kind == "grid"


def test_a_meter_that_sends_by_itself_shows_how(tree: Rows, browser: Callable[..., Client]) -> None:
    assert tree.meter is not None
    shown = _text(browser().get(_path(tree, f"{tree.meter.pk}/")))
    address = f"http://testserver/api/v1/sites/{tree.connection.site_id}/meters/{tree.meter.pk}/readings"
    assert f"curl -X POST {address}" in shown and "meter.send" in shown


def test_who_only_sees_sites_changes_no_meter(tree: Rows, browser: Callable[..., Client]) -> None:
    assert tree.meter is not None
    page, path = browser(Role.AUDITOR), _path(tree, f"{tree.meter.pk}/")
    shown = _text(page.get(path))
    assert 'id="meter-form"' not in shown and 'id="remove"' not in shown
    assert page.post(path, {"name": "Mine", "kind": "grid"}).status_code == 403
    assert page.post(_path(tree, "try/"), {"meter": tree.meter.pk}).status_code == 403
    assert page.get(_path(tree, "new/")).status_code == 403
    assert page.post(_path(tree, f"{tree.meter.pk}/remove/")).status_code == 403


def test_a_facility_manager_of_another_site_finds_nothing(
    tree: Rows, browser: Callable[..., Client], make_site: Callable[..., Site], site: Site
) -> None:
    assert browser(Role.FACILITY_MANAGER, [make_site(name="Elsewhere")]).get(_path(tree)).status_code == 404
    own = browser(Role.FACILITY_MANAGER, [site])
    assert own.get(_path(tree)).status_code == 200 and own.get(_path(tree, "new/")).status_code == 200


def test_a_meter_is_removed_with_its_readings(tree: Rows, browser: Callable[..., Client]) -> None:
    assert tree.meter is not None
    assert browser().post(_path(tree, f"{tree.meter.pk}/remove/")).status_code == 302
    with tenant_scope(tree.connection.tenant_id):
        assert not SiteMeter.objects.filter(pk=tree.meter.pk).exists()


def test_a_site_without_a_grid_connection_says_what_comes_first(
    site: Site, tenant: Tenant, browser: Callable[..., Client]
) -> None:
    page = browser()
    shown = _text(page.get(f"/t/{tenant.slug}/sites/{site.pk}/meters/"))
    assert "Enter the grid connection of this site first" in shown
    answer = page.post(f"/t/{tenant.slug}/sites/{site.pk}/meters/new/", {"name": "House", "kind": "building"})
    assert answer.status_code == 422 and "grid connection" in _text(answer)


NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def _samples(*amps: float) -> list[MeterSample]:
    return [MeterSample(at=NOW, amps=[value, 1.0]) for value in amps]


@pytest.mark.nodb
@pytest.mark.parametrize(
    ("values", "amps", "state", "says"),
    [
        ({"last_at": NOW}, [5.0, 5.1], "available", "Reads"),
        ({"last_at": NOW}, [5.0] * (FROZEN + 1), "offline", "Frozen"),
        ({"last_at": NOW}, [5.0] * FROZEN, "available", "Reads"),
        ({"last_at": NOW - timedelta(seconds=6)}, [5.0], "offline", "Silent for 6 s"),
        ({"last_at": NOW - timedelta(hours=5)}, [5.0], "offline", "Silent for 5 h"),
        ({}, [], "unknown", "No reading yet"),
        ({"last_at": NOW, "error": "Cannot be reached: b:1"}, [5.0], "faulted", "Cannot be reached: b:1"),
        ({"last_at": NOW, "enabled": False, "error": "x"}, [5.0], "unavailable", "Switched off"),
    ],
)
def test_its_state_is_said_in_words(values: dict[str, Any], amps: list[float], state: str, says: str) -> None:
    line = line_of(SiteMeter(**values), _samples(*amps), NOW)
    assert line.state == state and line.says.startswith(says)


@pytest.mark.nodb
@pytest.mark.parametrize(
    ("night_a", "more", "says"),
    [
        ([3.0, 2.0, 0.1], [], "Reads"),
        ([3.0, -2.0, -0.4], [], "The wrong way round on L2, L3"),
        ([3.0, -2.0, -0.4], ["solar"], "The wrong way round on L2, L3"),
        ([3.0, -2.0, -0.4], ["battery"], "Reads"),
    ],
)
def test_clamps_the_wrong_way_round_are_said(night_a: list[float], more: list[str], says: str) -> None:
    meter = SiteMeter(pk=1, last_at=NOW, night_a=night_a)
    others = [SiteMeter(pk=2, kind=kind) for kind in more]
    line = line_of(meter, _samples(5.0, 5.1), NOW, Doubts(turned=turned([meter, *others])))
    assert line.says.startswith(says)


def test_the_page_tells_what_is_wrong_with_a_meter(tree: Rows, browser: Callable[..., Client]) -> None:
    assert tree.meter is not None
    page, address = browser(), _path(tree)
    with tenant_scope(tree.connection.tenant_id):
        soon = timezone.now() + timedelta(minutes=1)  # a first page may take seconds
        SiteMeter.objects.update(last_at=soon, last_a=[0.0, 8.0, 8.0], night_a=[3.0, -4.0, 3.0])
    assert "The wrong way round on L2" in _text(page.get(address))
    dead = [{"meter": tree.meter.pk, "mute": True, "dead": ["L1"]}]
    show(tree, meters=dead)
    for shown in (address, f"{address}{tree.meter.pk}/"):
        assert "Tells 0 A on L1 while cars draw there" in _text(page.get(shown))
    show(tree, meters=dead, age_s=60)
    assert "Tells 0 A" not in _text(page.get(address)), "nobody knows any more"


def test_a_new_error_shows_with_its_age(tree: Rows, browser: Callable[..., Client]) -> None:
    assert tree.meter is not None
    with tenant_scope(tree.connection.tenant_id):
        meters.fail(
            tenant_id=tree.connection.tenant_id, meter_id=tree.meter.pk, error="Does not answer: input 6-11"
        )
    shown = _text(browser().get(_path(tree, f"{tree.meter.pk}/")))
    assert "Does not answer: input 6-11" in shown and "since" in shown


def test_the_audit_says_who_changed_what(tree: Rows, browser: Callable[..., Client]) -> None:
    with tenant_scope(tree.connection.tenant_id):
        assert tree.meter is not None
        meters.change_meter(meter=tree.meter, actor=system("Olga"), name="Renamed")
    shown = _text(browser().get(f"/t/{tree.connection.tenant.slug}/audit/"))
    assert "Meter: changed" in shown

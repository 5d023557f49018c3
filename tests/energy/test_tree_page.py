"""The page of a site's tree: made by one press, drawn, edited by hand and by keyboard, nothing typed is lost."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from energy.models import GridConnection, SiteMeter
from energy.services import tree
from energy.services.policies import set_policy
from energy.site_state import policies_of, state_of
from energy.views.tree_policy import PolicyForm
from stations.models import Evse, Station, Variable
from tenants.context import tenant_scope
from tenants.models import Role, Site, Tenant
from tenants.permissions import system
from tests.energy.sites import create_tree
from tests.portal.conftest import Visitor, visitor

__all__ = ["visitor"]
Make = Callable[..., Any]
Json = dict[str, Any]


@pytest.fixture
def stations(site: Site, make_station: Make) -> list[Station]:
    return [make_station(site=site, name="Bay 1", evses=2), make_station(site=site, name="Bay 2")]


@pytest.fixture
def owner(visitor: Callable[..., Visitor]) -> Visitor:
    return visitor("owner")


def base(site: Site) -> str:
    return f"sites/{site.pk}/grid/"


def make(owner: Visitor, site: Site, **told: Any) -> Json:
    answer = owner.post(
        f"{base(site)}set-up/", **({"limit_a": 63, "supply": "three_phase", "building_most_a": 10} | told)
    )
    assert answer.status_code == 302, answer.content.decode()
    return kept(owner, site)


def kept(owner: Visitor, site: Site) -> Json:
    document: Json = json.loads(owner.get(f"{base(site)}export.json").content)
    return document


def draft_of(answer: Any) -> Json:
    document: Json = answer.context["draft"].value
    return document


def key(document: Json, name: str) -> str:
    return str(next(node["key"] for node in document["nodes"] if node["name"] == name))


def send(owner: Visitor, site: Site, document: Json, where: str = "draft/", **typed: Any) -> Any:
    return owner.post(f"{base(site)}{where}", draft=json.dumps(document), **typed)


def of_node(document: Json, part: str, **typed: Any) -> Json:
    """The fields of an open node as the page sends them."""
    node = next(node for node in document["nodes"] if node["key"] == part)
    fields = {
        "name": node["name"], "kind": node["kind"], "parent": node["parent"] or "", "limit_kw": "", "rotation": "",
        "limit_a": " / ".join(f"{amps:g}" for amps in node["limit_a"] or []), "origin": node["origin"], "at": part,
    }  # fmt: skip
    return fields | typed


def test_an_empty_site_teaches_the_first_step(
    owner: Visitor, visitor: Callable[..., Visitor], tenant: Tenant, make_site: Make, make_station: Make
) -> None:
    site = make_site(grid_limit_amps="80")
    make_station(site=site, name="Bay 1", evses=2)
    shown = owner.text(base(site))
    assert "Make the tree of 2 EVSEs" in shown and 'value="80"' in shown
    assert "Make the tree" not in visitor(Role.TECHNICIAN).text(base(site))
    refused = owner.post(f"{base(site)}set-up/", limit_a="", supply="three_phase", building_most_a="12.5")
    assert refused.status_code == 422 and 'value="12.5"' in refused.content.decode()
    make(owner, site, limit_a=80)
    shown = owner.text(base(site))
    assert "Grid connection" in shown and '<svg class="tree-drawing"' in shown


def test_the_sites_page_leads_there(owner: Visitor, site: Site) -> None:
    assert f"/sites/{site.pk}/grid/" in owner.text(f"sites/{site.pk}/")


def test_the_drawing_shows_limits_lines_rotation_and_times(
    owner: Visitor, site: Site, stations: list[Station]
) -> None:
    document = make(owner, site)
    bay = next(node for node in document["nodes"] if node["name"] == "Bay 2")
    bay |= {"rotation": ["L2", "L3", "L1"], "windows": [{"begins": "17:00", "ends": "20:00", "limit_a": 10}]}
    document["outlets"][2]["lines"] = ["L1"]
    answer = send(owner, site, document, "")
    assert answer.status_code == 302, answer.content.decode()[:3000]
    shown = owner.get(base(site))
    [drawn] = [one for one in shown.context["drawing"].nodes if one.name == "Bay 2"]
    assert drawn.rotated and [(chip.letter, chip.line) for chip in drawn.chips] == [
        ("L1", 1),
        ("L2", 2),
        ("L3", 0),
    ]
    [socket] = [one for one in shown.context["drawing"].outlets if one.title == "Bay 2"]
    assert [(chip.letter, chip.line) for chip in socket.chips] == [("L1", 1)]  # its L1 is the supply's L2
    assert "17:00–20:00 10 A" in shown.content.decode() and ">63 A<" in shown.content.decode()


def test_parts_are_added_moved_and_taken_out_before_anything_is_saved(
    owner: Visitor, site: Site, stations: list[Station]
) -> None:
    document = make(owner, site)
    root, bay = key(document, "Grid connection"), key(document, "Bay 1")
    made = draft_of(send(owner, site, document, do=f"add-panel:{root}"))
    panel = made["nodes"][-1]
    assert (panel["parent"], panel["kind"], panel["name"]) == (root, "panel", "Panel 1")
    moved = draft_of(
        send(owner, site, made, **of_node(made, bay, parent=panel["key"]), do=f"go:{panel['key']}")
    )
    assert next(node for node in moved["nodes"] if node["key"] == bay)["parent"] == panel["key"]
    gone = draft_of(send(owner, site, moved, do=f"remove:{panel['key']}"))
    assert next(node for node in gone["nodes"] if node["key"] == bay)["parent"] == root  # it moved up
    turned = draft_of(send(owner, site, document, do=f"down:{bay}"))
    assert [node["name"] for node in turned["nodes"]] == ["Grid connection", "Bay 2", "Bay 1"]
    assert kept(owner, site) == document
    assert send(owner, site, moved, "").status_code == 302
    assert [node["name"] for node in kept(owner, site)["nodes"]] == [
        "Grid connection",
        "Bay 2",
        "Panel 1",
        "Bay 1",
    ]


def test_an_evse_is_taken_out_and_wired_again(owner: Visitor, site: Site, stations: list[Station]) -> None:
    document = make(owner, site)
    part = f"evse-{document['outlets'][2]['evse_id']}"
    out = send(owner, site, document, do=f"unwire:{part}")
    assert "1 EVSE is wired nowhere" in out.content.decode()
    back = draft_of(send(owner, site, draft_of(out), at=key(document, "Bay 1"), do=f"wire:{part}"))
    assert back["outlets"][2]["node"] == key(document, "Bay 1")
    empty = document | {"nodes": document["nodes"][:1], "outlets": []}
    every = draft_of(send(owner, site, empty, do="wire-all"))
    assert [node["name"] for node in every["nodes"]] == ["Grid connection", "Bay 1", "Bay 2"]
    assert len(every["outlets"]) == 3


def test_what_was_typed_stays_beside_what_is_wrong_with_it(
    owner: Visitor, site: Site, stations: list[Station]
) -> None:
    document = make(owner, site)
    bay = key(document, "Bay 1")
    typed = of_node(document, bay, limit_a="sixty", limit_kw="22,5", name="Bay one")
    answer = send(owner, site, document, "", **typed)
    shown = answer.content.decode()
    assert answer.status_code == 422 and "Not saved." in shown
    for value in ('value="sixty"', 'value="22.5"', 'value="Bay one"'):
        assert value in shown, value
    line = shown[shown.index(f'id="part-{bay}"') :]
    assert "A limit is a number from 0 up." in line[: line.index("</li>")]
    assert kept(owner, site) == document
    healed = of_node(document, bay, limit_a="20 / 20 / 16", name="Bay one")
    assert send(owner, site, draft_of(answer), "", **healed).status_code == 302
    assert kept(owner, site)["nodes"][1]["limit_a"] == [20, 20, 16]


def test_a_limit_by_time_is_entered_in_rows(owner: Visitor, site: Site, stations: list[Station]) -> None:
    document = make(owner, site)
    root = key(document, "Grid connection")
    made = draft_of(send(owner, site, document, at=root, do="add-window"))
    typed = of_node(made, root) | {
        "window_begins": ["17:00"], "window_ends": ["20:00"], "window_weekdays": ["0 1 2 3 4"],
        "window_limit_a": ["32"], "window_limit_w": [""], "window_label": ["Contract"], "window_first_day": [""],
        "window_last_day": ["2027-03-31"], "building_most_a": "12", "supply": "three_phase",
    }  # fmt: skip
    assert send(owner, site, made, "", **typed).status_code == 302
    saved = kept(owner, site)
    assert saved["building_most_a"] == 12
    assert saved["nodes"][0]["windows"] == [
        {"weekdays": [0, 1, 2, 3, 4], "begins": "17:00", "ends": "20:00", "first_day": None, "last_day": "2027-03-31",
         "limit_a": 32.0, "limit_w": None, "label": "Contract"}
    ]  # fmt: skip


def test_two_editors_lose_nothing(
    owner: Visitor, visitor: Callable[..., Visitor], site: Site, stations: list[Station]
) -> None:
    document = make(owner, site)
    bay = key(document, "Bay 1")
    other = visitor("operator")
    assert send(other, site, document, "", **of_node(document, bay, limit_a="20")).status_code == 302
    late = send(owner, site, document, "", **of_node(document, bay, name="My bay"))
    shown = late.content.decode()
    assert late.status_code == 409 and "saved this tree before you" in shown
    assert "Bay 1, limit: 64 A → 20 A" in shown and 'value="My bay"' in shown
    revision = re.search(r'name="revision" value="(\d+)"', shown)
    assert revision is not None
    mine = of_node(document, bay, name="My bay")
    assert send(owner, site, draft_of(late), "", revision=revision[1], **mine).status_code == 302
    assert kept(owner, site)["nodes"][1]["name"] == "My bay"


def test_it_is_exported_imported_and_taken_back(owner: Visitor, site: Site, stations: list[Station]) -> None:
    document = make(owner, site)
    file = document | {"building_most_a": 22.0, "revision": 99}
    file["outlets"] = [*document["outlets"], document["outlets"][0] | {"evse_id": 2**40}]
    sent = SimpleUploadedFile("grid.json", json.dumps(file).encode(), "application/json")
    shown = owner.client.post(f"/t/{owner.slug}/{base(site)}import/", {"document": sent})
    assert "1 EVSEs of the file are not of this site" in shown.content.decode()
    assert kept(owner, site) == document  # shown, not saved
    assert send(owner, site, draft_of(shown), "").status_code == 302
    assert kept(owner, site)["building_most_a"] == 22.0
    owner.post(f"{base(site)}undo/")
    assert kept(owner, site)["building_most_a"] == 10.0
    rubbish = SimpleUploadedFile("grid.json", b"{", "application/json")
    answer = owner.client.post(f"/t/{owner.slug}/{base(site)}import/", {"document": rubbish}, follow=True)
    assert "That file holds no tree" in answer.content.decode()


def test_it_is_switched_on_after_who_waits_was_shown(
    owner: Visitor, site: Site, stations: list[Station], tenant: Tenant
) -> None:
    make(owner, site, building_most_a=50)  # 13 A are left: two of three
    shown = owner.text(base(site))
    assert "While the central system is silent, these give nothing" in shown and "waits, 0 A" in shown
    owner.post(f"{base(site)}switch/", on="yes")
    assert "Load management is off" in owner.text(base(site))
    owner.post(f"{base(site)}switch/", on="yes", accept="yes")
    assert "Load management is on" in owner.text(base(site))
    owner.post(f"{base(site)}switch/", on="no")
    with tenant_scope(tenant.pk):
        assert not state_of(site).steers


def test_a_tree_with_a_circle_is_drawn_and_mended(
    owner: Visitor, site: Site, stations: list[Station]
) -> None:
    document = make(owner, site)
    one, other = key(document, "Bay 1"), key(document, "Bay 2")
    for node in document["nodes"]:
        node["parent"] = {one: other, other: one}.get(node["key"], node["parent"])
    answer = send(owner, site, document, "", at=one)
    assert answer.status_code == 422
    assert "It hangs below itself: Bay 1 → Bay 2 → Bay 1." in answer.content.decode()
    assert {drawn.title for drawn in answer.context["drawing"].nodes} == {"Grid connection", "Bay 1", "Bay 2"}
    root = key(document, "Grid connection")
    mended = of_node(document, one, parent=root)
    assert send(owner, site, document, "", **mended).status_code == 302


@pytest.mark.parametrize("page", ["", "draft/", "set-up/", "undo/", "switch/", "import/"])
def test_only_who_may_set_limits_of_this_site_changes_it(
    visitor: Callable[..., Visitor],
    tenant: Tenant,
    site: Site,
    make_site: Make,
    stations: list[Station],
    page: str,
) -> None:
    with tenant_scope(tenant.pk):
        tree.set_up(tenant_id=tenant.pk, site_id=site.pk, actor=system("Demo set-up"), limit_a=63)
        document = state_of(site).document.as_json()
    manager, elsewhere = visitor(Role.FACILITY_MANAGER, [site]), visitor(Role.FACILITY_MANAGER, [make_site()])
    assert send(visitor(Role.TECHNICIAN), site, document, page).status_code == 403
    assert send(elsewhere, site, document, page).status_code == 404
    assert send(manager, site, document, page).status_code in (200, 302, 422)


def test_who_only_sees_it_gets_no_form(
    visitor: Callable[..., Visitor], tenant: Tenant, site: Site, stations: list[Station]
) -> None:
    create_tree(tenant, site, stations)
    shown = visitor(Role.TECHNICIAN).text(base(site))
    assert "tree-drawing" in shown and "Save the tree" not in shown and "Switch on" not in shown


def test_a_page_of_many_asks_as_often_as_one_of_few(
    owner: Visitor, site: Site, stations: list[Station], make_station: Make
) -> None:
    make(owner, site)
    owner.text(base(site))
    with CaptureQueriesContext(connection) as few:
        owner.text(base(site))
    for number in range(5):
        make_station(site=site, name=f"More {number}")
    document = draft_of(send(owner, site, kept(owner, site), do="wire-all"))
    assert send(owner, site, document, "").status_code == 302
    owner.text(base(site))
    with CaptureQueriesContext(connection) as many:
        assert "More 4" in owner.text(base(site))
    assert len(many) <= len(few)


def _tells_every(station: Station, value: str | None, *, name: str = "MeterValueSampleInterval") -> None:
    component = "" if name == "MeterValueSampleInterval" else "SampledDataCtrlr"
    with tenant_scope(station.tenant_id):
        Variable.objects.create(
            tenant_id=station.tenant_id, station=station, component=component, name=name, value=value,
            attribute="actual", read_at=timezone.now(), source="report",
        )  # fmt: skip


@pytest.mark.parametrize(
    ("value", "said"), [("900", "every 900 s"), ("0", "never"), ("60", ""), ("?", ""), (None, "")]
)
def test_stations_that_tell_too_seldom_what_their_cars_draw(
    owner: Visitor, site: Site, stations: list[Station], value: str | None, said: str
) -> None:
    made = create_tree(site.tenant, site, stations, meter="")
    _tells_every(stations[0], value, name="TxUpdatedInterval")
    _tells_every(stations[1], "30")
    shown = owner.text(base(site))
    assert ('id="seldom"' in shown) is bool(said)
    if not said:
        return
    assert "1 station tells too seldom" in shown and f"({said})" in shown and "counts twice" not in shown
    with tenant_scope(site.tenant_id):
        SiteMeter.objects.create(tenant=site.tenant, connection=made.connection, kind="grid", name="Main")
    shown = owner.text(base(site))
    assert "counts twice" in shown
    link = unescape(re.search(r'href="[^"]*/(templates/new/[^"]*)"', shown)[1])  # type: ignore[index]
    form = owner.text(link)
    assert "MeterValueSampleInterval = 60" in form and f'<option value="{site.pk}" selected' in form
    with tenant_scope(site.tenant_id):
        GridConnection.objects.update(steers=False)
    assert 'id="seldom"' not in owner.text(base(site)), "nobody needs their readings"


def test_who_may_not_configure_stations_is_told_what_is_to_be_set(
    visitor: Callable[..., Visitor], site: Site, stations: list[Station]
) -> None:
    create_tree(site.tenant, site, stations)
    _tells_every(stations[0], "900")
    shown = visitor(Role.FACILITY_MANAGER, [site]).text(base(site))
    assert "can set MeterValueSampleInterval to 60" in shown and "templates/new/" not in shown


def test_rubbish_for_a_draft_breaks_nothing(owner: Visitor, site: Site, stations: list[Station]) -> None:
    document = make(owner, site)
    nodes: list[Any] = [{"key": 5, "parent": [], "limit_a": {}, "windows": 7, "rotation": "L1"}, 3]
    for rubbish in (
        "",
        "[",
        "[]",
        "null",
        json.dumps({"nodes": nodes, "outlets": [{"evse_id": "x"}], "supply": []}),
    ):
        for page in ("draft/", ""):
            answer = owner.post(f"{base(site)}{page}", draft=rubbish, do="go:5", at="5", name="x")
            assert answer.status_code in (200, 409, 422), (rubbish, page)
    with tenant_scope(site.tenant_id):
        assert Evse.objects.count() == 3
    assert kept(owner, site) == document


def test_the_policy_is_told_in_groups_with_what_is_usual(owner: Visitor, site: Site) -> None:
    shown = owner.text(f"{base(site)}policy/")
    heads = re.findall(r'<legend class="text-large strong m-0">(.*?)</legend>', shown)
    assert heads == ["When not all can have all", "Reserve and safety", "Peak", "Prices and CO2"]
    for name in PolicyForm.base_fields:
        assert shown.count(f'name="{name}"') == 1, name
    hints = re.findall(r"Usual: (.*?)\.<", shown)
    assert hints == ["By what each needs until it leaves", "15", "0", "0", "6", "does not matter", "0"]
    assert "Price of a kWh, EUR" in shown


def test_the_policy_is_a_form_that_keeps_what_it_does_not_show(
    owner: Visitor, visitor: Callable[..., Visitor], tenant: Tenant, site: Site, make_fleet: Make
) -> None:
    page, fleet = f"{base(site)}policy/", make_fleet()
    with tenant_scope(tenant.pk):
        told = {"priority_by_fleet": {str(fleet.pk): 3}}
        set_policy(tenant_id=tenant.pk, site_id=site.pk, actor=system("Demo set-up"), policy=told)
    form = {
        "share": "equal", "turn_minutes": "20", "guaranteed_a": "0", "reserve_percent": "5", "default_cap_a": "",
        "peak_mode": "hold", "peak_limit_kw": "", "peak_paid_kw": "0", "per_kw": "0", "per_kwh": "0.3",
        "co2_weight": "0", "co2_g_per_kwh": "", "window_begins": ["17:00", ""], "window_ends": ["20:00", ""],
        "window_weekdays": ["0 1 2 3 4", ""], "window_per_kwh": ["0,45", ""], "window_co2_g_per_kwh": ["", ""],
    }  # fmt: skip
    refused = owner.post(page, **form)
    shown = refused.content.decode()
    assert refused.status_code == 422 and "Say at which power the peak is to be held." in shown
    assert 'value="0.45"' in shown and 'value="20"' in shown
    assert owner.post(page, **(form | {"peak_limit_kw": "60"})).status_code == 302
    with tenant_scope(tenant.pk):
        kept = policies_of(site)
    assert (kept.share, kept.peak_limit_kw, kept.default_cap_a) == ("equal", 60.0, None)
    assert kept.priority_by_fleet == {fleet.pk: 3}
    lost = owner.post(page, **(form | {"peak_limit_kw": "60", "window_per_kwh": ["", ""]}))
    assert "Price by time, line 1: Give the price in this window, or the CO2." in lost.content.decode()
    [window] = kept.windows
    assert (window.weekdays, window.per_kwh) == ((0, 1, 2, 3, 4), 0.45)
    technician = visitor(Role.TECHNICIAN)
    assert "Save</button>" not in technician.text(page) and technician.post(page, **form).status_code == 403

"""The tree of a site as people change it: made, saved, refused in words, taken back, switched on; who may."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection as database

from energy.models import GridConnection, GridNode, Outlet, SiteMeter, Steering
from energy.services import tree
from energy.services.signal import CHANNEL
from energy.site_state import check, state_of
from stations.models import Connector, Evse, Station
from tenants.context import tenant_scope
from tenants.errors import Conflict, Forbidden, Invalid, NotFound
from tenants.models import AuditRecord, Role, Site, Tenant
from tenants.permissions import Actor

Make = Callable[..., Any]
Json = dict[str, Any]


@pytest.fixture
def stations(tenant: Tenant, site: Site, make_station: Make) -> list[Station]:
    """Two with three phases, three with one."""
    made = [make_station(site=site, name=f"Bay {number}") for number in range(1, 6)]
    with tenant_scope(tenant.pk):
        single = Connector.objects.filter(evse__station__in=made[2:])
        single.update(power_type="AC_1_PHASE", max_amps=16, max_power_w=3700)
    return made


@pytest.fixture
def document(tenant: Tenant, site: Site, stations: list[Station], owner_actor: Actor) -> Json:
    """Of a first tree."""
    return set_up(tenant, site, owner_actor, limit_a=63)


def set_up(tenant: Tenant, site: Site, actor: Actor, **told: Any) -> Json:
    with tenant_scope(tenant.pk):
        return tree.set_up(tenant_id=tenant.pk, site_id=site.pk, actor=actor, **told).document.as_json()


def save(tenant: Tenant, site: Site, actor: Actor, document: Json) -> Json:
    with tenant_scope(tenant.pk):
        state, _checked = tree.save_tree(tenant_id=tenant.pk, site_id=site.pk, actor=actor, document=document)
        return state.document.as_json()


def switch(tenant: Tenant, site: Site, actor: Actor, **told: Any) -> bool:
    with tenant_scope(tenant.pk):
        return tree.switch(tenant_id=tenant.pk, site_id=site.pk, actor=actor, **told).steers


def part(document: Json, name: str) -> Json:
    found: Json = next(node for node in document["nodes"] if node["name"] == name)
    return found


def records(tenant: Tenant) -> list[AuditRecord]:
    with tenant_scope(tenant.pk):
        return list(AuditRecord.objects.filter(action__startswith="grid.").order_by("id"))


# --- the first tree ---


def test_one_press_makes_a_tree_by_what_the_stations_can(document: Json) -> None:
    root, *stations = document["nodes"]
    assert (root["kind"], root["parent"], root["limit_a"]) == ("connection", None, [63.0] * 3)
    assert [(node["name"], node["kind"], node["limit_a"][0], node["origin"]) for node in stations] == [
        ("Bay 1", "station", 32.0, "rating"), ("Bay 2", "station", 32.0, "rating"),
        ("Bay 3", "station", 16.0, "rating"), ("Bay 4", "station", 16.0, "rating"),
        ("Bay 5", "station", 16.0, "rating"),
    ]  # fmt: skip
    assert {node["parent"] for node in stations} == {root["key"]}
    wired = [outlet["lines"] for outlet in document["outlets"]]
    assert wired == [["L1", "L2", "L3"]] * 2 + [["L1"], ["L2"], ["L3"]]  # one phase: spread
    assert document["revision"] == 1


def test_the_sites_grid_limit_is_taken_where_none_is_told(
    tenant: Tenant, make_site: Make, owner_actor: Actor
) -> None:
    unknown, known = make_site(), make_site(grid_limit_amps="125")
    with pytest.raises(Invalid) as refused:
        set_up(tenant, unknown, owner_actor)
    assert "how many amperes" in refused.value.fields["limit_a"]
    assert set_up(tenant, known, owner_actor)["nodes"][0]["limit_a"] == [125.0] * 3


@pytest.mark.parametrize(
    ("supply", "lines"),
    [("wye_208", [["L1", "L2"], ["L2", "L3"], ["L3", "L1"]]), ("split_phase", [["L1", "L2"]] * 3)],
)
def test_single_phase_at_208_or_240_volts_stands_between_two_lines(
    tenant: Tenant, site: Site, stations: list[Station], owner_actor: Actor, supply: str, lines: list[list[str]]
) -> None:  # fmt: skip
    outlets = set_up(tenant, site, owner_actor, limit_a=100, supply=supply)["outlets"]
    single = outlets[2:]
    assert all(outlet["between"] for outlet in single)
    assert sorted(outlet["lines"] for outlet in single) == sorted(lines)


def test_a_second_first_tree_is_refused(
    tenant: Tenant, site: Site, document: Json, owner_actor: Actor
) -> None:
    with pytest.raises(Conflict, match="has a tree already"):
        set_up(tenant, site, owner_actor, limit_a=63)


# --- saving ---


def test_a_tree_is_saved_as_a_whole_and_what_stays_keeps_its_number(
    tenant: Tenant, site: Site, document: Json, owner_actor: Actor
) -> None:
    root, bay = document["nodes"][0], part(document, "Bay 1")
    panel = {"key": "new", "parent": root["key"], "kind": "panel", "name": "Panel A", "limit_a": [40, 40, 35]}
    panel |= {"rotation": ["L2", "L3", "L1"], "origin": "fuse", "limit_w": 20_000}
    panel |= {"windows": [{"begins": "17:00", "ends": "20:00", "weekdays": [0, 4], "limit_a": 20}]}
    bay["parent"] = "new"
    document["nodes"].append(panel)
    document["outlets"][0] |= {"priority": 3, "guaranteed_a": 8, "max_a": 20}
    kept = save(tenant, site, owner_actor, document)
    made = part(kept, "Panel A")
    assert part(kept, "Bay 1")["key"] == bay["key"] and part(kept, "Bay 1")["parent"] == made["key"]
    assert made["key"].isdecimal() and made["limit_a"] == [40, 40, 35] and made["limit_w"] == 20_000
    assert made["rotation"] == ["L2", "L3", "L1"]
    [window] = made["windows"]
    assert (window["begins"], window["weekdays"], window["limit_a"]) == ("17:00", [0, 4], 20)
    [first] = [one for one in kept["outlets"] if one["node"] == bay["key"]]
    assert (first["priority"], first["guaranteed_a"], first["max_a"]) == (3, 8, 20)
    assert kept["revision"] == document["revision"] + 1
    assert save(tenant, site, owner_actor, kept) | {"revision": 0} == kept | {"revision": 0}


def test_names_change_places_and_parts_go(
    tenant: Tenant, site: Site, document: Json, owner_actor: Actor
) -> None:
    one, other, gone = (part(document, f"Bay {number}") for number in (1, 2, 5))
    one["name"], other["name"] = other["name"], one["name"]
    document["nodes"].remove(gone)
    document["outlets"] = [outlet for outlet in document["outlets"] if outlet["node"] != gone["key"]]
    kept = save(tenant, site, owner_actor, document)
    assert part(kept, "Bay 2")["key"] == one["key"] and part(kept, "Bay 1")["key"] == other["key"]
    with tenant_scope(tenant.pk):
        assert GridNode.objects.count() == 5 and Outlet.objects.count() == 4


def _cycle(document: Json) -> None:
    one, other = part(document, "Bay 1"), part(document, "Bay 2")
    one["parent"], other["parent"] = other["key"], one["key"]


def _nowhere(document: Json) -> None:
    part(document, "Bay 1")["parent"] = "4711"


def _same_name(document: Json) -> None:
    part(document, "Bay 1")["name"] = "bay 2"


def _two_roots(document: Json) -> None:
    part(document, "Bay 1")["parent"] = None


def _no_name(document: Json) -> None:
    part(document, "Bay 1")["name"] = " "


def _negative(document: Json) -> None:
    part(document, "Bay 1")["limit_a"] = [-1, 5, 5]


def _two_of_three(document: Json) -> None:
    part(document, "Bay 1")["limit_a"] = [5, 5]


def _bad_rotation(document: Json) -> None:
    part(document, "Bay 1")["rotation"] = ["L1", "L1", "L2"]


def _bad_window(document: Json) -> None:
    part(document, "Bay 1")["windows"] = [{"begins": "17:00", "ends": "20:00"}]


def _bad_clock(document: Json) -> None:
    part(document, "Bay 1")["windows"] = [{"begins": "25:00", "ends": "20:00", "limit_a": 5}]


def _lines_twice(document: Json) -> None:
    document["outlets"][0]["lines"] = ["L1", "L1"]


def _no_lines(document: Json) -> None:
    document["outlets"][0]["lines"] = []


def _missing_line(document: Json) -> None:
    document["supply"] = "split_phase"
    for node in document["nodes"]:
        node["limit_a"] = node["limit_a"][:2]


def _below_least(document: Json) -> None:
    document["outlets"][0]["max_a"] = 4


def _guaranteed_too_much(document: Json) -> None:
    document["outlets"][0]["guaranteed_a"] = 40


def _wired_twice(document: Json) -> None:
    document["outlets"].append(document["outlets"][0])


def _wired_nowhere(document: Json) -> None:
    document["outlets"][0]["node"] = "4711"


def _strange_field(document: Json) -> None:
    document["nodes"][0]["limit"] = 5


def _emptied(document: Json) -> None:
    document["nodes"], document["outlets"] = [], []


@pytest.mark.parametrize(
    ("spoil", "field", "said"),
    [
        (_cycle, "parent", "It hangs below itself: Bay 1 → Bay 2 → Bay 1."),
        (_nowhere, "parent", "a part that is not there"),
        (_same_name, "name", "Two parts are called"),
        (_two_roots, "parent", "Only one part is the grid connection, and that is Grid connection"),
        (_no_name, "name", "Give it a name"),
        (_negative, "limit_a", "a number from 0 up"),
        (_two_of_three, "limit_a", "a limit for each of L1, L2, L3"),
        (_bad_rotation, "rotation", "Name each of L1, L2, L3 once"),
        (_bad_window, "windows", "needs A or kW"),
        (_bad_clock, "windows", "Give times as 17:30"),
        (_lines_twice, "lines", "a line of its own"),
        (_no_lines, "lines", "to which lines"),
        (_missing_line, "lines", "a line that the site has not: there is L1, L2"),
        (_below_least, "max_a", "Its most, 4 A, is less than the 6 A"),
        (_guaranteed_too_much, "guaranteed_a", "more than the 32 A that it gives"),
        (_wired_twice, "evse_id", "It is wired twice"),
        (_wired_nowhere, "node", "a part that is not there"),
        (_strange_field, "limit", "There is no such field: limit"),
        (_emptied, "nodes", "The tree is empty"),
    ],
)
def test_what_cannot_be_is_told_in_words_beside_its_part(
    tenant: Tenant, site: Site, document: Json, owner_actor: Actor, spoil: Callable[[Json], None], field: str, said: str
) -> None:  # fmt: skip
    spoil(document)
    with pytest.raises(Invalid) as refused:
        save(tenant, site, owner_actor, document)
    told = {path: text for path, text in refused.value.fields.items() if said in text}
    assert told, refused.value.fields
    assert {path.rpartition(".")[2] for path in told} == {field}
    with tenant_scope(tenant.pk):
        assert GridConnection.objects.get().revision == 1  # nothing was kept
        assert GridNode.objects.count() == 6
    assert len(records(tenant)) == 1


def test_an_evse_of_another_site_is_refused(
    tenant: Tenant, site: Site, document: Json, owner_actor: Actor, make_station: Make, make_site: Make
) -> None:
    elsewhere = make_station(site=make_site())
    with tenant_scope(tenant.pk):
        evse = Evse.objects.get(station=elsewhere)
    document["outlets"][0]["evse_id"] = evse.pk
    with pytest.raises(Invalid) as refused:
        save(tenant, site, owner_actor, document)
    assert refused.value.fields == {
        f"evse-{evse.pk}.evse_id": f"There is no EVSE {evse.pk} at this site: take it out of the tree."
    }


def test_what_is_worth_a_word_is_kept_and_told(
    tenant: Tenant, site: Site, document: Json, owner_actor: Actor
) -> None:
    bay = part(document, "Bay 1")
    bay |= {"limit_a": [80, 80, 80], "origin": "fuse"}
    bay["windows"] = [{"begins": "17:00", "ends": "20:00", "limit_a": 90}]
    document["outlets"] = [outlet | {"guaranteed_a": 32} for outlet in document["outlets"][:2]] + document[
        "outlets"
    ][3:]
    with tenant_scope(tenant.pk):
        gone = GridNode.objects.get(name="Bay 3")
        SiteMeter.objects.create(tenant=tenant, connection=gone.connection, node=gone, name="Shop")
        document["nodes"] = [node for node in document["nodes"] if node["key"] != str(gone.pk)]
        _state, checked = tree.save_tree(
            tenant_id=tenant.pk, site_id=site.pk, actor=owner_actor, document=document
        )
    assert [one.text for one in checked.warnings] == [
        "Bay 3 is wired nowhere: load management neither sees nor limits it.",
        "80 A is more than Grid connection above it gives, 63 A: it never binds.",
        "The limit from 17:00 to 20:00 is not below the limit of all day.",
        "All below it together are guaranteed 64 A, and it gives 63: some will wait.",
        "The meter Shop is at a part that goes: it will count at the grid connection.",
    ]


# --- two editors, and back ---


def test_who_saves_second_is_told_who_was_first(
    tenant: Tenant, site: Site, document: Json, owner_actor: Actor, make_actor: Make
) -> None:
    other = make_actor(Role.OPERATOR)
    mine, theirs = document, document | {"building_most_a": 12.0}
    save(tenant, site, other, theirs)
    with pytest.raises(tree.TreeChanged, match="changed this tree at") as refused:
        save(tenant, site, owner_actor, mine | {"building_most_a": 5.0})
    assert refused.value.revision == 2 and refused.value.change.by == other.label
    kept = save(
        tenant, site, owner_actor, mine | {"building_most_a": 5.0, "revision": refused.value.revision}
    )
    assert kept["building_most_a"] == 5.0


def test_a_revision_of_a_meter_is_no_other_editor(
    tenant: Tenant, site: Site, document: Json, owner_actor: Actor
) -> None:
    with tenant_scope(tenant.pk):
        GridConnection.objects.update(revision=9)
    assert save(tenant, site, owner_actor, document)["revision"] == 10


def test_the_last_change_is_taken_back_and_given_again(
    tenant: Tenant, site: Site, document: Json, owner_actor: Actor
) -> None:
    with pytest.raises(Conflict, match="no earlier tree"), tenant_scope(tenant.pk):
        tree.undo(tenant_id=tenant.pk, site_id=site.pk, actor=owner_actor)
    gone = part(document, "Bay 5")
    changed = document | {"nodes": [node for node in document["nodes"] if node is not gone]}
    changed["outlets"] = [one | {"priority": 2} for one in document["outlets"] if one["node"] != gone["key"]]
    save(tenant, site, owner_actor, changed)
    for expected in (document, changed):
        with tenant_scope(tenant.pk):
            back = tree.undo(tenant_id=tenant.pk, site_id=site.pk, actor=owner_actor).document.as_json()
        assert [node["name"] for node in back["nodes"]] == [node["name"] for node in expected["nodes"]]
        assert [one["priority"] for one in back["outlets"]] == [
            one["priority"] for one in expected["outlets"]
        ]
        assert [one["evse_id"] for one in back["outlets"]] == [one["evse_id"] for one in expected["outlets"]]


def test_every_change_is_audited_with_what_was_before_and_after(
    tenant: Tenant, site: Site, document: Json, owner_actor: Actor
) -> None:
    part(document, "Bay 1")["limit_a"] = [20, 20, 20]
    save(tenant, site, owner_actor, document)
    switch(tenant, site, owner_actor, on=True)
    switch(tenant, site, owner_actor, on=False)
    made, edited, on, off = records(tenant)
    assert [one.action for one in (made, edited, on, off)] == [
        "grid.set_up",
        "grid.edit",
        "grid.on",
        "grid.off",
    ]
    assert {one.site_id for one in records(tenant)} == {site.pk}
    assert edited.detail["changed"] == {"Bay 1, limit": ["32 A", "20 A"]}
    assert made.detail["before"]["nodes"] == [] and made.detail["after"] == edited.detail["before"]
    assert part(edited.detail["after"], "Bay 1")["limit_a"] == [20, 20, 20]
    assert edited.actor_label == owner_actor.label


def test_who_steers_is_woken_once_the_change_is_kept(
    tenant: Tenant, site: Site, document: Json, owner_actor: Actor
) -> None:
    database.ensure_connection()
    raw = database.connection
    raw.execute(f"LISTEN {CHANNEL}")
    try:
        save(tenant, site, owner_actor, document)
        woken = [notice.payload for notice in raw.notifies(timeout=2, stop_after=1)]
    finally:
        raw.execute(f"UNLISTEN {CHANNEL}")
    assert woken == [f"{tenant.pk}:{site.pk}"]


# --- on and off ---


def test_switching_on_makes_the_row_by_which_it_is_steered(
    tenant: Tenant, site: Site, document: Json, owner_actor: Actor
) -> None:
    assert switch(tenant, site, owner_actor, on=True)
    with tenant_scope(tenant.pk):
        assert Steering.objects.get().connection.steers
        revision = GridConnection.objects.get().revision
    assert switch(tenant, site, owner_actor, on=True)  # again: nothing happens
    assert not switch(tenant, site, owner_actor, on=False)
    with tenant_scope(tenant.pk):
        assert GridConnection.objects.get().revision == revision + 1


def test_without_a_tree_without_a_limit_or_without_evses_it_stays_off(
    tenant: Tenant, site: Site, make_site: Make, document: Json, owner_actor: Actor
) -> None:
    with pytest.raises(Conflict, match="no tree yet"):
        switch(tenant, make_site(), owner_actor, on=True)
    empty = make_site(grid_limit_amps="63")
    set_up(tenant, empty, owner_actor)
    with pytest.raises(Invalid, match="nothing to steer"):
        switch(tenant, empty, owner_actor, on=True)
    document["nodes"][0]["limit_a"] = None
    save(tenant, site, owner_actor, document)
    with pytest.raises(Invalid, match="Grid connection has no limit"):
        switch(tenant, site, owner_actor, on=True)


def test_a_tree_that_the_stations_have_left_is_not_steered(
    tenant: Tenant, site: Site, make_site: Make, document: Json, stations: list[Station], owner_actor: Actor
) -> None:
    with tenant_scope(tenant.pk):
        Station.objects.filter(pk=stations[0].pk).update(site=make_site())
    with pytest.raises(Invalid, match="There is no EVSE"):
        switch(tenant, site, owner_actor, on=True)


def test_who_would_wait_while_we_are_silent_is_told_first(
    tenant: Tenant, site: Site, document: Json, owner_actor: Actor
) -> None:
    kept = save(
        tenant, site, owner_actor, document | {"building_most_a": 56.0}
    )  # 7 A are left: 6 A on each line
    with tenant_scope(tenant.pk):
        state = state_of(site)
        silent = check(state, state.document).silent_a
    assert sum(amps > 0 for amps in silent.values()) == 3  # one phase each: as many as can
    with pytest.raises(tree.SomeWait) as refused:
        switch(tenant, site, owner_actor, on=True)
    assert refused.value.names == ["Bay 1", "Bay 2"] and "Bay 1, Bay 2" in str(refused.value)
    assert switch(tenant, site, owner_actor, on=True, accept_waiting=True)
    assert kept["revision"] == 2


# --- who may ---


def test_a_stranger_finds_no_site(
    tenant: Tenant, site: Site, document: Json, other_tenant: Tenant, other_owner_actor: Actor
) -> None:
    with tenant_scope(other_tenant.pk), pytest.raises(NotFound):
        tree.save_tree(tenant_id=other_tenant.pk, site_id=site.pk, actor=other_owner_actor, document=document)


@pytest.mark.parametrize("role", [Role.OWNER, Role.OPERATOR, Role.FACILITY_MANAGER])
def test_who_runs_the_site_may_change_it(
    tenant: Tenant, site: Site, document: Json, make_actor: Make, role: str
) -> None:
    actor = make_actor(role, [site] if role == Role.FACILITY_MANAGER else [])
    assert save(tenant, site, actor, document)["revision"] == 2
    assert switch(tenant, site, actor, on=True)


def test_the_facility_manager_of_another_site_finds_none(
    tenant: Tenant, site: Site, make_site: Make, document: Json, make_actor: Make
) -> None:
    actor = make_actor(Role.FACILITY_MANAGER, [make_site()])
    for call in (
        lambda: save(tenant, site, actor, document),
        lambda: switch(tenant, site, actor, on=True),
        lambda: set_up(tenant, site, actor, limit_a=63),
    ):
        with pytest.raises(NotFound):
            call()


@pytest.mark.parametrize("role", [Role.TECHNICIAN, Role.AUDITOR, Role.BILLING])
def test_who_only_sees_the_site_is_refused(
    tenant: Tenant, site: Site, document: Json, make_actor: Make, role: str
) -> None:
    actor = make_actor(role)
    with pytest.raises(Forbidden):
        save(tenant, site, actor, document)
    with pytest.raises(Forbidden):
        switch(tenant, site, actor, on=True)

"""What a site wants of its load management: read with clear errors, kept, audited."""

from __future__ import annotations

from typing import Any

import pytest

from energy.models import GridConnection
from energy.policy import Policies
from energy.services.policies import set_policy
from tenants.context import tenant_scope
from tenants.errors import Forbidden, Invalid, NotFound
from tenants.models import AuditRecord, Role, Site, Tenant
from tenants.permissions import Actor

FULL: dict[str, Any] = {
    "share": "equal", "turn_minutes": 30.0, "guaranteed_a": 8.0, "priority_by_fleet": {},
    "reserve_percent": 5.0, "default_cap_a": 10.0, "peak": {"mode": "hold", "limit_kw": 60.0, "paid_kw": 41.5},
    "price": {"per_kwh": 0.3, "per_kw": 120.0, "windows": [
        {"weekdays": [0, 4], "begins": "17:00", "ends": "20:00", "per_kwh": 0.45, "co2_g_per_kwh": None}]},
    "co2": {"weight": 0.25, "g_per_kwh": 380.0},
}  # fmt: skip


@pytest.mark.nodb
def test_a_policy_reads_back_as_it_was_written() -> None:
    assert Policies.read(FULL).as_json() == FULL
    assert Policies.read(Policies().as_json()) == Policies()
    assert Policies.read({}) == Policies()


@pytest.mark.nodb
@pytest.mark.parametrize(
    ("told", "path", "said"),
    [
        ({"share": "first"}, "share", "need, equal"),
        ({"turn_minutes": 0}, "turn_minutes", "from 1 to 1440"),
        ({"reserve_percent": "5"}, "reserve_percent", "from 0 to 90"),
        ({"guaranteed_a": float("nan")}, "guaranteed_a", "from 0 to 1000"),
        ({"priority_by_fleet": {"x": 1}}, "priority_by_fleet", "by a fleet's number"),
        ({"priority_by_fleet": [1]}, "priority_by_fleet", "maps numbers of fleets"),
        ({"peak": {"mode": "hold"}}, "peak.limit_kw", "at which power"),
        ({"peak": {"mode": "save"}}, "price.per_kw", "nothing to save"),
        ({"peak": 60}, "peak", "JSON object"),
        ({"price": {"windows": [{"begins": "17", "ends": "20:00"}]}}, "price.windows.0.per_kwh", "the price"),
        ({"price": {"windows": [{"begins": "x", "ends": "20:00", "per_kwh": 1}]}}, "price.windows.0.begins", "17:30"),
        ({"price": {"windows": [{"weekdays": [7], "begins": "17:00", "ends": "20:00", "per_kwh": 1}]}},
         "price.windows.0.weekdays", "from 0, Monday"),
        ({"co2": {"weight": 2}}, "co2.weight", "from 0 to 1"),
        ({"fairness": 1}, "fairness", "no such field"),
        ([], "policy", "JSON object"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_by_its_path(told: Any, path: str, said: str) -> None:
    with pytest.raises(Invalid) as refused:
        Policies.read(told)
    assert said in refused.value.fields[path], refused.value.fields
    assert isinstance(Policies.of_row(told), Policies)  # a row is never a reason to stop


def test_it_is_kept_before_there_is_a_tree_and_audited(
    tenant: Tenant, site: Site, owner_actor: Actor, make_fleet: Any
) -> None:
    fleet = make_fleet()
    told = FULL | {"priority_by_fleet": {str(fleet.pk): 2}}
    with tenant_scope(tenant.pk):
        set_policy(tenant_id=tenant.pk, site_id=site.pk, actor=owner_actor, policy=told)
        row = GridConnection.objects.get()
        [record] = AuditRecord.objects.filter(action="grid.policy")
    assert row.policy == told and row.revision == 1 and not row.steers
    assert record.detail["changed"]["peak.mode"] == ["none", "hold"]
    assert record.detail["before"] == Policies().as_json() and record.detail["after"] == told


def test_a_fleet_of_nobody_is_refused(tenant: Tenant, site: Site, owner_actor: Actor) -> None:
    with tenant_scope(tenant.pk), pytest.raises(Invalid, match="no fleet 4711"):
        set_policy(
            tenant_id=tenant.pk, site_id=site.pk, actor=owner_actor, policy={"priority_by_fleet": {"4711": 1}}
        )


def test_only_who_sets_limits_there_may(tenant: Tenant, site: Site, make_site: Any, make_actor: Any) -> None:
    with tenant_scope(tenant.pk), pytest.raises(Forbidden):
        set_policy(tenant_id=tenant.pk, site_id=site.pk, actor=make_actor(Role.TECHNICIAN), policy={})
    manager = make_actor(Role.FACILITY_MANAGER, [make_site()])
    with tenant_scope(tenant.pk), pytest.raises(NotFound):
        set_policy(tenant_id=tenant.pk, site_id=site.pk, actor=manager, policy={})

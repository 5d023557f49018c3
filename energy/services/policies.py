"""What a site wants of its load management."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from energy.policy import Policies
from energy.services.tree import bump, locked_or_new, site_for
from fleets.models import Fleet
from tenants.errors import Invalid
from tenants.permissions import Actor
from tenants.services import audit


def set_policy(*, tenant_id: int, site_id: int, actor: Actor, policy: Any) -> Policies:
    """Replace the policy of a site by this one (energy.policy). Invalid by field; only who may set limits there."""
    site = site_for(tenant_id, site_id, actor)
    wanted = Policies.read(policy)
    named = set(wanted.priority_by_fleet)
    known = set(Fleet.objects.filter(tenant_id=tenant_id, pk__in=named).values_list("pk", flat=True))
    if missing := sorted(named - known):
        text = _("There is no fleet %(number)s.") % {"number": missing[0]}
        raise Invalid(fields={"priority_by_fleet": text})
    connection = locked_or_new(site)
    before, after = Policies.of_row(connection.policy).as_json(), wanted.as_json()
    connection.policy = after
    bump(connection)
    audit.record(
        tenant_id=tenant_id, actor=actor, action="grid.policy", subject=connection, site_id=site.pk,
        detail={
            "changed": audit.changes(_flat(before), _flat(after)), "revision": connection.revision,
            "before": before, "after": after,
        },
    )  # fmt: skip
    return wanted


def _flat(policy: dict[str, Any]) -> dict[str, Any]:
    """{"peak": {"mode": ...}} -> {"peak.mode": ...}"""
    found: dict[str, Any] = {}
    for name, value in policy.items():
        if isinstance(value, dict) and name != "priority_by_fleet":
            found |= {f"{name}.{inner}": part for inner, part in value.items()}
        else:
            found[name] = value
    return found

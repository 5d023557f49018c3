"""Which fleets and drivers a member acts for."""

from __future__ import annotations

from collections.abc import Iterable

from fleets import queries
from fleets.models import Fleet, FleetScope
from tenants.errors import Forbidden
from tenants.models import Membership
from tenants.permissions import Actor, Permission
from tenants.services import audit


def narrow(membership: Membership) -> tuple[frozenset[int] | None, frozenset[int] | None]:
    """For `tenants.services.actors.plug_in_scopes`: (fleet ids, driver ids), each None for all of the tenant's."""
    return queries.scope_of(membership)


def limit_to_fleets(*, member: Membership, fleets: Iterable[Fleet], actor: Actor) -> None:
    """Let a member act for these fleets alone. None at all: a fleet manager then sees nothing."""
    actor.require(Permission.MEMBER_EDIT)
    wanted = {fleet.pk: fleet for fleet in fleets}
    rows = FleetScope.objects.filter(tenant_id=member.tenant_id, membership=member)
    present = set(rows.values_list("fleet_id", flat=True))
    if present == set(wanted):
        return
    rows.exclude(fleet_id__in=wanted).delete()
    FleetScope.objects.bulk_create(
        FleetScope(tenant_id=member.tenant_id, membership=member, fleet_id=fleet_id)
        for fleet_id in sorted(set(wanted) - present)
    )
    names = sorted(fleet.name for fleet in wanted.values())
    audit.record(
        tenant_id=member.tenant_id,
        actor=actor,
        action="member.limit_to_fleets",
        subject=member,
        detail={"fleets": names},
    )


def require_fleet(actor: Actor, permission: Permission, fleet_id: int | None) -> None:
    """Forbidden unless the actor may do this, and for this fleet (None: what belongs to no fleet)."""
    actor.require(permission)
    if actor.fleet_ids is not None and fleet_id not in actor.fleet_ids:
        raise Forbidden(f"{actor.label} may do this for their own fleets only.")

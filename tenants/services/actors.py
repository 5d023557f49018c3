"""Who a request speaks for."""

from __future__ import annotations

from collections.abc import Callable

from tenants import queries
from tenants.models import ApiKey, Membership
from tenants.permissions import ROLE_PERMISSIONS, Actor, Permission

# Scopes on things of upper apps (fleets, drivers) are theirs to tell: `cpo` plugs the function in.
Narrow = Callable[[Membership], tuple[frozenset[int] | None, frozenset[int] | None]]
_narrow: list[Narrow] = []


def plug_in_scopes(narrow: Narrow) -> None:
    """`narrow(membership)` gives (fleet ids, driver ids), each None for all of the tenant's."""
    _narrow[:] = [narrow]


def of_member(member: Membership) -> Actor:
    fleet_ids, driver_ids = _narrow[0](member) if _narrow else (None, None)
    return Actor(
        kind="user",
        id=str(member.user_id),
        label=str(member.user),
        permissions=ROLE_PERMISSIONS[member.role],
        role=member.role,
        site_ids=queries.site_scope(member),
        fleet_ids=fleet_ids,
        driver_ids=driver_ids,
        user_id=member.user_id,
    )


def of_key(key: ApiKey) -> Actor:
    known = {permission.value for permission in Permission}
    granted = frozenset(Permission(scope) for scope in key.scopes if scope in known)
    return Actor(kind="key", id=str(key.pk), label=key.name, permissions=granted)

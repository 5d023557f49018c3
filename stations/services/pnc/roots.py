"""Roots from the provider: fetched, and kept beside those that were entered by hand (`stations.services.trust`)."""

from __future__ import annotations

from dataclasses import dataclass

from stations.models import ProviderKind
from stations.services import trust
from stations.services.pnc import provider, settings
from stations.services.pnc.provider import ProviderError
from tenants.context import tenant_scope
from tenants.errors import Conflict, Invalid, Unavailable
from tenants.permissions import Actor, Permission

MOST = 300  # of one answer


@dataclass(frozen=True, slots=True)
class Fetched:
    offered: int
    added: tuple[str, ...]  # names
    refused: tuple[str, ...]  # why


def fetch(*, tenant_id: int, actor: Actor) -> Fetched:
    """Ask the provider for its roots and keep those that are new. Outside of any transaction; Unavailable in words."""
    actor.require(Permission.STATION_CONFIGURE)
    with tenant_scope(tenant_id):
        own = settings.of(tenant_id)
    try:
        offered = provider.of(own).roots()
    except ProviderError as error:
        if own.provider == ProviderKind.NONE:
            return Fetched(0, (), (str(error),))
        with tenant_scope(tenant_id):
            settings.note_call(tenant_id=tenant_id, error=str(error))
        raise Unavailable(str(error)) from None
    added, refused = [], []
    for root in offered[:MOST]:
        try:
            with tenant_scope(tenant_id):
                anchor = trust.add_anchor(
                    tenant_id=tenant_id, actor=actor, use=root.use, certificate=root.pem, name=root.name,
                    origin="provider",
                )  # fmt: skip
            added.append(anchor.name)
        except Conflict:
            continue  # known already
        except Invalid as error:
            refused.append(f"{root.name}: {error.detail}"[:200])
    with tenant_scope(tenant_id):
        settings.note_call(tenant_id=tenant_id, roots=True)
    return Fetched(len(offered), tuple(added), tuple(refused))

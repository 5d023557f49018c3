"""The tree of a site: a first one by one press, saved as a whole, taken back, load management switched on and off.

Only who may set limits of that site may; each change is in the audit with the document before and after it, bumps the
connection's revision and wakes who steers the site.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from energy.differences import differences
from energy.document import Document, Problem
from energy.document_reader import read
from energy.first_tree import propose
from energy.models import GridConnection, Steering, SupplyKind
from energy.services.signal import wake
from energy.services.tree_rows import store
from energy.site_state import Change, Checked, SiteState, check, last_change, state_of
from stations import live
from tenants import locks
from tenants.errors import Conflict, Invalid, NotFound
from tenants.models import Site
from tenants.permissions import Actor, Permission
from tenants.services import audit


class TreeChanged(Conflict):
    """Somebody else saved first. `change` is theirs, `revision` the one to save on top of."""

    def __init__(self, change: Change, revision: int) -> None:
        told = {
            "who": change.by,
            "time": timezone.localtime(change.at).strftime("%H:%M"),
            "revision": revision,
        }
        super().__init__(
            _("%(who)s changed this tree at %(time)s, after you had opened it. Look at that change, then save again "
              "with revision %(revision)s.") % told,
            code="tree_changed",
        )  # fmt: skip
        self.change, self.revision = change, revision


class SomeWait(Conflict):
    """Some connectors would hold 0 A while the central system is silent. `names`: which."""

    def __init__(self, names: list[str]) -> None:
        shown = ", ".join(names[:10]) + (" …" if len(names) > 10 else "")
        super().__init__(
            _("While the central system is silent, these would give nothing, since they fit neither beside the "
              "building's most nor below the policy's cap: %(names)s. Agree to that, or give them room.")
            % {"names": shown},
            code="some_wait",
        )  # fmt: skip
        self.names = names


def set_up(
    *, tenant_id: int, site_id: int, actor: Actor, limit_a: float | None = None,
    supply: str = SupplyKind.THREE_PHASE, building_most_a: float = 0.0,
) -> SiteState:  # fmt: skip
    """Make the first tree of a site. `limit_a`: of its connection on each line; None: the site's grid limit.

    Invalid where neither is known, Conflict where there is a tree already.
    """
    site = site_for(tenant_id, site_id, actor)
    connection = _locked(site)
    state = state_of(site)
    if state.document.nodes:
        raise Conflict(_("This site has a tree already: change that one."))
    told = limit_a if limit_a is not None else float(site.grid_limit_amps or 0)
    if not 0 < told <= 1e5:
        raise Invalid(fields={"limit_a": _("Say how many amperes the grid connection gives on each line.")})
    if supply not in SupplyKind.values:
        raise Invalid(
            fields={"supply": _("Choose one of %(known)s.") % {"known": ", ".join(SupplyKind.values)}}
        )
    document = propose(state.places, limit_a=told, supply=supply)
    return _keep(state, connection, replace(document, building_most_a=building_most_a), actor, "grid.set_up")


def save_tree(
    *, tenant_id: int, site_id: int, actor: Actor, document: Mapping[str, Any]
) -> tuple[SiteState, Checked]:
    """Replace the whole tree by this document (energy.document). What it is now, with its warnings.

    Invalid with a sentence for each part that cannot be; TreeChanged where somebody saved since it was read.
    """
    site = site_for(tenant_id, site_id, actor)
    connection = _locked(site)
    state = state_of(site)
    told, unread = read(document)
    _refuse_stale(connection, told)
    checked = check(state, told, unread)
    if checked.problems:
        raise refusal(checked.problems)
    return _keep(state, connection, told, actor, "grid.edit"), checked


def undo(*, tenant_id: int, site_id: int, actor: Actor) -> SiteState:
    """Take back the last change of the tree; once more gives it back. Conflict where there is none, or what was before
    can be no more."""
    site = site_for(tenant_id, site_id, actor)
    connection = _locked(site)
    change = last_change(connection) if connection else None
    if change is None or not change.before.get("nodes"):
        raise Conflict(_("There is no earlier tree to go back to."))
    state = state_of(site)
    before, _unread = read(change.before)
    # A station that has left the site since stays out.
    before = replace(before, outlets=tuple(one for one in before.outlets if one.evse_id in state.places))
    checked = check(state, before)
    if checked.problems:
        raise refusal(checked.problems)
    return _keep(state, connection, before, actor, "grid.undo")


def switch(
    *, tenant_id: int, site_id: int, actor: Actor, on: bool, accept_waiting: bool = False
) -> SiteState:
    """Switch load management of a site on or off. Conflict without a tree, Invalid where it has faults, SomeWait unless
    it is accepted that some connectors give nothing while the central system is silent."""
    site = site_for(tenant_id, site_id, actor)
    connection = _locked(site)
    state = state_of(site)
    if connection is None or not state.document.nodes:
        raise Conflict(_("This site has no tree yet: set it up first."))
    if connection.steers == on:
        return state
    if on:
        _refuse_unready(state, accept_waiting)
        Steering.objects.get_or_create(tenant_id=tenant_id, connection=connection)
    connection.steers = on
    bump(connection)
    audit.record(
        tenant_id=tenant_id, actor=actor, action="grid.on" if on else "grid.off", subject=connection,
        site_id=site.pk, detail={"revision": connection.revision},
    )  # fmt: skip
    return state_of(site)


def _refuse_unready(state: SiteState, accept_waiting: bool) -> None:
    checked = check(state, state.document)
    problems = list(checked.problems)
    root = state.document.root
    if not problems and not state.document.outlets:
        problems.append(Problem("", "outlets", _("No EVSE hangs in the tree: there is nothing to steer.")))
    if not problems and root is not None and root.limit_a is None and root.limit_w is None:
        text = _("%(name)s has no limit: say what it gives.") % {"name": root.name}
        problems.append(Problem(root.key, "limit_a", text))
    if problems:
        raise refusal(problems)
    if checked.waiting and not accept_waiting:
        raise SomeWait([state.places[evse_id].label for evse_id in checked.waiting])


# --- shared with policies ---


def site_for(tenant_id: int, site_id: int, actor: Actor) -> Site:
    """The site, for who may set its limits. NotFound for who does not know of it, Forbidden for who only sees it."""
    site = Site.objects.filter(tenant_id=tenant_id, pk=site_id).first()
    if site is None or (actor.site_ids is not None and site.pk not in actor.site_ids):
        raise NotFound("There is no such site.")
    actor.require(Permission.LIMIT_SET, site_id=site.pk)
    return site


def _locked(site: Site) -> GridConnection | None:
    """One editor at a time, to the end of the transaction: also of a site without a tree."""
    locks.hold("grid tree", site.pk)
    return (
        GridConnection.objects.select_for_update(of=("self",))
        .filter(tenant_id=site.tenant_id, site=site)
        .first()
    )


def locked_or_new(site: Site) -> GridConnection:
    return _locked(site) or GridConnection.objects.create(tenant_id=site.tenant_id, site=site, revision=0)


def bump(connection: GridConnection) -> None:
    """Keep the connection as another revision, and wake who steers it."""
    connection.revision += 1
    connection.save()
    wake(tenant_id=connection.tenant_id, site_ids=[connection.site_id])
    live.publish(
        connection.tenant_id, kind="site", station_id=0, site_id=connection.site_id, data={"id": connection.site_id}
    )  # fmt: skip


def refusal(problems: tuple[Problem, ...] | list[Problem]) -> Invalid:
    fields: dict[str, str] = {}
    for one in problems:
        fields[one.path] = f"{fields[one.path]} {one.text}" if one.path in fields else one.text
    return Invalid(fields=fields)


def _refuse_stale(connection: GridConnection | None, told: Document) -> None:
    """A revision that only a meter or a policy has made since is none of the editor's concern."""
    if connection is None or told.revision >= connection.revision:
        return
    change = last_change(connection)
    if change is not None and change.revision > told.revision:
        raise TreeChanged(change, connection.revision)


def _keep(
    state: SiteState, connection: GridConnection | None, document: Document, actor: Actor, action: str
) -> SiteState:
    connection = connection or GridConnection.objects.create(
        tenant_id=state.site.tenant_id, site=state.site, revision=0
    )
    store(connection, document)
    bump(connection)
    after = state_of(state.site)
    audit.record(
        tenant_id=connection.tenant_id, actor=actor, action=action, subject=connection, site_id=state.site.pk,
        detail={
            "changed": differences(state.document, after.document, state.places),
            "revision": connection.revision,
            "before": state.document.as_json(),
            "after": after.document.as_json(),
        },
    )  # fmt: skip
    return after

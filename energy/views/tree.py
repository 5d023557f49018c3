"""How a site hangs on the grid: the tree as a drawing and an editor, load management on and off."""

from __future__ import annotations

import json
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import messages
from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from energy.differences import differences
from energy.document_reader import read
from energy.intervals import NEEDED_S, SETTING, seldom
from energy.models import MeterKind, SupplyKind
from energy.services import tree
from energy.site_state import SiteState, check, last_change, state_of
from energy.views.tree_drawing import draw
from energy.views.tree_form import Draft
from energy.views.tree_rows import lines_of, site_problems
from tenants import queries as tenants
from tenants.errors import Conflict, DomainError, Invalid, NotFound
from tenants.pages import PageRequest, PortalForm, go, page
from tenants.permissions import Permission

BIGGEST_IMPORT = 2_000_000


class FirstTreeForm(PortalForm):
    limit_a = forms.FloatField(
        label=_("Grid connection, A on each line"), min_value=1, max_value=100_000, localize=False
    )
    supply = forms.ChoiceField(label=_("Supply"), choices=SupplyKind.choices, initial=SupplyKind.THREE_PHASE)
    building_most_a = forms.FloatField(
        label=_("Most that the building takes, A on each line"), min_value=0, max_value=100_000, localize=False,
        help_text=_("What is not charging: lifts, heating, kitchens. It is kept free where no meter tells better."),
    )  # fmt: skip


@page(Permission.SITE_VIEW)
def site_grid(request: PageRequest, site_id: int) -> HttpResponse:
    """The tree as it is kept; a POST saves the draft."""
    state = _state(request, site_id)
    if request.method != "POST":
        return _show(request, state, Draft(state.document.as_json(), request.GET.get("at", "")))
    draft = Draft.of_post(request.POST)
    try:
        kept, checked = tree.save_tree(
            tenant_id=request.tenant.pk, site_id=site_id, actor=request.actor, document=draft.value
        )
    except tree.TreeChanged as error:
        return _show(request, state, draft, status=409, changed=error)
    except Invalid:
        return _show(request, state, draft, status=422, refused=True)
    messages.success(
        request, _t("Saved. Load management goes by it from now on.") if kept.steers else _t("Saved.")
    )
    if checked.waiting and kept.steers:
        messages.warning(
            request, _t("Some connectors give nothing while the central system is silent: see below.")
        )
    return go(request, "site-grid", site_id)


@require_POST
@page(Permission.LIMIT_SET)
def draft(request: PageRequest, site_id: int) -> HttpResponse:
    """The draft with what was typed and pressed. Nothing is kept."""
    state = _state(request, site_id)
    request.actor.require(Permission.LIMIT_SET, site_id=site_id)
    draft = Draft.of_post(request.POST)
    draft.do(request.POST.get("do", ""), state.places)
    return _show(request, state, draft)


@require_POST
@page(Permission.LIMIT_SET)
def take_in(request: PageRequest, site_id: int) -> HttpResponse:
    """A document from a file becomes the draft: nothing is kept before it is saved."""
    state = _state(request, site_id)
    request.actor.require(Permission.LIMIT_SET, site_id=site_id)
    sent = request.FILES.get("document")
    try:
        if sent is None or sent.size is None or sent.size > BIGGEST_IMPORT:
            raise ValueError
        value = json.loads(sent.read().decode())
        if not isinstance(value, dict) or not isinstance(value.get("nodes"), list):
            raise ValueError
    except (ValueError, RecursionError):
        messages.error(request, _t("That file holds no tree: choose one that was exported here."))
        return go(request, "site-grid", site_id)
    draft = Draft(value)
    draft.value["revision"] = state.document.revision
    strange = [one for one in draft.outlets if one.get("evse_id") not in state.places]
    if strange:
        draft.value["outlets"] = [one for one in draft.outlets if one not in strange]
        messages.warning(
            request, _t("%(count)s EVSEs of the file are not of this site and were left out.") % {"count": len(strange)}
        )  # fmt: skip
    return _show(request, state, draft)


@page(Permission.SITE_VIEW)
def export(request: PageRequest, site_id: int) -> HttpResponse:
    state = _state(request, site_id)
    response = JsonResponse(state.document.as_json(), json_dumps_params={"indent": 2})
    response["Content-Disposition"] = f'attachment; filename="grid-{site_id}-{state.document.revision}.json"'
    return response


@require_POST
@page(Permission.LIMIT_SET)
def set_up(request: PageRequest, site_id: int) -> HttpResponse:
    state = _state(request, site_id)
    form = FirstTreeForm(request.POST)
    if form.is_valid():
        try:
            tree.set_up(
                tenant_id=request.tenant.pk, site_id=site_id, actor=request.actor, **form.cleaned_data
            )
            messages.success(
                request, _t("This is a first tree. Look at it, and correct what is wired otherwise.")
            )
            return go(request, "site-grid", site_id)
        except Conflict as error:  # somebody else was faster
            messages.error(request, str(error))
            return go(request, "site-grid", site_id)
        except DomainError as error:
            form.refused(error)
    return _show(request, state, Draft(state.document.as_json()), status=422, first=form)


@require_POST
@page(Permission.LIMIT_SET)
def undo(request: PageRequest, site_id: int) -> HttpResponse:
    _state(request, site_id)
    try:
        tree.undo(tenant_id=request.tenant.pk, site_id=site_id, actor=request.actor)
        messages.success(request, _t("The last change is taken back. Once more gives it back."))
    except DomainError as error:
        messages.error(request, str(error))
    return go(request, "site-grid", site_id)


@require_POST
@page(Permission.LIMIT_SET)
def switch(request: PageRequest, site_id: int) -> HttpResponse:
    _state(request, site_id)
    on = request.POST.get("on") == "yes"
    try:
        tree.switch(
            tenant_id=request.tenant.pk, site_id=site_id, actor=request.actor, on=on,
            accept_waiting=request.POST.get("accept") == "yes",
        )  # fmt: skip
        messages.success(request, _t("Load management is on.") if on else _t("Load management is off."))
    except DomainError as error:
        messages.error(request, str(error))
    return go(request, "site-grid", site_id)


def _state(request: PageRequest, site_id: int) -> SiteState:
    site = tenants.sites(request.tenant.pk, request.actor).filter(pk=site_id).first()
    if site is None:
        raise NotFound
    return state_of(site)


def _show(
    request: PageRequest, state: SiteState, draft: Draft, *, status: int = 200, refused: bool = False,
    changed: tree.TreeChanged | None = None, first: FirstTreeForm | None = None,
) -> HttpResponse:  # fmt: skip
    document, unread = read(draft.value)
    has_tree = bool(document.nodes) or refused
    checked = check(state, document, unread) if has_tree else None
    problems, warnings = (checked.problems, checked.warnings) if checked else ((), ())
    lines = lines_of(draft, document, state.places, problems, warnings)
    wired = {one.evse_id for one in document.outlets}
    change = last_change(state.connection) if state.connection else None
    context: dict[str, Any] = {
        "site": state.site,
        "steers": state.steers,
        "may_set": request.actor.may(Permission.LIMIT_SET, site_id=state.site.pk),
        "draft": draft,
        "document": document,
        "lines": lines,
        "drawing": draw(document, state.places, problems=problems, warnings=warnings, selected=draft.at),
        "problems": problems,
        "site_problems": site_problems(problems, lines),
        "site_warnings": site_problems([one for one in warnings if one.field != "outlets"], lines),
        "left_out": [place for place in state.places.values() if place.evse_id not in wired],
        "waiting": [state.places[number].label for number in checked.waiting] if checked else [],
        "silent": _silent(state, checked.silent_a) if checked else [],
        "changes": list(differences(state.document, document, state.places).items())[:30],
        "refused": refused,
        "changed": changed,
        "their_changes": changed.change.record.detail.get("changed", {}) if changed else {},
        "undo": change if change is not None and change.before.get("nodes") else None,
        "first": first or FirstTreeForm(initial=_first(state)),
        "count": len(state.places),
        "seldom": seldom(
            request.tenant.pk, {state.places[pk].station_id for pk in wired & state.places.keys()}
        )
        if state.steers
        else [],
        "needed_s": NEEDED_S,
        "setting": SETTING,
        "has_grid_meter": any(meter.kind == MeterKind.GRID for meter in state.meters),
        "adders": [
            ("add-panel", _t("Panel below")),
            ("add-circuit", _t("Circuit below")),
            ("add-station", _t("Station below")),
        ],
        "movers": [
            ("up", "arrow-up", _t("Move up")),
            ("down", "arrow-down", _t("Move down")),
            ("remove", "trash", _t("Take out; what hangs below it moves up")),
        ],
    }
    fragment = request.headers.get("HX-Request") == "true"
    template = "energy/_tree_work.html" if fragment else "energy/tree.html"
    with timezone.override(ZoneInfo(state.site.time_zone)):
        return render(request, template, context, status=status)


def _silent(state: SiteState, amps: dict[int, float]) -> list[tuple[str, float]]:
    return [(state.places[number].label, told) for number, told in amps.items() if number in state.places]


def _first(state: SiteState) -> dict[str, Any]:
    limit = state.site.grid_limit_amps
    return {"limit_a": f"{limit.normalize():f}" if limit else None, "building_most_a": 0}

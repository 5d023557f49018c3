"""The grid tree of a site by REST: read and replaced as one document, checked; its policy; load management on, off."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from energy.document import MOST_NODES, MOST_OUTLETS, MOST_WINDOWS, Problem
from energy.document_reader import read
from energy.grid import LINES
from energy.models import LimitOrigin, NodeKind, SupplyKind
from energy.policy import PEAK_MODES, SHARES
from energy.services import policies, tree
from energy.site_state import SiteState, check, state_of
from tenants import queries as tenants
from tenants.errors import NotFound
from tenants.permissions import Permission
from tenants.rest import In, TenantView, Verb

BIGGEST = 2**63 - 1


def _amps(text: str, **values: Any) -> serializers.FloatField:
    return serializers.FloatField(
        min_value=0, max_value=1e5, help_text=f"A {text}".strip(), **({"required": False} | values)
    )


def _watts(text: str, **values: Any) -> serializers.FloatField:
    return serializers.FloatField(
        min_value=0, max_value=1e8, help_text=f"W {text}".strip(), **({"required": False} | values)
    )


class WindowBody(In):
    weekdays = serializers.ListField(
        child=serializers.IntegerField(min_value=0, max_value=6),
        max_length=7,
        required=False,
        help_text="0 is Monday; empty: every day",
    )
    begins = serializers.TimeField(format="%H:%M", help_text="By the site's wall clock")
    ends = serializers.TimeField(format="%H:%M", help_text="Before `begins`: past midnight")
    first_day = serializers.DateField(required=False, allow_null=True)
    last_day = serializers.DateField(required=False, allow_null=True)
    limit_a = _amps("on each line", allow_null=True)
    limit_w = _watts("of all lines together", allow_null=True)
    label = serializers.CharField(max_length=80, required=False, allow_blank=True)  # type: ignore[assignment]


class NodeBody(In):
    key = serializers.CharField(
        max_length=40, help_text="Its number as text; any other text makes a new node that others refer to by it"
    )  # fmt: skip
    parent = serializers.CharField(
        max_length=40, required=False, allow_null=True, help_text="Key of the node above; null: the grid connection"
    )  # type: ignore[assignment]  # fmt: skip
    kind = serializers.ChoiceField(NodeKind.choices, required=False, default=NodeKind.PANEL)
    name = serializers.CharField(max_length=80)
    limit_a = serializers.ListField(
        child=_amps("", required=True),
        min_length=1,
        max_length=3,
        required=False,
        allow_null=True,
        help_text="A on each of its own lines; one number: on all of them; null: no such limit",
    )
    limit_w = _watts("of all lines together", allow_null=True)
    origin = serializers.ChoiceField(LimitOrigin.choices, required=False, default=LimitOrigin.FUSE)
    rotation = serializers.ListField(
        child=serializers.ChoiceField(LINES),
        max_length=3,
        required=False,
        help_text="To which lines of its parent its own L1, L2, L3 go; empty: straight",
    )
    module_w = serializers.FloatField(
        min_value=1,
        max_value=1e8,
        required=False,
        allow_null=True,
        help_text="W of one module of a power cabinet",
    )
    windows = WindowBody(many=True, required=False, max_length=MOST_WINDOWS)  # type: ignore[call-arg]


class OutletBody(In):
    evse_id = serializers.IntegerField(min_value=1, max_value=BIGGEST)
    node = serializers.CharField(max_length=40, help_text="Key of the node that it hangs below")
    lines = serializers.ListField(
        child=serializers.ChoiceField(LINES), max_length=3, help_text="Of its node, in the order of its own phases"
    )  # fmt: skip
    between = serializers.BooleanField(
        required=False, default=False, help_text="It stands between its two lines: 208 V delta, split phase"
    )
    max_a = _amps("on each line; null: as its connectors tell", allow_null=True)
    min_a = _amps("below which nothing flows; null: 6 A, of DC 0 A", allow_null=True)
    step_a = serializers.FloatField(
        min_value=0.01,
        max_value=1e5,
        required=False,
        allow_null=True,
        help_text="A by which it can be set; null: 1 A",
    )
    guaranteed_a = _amps("that a car which charges here has at least")
    priority = serializers.IntegerField(
        min_value=-100, max_value=100, required=False, default=0, help_text="Higher goes first"
    )


class GridBody(In):
    revision = serializers.IntegerField(
        min_value=0, max_value=BIGGEST, help_text="As it was read; 0: there was none. An older one is refused"
    )  # fmt: skip
    supply = serializers.ChoiceField(SupplyKind.choices, required=False, default=SupplyKind.THREE_PHASE)
    building_most_a = _amps("on each line that is not charging, at most")
    nodes = NodeBody(many=True, max_length=MOST_NODES)  # type: ignore[call-arg]
    outlets = OutletBody(many=True, max_length=MOST_OUTLETS)  # type: ignore[call-arg]


class ProblemOut(serializers.Serializer[Any]):
    part = serializers.CharField(help_text="Key of a node, `evse-<id>`, or empty for the whole")
    field = serializers.CharField()
    detail = serializers.CharField()


class SilentOut(serializers.Serializer[Any]):
    evse_id = serializers.IntegerField()
    amps = serializers.FloatField(help_text="0: it gives nothing until the central system is back")


class GridCheckOut(serializers.Serializer[Any]):
    faults = ProblemOut(many=True, help_text="Must be mended before it is kept")
    warnings = ProblemOut(many=True, help_text="Can be kept")
    silent = SilentOut(
        many=True, help_text="What each EVSE holds while the central system is silent; empty with faults"
    )


class SteeringIn(In):
    on = serializers.BooleanField()
    accept_waiting = serializers.BooleanField(
        required=False,
        default=False,
        help_text="Agree that some EVSEs give nothing while the central system is silent",
    )


class SteeringOut(serializers.Serializer[Any]):
    on = serializers.BooleanField()
    revision = serializers.IntegerField()
    waiting_evse_ids = serializers.ListField(
        child=serializers.IntegerField(), help_text="That give nothing while the central system is silent"
    )


class PriceWindowBody(In):
    weekdays = serializers.ListField(
        child=serializers.IntegerField(min_value=0, max_value=6), max_length=7, required=False
    )
    begins = serializers.TimeField(format="%H:%M")
    ends = serializers.TimeField(format="%H:%M")
    per_kwh = serializers.FloatField(required=False, allow_null=True)
    co2_g_per_kwh = serializers.FloatField(required=False, allow_null=True)


class PeakBody(In):
    mode = serializers.ChoiceField(PEAK_MODES, required=False)
    limit_kw = serializers.FloatField(
        required=False, allow_null=True, help_text="Of the whole site, for hold"
    )
    paid_kw = serializers.FloatField(required=False, help_text="The peak of this billing period so far")


class PriceBody(In):
    per_kwh = serializers.FloatField(required=False, allow_null=True, help_text="In the company's currency")
    per_kw = serializers.FloatField(required=False, help_text="Of the peak of a billing period")
    windows = PriceWindowBody(many=True, required=False, max_length=100)  # type: ignore[call-arg]


class Co2Body(In):
    weight = serializers.FloatField(required=False, help_text="0: price alone, 1: CO2 alone")
    g_per_kwh = serializers.FloatField(required=False, allow_null=True)


class PolicyBody(In):
    share = serializers.ChoiceField(
        SHARES, required=False, help_text="need: by what each needs until it leaves; equal: the same for all"
    )
    turn_minutes = serializers.FloatField(required=False, help_text="Until a place goes to a car that waits")
    guaranteed_a = serializers.FloatField(required=False, help_text="A of a car that charges, at least")
    priority_by_fleet = serializers.DictField(
        child=serializers.IntegerField(min_value=-100, max_value=100), required=False
    )
    reserve_percent = serializers.FloatField(required=False, help_text="Of each limit, left free")
    default_cap_a = serializers.FloatField(
        required=False, allow_null=True, help_text="Most A of an EVSE while the central system is silent"
    )
    peak = PeakBody(required=False)
    price = PriceBody(required=False)
    co2 = Co2Body(required=False)


class OfSite(TenantView):
    """Below a site that the key sees."""

    def state(self, site_id: int) -> SiteState:
        site = tenants.sites(self.tenant_id, self.actor).filter(pk=site_id).first()
        if site is None:
            raise NotFound("There is no such site.")
        return state_of(site)


class SiteGrid(OfSite):
    """How a site hangs on the grid: its connection, what limits below it, and where each EVSE is wired.

    One document. A PUT replaces all of it; where somebody saved since it was read, it is refused with 409.
    """

    verbs = {
        "GET": Verb(Permission.SITE_VIEW, gives=GridBody, says="Read a site's grid tree"),
        "PUT": Verb(Permission.LIMIT_SET, takes=GridBody, gives=GridBody, says="Replace a site's grid tree"),
    }

    def get(self, request: Request, site_id: int) -> Response:
        return self.answer(self.state(site_id).document.as_json())

    def put(self, request: Request, site_id: int) -> Response:
        state, _checked = tree.save_tree(
            tenant_id=self.tenant_id, site_id=site_id, actor=self.actor, document=self.given()
        )
        return self.answer(state.document.as_json())

    def answer(self, thing: Any = None) -> Response:
        return Response(thing, status=self.verb.status)


class SiteGridCheck(OfSite):
    """What is wrong with a grid tree, and what is worth a word. Nothing is kept."""

    verbs = {
        "POST": Verb(
            Permission.SITE_VIEW, takes=GridBody, gives=GridCheckOut, says="Check a site's grid tree"
        )
    }

    def post(self, request: Request, site_id: int) -> Response:
        state = self.state(site_id)
        checked = check(state, *read(self.given()))
        return self.answer(
            {
                "faults": [_problem(one) for one in checked.problems],
                "warnings": [_problem(one) for one in checked.warnings],
                "silent": [{"evse_id": evse_id, "amps": amps} for evse_id, amps in checked.silent_a.items()],
            }
        )


def _problem(one: Problem) -> dict[str, str]:
    return {"part": one.part, "field": one.field, "detail": one.text}


class SiteGridPolicy(OfSite):
    """What a site wants of its load management: who goes first, peaks, prices. A PUT replaces all of it."""

    verbs = {
        "GET": Verb(Permission.SITE_VIEW, gives=PolicyBody, says="Read a site's load management policy"),
        "PUT": Verb(
            Permission.LIMIT_SET,
            takes=PolicyBody,
            gives=PolicyBody,
            says="Replace a site's load management policy",
        ),
    }

    def get(self, request: Request, site_id: int) -> Response:
        return Response(self.state(site_id).policies.as_json())

    def put(self, request: Request, site_id: int) -> Response:
        kept = policies.set_policy(
            tenant_id=self.tenant_id, site_id=site_id, actor=self.actor, policy=self.given()
        )
        return Response(kept.as_json())


class SiteGridSteering(OfSite):
    """Switch the load management of a site on or off."""

    verbs = {
        "POST": Verb(
            Permission.LIMIT_SET,
            takes=SteeringIn,
            gives=SteeringOut,
            says="Switch a site's load management on or off",
        )
    }

    def post(self, request: Request, site_id: int) -> Response:
        state = tree.switch(tenant_id=self.tenant_id, site_id=site_id, actor=self.actor, **self.given())
        return self.answer(
            {
                "on": state.steers,
                "revision": state.document.revision,
                "waiting_evse_ids": check(state, state.document).waiting,
            }
        )

"""What a site wants of its load management, as a form."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import render
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from energy.policy import EQUAL, HOLD, NEED, NO_PEAK, SAVE, Policies
from energy.services.policies import set_policy
from energy.site_state import policies_of
from energy.views.tree_form import number
from energy.views.tree_rows import day_choices
from tenants import queries as tenants
from tenants.errors import DomainError, NotFound
from tenants.pages import PageRequest, PortalForm, go, page
from tenants.permissions import Permission

# Field of the form -> place in the policy.
PLACES: dict[str, tuple[str, ...]] = {
    "share": ("share",),
    "turn_minutes": ("turn_minutes",),
    "guaranteed_a": ("guaranteed_a",),
    "reserve_percent": ("reserve_percent",),
    "default_cap_a": ("default_cap_a",),
    "peak_mode": ("peak", "mode"),
    "peak_limit_kw": ("peak", "limit_kw"),
    "peak_paid_kw": ("peak", "paid_kw"),
    "per_kw": ("price", "per_kw"),
    "per_kwh": ("price", "per_kwh"),
    "co2_weight": ("co2", "weight"),
    "co2_g_per_kwh": ("co2", "g_per_kwh"),
}
GROUPS: tuple[tuple[Any, Any, tuple[str, ...]], ...] = (
    (
        _("When not all can have all"),
        _("Cars then share, and where there is too little even for that, they take turns."),
        ("share", "turn_minutes", "guaranteed_a"),
    ),
    (
        _("Reserve and safety"),
        _("No fuse is loaded above its limit, whatever stands here: this only keeps further away from it."),
        ("reserve_percent", "default_cap_a"),
    ),
    (
        _("Peak"),
        _("The highest quarter of an hour of the whole site. Many grid operators bill by it."),
        ("peak_mode", "peak_limit_kw", "peak_paid_kw", "per_kw"),
    ),
    (
        _("Prices and CO2"),
        _("A car of which need and departure are known waits for cheap or clean power. Others do not wait."),
        ("per_kwh", "co2_g_per_kwh", "co2_weight"),
    ),
)
# Their defaults are good for most.
USUAL = (
    "share",
    "turn_minutes",
    "guaranteed_a",
    "reserve_percent",
    "default_cap_a",
    "peak_mode",
    "co2_weight",
)
WINDOW = ("begins", "ends", "weekdays", "per_kwh", "co2_g_per_kwh")


def _number(label: Any, help_text: Any = "", required: bool = True) -> forms.FloatField:
    return forms.FloatField(label=label, help_text=help_text, required=required, localize=False)


class PolicyForm(PortalForm):
    share = forms.ChoiceField(
        label=_("Power is shared"),
        choices=[(NEED, _("By what each needs until it leaves")), (EQUAL, _("The same for all"))],
        help_text=_("Priorities of fleets and connectors go before either."),
    )
    turn_minutes = _number(
        _("A turn, minutes"), _("Then a car that charges gives its place to one that waits.")
    )
    guaranteed_a = _number(
        _("Guaranteed, A"),
        _("What a car has at least while it charges. 0: the least at which it charges at all, mostly 6 A."),
    )
    reserve_percent = _number(
        _("Reserve, %"), _("Of each limit, left free at all times, for what no meter tells.")
    )
    default_cap_a = _number(
        _("Without orders, at most A"),
        _(
            "What a connector gives by itself while the central system cannot be reached, where that fits beside the "
            "building. Empty: the least that it can."
        ),
        required=False,
    )
    peak_mode = forms.ChoiceField(
        label=_("The peak"),
        choices=[
            (NO_PEAK, _("does not matter")),
            (HOLD, _("stays below a power")),
            (SAVE, _("no new one without need")),
        ],
        help_text=_("“Without need”: a car that would leave without its energy may still make one."),
    )
    peak_limit_kw = _number(
        _("Stays below, kW"),
        _("Of the whole site, building and cars. Where the peak is to stay below a power."),
        required=False,
    )
    peak_paid_kw = _number(
        _("Peak so far, kW"), _("Of this billing period. It is paid for already: up to it nothing is saved.")
    )
    per_kw = _number(_("Price of a kW of the peak"), _("Of a billing period."))
    per_kwh = _number(_("Price of a kWh"), _("Outside the times below. Empty: not known."), required=False)
    co2_g_per_kwh = _number(
        _("CO2 of a kWh, g"), _("Outside the times below. Empty: not known."), required=False
    )
    co2_weight = _number(_("Weight of CO2"), _("0: cheap power goes first, 1: clean power. Between: both."))

    def __init__(self, *args: Any, currency: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("per_kw", "per_kwh"):
            self.fields[name].label = f"{self.fields[name].label}, {currency}"
        usual = Policies().as_json()
        for name in USUAL:
            said = _t("Usual: %(value)s.") % {"value": self._shown(name, _at(usual, PLACES[name]))}
            self.fields[name].help_text = f"{self.fields[name].help_text} {said}"

    def _shown(self, name: str, value: str) -> str:
        """A choice by its name, a number as it is."""
        return str(dict(getattr(self.fields[name], "choices", ())).get(value, value))

    def groups(self) -> list[tuple[Any, Any, list[forms.BoundField]]]:
        """Title, what it is about, fields."""
        return [(title, about, [self[name] for name in names]) for title, about, names in GROUPS]

    def refused(self, error: DomainError) -> None:
        fields = getattr(error, "fields", {})
        paths = {".".join(path): name for name, path in PLACES.items()}
        for path in list(fields):
            if path in paths:
                fields[paths[path]] = fields.pop(path)
            elif path.startswith("price.windows."):
                told = {"number": int(path.split(".")[2]) + 1, "error": fields[path]}
                fields[path] = _t("Price by time, line %(number)s: %(error)s") % told
        super().refused(error)


@page(Permission.SITE_VIEW)
def site_policy(request: PageRequest, site_id: int) -> HttpResponse:
    site = tenants.sites(request.tenant.pk, request.actor).filter(pk=site_id).first()
    if site is None:
        raise NotFound
    kept = policies_of(site).as_json()
    form = PolicyForm(
        request.POST or None, currency=request.tenant.currency,
        initial={name: _at(kept, path) for name, path in PLACES.items()},
    )  # fmt: skip
    windows = kept["price"]["windows"]
    if request.method == "POST":
        request.actor.require(Permission.LIMIT_SET, site_id=site.pk)
        windows = _windows(request.POST)
        if form.is_valid():
            try:
                set_policy(
                    tenant_id=site.tenant_id, site_id=site.pk, actor=request.actor,
                    policy=_merged(kept, form.cleaned_data, windows),
                )  # fmt: skip
                messages.success(request, _t("Saved."))
                return go(request, "site-grid-policy", site.pk)
            except DomainError as error:
                form.refused(error)
    context = {
        "site": site,
        "form": form,
        "may_set": request.actor.may(Permission.LIMIT_SET, site_id=site.pk),
        "windows": [window | {"days": day_choices(window["weekdays"])} for window in windows],
        "days": day_choices([]),
    }
    return render(
        request, "energy/tree_policy.html", context, status=422 if request.method == "POST" else 200
    )


def _at(policy: dict[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = policy
    for name in path:
        value = value[name]
    return f"{value:g}" if isinstance(value, float) else value


def _merged(kept: dict[str, Any], told: dict[str, Any], windows: list[dict[str, Any]]) -> dict[str, Any]:
    """What the form does not show stays."""
    policy = kept | {part: dict(kept[part]) for part in ("peak", "price", "co2")}
    for name, path in PLACES.items():
        place = policy if len(path) == 1 else policy[path[0]]
        place[path[-1]] = told[name]
    policy["price"]["windows"] = windows
    return policy


def _windows(post: QueryDict) -> list[dict[str, Any]]:
    columns = [post.getlist(f"window_{name}") for name in WINDOW]
    return [
        {
            "begins": begins,
            "ends": ends,
            "weekdays": [int(day) for day in days.split() if day.isdecimal()],
            "per_kwh": number(per_kwh),
            "co2_g_per_kwh": number(co2),
        }
        for begins, ends, days, per_kwh, co2 in zip(*columns, strict=False)
        if begins or ends or per_kwh or co2
    ]

"""The tariff form: the four prices people think in, turned into OCPI elements and back."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from billing.models import Tariff
from tenants.pages import PortalForm

# Field of the form -> OCPI price component.
COMPONENTS = {"energy": "ENERGY", "flat": "FLAT", "time": "TIME", "parking": "PARKING_TIME"}


def _price(label: Any, help_text: Any) -> forms.DecimalField:
    return forms.DecimalField(
        label=label,
        help_text=help_text,
        required=False,
        min_value=0,
        max_digits=10,
        decimal_places=4,
        widget=forms.NumberInput(attrs={"step": "any", "inputmode": "decimal"}),
    )


class TariffForm(PortalForm):
    name = forms.CharField(label=_("Name"), max_length=120)
    currency = forms.CharField(label=_("Currency"), max_length=3, min_length=3)
    energy = _price(_("Energy, per kWh"), _("Such as 0.49. Empty: energy costs nothing."))
    flat = _price(_("Start fee, per session"), _("Once, whatever is charged."))
    time = _price(_("Charging time, per hour"), _("While energy flows."))
    parking = _price(_("Parking, per hour"), _("Plugged in, but no energy flows."))
    vat = forms.DecimalField(
        label=_("Tax (%)"), min_value=0, max_value=100, max_digits=5, decimal_places=2, initial=Decimal(19)
    )
    tax_included = forms.BooleanField(label=_("The prices above include the tax"), required=False)
    min_price = _price(_("Least price of a session"), _("Empty: none."))
    max_price = _price(_("Highest price of a session"), _("Empty: none."))

    def clean_currency(self) -> str:
        return str(self.cleaned_data["currency"]).upper()

    def values(self) -> dict[str, Any]:
        """What the service takes."""
        data = self.cleaned_data
        components = [
            {"type": kind, "price": str(data[name]), "vat": str(data["vat"]), "step_size": 1}
            for name, kind in COMPONENTS.items()
            if data[name] is not None
        ]
        return {
            "name": data["name"],
            "currency": data["currency"],
            "tax_included": data["tax_included"],
            "min_price": data["min_price"],
            "max_price": data["max_price"],
            "elements": [{"price_components": components}] if components else [],
        }


def from_tariff(tariff: Tariff) -> dict[str, Any]:
    """What the form shows of a tariff."""
    found: dict[str, Any] = {
        "name": tariff.name,
        "currency": tariff.currency,
        "tax_included": tariff.tax_included,
        "min_price": tariff.min_price,
        "max_price": tariff.max_price,
    }
    names = {kind: name for name, kind in COMPONENTS.items()}
    for element in tariff.elements:
        for component in element.get("price_components", ()):
            found[names.get(component["type"], "")] = Decimal(component["price"])
            if component.get("vat") is not None:
                found["vat"] = Decimal(component["vat"])
    return found


def is_simple(tariff: Tariff) -> bool:
    """Whether the form can hold the tariff without losing any of it."""
    if len(tariff.elements) != 1 or tariff.elements[0].get("restrictions"):
        return not tariff.elements
    components = tariff.elements[0]["price_components"]
    steps = {component.get("step_size", 1) for component in components}
    return len({component.get("vat") for component in components}) <= 1 and steps <= {1}


class ExampleForm(PortalForm):
    """An example session to try a tariff on."""

    kwh = forms.DecimalField(label=_("Energy (kWh)"), min_value=0, max_value=1000, initial=30)
    charging = forms.IntegerField(label=_("Charging (min)"), min_value=0, max_value=10_000, initial=120)
    parked = forms.IntegerField(label=_("Parked after (min)"), min_value=0, max_value=10_000, initial=30)

"""Forms of commands about what drivers see and pay. Most have pages of their own that do more."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from billing.models import Tariff
from billing.services import tariffs
from stations.models import DisplayPriority, DisplayState
from stations.views.command_form import CommandForm, evse_field


class MessageForm(CommandForm):
    text = forms.CharField(label=_("Text"), max_length=1024, widget=forms.Textarea(attrs={"rows": 2}))
    number = forms.IntegerField(
        label=_("Number"),
        min_value=0,
        max_value=2**31 - 1,
        help_text=_("A message of the same number is replaced."),
    )
    priority = forms.ChoiceField(label=_("Place"), choices=DisplayPriority.choices)
    state = forms.ChoiceField(
        label=_("When"), choices=[("", _("Always")), *DisplayState.choices], required=False
    )

    def arguments(self) -> dict[str, Any]:
        given = super().arguments()
        return given | {"contents": [{"format": "utf8", "text": given.pop("text")}]}


class ListMessagesForm(CommandForm):
    priority = forms.ChoiceField(
        label=_("Place"), choices=[("", _("Any")), *DisplayPriority.choices], required=False
    )
    state = forms.ChoiceField(
        label=_("When"), choices=[("", _("Any")), *DisplayState.choices], required=False
    )


class ClearMessageForm(CommandForm):
    number = forms.IntegerField(
        label=_("Number"), min_value=0, max_value=2**31 - 1, help_text=_("As the station lists it.")
    )


class CostForm(CommandForm):
    transaction_id = forms.CharField(label=_("Transaction"), max_length=36)
    total = forms.DecimalField(label=_("Cost so far"), max_digits=10, decimal_places=2)
    final = forms.BooleanField(label=_("This is the final price"), required=False)

    def arguments(self) -> dict[str, Any]:
        return super().arguments() | {"total": str(self.cleaned_data["total"])}


class PriceForm(CommandForm):
    token_uid = forms.CharField(label=_("Token"), max_length=20)
    text = forms.CharField(label=_("Price in words"), max_length=512)


class TariffForm(CommandForm):
    tariff = forms.ModelChoiceField(label=_("Tariff"), queryset=Tariff.objects.none())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        mine = Tariff.objects.filter(tenant_id=self.station.tenant_id, archived_at=None)
        self.fields["tariff"].queryset = mine  # type: ignore[attr-defined]

    def arguments(self) -> dict[str, Any]:
        return super().arguments() | {"tariff": tariffs.snapshot(self.cleaned_data["tariff"])}


class DefaultTariffForm(TariffForm):
    whole_station = True
    evse = evse_field()


class ChangeTariffForm(TariffForm):
    transaction_id = forms.CharField(label=_("Transaction"), max_length=36)


class TariffsOfForm(CommandForm):
    whole_station = True
    evse = evse_field()


class WebPaymentForm(CommandForm):
    evse = evse_field()
    timeout_seconds = forms.IntegerField(
        label=_("Keep the place for (s)"), min_value=0, max_value=3600, initial=300
    )


class SwapForm(CommandForm):
    token_uid = forms.CharField(label=_("Token"), max_length=36)

"""Forms of commands about the device model."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from stations.models import Session, SessionState
from stations.views.command_form import CommandForm


class ComponentsForm(CommandForm):
    names = forms.CharField(
        label=_("Components"),
        required=False,
        max_length=500,
        help_text=_("Such as EVSE, SmartChargingCtrlr, or EVSE.Power; empty: all that fit the choice below."),
    )
    criteria = forms.MultipleChoiceField(
        label=_("Only those that are"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        choices=[
            ("active", _("active")),
            ("available", _("available")),
            ("enabled", _("enabled")),
            ("problem", _("in trouble")),
        ],
    )

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if not given.get("names") and not given.get("criteria"):
            raise forms.ValidationError(_t("Name components, choose a state, or both."))
        return given

    def arguments(self) -> dict[str, Any]:
        names = [name.strip() for name in self.cleaned_data["names"].split(",") if name.strip()]
        told = {"names": names, "criteria": self.cleaned_data["criteria"]}
        return {name: value for name, value in told.items() if value}


class TransactionStatusForm(CommandForm):
    transaction_id = forms.CharField(
        label=_("Transaction"), max_length=36, required=False,
        help_text=_("Empty: whether any message of a transaction still waits at the station."),
    )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        running = Session.objects.filter(
            tenant_id=self.station.tenant_id, station=self.station, state=SessionState.ACTIVE
        )
        if (session := running.first()) is not None:
            self.fields["transaction_id"].initial = session.transaction_id

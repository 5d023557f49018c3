"""What forms of commands have in common."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from stations.models import Evse, Station
from tenants.pages import PortalForm


class CommandForm(PortalForm):
    """Base: knows the station, turns what was typed into neutral arguments."""

    def __init__(self, *args: Any, station: Station, **kwargs: Any) -> None:
        self.station = station
        super().__init__(*args, **kwargs)
        if isinstance(self.fields.get("evse"), forms.ChoiceField):
            numbers = Evse.objects.filter(tenant_id=station.tenant_id, station=station).values_list(
                "number", flat=True
            )
            choices = [(number, str(number)) for number in numbers]
            if getattr(self, "whole_station", False):
                choices.insert(0, (0, _t("The whole station")))
            self.fields["evse"].choices = choices  # type: ignore[attr-defined]

    def arguments(self) -> dict[str, Any]:
        """What goes to request_command: no empty values, and no EVSE where the whole station is meant."""
        given = {name: value for name, value in self.cleaned_data.items() if value not in ("", None)}
        return {name: value for name, value in given.items() if (name, value) != ("evse", 0)}


class NoForm(CommandForm):
    """For commands without arguments."""


def evse_field() -> forms.TypedChoiceField:
    return forms.TypedChoiceField(label=_("Connector"), coerce=int)

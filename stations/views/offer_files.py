"""Forms of messages that a station tells on demand, and of files that it moves by an address of one's own."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from stations.views.command_form import CommandForm, evse_field

_COMMON = [
    ("status", _("Status of a connector")),
    ("meter_values", _("Meter values")),
    ("heartbeat", _("Heartbeat")),
    ("boot", _("Boot notification")),
    ("firmware", _("State of the firmware update")),
    ("log", _("State of the log upload")),
]
_V2 = [
    ("transaction", _("State of the running session")),
    ("publish_firmware", _("State of publishing firmware")),
    ("sign_certificate", _("Request for a new certificate of the station")),
    ("sign_v2g_certificate", _("Request for a new certificate for Plug & Charge")),
    ("sign_combined_certificate", _("Request for a new certificate for both")),
]
_V21 = [
    ("sign_v2g20_certificate", _("Request for a new certificate for Plug & Charge (ISO 15118-20)")),
    ("custom", _("A message of the maker's own")),
]
_EXTENDED = [("sign_certificate", _("Request for a new certificate of the station"))]


class TriggerForm(CommandForm):
    """TriggerMessage: each version offers all that it knows."""

    whole_station = True
    evse = evse_field()
    message = forms.ChoiceField(label=_("Message"))
    custom = forms.CharField(label=_("The maker's word for it"), required=False, max_length=50)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        latest = self.station.ocpp_version == "2.1"
        more = (_V2 if self.station.is_v2 else []) + (_V21 if latest else [])
        self.fields["message"].choices = [*_COMMON, *more]  # type: ignore[attr-defined]
        if not latest:
            del self.fields["custom"]

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if given.get("message") == "custom" and not given.get("custom"):
            self.add_error("custom", _("Write what to ask for, as the maker names it."))
        return given


class ExtendedTriggerForm(CommandForm):
    """ExtendedTriggerMessage of 1.6's security extension."""

    whole_station = True
    evse = evse_field()
    message = forms.ChoiceField(label=_("Message"), choices=[*_EXTENDED, *_COMMON])

"""Forms of the commands about limits, priority and the grid that have no page of their own."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from stations.models import Session, SessionState
from stations.services.priority import TRANSFERS
from stations.views.command_form import CommandForm
from stations.views.wish import TRANSFER_NAMES


class _OfSession(CommandForm):
    """Begins with the session it is about."""

    transaction_id = forms.ChoiceField(label=_("Session"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        running = Session.objects.filter(
            tenant_id=self.station.tenant_id, station=self.station, state=SessionState.ACTIVE
        ).select_related("evse")
        self.fields["transaction_id"].choices = [  # type: ignore[attr-defined]
            (
                session.transaction_id,
                _t("Connector %(evse)s, session #%(id)s") % {"evse": session.evse.number, "id": session.pk},
            )
            for session in running
        ]


class PriorityForm(_OfSession):
    active = forms.TypedChoiceField(
        label=_("From now on"),
        coerce=lambda text: text == "yes",
        choices=[("yes", _("Charges first")), ("no", _("Charges as the others"))],
    )


class TransferForm(_OfSession):
    transfers = forms.MultipleChoiceField(
        label=_("It may transfer by"),
        choices=[(name, TRANSFER_NAMES[name]) for name in TRANSFERS],
        widget=forms.CheckboxSelectMultiple,
    )


class SignalForm(CommandForm):
    signal = forms.IntegerField(
        label=_("Signal"),
        min_value=-1_000_000,
        max_value=1_000_000,
        help_text=_(
            "As the grid operator sent it. The station turns it into power by the curve of its profile."
        ),
    )

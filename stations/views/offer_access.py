"""Forms of the commands about lists and reservations that no page does better."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from stations.views.command_form import CommandForm


class NumberForm(CommandForm):
    reservation_id = forms.IntegerField(
        label=_("Number of the reservation"), min_value=0, max_value=2_147_483_647,
        help_text=_("As the station knows it: it stands on the reservation's page."),
    )  # fmt: skip

"""Variables as people read them: with meaning, limits, what is pending and what templates want."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from stations import catalogue
from stations.models import DesiredSetting, DriftState, Station, Variable, VariableChange
from stations.services import configuration, quirks
from stations.services.commands import is_secret
from tenants.pages import PortalForm


@dataclass
class Row:
    variable: Variable
    entry: catalogue.Entry | None
    pending: VariableChange | None = None
    wanted: DesiredSetting | None = None

    @property
    def kind(self) -> str:
        return self.variable.data_type or (self.entry.kind if self.entry else "")

    @property
    def unit(self) -> str:
        return self.variable.unit or (self.entry.unit if self.entry else "")

    @property
    def help(self) -> str:
        return str(self.entry.help) if self.entry else ""

    @property
    def least(self) -> float | None:
        told = self.variable.min_limit
        return told if told is not None or self.variable.data_type or not self.entry else self.entry.least

    @property
    def most(self) -> float | None:
        told = self.variable.max_limit
        return told if told is not None or self.variable.data_type or not self.entry else self.entry.most

    @property
    def options(self) -> list[str]:
        if self.variable.values_list:
            return catalogue.members(self.variable.values_list)
        return catalogue.members(self.entry.options) if self.entry and not self.variable.data_type else []

    @property
    def writable(self) -> bool:
        return self.variable.mutability != catalogue.RO and self.variable.gone_at is None

    @property
    def secret(self) -> bool:
        return is_secret(self.variable.name)

    @property
    def reset(self) -> bool:
        """Whether a change counts after a reset, as a rule."""
        return bool(self.entry and self.entry.reset)

    @property
    def differs(self) -> bool:
        return self.wanted is not None and self.wanted.state not in (DriftState.IN_LINE, DriftState.UNKNOWN)


def rows(station: Station, variables: Iterable[Variable]) -> list[Row]:
    pending: dict[Any, VariableChange] = {}
    for change in configuration.open_changes(station):
        pending.setdefault(change.key, change)
    wanted = {
        row.key: row for row in DesiredSetting.objects.filter(tenant_id=station.tenant_id, station=station)
    }
    own = quirks.of(station).keys
    return [
        Row(
            variable,
            (own.get(variable.name.lower()) if not variable.component else None)
            or catalogue.find(variable.component, variable.name, variable.instance),
            pending.get(variable.key),
            wanted.get(variable.key),
        )
        for variable in variables
    ]


class ValueForm(PortalForm):
    """The right input for a setting's type and limits."""

    def __init__(self, *args: Any, row: Row, **kwargs: Any) -> None:
        self.row = row
        super().__init__(*args, **kwargs)
        self.fields["value"] = _field(row)
        widget = self.fields["value"].widget
        if not isinstance(widget, forms.CheckboxSelectMultiple):
            widget.attrs["class"] = "form-select" if isinstance(widget, forms.Select) else "form-control"

    @property
    def text(self) -> str:
        value = self.cleaned_data["value"]
        return ",".join(value) if isinstance(value, list) else str(value)


def initial(row: Row) -> Any:
    value = row.pending.after if row.pending else row.variable.value
    if row.secret or value is None:
        return ""
    if row.kind == "boolean":
        return value.strip().lower()
    return catalogue.members(value) if row.kind == "MemberList" and row.options else value


def _choices(row: Row, present: Sequence[str]) -> list[tuple[str, str]]:
    return [(option, option) for option in dict.fromkeys([*row.options, *present])]


def _field(row: Row) -> forms.Field:
    label = _("New value")
    value = row.variable.value or ""
    if row.kind == "boolean":
        return forms.ChoiceField(label=label, choices=[("true", _("true: yes")), ("false", _("false: no"))])
    if row.kind == "OptionList" and row.options:
        return forms.ChoiceField(label=label, choices=_choices(row, [value] if value else []))
    if row.kind == "MemberList" and row.options:
        return forms.MultipleChoiceField(
            label=label, choices=_choices(row, catalogue.members(value)), required=False,
            widget=forms.CheckboxSelectMultiple,
        )  # fmt: skip
    if row.kind in ("integer", "decimal"):
        step = "1" if row.kind == "integer" else "any"
        bounds = {"min": row.least, "max": row.most}
        attrs = {"step": step} | {name: f"{bound:g}" for name, bound in bounds.items() if bound is not None}
        return forms.CharField(label=label, max_length=40, widget=forms.NumberInput(attrs=attrs))
    hint = _t("In their order, separated by commas.") if row.kind == "SequenceList" else ""
    if row.secret:
        hint = _t("It is sent and kept nowhere.")
        return forms.CharField(label=label, max_length=2500, help_text=hint, widget=forms.PasswordInput)
    if len(value) > 120:
        return forms.CharField(
            label=label,
            max_length=2500,
            required=False,
            help_text=hint,
            widget=forms.Textarea(attrs={"rows": 4}),
        )
    return forms.CharField(label=label, max_length=2500, required=False, help_text=hint)

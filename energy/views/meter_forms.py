"""Forms of a meter, one for each source. Single values stand one a line, as energy.feeds reads and writes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from energy.feeds import modbus, mqtt, registers, values
from energy.feeds.templates import Template
from energy.models import GridConnection, GridNode, MeterKind, MeterSource, SiteMeter
from energy.services.meters import MOST_MAXIMUM_A
from stations.models import Station
from tenants.errors import DomainError, Invalid
from tenants.pages import PortalForm

KEPT = "\u2022" * 8  # stands for a password that is kept


class MeterForm(PortalForm):
    """What every meter has. A meter that sends by itself has no more."""

    own: tuple[str, ...] = ()  # fields that are settings of the source
    name = forms.CharField(label=_("Name"), max_length=80)
    kind = forms.ChoiceField(
        label=_("What it measures"), choices=MeterKind.choices, initial=MeterKind.BUILDING
    )
    node = forms.TypedChoiceField(
        label=_("Where it stands"), coerce=int, required=False, empty_value=None,
        help_text=_("The part of the tree whose load it measures."),
    )  # fmt: skip
    maximum_a = forms.FloatField(
        label=_("Most that it may show (A per line)"), min_value=0, max_value=MOST_MAXIMUM_A, required=False,
        localize=False, help_text=_("Counted while it is silent or frozen. Empty: the maximum of the building."),
    )  # fmt: skip

    def __init__(
        self, *args: Any, connection: GridConnection | None, meter: SiteMeter | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        nodes = GridNode.objects.filter(connection=connection) if connection else GridNode.objects.none()
        listed = [("", _t("At the grid connection"))] + [
            (node.pk, node.name) for node in nodes if node.parent_id is not None
        ]
        self.fields["node"].choices = listed  # type: ignore[attr-defined]
        if meter is not None:
            self.fields["enabled"] = forms.BooleanField(label=_("Switched on"), required=False)

    def settings(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in self.own}

    def secret(self) -> str | None:
        """None: as it is."""
        return None

    def refused(self, error: DomainError) -> None:
        if isinstance(error, Invalid):
            named = {"secret": "password"}
            error.fields = {
                named.get(name, name.removeprefix("settings.")): text for name, text in error.fields.items()
            }
        super().refused(error)


def _lines(text: str, read: Callable[[str], dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                found.append(read(line))
            except values.BadValue as bad:
                raise forms.ValidationError(
                    _t("Line %(number)s: %(why)s") % {"number": number, "why": bad}
                ) from None
    return found


class _Values(MeterForm):
    host = forms.CharField(label=_("Name or IP address"), max_length=253)
    port = forms.IntegerField(label=_("Port"), min_value=1, max_value=65_535)
    values = forms.CharField(
        label=_("Values"), max_length=4000, widget=forms.Textarea(attrs={"rows": 7, "class": "mono"})
    )


class MqttForm(_Values):
    own = ("host", "port", "tls", "username", "values", "at")
    tls = forms.BooleanField(label=_("TLS"), required=False)
    username = forms.CharField(label=_("User name"), max_length=200, required=False)
    password = forms.CharField(
        label=_("Password"), max_length=200, required=False, strip=False,
        widget=forms.PasswordInput(render_value=True, attrs={"autocomplete": "off"}),
    )  # fmt: skip
    at = forms.CharField(
        label=_("Path of the time"), max_length=120, required=False,
        help_text=_("Of the measurement, in the message's JSON. Empty: the time of receipt counts."),
    )  # fmt: skip
    field_order = (
        "name",
        "kind",
        "node",
        "maximum_a",
        "host",
        "port",
        "tls",
        "username",
        "password",
        "values",
        "at",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["host"].label = _("Broker")
        self.fields["values"].help_text = _(
            "One a line: amps or watts, L1, L2, L3 or total, the topic, and the path in its JSON if it is JSON. "
            "At the end *1000 makes watts of kilowatts, *-1 turns the direction."
        )

    def clean_values(self) -> list[dict[str, Any]]:
        return _lines(self.cleaned_data["values"], mqtt.read_line)

    def secret(self) -> str | None:
        told = str(self.cleaned_data["password"])
        return None if told == KEPT else told


class ModbusForm(_Values):
    own = ("host", "port", "unit_id", "every_s", "values")
    unit_id = forms.IntegerField(label=_("Unit"), min_value=0, max_value=255)
    every_s = forms.FloatField(
        label=_("Asked every (s)"), min_value=modbus.LEAST_S, max_value=modbus.MOST_S, localize=False
    )
    field_order = ("name", "kind", "node", "maximum_a", "host", "port", "unit_id", "every_s", "values")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["values"].help_text = _(
            "One a line: amps or watts, L1, L2, L3 or total, input or holding, the address from 0, u16, i16, u32, i32 "
            "or float32; then little if the low word comes first, and *0.1 as the scale."
        )

    def clean_values(self) -> list[dict[str, Any]]:
        return _lines(self.cleaned_data["values"], registers.read_line)


class OcppForm(MeterForm):
    own = ("station_id", "evse_number")
    station_id = forms.TypedChoiceField(label=_("Station"), coerce=int)
    evse_number = forms.IntegerField(
        label=_("EVSE"), min_value=0, max_value=999, help_text=_("0: the station's main meter."), initial=0
    )

    def __init__(self, *args: Any, connection: GridConnection | None, **kwargs: Any) -> None:
        super().__init__(*args, connection=connection, **kwargs)
        stations = Station.objects.none()
        if connection is not None:
            stations = Station.objects.filter(
                tenant_id=connection.tenant_id, site_id=connection.site_id, archived_at=None
            )
        self.fields["station_id"].choices = [(one.pk, str(one)) for one in stations]  # type: ignore[attr-defined]


FORMS: dict[str, type[MeterForm]] = {
    MeterSource.REST: MeterForm,
    MeterSource.MQTT: MqttForm,
    MeterSource.MODBUS: ModbusForm,
    MeterSource.OCPP: OcppForm,
}
_WRITE: dict[str, Callable[[Mapping[str, Any]], str]] = {
    MeterSource.MQTT: mqtt.write_line,
    MeterSource.MODBUS: registers.write_line,
}
_DEFAULTS: dict[str, dict[str, Any]] = {
    MeterSource.MQTT: mqtt.DEFAULTS,
    MeterSource.MODBUS: modbus.DEFAULTS,
}


def of_new(source: str, template: Template | None) -> dict[str, Any]:
    """What a form begins with."""
    found = dict(_DEFAULTS.get(source, {}))
    if template is not None and template.source == source:
        found |= {**template.settings, "values": template.values}
    return found


def of_meter(meter: SiteMeter) -> dict[str, Any]:
    """What is entered. A password is never shown."""
    found = {
        "name": meter.name, "kind": meter.kind, "node": meter.node_id, "maximum_a": meter.maximum_a,
        "enabled": meter.enabled, "password": KEPT if meter.secret else "",
    } | meter.settings  # fmt: skip
    if meter.source in _WRITE:
        found["values"] = "\n".join(_WRITE[meter.source](value) for value in meter.settings.get("values", ()))
    return found

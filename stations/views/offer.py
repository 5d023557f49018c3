"""What can be asked of a station, as forms: each says in words what it does, the dangerous ones what they cost now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from stations.models import (
    ONLY_IN,
    CommandKind,
    Connector,
    ConnectorStatus,
    Session,
    SessionState,
    Station,
)
from stations.services.commands import NEEDS
from stations.views import offer_driver
from stations.views.command_form import CommandForm, NoForm, evse_field
from stations.views.offer_access import NumberForm
from stations.views.offer_configuration import ComponentsForm, TransactionStatusForm
from stations.views.offer_files import ExtendedTriggerForm, TriggerForm
from stations.views.offer_power import PriorityForm, SignalForm, TransferForm
from stations.views.offer_security import DeleteForm, HandOverForm, InstallForm, ListForm
from tenants.permissions import Actor, Permission


class StartForm(CommandForm):
    evse = evse_field()
    token_uid = forms.CharField(
        label=_("Token"),
        max_length=36,
        help_text=_("UID of the card that the session is charged to, such as 04A2B6C9."),
    )

    limit_a = forms.FloatField(
        label=_("Limit (A per phase)"),
        required=False,
        min_value=0,
        max_value=1000,
        help_text=_("For this session alone, from its start."),
    )
    most_kwh = forms.FloatField(
        label=_("At most (kWh)"),
        required=False,
        min_value=0.1,
        max_value=1000,
        help_text=_("The session ends when it has taken so much."),
    )
    most_minutes = forms.IntegerField(
        label=_("At most (min)"), required=False, min_value=1, max_value=100_000
    )

    def arguments(self) -> dict[str, Any]:
        given = super().arguments()
        kwh, minutes = given.pop("most_kwh", None), given.pop("most_minutes", None)
        most = {"energy_wh": kwh and round(kwh * 1000), "seconds": minutes and minutes * 60}
        if bound := {name: value for name, value in most.items() if value}:
            given["limit"] = bound
        limit = given.pop("limit_a", None)
        if limit is not None:
            given["charging_profile"] = {
                "evse": given["evse"],
                "purpose": "transaction",
                "kind": "relative",
                "unit": "A",
                "stack_level": 2,
                "periods": [{"start_s": 0, "limit": limit}],
            }
        return given


class StopForm(CommandForm):
    transaction_id = forms.ChoiceField(label=_("Session"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        running = list(running_sessions(self.station).select_related("evse"))
        if running:
            self.fields["transaction_id"].choices = [  # type: ignore[attr-defined]
                (session.transaction_id, self._choice(session)) for session in running
            ]
            return
        # What the station knows counts, not what we believe: it can be asked to stop what is unknown here.
        self.fields["transaction_id"] = forms.CharField(
            label=_t("Transaction"),
            max_length=64,
            help_text=_t(
                "No session runs here as far as is known. The station may know another; write its number."
            ),
            widget=forms.TextInput(attrs={"class": "form-control"}),
        )

    @staticmethod
    def _choice(session: Session) -> str:
        return _t("Connector %(evse)s, session #%(id)s") % {"evse": session.evse.number, "id": session.pk}


class UnlockForm(CommandForm):
    evse = evse_field()

    def arguments(self) -> dict[str, Any]:
        return {"evse": self.cleaned_data["evse"], "connector": 1}


class AvailabilityForm(CommandForm):
    whole_station = True
    evse = evse_field()
    operative = forms.TypedChoiceField(
        label=_("From now on"),
        coerce=lambda text: text == "yes",
        choices=[("yes", _("In service")), ("no", _("Out of service"))],
    )


class ResetForm(CommandForm):
    hard = forms.ChoiceField(
        label=_("How"),
        choices=[
            ("no", _("When it is idle: lets cars finish where the station can")),
            ("yes", _("At once: cuts charging")),
            ("resume", _("At once, and sessions go on after it")),
        ],
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.station.ocpp_version != "2.1":
            field = self.fields["hard"]
            field.choices = list(field.choices)[:2]  # type: ignore[attr-defined]

    def arguments(self) -> dict[str, Any]:
        how = self.cleaned_data["hard"]
        return {"hard": how != "no"} | ({"resume": True} if how == "resume" else {})


class ReadForm(CommandForm):
    names = forms.CharField(
        label=_("Only these keys"),
        required=False,
        help_text=_("Separated by commas. Empty: all of them."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.station.is_v2:
            self.fields["names"].required = True
            self.fields["names"].label = _t("Variables")
            self.fields["names"].help_text = _t(
                "Such as OCPPCommCtrlr.HeartbeatInterval, separated by commas."
            )

    def arguments(self) -> dict[str, Any]:
        names = [name.strip() for name in self.cleaned_data["names"].split(",") if name.strip()]
        return {"names": names} if names else {}


class WriteForm(CommandForm):
    component = forms.CharField(label=_("Component"), required=False, max_length=80)
    name = forms.CharField(label=_("Setting"), max_length=80)
    value = forms.CharField(label=_("Value"), max_length=2500, required=False)
    component_instance = forms.CharField(required=False, max_length=80, widget=forms.HiddenInput)
    instance = forms.CharField(required=False, max_length=80, widget=forms.HiddenInput)
    evse = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.station.is_v2:
            self.fields["component"].widget = forms.HiddenInput()

    def arguments(self) -> dict[str, Any]:
        return super().arguments() | {"value": self.cleaned_data["value"]}


class VendorForm(CommandForm):
    vendor_id = forms.CharField(label=_("Vendor"), max_length=255)
    message_id = forms.CharField(label=_("Message"), max_length=50, required=False)
    content = forms.CharField(label=_("Data"), required=False, widget=forms.Textarea(attrs={"rows": 3}))

    def arguments(self) -> dict[str, Any]:
        given = super().arguments()
        return {"data" if name == "content" else name: value for name, value in given.items()}


@dataclass(frozen=True)
class Offer:
    """A command as the portal offers it."""

    kind: str
    form: type[CommandForm]
    icon: str
    does: Any
    danger: bool = False
    group: str = "control"  # a name in GROUPS
    page: str = ""  # name of the page that does it better than a form: a link leads there


# The parts of the commands page, in their order.
GROUPS: dict[str, Any] = {
    "control": _("Control"),
    "diagnose": _("Diagnose"),
    "configure": _("Configure"),
    "charging": _("Charging profiles and limits"),
    "access": _("Cards, lists and reservations"),
    "firmware": _("Firmware"),
    "security": _("Security and certificates"),
    "driver": _("Display, prices and payment"),
    "vendor": _("Vendor"),
}

OFFERS: dict[str, Offer] = {
    offer.kind: offer
    for offer in (
        Offer(
            CommandKind.START, StartForm, "player-play", _("Starts charging without a card at the station.")
        ),
        Offer(CommandKind.STOP, StopForm, "player-stop", _("Ends a running session; the car can leave.")),
        Offer(CommandKind.UNLOCK, UnlockForm, "lock-open", _("Frees a plug that is stuck.")),
        Offer(
            CommandKind.TRIGGER,
            TriggerForm,
            "message-2",
            _("The station tells now what it would tell later."),
            group="diagnose",
        ),
        Offer(
            CommandKind.EXTENDED_TRIGGER,
            ExtendedTriggerForm,
            "message-2",
            _("The same for stations with the security extension, and for a new certificate."),
            group="diagnose",
        ),
        Offer(
            CommandKind.FETCH_DIAGNOSTICS,
            NoForm,
            "file-text",
            _("The station uploads what it logged. It is kept under Health, Logs and firmware."),
            group="diagnose",
            page="station-files",
        ),
        Offer(
            CommandKind.FETCH_LOG,
            NoForm,
            "file-text",
            _("Diagnostics or security log of a span of time, kept under Health, Logs and firmware."),
            group="diagnose",
            page="station-files",
        ),
        Offer(
            CommandKind.UPDATE_FIRMWARE,
            NoForm,
            "cpu",
            _("Installs a stored image as soon as nobody charges."),
            group="firmware",
            page="station-files",
        ),
        Offer(
            CommandKind.UPDATE_SIGNED_FIRMWARE,
            NoForm,
            "shield-check",
            _("The same with the maker's signature, which the station checks."),
            group="firmware",
            page="station-files",
        ),
        Offer(
            CommandKind.PUBLISH_FIRMWARE,
            NoForm,
            "upload",
            _("A local controller offers an image to the stations behind it. Choose the image first."),
            group="firmware",
            page="station-publish",
        ),
        Offer(
            CommandKind.UNPUBLISH_FIRMWARE,
            NoForm,
            "ban",
            _("The local controller offers it no longer. Choose the image first."),
            group="firmware",
            page="station-publish",
        ),
        Offer(
            CommandKind.READ_CONFIGURATION,
            ReadForm,
            "list-details",
            _("Fetches the settings into the configuration tab."),
        ),
        Offer(CommandKind.READ_REPORT, NoForm, "list-details", _("Fetches the whole device model.")),
        Offer(CommandKind.WRITE_CONFIGURATION, WriteForm, "edit", _("Changes one setting of the station.")),
        Offer(CommandKind.DATA_TRANSFER, VendorForm, "send", _("A message in the vendor's own words.")),
        Offer(
            CommandKind.SHOW_MESSAGE,
            offer_driver.MessageForm,
            "device-tv",
            _("A text on the display. Under Displays it goes to many stations at once."),
            group="driver",
        ),
        Offer(
            CommandKind.READ_MESSAGES,
            offer_driver.ListMessagesForm,
            "list-details",
            _("The station tells what its display shows; it then stands under Drivers, Display and price."),
            group="driver",
        ),
        Offer(
            CommandKind.CLEAR_MESSAGE,
            offer_driver.ClearMessageForm,
            "eraser",
            _("Takes one message off the display."),
            group="driver",
        ),
        Offer(
            CommandKind.TELL_COST,
            offer_driver.CostForm,
            "coin",
            _("Shows the driver what the session costs. By itself it is told about every minute."),
            group="driver",
        ),
        Offer(
            CommandKind.TELL_PRICE,
            offer_driver.PriceForm,
            "receipt",
            _("Shows the holder of a card the price in words."),
            group="driver",
        ),
        Offer(
            CommandKind.SET_TARIFF,
            offer_driver.DefaultTariffForm,
            "receipt",
            _("The station shows this tariff and reckons with it."),
            group="driver",
        ),
        Offer(
            CommandKind.READ_TARIFFS,
            offer_driver.TariffsOfForm,
            "list-details",
            _("The station tells which tariffs it has."),
            group="driver",
        ),
        Offer(
            CommandKind.CLEAR_TARIFFS,
            offer_driver.TariffsOfForm,
            "eraser",
            _("The station forgets its tariffs; within a minute it gets the one that counts."),
            True,
            group="driver",
        ),
        Offer(
            CommandKind.CHANGE_TARIFF,
            offer_driver.ChangeTariffForm,
            "receipt",
            _("Another price for a session that runs. It is billed by it from its start."),
            True,
            group="driver",
        ),
        Offer(
            CommandKind.WEB_PAYMENT,
            offer_driver.WebPaymentForm,
            "credit-card",
            _("The station keeps the place while a driver pays on the phone."),
            group="driver",
        ),
        Offer(
            CommandKind.SWAP_BATTERY,
            offer_driver.SwapForm,
            "replace",
            _("The station opens a slot for a driver's empty battery."),
            group="driver",
        ),
        Offer(
            CommandKind.RESERVE,
            NoForm,
            "bookmark",
            _("Keeps a connector for one card. The access tab shows who has what, and when."),
            group="access",
            page="station-access",
        ),
        Offer(
            CommandKind.CANCEL_RESERVATION,
            NumberForm,
            "ban",
            _("Frees a reservation by its number, were it one that is unknown here."),
            group="access",
        ),
        Offer(
            CommandKind.SEND_LIST,
            NoForm,
            "list-check",
            _("The cards that the station lets charge while it is offline, kept in step by the access tab."),
            group="access",
            page="station-access",
        ),
        Offer(
            CommandKind.READ_LIST_VERSION,
            NoForm,
            "help-circle",
            _("Compares the station's own list with the one that it should have."),
            group="access",
        ),
        Offer(
            CommandKind.SET_PROFILE,
            NoForm,
            "gauge",
            _("Limits a connector or the station, now or daily."),
            group="charging",
            page="station-limits",
        ),
        Offer(
            CommandKind.CLEAR_PROFILE,
            NoForm,
            "eraser",
            _("Takes limits out of the station."),
            group="charging",
            page="station-limits",
        ),
        Offer(
            CommandKind.READ_COMPOSITE,
            NoForm,
            "chart-line",
            _("The station says what it keeps to; differences show."),
            group="charging",
            page="station-limits",
        ),
        Offer(
            CommandKind.READ_PROFILES,
            NoForm,
            "list-details",
            _("The station tells which profiles it holds."),
            group="charging",
            page="station-limits",
        ),
        Offer(
            CommandKind.UPDATE_DYNAMIC,
            NoForm,
            "adjustments-horizontal",
            _("A limit that follows a number, while a session runs."),
            group="charging",
            page="station-limits",
        ),
        Offer(
            CommandKind.USE_PRIORITY,
            PriorityForm,
            "arrow-big-up-line",
            _("A session charges first."),
            group="charging",
        ),
        Offer(
            CommandKind.ALLOW_TRANSFER,
            TransferForm,
            "arrows-exchange",
            _("How a session may transfer energy, such as back to the grid."),
            group="charging",
        ),
        Offer(
            CommandKind.AFRR_SIGNAL,
            SignalForm,
            "activity",
            _("Passes on the grid operator's signal for frequency restoration."),
            group="charging",
        ),
        Offer(
            CommandKind.SET_DER,
            NoForm,
            "wave-sine",
            _("What the station does for voltage and frequency of the grid."),
            group="charging",
            page="station-der",
        ),
        Offer(
            CommandKind.READ_DER,
            NoForm,
            "list-details",
            _("The station tells which grid controls it holds."),
            group="charging",
            page="station-der",
        ),
        Offer(
            CommandKind.CLEAR_DER,
            NoForm,
            "eraser",
            _("Takes grid controls out of the station."),
            group="charging",
            page="station-der",
        ),
        Offer(
            CommandKind.CLEAR_CACHE,
            NoForm,
            "eraser",
            _("The station forgets which cards it has seen; it asks again."),
            True,
            group="access",
        ),
        Offer(
            CommandKind.SET_AVAILABILITY,
            AvailabilityForm,
            "ban",
            _("Takes connectors out of service, or back in."),
            True,
        ),
        Offer(
            CommandKind.RESET,
            ResetForm,
            "refresh-alert",
            _("Restarts the station. It is offline for some minutes."),
            True,
        ),
        Offer(
            CommandKind.READ_COMPONENTS,
            ComponentsForm,
            "list-search",
            _("Fetches a part of the device model, such as what is in trouble."),
            group="configure",
        ),
        Offer(
            CommandKind.SET_MONITORS,
            NoForm,
            "activity-heartbeat",
            _("The station watches a variable and tells when it leaves its bounds."),
            group="diagnose",
            page="station-monitor-new",
        ),
        Offer(
            CommandKind.CLEAR_MONITORS,
            NoForm,
            "trash",
            _("The station no longer watches a variable."),
            group="diagnose",
            page="station-monitoring",
        ),
        Offer(
            CommandKind.READ_MONITORS,
            NoForm,
            "list-details",
            _("Fetches what the station watches."),
            group="diagnose",
        ),
        Offer(
            CommandKind.SET_MONITORING_BASE,
            NoForm,
            "stack-2",
            _("Which set of monitors is in use."),
            group="diagnose",
            page="station-monitoring",
        ),
        Offer(
            CommandKind.SET_MONITORING_LEVEL,
            NoForm,
            "filter",
            _("How grave an event must be to be told."),
            group="diagnose",
            page="station-monitoring",
        ),
        Offer(
            CommandKind.READ_STREAMS,
            NoForm,
            "wave-sine",
            _("Fetches which event streams the station has open."),
            group="diagnose",
        ),
        Offer(
            CommandKind.ADJUST_STREAM,
            NoForm,
            "adjustments",
            _("How often a stream sends its values."),
            group="diagnose",
            page="station-monitoring",
        ),
        Offer(
            CommandKind.TRANSACTION_STATUS,
            TransactionStatusForm,
            "progress-help",
            _(
                "The station says whether a transaction runs, and whether it still has something to tell of it."
            ),
            group="diagnose",
        ),
        Offer(
            CommandKind.SET_NETWORK_PROFILE,
            NoForm,
            "network",
            _("Where and how the station connects, and in which order it tries."),
            group="configure",
            page="station-network",
        ),
        Offer(
            CommandKind.CUSTOMER_INFORMATION,
            NoForm,
            "user-shield",
            _("What the station keeps of a customer: told, deleted, or both."),
            group="access",
            page="station-customers",
        ),
        Offer(
            CommandKind.READ_CERTIFICATES,
            ListForm,
            "certificate",
            _("The station tells which certificates it holds."),
            group="security",
        ),
        Offer(
            CommandKind.INSTALL_CERTIFICATE,
            InstallForm,
            "certificate",
            _("The station trusts this root from then on."),
            group="security",
        ),
        Offer(
            CommandKind.SEND_CERTIFICATE,
            HandOverForm,
            "certificate-2",
            _("Gives the station its own certificate, signed."),
            group="security",
        ),
        Offer(
            CommandKind.DELETE_CERTIFICATE,
            DeleteForm,
            "certificate-off",
            _("The station no longer trusts it."),
            True,
            group="security",
        ),
    )
}


def permitted(actor: Actor, station: Station) -> list[Offer]:
    """Commands that this reader may send to this station."""
    return [
        offer
        for offer in OFFERS.values()
        if actor.may(NEEDS.get(CommandKind(offer.kind), Permission.STATION_COMMAND), site_id=station.site_id)
        and (
            not station.ocpp_version
            or station.ocpp_version in ONLY_IN.get(offer.kind, (station.ocpp_version,))
        )
    ]


def quick_commands(actor: Actor, station: Station) -> list[Offer]:
    """The commands at hand on the live page; a running session has its own stop button."""
    wanted = (CommandKind.START, CommandKind.UNLOCK, CommandKind.RESET)
    return [offer for offer in permitted(actor, station) if offer.kind in wanted]


def running_sessions(station: Station) -> Any:
    return Session.objects.filter(tenant_id=station.tenant_id, station=station, state=SessionState.ACTIVE)


def consequence(kind: str, station: Station) -> str:
    """What a dangerous command does right now, in numbers; empty for harmless ones."""
    running = running_sessions(station).count()
    if kind == CommandKind.RESET:
        if not running:
            return _t("Nobody charges here now, so a reset ends no session.")
        if station.is_v2:  # B12
            return ngettext(
                "At once, it ends %(count)s running session; when it is idle, it waits until that is over.",
                "At once, it ends %(count)s running sessions; when it is idle, it waits until they are over.",
                running,
            ) % {"count": running}
        return ngettext(
            "A reset now ends %(count)s running session.",
            "A reset now ends %(count)s running sessions.",
            running,
        ) % {"count": running}
    if kind == CommandKind.SET_AVAILABILITY:
        connectors = Connector.objects.filter(tenant_id=station.tenant_id, evse__station=station)
        free = connectors.filter(status=ConnectorStatus.AVAILABLE).count()
        return ngettext(
            "Out of service, drivers lose %(count)s connector that is free now; running sessions go on to their end.",
            "Out of service, drivers lose %(count)s connectors that are free now; running sessions go on to their end.",
            free,
        ) % {"count": free}
    if kind == CommandKind.CLEAR_CACHE:
        return _t("Until a card is known again, the station must be online to accept it.")
    if kind == CommandKind.DELETE_CERTIFICATE:
        return _t("A station that no longer trusts this system's root cannot connect by TLS any more.")
    return ""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from stations.models.station import Station
from tenants.fields import TenantForeignKey
from tenants.models import TenantModel


class CommandKind(models.TextChoices):
    """What can be asked of a station, in neutral words; a version's table SAYS it on the wire."""

    RESET = "reset", _("Reset")
    START = "start", _("Start charging")
    STOP = "stop", _("Stop charging")
    UNLOCK = "unlock", _("Unlock connector")
    SET_AVAILABILITY = "set_availability", _("Change availability")
    READ_CONFIGURATION = "read_configuration", _("Read configuration")
    READ_REPORT = "read_report", _("Read the device model")
    WRITE_CONFIGURATION = "write_configuration", _("Change configuration")
    TRIGGER = "trigger", _("Ask for a message")
    CLEAR_CACHE = "clear_cache", _("Clear the authorisation cache")
    DATA_TRANSFER = "data_transfer", _("Vendor message")
    EXTENDED_TRIGGER = "extended_trigger", _("Ask for a message (security extension)")
    FETCH_DIAGNOSTICS = "fetch_diagnostics", _("Upload diagnostics")
    FETCH_LOG = "fetch_log", _("Upload a log")
    UPDATE_FIRMWARE = "update_firmware", _("Update firmware")
    UPDATE_SIGNED_FIRMWARE = "update_signed_firmware", _("Update signed firmware")
    PUBLISH_FIRMWARE = "publish_firmware", _("Publish firmware")
    UNPUBLISH_FIRMWARE = "unpublish_firmware", _("Withdraw published firmware")
    SHOW_MESSAGE = "show_message", _("Show a message")
    READ_MESSAGES = "read_messages", _("List messages on the display")
    CLEAR_MESSAGE = "clear_message", _("Take a message off")
    TELL_COST = "tell_cost", _("Show the cost")
    TELL_PRICE = "tell_price", _("Show the driver's price")
    SET_TARIFF = "set_tariff", _("Install the default tariff")
    READ_TARIFFS = "read_tariffs", _("List tariffs on the station")
    CLEAR_TARIFFS = "clear_tariffs", _("Take tariffs off")
    CHANGE_TARIFF = "change_tariff", _("Change a session's tariff")
    WEB_PAYMENT = "web_payment", _("Tell that a web payment began")
    SWAP_BATTERY = "swap_battery", _("Start a battery swap")
    SET_PROFILE = "set_charging_profile", _("Set a charging profile")
    CLEAR_PROFILE = "clear_charging_profile", _("Clear charging profiles")
    READ_PROFILES = "read_charging_profiles", _("Read charging profiles")
    READ_COMPOSITE = "read_composite_schedule", _("Ask what limits hold")
    UPDATE_DYNAMIC = "update_dynamic_schedule", _("Change a dynamic limit")
    USE_PRIORITY = "use_priority_charging", _("Priority charging")
    ALLOW_TRANSFER = "allow_energy_transfer", _("Allow ways of energy transfer")
    AFRR_SIGNAL = "afrr_signal", _("Frequency restoration signal")
    SET_DER = "set_der_control", _("Set a grid control")
    READ_DER = "read_der_controls", _("Read grid controls")
    CLEAR_DER = "clear_der_control", _("Clear grid controls")
    # The device model, monitors, customers' data and network of 2.x
    READ_COMPONENTS = "read_components", _("Read a part of the device model")
    SET_MONITORS = "set_monitors", _("Set monitors")
    CLEAR_MONITORS = "clear_monitors", _("Remove monitors")
    READ_MONITORS = "read_monitors", _("Read the monitors")
    SET_MONITORING_BASE = "set_monitoring_base", _("Choose the set of monitors")
    SET_MONITORING_LEVEL = "set_monitoring_level", _("Choose what is worth an event")
    CUSTOMER_INFORMATION = "customer_information", _("Data kept of a customer")
    SET_NETWORK_PROFILE = "set_network_profile", _("Set a network profile")
    ADJUST_STREAM = "adjust_stream", _("Change an event stream")
    READ_STREAMS = "read_streams", _("Read the event streams")
    TRANSACTION_STATUS = "transaction_status", _("Ask whether a transaction still runs")
    SEND_LIST = "send_local_list", _("Send the local list")
    READ_LIST_VERSION = "read_list_version", _("Ask for the local list's version")
    RESERVE = "reserve", _("Reserve")
    CANCEL_RESERVATION = "cancel_reservation", _("Cancel a reservation")
    INSTALL_CERTIFICATE = "install_certificate", _("Install a root certificate")
    DELETE_CERTIFICATE = "delete_certificate", _("Delete a certificate")
    READ_CERTIFICATES = "read_certificates", _("List installed certificates")
    SEND_CERTIFICATE = "send_certificate", _("Hand over a signed certificate")


# Kinds that not every version can say, with those that can; tests hold it against the versions' tables.
ONLY_IN: dict[str, tuple[str, ...]] = {
    CommandKind.READ_REPORT: ("2.0.1", "2.1"),
    CommandKind.EXTENDED_TRIGGER: ("1.6",),
    CommandKind.FETCH_DIAGNOSTICS: ("1.6",),
    CommandKind.UPDATE_SIGNED_FIRMWARE: ("1.6",),
    CommandKind.PUBLISH_FIRMWARE: ("2.0.1", "2.1"),
    CommandKind.UNPUBLISH_FIRMWARE: ("2.0.1", "2.1"),
    CommandKind.SHOW_MESSAGE: ("2.0.1", "2.1"),
    CommandKind.READ_MESSAGES: ("2.0.1", "2.1"),
    CommandKind.CLEAR_MESSAGE: ("2.0.1", "2.1"),
    CommandKind.TELL_PRICE: ("1.6",),
    CommandKind.SET_TARIFF: ("2.1",),
    CommandKind.READ_TARIFFS: ("2.1",),
    CommandKind.CLEAR_TARIFFS: ("2.1",),
    CommandKind.CHANGE_TARIFF: ("2.1",),
    CommandKind.WEB_PAYMENT: ("2.1",),
    CommandKind.SWAP_BATTERY: ("2.1",),
    CommandKind.READ_PROFILES: ("2.0.1", "2.1"),
    CommandKind.UPDATE_DYNAMIC: ("2.1",),
    CommandKind.USE_PRIORITY: ("2.1",),
    CommandKind.ALLOW_TRANSFER: ("2.1",),
    CommandKind.AFRR_SIGNAL: ("2.1",),
    CommandKind.SET_DER: ("2.1",),
    CommandKind.READ_DER: ("2.1",),
    CommandKind.CLEAR_DER: ("2.1",),
    CommandKind.READ_COMPONENTS: ("2.0.1", "2.1"),
    CommandKind.SET_MONITORS: ("2.0.1", "2.1"),
    CommandKind.CLEAR_MONITORS: ("2.0.1", "2.1"),
    CommandKind.READ_MONITORS: ("2.0.1", "2.1"),
    CommandKind.SET_MONITORING_BASE: ("2.0.1", "2.1"),
    CommandKind.SET_MONITORING_LEVEL: ("2.0.1", "2.1"),
    CommandKind.CUSTOMER_INFORMATION: ("2.0.1", "2.1"),
    CommandKind.SET_NETWORK_PROFILE: ("2.0.1", "2.1"),
    CommandKind.ADJUST_STREAM: ("2.1",),
    CommandKind.READ_STREAMS: ("2.1",),
    CommandKind.TRANSACTION_STATUS: ("2.0.1", "2.1"),
}


class CommandState(models.TextChoices):
    QUEUED = "queued", _("Waiting")
    SENT = "sent", _("Sent")
    ACCEPTED = "accepted", _("Accepted")
    REJECTED = "rejected", _("Refused by the station")
    FAILED = "failed", _("Failed")
    TIMED_OUT = "timed_out", _("No answer")
    EXPIRED = "expired", _("Not delivered in time")
    CANCELLED = "cancelled", _("Cancelled")


def wire_number(row_id: int) -> int:
    """A row's number as stations know it, who take no more than 31 bits: 2.x `requestId`, `remoteStartId` and the
    like."""
    return row_id % 2_147_483_647


class Order(models.TextChoices):
    """What can be asked of many stations at once; each version has a command for it."""

    RESTART = "restart", _("Restart when idle")
    RESTART_NOW = "restart_now", _("Restart at once")
    IN_SERVICE = "in_service", _("Put in service")
    OUT_OF_SERVICE = "out_of_service", _("Take out of service")
    STATUS = "status", _("Ask for their status")
    SETTINGS = "settings", _("Read their settings")
    LOG = "log", _("Fetch their logs")
    CLEAR_CACHE = "clear_cache", _("Clear their cache of cards")


class CommandBatch(TenantModel):
    """An order to many stations. Each has a command of its own; `left_out` holds who was not asked, and why:
    [{"station": id, "why": "offline" | "busy" | "asked" | "refused", "detail": "..."}]."""

    order = models.CharField(max_length=16, choices=Order.choices)
    also_busy = models.BooleanField(default=False)  # a restart may end sessions
    left_out = models.JSONField(default=list)
    started_by = models.CharField(max_length=120)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["tenant", "-id"], name="command_batch_recent")]

    def __str__(self) -> str:
        return f"{self.get_order_display()} #{self.pk}"


class Command(TenantModel):
    """Something asked of a station, with its whole life. Arguments are as the caller gave them."""

    station = TenantForeignKey(Station, on_delete=models.CASCADE, related_name="commands")
    kind = models.CharField(max_length=24, choices=CommandKind.choices)
    arguments = models.JSONField(
        default=dict
    )  # neutral: {"evse": 1, "connector": 1, "token_uid": "...", ...}
    state = models.CharField(max_length=10, choices=CommandState.choices, default=CommandState.QUEUED)
    urgent = models.BooleanField(default=False)  # stops and decreases overtake
    origin_kind = models.CharField(max_length=10)
    origin_id = models.CharField(max_length=40, blank=True)
    origin_label = models.CharField(max_length=120)
    action = models.CharField(max_length=40, blank=True)  # on the wire, once sent
    message_id = models.CharField(max_length=36, blank=True)
    request = models.JSONField(null=True)  # payload as sent, secrets masked
    response = models.JSONField(null=True)  # the station's whole answer
    answer = models.CharField(max_length=60, blank=True)  # its status word, or our error
    detail = models.CharField(max_length=400, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(null=True)
    epoch = models.BigIntegerField(null=True)  # of the socket it went out on
    batch = TenantForeignKey(
        CommandBatch, null=True, on_delete=models.SET_NULL, related_name="commands", db_index=False
    )

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(
                fields=["batch", "-id"], name="command_batch", condition=models.Q(batch__isnull=False)
            ),
            models.Index(fields=["tenant", "station", "-id"], name="command_recent"),
            models.Index(
                fields=["tenant", "station"],
                name="command_open",
                condition=models.Q(state__in=["queued", "sent"]),
            ),
        ]

    @property
    def settled(self) -> bool:
        return self.state not in (CommandState.QUEUED, CommandState.SENT)

    def __str__(self) -> str:
        return f"{self.get_kind_display()} #{self.pk}"

"""What stations show on their displays (OCPP 2, block O)."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from stations.models.station import Station
from tenants.fields import TenantForeignKey
from tenants.models import TenantModel


class DisplayPriority(models.TextChoices):
    NORMAL_CYCLE = "normal_cycle", _("In turn with other messages")
    IN_FRONT = "in_front", _("In front of others")
    ALWAYS_FRONT = "always_front", _("Alone, in place of all others")


class DisplayState(models.TextChoices):
    """When a message is shown; empty: always."""

    CHARGING = "charging", _("While charging")
    FAULTED = "faulted", _("While faulted")
    IDLE = "idle", _("While free")
    UNAVAILABLE = "unavailable", _("While out of service")
    SUSPENDED = "suspended", _("While charging pauses")
    DISCHARGING = "discharging", _("While discharging")


class DisplayFormat(models.TextChoices):
    UTF8 = "utf8", _("Text")
    ASCII = "ascii", _("Text, ASCII only")
    HTML = "html", _("HTML")
    URI = "uri", _("Address of a page")
    QRCODE = "qrcode", _("QR code")


class DisplayNotice(TenantModel):
    """A message as it was written, for one or many stations.

    `contents`: [{"language": "de", "format": "utf8", "text": "..."}], the first is the main one.
    """

    contents = models.JSONField()
    priority = models.CharField(max_length=12, choices=DisplayPriority.choices)
    state = models.CharField(max_length=12, choices=DisplayState.choices, blank=True)
    starts_at = models.DateTimeField(null=True)
    ends_at = models.DateTimeField(null=True)
    transaction_id = models.CharField(max_length=64, blank=True)  # shown to this session alone
    evse_number = models.PositiveSmallIntegerField(default=0)  # of whose display; 0: the station's
    written_by = models.CharField(max_length=120)
    created_at = models.DateTimeField(auto_now_add=True)
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["tenant", "-id"], name="display_notice_recent")]

    @property
    def text(self) -> str:
        return str(self.contents[0]["text"]) if self.contents else ""

    def __str__(self) -> str:
        return self.text[:60]


class DisplayStanding(models.TextChoices):
    WAITING = "waiting", _("On its way")
    SHOWN = "shown", _("On the display")
    REFUSED = "refused", _("Refused by the station")
    UNREACHED = "unreached", _("Station not reached")
    CLEARING = "clearing", _("Being taken off")
    CLEARED = "cleared", _("Taken off")
    EXPIRED = "display_expired", _("Over")
    MISSING = "missing", _("The station has it no more")


ON_DISPLAY = (DisplayStanding.WAITING, DisplayStanding.SHOWN, DisplayStanding.CLEARING)


class DisplayMessage(TenantModel):
    """A message at one station: ours (of a notice), or found there (without)."""

    station = TenantForeignKey(Station, on_delete=models.CASCADE, related_name="+", db_index=False)
    notice = TenantForeignKey(DisplayNotice, null=True, on_delete=models.CASCADE, related_name="copies")
    number = models.BigIntegerField()  # its id on the wire
    contents = models.JSONField(default=list)
    priority = models.CharField(max_length=12, choices=DisplayPriority.choices)
    state = models.CharField(max_length=12, choices=DisplayState.choices, blank=True)
    starts_at = models.DateTimeField(null=True)
    ends_at = models.DateTimeField(null=True)
    transaction_id = models.CharField(max_length=64, blank=True)
    evse_number = models.PositiveSmallIntegerField(default=0)
    standing = models.CharField(max_length=16, choices=DisplayStanding.choices)
    detail = models.CharField(max_length=400, blank=True)  # why it is not shown
    command_id = models.BigIntegerField(null=True)  # the newest that concerns it
    told_at = models.DateTimeField(null=True)  # when the station last said that it has it
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["station", "number", "tenant"], name="display_message_once")
        ]

    @property
    def text(self) -> str:
        return str(self.contents[0]["text"]) if self.contents else ""

    def __str__(self) -> str:
        return self.text[:60]

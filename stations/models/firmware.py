from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from stations.models.command import Command
from stations.models.station import Station
from stations.models.transfer import Protocol
from tenants.fields import TenantForeignKey
from tenants.models import TenantModel


class FirmwareImage(TenantModel):
    """A firmware file for stations of one vendor. Without `storage_name` its file is still to come."""

    vendor = models.CharField(_("vendor"), max_length=64)
    models_allowed = models.JSONField(_("models"), default=list)  # empty: all of the vendor
    version = models.CharField(_("version"), max_length=64)
    from_versions = models.JSONField(_("from versions"), default=list)  # which may take it; empty: any
    notes = models.TextField(_("release notes"), blank=True)
    name = models.CharField(max_length=120, blank=True)  # of the file, as stations see it in the address
    storage_name = models.CharField(max_length=300, blank=True)
    size_bytes = models.BigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)
    md5 = models.CharField(max_length=32, blank=True)  # what PublishFirmware (2.x L03) asks for
    signature = models.TextField(blank=True)  # base64, over the file
    certificate = models.TextField(blank=True)  # PEM of who signed
    signed_by = models.CharField(max_length=200, blank=True)  # empty: not signed
    signature_scheme = models.CharField(max_length=24, blank=True)
    certificate_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.CharField(max_length=120)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "sha256", "vendor", "version"],
                condition=~models.Q(sha256=""),
                name="firmware_image_once",
            )
        ]

    @property
    def ready(self) -> bool:
        return bool(self.storage_name)

    @property
    def signed(self) -> bool:
        return bool(self.signed_by)

    def __str__(self) -> str:
        return f"{self.vendor} {self.version}".strip()


class CampaignState(models.TextChoices):
    RUNNING = "running", _("Running")
    PAUSED = "paused", _("Paused")
    HALTED = "halted", _("Halted")
    FINISHED = "finished", _("Finished")
    CANCELLED = "cancelled", _("Cancelled")


class Campaign(TenantModel):
    """One image rolled out to many stations: a canary wave, further waves by success, within bounds."""

    name = models.CharField(_("name"), max_length=120)
    image = TenantForeignKey(FirmwareImage, on_delete=models.PROTECT, related_name="campaigns")
    state = models.CharField(max_length=10, choices=CampaignState.choices, default=CampaignState.RUNNING)
    reason = models.CharField(max_length=300, blank=True)  # why it was halted
    chosen = models.JSONField(default=dict)  # the filter, as given: {"site_ids": [...], "models": [...], ...}
    wave = models.PositiveSmallIntegerField(default=0)  # under way; 0 is the canary
    waves = models.PositiveSmallIntegerField(default=1)
    success_percent = models.PositiveSmallIntegerField(_("success needed for the next wave (%)"), default=90)
    max_failures = models.PositiveIntegerField(_("halt after so many failures"), default=3)
    failures_forgiven = models.PositiveIntegerField(default=0)  # those before the newest resume
    idle_only = models.BooleanField(_("only idle stations"), default=True)
    window_from = models.TimeField(
        _("not before"), null=True, blank=True
    )  # in the zone of the station's site
    window_until = models.TimeField(_("not after"), null=True, blank=True)
    max_per_site = models.PositiveSmallIntegerField(_("at most at once a site"), default=2)
    max_attempts = models.PositiveSmallIntegerField(_("attempts a station"), default=2)
    retry_minutes = models.PositiveIntegerField(_("minutes between attempts"), default=15)
    signed_only = models.BooleanField(_("signed or not at all"), default=False)
    protocol = models.CharField(_("protocol"), max_length=5, choices=Protocol.choices, blank=True)
    use_publications = models.BooleanField(_("from local controllers where published"), default=True)
    rollback_of = TenantForeignKey(
        "self", null=True, on_delete=models.SET_NULL, related_name="rollbacks", db_index=False
    )
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.CharField(max_length=120)
    settled_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]

    @property
    def is_open(self) -> bool:
        return self.state in (CampaignState.RUNNING, CampaignState.PAUSED, CampaignState.HALTED)

    def __str__(self) -> str:
        return self.name


class UpdateState(models.TextChoices):
    WAITING = "waiting", _("Waiting")
    SENT = "sent", _("Sent to the station")
    DOWNLOADING = "downloading", _("Downloading")
    DOWNLOADED = "downloaded", _("Downloaded")
    INSTALLING = "installing", _("Installing")
    INSTALLED = "installed", _("Installed")
    FAILED = "failed", _("Failed")
    SKIPPED = "skipped", _("Left out")
    CANCELLED = "cancelled", _("Cancelled")


UNDER_WAY = (UpdateState.SENT, UpdateState.DOWNLOADING, UpdateState.DOWNLOADED, UpdateState.INSTALLING)
OPEN_UPDATES = (UpdateState.WAITING, *UNDER_WAY)


class Blocker(models.TextChoices):
    """What an update that waits is waiting for."""

    OFFLINE = "offline", _("the station is offline")
    BUSY = "busy", _("a car is charging or plugged in")
    WINDOW = "window", _("outside the time window")
    WAVE = "wave", _("its wave has not begun")
    SITE = "site", _("enough stations of the site are being updated")
    RETRY = "retry", _("the next attempt is due later")
    PAUSED = "paused", _("the campaign stands still")
    OTHER = "other", _("another update of this station is under way")


class FirmwareUpdate(TenantModel):
    """One image for one station, alone or as part of a campaign, with its whole life."""

    station = TenantForeignKey(Station, on_delete=models.CASCADE, related_name="firmware_updates")
    image = TenantForeignKey(FirmwareImage, on_delete=models.PROTECT, related_name="updates")
    campaign = TenantForeignKey(
        Campaign, null=True, on_delete=models.CASCADE, related_name="updates", db_index=False
    )
    wave = models.PositiveSmallIntegerField(default=0)
    state = models.CharField(max_length=12, choices=UpdateState.choices, default=UpdateState.WAITING)
    blocked_by = models.CharField(max_length=8, choices=Blocker.choices, blank=True)
    reason = models.CharField(max_length=400, blank=True)  # why it failed, was left out, or is tried again
    station_word = models.CharField(max_length=60, blank=True)  # the newest status, as told
    command = TenantForeignKey(
        Command, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    number = models.BigIntegerField(null=True)  # requestId of the message; 1.6 UpdateFirmware has none
    protocol = models.CharField(max_length=5, choices=Protocol.choices, blank=True)
    idle_only = models.BooleanField(default=True)
    signed_only = models.BooleanField(default=False)
    signed = models.BooleanField(null=True)  # how it was sent; null: not yet
    note = models.CharField(max_length=200, blank=True)  # what one should know of how it was sent
    install_at = models.DateTimeField(null=True)  # 2.x and signed 1.6: not before; null: at once
    attempts = models.PositiveSmallIntegerField(default=0)
    max_attempts = models.PositiveSmallIntegerField(default=1)
    retry_at = models.DateTimeField(null=True)
    bytes_sent = models.BigIntegerField(default=0)  # of the image, to the station, in this attempt
    from_version = models.CharField(max_length=64, blank=True)  # that the station had when it was sent
    to_version = models.CharField(max_length=64, blank=True)  # that it told at the boot afterwards
    origin_label = models.CharField(max_length=120)
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True)  # of this attempt
    downloaded_at = models.DateTimeField(null=True)
    installed_told_at = models.DateTimeField(null=True)
    changed_at = models.DateTimeField(auto_now=True)
    deadline_at = models.DateTimeField(null=True)  # without news until then the attempt has failed
    settled_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["campaign", "station", "tenant"],
                condition=models.Q(campaign__isnull=False),
                name="firmware_update_once",
            )
        ]
        indexes = [
            models.Index(fields=["station", "-id"], name="firmware_update_recent"),
            models.Index(
                fields=["tenant", "station"],
                name="firmware_update_open",
                condition=models.Q(state__in=["waiting", "sent", "downloading", "downloaded", "installing"]),
            ),
        ]

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_UPDATES

    @property
    def percent(self) -> int | None:
        """How much of the image was given out in this attempt; None where it is fetched elsewhere."""
        if not self.image.size_bytes or not self.bytes_sent:
            return None
        return min(100, round(100 * self.bytes_sent / self.image.size_bytes))

    def __str__(self) -> str:
        return f"{self.image} → {self.station}"


class PublicationState(models.TextChoices):
    REQUESTED = "requested", _("Asked for")
    DOWNLOADING = "downloading", _("Downloading")
    PUBLISHED = "published", _("Published")
    FAILED = "failed", _("Failed")
    WITHDRAWN = "withdrawn", _("Withdrawn")


class FirmwarePublication(TenantModel):
    """An image that a local controller offers to the stations behind it (OCPP 2.x L03, L04)."""

    station = TenantForeignKey(Station, on_delete=models.CASCADE, related_name="publications")
    image = TenantForeignKey(FirmwareImage, on_delete=models.PROTECT, related_name="publications")
    state = models.CharField(
        max_length=12, choices=PublicationState.choices, default=PublicationState.REQUESTED
    )
    command = TenantForeignKey(
        Command, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    number = models.BigIntegerField(null=True)
    station_word = models.CharField(max_length=60, blank=True)
    reason = models.CharField(max_length=300, blank=True)
    locations = models.JSONField(default=list)  # where stations fetch it
    origin_label = models.CharField(max_length=120)
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)
    settled_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["station", "-id"], name="publication_recent")]

    def __str__(self) -> str:
        return f"{self.image} → {self.station}"

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from stations.models.command import Command
from stations.models.station import Station
from tenants.fields import TenantForeignKey
from tenants.models import TenantModel


class Protocol(models.TextChoices):
    HTTPS = "https", "HTTPS"
    HTTP = "http", _("HTTP without encryption")
    FTPS = "ftps", "FTPS"
    FTP = "ftp", _("FTP without encryption")


class LogKind(models.TextChoices):
    DIAGNOSTICS = "diagnostics", _("Diagnostics")
    SECURITY = "security", _("Security log")
    DATA_COLLECTOR = "data_collector", _("Data collector log")


class LogState(models.TextChoices):
    REQUESTED = "requested", _("Asked for")
    ACCEPTED = "accepted", _("Accepted, upload not begun")
    UPLOADING = "uploading", _("Uploading")
    UPLOADED = "uploaded", _("Here")
    REFUSED = "refused", _("Refused by the station")
    FAILED = "failed", _("Upload failed")
    MISSING = "missing", _("Said to be uploaded, but nothing arrived")
    TIMED_OUT = "timed_out", _("Nothing came in time")
    EXPIRED = "expired", _("The station was not connected in time")
    REPLACED = "replaced", _("Replaced by a newer request")
    CANCELLED = "cancelled", _("Cancelled")


OPEN_LOGS = (LogState.REQUESTED, LogState.ACCEPTED, LogState.UPLOADING)


class LogRequest(TenantModel):
    """A log that a station was asked to upload (OCPP 1.6 GetDiagnostics and GetLog, 2.x N01), with its whole life."""

    station = TenantForeignKey(Station, on_delete=models.CASCADE, related_name="log_requests")
    kind = models.CharField(_("log"), max_length=16, choices=LogKind.choices, default=LogKind.DIAGNOSTICS)
    protocol = models.CharField(_("protocol"), max_length=5, choices=Protocol.choices)
    state = models.CharField(max_length=10, choices=LogState.choices, default=LogState.REQUESTED)
    command = TenantForeignKey(
        Command, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    # Of the message: 1.6 GetDiagnostics has none, its notices belong to the newest open request.
    number = models.BigIntegerField(null=True)
    since = models.DateTimeField(null=True)
    until = models.DateTimeField(null=True)
    station_file = models.CharField(max_length=255, blank=True)  # the name that the station announced
    station_word = models.CharField(max_length=60, blank=True)  # the newest status, as told
    reason = models.CharField(max_length=400, blank=True)
    bytes_expected = models.BigIntegerField(null=True)  # of the upload under way, where its length was told
    bytes_received = models.BigIntegerField(default=0)
    retry_of = TenantForeignKey(
        "self", null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    origin_label = models.CharField(max_length=120)
    created_at = models.DateTimeField(auto_now_add=True)
    accepted_at = models.DateTimeField(null=True)
    uploading_at = models.DateTimeField(null=True)
    told_at = models.DateTimeField(null=True)  # when the station said that it is done, well or not
    arrived_at = models.DateTimeField(null=True)  # when the first whole file was here
    settled_at = models.DateTimeField(null=True)
    deadline_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["station", "-id"], name="log_request_recent"),
            models.Index(
                fields=["tenant", "deadline_at"],
                name="log_request_open",
                condition=models.Q(state__in=["requested", "accepted", "uploading"]),
            ),
        ]

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_LOGS

    def __str__(self) -> str:
        return f"{self.get_kind_display()} #{self.pk}"


class LogFile(TenantModel):
    """A file that a station uploaded. `storage_name` is ours; `name` is what the station called it."""

    station = TenantForeignKey(Station, on_delete=models.CASCADE, related_name="log_files")
    request = TenantForeignKey(LogRequest, on_delete=models.CASCADE, related_name="files", db_index=False)
    kind = models.CharField(max_length=16, choices=LogKind.choices)
    name = models.CharField(max_length=255)
    storage_name = models.CharField(max_length=300)
    size_bytes = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    content_type = models.CharField(max_length=80)  # sniffed, whatever the station says
    protocol = models.CharField(max_length=5, choices=Protocol.choices)
    received_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["station", "-id"], name="log_file_recent"),
            models.Index(fields=["request"], name="log_file_request"),
            models.Index(fields=["tenant", "received_at"], name="log_file_age"),
        ]

    def __str__(self) -> str:
        return self.name


class TicketPurpose(models.TextChoices):
    LOG = "log", _("Upload of a log")
    UPDATE = "update", _("Download of a firmware image")
    PUBLICATION = "publication", _("Download by a local controller")


class FileTicket(TenantModel):
    """Leave to move a file through the file door: found by the hash of the secret in its address, for some hours.

    A ticket for a log takes uploads of one request, others give out one firmware image.
    """

    token_hash = models.CharField(
        max_length=64, unique=True
    )  # global: it is looked up before the tenant is known
    purpose = models.CharField(max_length=12, choices=TicketPurpose.choices)
    station = TenantForeignKey(Station, on_delete=models.CASCADE, related_name="+", db_index=False)
    log_request = TenantForeignKey(
        LogRequest, null=True, on_delete=models.CASCADE, related_name="tickets", db_index=False
    )
    update = TenantForeignKey(
        "stations.FirmwareUpdate", null=True, on_delete=models.CASCADE, related_name="tickets", db_index=False
    )
    publication = TenantForeignKey(
        "stations.FirmwarePublication",
        null=True,
        on_delete=models.CASCADE,
        related_name="tickets",
        db_index=False,
    )
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    bytes_moved = models.BigIntegerField(default=0)
    files_moved = models.PositiveIntegerField(default=0)
    last_used_at = models.DateTimeField(null=True)
    last_address = models.CharField(max_length=64, blank=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["log_request"], name="ticket_log", condition=models.Q(log_request__isnull=False)
            ),
            models.Index(fields=["update"], name="ticket_update", condition=models.Q(update__isnull=False)),
            models.Index(
                fields=["publication"],
                name="ticket_publication",
                condition=models.Q(publication__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_purpose_display()} #{self.pk}"

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from stations.models.command import Command
from stations.models.station import Station
from tenants.fields import TenantForeignKey
from tenants.models import TenantModel

KEY = (
    "component", "component_instance", "evse_number", "connector_number", "name", "instance", "attribute",
)  # fmt: skip


class Named(TenantModel):
    """Base of rows about one variable of one station: a 1.6 configuration key (no component) or a 2.x variable."""

    component = models.CharField(max_length=80, blank=True)  # 1.6: empty
    component_instance = models.CharField(max_length=80, blank=True)
    evse_number = models.PositiveSmallIntegerField(default=0)  # 0: the station itself
    connector_number = models.PositiveSmallIntegerField(default=0)
    name = models.CharField(max_length=80)
    instance = models.CharField(max_length=80, blank=True)
    attribute = models.CharField(max_length=8, default="actual")  # actual | target | min | max

    class Meta:
        abstract = True

    @property
    def key(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in KEY)

    @property
    def title(self) -> str:
        """As people write it: OCPPCommCtrlr.HeartbeatInterval, EVSE#2.Power, Component[a].Name[b]."""
        return title(*self.key)


def title(
    component: str,
    component_instance: str,
    evse: int,
    connector: int,
    name: str,
    instance: str,
    attribute: str,
) -> str:
    text = component
    if component_instance:
        text += f"[{component_instance}]"
    if evse:
        text += f"#{evse}" + (f".{connector}" if connector else "")
    text += ("." if component else "") + name
    if instance:
        text += f"[{instance}]"
    return text if attribute == "actual" else f"{text} ({attribute})"


class Variable(Named):
    """The device model: a 1.6 configuration key or a 2.x component variable, as the station last reported it."""

    station = TenantForeignKey(Station, on_delete=models.CASCADE, related_name="variables")
    value = models.TextField(null=True)  # null: write-only or not told
    mutability = models.CharField(max_length=12, default="read_write")  # read_only | write_only | read_write
    data_type = models.CharField(max_length=16, blank=True)
    unit = models.CharField(max_length=16, blank=True)
    values_list = models.TextField(blank=True)
    min_limit = models.FloatField(null=True)
    max_limit = models.FloatField(null=True)
    max_elements = models.IntegerField(null=True)  # of a list (2.1)
    supports_monitoring = models.BooleanField(null=True)  # null: not told
    persistent = models.BooleanField(null=True)
    constant = models.BooleanField(null=True)
    reboot_required = models.BooleanField(default=False)  # a change was taken and counts after a reset
    changed_at = models.DateTimeField(null=True)  # when another value than before was told
    gone_at = models.DateTimeField(null=True)  # a full report no longer had it
    read_at = models.DateTimeField()
    source = models.CharField(max_length=24)  # read_configuration | report | event | set

    class Meta:
        ordering = ["component", "evse_number", "name", "instance"]
        constraints = [
            models.UniqueConstraint(
                fields=[
                    "tenant",
                    "station",
                    "component",
                    "component_instance",
                    "evse_number",
                    "connector_number",
                    "name",
                    "instance",
                    "attribute",
                ],
                name="variable_unique",
            )
        ]


class VariableChangeState(models.TextChoices):
    """What became of a change: `asked` and `taken` wait, `reset` waits for a reset, the others are its end."""

    ASKED = "asked", _("Asked of the station")
    TAKEN = "taken", _("Accepted, being read back")
    RESET = "reset", _("Accepted, counts after a reset")
    DONE = "done", _("In force")
    DIFFERS = "differs", _("Accepted, but the station tells another value")
    REFUSED = "refused", _("Refused by the station")
    FAILED = "failed", _("Did not reach the station")
    TOLD = "noticed", _("Changed at the station")  # nobody asked us


OPEN_CHANGES = (VariableChangeState.ASKED, VariableChangeState.TAKEN, VariableChangeState.RESET)


class ConfigurationRun(TenantModel):
    """Changes that were asked together: of one page, of a template for many stations. Its progress is theirs."""

    label = models.CharField(max_length=160)
    template_id = models.BigIntegerField(null=True)  # outlives the template
    origin_kind = models.CharField(max_length=10)
    origin_label = models.CharField(max_length=120)
    stations = models.PositiveIntegerField(default=0)
    waiting = models.JSONField(default=list)  # ids of stations that are still to be asked
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["tenant", "-id"], name="configuration_run_recent")]

    def __str__(self) -> str:
        return self.label


class VariableChange(Named):
    """One change of one variable: asked by somebody, or noticed when the station told another value. Bounded."""

    station = TenantForeignKey(
        Station, on_delete=models.CASCADE, related_name="variable_changes", db_index=False
    )
    run = TenantForeignKey(
        ConfigurationRun, null=True, on_delete=models.SET_NULL, related_name="changes", db_index=False
    )
    command = TenantForeignKey(
        Command, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    before = models.TextField(null=True)
    after = models.TextField(null=True)
    state = models.CharField(
        max_length=8, choices=VariableChangeState.choices, default=VariableChangeState.ASKED
    )
    reason = models.CharField(max_length=200, blank=True)  # the station's word, or ours
    origin_kind = models.CharField(max_length=10)
    origin_label = models.CharField(max_length=120)
    asked_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["station", "-id"], name="variable_change_recent"),
            models.Index(fields=["command"], name="variable_change_command"),
            models.Index(fields=["run"], name="variable_change_run"),
            models.Index(
                fields=["station"],
                name="variable_change_open",
                condition=models.Q(state__in=["asked", "taken", "reset"]),
            ),
        ]


class ReportState(models.TextChoices):
    WAITING = "waiting", _("Waiting for its first part")
    RECEIVING = "receiving", _("Parts are coming in")
    COMPLETE = "complete", _("Complete")
    EMPTY = "empty", _("Nothing to tell")
    INCOMPLETE = "incomplete", _("Parts are missing")


class DeviceReport(TenantModel):
    """What a station tells in many parts: (a part of) its device model, its monitors. Linked to who asked for it."""

    station = TenantForeignKey(Station, on_delete=models.CASCADE, related_name="reports", db_index=False)
    kind = models.CharField(max_length=12)  # report | monitors
    request_id = models.BigIntegerField()
    command = TenantForeignKey(
        Command, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    base = models.CharField(max_length=16, blank=True)  # full | configuration | summary | criteria
    state = models.CharField(max_length=12, choices=ReportState.choices, default=ReportState.WAITING)
    parts = models.JSONField(default=list)  # sequence numbers that came, sorted
    last_part = models.IntegerField(null=True)  # the one after which no more comes
    repeated = models.PositiveIntegerField(default=0)
    items = models.PositiveIntegerField(default=0)
    generated_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    last_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["station", "kind", "request_id", "tenant"], name="device_report_once"
            )
        ]

    @property
    def missing(self) -> list[int]:
        """Sequence numbers that did not come, the first 50."""
        here = set(self.parts)
        end = self.last_part if self.last_part is not None else max(self.parts, default=-1)
        return [number for number in range(min(end, 5_000) + 1) if number not in here][:50]

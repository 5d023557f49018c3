"""A past time of a site, replayed under another limit or policy."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from energy.models.tree import GridConnection
from tenants.fields import TenantForeignKey
from tenants.models import TenantModel


class WhatIfState(models.TextChoices):
    QUEUED = "queued", _("Waiting")
    RUNNING = "running", _("Running")
    DONE = "done", _("Done")
    FAILED = "failed", _("Failed")


class WhatIf(TenantModel):
    """Work is a row: a worker takes it, tells its progress, and leaves the result.

    `settings`: energy.services.whatif.Settings, `result`: Result of the same, as JSON.
    """

    connection = TenantForeignKey(GridConnection, on_delete=models.CASCADE, related_name="+", db_index=False)
    begins_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    settings = models.JSONField(default=dict)
    label = models.CharField(max_length=120, blank=True)  # who asked for it
    state = models.CharField(max_length=8, choices=WhatIfState.choices, default=WhatIfState.QUEUED)
    progress = models.FloatField(default=0)  # 0 to 1
    seen_at = models.DateTimeField(null=True)  # the worker's last sign of life
    error = models.CharField(max_length=200, blank=True)
    result = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)
    done_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["connection", "-id"], name="what_if_connection"),
            models.Index(
                fields=["tenant"], name="what_if_open", condition=models.Q(state__in=["queued", "running"])
            ),
        ]

    def __str__(self) -> str:
        return f"#{self.pk}"

    @property
    def is_over(self) -> bool:
        return self.state in (WhatIfState.DONE, WhatIfState.FAILED)

"""Who steers a site, and what it sees."""

from __future__ import annotations

from django.db import models

from energy.models.tree import GridConnection
from tenants.fields import TenantForeignKey
from tenants.models import TenantModel


class Steering(TenantModel):
    """One owner of a site at a time. `token` grows with each owner: orders of an earlier one are refused."""

    connection = TenantForeignKey(GridConnection, on_delete=models.CASCADE, related_name="+", db_index=False)
    owner = models.CharField(max_length=80, blank=True)
    token = models.BigIntegerField(default=0)
    leased_until = models.DateTimeField(null=True)
    picture = models.JSONField(default=dict)  # energy.picture: what the page shows
    picture_at = models.DateTimeField(null=True)
    programme = models.JSONField(default=dict)  # of the next hours (energy.services.programmes)
    programme_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["connection", "tenant"], name="steering_once")]

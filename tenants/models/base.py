from __future__ import annotations

from django.db import models


class TenantModel(models.Model):
    """Base of every row that belongs to one tenant.

    `manage.py provision` gives its table FORCEd row security, a `(tenant_id, id)` key that composite foreign
    keys refer to, and grants. A test fails for a table that lacks one of them.
    """

    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="+", db_index=False)

    class Meta:
        abstract = True

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from tenants.fields import SecretField, TenantForeignKey
from tenants.models.base import TenantModel


class AuditRecord(TenantModel):
    """Who did what to which object. Append-only: the application role may neither update nor delete it."""

    at = models.DateTimeField(auto_now_add=True)
    actor_kind = models.CharField(max_length=10)  # user | key | task | partner | station | staff
    actor_id = models.CharField(max_length=40, blank=True)
    actor_label = models.CharField(max_length=120)
    action = models.CharField(max_length=60)  # station.edit, command.request, ...
    object_type = models.CharField(max_length=40, blank=True)
    object_id = models.CharField(max_length=40, blank=True)
    object_label = models.CharField(max_length=160, blank=True)
    site = TenantForeignKey(
        "tenants.Site", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    detail = models.JSONField(
        default=dict
    )  # {"changed": {field: [before, after]}} or the arguments; no secrets

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["tenant", "-id"], name="audit_recent"),
            models.Index(fields=["tenant", "object_type", "object_id"], name="audit_object"),
        ]


class Fact(TenantModel):
    """Something that happened, written in the transaction in which it happened (the outbox)."""

    kind = models.CharField(max_length=60)  # session.started, session.ended, command.settled, ...
    subject_type = models.CharField(max_length=40)
    subject_id = models.BigIntegerField()
    payload = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)
    dispatched_at = models.DateTimeField(null=True)  # all subscribers have done their work

    class Meta:
        indexes = [
            models.Index(
                fields=["tenant", "id"], name="fact_pending", condition=models.Q(dispatched_at__isnull=True)
            ),
        ]


class FactDelivery(TenantModel):
    """How far one subscriber got with one fact."""

    fact = TenantForeignKey(Fact, on_delete=models.CASCADE, related_name="deliveries")
    subscriber = models.CharField(max_length=80)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(auto_now_add=True)
    done_at = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "fact", "subscriber"], name="fact_delivery_unique")
        ]


class Webhook(TenantModel):
    """An address of the tenant's own systems that is told of facts, signed with HMAC-SHA256."""

    url = models.URLField(_("address"), max_length=400)
    kinds = models.JSONField(_("kinds of facts"), default=list)  # empty: all
    secret = SecretField(blank=True)
    active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    disabled_reason = models.CharField(max_length=200, blank=True)

    def __str__(self) -> str:
        return self.url

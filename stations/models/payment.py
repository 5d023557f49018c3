"""Payment at the station without a contract (OCPP 2.1, C17 to C25)."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from stations.models.session import Session
from stations.models.station import Station
from tenants.fields import SecretField, TenantForeignKey
from tenants.models import TenantModel


class SettlementStatus(models.TextChoices):
    SETTLED = "settled", _("Paid")
    CANCELED = "canceled", _("Called off")
    REJECTED = "rejected", _("Refused by the bank")
    FAILED = "failed", _("Failed")


class Settlement(TenantModel):
    """What a payment terminal reports of one payment; `flags` say where it does not fit the session."""

    station = TenantForeignKey(Station, on_delete=models.CASCADE, related_name="+", db_index=False)
    session = TenantForeignKey(
        Session, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    transaction_id = models.CharField(max_length=64, blank=True)
    psp_ref = models.CharField(max_length=255)
    status = models.CharField(max_length=8, choices=SettlementStatus.choices)
    info = models.CharField(max_length=500, blank=True)
    amount = models.DecimalField(max_digits=14, decimal_places=4)
    currency = models.CharField(max_length=3, blank=True)  # of the session: the message names none
    settled_at = models.DateTimeField()
    receipt_id = models.CharField(max_length=50, blank=True)
    receipt_url = models.CharField(max_length=2000, blank=True)
    vat_number = models.CharField(max_length=20, blank=True)
    vat_company = models.JSONField(null=True)
    flags = models.JSONField(default=list)
    compared_at = models.DateTimeField(null=True)  # with the price of the session
    received_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["station", "psp_ref", "status", "tenant"], name="settlement_once")
        ]
        indexes = [
            models.Index(fields=["tenant", "-id"], name="settlement_recent"),
            models.Index(
                fields=["session"], name="settlement_session", condition=models.Q(session__isnull=False)
            ),
            models.Index(
                fields=["tenant", "id"], name="settlement_open", condition=models.Q(compared_at__isnull=True)
            ),
        ]

    def __str__(self) -> str:
        return self.psp_ref


class VatCheck(TenantModel):
    """A VAT number typed in at a station, and what we said to it."""

    station = TenantForeignKey(Station, on_delete=models.CASCADE, related_name="+", db_index=False)
    evse_number = models.PositiveSmallIntegerField(null=True)
    number = models.CharField(max_length=20)
    accepted = models.BooleanField()
    reason = models.CharField(max_length=20, blank=True)
    company = models.JSONField(null=True)
    at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["tenant", "-id"], name="vat_check_recent")]


class WebPaymentAccess(TenantModel):
    """The secret from which a station makes the changing part of its QR code (C25)."""

    station = TenantForeignKey(Station, on_delete=models.CASCADE, related_name="+", db_index=False)
    secret = SecretField()
    digits = models.PositiveSmallIntegerField(default=8)
    validity_seconds = models.PositiveSmallIntegerField(default=60)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["station", "tenant"], name="web_access_once")]


class WebPaymentState(models.TextChoices):
    OPEN = "open", _("Driver is paying")
    AUTHORIZED = "authorized", _("Paid, charging is asked for")
    STARTED = "started", _("Charging asked for and accepted")
    REFUSED = "refused", _("The station refused to start")
    ABANDONED = "abandoned", _("Not paid in time")


class WebPayment(TenantModel):
    """A payment that a QR code at a station led to."""

    station = TenantForeignKey(Station, on_delete=models.CASCADE, related_name="+", db_index=False)
    evse_number = models.PositiveSmallIntegerField()
    code = models.CharField(max_length=12)  # the changing part, taken once
    state = models.CharField(max_length=12, choices=WebPaymentState.choices, default=WebPaymentState.OPEN)
    key = models.CharField(max_length=43)  # in the address of the driver's page
    token_uid = models.CharField(max_length=36)
    provider = models.CharField(max_length=24, blank=True)
    reference = models.CharField(max_length=255, blank=True)
    limit_cost = models.DecimalField(max_digits=14, decimal_places=4, null=True)
    currency = models.CharField(max_length=3, blank=True)
    start_command_id = models.BigIntegerField(null=True)
    session = TenantForeignKey(
        Session, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["station", "evse_number", "code", "tenant"], name="web_code_once"
            ),
            models.UniqueConstraint(fields=["key", "tenant"], name="web_payment_key"),
        ]
        indexes = [models.Index(fields=["tenant", "-id"], name="web_payment_recent")]

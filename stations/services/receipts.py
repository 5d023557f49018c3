"""Receipts of what was paid at a terminal that makes none itself (OCPP 2.1, C21): a page behind an address that nobody
can guess, told to the station, which shows it as a QR code."""

from __future__ import annotations

from django.conf import settings
from django.core import signing

from stations.models import Settlement
from tenants.models import Tenant

_SIGNER = signing.Signer(salt="stations.receipts")


def address(settlement: Settlement) -> str:
    """Where its receipt is; empty where the portal's own address is not known."""
    if not settings.PUBLIC_URL:
        return ""
    slug = Tenant.objects.values_list("slug", flat=True).get(pk=settlement.tenant_id)
    return f"{settings.PUBLIC_URL}/pay/{slug}/r/{key(settlement)}/"


def key(settlement: Settlement) -> str:
    return _SIGNER.sign(f"{settlement.tenant_id}-{settlement.pk}")


def find(*, tenant_id: int, told: str) -> Settlement | None:
    """The payment of this key, of this company; None for what we did not sign."""
    try:
        tenant, _dash, number = _SIGNER.unsign(told).partition("-")
    except signing.BadSignature:
        return None
    if tenant != str(tenant_id):
        return None
    found = Settlement.objects.filter(tenant_id=tenant_id, pk=int(number))
    return found.select_related("session", "station", "station__site").first()

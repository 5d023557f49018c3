"""Whose it is: tenants, sites, people, machine keys, and what was done and became known."""

from tenants.models.access import ApiKey, IdempotencyRecord, Membership, MembershipSite, Role, User
from tenants.models.base import TenantModel
from tenants.models.journal import AuditRecord, Fact, FactDelivery, Webhook
from tenants.models.tenant import Site, Tenant

__all__ = [
    "ApiKey",
    "AuditRecord",
    "Fact",
    "FactDelivery",
    "IdempotencyRecord",
    "Membership",
    "MembershipSite",
    "Role",
    "Site",
    "Tenant",
    "TenantModel",
    "User",
    "Webhook",
]

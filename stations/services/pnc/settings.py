"""A company's settings for Plug & Charge."""

from __future__ import annotations

import ssl
from typing import Any

from django.utils import timezone

from stations.models import PlugAndCharge, ProviderKind, Unchecked
from tenants.errors import Invalid
from tenants.permissions import Actor, Permission
from tenants.services import audit, outbound

FIELDS = (
    "provider", "base_url", "token_url", "audience", "client_id", "client_secret", "trusted_ca", "unchecked", "bare",
)  # fmt: skip


def of(tenant_id: int) -> PlugAndCharge:
    """The settings, or what holds without any."""
    found = PlugAndCharge.objects.filter(tenant_id=tenant_id).first()
    return found or PlugAndCharge(tenant_id=tenant_id)


def change(*, tenant_id: int, actor: Actor, **values: Any) -> PlugAndCharge:
    """Change values named in FIELDS. An empty `client_secret` keeps the one that is stored."""
    actor.require(Permission.TENANT_EDIT)
    if unknown := sorted(set(values) - set(FIELDS)):
        raise Invalid(fields=dict.fromkeys(unknown, "There is no such setting."))
    if not values.get("client_secret"):
        values.pop("client_secret", None)
    settings = PlugAndCharge.objects.select_for_update().filter(tenant_id=tenant_id).first()
    settings = settings or PlugAndCharge(tenant_id=tenant_id)
    before = {name: getattr(settings, name) for name in FIELDS if name != "client_secret"}
    for name, value in values.items():
        setattr(settings, name, value.strip() if isinstance(value, str) else value)
    _check(settings)
    settings.provider_error = ""
    settings.save()
    after = {name: getattr(settings, name) for name in before}
    changed = audit.changes(before, after)
    if "client_secret" in values:
        changed["client_secret"] = ["***", "***"]
    audit.record(tenant_id=tenant_id, actor=actor, action="plug_and_charge.edit", detail={"changed": changed})
    return settings


def _check(settings: PlugAndCharge) -> None:
    problems = {}
    if settings.provider not in ProviderKind.values:
        problems["provider"] = f"Choose one of {', '.join(ProviderKind.values)}."
    if settings.unchecked not in Unchecked.values:
        problems["unchecked"] = f"Choose one of {', '.join(Unchecked.values)}."
    if settings.provider != ProviderKind.NONE:
        for name in ("base_url", "token_url"):
            try:
                outbound.split(getattr(settings, name))
            except outbound.Refused as refused:
                problems[name] = str(refused)
        for name in ("client_id", "client_secret"):
            if not getattr(settings, name):
                problems[name] = "The provider gives you this; without it nobody answers."
    if settings.trusted_ca:
        try:
            ssl.create_default_context(cadata=settings.trusted_ca)
        except (ssl.SSLError, ValueError):
            problems["trusted_ca"] = (
                "Paste certificates in PEM format, from BEGIN CERTIFICATE to END CERTIFICATE."
            )
    if problems:
        raise Invalid(fields=problems)


def note_call(*, tenant_id: int, error: str = "", roots: bool = False) -> None:
    """How the newest call to the provider went."""
    now = timezone.now()
    values: dict[str, Any] = {"provider_error": error[:300], "provider_called_at": now}
    if roots and not error:
        values["roots_fetched_at"] = now
    PlugAndCharge.objects.filter(tenant_id=tenant_id).update(**values)

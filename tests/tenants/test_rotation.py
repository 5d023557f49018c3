"""Stored secrets move to a new key, and the old key can then go."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command

from tenants.context import tenant_scope
from tenants.models import Tenant, Webhook
from tenants.services.rotation import secret_columns


def key(capsys: Any) -> str:
    call_command("generate_key")
    return str(capsys.readouterr().out.strip())


def test_every_secret_is_readable_under_the_new_key_alone(
    tenant: Tenant, other_tenant: Tenant, settings: Any, capsys: Any
) -> None:
    old, new = key(capsys), key(capsys)
    before, settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS, [old]
    hooks = []
    for company in (tenant, other_tenant):
        with tenant_scope(company.pk):
            hooks.append(
                Webhook.objects.create(tenant=company, url="https://example.com", secret=f"of {company.slug}")
            )
    settings.ENCRYPTION_KEYS = [new, old, *before]
    call_command("rotate_keys")
    settings.ENCRYPTION_KEYS = [new]
    for hook in hooks:
        with tenant_scope(hook.tenant_id):
            assert Webhook.objects.get(pk=hook.pk).secret == f"of {hook.tenant.slug}"
            hook.delete()


def test_a_missing_key_is_told_and_nothing_is_lost(tenant: Tenant, settings: Any, capsys: Any) -> None:
    old, new = key(capsys), key(capsys)
    settings.ENCRYPTION_KEYS = [old]
    with tenant_scope(tenant.pk):
        hook = Webhook.objects.create(tenant=tenant, url="https://example.com", secret="kept")
    settings.ENCRYPTION_KEYS = [new]
    with pytest.raises(CommandError, match="ENCRYPTION_KEYS"):
        call_command("rotate_keys")
    settings.ENCRYPTION_KEYS = [old]
    with tenant_scope(tenant.pk):
        assert Webhook.objects.get(pk=hook.pk).secret == "kept"
        hook.delete()


def test_a_generated_key_is_one(capsys: Any) -> None:
    Fernet(key(capsys))


def test_all_columns_with_secrets_are_known() -> None:
    assert ("tenants_webhook", "secret") in set(secret_columns())

"""Fields that keep a row inside its tenant."""

from __future__ import annotations

from typing import Any

from cryptography.fernet import InvalidToken
from django.db import models

from tenants import secrets


class TenantForeignKey(models.ForeignKey):
    """Foreign key between two rows of one tenant.

    Django's own constraint covers one column; `provision` creates `(tenant_id, x_id) -> (tenant_id, id)`
    instead, so that the database itself refuses a row that points across tenants.
    """

    def __init__(self, to: Any, on_delete: Any = models.PROTECT, **kwargs: Any) -> None:
        kwargs["db_constraint"] = False
        super().__init__(to, on_delete, **kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        kwargs.pop("db_constraint", None)
        return name, path, args, kwargs


class SecretField(models.TextField):
    """Text stored encrypted under the newest of ENCRYPTION_KEYS; empty stays empty."""

    def get_prep_value(self, value: Any) -> Any:
        value = super().get_prep_value(value)
        return secrets.encrypt(value) if value else value

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        if not value:
            return value
        try:
            return secrets.decrypt(value)
        except InvalidToken:
            raise ValueError(
                f"{self.name} cannot be decrypted: is its key missing from ENCRYPTION_KEYS?"
            ) from None

from __future__ import annotations

from typing import Any

from cryptography.fernet import InvalidToken
from django.core.management.base import BaseCommand, CommandError

from tenants.context import as_platform
from tenants.services import rotation


class Command(BaseCommand):
    help = "Encrypt all stored secrets under the first of ENCRYPTION_KEYS. Afterwards the older keys may go."

    def handle(self, *args: Any, **options: Any) -> None:
        with as_platform():
            for table, column in rotation.secret_columns():
                try:
                    count = rotation.rotate(table, column)
                except InvalidToken:
                    raise CommandError(
                        f"A secret in {table} cannot be read with any of ENCRYPTION_KEYS. Add the key that it needs."
                    ) from None
                self.stdout.write(f"{table}.{column}: {count} secrets are under the newest key.")

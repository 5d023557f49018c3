from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.db import connections, transaction

from cpo import env
from cpo.databases import ROLES, derived_password, parse
from tenants.row_security import provision


def _password(role: str) -> str:
    url = env.read(f"DATABASE_URL_{role.upper()}")
    return str(parse(url)["PASSWORD"]) if url else derived_password(role)


class Command(BaseCommand):
    help = "Create database roles, row security, composite keys and functions. Run after migrate; harmless to repeat."

    def handle(self, *args: Any, **options: Any) -> None:
        passwords = {role: _password(role) for role in ROLES}
        with transaction.atomic(using="owner"), connections["owner"].cursor() as cursor:
            provision(cursor, prefix=env.read("DATABASE_ROLE_PREFIX"), passwords=passwords)
        if options["verbosity"]:
            self.stdout.write("Roles, row security and functions are in place.")

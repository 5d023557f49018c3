"""Lists `up` in `manage.py help`. The command itself runs before Django does: `cpo/embedded/up.py`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = "The whole product with demo data on this machine, until Ctrl-C."

    def handle(self, *args: Any, **options: Any) -> None:
        raise CommandError("Run `python3 manage.py up`.")

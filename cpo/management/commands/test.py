"""Lists `test` in `manage.py help`. The command itself runs before Django does: `cpo/embedded/test.py`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = "All checks and tests, on servers of their own."

    def handle(self, *args: Any, **options: Any) -> None:
        raise CommandError("Run `python3 manage.py test`.")

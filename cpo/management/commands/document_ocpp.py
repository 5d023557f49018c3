from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import translation

from cpo import documents


class Command(BaseCommand):
    help = "Write docs/ocpp.md from the tables it describes."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        with translation.override("en"):
            self.stdout.write(f"Written: {documents.write('ocpp.md')}")

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from portal import catalogues


class Command(BaseCommand):
    help = (
        "Collect translatable texts into locale/<language>/LC_MESSAGES/django.po and compile all catalogues."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        others = [code for code, _name in settings.LANGUAGES if code != "en"]
        parser.add_argument(
            "languages", nargs="*", default=others, help=f"Languages; all of {', '.join(others)}."
        )
        parser.add_argument(
            "--compile-only", action="store_true", help="Compile what is there, collect nothing."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        for language in [] if options["compile_only"] else options["languages"]:
            texts, missing = catalogues.update(language)
            self.stdout.write(f"{language}: {texts} texts, {missing} without translation")
        for path in catalogues.compile_stale():
            self.stdout.write(f"compiled {path}")

"""`manage.py serve ROLE`: one process of the product. Any number of each may run, on any number of machines."""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import BaseCommand

from cpo import roles


class Command(BaseCommand):
    help = "Run one role: web (pages and REST), gateway (stations), worker (tasks), beat (their clock) or ftp (files)."
    requires_system_checks: list[str] = []  # `up` and deploys check once, not every process again

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("role", choices=sorted(roles.ROLES))
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (web, gateway, ftp)")
        parser.add_argument(
            "--port", type=int, help="port to listen on (web: 8000, gateway: 9000, ftp: 2121)"
        )
        parser.add_argument("--concurrency", type=int, default=2, help="processes of a worker")

    def handle(self, *args: Any, **options: Any) -> None:
        roles.ROLES[options["role"]](roles.Options(options["host"], options["port"], options["concurrency"]))

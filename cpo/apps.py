"""Plugs together what the layers below must not know of each other."""

from __future__ import annotations

from django.apps import AppConfig


class CpoConfig(AppConfig):
    name = "cpo"

    def ready(self) -> None:
        from cpo import subscribers

        subscribers.connect()

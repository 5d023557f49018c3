"""Plugs together what the layers below must not know of each other."""

from __future__ import annotations

from django.apps import AppConfig


class CpoConfig(AppConfig):
    name = "cpo"

    def ready(self) -> None:
        from fleets.services import scopes
        from tenants.services import actors

        actors.plug_in_scopes(scopes.narrow)

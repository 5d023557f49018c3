from __future__ import annotations

import logging

from django.apps import AppConfig

log = logging.getLogger("voltyard.portal")


class PortalConfig(AppConfig):
    name = "portal"

    def ready(self) -> None:
        from portal import catalogues

        try:
            catalogues.compile_stale()
        except OSError as error:  # a read-only installation whose image was built without them speaks English
            log.warning("catalogues could not be compiled", extra={"error": str(error)})

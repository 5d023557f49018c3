"""The ASGI application of `web` (pages, REST, live updates) and of `gateway` (stations)."""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cpo.settings")

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.core.asgi import get_asgi_application
from django.urls import re_path

http = get_asgi_application()


def _application() -> ProtocolTypeRouter:
    from portal.live import LiveConsumer
    from stations.ocpp.consumer import StationConsumer

    live = AllowedHostsOriginValidator(
        AuthMiddlewareStack(URLRouter([re_path(r"^live/(?P<tenant_slug>[a-z0-9-]+)/$", LiveConsumer.as_asgi())]))
    )
    station = StationConsumer.as_asgi()

    async def websocket(scope, receive, send):  # type: ignore[no-untyped-def]
        # Stations are routed by hand: identities hold any character, some chargers double the slash.
        target = station if scope["path"].startswith(("/ocpp/", "//ocpp/")) else live
        await target(scope, receive, send)

    return ProtocolTypeRouter({"http": http, "websocket": websocket})


application = _application()

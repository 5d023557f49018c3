"""The ASGI applications: `application` for pages, REST and live updates, `gateway` for stations."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cpo.settings")

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.core.asgi import get_asgi_application
from django.urls import re_path

http = get_asgi_application()

from portal.live import LiveConsumer
from stations.doors.http import FileDoor
from stations.ocpp.consumer import StationConsumer
from stations.ocpp.gateway import lifespan

application = ProtocolTypeRouter(
    {
        "http": http,
        "websocket": AllowedHostsOriginValidator(
            AuthMiddlewareStack(
                URLRouter([re_path(r"^live/(?P<tenant_slug>[a-z0-9-]+)/$", LiveConsumer.as_asgi())])
            )
        ),
    }
)
_station, _files = StationConsumer(), FileDoor()


async def gateway(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Stations, their files, health and metrics. Routed by hand: identities hold any character, some double slashes."""
    if scope["type"] == "websocket":
        await _station(scope, receive, send)
    elif scope["type"] == "lifespan":
        await lifespan(scope, receive, send)
    elif scope["path"].startswith("/files/"):
        await _files(scope, receive, send)
    elif scope["path"].startswith(("/health/", "/metrics")):
        await http(scope, receive, send)
    else:
        body = b"This is the OCPP gateway. Stations connect by WebSocket to /ocpp/<tenant>/<identity>.\n"
        headers = [(b"content-type", b"text/plain")]
        await send(
            {"type": "http.response.start", "status": 426, "headers": [*headers, (b"upgrade", b"websocket")]}
        )
        await send({"type": "http.response.body", "body": body})

"""The role `gateway`: uvicorn holds the sockets, an applier beside it applies the journal."""

from __future__ import annotations

import os
import subprocess
import sys

import uvicorn
from django.conf import settings

BACKLOG = 4096  # a thousand stations that come back together must not wait for SYN retries
GRACE_SECONDS = 15


def run(host: str, port: int) -> None:
    """Serve stations until SIGTERM or SIGINT, then drain."""
    child = subprocess.Popen(
        [sys.executable, "-m", "cpo.journal"],
        cwd=settings.BASE_DIR,
        env=os.environ | {"VOLTYARD_PROCESS": "gateway"},
    )
    try:
        uvicorn.run(
            "cpo.asgi:gateway",
            host=host,
            port=port,
            backlog=BACKLOG,
            loop="uvloop",
            ws="websockets-sansio",
            ws_max_size=settings.OCPP_MAX_FRAME_BYTES,
            ws_per_message_deflate=False,
            ws_ping_interval=settings.OCPP_PING_SECONDS,
            ws_ping_timeout=settings.OCPP_PING_SECONDS,
            lifespan="on",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,  # `stations.ocpp.access` believes trusted proxies alone
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    finally:
        child.terminate()
        try:
            child.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()

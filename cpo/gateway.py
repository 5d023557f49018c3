"""The role `gateway`: uvicorn holds the sockets, an applier beside it applies the journal."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from typing import Any

import uvicorn
from django.conf import settings

from cpo import tls
from stations.ocpp.socket import StationSocket

log = logging.getLogger("voltyard.gateway")

BACKLOG = 4096  # a thousand stations that come back together must not wait for SYN retries
GRACE_SECONDS = 15


def settle_in() -> None:
    """Once all is loaded: leave it out of garbage collection."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


class _Applier(threading.Thread):
    """Starts the applier's process, and starts it again should it ever end by itself."""

    def __init__(self) -> None:
        super().__init__(name="applier", daemon=True)
        self._stopping = threading.Event()
        self._process = self._start()
        self.start()

    def _start(self) -> subprocess.Popen[bytes]:
        environment = os.environ | {"VOLTYARD_PROCESS": "gateway"}
        return subprocess.Popen([sys.executable, "-m", "cpo.journal"], cwd=settings.BASE_DIR, env=environment)

    def run(self) -> None:
        while True:
            code = self._process.wait()
            if self._stopping.is_set():
                return
            log.error("applier ended, starting it again", extra={"code": code})
            time.sleep(1)
            self._process = self._start()

    def stop(self) -> None:
        self._stopping.set()
        self._process.terminate()
        self.join(GRACE_SECONDS)
        self._process.kill()


def _listener(host: str, port: int) -> socket.socket:
    """A listening address whose sockets end when their peer acknowledges nothing for two pings.

    Keep-alive pings alone do not end a peer that has stopped reading: what we write waits in front of them.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 2 * settings.OCPP_PING_SECONDS * 1000)
    listener.bind((host, port))
    return listener


class _Server(uvicorn.Server):
    """Listens a second time, with TLS, where the gateway ends it itself."""

    def __init__(self, config: uvicorn.Config, secure: tuple[socket.socket, tls.Door] | None) -> None:
        super().__init__(config)
        self._secure = secure

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._secure is None or self.should_exit:
            return
        listener, door = self._secure
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            self._protocol, sock=listener, ssl=door.context, backlog=BACKLOG,
            ssl_handshake_timeout=tls.HANDSHAKE_SECONDS, ssl_shutdown_timeout=5,
        )  # fmt: skip
        self.servers.append(server)
        self._keeper = asyncio.create_task(door.keep())

    def _protocol(self) -> asyncio.Protocol:
        make: Any = self.config.http_protocol_class
        protocol: asyncio.Protocol = make(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol


def run(host: str, port: int) -> None:
    """Serve stations until SIGTERM or SIGINT, then drain."""
    listener = _listener(host, port)
    applier = _Applier()
    config = uvicorn.Config(
        "cpo.asgi:gateway",
        backlog=BACKLOG,
        loop="uvloop",
        ws=StationSocket,
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
    config.load()
    secure = (_listener(host, settings.OCPP_TLS_PORT), tls.Door()) if settings.OCPP_TLS_PORT else None
    settle_in()
    try:
        _Server(config, secure).run(sockets=[listener])
    finally:
        applier.stop()

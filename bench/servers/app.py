"""An ASGI application that echoes WebSocket messages and refuses, before the upgrade, whoever has no password."""

from __future__ import annotations

from typing import Any


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    if scope["type"] != "websocket":
        return
    await receive()
    if not any(name == b"authorization" for name, _ in scope["headers"]):
        await _refuse(scope, send)
        return
    await send({"type": "websocket.accept", "subprotocol": "ocpp1.6"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": event.get("text") or ""})


async def _refuse(scope: dict[str, Any], send: Any) -> None:
    if "websocket.http.response" in scope.get("extensions", {}):
        head = {
            "type": "websocket.http.response.start",
            "status": 401,
            "headers": [(b"content-length", b"0")],
        }
        await send(head)
        await send({"type": "websocket.http.response.body", "body": b""})
    else:
        await send({"type": "websocket.close", "code": 4401})


async def _lifespan(receive: Any, send: Any) -> None:
    while True:
        event = await receive()
        await send({"type": f"{event['type']}.complete"})
        if event["type"] == "lifespan.shutdown":
            return

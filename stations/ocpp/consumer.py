"""The Channels consumer of a station's socket: the handshake, then one long receive loop.

Channels' own dispatch is left aside: a thread hop and two tasks for every event cost more than all our work on it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from channels.consumer import AsyncConsumer
from django.utils import timezone

from stations.ocpp import access, gateway, metrics, versions
from stations.ocpp.access import Entry, Refusal
from stations.ocpp.link import Closed, Link
from stations.services import connections, security_events, security_profiles, signing
from stations.services.connections import FoundStation, OpenRequest, RefusedRequest

log = logging.getLogger("voltyard.gateway")

CLOSE_SECONDS = 5


class StationConsumer(AsyncConsumer):
    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()  # websocket.connect
        here = gateway.current()
        if here.draining:
            await _refuse(scope, send, 503, connections.RESTARTS)
            return
        address = access.address(scope)
        if address is None:
            metrics.REFUSED.labels("address").inc()
            await _refuse(scope, send, 404, "Stations connect to /ocpp/<tenant>/<identity>.")
            return
        found = await here.writer.call(0, connections.find, address)
        peer = access.peer(scope)
        proof = None
        if peer.certificate and not peer.forged and found is not None and found.station_id is not None:
            shown = signing.Shown(found.station_id, address[1], peer.certificate)
            proof = await here.writer.call(found.tenant_id, signing.examine, shown)
        entry = access.decide(found, address[1], access.credentials(scope), peer, proof)
        if isinstance(entry, Refusal):
            await self._unauthorised(here, scope, send, found, address[1], entry)
            return
        await self._serve(here, scope, receive, send, found, address[1], entry)

    async def _unauthorised(
        self,
        here: gateway.Gateway,
        scope: dict[str, Any],
        send: Any,
        found: FoundStation | None,
        identity: str,
        refusal: Refusal,
    ) -> None:
        metrics.REFUSED.labels("credentials").inc()
        remote = access.remote_address(scope)
        delay = here.throttle.failed(remote)
        if delay is None:
            await _refuse(scope, send, 429, "Too many attempts.")
            return
        if delay:
            here.throttle.enter(remote)
            try:
                await asyncio.sleep(delay)
            finally:
                here.throttle.leave(remote)
        if refusal.type == "ProfileTooLow":  # it knows its password: it may know what is missing
            await _refuse(scope, send, 403, f"{refusal.info} See A05 of OCPP.")
        else:
            await _refuse(scope, send, 401, "Identity or password is wrong.")
        if found is not None and found.station_id is not None and refusal.type:
            info = f"From {remote}. {refusal.info}".strip()
            noted = security_events.Refused(found.station_id, refusal.type, info, timezone.now())
            try:
                await here.writer.call(found.tenant_id, security_events.note_refused, noted)
            except Exception:
                log.exception("refusal not noted")
        if found is not None and found.station_id is None:
            offered = " ".join(scope.get("subprotocols") or ())
            request = RefusedRequest(identity, remote, offered, timezone.now())
            try:
                await here.writer.call(found.tenant_id, connections.refuse_many, request)
            except Exception:
                log.exception("refused station not listed")

    async def _serve(
        self,
        here: gateway.Gateway,
        scope: dict[str, Any],
        receive: Any,
        send: Any,
        found: FoundStation,
        identity: str,
        entry: Entry,
    ) -> None:
        version = versions.choose(scope.get("subprotocols") or ())
        if version is None:
            # OCPP-J 1.6 3.2 and 2.0.1 part 4, 3.3: complete the handshake without a subprotocol, then close.
            metrics.REFUSED.labels("subprotocol").inc()
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close", "code": 1002, "reason": "No common OCPP version."})
            return
        request = OpenRequest(
            found.station_id or 0,
            here.name,
            version.name,
            access.remote_address(scope),
            timezone.now(),
            entry.profile,
            entry.used_next,
            entry.password_hash,
        )
        opened = await here.writer.call(found.tenant_id, connections.open_many, request)
        if opened is None:  # archived since it was found, or given another password
            await _refuse(scope, send, 401, "Identity or password is wrong.")
            return
        rose = entry.profile > found.highest_profile  # or it was seen under it, and that is not kept yet
        if entry.used_next or entry.certificate_id or rose or entry.profile != found.effective_profile:
            arrival = security_profiles.Arrival(
                found.station_id or 0, opened.epoch, entry.profile, entry.certificate_id, entry.used_next
            )
            if not await here.writer.call(found.tenant_id, security_profiles.arrived, arrival):
                await _refuse(scope, send, 401, "Identity or password is wrong.")
                return
        scope["headers"] = ()  # some kilobytes that an idle socket would hold for days
        link = Link(here, send, version, found, identity, opened.epoch)
        link.task = asyncio.current_task()
        code, reason = 1006, ""
        try:
            await send({"type": "websocket.accept", "subprotocol": version.subprotocol})
            here.add(link, commands_wait=opened.commands_wait)
            code, reason = await self._read(link, receive)
        except Closed as closed:
            code, reason = closed.code, closed.reason
            await _close(send, code, reason)
        except asyncio.CancelledError:
            if link.closing is None:
                raise
            asyncio.current_task().uncancel()  # type: ignore[union-attr]
            code, reason = link.closing
            await _close(send, code, reason)
        except Exception as error:  # the peer vanished while we wrote
            reason = type(error).__name__
        finally:
            await asyncio.shield(here.remove(link, code, reason))

    async def _read(self, link: Link, receive: Any) -> tuple[int, str]:
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return message.get("code") or 1006, message.get("reason") or ""
            text = message.get("text")
            if text is None:
                metrics.BAD_FRAMES.labels("binary").inc()
                raise Closed(1003, "OCPP-J frames are text.")
            await link.received(text)


async def _close(send: Any, code: int, reason: str) -> None:
    try:
        async with asyncio.timeout(CLOSE_SECONDS):  # a peer that does not read would hold us for ever
            await send({"type": "websocket.close", "code": code, "reason": reason[:120]})
    except Exception:
        log.debug("socket was gone before it could be closed")


async def _refuse(scope: dict[str, Any], send: Any, status: int, text: str) -> None:
    """An HTTP answer instead of the upgrade (ASGI's websocket denial response)."""
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": 1008})
        return
    headers = [(b"content-type", b"text/plain"), (b"connection", b"close")]
    if status == 401:
        headers.append((b"www-authenticate", b'Basic realm="OCPP"'))
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": text.encode()})

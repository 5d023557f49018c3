"""The socket of an open page: passes on what changed, to whom may see it, if the page shows it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

from asgiref.sync import sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer

from stations import live
from tenants import queries
from tenants.context import tenant_scope
from tenants.permissions import Actor, Permission
from tenants.services import actors

log = logging.getLogger("voltyard.live")

SIGNED_OUT, NOT_HERE = 4401, 4404
BEAT_SECONDS = 20
RECHECK_BEATS = 6  # a role taken away closes the page's socket within two minutes
MAX_TOPICS = 500
MARGIN_SECONDS = 5  # for clocks that differ, and for pages that were drawn before the browser saw a byte


def find(slug: str, user_id: int) -> tuple[int, Actor] | None:
    """(tenant id, actor) if the user is a member here who may see stations."""
    tenant = queries.tenant_by_slug(slug)
    if tenant is None:
        return None
    with tenant_scope(tenant.pk):
        member = queries.membership(tenant.pk, user_id)
        actor = actors.of_member(member) if member else None
    if actor is None or not (actor.may(Permission.STATION_VIEW) or actor.may(Permission.SESSION_VIEW)):
        return None
    return tenant.pk, actor


class LiveConsumer(AsyncJsonWebsocketConsumer):
    """/live/<tenant>/. In: {"watch": ["station:3", "session"], "age": 1.5}. Out: {"kind", "id", "station_id", ...}.

    `age`: for how many seconds the page may have missed what happened to topics that it had not watched before.
    """

    tenant_id: int | None = None
    site_ids: frozenset[int] | None = None
    topics: frozenset[str] = frozenset()
    beat: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        user = self.scope.get("user")
        await self.accept()  # a close code reaches the page only after the handshake
        if user is None or not user.is_authenticated:
            await self.close(SIGNED_OUT)
            return
        if not await self._enter():
            await self.close(NOT_HERE)
            return
        await self.channel_layer.group_add(live.group(self.tenant_id), self.channel_name)  # type: ignore[arg-type]
        self.beat = asyncio.create_task(self._keep_beating())

    async def _enter(self) -> bool:
        slug = self.scope["url_route"]["kwargs"]["tenant_slug"]
        found = await sync_to_async(find)(slug, self.scope["user"].pk)
        if found is None:
            return False
        self.tenant_id, actor = found
        self.site_ids = actor.site_ids if actor.may(Permission.STATION_VIEW) else frozenset()
        return True

    async def disconnect(self, code: int) -> None:
        if self.beat:
            self.beat.cancel()
        if self.tenant_id is not None:
            with contextlib.suppress(OSError):
                await self.channel_layer.group_discard(live.group(self.tenant_id), self.channel_name)

    async def receive_json(self, content: Any, **kwargs: Any) -> None:
        watch = content.get("watch") if isinstance(content, dict) else None
        if isinstance(watch, list) and self.tenant_id is not None:
            before, self.topics = self.topics, frozenset(str(topic)[:60] for topic in watch[:MAX_TOPICS])
            age = content.get("age")
            known = isinstance(age, int | float) and age >= 0  # not so NaN
            await self._catch_up(self.topics - before, age if known else 0)

    async def _catch_up(self, topics: frozenset[str], age: float) -> None:
        """Tell what happened between the drawing of the page and now."""
        if not topics:
            return
        try:
            missed = await live.recent(self.tenant_id, age + MARGIN_SECONDS)  # type: ignore[arg-type]
        except Exception as error:  # Redis away: what comes next is told all the same
            log.warning("live memory not read", extra={"error": str(error)[:200]})
            return
        for event in missed:
            await self._pass(event, topics)

    @classmethod
    async def decode_json(cls, text_data: str) -> Any:
        try:
            return await super().decode_json(text_data)
        except ValueError:
            return None

    async def live_events(self, message: dict[str, Any]) -> None:
        for event in message["events"]:
            await self.live_event(event)

    async def live_event(self, event: dict[str, Any]) -> None:
        await self._pass(event, self.topics)

    async def _pass(self, event: dict[str, Any], topics: frozenset[str]) -> None:
        if self.site_ids is not None and event["site_id"] not in self.site_ids:
            return
        data = event.get("data") or {}
        message = {
            "kind": event["kind"],
            "id": data.get("id"),
            "station_id": event["station_id"],
            "site_id": event["site_id"],
            "session_id": data.get("session_id"),
        }
        if topics & _topics_of(message):
            await self.send_json(message)

    async def _keep_beating(self) -> None:
        """Tells the page that the link lives, and closes it for who may no longer see it."""
        count = 0
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            count += 1
            if count % RECHECK_BEATS == 0 and not await self._enter():
                await self.close(SIGNED_OUT)
                return
            await self.send_json({"kind": "beat"})


def _topics_of(message: dict[str, Any]) -> frozenset[str]:
    """The words of `data-live` that a message answers to."""
    kind = message["kind"]
    return frozenset(
        {
            "*",
            kind,
            f"{kind}:{message['id']}",
            f"station:{message['station_id']}",
            f"site:{message['site_id']}",
            f"session:{message['session_id']}",
        }
    )

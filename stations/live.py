"""Live updates for open pages: small messages to the tenant's group, after the commit. Losing one is harmless."""

from __future__ import annotations

import logging
from typing import Any

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import transaction

from tenants.context import current_alias

log = logging.getLogger("voltyard.live")


def group(tenant_id: int) -> str:
    return f"live.{tenant_id}"


def publish(tenant_id: int, *, kind: str, station_id: int, site_id: int, data: dict[str, Any]) -> None:
    """Tell open pages, once the transaction is committed, that something changed.

    `kind`: station | connector | session | command; `data`: what a tile needs, JSON. Redis being away is logged.
    """
    message = {
        "type": "live.event",
        "kind": kind,
        "station_id": station_id,
        "site_id": site_id,
        "data": data,
    }
    transaction.on_commit(lambda: _send(tenant_id, message), using=current_alias(), robust=True)


def _send(tenant_id: int, message: dict[str, Any]) -> None:
    layer = get_channel_layer()
    if layer is None:
        return
    try:
        async_to_sync(layer.group_send)(group(tenant_id), message)
    except OSError as error:
        log.warning("live update not sent", extra={"error": str(error)})

"""What stations keep of customers (N09) and its deletion (N10): encrypted, read by few, deleted after use."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from stations.models import (
    Command,
    CommandKind,
    CommandState,
    CustomerQuery,
    CustomerQueryState,
    Station,
    wire_number,
)
from stations.neutral import CustomerPart
from stations.services import commands, verification
from tenants.errors import Conflict, Invalid
from tenants.permissions import Actor, Permission
from tenants.services import audit

KEPT = timedelta(hours=24)  # what was told, at the longest
LOST_AFTER = timedelta(minutes=10)
MOST_PARTS = 1_000  # of 512 characters
OPEN = (CustomerQueryState.ASKED, CustomerQueryState.RECEIVING)


def ask(*, tenant_id: int, station_id: int, actor: Actor, **arguments: Any) -> CustomerQuery:
    """Ask what a station keeps of a customer, or have it deleted, or both. One of `token_uid` (with `token_kind`),
    `customer_identifier` and `certificate` says of whom; `report` and `clear` what."""
    given = {name: value for name, value in arguments.items() if value not in (None, "")}
    named = [name for name in ("token_uid", "customer_identifier", "certificate") if given.get(name)]
    if len(named) != 1:
        raise Invalid(fields={"token_uid": "Name the customer by one of token, identifier and certificate."})
    if not given.get("report") and not given.get("clear"):
        raise Invalid(fields={"report": "Ask for what is kept, for its deletion, or for both."})
    command = commands.request_command(
        tenant_id=tenant_id, station_id=station_id, kind=CommandKind.CUSTOMER_INFORMATION, arguments=given,
        actor=actor,
    )  # fmt: skip
    return _query_of(command, None)


def _query_of(command: Command, at: datetime | None) -> CustomerQuery:
    """The query that a command asks, made where it is not there yet."""
    arguments, now = command.arguments, at or timezone.now()
    certificate = arguments.get("certificate")
    subject = arguments.get("token_uid") or arguments.get("customer_identifier")
    if not subject and isinstance(certificate, dict):
        subject = f"Certificate {certificate.get('serial_number', '')}"
    query, _made = CustomerQuery.objects.get_or_create(
        tenant_id=command.tenant_id,
        station_id=command.station_id,
        request_id=wire_number(command.pk),
        defaults={
            "command": command,
            "subject": str(subject or "")[:300],
            "report": bool(arguments.get("report", True)),
            "clear": bool(arguments.get("clear", False)),
            "origin_label": command.origin_label,
            "created_at": command.created_at,
            "last_at": now,
            "delete_at": now + KEPT,
        },
    )
    return query


def follow(*, command: Command) -> None:
    """The end of the command: refused, or parts will come."""
    query = _query_of(command, command.settled_at)
    query = CustomerQuery.objects.select_for_update(no_key=True).get(tenant_id=query.tenant_id, pk=query.pk)
    query.reason = (command.detail or command.answer)[:200]
    if command.state != CommandState.ACCEPTED:
        query.state = CustomerQueryState.REFUSED
    elif query.state == CustomerQueryState.ASKED and not query.report:
        query.state = CustomerQueryState.CLEARED
    query.save(update_fields=["state", "reason"])
    verification.tell(command.tenant_id, command.station_id)


def receive(*, tenant_id: int, requests: Sequence[CustomerPart]) -> list[None]:
    """Keep the parts, encrypted. In any order, each once."""
    for part in requests:
        query = _query_for(tenant_id, part)
        if query is None or query.state in (CustomerQueryState.DELETED, CustomerQueryState.REFUSED):
            continue
        told = json.loads(query.told or "{}")
        if len(told) < MOST_PARTS and 0 <= part.part < 2**31:
            told[str(part.part)] = part.text[:512]
        query.told, query.last_at = json.dumps(told), part.received_at
        if not part.more:
            query.last_part = part.part
        whole = query.last_part is not None and all(
            str(n) in told for n in range(min(query.last_part, MOST_PARTS) + 1)
        )
        query.state = CustomerQueryState.COMPLETE if whole else CustomerQueryState.RECEIVING
        query.save()
        verification.tell(tenant_id, part.station_id)
    return [None] * len(requests)


def _query_for(tenant_id: int, part: CustomerPart) -> CustomerQuery | None:
    """What nobody asked for is not kept: it is personal data without a purpose."""
    found = CustomerQuery.objects.select_for_update(no_key=True).filter(
        tenant_id=tenant_id, station_id=part.station_id, request_id=part.request_id
    )
    query = found.first()
    if query is not None:
        return query
    asked = Command.objects.filter(
        tenant_id=tenant_id, station_id=part.station_id, kind=CommandKind.CUSTOMER_INFORMATION
    )
    command = next((one for one in asked[:50] if wire_number(one.pk) == part.request_id), None)
    if command is None:
        return None
    _query_of(command, part.received_at)
    return found.first()


def text_of(*, query: CustomerQuery, actor: Actor) -> str:
    """What the station told, for who may see customers; that it was read is kept."""
    actor.require(Permission.DRIVER_VIEW)
    parts = {int(number): text for number, text in json.loads(query.told or "{}").items()}
    if parts and query.read_at is None:
        query.read_at = timezone.now()
        query.save(update_fields=["read_at"])
        audit.record(
            tenant_id=query.tenant_id, actor=actor, action="customer_data.read", subject=query,
            site_id=query.station.site_id, detail={"subject": query.subject},
        )  # fmt: skip
    return "".join(parts[number] for number in sorted(parts))


def delete(*, query: CustomerQuery, actor: Actor) -> CustomerQuery:
    """Delete what was told. Conflict while parts may still come."""
    actor.require(Permission.DRIVER_VIEW)
    if query.state in OPEN and query.last_at > timezone.now() - LOST_AFTER:
        raise Conflict("The station is still telling. Wait until it has ended.")
    _delete(query)
    audit.record(
        tenant_id=query.tenant_id, actor=actor, action="customer_data.delete", subject=query,
        site_id=query.station.site_id, detail={"subject": query.subject},
    )  # fmt: skip
    return query


def _delete(query: CustomerQuery) -> None:
    query.told, query.state = "", CustomerQueryState.DELETED
    query.save(update_fields=["told", "state"])


def sweep(*, tenant_id: int, now: datetime) -> int:
    """Parts that never came are missing; what is older than a day is deleted."""
    done = CustomerQuery.objects.filter(
        tenant_id=tenant_id, state__in=OPEN, last_at__lt=now - LOST_AFTER
    ).update(state=CustomerQueryState.INCOMPLETE)
    expired = CustomerQuery.objects.filter(tenant_id=tenant_id, delete_at__lte=now).exclude(told="")
    for query in expired[:500]:
        _delete(query)
        done += 1
    return done


def of_station(station: Station) -> list[CustomerQuery]:
    return list(CustomerQuery.objects.filter(tenant_id=station.tenant_id, station=station)[:50])

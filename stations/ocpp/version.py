"""What a version is: two tables, one of what it answers, one of what it says.

Adding an action is adding a row: see docs/recipes/add-an-ocpp-action.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from stations.ocpp.writer import Verb

Payload = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks, and when we received it."""

    station_id: int
    received_at: datetime
    payload: Payload


@dataclass(frozen=True, slots=True)
class Journal:
    """A CALL whose answer needs no decision: durable as a frame, answered, and applied from the journal afterwards.

    `decode` turns it into neutral reports (None: nothing to apply); `reply` is the answer's payload.
    """

    reply: Callable[[Asked], Payload]
    decode: Callable[[Asked], list[Any]] | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """A CALL that a verb answers: `request` puts it in neutral words, `respond` puts the verb's answer on the wire."""

    verb: Verb
    request: Callable[[Asked], Any]
    respond: Callable[[Any, Asked], Payload]


@dataclass(frozen=True, slots=True)
class Say:
    """A command on the wire. `encode` raises Invalid for arguments that the message cannot carry.

    `accepted` are the status words that mean yes; "" means that the answer has no status. `reports` turns the
    station's answer into neutral reports to be recorded.
    """

    action: str
    encode: Callable[[Payload, int], Payload]
    accepted: frozenset[str] = frozenset({"Accepted"})
    status: Callable[[Payload], str] = lambda answer: str(answer.get("status", ""))
    reports: Callable[[Payload], list[Any]] | None = None


@dataclass(frozen=True)
class Version:
    name: str  # as in Station.ocpp_version
    subprotocol: str
    answers: dict[str, Journal | Ask]
    says: dict[str, Say]
    sends: dict[str, Journal] = field(default_factory=dict)  # 2.1: SEND is never answered
    errors_unreadable: bool = True  # 2.x answers a frame whose id is unreadable with id "-1"

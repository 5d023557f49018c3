"""What a version is: two tables, one of what it answers, one of what it says.

Each is put together from one file per profile (1.6) or functional block (2.x). Adding an action is adding a row: see
docs/recipes/add-an-ocpp-action.md. `cases` of a row are the clauses (1.6) or use cases (2.x) that it serves, such as
"B01 B02"; `manage.py document_ocpp` makes docs/ocpp.md of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from stations.ocpp.writer import Verb

Payload = dict[str, Any]
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks, and when we received it."""

    station_id: int
    received_at: datetime
    payload: Payload


@dataclass(frozen=True, slots=True)
class Answered:
    """A station's answer to a command of ours. `arguments` are the command's own, unmasked; `request` went out."""

    station_id: int
    command_id: int
    accepted: bool
    arguments: Payload
    request: Payload
    response: Payload
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Journal:
    """A CALL whose answer needs no decision: durable as a frame, answered, and applied from the journal afterwards.

    `decode` turns it into neutral reports, which `stations.ocpp.recording` gives to their verbs (None: nothing to
    apply); `reply` is the answer's payload.
    """

    reply: Callable[[Asked], Payload]
    decode: Callable[[Asked], list[Any]] | None = None
    cases: str = ""


@dataclass(frozen=True, slots=True)
class Errand:
    """What must be asked of somebody outside (a certificate provider, an OCSP responder) before a verb can answer.

    `run(tenant_id=, request=)` gives the request with what was found. It runs on threads of its own, beside the socket
    and the lanes, and opens transactions only for moments. `late(request)` stands in when it is not back in time.
    """

    run: Callable[..., Any]
    late: Callable[[Any], Any]
    needed: Callable[[Any], bool] = lambda request: True


@dataclass(frozen=True, slots=True)
class Ask:
    """A CALL that a verb answers: `request` puts it in neutral words, `respond` puts the verb's answer on the wire.

    `veil` makes of a payload, the station's or ours, what the log of frames may keep of it.
    """

    verb: Verb
    request: Callable[[Asked], Any]
    respond: Callable[[Any, Asked], Payload]
    cases: str = ""
    errand: Errand | None = None
    veil: Callable[[Payload], Payload] | None = None


@dataclass(frozen=True, slots=True)
class Transfer:
    """DataTransfer: which row answers, depends on the vendor and the message that are named.

    A vendor's row is made by `unwrap(asked)` of the vendor: (the row, and what it is asked with).
    """

    vendors: Mapping[str, Callable[[Asked], Journal | Ask]]
    unknown: Journal
    cases: str = ""

    def row(self, asked: Asked) -> Journal | Ask:
        choose = self.vendors.get(str(asked.payload.get("vendorId", "")).strip())
        return self.unknown if choose is None else choose(asked)


@dataclass(frozen=True, slots=True)
class Say:
    """A command on the wire. `encode(arguments, command id)` raises Invalid for what the message cannot carry.

    `accepted` are the status words that mean yes; "" means that the answer has no status. `reports` turns the
    station's answer, yes or no, into neutral reports, recorded as those of a `Journal` are.
    """

    action: str
    encode: Callable[[Payload, int], Payload]
    accepted: frozenset[str] = frozenset({"Accepted"})
    status: Callable[[Payload], str] = lambda answer: str(answer.get("status", ""))
    reports: Callable[[Answered], list[Any]] | None = None
    cases: str = ""
    instead: Callable[[Payload], Say | None] | None = (
        None  # another row says it where the arguments want that
    )


@dataclass(frozen=True)
class Version:
    name: str  # as in Station.ocpp_version
    subprotocol: str
    answers: dict[str, Journal | Ask | Transfer]
    says: dict[str, Say]
    sends: dict[str, Journal] = field(default_factory=dict)  # 2.1: SEND is never answered
    errors_unreadable: bool = True  # 2.x answers a frame whose id is unreadable with id "-1"

    def say(self, kind: str, arguments: Payload) -> Say | None:
        """The row that says a command with these arguments; None where the version has none."""
        say = self.says.get(kind)
        return (say.instead(arguments) if say is not None and say.instead is not None else None) or say


def table(*parts: Mapping[str, Row]) -> dict[str, Row]:
    """The parts as one table; LookupError where two of them define the same row."""
    whole: dict[str, Row] = {}
    for part in parts:
        if twice := whole.keys() & part.keys():
            raise LookupError(f"Defined twice: {', '.join(sorted(twice))}")
        whole.update(part)
    return whole

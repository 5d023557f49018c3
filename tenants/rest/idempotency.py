"""Idempotency-Key on writes: a repeat gets the first answer. Answers are kept encrypted, for some hold new secrets."""

from __future__ import annotations

import json
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder

from tenants import secrets
from tenants.permissions import Actor
from tenants.services import idempotency

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
HEADER = "HTTP_IDEMPOTENCY_KEY"


class Repeated(Exception):
    """No error: it ends the request early, with the first answer."""

    def __init__(self, answer: idempotency.Answer) -> None:
        super().__init__("this write was answered before")
        self.answer = answer


class Attempt:
    """One write under a key: begun before the view acts, finished with its answer."""

    def __init__(self, *, tenant_id: int, actor: Actor, key: str) -> None:
        self.whose = {"tenant_id": tenant_id, "caller": f"{actor.kind}:{actor.id}", "key": key}

    def begin(self, request: Request) -> None:
        """Raises Repeated with the first answer, if there is one."""
        raw = request._request
        wanted = idempotency.request_hash(request.method or "", raw.get_full_path(), raw.body)
        answer = idempotency.begin(**self.whose, request_hash=wanted)  # type: ignore[arg-type]
        if answer is not None:
            raise Repeated(answer)

    def end(self, response: Response) -> None:
        """Keep a success for repeats; what was refused may be tried again."""
        if response.status_code >= 400:
            idempotency.forget(**self.whose)  # type: ignore[arg-type]
            return
        text = json.dumps(response.data, cls=JSONEncoder)
        sealed = {"sealed": secrets.encrypt(text)}
        idempotency.finish(**self.whose, status=response.status_code, body=sealed)  # type: ignore[arg-type]


def wanted(request: Request) -> str | None:
    """The key of a write that carries one."""
    return request.META.get(HEADER) if request.method in WRITES else None


def response_of(answer: idempotency.Answer) -> Response:
    body: Any = json.loads(secrets.decrypt(answer.body["sealed"]))
    return Response(body, status=answer.status, headers={"Idempotency-Replayed": "true"})

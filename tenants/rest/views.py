"""The base of all REST endpoints: who may, strict input, problem documents, idempotent writes, pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from django.db.models import Model, QuerySet
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from tenants.context import tenant_scope
from tenants.errors import Invalid, NotFound
from tenants.permissions import Actor, Permission
from tenants.rest import idempotency
from tenants.rest.parsers import StrictJSONParser, unstorable
from tenants.rest.schema import Schema
from tenants.rest.throttle import KeyThrottle

Row = TypeVar("Row", bound=Model)
PAGE_PARAMETERS = frozenset({"cursor", "page_size"})


@dataclass(frozen=True)
class Verb:
    """One method of an endpoint: the permission it needs, the shapes it takes and gives."""

    needs: Permission | None
    takes: Any = None
    gives: Any = None
    status: int = 200
    many: bool = False
    says: str = ""
    parameters: Sequence[Any] = ()  # of the query string, besides filters and pages


class TenantView(GenericAPIView[Any]):
    """An endpoint of the tenant whose key asks. `verbs` says all; the methods parse, call a service and answer."""

    verbs: ClassVar[Mapping[str, Verb]] = {}
    manages_transactions: ClassVar[bool] = False
    filterset_class: ClassVar[Any] = None
    parser_classes = [StrictJSONParser]
    throttle_classes = [KeyThrottle]
    schema = Schema()
    http_method_names = ["get", "post", "put", "patch", "delete", "head"]

    @property
    def tenant_id(self) -> int:
        asked: Any = self.request._request
        return int(asked.tenant.pk)

    @property
    def actor(self) -> Actor:
        asked: Any = self.request._request
        actor: Actor = asked.actor
        return actor

    @property
    def verb(self) -> Verb:
        method = self.request.method or ""
        return self.verbs["GET" if method == "HEAD" else method]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if (request.method or "").lower() not in self.http_method_names or not self._answers(request):
            self.http_method_not_allowed(request)
        if self.verb.needs is not None:
            self.actor.require(self.verb.needs)
        self._check_query(request)
        self._begin(request)

    def _answers(self, request: Request) -> bool:
        return ("GET" if request.method == "HEAD" else request.method) in self.verbs

    def _check_query(self, request: Request) -> None:
        known = {parameter.name for parameter in self.verb.parameters}
        if self.verb.many:
            known |= PAGE_PARAMETERS | set(self.filterset_class.base_filters if self.filterset_class else ())
        unknown = sorted(set(request.query_params) - known)
        if unknown:
            listed = ", ".join(sorted(known)) or "none"
            raise Invalid(
                fields={name[:80]: f"There is no such parameter. Known ones: {listed}." for name in unknown}
            )
        for name, values in request.query_params.lists():
            if any(unstorable(value) for value in values):
                raise Invalid(fields={name: "Contains a NUL character or half of a surrogate pair."})

    _attempt: idempotency.Attempt | None = None

    def _own_scope(self) -> AbstractContextManager[None]:
        """The tenant, where the middleware has not entered it."""
        return tenant_scope(self.tenant_id) if self.manages_transactions else nullcontext()

    def _begin(self, request: Request) -> None:
        key = idempotency.wanted(request)
        if key is None:
            return
        attempt = idempotency.Attempt(tenant_id=self.tenant_id, actor=self.actor, key=key)
        with self._own_scope():
            attempt.begin(request)
        self._attempt = attempt

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, idempotency.Repeated):
            return idempotency.response_of(exc.answer)
        return super().handle_exception(exc)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        # A refusal in the middleware's transaction undoes the attempt together with everything else.
        if self._attempt and (response.status_code < 400 or self.manages_transactions):
            with self._own_scope():
                self._attempt.end(response)
        return super().finalize_response(request, response, *args, **kwargs)

    def rows(self) -> QuerySet[Any]:
        """All rows that this actor may see here."""
        raise NotImplementedError

    def get_queryset(self) -> QuerySet[Any]:
        if getattr(self, "swagger_fake_view", False):
            model = getattr(getattr(self.verbs["GET"].gives, "Meta", None), "model", None)
            return model._default_manager.none() if model else QuerySet()
        return self.rows()

    def given(self) -> dict[str, Any]:
        """The body in the shape that the verb takes; Invalid with a sentence a field."""
        serializer = self.verb.takes(
            data=self.request.data, partial=self.request.method == "PATCH", context={"view": self}
        )
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def one(self, rows: QuerySet[Row], **which: Any) -> Row:
        """The row, or 404: what another company owns does not exist here."""
        found = rows.filter(**which).first()
        if found is None:
            raise NotFound(f"There is no such {rows.model._meta.verbose_name} at this company.")
        return found

    def row_for(self, given: dict[str, Any], name: str, rows: QuerySet[Any]) -> None:
        """Put the row that `<name>_id` names in its place in `given`. Invalid if this actor sees none such."""
        if f"{name}_id" not in given:
            return
        number = given.pop(f"{name}_id")
        given[name] = None if number is None else rows.filter(pk=number).first()
        if number is not None and given[name] is None:
            raise Invalid(fields={f"{name}_id": f"There is no such {rows.model._meta.verbose_name}."})

    def rows_for(self, field: str, numbers: list[int], rows: QuerySet[Any]) -> list[Any]:
        """The rows with these numbers. Invalid names those that this actor does not see."""
        found = {row.pk: row for row in rows.filter(pk__in=numbers)}
        missing = [str(number) for number in numbers if number not in found]
        if missing:
            told = ", ".join(missing)[:200]
            raise Invalid(fields={field: f"There is no {rows.model._meta.verbose_name} {told}."})
        return list(found.values())

    def answer(self, thing: Any = None) -> Response:
        """The thing in the shape that the verb gives."""
        if self.verb.gives is None:
            return Response(status=self.verb.status)
        return Response(self.shown(thing), status=self.verb.status)

    def shown(self, thing: Any, *, many: bool = False) -> Any:
        return self.verb.gives(thing, many=many, context={"actor": self.actor}).data

    def page(self, rows: QuerySet[Any] | None = None) -> Response:
        """One page of the rows, filtered by the query string."""
        found = self.filter_queryset(self.get_queryset() if rows is None else rows)
        page = self.paginate_queryset(found)
        return self.get_paginated_response(self.shown(page, many=True))

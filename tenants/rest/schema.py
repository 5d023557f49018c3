"""OpenAPI out of the same declarations that the endpoints run by."""

from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse

from tenants.rest.serializers import Problem

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="Your own text, up to 255 characters. A repeat with the same key and body gets the first answer.",
)
PROBLEMS = {
    400: "The request cannot be read.",
    401: "No usable API key.",
    403: "The key's scopes do not allow this.",
    404: "There is no such thing at this company.",
    409: "It contradicts the present state.",
    422: "Some values cannot be used.",
    429: "Too many requests.",
}


class Schema(AutoSchema):
    @property
    def verb(self) -> Any:
        view: Any = self.view
        return view.verbs[self.method]

    def get_request_serializer(self) -> Any:
        return self.verb.takes

    def get_response_serializers(self) -> Any:
        gives = self.verb.gives
        if isinstance(gives, OpenApiResponse | OpenApiTypes):
            body = gives
        else:
            body = gives(many=True) if gives and self.verb.many else gives
        problems = {status: OpenApiResponse(Problem, text) for status, text in PROBLEMS.items()}
        return {self.verb.status: body} | problems

    def get_summary(self) -> str | None:
        return self.verb.says or None

    def get_description(self) -> str:  # type: ignore[override]
        needs = self.verb.needs
        told = (self.view.__doc__ or "").strip()
        return f"{told}\n\nNeeds the scope `{needs.value}`." if needs else told

    def get_override_parameters(self) -> list[Any]:
        own = list(self.verb.parameters)
        return own if self.method == "GET" else [IDEMPOTENCY_KEY, *own]

    def get_auth(self) -> list[Any]:
        return [{"apiKey": []}]

    def _is_list_view(self, serializer: Any = None) -> bool:
        return bool(self.verb.many)

    def get_operation_id(self) -> str:
        return f"{self.method.lower()}{self.view.__class__.__name__}"

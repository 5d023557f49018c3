"""Shapes of REST: `In` takes nothing that it does not know, `Out` only shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers


class In(serializers.Serializer[Any]):
    """What a write takes. Unknown fields are refused by name, so that a typing error does not pass as success."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            unknown = [str(name)[:80] for name in data if name not in self.fields]
            if unknown:
                known = ", ".join(self.fields) or "none"
                raise serializers.ValidationError(
                    {name: [f"There is no such field. Known ones: {known}."] for name in unknown}
                )
        return super().to_internal_value(data)


class Out(serializers.ModelSerializer[Any]):
    """What a read gives: the columns named in Meta.fields, nothing else."""

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        for field in fields.values():
            field.read_only = True
        return fields


class ProblemField(serializers.Serializer[Any]):
    field = serializers.CharField()
    detail = serializers.CharField()


class Problem(serializers.Serializer[Any]):
    """RFC 9457 problem document."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.CharField()
    errors = ProblemField(many=True, required=False)  # type: ignore[assignment]

"""Filters in the query string."""

from __future__ import annotations

from typing import Any

import django_filters
from django import forms


class IdFilter(django_filters.NumberFilter):
    """A row's number."""

    field_class = forms.IntegerField

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, min_value=0, max_value=2**63 - 1, **kwargs)

    def get_max_validator(self) -> None:
        return None


class Filters(django_filters.FilterSet):
    """Base of an endpoint's filters. Unknown names in the query string are refused by the view."""

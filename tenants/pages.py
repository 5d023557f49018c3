"""What the pages of every app share: the door check, listings, CSV, forms that keep what was typed."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from tenants.errors import DomainError, Invalid
from tenants.models import Tenant
from tenants.permissions import Actor, Permission

View = Callable[..., HttpResponse]


class PageRequest(HttpRequest):
    """A request below /t/<tenant>/, as the tenant middleware leaves it."""

    tenant: Tenant
    actor: Actor


def page(permission: Permission) -> Callable[[View], View]:
    """A page for who has the permission; times on it are in the tenant's zone."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: PageRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            request.actor.require(permission)
            with timezone.override(ZoneInfo(request.tenant.time_zone)):
                return view(request, *args, **kwargs)

        guarded.permission = permission  # type: ignore[attr-defined]
        return guarded

    return decorate


def address(request: PageRequest, name: str, *args: Any) -> str:
    """Address of a page of the tenant in hand."""
    return reverse(name, args=[request.tenant.slug, *args])


def go(request: PageRequest, name: str, *args: Any) -> HttpResponseRedirect:
    return HttpResponseRedirect(address(request, name, *args))


@dataclass
class Listing:
    """One page of a table, sorted and filtered by the address."""

    page: Page[Any]
    total: int
    sort: str
    columns: Sequence[Column] = field(default_factory=tuple)


@dataclass(frozen=True)
class Column:
    """A column: `key` in the address, `order` the fields it sorts by (none: it does not sort)."""

    key: str
    label: Any
    order: tuple[str, ...] = ()
    numeric: bool = False
    optional: bool = False  # hidden until chosen
    narrow: bool = True  # stays on a narrow screen


def listing(
    request: HttpRequest,
    rows: QuerySet[Any],
    columns: Sequence[Column] = (),
    *,
    default: str = "",
    size: int = 50,
) -> Listing:
    """The page of `rows` that ?page= and ?sort= name; -key sorts downwards. Unknown values are ignored."""
    sort = request.GET.get("sort", default)
    chosen = next((column for column in columns if column.key == sort.lstrip("-") and column.order), None)
    if chosen:
        sign = "-" if sort.startswith("-") else ""
        rows = rows.order_by(*(_flip(name) if sign else name for name in chosen.order), "pk")
    found = Paginator(rows, size).get_page(request.GET.get("page"))
    return Listing(page=found, total=found.paginator.count, sort=sort, columns=_shown(request, columns))


def _flip(name: str) -> str:
    return name[1:] if name.startswith("-") else f"-{name}"


def _shown(request: HttpRequest, columns: Sequence[Column]) -> list[Column]:
    wanted = request.GET.getlist("column")
    if not wanted:
        return [column for column in columns if not column.optional]
    return [column for column in columns if column.key in wanted or column is columns[0]]


def csv_response(name: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> HttpResponse:
    """A CSV file. Cells that a spreadsheet would run as a formula are made text."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    for row in rows:
        writer.writerow([_harmless(cell) for cell in row])
    response = HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _harmless(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in "=+-@\t\r" and cell else cell


class PortalForm(forms.Form):
    """A form in the portal's look. `refused` shows what a service said beside the field it is about."""

    required_css_class = "required"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **({"label_suffix": ""} | kwargs))
        for bound in self.fields.values():
            widget = bound.widget
            if isinstance(widget, forms.CheckboxInput | forms.CheckboxSelectMultiple | forms.RadioSelect):
                continue
            css = "form-select" if isinstance(widget, forms.Select) else "form-control"
            widget.attrs["class"] = f"{widget.attrs.get('class', '')} {css}".strip()

    def refused(self, error: DomainError) -> None:
        fields = error.fields if isinstance(error, Invalid) else {}
        for name, text in fields.items():
            self.add_error(name if name in self.fields else None, str(text))
        if not fields:
            self.add_error(None, str(error.detail))

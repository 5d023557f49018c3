"""The base of all admin pages: for platform staff, over all companies, every change in the company's own audit.

Most models are to be looked at only; what staff may change is named per model. Nothing is deleted here.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import ForeignKey, Model
from django.forms import ModelForm
from django.http import HttpRequest

from tenants.fields import SecretField
from tenants.models import Membership, Tenant, User
from tenants.permissions import Actor, Permission
from tenants.services import audit

SECRET_NAMES = frozenset({"password", "password_hash", "next_password_hash", "key_hash"})


def actor_of(request: HttpRequest) -> Actor:
    """The member of staff who asks, as the audit names them."""
    user = request.user
    return Actor(kind="staff", id=str(user.pk), label=str(user), permissions=frozenset(Permission))


def companies_of(thing: Model) -> list[int]:
    """Whose audit a change belongs to. A person's: that of every company they are a member of."""
    if isinstance(thing, Tenant):
        return [thing.pk]
    if isinstance(thing, User):
        rows = Membership.objects.filter(user=thing).order_by("tenant_id")
        return list(rows.values_list("tenant_id", flat=True))
    tenant_id: int | None = getattr(thing, "tenant_id", None)
    return [] if tenant_id is None else [tenant_id]


def record(request: HttpRequest, thing: Model, verb: str, detail: dict[str, Any]) -> None:
    for tenant_id in companies_of(thing):
        audit.record(
            tenant_id=tenant_id,
            actor=actor_of(request),
            action=f"{thing._meta.model_name}.{verb}",
            subject=thing,
            detail=detail,
        )


def is_secret(field: Any) -> bool:
    return isinstance(field, SecretField) or getattr(field, "name", "") in SECRET_NAMES


class Audited:
    """Mixin of a ModelAdmin: what staff changes stands in the audit with before and after."""

    def save_model(self, request: Any, obj: Any, form: ModelForm[Any], change: bool) -> None:
        changed = [name for name in form.changed_data if name in {f.name for f in obj._meta.fields}]
        old = type(obj)._default_manager.filter(pk=obj.pk).first() if change else None
        super().save_model(request, obj, form, change)  # type: ignore[misc]
        shown = [name for name in changed if not is_secret(obj._meta.get_field(name))]
        before = {name: getattr(old, name, None) for name in shown}
        request.audit_changes = audit.changes(before, {name: getattr(obj, name) for name in shown})

    def log_addition(self, request: Any, obj: Any, message: Any) -> Any:
        record(request, obj, "create", {"changed": getattr(request, "audit_changes", {})})
        return super().log_addition(request, obj, message)  # type: ignore[misc]

    def log_change(self, request: Any, obj: Any, message: Any) -> Any:
        # Django's message tells of rows in inlines and of a new password, which the fields do not.
        record(request, obj, "edit", {"changed": getattr(request, "audit_changes", {}), "what": message})
        return super().log_change(request, obj, message)  # type: ignore[misc]

    def has_delete_permission(self, request: Any, obj: Any = None) -> bool:
        return False


class Viewed(Audited, admin.ModelAdmin):
    """A model to look at. `editable` names what staff may change; secrets are never shown."""

    editable: tuple[str, ...] = ()
    addable = False
    list_per_page = 50
    show_full_result_count = False

    def has_add_permission(self, request: Any) -> bool:
        return self.addable and super().has_add_permission(request)

    def has_change_permission(self, request: Any, obj: Any = None) -> bool:
        return bool(self.editable) and super().has_change_permission(request, obj)

    def get_fields(self, request: Any, obj: Any = None) -> Any:
        own = super().get_fields(request, obj)
        hidden = {field.name for field in self.model._meta.get_fields() if is_secret(field)}
        return [name for name in own if name not in hidden]

    def get_exclude(self, request: Any, obj: Any = None) -> Any:
        hidden = [field.name for field in self.model._meta.get_fields() if is_secret(field)]
        return [*(super().get_exclude(request, obj) or ()), *hidden]

    def get_readonly_fields(self, request: Any, obj: Any = None) -> Any:
        own = list(super().get_readonly_fields(request, obj))
        if obj is None and self.addable:
            return own
        names = [field.name for field in self.model._meta.fields if not is_secret(field)]
        hidden = set(self.get_exclude(request, obj))
        return [*own, *(n for n in names if n not in self.editable and n not in own and n not in hidden)]

    def get_list_select_related(self, request: Any) -> Any:
        """Every row that the list names is fetched with it, so that no list grows by queries."""
        shown = [name for name in self.get_list_display(request) if isinstance(name, str)]
        keys = {f.name for f in self.model._meta.fields if isinstance(f, ForeignKey)}
        extra = self.list_select_related if isinstance(self.list_select_related, list | tuple) else ()
        return [*(name for name in shown if name in keys), *extra]


class Bulk(Viewed):
    """A table of many millions of rows: shown for one station at a time."""

    show_full_result_count = False
    station_lookup = "station__id__exact"

    def get_queryset(self, request: Any) -> Any:
        found = super().get_queryset(request)
        match = request.resolver_match
        is_list = match is not None and match.url_name.endswith("_changelist")
        return found.none() if is_list and self.station_lookup not in request.GET else found

    def changelist_view(self, request: Any, extra_context: Any = None) -> Any:
        if self.station_lookup not in request.GET:
            text = f"Open a station and follow its link to this list: {self.station_lookup} must be given."
            self.message_user(request, text)
        return super().changelist_view(request, extra_context)

    def lookup_allowed(self, lookup: str, value: Any, request: Any = None) -> bool:
        return lookup == self.station_lookup or super().lookup_allowed(lookup, value, request)

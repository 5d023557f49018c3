"""Admin of companies, people and their access."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from tenants.models import (
    ApiKey,
    AuditRecord,
    Fact,
    FactDelivery,
    IdempotencyRecord,
    Membership,
    MembershipSite,
    Site,
    Tenant,
    User,
    Webhook,
)
from tenants.services import keys
from tenants.staff import Audited, Viewed, actor_of

admin.site.site_header = admin.site.site_title = _("Voltyard platform")
admin.site.index_title = _("Companies and their things, for platform staff")
admin.site.unregister(Group)  # roles are ours: tenants.permissions


@admin.register(Tenant)
class TenantAdmin(Viewed):
    addable = True
    editable = ("name", "country", "party_id", "currency", "time_zone", "language", "accent", "suspended")
    list_display = ["name", "slug", "country", "currency", "suspended", "created_at"]
    list_filter = ["suspended", "country"]
    search_fields = ["name", "slug"]


class NewPerson(AdminUserCreationForm):
    class Meta:
        model = User
        fields = ("email", "name")


class ChangedPerson(UserChangeForm):
    password = None  # type: ignore[assignment]

    class Meta:
        model = User
        fields = ("email", "name", "language", "is_active", "is_staff", "is_superuser")


@admin.register(User)
class PersonAdmin(Audited, UserAdmin):
    form = ChangedPerson
    add_form = NewPerson
    list_display = ("email", "name", "is_active", "is_staff", "is_superuser", "last_login", "created_at")
    list_filter = ("is_active", "is_staff", "is_superuser")
    search_fields = ("email", "name")
    ordering = ("email",)
    filter_horizontal = ()
    readonly_fields = ("last_login", "created_at")
    fieldsets = (
        (None, {"fields": ("email", "name", "language")}),
        (_("Access"), {"fields": ("is_active", "is_staff", "is_superuser")}),
        (_("History"), {"fields": ("last_login", "created_at")}),
    )
    add_fieldsets = ((None, {"fields": ("email", "name", "usable_password", "password1", "password2")}),)


class SitesOfMember(admin.TabularInline):
    model = MembershipSite
    fields = ["tenant", "site"]
    raw_id_fields = ["tenant", "site"]
    extra = 0


@admin.register(Membership)
class MembershipAdmin(Viewed):
    addable = True
    editable = ("role", "active")
    list_display = ["user", "tenant", "role", "active", "created_at"]
    list_filter = ["role", "active", "tenant"]
    search_fields = ["user__email", "user__name", "tenant__name"]
    raw_id_fields = ["user", "tenant"]
    inlines = [SitesOfMember]


@admin.register(MembershipSite)
class MembershipSiteAdmin(Viewed):
    list_display = ["membership", "site", "tenant"]
    list_filter = ["tenant"]
    list_select_related = ["membership__user"]
    search_fields = ["membership__user__email", "site__name"]


@admin.register(Site)
class SiteAdmin(Viewed):
    list_display = ["name", "tenant", "city", "country", "access", "archived_at"]
    list_filter = ["access", "country", "tenant"]
    search_fields = ["name", "city", "host"]


@admin.register(ApiKey)
class ApiKeyAdmin(Viewed):
    """Staff may take a key away, never make one: it would be theirs."""

    list_display = ["name", "prefix", "tenant", "created_by", "created_at", "last_used_at", "revoked_at"]
    list_filter = ["tenant", ("revoked_at", admin.EmptyFieldListFilter)]
    search_fields = ["name", "prefix"]
    actions = ["revoke"]

    @admin.action(description=_("Revoke the chosen keys"))
    def revoke(self, request: Any, chosen: QuerySet[ApiKey]) -> None:
        for key in chosen:
            keys.revoke_key(key=key, actor=actor_of(request))


@admin.register(Webhook)
class WebhookAdmin(Viewed):
    editable = ("active",)
    list_display = ["url", "tenant", "active", "disabled_reason", "created_at"]
    list_filter = ["active", "tenant"]
    search_fields = ["url"]


@admin.register(AuditRecord)
class AuditRecordAdmin(Viewed):
    """Append-only: the database refuses a change too."""

    list_display = ["at", "tenant", "actor_kind", "actor_label", "action", "object_type", "object_label"]
    list_filter = ["actor_kind", "tenant"]
    search_fields = ["actor_label", "action", "object_label", "object_id"]


@admin.register(Fact)
class FactAdmin(Viewed):
    list_display = ["id", "tenant", "kind", "subject_type", "subject_id", "created_at", "dispatched_at"]
    list_filter = [("dispatched_at", admin.EmptyFieldListFilter), "tenant"]
    search_fields = ["=kind", "=subject_id"]
    ordering = ["-id"]


@admin.register(FactDelivery)
class FactDeliveryAdmin(Viewed):
    list_display = ["id", "fact", "subscriber", "tenant", "attempts", "next_attempt_at", "done_at"]
    list_filter = [("done_at", admin.EmptyFieldListFilter), "subscriber", "tenant"]
    search_fields = ["subscriber", "last_error"]
    ordering = ["-id"]


@admin.register(IdempotencyRecord)
class IdempotencyRecordAdmin(Viewed):
    """Without the answers: they may hold a new password."""

    exclude = ["body"]
    list_display = ["id", "tenant", "caller", "key", "status", "created_at"]
    list_filter = ["status", "tenant"]
    search_fields = ["key", "caller"]
    ordering = ["-id"]

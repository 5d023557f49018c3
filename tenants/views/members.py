"""Members, their roles, and the table of what a role may do."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from tenants import queries
from tenants.errors import DomainError, NotFound
from tenants.models import Membership, Role, Site
from tenants.pages import PageRequest, PortalForm, go, page
from tenants.permissions import ROLE_PERMISSIONS, Permission
from tenants.services import members as service


class RoleForm(PortalForm):
    role = forms.ChoiceField(label=_("Role"), choices=Role.choices)
    sites = forms.ModelMultipleChoiceField(
        label=_("Only these sites"),
        queryset=Site.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("None chosen: all sites. A facility manager without a site sees none."),
    )
    active = forms.BooleanField(label=_("May sign in here"), required=False, initial=True)

    def __init__(self, *args: Any, sites: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["sites"].queryset = sites  # type: ignore[attr-defined]


class MemberForm(RoleForm):
    email = forms.EmailField(label=_("E-mail"))
    name = forms.CharField(label=_("Name"), max_length=120, required=False)
    password = forms.CharField(
        label=_("First password"),
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("Needed for a person who is new to Voltyard. At least 10 characters."),
    )
    field_order = ("email", "name", "password", "role", "sites")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        del self.fields["active"]


def role_table() -> list[tuple[Permission, list[bool]]]:
    """The table of permissions as rows: permission, then yes or no a role."""
    return [
        (permission, [permission in ROLE_PERMISSIONS[role] for role in Role]) for permission in Permission
    ]


@page(Permission.MEMBER_VIEW)
def members(request: PageRequest) -> HttpResponse:
    found = (
        Membership.objects.filter(tenant_id=request.tenant.pk)
        .select_related("user")
        .prefetch_related("sites__site")
        .order_by("user__name", "user__email")
    )
    return render(
        request, "tenants/members.html", {"members": found, "roles": Role.choices, "table": role_table()}
    )


@page(Permission.MEMBER_EDIT)
def member_new(request: PageRequest) -> HttpResponse:
    sites = queries.sites(request.tenant.pk, request.actor)
    form = MemberForm(request.POST or None, sites=sites, initial={"role": Role.OPERATOR})
    if request.method == "POST" and form.is_valid():
        try:
            member = service.add_member(
                tenant_id=request.tenant.pk,
                actor=request.actor,
                **form.cleaned_data,
            )
        except DomainError as error:
            form.refused(error)
        else:
            messages.success(request, _t("%(name)s is a member now.") % {"name": member.user})
            return go(request, "members")
    return render(request, "tenants/member_form.html", {"form": form}, status=422 if form.errors else 200)


@page(Permission.MEMBER_EDIT)
def member_edit(request: PageRequest, member_id: int) -> HttpResponse:
    member = (
        Membership.objects.filter(tenant_id=request.tenant.pk, pk=member_id).select_related("user").first()
    )
    if member is None:
        raise NotFound
    sites = queries.sites(request.tenant.pk, request.actor)
    start = {
        "role": member.role,
        "active": member.active,
        "sites": list(member.sites.values_list("site_id", flat=True)),
    }
    form = RoleForm(request.POST or None, sites=sites, initial=start)
    if request.method == "POST" and form.is_valid():
        try:
            service.change_member(member=member, actor=request.actor, **form.cleaned_data)
        except DomainError as error:
            form.refused(error)
        else:
            messages.success(request, _t("Saved. %(name)s has the new role at once.") % {"name": member.user})
            return go(request, "members")
    return render(
        request,
        "tenants/member_form.html",
        {"form": form, "member": member},
        status=422 if form.errors else 200,
    )

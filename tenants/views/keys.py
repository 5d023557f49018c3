"""API keys: made and shown once, revoked for good."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from tenants import queries
from tenants.errors import DomainError, NotFound
from tenants.pages import PageRequest, PortalForm, go, page
from tenants.permissions import Actor, Permission
from tenants.services import keys


class KeyForm(PortalForm):
    name = forms.CharField(
        label=_("Name"), max_length=80, help_text=_("The system that will use it, such as ERP.")
    )
    scopes = forms.MultipleChoiceField(label=_("It may"), widget=forms.CheckboxSelectMultiple)
    expires_at = forms.DateTimeField(
        label=_("Expires"), required=False, widget=forms.DateTimeInput(attrs={"type": "datetime-local"})
    )

    def __init__(self, *args: Any, actor: Actor, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        allowed = [choice for choice in Permission.choices if actor.may(Permission(choice[0]))]
        self.fields["scopes"].choices = allowed  # type: ignore[attr-defined]


@never_cache
@page(Permission.KEY_EDIT)
def api_keys(request: PageRequest) -> HttpResponse:
    form = KeyForm(request.POST or None, actor=request.actor)
    secret = ""
    if request.method == "POST" and form.is_valid():
        try:
            _key, secret = keys.create_key(
                tenant_id=request.tenant.pk,
                actor=request.actor,
                **form.cleaned_data,
            )
        except DomainError as error:
            form.refused(error)
        else:
            # Shown in the answer to the POST itself: a secret has no place in a session or an address.
            form = KeyForm(actor=request.actor)
    found = queries.api_keys(request.tenant.pk).select_related("created_by")
    context = {"form": form, "keys": found, "secret": secret}
    return render(request, "tenants/api_keys.html", context, status=422 if form.errors else 200)


@require_POST
@page(Permission.KEY_EDIT)
def api_key_revoke(request: PageRequest, key_id: int) -> HttpResponse:
    key = queries.api_keys(request.tenant.pk).filter(pk=key_id).first()
    if key is None:
        raise NotFound
    keys.revoke_key(key=key, actor=request.actor)
    messages.success(
        request, _t("%(name)s is revoked. Whoever used it is refused from now on.") % {"name": key.name}
    )
    return go(request, "api-keys")

"""Webhooks: which of the company's own systems are told of what, and whether they took it."""

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

from tenants.errors import DomainError, NotFound
from tenants.models import Fact, Webhook
from tenants.pages import PageRequest, PortalForm, go, listing, page
from tenants.permissions import Permission
from tenants.services import webhooks as service


class WebhookForm(PortalForm):
    url = forms.CharField(
        label=_("Address"),
        max_length=400,
        widget=forms.URLInput(attrs={"placeholder": "https://example.com/voltyard"}),
        help_text=_("Each fact is sent there as a signed POST."),
    )
    kinds = forms.CharField(
        label=_("Kinds of facts"),
        required=False,
        help_text=_("Such as session.ended, separated by commas. Empty: all."),
    )

    def clean_kinds(self) -> list[str]:
        return [kind.strip() for kind in self.cleaned_data["kinds"].split(",") if kind.strip()]


def _hook(request: PageRequest, webhook_id: int) -> Webhook:
    found = Webhook.objects.filter(tenant_id=request.tenant.pk, pk=webhook_id).first()
    if found is None:
        raise NotFound
    return found


def _seen_kinds(request: PageRequest) -> list[str]:
    """Kinds of facts that happened here lately, to choose from."""
    recent = Fact.objects.filter(tenant_id=request.tenant.pk).order_by("-pk").values_list("kind", flat=True)
    return sorted({kind for kind in recent[:2000] if kind != "webhook.test"})


@never_cache
@page(Permission.KEY_EDIT)
def webhooks(request: PageRequest) -> HttpResponse:
    form = WebhookForm(request.POST or None)
    made, secret = None, ""
    if request.method == "POST" and form.is_valid():
        try:
            made, secret = service.create_webhook(
                tenant_id=request.tenant.pk, actor=request.actor, **form.cleaned_data
            )
        except DomainError as error:
            form.refused(error)
        else:
            form = WebhookForm()  # the secret stands in the answer itself, and nowhere else
    hooks = [
        {"hook": hook, "latest": service.deliveries(hook=hook).first()}
        for hook in Webhook.objects.filter(tenant_id=request.tenant.pk).order_by("pk")
    ]
    context = {"form": form, "hooks": hooks, "made": made, "secret": secret, "seen": _seen_kinds(request)}
    return render(request, "tenants/webhooks.html", context, status=422 if form.errors else 200)


@never_cache
@page(Permission.KEY_EDIT)
def webhook(request: PageRequest, webhook_id: int) -> HttpResponse:
    """One webhook: change it, and see what was sent."""
    hook = _hook(request, webhook_id)
    form = WebhookForm(request.POST or None, initial={"url": hook.url, "kinds": ", ".join(hook.kinds)})
    if request.method == "POST" and form.is_valid():
        try:
            service.update_webhook(hook=hook, actor=request.actor, **form.cleaned_data)
        except DomainError as error:
            form.refused(error)
        else:
            messages.success(request, _t("Saved."))
            return go(request, "webhook", hook.pk)
    return _render(request, hook, form)


def _render(request: PageRequest, hook: Webhook, form: WebhookForm, **more: Any) -> HttpResponse:
    rows = service.deliveries(hook=hook)
    context = {
        "hook": hook,
        "form": form,
        "listing": listing(request, rows, size=25),
        "waiting": rows.filter(done_at=None).count(),
        "most": service.ATTEMPTS,
        "seen": _seen_kinds(request),
        **more,
    }
    return render(request, "tenants/webhook.html", context, status=422 if form.errors else 200)


@require_POST
@page(Permission.KEY_EDIT)
def webhook_try(request: PageRequest, webhook_id: int) -> HttpResponse:
    hook = _hook(request, webhook_id)
    try:
        service.try_out(hook=hook, actor=request.actor)
    except DomainError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _t("A test is on its way. Its outcome shows below within seconds."))
    return go(request, "webhook", hook.pk)


@require_POST
@page(Permission.KEY_EDIT)
def webhook_switch(request: PageRequest, webhook_id: int) -> HttpResponse:
    hook = _hook(request, webhook_id)
    service.update_webhook(hook=hook, actor=request.actor, active=not hook.active)
    return go(request, "webhook", hook.pk)


@never_cache
@require_POST
@page(Permission.KEY_EDIT)
def webhook_secret(request: PageRequest, webhook_id: int) -> HttpResponse:
    """A new secret, shown in the answer itself."""
    hook = _hook(request, webhook_id)
    secret = service.renew_secret(hook=hook, actor=request.actor)
    form = WebhookForm(initial={"url": hook.url, "kinds": ", ".join(hook.kinds)})
    return _render(request, hook, form, secret=secret)


@require_POST
@page(Permission.KEY_EDIT)
def webhook_repeat(request: PageRequest, webhook_id: int, delivery_id: int) -> HttpResponse:
    hook = _hook(request, webhook_id)
    delivery = service.deliveries(hook=hook).filter(pk=delivery_id).first()
    if delivery is None:
        raise NotFound
    try:
        service.repeat(hook=hook, delivery=delivery, actor=request.actor)
    except DomainError as error:
        messages.error(request, str(error))
    return go(request, "webhook", hook.pk)


@require_POST
@page(Permission.KEY_EDIT)
def webhook_delete(request: PageRequest, webhook_id: int) -> HttpResponse:
    hook = _hook(request, webhook_id)
    service.delete_webhook(hook=hook, actor=request.actor)
    messages.success(request, _t("%(address)s is told of nothing any more.") % {"address": hook.url})
    return go(request, "webhooks")

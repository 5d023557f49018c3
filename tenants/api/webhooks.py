"""Webhooks: the tenant's own systems are told of facts."""

from __future__ import annotations

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from tenants.models import FactDelivery, Webhook
from tenants.permissions import Permission
from tenants.rest import In, Out, TenantView, Verb
from tenants.services import webhooks


class WebhookOut(Out):
    kinds = serializers.ListField(child=serializers.CharField())

    class Meta:
        model = Webhook
        fields = ["id", "url", "kinds", "active", "disabled_reason", "created_at"]


class WebhookCreated(WebhookOut):
    secret = serializers.CharField(help_text="Checks signatures. Shown this once")

    class Meta(WebhookOut.Meta):
        fields = [*WebhookOut.Meta.fields, "secret"]


class WebhookIn(In):
    url = serializers.CharField(max_length=400)
    kinds = serializers.ListField(
        child=serializers.CharField(max_length=60), max_length=50, required=False, help_text="Empty: all"
    )


class WebhookChange(WebhookIn):
    active = serializers.BooleanField(required=False)


class WebhookView(TenantView):
    def rows(self) -> QuerySet[Webhook]:
        return Webhook.objects.filter(tenant_id=self.tenant_id)


class WebhookList(WebhookView):
    """Addresses that are told of facts, each call signed in `Voltyard-Signature`."""

    verbs = {
        "GET": Verb(Permission.KEY_EDIT, gives=WebhookOut, many=True, says="List webhooks"),
        "POST": Verb(
            Permission.KEY_EDIT, takes=WebhookIn, gives=WebhookCreated, status=201, says="Create a webhook"
        ),
    }

    def get(self, request: Request) -> Response:
        return self.page()

    def post(self, request: Request) -> Response:
        hook, _secret = webhooks.create_webhook(tenant_id=self.tenant_id, actor=self.actor, **self.given())
        return self.answer(hook)


class WebhookOne(WebhookView):
    """One webhook."""

    verbs = {
        "GET": Verb(Permission.KEY_EDIT, gives=WebhookOut, says="Read a webhook"),
        "PATCH": Verb(Permission.KEY_EDIT, takes=WebhookChange, gives=WebhookOut, says="Change a webhook"),
        "DELETE": Verb(Permission.KEY_EDIT, status=204, says="Remove a webhook"),
    }

    def get(self, request: Request, webhook_id: int) -> Response:
        return self.answer(self.one(self.rows(), pk=webhook_id))

    def patch(self, request: Request, webhook_id: int) -> Response:
        hook = self.one(self.rows(), pk=webhook_id)
        return self.answer(webhooks.update_webhook(hook=hook, actor=self.actor, **self.given()))

    def delete(self, request: Request, webhook_id: int) -> Response:
        webhooks.delete_webhook(hook=self.one(self.rows(), pk=webhook_id), actor=self.actor)
        return self.answer()


class WebhookSecret(WebhookView):
    """A new secret; the old one signs nothing from now on."""

    verbs = {
        "POST": Verb(Permission.KEY_EDIT, takes=In, gives=WebhookCreated, says="Renew a webhook's secret")
    }

    def post(self, request: Request, webhook_id: int) -> Response:
        self.given()
        hook = self.one(self.rows(), pk=webhook_id)
        webhooks.renew_secret(hook=hook, actor=self.actor)
        return self.answer(hook)


class DeliveryOut(Out):
    fact_kind = serializers.CharField(source="fact.kind")
    fact_created_at = serializers.DateTimeField(source="fact.created_at")
    payload = serializers.JSONField(source="fact.payload")

    class Meta:
        model = FactDelivery
        fields = [
            "id",
            "fact_id",
            "fact_kind",
            "fact_created_at",
            "payload",
            "attempts",
            "next_attempt_at",
            "done_at",
            "last_error",
        ]


class WebhookTest(WebhookView):
    """A fact of kind `webhook.test`, sent to this webhook alone."""

    verbs = {
        "POST": Verb(Permission.KEY_EDIT, takes=In, gives=DeliveryOut, status=202, says="Try a webhook out")
    }

    def post(self, request: Request, webhook_id: int) -> Response:
        self.given()
        return self.answer(webhooks.try_out(hook=self.one(self.rows(), pk=webhook_id), actor=self.actor))


class DeliveryList(TenantView):
    """What was sent to a webhook, or waits for it. `done_at` with a `last_error`: given up."""

    verbs = {"GET": Verb(Permission.KEY_EDIT, gives=DeliveryOut, many=True, says="List deliveries")}

    def rows(self) -> QuerySet[FactDelivery]:
        hooks = Webhook.objects.filter(tenant_id=self.tenant_id)
        return webhooks.deliveries(hook=self.one(hooks, pk=self.kwargs["webhook_id"]))

    def get(self, request: Request, webhook_id: int) -> Response:
        return self.page()


class DeliveryRepeat(WebhookView):
    """Send a fact once more, at once."""

    verbs = {
        "POST": Verb(Permission.KEY_EDIT, takes=In, gives=DeliveryOut, status=202, says="Repeat a delivery")
    }

    def post(self, request: Request, webhook_id: int, delivery_id: int) -> Response:
        self.given()
        hook = self.one(self.rows(), pk=webhook_id)
        delivery = self.one(webhooks.deliveries(hook=hook), pk=delivery_id)
        return self.answer(webhooks.repeat(hook=hook, delivery=delivery, actor=self.actor))

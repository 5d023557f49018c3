"""REST of the company: who asks, sites, members, keys, webhooks, audit. Below /api/v1/."""

from django.urls import path

from tenants.api.account import Account
from tenants.api.audit import AuditList
from tenants.api.keys import KeyList, KeyOne
from tenants.api.members import MemberList, MemberOne
from tenants.api.sites import SiteList, SiteOne
from tenants.api.webhooks import (
    DeliveryList,
    DeliveryRepeat,
    WebhookList,
    WebhookOne,
    WebhookSecret,
    WebhookTest,
)

urlpatterns = [
    path("me", Account.as_view(), name="api-me"),
    path("sites", SiteList.as_view(), name="api-sites"),
    path("sites/<int:site_id>", SiteOne.as_view(), name="api-site"),
    path("members", MemberList.as_view(), name="api-members"),
    path("members/<int:member_id>", MemberOne.as_view(), name="api-member"),
    path("api-keys", KeyList.as_view(), name="api-keys-rest"),
    path("api-keys/<int:key_id>", KeyOne.as_view(), name="api-key-rest"),
    path("webhooks", WebhookList.as_view(), name="webhooks"),
    path("webhooks/<int:webhook_id>", WebhookOne.as_view(), name="webhook"),
    path("webhooks/<int:webhook_id>/secret", WebhookSecret.as_view(), name="webhook-secret"),
    path("webhooks/<int:webhook_id>/test", WebhookTest.as_view(), name="webhook-test"),
    path("webhooks/<int:webhook_id>/deliveries", DeliveryList.as_view(), name="webhook-deliveries"),
    path(
        "webhooks/<int:webhook_id>/deliveries/<int:delivery_id>/repeat",
        DeliveryRepeat.as_view(),
        name="webhook-delivery-repeat",
    ),
    path("audit", AuditList.as_view(), name="api-audit"),
]

"""Pages of the company: its look, its sites' forms, members, audit, API keys. Below /t/<tenant>/."""

from django.urls import path

from tenants import views
from tenants.views import webhooks

urlpatterns = [
    path("theme.css", views.theme, name="theme"),
    path("sites/new/", views.site_new, name="site-new"),
    path("sites/<int:site_id>/edit/", views.site_edit, name="site-edit"),
    path("members/", views.members, name="members"),
    path("members/new/", views.member_new, name="member-new"),
    path("members/<int:member_id>/", views.member_edit, name="member"),
    path("audit/", views.audit, name="audit"),
    path("api-keys/", views.api_keys, name="api-keys"),
    path("api-keys/<int:key_id>/revoke/", views.api_key_revoke, name="api-key-revoke"),
    path("webhooks/", webhooks.webhooks, name="webhooks"),
    path("webhooks/<int:webhook_id>/", webhooks.webhook, name="webhook"),
    path("webhooks/<int:webhook_id>/try/", webhooks.webhook_try, name="webhook-try"),
    path("webhooks/<int:webhook_id>/switch/", webhooks.webhook_switch, name="webhook-switch"),
    path("webhooks/<int:webhook_id>/secret/", webhooks.webhook_secret, name="webhook-secret"),
    path("webhooks/<int:webhook_id>/delete/", webhooks.webhook_delete, name="webhook-delete"),
    path(
        "webhooks/<int:webhook_id>/deliveries/<int:delivery_id>/repeat/",
        webhooks.webhook_repeat,
        name="webhook-repeat",
    ),
]

"""All addresses. Each app lists its own; portal pages stand under /t/<tenant>/, REST under /api/v1/."""

from __future__ import annotations

from importlib.util import find_spec

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView

from cpo import health

# Apps whose pages stand below a tenant, in the order of their layers.
PAGES = [name for name in ("portal", "stations", "billing", "fleets", "tenants") if find_spec(f"{name}.urls")]
API = [name for name in ("stations", "billing", "fleets", "tenants") if find_spec(f"{name}.api")]

urlpatterns = [
    path("health/live", health.live, name="health-live"),
    path("health/ready", health.ready, name="health-ready"),
    path("admin/", admin.site.urls),
    path("api/schema/", SpectacularAPIView.as_view(authentication_classes=[], permission_classes=[]), name="schema"),
    path("api/v1/", include([path("", include((f"{name}.api", name))) for name in API])),
    path("t/<slug:tenant_slug>/", include([path("", include(f"{name}.urls")) for name in PAGES])),
]

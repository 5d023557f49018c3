"""All addresses. Each app lists its own; portal pages stand under /t/<tenant>/, REST under /api/v1/."""

from __future__ import annotations

from importlib.util import find_spec

from django.contrib import admin
from django.urls import include, path, re_path

from cpo import errors, health, metrics
from cpo.schema import SchemaView
from stations.views import crl

# Apps whose pages stand below a tenant, in the order of their layers.
PAGES = [
    name
    for name in ("portal", "energy", "stations", "billing", "fleets", "tenants")
    if find_spec(f"{name}.urls")
]
API = [name for name in ("energy", "stations", "billing", "fleets", "tenants") if find_spec(f"{name}.api")]

urlpatterns = [
    path("health/live", health.live, name="health-live"),
    path("health/ready", health.ready, name="health-ready"),
    path("metrics", metrics.metrics, name="metrics"),
    path("admin/", admin.site.urls),
    path("api/schema/", SchemaView.as_view(), name="schema"),
    path("api/v1/", include([path("", include((f"{name}.api", name))) for name in API])),
    re_path(r"^api/(?P<rest>.*)$", errors.no_such_endpoint, name="no-such-endpoint"),
    re_path(r"^crl/(?P<fingerprint>[0-9a-f]{64})\.crl$", crl.revocation_list, name="crl"),
    path("", include("tenants.door_urls")),
    path("pay/", include("stations.public_urls")),
    path("t/<slug:tenant_slug>/", include([path("", include(f"{name}.urls")) for name in PAGES])),
]

handler400 = errors.bad_request
handler403 = errors.permission_denied
handler404 = errors.not_found
handler500 = errors.server_error

"""Which tenant a request is for, who asks, and in which transaction it is answered.

Portal: `/t/<slug>/...` for the logged-in member. REST: `/api/...` by key. Both run in one transaction of the tenant
unless the view says `manages_transactions` (a bounded wait must not hold one open).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import Resolver404, resolve

from tenants import problems, queries
from tenants.context import as_platform, tenant_scope
from tenants.errors import DomainError, NotFound
from tenants.services import actors, keys

GetResponse = Callable[[HttpRequest], HttpResponse]


def client_address(direct: str, forwarded_for: str) -> str:
    """Address of the client: what a trusted proxy says of it, else the peer of the socket."""

    def trusted(text: str) -> bool:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return False
        return any(address in network for network in settings.TRUSTED_PROXIES)

    for hop in reversed(
        [direct] if not forwarded_for else [*map(str.strip, forwarded_for.split(",")), direct]
    ):
        if not trusted(hop):
            return hop
    return direct


class ProxyMiddleware:
    """Believe X-Forwarded-For and X-Forwarded-Proto from trusted proxies alone."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        direct = request.META.get("REMOTE_ADDR", "")
        client = client_address(direct, request.META.get("HTTP_X_FORWARDED_FOR", ""))
        if client != direct:
            request.META["REMOTE_ADDR"] = client
            if request.META.get("HTTP_X_FORWARDED_PROTO") == "https":
                request.META["wsgi.url_scheme"] = "https"
                request._get_scheme = lambda: "https"  # type: ignore[attr-defined]
        return self.get_response(request)


class PlatformMiddleware:
    """The Django admin speaks to the database as the platform role."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with as_platform() if request.path.startswith("/admin/") else nullcontext():
            return self.get_response(request)


def _page_above(path: str) -> str:
    """Where a form stood that was sent to `path`, an address without a page of its own. A refused form shows there, so
    that it is reloaded, refreshed by live parts and asked for after a new sign-in. Addresses are built so that a form's
    begins with that of its page."""
    while path.count("/") > 1:
        path = path.rstrip("/").rpartition("/")[0] + "/"
        with suppress(Resolver404):
            resolve(path)
            return path
    return "/"


class TenantMiddleware:
    """Sets request.tenant and request.actor, and answers within the tenant. Strangers get 404."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.tenant = None  # type: ignore[attr-defined]
        request.actor = None  # type: ignore[attr-defined]
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponse], args: Any, kwargs: dict[str, Any]
    ) -> HttpResponseBase | None:
        slug = kwargs.pop("tenant_slug", None)
        is_api = request.path.startswith("/api/v1/")
        if slug is None and not is_api:
            return None
        if slug is not None and not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        try:
            tenant_id = self._tenant_by_key(request) if is_api else self._tenant_by_slug(request, slug)
            if tenant_id is None:
                return None  # REST without a usable key: the REST framework answers 401
            own = getattr(getattr(view, "cls", view), "manages_transactions", False) or getattr(
                getattr(view, "view_class", view), "manages_transactions", False
            )
            scope: AbstractContextManager[None] = nullcontext() if own else tenant_scope(tenant_id)
            with scope:
                response = view(request, *args, **kwargs)
                if isinstance(response, TemplateResponse):
                    response = response.render()
                if response.status_code == 405 and request.method in ("GET", "HEAD") and not is_api:
                    return HttpResponseRedirect(_page_above(request.path))
                return response
        except DomainError as error:
            return problems.to_response(request, error)

    def _tenant_by_slug(self, request: HttpRequest, slug: str) -> int:
        tenant = queries.tenant_by_slug(slug)
        if tenant is None:
            raise NotFound
        with tenant_scope(tenant.pk):
            member = queries.membership(tenant.pk, request.user.pk or 0)
            if member is None:
                raise NotFound
            request.actor = actors.of_member(member)  # type: ignore[attr-defined]
        request.tenant = tenant  # type: ignore[attr-defined]
        return tenant.pk

    def _tenant_by_key(self, request: HttpRequest) -> int | None:
        key = keys.authenticate(request.META.get("HTTP_AUTHORIZATION", ""))
        if key is None:
            return None
        request.tenant = key.tenant  # type: ignore[attr-defined]
        request.actor = actors.of_key(key)  # type: ignore[attr-defined]
        return key.tenant_id

"""Revocation lists: public, for whoever checks a station's certificate."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from stations.models import Authority
from stations.services import authority
from tenants.context import tenant_scope
from tenants.errors import DomainError


@require_safe
def revocation_list(request: HttpRequest, fingerprint: str) -> HttpResponse:
    """DER, as RFC 5280 4.2.1.13 wants it at such an address. An authority that signs elsewhere keeps its own list."""
    found = authority.find(fingerprint.lower())
    if found is None:
        return HttpResponse(status=404)
    tenant_id, authority_id = found
    with tenant_scope(tenant_id):
        row = Authority.objects.get(tenant_id=tenant_id, pk=authority_id)
        try:
            der = authority.revocation_list(row)
        except DomainError:
            return HttpResponse(status=404)
    response = HttpResponse(der, content_type="application/pkix-crl")
    response["Cache-Control"] = "public, max-age=300"
    return response

"""What the REST endpoints of every app share. An endpoint is a declaration: verbs, what each needs, takes and gives."""

from tenants.rest.filters import Filters, IdFilter
from tenants.rest.serializers import In, Out
from tenants.rest.views import TenantView, Verb

__all__ = ["Filters", "IdFilter", "In", "Out", "TenantView", "Verb"]

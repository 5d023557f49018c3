"""Pages of the company."""

from tenants.views.audit import audit
from tenants.views.door import theme
from tenants.views.keys import api_key_revoke, api_keys
from tenants.views.members import member_edit, member_new, members
from tenants.views.sites import site_edit, site_new

__all__ = [
    "api_key_revoke",
    "api_keys",
    "audit",
    "member_edit",
    "member_new",
    "members",
    "site_edit",
    "site_new",
    "theme",
]

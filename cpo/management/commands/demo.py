from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from cpo.demo import founding, history, load, summary, troubles
from cpo.demo.companies import COMPANIES, NORDLICHT, DemoCompany
from tenants.context import as_platform, tenant_scope
from tenants.models import ApiKey, Site, Tenant, User
from tenants.permissions import Permission, system
from tenants.services import keys

# By their name in the summary: what a key is called, and what it may.
_KEYS = {
    "api_key": (
        "Demo integration",
        [permission.value for permission in Permission if permission is not Permission.OWN_VIEW],
    ),
    "meter_key": ("Demo meters", [Permission.METER_SEND.value]),
}


class Command(BaseCommand):
    help = "Create the demo: two companies with stations, people, prices and weeks of sessions. Keeps what is there."

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.PRODUCTION:
            raise CommandError(
                "The demo has known passwords. Set VOLTYARD_MODE to demo on a machine of your own."
            )
        tenants = {company.tenant["slug"]: self._company(company) for company in COMPANIES}
        _staff()
        rows: list[dict[str, Any]] = []
        for company in COMPANIES:
            tenant = tenants[company.tenant["slug"]]
            with tenant_scope(tenant.pk):
                rows += summary.simulated(company, tenant)
        nordlicht = tenants[NORDLICHT.tenant["slug"]]
        meter_key = _api_key(nordlicht, "meter_key")
        with tenant_scope(nordlicht.pk):
            buildings = list(load.buildings(nordlicht, meter_key))
        summary.write(
            {
                "logins": summary.logins(),
                "charger": summary.own_charger(NORDLICHT),
                "simulator": rows,
                "api_key": _api_key(nordlicht, "api_key"),
                "meter_key": meter_key,
                "buildings": buildings,
            }
        )
        self.stdout.write(f"The demo is ready; logins are in {summary.path()}.")

    def _company(self, plan: DemoCompany) -> Tenant:
        tenant = _tenant(plan)
        begun, now = time.monotonic(), timezone.now()
        with tenant_scope(tenant.pk):  # one transaction: a run that is killed leaves nothing half-made
            if Site.objects.filter(tenant=tenant).exists():
                founding.shorten_passwords(tenant)
                return tenant
            company = founding.found(plan, tenant)
            sessions = history.write(company, now)
            troubles.write(company, sessions, now)
            load.write(company, sessions, now)
        took = time.monotonic() - begun
        self.stdout.write(
            f"{tenant.name}: {len(company.stations)} stations, {len(sessions)} sessions ({took:.1f} s)"
        )
        return tenant


def _tenant(plan: DemoCompany) -> Tenant:
    """The tenant's row: only the platform may make one."""
    with as_platform():
        values = dict(plan.tenant)
        return Tenant.objects.get_or_create(slug=values.pop("slug"), defaults=values)[0]


def _staff() -> None:
    if not User.objects.filter(email=summary.STAFF_EMAIL).exists():
        User.objects.create_superuser(summary.STAFF_EMAIL, founding.person_password(), name="Platform staff")


def _api_key(tenant: Tenant, which: str) -> str:
    """The key of an earlier run while it is usable, else a new one: its text is stored nowhere but in the summary."""
    name, scopes = _KEYS[which]
    known = str(summary.read().get(which, ""))
    found = keys.authenticate(f"Bearer {known}") if known else None
    if found is not None and found.tenant_id == tenant.pk:
        return known
    with tenant_scope(tenant.pk):
        actor = system("Demo set-up")
        for key in ApiKey.objects.filter(tenant=tenant, name=name, revoked_at=None):
            keys.revoke_key(key=key, actor=actor)
        return keys.create_key(tenant_id=tenant.pk, actor=actor, name=name, scopes=scopes)[1]

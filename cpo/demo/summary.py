"""`demo.json`: logins, the simulated stations and one for a charger of one's own. Readable by its owner alone."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings

from cpo.demo.companies import COMPANIES, DemoCompany, DemoStations
from cpo.demo.founding import OWN_CARD, OWN_CHARGER, person_password, station_password
from fleets.models import Token
from tenants.models import Tenant

STAFF_EMAIL = "admin@voltyard.example"


def path() -> Path:
    return Path(settings.DATA_DIR) / "demo.json"


def read() -> dict[str, Any]:
    try:
        found = json.loads(path().read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write(summary: dict[str, Any]) -> None:
    """Whole or not at all, and never readable by others, not even for a moment."""
    target = path()
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(summary, file, indent=1)
    draft.replace(target)


def logins() -> list[dict[str, str]]:
    password = person_password()
    found = [
        {
            "email": one.email,
            "password": password,
            "role": one.role,
            "tenant": company.tenant["slug"],
            "note": one.note,
        }
        for company in COMPANIES
        for one in company.members
    ]
    staff = {
        "email": STAFF_EMAIL,
        "password": password,
        "role": "platform_staff",
        "tenant": "",
        "note": "Django admin at /admin/",
    }
    return [*found, staff]


def own_charger(company: DemoCompany) -> dict[str, str]:
    slug = company.tenant["slug"]
    return {
        "tenant": slug,
        "url_path": f"/ocpp/{slug}/{OWN_CHARGER}",
        "identity": OWN_CHARGER,
        "password": station_password(slug, OWN_CHARGER),
        "card": OWN_CARD,
    }


def simulated(company: DemoCompany, tenant: Tenant) -> Iterator[dict[str, Any]]:
    """A row per simulated station. No card is dealt to two stations: it would be refused at the second."""
    hands = _Hands(company, tenant)
    for plan in company.stations:
        for number in range(1, plan.count + 1):
            identity = plan.prefix.format(number)
            slug = company.tenant["slug"]
            yield {
                "tenant": slug,
                "url": f"{settings.GATEWAY_URL or 'ws://127.0.0.1:9000'}/ocpp/{slug}",
                "path": f"/ocpp/{slug}/{identity}",
                "identity": identity,
                "password": station_password(slug, identity),
                "version": plan.versions[(number - 1) % len(plan.versions)],
                "kind": plan.kind,
                "connectors": plan.evses,
                "max_power_w": plan.power_w[(number - 1) % len(plan.power_w)],
                "tokens": hands.deal(plan, last=number == plan.count),
                **{trouble: True for which, trouble in plan.troubles if which == number},
            }


class _Hands:
    """Deals the cards of each pool to the stations where they are shown, evenly."""

    def __init__(self, company: DemoCompany, tenant: Tenant) -> None:
        tokens = Token.objects.filter(tenant=tenant, sites=None).select_related("driver")
        pooled = [name for name, _cost_centre, _drivers in company.fleets]
        good: dict[str, list[str]] = {"vans": [], "pool": [], "customers": []}
        for token in tokens.filter(blocked=False, expires_at=None, driver__blocked=False).order_by("pk"):
            fleet = token.driver.fleet.name if token.driver and token.driver.fleet else ""
            if not fleet:
                good["customers"].append(token.uid)
            elif fleet in pooled:
                good["vans" if pooled.index(fleet) < 2 else "pool"].append(token.uid)
        self._good = good
        self._blocked = list(tokens.filter(blocked=True).order_by("pk").values_list("uid", flat=True)[:1])
        self._seats = {
            pool: sum(one.count * one.evses for one in company.stations if one.pool == pool) for pool in good
        }

    def deal(self, plan: DemoStations, *, last: bool) -> list[str]:
        cards, seats = self._good[plan.pool], self._seats[plan.pool]
        count = max(plan.evses, len(cards) * plan.evses // max(seats, 1))
        hand, self._good[plan.pool] = cards[:count], cards[count:]
        self._seats[plan.pool] = seats - plan.evses
        return hand + (self._blocked if last and plan.kind == "dc" else [])

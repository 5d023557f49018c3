"""Reads of this app, tenant first, narrowed to what the actor may see."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Count, Q, QuerySet, Sum, Value
from django.db.models.functions import Coalesce, TruncDate

from billing.models import Charge, ChargeState, SiteTariff, Tariff
from tenants.permissions import Actor


@dataclass(frozen=True, slots=True)
class Revenue:
    """Rated charges of one day (or one site) in one currency."""

    currency: str
    charges: int
    energy_wh: Decimal
    excl_tax: Decimal
    tax: Decimal
    incl_tax: Decimal
    day: date | None = None
    site_id: int | None = None
    place: str = ""  # the site's name


def tariffs(tenant_id: int, actor: Actor, *, archived: bool = False) -> QuerySet[Tariff]:
    """Tariffs in use, with the number of sites they are the tariff of as `site_count`."""
    found = Tariff.objects.filter(tenant_id=tenant_id).annotate(site_count=Count("site_tariffs"))
    found = found.order_by("name", "pk")  # stated: counting drops the order of the model
    return found if archived else found.filter(archived_at=None)


def site_tariff(tenant_id: int, site_id: int) -> Tariff | None:
    """The tariff that a site has been given; None: the default counts."""
    row = SiteTariff.objects.filter(tenant_id=tenant_id, site_id=site_id).select_related("tariff").first()
    return row.tariff if row else None


def default_tariff(tenant_id: int) -> Tariff | None:
    return Tariff.objects.filter(tenant_id=tenant_id, is_default=True, archived_at=None).first()


def sites_of(tariff: Tariff) -> QuerySet[SiteTariff]:
    return SiteTariff.objects.filter(tenant_id=tariff.tenant_id, tariff=tariff).select_related("site")


def charges(tenant_id: int, actor: Actor) -> QuerySet[Charge]:
    """Charges at the sites that the actor may see.

    Who is limited to fleets or drivers sees no charge here: a charge does not know its driver. They reach theirs
    through their sessions.
    """
    found = Charge.objects.filter(tenant_id=tenant_id)
    if actor.fleet_ids is not None or actor.driver_ids is not None:
        return found.none()
    return found if actor.site_ids is None else found.filter(site_id__in=actor.site_ids)


def charge_of(tenant_id: int, subject: str) -> Charge | None:
    return Charge.objects.filter(tenant_id=tenant_id, subject=subject).first()


def revenue_per_day(
    tenant_id: int,
    actor: Actor,
    *,
    start: datetime,
    end: datetime,
    time_zone: str = "UTC",
    site_id: int | None = None,
) -> list[Revenue]:
    """Revenue of each local day with any, in [start, end), oldest first; a row per currency."""
    found = _rated(tenant_id, actor, start, end, site_id)
    days = found.annotate(day=TruncDate("occurred_at", tzinfo=ZoneInfo(time_zone))).values("day", "currency")
    return _revenues(days.annotate(**_SUMS).order_by("day", "currency"))


def revenue_per_site(tenant_id: int, actor: Actor, *, start: datetime, end: datetime) -> list[Revenue]:
    """Revenue of each site with any, in [start, end), highest first; a row per currency."""
    found = _rated(tenant_id, actor, start, end, None)
    sites = found.values("site_id", "currency", place=Coalesce("site__name", Value(""))).annotate(**_SUMS)
    return sorted(_revenues(sites), key=lambda row: (-row.incl_tax, row.place))


def revenue(
    tenant_id: int, actor: Actor, *, start: datetime, end: datetime, site_id: int | None = None
) -> list[Revenue]:
    """Revenue in [start, end), a row per currency."""
    rows = _rated(tenant_id, actor, start, end, site_id).values("currency").annotate(**_SUMS)
    return _revenues(rows.order_by("currency"))


def _revenues(rows: Iterable[Any]) -> list[Revenue]:
    return [Revenue(**row) for row in rows]


_SUMS = {
    "charges": Count("id"),
    "energy_wh": Sum("energy_wh"),
    "excl_tax": Sum("excl_tax"),
    "tax": Sum("tax"),
    "incl_tax": Sum("incl_tax"),
}


def _rated(
    tenant_id: int, actor: Actor, start: datetime, end: datetime, site_id: int | None
) -> QuerySet[Charge]:
    when = Q(occurred_at__gte=start, occurred_at__lt=end, state=ChargeState.RATED)
    found = charges(tenant_id, actor).filter(when)
    return found if site_id is None else found.filter(site_id=site_id)

"""The first steps of a new company, each with where to do it, until its first station is entered."""

from __future__ import annotations

from dataclasses import dataclass

from django.urls import reverse
from django.utils.translation import gettext as _

from billing.models import Tariff
from fleets.models import Token
from stations.models import Station
from tenants.models import Site, Tenant
from tenants.permissions import Actor, Permission


@dataclass(frozen=True)
class Step:
    title: str
    why: str
    action: str
    url: str
    done: bool
    allowed: bool


def steps(tenant: Tenant, actor: Actor) -> list[Step]:
    """Empty once the company has a station, and for who sees only some sites."""
    if actor.site_ids is not None or Station.objects.filter(tenant_id=tenant.pk).exists():
        return []
    return [
        Step(
            _("Make a site"),
            _("The place where the stations stand, with its time zone and its spot on the map."),
            _("New site"),
            reverse("site-new", args=[tenant.slug]),
            Site.objects.filter(tenant_id=tenant.pk).exists(),
            actor.may(Permission.SITE_EDIT),
        ),
        Step(
            _("Set a price"),
            _("Without a tariff charging is free. 0.49 EUR per kWh is a start, and can be changed later."),
            _("New tariff"),
            reverse("tariff-new", args=[tenant.slug]),
            Tariff.objects.filter(tenant_id=tenant.pk).exists(),
            actor.may(Permission.TARIFF_EDIT),
        ),
        Step(
            _("Connect a station"),
            _(
                "You get its address, identity and password to type into it. It appears here the moment it connects."
            ),
            _("Connect a station"),
            reverse("connect", args=[tenant.slug]),
            False,
            actor.may(Permission.STATION_EDIT),
        ),
        Step(
            _("Enter a token"),
            _("The card that a driver shows. Unknown cards are refused."),
            _("New token"),
            reverse("token-new", args=[tenant.slug]),
            Token.objects.filter(tenant_id=tenant.pk).exists(),
            actor.may(Permission.TOKEN_EDIT),
        ),
    ]

"""Tabs of a station: eight subjects, some of several pages. Which page is which stands here alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import template
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from stations.models import Station
from tenants.permissions import Permission

register = template.Library()


@dataclass(frozen=True)
class Part:
    """A page. `key` is what its view calls itself (`part`, else `tab`); `versions` are those that have such a thing."""

    key: str
    name: str  # of the address
    label: Any
    icon: str = ""
    permission: Permission = Permission.STATION_VIEW
    versions: tuple[str, ...] = ()

    def stands(self, station: Station, actor: Any, here: str) -> bool:
        if not actor.may(self.permission, site_id=station.site_id):
            return False
        return not self.versions or station.ocpp_version in self.versions or self.key == here


_TWO = ("2.0.1", "2.1")
TABS: tuple[tuple[Any, tuple[Part, ...]], ...] = (
    (_("Live"), (Part("live", "station", _("Live")),)),
    (
        _("Sessions"),
        (Part("sessions", "station-sessions", _("Sessions"), permission=Permission.SESSION_VIEW),),
    ),
    (
        _("Limits"),
        (
            Part("limits", "station-limits", _("Charging limits"), "gauge"),
            Part("grid", "station-der", _("Grid controls"), "wave-sine", versions=("2.1",)),
        ),
    ),
    (_("Commands"), (Part("commands", "station-commands", _("Commands")),)),
    (
        _("Configuration"),
        (
            Part("settings", "station-configuration", _("Settings"), "adjustments-horizontal"),
            Part("history", "station-changes", _("Changes"), "history"),
            Part("drift", "station-drift", _("Against templates"), "arrows-diff"),
            Part("network", "station-network", _("Network"), "network", versions=_TWO),
        ),
    ),
    (
        pgettext_lazy("tab", "Drivers"),
        (
            Part("access", "station-access", _("Access and reservations"), "bookmark"),
            Part("driver", "station-driver", _("Display and price"), "device-tv"),
            Part(
                "plug-and-charge", "station-plug-and-charge", _("Plug & Charge"), "certificate", versions=_TWO
            ),
            Part(
                "customers",
                "station-customers",
                _("Customer data"),
                "user-shield",
                Permission.DRIVER_VIEW,
                _TWO,
            ),
        ),
    ),
    (
        _("Health"),
        (
            Part("health", "station-health", _("Timeline"), "activity-heartbeat"),
            Part("monitoring", "station-monitoring", _("Monitors"), "eye", versions=_TWO),
            Part("files", "station-files", _("Logs and firmware"), "file-text"),
            Part("frames", "station-frames", _("Frames"), "code", Permission.FRAME_VIEW),
        ),
    ),
    (_("Security"), (Part("security", "station-security", _("Security")),)),
)


@register.inclusion_tag("stations/_station_tabs.html", takes_context=True)
def station_tabs(context: template.Context, station: Station) -> dict[str, Any]:
    """The tabs that this station and this reader have, and below them the pages of the one that is open."""
    request, here = context["request"], str(context.get("part") or context.get("tab") or "")
    tabs, pages = [], []
    for label, parts in TABS:
        shown = [part for part in parts if part.stands(station, request.actor, here)]
        if not shown:
            continue
        lines = [_line(request.tenant.slug, station, part, here) for part in shown]
        current = any(line["current"] for line in lines)
        tabs.append({"label": label, "url": lines[0]["url"], "current": current})
        if current and len(lines) > 1:
            pages = lines
    return {"tabs": tabs, "pages": pages}


def _line(slug: str, station: Station, part: Part, here: str) -> dict[str, Any]:
    url = reverse(part.name, args=[slug, station.pk])
    return {"url": url, "label": part.label, "icon": part.icon, "current": part.key == here}

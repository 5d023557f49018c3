"""What every page needs around its own content: navigation by role, the words of the scripts, the live address."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from stations.views.issues import open_count
from tenants.models import Role
from tenants.permissions import Actor, Permission


@dataclass(frozen=True)
class Entry:
    """A line of the navigation: shown to who has the permission; `names` are the pages that belong to it."""

    name: str
    label: Any
    icon: str
    permission: Permission
    key: str = ""  # after g on the keyboard
    names: tuple[str, ...] = ()
    count: Callable[[int, Actor], int] | None = None  # of what waits there, shown beside the label


NAVIGATION: tuple[tuple[Any, tuple[Entry, ...]], ...] = (
    (
        "",
        (
            Entry("overview", gettext_lazy("Overview"), "home", Permission.STATION_VIEW, "o"),
            Entry("sites", gettext_lazy("Sites"), "map-pin", Permission.SITE_VIEW, "p", ("site",)),
            Entry(
                "stations",
                gettext_lazy("Stations"),
                "charging-pile",
                Permission.STATION_VIEW,
                "s",
                ("station", "quarantine", "connect", "command", "batch", "batches", "orphan", "der", "log"),
            ),
            Entry("sessions", gettext_lazy("Sessions"), "bolt", Permission.SESSION_VIEW, "c", ("session",)),
            Entry(
                "reservations",
                gettext_lazy("Reservations"),
                "bookmark",
                Permission.STATION_VIEW,
                "r",
                ("reservation",),
            ),
            Entry(
                "issues",
                gettext_lazy("Issues"),
                "activity-heartbeat",
                Permission.STATION_VIEW,
                "i",
                ("issue", "alert", "alerts"),
                open_count,
            ),
            Entry("me", gettext_lazy("My charging"), "user", Permission.OWN_VIEW, "m"),
        ),
    ),
    (
        gettext_lazy("Equipment"),
        (
            Entry(
                "uptime", gettext_lazy("Uptime"), "chart-bar", Permission.STATION_VIEW, "u", ("exclusion",)
            ),
            Entry(
                "firmware",
                gettext_lazy("Firmware"),
                "cpu",
                Permission.STATION_VIEW,
                "w",
                ("campaign",),
            ),
            Entry("security", gettext_lazy("Security"), "shield", Permission.STATION_VIEW, "y"),
            Entry(
                "templates",
                gettext_lazy("Configuration"),
                "adjustments-horizontal",
                Permission.STATION_VIEW,
                "",
                ("template", "configuration-run", "vendor-profile"),
            ),
        ),
    ),
    (
        gettext_lazy("Customers"),
        (
            Entry("tokens", gettext_lazy("Tokens"), "nfc", Permission.TOKEN_VIEW, "t", ("token",)),
            Entry(
                "drivers",
                gettext_lazy("Drivers"),
                "steering-wheel",
                Permission.DRIVER_VIEW,
                "d",
                ("driver", "fleet"),
            ),
            Entry(
                "plug-and-charge",
                gettext_lazy("Plug & Charge"),
                "certificate",
                Permission.STATION_VIEW,
                "",
                ("contract", "autocharge", "seen-vehicle"),
            ),
            Entry(
                "access",
                gettext_lazy("Access"),
                "list-check",
                Permission.STATION_VIEW,
                "l",
                ("site-access", "access-rules"),
            ),
            Entry("tariffs", gettext_lazy("Tariffs"), "receipt", Permission.TARIFF_VIEW, "f", ("tariff",)),
            Entry(
                "settlements",
                gettext_lazy("Payments"),
                "credit-card",
                Permission.MONEY_VIEW,
                "",
                ("web-payments", "prepaid"),
            ),
            Entry(
                "displays", gettext_lazy("Displays"), "device-tv", Permission.STATION_VIEW, "", ("display",)
            ),
        ),
    ),
    (
        gettext_lazy("Company"),
        (
            Entry("members", gettext_lazy("Members"), "users", Permission.MEMBER_VIEW, "", ("member",)),
            Entry("api-keys", gettext_lazy("API keys"), "key", Permission.KEY_EDIT, "", ("api-key",)),
            Entry("webhooks", gettext_lazy("Webhooks"), "webhook", Permission.KEY_EDIT, "", ("webhook",)),
            Entry("audit", gettext_lazy("Audit"), "history", Permission.AUDIT_VIEW, "a"),
        ),
    ),
)
_PHONE = ("overview", "stations", "sessions", "sites")


def page(request: HttpRequest) -> dict[str, Any]:
    """Context processor. Outside a tenant (login, admin) it gives only the scripts' words."""
    tenant, actor = getattr(request, "tenant", None), getattr(request, "actor", None)
    if tenant is None or actor is None:
        return {"script_words": _words()}
    groups = _groups(request, tenant.slug, actor, tenant.pk)
    flat = {entry["name"]: entry for _title, entries in groups for entry in entries}
    return {
        "tenant": tenant,
        "actor": actor,
        "role_label": Role(actor.role).label if actor.role else "",
        "script_words": _words(),
        "navigation": groups,
        "phone_navigation": _phone(flat),
        "live_path": f"/live/{tenant.slug}/",
    }


def _groups(
    request: HttpRequest, slug: str, actor: Any, tenant_id: int
) -> list[tuple[Any, list[dict[str, Any]]]]:
    here = request.resolver_match.url_name if request.resolver_match else ""
    own_only = actor.permissions == frozenset({Permission.OWN_VIEW})
    groups = []
    for title, entries in NAVIGATION:
        shown = [
            {
                "name": entry.name,
                "label": entry.label,
                "icon": entry.icon,
                "key": entry.key,
                "url": reverse(entry.name, args=[slug]),
                "current": _belongs(here or "", entry),
                "count": entry.count(tenant_id, actor) if entry.count else 0,
            }
            for entry in entries
            if actor.may(entry.permission) and (entry.name != "me" or own_only or actor.driver_ids)
        ]
        if shown:
            groups.append((title, shown))
    return groups


def _belongs(here: str, entry: Entry) -> bool:
    return any(here == name or here.startswith(f"{name}-") for name in (entry.name, *entry.names))


def _phone(flat: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """At most four places at a thumb's reach; the rest stands behind the fifth, "More"."""
    chosen = [flat[name] for name in _PHONE if name in flat]
    chosen += [entry for entry in flat.values() if entry not in chosen]
    return chosen[:4]


def _words() -> dict[str, str]:
    return {
        "copied": _("Copied"),
        "locale": {"en": "en-GB"}.get(get_language() or "en", get_language() or "en"),
        "now": _("just now"),
        "minutes": _("%(count)s min ago"),
        "hours": _("%(count)s h ago"),
        "days": _("%(count)s d ago"),
        "live": _("Live"),
        "lost": _("Connection lost"),
        "connecting": _("Connecting"),
        "back": _("Connection is back, the page is up to date"),
        "stale": _(
            "Connection lost. What you see is from {time}; it catches up by itself once the connection is back."
        ),
        "time": _("Time"),
    }

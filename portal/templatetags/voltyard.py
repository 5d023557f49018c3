"""How things are shown: one look and one wording for a state, a number, a time, wherever they appear."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

from django import template
from django.conf import settings
from django.template.defaultfilters import date as format_date
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from fleets import emaid
from portal.vocabulary import appearance
from stations.services import words
from tenants.permissions import Permission, named

register = template.Library()
ICONS = Path(settings.BASE_DIR) / "frontend" / "node_modules" / "@tabler" / "icons" / "icons"
Number: TypeAlias = int | float | Decimal


_bodies: dict[str, str] = {}


def icon_body(name: str) -> str:
    """What stands inside the icon's <svg>. A missing one is empty and not remembered: packages may be under way."""
    if name not in _bodies:
        path = ICONS / "outline" / f"{name}.svg"
        if not path.exists():
            return ""
        text = path.read_text(encoding="utf-8")
        _bodies[name] = text[text.index(">", text.index("<svg")) + 1 : text.index("</svg>")].strip()
    return _bodies[name]


@register.simple_tag
def icon(name: str, label: str = "") -> SafeString:
    """An icon of @tabler/icons, inline. Without a label it is decoration and hidden from screen readers."""
    role = format_html('role="img" aria-label="{}"', label) if label else mark_safe('aria-hidden="true"')
    return format_html(
        '<svg class="icon" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" '
        'stroke-linecap="round" stroke-linejoin="round" {}>{}</svg>',
        role,
        mark_safe(icon_body(name)),
    )


@register.simple_tag
def badge(state: str, text: str = "", plain: bool = False) -> SafeString:
    """Colour, icon and word of a state."""
    look = appearance(state)
    return format_html(
        '<span class="badge-state{}" data-state="{}">{}{}</span>',
        " plain-state" if plain else "",
        look.tone,
        icon(look.icon),
        text or look.word,
    )


@register.filter
def said(text: str | None) -> str:
    """What a service kept with a row, in the reader's language."""
    return words.said(text or "")


@register.filter
def tone(state: str) -> str:
    return appearance(state).tone


@register.filter
def word(state: str) -> str:
    return str(appearance(state).word)


@register.simple_tag(takes_context=True)
def link(context: template.Context, name: str, *args: Any) -> str:
    """Address of a page of the tenant in hand."""
    return reverse(name, args=[context["request"].tenant.slug, *args])


@register.simple_tag(takes_context=True)
def may(context: template.Context, permission: str, site_id: int | None = None) -> bool:
    """{% may "station.command" station.site_id as may_command %}"""
    actor = getattr(context["request"], "actor", None)
    return actor is not None and actor.may(Permission(permission), site_id=site_id)


def _quantity(value: Number | None, unit: str, digits: int, *, big: bool) -> SafeString | str:
    if value is None:
        return "–"
    text = number_format(round(Decimal(str(value)), digits), decimal_pos=digits, force_grouping=True)
    if big:
        return format_html("{}<small>{}</small>", text, unit)
    return f"{text}\u00a0{unit}"


def _power(watts: Number | None, big: bool) -> SafeString | str:
    if watts is not None and abs(float(watts)) >= 999_500:
        return _quantity(Decimal(str(watts)) / 1_000_000, "MW", 2, big=big)
    return _quantity(None if watts is None else Decimal(str(watts)) / 1000, "kW", 1, big=big)


def _energy(watt_hours: Number | None, big: bool) -> SafeString | str:
    if watt_hours is not None and abs(float(watt_hours)) >= 9_999_500:
        return _quantity(Decimal(str(watt_hours)) / 1_000_000, "MWh", 2, big=big)
    return _quantity(None if watt_hours is None else Decimal(str(watt_hours)) / 1000, "kWh", 2, big=big)


@register.filter
def who(label: str) -> str:
    """Who did it: a person's name, or what acts here by itself."""
    return named(label)


@register.filter
def contract_id(uid: str) -> str:
    """A contract id as people read it; other text stays as it is."""
    return emaid.shown(uid)


@register.filter
def power(watts: Number | None) -> SafeString | str:
    return _power(watts, False)


@register.filter
def power_figure(watts: Number | None) -> SafeString | str:
    return _power(watts, True)


@register.filter
def energy(watt_hours: Number | None) -> SafeString | str:
    return _energy(watt_hours, False)


@register.filter
def energy_figure(watt_hours: Number | None) -> SafeString | str:
    """Large: the more there is, the fewer decimals it needs."""
    size = abs(float(watt_hours or 0))
    if 100_000 <= size < 9_999_500:
        kwh = Decimal(str(watt_hours)) / 1000
        return _quantity(kwh, "kWh", 1 if size < 1_000_000 else 0, big=True)
    return _energy(watt_hours, True)


@register.filter
def register_reading(watt_hours: Number | None) -> SafeString | str:
    """A meter's register: always kWh, to the watt hour, or two of them look alike."""
    return _quantity(None if watt_hours is None else Decimal(str(watt_hours)) / 1000, "kWh", 3, big=False)


@register.filter
def rated_power(watts: Number | None) -> str:
    """Rating of a plug: 22 kW, 3.7 kW."""
    if watts is None:
        return "–"
    value = Decimal(str(watts)) / 1000
    return f"{number_format(value.normalize() if value % 1 else int(value))}\u00a0kW"


@register.filter
def money(amount: Number | None, currency: str) -> SafeString | str:
    return _quantity(amount, currency, 2, big=False)


@register.filter
def money_figure(amount: Number | None, currency: str) -> SafeString | str:
    return _quantity(amount, currency, 2, big=True)


@register.filter
def clock(moment: datetime | None, form: str = "") -> SafeString | str:
    """Date and time in the zone in force; today's without the date."""
    if moment is None:
        return "–"
    local = timezone.localtime(moment)
    today = timezone.localdate()
    form = form or (
        "H:i" if local.date() == today else "j M, H:i" if local.year == today.year else "j M Y, H:i"
    )
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.isoformat(),
        format_date(local, "j F Y, H:i:s T"),
        format_date(local, form),
    )


@register.filter
def ago(moment: datetime | None) -> SafeString | str:
    """Relative, with the absolute time at hand; app.js keeps it counting."""
    if moment is None:
        return _("never")
    return format_html(
        '<time datetime="{}" title="{}" data-relative>{}</time>',
        moment.isoformat(),
        format_date(timezone.localtime(moment), "j F Y, H:i:s T"),
        _ago_text(timezone.now() - moment),
    )


def _ago_text(age: timedelta) -> str:
    seconds = age.total_seconds()
    if seconds < 45:
        return _("just now")
    if seconds < 3570:
        return _("%(count)s min ago") % {"count": max(1, round(seconds / 60))}
    if seconds < 84600:
        return _("%(count)s h ago") % {"count": round(seconds / 3600)}
    return _("%(count)s d ago") % {"count": round(seconds / 86400)}


@register.filter
def span(length: timedelta | float | None) -> str:
    """A length of time: 320 ms, 4.2 s, 12 min, 2 h 05 min."""
    if length is None:
        return "–"
    seconds = length.total_seconds() if isinstance(length, timedelta) else float(length)
    if seconds < 1:
        return f"{max(0, round(seconds * 1000))}\u00a0ms"
    if seconds < 60:
        return f"{number_format(round(seconds, 1))}\u00a0s"
    minutes = int((seconds + 1) // 60)  # half an hour that lacks milliseconds is half an hour
    if minutes < 60:
        return f"{minutes}\u00a0min"
    if minutes < 48 * 60:
        return f"{minutes // 60}\u00a0h {minutes % 60:02d}\u00a0min"
    return _("%(days)s days %(hours)s h") % {"days": minutes // 1440, "hours": minutes % 1440 // 60}


@register.filter
def stay(length: timedelta) -> str:
    """How long a session lasted, as one that runs says it: by the minute."""
    return "0\u00a0min" if length.total_seconds() < 59 else span(length)


@register.filter
def pretty(value: Any) -> str:
    """JSON as a person reads it."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return value
    return json.dumps(value, indent=2, ensure_ascii=False)


@register.filter
def as_json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


@register.filter
def lookup(mapping: Any, key: Any) -> Any:
    try:
        return mapping[key]
    except (KeyError, TypeError, IndexError):
        return ""


@register.filter
def between(start: datetime | None, end: datetime | None) -> timedelta | None:
    """Length from the first to the second; an open end is now."""
    return None if start is None else (end or timezone.now()) - start


@register.simple_tag
def state_icon(state: str) -> SafeString:
    return icon(appearance(state).icon)

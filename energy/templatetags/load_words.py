"""Amperes on pages."""

from __future__ import annotations

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from energy import why_words

register = template.Library()


@register.filter
def amps(value: float | None) -> str:
    return why_words.amps(value)


@register.filter
def amps_figure(value: float | None) -> SafeString:
    number, _space, unit = why_words.amps(value).partition("\u00a0")
    return format_html("{}<small>{}</small>", number, unit)


@register.filter
def quantity(value: float | None, unit: str) -> str:
    """A of a line, kW of a total."""
    return why_words.quantity(value, unit)


@register.filter
def percent_text(share: float) -> str:
    """Of 0 to 1; whole, as SVG takes it too."""
    return f"{100 * min(1.0, max(0.0, share)):.0f}%"

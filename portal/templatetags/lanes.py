"""What the lanes of reservations are drawn with."""

from __future__ import annotations

from datetime import datetime, timedelta

from django import template
from django.utils import timezone
from django.utils.formats import date_format

register = template.Library()
MARKS = (25, 50, 75)  # percent of a day


@register.simple_tag
def lane_marks() -> tuple[int, ...]:
    return MARKS


@register.simple_tag
def lane_hours() -> list[tuple[int, str]]:
    """(place in percent, time of day) below the lanes of the next 24 hours."""
    now = timezone.now()
    return [(mark, _hour(now + timedelta(hours=24 * mark / 100))) for mark in MARKS]


def _hour(at: datetime) -> str:
    return date_format(timezone.localtime(at), "H:i")


@register.filter
def time_left(until: datetime) -> timedelta:
    return max(until - timezone.now(), timedelta(0))


@register.filter
def percent(value: float) -> str:
    """With a point, whatever the language: it goes into SVG."""
    return f"{value:.2f}%"

"""Drawn fragments and the names of wire words: state bars, sparklines, plugs, frame types. Loaded by `voltyard`."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from django import template
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from billing import words
from portal.templatetags.voltyard import Number, badge, icon_body, span
from portal.vocabulary import appearance
from stations import plug_words, security_words
from stations.models import SEVERITY, CommandKind, UpdateState

register = template.Library()

FRAME_TYPES = {2: "CALL", 3: "RESULT", 4: "ERROR", 5: "RESULT ERROR", 6: "SEND", 0: "UNREADABLE"}


_QUIRKS = {
    "units": gettext_lazy("units"),
    "registers": gettext_lazy("meter registers"),
    "clock": gettext_lazy("clock"),
    "stop_reasons": gettext_lazy("reasons of a stop"),
    "keys": gettext_lazy("own settings"),
    "unsupported": gettext_lazy("settings without effect"),
    "max_items": gettext_lazy("size of messages"),
    "apply": gettext_lazy("when settings count"),
}


@register.filter
def quirk_word(name: str) -> str:
    """What a vendor profile corrects; a word of its own stays as it is."""
    return str(_QUIRKS.get(name, name))


@register.filter
def update_word(state: str) -> str:
    """A firmware update's state in its own words: elsewhere "waiting" says something else."""
    return str(UpdateState(state).label)


@register.simple_tag
def state_bar(states: list[tuple[str, int]]) -> SafeString:
    """A bar of the connectors by state. Decoration: the legend beside it says the same in words."""
    total = sum(count for _state, count in states) or 1
    parts, left = [], 0.0
    for state, count in states:
        width = 100 * count / total
        parts.append(
            format_html(
                '<rect data-state="{}" x="{}%" width="{}%" height="100%"/>',
                appearance(state).tone,
                f"{left:.2f}",
                f"{width:.2f}",
            )
        )
        left += width
    return format_html('<svg class="state-bar" aria-hidden="true">{}</svg>', mark_safe("".join(parts)))


@register.simple_tag
def meter(value: Number | None, most: Number | None) -> SafeString:
    """A thin bar of how much of the most is used."""
    share = min(100.0, 100 * float(value) / float(most)) if value and most else 0.0
    return format_html(
        '<svg class="meter" aria-hidden="true"><rect width="{}%" height="100%"/></svg>', f"{share:.1f}"
    )


@register.simple_tag
def spark(values: list[float]) -> SafeString | str:
    """A power sparkline without axes, for tiles."""
    if len(values) < 2:
        return ""
    top = max(values) or 1
    step = 100 / (len(values) - 1)
    line = " L".join(
        f"{number * step:.1f},{23 - 21 * value / top:.1f}" for number, value in enumerate(values)
    )
    return format_html(
        '<svg class="spark" viewBox="0 0 100 24" preserveAspectRatio="none" aria-hidden="true">'
        '<path class="area" d="M{line} L100,24 L0,24 Z"/><path d="M{line}"/></svg>',
        line=line,
    )


@register.simple_tag
def mark_icon(name: str) -> SafeString:
    """The strokes of an icon, for a drawing that scales them itself."""
    return mark_safe(icon_body(name))


@register.simple_tag
def connector_badge(connector: Any) -> SafeString:
    """State of a connector as people should read it (stations.visible)."""
    return badge(connector.effective)


@register.filter
def plug(standard: str) -> str:
    """OCPI ConnectorType as people name it."""
    return plug_words.named(standard)


@register.simple_tag
def frame_type(number: int) -> str:
    return FRAME_TYPES.get(number, str(number))


@register.simple_tag
def command_name(kind: str) -> str:
    return str(CommandKind(kind).label)


@register.simple_tag
def component_name(component: str) -> str:
    """A price component (OCPI TariffDimensionType) in words."""
    return words.component_name(component)


@register.filter
def line_words(line: dict[str, Any], currency: str) -> str:
    """How a line of a price comes about: 23.18 kWh × 0.49 EUR."""
    return words.line_words(line, currency)


@register.simple_tag
def price_words(tariff: dict[str, Any]) -> list[str]:
    return words.price_words(tariff)


@register.simple_tag
def clock_text(offset_s: float) -> str:
    """How far a station's clock is off."""
    if abs(offset_s) < 2:
        return _("right")
    if offset_s > 0:
        return _("%(length)s ahead") % {"length": span(offset_s)}
    return _("%(length)s behind") % {"length": span(-offset_s)}


@register.filter
def decimal(text: Any) -> Decimal | None:
    try:
        return Decimal(str(text))
    except InvalidOperation:
        return None


@register.filter
def minutes(seconds: int) -> str:
    """Whole minutes, grouped."""
    return number_format(round(seconds / 60), force_grouping=True)


@register.filter
def plainnumber(value: Number) -> str:
    """For SVG attributes: a dot, whatever the language."""
    return f"{float(value):.2f}"


@register.filter
def severity_word(severity: int) -> str:
    """OCPP 2's severity of a monitor or event in words."""
    return str(SEVERITY.get(severity, severity))


@register.simple_tag
def actor_kind(kind: str) -> str:
    """What kind of somebody did it."""
    names = {
        "user": _("person"),
        "key": _("API key"),
        "task": _("Voltyard itself"),
        "partner": _("roaming partner"),
        "station": _("station"),
        "staff": _("platform staff"),
    }
    return names.get(kind, kind)


@register.simple_tag
def audit_action(action: str) -> str:
    """An audited action in words; an unknown one as it is written."""
    noun, _dot, verb = action.partition(".")
    nouns = {
        "station": _("Station"),
        "site": _("Site"),
        "token": _("Token"),
        "driver": _("Driver"),
        "fleet": _("Fleet"),
        "tariff": _("Tariff"),
        "key": _("API key"),
        "member": _("Member"),
        "session": _("Session"),
        "orphan": _("Unknown session"),
        "charge": _("Charge"),
        "vehicle": _("Vehicle"),
        "webhook": _("Webhook"),
        "certificate": _("Certificate"),
        "authority": _("Authority"),
        "security": _("Security"),
        "issue": _("Issue"),
        "rule": _("Rule for issues"),
        "health": _("Recovery"),
        "exclusion": _("Exclusion from uptime"),
        "report": _("Uptime report"),
        "firmware": _("Firmware"),
        "campaign": _("Campaign"),
        "log": _("Log"),
        "grid": _("Load management"),
        "meter": _("Meter"),
        "whatif": _("What if"),
    }
    verbs = {
        "create": _("created"),
        "edit": _("changed"),
        "archive": _("removed"),
        "delete": _("deleted"),
        "block": _("blocked"),
        "unblock": _("unblocked"),
        "revoke": _("revoked"),
        "add": _("added"),
        "password": _("new password"),
        "password_rotate": _("new password on its way"),
        "password_used": _("new password in use"),
        "profile_change": _("on its way to another profile"),
        "profile_done": _("on its new profile"),
        "profile_failed": _("change of profile failed"),
        "profile_cancelled": _("change of profile given up"),
        "profile_require": _("profile required"),
        "profile_reset": _("profile reset"),
        "sign": _("signed"),
        "refuse": _("refused"),
        "rollout": _("rolled out"),
        "rollout_stop": _("rollout stopped"),
        "root_add": _("root kept"),
        "root_remove": _("root no longer offered"),
        "policy": _("policy changed"),
        "acknowledge": _("event noted"),
        "resolve": _("resolved"),
        "apply": _("applied to a session"),
        "dismiss": _("dismissed"),
        "set_default": _("made the default"),
        "set_tariff": _("given a tariff"),
        "limit_to_fleets": _("limited to fleets"),
        "remove": _("removed"),
        "void": _("taken back"),
        "release": _("released for billing"),
        "import": _("imported"),
        "secret": _("new secret"),
        "assign": _("given to a member"),
        "snooze": _("made quiet"),
        "close": _("closed"),
        "recover": _("recovery asked for"),
        "withdraw": _("withdrawn"),
        "upload": _("uploaded"),
        "update": _("update ordered"),
        "cancel": _("cancelled"),
        "retry": _("tried again"),
        "download": _("downloaded"),
        "start": _("started"),
        "pause": _("paused"),
        "resume": _("resumed"),
        "set_up": _("set up"),
        "undo": _("last change taken back"),
        "on": _("switched on"),
        "off": _("switched off"),
    }
    if action == "command.cancel":
        return _("Command taken back")
    if noun == "command":
        known = verb in CommandKind.values
        return _("Command: %(name)s") % {"name": CommandKind(verb).label if known else verb}
    if noun in nouns and verb in verbs:
        return f"{nouns[noun]}: {verbs[verb]}"
    return action


@register.simple_tag
def security_event(name: str) -> str:
    return security_words.security_event(name)

"""What needs somebody now: each thing with why it matters and the one thing to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from stations import visible, visible_security
from stations.models import (
    Issue,
    IssueState,
    ListState,
    LocalList,
    OrphanMessage,
    QuarantinedStation,
    SessionState,
    Signal,
    SigningState,
)
from stations.security_words import security_event
from stations.services import security_events, signals
from stations.views.issues import SEVERITY_ORDER, of_actor, shown
from tenants.models import Tenant
from tenants.permissions import Actor, Permission

MOST_ISSUES = 200
GRACE = timedelta(minutes=2)  # a station that reconnects is no news


@dataclass(frozen=True)
class Need:
    """One line of "n things need you"."""

    state: str  # gives colour and icon
    title: str
    detail: str
    action: str
    url: str
    since: datetime | None = None


def needs(tenant: Tenant, actor: Actor) -> list[Need]:
    """Most urgent first."""
    issues = list(
        of_actor(tenant.pk, actor)
        .exclude(state=IssueState.RESOLVED)
        .order_by(SEVERITY_ORDER, "opened_at")[:MOST_ISSUES]
    )
    noticed = {(issue.signal, issue.station_id) for issue in issues if issue.station_id is not None}
    found = [
        *_issues(tenant, actor, issues),
        *_faults(tenant, actor, noticed),
        *_security(tenant, actor, noticed),
        *_offline(tenant, actor, noticed),
    ]
    found += _lists(tenant, actor)
    if actor.may(Permission.SESSION_REVIEW):
        found += [*_held(tenant, actor), *_orphans(tenant, actor)]
    if actor.may(Permission.STATION_EDIT) and actor.site_ids is None:
        found += list(_unknown(tenant))
    return found


def _lists(tenant: Tenant, actor: Actor) -> Iterator[Need]:
    failed = LocalList.objects.filter(
        tenant_id=tenant.pk, station__in=visible.stations(tenant.pk, actor), state=ListState.FAILED
    )
    if count := failed.count():
        yield Need(
            state="warning",
            title=ngettext(
                "%(count)s station does not take its list of cards",
                "%(count)s stations do not take their lists of cards",
                count,
            )
            % {"count": count},
            detail=_("While it is offline, cards made or blocked since are not known there."),
            action=_("Look into it"),
            url=reverse("access", args=[tenant.slug]) + "?state=list_failed",
            since=failed.order_by("changed_at").values_list("changed_at", flat=True).first(),
        )


def _issues(tenant: Tenant, actor: Actor, issues: list[Issue]) -> Iterator[Need]:
    """What the rules have noticed, the quiet ones left out."""
    for issue in issues:
        one = shown(issue, actor)
        if one.state == "snoozed":
            continue
        told = " ".join(f"{capfirst(text)}." for text in one.told)
        yield Need(
            state={"critical": "faulted", "major": "warning"}.get(issue.severity, "info"),
            title=_("%(issue)s at %(site)s") % {"issue": one.title, "site": issue.site}
            if issue.station_id
            else one.title,
            detail=" ".join(filter(None, (one.says, told, one.blocked))),
            action=_("See the issue"),
            url=reverse("issue", args=[tenant.slug, issue.pk]),
            since=issue.since,
        )


def _faults(tenant: Tenant, actor: Actor, noticed: set[tuple[str, int]]) -> Iterator[Need]:
    """Faults that no issue speaks of yet."""
    broken = list(
        visible.connectors(tenant.pk, actor)
        .filter(effective="faulted")
        .select_related("evse__station__site")
        .order_by("-status_since")[:20]
    )
    words = signals.fault_words(broken)
    for connector in broken:
        station = connector.evse.station
        if ("faulted", station.pk) in noticed:
            continue
        yield Need(
            state="faulted",
            title=_("%(station)s, connector %(number)s is faulted")
            % {"station": station, "number": connector.evse.number},
            detail=_("%(fault)s at %(site)s. Nobody can charge here until it is cleared.")
            % {"fault": words[connector.pk] or _("The station gave no reason"), "site": station.site},
            action=_("Look into it"),
            url=reverse("station", args=[tenant.slug, station.pk]),
            since=connector.status_since,
        )


def _security(tenant: Tenant, actor: Actor, noticed: set[tuple[str, int]]) -> Iterator[Need]:
    """Grave events that no issue speaks of and nobody took note of, and requests that wait for a person."""
    spoken_of = [station_id for signal, station_id in noticed if signal == Signal.SECURITY]
    grave = (
        security_events.open_events(tenant.pk, actor.site_ids)
        .exclude(station_id__in=spoken_of)
        .select_related("station")
    )
    count = grave.count()
    if count:
        newest = grave[0]
        yield Need(
            state="error",
            title=ngettext("%(count)s grave security event", "%(count)s grave security events", count)
            % {"count": count},
            detail=_("The newest: %(what)s at %(station)s.")
            % {"what": security_event(newest.type), "station": newest.station},
            action=_("Take note"),
            url=reverse("security-events", args=[tenant.slug]) + "?open=1&severity=error",
            since=newest.received_at,
        )
    waiting = visible_security.requests(tenant.pk, actor).filter(state=SigningState.PENDING)
    count = waiting.count() if actor.may(Permission.STATION_CONFIGURE) else 0
    if count:
        yield Need(
            state="warning",
            title=ngettext(
                "%(count)s station waits for its certificate",
                "%(count)s stations wait for their certificates",
                count,
            )
            % {"count": count},
            detail=_("A person must decide on the request."),
            action=_("Decide"),
            url=reverse("security", args=[tenant.slug]),
        )


def _offline(tenant: Tenant, actor: Actor, noticed: set[tuple[str, int]]) -> Iterator[Need]:
    silent = (
        visible.stations(tenant.pk, actor)
        .filter(online=False, last_seen_at__isnull=False)
        .exclude(online_changed_at__gt=timezone.now() - GRACE)
        .select_related("site")
        .annotate(running=Count("sessions", filter=Q(sessions__state=SessionState.ACTIVE)))
        .order_by("online_changed_at")
    )
    for station in silent[:20]:
        if ("offline", station.pk) in noticed:
            continue
        running = station.running
        effect = (
            ngettext(
                "%(count)s session runs there unseen; its readings arrive once it is back.",
                "%(count)s sessions run there unseen; their readings arrive once it is back.",
                running,
            )
            % {"count": running}
            if running
            else _("It cannot be steered; cards work only if the station decides by itself.")
        )
        yield Need(
            state="offline",
            title=_("%(station)s at %(site)s is offline") % {"station": station, "site": station.site},
            detail=effect,
            action=_("See its connection"),
            url=reverse("station-health", args=[tenant.slug, station.pk]),
            since=station.online_changed_at or station.last_seen_at,
        )


def _held(tenant: Tenant, actor: Actor) -> Iterator[Need]:
    count = visible.sessions(tenant.pk, actor).filter(state=SessionState.HELD).count()
    if count:
        yield Need(
            state="held",
            title=ngettext(
                "%(count)s session is held for review", "%(count)s sessions are held for review", count
            )
            % {"count": count},
            detail=_(
                "Something about the meter or the times is odd. They are not billed until somebody decides."
            ),
            action=_("Review"),
            url=reverse("sessions", args=[tenant.slug]) + "?state=held",
        )


def _orphans(tenant: Tenant, actor: Actor) -> Iterator[Need]:
    found = OrphanMessage.objects.filter(tenant_id=tenant.pk, resolved_at=None)
    if actor.site_ids is not None:
        found = found.filter(station__site_id__in=actor.site_ids)
    count = found.count()
    first = found.select_related("station").first()
    if first is not None:
        yield Need(
            state="warning",
            title=ngettext(
                "%(count)s message about an unknown session",
                "%(count)s messages about unknown sessions",
                count,
            )
            % {"count": count},
            detail=_("The newest is from %(station)s. A charge may be missing.") % {"station": first.station},
            action=_("See the station"),
            url=reverse("station-health", args=[tenant.slug, first.station_id]),
            since=first.received_at,
        )


def _unknown(tenant: Tenant) -> Iterator[Need]:
    knocking = QuarantinedStation.objects.filter(tenant_id=tenant.pk, dismissed_at=None)
    count = knocking.count()
    first = knocking.first()
    if first is not None:
        yield Need(
            state="info",
            title=ngettext("%(count)s unknown station knocks", "%(count)s unknown stations knock", count)
            % {"count": count},
            detail=_("%(identity)s asked for a connection and was refused. Adopt it if it is yours.")
            % {"identity": first.identity},
            action=_("Look at it"),
            url=reverse("quarantine", args=[tenant.slug]),
            since=first.last_seen_at,
        )

"""Roll-outs: chosen stations, a canary, further waves by success; halted by failures, resumed, cancelled, turned back.

All work is rows: `advance` looks at them every few seconds, under a lock of the tenant, and may run twice.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from stations import live
from stations.models import (
    OPEN_UPDATES,
    UNDER_WAY,
    Blocker,
    Campaign,
    CampaignState,
    FirmwareImage,
    FirmwareUpdate,
    Station,
    UpdateState,
)
from stations.services import words
from stations.services.files import images, tickets, updates
from tenants.errors import Conflict, DomainError, Forbidden, Invalid
from tenants.permissions import Actor, Permission
from tenants.services import audit, facts

MOST_TARGETS = 20_000
MOST_AT_ONCE = 50  # orders given in one look; the next look comes in seconds


@dataclass(frozen=True, slots=True)
class Choice:
    """Which stations. Empty means all; what is given narrows."""

    site_ids: Sequence[int] = ()
    models: Sequence[str] = ()
    versions: Sequence[str] = ()  # that they have now; * stands for any letters
    station_ids: Sequence[int] = ()
    installed_by: int | None = None  # those that this campaign has updated: all of them, however many


@dataclass(frozen=True, slots=True)
class Rules:
    """How a campaign goes about it."""

    canary: int = 1  # stations of the first wave
    canary_percent: int = 0  # or this share of all, if more
    wave_percent: int = 25  # of all, each wave after the canary
    success_percent: int = 90
    max_failures: int = 3
    idle_only: bool = True
    window_from: time | None = None
    window_until: time | None = None
    max_per_site: int = 2
    max_attempts: int = 2
    retry_minutes: int = 15
    signed_only: bool = False
    protocol: str = ""
    use_publications: bool = True


@dataclass(slots=True)
class Preview:
    """Who would get the image, wave by wave, and who not, with the reason."""

    targets: list[tuple[Station, int]] = field(default_factory=list)
    excluded: list[tuple[Station, str]] = field(default_factory=list)
    waves: list[int] = field(default_factory=list)  # stations in each
    offline: int = 0
    busy: int = 0


def preview(*, tenant_id: int, image: FirmwareImage, choice: Choice, rules: Rules, actor: Actor) -> Preview:
    """What `start` would do now."""
    found = Preview()
    fit: list[Station] = []
    open_already = set(
        FirmwareUpdate.objects.filter(tenant_id=tenant_id, state__in=OPEN_UPDATES).values_list(
            "station_id", flat=True
        )
    )
    for station in _chosen(tenant_id, choice, actor):
        why = images.obstacle(image, station)
        if not why and station.pk in open_already:
            why = _("Another update of it is open.")
        if why:
            found.excluded.append((station, why))
        else:
            fit.append(station)
    sizes = wave_sizes(len(fit), rules)
    found.waves = sizes
    found.targets = list(zip(_canaries_first(fit), _numbers(sizes), strict=True))
    found.offline = sum(not station.online for station in fit)
    found.busy = len(updates.busy_stations(tenant_id, [station.pk for station in fit]))
    return found


def _chosen(tenant_id: int, choice: Choice, actor: Actor) -> list[Station]:
    rows = Station.objects.filter(tenant_id=tenant_id, archived_at=None).select_related("site")
    if actor.site_ids is not None:
        rows = rows.filter(site_id__in=actor.site_ids)
    if choice.site_ids:
        rows = rows.filter(site_id__in=choice.site_ids)
    if choice.station_ids:
        rows = rows.filter(pk__in=choice.station_ids)
    if choice.installed_by is not None:
        updated = FirmwareUpdate.objects.filter(
            tenant_id=tenant_id,
            campaign_id=choice.installed_by,
            state__in=(UpdateState.INSTALLED, *UNDER_WAY),  # the preview says of those that they are not done
        )
        rows = rows.filter(pk__in=updated.values("station_id"))
    return [
        station
        for station in rows.order_by("identity", "id")[:MOST_TARGETS]
        if images.matches(station.model, choice.models)
        and images.matches(station.firmware_version, choice.versions)
    ]


def _canaries_first(stations: Sequence[Station]) -> list[Station]:
    """Those online first, and of each model one before any model's second: a canary that stands for all."""
    seen: Counter[str] = Counter()
    keyed = []
    for station in sorted(stations, key=lambda one: (not one.online, one.identity)):
        keyed.append(((not station.online, seen[station.model]), station))
        seen[station.model] += 1
    return [station for _key, station in sorted(keyed, key=lambda pair: pair[0])]


def wave_sizes(count: int, rules: Rules) -> list[int]:
    """Stations of each wave: the canary, then shares of all until none is left."""
    if count == 0:
        return []
    canary = max(rules.canary, math.ceil(count * rules.canary_percent / 100), 1)
    sizes = [min(canary, count)]
    share = max(1, math.ceil(count * max(1, rules.wave_percent) / 100))
    while (left := count - sum(sizes)) > 0:
        sizes.append(min(share, left))
    return sizes


def _numbers(sizes: Iterable[int]) -> list[int]:
    return [wave for wave, size in enumerate(sizes) for _place in range(size)]


def start(
    *,
    tenant_id: int,
    name: str,
    image: FirmwareImage,
    choice: Choice,
    rules: Rules,
    actor: Actor,
    rollback_of: Campaign | None = None,
) -> Campaign:
    """Begin a campaign. Invalid where it would reach nobody or its rules contradict each other."""
    actor.require(Permission.STATION_CONFIGURE)
    _check(name, image, rules)
    updates.alone(tenant_id)  # nobody else gives one of these stations an update meanwhile
    found = preview(tenant_id=tenant_id, image=image, choice=choice, rules=rules, actor=actor)
    if not found.targets:
        raise Invalid("No station can take this image. The preview says why for each.")
    campaign = Campaign.objects.create(
        tenant_id=tenant_id,
        name=name.strip()[:120],
        image=image,
        chosen={
            "site_ids": list(choice.site_ids),
            "models": list(choice.models),
            "versions": list(choice.versions),
            "station_ids": list(choice.station_ids),
            "installed_by": choice.installed_by,
        },
        waves=len(found.waves),
        success_percent=rules.success_percent,
        max_failures=rules.max_failures,
        idle_only=rules.idle_only,
        window_from=rules.window_from,
        window_until=rules.window_until,
        max_per_site=rules.max_per_site,
        max_attempts=rules.max_attempts,
        retry_minutes=rules.retry_minutes,
        signed_only=rules.signed_only,
        protocol=rules.protocol,
        use_publications=rules.use_publications,
        rollback_of=rollback_of,
        created_by=actor.label[:120],
    )
    FirmwareUpdate.objects.bulk_create(
        [
            FirmwareUpdate(
                tenant_id=tenant_id,
                station=station,
                image=image,
                campaign=campaign,
                wave=wave,
                blocked_by="" if wave == 0 else Blocker.WAVE,
                idle_only=rules.idle_only,
                signed_only=rules.signed_only,
                protocol=rules.protocol,
                max_attempts=rules.max_attempts,
                origin_label=campaign.name,
            )
            for station, wave in found.targets
        ]
    )
    audit.record(
        tenant_id=tenant_id, actor=actor, action="campaign.start", subject=campaign,
        detail={"image": image.pk, "version": image.version, "stations": len(found.targets), "waves": found.waves},
    )  # fmt: skip
    return campaign


def _check(name: str, image: FirmwareImage, rules: Rules) -> None:
    wrong: dict[str, str] = {}
    if not name.strip():
        wrong["name"] = "Give it a name."
    if not image.ready:
        wrong["image_id"] = "The file of this image was not uploaded yet."
    if (rules.window_from is None) != (rules.window_until is None):
        wrong["window_until"] = "A window needs both its ends."
    if rules.window_from is not None and rules.window_from == rules.window_until:
        wrong["window_until"] = "This window is empty."
    if rules.signed_only and not image.signed:
        wrong["signed_only"] = "This image is not signed."
    if rules.protocol and rules.protocol not in tickets.base_urls():
        wrong["protocol"] = "Not offered here."
    bounds = {"canary": (1, MOST_TARGETS), "canary_percent": (0, 100), "wave_percent": (1, 100),
              "success_percent": (0, 100), "max_failures": (1, MOST_TARGETS), "max_per_site": (1, 1000),
              "max_attempts": (1, 10), "retry_minutes": (0, 10_080)}  # fmt: skip
    for field_name, (least, most) in bounds.items():
        if not least <= getattr(rules, field_name) <= most:
            wrong[field_name] = f"A number from {least} to {most}."
    if wrong:
        raise Invalid(fields=wrong)


# --- by people ---


def pause(*, campaign: Campaign, actor: Actor) -> Campaign:
    """Give no more orders. Stations that have theirs go on."""
    return _turn(campaign, actor, "pause", (CampaignState.RUNNING,), CampaignState.PAUSED)


def resume(*, campaign: Campaign, actor: Actor) -> Campaign:
    """Go on after a pause or a halt. Failures so far count no more towards the next halt."""
    return _turn(
        campaign, actor, "resume", (CampaignState.PAUSED, CampaignState.HALTED), CampaignState.RUNNING
    )


def cancel(*, campaign: Campaign, actor: Actor) -> Campaign:
    """End it. Stations that have their order go on and are followed; the others are left as they are."""
    states = (CampaignState.RUNNING, CampaignState.PAUSED, CampaignState.HALTED)
    turned = _turn(campaign, actor, "cancel", states, CampaignState.CANCELLED)
    now = timezone.now()
    waiting = turned.updates.filter(state=UpdateState.WAITING)
    list(waiting.select_for_update(of=("self",)).order_by("id"))  # in the order of all who lock several
    waiting.update(state=UpdateState.CANCELLED, blocked_by="", settled_at=now, changed_at=now)
    return turned


def _turn(
    campaign: Campaign, actor: Actor, verb: str, before: Sequence[CampaignState], after: CampaignState
) -> Campaign:
    _require(campaign, actor)
    updates.alone(campaign.tenant_id)
    mine = (
        Campaign.objects.select_for_update(of=("self",))
        .select_related("image")
        .get(tenant_id=campaign.tenant_id, pk=campaign.pk)
    )
    if mine.state not in before:
        raise Conflict(f"The campaign is {mine.get_state_display().lower()}.")
    if after == CampaignState.RUNNING:
        mine.failures_forgiven = mine.updates.filter(state=UpdateState.FAILED).count()
        mine.reason = ""
    if after == CampaignState.CANCELLED:
        mine.settled_at = timezone.now()
    mine.state = after
    mine.save()
    audit.record(tenant_id=mine.tenant_id, actor=actor, action=f"campaign.{verb}", subject=mine)
    _tell(mine)
    return mine


def retry_failed(*, campaign: Campaign, actor: Actor) -> int:
    """Another attempt for all that failed; how many."""
    _require(campaign, actor)
    updates.alone(campaign.tenant_id)
    mine = Campaign.objects.select_for_update(of=("self",)).get(tenant_id=campaign.tenant_id, pk=campaign.pk)
    if not mine.is_open:
        raise Conflict("The campaign is over. Begin a new one for these stations.")
    count = 0
    for update in mine.updates.filter(state=UpdateState.FAILED).select_related("station").order_by("id"):
        updates.retry(update=update, actor=actor)
        count += 1
    mine.failures_forgiven = 0
    mine.save(update_fields=["failures_forgiven"])
    return count


def _require(campaign: Campaign, actor: Actor) -> None:
    """Forbidden where it concerns a station that the actor does not see."""
    actor.require(Permission.STATION_CONFIGURE)
    if actor.site_ids is not None and campaign.updates.exclude(station__site_id__in=actor.site_ids).exists():
        raise Forbidden("This campaign concerns stations of other sites as well.")


# --- by itself ---


@dataclass(slots=True)
class _Look:
    """What one look at all open updates of a tenant knows."""

    now: datetime
    busy: set[int]
    under_way: dict[int, int]  # station: the update that is under way there
    at_site: Counter[tuple[int, int]]  # (campaign, site): under way
    orders: int = 0


# Of a campaign that stands still, or of a later wave, and marked so: nothing to look at, be it twenty thousand.
_RESTING = Q(state=UpdateState.WAITING) & (
    Q(blocked_by=Blocker.PAUSED, campaign__state__in=(CampaignState.PAUSED, CampaignState.HALTED))
    | Q(blocked_by=Blocker.WAVE, campaign__state=CampaignState.RUNNING, wave__gt=F("campaign__wave"))
)


def advance(*, tenant_id: int, now: datetime | None = None) -> int:
    """One look: orders given, boots seen, patience ended, waves begun, campaigns halted and finished. How many moved.

    Under a lock of this tenant, so that two workers give no order twice; whoever comes second leaves it.
    """
    now = now or timezone.now()
    if not updates.alone(tenant_id, waits=False):
        return 0
    rows = updates.locked(tenant_id).select_related("station__site", "image", "campaign")
    waiting = list(rows.filter(state__in=OPEN_UPDATES).exclude(_RESTING).order_by("id"))
    if not waiting and not Campaign.objects.filter(tenant_id=tenant_id, state=CampaignState.RUNNING).exists():
        return 0
    look = _Look(
        now=now,
        busy=updates.busy_stations(tenant_id, list({update.station_id for update in waiting})),
        under_way={update.station_id: update.pk for update in waiting if update.state in UNDER_WAY},
        at_site=Counter(
            (update.campaign_id, update.station.site_id)
            for update in waiting
            if update.campaign_id and update.state in UNDER_WAY
        ),
    )
    moved = 0
    for update in waiting:
        before = (update.state, update.blocked_by)
        if update.state in UNDER_WAY:
            updates.look_after(update, now)
        elif not updates.left_over(update):
            _consider(update, look)
        moved += before != (update.state, update.blocked_by)
    for update in _late(tenant_id):
        moved += updates.verify(update)
    for campaign in (
        Campaign.objects.select_for_update(of=("self",))
        .select_related("image")
        .filter(tenant_id=tenant_id, state=CampaignState.RUNNING)
    ):
        moved += _judge(campaign)
    return moved


def _late(tenant_id: int) -> QuerySet[FirmwareUpdate]:
    """Given up, and yet the station came back with the image, later than we had patience."""
    return (
        updates.locked(tenant_id)
        .filter(
            campaign__state=CampaignState.RUNNING,
            state=UpdateState.FAILED,
            station__firmware_version=F("image__version"),
            station__booted_at__gte=F("sent_at"),
        )
        .order_by("id")
    )


def _consider(update: FirmwareUpdate, look: _Look) -> None:
    """Give the order, or note what it waits for."""
    blocker = _blocker(update, look)
    if blocker:
        updates.block(update, blocker)
        return
    if look.orders >= MOST_AT_ONCE:
        return
    look.orders += 1
    station = update.station
    try:
        with transaction.atomic():
            updates.send(update)
    except (
        DomainError
    ) as error:  # no way to give the file out, for one: that is not the next station's trouble
        updates.attempt_failed(update, str(error.detail))
    if update.state == UpdateState.SENT:
        look.under_way[station.pk] = update.pk
        if update.campaign_id:
            look.at_site[update.campaign_id, station.site_id] += 1


def _blocker(update: FirmwareUpdate, look: _Look) -> str:
    """What keeps this update from being sent now, the most lasting thing first; empty for nothing."""
    campaign, station = update.campaign, update.station
    if campaign is not None and campaign.state != CampaignState.RUNNING:
        return Blocker.PAUSED
    if campaign is not None and update.wave > campaign.wave:
        return Blocker.WAVE
    if update.retry_at is not None and update.retry_at > look.now:
        return Blocker.RETRY
    if station.pk in look.under_way:
        return Blocker.OTHER
    if campaign is not None and not in_window(campaign, station.site.time_zone, look.now):
        return Blocker.WINDOW
    if not station.online:
        return Blocker.OFFLINE
    if update.idle_only and station.pk in look.busy:
        return Blocker.BUSY
    if campaign is not None and look.at_site[campaign.pk, station.site_id] >= campaign.max_per_site:
        return Blocker.SITE
    return ""


def in_window(campaign: Campaign, zone: str, now: datetime) -> bool:
    """Whether it is time at the site. A window may span midnight; it counts by the wall clock there."""
    begin, end = campaign.window_from, campaign.window_until
    if begin is None or end is None:
        return True
    here = now.astimezone(ZoneInfo(zone)).time().replace(tzinfo=None)
    return begin <= here < end if begin < end else here >= begin or here < end


def next_window(campaign: Campaign, zone: str, now: datetime) -> datetime | None:
    """When the window opens next at a site; None where it is open or there is none."""
    if campaign.window_from is None or in_window(campaign, zone, now):
        return None
    here = now.astimezone(ZoneInfo(zone))
    opens = here.replace(
        hour=campaign.window_from.hour, minute=campaign.window_from.minute, second=0, microsecond=0
    )
    return opens if opens > here else opens + timedelta(days=1)


def _judge(campaign: Campaign) -> bool:
    """Halt, begin the next wave, or finish. Whether it did."""
    counts = states(campaign)
    failed = counts.get(UpdateState.FAILED, 0)
    campaign.failures_forgiven = min(campaign.failures_forgiven, failed)
    failures = failed - campaign.failures_forgiven
    if failures >= campaign.max_failures:
        _halt(
            campaign,
            words.BOUND % {"count": failures, "bound": campaign.max_failures},
        )
        return True
    last = campaign.wave + 1 >= campaign.waves
    if _goes_on(campaign, last):
        return False
    own = states(campaign, wave=campaign.wave)
    good, bad = own.get(UpdateState.INSTALLED, 0), own.get(UpdateState.FAILED, 0)
    forgiven = campaign.failures_forgiven >= failed > 0
    if not last and bad and not forgiven and 100 * good < campaign.success_percent * (good + bad):
        _halt(
            campaign,
            words.WAVE
            % {
                "wave": campaign.wave + 1,
                "good": good,
                "all": good + bad,
                "needed": campaign.success_percent,
            },
        )
    elif last:
        _finish(campaign, counts)
    else:
        campaign.wave += 1
        campaign.save(update_fields=["wave", "failures_forgiven"])
        _tell(campaign)
    return True


def _goes_on(campaign: Campaign, last: bool) -> bool:
    """Whether the wave waits for a station. One that is away, or has a car, for days holds up no later wave, once at
    least half of its own wave have ended and the image has shown that it is good; it gets its order all the same."""
    open_ones = campaign.updates.filter(wave__lte=campaign.wave, state__in=OPEN_UPDATES)
    own = campaign.updates.filter(wave=campaign.wave)
    few = 2 * own.exclude(state__in=OPEN_UPDATES).count() < own.count()
    if last or few or not campaign.updates.filter(state=UpdateState.INSTALLED).exists():
        return open_ones.exists()
    return open_ones.exclude(
        state=UpdateState.WAITING, blocked_by__in=(Blocker.OFFLINE, Blocker.BUSY)
    ).exists()


def _halt(campaign: Campaign, reason: str) -> None:
    campaign.state, campaign.reason = CampaignState.HALTED, reason[:300]
    campaign.save(update_fields=["state", "reason", "failures_forgiven"])
    _publish(campaign, "campaign.halted", states(campaign))


def _finish(campaign: Campaign, counts: dict[str, int]) -> None:
    campaign.state, campaign.settled_at = CampaignState.FINISHED, timezone.now()
    campaign.save(update_fields=["state", "settled_at"])
    _publish(campaign, "campaign.finished", counts)


def _publish(campaign: Campaign, kind: str, counts: dict[str, int]) -> None:
    facts.publish(
        tenant_id=campaign.tenant_id, kind=kind, subject_type="campaign", subject_id=campaign.pk,
        payload={"campaign": campaign.pk, "name": campaign.name, "image": campaign.image_id,
                 "version": campaign.image.version, "reason": campaign.reason, "stations": counts},
    )  # fmt: skip
    _tell(campaign)


def states(campaign: Campaign, **narrowed: Any) -> dict[str, int]:
    """{state: stations}."""
    rows = campaign.updates.filter(**narrowed).order_by().values("state").annotate(count=Count("id"))
    return {row["state"]: row["count"] for row in rows}


def narrowed(actor: Actor) -> dict[str, Any]:
    """Which of a campaign's stations this actor sees."""
    return {} if actor.site_ids is None else {"station__site_id__in": actor.site_ids}


def visible_to(tenant_id: int, actor: Actor) -> QuerySet[Campaign]:
    """All, or those that concern a station of the actor's sites."""
    rows = Campaign.objects.filter(tenant_id=tenant_id).select_related("image", "rollback_of")
    if actor.site_ids is None:
        return rows
    at_site = FirmwareUpdate.objects.filter(
        tenant_id=tenant_id, campaign_id=OuterRef("pk"), **narrowed(actor)
    )
    return rows.filter(Exists(at_site))


def previous_image(campaign: Campaign) -> FirmwareImage | None:
    """What most of its stations had before, if that image is here: where a rollback leads."""
    before = Counter(
        campaign.updates.filter(Q(state=UpdateState.INSTALLED) | Q(state=UpdateState.FAILED))
        .exclude(from_version="")
        .values_list("from_version", flat=True)
    )
    for version, _count in before.most_common(5):
        found = (
            FirmwareImage.objects.filter(
                tenant_id=campaign.tenant_id, vendor__iexact=campaign.image.vendor, version=version
            )
            .exclude(storage_name="")
            .order_by("-id")
            .first()
        )
        if found is not None:
            return found
    return None


def _tell(campaign: Campaign) -> None:
    site_ids = campaign.updates.values_list("station__site_id", flat=True).order_by().distinct()[:200]
    live.publish_many(
        campaign.tenant_id,
        [
            live.event(kind="campaign", station_id=0, site_id=site_id, data={"id": campaign.pk})
            for site_id in site_ids
        ],
    )

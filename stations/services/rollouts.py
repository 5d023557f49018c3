"""A root for many stations: to be installed, or given up. A few at a time; who is offline, later."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.db.models import Count
from django.utils import timezone

from stations import live
from stations.models import (
    Command,
    CommandState,
    InstalledCertificate,
    Rollout,
    RolloutState,
    RolloutStep,
    Station,
    StepState,
    TrustAnchor,
)
from stations.services import trust, words
from tenants.errors import Conflict, DomainError, Invalid
from tenants.permissions import Actor, Permission, system
from tenants.services import audit

RULE = system("Rollout of certificates")
AT_ONCE = 20  # commands of a rollout under way
MOST_STATIONS = 20_000
LASTS = timedelta(days=14)


def start(*, anchor: TrustAnchor, actor: Actor, stations: Sequence[Station], remove: bool = False) -> Rollout:
    """Have these stations take the root, or delete it. Those that hold it already (or do not) are done at once."""
    actor.require(Permission.STATION_CONFIGURE)
    for station in stations:
        actor.require(Permission.STATION_CONFIGURE, site_id=station.site_id)
    if not stations:
        raise Invalid(fields={"stations": "Choose at least one station."})
    if len(stations) > MOST_STATIONS:
        raise Invalid(fields={"stations": f"A rollout reaches at most {MOST_STATIONS} stations."})
    if not remove and anchor.not_after <= timezone.now():
        raise Conflict(f"{anchor.name} has expired; stations refuse it.")
    rollout = Rollout.objects.create(
        tenant_id=anchor.tenant_id, anchor=anchor, remove=remove, started_by=actor.label[:120],
        deadline=timezone.now() + LASTS,
    )  # fmt: skip
    RolloutStep.objects.bulk_create(
        [
            RolloutStep(tenant_id=anchor.tenant_id, rollout=rollout, station=station)
            for station in {station.pk: station for station in stations}.values()
        ]
    )
    audit.record(
        tenant_id=anchor.tenant_id, actor=actor, action="certificate.rollout", subject=anchor,
        detail={"rollout": rollout.pk, "stations": len(stations), "remove": remove},
    )  # fmt: skip
    push(rollout)
    return rollout


def push(rollout: Rollout) -> int:
    """Send to the next stations that are online. Ends the rollout when nothing is left, or time is up."""
    steps = RolloutStep.objects.filter(tenant_id=rollout.tenant_id, rollout=rollout)
    if rollout.deadline <= timezone.now():
        steps.filter(state=StepState.WAITING).update(
            state=StepState.FAILED, detail=words.NOT_ONLINE, ended_at=timezone.now()
        )
    room = AT_ONCE - steps.filter(state=StepState.SENT).count()
    sent = 0
    waiting = steps.select_for_update(of=("self",), skip_locked=True).select_related("station")
    for step in waiting.filter(state=StepState.WAITING, station__online=True)[: max(0, room)]:
        _send(rollout, step)
        sent += 1
    if not steps.filter(state__in=(StepState.WAITING, StepState.SENT)).exists():
        Rollout.objects.filter(tenant_id=rollout.tenant_id, pk=rollout.pk, state=RolloutState.RUNNING).update(
            state=RolloutState.DONE, ended_at=timezone.now()
        )
    return sent


def _send(rollout: Rollout, step: RolloutStep) -> None:
    held = InstalledCertificate.objects.filter(
        tenant_id=step.tenant_id, station=step.station, anchor=rollout.anchor
    ).first()
    if (held is None) == rollout.remove:
        detail = words.HELD_NOT if rollout.remove else words.HELD
        step.state, step.detail, step.ended_at = StepState.DONE, detail, timezone.now()
    else:
        try:
            if held is not None:
                step.command = trust.delete(held=held, actor=RULE)
            else:
                step.command = trust.install(station=step.station, anchor=rollout.anchor, actor=RULE)
            step.state = StepState.SENT
        except DomainError as error:
            step.state, step.detail, step.ended_at = StepState.FAILED, str(error.detail)[:200], timezone.now()
    step.save()


def follow(*, command: Command) -> None:
    """A station of a rollout has answered, or not."""
    step = (
        RolloutStep.objects.select_for_update(of=("self",))
        .select_related("rollout", "rollout__anchor", "station")
        .filter(tenant_id=command.tenant_id, command=command, state=StepState.SENT)
        .first()
    )
    if step is None:
        return
    gone = step.rollout.remove and command.answer == "NotFound"
    if command.state == CommandState.ACCEPTED or gone:
        step.state = StepState.DONE
    elif (
        command.state in (CommandState.EXPIRED, CommandState.TIMED_OUT)
        and step.rollout.deadline > timezone.now()
    ):
        step.state, step.detail = StepState.WAITING, words.ASKED_AGAIN
        step.command = None
    else:
        step.state = StepState.FAILED
        step.detail = (command.detail or words.ANSWERED % {"word": command.answer})[:200]
    if step.state != StepState.WAITING:
        step.ended_at = timezone.now()
    step.save()
    if step.rollout.state == RolloutState.RUNNING and step.state != StepState.WAITING:
        push(step.rollout)
    live.publish(
        step.tenant_id, kind="security", station_id=step.station_id, site_id=step.station.site_id,
        data={"id": step.pk},
    )  # fmt: skip


def cancel(*, rollout: Rollout, actor: Actor) -> Rollout:
    """Stop it: stations that were not asked yet are left as they are."""
    actor.require(Permission.STATION_CONFIGURE)
    changed = Rollout.objects.filter(
        tenant_id=rollout.tenant_id, pk=rollout.pk, state=RolloutState.RUNNING
    ).update(state=RolloutState.CANCELLED, ended_at=timezone.now())
    if not changed:
        raise Conflict("This rollout has ended already.")
    RolloutStep.objects.filter(tenant_id=rollout.tenant_id, rollout=rollout, state=StepState.WAITING).update(
        state=StepState.FAILED, detail=words.ROLLOUT_STOPPED, ended_at=timezone.now()
    )
    rollout.refresh_from_db()
    audit.record(
        tenant_id=rollout.tenant_id, actor=actor, action="certificate.rollout_stop", subject=rollout.anchor,
        detail={"rollout": rollout.pk},
    )  # fmt: skip
    return rollout


def sweep(*, tenant_id: int) -> int:
    running = Rollout.objects.filter(tenant_id=tenant_id, state=RolloutState.RUNNING)
    return sum(push(rollout) for rollout in running.select_related("anchor")[:50])


def counts(rollout: Rollout) -> dict[str, int]:
    """Stations by the state of their step."""
    rows = (
        RolloutStep.objects.filter(tenant_id=rollout.tenant_id, rollout=rollout)
        .values_list("state")
        .annotate(Count("id"))
        .order_by()
    )
    return dict.fromkeys(StepState.values, 0) | dict(rows)

"""Security profiles: the one a station must come by, and the way to a higher one (A05; whitepaper A05), step by step.

Root, password, certificate, connection, switch, return: each step is a command that the station answers or, for its
certificate, a request that it makes. Until the station has returned under the new profile, or time is up, it may come
by the old one. It is never taken down again by itself: OCPP refuses that, and so does the gateway.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from stations import live
from stations.models import (
    CHANGE_OPEN,
    ChangeState,
    Command,
    CommandKind,
    CommandState,
    InstalledCertificate,
    PasswordChange,
    ProfileChange,
    SecurityProfile,
    SigningRequest,
    SigningUse,
    Station,
    StationCertificate,
    TrustAnchor,
    Variable,
)
from stations.services import authority, commands, passwords, signing, stations
from tenants.errors import Conflict, DomainError, Invalid
from tenants.permissions import Actor, Permission, system
from tenants.services import audit, facts

RULE = system("Security profile")
SLOT = 2  # of the new connection; the old one keeps its own
RESET_AFTER = timedelta(seconds=60)  # a station that does not reconnect by itself is restarted
ASK_AGAIN = timedelta(minutes=2)
PROFILE = "SecurityProfile"
PRIORITY = "NetworkConfigurationPriority"


def start(
    *,
    station: Station,
    actor: Actor,
    profile: int,
    anchor: TrustAnchor | None = None,
    url: str = "",
    slot: int = SLOT,
    interface: str = "wired0",
) -> ProfileChange:
    """Take a station to a higher security profile. It is told at once if it is online, else when it comes.

    `anchor`: a root to install first, by which the station shall know the gateway. `url`, `slot`, `interface`: of the
    connection that a station of 2.x gets (B09). Conflict, in words, where it is no step up or another is under way.
    """
    actor.require(Permission.STATION_CONFIGURE, site_id=station.site_id)
    station = stations.locked(tenant_id=station.tenant_id, station_id=station.pk)
    present = current(station)
    if profile not in (1, 2, 3):
        raise Invalid(fields={"profile": "Choose 1, 2 or 3."})
    if profile <= present:
        raise Conflict(
            f"{station} is on profile {present} already. OCPP lets a station only rise; to take it down, an owner "
            "resets its profile here and the station is set up anew on site."
        )
    if ProfileChange.objects.filter(
        tenant_id=station.tenant_id, station=station, state__in=CHANGE_OPEN
    ).exists():
        raise Conflict(f"{station} is on its way to another profile already.")
    url = (url or address(station)).strip()
    if profile >= 2 and station.is_v2 and not url.startswith("wss://"):
        raise Invalid(fields={"url": "Profiles 2 and 3 need an address that begins with wss://."})
    minutes = authority.policy(station.tenant_id).transition_minutes
    change = ProfileChange.objects.create(
        tenant_id=station.tenant_id, station=station, from_profile=present, to_profile=profile, anchor=anchor,
        url=url[:512], slot=slot, interface=interface[:12], state=ChangeState.ROOT,
        started_by=actor.label[:120], deadline=timezone.now() + timedelta(minutes=minutes),
        old_priority=_priority(station),
    )  # fmt: skip
    audit.record(
        tenant_id=station.tenant_id, actor=actor, action="station.profile_change", subject=station,
        site_id=station.site_id, detail={"from": present, "to": profile},
    )  # fmt: skip
    _enter(change, ChangeState.ROOT)
    return change


def address(station: Station) -> str:
    """Where stations of this company connect to; each adds its identity (part 4, 3.1.1)."""
    return f"{settings.GATEWAY_URL}/ocpp/{station.tenant.slug}"


def current(station: Station) -> int:
    """The profile that the station must come by at least."""
    if station.allow_unauthenticated:
        return station.highest_profile if station.highest_profile >= 2 else 0
    return max(station.security_profile, station.highest_profile)


def _priority(station: Station) -> str:
    found = Variable.objects.filter(
        tenant_id=station.tenant_id, station=station, component="OCPPCommCtrlr", name=PRIORITY,
        attribute="actual",
    ).first()  # fmt: skip
    return (found.value or "")[:100] if found else ""


# --- the steps, in their order

_ORDER = (
    ChangeState.ROOT,
    ChangeState.PASSWORD,
    ChangeState.CERTIFICATE,
    ChangeState.READ,
    ChangeState.SLOT,
    ChangeState.SWITCH,
    ChangeState.RETURN,
)


def _enter(change: ProfileChange, state: ChangeState) -> None:
    """Begin this step, or the next one that there is something to do in."""
    _take_back(change)
    for step in _ORDER[_ORDER.index(state) :]:
        change.state, change.stepped_at = step, timezone.now()
        try:
            waits = _begin(change, step)
        except DomainError as error:
            _fail(change, str(error.detail))
            return
        if waits:
            break
    change.save()
    _tell(change.station)


def _begin(change: ProfileChange, step: ChangeState) -> bool:
    """Whether there is something to wait for."""
    station = change.station
    v2 = station.is_v2
    if step == ChangeState.ROOT:
        if change.anchor is None or _holds(station, change.anchor):
            return False
        arguments: dict[str, Any] = {"use": change.anchor.use, "certificate": change.anchor.pem}
        return _ask(change, CommandKind.INSTALL_CERTIFICATE, arguments)
    if step == ChangeState.PASSWORD:
        if change.to_profile == 3 or station.password_hash:
            return False
        passwords.rotate(station=station, actor=RULE)
        return True
    if step == ChangeState.CERTIFICATE:
        if change.to_profile < 3 or _has_certificate(station):
            return False
        authority.ensure(station.tenant_id)
        return _ask(change, signing.trigger_kind(station), {"message": signing.ASK})
    if step == ChangeState.READ:
        # What it falls back to must stand behind the new connection, so we must know it (B10.FR.03).
        if not v2:
            return False
        return _ask(change, CommandKind.READ_CONFIGURATION, {"names": [f"OCPPCommCtrlr.{PRIORITY}"]})
    if step == ChangeState.SLOT:
        if not v2:
            return False
        change.slot = _free_slot(change)
        arguments = {
            "slot": change.slot, "url": change.url, "ocpp_version": station.ocpp_version, "timeout_s": 30,
            "interface": change.interface, "security_profile": change.to_profile,
        }  # fmt: skip
        return _ask(change, "set_network_profile", arguments)
    if step == ChangeState.SWITCH:
        change.epoch, change.command = station.epoch, None
        return _ask(change, CommandKind.WRITE_CONFIGURATION, _switch(change, v2))
    return True  # RETURN


def _slots(change: ProfileChange) -> list[str]:
    return [slot.strip() for slot in change.old_priority.split(",") if slot.strip()]


def _free_slot(change: ProfileChange) -> int:
    """The slot that was chosen, unless the station uses it now: then one that it does not."""
    used = {int(slot) for slot in _slots(change) if slot.isdecimal()}
    wanted = change.slot or SLOT
    return wanted if wanted not in used else max(used) + 1


def _switch(change: ProfileChange, v2: bool) -> dict[str, str]:
    if not v2:
        return {"name": PROFILE, "value": str(change.to_profile)}
    # The old slots stay behind the new one: what the station falls back to (B10.FR.03).
    value = ",".join([str(change.slot), *_slots(change)])
    return {"component": "OCPPCommCtrlr", "name": PRIORITY, "value": value}


def _ask(change: ProfileChange, kind: str, arguments: dict[str, Any]) -> bool:
    seconds = max(60, int((change.deadline - timezone.now()).total_seconds()))
    change.command = commands.request_command(
        tenant_id=change.tenant_id, station_id=change.station_id, kind=kind, arguments=arguments, actor=RULE,
        expires_in_seconds=seconds,
    )  # fmt: skip
    return True


def _holds(station: Station, anchor: TrustAnchor) -> bool:
    return InstalledCertificate.objects.filter(
        tenant_id=station.tenant_id, station=station, anchor=anchor
    ).exists()


def _has_certificate(station: Station) -> bool:
    """One that the station took, and that is good for another day."""
    return StationCertificate.objects.filter(
        tenant_id=station.tenant_id, station=station, use=SigningUse.STATION, revoked_at=None,
        installed_at__isnull=False, not_after__gt=timezone.now() + timedelta(days=1),
    ).exists()  # fmt: skip


def _open(tenant_id: int, *, wait: bool = True, **which: object) -> ProfileChange | None:
    """An open change, held with its station, which is locked first. `wait` False: None where somebody holds it."""
    rows = ProfileChange.objects.filter(tenant_id=tenant_id, state__in=CHANGE_OPEN, **which)
    station_id = rows.values_list("station_id", flat=True).first()
    if station_id is None:
        return None
    held = Station.objects.select_for_update(no_key=True, skip_locked=not wait)
    if held.filter(tenant_id=tenant_id, pk=station_id).first() is None:
        return None
    return rows.select_for_update(of=("self",)).select_related("station", "anchor").first()


def follow(*, command: Command) -> None:
    """A step's command has ended."""
    change = _open(command.tenant_id, command=command)
    if change is None:
        return
    if command.state == CommandState.ACCEPTED:
        _go_on(change, command)
    elif command.state == CommandState.TIMED_OUT and change.state in (ChangeState.SWITCH, ChangeState.RETURN):
        _enter(change, ChangeState.RETURN)  # it may have switched over before it could answer
    elif change.state == ChangeState.RETURN:
        change.detail = f"It did not restart: {command.detail or command.answer}."[:300]
        change.save(update_fields=["detail"])
    else:
        _fail(
            change, command.detail or f"The station answered {command.answer or command.get_state_display()}."
        )


def _go_on(change: ProfileChange, command: Command) -> None:
    if (
        change.state == ChangeState.CERTIFICATE
    ):  # it will ask for its certificate now; see certificate_settled
        change.detail = "The station makes its key and asks for a certificate."
        change.save(update_fields=["detail"])
    elif change.state == ChangeState.READ:
        change.old_priority = _priority(change.station)
        if change.old_priority:
            _enter(change, ChangeState.SLOT)
        else:
            _fail(change, "The station does not tell by which connections it comes now.")
    elif change.state == ChangeState.SWITCH:
        _enter(change, ChangeState.RETURN)
        if command.answer == "RebootRequired" or change.station.is_v2:
            _restart(change)
    elif change.state != ChangeState.RETURN:
        _enter(change, _ORDER[_ORDER.index(ChangeState(change.state)) + 1])


def _restart(change: ProfileChange) -> None:
    """When it is idle: the switch can wait for drivers who charge (A05.FR.05)."""
    _ask(change, CommandKind.RESET, {"hard": False})
    change.save(update_fields=["command"])


def certificate_settled(*, station: Station, installed: bool, why: str = "") -> None:
    """The station took its certificate, or did not."""
    change = _open(station.tenant_id, station=station, state=ChangeState.CERTIFICATE)
    if change is not None and installed:
        change.detail = ""
        _enter(change, ChangeState.READ)
    elif change is not None:
        _fail(change, why or "The station did not take its certificate.")


# --- at the door


@dataclass(frozen=True, slots=True)
class Arrival:
    """A station has come in: by which profile, certificate or new password."""

    station_id: int
    epoch: int
    profile: int
    certificate_id: int | None = None
    used_next: bool = False


def arrived(*, tenant_id: int, requests: Sequence[Arrival]) -> list[bool]:
    """Keep how stations came in; end the changes that this proves. False for one whose certificate was taken back since
    it was looked at: its socket is nobody's any more."""
    return [_arrived(tenant_id, arrival) for arrival in requests]


def _arrived(tenant_id: int, arrival: Arrival) -> bool:
    station = stations.locked(tenant_id=tenant_id, station_id=arrival.station_id)
    now = timezone.now()
    if arrival.certificate_id:
        mine = StationCertificate.objects.filter(tenant_id=tenant_id, pk=arrival.certificate_id)
        if mine.filter(revoked_at__isnull=False).exists():
            stations.close_socket(station)
            return False
        mine.filter(first_used_at=None).update(first_used_at=now)
        mine.filter(installed_at=None).update(installed_at=now)
        mine.update(last_used_at=now)
    if arrival.used_next:
        waits = _open(tenant_id, station=station, state=ChangeState.PASSWORD)
        if waits is not None:
            _enter(waits, ChangeState.CERTIFICATE)
    change = _open(tenant_id, station=station)
    if change is not None and arrival.profile >= change.to_profile:
        _done(change, station, arrival.profile)
    elif change is None and arrival.profile > station.highest_profile:
        station.highest_profile = arrival.profile
        station.save(update_fields=["highest_profile"])
    live.publish(tenant_id, kind="security", station_id=station.pk, site_id=station.site_id, data={"id": 0})
    return True


def _done(change: ProfileChange, station: Station, profile: int) -> None:
    station.highest_profile = max(station.highest_profile, profile)
    station.security_profile = max(station.security_profile, change.to_profile)
    station.allow_unauthenticated = False
    station.save(update_fields=["highest_profile", "security_profile", "allow_unauthenticated"])
    _take_back(change)
    change.station = station
    change.state, change.detail, change.ended_at = ChangeState.DONE, "", timezone.now()
    change.save()
    _end(change)


# --- ends


def _take_back(change: ProfileChange) -> None:
    """What the station was not told yet, it shall not be told any more."""
    command = change.command
    if command is None or command.state != CommandState.QUEUED:
        return
    if not commands.hold(command=command):  # it has just gone out
        command.refresh_from_db()
        return
    change.command = None
    change.save(update_fields=["command"])  # or its end would be taken for that of the step
    commands.cancel(command=command, actor=RULE)


def _may_have_switched(change: ProfileChange) -> bool:
    if change.state == ChangeState.SWITCH:
        return change.command is not None and change.command.sent_at is not None
    return change.state == ChangeState.RETURN


def _fail(change: ProfileChange, why: str) -> None:
    _take_back(change)
    if _may_have_switched(change):
        _fall_back(change)
    change.failed_in, change.state = change.state, ChangeState.FAILED
    change.detail, change.ended_at = why[:300], timezone.now()
    change.save()
    _end(change)


def _fall_back(change: ProfileChange) -> None:
    """2.x: the old connection comes first again, so that the station's next start does not try in vain. A station of
    1.6 returns by itself to the profile that worked (whitepaper A05.FR.06)."""
    if change.station.is_v2 and change.old_priority:
        commands.request_command(
            tenant_id=change.tenant_id, station_id=change.station_id, kind=CommandKind.WRITE_CONFIGURATION,
            arguments={"component": "OCPPCommCtrlr", "name": PRIORITY, "value": change.old_priority},
            actor=system("Security profile, back"), expires_in_seconds=86_400,
        )  # fmt: skip


def _end(change: ProfileChange) -> None:
    audit.record(
        tenant_id=change.tenant_id, actor=RULE, action=f"station.profile_{change.state}", subject=change.station,
        site_id=change.station.site_id,
        detail={"from": change.from_profile, "to": change.to_profile, "why": change.detail},
    )  # fmt: skip
    facts.publish(
        tenant_id=change.tenant_id, kind=f"security.profile_{change.state}", subject_type="station",
        subject_id=change.station_id,
        payload={
            "station": change.station_id, "from": change.from_profile, "to": change.to_profile,
            "detail": change.detail,
        },
    )  # fmt: skip
    _tell(change.station)


def cancel(*, change: ProfileChange, actor: Actor) -> ProfileChange:
    """Give a change up. A station that was told to switch over already may still do so, and is let in if it does."""
    actor.require(Permission.STATION_CONFIGURE, site_id=change.station.site_id)
    found = _open(change.tenant_id, pk=change.pk)
    if found is None:
        raise Conflict("This change has ended already.")
    _take_back(found)
    if _may_have_switched(found):
        _fall_back(found)
    found.failed_in, found.state, found.ended_at = found.state, ChangeState.CANCELLED, timezone.now()
    found.detail = f"Given up by {actor.label}."[:300]
    found.save()
    _end(found)
    return found


def sweep(*, tenant_id: int) -> int:
    """Restart stations that do not reconnect by themselves; end changes whose time is up."""
    now = timezone.now()
    every = ProfileChange.objects.filter(tenant_id=tenant_id, state__in=CHANGE_OPEN)
    due = [row.pk for row in every.select_related("station", "command") if _step(row, now) is not None]
    moved = 0
    for change_id in due:  # stations that are not due are not held, nor waited for
        change = _open(tenant_id, wait=False, pk=change_id)
        step = _step(change, now) if change is not None else None
        if step is not None and change is not None:
            step(change)
            moved += 1
    return moved


def _step(change: ProfileChange, now: datetime) -> Callable[[ProfileChange], None] | None:
    """What is to be done for a change that does not go on by itself."""
    if change.deadline <= now:
        return _run_out
    if _is_stuck(change):
        return _restart_once
    if _is_silent(change):
        return _ask_again
    return _fail_password if change.state == ChangeState.PASSWORD and _password_failed(change) else None


def _run_out(change: ProfileChange) -> None:
    _fail(change, _verdict(change))


def _restart_once(change: ProfileChange) -> None:
    change.epoch = 0
    _restart(change)
    change.save(update_fields=["epoch"])


def _ask_again(change: ProfileChange) -> None:
    _enter(change, ChangeState.CERTIFICATE)


def _fail_password(change: ProfileChange) -> None:
    _fail(change, "The station did not take a password.")


def _is_stuck(change: ProfileChange) -> bool:
    station = change.station
    return (
        change.state == ChangeState.RETURN
        and station.online
        and bool(change.epoch)
        and station.epoch == change.epoch
        and change.stepped_at < timezone.now() - RESET_AFTER
        and (change.command is None or change.command.kind != CommandKind.RESET)
    )


def _is_silent(change: ProfileChange) -> bool:
    """It was to ask for a certificate and did not, busy with its start perhaps: it is told again."""
    asked_at = change.stepped_at
    return (
        change.state == ChangeState.CERTIFICATE
        and asked_at < timezone.now() - ASK_AGAIN
        and change.command is not None
        and change.command.settled
        and not SigningRequest.objects.filter(
            tenant_id=change.tenant_id, station=change.station, received_at__gte=asked_at
        ).exists()
    )


def _password_failed(change: ProfileChange) -> bool:
    newest = PasswordChange.objects.filter(tenant_id=change.tenant_id, station=change.station).first()
    return newest is not None and newest.state == "failed" and newest.created_at >= change.created_at


def _verdict(change: ProfileChange) -> str:
    """What a person should know of a change whose time is up."""
    station = change.station
    if change.state == ChangeState.RETURN and station.online:
        return (
            f"In time it came back only by profile {station.effective_profile or 0}, which still counts. "
            "Look at its security events for the reason."
        )
    if change.state == ChangeState.RETURN:
        return "It did not come back in time. It may return by the old profile."
    return f"Time was up in the step “{change.get_state_display()}”. {change.detail}".strip()


# --- by an owner's word


def require(*, station: Station, actor: Actor, profile: int) -> Station:
    """From now on the station must come by this profile at least: for one that was set up so on site. Conflict for less
    than it must already."""
    actor.require(Permission.STATION_CONFIGURE, site_id=station.site_id)
    if profile not in SecurityProfile.values or profile == 0:
        raise Invalid(fields={"profile": "Choose 1, 2 or 3."})
    station = _locked(station)
    if profile < current(station):
        raise Conflict("An owner resets the profile of a station that shall come by a lower one.")
    before = current(station)
    station.security_profile = profile
    station.save(update_fields=["security_profile"])
    return _told(station, actor, before, "station.profile_require")


def reset(*, station: Station, actor: Actor, profile: int) -> Station:
    """Let the station come by a lower profile again, after it was set up anew on site. Owners alone, and audited."""
    actor.require(Permission.TENANT_EDIT)
    if profile not in (1, 2, 3):
        raise Invalid(fields={"profile": "Choose 1, 2 or 3."})
    station = _locked(station)
    before = current(station)
    station.security_profile, station.highest_profile, station.effective_profile = profile, 0, None
    station.save(update_fields=["security_profile", "highest_profile", "effective_profile"])
    return _told(station, actor, before, "station.profile_reset")


def _locked(station: Station) -> Station:
    """As it is now: it may have come by another profile since it was read."""
    return stations.locked(tenant_id=station.tenant_id, station_id=station.pk)


def _told(station: Station, actor: Actor, before: int, action: str) -> Station:
    audit.record(
        tenant_id=station.tenant_id, actor=actor, action=action, subject=station, site_id=station.site_id,
        detail={"from": before, "to": station.security_profile},
    )  # fmt: skip
    _tell(station)
    return station


def _tell(station: Station) -> None:
    live.publish(
        station.tenant_id, kind="security", station_id=station.pk, site_id=station.site_id, data={"id": 0}
    )

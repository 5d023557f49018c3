"""Stations as the operator keeps them: connect, change, give a new password, remove, adopt from quarantine."""

from __future__ import annotations

import re
from secrets import choice
from typing import Any

from django.db import IntegrityError, connections, transaction
from django.db.models import Case, F, Value, When
from django.utils import timezone

from stations import live
from stations.models import Connector, Evse, QuarantinedStation, Station
from tenants import secrets
from tenants.context import current_alias
from tenants.errors import Conflict, Invalid
from tenants.models import Site
from tenants.permissions import Actor, Permission
from tenants.services import audit

PURPOSE = "station"
TAKEN_CHANNEL = "station_taken"  # PostgreSQL NOTIFY, payload "<tenant id>:<station id>:<epoch>"
PASSWORD_LENGTH = 20
PASSWORD_ALPHABET = "23456789abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ"  # none that looks like another
PASSWORD_HINT = (
    "Left out: a random one is made. Stations with OCPP 1.6 take 16 to 20 characters, later ones 16 to 40."
)
_FORBIDDEN_IN_IDENTITY = re.compile(r"[\x00-\x1f\x7f:]")  # HTTP Basic's user-id holds no colon (RFC 7617)
EDITABLE = frozenset({
    "name", "site_id", "tariff_id", "strict", "allow_unauthenticated", "registration", "heartbeat_seconds"
})  # fmt: skip


def _checked_identity(identity: str) -> str:
    identity = identity.strip()
    if not identity or len(identity) > 128 or _FORBIDDEN_IN_IDENTITY.search(identity):
        raise Invalid(fields={"identity": "Write 1 to 128 characters without colon or control characters."})
    return identity


def checked_password(password: str) -> str:
    if not 8 <= len(password) <= 40 or "\0" in password:
        raise Invalid(fields={"password": "Write 8 to 40 characters, or leave it empty to get a random one."})
    return password


def new_password() -> str:
    """A random password that a station of any version takes and a technician can type: 116 bits.

    20 characters, because 1.6's AuthorizationKey holds 16 to 20 bytes (security whitepaper, A00.FR.205) and longer
    ones are cut or refused by its stations; 2.0.1's BasicAuthPassword takes 16 to 40. Letters and digits alone are
    in the alphabet of both, and need no escaping in a station's own pages.
    """
    return "".join(choice(PASSWORD_ALPHABET) for _place in range(PASSWORD_LENGTH))


def password_hash(password: str) -> str:
    return secrets.fingerprint(password, purpose=PURPOSE)


def create_station(
    *,
    site: Site,
    actor: Actor,
    identity: str,
    name: str = "",
    evses: int = 1,
    password: str = "",
    connector: dict[str, Any] | None = None,
) -> tuple[Station, str]:
    """A new station with `evses` EVSEs of one connector each, and its password, which is not kept.

    `connector` may set standard, power_type, max_power_w and max_amps. Invalid or Conflict in words.
    """
    actor.require(Permission.STATION_EDIT, site_id=site.pk)
    password = checked_password(password) if password else new_password()
    if not 0 <= evses <= 100:
        raise Invalid(fields={"evses": "Write a number from 0 to 100."})
    station = Station(
        tenant_id=site.tenant_id,
        site=site,
        identity=_checked_identity(identity),
        name=name.strip()[:120],
        password_hash=password_hash(password),
    )
    try:
        with transaction.atomic():
            station.save(force_insert=True)
    except IntegrityError:
        raise Conflict(f"A station with the identity {identity} exists already.") from None
    for number in range(1, evses + 1):
        add_evse(station=station, number=number, connector=connector)
    audit.record(
        tenant_id=site.tenant_id, actor=actor, action="station.create", subject=station, site_id=site.pk,
        detail={"identity": station.identity, "evses": evses},
    )  # fmt: skip
    return station, password


def add_evse(*, station: Station, number: int, connector: dict[str, Any] | None = None) -> Evse:
    evse = Evse.objects.create(tenant_id=station.tenant_id, station=station, number=number)
    Connector.objects.create(tenant_id=station.tenant_id, evse=evse, number=1, **(connector or {}))
    return evse


def edit_station(*, station: Station, actor: Actor, changes: dict[str, Any]) -> Station:
    """Change fields out of EDITABLE; the audit tells what was and what is."""
    actor.require(Permission.STATION_EDIT, site_id=station.site_id)
    unknown = set(changes) - EDITABLE
    if unknown:
        raise Invalid(fields=dict.fromkeys(unknown, "This cannot be changed here."))
    if "site_id" in changes:
        actor.require(Permission.STATION_EDIT, site_id=changes["site_id"])
    before = {name: getattr(station, name) for name in changes}
    for name, value in changes.items():
        setattr(station, name, value)
    station.save(update_fields=list(changes))
    audit.record(
        tenant_id=station.tenant_id, actor=actor, action="station.edit", subject=station, site_id=station.site_id,
        detail={"changed": audit.changes(before, changes)},
    )  # fmt: skip
    return station


def locked(*, tenant_id: int, station_id: int) -> Station:
    """The station as it is now, held until the end of the transaction. Of a station and what waits for it (changes of
    its profile or password), the station is locked first: so it is at the door."""
    return Station.objects.select_for_update(no_key=True).get(tenant_id=tenant_id, pk=station_id)


def close_socket(station: Station) -> None:
    """Nobody holds the station's newest socket any more; after the commit the gateway that does closes it."""
    was_online = station.online
    Station.objects.filter(tenant_id=station.tenant_id, pk=station.pk).update(
        epoch=F("epoch") + 1,
        online=False,
        gateway="",
        online_changed_at=Case(When(online=True, then=Value(timezone.now())), default=F("online_changed_at")),
    )
    station.refresh_from_db(fields=["epoch", "online", "gateway", "online_changed_at"])
    with connections[current_alias()].cursor() as cursor:
        taken = f"{station.tenant_id}:{station.pk}:{station.epoch}"
        cursor.execute("SELECT pg_notify(%s, %s)", [TAKEN_CHANNEL, taken])
    if was_online:
        live.publish(
            station.tenant_id, kind="station", station_id=station.pk, site_id=station.site_id,
            data={"online": False},
        )  # fmt: skip


def renew_password(*, station: Station, actor: Actor, password: str = "", end_socket: bool = True) -> str:
    """A new password, shown once. The old one is refused from now on, and so is one that the station was to be told.

    `end_socket`: the running socket, which the old password opened, is closed. False where the station itself is told
    the new password through it.
    """
    actor.require(Permission.STATION_EDIT, site_id=station.site_id)
    password = checked_password(password) if password else new_password()
    station.password_hash, station.next_password_hash = password_hash(password), ""
    station.save(update_fields=["password_hash", "next_password_hash"])
    from stations.services import passwords

    passwords.void(station=station)
    if end_socket:
        close_socket(station)
    audit.record(
        tenant_id=station.tenant_id,
        actor=actor,
        action="station.password",
        subject=station,
        site_id=station.site_id,
    )
    return password


def archive_station(*, station: Station, actor: Actor) -> None:
    """Take a station out of use: it is disconnected and may not connect again; its sessions and prices stay."""
    actor.require(Permission.STATION_EDIT, site_id=station.site_id)
    if station.archived_at is None:
        station.archived_at = timezone.now()
        station.save(update_fields=["archived_at"])
        close_socket(station)
        audit.record(
            tenant_id=station.tenant_id, actor=actor, action="station.archive", subject=station,
            site_id=station.site_id,
        )  # fmt: skip


def adopt_quarantined(
    *,
    quarantined: QuarantinedStation,
    site: Site,
    actor: Actor,
    name: str = "",
    evses: int = 1,
    password: str = "",
) -> tuple[Station, str]:
    """Make a station of a refused unknown one. It is let in with the new password at its next attempt."""
    station, password = create_station(
        site=site, actor=actor, identity=quarantined.identity, name=name, evses=evses, password=password
    )
    quarantined.delete()
    return station, password


def dismiss_quarantined(*, quarantined: QuarantinedStation, actor: Actor) -> None:
    actor.require(Permission.STATION_EDIT)
    quarantined.dismissed_at = timezone.now()
    quarantined.save(update_fields=["dismissed_at"])
    audit.record(
        tenant_id=quarantined.tenant_id, actor=actor, action="station.dismiss", subject=quarantined,
    )  # fmt: skip

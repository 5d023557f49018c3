"""Vendor profiles: a company's own, and ours as changed or switched off by it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from stations.models import Station, VendorProfile
from stations.services import quirks
from tenants.errors import Conflict, Invalid, NotFound
from tenants.permissions import Actor, Permission
from tenants.services import audit


def save(
    *, tenant_id: int, actor: Actor, profile: VendorProfile | None = None, **values: Any
) -> VendorProfile:
    """Make a profile, or change one: name, vendor, model, firmware_from, firmware_to, enabled, quirks, notes, shipped.

    What it corrects is corrected from now on (within half a minute everywhere); what was stored stays as it is.
    """
    actor.require(Permission.STATION_CONFIGURE)
    if actor.site_ids is not None:
        raise Invalid("Vendor profiles are for the whole company.")
    made = profile is None
    profile = profile or VendorProfile(tenant_id=tenant_id)
    for name, value in values.items():
        setattr(profile, name, value)
    if not profile.name.strip():
        raise Invalid(fields={"name": "Give the profile a name."})
    if not profile.vendor and not profile.model:
        raise Invalid(
            fields={"vendor": "Say for which vendor or model: a profile for all stations would be none."}
        )
    if not isinstance(profile.quirks, dict):
        raise Invalid(fields={"quirks": "An object, such as in the examples."})
    quirks.read(profile.name, profile.quirks)
    others = VendorProfile.objects.filter(tenant_id=tenant_id).exclude(pk=profile.pk)
    if others.filter(name=profile.name).exists():
        raise Conflict("There is a profile of this name already.")
    if profile.shipped and others.filter(shipped=profile.shipped).exists():
        raise Conflict("This profile was taken over already.")
    if profile.shipped and profile.shipped not in {entry["key"] for entry in quirks.shipped()}:
        raise Invalid(fields={"shipped": "There is no such profile among ours."})
    profile.save()
    quirks.forget(tenant_id)
    audit.record(
        tenant_id=tenant_id, actor=actor, action="vendor_profile.create" if made else "vendor_profile.edit",
        subject=profile, detail={"quirks": profile.quirks},
    )  # fmt: skip
    return profile


def delete(*, profile: VendorProfile, actor: Actor) -> None:
    """Where it took the place of one of ours, ours holds again."""
    actor.require(Permission.STATION_CONFIGURE)
    audit.record(tenant_id=profile.tenant_id, actor=actor, action="vendor_profile.delete", subject=profile)
    tenant_id = profile.tenant_id
    profile.delete()
    quirks.forget(tenant_id)


def shipped(key: str) -> dict[str, Any]:
    for entry in quirks.shipped():
        if entry["key"] == key:
            return entry
    raise NotFound


def listed(tenant_id: int, stations: Any, *, all_of_them: bool = True) -> list[dict[str, Any]]:
    """The profiles, own and ours, each with how many of these stations it holds for; or those that hold for any."""
    counts: Counter[tuple[str, str, str]] = Counter(
        stations.values_list("vendor", "model", "firmware_version")
    )
    held: Counter[Any] = Counter()
    for (vendor, model, firmware), number in counts.items():
        found = quirks.match(tenant_id, vendor, model, firmware)
        if found is not None:
            held[found.row_id or found.shipped] += number
    rows = list(VendorProfile.objects.filter(tenant_id=tenant_id))
    taken = {row.shipped for row in rows if row.shipped}
    own = [
        {"row": row, "key": row.shipped, "name": row.name, "vendor": row.vendor, "model": row.model,
         "firmware_from": row.firmware_from, "firmware_to": row.firmware_to, "enabled": row.enabled,
         "quirks": row.quirks, "notes": row.notes, "stations": held[row.pk]}
        for row in rows
    ]  # fmt: skip
    ours = [
        {"row": None, "enabled": True, "firmware_from": "", "firmware_to": "", "vendor": "", "model": "", "notes": "",
         **entry, "stations": held[entry["key"]]}
        for entry in quirks.shipped() if entry["key"] not in taken
    ]  # fmt: skip
    shown: list[dict[str, Any]] = [one for one in (*own, *ours) if all_of_them or one["stations"]]
    return sorted(shown, key=lambda one: (-one["stations"], one["name"]))


def stations_of(tenant_id: int, stations: Any, *, row_id: int | None, key: str) -> list[Station]:
    """The stations that a profile holds for."""
    shown = []
    for station in stations:
        found = quirks.match(tenant_id, station.vendor, station.model, station.firmware_version)
        if found is not None and (found.row_id == row_id if row_id else found.shipped == key):
            shown.append(station)
    return shown

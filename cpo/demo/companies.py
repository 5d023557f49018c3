"""The demo's two companies, as data: what `manage.py demo` creates."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import time
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class DemoSite:
    key: str
    values: dict[str, Any]  # of tenants.services.sites.FIELDS
    tariff: str = ""


@dataclass(frozen=True)
class DemoStations:
    """`count` stations of one kind at a site; `versions` are dealt out in turn."""

    site: str
    prefix: str
    name: str
    count: int
    kind: str  # ac | dc
    evses: int
    power_w: tuple[int, ...]
    versions: tuple[str, ...]
    pattern: str  # of cpo.demo.patterns
    pool: str  # whose tokens are shown there
    tariff: str = ""
    troubles: tuple[
        tuple[int, str], ...
    ] = ()  # number of a station, and how it misbehaves: flaps, breaks or fails


@dataclass(frozen=True)
class DemoMember:
    email: str
    name: str
    role: str
    sites: tuple[str, ...] = ()
    fleets: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class DemoCompany:
    tenant: dict[str, Any]
    sites: tuple[DemoSite, ...]
    tariffs: tuple[dict[str, Any], ...]  # the first is the default
    stations: tuple[DemoStations, ...]
    fleets: tuple[tuple[str, str, int], ...]  # name, cost centre, drivers
    customers: int  # drivers without a fleet
    members: tuple[DemoMember, ...]
    own_charger_site: str = ""
    ready: dict[str, dict[str, Any]] = field(
        default_factory=dict
    )  # by fleet: when its vehicles are to have what


def _element(*components: tuple[str, str, int]) -> list[dict[str, Any]]:
    """One element of (type, price, step_size), all at 19 % tax."""
    return [
        {
            "price_components": [
                {"type": kind, "price": price, "vat": "19", "step_size": step}
                for kind, price, step in components
            ]
        }
    ]


NORDLICHT = DemoCompany(
    tenant={
        "slug": "nordlicht",
        "name": "Nordlicht Charging",
        "country": "DE",
        "party_id": "NOR",
        "currency": "EUR",
        "time_zone": "Europe/Berlin",
        "language": "en",
        "accent": "#0b6e8f",
    },
    sites=(
        DemoSite(
            "depot",
            {
                "name": "Hamburg Harbour Depot",
                "address": "Veddeler Damm 14",
                "postal_code": "20457",
                "city": "Hamburg",
                "country": "DE",
                "latitude": "53.526500",
                "longitude": "10.014500",
                "access": "private",
                "host": "Harbour Parcel",
                "grid_limit_amps": "160",
            },
            "Depot",
        ),
        DemoSite(
            "hub",
            {
                "name": "Soltau Highway Hub",
                "address": "Am Heidekreuz 2",
                "postal_code": "29614",
                "city": "Soltau",
                "country": "DE",
                "latitude": "53.019700",
                "longitude": "9.908900",
                "access": "public",
                "host": "Heide Rest Stops",
                "grid_limit_amps": "1000",
            },
            "Fast charging",
        ),
        DemoSite(
            "carpark",
            {
                "name": "Nordhavn Car Park",
                "address": "Sundkrogsgade 9",
                "postal_code": "2100",
                "city": "København",
                "country": "DK",
                "latitude": "55.709200",
                "longitude": "12.596600",
                "time_zone": "Europe/Copenhagen",
                "access": "public",
                "host": "Nordhavn Parking",
                "grid_limit_amps": "63",
            },
            "City parking",
        ),
        DemoSite(
            "office",
            {
                "name": "Berlin Office",
                "address": "Chausseestraße 86",
                "postal_code": "10115",
                "city": "Berlin",
                "country": "DE",
                "latitude": "52.535300",
                "longitude": "13.378800",
                "access": "restricted",
                "grid_limit_amps": "63",
            },
        ),
    ),
    tariffs=(
        {"name": "Standard", "elements": _element(("ENERGY", "0.49", 1)), "tax_included": True},
        {
            "name": "City parking",
            "elements": _element(("ENERGY", "0.52", 1), ("PARKING_TIME", "3.60", 1)),
            "tax_included": True,
            "max_price": "45",
        },
        {
            "name": "Fast charging",
            "elements": _element(("ENERGY", "0.69", 1), ("PARKING_TIME", "12.00", 1)),
            "tax_included": True,
        },
        {
            "name": "Depot",
            "elements": _element(("FLAT", "0.35", 1), ("ENERGY", "0.24", 1)),
            "tax_included": False,
        },
    ),
    stations=(
        DemoStations(
            "depot",
            "NOR-HAM-{:02}",
            "Bay {:02}",
            12,
            "ac",
            1,
            (22_000,),
            ("1.6", "1.6", "2.0.1", "1.6"),
            "depot",
            "vans",
            troubles=((4, "breaks"), (9, "flaps")),
        ),
        DemoStations(
            "hub",
            "NOR-SOL-{:02}",
            "Fast lane {}",
            4,
            "dc",
            2,
            (150_000, 150_000, 300_000, 300_000),
            ("2.0.1", "1.6", "2.1", "2.0.1"),
            "hub",
            "customers",
            troubles=((2, "fails"),),
        ),
        DemoStations(
            "carpark",
            "NOR-CPH-{:02}",
            "Level 1, spot {}",
            2,
            "ac",
            2,
            (11_000,),
            ("2.0.1", "1.6"),
            "street",
            "customers",
        ),
        DemoStations(
            "office", "NOR-BER-{:02}", "Courtyard {}", 1, "ac", 2, (22_000,), ("2.1",), "office", "pool"
        ),
    ),
    fleets=(("Harbour Parcel", "4100", 18), ("City Care", "4200", 10), ("Office pool", "1000", 6)),
    customers=46,
    members=(
        DemoMember("owner@nordlicht.example", "Astrid Nordström", "owner", note="sees and may do everything"),
        DemoMember("operator@nordlicht.example", "Jonas Petersen", "operator", note="runs the network"),
        DemoMember("technician@nordlicht.example", "Meike Claasen", "technician", note="repairs stations"),
        DemoMember("billing@nordlicht.example", "Karim Haddad", "billing", note="tariffs and revenue"),
        DemoMember(
            "auditor@nordlicht.example", "Helle Madsen", "auditor", note="reads everything, changes nothing"
        ),
        DemoMember(
            "facility@nordlicht.example",
            "Lars Holm",
            "facility_manager",
            sites=("carpark",),
            note="Nordhavn Car Park only",
        ),
        DemoMember(
            "fleet@nordlicht.example",
            "Sabine Vogt",
            "fleet_manager",
            fleets=("Harbour Parcel",),
            note="Harbour Parcel only",
        ),
        DemoMember("driver@nordlicht.example", "Emil Brandt", "driver", note="own sessions only"),
    ),
    own_charger_site="office",
    ready={"Harbour Parcel": {"ready_by": time(6), "ready_days": [0, 1, 2, 3, 4, 5], "ready_wh": 35_000}},
)

RHEINLADEN = DemoCompany(
    tenant={
        "slug": "rheinladen",
        "name": "Rheinladen",
        "country": "DE",
        "party_id": "RHL",
        "currency": "EUR",
        "time_zone": "Europe/Berlin",
        "language": "de",
        "accent": "#b3261e",
    },
    sites=(
        DemoSite(
            "mediapark",
            {
                "name": "Köln MediaPark",
                "address": "Im MediaPark 5",
                "postal_code": "50670",
                "city": "Köln",
                "country": "DE",
                "latitude": "50.948600",
                "longitude": "6.944000",
                "access": "public",
                "grid_limit_amps": "63",
            },
            "Rheintarif",
        ),
    ),
    tariffs=({"name": "Rheintarif", "elements": _element(("ENERGY", "0.45", 1)), "tax_included": True},),
    stations=(
        DemoStations(
            "mediapark",
            "RHL-CGN-{:02}",
            "Stellplatz {}",
            2,
            "ac",
            1,
            (22_000,),
            ("1.6", "2.0.1"),
            "street",
            "customers",
        ),
    ),
    fleets=(("Stadtboten", "", 3),),
    customers=12,
    members=(
        DemoMember(
            "owner@rheinladen.example",
            "Ute Krämer",
            "owner",
            note="the other company: sees none of Nordlicht",
        ),
        DemoMember("operator@rheinladen.example", "Nico Weber", "operator"),
    ),
)
COMPANIES = (NORDLICHT, RHEINLADEN)

_HERE = Path(__file__).parent
FIRST_NAMES = (_HERE / "first_names.txt").read_text(encoding="utf-8").split()
LAST_NAMES = (_HERE / "last_names.txt").read_text(encoding="utf-8").split()

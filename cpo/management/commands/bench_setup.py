"""`manage.py bench_setup N`: a tenant with N stations and an API key for a benchmark, printed as JSON.

For throw-away databases.
"""

from __future__ import annotations

import argparse
import json
import secrets
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

TOKEN = "BENCH0001"


class Command(BaseCommand):
    help = (
        "Create a tenant with stations and an API key for a benchmark and print the secrets. "
        "Only outside production."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("stations", type=int)
        parser.add_argument(
            "--sites",
            type=int,
            default=0,
            help="sites that load management steers; the stations are shared out",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.MODE == "production":
            raise CommandError(
                "bench_setup fills the database with stations; production is no place for that."
            )
        from django.db import connections

        from billing.models import Tariff
        from fleets.models import Token
        from stations.models import Connector, Evse, Station
        from stations.services.stations import new_password, password_hash
        from tenants.context import as_platform, tenant_scope
        from tenants.models import Site, Tenant
        from tenants.permissions import Permission, system
        from tenants.services import keys

        slug = f"bench-{secrets.token_hex(3)}"
        with as_platform():
            tenant = Tenant.objects.create(slug=slug, name="Bench")
        credentials = [(f"B-{n}", new_password()) for n in range(1, options["stations"] + 1)]
        with tenant_scope(tenant.pk):
            site = Site.objects.create(tenant_id=tenant.pk, name="Bench")
            tariff = Tariff(tenant_id=tenant.pk, name="Bench", currency="EUR", is_default=True)
            tariff.elements = [
                {"price_components": [{"type": "ENERGY", "price": "0.45", "vat": "19", "step_size": 1}]}
            ]
            tariff.save()
            Token.objects.create(tenant_id=tenant.pk, uid=TOKEN, concurrent=True)
            stations = Station.objects.bulk_create(
                Station(
                    tenant_id=tenant.pk, site=site, identity=identity, password_hash=password_hash(password)
                )
                for identity, password in credentials
            )
            evses = Evse.objects.bulk_create(Evse(tenant_id=tenant.pk, station=s, number=1) for s in stations)
            meters = _steer(tenant.pk, stations, evses, options["sites"])
            scopes = [Permission.STATION_COMMAND.value, Permission.METER_SEND.value]
            _key, text = keys.create_key(
                tenant_id=tenant.pk, actor=system("bench"), name="Bench", scopes=scopes
            )
            Connector.objects.bulk_create(Connector(tenant_id=tenant.pk, evse=e, number=1) for e in evses)
        with connections["owner"].cursor() as cursor:
            cursor.execute("ANALYZE stations_station, stations_evse, stations_connector")
        ids = [station.pk for station in stations]
        found = {
            "meters": meters,
            "path": f"/ocpp/{slug}",
            "token": TOKEN,
            "key": text,
            "stations": credentials,
            "ids": ids,
        }
        self.stdout.write(json.dumps(found))


def _steer(tenant_id: int, stations: list[Any], evses: list[Any], sites: int) -> list[tuple[int, int]]:
    """So many sites: a main breaker of 63 A, a meter of the building, their part of the stations. (site, meter)"""
    from energy.models import GridConnection, GridNode, Outlet, SiteMeter, Steering
    from tenants.models import Site

    own: dict[str, Any] = {"tenant_id": tenant_id}
    made = []
    for number in range(sites):
        site = Site.objects.create(**own, name=f"Site {number + 1}")
        connection = GridConnection.objects.create(**own, site=site, building_most_a=50, steers=True)
        root = GridNode.objects.create(
            **own, connection=connection, kind="connection", name="Main", limit_a=[63] * 3
        )
        meter = SiteMeter.objects.create(**own, connection=connection, name="House", maximum_a=50)
        Steering.objects.create(**own, connection=connection)
        for station, evse in list(zip(stations, evses, strict=True))[number::sites]:
            station.site = site
            station.save(update_fields=["site"])
            Outlet.objects.create(**own, connection=connection, node=root, evse=evse, lines=[0, 1, 2])
        made.append((site.pk, meter.pk))
    return made

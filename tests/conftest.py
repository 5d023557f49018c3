"""What every test may ask for by name: people and objects of the scenarios."""

from tests.counting import round_trips
from tests.objects import (
    make_driver,
    make_fleet,
    make_session,
    make_site,
    make_station,
    make_tariff,
    make_token,
    site,
    station,
)
from tests.people import (
    api_client,
    make_actor,
    make_member,
    other_owner_actor,
    other_tenant,
    owner_actor,
    portal_client,
    tenant,
)

__all__ = [
    "api_client",
    "make_actor",
    "make_driver",
    "make_fleet",
    "make_member",
    "make_session",
    "make_site",
    "make_station",
    "make_tariff",
    "make_token",
    "other_owner_actor",
    "other_tenant",
    "owner_actor",
    "portal_client",
    "round_trips",
    "site",
    "station",
    "tenant",
]

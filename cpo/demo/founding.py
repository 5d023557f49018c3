"""A demo company: sites, tariffs, stations, fleets, drivers, tokens and members, through the product's own verbs."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.utils import timezone

from billing.models import Tariff
from billing.services import tariffs
from cpo.demo.companies import FIRST_NAMES, LAST_NAMES, DemoCompany, DemoStations
from fleets.models import Driver, Fleet, Token
from fleets.services import drivers as driver_verbs
from fleets.services import fleets as fleet_verbs
from fleets.services import scopes
from fleets.services import tokens as token_verbs
from stations.models import Connector, Evse, Station
from stations.services import access
from stations.services import stations as station_verbs
from stations.services.stations import PASSWORD_ALPHABET, PASSWORD_LENGTH, password_hash
from tenants.models import Membership, Site, Tenant, User
from tenants.permissions import Actor, system
from tenants.services import members, sites

OWN_CHARGER = "MY-CHARGER"
OWN_CARD = "04F15170"  # nobody's, so that no simulated car is charging with it


@dataclass
class Company:
    """What was created, for the history and the summary."""

    plan: DemoCompany
    tenant: Tenant
    rng: Random
    actor: Actor
    sites: dict[str, Site] = field(default_factory=dict)
    tariffs: dict[str, Tariff] = field(default_factory=dict)
    fleets: dict[str, Fleet] = field(default_factory=dict)
    tokens: dict[str, list[Token]] = field(default_factory=dict)  # by pool
    stations: list[tuple[DemoStations, Station, int, str]] = field(
        default_factory=list
    )  # plan, row, W, version


def derived(purpose: str, length: int = 20) -> str:
    """A password that this checkout can tell again at its next start: made from its secret key."""
    key = f"demo {settings.SECRET_KEY}".encode()
    return hmac.new(key, purpose.encode(), hashlib.sha256).hexdigest()[:length]


def person_password() -> str:
    return f"volt-{derived('people', 4)}-{derived('people of the demo', 4)}"


def station_password(tenant: str, identity: str) -> str:
    """Of the shape of those that stations get elsewhere (`stations.services.stations.new_password`)."""
    number, letters = int(derived(f"station {tenant} {identity}", 64), 16), ""
    while len(letters) < PASSWORD_LENGTH:
        number, letter = divmod(number, len(PASSWORD_ALPHABET))
        letters += PASSWORD_ALPHABET[letter]
    return letters


def shorten_passwords(tenant: Tenant) -> None:
    """A demo of an earlier version has 24 characters, too many for 1.6. Inside the tenant's scope."""
    for station in Station.objects.filter(tenant=tenant):
        long = derived(f"station {tenant.slug} {station.identity}", 24)
        if station.password_hash == password_hash(long):
            station.password_hash = password_hash(station_password(tenant.slug, station.identity))
            station.save(update_fields=["password_hash"])


def found(plan: DemoCompany, tenant: Tenant) -> Company:
    """Create everything but the past. Inside the tenant's scope."""
    company = Company(plan, tenant, Random(f"voltyard {tenant.slug}"), system("Demo set-up"))
    _sites_and_tariffs(company)
    _stations(company)
    _people(company)
    _members(company)
    access.change_rule(
        tenant_id=tenant.pk, actor=company.actor, changes={"local_list": True, "reservations": True}
    )
    return company


def _sites_and_tariffs(company: Company) -> None:
    scope: dict[str, Any] = {"tenant_id": company.tenant.pk, "actor": company.actor}
    for values in company.plan.tariffs:
        tariff = tariffs.create_tariff(**scope, currency=company.tenant.currency, **values)
        company.tariffs[tariff.name] = tariff
    tariffs.set_default(tariff=company.tariffs[company.plan.tariffs[0]["name"]], actor=company.actor)
    for one in company.plan.sites:
        site = company.sites[one.key] = sites.create_site(**scope, **one.values)
        if one.tariff:
            tariffs.set_site_tariff(site=site, tariff=company.tariffs[one.tariff], actor=company.actor)


def _stations(company: Company) -> None:
    for plan in company.plan.stations:
        for number in range(1, plan.count + 1):
            power_w = plan.power_w[(number - 1) % len(plan.power_w)]
            version = plan.versions[(number - 1) % len(plan.versions)]
            identity = plan.prefix.format(number)
            station = _station(
                company, plan.site, identity, plan.name.format(number), plan.evses, plan.kind, power_w
            )
            company.stations.append((plan, station, power_w, version))
    if company.plan.own_charger_site:
        _station(company, company.plan.own_charger_site, OWN_CHARGER, "Your own charger", 2, "ac", 22_000)
        token_verbs.create_token(
            tenant_id=company.tenant.pk, actor=company.actor, uid=OWN_CARD, visual_number="Visitor card"
        )


def _station(
    company: Company, site: str, identity: str, name: str, evses: int, kind: str, power_w: int
) -> Station:
    ac = {"standard": "IEC_62196_T2", "power_type": "AC_3_PHASE", "max_amps": round(power_w / 690)}
    dc = {"standard": "IEC_62196_T2_COMBO", "power_type": "DC", "max_amps": 500 if power_w > 200_000 else 375}
    station, _password = station_verbs.create_station(
        site=company.sites[site],
        actor=company.actor,
        identity=identity,
        name=name,
        evses=evses,
        password=station_password(company.tenant.slug, identity),
        connector={"max_power_w": power_w, **(ac if kind == "ac" else dc)},
    )
    rows = list(Evse.objects.filter(tenant_id=company.tenant.pk, station=station))
    for evse in rows:
        evse.evse_id = f"{company.tenant.country}*{company.tenant.party_id}*E{station.pk:05}*{evse.number}"
    Evse.objects.bulk_update(rows, ["evse_id"])
    return station


def _people(company: Company) -> None:
    """Drivers with a card each. Pools say whose cards are shown where: vans, pool cars, customers."""
    rng = company.rng
    names = [f"{first} {last}" for first in FIRST_NAMES for last in LAST_NAMES]
    rng.shuffle(names)
    vans: list[Token] = []
    for index, (name, cost_centre, count) in enumerate(company.plan.fleets):
        fleet = company.fleets[name] = fleet_verbs.create_fleet(
            tenant_id=company.tenant.pk, actor=company.actor, name=name, cost_centre=cost_centre,
            **company.plan.ready.get(name, {}),
        )  # fmt: skip
        cards = [_driver_with_card(company, names.pop(), fleet) for _ in range(count)]
        if index < 2:
            vans += cards
        else:
            company.tokens["pool"] = cards
    company.tokens["vans"] = vans
    company.tokens["customers"] = [
        _driver_with_card(company, names.pop(), None) for _ in range(company.plan.customers)
    ]
    _unusable_cards(company, names)


def _driver_with_card(company: Company, name: str, fleet: Fleet | None, **card: Any) -> Token:
    scope: dict[str, Any] = {"tenant_id": company.tenant.pk, "actor": company.actor}
    email = f"{name.lower().replace(' ', '.')}@{'fleet' if fleet else 'mail'}.example"
    email = email.replace("ö", "oe").replace("ü", "ue")
    driver = driver_verbs.create_driver(**scope, name=name, email=email, fleet=fleet)
    number = Token.objects.filter(tenant_id=company.tenant.pk).count() + 1
    return token_verbs.create_token(
        **scope,
        uid=f"04{company.rng.getrandbits(48):012X}",
        visual_number=f"{company.tenant.party_id}-{number:04}",
        driver=driver,
        group=fleet.name.upper().replace(" ", "-")[:20] if fleet else "",
        **card,
    )


def _unusable_cards(company: Company, names: list[str]) -> None:
    now, first_site = timezone.now(), next(iter(company.sites.values()))
    expired = _driver_with_card(company, names.pop(), None, expires_at=now - timedelta(days=9))
    blocked = [_driver_with_card(company, names.pop(), None) for _ in range(2)]
    for token, reason in zip(blocked, ("Reported lost", "Invoice unpaid since October"), strict=True):
        token_verbs.block_token(token=token, actor=company.actor, reason=reason)
    local = _driver_with_card(company, names.pop(), None)
    token_verbs.update_token(token=local, actor=company.actor, sites=[first_site])
    company.tokens["refused"] = [expired, *blocked]


def _members(company: Company) -> None:
    encoded = make_password(person_password())
    for one in company.plan.members:
        user = User.objects.filter(email=one.email).first() or User(email=one.email, name=one.name)
        user.password = encoded
        user.save()
        member = members.add_member(
            tenant_id=company.tenant.pk,
            actor=company.actor,
            email=one.email,
            role=one.role,
            sites=[company.sites[key] for key in one.sites],
        )
        if one.fleets:
            fleets = [company.fleets[name] for name in one.fleets]
            scopes.limit_to_fleets(member=member, fleets=fleets, actor=company.actor)
        if one.role == "driver":
            _own_driver(company, member)


def _own_driver(company: Company, member: Membership) -> None:
    """The driver's login belongs to a customer whose card is shown at the hub."""
    driver = company.tokens["customers"][0].driver
    assert isinstance(driver, Driver)
    driver_verbs.update_driver(
        driver=driver,
        actor=company.actor,
        name=member.user.name,
        email=member.user.email,
        user=member.user,
    )


def connectors(company: Company) -> list[Connector]:
    found = Connector.objects.filter(tenant_id=company.tenant.pk, evse__station__archived_at=None)
    return list(found.select_related("evse__station").order_by("evse__station__identity", "evse__number"))

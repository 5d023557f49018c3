"""Plug & Charge: a root, contracts below it as cars showed them; Autocharge at the depot."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from cpo.demo.founding import Company
from fleets import emaid
from fleets.models import TokenKind
from fleets.services import autocharge
from fleets.services import tokens as token_verbs
from fleets.services.authorization import Shown, judge
from stations import contract_chain, pki
from stations.models import CertificateUse, SeenVehicle, Station
from stations.neutral import AuthorizeRequest, ContractFound, ContractShown, TokenShown
from stations.services import trust
from stations.services.pnc import contracts, settings
from tenants import rows

# (contract, days that its certificate holds, hours ago when it was shown); the last is no token of the company.
_CARS = (
    ("DENORC00000417", 700, (400.0, 208.0, 31.0, 6.0)),
    ("DENORC00000932", 700, (170.0, 96.0, 20.0)),
    ("DENORC00000260", 12, (330.0, 120.0, 9.0)),
    ("FRXYZC00007781", 700, (44.0,)),
)


def write(company: Company, station: Station, now: datetime) -> None:
    scope: dict[str, Any] = {"tenant_id": company.tenant.pk, "actor": company.actor}
    settings.change(**scope, unchecked="accept")
    root, key = pki.make_authority(common_name="Nordlicht eMobility root", organisation="Nordlicht", years=20)
    trust.add_anchor(
        **scope, use=CertificateUse.MO_ROOT, certificate=pki.pem(root), name="Nordlicht eMobility root"
    )
    v2g, _key = pki.make_authority(common_name="Demo V2G root", organisation="Demo", years=30)
    trust.add_anchor(**scope, use=CertificateUse.V2G_ROOT, certificate=pki.pem(v2g), name="Demo V2G root")
    issuer = pki.make_authority(
        common_name="Nordlicht contracts 1", organisation="Nordlicht", years=10, issuer=(root, key)
    )
    for place, (uid, days, hours) in enumerate(_CARS):
        if place < 3:
            driver = company.tokens["customers"][30 + place].driver
            token_verbs.create_token(**scope, uid=uid, kind=TokenKind.EMAID, driver=driver)
        chain = _contract(uid, days, issuer)
        for ago in hours:
            _shown(company, station, uid, chain, root, now - timedelta(hours=ago), now)
    _autocharge(company, now)


def _contract(uid: str, days: int, issuer: tuple[x509.Certificate, pki.Key]) -> str:
    key = pki.new_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, emaid.shown(uid))])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    made = pki.issue(
        request=request, common_name=emaid.shown(uid), organisation="Nordlicht", days=days, issuer=issuer
    )
    return pki.pem(made) + pki.pem(issuer[0])


def _shown(
    company: Company,
    station: Station,
    uid: str,
    chain: str,
    root: x509.Certificate,
    at: datetime,
    now: datetime,
) -> None:
    """As when a car is plugged in, but that nobody is asked whether the certificate was revoked."""
    finding = contract_chain.check(chain, uid, anchors=[root], at=now)
    found = ContractFound(
        finding.status.value,
        finding.detail,
        (*(step.as_json() for step in finding.steps), contract_chain.Step("revocation", True, "").as_json()),
        tuple(pki.pem(one) for one in finding.path),
        trusted=True,
    )
    request = AuthorizeRequest(
        station.pk, TokenShown(uid, TokenKind.EMAID), at, contract=ContractShown(chain), found=found
    )
    (judged,) = rows.alone(company.tenant.pk, judge([Shown(uid, station.site_id, now)]))
    contracts.judge(
        tenant_id=company.tenant.pk, requests=[request], uids=[uid], judged=[judged], here=[False]
    )


def _autocharge(company: Company, now: datetime) -> None:
    depot = company.sites["depot"]
    autocharge.switch(tenant_id=company.tenant.pk, actor=company.actor, site=depot, enabled=True)
    bay = next(one for plan, one, _power, _version in company.stations if plan.site == "depot")
    for uid, times, ago in (("4C49D2A01F37", 9, 3), ("4C49D2A0225B", 2, 27)):
        SeenVehicle.objects.create(
            tenant_id=company.tenant.pk, uid=uid, kind=TokenKind.MAC_ADDRESS, station=bay, times=times,
            first_seen_at=now - timedelta(days=11), last_seen_at=now - timedelta(hours=ago),
        )  # fmt: skip

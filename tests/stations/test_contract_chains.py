"""Chains of contract certificates: what makes one good, and each thing that makes it bad."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from simulator.pki import SHAPES, Authority, Issued, Pki, pem
from stations import contract_chain
from stations.models import CertificateStatus as S

pytestmark = pytest.mark.nodb
EMAID = "DE8AAC12345678"


@pytest.fixture(scope="module")
def pki() -> Pki:
    return Pki()


def check(chain: str, *anchors: Authority, shown: str = EMAID, issuers: Any = ()) -> contract_chain.Finding:
    return contract_chain.check(
        chain, shown, anchors=[one.certificate for one in anchors], issuers=issuers, at=datetime.now(UTC)
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_a_contract_below_the_operators_root_is_good_in_every_shape(shape: str) -> None:
    made = Pki(shape)
    found = check(made.contract(EMAID).chain, made.mo_root)
    assert (found.status, found.emaid) == (S.ACCEPTED, EMAID), found.detail
    assert [step.name for step in found.steps] == [
        "readable", "contract", "path", "dates", "constraints", "keys",
    ]  # fmt: skip
    assert len(found.path) == 4 and found.path[-1] == made.mo_root.certificate


def test_a_mobility_operator_may_stand_below_the_v2g_root(pki: Pki) -> None:
    sub = Authority("MO Sub1 CA below V2G", above=pki.v2g_root, path_length=1)
    found = check(
        Authority("MO Sub2", above=sub, path_length=0).issue(EMAID).chain, pki.mo_root, pki.v2g_root
    )
    assert found.status == S.ACCEPTED


def test_the_order_of_the_chain_does_not_matter_and_the_root_may_come_along(pki: Pki) -> None:
    contract = pki.contract(EMAID)
    mixed = pki.mo_root.pem + pki.mo_sub1.pem + pem(contract.certificate) + pki.mo_sub2.pem
    assert check(mixed, pki.mo_root).status == S.ACCEPTED


def test_authorities_that_are_known_fill_gaps_and_are_trusted_no_further(pki: Pki) -> None:
    alone = pem(pki.contract(EMAID).certificate)
    known = [pki.mo_sub1.certificate, pki.mo_sub2.certificate]
    assert check(alone, pki.mo_root, issuers=known).status == S.ACCEPTED
    assert check(alone, pki.v2g_root, issuers=known).status == S.CHAIN_ERROR


@pytest.mark.parametrize("shown", ["DE-8AA-C12345678", "de8aac12345678", "DE-8AA-C12345678-R"])
def test_the_contract_id_is_compared_however_it_is_written(pki: Pki, shown: str) -> None:
    from fleets import emaid

    shown = shown.replace("-R", f"-{emaid.check_character(EMAID)}")
    assert check(pki.contract("DE-8AA-C12345678").chain, pki.mo_root, shown=shown).status == S.ACCEPTED


Bad = Callable[[Pki], tuple[str, list[Authority]]]


def _chain(issued: Issued, *anchors: Authority) -> tuple[str, list[Authority]]:
    return issued.chain, list(anchors)


def _other_signature(pki: Pki) -> tuple[str, list[Authority]]:
    twin = Authority("MO Sub2 CA", above=Authority("MO Sub1 CA", domain="MO"), domain="MO")
    return pem(twin.issue(EMAID).certificate) + pki.mo_sub2.pem + pki.mo_sub1.pem, [pki.mo_root]


def _forged_root(pki: Pki) -> tuple[str, list[Authority]]:
    twin = Authority("MO Root CA", domain="MO")
    return Authority("MO Sub9", above=twin, domain="MO").issue(EMAID).chain + twin.pem, [pki.mo_root]


def _leaf_as_authority(pki: Pki) -> tuple[str, list[Authority]]:
    contract = pki.contract("DE8AAC99999999")
    rogue = Authority("DE8AAC99999999", above=pki.mo_sub2, domain="MO")
    rogue.certificate, rogue.key = contract.certificate, contract.key
    made = rogue.issue(EMAID)
    return made.chain, [pki.mo_root]


def _too_long(pki: Pki) -> tuple[str, list[Authority]]:
    sub3 = Authority("MO Sub3 CA", above=pki.mo_sub2, domain="MO")
    return sub3.issue(EMAID).chain, [pki.mo_root]


def _path_length(pki: Pki) -> tuple[str, list[Authority]]:
    tight = Authority("MO tight", above=pki.mo_root, domain="MO", path_length=0)
    return Authority("MO below tight", above=tight, domain="MO").issue(EMAID).chain, [pki.mo_root]


def _expired_authority(pki: Pki) -> tuple[str, list[Authority]]:
    return Authority("MO old", above=pki.mo_root, domain="MO", days=-1).issue(EMAID).chain, [pki.mo_root]


def _rsa(pki: Pki) -> tuple[str, list[Authority]]:
    key = rsa.generate_private_key(65537, 2048)
    return pki.mo_sub2.issue(EMAID, key=key).chain, [pki.mo_root]


BAD: dict[str, tuple[S, Bad]] = {
    "an unknown root": (S.CHAIN_ERROR, lambda pki: _chain(pki.contract(EMAID), pki.v2g_root)),
    "no roots at all": (S.CHAIN_ERROR, lambda pki: _chain(pki.contract(EMAID))),
    "another contract": (S.CHAIN_ERROR, lambda pki: _chain(pki.contract("DE8AAC00000001"), pki.mo_root)),
    "no contract id": (S.CHAIN_ERROR, lambda pki: _chain(pki.contract("Voltyard"), pki.mo_root)),
    "an authority of the same name, another key": (S.SIGNATURE_ERROR, _other_signature),
    "a root of the same name, another key": (S.SIGNATURE_ERROR, _forged_root),
    "a contract that signs contracts": (S.CHAIN_ERROR, _leaf_as_authority),
    "expired": (S.EXPIRED, lambda pki: _chain(pki.contract(EMAID, days=-1), pki.mo_root)),
    "not yet valid": (S.EXPIRED, lambda pki: _chain(pki.contract(EMAID, since_days=-5), pki.mo_root)),
    "an authority that has expired": (S.EXPIRED, _expired_authority),
    "one authority too many": (S.CHAIN_ERROR, _too_long),
    "a path longer than an authority allows": (S.CHAIN_ERROR, _path_length),
    "a key that may not sign": (
        S.CHAIN_ERROR,
        lambda pki: _chain(pki.contract(EMAID, usage=False), pki.mo_root),
    ),
    "a kind of key that ISO 15118 has not": (S.CHAIN_ERROR, _rsa),
    "a critical extension nobody understands": (
        S.CHAIN_ERROR,
        lambda pki: _chain(
            pki.contract(
                EMAID, extra=x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.1"), b"\x05\x00")
            ),
            pki.mo_root,
        ),
    ),
    "only authorities": (S.CHAIN_ERROR, lambda pki: (pki.mo_sub2.pem + pki.mo_sub1.pem, [pki.mo_root])),
    "no PEM": (
        S.CHAIN_ERROR,
        lambda pki: ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", []),
    ),
    "nothing": (S.CHAIN_ERROR, lambda pki: (" ", [pki.mo_root])),
    "rubbish without end": (S.CHAIN_ERROR, lambda pki: ("A" * 100_000, [pki.mo_root])),
}


@pytest.mark.parametrize("name", BAD)
def test_what_makes_a_chain_bad(pki: Pki, name: str) -> None:
    status, make = BAD[name]
    chain, anchors = make(pki)
    found = check(chain, *anchors)
    assert found.status == status, found.detail
    assert found.detail and found.steps[-1].good is False


def test_time_counts_as_it_is_told() -> None:
    made = Pki()
    later = datetime.now(UTC) + timedelta(days=1000)
    found = contract_chain.check(
        made.contract(EMAID).chain, EMAID, anchors=[made.mo_root.certificate], at=later
    )
    assert found.status == S.EXPIRED


def _renewed(old: Authority, above: Authority, **more: Any) -> Authority:
    """The same name and key, in another certificate."""
    return Authority(old.name, above=above, domain=old.domain, key=old.key, **more)


def test_a_renewed_root_is_believed_beside_the_one_that_expired() -> None:
    old = Authority("MO Root CA", domain="MO", days=-1)
    new = Authority("MO Root CA", domain="MO", key=old.key)
    chain = Authority("MO Sub", above=new, domain="MO").issue(EMAID).chain
    for anchors in ((old, new), (new, old)):
        assert check(chain, *anchors).status == S.ACCEPTED
    assert check(chain, old).status == S.EXPIRED


def test_an_authority_that_was_renewed_or_signed_twice_is_followed_to_a_good_end(pki: Pki) -> None:
    gone = Authority("MO Root of old", domain="MO", days=-1)
    sub = Authority("MO Sub", above=pki.mo_root, domain="MO")
    crossed = _renewed(sub, gone)
    expired = _renewed(sub, pki.mo_root, days=-1)
    contract = pem(sub.issue(EMAID).certificate)
    for known in ([crossed, expired, sub], [expired, sub, crossed]):
        certificates = [one.certificate for one in known]
        assert check(contract, gone, pki.mo_root, issuers=certificates).status == S.ACCEPTED
        assert check(contract, pki.mo_root, issuers=certificates).status == S.ACCEPTED

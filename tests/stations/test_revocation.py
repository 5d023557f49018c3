"""What strangers say of revocation: what proves nothing counts as no answer, and breaks nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from simulator.pki import Authority, Issued, digest
from stations.models import RevocationStatus
from stations.services.pnc import revocation
from stations.services.pnc.revocation import Query, Unusable
from tests.stations.responder import Responder, responder

pytestmark = pytest.mark.nodb
LIST = "http://lists.example/mo.crl"


@pytest.fixture
def authority() -> Authority:
    return Authority("MO Sub2", domain="MO", crl_url=LIST)


@pytest.fixture
def ocsp() -> Iterator[Responder]:
    with responder() as made:
        yield made


def query(authority: Authority, issued: Issued) -> Query:
    return revocation.query_of(issued.certificate, authority.certificate)


def revocations(authority: Authority, *extras: tuple[x509.ExtensionType, bool]) -> bytes:
    """An empty list that the authority signed."""
    now = datetime.now(UTC)
    builder = x509.CertificateRevocationListBuilder().issuer_name(authority.certificate.subject)
    builder = builder.last_update(now).next_update(now + timedelta(hours=1))
    for extra, critical in extras:
        builder = builder.add_extension(extra, critical=critical)
    return builder.sign(authority.key, digest(authority.shape)).public_bytes(Encoding.DER)


def part(**more: Any) -> x509.IssuingDistributionPoint:
    said = {
        "full_name": [x509.UniformResourceIdentifier(LIST)], "relative_name": None,
        "only_contains_user_certs": True, "only_contains_ca_certs": False, "only_some_reasons": None,
        "indirect_crl": False, "only_contains_attribute_certs": False,
    }  # fmt: skip
    return x509.IssuingDistributionPoint(**(said | more))


def test_a_list_of_a_part_counts_for_those_whose_certificates_name_it(authority: Authority) -> None:
    asked = query(authority, authority.issue("DE8AAC12345678"))
    for extras in ([], [(part(), True)]):
        found = revocation.read_list(revocations(authority, *extras), asked, now=datetime.now(UTC))
        assert found.status == RevocationStatus.GOOD


@pytest.mark.parametrize(
    "extra",
    [
        x509.DeltaCRLIndicator(3),
        part(full_name=[x509.UniformResourceIdentifier("http://lists.example/other.crl")]),
        part(only_some_reasons=frozenset({x509.ReasonFlags.key_compromise})),
        part(indirect_crl=True),
        x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"),
    ],
)
def test_a_list_that_does_not_tell_all_proves_nothing(
    authority: Authority, extra: x509.ExtensionType
) -> None:
    asked = query(authority, authority.issue("DE8AAC12345678"))
    with pytest.raises(Unusable, match="partial"):
        revocation.read_list(revocations(authority, (extra, True)), asked, now=datetime.now(UTC))


@pytest.mark.parametrize("address", ["http://[bad/ocsp", "http://x:99999999/", "http://\u0661/", "nonsense"])
def test_an_address_that_is_none_is_an_answer_in_words(address: str) -> None:
    authority = Authority("MO Sub2", domain="MO", ocsp_url="http://responder.example")
    issued = authority.issue("DE8AAC12345678")
    asked = revocation.query_of(issued.certificate, authority.certificate, address)
    found = revocation.ask_one(asked)
    assert found.status == RevocationStatus.FAILED and found.detail


def test_an_answer_that_cannot_be_read_is_one_in_words(authority: Authority, ocsp: Responder) -> None:
    """A version of lists that there is none of: the reader's error for it is no ValueError."""
    authority.crl_url = ocsp.crl_url
    issued = authority.issue("DE8AAC12345678")
    broken = bytearray(authority.revocation_list())
    version = broken.index(b"\x02\x01\x01") + 2
    broken[version] = 84
    authority.revocation_list = lambda hours=24: bytes(broken)  # type: ignore[method-assign]
    ocsp.authorities.append(authority)
    found = revocation.ask_one(query(authority, issued))
    assert found.status == RevocationStatus.FAILED and "cannot be read" in found.detail

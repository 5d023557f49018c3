"""Each process tells of itself: the gateway what came over its sockets, the web how the installation stands."""

from __future__ import annotations

import urllib.request

import pytest

from tests.servers import Roles


def _metrics(url: str) -> str:
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        text: str = answer.read().decode()
    return text


@pytest.mark.parametrize(
    ("role", "own", "not_own"),
    [
        ("gateway", "voltyard_gateway_sockets 0", "voltyard_stations"),
        ("web", "voltyard_database_up 1", "voltyard_gateway_sockets 1"),
    ],
)
def test_a_role_exposes_its_own_figures(role: str, own: str, not_own: str, roles: Roles) -> None:
    url = roles.start(role).url
    assert urllib.request.urlopen(f"{url}/health/live", timeout=10).status == 200
    text = _metrics(url)
    assert own in text and not_own not in text
    assert "process_resident_memory_bytes" in text

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import settings

from fleets.models import Token
from stations.models import Command, CommandKind, CommandState, Station
from tenants.context import tenant_scope
from tests.stations.telling import Speaker, now

settings.register_profile("unhurried", deadline=None)  # a busy machine is no defect
settings.load_profile("unhurried")


@pytest.fixture
def card(make_token: Callable[..., Token]) -> Token:
    return make_token(uid="CARD")


@pytest.fixture
def speaker(station: Station, card: Token) -> Speaker:
    """A station whose card CARD is good."""
    return Speaker(station)


@pytest.fixture
def make_command() -> Callable[..., Command]:
    """make_command(station, **columns): a remote start that was sent."""

    def make(station: Station, **values: Any) -> Command:
        defaults = {
            "kind": CommandKind.START, "state": CommandState.ACCEPTED, "origin_kind": "user", "origin_label": "Olga",
            "expires_at": now() + timedelta(minutes=5), "sent_at": now(),
        }  # fmt: skip
        with tenant_scope(station.tenant_id):
            return Command.objects.create(tenant_id=station.tenant_id, station=station, **(defaults | values))

    return make

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import settings

from fleets.models import Token
from stations.models import Station
from tests.stations.telling import Speaker

settings.register_profile("unhurried", deadline=None)  # a busy machine is no defect
settings.load_profile("unhurried")


@pytest.fixture
def card(make_token: Callable[..., Token]) -> Token:
    return make_token(uid="CARD")


@pytest.fixture
def speaker(station: Station, card: Token) -> Speaker:
    """A station whose card CARD is good."""
    return Speaker(station)

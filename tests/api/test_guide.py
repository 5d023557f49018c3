"""docs/api.md says what is so: its commands are those that the versions can say, its addresses exist."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from stations.models import CommandKind
from stations.ocpp.versions import VERSIONS
from tests.walks.addresses import addresses

pytestmark = pytest.mark.nodb
GUIDE = (Path(settings.BASE_DIR) / "docs" / "api.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `([a-z_]+)` \| (.+) \|$", GUIDE, re.M))


def test_every_command_is_explained() -> None:
    assert set(ROWS) == set(CommandKind.values)


@pytest.mark.parametrize("kind", CommandKind.values)
def test_its_examples_can_be_said(kind: str) -> None:
    """In at least one version; the station, not the guide, judges them further."""
    for text in re.findall(r"`(\{.*?\})`", ROWS[kind]):
        arguments = json.loads(text)
        said = []
        for version in VERSIONS:
            try:
                say: Any = version.says[CommandKind(kind)]
                said.append(say.encode(arguments, 1))
            except Exception as error:
                refused = error
        assert said, refused


def test_its_addresses_exist() -> None:
    known = {re.sub(r"<[^>]+>", "1", address.route) for address in addresses()}
    named = re.findall(r"\$VOLTYARD/(api/v1/[a-z0-9/_-]+)", GUIDE)
    assert named and set(named) <= known

"""What a station tells of its secrets stays out of the log of frames, whichever message it stands in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stations.services.commands import masked

pytestmark = pytest.mark.nodb
NAMED = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}}


@pytest.mark.parametrize(
    "payload",
    [
        {"configurationKey": [{"key": "AuthorizationKey", "readonly": False, "value": "hunter2"}]},
        {"configurationKey": [{"key": "WifiPassphrase", "readonly": False, "value": "hunter2"}]},
        {"getVariableResult": [NAMED | {"attributeStatus": "Accepted", "attributeValue": "hunter2"}]},
        {"setVariableData": [NAMED | {"attributeValue": "hunter2"}]},
        {"reportData": [NAMED | {"variableAttribute": [{"type": "Actual", "value": "hunter2"}]}]},
        {"eventData": [NAMED | {"trigger": "Delta", "actualValue": "hunter2"}]},
    ],
)
def test_a_secret_that_is_told_is_not_shown(payload: dict[str, Any]) -> None:
    shown = json.dumps(masked(payload))
    assert "hunter2" not in shown and "***" in shown

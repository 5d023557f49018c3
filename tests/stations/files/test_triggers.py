"""Every message that a version can be asked for keeps to its schema, and no version is offered more."""

from __future__ import annotations

from typing import Any

import pytest
from ocpp.v16.enums import MessageTrigger
from ocpp.v21.enums import MessageTriggerEnumType as Trigger21
from ocpp.v201.enums import MessageTriggerEnumType as Trigger201

from stations.models import CommandKind, Station
from stations.ocpp import schemas
from stations.ocpp.versions import BY_NAME
from stations.views.offer_files import ExtendedTriggerForm, TriggerForm
from tenants.models import Tenant

ALL = {"1.6": set(MessageTrigger), "2.0.1": set(Trigger201), "2.1": set(Trigger21)}


def offered(form: Any, station: Station) -> list[str]:
    return [str(word) for word, _label in form(station=station).fields["message"].choices]


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
def test_the_form_offers_all_that_the_version_knows(version: str, station: Station) -> None:
    from tenants.context import tenant_scope

    station.ocpp_version = version
    said: set[str] = set()
    with tenant_scope(station.tenant_id):
        forms = [(CommandKind.TRIGGER, offered(TriggerForm, station))]
        if version == "1.6":
            forms.append((CommandKind.EXTENDED_TRIGGER, offered(ExtendedTriggerForm, station)))
    for kind, words in forms:
        say = BY_NAME[version].says[kind]
        for word in words:
            payload = say.encode({"message": word, "custom": "Acme.SelfTest"}, 1)
            assert schemas.check(version, say.action, payload) is None, payload
            said.add(payload["requestedMessage"])
    assert said == {str(word.value) for word in ALL[version]}


def test_a_custom_trigger_goes_out_in_the_makers_words(tenant: Tenant) -> None:
    payload = (
        BY_NAME["2.1"].says[CommandKind.TRIGGER].encode({"message": "custom", "custom": "Acme.SelfTest"}, 1)
    )
    assert payload == {"requestedMessage": "CustomTrigger", "customTrigger": "Acme.SelfTest"}

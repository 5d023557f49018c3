"""Stations over REST: added with a password that is shown once, changed, commanded, taken out of use."""

from __future__ import annotations

import json
import math
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection

from stations.models import Command, Frame, Station, Variable
from stations.services import commands
from stations.services.stations import PASSWORD_ALPHABET, PASSWORD_LENGTH, new_password, password_hash
from tenants.context import tenant_scope
from tenants.models import AuditRecord, Site, Tenant
from tenants.permissions import Actor
from tests.people import ApiClient


@pytest.fixture
def api(api_client: Callable[..., ApiClient]) -> ApiClient:
    return api_client()


def assert_any_version_takes(password: str) -> None:
    """1.6's AuthorizationKey holds 16 to 20 bytes, 2.0.1's BasicAuthPassword 16 to 40 characters."""
    assert len(password.encode()) == 20 and password.isalnum()


def test_a_new_station_gets_a_password_shown_once(api: ApiClient, site: Site, tenant: Tenant) -> None:
    made = api.write("POST", "/stations", {"identity": "A-1", "site_id": site.pk, "evses": 2}, status=201)
    assert len(made["evses"]) == 2 and made["evses"][0]["connectors"][0]["status"] == "unknown"
    with tenant_scope(tenant.pk):
        kept = Station.objects.get(pk=made["id"])
    assert kept.password_hash == password_hash(made["password"])
    assert_any_version_takes(made["password"])
    assert "password" not in api.read(f"/stations/{made['id']}")


def test_an_identity_is_taken_once(api: ApiClient, site: Site) -> None:
    body = {"identity": "A-1", "site_id": site.pk}
    api.write("POST", "/stations", body, status=201)
    assert api.call("POST", "/stations", body).status_code == 409


def test_a_change_is_audited_in_the_name_of_the_key(api: ApiClient, station: Station, tenant: Tenant) -> None:
    assert api.write("PATCH", f"/stations/{station.pk}", {"name": "Gate 3"})["name"] == "Gate 3"
    with tenant_scope(tenant.pk):
        written = AuditRecord.objects.filter(tenant=tenant).order_by("-id")[0]
    assert (written.actor_kind, written.actor_label) == ("key", "Warehouse system")
    assert written.detail["changed"] == {"name": ["", "Gate 3"]}


@pytest.mark.parametrize(
    "change",
    [{"identity": "X"}, {"online": True}, {"site_id": 10**12}, {"site_id": None}, {"tariff_id": 10**12}],
)
def test_what_cannot_be_changed_is_refused(change: dict[str, Any], api: ApiClient, station: Station) -> None:
    assert api.call("PATCH", f"/stations/{station.pk}", change).status_code == 422


def test_a_renewed_password_replaces_the_old_one(api: ApiClient, station: Station, tenant: Tenant) -> None:
    told = api.write("POST", f"/stations/{station.pk}/password", {})["password"]
    with tenant_scope(tenant.pk):
        assert Station.objects.get(pk=station.pk).password_hash == password_hash(told)
    assert_any_version_takes(told)


@pytest.mark.nodb
def test_a_generated_password_cannot_be_guessed() -> None:
    assert PASSWORD_LENGTH * math.log2(len(set(PASSWORD_ALPHABET))) >= 100
    made = [new_password() for _one in range(200)]
    assert len(set(made)) == 200 and set("".join(made)) == set(PASSWORD_ALPHABET)


@pytest.mark.parametrize(("length", "status"), [(7, 422), (16, 200), (40, 200), (41, 422)])
def test_a_password_of_the_stations_own_is_taken(
    length: int, status: int, api: ApiClient, station: Station
) -> None:
    asked = api.call("POST", f"/stations/{station.pk}/password", {"password": "p" * length})
    assert asked.status_code == status


def test_a_station_out_of_use_is_gone(api: ApiClient, station: Station) -> None:
    api.write("DELETE", f"/stations/{station.pk}", status=204)
    assert api.call("GET", f"/stations/{station.pk}").status_code == 404
    assert api.read("/stations")["results"] == []


def test_a_command_is_taken_at_once_and_polled(api: ApiClient, station: Station) -> None:
    asked = api.write("POST", f"/stations/{station.pk}/commands", {"kind": "reset"}, status=202)
    assert asked["state"] == "queued" and asked["origin_kind"] == "key"
    assert api.read(f"/commands/{asked['id']}") == asked


def test_a_wait_ends_with_the_answer(
    api: ApiClient, station: Station, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait holds no transaction: the answer, written by somebody else in between, is seen."""
    wait = commands.wait

    def answered_meanwhile(**values: Any) -> Command:
        with tenant_scope(tenant.pk):
            commands.settle(
                tenant_id=tenant.pk,
                command_id=values["command_id"],
                state="accepted",
                answer="Accepted",
                response={"status": "Accepted"},
            )
        return wait(**values)

    monkeypatch.setattr(commands, "wait", answered_meanwhile)
    body = {"kind": "unlock", "arguments": {"evse": 1, "connector": 1}, "wait_seconds": 5}
    told = api.write("POST", f"/stations/{station.pk}/commands", body, status=200)
    assert (told["state"], told["response"]) == ("accepted", {"status": "Accepted"})


def test_a_wait_is_bounded(api: ApiClient, station: Station) -> None:
    body = {"kind": "reset", "wait_seconds": 61}
    assert api.call("POST", f"/stations/{station.pk}/commands", body).status_code == 422


def test_a_waiting_command_can_be_taken_back(api: ApiClient, station: Station) -> None:
    asked = api.write("POST", f"/stations/{station.pk}/commands", {"kind": "reset"}, status=202)
    assert api.write("POST", f"/commands/{asked['id']}/cancel", {})["state"] == "cancelled"
    assert api.call("POST", f"/commands/{asked['id']}/cancel", {}).status_code == 409


def test_passwords_in_a_command_are_not_shown(api: ApiClient, station: Station) -> None:
    arguments = {"values": [{"name": "AuthorizationKey", "value": "hunter2-hunter2"}]}
    body = {"kind": "write_configuration", "arguments": arguments}
    asked = api.call("POST", f"/stations/{station.pk}/commands", body)
    assert asked.status_code == 202 and b"hunter2" not in asked.content
    assert b"hunter2" not in api.call("GET", "/commands").content
    assert b"hunter2" not in api.call("GET", "/audit").content


def test_a_password_that_a_station_tells_is_not_shown(
    api: ApiClient, station: Station, tenant: Tenant
) -> None:
    now = datetime.now(UTC)
    with tenant_scope(tenant.pk):
        for name in ("AuthorizationKey", "HeartbeatInterval"):
            Variable.objects.create(
                tenant=tenant, station=station, name=name, value="hunter2", read_at=now, source="report"
            )
    shown = {v["name"]: v["value"] for v in api.read(f"/stations/{station.pk}/variables")["results"]}
    assert shown == {"AuthorizationKey": "***", "HeartbeatInterval": "hunter2"}


def test_frames_are_searched_and_exported(api: ApiClient, station: Station, tenant: Tenant) -> None:
    _frames(tenant, station)
    listed = api.read(f"/stations/{station.pk}/frames", action="BootNotification")["results"]
    assert [frame["payload"] for frame in listed] == [{"reason": "PowerUp"}]
    assert len(api.read(f"/stations/{station.pk}/frames", errors="true")["results"]) == 1
    text = api.call("GET", f"/stations/{station.pk}/frames.jsonl").content.decode()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["payload"] for line in lines] == [{"reason": "PowerUp"}, "no json {"]
    after = api.call("GET", f"/stations/{station.pk}/frames.jsonl", after_id=lines[0]["id"]).content
    assert after.decode().splitlines() == text.splitlines()[1:]


def _frames(tenant: Tenant, station: Station) -> None:
    number = secrets.randbits(60)
    with tenant_scope(tenant.pk):
        for offset, (kind, payload) in enumerate([(2, '{"reason": "PowerUp"}'), (0, "no json {")]):
            Frame.objects.create(
                id=number + offset,
                tenant=tenant,
                station=station,
                received_at=datetime.now(UTC),
                gateway="g",
                outbound=False,
                message_type=kind,
                message_id=str(offset),
                action="BootNotification" if kind else "",
                ocpp_version="1.6",
                apply=False,
                payload=payload,
            )


def test_a_wait_holds_no_connection(
    api: ApiClient, station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight waiting callers would else take the whole pool of the process for a minute."""
    held = []
    monkeypatch.setattr(time, "sleep", lambda _s: held.append(connection.connection is not None))
    body = {"kind": "reset", "wait_seconds": 0.05}
    api.write("POST", f"/stations/{station.pk}/commands", body, status=202)
    assert held and not any(held)


@pytest.mark.parametrize("count", [3, 30])
def test_the_cards_of_a_list_that_was_sent_are_for_who_may_see_cards(
    api_client: Callable[..., ApiClient], station: Station, tenant: Tenant, owner_actor: Actor, count: int
) -> None:
    cards = [f"SECRETCARD{number}" for number in range(count)]
    with tenant_scope(tenant.pk):
        command = commands.request_command(
            tenant_id=tenant.pk, station_id=station.pk, kind="send_local_list", actor=owner_actor,
            arguments={"version": 1, "full": True, "entries": [{"uid": card} for card in cards]},
        )  # fmt: skip
        listed = [{"idTag": card} for card in cards]
        request = {"listVersion": 1, "updateType": "Full", "localAuthorizationList": listed}
        commands.mark_encoded(tenant_id=tenant.pk, encoded=[(command, "SendLocalList", "1", request)])
    blind, seeing = api_client(["station.view"]), api_client(["station.view", "token.view"])
    for path in (f"/commands/{command.pk}", "/commands", f"/stations/{station.pk}/commands"):
        assert "SECRETCARD" not in json.dumps(blind.read(path))
        assert "SECRETCARD" in json.dumps(seeing.read(path))
    assert blind.read(f"/commands/{command.pk}")["request"]["localAuthorizationList"] == f"{count} entries"

"""Compliance cases on local authorisation lists and reservations (1.6; 2.x blocks D and H), and master passes (C16)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fleets.models import Token
from tests.oca.cases import oca
from tests.oca.scene import V2, Payload, Scene, Stage, stamp
from tests.oca.visit import Visit, token
from tests.stations.ocpp.conftest import in_thread

CARD, OTHER, PASS = "04A2B3C4", "04D5E6F7", "04112233"
ALL = ("1.6", *V2)
ENTRY = {"uid": CARD, "kind": "iso14443", "verdict": "accepted"}
GONE = {"uid": CARD, "kind": "iso14443"}


def listed(scene: Scene, call: list[Any]) -> list[tuple[str, str]]:
    """(uid, status or "") of the entries that went out."""
    if scene.version == "1.6":
        entries = call[3].get("localAuthorizationList", [])
        return [(entry["idTag"], entry.get("idTagInfo", {}).get("status", "")) for entry in entries]
    return [
        (entry["idToken"]["idToken"], entry.get("idTokenInfo", {}).get("status", ""))
        for entry in call[3].get("localAuthorizationList", [])
    ]


@oca("TC_043_4", "TC_043_5", "TC_D_01", "TC_D_02", "TC_D_03", "TC_D_04")
@pytest.mark.parametrize("version", ALL)
@pytest.mark.parametrize(
    ("full", "entries", "expected"),
    [
        (True, [ENTRY], [(CARD, "Accepted")]),
        (False, [ENTRY], [(CARD, "Accepted")]),
        (False, [GONE], [(CARD, "")]),
        (True, [], []),
    ],
)
async def test_a_list_is_sent(
    stage: Stage, version: str, full: bool, entries: list[Payload], expected: list[tuple[str, str]]
) -> None:
    async with stage(version) as scene:
        order = await scene.order("send_local_list", version=5, full=full, entries=entries)
        call = await scene.hears("SendLocalList", {"updateType": "Full" if full else "Differential"})
        assert call[3]["listVersion" if version == "1.6" else "versionNumber"] == 5
        assert listed(scene, call) == expected
        await scene.answers(call, {"status": "Accepted"})
        assert (await scene.outcome(order))["state"] == "accepted"


@oca("TC_043_1", "TC_043_3")
@pytest.mark.parametrize("word", ["NotSupported", "Failed"])
async def test_a_list_is_not_taken(stage: Stage, word: str) -> None:
    async with stage("1.6") as scene:
        arguments = {"version": 5, "full": True, "entries": [ENTRY]}
        await scene.does("send_local_list", arguments, "SendLocalList", {}, {"status": word}, "rejected")


@oca("TC_042_1", "TC_042_2", "TC_D_08", "TC_D_09")
@pytest.mark.parametrize(
    ("version", "number"), [("1.6", -1), ("1.6", 0), *[(v, n) for v in V2 for n in (7, 0)]]
)
async def test_the_version_of_the_list(stage: Stage, version: str, number: int) -> None:
    """1.6: -1 says that there are no lists (5.10)."""
    answer = {"listVersion" if version == "1.6" else "versionNumber": number}
    async with stage(version) as scene:
        await scene.does("read_list_version", {}, "GetLocalListVersion", {}, answer, "accepted")


@pytest.fixture
def card(make_token: Callable[..., Token]) -> Token:
    return make_token(uid=CARD, group="STAFF")


async def reserved(scene: Scene, word: str = "Accepted", **given: Any) -> tuple[Payload, Payload]:
    """(reservation as REST tells it after the answer, ReserveNow as heard)."""
    body = {"station_id": scene.station.pk, "token_uid": CARD, "minutes": 30, "evse": 1} | given
    one = await scene.rest("POST", "/reservations", body, status=201)
    call = await scene.hears("ReserveNow")
    await scene.answers(call, {"status": word})
    return await state_of(scene, one, word == "Accepted"), dict(call[3])


async def state_of(scene: Scene, one: Payload, taken: bool = True) -> Payload:
    await scene.applied()
    for _try in range(100):
        now = await scene.rest("GET", f"/reservations/{one['id']}")
        if now["state"] != "requested":
            return dict(now)
    raise AssertionError(now)


def number(version: str, heard: Payload) -> int:
    return int(heard["reservationId" if version == "1.6" else "id"])


@oca("TC_046", "TC_H_01")
@pytest.mark.parametrize("version", ALL)
async def test_a_reserved_connector_is_used(stage: Stage, version: str, card: Token) -> None:
    async with stage(version) as scene:
        one, heard = await reserved(scene)
        assert one["state"] == "reserved"
        assert heard["connectorId" if version == "1.6" else "evseId"] == 1
        await scene.status("Reserved")
        if version == "1.6":
            told = {"connectorId": 1, "idTag": CARD, "meterStart": 0, "timestamp": stamp()}
            await scene.tell("StartTransaction", told | {"reservationId": number(version, heard)})
        else:
            visit = Visit(scene)
            await visit.event(
                "Started", "Authorized", token=token(CARD), reservationId=number(version, heard)
            )
        session = await scene.session()
        used = await scene.rest("GET", f"/reservations/{one['id']}")
        assert (used["state"], used["session_id"]) == ("used", session["id"])


@oca("TC_047", "TC_H_07")
@pytest.mark.parametrize("version", ALL)
async def test_a_reservation_that_nobody_uses(stage: Stage, version: str, card: Token) -> None:
    async with stage(version) as scene:
        one, heard = await reserved(scene)
        await scene.status("Reserved")
        if version != "1.6":
            told = {"reservationId": number(version, heard), "reservationUpdateStatus": "Expired"}
            await scene.tell("ReservationStatusUpdate", told)
        await scene.status("Available")
        after = await state_of(scene, one)
        assert after["state"] in ("no_show", "expired", "reserved" if version == "1.6" else "")


@oca("TC_048_1", "TC_048_2", "TC_048_3", "TC_048_4", "TC_H_22")
@pytest.mark.parametrize("version", ALL)
@pytest.mark.parametrize("word", ["Faulted", "Occupied", "Unavailable", "Rejected"])
async def test_a_reservation_is_refused(stage: Stage, version: str, card: Token, word: str) -> None:
    async with stage(version) as scene:
        one, _heard = await reserved(scene, word)
        assert one["state"] == "refused" and one["reason"]


@oca("TC_049", "TC_H_08", "TC_H_14")
@pytest.mark.parametrize("version", ALL)
async def test_any_connector_is_reserved(stage: Stage, version: str, card: Token) -> None:
    async with stage(version) as scene:
        one, heard = await reserved(scene, evse=None)
        assert one["state"] == "reserved"
        assert heard.get("connectorId", 0) == 0 and "evseId" not in heard


@oca("TC_H_15")
@pytest.mark.parametrize("version", V2)
async def test_a_connector_of_a_kind_is_reserved(stage: Stage, version: str, card: Token) -> None:
    async with stage(version) as scene:
        one, heard = await reserved(scene, evse=None, standard="IEC_62196_T2")
        assert (one["state"], "evseId" in heard) == ("reserved", False)
        assert heard["connectorType"] in ("sType2", "cType2")


@oca("TC_051", "TC_052", "TC_H_17")
@pytest.mark.parametrize("version", ALL)
@pytest.mark.parametrize("word", ["Accepted", "Rejected"])
async def test_a_reservation_is_cancelled(stage: Stage, version: str, card: Token, word: str) -> None:
    async with stage(version) as scene:
        one, heard = await reserved(scene)
        await scene.rest("POST", f"/reservations/{one['id']}/cancel", {})
        call = await scene.hears("CancelReservation", {"reservationId": number(version, heard)})
        await scene.answers(call, {"status": word})
        for _try in range(50):
            after = await scene.rest("GET", f"/reservations/{one['id']}")
            if after["state"] == "cancelled":
                break
        assert after["state"] == "cancelled" or word == "Rejected", after


@oca("TC_053", "TC_H_19")
@pytest.mark.parametrize("version", ALL)
async def test_a_card_of_the_group_uses_the_reservation(
    stage: Stage, version: str, card: Token, make_token: Callable[..., Token]
) -> None:
    await in_thread(lambda: make_token(uid=OTHER, group="STAFF"))
    async with stage(version) as scene:
        one, heard = await reserved(scene)
        group = heard["parentIdTag"] if version == "1.6" else heard["groupIdToken"]["idToken"]
        assert group == "STAFF"
        if version == "1.6":
            answer = await scene.tell("Authorize", {"idTag": OTHER})
            assert answer["idTagInfo"]["parentIdTag"] == "STAFF"
            told = {"connectorId": 1, "idTag": OTHER, "meterStart": 0, "timestamp": stamp()}
            await scene.tell("StartTransaction", told | {"reservationId": number(version, heard)})
        else:
            answer = await scene.tell("Authorize", {"idToken": token(OTHER)})
            assert answer["idTokenInfo"]["groupIdToken"]["idToken"] == "STAFF"
            visit = Visit(scene)
            await visit.event(
                "Started", "Authorized", token=token(OTHER), reservationId=number(version, heard)
            )
        await scene.applied()
        assert (await scene.rest("GET", f"/reservations/{one['id']}"))["state"] == "used"


@oca("TC_H_20")
@pytest.mark.parametrize("version", V2)
async def test_a_fault_removes_the_reservation(stage: Stage, version: str, card: Token) -> None:
    async with stage(version) as scene:
        one, heard = await reserved(scene)
        await scene.status("Faulted")
        told = {"reservationId": number(version, heard), "reservationUpdateStatus": "Removed"}
        await scene.tell("ReservationStatusUpdate", told)
        assert (await state_of(scene, one))["state"] not in ("reserved", "used")


# --- groups in the local list, and master passes ---


@oca("TC_C_40", "TC_C_43")
@pytest.mark.parametrize("version", V2)
async def test_a_card_of_the_list_starts_without_asking(
    stage: Stage, version: str, card: Token, make_token: Callable[..., Token]
) -> None:
    await in_thread(lambda: make_token(uid=OTHER, group="STAFF", blocked=True))
    async with stage(version) as scene:
        visit = Visit(scene)
        answer = await visit.authorized(CARD)
        assert answer["idTokenInfo"]["groupIdToken"]["idToken"] == "STAFF"
        await visit.energy_flows()
        answer = await visit.event("Updated", "StopAuthorized", token=token(OTHER))
        assert answer["idTokenInfo"]["status"] == "Blocked"


@oca("TC_C_47", "TC_C_48", "TC_C_49")
@pytest.mark.parametrize("version", V2)
@pytest.mark.parametrize("shown", [PASS, CARD])
async def test_a_master_pass_ends_sessions(
    stage: Stage, version: str, card: Token, make_token: Callable[..., Token], shown: str
) -> None:
    """With a screen the station shows the pass at the end, without one the card that had started."""
    await in_thread(lambda: make_token(uid=PASS, group="MASTERS"))
    async with stage(version) as scene:
        await scene.rest("PATCH", "/access-rules", {"master_group": "MASTERS"})
        visit = Visit(scene)
        await visit.charging(CARD)
        answer = await scene.tell("Authorize", {"idToken": token(PASS)})
        assert answer["idTokenInfo"]["groupIdToken"]["idToken"] == "MASTERS"
        await visit.ends("StopAuthorized", "MasterPass", token=token(shown))
        assert (await visit.was("MasterPass"))["token_uid"] == CARD

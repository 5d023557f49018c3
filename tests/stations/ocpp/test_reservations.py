"""Reservations on the wire: asked, held, used, given up, in every version."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from fleets.models import Driver, Token
from stations.models import AccessRule, Command, CommandState, Evse, Reservation, Session, Station
from stations.models import ReservationState as S
from stations.neutral import ReservationAnswered
from stations.services import commands, reservations
from stations.views.lanes import lanes
from tenants.context import tenant_scope
from tenants.errors import Conflict, Invalid
from tenants.models import Fact, Tenant
from tenants.permissions import Actor
from tests.stations.ocpp.charger import VERSIONS, Charger
from tests.stations.ocpp.conftest import Plug, applied, in_thread, rows

V2 = ("2.0.1", "2.1")


@pytest.fixture
def token(make_token: Callable[..., Token]) -> Token:
    return make_token(uid="CARD", group="STAFF")


def soon(minutes: float = 30) -> datetime:
    return (datetime.now(UTC) + timedelta(minutes=minutes)).replace(microsecond=0)


def stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.000Z")


async def reserve(tenant: Tenant, station: Station, actor: Any, **values: Any) -> Reservation:
    given: dict[str, Any] = {"token_uid": "card", "expires_at": soon(), "evse": 1} | values
    return await rows(tenant, lambda: reservations.reserve(station=station, actor=actor, **given))


async def now_of(tenant: Tenant, one: Reservation) -> Reservation:
    return await rows(tenant, lambda: Reservation.objects.select_related("session").get(pk=one.pk))


async def over(tenant: Tenant, station: Station) -> None:
    """The newest command has come to its end."""

    def last() -> int:
        return Command.objects.filter(tenant=tenant, station=station).order_by("-id")[0].pk

    number = await rows(tenant, last)
    await in_thread(lambda: commands.wait(tenant_id=tenant.pk, command_id=number, timeout_seconds=15))


async def held(wire: Charger, tenant: Tenant, station: Station, actor: Any, **values: Any) -> Reservation:
    """A reservation that the station has taken."""
    one = await reserve(tenant, station, actor, **values)
    call = await wire.next_call()
    assert call[2] == "ReserveNow"
    await wire.answer(call, {"status": "Accepted"})
    await over(tenant, station)
    return await now_of(tenant, one)


def start(version: str, number: int | None, uid: str = "CARD") -> tuple[str, dict[str, Any]]:
    at = stamp(datetime.now(UTC))
    if version == "1.6":
        told = {"connectorId": 1, "idTag": uid, "meterStart": 0, "timestamp": at}
        return "StartTransaction", told | ({"reservationId": number} if number is not None else {})
    told = {
        "eventType": "Started", "timestamp": at, "triggerReason": "Authorized", "seqNo": 0,
        "transactionInfo": {"transactionId": "tx-1"}, "evse": {"id": 1, "connectorId": 1},
        "idToken": {"idToken": uid, "type": "ISO14443"},
    }  # fmt: skip
    return "TransactionEvent", told | ({"reservationId": number} if number is not None else {})


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_place_is_asked_for_and_held(
    plug: Plug, tenant: Tenant, station: Station, token: Token, owner_actor: Any, version: str
) -> None:
    until = soon()
    async with plug(station, version) as wire:
        one = await reserve(tenant, station, owner_actor, expires_at=until)
        call = await wire.next_call()
        if version == "1.6":
            expected: dict[str, Any] = {
                "connectorId": 1, "expiryDate": stamp(until), "idTag": "CARD", "parentIdTag": "STAFF",
                "reservationId": one.number,
            }  # fmt: skip
        else:
            expected = {
                "id": one.number, "expiryDateTime": stamp(until), "evseId": 1,
                "idToken": {"idToken": "CARD", "type": "ISO14443"},
                "groupIdToken": {"idToken": "STAFF", "type": "Central"},
            }  # fmt: skip
        assert call[2:] == ["ReserveNow", expected]
        assert (await now_of(tenant, one)).state == S.REQUESTED
        await wire.answer(call, {"status": "Accepted"})
        await over(tenant, station)
        taken = await now_of(tenant, one)
    assert taken.state == S.RESERVED and taken.held_at is not None
    facts = Fact.objects.filter(tenant=tenant, subject_type="reservation").order_by("id")
    kinds = facts.values_list("kind", flat=True)
    assert await rows(tenant, lambda: list(kinds)) == ["reservation.created", "reservation.reserved"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("Occupied", "The connector is in use or reserved already."),
        ("Faulted", "The connector is faulted."),
        ("Unavailable", "The connector is out of service."),
        ("Rejected", "The station refused it."),
    ],
)
async def test_a_station_that_would_not_says_why(
    plug: Plug,
    tenant: Tenant,
    station: Station,
    token: Token,
    owner_actor: Any,
    version: str,
    word: str,
    why: str,
) -> None:
    async with plug(station, version) as wire:
        one = await reserve(tenant, station, owner_actor)
        await wire.answer(await wire.next_call(), {"status": word})
        await over(tenant, station)
    found = await now_of(tenant, one)
    assert (found.state, found.reason) == (S.REFUSED, why)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_station_that_knows_no_reservations(
    plug: Plug, tenant: Tenant, station: Station, token: Token, owner_actor: Any, version: str
) -> None:
    async with plug(station, version) as wire:
        one = await reserve(tenant, station, owner_actor)
        call = await wire.next_call()
        await wire.raw(json.dumps([4, call[1], "NotSupported", "", {}]))
        await over(tenant, station)
    found = await now_of(tenant, one)
    assert (found.state, found.reason) == (S.REFUSED, "The station knows no reservations.")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("tells", [True, False])
async def test_the_session_that_uses_it_is_linked(
    plug: Plug, tenant: Tenant, station: Station, token: Token, owner_actor: Any, version: str, tells: bool
) -> None:
    """Some stations leave the number out: then the card at that place and time tells."""
    async with plug(station, version) as wire:
        one = await held(wire, tenant, station, owner_actor)
        await wire.ok(*start(version, one.number if tells else None))
    used = await now_of(tenant, one)
    session = await rows(tenant, lambda: Session.objects.get(tenant=tenant))
    assert (used.state, used.session_id) == (S.USED, session.pk)
    assert (
        await rows(tenant, lambda: Fact.objects.filter(tenant=tenant, kind="reservation.used").count()) == 1
    )


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("number", [0, -1, 2**31, 10**30])
async def test_a_number_that_is_none_of_ours_harms_nothing(
    plug: Plug,
    tenant: Tenant,
    station: Station,
    token: Token,
    owner_actor: Any,
    version: str,
    number: int,
) -> None:
    """Some stations tell 0 or -1 for no reservation, whatever is reserved there."""
    async with plug(station, version) as wire:
        one = await held(wire, tenant, station, owner_actor)
        frame = await wire.call(*start(version, number))
        if frame[0] == 4:  # refused for the number: a negative one in 2.1, one beyond all measure
            return
    assert (await now_of(tenant, one)).state == S.USED


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_card_of_the_same_group_uses_it_and_a_strangers_does_not(
    plug: Plug,
    tenant: Tenant,
    station: Station,
    token: Token,
    make_token: Any,
    owner_actor: Any,
    version: str,
) -> None:
    await rows(tenant, lambda: (make_token(uid="MATE", group="STAFF"), make_token(uid="STRANGER")))
    async with plug(station, version) as wire:
        one = await held(wire, tenant, station, owner_actor)
        action, told = start(version, None, "STRANGER")
        if version != "1.6":
            told["transactionInfo"] = {"transactionId": "tx-0"}
        await wire.ok(action, told)
        assert (await now_of(tenant, one)).state == S.RESERVED
        await wire.ok(*start(version, None, "MATE"))
    assert (await now_of(tenant, one)).state == S.USED


@pytest.mark.parametrize("version", VERSIONS)
async def test_nobody_came(
    plug: Plug, tenant: Tenant, station: Station, token: Token, owner_actor: Any, version: str
) -> None:
    async with plug(station, version) as wire:
        one = await held(wire, tenant, station, owner_actor)
        late = one.expires_at + timedelta(minutes=2)
        await rows(tenant, lambda: reservations.sweep(tenant_id=tenant.pk, now=late))
        assert (await now_of(tenant, one)).state == S.NO_SHOW
        await wire.ok(*start(version, one.number))  # it was told late: somebody came after all
    assert (await now_of(tenant, one)).state == S.USED


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("word", ["Accepted", "Rejected"])
async def test_it_is_cancelled(
    plug: Plug, tenant: Tenant, station: Station, token: Token, owner_actor: Any, version: str, word: str
) -> None:
    """A station that says no knows it no more: it is gone either way."""
    async with plug(station, version) as wire:
        one = await held(wire, tenant, station, owner_actor)
        await rows(tenant, lambda: reservations.cancel(reservation=one, actor=owner_actor))
        assert (await now_of(tenant, one)).state == S.CANCELLING
        call = await wire.next_call()
        assert call[2:] == ["CancelReservation", {"reservationId": one.number}]
        await wire.answer(call, {"status": word})
        await over(tenant, station)
    assert (await now_of(tenant, one)).state == S.CANCELLED
    with pytest.raises(Conflict):
        await rows(tenant, lambda: reservations.cancel(reservation=one, actor=owner_actor))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("word", "kept"), [("Accepted", True), ("Rejected", False)])
async def test_another_end_replaces_it_under_its_number(
    plug: Plug,
    tenant: Tenant,
    station: Station,
    token: Token,
    owner_actor: Any,
    version: str,
    word: str,
    kept: bool,
) -> None:
    later = soon(90)
    async with plug(station, version) as wire:
        one = await held(wire, tenant, station, owner_actor)
        await rows(tenant, lambda: reservations.extend(reservation=one, actor=owner_actor, expires_at=later))
        call = await wire.next_call()
        assert call[2] == "ReserveNow" and one.number in call[3].values() and stamp(later) in call[3].values()
        await wire.answer(call, {"status": word})
        await over(tenant, station)
    found = await now_of(tenant, one)
    assert (found.state, found.expires_at) == (S.RESERVED, later if kept else one.expires_at)


@pytest.mark.parametrize(
    ("version", "word", "state"),
    [
        (version, word, state)
        for version in V2
        for word, state in (("Expired", S.NO_SHOW), ("Removed", S.CANCELLED))
    ]
    + [("2.1", "NoTransaction", S.NO_SHOW)],
)
async def test_the_station_tells_its_end(
    plug: Plug,
    tenant: Tenant,
    station: Station,
    token: Token,
    owner_actor: Any,
    version: str,
    word: str,
    state: str,
) -> None:
    async with plug(station, version) as wire:
        one = await held(wire, tenant, station, owner_actor)
        told = {"reservationId": one.number, "reservationUpdateStatus": word}
        assert await wire.ok("ReservationStatusUpdate", told) == {}
        assert await wire.ok("ReservationStatusUpdate", told | {"reservationId": 999_999}) == {}
        await applied(tenant)
    assert (await now_of(tenant, one)).state == state


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_later_one_is_held_here_until_shortly_before(
    plug: Plug, tenant: Tenant, station: Station, token: Token, owner_actor: Any, version: str
) -> None:
    begin = soon(60)
    async with plug(station, version) as wire:
        one = await reserve(
            tenant, station, owner_actor, starts_at=begin, expires_at=begin + timedelta(minutes=30)
        )
        early = begin - timedelta(minutes=5)
        assert await rows(tenant, lambda: reservations.sweep(tenant_id=tenant.pk, now=early)) == 0
        assert one.state == S.PLANNED and wire.calls.empty()
        near = begin - timedelta(seconds=30)
        assert await rows(tenant, lambda: reservations.sweep(tenant_id=tenant.pk, now=near)) == 1
        assert (await wire.next_call())[2] == "ReserveNow"


async def test_an_offline_station_never_heard_of_it(
    tenant: Tenant, station: Station, token: Token, owner_actor: Any
) -> None:
    one = await reserve(tenant, station, owner_actor)
    later = one.expires_at + timedelta(minutes=2)
    await rows(tenant, lambda: reservations.sweep(tenant_id=tenant.pk, now=later))
    found = await now_of(tenant, one)
    assert (found.state, found.reason) == (S.EXPIRED, "The station was not connected in time.")


async def test_what_a_station_out_of_use_held_is_over(
    tenant: Tenant, station: Station, token: Token, owner_actor: Any
) -> None:
    one = await reserve(tenant, station, owner_actor, starts_at=soon(60), expires_at=soon(90))
    await rows(tenant, lambda: Station.objects.update(archived_at=datetime.now(UTC)))
    await rows(tenant, lambda: reservations.sweep(tenant_id=tenant.pk, now=datetime.now(UTC)))
    found = await now_of(tenant, one)
    assert (found.state, found.reason) == (S.CANCELLED, "The station was taken out of use.")


async def test_what_was_not_sent_is_taken_back_without_a_word(
    plug: Plug, tenant: Tenant, station: Station, token: Token, owner_actor: Any
) -> None:
    one = await reserve(tenant, station, owner_actor)
    await rows(tenant, lambda: reservations.cancel(reservation=one, actor=owner_actor, reason="A mistake"))
    found = await now_of(tenant, one)
    assert (found.state, found.reason) == (S.CANCELLED, "A mistake")
    command = await rows(tenant, lambda: Command.objects.get(tenant=tenant))
    assert command.state == CommandState.CANCELLED


async def test_a_silent_station_is_asked_again_and_then_given_up(
    plug: Plug, tenant: Tenant, station: Station, token: Token, owner_actor: Any
) -> None:
    async with plug(station, "1.6") as wire:
        one = await reserve(tenant, station, owner_actor)
        for _try in range(reservations.TRIES):
            assert (await wire.next_call())[2] == "ReserveNow"
            await over(tenant, station)
    found = await now_of(tenant, one)
    assert (found.state, found.reason) == (S.REFUSED, "The station did not answer.")


@pytest.mark.parametrize("version", V2)
async def test_any_connector_with_a_plug(
    plug: Plug, tenant: Tenant, make_station: Any, token: Token, owner_actor: Any, version: str
) -> None:
    station = await in_thread(lambda: make_station(evses=2, ocpp_version=version))
    async with plug(station, version) as wire:
        one = await held(wire, tenant, station, owner_actor, evse=None, standard="IEC_62196_T2")
        frame = await rows(tenant, lambda: Command.objects.get(tenant=tenant).request)
        assert frame["connectorType"] == "sType2" and "evseId" not in frame
        await held(wire, tenant, station, owner_actor, evse=None, standard="IEC_62196_T2")
        with pytest.raises(Conflict, match="No such connector is left"):
            await reserve(tenant, station, owner_actor, evse=None, standard="IEC_62196_T2")
        await wire.ok(*start(version, one.number))
    assert (await now_of(tenant, one)).state == S.USED


def test_two_do_not_overlap(tenant: Tenant, station: Station, token: Token, owner_actor: Any) -> None:
    begin, end = soon(60), soon(90)

    def book(starts_at: datetime, expires_at: datetime) -> Reservation:
        with tenant_scope(tenant.pk):
            return reservations.reserve(
                station=station, actor=owner_actor, token_uid="CARD", starts_at=starts_at, expires_at=expires_at,
                evse=1,
            )  # fmt: skip

    first = book(begin, end)
    with pytest.raises(Conflict, match="reserved this"):
        book(begin - timedelta(minutes=10), begin + timedelta(minutes=1))
    book(end, end + timedelta(minutes=10))
    with tenant_scope(tenant.pk), pytest.raises(Conflict):
        reservations.extend(reservation=first, actor=owner_actor, expires_at=end + timedelta(minutes=1))


@pytest.mark.parametrize("earlier", [False, True])
def test_time_given_up_is_nobodys_until_the_station_agrees(
    tenant: Tenant, station: Station, token: Token, owner_actor: Any, earlier: bool
) -> None:
    """`earlier`: before this was so, somebody else got the time; then it stays theirs."""
    wanted: dict[str, Any] = {"station": station, "actor": owner_actor, "token_uid": "CARD", "evse": 1}
    between: dict[str, Any] = {"starts_at": soon(60), "expires_at": soon(90)}
    old, new = soon(90), soon(30)

    def answer(one: Reservation, outcome: str) -> Reservation:
        told = ReservationAnswered(station.pk, one.command_id or 0, outcome)
        reservations.answered(tenant_id=tenant.pk, reports=[told])
        return Reservation.objects.select_related("station").get(pk=one.pk)

    with tenant_scope(tenant.pk):
        Evse.objects.create(tenant=tenant, station=station, number=2)
        one = answer(reservations.reserve(**wanted, expires_at=old), "held")
        one = reservations.extend(reservation=one, actor=owner_actor, expires_at=new)
        with pytest.raises(Conflict, match="reserved this"):
            reservations.reserve(**wanted, **between)
        if earlier:
            Reservation.objects.create(
                tenant=tenant, station=station, site_id=station.site_id, evse=one.evse, token_uid="CARD",
                asked_by="tests", **between,
            )  # fmt: skip
        one = answer(one, "refused")
        assert (one.state, one.expires_at, one.extended_from) == (S.RESERVED, new if earlier else old, None)
        if not earlier:
            answer(reservations.extend(reservation=one, actor=owner_actor, expires_at=new), "held")
            reservations.reserve(**wanted, **between)


def test_the_database_keeps_them_apart(tenant: Tenant, station: Station, token: Token) -> None:
    from django.db import IntegrityError

    with tenant_scope(tenant.pk), pytest.raises(IntegrityError, match="reservation_apart"):
        evse = Evse.objects.get(tenant=tenant, station=station)
        for _time in range(2):
            Reservation.objects.create(
                tenant=tenant, station=station, site_id=station.site_id, evse=evse, token_uid="CARD",
                starts_at=soon(1), expires_at=soon(9), asked_by="tests",
            )  # fmt: skip


def test_what_makes_no_sense_is_refused(
    tenant: Tenant, station: Station, token: Token, make_token: Any, owner_actor: Any
) -> None:
    make_token(uid="BLOCKED", blocked=True)
    wrong: list[dict[str, Any]] = [
        {"expires_at": soon(-5)},
        {"expires_at": soon(60 * 30)},
        {"token_uid": ""},
        {"token_uid": "BLOCKED"},
        {"evse": 9},
        {"starts_at": soon(60 * 24 * 40), "expires_at": soon(60 * 24 * 40 + 30)},
    ]
    for values in wrong:
        given: dict[str, Any] = {"token_uid": "CARD", "expires_at": soon(), "evse": 1} | values
        with tenant_scope(tenant.pk), pytest.raises(Invalid):
            reservations.reserve(station=station, actor=owner_actor, **given)


def answered(one: Reservation, outcome: str) -> Reservation:
    told = ReservationAnswered(one.station_id, one.command_id or 0, outcome)
    reservations.answered(tenant_id=one.tenant_id, reports=[told])
    return Reservation.objects.select_related("station").get(pk=one.pk)


def test_a_shorter_end_ends_nothing_before_the_station_agrees(
    tenant: Tenant, station: Station, token: Token, owner_actor: Any
) -> None:
    old, new = soon(90), soon(30)
    with tenant_scope(tenant.pk):
        Station.objects.update(online=True)
        one = reservations.reserve(
            station=station, actor=owner_actor, token_uid="CARD", evse=1, expires_at=old
        )
        one = answered(one, "held")
        one = reservations.extend(reservation=one, actor=owner_actor, expires_at=new)
        between = new + timedelta(minutes=5)
        assert reservations.sweep(tenant_id=tenant.pk, now=between) == 0
        (lane,) = lanes([station])
        assert lane.bars[0].title.endswith(f"{timezone.localtime(old):%H:%M}")
        one = answered(one, "held")
        (lane,) = lanes([station])
        assert lane.bars[0].title.endswith(f"{timezone.localtime(new):%H:%M}")
        assert reservations.sweep(tenant_id=tenant.pk, now=between) == 1
        assert Reservation.objects.get(pk=one.pk).state == S.NO_SHOW


def test_what_waits_to_be_heard_of_takes_no_place(
    tenant: Tenant, station: Station, token: Token, make_station: Any, owner_actor: Any
) -> None:
    """A site went dark with its reservations; elsewhere they begin and end in time."""
    dark = make_station(online=False)
    with tenant_scope(tenant.pk):
        rest: dict[str, Any] = {
            "tenant": tenant,
            "site_id": station.site_id,
            "token_uid": "CARD",
            "asked_by": "x",
        }
        for n in range(201):
            begin = soon(-600) + timedelta(seconds=n)
            Reservation.objects.create(
                station=dark, state=S.RESERVED, starts_at=begin, expires_at=soon(-30), **rest
            )
        due = Reservation.objects.create(
            station=station, state=S.PLANNED, starts_at=soon(0), expires_at=soon(30), evse=None, **rest
        )
        assert reservations.sweep(tenant_id=tenant.pk, now=datetime.now(UTC)) == 1
        due.refresh_from_db()
        assert due.state == S.REQUESTED
        reservations.sweep(tenant_id=tenant.pk, now=soon(31))
        assert Reservation.objects.filter(station=dark, state=S.EXPIRED).count() == 200


def test_a_card_that_was_blocked_meanwhile_keeps_no_place(
    tenant: Tenant, station: Station, token: Token, owner_actor: Any
) -> None:
    with tenant_scope(tenant.pk):
        one = reservations.reserve(
            station=station,
            actor=owner_actor,
            token_uid="CARD",
            evse=1,
            starts_at=soon(60),
            expires_at=soon(90),
        )
        Token.objects.filter(pk=token.pk).update(blocked=True)
        assert reservations.sweep(tenant_id=tenant.pk, now=soon(60)) == 1
        one.refresh_from_db()
        assert (one.state, one.reason) == (S.CANCELLED, "The card may not charge there any more.")
        assert not Command.objects.exists()


def test_who_asks_at_two_stations_at_once_gets_one(
    tenant: Tenant, station: Station, make_station: Any, make_driver: Any, make_member: Any
) -> None:
    user, _password = make_member("driver")
    driver = make_driver(user_id=user.pk)
    with tenant_scope(tenant.pk):
        Token.objects.create(tenant=tenant, uid="MINE", driver=driver)
        AccessRule.objects.create(tenant=tenant, reservations=True)
    places = [station, make_station()]
    actor = Actor("user", str(user.pk), "Dora", frozenset(), user_id=user.pk)

    def book(place: Station) -> str:
        try:
            with tenant_scope(tenant.pk):
                reservations.reserve_own(driver=driver, actor=actor, station=place, evse=1, minutes=15)
                return "reserved"
        except Conflict:
            return "refused"
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        with tenant_scope(tenant.pk):  # both have asked before either is told
            Driver.objects.select_for_update().get(pk=driver.pk)
            tries = [pool.submit(book, place) for place in places]
            wait(tries, timeout=1)
        assert sorted(one.result(timeout=30) for one in tries) == ["refused", "reserved"]

"""Orders to many stations: who is asked, who is left out and why, how far it is, once more."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from stations.models import (
    Command,
    CommandBatch,
    CommandState,
    Connector,
    ConnectorStatus,
    LogRequest,
    LogState,
    Order,
    Station,
)
from stations.services import batches, commands
from stations.services.files import logs
from tenants.context import tenant_scope
from tenants.errors import Conflict, Invalid
from tenants.models import AuditRecord, Role, Site, Tenant
from tenants.permissions import Actor
from tests.objects import create_session
from tests.people import ApiClient, MakeMember
from tests.stations.ocpp.conftest import Plug, eventually, in_thread, rows

MakeStation = Callable[..., Station]


@pytest.fixture
def fleet(tenant: Tenant, make_station: MakeStation, site: Site) -> dict[str, Station]:
    """Four stations: idle, busy of 1.6, busy of 2.0.1, offline."""
    made = {
        "idle": make_station(site=site, name="Alpha", online=True, ocpp_version="1.6"),
        "busy": make_station(site=site, name="Bravo", online=True, ocpp_version="1.6"),
        "busy_2x": make_station(site=site, name="Charlie", online=True, ocpp_version="2.0.1"),
        "offline": make_station(site=site, name="Delta", online=False, ocpp_version="1.6"),
    }
    for name in ("busy", "busy_2x"):
        create_session(tenant, made[name])
    return made


def settle(batch: CommandBatch, state: CommandState, answer: str = "x") -> None:
    for command in batch.commands.all():
        commands.settle(tenant_id=batch.tenant_id, command_id=command.pk, state=state, answer=answer)


def names(found: Any) -> list[str]:
    return [station.name for station in found]


@pytest.mark.parametrize(
    ("order", "also_busy", "asked", "ends", "waits"),
    [
        (Order.RESTART, False, ["Alpha", "Charlie"], 0, 1),
        (Order.RESTART, True, ["Alpha", "Bravo", "Charlie"], 1, 1),  # 2.x waits all the same (B12)
        (Order.RESTART_NOW, False, ["Alpha"], 0, 0),
        (Order.RESTART_NOW, True, ["Alpha", "Bravo", "Charlie"], 2, 0),
        (Order.STATUS, False, ["Alpha", "Bravo", "Charlie"], 0, 0),
        (Order.OUT_OF_SERVICE, False, ["Alpha", "Bravo", "Charlie", "Delta"], 0, 0),
    ],
)
def test_who_gets_an_order(
    tenant: Tenant, fleet: dict[str, Station], order: Order, also_busy: bool, asked: list[str], ends: int, waits: int
) -> None:  # fmt: skip
    with tenant_scope(tenant.pk):
        choice = batches.choose(
            tenant_id=tenant.pk, stations=fleet.values(), order=order, also_busy=also_busy
        )
    assert (names(choice.asked), choice.ends, choice.waits) == (asked, ends, waits)
    assert {station.name for station, _why in choice.left_out} == {
        "Alpha",
        "Bravo",
        "Charlie",
        "Delta",
    } - set(asked)


def test_a_car_that_charges_without_a_session_is_not_restarted_either(
    tenant: Tenant, fleet: dict[str, Station]
) -> None:
    """Its session was closed here, or never told: the station says that it charges, and the list shows so."""
    with tenant_scope(tenant.pk):
        Connector.objects.filter(evse__station=fleet["idle"]).update(status=ConnectorStatus.SUSPENDED_EV)
        choice = batches.choose(tenant_id=tenant.pk, stations=[fleet["idle"]], order=Order.RESTART)
        assert choice.left_out == [(fleet["idle"], batches.BUSY)]
        choice = batches.choose(
            tenant_id=tenant.pk, stations=[fleet["idle"]], order=Order.RESTART, also_busy=True
        )
        assert (choice.asked, choice.ends) == ([fleet["idle"]], 1)


def test_the_order_is_given_to_each_and_written_down(
    tenant: Tenant, fleet: dict[str, Station], owner_actor: Actor
) -> None:
    with tenant_scope(tenant.pk):
        batch = batches.start(
            tenant_id=tenant.pk, actor=owner_actor, stations=fleet.values(), order=Order.RESTART
        )
        sent = Command.objects.filter(batch=batch)
        assert {(one.station_id, one.kind, one.arguments["hard"]) for one in sent} == {
            (fleet["idle"].pk, "reset", False),
            (fleet["busy_2x"].pk, "reset", False),
        }
        why = {entry["station"]: entry["why"] for entry in batch.left_out}
        assert why == {fleet["busy"].pk: "busy", fleet["offline"].pk: "offline"}
        assert AuditRecord.objects.filter(tenant=tenant, action="command.batch").count() == 1


def test_of_2x_each_connector_is_asked_for_its_status(
    tenant: Tenant, make_station: MakeStation, site: Site, owner_actor: Actor
) -> None:
    station = make_station(site=site, online=True, ocpp_version="2.1", evses=2)
    with tenant_scope(tenant.pk):
        batch = batches.start(tenant_id=tenant.pk, actor=owner_actor, stations=[station], order=Order.STATUS)
        told = [command.arguments for command in Command.objects.filter(batch=batch).order_by("id")]
    assert told == [{"message": "status", "evse": evse, "connector": 1} for evse in (1, 2)]


def test_an_order_of_too_many_messages_says_whom_it_leaves_out(
    tenant: Tenant, make_station: MakeStation, site: Site, owner_actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "MOST_COMMANDS", 2)
    large, small = (make_station(site=site, online=True, ocpp_version="2.1", evses=n) for n in (3, 1))
    with tenant_scope(tenant.pk):
        batch = batches.start(
            tenant_id=tenant.pk, actor=owner_actor, stations=[large, small], order=Order.STATUS
        )
        assert batch.commands.count() == 3
        (left,) = batch.left_out
        assert left["station"] == small.pk and "too long" in left["detail"]


def test_a_station_whose_connectors_are_unknown_does_not_vanish_from_the_order(
    tenant: Tenant, make_station: MakeStation, site: Site, owner_actor: Actor
) -> None:
    known = make_station(site=site, online=True, ocpp_version="2.0.1")
    bare = make_station(site=site, online=True, ocpp_version="2.0.1", evses=0)
    with tenant_scope(tenant.pk):
        batch = batches.start(
            tenant_id=tenant.pk, actor=owner_actor, stations=[known, bare], order=Order.STATUS
        )
        (left,) = batch.left_out
        assert (left["station"], left["why"]) == (bare.pk, "refused") and "connectors" in left["detail"]


def test_who_may_not_be_steered_is_left_out_with_the_reason(
    tenant: Tenant, fleet: dict[str, Station], make_station: MakeStation, make_site: Any,
    make_actor: Callable[..., Actor],
) -> None:  # fmt: skip
    elsewhere = make_station(site=make_site(), name="Echo", online=True, ocpp_version="1.6")
    manager = make_actor(Role.FACILITY_MANAGER, [fleet["idle"].site])
    with tenant_scope(tenant.pk):
        batch = batches.start(
            tenant_id=tenant.pk, actor=manager, stations=[fleet["idle"], elsewhere], order=Order.RESTART
        )
        assert [one.station_id for one in batch.commands.all()] == [fleet["idle"].pk]
        (left,) = batch.left_out
        assert (left["station"], left["why"]) == (elsewhere.pk, "refused") and left["detail"]
        with pytest.raises(Conflict):
            batches.start(tenant_id=tenant.pk, actor=manager, stations=[elsewhere], order=Order.RESTART)


@pytest.mark.parametrize("case", ["nobody", "too many", "no such order"])
def test_an_order_that_cannot_be_is_refused_in_words(
    tenant: Tenant, fleet: dict[str, Station], monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    monkeypatch.setattr(batches, "MOST_STATIONS", 3)
    stations = [] if case == "nobody" else list(fleet.values())
    with tenant_scope(tenant.pk), pytest.raises(Invalid) as refused:
        order = "explode" if case == "no such order" else Order.LOG
        batches.choose(tenant_id=tenant.pk, stations=stations, order=order)
    assert refused.value.fields


def test_what_waits_is_taken_back_and_what_failed_tried_again(
    tenant: Tenant, fleet: dict[str, Station], owner_actor: Actor
) -> None:
    with tenant_scope(tenant.pk):
        batch = batches.start(
            tenant_id=tenant.pk, actor=owner_actor, stations=fleet.values(), order=Order.OUT_OF_SERVICE
        )
        idle, busy = (batch.commands.get(station=fleet[name]) for name in ("idle", "busy"))
        for command, state in ((idle, CommandState.ACCEPTED), (busy, CommandState.REJECTED)):
            commands.settle(tenant_id=tenant.pk, command_id=command.pk, state=state, answer="x")
        assert batches.cancel(batch=batch, actor=owner_actor) == 2
        with pytest.raises(Conflict):
            batches.cancel(batch=batch, actor=owner_actor)
        once_more = batches.again(batch=batch, actor=owner_actor)
        asked = {command.station_id for command in once_more.commands.all()}
        assert asked == {fleet[name].pk for name in ("busy", "busy_2x", "offline")}
        assert once_more.order == Order.OUT_OF_SERVICE


def test_another_try_asks_for_nothing_that_was_done_since_and_ends_no_session_unasked(
    tenant: Tenant, fleet: dict[str, Station], owner_actor: Actor
) -> None:
    old = [fleet["idle"], fleet["busy"]]
    with tenant_scope(tenant.pk):
        batch = batches.start(
            tenant_id=tenant.pk, actor=owner_actor, stations=old, order=Order.RESTART, also_busy=True
        )
        settle(batch, CommandState.REJECTED)
        once_more = batches.again(batch=batch, actor=owner_actor)
        assert [command.station_id for command in once_more.commands.all()] == [fleet["idle"].pk]
        assert once_more.left_out == [{"station": fleet["busy"].pk, "why": "busy"}]
        settle(once_more, CommandState.ACCEPTED)
        with pytest.raises(Conflict):  # the one has done it, a car charges at the other
            batches.again(batch=batch, actor=owner_actor)
        third = batches.again(batch=batch, actor=owner_actor, also_busy=True)
        assert [command.station_id for command in third.commands.all()] == [fleet["busy"].pk]


def test_the_same_order_is_not_given_to_a_station_that_still_has_it(
    tenant: Tenant, fleet: dict[str, Station], owner_actor: Actor
) -> None:
    def give(order: Order) -> CommandBatch:
        return batches.start(
            tenant_id=tenant.pk, actor=owner_actor, stations=[fleet["offline"], fleet["idle"]], order=order
        )

    with tenant_scope(tenant.pk):
        first = give(Order.OUT_OF_SERVICE)
        commands.settle(
            tenant_id=tenant.pk, command_id=first.commands.get(station=fleet["idle"]).pk, state="accepted"
        )
        second = give(Order.OUT_OF_SERVICE)
        assert second.left_out == [{"station": fleet["offline"].pk, "why": "asked"}]
        give(Order.IN_SERVICE)
        assert give(Order.OUT_OF_SERVICE).left_out == []  # the last word counts: it is another one


def test_those_asked_first_wait_no_shorter_than_the_last(
    tenant: Tenant, fleet: dict[str, Station], owner_actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None goes out before all are asked, which takes a while for hundreds: it is no part of the minute they wait."""
    clock = iter([timezone.now(), timezone.now() + timedelta(seconds=90)])
    monkeypatch.setattr(batches, "timezone", SimpleNamespace(now=lambda: next(clock)))
    with tenant_scope(tenant.pk):
        batch = batches.start(
            tenant_id=tenant.pk, actor=owner_actor, stations=[fleet["idle"]], order=Order.RESTART
        )
        command = batch.commands.get()
    assert command.expires_at - command.created_at >= timedelta(seconds=145)


def test_two_who_press_at_once_ask_each_station_once(
    tenant: Tenant, fleet: dict[str, Station], owner_actor: Actor
) -> None:
    with tenant_scope(tenant.pk):
        batch = batches.start(
            tenant_id=tenant.pk, actor=owner_actor, stations=[fleet["idle"]], order=Order.CLEAR_CACHE
        )
        settle(batch, CommandState.REJECTED)
    begun = threading.Barrier(2)
    refused: list[Conflict] = []

    def press() -> None:
        try:
            with tenant_scope(tenant.pk):
                begun.wait(10)
                batches.again(batch=batch, actor=owner_actor)
        except Conflict as error:
            refused.append(error)
        finally:
            connections.close_all()

    both = [threading.Thread(target=press) for _n in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    with tenant_scope(tenant.pk):
        assert Command.objects.filter(station=fleet["idle"]).count() == 2
    assert len(refused) == 1


def test_a_log_asked_for_in_the_newer_message_counts_for_the_order(
    tenant: Tenant, fleet: dict[str, Station], owner_actor: Actor
) -> None:
    """1.6 with the security extension may not know GetDiagnostics: it is asked by GetLog then."""
    with tenant_scope(tenant.pk):
        batch = batches.start(
            tenant_id=tenant.pk, actor=owner_actor, stations=[fleet["idle"]], order=Order.LOG
        )
        settle(batch, CommandState.REJECTED, "NotSupported")
        command = batch.commands.get()
        assert (command.kind, command.state) == ("fetch_log", "queued")
        assert not batches.undone(batch=batch, actor=owner_actor)


def test_a_log_is_cancelled_while_its_order_is_taken_back(
    tenant: Tenant, fleet: dict[str, Station], owner_actor: Actor
) -> None:
    """Who takes back the order holds the command and will want the log's row: the canceller must not wait for him."""
    with tenant_scope(tenant.pk):
        batch = batches.start(
            tenant_id=tenant.pk, actor=owner_actor, stations=[fleet["idle"]], order=Order.LOG
        )
        asked = LogRequest.objects.get(station=fleet["idle"])
    held, cancelled = threading.Event(), threading.Event()
    taken: list[int] = []

    def take_back() -> None:
        try:
            with tenant_scope(tenant.pk):
                list(batch.commands.select_for_update(of=("self",)))
                held.set()
                cancelled.wait(10)
                taken.append(batches.cancel(batch=batch, actor=owner_actor))
        finally:
            connections.close_all()

    thread = threading.Thread(target=take_back)
    thread.start()
    held.wait(10)
    with tenant_scope(tenant.pk), connections["default"].cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '5s'")
        logs.cancel(asked=asked, actor=owner_actor)
    cancelled.set()
    thread.join()
    with tenant_scope(tenant.pk):
        asked.refresh_from_db()
    assert (asked.state, taken) == ("cancelled", [1])


# --- by REST


def test_many_stations_by_rest(
    tenant: Tenant, other_tenant: Tenant, fleet: dict[str, Station], make_station: MakeStation,
    api_client: Callable[..., ApiClient],
) -> None:  # fmt: skip
    desk = api_client()
    ids = [station.pk for station in fleet.values()]
    made = desk.write("POST", "/command-batches", {"order": "settings", "station_ids": ids}, status=202)
    assert (made["states"], made["left_out"]) == ({"queued": 4}, [])
    listed = desk.read("/commands", batch_id=made["id"])["results"]
    assert {one["station_id"] for one in listed} == set(ids)
    assert {one["kind"] for one in listed} == {"read_configuration", "read_report"}
    stranger = make_station(tenant=other_tenant)
    desk.write("POST", "/command-batches", {"order": "log", "station_ids": [stranger.pk]}, status=422)
    other = api_client(tenant=other_tenant)
    assert other.call("GET", f"/command-batches/{made['id']}").status_code == 404
    desk.write("POST", f"/command-batches/{made['id']}/cancel", {})
    assert desk.read(f"/command-batches/{made['id']}")["states"] == {"cancelled": 4}
    once_more = desk.write("POST", f"/command-batches/{made['id']}/again", {"also_busy": True}, status=202)
    assert (once_more["states"], once_more["also_busy"]) == ({"queued": 4}, True)
    (newer, older) = desk.read("/command-batches")["results"]
    assert (newer["id"], older["states"]) == (once_more["id"], {"cancelled": 4})


# --- by the portal


@pytest.fixture
def operator(make_member: MakeMember, portal_client: Callable[..., Client]) -> Client:
    user, _password = make_member(Role.OPERATOR)
    return portal_client(user)


def test_an_order_is_looked_over_before_it_goes_out(
    tenant: Tenant, fleet: dict[str, Station], operator: Client
) -> None:
    new = reverse("batch-new", args=[tenant.slug])
    ids = [station.pk for station in fleet.values()]
    given: dict[str, Any] = {"order": "restart", "station": ids}
    page = operator.get(new, given).content.decode()
    assert "2 stations get the order" in page and "2 are left out" in page
    assert "Restart them as well" in page and "It is offline." in page
    with tenant_scope(tenant.pk):
        assert not CommandBatch.objects.exists()
    page = operator.get(new, given | {"also_busy": "yes"}).content.decode()
    assert "1 running session ends." in page and "1 session goes on;" in page
    assert "Restart them as well" not in page
    answer = operator.post(new, given)
    with tenant_scope(tenant.pk):
        batch = CommandBatch.objects.get(tenant=tenant)
    assert answer.headers["Location"] == reverse("batch", args=[tenant.slug, batch.pk])
    shown = operator.get(answer.headers["Location"]).content.decode()
    assert "0 of 2 done" in shown and "A car charges there." in shown and "Take back 2 that wait" in shown


def test_an_order_that_nobody_takes_leaves_no_trace(
    tenant: Tenant, fleet: dict[str, Station], operator: Client
) -> None:
    address = reverse("batch-new", args=[tenant.slug])
    answer = operator.post(address, {"order": "log", "station": fleet["offline"].pk}, follow=True)
    assert "None of these stations can be asked now." in answer.content.decode()
    with tenant_scope(tenant.pk):
        assert not CommandBatch.objects.exists()


def test_those_that_failed_are_looked_over_before_they_are_asked_again(
    tenant: Tenant, fleet: dict[str, Station], operator: Client, owner_actor: Actor
) -> None:
    old = [fleet["idle"], fleet["busy"]]
    with tenant_scope(tenant.pk):
        batch = batches.start(
            tenant_id=tenant.pk, actor=owner_actor, stations=old, order=Order.RESTART, also_busy=True
        )
        settle(batch, CommandState.REJECTED)
    page = operator.get(reverse("batch", args=[tenant.slug, batch.pk])).content.decode()
    assert "Try again: 2 stations" in page
    given: dict[str, Any] = {"again": batch.pk}
    page = operator.get(reverse("batch-new", args=[tenant.slug]), given).content.decode()
    assert "1 station gets the order" in page and f"?again={batch.pk}&amp;also_busy=yes" in page
    page = operator.get(
        reverse("batch-new", args=[tenant.slug]), given | {"also_busy": "yes"}
    ).content.decode()
    assert "2 stations get the order" in page and "1 running session ends." in page
    with tenant_scope(tenant.pk):
        assert CommandBatch.objects.count() == 1


def test_of_logs_the_order_tells_which_are_here(
    tenant: Tenant, fleet: dict[str, Station], operator: Client, owner_actor: Actor
) -> None:
    """That a station will upload is not yet a file: one that promised and failed can be asked again."""
    with tenant_scope(tenant.pk):
        batch = batches.start(
            tenant_id=tenant.pk, actor=owner_actor, stations=[fleet["idle"], fleet["busy"]], order=Order.LOG
        )
        settle(batch, CommandState.ACCEPTED)
        LogRequest.objects.filter(station=fleet["idle"]).update(state=LogState.UPLOADED)
        LogRequest.objects.filter(station=fleet["busy"]).update(state=LogState.TIMED_OUT)
    page = operator.get(reverse("batch", args=[tenant.slug, batch.pk])).content.decode()
    assert "1 log is here" in page and "Nothing came in time" in page
    assert "Try again: 1 station" in page and "data-live" not in page.partition('id="batch"')[2]


def test_all_of_a_list_are_those_that_its_filters_show(
    tenant: Tenant, fleet: dict[str, Station], operator: Client
) -> None:
    new = reverse("batch-new", args=[tenant.slug])
    given: dict[str, Any] = {"order": "settings", "all": "yes", "q": "Bravo", "station": fleet["idle"].pk}
    page = operator.get(new, given).content.decode()
    assert "Bravo" in page and "Alpha" not in page
    page = operator.get(new, {"order": "settings", "all": "yes", "state": "offline"}).content.decode()
    assert "Delta" in page and "Alpha" not in page


@pytest.mark.parametrize(
    "data", [{"order": "restart"}, {"order": "explode", "station": "1"}, {"station": "x"}]
)
def test_an_order_to_nobody_leads_back_with_words(
    tenant: Tenant, fleet: dict[str, Station], operator: Client, data: dict[str, str]
) -> None:
    answer = operator.get(reverse("batch-new", args=[tenant.slug]), data, follow=True)
    assert answer.redirect_chain[-1][0] == reverse("stations", args=[tenant.slug])
    assert (
        "Tick at least one station." in answer.content.decode() or "Choose one of" in answer.content.decode()
    )


# --- on the wire


async def test_stations_of_two_versions_carry_out_one_order(
    plug: Plug, tenant: Tenant, make_station: MakeStation, site: Site, owner_actor: Actor
) -> None:
    old, new = [await in_thread(lambda: make_station(site=site)) for _n in range(2)]
    async with plug(old, "1.6") as first, plug(new, "2.1") as second:
        batch = await rows(
            tenant,
            lambda: batches.start(
                tenant_id=tenant.pk,
                actor=owner_actor,
                stations=Station.objects.filter(pk__in=[old.pk, new.pk]),
                order=Order.RESTART,
            ),
        )
        call = await first.next_call()
        assert call[2:] == ["Reset", {"type": "Soft"}]
        await first.answer(call, {"status": "Accepted"})
        call = await second.next_call()
        assert call[2:] == ["Reset", {"type": "OnIdle"}]
        await second.answer(call, {"status": "Rejected"})

        async def states() -> set[str] | None:
            found = await rows(tenant, lambda: set(batch.commands.values_list("state", flat=True)))
            return found if found == {"accepted", "rejected"} else None

        await eventually(states)

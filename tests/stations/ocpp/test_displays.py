"""Messages on displays: written once, sent to many, followed at each, read back (block O)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stations.models import DisplayMessage, DisplayStanding, Station, Variable
from stations.services import displays
from tenants.context import tenant_scope
from tenants.errors import Conflict, Invalid
from tenants.models import Site, Tenant
from tests.people import ApiClient
from tests.stations.ocpp.conftest import Plug, applied, in_thread, rows

TEXTS = [
    {"language": "en", "format": "utf8", "text": "Half price today"},
    {"language": "de", "format": "utf8", "text": "Heute zum halben Preis"},
]
V2 = ("2.0.1", "2.1")


async def write(tenant: Tenant, actor: Any, stations: list[Station], **values: Any) -> Any:
    def act() -> Any:
        fresh = list(Station.objects.filter(tenant=tenant, pk__in=[one.pk for one in stations]))
        given = {"contents": TEXTS, "priority": "in_front"} | values
        return displays.write(tenant_id=tenant.pk, actor=actor, stations=fresh, **given)

    return await rows(tenant, act)


async def standing(tenant: Tenant, station: Station, want: str) -> DisplayMessage:
    """The station's newest message once it stands so."""
    import asyncio

    for _try in range(100):
        found = await rows(tenant, lambda: DisplayMessage.objects.filter(station=station).first())
        if found is not None and found.standing == want:
            return found
        await asyncio.sleep(0.1)
    raise AssertionError(f"it stands {found and found.standing}: {found and found.detail}")


@pytest.mark.parametrize("version", V2)
async def test_a_message_goes_out_in_the_stations_words_and_stands_as_shown(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    ends = datetime.now(UTC) + timedelta(hours=2)
    async with plug(station, version) as wire:
        notice = await write(tenant, owner_actor, [station], state="charging", ends_at=ends)
        call = await wire.next_call()
        sent = call[3]["message"]
        assert call[2] == "SetDisplayMessage"
        assert (sent["priority"], sent["state"]) == ("InFront", "Charging")
        assert sent["message"] == {"format": "UTF8", "language": "en", "content": "Half price today"}
        more = [{"format": "UTF8", "language": "de", "content": "Heute zum halben Preis"}]
        assert sent.get("messageExtra") == (more if version == "2.1" else None)
        assert datetime.fromisoformat(sent["endDateTime"]) == ends
        await wire.answer(call, {"status": "Accepted"})
        shown = await standing(tenant, station, DisplayStanding.SHOWN)
        assert shown.notice_id == notice.pk and shown.told_at is not None


@pytest.mark.parametrize("version", V2)
async def test_a_refusal_stands_at_the_message_with_its_reason_and_can_be_tried_again(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    async with plug(station, version) as wire:
        await write(tenant, owner_actor, [station])
        await wire.answer(await wire.next_call(), {"status": "NotSupportedPriority"})
        refused = await standing(tenant, station, DisplayStanding.REFUSED)
        assert "does not know this priority" in refused.detail
        again = lambda: displays.send_again(  # noqa: E731
            message=DisplayMessage.objects.select_related("station", "notice").get(pk=refused.pk),
            actor=owner_actor,
        )
        await rows(tenant, again)
        await wire.answer(await wire.next_call(), {"status": "Accepted"})
        await standing(tenant, station, DisplayStanding.SHOWN)
        with pytest.raises(Conflict):
            await rows(tenant, again)


@pytest.mark.parametrize("version", V2)
async def test_a_message_is_taken_off_and_one_that_waits_is_called_back(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    async with plug(station, version) as wire:
        notice = await write(tenant, owner_actor, [station])
        call = await wire.next_call()
        await wire.answer(call, {"status": "Accepted"})
        await standing(tenant, station, DisplayStanding.SHOWN)
        await rows(tenant, lambda: displays.withdraw(notice=notice, actor=owner_actor))
        gone = await wire.next_call()
        assert gone[2:] == ["ClearDisplayMessage", {"id": call[3]["message"]["id"]}]
        await wire.answer(gone, {"status": "Accepted"})
        await standing(tenant, station, DisplayStanding.CLEARED)
    later = await write(tenant, owner_actor, [station])
    await rows(tenant, lambda: displays.withdraw(notice=later, actor=owner_actor))
    await standing(tenant, station, DisplayStanding.CLEARED)


@pytest.mark.parametrize("version", V2)
async def test_what_the_station_lists_is_kept_in_parts_and_what_it_lacks_is_missing(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any, version: str
) -> None:
    async with plug(station, version) as wire:
        await write(tenant, owner_actor, [station])
        await wire.answer(await wire.next_call(), {"status": "Accepted"})
        ours = await standing(tenant, station, DisplayStanding.SHOWN)
        await rows(tenant, lambda: displays.ask(station=station, actor=owner_actor))
        call = await wire.next_call()
        assert call[2] == "GetDisplayMessages"
        await wire.answer(call, {"status": "Accepted"})
        for number, last in ((901, False), (902, True)):
            told = {
                "id": number, "priority": "NormalCycle", "state": "Idle",
                "message": {"format": "ASCII", "content": f"Welcome {number}"},
            }  # fmt: skip
            part = {"requestId": call[3]["requestId"], "tbc": not last, "messageInfo": [told]}
            assert await wire.ok("NotifyDisplayMessages", part) == {}
        await applied(tenant)

    def kept() -> dict[int, tuple[str, str]]:
        return {
            one.number: (one.standing, one.text) for one in DisplayMessage.objects.filter(station=station)
        }

    found = await rows(tenant, kept)
    assert found[901] == (DisplayStanding.SHOWN, "Welcome 901")
    assert found[902][0] == DisplayStanding.SHOWN
    assert found[ours.number][0] == DisplayStanding.MISSING


async def test_stations_that_cannot_show_it_say_why_before_anything_is_sent(
    tenant: Tenant, site: Site, make_station: Callable[..., Station], owner_actor: Any
) -> None:
    old = await in_thread(lambda: make_station(site=site, ocpp_version="1.6"))
    full = await in_thread(lambda: make_station(site=site, ocpp_version="2.1"))

    def told() -> None:
        Variable.objects.create(
            tenant=tenant, station=full, component="DisplayMessageCtrlr", name="DisplayMessages", value="4",
            max_limit=4, read_at=datetime.now(UTC), source="report",
        )  # fmt: skip

    await rows(tenant, told)
    await write(tenant, owner_actor, [old, full])
    found = await rows(
        tenant, lambda: dict(DisplayMessage.objects.values_list("station_id", "detail").filter(tenant=tenant))
    )
    assert "OCPP 1.6" in found[old.pk]
    assert "4 messages already" in found[full.pk]


async def test_messages_end_with_their_time_and_with_their_session(
    plug: Plug, tenant: Tenant, station: Station, owner_actor: Any
) -> None:
    async with plug(station, "2.1") as wire:
        await write(tenant, owner_actor, [station], transaction_id="tx-gone")
        call = await wire.next_call()
        assert call[3]["message"]["transactionId"] == "tx-gone"
        await wire.answer(call, {"status": "Accepted"})
        await standing(tenant, station, DisplayStanding.SHOWN)
    now = datetime.now(UTC)
    assert await rows(tenant, lambda: displays.expire(tenant_id=tenant.pk, now=now)) == 1
    await standing(tenant, station, DisplayStanding.EXPIRED)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"contents": []}, "contents"),
        ({"contents": [{"text": "  "}]}, "contents"),
        ({"contents": [{"text": "a"}, {"text": "b"}]}, "contents"),
        ({"contents": [{"text": "x" * 1025}]}, "contents"),
        ({"priority": "loud"}, "priority"),
        ({"state": "sleepy"}, "state"),
        ({"ends_at": datetime(2020, 1, 1, tzinfo=UTC)}, "ends_at"),
    ],
)
async def test_what_cannot_be_shown_is_refused_by_field(
    tenant: Tenant, station: Station, owner_actor: Any, values: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        await write(tenant, owner_actor, [station], **values)
    assert field in refused.value.fields


def test_by_rest_it_goes_to_a_whole_site_and_each_outcome_is_told(
    tenant: Tenant, site: Site, make_station: Callable[..., Station], api_client: Callable[..., ApiClient]
) -> None:
    for version in ("2.0.1", "1.6"):
        make_station(site=site, ocpp_version=version)
    api = api_client()
    texts = [{"language": "en", "text": "Closed at ten"}]
    written = api.write("POST", "/displays", {"contents": texts, "site_ids": [site.pk]}, status=201)
    assert sorted(message["standing"] for message in written["messages"]) == ["refused", "waiting"]
    taken = api.write("POST", f"/displays/{written['id']}/withdraw", {})
    assert sorted(message["standing"] for message in taken["messages"]) == ["cleared", "refused"]


def test_who_has_some_of_the_sites_takes_it_off_there_alone(
    tenant: Tenant,
    make_station: Callable[..., Station],
    make_site: Callable[..., Site],
    make_actor: Callable[..., Any],
    owner_actor: Any,
) -> None:
    mine, other = make_site(), make_site()
    here = make_station(site=mine, ocpp_version="2.1")
    there = make_station(site=other, ocpp_version="2.1")
    manager = make_actor("facility_manager", sites=[mine])
    with tenant_scope(tenant.pk):

        def standings() -> dict[int, str]:
            return dict(DisplayMessage.objects.values_list("station_id", "standing"))

        notice = displays.write(
            tenant_id=tenant.pk, actor=owner_actor, stations=[here, there], contents=TEXTS
        )
        assert displays.withdraw(notice=notice, actor=manager).withdrawn_at is None
        assert standings() == {here.pk: DisplayStanding.CLEARED, there.pk: DisplayStanding.WAITING}
        assert displays.withdraw(notice=notice, actor=owner_actor).withdrawn_at is not None
        assert standings() == {here.pk: DisplayStanding.CLEARED, there.pk: DisplayStanding.CLEARED}
        # Nor may the manager end it for the others once theirs is off as well.
        later = displays.write(tenant_id=tenant.pk, actor=owner_actor, stations=[there], contents=TEXTS)
        displays.take_off(message=later.copies.get(), actor=owner_actor)
        assert displays.withdraw(notice=later, actor=manager).withdrawn_at is None

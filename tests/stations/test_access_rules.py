"""What the rules of access mean for those who charge: start buttons, terminals, master passes, strangers offline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from fleets.models import Token, TokenKind, Verdict
from portal import queries
from stations.models import Command, Connector, Session, SessionState, Station
from stations.neutral import AuthorizeRequest, TokenShown
from stations.services import access, tokens
from stations.services.holding import NOBODY
from tenants.context import tenant_scope
from tenants.models import Tenant
from tenants.permissions import system
from tests.stations.telling import POWER, Speaker, begin, end, now, sample, value

MakeToken = Callable[..., Token]


def rule(station: Station, **changes: Any) -> None:
    with tenant_scope(station.tenant_id):
        access.change_rule(
            tenant_id=station.tenant_id, actor=system("tests"), site=station.site, changes=changes
        )


def authorize(station: Station, uid: str, kind: str = "") -> Any:
    with tenant_scope(station.tenant_id):
        request = AuthorizeRequest(station.pk, TokenShown(uid, kind), now())
        return tokens.authorize(tenant_id=station.tenant_id, requests=[request])[0]


def anonymous(speaker: Speaker, kind: str, uid: str = "") -> Session:
    shown = TokenShown(uid, kind)
    speaker.tell(replace(speaker.event("started", 0, samples=[begin(1000)]), token=shown))
    speaker.tell(speaker.event("ended", 1, minutes=50, samples=[end(6000)]))
    return speaker.session()


@pytest.mark.parametrize(
    ("kind", "uid", "name"),
    [
        (TokenKind.NO_AUTHORIZATION, "", "free_charging"),
        (TokenKind.DIRECT_PAYMENT, "PSP-1", "direct_payment"),
    ],
)
def test_who_shows_no_token_of_ours_is_let_in_by_the_rules(
    speaker: Speaker, make_station: Callable[..., Station], kind: str, uid: str, name: str
) -> None:
    held = anonymous(speaker, kind, uid)
    assert (held.verdict, held.state, held.held_reason) == (Verdict.INVALID, SessionState.HELD, NOBODY)
    other = Speaker(make_station(site=speaker.station.site), speaker.began)
    rule(other.station, **{name: True})
    free = anonymous(other, kind, uid)
    assert (free.verdict, free.state, free.flags) == (Verdict.ACCEPTED, SessionState.ENDED, [])
    assert free.token_id is None and free.driver_id is None


def test_many_may_charge_for_free_at_once(speaker: Speaker, make_station: Callable[..., Station]) -> None:
    rule(speaker.station, free_charging=True)
    shown = TokenShown("FREE", TokenKind.NO_AUTHORIZATION)
    others = [speaker, Speaker(make_station(site=speaker.station.site))]
    answers = [one.tell(replace(one.event("started", 0), token=shown))[0] for one in others]
    assert [answer.verdict for answer in answers] == [Verdict.ACCEPTED, Verdict.ACCEPTED]


def test_a_station_may_differ_from_its_site_and_its_site_from_the_company(station: Station) -> None:
    free = TokenKind.NO_AUTHORIZATION
    assert authorize(station, "", free).verdict == Verdict.INVALID
    with tenant_scope(station.tenant_id):
        own: dict[str, Any] = {"tenant_id": station.tenant_id, "actor": system("tests")}
        access.change_rule(**own, changes={"free_charging": True})
    assert authorize(station, "", free).verdict == Verdict.ACCEPTED
    rule(station, free_charging=False)
    assert authorize(station, "", free).verdict == Verdict.INVALID
    with tenant_scope(station.tenant_id):
        access.change_rule(**own, station=station, changes={"free_charging": True})
    assert authorize(station, "", free).verdict == Verdict.ACCEPTED


def test_a_master_pass_ends_sessions_of_1_6_and_starts_none(speaker: Speaker, make_token: MakeToken) -> None:
    make_token(uid="BOSS", group="MASTERS")
    rule(speaker.station, master_group="MASTERS")
    (answer,) = speaker.start(uid="CARD")
    assert authorize(speaker.station, "BOSS").verdict == Verdict.ACCEPTED
    with tenant_scope(speaker.tenant_id):
        (command,) = Command.objects.filter(tenant_id=speaker.tenant_id)
    assert (command.kind, command.origin_label) == ("stop", "Master pass")
    assert command.arguments == {"transaction_id": str(answer.transaction_number)}
    (refused,) = speaker.start(uid="BOSS", connector=2)
    assert refused.verdict == Verdict.INVALID
    (ended,) = speaker.stop(number=answer.transaction_number, uid="BOSS")
    assert ended.verdict == Verdict.ACCEPTED


def test_a_master_pass_of_2_x_is_told_its_group_and_the_station_does_the_rest(
    speaker: Speaker, make_token: MakeToken
) -> None:
    make_token(uid="BOSS", group="MASTERS")
    rule(speaker.station, master_group="MASTERS")
    answer = authorize(speaker.station, "BOSS", TokenKind.ISO14443)
    assert (answer.verdict, answer.group) == (Verdict.ACCEPTED, "MASTERS")
    with tenant_scope(speaker.tenant_id):
        assert not Command.objects.filter(tenant_id=speaker.tenant_id).exists()
    (started,) = speaker.tell(speaker.event("started", 0, uid="BOSS"))
    assert started.verdict == Verdict.INVALID
    (ended,) = speaker.tell(speaker.event("ended", 1, minutes=9, uid="BOSS", stopped_reason="MasterPass"))
    assert ended.verdict == Verdict.ACCEPTED


def test_who_charged_offline_with_a_card_that_nobody_knows(speaker: Speaker) -> None:
    began = now() - timedelta(hours=3)
    speaker.start(speaker.start_request("STRANGER", at=began, received_at=now()))
    assert speaker.session().flags == ["offline_token"]


@pytest.mark.parametrize(("offline", "flag"), [(True, "offline_token"), (False, "token_refused")])
def test_the_same_in_2_x(speaker: Speaker, offline: bool, flag: str) -> None:
    speaker.tell(speaker.event("started", 0, uid="STRANGER", offline=offline))
    assert speaker.session().flags == [flag]


def test_what_the_station_says_to_the_driver_comes_along(station: Station, make_token: MakeToken) -> None:
    make_token(uid="HALLO", language="de", message="Guten Tag")
    answer = authorize(station, "HALLO", TokenKind.ISO14443)
    assert (answer.language, answer.message) == ("de", "Guten Tag")


def test_the_power_of_a_connector_comes_from_its_transaction(speaker: Speaker) -> None:
    def power() -> float | None:
        with tenant_scope(speaker.tenant_id):
            return Connector.objects.get(evse__station=speaker.station).power_w

    speaker.tell(speaker.event("started", 0, uid="CARD", samples=[begin(1000)]))
    speaker.tell(speaker.event("updated", 1, minutes=10, samples=[value(2000), value(7400, POWER, unit="W")]))
    assert power() == 7400
    speaker.tell(speaker.event("updated", 2, minutes=5, samples=[value(1500), value(3700, POWER, unit="W")]))
    assert power() == 7400, "late news"
    speaker.tell(speaker.event("ended", 3, minutes=50, samples=[end(6000)]))
    assert power() == 0


def test_the_overview_draws_the_power_of_who_tells_energy_alone(
    speaker: Speaker, tenant: Tenant, owner_actor: Any
) -> None:
    """3 kWh in half an hour are 6 kW in each of the quarters that it touches."""
    at = timezone.now().replace(second=0, microsecond=0) - timedelta(hours=2)
    at = at.replace(minute=at.minute // 15 * 15)
    speaker.began = at
    speaker.start(at=at, meter=1000)
    speaker.meter(*[_sample(at, minutes, 1000 + 100 * minutes) for minutes in (10, 20, 30)])
    with tenant_scope(tenant.pk):
        curve = dict(queries.power_curve(tenant, owner_actor))
    drawn = {point: round(watts) for point, watts in curve.items() if watts}
    assert drawn == {at: 6000, at + timedelta(minutes=15): 6000}


def _sample(at: Any, minutes: int, register: int) -> Any:
    return sample(at + timedelta(minutes=minutes), value(register))

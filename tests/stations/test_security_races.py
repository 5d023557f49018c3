"""What happens between a look at the door and the socket, and what was missed: nobody stays in, or out, by mistake."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from stations import pki as product
from stations.models import (
    Command,
    CommandState,
    PasswordChange,
    ProfileChange,
    SigningRequest,
    Station,
    StationCertificate,
)
from stations.ocpp.gateway import Gateway
from stations.services import (
    authority,
    commands,
    connections,
    expiry,
    passwords,
    security_profiles,
    signing,
    stations,
)
from stations.services.connections import OpenRequest
from tenants.context import tenant_scope
from tests.stations import pki


def coming(station: Station, password_hash: str = "", profile: int = 1) -> OpenRequest:
    return OpenRequest(
        station.pk, "g", "1.6", "", timezone.now(), profile=profile, password_hash=password_hash
    )


def enter(request: OpenRequest, tenant_id: int) -> Any:
    return connections.open_many(tenant_id=tenant_id, requests=[request])[0]


def certified(station: Station, use: str = "station") -> StationCertificate:
    issuer = authority.ensure(station.tenant_id)
    csr, _key = pki.request(station.identity)
    made = product.issue(
        request=product.wish(csr).request, common_name=station.identity, organisation="",
        days=30, issuer=authority.signer(issuer),
    )  # fmt: skip
    return signing._keep(station, issuer, made, use)


def test_a_password_that_was_changed_since_the_look_opens_no_more(station: Station, owner_actor: Any) -> None:
    with tenant_scope(station.tenant_id):
        station = Station.objects.get(pk=station.pk)
        request = coming(station, station.password_hash)
        stations.renew_password(station=station, actor=owner_actor)
        assert enter(request, station.tenant_id) is None
        assert not Station.objects.get(pk=station.pk).online
        assert enter(replace(request, password_hash=station.password_hash), station.tenant_id) is not None


def test_a_new_password_that_was_given_up_since_the_look_opens_no_more(
    station: Station, owner_actor: Any
) -> None:
    with tenant_scope(station.tenant_id):
        change = passwords.rotate(station=station, actor=owner_actor)
        station = Station.objects.get(pk=station.pk)
        request = replace(coming(station, station.next_password_hash), used_next=True)
        commands.settle(tenant_id=station.tenant_id, command_id=change.command_id or 0, state="failed")
        assert enter(request, station.tenant_id) is None
        assert enter(coming(station, station.password_hash), station.tenant_id) is not None


def test_a_certificate_that_was_taken_back_since_the_look_opens_no_more(
    station: Station, owner_actor: Any
) -> None:
    with tenant_scope(station.tenant_id):
        certificate = certified(station)
        signing.revoke(certificate=certificate, actor=owner_actor)
        opened = enter(coming(station, profile=3), station.tenant_id)
        arrival = security_profiles.Arrival(station.pk, opened.epoch, 3, certificate.pk)
        assert security_profiles.arrived(tenant_id=station.tenant_id, requests=[arrival]) == [False]
        now = Station.objects.get(pk=station.pk)
        assert (now.online, now.highest_profile) == (False, 0)


async def test_a_socket_whose_end_was_not_heard_of_is_closed(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The NOTIFY came before the socket was known here, or was lost."""

    class Kept:
        epoch = 0
        closed = False

        def close(self, code: int, reason: str) -> None:
            self.closed = True

    def close_forgotten(*, gateway: str, held: set[tuple[int, int]]) -> set[tuple[int, int]]:
        """The real one asks a function of the database that is the gateway's alone."""
        with tenant_scope(station.tenant_id):
            known = Station.objects.filter(online=True, gateway=gateway).values_list("pk", "epoch")
            return held - set(known)

    monkeypatch.setattr(connections, "close_forgotten", close_forgotten)
    link = Kept()
    gateway = object.__new__(Gateway)
    gateway.name, gateway.links, gateway._lost = "g", {station.pk: link}, set()  # type: ignore[dict-item]

    def take() -> None:
        with tenant_scope(station.tenant_id):
            link.epoch = enter(coming(station), station.tenant_id).epoch

    def away() -> None:
        with tenant_scope(station.tenant_id):
            stations.close_socket(Station.objects.get(pk=station.pk))

    with ThreadPoolExecutor(1) as gateway._threads:
        await gateway._in_thread(take)
        for _round in range(2):
            await gateway._drop_lost()
        assert not link.closed
        await gateway._in_thread(away)
        for _round in range(2):
            assert not link.closed
            await gateway._drop_lost()
        assert link.closed


def test_a_password_set_by_hand_keeps_the_station_from_being_told_another(
    station: Station, owner_actor: Any
) -> None:
    with tenant_scope(station.tenant_id):
        change = passwords.rotate(station=station, actor=owner_actor)
        station = Station.objects.get(pk=station.pk)
        stations.renew_password(station=station, actor=owner_actor)
        assert Command.objects.get(pk=change.command_id or 0).state == CommandState.CANCELLED
        change.refresh_from_db()
        assert (change.state, change.secret) == ("failed", "")
        passwords.rotate(station=station, actor=owner_actor)  # nothing is in its way


def test_the_end_of_a_command_that_was_missed_is_made_up_for(station: Station, owner_actor: Any) -> None:
    with tenant_scope(station.tenant_id):
        change = passwords.rotate(station=station, actor=owner_actor)
        Command.objects.filter(pk=change.command_id or 0).update(
            state=CommandState.REJECTED, answer="NotSupported"
        )
        PasswordChange.objects.update(tried_hex=True)
        assert passwords.settle(tenant_id=station.tenant_id) == 1
        change.refresh_from_db()
        assert (change.state, Station.objects.get(pk=station.pk).next_password_hash) == ("failed", "")


@pytest.mark.parametrize("use", ["v2g", "station"])
def test_only_the_certificate_to_log_in_by_takes_a_change_on(
    station: Station, owner_actor: Any, use: str
) -> None:
    with tenant_scope(station.tenant_id):
        change = security_profiles.start(station=station, actor=owner_actor, profile=3)
        assert change.state == "certificate"
        row = SigningRequest.objects.create(
            tenant_id=station.tenant_id, station=station, use=use, csr="", state="signed",
            received_at=timezone.now(), certificate=certified(station, use),
        )  # fmt: skip
        signing._send(row)
        commands.settle(tenant_id=station.tenant_id, command_id=row.command_id or 0, state="accepted")
        change.refresh_from_db()
        assert change.state == ("switch" if use == "station" else "certificate")


def test_a_change_ends_when_its_certificate_is_refused(station: Station, owner_actor: Any) -> None:
    with tenant_scope(station.tenant_id):
        change = security_profiles.start(station=station, actor=owner_actor, profile=3)
        row = SigningRequest.objects.create(
            tenant_id=station.tenant_id, station=station, csr="", received_at=timezone.now()
        )
        signing.refuse(row=row, actor=owner_actor, reason="Not this one.")
        change.refresh_from_db()
        assert (change.state, change.detail) == ("failed", "Not this one.")


def test_a_change_to_profile_3_signs_nothing_towards_cars(station: Station, owner_actor: Any) -> None:
    with tenant_scope(station.tenant_id):
        security_profiles.start(station=station, actor=owner_actor, profile=3)
        Command.objects.all().delete()
        assert signing._expected(station, "station", 30)
        assert not signing._expected(station, "v2g", 30)


@pytest.mark.parametrize(
    ("use", "message"), [("v2g", "sign_v2g_certificate"), ("v2g20", "sign_v2g20_certificate")]
)
def test_a_certificate_towards_cars_is_listed_and_renewed_before_it_ends(
    station: Station, use: str, message: str
) -> None:
    with tenant_scope(station.tenant_id):
        Station.objects.update(online=True, ocpp_version="2.1")
        certified(station)
        StationCertificate.objects.update(not_after=timezone.now() + timedelta(days=700))  # it lasts
        ends = certified(station, use)
        StationCertificate.objects.filter(pk=ends.pk).update(not_after=timezone.now() + timedelta(days=9))
        found = expiry.expiring(tenant_id=station.tenant_id, site_ids=frozenset({station.site_id}))
        assert [one.id for one in found] == [ends.pk]
        assert signing.renew_due(tenant_id=station.tenant_id) == 1
        assert Command.objects.get().arguments == {"message": message}
        assert signing._expected(station, use, 30) and not signing._expected(station, "station", 30)
        assert signing.renew_due(tenant_id=station.tenant_id) == 0


def test_changes_whose_time_is_up_end_however_many_are_under_way(station: Station) -> None:
    tenant_id, now = station.tenant_id, timezone.now()

    def change(of: Station, minutes: int) -> ProfileChange:
        return ProfileChange(
            tenant_id=tenant_id, station=of, from_profile=1, to_profile=2, state="root",
            deadline=now + timedelta(minutes=minutes),
        )  # fmt: skip

    with tenant_scope(tenant_id):
        change(station, -1).save()
        others = Station.objects.bulk_create(
            Station(tenant_id=tenant_id, site_id=station.site_id, identity=f"OTHER-{n}") for n in range(501)
        )
        ProfileChange.objects.bulk_create(change(other, 60) for other in others)
        assert security_profiles.sweep(tenant_id=tenant_id) == 1
        assert ProfileChange.objects.get(station=station).state == "failed"

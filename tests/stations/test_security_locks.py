"""Who ends a command and who ends what waits for it never wait for each other in a circle."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.db import connections as databases

from stations.models import Command, CommandState, PasswordChange, ProfileChange, Station
from stations.services import commands, passwords, security_profiles, stations
from tenants.context import tenant_scope


class Party(threading.Thread):
    """Works in a transaction of its own; what it raises is raised where it is joined."""

    def __init__(self, tenant_id: int, work: Callable[[Party], None]) -> None:
        super().__init__()
        self.tenant_id, self.work = tenant_id, work
        self.pid, self.reached = 0, threading.Event()
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            with tenant_scope(self.tenant_id):
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_backend_pid()")
                    self.pid = cursor.fetchone()[0]
                self.work(self)
        except BaseException as error:
            self.error = error
        finally:
            self.reached.set()
            databases.close_all()

    def halts(self) -> None:
        """Returns once it waits for a lock, or is done."""
        while self.is_alive():
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE pid = %s AND NOT granted)", [self.pid]
                )
                if cursor.fetchone()[0]:
                    return
            time.sleep(0.01)

    def ends(self) -> None:
        self.join()
        if self.error is not None:
            raise self.error


def changing(station: Station, actor: Any) -> PasswordChange:
    with tenant_scope(station.tenant_id):
        return passwords.rotate(station=station, actor=actor)


def rising(station: Station, actor: Any) -> ProfileChange:
    with tenant_scope(station.tenant_id):
        return security_profiles.start(station=station, actor=actor, profile=2)


def first_password(station: Station) -> PasswordChange:
    with tenant_scope(station.tenant_id):
        return PasswordChange.objects.select_related("station").get(station=station)


def test_a_command_is_taken_back_while_the_gateway_looks_for_the_next(
    station: Station, owner_actor: Any
) -> None:
    change = changing(station, owner_actor)

    def cancel(party: Party) -> None:
        commands.cancel(command=Command.objects.get(pk=change.command_id or 0), actor=owner_actor)

    def claim(party: Party) -> None:
        held = stations.locked(tenant_id=station.tenant_id, station_id=station.pk)
        other = Party(station.tenant_id, cancel)
        parties.append(other)
        other.reached.wait(0.05)
        other.halts()
        claimed = commands.claim(tenant_id=station.tenant_id, epochs={station.pk: held.epoch})
        assert claimed == ([], set())

    parties: list[Party] = []
    parties.append(Party(station.tenant_id, claim))
    parties[0].ends()
    parties[-1].ends()
    assert first_password(station).state == "failed"


def test_a_password_is_used_while_its_command_ends(
    station: Station, owner_actor: Any, caplog: pytest.LogCaptureFixture
) -> None:
    change = changing(station, owner_actor)

    def refused(party: Party) -> None:
        commands.settle(
            tenant_id=station.tenant_id, command_id=change.command_id or 0, state=CommandState.FAILED
        )

    def enter(party: Party) -> None:
        held = stations.locked(tenant_id=station.tenant_id, station_id=station.pk)
        other = Party(station.tenant_id, refused)
        parties.append(other)
        other.reached.wait(0.05)
        other.halts()
        passwords.used(station=held)

    parties: list[Party] = []
    parties.append(Party(station.tenant_id, enter))
    parties[0].ends()
    parties[-1].ends()
    assert first_password(station).state == "used"
    assert not caplog.records  # such as "the end of a command was not followed up"


def test_a_change_of_profile_is_given_up_while_its_command_ends(station: Station, owner_actor: Any) -> None:
    change = rising(station, owner_actor)

    def give_up(party: Party) -> None:
        found = ProfileChange.objects.select_related("station").get(pk=change.pk)
        security_profiles.cancel(change=found, actor=owner_actor)

    def settle(party: Party) -> None:
        Command.objects.select_for_update().get(pk=change.command_id or 0)
        other = Party(station.tenant_id, give_up)
        parties.append(other)
        other.reached.wait(0.05)
        other.halts()
        commands.settle(
            tenant_id=station.tenant_id, command_id=change.command_id or 0, state=CommandState.ACCEPTED
        )

    parties: list[Party] = []
    parties.append(Party(station.tenant_id, settle))
    parties[0].ends()
    parties[-1].ends()
    with tenant_scope(station.tenant_id):
        assert ProfileChange.objects.get(pk=change.pk).state == "cancelled"
        assert Command.objects.get(pk=change.command_id or 0).state == "accepted"

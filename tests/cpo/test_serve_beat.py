"""Of any number of `serve beat` one leads, and another takes over when it is gone."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.servers import Role, Roles


def eventually(holds: Callable[[], bool], patience_s: float = 30) -> bool:
    deadline = time.monotonic() + patience_s
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.1)
    return holds()


def leads(role: Role) -> bool:
    return "leading beat" in role.output()


def test_a_standby_takes_over_from_a_killed_leader(roles: Roles) -> None:
    first = roles.start("beat")
    assert eventually(lambda: leads(first)), first.output()
    second = roles.start("beat")
    assert eventually(lambda: "waiting to take over" in second.output()), second.output()
    assert not leads(second)
    first.kill()
    assert eventually(lambda: leads(second)), second.output()


def test_a_waiting_standby_ends_at_once_when_told(roles: Roles) -> None:
    first = roles.start("beat")
    assert eventually(lambda: leads(first)), first.output()
    second = roles.start("beat")
    assert eventually(lambda: "waiting to take over" in second.output()), second.output()
    second.stop()
    assert second.process.poll() is not None
    assert leads(first)

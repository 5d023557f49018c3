"""The table of subscribers: nothing enters or leaves it unseen."""

from __future__ import annotations

import pytest

from cpo.celery import SCHEDULE, app
from cpo.subscribers import SUBSCRIBERS
from tenants.services import actors, facts

pytestmark = pytest.mark.nodb


def test_the_table_is_what_was_agreed() -> None:
    assert {name: kinds for name, (kinds, _handler) in SUBSCRIBERS.items()} == {
        "stations.local_lists": {
            "token.created", "token.changed", "token.deleted", "token.imported", "driver.changed", "access.changed",
        },
    }  # fmt: skip


def test_the_table_is_connected() -> None:
    assert facts.table().keys() >= SUBSCRIBERS.keys()
    assert [one.__module__ for one in actors._narrow] == ["fleets.services.scopes"]


def test_every_task_of_the_schedule_exists() -> None:
    app.loader.import_default_modules()
    assert set(SCHEDULE) <= set(app.tasks)
    assert "tenants.tasks.dispatch_facts" in SCHEDULE

"""What if: asked in the portal, reckoned by a worker from what was recorded, shown beside what was."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from energy.models import GridConnection, SiteMinute, WhatIf
from energy.services import whatif
from energy.tasks import run_what_ifs
from stations.models import Evse, Reading, Session
from tenants.context import tenant_scope
from tenants.errors import Conflict, Forbidden, Invalid
from tenants.models import AuditRecord, Role, Site, Tenant
from tenants.permissions import Actor
from tests import objects
from tests.energy.pictures import minutes
from tests.energy.sites import Rows, create_tree

Make = Callable[..., Any]
BEGIN = datetime(2026, 3, 2, 10, tzinfo=UTC)


@pytest.fixture
def made(tenant: Tenant, site: Site, make_station: Make) -> Rows:
    return create_tree(tenant, site, [make_station(site=site, name="Ramp 1")], main_a=32.0)


def charged(made: Rows, *, hours: float = 4, kwh: float = 11.04, kw: float = 11.04) -> Session:
    """One session at the first connector, with a reading of its most power."""
    tenant = made.connection.tenant
    with tenant_scope(tenant.pk):
        evse = Evse.objects.select_related("station").get(pk=made.outlets[0].evse_id)
    session = objects.create_session(
        tenant, evse.station, started_at=BEGIN, ended_at=BEGIN + timedelta(hours=hours), state="rated",
        energy_wh=kwh * 1000,
    )  # fmt: skip
    with tenant_scope(tenant.pk):
        Reading.objects.create(
            id=session.pk, tenant_id=tenant.pk, station_id=evse.station_id, evse_number=1, session_id=session.pk,
            sampled_at=BEGIN, received_at=BEGIN, context="Sample.Periodic", digest="x", power_w=kw * 1000, values=[],
        )  # fmt: skip
    return session


def ask(made: Rows, actor: Actor, *, hours: float = 5, **settings: Any) -> WhatIf:
    with tenant_scope(made.connection.tenant_id):
        return whatif.ask(
            connection=made.connection, actor=actor, begins_at=BEGIN, ends_at=BEGIN + timedelta(hours=hours),
            settings=whatif.Settings(**settings),
        )  # fmt: skip


def run(made: Rows, row: WhatIf) -> dict[str, Any]:
    assert whatif.run_due(tenant_id=made.connection.tenant_id) == 1
    with tenant_scope(made.connection.tenant_id):
        row.refresh_from_db()
    assert (row.state, row.error, row.progress) == ("done", "", 1.0)
    result: dict[str, Any] = row.result
    return result


def test_half_the_limit_by_hand(made: Rows, owner_actor: Actor) -> None:
    """A car of 16 A that took 11.04 kWh, beside a building of 2 A on each line (1380 W).

    With 32 A it is full after an hour and the site takes 12.42 kW. With 10 A, 8 are left for it: full after two hours,
    and the site takes 6.9 kW. It drives off after four, so nothing is lacking.
    """
    session = charged(made)
    minutes(made, BEGIN, 300, cars_w=2208, building_w=1380)
    result = run(made, ask(made, owner_actor, limit_a=10.0))
    really, as_it_is, changed = (result[name] for name in ("really", "as_it_is", "what_if"))
    assert (result["sessions"], result["need_wh"], result["known"]) == (1, 11_040, 1.0)
    assert as_it_is["peak_w"] == pytest.approx(12_420) and changed["peak_w"] == pytest.approx(6_900)
    assert really["peak_w"] == pytest.approx(3_588)
    assert (as_it_is["bound_h"], changed["bound_h"]) == (0, 2)
    assert (as_it_is["not_full"], changed["not_full"]) == (0, 0)
    assert changed["site_w"] == [6900] * 8 + [1380] * 12
    assert as_it_is["site_w"] == [12_420] * 4 + [1380] * 16
    assert result["rows"] == [[session.pk, 11_040, 11_040, 11_040]]


def test_a_limit_that_is_too_low_leaves_cars_empty(made: Rows, owner_actor: Actor) -> None:
    """8 A, less the building's 2: 6 A for an hour are 4.14 of 11.04 kWh."""
    charged(made, hours=1)
    minutes(made, BEGIN, 300, cars_w=2208, building_w=1380)
    result = run(made, ask(made, owner_actor, limit_a=8.0))
    assert result["what_if"]["given_wh"] == pytest.approx(4_140)
    assert (result["as_it_is"]["not_full"], result["what_if"]["not_full"]) == (0, 1)


def test_a_peak_of_the_site_counts_cars_and_building(made: Rows, owner_actor: Actor) -> None:
    """6.9 kW less 1.38 of the building leave 5.52 kW: 8 A."""
    charged(made)
    minutes(made, BEGIN, 300, cars_w=2208, building_w=1380)
    result = run(made, ask(made, owner_actor, peak_kw=6.9))
    assert result["what_if"]["peak_w"] == pytest.approx(6_900)
    assert result["what_if"]["given_wh"] == pytest.approx(11_040)


def test_what_the_policy_holds_is_held_in_both(made: Rows, owner_actor: Actor) -> None:
    """A peak of 6.9 kW that the policy holds anyway; asked for 9.66 kW: 8.28 of them for the car, 12 A."""
    with tenant_scope(made.connection.tenant_id):
        GridConnection.objects.update(policy={"peak": {"mode": "hold", "limit_kw": 6.9}})
    charged(made)
    minutes(made, BEGIN, 300, cars_w=2208, building_w=1380)
    result = run(made, ask(made, owner_actor, peak_kw=9.66))
    assert result["as_it_is"]["peak_w"] == pytest.approx(6_900)
    assert result["what_if"]["peak_w"] == pytest.approx(9_660)


def test_where_nothing_was_recorded_the_building_counts_with_its_most(made: Rows, owner_actor: Actor) -> None:
    charged(made)
    with tenant_scope(made.connection.tenant_id):
        assert not SiteMinute.objects.exists()
    result = run(made, ask(made, owner_actor))
    assert result["known"] == 0 and result["really"]["peak_w"] is None
    assert result["as_it_is"]["peak_w"] == pytest.approx(11_040 + 10 * 690)  # building_most_a


def test_the_sun_leaves_more_for_cars(made: Rows, owner_actor: Actor) -> None:
    """10 A of the main breaker, building 6 A, sun 4 A: 8 A are left."""
    charged(made)
    minutes(made, BEGIN, 300, cars_w=2208, building_w=6 * 690, solar_w=4 * 690)
    assert run(made, ask(made, owner_actor, limit_a=10.0))["what_if"]["bound_h"] == 2


def test_costs_by_prices(made: Rows, owner_actor: Actor) -> None:
    """11.04 kWh: at once all at 0.50 from ten to eleven; over two hours half of it an hour later at 0.20."""
    price = {"per_kwh": 0.2, "per_kw": 10, "windows": [{"begins": "11:00", "ends": "12:00", "per_kwh": 0.5}]}
    with tenant_scope(made.connection.tenant_id):
        GridConnection.objects.update(policy={"price": price})  # Berlin: 11 to 12 is 10 to 11 UTC
    charged(made)
    minutes(made, BEGIN, 300, cars_w=0, building_w=1380)
    result = run(made, ask(made, owner_actor, limit_a=10.0))
    assert result["as_it_is"]["cost"] == pytest.approx(5.52)
    assert result["what_if"]["cost"] == pytest.approx(3.86)  # 2.76 + 1.104
    assert result["as_it_is"]["peak_cost"] == pytest.approx(124.2)


def test_half_a_session_counts_half(made: Rows, owner_actor: Actor) -> None:
    """Of four hours two lie within the time asked for: half its energy."""
    charged(made)
    assert run(made, ask(made, owner_actor, hours=2))["need_wh"] == pytest.approx(5_520)


def test_what_cannot_be_is_said(made: Rows, owner_actor: Actor, make_actor: Make) -> None:
    def refused(**values: Any) -> set[str]:
        with pytest.raises(Invalid) as error:
            ask(made, owner_actor, **values)
        return set(error.value.fields)

    assert refused(node=10**12, limit_a=5) == {"node"}
    assert refused(node=made.root.pk) == {"limit_a"}
    assert refused(limit_a=-1) == {"limit_a"} and refused(peak_kw=10**9) == {"peak_kw"}
    assert refused(share="luck") == {"share"} and refused(hours=24 * 32) == {"ends_at"}
    assert refused(hours=0.2) == {"ends_at"}
    with pytest.raises(Forbidden):
        ask(made, make_actor(Role.TECHNICIAN))
    for _number in range(whatif.MOST_OPEN):
        ask(made, owner_actor)
    with pytest.raises(Conflict):
        ask(made, owner_actor)


def test_a_worker_that_died_is_followed_by_another(made: Rows, owner_actor: Actor) -> None:
    row = ask(made, owner_actor)
    ago = timezone.now() - whatif.DEAD
    with tenant_scope(made.connection.tenant_id):
        WhatIf.objects.update(state="running", seen_at=timezone.now())
    assert whatif.run_due(tenant_id=made.connection.tenant_id) == 0
    with tenant_scope(made.connection.tenant_id):
        WhatIf.objects.update(seen_at=ago)
    run(made, row)


def test_one_that_fails_says_so(made: Rows, owner_actor: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    row = ask(made, owner_actor)

    def broken(*args: Any) -> Any:
        raise FloatingPointError

    monkeypatch.setattr(whatif, "compute", broken)
    whatif.run_due(tenant_id=made.connection.tenant_id)
    with tenant_scope(made.connection.tenant_id):
        row.refresh_from_db()
    assert row.state == "failed" and "log says why" in row.error


def test_the_whole_way_in_the_portal(
    made: Rows, tenant: Tenant, make_member: Make, portal_client: Make, make_site: Make
) -> None:
    charged(made)
    minutes(made, BEGIN, 300, cars_w=2208, building_w=1380)
    user, _password = make_member(Role.FACILITY_MANAGER, [made.connection.site])
    browser: Client = portal_client(user)
    base = f"/t/{tenant.slug}/sites/{made.connection.site_id}/what-if/"
    assert "Nothing has been asked yet" in browser.get(base).content.decode()
    form = {"first_day": "2026-03-02", "last_day": "2026-03-02", "node": str(made.root.pk), "share": "need"}
    wrong = browser.post(base, form | {"last_day": "2026-05-02", "limit_a": "10"})
    assert wrong.status_code == 422 and "at most 31 days" in wrong.content.decode()
    sent = browser.post(base, form | {"limit_a": "10"})
    assert sent.status_code == 302
    page = sent["Location"]
    waiting = browser.get(page).content.decode()
    assert "Waits for a worker" in waiting and 'hx-trigger="every 1s"' in waiting
    assert run_what_ifs.apply().get() >= 1
    shown = browser.get(page).content.decode().replace("\u00a0", " ")
    assert "What if: Main at 10 A" in shown and "every 1s" not in shown
    assert "12.4 kW" in shown and "6.9 kW" in shown and "Nobody: all would have got what they took." in shown
    chart = browser.get(f"{page}chart.json").json()
    assert [one["label"] for one in chart["series"]] == ["Really", "Replayed as it is", "What if"]
    assert len(chart["x"]) == len(chart["series"][2]["values"]) == 96
    lines = list(csv.DictReader(io.StringIO(browser.get(f"{page}quarters.csv").content.decode())))
    [at_ten] = [line for line in lines if line["quarter_from"] == BEGIN.isoformat()]
    assert (at_ten["really_w"], at_ten["as_it_is_w"], at_ten["what_if_w"]) == ("3588", "12420", "6900")
    sessions = list(csv.DictReader(io.StringIO(browser.get(f"{page}sessions.csv").content.decode())))
    assert [line["took_wh"] for line in sessions] == ["11040"]
    other, _password = make_member(Role.FACILITY_MANAGER, [make_site()])
    for part in ("", "chart.json", "quarters.csv", "sessions.csv"):
        assert portal_client(other).get(f"{page}{part}").status_code == 404
    technician, _password = make_member(Role.TECHNICIAN)
    assert portal_client(technician).get(page).status_code == 200
    assert portal_client(technician).post(base, form).status_code == 403
    assert portal_client(technician).post(f"{page}delete/").status_code == 403
    assert browser.post(f"{page}delete/").status_code == 302
    assert browser.get(page).status_code == 404
    with tenant_scope(tenant.pk):
        actions = AuditRecord.objects.filter(action__startswith="whatif.").order_by("id")
        assert list(actions.values_list("action", flat=True)) == ["whatif.create", "whatif.delete"]

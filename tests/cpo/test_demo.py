"""The demo: made once, kept afterwards, and true to every rule that real data obey."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.core.management import CommandError, call_command
from django.db.models import F
from django.test import Client
from django.utils import timezone

from billing.models import Charge
from billing.services import charges
from cpo.demo import founding, summary
from energy.models import GridConnection, SiteMinute
from fleets.models import Token, Verdict
from fleets.services.authorization import Shown, judge
from simulator.building import load_a
from simulator.run import read_buildings, read_plans
from stations.models import (
    OrphanMessage,
    QuarantinedStation,
    Reading,
    Session,
    SessionState,
    Station,
    StationEvent,
    StatusEntry,
)
from stations.services import orphan_review
from stations.services.stations import password_hash
from tenants import queries, rows
from tenants.context import as_platform, tenant_scope
from tenants.models import Tenant
from tenants.permissions import system
from tenants.services import keys

Demo = tuple[Tenant, Path]


@pytest.fixture(scope="module")
def demo(worker_database: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    from django.test import override_settings

    folder = tmp_path_factory.mktemp("demo")
    with override_settings(DATA_DIR=folder, GATEWAY_URL="ws://127.0.0.1:9123"):
        call_command("demo")
        yield Tenant.objects.get(slug="nordlicht"), folder / "demo.json"


def test_a_second_run_keeps_everything(demo: Demo) -> None:
    tenant, path = demo
    with tenant_scope(tenant.pk):
        before = (Session.objects.count(), Station.objects.count(), Token.objects.count())
    told = path.read_text()
    call_command("demo")
    with tenant_scope(tenant.pk):
        assert (Session.objects.count(), Station.objects.count(), Token.objects.count()) == before
    assert path.read_text() == told
    assert before[0] > 1000


def test_only_its_owner_reads_the_logins(demo: Demo) -> None:
    assert demo[1].stat().st_mode & 0o777 == 0o600


def test_every_login_works_and_leads_to_its_role(demo: Demo) -> None:
    for login in json.loads(demo[1].read_text())["logins"]:
        user = authenticate(username=login["email"], password=login["password"])
        assert user is not None, login["email"]
        roles = {(tenant.slug, role) for tenant, role in queries.tenants_of(user.pk)}
        assert roles == ({(login["tenant"], login["role"])} if login["tenant"] else set())
        assert user.is_staff == (login["role"] == "platform_staff")


def test_the_api_key_opens_the_company(demo: Demo) -> None:
    tenant, path = demo
    found = keys.authenticate(f"Bearer {json.loads(path.read_text())['api_key']}")
    assert found is not None
    assert found.tenant == tenant


def test_the_simulator_reads_its_stations_and_their_passwords_fit(demo: Demo) -> None:
    tenant, path = demo
    plans = read_plans(str(path))
    assert len(plans) > 16
    assert {plan.version for plan in plans} == {"1.6", "2.0.1", "2.1"}
    ours = [plan for plan in plans if plan.url == "ws://127.0.0.1:9123/ocpp/nordlicht"]
    with tenant_scope(tenant.pk):
        for plan in ours:
            station = Station.objects.get(tenant=tenant, identity=plan.identity)
            assert station.password_hash == password_hash(plan.password or "")
            assert len(plan.password or "") == 20
            assert station.evses.count() == plan.connectors
            assert plan.tokens


def test_passwords_of_an_earlier_version_are_shortened(demo: Demo) -> None:
    tenant, path = demo
    own = json.loads(path.read_text())["charger"]
    with tenant_scope(tenant.pk):
        station = Station.objects.get(tenant=tenant, identity=own["identity"])
        theirs = Station.objects.filter(tenant=tenant).exclude(pk=station.pk)[0]
        long = founding.derived(f"station {tenant.slug} {station.identity}", 24)
        Station.objects.filter(pk=station.pk).update(password_hash=password_hash(long))
        kept = theirs.password_hash
        Station.objects.filter(pk=theirs.pk).update(password_hash=password_hash("chosen by its owner"))
    call_command("demo")
    with tenant_scope(tenant.pk):
        station.refresh_from_db()
        theirs.refresh_from_db()
        assert station.password_hash == password_hash(own["password"])
        assert theirs.password_hash == password_hash("chosen by its owner")
        Station.objects.filter(pk=theirs.pk).update(password_hash=kept)


def test_no_card_is_dealt_to_two_stations_but_the_blocked_one(demo: Demo) -> None:
    tenant, path = demo
    plans = [plan for plan in read_plans(str(path)) if plan.url.endswith("/nordlicht")]
    dealt = [uid for plan in plans for uid in plan.tokens]
    assert len(dealt) == len(set(dealt))
    with tenant_scope(tenant.pk):
        site = Station.objects.get(tenant=tenant, identity=plans[0].identity).site_id
        now = timezone.now()
        verdicts = rows.alone(tenant.pk, judge([Shown(uid, site, now) for uid in dealt]))
    assert [one.verdict for one in verdicts].count(Verdict.BLOCKED) == 1
    assert [one.verdict for one in verdicts].count(Verdict.ACCEPTED) == len(dealt) - 1


def test_a_charger_of_one_s_own_can_connect(demo: Demo) -> None:
    tenant, path = demo
    own = json.loads(path.read_text())["charger"]
    with tenant_scope(tenant.pk):
        station = Station.objects.get(tenant=tenant, identity=own["identity"])
    assert own["url_path"] == f"/ocpp/{tenant.slug}/{station.identity}"
    assert station.password_hash == password_hash(own["password"])


def test_every_charge_is_what_its_tariff_and_usage_give(demo: Demo) -> None:
    tenant, _path = demo
    with tenant_scope(tenant.pk):
        made = list(Charge.objects.filter(tenant=tenant))
        sessions = {f"session:{one.pk}": one for one in Session.objects.filter(tenant=tenant)}
    assert len(made) > 1000
    for charge in made:
        again, session = charges.replay(charge), sessions[charge.subject]
        assert (again.excl_tax, again.incl_tax) == (charge.excl_tax, charge.incl_tax)
        assert (session.charge_id, session.cost_incl_tax) == (charge.pk, charge.incl_tax)
        assert session.energy_wh == charge.energy_wh


def test_billed_energy_is_stop_minus_start_and_nobody_charges_twice_at_once(demo: Demo) -> None:
    tenant, _path = demo
    with tenant_scope(tenant.pk):
        found = Session.objects.filter(tenant=tenant)
        assert not found.exclude(energy_wh=F("meter_stop_wh") - F("meter_start_wh")).exists()
        rated = list(found.filter(state=SessionState.RATED).order_by("started_at"))
    free_from: dict[tuple[str, int | None], Any] = {}
    for session in rated:
        for place in (("token", session.token_id), ("evse", session.evse_id)):
            assert free_from.get(place, session.started_at) <= session.started_at
            free_from[place] = session.ended_at


def test_readings_rise_from_the_start_to_the_stop(demo: Demo) -> None:
    tenant, _path = demo
    with tenant_scope(tenant.pk):
        for session in Session.objects.filter(tenant=tenant).order_by("-pk")[:40]:
            found = Reading.objects.filter(tenant=tenant, session_id=session.pk).order_by("sampled_at")
            shown = [reading.energy_wh or Decimal(-1) for reading in found]
            assert shown == sorted(shown)
            assert (shown[0], shown[-1]) == (session.meter_start_wh, session.meter_stop_wh)


def test_something_needs_attention(demo: Demo) -> None:
    tenant, _path = demo
    with tenant_scope(tenant.pk):
        held = list(Session.objects.filter(tenant=tenant, state=SessionState.HELD))
        assert len(held) == 3
        assert all(session.held_reason and session.charge_id is None for session in held)
        (orphan,) = OrphanMessage.objects.filter(tenant=tenant)
        fits = orphan_review.fitting(orphan=orphan, actor=system("Olga"))
        (fit,) = [one for one in fits if "guardian_unsure" in one.session.flags]
        assert fit.outcome.state == SessionState.ENDED
        assert fit.outcome.energy_wh == orphan.payload["meterStop"] - fit.session.meter_start_wh
        assert QuarantinedStation.objects.filter(tenant=tenant).exists()


def test_a_lost_summary_is_written_again_with_a_new_key(demo: Demo) -> None:
    tenant, path = demo
    old = json.loads(path.read_text())["api_key"]
    path.unlink()
    call_command("demo")
    new = summary.read()["api_key"]
    assert keys.authenticate(f"Bearer {old}") is None
    found = keys.authenticate(f"Bearer {new}")
    assert found is not None
    assert found.tenant == tenant


def test_no_demo_in_production(settings: Any) -> None:
    settings.PRODUCTION = True
    with pytest.raises(CommandError):
        call_command("demo")


def test_both_companies_are_there_and_apart(demo: Demo) -> None:
    with as_platform():
        assert set(
            Tenant.objects.filter(slug__in=["nordlicht", "rheinladen"]).values_list("slug", flat=True)
        ) == {
            "nordlicht",
            "rheinladen",
        }


def test_each_fault_of_a_timeline_is_drawn_and_counted(demo: Demo) -> None:
    tenant, _path = demo
    place = ("station_id", "evse_number")
    with tenant_scope(tenant.pk):
        told = StationEvent.objects.filter(tenant=tenant, kind="status", severity="error")
        drawn = StatusEntry.objects.filter(tenant=tenant, status="faulted")
        times = set(told.values_list(*place, "occurred_at"))
        assert times and times <= set(drawn.values_list(*place, "at"))


def test_two_sites_are_steered_and_their_buildings_tell_what_they_take(demo: Demo, client: Client) -> None:
    tenant, path = demo
    buildings = read_buildings(str(path))
    with tenant_scope(tenant.pk):
        steered = GridConnection.objects.filter(tenant=tenant, steers=True)
        assert {one.site.name for one in steered} == {"Hamburg Harbour Depot", "Soltau Highway Hub"}
        minutes = SiteMinute.objects.filter(tenant=tenant, connection__in=steered)
        assert minutes.count() > 2 * 7 * 1440
        assert all(one.cars_w + (one.building_w or 0) == one.grid_w for one in minutes[:500])
        assert minutes.filter(cars_w__gt=20_000).exists()
    assert {building.name for building in buildings} == {"Parcel hall", "Rest stop"}
    for building in buildings:
        answer = client.post(
            building.url.removeprefix("http://127.0.0.1:8000"),
            {"amps": load_a(building.name, building.most_a, timezone.now())},
            content_type="application/json",
            headers={"authorization": f"Bearer {building.key}"},
        )
        assert answer.json() == {"kept": 1, "known": 0, "refused": []}
        # Their key does nothing else.
        assert (
            client.get("/api/v1/sites", headers={"authorization": f"Bearer {building.key}"}).status_code
            == 403
        )


def test_a_building_never_takes_more_than_its_most() -> None:
    begins = datetime(2026, 3, 2, tzinfo=UTC)
    found = [load_a("Hall", 60.0, begins + timedelta(seconds=97 * n)) for n in range(8000)]
    assert all(0 < amps <= 60 for three in found for amps in three)
    assert max(max(three) for three in found) > 45 and min(min(three) for three in found) < 10

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from stations.models import *
from tenants.context import tenant_scope
from tests import objects
from tests.portal.test_browser import broken_rules, quiet, sign_in, web  # noqa
from tests.stations.ocpp.test_der import CURVE

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("width", [1440, 390])
def test_shots(page, web, tenant, site, make_member, width):
    user, password = make_member("owner")
    station = objects.create_station(
        tenant,
        site,
        identity="HARBOUR-7",
        evses=2,
        ocpp_version="2.1",
        online=True,
        vendor="Acme",
        model="V2G 22",
    )
    with tenant_scope(tenant.pk):
        Station.objects.filter(pk=station.pk).update(last_seen_at=datetime.now(UTC))
    session = objects.create_session(tenant, station, power_w=10800, energy_wh=7300, soc_percent=44)
    now = datetime.now(UTC).replace(microsecond=0)
    with tenant_scope(tenant.pk):

        def prof(number, **v):
            return ChargingProfile.objects.create(
                tenant=tenant,
                station=station,
                number=number,
                state=v.pop("state", "accepted"),
                label="Olga Owner",
                settled_at=now,
                **v,
            )

        prof(
            10001,
            purpose="transaction",
            evse_number=1,
            session=session,
            transaction_id=session.transaction_id,
            intent="limit",
            stack_level=2,
            periods=[{"start_s": 0, "limit": 10}],
            starts_at=now,
            duration_s=7200,
            valid_to=now + timedelta(hours=2),
        )
        prof(
            10002,
            purpose="default",
            evse_number=1,
            intent="limit",
            stack_level=2,
            periods=[{"start_s": 0, "limit": 10}],
            starts_at=now,
            duration_s=7200,
            valid_to=now + timedelta(hours=2),
        )
        prof(
            10003,
            purpose="station_max",
            evse_number=0,
            kind="recurring",
            recurrency="daily",
            intent="recurring",
            stack_level=1,
            periods=[{"start_s": 0, "limit": 24}],
            starts_at=now.replace(hour=17, minute=0, second=0),
            duration_s=3 * 3600,
            more={"begins": "18:00", "ends": "21:00"},
        )
        prof(
            10004,
            purpose="transaction",
            kind="dynamic",
            evse_number=2,
            intent="limit",
            unit="W",
            periods=[{"start_s": 0, "setpoint": -5000, "mode": "central_setpoint"}],
        )
        prof(
            10005,
            purpose="default",
            evse_number=1,
            intent="limit",
            state="rejected",
            reason="InvalidSchedule: unit not supported",
            periods=[{"start_s": 0, "limit": 6}],
        )
        PowerConstraint.objects.create(
            tenant=tenant,
            site=site,
            station=station,
            source="grid_operator",
            grid_critical=True,
            told_by="station",
            periods=[{"start_s": 0, "limit": 25000}],
            starts_at=now,
            ends_at=now + timedelta(hours=4),
        )
        PowerConstraint.objects.create(
            tenant=tenant,
            site=site,
            source="grid_operator",
            told_by="api",
            label="Grid key",
            reference="DIM-4711",
            periods=[{"start_s": 0, "limit": 44000}],
            starts_at=now,
            ends_at=now + timedelta(hours=1),
        )
        CompositeTold.objects.create(
            tenant=tenant,
            station=station,
            evse_number=1,
            unit="A",
            starts_at=now,
            duration_s=86400,
            told_at=now,
            periods=[{"start_s": 0, "limit": 10}, {"start_s": 7200, "limit": 16}],
        )
        SessionPower.objects.create(
            tenant=tenant,
            station=station,
            evse_number=1,
            session=session,
            needs_at=now,
            needs_answer="accepted",
            energy_wh=22000,
            departure_at=now + timedelta(hours=5),
            soc_percent=44,
            target_soc_percent=80,
            max_power_w=11040,
            transfer="AC_BPT",
            transfers=["AC_BPT", "AC_three_phase"],
            bidirectional={"maxDischargePower": 10000},
            plan_at=now,
            plan_starts_at=now,
            plan_unit="W",
            plan=[
                {"start_s": 0, "limit": 6900},
                {"start_s": 7200, "limit": 11000},
                {"start_s": 14000, "limit": 2000},
            ],
            plan_accepted=True,
            priority=True,
        )
        for n, (kind, state, s) in enumerate(
            [
                ("volt_var", "active", CURVE),
                ("freq_watt", "superseded", {"points": [[50.2, 100], [51.5, 48]], "y_unit": "pct_max_w"}),
                ("gradients", "active", {"gradient": 20, "soft_gradient": 2}),
            ]
        ):
            DerControl.objects.create(
                tenant=tenant,
                station=station,
                control_id=f"VY{n}",
                kind=kind,
                state=state,
                settings=s,
                label="Olga Owner",
            )
        StationEvent.objects.create(
            tenant=tenant,
            station=station,
            kind="der_alarm",
            severity="error",
            text="Grid alarm: High voltage, must trip (over voltage)",
            detail={"control": "hv_must_trip", "fault": "over_voltage", "over": False},
            occurred_at=now,
            received_at=now,
        )
    page.set_viewport_size({"width": width, "height": 1000})
    sign_in(page, web, user.email, password)
    base = f"{web.url}/t/{tenant.slug}"
    said = []
    for name, path in {
        "limits": f"/stations/{station.pk}/limits/",
        "der": f"/stations/{station.pk}/grid/",
        "dernew": f"/stations/{station.pk}/grid/new/volt_var/",
        "session": f"/sessions/{session.pk}/",
        "site": f"/sites/{site.pk}/limits/",
        "commands": f"/stations/{station.pk}/commands/",
    }.items():
        page.goto(base + path)
        page.wait_for_timeout(300)
        if name == "limits":
            page.get_by_label("At most").first.fill("6")
            page.get_by_label("At most").first.press("Tab")
            page.wait_for_timeout(900)
        if name == "der":
            page.locator("details.offer").first.evaluate("e => e.open = true")
        said += [f"{name} {width}: {rule}" for rule in broken_rules(page)]
        wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        if wide > 0:
            said.append(f"{name} {width} too wide by {wide}")
        page.screenshot(path=f"/tmp/smart-{name}-{width}.png", full_page=True)
    assert not said, "\n".join(said)

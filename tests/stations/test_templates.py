"""Configuration templates: who they hold for, drift, repair, preview and application."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from stations import catalogue
from stations.models import (
    Command,
    ConfigurationTemplate,
    DesiredSetting,
    DriftState,
    Station,
    StationDrift,
    VariableChange,
    VariableChangeState,
)
from stations.neutral import SettingAnswer, SettingsAnswered, VariableReport
from stations.services import commands, configuration, desired, devices
from tenants.context import tenant_scope
from tenants.errors import Conflict, Forbidden, Invalid
from tenants.models import Role, Tenant

HEARTBEAT = {"name": "HeartbeatInterval", "value": "300"}
Make = Callable[..., Station]


@pytest.fixture
def make(make_station: Make) -> Make:
    """A station that has connected and booted."""

    def made(**values: Any) -> Station:
        defaults = {
            "vendor": "Acme", "model": "One", "firmware_version": "1.2.3", "ocpp_version": "1.6", "online": True,
            "booted_at": timezone.now() - timedelta(hours=1),
        }  # fmt: skip
        return make_station(**(defaults | values))

    return made


def template(tenant: Tenant, actor: Any, **values: Any) -> ConfigurationTemplate:
    given = {"name": "Standard", "settings": [HEARTBEAT]} | values
    with tenant_scope(tenant.pk):
        return desired.save_template(tenant_id=tenant.pk, actor=actor, **given)


def tell(station: Station, value: str, *, at: Any = None) -> None:
    v2 = station.is_v2
    with tenant_scope(station.tenant_id):
        devices.record_variables(
            tenant_id=station.tenant_id, station_id=station.pk, source="read_configuration", at=at or timezone.now(),
            reports=[VariableReport("HeartbeatInterval", value, component="OCPPCommCtrlr" if v2 else "")],
        )  # fmt: skip


def sweep(tenant: Tenant, later: timedelta = timedelta(seconds=1)) -> None:
    with tenant_scope(tenant.pk):
        desired.sweep(tenant_id=tenant.pk, now=timezone.now() + later)


def state(station: Station) -> tuple[str, str | None]:
    with tenant_scope(station.tenant_id):
        row = DesiredSetting.objects.get(station=station)
        return row.state, row.actual


def sent(station: Station, kind: str) -> list[Command]:
    with tenant_scope(station.tenant_id):
        return list(Command.objects.filter(station=station, kind=kind).order_by("id"))


def answer(command: Command, status: str) -> None:
    """The station's word to a change, as the wire reports it."""
    with tenant_scope(command.tenant_id):
        told = SettingAnswer(VariableReport("HeartbeatInterval", None), status, status.title())
        configuration.record_answers(
            tenant_id=command.tenant_id,
            reports=[SettingsAnswered(command.station_id, command.pk, timezone.now(), (told,))],
        )
        commands.settle(
            tenant_id=command.tenant_id,
            command_id=command.pk,
            state="accepted" if status == "accepted" else "rejected",
        )


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
def test_one_setting_means_the_same_in_every_version(
    tenant: Tenant, make: Make, owner_actor: Any, version: str
) -> None:
    station = make(ocpp_version=version)
    template(tenant, owner_actor)
    tell(station, "300")
    sweep(tenant)
    assert state(station) == (DriftState.IN_LINE, "300")
    tell(station, "60")
    sweep(tenant)
    assert state(station) == (DriftState.DRIFTED, "60")
    assert not sent(station, "write_configuration")  # the mode is to report


@pytest.mark.parametrize(
    "rule",
    [
        {"vendor": "Other"}, {"model": "Two*"}, {"firmware_from": "1.10"}, {"firmware_to": "1.2.2"},
        {"ocpp_versions": ["2.0.1"]}, {"enabled": False},
    ],
)  # fmt: skip
def test_a_template_for_others_leaves_a_station_alone(
    tenant: Tenant, make: Make, owner_actor: Any, rule: dict[str, Any]
) -> None:
    station = make()
    template(tenant, owner_actor, **rule)
    tell(station, "60")
    sweep(tenant)
    with tenant_scope(tenant.pk):
        assert not DesiredSetting.objects.filter(station=station).exists()


@pytest.mark.parametrize(
    "rule",
    [
        {"vendor": "acme"},
        {"model": "O*"},
        {"firmware_from": "1.2", "firmware_to": "1.10"},
        {"ocpp_versions": ["1.6"]},
    ],
)
def test_a_template_that_fits_holds(
    tenant: Tenant, make: Make, owner_actor: Any, rule: dict[str, Any]
) -> None:
    station = make()
    template(tenant, owner_actor, **rule)
    tell(station, "60")
    sweep(tenant)
    assert state(station)[0] == DriftState.DRIFTED


def test_the_highest_priority_counts_setting_by_setting(tenant: Tenant, make: Make, owner_actor: Any) -> None:
    station = make()
    template(
        tenant, owner_actor, name="All", settings=[HEARTBEAT, {"name": "LocalPreAuthorize", "value": "true"}]
    )
    template(
        tenant,
        owner_actor,
        name="Ours",
        priority=200,
        settings=[{"name": "HeartbeatInterval", "value": "60"}],
    )
    tell(station, "60")
    sweep(tenant)
    with tenant_scope(tenant.pk):
        rows = {
            row.name: (row.template.name, row.state) for row in DesiredSetting.objects.filter(station=station)
        }
    assert rows == {"HeartbeatInterval": ("Ours", "in_line"), "LocalPreAuthorize": ("All", "unknown")}


def test_what_is_not_known_is_read_once_a_boot(tenant: Tenant, make: Make, owner_actor: Any) -> None:
    station = make()
    template(tenant, owner_actor)
    sweep(tenant)
    assert state(station) == (DriftState.UNKNOWN, None)
    (read,) = sent(station, "read_configuration")
    assert read.arguments == {"names": ["HeartbeatInterval"]}
    sweep(tenant)
    assert len(sent(station, "read_configuration")) == 1
    with tenant_scope(tenant.pk):
        Station.objects.filter(pk=station.pk).update(booted_at=timezone.now() + timedelta(seconds=5))
    sweep(tenant, timedelta(seconds=10))
    assert len(sent(station, "read_configuration")) == 2


def test_drift_is_repaired_where_that_is_wanted(tenant: Tenant, make: Make, owner_actor: Any) -> None:
    station = make()
    template(tenant, owner_actor, mode="repair")
    tell(station, "60")
    sweep(tenant)
    assert state(station)[0] == DriftState.PENDING
    (write,) = sent(station, "write_configuration")
    assert write.arguments == {"name": "HeartbeatInterval", "value": "300"}
    assert write.origin_label == "Template Standard"
    answer(write, "accepted")
    tell(station, "300")
    sweep(tenant)
    assert state(station) == (DriftState.IN_LINE, "300")


def test_what_a_station_refuses_is_marked_and_not_hammered(
    tenant: Tenant, make: Make, owner_actor: Any
) -> None:
    station = make()
    template(tenant, owner_actor, mode="repair")
    tell(station, "60")
    sweep(tenant)
    answer(sent(station, "write_configuration")[0], "refused")
    for hours in range(1, 6):
        with tenant_scope(tenant.pk):
            StationDrift.objects.update(due_at=timezone.now())
        sweep(tenant, timedelta(hours=hours))
    assert state(station)[0] == DriftState.REFUSED
    assert len(sent(station, "write_configuration")) == 1
    with tenant_scope(tenant.pk):  # somebody asks again
        drift = StationDrift.objects.select_related("station").get(station=station)
        desired.retry(drift=drift, actor=owner_actor)
    assert len(sent(station, "write_configuration")) == 2


def test_a_repair_that_never_arrives_is_tried_three_times(
    tenant: Tenant, make: Make, owner_actor: Any
) -> None:
    station = make()
    template(tenant, owner_actor, mode="repair")
    tell(station, "60")
    for hours in range(8):
        sweep(tenant, timedelta(hours=hours))
        for command in sent(station, "write_configuration"):
            with tenant_scope(tenant.pk):
                commands.settle(tenant_id=tenant.pk, command_id=command.pk, state="timed_out")
    assert len(sent(station, "write_configuration")) == desired.MOST_ATTEMPTS
    assert state(station)[0] == DriftState.DRIFTED


def test_a_station_that_undoes_each_repair_is_left_in_the_end_and_it_is_said(
    tenant: Tenant, make: Make, owner_actor: Any
) -> None:
    """It takes the value, tells it, restarts and has its own again: repairing it for ever would restart it for ever."""
    station = make()
    template(tenant, owner_actor, mode="repair")
    for hour in range(1, 9):
        tell(station, "60")
        sweep(tenant, timedelta(hours=hour))
        for write in sent(station, "write_configuration"):
            if write.state == "queued":
                answer(write, "accepted")
                tell(station, "300")
        sweep(tenant, timedelta(hours=hour, minutes=1))
    tell(station, "60")
    sweep(tenant, timedelta(hours=9))
    assert len(sent(station, "write_configuration")) == desired.MOST_ATTEMPTS
    with tenant_scope(tenant.pk):
        row = DesiredSetting.objects.get(station=station)
        assert (row.state, row.reason) == (
            DriftState.DRIFTED, "Set 3 times, and it did not stay so. It is left as it is until somebody sets it."
        )  # fmt: skip
        drift = StationDrift.objects.select_related("station").get(station=station)
        desired.retry(drift=drift, actor=owner_actor)
    tell(station, "300")
    sweep(tenant, timedelta(hours=10))
    assert state(station) == (DriftState.IN_LINE, "300")


def test_a_refusal_is_remembered_however_much_a_station_tells_afterwards(
    tenant: Tenant, make: Make, owner_actor: Any
) -> None:
    station = make()
    template(tenant, owner_actor, mode="repair")
    tell(station, "60")
    sweep(tenant)
    answer(sent(station, "write_configuration")[0], "refused")
    now = timezone.now()
    with tenant_scope(tenant.pk):
        VariableChange.objects.bulk_create(
            VariableChange(
                tenant=tenant, station=station, name="Chatter", attribute="actual", after=str(number), state="told",
                origin_kind="station", asked_at=now,
            )
            for number in range(1_100)
        )  # fmt: skip
    sweep(tenant, timedelta(hours=1))
    assert state(station)[0] == DriftState.REFUSED
    assert len(sent(station, "write_configuration")) == 1


def test_a_preview_of_many_asks_the_database_a_few_times(
    tenant: Tenant,
    make: Make,
    site: Any,
    owner_actor: Any,
    portal_client: Any,
    make_member: Any,
    monkeypatch: Any,
) -> None:
    from stations.views import templates as pages

    for number in range(6):
        tell(make(site=site, identity=f"A{number}", model="Other"), "60")
    for number in range(5):
        tell(make(site=site, identity=f"B{number}"), "60")
    made = template(tenant, owner_actor, model="One")
    with tenant_scope(tenant.pk), CaptureQueriesContext(connection) as asked:
        diffs = desired.preview(template=made, stations=Station.objects.filter(tenant=tenant))
    assert len(diffs) == 5 and len(asked) < 10
    monkeypatch.setattr(
        pages, "MOST_PREVIEWED", 1
    )  # of thousands: those it holds for are found behind all others
    browser = portal_client(make_member(Role.OWNER)[0])
    page = browser.get(f"/t/{tenant.slug}/templates/{made.pk}/preview/")
    assert (page.context["matched"], len(page.context["diffs"]), page.context["not_listed"]) == (5, 1, 4)
    assert "4 more stations are not listed" in page.content.decode()


def test_one_station_that_cannot_be_compared_keeps_no_other_from_it(
    tenant: Tenant, make: Make, owner_actor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd, plain = make(), make()
    template(tenant, owner_actor)
    tell(odd, "60")
    tell(plain, "60")
    compare = desired.compare

    def breaks(station: Station, *rest: Any) -> Any:
        if station.pk == odd.pk:
            raise ValueError
        return compare(station, *rest)

    monkeypatch.setattr(desired, "compare", breaks)
    sweep(tenant)
    assert state(plain)[0] == DriftState.DRIFTED
    with tenant_scope(tenant.pk):
        due_at = StationDrift.objects.get(station=odd).due_at
        assert due_at is not None and due_at > timezone.now()


def test_an_offline_station_is_compared_and_left_alone(tenant: Tenant, make: Make, owner_actor: Any) -> None:
    station = make(online=False)
    template(tenant, owner_actor, mode="repair")
    tell(station, "60")
    sweep(tenant)
    assert state(station)[0] == DriftState.DRIFTED
    assert not sent(station, "write_configuration") and not sent(station, "read_configuration")


def test_a_preview_says_what_it_leaves_out(tenant: Tenant, make: Make, owner_actor: Any) -> None:
    make(ocpp_version="2.0.1")
    make()
    above = template(tenant, owner_actor, name="Above", priority=900)
    strange = {"name": "NoSuchKey", "value": "1"}
    below = template(tenant, owner_actor, name="Below", settings=[HEARTBEAT, strange])
    with tenant_scope(tenant.pk):
        stations = Station.objects.filter(tenant=tenant)
        assert desired.left_out(template=above, stations=stations) == []
        assert desired.left_out(template=below, stations=stations) == [
            ("HeartbeatInterval", above, 2),
            ("NoSuchKey", None, 1),  # 1.6 may have keys that nobody has heard of
        ]


def test_a_preview_sends_nothing_and_apply_does(tenant: Tenant, make: Make, owner_actor: Any) -> None:
    one, two, right = make(), make(ocpp_version="2.0.1", online=False), make()
    wanted = template(tenant, owner_actor)
    for station, value in ((one, "60"), (two, "90"), (right, "300")):
        tell(station, value)
    with tenant_scope(tenant.pk):
        diffs = desired.preview(
            template=wanted, stations=Station.objects.filter(tenant=tenant).order_by("id")
        )
        found = {
            diff.station.pk: [(item.actual, item.wanted.setting.value) for item in diff.differing]
            for diff in diffs
        }
    assert found == {one.pk: [("60", "300")], two.pk: [("90", "300")], right.pk: []}
    assert not sent(one, "write_configuration")
    with tenant_scope(tenant.pk):
        run = desired.apply(template=wanted, station_ids=[one.pk, two.pk, right.pk], actor=owner_actor)
        assert (run.stations, run.waiting) == (3, [])
        asked = VariableChange.objects.filter(run=run).order_by("station_id")
        assert [(change.station_id, change.title, change.before) for change in asked] == [
            (one.pk, "HeartbeatInterval", "60"),
            (two.pk, "OCPPCommCtrlr.HeartbeatInterval", "90"),
        ]
        assert desired.progress(run) == {VariableChangeState.ASKED: 2}
    (command,) = sent(two, "write_configuration")
    assert command.expires_at > timezone.now() + timedelta(days=6)  # it waits for the station


def test_a_run_for_many_goes_on_by_itself(tenant: Tenant, make: Make, site: Any, owner_actor: Any) -> None:
    stations = [make(site=site) for _n in range(7)]
    wanted = template(tenant, owner_actor)
    with tenant_scope(tenant.pk):
        run = desired.apply(template=wanted, station_ids=[one.pk for one in stations], actor=owner_actor)
        assert len(run.waiting) == 2
        assert desired.sweep_runs(tenant_id=tenant.pk) == 2
        assert VariableChange.objects.filter(run=run).count() == 7


def test_what_cannot_be_wanted_is_refused_with_the_reason(
    tenant: Tenant, owner_actor: Any, make_actor: Any
) -> None:
    for settings, text in (
        ([{"name": "HeartbeatInterval", "value": "often"}], "number"),
        ([{"name": "AuthorizationKey", "value": "x"}], "secret"),
        ([HEARTBEAT, HEARTBEAT], "twice"),
        ([], "1 to"),
    ):
        with pytest.raises(Invalid, match=text):
            template(tenant, owner_actor, settings=settings)
    template(tenant, owner_actor)
    with pytest.raises(Conflict):
        template(tenant, owner_actor)
    with pytest.raises(Forbidden):
        template(tenant, make_actor(Role.AUDITOR), name="Other")


def test_a_template_that_is_deleted_wants_nothing(tenant: Tenant, make: Make, owner_actor: Any) -> None:
    station = make()
    wanted = template(tenant, owner_actor)
    sweep(tenant)
    with tenant_scope(tenant.pk):
        desired.delete_template(template=wanted, actor=owner_actor)
    sweep(tenant)
    with tenant_scope(tenant.pk):
        assert not DesiredSetting.objects.filter(station=station).exists()
        assert StationDrift.objects.get(station=station).wanted == 0


@pytest.mark.nodb
@pytest.mark.parametrize(
    ("name", "told", "wanted", "same"),
    [
        ("HeartbeatInterval", "60", "60.0", True),
        ("LocalPreAuthorize", "True", "true", True),
        ("MeterValuesSampledData", "Voltage, SoC", "SoC,Voltage", True),
        ("ClockCtrlr.TimeSource", "a,b", "b,a", True),
        ("CpoName", "a", "A", False),
    ],
)
def test_when_two_values_mean_the_same(name: str, told: str, wanted: str, same: bool) -> None:
    assert catalogue.same(name, told, wanted) is same
    assert catalogue.same(name, "a,b", "b,a", "SequenceList") is False


@pytest.mark.nodb
def test_the_catalogue_names_each_setting_once() -> None:
    keys = [entry.key for entry in catalogue.TABLE if entry.key]
    names = [entry.name for entry in catalogue.TABLE if entry.name]
    assert len(keys) == len(set(keys)) and len(names) == len(set(names))
    assert all(entry.kind in catalogue.TYPES for entry in catalogue.TABLE)
    assert catalogue.translated("", "HeartbeatInterval", "", v2=True) == (
        "OCPPCommCtrlr",
        "HeartbeatInterval",
        "",
    )
    assert catalogue.translated("OCPPCommCtrlr", "HeartbeatInterval", "", v2=False) == (
        "",
        "HeartbeatInterval",
        "",
    )

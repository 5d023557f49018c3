"""Meter values: every mixture a station sends becomes the right energy and power, once."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from stations.models import Connector
from stations.services.meters import measured
from tenants.context import tenant_scope
from tests.stations.telling import POWER, Speaker, begin, now, sample, value

INTERVAL = "Energy.Active.Import.Interval"


def minutes(speaker: Speaker, count: float) -> Any:
    return speaker.began + timedelta(minutes=count)


def test_readings_bring_a_running_session_up_to_date(speaker: Speaker) -> None:
    (answer,) = speaker.start()
    speaker.meter(
        sample(
            minutes(speaker, 10), value(2000), value(11, POWER, unit="kW"), value(55, "SoC", location="EV")
        ),
        number=answer.transaction_number,
    )
    session = speaker.session()
    assert (session.energy_wh, session.power_w, session.soc_percent) == (Decimal(1000), 11000.0, 55.0)
    assert session.last_reading_at == session.last_progress_at == minutes(speaker, 10)
    with tenant_scope(speaker.tenant_id):
        assert Connector.objects.get(evse=session.evse_id).power_w == 11000.0


def test_a_report_told_twice_is_kept_once(speaker: Speaker) -> None:
    speaker.start()
    told = sample(minutes(speaker, 10), value(2000))
    speaker.meter(told)
    speaker.meter(told, told)
    assert len(speaker.readings()) == 1


def test_two_reports_of_one_instant_are_both_kept(speaker: Speaker) -> None:
    speaker.start()
    speaker.meter(sample(minutes(speaker, 10), value(2000)))
    speaker.meter(sample(minutes(speaker, 10), value(7000, POWER)))
    assert [(r.energy_wh, r.power_w) for r in speaker.readings()] == [(Decimal(2000), None), (None, 7000.0)]


def test_without_a_number_the_evse_and_time_tell_the_session(speaker: Speaker) -> None:
    speaker.start()
    speaker.meter(sample(minutes(speaker, -30), value(900)), sample(minutes(speaker, 10), value(2000)))
    before, within = speaker.readings()
    assert before.session_id is None
    assert within.session_id == speaker.session().pk


def test_readings_out_of_order_leave_the_newest_standing(speaker: Speaker) -> None:
    speaker.start()
    speaker.meter(sample(minutes(speaker, 20), value(4000), value(9000, POWER)))
    speaker.meter(sample(minutes(speaker, 10), value(2000), value(5000, POWER)))
    assert (speaker.session().energy_wh, speaker.session().power_w) == (Decimal(3000), 9000.0)


def test_late_readings_do_not_reopen_a_session(speaker: Speaker) -> None:
    (answer,) = speaker.start()
    speaker.stop(number=answer.transaction_number)
    speaker.meter(sample(minutes(speaker, 30), value(4000)), number=answer.transaction_number)
    assert (speaker.session().state, speaker.session().energy_wh) == ("ended", Decimal(5000))
    assert speaker.readings()[0].session_id == speaker.session().pk


def test_registers_that_count_from_the_sessions_start_show_progress(speaker: Speaker) -> None:
    """meterStart is absolute, the readings begin at 0: seen in the field; billed is stop minus start."""
    (answer,) = speaker.start(meter=500_000)
    speaker.meter(sample(minutes(speaker, 5), value(0)), sample(minutes(speaker, 20), value(3000)))
    assert speaker.session().energy_wh == 3000
    speaker.stop(number=answer.transaction_number, meter=505_000)
    assert (speaker.session().state, speaker.session().energy_wh) == ("ended", Decimal(5000))
    assert speaker.session().flags == ["readings_disagree"]


def test_readings_a_thousand_times_too_large_show_no_nonsense(speaker: Speaker) -> None:
    (answer,) = speaker.start(meter=1_234_567)
    speaker.meter(sample(minutes(speaker, 10), value(1_236_000, unit="kWh")))
    assert speaker.session().energy_wh == 0
    speaker.meter(sample(minutes(speaker, 30), value(1_238_000, unit="kWh")))
    speaker.stop(number=answer.transaction_number, meter=1_239_567)
    assert (speaker.session().state, speaker.session().energy_wh) == ("ended", Decimal(5000))


def test_a_start_and_stop_told_in_kwh_beside_readings_in_wh_is_held(speaker: Speaker) -> None:
    (answer,) = speaker.start(meter=1234)
    speaker.meter(
        sample(minutes(speaker, 10), value(1_235_000)), sample(minutes(speaker, 40), value(1_238_000))
    )
    speaker.stop(number=answer.transaction_number, meter=1239)
    assert "unit_mismatch" in speaker.session().flags
    assert speaker.session().state == "held"


def test_an_absurd_time_keeps_its_raw_text(speaker: Speaker) -> None:
    speaker.start()
    speaker.meter(sample("222222017-01-01T00:00:00Z", value(2000)), received_at=now())
    (reading,) = speaker.readings()
    assert reading.raw_timestamp == "222222017-01-01T00:00:00Z"
    assert reading.flags == ["bad_timestamp"]


def test_all_measurands_are_kept_as_told(speaker: Speaker) -> None:
    told = [
        value(1, "Energy.Reactive.Import.Register", unit="varh"), value(50, "Frequency"),
        value(21, "Temperature", unit="Celcius", location="Body"), value(2, INTERVAL, multiplier=3),
        value("abc", "Voltage"),
    ]  # fmt: skip
    speaker.meter(sample(minutes(speaker, 1), *told))
    (reading,) = speaker.readings()
    assert [entry["measurand"] for entry in reading.values] == [one.measurand for one in told]
    assert reading.values[-1]["value"] == "abc"


@pytest.mark.nodb
@pytest.mark.parametrize(
    ("values", "column", "expected"),
    [
        ([value(5)], "energy_wh", Decimal(5)),
        ([value("5.25", unit="kWh")], "energy_wh", Decimal(5250)),
        ([value(5, unit=" KWH ")], "energy_wh", Decimal(5000)),
        ([value(5, unit="Wh", multiplier=3)], "energy_wh", Decimal(5000)),
        ([value(5), value(4, location="EV")], "energy_wh", Decimal(5)),
        ([value(7, location="Inlet"), value(5, location="Outlet")], "energy_wh", Decimal(5)),
        ([value(7, location="Inlet")], "energy_wh", Decimal(7)),
        ([value(1, phase="L1"), value(2, phase="L2"), value(3, phase="L3")], "energy_wh", Decimal(6)),
        ([value(9), value(1, phase="L1"), value(2, phase="L2")], "energy_wh", Decimal(9)),
        ([value(5, unit="furlong")], "energy_wh", None),
        ([value("1e999999999")], "energy_wh", None),
        ([value("NaN")], "energy_wh", None),
        ([value(2, INTERVAL)], "energy_wh", None),
        ([value(2, INTERVAL, unit="kWh")], "interval_wh", Decimal(2000)),
        ([value(11, POWER, unit="kW")], "power_w", 11000.0),
        ([value(3, POWER, phase="L1-N"), value(4, POWER, phase="L2-N")], "power_w", 7.0),
        ([value(3, POWER, phase="L1"), value(3, POWER, phase="L1-N")], "power_w", 3.0),
        (
            [value(16, "Current.Import", phase="L1"), value(9, "Current.Import", phase="L2")],
            "current_a",
            16.0,
        ),
        ([value(1, "Current.Import", phase="N")], "current_a", None),
        ([value(230, "Voltage", phase="L1-N"), value(232, "Voltage", phase="L2-N")], "voltage_v", 231.0),
        ([value(400, "Voltage", phase="L1-L2")], "voltage_v", 230.94),
        ([value(80, "SoC", unit="Percent")], "soc_percent", 80.0),
        ([value(22, "Power.Offered", unit="kW")], "offered_w", 22000.0),
    ],
)
def test_what_values_mean_together(values: list[Any], column: str, expected: object) -> None:
    assert getattr(measured(values), column) == expected


def test_readings_that_a_stop_overtook_still_count(speaker: Speaker) -> None:
    """A 2.x station that tells its meter by MeterValues alone; they wait in the journal while the end is taken."""
    speaker.tell(speaker.event("started", 0, uid="CARD"), speaker.event("ended", 1, minutes=50))
    assert (speaker.session().state, speaker.session().flags) == ("held", ["meter_missing"])
    speaker.meter(sample(minutes(speaker, 1), value(1000)), sample(minutes(speaker, 49), value(6000)))
    assert (speaker.session().state, speaker.session().energy_wh) == ("ended", Decimal(5000))
    assert {reading.session_id for reading in speaker.readings()} == {speaker.session().pk}


def test_readings_after_the_end_belong_to_nobody(speaker: Speaker) -> None:
    (answer,) = speaker.start()
    speaker.stop(number=answer.transaction_number)
    speaker.meter(sample(minutes(speaker, 55), value(6000)))
    assert speaker.readings()[0].session_id is None


def test_readings_between_two_sessions_find_theirs(speaker: Speaker) -> None:
    (answer,) = speaker.start()
    speaker.stop(number=answer.transaction_number, at=minutes(speaker, 20), meter=3000)
    speaker.start(meter=3000, at=minutes(speaker, 30))
    speaker.meter(sample(minutes(speaker, 10), value(2000)), sample(minutes(speaker, 40), value(4000)))
    first, second = speaker.sessions()
    assert [reading.session_id for reading in speaker.readings()] == [first.pk, second.pk]
    assert second.energy_wh == 1000


# Stations that tell energy alone


def tell_registers(speaker: Speaker, version: str, told: list[tuple[float, int]]) -> None:
    """A running session that began at 1000 Wh and then told these (minutes since the start, Wh)."""
    if version == "1.6":
        (answer,) = speaker.start(meter=1000)
        for at, register in told:
            speaker.meter(sample(minutes(speaker, at), value(register)), number=answer.transaction_number)
    else:
        speaker.tell(speaker.event("started", 0, uid="CARD", samples=[begin(1000)]))
        for n, (at, register) in enumerate(told, start=1):
            speaker.tell(speaker.event("updated", n, minutes=at, samples=[value(register)]))


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
@pytest.mark.parametrize(
    ("told", "power"),
    [
        ([(10, 2000)], 6_000.0),
        ([(10, 2000), (20, 2000)], 0.0),
        ([(10, 2000), (20, 4000)], 12_000.0),
        ([(20, 4000), (10, 2000)], 9_000.0),  # one that comes late changes nothing
        ([(10, 2000), (20, 4000), (20 + 4 / 60, 4020)], 12_000.0),  # four seconds on
        ([(10, 2000), (20, 4000), (30, 50_000)], 12_000.0),  # 276 kW of a connector of 22 kW
        ([(10, 2000), (20, 20)], 6_000.0),  # reset
        ([(10, 2000), (20, 20), (30, 1900)], 6_000.0),  # and after it
        ([(10, 2000), (20, 20), (30, 4000)], 6_000.0),
        ([(10, 2000), (20, 20), (30, 4000), (40, 5000)], 6_000.0),
        ([(10, 20)], None),  # from another zero than the start's
        ([(10, 20), (20, 1020)], 6_000.0),
    ],
)
def test_power_that_is_not_told_is_the_mean_of_two_registers(
    version: str, told: list[tuple[float, int]], power: float | None, speaker: Speaker
) -> None:
    tell_registers(speaker, version, told)
    assert speaker.session().power_w == power


def test_the_connector_shows_the_mean_power_too(speaker: Speaker) -> None:
    tell_registers(speaker, "1.6", [(10, 2000), (20, 4000)])
    with tenant_scope(speaker.tenant_id):
        found = Connector.objects.get(evse=speaker.session().evse_id)
    assert (found.power_w, found.power_at) == (12_000.0, minutes(speaker, 20))
    assert [reading.power_w for reading in speaker.readings()] == [
        None,
        None,
    ]  # what was told stays as it was


def test_a_mean_power_is_none_once_power_is_told(speaker: Speaker) -> None:
    (answer,) = speaker.start(meter=1000)
    told = [(10, value(2000)), (11, value(7400, POWER)), (20, value(2100))]
    for at, what in told:
        speaker.meter(sample(minutes(speaker, at), what), number=answer.transaction_number)
    assert speaker.session().power_w == 7400.0


def test_a_session_that_is_over_has_no_power_and_its_late_readings_give_none(speaker: Speaker) -> None:
    (answer,) = speaker.start(meter=1000)
    speaker.stop(number=answer.transaction_number, meter=6000)
    speaker.meter(sample(minutes(speaker, 20), value(4000)), sample(minutes(speaker, 50.5), value(6000)))
    assert speaker.session().power_w is None
    assert speaker.readings()[1].session_id == speaker.session().pk
    with tenant_scope(speaker.tenant_id):
        assert Connector.objects.get(evse=speaker.session().evse_id).power_w == 0

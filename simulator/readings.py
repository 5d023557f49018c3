"""What a meter tells at one moment, in neutral words; the versions write it their way."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from simulator.connector import Connector


@dataclass
class Reading:
    measurand: str
    value: float
    unit: str
    phase: str = ""
    location: str = "Outlet"
    signed: str = ""  # signed meter data instead of a number


@dataclass
class Readings:
    """All values of one moment. `context` is Sample.Periodic, Sample.Clock, Transaction.Begin, ..."""

    at: datetime
    context: str
    values: list[Reading]


def read(connector: Connector, measurands: list[str], at: datetime, context: str) -> Readings:
    values: list[Reading] = []
    for measurand in measurands:
        values += _measure(connector, measurand)
    return Readings(at=at, context=context, values=values)


def _measure(connector: Connector, measurand: str) -> list[Reading]:
    flow = connector.flow
    match measurand:
        case "Energy.Active.Import.Register":
            return [Reading(measurand, int(connector.register_wh), "Wh")]
        case "Power.Active.Import":
            return [Reading(measurand, round(max(0.0, flow.power_w), 1), "W")]
        case "Energy.Active.Export.Register":
            return [Reading(measurand, int(connector.export_wh), "Wh")]
        case "Power.Active.Export":
            return [Reading(measurand, round(max(0.0, -flow.power_w), 1), "W")]
        case "Power.Offered":
            return [Reading(measurand, round(connector.best_power_w, 1), "W")]
        case "Current.Offered":
            return [Reading(measurand, connector.max_amps, "A")]
        case "Current.Import":
            return _per_phase(connector, measurand, round(max(0.0, flow.amps), 2), "A", "")
        case "Voltage":
            return _per_phase(connector, measurand, round(flow.volts, 1), "V", "-N")
        case "SoC" if connector.car is not None and connector.kind == "dc":
            return [Reading(measurand, int(connector.car.soc * 100), "Percent", location="EV")]
        case "Temperature":
            return [Reading(measurand, round(connector.temperature_c, 1), "Celsius", location="Body")]
        case "Frequency":
            return [Reading(measurand, 50.0, "Hertz")]
    return []


def _per_phase(connector: Connector, measurand: str, value: float, unit: str, suffix: str) -> list[Reading]:
    if connector.kind == "dc":
        return [Reading(measurand, value, unit)]
    used = connector.flow.phases
    return [
        Reading(measurand, value if number <= used or suffix else 0.0, unit, phase=f"L{number}{suffix}")
        for number in range(1, connector.phases + 1)
    ]


def ocmf(identity: str, begin_wh: int, end_wh: int, at: str) -> str:
    """Text in the shape of signed data by the Open Charge Metering Format; its signature proves nothing."""
    stamp = at[:19].replace("-", "-") + ",000+0000 S"
    payload = (
        f'{{"FV":"1.0","GI":"Voltyard simulator","GS":"{identity}","PG":"T1","RD":['
        f'{{"TM":"{stamp}","TX":"B","RV":{begin_wh / 1000:.3f},"RI":"1-b:1.8.0","RU":"kWh","ST":"G"}},'
        f'{{"TM":"{stamp}","TX":"E","RV":{end_wh / 1000:.3f},"RI":"1-b:1.8.0","RU":"kWh","ST":"G"}}]}}'
    )
    signature = '{"SD":"3045022100e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}'
    return f"OCMF|{payload}|{signature}"

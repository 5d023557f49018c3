"""Settings to begin with, for meters that are met often. Fields and addresses are those of the makers' documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from energy.models import MeterSource


@dataclass(frozen=True)
class Template:
    """`values`: one a line, as the form takes them. What stands in <> is the installation's own. `cites`: where it is
    documented."""

    key: str
    source: str
    title: Any
    values: str
    cites: str
    settings: Mapping[str, Any]
    hint: Any = ""


_PHASES = ("a", "b", "c")


def _lines(*each: str) -> str:
    return "\n".join(each)


def _sunspec(model: int, amps: int, factor: int, watts: int, watts_factor: int, per_line: bool) -> str:
    of_amps = "i16" if model >= 200 else "u16"  # an inverter's current has no sign
    listed = [f"amps L{n} model{model} {amps + n - 1} {of_amps} factor={factor}" for n in (1, 2, 3)]
    if per_line:
        listed += [f"watts L{n} model{model} {watts + n} i16 factor={watts_factor}" for n in (1, 2, 3)]
    else:
        listed.append(f"watts total model{model} {watts} i16 factor={watts_factor}")
    return _lines(*listed)


TEMPLATES: tuple[Template, ...] = (
    Template(
        "shelly-pro-3em",
        MeterSource.MQTT,
        "Shelly Pro 3EM, 3EM Gen3",
        _lines(
            *[f"amps L{n} <shellypro3em-...>/status/em:0 {_PHASES[n - 1]}_current" for n in (1, 2, 3)],
            *[f"watts L{n} <shellypro3em-...>/status/em:0 {_PHASES[n - 1]}_act_power" for n in (1, 2, 3)],
        ),
        "shelly-api-docs.shelly.cloud, Gen2 components, EM: EM.GetStatus; Mqtt: topic prefix, status notifications",
        {},
        _("In the Shelly, switch on MQTT and its generic status updates."),
    ),
    Template(
        "shelly-3em",
        MeterSource.MQTT,
        "Shelly 3EM, Gen1",
        _lines(
            *[f"amps L{n} shellies/<shellyem3-...>/emeter/{n - 1}/current" for n in (1, 2, 3)],
            *[f"watts L{n} shellies/<shellyem3-...>/emeter/{n - 1}/power" for n in (1, 2, 3)],
        ),
        "shelly-api-docs.shelly.cloud, Gen1, Shelly 3EM: MQTT",
        {},
        _("It sends seldom unless its MQTT update period is 1 second."),
    ),
    Template(
        "tasmota",
        MeterSource.MQTT,
        "Tasmota",
        _lines(
            *[f"amps L{n} tele/<topic>/SENSOR ENERGY.Current[{n - 1}]" for n in (1, 2, 3)],
            *[f"watts L{n} tele/<topic>/SENSOR ENERGY.Power[{n - 1}]" for n in (1, 2, 3)],
        ),
        "tasmota.github.io/docs: MQTT, SENSOR; Power-Monitoring-Calibration, TelePeriod",
        {},
        _("TelePeriod is 10 seconds at least: too slow to steer by, good enough to look at."),
    ),
    Template(
        "home-assistant",
        MeterSource.MQTT,
        "Home Assistant, MQTT Statestream",
        _lines(*[f"watts L{n} homeassistant/sensor/<meter_power_l{n}>/state" for n in (1, 2, 3)]),
        "home-assistant.io/integrations/mqtt_statestream",
        {},
        _("It publishes changes alone: a load that stays the same looks like a meter that fell silent."),
    ),
    Template(
        "sdm630",
        MeterSource.MODBUS,
        "Eastron SDM630, SDM72",
        _lines(
            *[f"amps L{n} input {6 + 2 * (n - 1)} float32" for n in (1, 2, 3)],
            *[f"watts L{n} input {12 + 2 * (n - 1)} float32" for n in (1, 2, 3)],
        ),
        "Eastron SDM630 Modbus protocol: parameters 30007, 30009, 30011 (current), 30013, 30015, 30017 (power)",
        {"port": 502, "unit_id": 1, "every_s": 1},
        _("Behind a gateway from Modbus TCP to RS-485."),
    ),
    Template(
        "em24",
        MeterSource.MODBUS,
        "Carlo Gavazzi EM24, EM24 Ethernet",
        _lines(
            *[f"amps L{n} input 0x{0x0C + 2 * (n - 1):04X} i32 little *0.001" for n in (1, 2, 3)],
            *[f"watts L{n} input 0x{0x12 + 2 * (n - 1):04X} i32 little *0.1" for n in (1, 2, 3)],
        ),
        "Carlo Gavazzi EM24 communication protocol: A L1 to L3 at 000Ch (weight 1000), "
        "W L1 to L3 at 0012h (weight 10), the low word first",
        {"port": 502, "unit_id": 1, "every_s": 1},
    ),
    Template(
        "sunspec-203",
        MeterSource.MODBUS,
        _("SunSpec meter, three phases (model 203)"),
        _sunspec(203, 3, 6, 18, 22, per_line=True),
        "SunSpec Alliance, model 203: AphA to AphC at 3, A_SF at 6, WphA to WphC at 19, W_SF at 22",
        {"port": 502, "unit_id": 1, "every_s": 1},
        _("Where power that flows in is negative, put *-1 behind each line of watts."),
    ),
    Template(
        "sunspec-103",
        MeterSource.MODBUS,
        _("SunSpec inverter, three phases (model 103)"),
        _sunspec(103, 3, 6, 14, 15, per_line=False),
        "SunSpec Alliance, model 103: AphA to AphC at 3, A_SF at 6, W at 14, W_SF at 15",
        {"port": 502, "unit_id": 1, "every_s": 1},
    ),
)


def of(source: str) -> list[Template]:
    return [template for template in TEMPLATES if template.source == source]


def by_key(key: str) -> Template | None:
    return next((template for template in TEMPLATES if template.key == key), None)

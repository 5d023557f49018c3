"""One reading of a real broker, a real Modbus device; and in words what is in the way of it."""

from __future__ import annotations

import ipaddress
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.utils import translation
from pymodbus.constants import ExcCodes

from cpo.embedded import ports
from energy.feeds import address, modbus, mqtt, payloads, registers, sources, templates, values
from energy.feeds.feed import Feed
from energy.feeds.problems import FeedError, said
from energy.models import MeterSource
from energy.readings import Told
from tenants.errors import Invalid
from tests.energy.servers import PASSWORD, USER, Broker, Device

pytestmark = pytest.mark.nodb
EM = {
    "id": 0, "a_current": 8.21, "a_act_power": 1801.4, "b_current": 0.031, "b_act_power": -4.2, "c_current": 1.5,
    "c_act_power": 300, "total_act_power": 2097.2,
}  # fmt: skip


def _mqtt(port: int, *lines: str, **more: Any) -> dict[str, Any]:
    listed = [mqtt.read_line(line) for line in lines]
    return mqtt.checked({"host": "localhost", "port": port, "username": USER, "values": listed} | more)


def _modbus(port: int, *lines: str, **more: Any) -> dict[str, Any]:
    listed = [registers.read_line(line) for line in lines]
    return modbus.checked({"host": "127.0.0.1", "port": port, "values": listed} | more)


def _once(source: str, settings: dict[str, Any], secret: str = "") -> Told:
    return sources.try_once(source, Feed(1, 7, settings, secret))


def _wrong(source: str, settings: dict[str, Any], secret: str = "") -> str:
    with pytest.raises(FeedError) as wrong:
        _once(source, settings, secret)
    return str(wrong.value)


@contextmanager
def _sending(broker: Broker, messages: dict[str, Any]) -> Iterator[None]:
    """Publishes them over and over."""
    over = threading.Event()

    def send() -> None:
        with broker.publisher() as client:
            while not over.wait(0.05):
                for topic, payload in messages.items():
                    client.publish(topic, payload)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(10)


def test_the_table_of_sources() -> None:
    assert set(sources.SOURCES) == set(MeterSource.values)
    assert [source for source, one in sources.SOURCES.items() if one.read is None] == ["rest"]
    assert [source for source, one in sources.SOURCES.items() if one.has_secret] == ["mqtt"]


# --- MQTT ---


def test_json_of_a_shelly(broker: Broker) -> None:
    template = templates.by_key("shelly-pro-3em")
    assert template is not None
    lines = template.values.replace("<shellypro3em-...>", "shellypro3em-08f9e0e5").splitlines()
    with _sending(broker, {"shellypro3em-08f9e0e5/status/em:0": json.dumps(EM)}):
        told = _once("mqtt", _mqtt(broker.port, *lines), PASSWORD)
    assert told.meter_id == 7
    assert told.amps == [8.21, 0.031, 1.5] and told.watts == [1801.4, -4.2, 300]


def test_plain_numbers_of_three_topics_make_one_reading(broker: Broker) -> None:
    settings = _mqtt(broker.port, *[f"watts L{n} house/l{n} *1000" for n in (1, 2, 3)])
    with _sending(broker, {"house/l1": "1.5", "house/l2": " 0.25\n", "house/l3": "-2e-1", "other": "9"}):
        told = _once("mqtt", settings, PASSWORD)
    assert told.watts == pytest.approx([1500, 250, -200]) and told.amps is None


def test_lists_and_times_of_tasmota(broker: Broker) -> None:
    settings = _mqtt(broker.port, "amps L1 t ENERGY.Current[0]", "amps L2 t ENERGY.Current[1]", at="Time")
    payload = json.dumps({"Time": "2026-11-23T12:00:00Z", "ENERGY": {"Current": [4.1, "0.2"]}})
    with _sending(broker, {"t": payload}):
        told = _once("mqtt", settings, PASSWORD)
    assert told.amps == [4.1, 0.2] and told.at == "2026-11-23T12:00:00Z"


def test_tls_with_a_certificate_that_is_trusted(tls_broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _mqtt(tls_broker.port, "watts total house/power", tls=True)
    assert _wrong("mqtt", settings, PASSWORD).startswith("Its certificate is not trusted: localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(tls_broker.root))
    elsewhere = settings | {"host": "127.0.0.1"}
    assert _wrong("mqtt", elsewhere, PASSWORD).startswith("Its certificate is not trusted: 127.0.0.1")
    assert _wrong("mqtt", settings, "wrong") == "Refuses the user name or the password"
    with _sending(tls_broker, {"house/power": "6900"}):
        assert _once("mqtt", settings, PASSWORD).watts == 6900


@pytest.mark.parametrize("secret", ["wrong", ""])
def test_a_wrong_password_is_told_and_not_shown(broker: Broker, secret: str) -> None:
    told = _wrong("mqtt", _mqtt(broker.port, "watts total house/power"), secret)
    assert told == "Refuses the user name or the password"


def test_a_topic_that_may_not_be_read(broker: Broker) -> None:
    told = _wrong("mqtt", _mqtt(broker.port, "watts total secret/power"), PASSWORD)
    assert told == "Does not let us read the topic: secret/power"


@pytest.mark.parametrize(
    ("payload", "line", "why"),
    [
        ("12,5", "watts total t", "Sends what is no number"),
        ("nan", "watts total t", "Sends what is no number"),
        ("1e999", "watts total t", "Sends what is no number"),
        ("", "watts total t", "Sends what is no number"),
        ("9" * 500, "watts total t", "Sends what is no number"),
        (b"\xff\xfe\x00", "watts total t", "Sends what is no number"),
        ("{", "watts total t a", "Sends what is no JSON"),
        ("[" * 30_000, "watts total t a", "Sends what is no JSON"),
        (b"\xff", "watts total t a", "Sends what is no JSON"),
        ('{"a": NaN}', "watts total t a", "Sends what is no JSON"),
        ('{"b": 1}', "watts total t a", "Does not send the value: a"),
        ('{"a": [1]}', "watts total t a[1]", "Does not send the value: a[1]"),
        ('{"a": null}', "watts total t a", "Sends what is no number"),
        ('{"a": true}', "watts total t a", "Sends what is no number"),
        ('{"a": {"a": 1}}', "watts total t a", "Sends what is no number"),
        ('{"a": 1e999}', "watts total t a", "Sends what is no"),
    ],
)  # fmt: skip
def test_what_a_broker_sends_that_is_no_reading(payload: Any, line: str, why: str) -> None:
    raw = payload if isinstance(payload, bytes) else payload.encode()
    gathering = mqtt.Gathering([mqtt.read_line(line)], "")
    with pytest.raises(FeedError, match=f"^{why.replace('[', '.').replace(']', '.')}"):
        gathering.take("t", raw, 1.0)


def test_a_message_that_is_too_long_ends_the_connection(broker: Broker) -> None:
    settings = _mqtt(broker.port, "watts total house/power")
    with _sending(broker, {"house/power": "1" * (payloads.MOST_BYTES * 4)}):
        assert _wrong("mqtt", settings, PASSWORD) == "Sends a message that is too long"


def test_values_that_come_apart_wait_for_each_other() -> None:
    gathering = mqtt.Gathering([mqtt.read_line(f"amps L{n} t{n}") for n in (1, 2)], "")
    assert gathering.take("t1", b"1", 0.0) is None
    assert gathering.take("t2", b"2", 0.1) == ([1, 2], None, None)
    assert gathering.take("t2", b"3", 1.1) is None, "its first has not come again"
    assert gathering.take("t1", b"4", 1.2) == ([4, 3], None, None)
    assert gathering.take("t1", b"5", 2.0) is None
    assert gathering.take("t1", b"6", 3.0) == ([6, 3], None, None), "the other is published more seldom"
    assert gathering.take("t1", b"7", 99.0) is None, "the other is too old"


@contextmanager
def _listening(answer: bytes, *, times: int = 1) -> Iterator[int]:
    """A server that says this to whoever comes, so many times, and then waits."""
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(20)
    over = threading.Event()

    def serve() -> None:
        try:
            peer, _from = server.accept()
            with peer:
                peer.settimeout(5)
                for _time in range(times):
                    peer.sendall(answer)
                over.wait(20)
        except OSError:
            pass

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        over.set()
        server.close()
        thread.join(10)


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00" * 64, b"\x20\x02\x00\x7f", b"\xff" * 9]
)
def test_what_is_no_broker_is_told(answer: bytes) -> None:
    with _listening(answer) as port:
        told = _wrong("mqtt", _mqtt(port, "watts total t"))
    assert told.split(":")[0] in (
        "Answers otherwise than was expected", "The connection broke off", "Sends a message that is too long"
    )  # fmt: skip


def test_a_broker_that_floods_is_bounded() -> None:
    """A packet that says it is 256 MB long, and brings them."""
    with _listening(b"\x20\x02\x00\x00" + b"\x30\xff\xff\xff\x7f" + b"a" * 1_000_000, times=1) as port:
        began = time.monotonic()
        assert _wrong("mqtt", _mqtt(port, "watts total t")) == "Sends a message that is too long"
        assert time.monotonic() - began < 5


# --- Modbus ---


def test_registers_of_an_sdm630(device: Device) -> None:
    device.put("input", 6, "f", 8.25, 7.5, 0.5, 1725, -1150, 115)
    template = templates.by_key("sdm630")
    assert template is not None
    told = _once("modbus", _modbus(device.port, *template.values.splitlines()))
    assert told.amps == [8.25, 7.5, 0.5] and told.watts == [1725, -1150, 115]
    assert device.asked == [(4, 6, 12)], "one request"


def test_registers_of_an_em24_come_low_word_first(device: Device) -> None:
    for place, number in enumerate((8250, 7500, 70_000)):
        device.put("input", 0x0C + 2 * place, "H", number & 0xFFFF, number >> 16)
    for place, number in enumerate((17_250, -11_500, 1)):
        device.put("input", 0x12 + 2 * place, "H", number & 0xFFFF, (number >> 16) & 0xFFFF)
    template = templates.by_key("em24")
    assert template is not None
    told = _once("modbus", _modbus(device.port, *template.values.splitlines()))
    assert told.amps == pytest.approx([8.25, 7.5, 70]) and told.watts == pytest.approx([1725, -1150, 0.1])


def _sunspec(device: Device, model: int, length: int, **words: int) -> None:
    """The common model (1, 66 registers), then the model, then the end."""
    device.put("holding", 40_000, "H", 0x5375, 0x6E53, 1, 66)
    device.put("holding", 40_070, "H", model, length)
    device.put("holding", 40_072 + length, "H", 0xFFFF, 0)
    for place, word in words.items():
        device.put("holding", 40_070 + int(place.removeprefix("at")), "h", word)


def test_a_sunspec_meter_is_found_wherever_it_lies(device: Device) -> None:
    _sunspec(device, 203, 105, at3=82, at4=79, at5=5, at6=-1, at18=9, at19=180, at20=-110, at21=12, at22=1)
    template = templates.by_key("sunspec-203")
    assert template is not None
    told = _once("modbus", _modbus(device.port, *template.values.splitlines()))
    assert told.amps == pytest.approx([8.2, 7.9, 0.5]) and told.watts == [1800, -1100, 120]


def test_a_sunspec_inverter(device: Device) -> None:
    _sunspec(device, 103, 50, at2=301, at3=100, at4=101, at5=100, at6=-1, at14=690, at15=1)
    template = templates.by_key("sunspec-103")
    assert template is not None
    told = _once("modbus", _modbus(device.port, *template.values.splitlines()))
    assert told.amps == pytest.approx([10, 10.1, 10]) and told.watts == 6900


def test_what_a_sunspec_device_does_not_have_is_told(device: Device) -> None:
    _sunspec(device, 203, 105, at3=82, at4=79, at5=-0x8000, at6=-1)
    lines = [f"amps L{n} model203 {n + 2} i16 factor=6" for n in (1, 2, 3)]
    assert _wrong("modbus", _modbus(device.port, *lines)) == "Does not send the value: amps L3, SunSpec 203"
    other = _modbus(device.port, "amps L1 model213 2 float32")
    assert _wrong("modbus", other) == "Does not hold the SunSpec model: 213; 1, 203"


def test_a_device_that_refuses_or_does_not_answer(device: Device) -> None:
    settings = _modbus(device.port, "watts total input 50000 i16")
    assert _wrong("modbus", settings) == "Refuses the register: input 50000-50000, illegal address"
    device.refusal = ExcCodes.GATEWAY_NO_RESPONSE
    settings = _modbus(device.port, "watts total holding 10 i16")
    assert _wrong("modbus", settings) == "Refuses the register: holding 10-10, gateway target"
    device.refusal, device.delay_s = None, 6.0
    assert _wrong("modbus", settings) == "Does not answer: holding 10-10"


def test_nobody_there() -> None:
    port = ports.any_free()
    assert (
        _wrong("modbus", _modbus(port, "watts total input 1 i16")) == f"Cannot be reached: 127.0.0.1:{port}"
    )
    assert _wrong("mqtt", _mqtt(port, "watts total t")) == f"Cannot be reached: localhost:{port}"
    lost = _modbus(port, "watts total input 1 i16", host="no-such-host.invalid")
    assert _wrong("modbus", lost) == "The name server does not know it: no-such-host.invalid"


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00" * 4096, b"\xff" * 4096])
def test_what_is_no_modbus_is_told(answer: bytes) -> None:
    with _listening(answer) as port:
        told = _wrong("modbus", _modbus(port, "watts total input 1 i16"))
    assert told.split(":")[0] in (
        "Does not answer",
        "The connection broke off",
        "Answers otherwise than was expected",
    )


def test_registers_far_apart_are_asked_apart() -> None:
    lines = [
        "amps L1 input 0 u16",
        "amps L2 input 8 u16",
        "amps L3 input 400 u32",
        "watts total holding 0 i16",
    ]
    placed = registers.places([registers.read_line(line) for line in lines], {})
    assert registers.blocks(placed) == [
        registers.Block("input", 0, 9), registers.Block("input", 400, 2), registers.Block("holding", 0, 1)
    ]  # fmt: skip
    many = registers.places([registers.read_line(f"amps L1 input {n} u16") for n in range(0, 400, 10)], {})
    assert all(block.count <= registers.MOST_AT_ONCE for block in registers.blocks(many))


# --- settings ---


@pytest.mark.parametrize(
    ("source", "told", "field"),
    [
        ("rest", {"a": 1}, ""),
        ("mqtt", {}, "host"),
        ("mqtt", {"host": "http://broker/"}, "host"),
        ("mqtt", {"host": "a" * 300}, "host"),
        ("mqtt", {"host": "b", "port": 0}, "port"),
        ("mqtt", {"host": "b", "port": True}, "port"),
        ("mqtt", {"host": "b", "tls": "yes"}, "tls"),
        ("mqtt", {"host": "b", "username": None}, "username"),
        ("mqtt", {"host": "b", "at": "a b"}, "at"),
        ("mqtt", {"host": "b", "password": "x"}, "password"),
        ("mqtt", {"host": "b", "values": []}, "values"),
        ("mqtt", {"host": "b", "values": [{"of": "watts", "topic": "a/#"}]}, "values"),
        ("mqtt", {"host": "b", "values": [{"of": "watts", "topic": "<yours>/a"}]}, "values"),
        ("mqtt", {"host": "b", "values": [{"of": "amps", "topic": "a"}]}, "values"),
        ("mqtt", {"host": "b", "values": [{"of": "watts", "topic": "a", "scale": 0}]}, "values"),
        ("mqtt", {"host": "b", "values": [{"of": "watts", "topic": "a", "path": "a..b"}]}, "values"),
        ("mqtt", {"host": "b", "values": [{"of": "watts", "topic": "a"}] * 2}, "values"),
        ("modbus", {"host": "b", "unit_id": 256}, "unit_id"),
        ("modbus", {"host": "b", "every_s": 0}, "every_s"),
        ("modbus", {"host": "b", "every_s": float("nan")}, "every_s"),
        ("modbus", {"host": "b", "values": ["amps"]}, "values"),
        ("modbus", {"host": "b", "values": [{"of": "watts", "address": -1, "type": "i16"}]}, "values"),
        ("modbus", {"host": "b", "values": [{"of": "watts", "address": 1, "type": "i64"}]}, "values"),
        (
            "modbus",
            {"host": "b", "values": [{"of": "watts", "address": 1, "type": "i16", "kind": "coil"}]},
            "values",
        ),
        ("ocpp", {}, "station_id"),
        ("ocpp", {"station_id": 5, "evse_number": 1000}, "evse_number"),
    ],
)
def test_settings_that_cannot_be_used_are_told_by_field(
    source: str, told: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as wrong:
        sources.checked(source, told)
    assert field in wrong.value.fields


@pytest.mark.parametrize("template", templates.TEMPLATES, ids=lambda template: template.key)
def test_templates_can_be_used_once_the_names_are_entered(template: templates.Template) -> None:
    module: Any = {"mqtt": mqtt, "modbus": registers}[template.source]
    lines = template.values.replace("<", "").replace(">", "").splitlines()
    listed = [module.read_line(line) for line in lines]
    checked = sources.checked(
        template.source, {"host": "meter.example.com", "values": listed, **template.settings}
    )
    assert [module.read_line(module.write_line(value)) for value in checked["values"]] == checked["values"]
    assert {values.key_of(value) for value in listed} & {("amps", 1), ("watts", 1)} and template.cites


@pytest.mark.parametrize(
    "line",
    [
        "", "amps", "volts L1 input 1 u16", "amps L4 input 1 u16", "amps L1 input x u16", "amps L1 input 1 u16 *x",
        "amps L1 input 1 u16 middle", "amps L1 modelx 1 u16",
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_read_is_told(line: str) -> None:
    with pytest.raises(values.BadValue):
        registers.read_line(line)


# --- where ---


@pytest.mark.parametrize(
    ("text", "networks", "may"),
    [
        ("93.184.216.34", [], True),
        ("10.20.3.4", [], False),
        ("10.20.3.4", ["10.20.0.0/16"], True),
        ("10.21.3.4", ["10.20.0.0/16"], False),
        ("::ffff:10.20.3.4", ["10.20.0.0/16"], True),
        ("fd00::5", ["fd00::/64"], True),
        ("127.0.0.1", ["0.0.0.0/0"], False),
        ("169.254.169.254", ["0.0.0.0/0"], False),
        ("::1", ["::/0"], False),
        ("::ffff:127.0.0.1", ["::/0"], False),
        ("0.0.0.0", ["0.0.0.0/0"], False),
        ("224.0.0.1", ["0.0.0.0/0"], False),
    ],
)
def test_where_meters_may_be_in_production(settings: Any, text: str, networks: list[str], may: bool) -> None:
    settings.PRODUCTION = True
    settings.METER_NETWORKS = [ipaddress.ip_network(network) for network in networks]
    assert address.may_call(text) is may


def test_production_calls_no_address_of_its_own(settings: Any, device: Device) -> None:
    settings.PRODUCTION, settings.METER_NETWORKS = True, []
    refused = "Lies in a network in which this installation reads no meters (METER_NETWORKS)"
    assert _wrong("modbus", _modbus(device.port, "watts total input 1 i16")) == f"{refused}: 127.0.0.1"
    assert _wrong("mqtt", _mqtt(device.port, "watts total t")) == f"{refused}: localhost"
    assert not device.asked


def test_errors_are_said_in_the_readers_language() -> None:
    with translation.override("en"):
        assert said("Cannot be reached: broker:1883") == "Cannot be reached: broker:1883"
    assert said("Something else: x") == "Something else: x"

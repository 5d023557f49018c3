"""MQTT 3.1.1, through paho-mqtt: a meter that publishes to a broker.

Settings: {"host", "port", "tls", "username", "values": [{"of", "line", "scale", "topic", "path"}], "at"}; `path` empty:
the message is a plain number; `at`: path of the time of the measurement, empty: the time of receipt counts.

What a broker has kept (retained) is of unknown age: it is no reading.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import ssl
import time
from collections.abc import Mapping
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from energy.feeds import address, payloads, values
from energy.feeds.feed import Feed, Readings, Threads
from energy.feeds.problems import (
    CUT_OFF,
    NOT_SPOKEN,
    REFUSED,
    SILENT,
    TOO_LONG,
    TOPIC_REFUSED,
    FeedError,
)
from energy.readings import Told
from tenants.errors import Invalid

KEEPALIVE_S = 15
ANSWER_S = 5.0  # to CONNECT and SUBSCRIBE
SILENT_S = 120.0  # then the connection is made anew
PACKETS_AT_ONCE = 50
GAP_S = 0.1  # between two readings: a broker that floods costs ten a second
TOGETHER_S = 60.0  # values of one reading come in messages this close
MOST_TOPIC = 200
DEFAULTS = {"port": 1883, "tls": False, "username": "", "at": ""}
_REFUSALS = (134, 135)  # bad user name or password, not authorized


# --- settings ---


def checked(told: Mapping[str, Any]) -> dict[str, Any]:
    """The settings in full. Invalid says by field what is wrong."""
    unknown = told.keys() - DEFAULTS.keys() - {"host", "values"}
    wrong = {str(name)[:40]: "There is no such setting." for name in unknown}
    found = {**DEFAULTS, **told}
    if not address.is_name(found.get("host")):
        wrong["host"] = "The broker's name or IP address, such as broker.example.com."
    if not is_port(found["port"]):
        wrong["port"] = "A number from 1 to 65535."
    if not isinstance(found["tls"], bool):
        wrong["tls"] = "True or false."
    if not isinstance(found["username"], str) or len(found["username"]) > 200:
        wrong["username"] = "A text of 200 letters at most."
    if not payloads.is_path(found["at"]):
        wrong["at"] = "The path of a time, such as Time."
    try:
        listed = found.get("values")
        found["values"] = values.check_all(
            _value(one) for one in (listed if isinstance(listed, list) else ())
        )
    except values.BadValue as bad:
        wrong["values"] = str(bad)
    if wrong:
        raise Invalid(fields=wrong)
    return found


def is_port(port: object) -> bool:
    return isinstance(port, int) and not isinstance(port, bool) and 0 < port < 65_536


def _value(told: Any) -> dict[str, Any]:
    if not isinstance(told, dict) or told.keys() - {"of", "line", "scale", "topic", "path"}:
        raise values.BadValue("A value has of, line, scale, topic and path.")
    topic, path = told.get("topic"), told.get("path", "")
    if not isinstance(topic, str) or not 0 < len(topic) <= MOST_TOPIC or not topic.isprintable():
        raise values.BadValue("Name the topic of each value.")
    if "<" in topic:
        raise values.BadValue(f"{topic[:60]}: put your own name in the place of <...>.")
    if any(letter in topic for letter in "+#") or topic != topic.strip():
        raise values.BadValue("Name each topic in full, without + and #.")
    if not payloads.is_path(path):
        raise values.BadValue(f"{str(path)[:40]} is no path such as ENERGY.Current[0].")
    return values.check_key(told) | {"topic": topic, "path": path}


def read_line(line: str) -> dict[str, Any]:
    """`amps L1 shellies/meter/emeter/0/current`, or with a path after the topic."""
    told, rest = values.read_key(line.split())
    if not 1 <= len(rest) <= 2:
        raise values.BadValue(
            "After the line stands the topic, and after that the path in its JSON, if it is JSON."
        )
    return _value(told | {"topic": rest[0], "path": rest[1] if len(rest) == 2 else ""})


def write_line(value: Mapping[str, Any]) -> str:
    return values.write_key(value, f"{value['topic']} {value['path']}".strip())


# --- reading ---


async def readings(feed: Feed, threads: Threads) -> Readings:
    """A reading whenever all its values have been told anew."""
    settings = feed.settings
    context = await threads.net(ssl.create_default_context) if settings["tls"] else None
    connected = await threads.net(address.connect, settings["host"], settings["port"], context)
    topics = {value["topic"] for value in settings["values"]}
    link = Link(connected, topics, retained=feed.retained)
    try:
        await link.open(feed)
        gathering = Gathering(settings["values"], settings["at"])
        while True:
            for topic, payload in await link.arrived():
                if (told := gathering.take(topic, payload, time.monotonic())) is not None:
                    yield Told(feed.meter_id, *told)
            await asyncio.sleep(GAP_S)
    finally:
        link.shut()


class Gathering:
    """The values of one meter, which may come in messages of their own."""

    def __init__(self, wanted: list[dict[str, Any]], at: str) -> None:
        self._wanted, self._at = wanted, at
        self._found: dict[values.Key, float] = {}
        self._heard: dict[values.Key, float] = {}
        self._new: set[values.Key] = set()

    def take(self, topic: str, payload: bytes, now: float) -> tuple[Any, Any, Any] | None:
        """(amps, watts, at) once all is told; FeedError where a message cannot be read.

        A value that comes again before the others did tells that those are published more seldom: theirs count on.
        """
        mine = [value for value in self._wanted if value["topic"] == topic]
        document = payloads.parsed(payload) if any(value["path"] for value in mine) else None
        again = False
        for value in mine:
            key = values.key_of(value)
            self._found[key] = payloads.number_at(payload, document, value["path"]) * value["scale"]
            again = again or key in self._new
            self._new.add(key)
            self._heard[key] = now
        fresh = len(self._heard) == len(self._wanted) and now - min(self._heard.values()) <= TOGETHER_S
        if not fresh or not (again or len(self._new) == len(self._wanted)):
            return None
        self._new = {values.key_of(value) for value in mine} if again else set()
        at = payloads.at_of(document, self._at) if self._at and document is not None else None
        return (*values.together(self._found), at)


class _Paho(paho.Client):
    """On a socket that is connected already: to the address that was checked."""

    connected: socket.socket

    def _create_socket(self) -> Any:
        return self.connected

    def _packet_read(self) -> MQTTErrorCode:
        """A packet may say that it is 256 MB long, and paho would gather it."""
        result = super()._packet_read()
        if self._in_packet["remaining_length"] > payloads.MOST_BYTES + MOST_TOPIC:
            self.too_long = True
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        return result

    too_long = False


class Link:
    """One connection to a broker, moved by the loop. Of each topic the newest message waits, and no other topic's."""

    def __init__(self, connected: socket.socket, topics: set[str], *, retained: bool = False) -> None:
        self._loop = asyncio.get_running_loop()
        self._topics, self._retained = topics, retained
        self._waiting: dict[str, bytes] = {}
        self._some = asyncio.Event()
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._connected = connected
        self._pulse: asyncio.Task[None] | None = None
        client = _Paho(
            CallbackAPIVersion.VERSION2, f"voltyard-{secrets.token_hex(8)}", reconnect_on_failure=False
        )
        client.connected = connected
        client.suppress_exceptions = False
        client.on_connect, client.on_subscribe = self._on_connect, self._on_subscribe
        client.on_message, client.on_disconnect = self._on_message, self._on_disconnect
        client.on_socket_open, client.on_socket_close = self._on_open, self._on_close
        client.on_socket_register_write = self._on_write
        client.on_socket_unregister_write = self._on_written
        self._client = client

    async def open(self, feed: Feed) -> None:
        """Log in and subscribe. FeedError says why not."""
        settings = feed.settings
        if settings["username"] or feed.secret:
            self._client.username_pw_set(settings["username"], feed.secret or None)
        self._pulse = self._loop.create_task(self._beat())
        self._client.connect(settings["host"], settings["port"], keepalive=KEEPALIVE_S)
        done, _waiting = await asyncio.wait(
            (self._opened, self._over), timeout=ANSWER_S, return_when=asyncio.FIRST_COMPLETED
        )
        for ended in done:
            ended.result()
        if not done:
            raise FeedError(NOT_SPOKEN, f"{settings['host']}:{settings['port']}, MQTT 3.1.1")

    async def arrived(self) -> list[tuple[str, bytes]]:
        """What came since, in the order in which the topics spoke."""
        waiter = self._loop.create_task(self._some.wait())
        try:
            done, _pending = await asyncio.wait(
                (waiter, self._over), timeout=SILENT_S, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            waiter.cancel()
        if not self._waiting and self._over in done:
            self._over.result()
        if not done:
            raise FeedError(SILENT, ", ".join(sorted(self._topics)))
        found, self._waiting = list(self._waiting.items()), {}
        self._some.clear()
        return found

    def shut(self) -> None:
        if self._pulse is not None:
            self._pulse.cancel()
        with contextlib.suppress(Exception):
            self._client.disconnect()
            self._client.loop_write()
        if (number := self._connected.fileno()) >= 0:
            self._loop.remove_reader(number)
            self._loop.remove_writer(number)
        with contextlib.suppress(OSError):
            self._connected.close()
        for future in (self._opened, self._over):
            if future.done():
                future.exception()  # seen
            else:
                future.cancel()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(1)
            self._client.loop_misc()

    def _end(self, error: FeedError) -> None:
        for future in (self._opened, self._over):
            if not future.done():
                future.set_exception(error)

    def _read(self) -> None:
        """TLS may hold more than the socket shows; what is left after so many packets waits for its turn."""
        try:
            for _packet in range(PACKETS_AT_ONCE):
                self._client.loop_read()
                sock = self._client.socket()
                if sock is None or not getattr(sock, "pending", int)():
                    return
            self._loop.call_soon(self._read)
        except Exception as error:  # a broker that speaks something else drives paho into any of these
            self._end(FeedError(NOT_SPOKEN, f"MQTT 3.1.1, {type(error).__name__}"))

    def _on_open(self, _client: Any, _data: Any, sock: Any) -> None:
        self._loop.add_reader(sock, self._read)

    def _on_close(self, _client: Any, _data: Any, sock: Any) -> None:
        self._loop.remove_reader(sock)
        self._loop.remove_writer(sock)

    def _on_write(self, _client: Any, _data: Any, sock: Any) -> None:
        self._loop.add_writer(sock, self._client.loop_write)

    def _on_written(self, _client: Any, _data: Any, sock: Any) -> None:
        self._loop.remove_writer(sock)

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if not reason.is_failure:
            self._client.subscribe([(topic, 0) for topic in sorted(self._topics)])
        elif reason.value in _REFUSALS:
            self._end(FeedError(REFUSED))
        else:
            self._end(FeedError(NOT_SPOKEN, str(reason)))

    def _on_subscribe(self, _client: Any, _data: Any, _mid: Any, reasons: Any, _properties: Any) -> None:
        refused = [
            topic for topic, reason in zip(sorted(self._topics), reasons, strict=False) if reason.is_failure
        ]
        if refused:
            self._end(FeedError(TOPIC_REFUSED, refused[0]))
        elif not self._opened.done():
            self._opened.set_result(None)

    def _on_message(self, _client: Any, _data: Any, message: Any) -> None:
        if message.retain and not self._retained:
            return
        if len(message.payload) > payloads.MOST_BYTES:  # came at once, so that nothing had to be gathered
            self._end(FeedError(TOO_LONG))
        elif message.topic in self._topics:
            self._waiting.pop(message.topic, None)
            self._waiting[message.topic] = message.payload
            self._some.set()

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if self._client.too_long:
            self._end(FeedError(TOO_LONG))
        elif not self._opened.done() and getattr(reason, "value", 0) in _REFUSALS:
            self._end(FeedError(REFUSED))
        else:
            self._end(FeedError(CUT_OFF))

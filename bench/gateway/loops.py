"""Stations under load: closed loop (each waits for its answer) and open loop (calls at fixed moments)."""

from __future__ import annotations

import asyncio
import contextlib
import time
from array import array
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bench.gateway.mix import STEPS, Script
from bench.sockets import Refused, Socket, connect


@dataclass(frozen=True)
class Target:
    """Where to connect and as whom. `stations`: (identity, password)."""

    name: str
    url: str
    stations: list[tuple[str, str]]
    token: str
    echo: bool = False


@dataclass
class Result:
    calls: int = 0
    seconds: float = 0.0
    latencies: array[float] = field(default_factory=lambda: array("d"))
    by_kind: dict[str, array[float]] = field(default_factory=lambda: defaultdict(lambda: array("d")))
    errors: Counter[str] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        return self.calls / self.seconds if self.seconds else 0.0

    def percentile(self, share: float) -> float:
        """Milliseconds."""
        return percentile(self.latencies, share)

    def kinds(self, share: float) -> str:
        """The same for each kind of call, in words."""
        return ", ".join(
            f"{kind} {percentile(self.by_kind[kind], share):.1f}" for kind in sorted(self.by_kind)
        )


def percentile(latencies: Iterable[float], share: float) -> float:
    """Milliseconds, of seconds."""
    values = sorted(latencies)
    return values[min(len(values) - 1, int(len(values) * share))] * 1000 if values else float("nan")


class Station:
    """One connection that speaks its script."""

    def __init__(self, number: int, target: Target) -> None:
        self.identity, self.password = target.stations[number]
        self.target = target
        self.script = Script(number, target.token)
        self.socket: Socket | None = None
        self.result: Result | None = None
        self.looping = False
        self.answered = 0  # calls in all, measured or not
        self._step = ""
        self._begun = 0.0
        self._due: deque[float] = deque()
        self._booted: asyncio.Future[None] | None = None

    async def connect(self, *, boot: bool = True) -> None:
        self.socket = await connect(self.target.url, self.identity, self.password)
        self.socket.on_text = self._on_text
        self.socket.on_lost = self._on_lost
        if boot:
            await self.boot()

    async def boot(self) -> None:
        assert self.socket is not None
        self._booted = asyncio.get_running_loop().create_future()
        self.socket.send(self.script.boot())
        await self._booted

    def drop(self) -> None:
        if self.socket is not None:
            self.socket.on_lost = lambda: None
            self.socket.abort()
            self.socket = None

    # -- calls

    def call(self, intended: float | None = None) -> None:
        """Send the next call now, or after the one under way. Its latency counts from `intended`."""
        if self._step:
            self._due.append(intended if intended is not None else time.perf_counter())
            return
        if self.socket is None:
            return
        name, text = self.script.next()
        self._step = name
        self._begun = intended if intended is not None else time.perf_counter()
        self.socket.send(text)

    def _on_text(self, text: bytes) -> None:
        kind = text[1:2]
        if self.target.echo:
            kind = b"3"
        if kind == b"2":
            self._answer(text)
            return
        if self._booted is not None and not self._booted.done():
            self._booted.set_result(None)
            return
        if kind != b"3" and self.result is not None:
            self.result.errors[f"{self._step}: {text[:160].decode(errors='replace')}"] += 1
        self._settle(text)

    def _settle(self, text: bytes) -> None:
        name, self._step = self._step, ""
        self.script.answered(name, text)
        self.answered += 1
        if self.result is not None:
            self.result.calls += 1
            took = time.perf_counter() - self._begun
            self.result.latencies.append(took)
            self.result.by_kind[name].append(took)
        if self._due:
            self.call(self._due.popleft())
        elif self.looping:
            self.call()

    def _answer(self, text: bytes) -> None:
        """What the gateway wants to know of a station after its boot: it has nothing to tell."""
        message_id = text.split(b'"', 2)[1]
        known = b'[3,"%s",{"configurationKey":[],"unknownKey":[]}]' % message_id
        refusal = b'[4,"%s","NotImplemented","",{}]' % message_id
        if self.socket is not None:
            self.socket.send(known if b'"GetConfiguration"' in text else refusal)

    def _on_lost(self) -> None:
        self.socket = None
        if self.result is not None:
            self.result.errors["connection lost"] += 1
        if self._booted is not None and not self._booted.done():
            self._booted.set_exception(ConnectionResetError("lost before the boot was answered"))


async def connect_all(stations: Sequence[Station], *, at_once: int = 200, timeout: float = 120) -> float:
    """Connect and boot; a station that is turned away tries again. Seconds until the last one is there."""
    begun = time.perf_counter()
    gate = asyncio.Semaphore(at_once)
    end = begun + timeout

    async def arrive(station: Station) -> None:
        pause = 0.05
        while True:
            try:
                async with gate, asyncio.timeout(30):
                    return await station.connect()
            except (OSError, Refused, TimeoutError):
                if time.perf_counter() > end:
                    raise
                await asyncio.sleep(pause)
                pause = min(1.0, pause * 2)

    await asyncio.gather(*(arrive(station) for station in stations))
    return time.perf_counter() - begun


async def closed_loop(stations: list[Station], seconds: float, warm_up: float) -> Result:
    """Every station calls, waits for the answer, calls again."""
    for station in stations:
        station.looping, station.result = True, None
        station.call()
    await asyncio.sleep(warm_up)
    result = Result()
    begun = time.perf_counter()
    for station in stations:
        station.result = result
    await asyncio.sleep(seconds)
    result.seconds = time.perf_counter() - begun
    for station in stations:
        station.result, station.looping = None, False
    await quiet(stations)
    return result


async def open_loop(stations: list[Station], rate: float, seconds: float, warm_up: float) -> Result:
    """Calls at fixed moments, whatever the answers do; latency counts from the moment a call was due.

    In the warm-up the stations get out of step: two hundred that all start a session within the same tenth of a second
    are not what a rate means.
    """
    result = Result()
    for number, station in enumerate(stations):
        station.script.lead = number % len(STEPS)
    warm_up = max(warm_up, 2 * len(STEPS) * len(stations) / rate)
    begun = time.perf_counter()
    sent, measuring = 0, False
    while (now := time.perf_counter() - begun) < warm_up + seconds:
        if not measuring and now >= warm_up:
            measuring = True
            for station in stations:
                station.result = result
        while sent < now * rate:
            stations[sent % len(stations)].call(begun + sent / rate)
            sent += 1
        await asyncio.sleep(0.001)
    result.seconds = seconds
    for station in stations:
        station.result = None
    await quiet(stations)
    return result


async def quiet(stations: list[Station], timeout: float = 10) -> None:
    """Wait until no answer is outstanding."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout):
            while any(station._step and station.socket for station in stations):
                await asyncio.sleep(0.01)

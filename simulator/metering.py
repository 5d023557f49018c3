"""Time passes: cars charge, states change, readings are taken, messages are queued and delivered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from random import Random
from typing import Any

from ocpp.exceptions import OCPPError
from websockets.exceptions import WebSocketException

from simulator.clock import Clock
from simulator.connector import Connector
from simulator.device import Device
from simulator.journal import Journal, Line
from simulator.outbox import Entry, Outbox
from simulator.profiles import Limit, Profiles
from simulator.quirks import Quirks
from simulator.readings import Readings, read
from simulator.transaction import Transaction
from simulator.wire import Wire


class Metering:
    """Mixed into SimulatedStation, below Charging."""

    connectors: dict[int, Connector]
    clock: Clock
    device: Device
    journal: Journal
    outbox: Outbox
    profiles: Profiles
    quirks: Quirks
    rng: Random
    version: str
    booted: bool
    last_verdict: str = ""
    last_transaction: Transaction | None = None
    complaints: Any
    frames: Any
    says: Any
    until: Callable[..., Coroutine[Any, Any, None]]
    tell: Callable[..., Coroutine[Any, Any, Any]]
    settled: Callable[..., Coroutine[Any, Any, None]]
    background: Callable[[Coroutine[Any, Any, None]], None]
    notify: Callable[[], None]
    require_wire: Callable[[], Wire]
    drop: Callable[[], Coroutine[Any, Any, None]]

    def note(self, text: str, level: str = "INFO", *, security: bool = False) -> None:
        """Write into the station's own log."""
        self.journal.add(Line(self.clock.now(), self.clock.stamp(), level, text, security))

    # -- time

    async def advance(self, seconds: float) -> None:
        """On a manual clock: let simulated seconds pass; every reading due is sent and acknowledged."""
        end = self.clock.seconds() + seconds
        while (left := end - self.clock.seconds()) > 1e-9:
            self.clock.advance(min(left, self._longest_step()))
            for connector in self.connectors.values():
                self.tick(connector)
            await self.settled()

    def _longest_step(self) -> float:
        """Until the next reading is due, and never more than a minute."""
        now = self.clock.seconds()
        due = [
            c.transaction.next_sample - now
            for c in self.connectors.values()
            if c.transaction and self.sample_interval
        ]
        if aligned := self.device.number("ClockAlignedDataInterval"):
            due.append(aligned - self.clock.now().timestamp() % aligned)
        return max(0.001, min([60.0, *[gap for gap in due if gap > 0]]))

    def tick(self, connector: Connector) -> None:
        """Catch up with the clock at one connector."""
        before = connector.state
        last = self._aligned_slot(connector)
        self.measure(connector)
        transaction = connector.transaction
        if connector.state != before:
            self.background(self.tell_state(connector))
        if self._aligned_slot(connector) != last:
            self._send_readings(connector, "Sample.Clock", "MeterValueClock")
        if transaction and self.sample_interval and self.clock.seconds() >= transaction.next_sample - 1e-6:
            transaction.next_sample += self.sample_interval
            if transaction.next_sample < self.clock.seconds():
                transaction.next_sample = self.clock.seconds() + self.sample_interval
            self._send_readings(connector, "Sample.Periodic", "MeterValuePeriodic")

    def _aligned_slot(self, connector: Connector) -> int:
        interval = self.device.number("ClockAlignedDataInterval")
        seconds_ago = self.clock.seconds() - self._last_tick.get(connector.number, self.clock.seconds())
        seen = self.clock.now() - timedelta(seconds=seconds_ago)
        return int(seen.timestamp() // interval) if interval else 0

    def measure(self, connector: Connector) -> None:
        """Let current flow since the last look."""
        now = self.clock.seconds()
        passed = now - self._last_tick.get(connector.number, now)
        self._last_tick[connector.number] = now
        connector.pass_time(passed, self.limit(connector), self.rng)

    def limit(self, connector: Connector) -> Limit:
        transaction = connector.transaction
        if transaction is not None and not transaction.authorized:
            return Limit(0.0, 0.0)
        active = sum(1 for other in self.connectors.values() if other.transaction is not None)
        begun = transaction.started_at if transaction else None
        return self.profiles.limit(connector.number, self.clock.now(), begun, active)

    def limits_changed(self) -> None:
        for connector in self.connectors.values():
            if connector.transaction is not None:
                self.tick(connector)

    @property
    def sample_interval(self) -> int:
        return self.device.number("MeterValueSampleInterval")

    # -- readings

    def readings(self, connector: Connector, context: str) -> Readings:
        key = {
            "Sample.Clock": "MeterValuesAlignedData",
            "Transaction.Begin": "SampledDataCtrlr.TxStartedMeasurands",
            "Transaction.End": "StopTxnSampledData",
        }.get(context, "MeterValuesSampledData")
        return read(connector, self.device.members(key), self.clock.now(), context)

    def _send_readings(self, connector: Connector, context: str, trigger: str) -> None:
        readings = self.readings(connector, context)
        transaction = connector.transaction
        if not readings.values:
            return
        if transaction is None:
            self.background(self.tell(self.says.meter_values(self, connector, readings)))
            return
        if payload := self.says.updated(self, connector, transaction, trigger, readings):
            self.queue(payload, transaction, "update")

    async def align(self) -> None:
        """Clock-aligned readings of idle connectors; busy ones have their driver."""
        while interval := self.device.number("ClockAlignedDataInterval"):
            await self.clock.sleep(interval - self.clock.now().timestamp() % interval)
            for connector in self.connectors.values():
                if connector.transaction is None:
                    self._send_readings(connector, "Sample.Clock", "MeterValueClock")

    async def report_now(self, number: int, trigger: str = "Trigger") -> None:
        """TriggerMessage for readings: send them once, now."""
        connector = self.connectors[number]
        self.measure(connector)
        self._send_readings(connector, "Trigger", trigger)

    # -- states

    def charging_state(self, connector: Connector) -> str:
        """2.x chargingState."""
        if connector.car is None:
            return "Idle"
        transaction = connector.transaction
        if transaction is not None and not transaction.authorized:
            return "EVConnected"
        words = {"charging": "Charging", "suspended_ev": "SuspendedEV", "suspended_evse": "SuspendedEVSE"}
        return words.get(connector.state, "EVConnected")

    async def tell_state(self, connector: Connector) -> None:
        """StatusNotification if the state is news; in 2.x also the transaction's charging state."""
        transaction = connector.transaction
        if transaction is not None and transaction.charging_state != self.charging_state(connector):
            transaction.charging_state = self.charging_state(connector)
            trigger = (
                "CablePluggedIn" if transaction.charging_state == "EVConnected" else "ChargingStateChanged"
            )
            if payload := self.says.updated(self, connector, transaction, trigger, None):
                self.queue(payload, transaction, "update")
        word = self.says.state_word(connector.state)
        if word != connector.reported and self.booted:
            connector.reported = word
            await self.tell(self.says.status(self, connector))
            await self.tell_problem(connector)

    async def tell_problem(self, connector: Connector) -> None:
        """What a version says of a fault besides StatusNotification."""

    async def tell_states(self) -> None:
        """After a boot: the state of everything."""
        for payload in self.says.station_status(self):
            await self.tell(payload)
        for connector in self.connectors.values():
            connector.reported = self.says.state_word(connector.state)
            await self.tell(self.says.status(self, connector))

    # -- transaction messages

    def queue(self, build: Callable[[], Any], transaction: Transaction | None, kind: str) -> Entry:
        return self.outbox.add(Entry(build, transaction, kind))

    async def delivered(self, entry: Entry) -> None:
        """Wait until a message is acknowledged, unless the station is offline."""
        await self.until(lambda: entry.done.done() or not self.booted)

    async def settled_entries(self) -> None:
        await self.until(lambda: not self.outbox or not self.booted)

    async def _deliver(self) -> None:
        """Send what is queued, oldest first; each waits for its acknowledgement (1.6 section 4.9)."""
        while True:
            entry = await self.outbox.head()
            await self.until(lambda: self.booted, timeout=10**9)
            answer = await self._attempt(entry)
            if answer is None:
                continue
            self.outbox.drop(entry)
            entry.settle(answer)
            try:
                self._answered(entry, answer)
            except Exception as error:  # the other messages must go on
                self.complaints.append(error)
            self.notify()

    async def _attempt(self, entry: Entry) -> Any:
        """The answer; None: try again; False: given up after the attempts the settings allow."""
        entry.attempts += 1
        try:
            return await self.require_wire().ask(entry.build())
        except OCPPError as error:
            self.complaints.append(error)
            if entry.attempts >= self.device.number("TransactionMessageAttempts"):
                return False
            pause = self.device.number("TransactionMessageRetryInterval") * entry.attempts
            await asyncio.sleep(pause / (self.clock.rate or 1000.0))
        except (OSError, WebSocketException, TimeoutError):
            await asyncio.sleep(0.02)
        return None

    def _answered(self, entry: Entry, answer: Any) -> None:
        transaction = entry.transaction
        if transaction is None or not answer:
            return
        self.says.learn(transaction, answer, entry.kind)
        refused = transaction.verdict not in ("", "Accepted")
        if refused and transaction.open and self.device.flag("StopTransactionOnInvalidId"):
            self.background(self._stop_refused(transaction))

    async def _stop_refused(self, transaction: Transaction) -> None:
        await self.stop(transaction.connector, reason="DeAuthorized", trigger="Deauthorized")

    stop: Callable[..., Coroutine[Any, Any, Transaction | None]]
    _last_tick: dict[int, float]
    _drivers: dict[int, asyncio.Task[None]]

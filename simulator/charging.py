"""The verbs of a station: plug in, authorise, start, meter, stop, unplug, break, reboot."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from ocpp.exceptions import OCPPError
from websockets.exceptions import WebSocketException

from simulator.car import Car, Contract, any_car
from simulator.connector import Connector
from simulator.journal import explain
from simulator.metering import Metering
from simulator.outbox import Entry
from simulator.profiles import Profile
from simulator.transaction import Token, Transaction

if TYPE_CHECKING:
    from simulator.link import Link

TICK_SECONDS = 1.0  # real seconds between looks at a running transaction
ACCEPTED = "Accepted"
LOST = (OSError, WebSocketException, TimeoutError)


class Charging(Metering):
    """Mixed into SimulatedStation."""

    link: Link
    auto_plug: float | None
    local_auth: Any
    screen: Any
    past: Any  # transactions that ended, as far back as the station remembers
    proven: dict[str, Contract]  # contracts that cars have shown
    last_certificate = ""  # what was said of the certificate that a car showed last

    # -- cable and token

    async def plug_in(self, number: int = 1, car: Car | None = None) -> None:
        """A car arrives and its driver plugs in."""
        connector = self.connectors[number]
        connector.car = car or any_car(self.rng, connector.kind)
        connector.finished = False
        await self.tell_state(connector)
        if connector.transaction is not None:
            self.measure(connector)
            await self._begin_charging(connector)
        elif "EVConnected" in self._points("TxStartPoint"):
            await self._announce(connector, None, "CablePluggedIn")

    async def authorize(self, token: str, kind: str = "ISO14443") -> str:
        """Ask whether this token may charge; offline, the local list and the cache decide. Gives the verdict."""
        here = self.local_auth.verdict(token, self.clock.now())
        in_list = self.device.flag("LocalAuthListEnabled") and token in self.local_auth.entries
        if in_list and here == ACCEPTED and self.device.flag("LocalPreAuthorize"):
            return ACCEPTED
        if self.booted:
            with contextlib.suppress(*LOST):
                try:
                    answer = await self.require_wire().ask(self.says.authorize(Token(token, kind)))
                except OCPPError as error:
                    self.complaints.append(error)
                    return "Invalid"
                verdict = self.says.verdict(answer)
                self.local_auth.learn(token, verdict, self.says.group(answer))
                return verdict
        known = here if self.device.flag("LocalAuthorizeOffline") else None
        return known or (ACCEPTED if self.device.flag("AllowOfflineTxForUnknownId") else "Unknown")

    async def plug_and_charge(self, number: int = 1) -> Transaction | None:
        """The car at this connector proves its contract and charges. None when it is refused, or has none; the
        verdict on the contract is then `last_verdict`, on its certificate `last_certificate`."""
        car = self.connectors[number].car
        if car is None or car.contract is None:
            return None
        answer = await self.require_wire().ask(self.says.prove(car.contract))
        self.last_verdict, self.last_certificate = self.says.proved(answer)
        if (self.last_verdict, self.last_certificate) != (ACCEPTED, ACCEPTED):
            return None
        self.proven[car.contract.emaid] = car.contract
        return await self.start(number, car.contract.emaid, kind="eMAID", authorize=False)

    async def autocharge(self, number: int = 1) -> Transaction | None:
        """The car at this connector is known by its MAC address, or is not."""
        car = self.connectors[number].car
        return (
            await self.start(number, self.says.vehicle(car.mac), kind="MacAddress")
            if car and car.mac
            else None
        )

    # -- start

    async def start(
        self,
        number: int = 1,
        token: str = "",
        *,
        kind: str = "ISO14443",
        authorize: bool = True,
        remote_start_id: int | None = None,
        profile: Profile | None = None,
    ) -> Transaction | None:
        """Present a token and start. Waits for the acknowledgement when online.

        None when the token was refused; the verdict is then `last_verdict`.
        """
        connector = self.connectors[number]
        self.last_verdict = await self.authorize(token, kind) if authorize else ACCEPTED
        if self.kept_from(connector, token):  # somebody else has reserved it
            self.last_verdict = "Reserved"
            return None
        if self.last_verdict != ACCEPTED and not self.quirks.starts_anyway:
            self.note(f"Connector {number}: card {token} refused ({self.last_verdict})", "WARN")
            return None
        if self.quirks.starts_fail:
            code, info = explain("ConnectorLockFailure")
            self.note(f"Connector {number}: {code} ConnectorLockFailure, start given up: {info}", "ERROR")
            return None
        who = Token(token, kind)
        transaction = connector.transaction
        if transaction is None:
            trigger = "RemoteStart" if remote_start_id is not None else "Authorized"
            transaction = await self._announce(connector, who, trigger, remote_start_id)
        else:
            await self._join(connector, transaction, who, remote_start_id)
        if profile is not None:
            profile.transaction_id = transaction.id
            self.profiles.add(profile)
        await self._begin_charging(connector)
        return transaction

    def kept_from(self, connector: Connector, token: str) -> bool:
        """Whether the connector is reserved for another token, of another group."""
        kept = connector.reservation
        if kept is None or token in (kept.token, kept.parent):
            return False
        return not kept.parent or self.local_auth.groups.get(token) != kept.parent

    async def _announce(
        self, connector: Connector, token: Token | None, trigger: str, remote_start_id: int | None = None
    ) -> Transaction:
        """A transaction begins."""
        reservation, connector.reservation = connector.reservation, None
        transaction = Transaction(
            connector=connector.number,
            token=token,
            meter_start_wh=int(connector.register_wh),
            started_at=self.clock.now(),
            id=self.says.new_transaction_id(self),
            remote_start_id=remote_start_id,
            reservation_id=reservation.id if reservation else None,
            authorized=token is not None,
        )
        connector.transaction, connector.finished = transaction, False
        self.note(f"Connector {connector.number}: transaction begins at {transaction.meter_start_wh} Wh")
        self.last_transaction = transaction
        transaction.next_sample = self.clock.seconds() + self.sample_interval
        transaction.begin = self.readings(connector, "Transaction.Begin")
        transaction.charging_state = "EVConnected" if connector.car else "Idle"
        self._last_tick[connector.number] = self.clock.seconds()
        entry = self.queue(self.says.started(self, connector, transaction, trigger), transaction, "start")
        if self.quirks.lost_start_reply:
            self._drop_after_send()
        if not self.clock.manual:
            self._drivers[connector.number] = asyncio.create_task(self._drive(transaction))
        await self.delivered(entry)
        return transaction

    async def _join(
        self, connector: Connector, transaction: Transaction, token: Token, remote_start_id: int | None
    ) -> None:
        """2.x with TxStartPoint EVConnected: the driver is known only now."""
        transaction.token, transaction.authorized = token, True
        transaction.remote_start_id = remote_start_id
        trigger = "Authorized" if remote_start_id is None else "RemoteStart"
        payload = self.says.updated(self, connector, transaction, trigger, None)
        if payload:
            await self.delivered(self.queue(payload, transaction, "update"))

    async def _begin_charging(self, connector: Connector) -> None:
        if connector.transaction is None or not connector.transaction.authorized:
            return
        self.measure(connector)
        await self.tell_state(connector)
        await self.settled_entries()

    def wake(self, transaction: Transaction) -> None:
        """Go on with a transaction under a new clock."""
        now = self.clock.seconds()
        self._last_tick[transaction.connector] = now
        transaction.next_sample = now + self.sample_interval
        self._drivers[transaction.connector] = asyncio.create_task(self._drive(transaction))

    async def _drive(self, transaction: Transaction) -> None:
        """Let time pass for a transaction while it runs (not on a manual clock)."""
        connector = self.connectors[transaction.connector]
        while transaction.open and connector.transaction is transaction:
            await asyncio.sleep(TICK_SECONDS)
            self.tick(connector)

    # -- stop

    async def stop(
        self, number: int = 1, *, reason: str = "Local", token: str | None = None, trigger: str = ""
    ) -> Transaction | None:
        """End the transaction; waits for the acknowledgement when online. The cable stays in."""
        connector = self.connectors[number]
        transaction = connector.transaction
        if transaction is None:
            return None
        self.measure(connector)
        entries = self._end(connector, transaction, reason, token, trigger)
        await self.tell_state(connector)
        for entry in entries:
            await self.delivered(entry)
        return transaction

    def _end(
        self, connector: Connector, transaction: Transaction, reason: str, token: str | None, trigger: str
    ) -> list[Entry]:
        transaction.meter_stop_wh = int(connector.register_wh)
        transaction.stopped_at, transaction.reason = self.clock.now(), reason
        final = self.readings(connector, "Transaction.End")
        self.past.append(transaction)
        self.note(
            f"Connector {connector.number}: transaction ended by {reason} at {transaction.meter_stop_wh} Wh"
        )
        connector.transaction, connector.finished = None, connector.car is not None
        connector.flow.power_w = connector.flow.amps = 0.0
        if connector.inoperative_after:
            connector.operative = connector.inoperative_after = False
        self.profiles.end_transaction(connector.number)
        self.screen.over(transaction.id)
        driver = self._drivers.pop(connector.number, None)
        if driver and driver is not asyncio.current_task():
            driver.cancel()
        messages = self.says.ended(self, connector, transaction, trigger, final, token)
        return [self.queue(message, transaction, "stop") for message in messages]

    async def unplug(self, number: int = 1) -> None:
        """The driver takes the cable; a running transaction ends with EVDisconnected."""
        connector = self.connectors[number]
        if connector.transaction is not None:
            await self.stop(number, reason="EVDisconnected", trigger="EVDeparted")
        connector.car, connector.finished = None, False
        await self.tell_state(connector)

    # -- what goes wrong

    async def fault(
        self,
        number: int = 1,
        code: str = "GroundFailure",
        *,
        stop: bool = True,
        vendor_code: str = "",
        info: str = "",
        heals: str = "",
    ) -> None:
        """`code`: an error of 1.6; the maker's code and sentence are its own where none are given. `heals`: what
        ends it, "reset" (of any kind) or "hard_reset"; otherwise `clear_fault` alone."""
        connector = self.connectors[number]
        connector.vendor_code, connector.fault_info = explain(code)
        connector.vendor_code, connector.fault_info = (
            vendor_code or connector.vendor_code,
            info or connector.fault_info,
        )
        connector.heals = heals or ("reset" if self.quirks.reset_heals else "")
        self.note(f"Connector {number}: {connector.vendor_code} {code}: {connector.fault_info}", "ERROR")
        if stop and connector.transaction is not None:
            await self.stop(number, reason="Other", trigger="AbnormalCondition")
        connector.fault = code
        kept, connector.reservation = connector.reservation, None
        await self.tell_state(connector)
        if kept is not None and self.version != "1.6":  # H01.FR.17
            await self.tell(self.says.reservation_status(kept.id, "Removed"))

    async def clear_fault(self, number: int = 1) -> None:
        self._heal(self.connectors[number])
        await self.tell_state(self.connectors[number])

    def _heal(self, connector: Connector) -> None:
        if connector.fault:
            self.note(f"Connector {connector.number}: {connector.vendor_code} {connector.fault} is over")
        connector.fault = connector.heals = ""
        connector.heat_c = 0.0

    async def reboot(
        self, *, reason: str = "LocalReset", stop_reason: str = "Reboot", hard: bool = True
    ) -> None:
        """Restart in order: transactions end first, then the socket closes; `back` waits for the return.
        Not `hard`: the software alone, so that what its hardware found stays."""
        self.note(f"Restart ({'hard' if hard else 'soft'}): {reason}")
        for number, connector in self.connectors.items():
            if connector.transaction is not None:
                await self.stop(number, reason=stop_reason, trigger="ResetCommand")
        await self._restart(reason, hard)

    async def power_loss(self) -> None:
        """The mains fail: the line goes dead, and the stop is told only after the next boot."""
        self.link.boot_reason = "PowerUp"
        await self.drop()
        for number, connector in self.connectors.items():
            if connector.transaction is not None:
                await self.stop(number, reason="PowerLoss", trigger="AbnormalCondition")
        self.note("Power was lost", "WARN")
        self._forget(hard=True)

    async def _restart(self, reason: str, hard: bool) -> None:
        self.link.boot_reason = reason
        self._forget(hard)
        self.link.pause(1.0 / (self.clock.rate or 20.0))
        await self.link.close(1001, "rebooting")

    def _forget(self, hard: bool) -> None:
        self.device.reboot()
        for connector in self.connectors.values():
            if connector.heals == "reset" or (hard and connector.heals == "hard_reset"):
                self._heal(connector)
            connector.reported = ""

    # -- what the other side asks for

    async def remote_start(
        self, number: int, token: str, kind: str, remote_start_id: int | None, profile: Profile | None
    ) -> None:
        """After a remote start was accepted: the driver plugs in, or did, and it goes on."""
        connector = self.connectors[number]
        ask_first = self.device.flag("AuthorizeRemoteTxRequests")
        if connector.car is None and not await self._await_cable(connector):
            return
        await self.start(
            number,
            token,
            kind=kind,
            authorize=ask_first,
            remote_start_id=remote_start_id or 0,
            profile=profile,
        )

    async def _await_cable(self, connector: Connector) -> bool:
        connector.waiting_for_start = True
        await self.tell_state(connector)
        try:
            if self.auto_plug is not None:
                await asyncio.sleep(self.auto_plug)
                await self.plug_in(connector.number)
            else:
                seconds = self.device.number("ConnectionTimeOut") / (self.clock.rate or 1.0)
                await self.until(lambda: connector.car is not None, seconds)
        except TimeoutError:
            connector.waiting_for_start = False
            await self.tell_state(connector)
            return False
        connector.waiting_for_start = False
        return True

    async def set_operative(self, numbers: list[int], operative: bool) -> str:
        """Accepted, or Scheduled when a transaction must end first."""
        scheduled = False
        for number in numbers:
            connector = self.connectors[number]
            if connector.transaction is not None and not operative:
                connector.inoperative_after = scheduled = True
            else:
                connector.operative, connector.inoperative_after = operative, False
        return "Scheduled" if scheduled else ACCEPTED

    def _drop_after_send(self) -> None:
        """Quirk: the reply to the start is lost with the line."""
        self.quirks.lost_start_reply = False
        sent = len(self.frames)

        async def cut() -> None:
            await self.until(lambda: any("Start" in text for _, text in list(self.frames)[sent:]))
            self.link.drop()

        self.background(cut())

    def _points(self, name: str) -> list[str]:
        return self.device.members(f"TxCtrlr.{name}") if self.version != "1.6" else []

"""What the other side may ask of a station, in words that both versions share."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any

from simulator import transfer
from simulator.charging import Charging
from simulator.clock import read_stamp
from simulator.connector import Connector, Reservation
from simulator.device import Setting
from simulator.local_auth import Entry
from simulator.profiles import Limit, Period, Profile
from simulator.security import OWN, Security

SIGNED_FOR = {
    "SignV2GCertificate": "V2GCertificate",
    "SignCombinedCertificate": OWN,  # the one it has serves for both
    "SignV2G20Certificate": "V2G20Certificate",
}
Then = Callable[[Callable[[], Coroutine[Any, Any, None]]], None]


def told_firmware(firmware: dict[str, Any]) -> dict[str, Any]:
    """FirmwareType as `update_firmware` takes it."""
    return {
        "location": firmware["location"],
        "when": firmware["retrieve_date_time"],
        "signature": firmware.get("signature") or "",
        "certificate": firmware.get("signing_certificate") or "",
        "install_at": firmware.get("install_date_time") or "",
    }


def told_log(log: dict[str, Any], kind: str) -> dict[str, Any]:
    """LogParametersType as `upload_log` takes it."""
    return {
        "location": log["remote_location"],
        "security": kind == "SecurityLog",
        "since": log.get("oldest_timestamp") or "",
        "until": log.get("latest_timestamp") or "",
    }


class Commands(Charging):
    """Mixed into SimulatedStation, above Charging."""

    operative: bool
    booted: bool
    align_anew: Callable[[], None]
    password_bytes: bytes | None
    security: Security

    # -- start and stop

    def connector_for_start(self, number: int | None, token: str) -> int | None:
        """Where a remote start may go: the connector named, else the first that is free."""
        if not self.booted:  # B02.FR.05: a station that is not accepted yet starts nothing
            return None
        wanted = [number] if number else list(self.connectors)
        free = [
            self.connectors[n]
            for n in wanted
            if n in self.connectors and self._may_start(self.connectors[n], token)
        ]
        return free[0].number if free else None

    def _may_start(self, connector: Connector, token: str) -> bool:
        transaction = connector.transaction
        busy = (transaction is not None and transaction.authorized) or connector.waiting_for_start
        held = self.kept_from(connector, token)
        return connector.operative and not connector.fault and not busy and not held

    def connector_of(self, transaction_id: Any) -> int | None:
        for number, connector in self.connectors.items():
            if connector.transaction is not None and connector.transaction.id == transaction_id:
                return number
        return None

    async def remote_stop(self, number: int) -> None:
        await self.stop(number, reason="Remote", trigger="RemoteStop")

    async def unlocked(self, number: int) -> None:
        """The cable comes free; a transaction ends first (1.6 section 5.18)."""
        if self.connectors[number].transaction is not None:
            await self.stop(number, reason="UnlockCommand", trigger="UnlockCommand")
        await self.unplug(number)

    # -- availability and settings

    async def tell_changed_states(self) -> None:
        if 0 not in self._told_station or self._told_station[0] != self.operative:
            self._told_station[0] = self.operative
            for payload in self.says.station_status(self):
                await self.tell(payload)
        for connector in self.connectors.values():
            await self.tell_state(connector)

    async def setting_changed(self, setting: Setting) -> None:
        """Some settings take effect at once."""
        if setting.key == "HeartbeatInterval":
            self.link.beat_anew()
        elif setting.key == "ClockAlignedDataInterval":
            self.align_anew()
        elif setting.key == "MeterValueSampleInterval":
            for connector in self.connectors.values():
                if connector.transaction is not None:
                    connector.transaction.next_sample = self.clock.seconds() + self.sample_interval
        elif setting.key == "AuthorizationKey":
            await self._take_password(setting)

    async def _take_password(self, setting: Setting) -> None:
        """The new password holds from the next connection on, which comes at once."""
        hexadecimal = self.quirks.hex_authorization_key
        self.password_bytes = bytes.fromhex(setting.value) if hexadecimal else setting.value.encode()
        self.link.boot_reason = "ApplicationReset"
        await self.link.close(1000, "new password")

    # -- charging profiles

    def install_profile(self, profile: Profile) -> str:
        if profile.evse and profile.evse not in self.connectors:
            return "Rejected"
        transaction = self.connectors[profile.evse].transaction if profile.evse else None
        if profile.purpose == "TxProfile":
            if transaction is None or profile.transaction_id not in (None, transaction.id):
                return "Rejected"
            profile.transaction_id = transaction.id
        if profile.purpose == "ChargingStationMaxProfile" and profile.evse:
            return "Rejected"
        if profile.stack > self.device.number("ChargeProfileMaxStackLevel"):
            return "Rejected"
        if len(self.profiles.all) >= self.device.number("MaxChargingProfilesInstalled"):
            return "Rejected"
        if self.version != "1.6" and self.profiles.in_the_way(profile):  # K01.FR.39
            return "Rejected"
        self.profiles.add(profile)
        self.limits_changed()
        return "Accepted"

    def composite(self, number: int, seconds: int, unit: str) -> tuple[str, list[Period]]:
        """Start and periods of the schedule that all profiles together make."""
        start = self.clock.now()
        transaction = self.connectors[number].transaction if number else None
        chosen = [self.connectors[number]] if number else list(self.connectors.values())
        if chosen[0].kind == "dc":
            best = Limit(watts=sum(connector.max_power_w for connector in chosen))
        else:
            best = Limit(amps=sum(connector.max_amps for connector in chosen), phases=chosen[0].phases)
        begun = transaction.started_at if transaction else None
        return self.clock.stamp(start), self.profiles.composite(number, start, seconds, begun, unit, best)

    # -- reservations

    def take_list(self, version: int, full: bool, entries: list[Entry]) -> str:
        """Failed where the message or the list would be longer than the station bears."""
        if len(entries) > self.device.number("SendLocalListMaxLength"):
            return "Failed"
        return self.local_auth.update(version, full, entries, self.device.number("LocalAuthListMaxLength"))

    def reserve(self, number: int, reservation_id: int, token: str, expires: str, parent: str) -> str:
        """0: any connector, where the station can (1.6 ReserveConnectorZeroSupported, 2.x NonEvseSpecific)."""
        if not number:
            if not self.device.flag("ReserveConnectorZeroSupported"):
                return "Rejected"
            held = [
                n
                for n, one in self.connectors.items()
                if one.reservation and one.reservation.id == reservation_id
            ]
            free = [n for n, one in self.connectors.items() if one.state == "available"]
            number = next(iter([*held, *free]), 0)
            if not number:
                return "Occupied"
        connector = self.connectors.get(number)
        if connector is None:
            return "Rejected"
        if connector.fault:
            return "Faulted"
        if not connector.operative:
            return "Unavailable"
        if (
            connector.car
            or connector.transaction
            or (connector.reservation and connector.reservation.id != reservation_id)
        ):
            return "Occupied"
        connector.reservation = Reservation(reservation_id, token, expires, parent)
        seconds = (read_stamp(expires) - self.clock.now()).total_seconds()
        if not self.clock.manual:
            timer = asyncio.create_task(self._expire(connector, reservation_id, seconds))
            self._drivers[-reservation_id - 1] = timer
        return "Accepted"

    async def _expire(self, connector: Connector, reservation_id: int, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))
        if connector.reservation and connector.reservation.id == reservation_id:
            connector.reservation = None
            await self.tell_state(connector)
            if self.version != "1.6":
                await self.tell(self.says.reservation_status(reservation_id, "Expired"))

    def cancel_reservation(self, reservation_id: int) -> str:
        for connector in self.connectors.values():
            if connector.reservation and connector.reservation.id == reservation_id:
                connector.reservation = None
                return "Accepted"
        return "Rejected"

    # -- files, really moved

    async def update_firmware(
        self,
        location: str,
        when: str,
        request_id: int | None,
        signature: str = "",
        certificate: str = "",
        install_at: str = "",
    ) -> None:
        """Download, check, install, reboot; the image tells its version in its first line."""
        await self._until(when)
        fails = self.quirks.firmware_fails
        if fails == "silent":
            return
        self.firmware_request = request_id
        await self._tell_firmware("Downloading", request_id)
        try:
            if fails == "download":
                raise transfer.TransferError("the line broke")
            content = await transfer.download(location)
        except transfer.TransferError:
            await self._tell_firmware("DownloadFailed", request_id)
            return
        await self._tell_firmware("Downloaded", request_id)
        if signature and request_id is not None:
            good = fails != "signature" and transfer.is_signed_by(content, signature, certificate)
            await self._tell_firmware("SignatureVerified" if good else "InvalidSignature", request_id)
            if not good:
                return
        if install_at:
            await self._until(install_at)
        await self._tell_firmware("Installing", request_id)
        if fails == "install":
            await self._tell_firmware("InstallationFailed", request_id)
            return
        major, minor, patch = (*self.firmware.split("."), "0", "0")[:3]
        bumped = f"{major}.{minor}.{int(patch) + 1}" if patch.isdigit() else f"{self.firmware}.1"
        self.firmware = transfer.version_in(content) or bumped
        await self.reboot(reason="FirmwareUpdate", stop_reason="Reboot")
        await self.until(lambda: self.booted and self.link.connections > self.link.left_at, 120)
        await self._tell_firmware("Installed", request_id)

    async def _tell_firmware(self, step: str, request_id: int | None) -> None:
        self.firmware_step = step
        self.note(f"Firmware: {step}", "ERROR" if "Fail" in step or "Invalid" in step else "INFO")
        await self.tell(self.says.firmware_status(step, request_id))
        if step in ("Downloading", "Downloaded", "Installing"):
            await self.clock.sleep(2)

    async def _until(self, when: str) -> None:
        await self.clock.sleep(max(0.0, (read_stamp(when) - self.clock.now()).total_seconds()))

    async def upload_log(
        self,
        location: str,
        request_id: int | None,
        name: str = "",
        *,
        security: bool = False,
        since: str = "",
        until: str = "",
    ) -> None:
        """Upload what the station logged between two moments: the security log, or its own log with the frames."""
        fails = self.quirks.log_fails
        if fails == "silent":
            return
        failure = "UploadFailed" if self.version == "1.6" and request_id is None else "UploadFailure"
        await self.tell(self.says.log_status("Uploading", request_id))
        word = "Uploaded"
        try:
            if fails == "upload":
                raise transfer.TransferError("the line broke")
            if fails != "lie":
                span = {
                    name: read_stamp(text) if text else None
                    for name, text in (("since", since), ("until", until))
                }
                content = transfer.packed(self._log_files(security, **span))
                await transfer.upload(location, name or "station.zip", content, form=self.quirks.log_by_form)
        except transfer.TransferError:
            word = failure
        await self.tell(self.says.log_status(word, request_id))
        await self.clock.sleep(1)

    def _log_files(
        self, security: bool, since: datetime | None, until: datetime | None
    ) -> dict[str, list[str]]:
        head = f"{self.model} {self.serial} {self.firmware}"
        lines = [head, *self.journal.lines(security=security, since=since, until=until)]
        if security:
            return {"security.log": lines}
        return {"station.log": lines, "frames.log": [f"{way} {text}" for way, text in self.frames]}

    # -- local controller (2.x)

    async def publish_firmware(self, location: str, checksum: str, request_id: int) -> None:
        """Fetch an image and offer it to the stations behind; nobody is behind a simulated one."""
        tell = self.says.publication_status
        await self.tell(tell("Downloading", request_id))
        try:
            content = await transfer.download(location)
        except transfer.TransferError:
            await self.tell(tell("DownloadFailed", request_id))
            return
        await self.tell(tell("Downloaded", request_id))
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if found != checksum:
            await self.tell(tell("InvalidChecksum", request_id))
            return
        await self.tell(tell("ChecksumVerified", request_id))
        self.published[checksum] = f"http://{self.serial.lower()}.local/{checksum}"
        await self.tell(tell("Published", request_id, [self.published[checksum]]))

    # -- triggers

    def trigger(self, message: str, numbers: list[int], then: Then) -> str:
        """Accepted with the message to follow, or NotImplemented."""
        work = self._triggered(message, numbers)
        if work is None:
            return "NotImplemented"
        then(work)
        return "Accepted"

    def _triggered(self, message: str, numbers: list[int]) -> Callable[[], Coroutine[Any, Any, None]] | None:
        says = self.says
        match message:
            case "BootNotification" if not self.booted:
                return self._boot_now
            case "BootNotification":
                return lambda: self.tell(says.boot(self, "Triggered"))
            case "Heartbeat":
                return lambda: self.tell(says.heartbeat())
            case "StatusNotification":
                return lambda: self._each(numbers, self._status_again)
            case "MeterValues" | "TransactionEvent":
                return lambda: self._each(numbers, self.report_now)
            case "FirmwareStatusNotification":  # L01.FR.25, FR.26
                step = "Idle" if self.firmware_step == "Installed" else self.firmware_step
                request = None if step == "Idle" else self.firmware_request
                return lambda: self.tell(says.firmware_status(step, request))
            case "SignChargePointCertificate" | "SignChargingStationCertificate":
                return self.ask_for_certificate
            case "SignV2GCertificate" | "SignCombinedCertificate" | "SignV2G20Certificate":
                return lambda: self.ask_for_certificate(SIGNED_FOR[message])
            case "PublishFirmwareStatusNotification" if self.version != "1.6":
                return lambda: self.tell(says.publication_status("Idle", None))
            case "DiagnosticsStatusNotification" | "LogStatusNotification":
                return lambda: self.tell(says.log_status("Idle", None))
        return None

    # -- security

    async def ask_for_certificate(self, use: str = OWN) -> None:
        """SignCertificate with a fresh key (A02)."""
        await self.tell(self.says.sign_certificate(self.security.request(use), use))

    def certificate_signed(self, chain: str, then: Then, use: str = OWN) -> str:
        """CertificateSigned: taken, or refused with a security event (A02.FR.07)."""
        if self.security.signed(chain, use):
            self.note(f"A new {use} is in use", security=True)
            return "Accepted"
        self.note(f"{use} refused: not for the key that was made", "ERROR", security=True)
        name = "ChargePoint" if self.version == "1.6" else "ChargingStation"
        told = self.says.security_event(self, f"Invalid{name}Certificate", "not for the key that was made")
        then(lambda: self.tell(told))
        return "Rejected"

    async def _boot_now(self) -> None:
        self.link.boot_now()

    async def _each(self, numbers: list[int], work: Callable[[int], Coroutine[Any, Any, None]]) -> None:
        for number in numbers:
            await work(number)

    async def _status_again(self, number: int) -> None:
        await self.tell(self.says.status(self, self.connectors[number]))

    firmware: str
    firmware_step: str = "Idle"
    firmware_request: int | None = None
    model: str
    serial: str
    published: dict[str, str]
    _told_station: dict[int, bool]

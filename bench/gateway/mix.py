"""The calls of one station, encoded beforehand: of 20 calls 10 are MeterValues with 8 sampled values (two
moments of four, about 1,160 bytes), 4 StatusNotification, 3 Heartbeat, and one each of Authorize, Start and Stop."""

from __future__ import annotations

import time

STEPS = (
    *("authorize", "start", "status", "meter", "meter", "heartbeat", "meter", "meter", "status", "meter"),
    *("meter", "heartbeat", "meter", "meter", "status", "meter", "meter", "heartbeat", "stop", "status"),
)
assert len(STEPS) == 20 and STEPS.count("meter") == 10 and STEPS.count("status") == 4

_VALUES = (
    b'{"value":"%d","context":"Sample.Periodic","measurand":"Energy.Active.Import.Register",'
    b'"location":"Outlet","unit":"Wh"},'
    b'{"value":"11040.0","context":"Sample.Periodic","measurand":"Power.Active.Import","location":"Outlet","unit":"W"},'
    b'{"value":"16.00","context":"Sample.Periodic","measurand":"Current.Import","phase":"L1","location":"Outlet","unit":"A"},'
    b'{"value":"230.1","context":"Sample.Periodic","measurand":"Voltage","phase":"L1-N","location":"Outlet","unit":"V"}'
)
_METER = (
    b'[2,"%s","MeterValues",{"connectorId":1,"transactionId":%d,"meterValue":['
    b'{"timestamp":"%s","sampledValue":[' + _VALUES + b"]},"
    b'{"timestamp":"%s","sampledValue":[' + _VALUES + b"]}]}]"
)
_STATUS = (
    b'[2,"%s","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"%s","timestamp":"%s"}]'
)
_BOOT = (
    b'[2,"%s","BootNotification",{"chargePointVendor":"Voltyard","chargePointModel":"Bench",'
    b'"chargePointSerialNumber":"B-1","firmwareVersion":"1.0"}]'
)
_HEARTBEAT = b'[2,"%s","Heartbeat",{}]'
_START = b'[2,"%s","StartTransaction",{"connectorId":1,"idTag":"%s","meterStart":%d,"timestamp":"%s"}]'
_STOP = (
    b'[2,"%s","StopTransaction",{"transactionId":%d,"idTag":"%s","meterStop":%d,"timestamp":"%s",'
    b'"reason":"Local"}]'
)
_STATES = {2: b"Charging", 8: b"SuspendedEV", 14: b"Charging", 19: b"Available"}


class Script:
    """What one station says next. Its world runs ten seconds per reading, from a past of its own."""

    def __init__(self, number: int, token: str) -> None:
        self.token = token.encode()
        self.step = 0
        self.lead = 0  # heartbeats before the first step, so that stations need not all do the same at once
        self.count = 0
        self.transaction_id = 1
        self.register_wh = 1_000_000 + number * 1000
        self._clock = time.time() - 6 * 3600
        self._prefix = f"{number:08x}-0000-4000-8000-"

    def _stamp(self) -> bytes:
        self._clock = min(self._clock + 5, time.time())
        moment = time.gmtime(self._clock)
        return b"%d-%02d-%02dT%02d:%02d:%02d.%03dZ" % (*moment[:6], self.count % 1000)

    def message_id(self) -> bytes:
        self.count += 1
        return f"{self._prefix}{self.count:012x}".encode()  # as long as the UUIDs of real stations

    def boot(self) -> bytes:
        return _BOOT % self.message_id()

    def next(self) -> tuple[str, bytes]:
        """The step's name and its frame."""
        if self.lead:
            self.lead -= 1
            return "heartbeat", _HEARTBEAT % self.message_id()
        at = self.step
        self.step = (at + 1) % len(STEPS)
        name, message_id = STEPS[at], self.message_id()
        if name == "meter":
            first = self.register_wh
            self.register_wh += 30
            values = (message_id, self.transaction_id, self._stamp(), first, self._stamp(), self.register_wh)
            return name, _METER % values
        if name == "status":
            return name, _STATUS % (message_id, _STATES[at], self._stamp())
        if name == "heartbeat":
            return name, _HEARTBEAT % message_id
        if name == "authorize":
            return name, b'[2,"%s","Authorize",{"idTag":"%s"}]' % (message_id, self.token)
        if name == "start":
            return name, _START % (message_id, self.token, self.register_wh, self._stamp())
        return name, _STOP % (message_id, self.transaction_id, self.token, self.register_wh, self._stamp())

    def answered(self, name: str, text: bytes) -> None:
        """Learn the transaction id from the answer to a start."""
        if name == "start" and (at := text.find(b'"transactionId":')) >= 0:
            digits = text[at + 16 : at + 40].lstrip()
            end = next((i for i, byte in enumerate(digits) if not 48 <= byte <= 57), len(digits))
            if end:
                self.transaction_id = int(digits[:end])

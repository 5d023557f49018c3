"""What real stations get wrong. Each field is one habit seen on the wire of public implementations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, Literal


@dataclass
class Quirks:
    """Switches for tests; the default station has no quirk."""

    no_boot_after_reconnect: bool = False  # after a reconnect neither BootNotification nor Heartbeat
    status_before_boot: bool = False  # StatusNotification is sent before the boot is answered
    two_calls_in_flight: bool = False  # does not wait for one answer before the next CALL
    ended_twice: Literal["", "same", "next"] = ""  # 2.x: a second Ended with the same or the next seqNo
    seq_no_always_zero: bool = False  # 2.x
    wh_called_kwh: bool = False  # the unit says kWh, the number is Wh; at the end the reverse
    bare_stop: bool = False  # a stop without idTag and reason
    signed_ocmf: bool = False  # signed OCMF text as a sampled value at the end of a transaction
    repeating_message_ids: bool = False  # "1", "2", ... anew after each connection, the same at every station
    doubled_slash: bool = False  # //identity
    origin: str = ""  # sends an Origin header
    long_transaction_ids: bool = False  # 2.x: 34 characters
    lost_start_reply: bool = False  # drops the socket right after the start was sent, resends it later
    repeat_stop: int = 1  # how many times a stop is sent, each with a new message id
    hex_authorization_key: bool = False  # 1.6: AuthorizationKey arrives as hex, the password is its bytes
    empty_strings: bool = False  # 1.6: optional text fields are sent empty
    white_space: bool = False  # pretty-printed JSON with a trailing line end
    unknown_enum: bool = False  # 1.6: an error code in StatusNotification that the schema does not know
    starts_anyway: bool = False  # starts a transaction although the token was refused
    forgets_password: bool = False  # connects without credentials (security profile 0)
    dead_contactor: bool = False  # accepts cars and cards, delivers nothing
    reset_heals: bool = False  # a fault stays until the station is reset
    no_heartbeat: bool = False  # connected, and silent but for what happens
    starts_fail: bool = False  # accepts cards and remote starts, and no transaction begins
    firmware_fails: Literal["", "download", "signature", "install", "silent"] = ""  # how an update ends
    log_fails: Literal["", "upload", "lie", "silent"] = ""  # "lie": says "uploaded", sends nothing
    log_by_form: bool = False  # uploads by POST as a form instead of PUT
    silent: bool = False  # never answers a CALL from the other side


def read_quirks(texts: Iterable[str]) -> Quirks:
    """From the command line: "bare_stop", "repeat_stop=5", ... ValueError names one that does not exist."""
    defaults = {field.name: field.default for field in fields(Quirks)}
    chosen: dict[str, Any] = {}
    for text in texts:
        name, given, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if name not in defaults:
            raise ValueError(f"There is no quirk {name}; choose from {', '.join(defaults)}")
        default = defaults[name]
        if isinstance(default, bool):
            chosen[name] = value.lower() not in ("no", "false", "0") if given else True
        else:
            chosen[name] = int(value) if isinstance(default, int) else value
    return Quirks(**chosen)

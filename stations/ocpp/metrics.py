"""What a gateway process counts."""

from __future__ import annotations

from functools import cache

from prometheus_client import Counter, Gauge, Histogram

SOCKETS = Gauge("voltyard_gateway_sockets", "Sockets of stations that are open")
CALLS = Counter("voltyard_gateway_calls_total", "CALLs taken from stations", ["version", "action"])


@cache
def calls(version: str, action: str) -> Counter:
    """The counter of an action. Kept, for looking a label up costs more than counting."""
    return CALLS.labels(version, action)


BAD_FRAMES = Counter("voltyard_gateway_bad_frames_total", "Frames that could not be taken", ["reason"])
REFUSED = Counter("voltyard_gateway_refused_total", "Connections refused", ["reason"])
COMMANDS = Counter(
    "voltyard_gateway_commands_total", "Commands sent to stations, by how they ended", ["state"]
)
FRAMES_NOT_KEPT = Counter(
    "voltyard_gateway_frames_not_kept_total", "Frames left out of the log under overload"
)
TOLERATED = Counter(
    "voltyard_gateway_tolerated_total", "Messages that bent the specification and were understood"
)
BATCH_SIZE = Histogram(
    "voltyard_gateway_batch_size", "Rows made durable together", buckets=(1, 3, 10, 30, 100, 300, 1000, 3000)
)

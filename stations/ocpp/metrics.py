"""What a gateway process counts."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterator

from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

SOCKETS = Gauge("voltyard_gateway_sockets", "Sockets of stations that are open")
CALLS: Tally[tuple[str, str]] = Tally()  # by version and action; a Counter's lock costs more than it counts


class _Calls(Collector):
    def collect(self) -> Iterator[CounterMetricFamily]:
        told = CounterMetricFamily(
            "voltyard_gateway_calls", "CALLs taken from stations", labels=["version", "action"]
        )
        for labels, count in CALLS.copy().items():
            told.add_metric(labels, count)
        yield told


REGISTRY.register(_Calls())
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
ERRANDS = Counter("voltyard_gateway_errands_total", "Errands that came back with nothing", ["outcome"])

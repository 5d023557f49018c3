"""Periodic event streams of 2.1 (N11 to N15): opened by the station, their values kept in bounded number."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from stations.models import Stream, StreamValue
from stations.neutral import StreamClosed, StreamOffer, StreamsListed, StreamTold
from stations.services import clock, verification
from tenants import rows

MOST_OPEN = 100  # streams of a station
MOST_VALUES = 500  # of one message
KEPT_VALUES = 5_000  # of a stream
FARTHEST = timedelta(days=7)  # of a value from the base time of its message


def open_stream(*, tenant_id: int, requests: Sequence[StreamOffer]) -> list[bool]:
    """Whether each stream may be opened: unless the station has too many already."""
    answers = []
    for offer in requests:
        open_ones = Stream.objects.filter(
            tenant_id=tenant_id, station_id=offer.station_id, closed_at=None
        ).exclude(opened_at=None)
        fits = open_ones.exclude(number=offer.number).count() < MOST_OPEN
        if fits:
            _open(tenant_id, offer)
        answers.append(fits)
    return answers


def _open(tenant_id: int, offer: StreamOffer) -> Stream:
    stream, _made = Stream.objects.get_or_create(
        tenant_id=tenant_id, station_id=offer.station_id, number=offer.number
    )
    stream.opened_at, stream.closed_at = stream.opened_at or offer.received_at, None
    if offer.monitor_number is not None:
        stream.monitor_number = offer.monitor_number
    stream.interval_s = _small(offer.interval_s, stream.interval_s)
    stream.values_per_message = _small(offer.values_per_message, stream.values_per_message)
    stream.save()
    verification.tell(tenant_id, offer.station_id)
    return stream


def _small(told: int | None, before: int | None) -> int | None:
    return told if told is not None and abs(told) < 2**31 else before


def record_offers(*, tenant_id: int, reports: Sequence[StreamOffer]) -> None:
    """What a station took of a change to its streams."""
    for offer in reports:
        _open(tenant_id, offer)


def record_list(*, tenant_id: int, reports: Sequence[StreamsListed]) -> None:
    """All that are open; others are closed, whatever was told before."""
    for listed in reports:
        for offer in listed.streams[:MOST_OPEN]:
            _open(tenant_id, offer)
        Stream.objects.filter(tenant_id=tenant_id, station_id=listed.station_id, closed_at=None).exclude(
            number__in=[offer.number for offer in listed.streams]
        ).update(closed_at=listed.received_at)
        verification.tell(tenant_id, listed.station_id)


def record_closed(*, tenant_id: int, reports: Sequence[StreamClosed]) -> None:
    for closed in reports:
        Stream.objects.filter(tenant_id=tenant_id, station_id=closed.station_id, number=closed.number).update(
            closed_at=closed.received_at
        )
        verification.tell(tenant_id, closed.station_id)


_INSERT = """
INSERT INTO stations_streamvalue (tenant_id, stream_id, at, value, number)
SELECT %(tenant)s, w.stream, w.at, w.value, w.number
FROM json_to_recordset(%(rows)s::json) AS w(stream bigint, at timestamptz, value text, number float8)
ON CONFLICT (stream_id, at, tenant_id) DO NOTHING
"""


def record_values(*, tenant_id: int, reports: Sequence[StreamTold]) -> None:
    """Keep the values; a message told again changes nothing."""
    streams = _streams(tenant_id, reports)
    listed: list[dict[str, Any]] = []
    full = set()
    for told in reports:
        stream = streams.get((told.station_id, told.number))
        if stream is None:
            continue
        base, _flags = clock.sanitise(told.raw_timestamp, told.received_at)
        for seconds, text in told.values[:MOST_VALUES]:
            if not abs(seconds) <= FARTHEST.total_seconds():
                continue
            at = base + timedelta(seconds=seconds)
            listed.append({"stream": stream.pk, "at": at, "value": text[:2500], "number": _float(text)})
        stream.last_at = max(stream.last_at or told.received_at, told.received_at)
        stream.pending = _small(told.pending, None)
        before, stream.received = stream.received, stream.received + len(told.values)
        if before // 2000 != stream.received // 2000:
            full.add(stream)
    if listed:
        rows.run(_INSERT, tenant_id, listed)
    Stream.objects.bulk_update(set(streams.values()), ["last_at", "pending", "received"])
    for stream in full:
        trim(stream)
    for station_id in {told.station_id for told in reports}:
        verification.tell(tenant_id, station_id)


def _streams(tenant_id: int, reports: Sequence[StreamTold]) -> dict[tuple[int, int], Stream]:
    """The stream of each; one that nobody opened is made, so that its values show."""
    wanted = {(told.station_id, told.number) for told in reports}
    found = {
        (stream.station_id, stream.number): stream
        for stream in Stream.objects.filter(
            tenant_id=tenant_id, station_id__in={station for station, _number in wanted}
        )
    }
    for station_id, number in sorted(wanted - found.keys()):
        if sum(1 for station, _number in found if station == station_id) < 2 * MOST_OPEN:
            found[station_id, number] = Stream.objects.create(
                tenant_id=tenant_id, station_id=station_id, number=number
            )
    return {key: stream for key, stream in found.items() if key in wanted}


def _float(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < 1e15 else None


def trim(stream: Stream) -> None:
    """Keep the newest values."""
    kept = StreamValue.objects.filter(tenant_id=stream.tenant_id, stream=stream).order_by("-at")
    last = kept.values_list("at", flat=True)[KEPT_VALUES : KEPT_VALUES + 1].first()
    if last is not None:
        kept.filter(at__lte=last).delete()

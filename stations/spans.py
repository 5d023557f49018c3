"""Sets of time as sorted, disjoint, half-open intervals [start, end). Exact: nothing is rounded.

Works with whatever can be compared and subtracted: datetimes, or whole numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

Span = tuple[Any, Any]
Spans = list[Span]


def union(spans: Iterable[Span]) -> Spans:
    """Each moment once, however many spans it lies in. Empty and reversed spans are nothing."""
    found: Spans = []
    for start, end in sorted(span for span in spans if span[1] > span[0]):
        if found and start <= found[-1][1]:
            if end > found[-1][1]:
                found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found


def intersection(one: Spans, other: Spans) -> Spans:
    """What lies in both. Both are sets already (see `union`)."""
    found: Spans = []
    i = j = 0
    while i < len(one) and j < len(other):
        start, end = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if start < end:
            found.append((start, end))
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1
    return found


def difference(one: Spans, other: Spans) -> Spans:
    """What lies in the first and not in the second. Both are sets already."""
    found: Spans = []
    j = 0
    for start, end in one:
        at = start
        while j < len(other) and other[j][1] <= at:
            j += 1
        k = j
        while k < len(other) and other[k][0] < end:
            if other[k][0] > at:
                found.append((at, other[k][0]))
            at = max(at, other[k][1])
            k += 1
        if at < end:
            found.append((at, end))
    return found


def clip(spans: Iterable[Span], start: Any, end: Any) -> Spans:
    return union((max(a, start), min(b, end)) for a, b in spans)


def seconds(spans: Iterable[tuple[datetime, datetime]]) -> int:
    """Total length in whole seconds, rounded once."""
    return round(sum(((end - start) for start, end in spans), timedelta()).total_seconds())

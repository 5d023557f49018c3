"""Geometry of drawings made on the server: limits over time, curves. Labels are text beside the SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

WIDTH, HEIGHT = 1000, 200


@dataclass(frozen=True)
class Line:
    """Steps: (seconds after the start, value), each until the next."""

    label: str
    state: str
    points: Sequence[tuple[float, float]]
    area: bool = False
    dashed: bool = False


def chart(
    start: datetime, length: timedelta, lines: Sequence[Line], *, most: float, unit: str, ticks: int = 4
) -> dict[str, Any]:
    """What `_step_chart.html` draws: values over time against the most there can be."""
    seconds = length.total_seconds()
    values = [value for line in lines for _second, value in line.points]
    top = max([most, *(value for value in values if value < 1e6)], default=1) * 1.12 or 1

    def y(value: float) -> float:
        return HEIGHT * (1 - min(value, top) / top)

    drawn = []
    for line in lines:
        path, last = "", ""
        for second, value in line.points:
            x = WIDTH * min(max(second, 0), seconds) / seconds
            path += (
                f"{'L' if path else 'M'}{x:.1f},{y(value):.1f}" if not path else f"H{x:.1f}V{y(value):.1f}"
            )
            last = path
        path = f"{last}H{WIDTH}"
        drawn.append(
            {
                "label": line.label,
                "state": line.state,
                "path": path,
                "area": f"{path}V{HEIGHT}H0Z" if line.area else "",
                "dashed": line.dashed,
            }
        )
    return {
        "lines": drawn,
        "most_y": f"{y(most):.1f}",
        "most": f"{most:.1f}".rstrip("0").rstrip("."),
        "unit": unit,
        "ticks": [timezone.localtime(start + length * n / ticks).strftime("%H:%M") for n in range(ticks + 1)],
        "grid": [f"{WIDTH * n / ticks:.0f}" for n in range(1, ticks)],
    }


def curve(points: Sequence[Sequence[float]]) -> dict[str, Any] | None:
    """What `_curve.html` draws: straight lines from point to point, level beyond both ends."""
    if len(points) < 2:
        return None
    ordered = sorted((float(x), float(y)) for x, y in points)
    xs, ys = [x for x, _y in ordered], [y for _x, y in ordered]
    margin = (xs[-1] - xs[0]) * 0.12 or 1.0
    low_x, high_x = xs[0] - margin, xs[-1] + margin
    low_y, high_y = min(0.0, *ys), max(0.0, *ys)
    air = (high_y - low_y) * 0.08 or 1.0
    low_y, high_y = low_y - air, high_y + air

    def place(x: float, y: float) -> tuple[str, str]:
        return (
            f"{WIDTH * (x - low_x) / (high_x - low_x):.1f}",
            f"{HEIGHT * (1 - (y - low_y) / (high_y - low_y)):.1f}",
        )

    dots = [place(x, y) for x, y in ordered]
    path = f"M0,{dots[0][1]}" + "".join(f"L{x},{y}" for x, y in dots) + f"H{WIDTH}"
    return {
        "path": path,
        "dots": dots,
        "zero": place(low_x, 0.0)[1],
        "low_x": _short(xs[0]),
        "high_x": _short(xs[-1]),
        "low_y": _short(min(0.0, *ys)),
        "high_y": _short(max(0.0, *ys)),
    }


def _short(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")

"""Load management's figures beside their goals and references, in one run on one machine.

    python -m bench.energy --days 4                                   # minutes; the rows that need more are left out
    python -m bench.energy --days 1000 --journal faults.jsonl --acn /tmp/acn/bin/python --sites 1 500

`--acn`: the interpreter of an environment with `acnportal` and `highspy` (bench.energy.acn): its algorithms run beside
ours on the same sessions. `--sites`: the servers are started (manage.py bench energy). References that no run gives are
those of the literature and of first prototypes.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from bench.energy import faults, speed

ROOT = Path(__file__).parents[2]
OURS, PEAK = "ours", "ours, peak"
OTHERS = ("LLF", "EDF", "round robin")
ENERGY_GOALS = {20.0: 0.985, 30.0: 0.985, 50.0: 0.998}


class Row(NamedTuple):
    figure: str
    measured: str
    goal: str
    reference: str
    met: bool


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=int, default=4, help="site-days with faults")
    parser.add_argument("--seed", type=int, default=1, help="of the first one")
    parser.add_argument("--journal", type=Path)
    parser.add_argument("--acn", type=Path, help="the interpreter that has acnportal")
    parser.add_argument("--week", type=int, default=0, choices=[0, 1])
    parser.add_argument("--sites", type=int, nargs="*", default=[], help="that spike at once")
    options = parser.parse_args()
    rows = [*_speed()]
    rows += [row for count in options.sites for row in _latency(count)]
    rows += _acn(options.acn, options.week) if options.acn else []
    rows += _faults(options) if options.days else []
    _print(rows)
    sys.exit(0 if all(row.met for row in rows) else 1)


def _speed() -> Iterator[Row]:
    references = {200: "ACN-Sim EDF 10 ms at 54", 1_000: "convex MPC 500 ms at 54", 10_000: "-"}
    for count, goal in speed.GOALS_MS.items():
        _rows, _filling, whole = speed.allocation(count)
        yield Row(
            f"one allocation, {count} connectors",
            f"{whole:.1f} ms",
            f"{goal:.0f} ms",
            references[count],
            whole <= goal,
        )


def _latency(sites: int) -> Iterator[Row]:
    asked = [sys.executable, "manage.py", "bench", "energy", "--sites", str(sites)]
    said = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    found = re.search(r"p99 (\d+) ms", said)
    goal = {1: 250, 500: 1000}.get(sites)
    measured = int(found[1]) if found else None
    yield Row(
        f"reading to SetChargingProfile, {sites} sites at once, p99",
        "no answer" if measured is None else f"{measured} ms",
        "-" if goal is None else f"{goal} ms",
        "local controllers poll every 30 s",
        measured is not None and (goal is None or measured <= goal),
    )


def _acn(python: Path, week: int) -> Iterator[Row]:
    told = _outcomes(python, week)
    for kw, goal in ENERGY_GOALS.items():
        of, mine = told[kw], told[kw][OURS]
        beside = ", ".join(f"{name} {100 * of[name]['of_bound']:.1f}" for name in OTHERS)
        yield Row(
            f"energy of the offline optimum at {kw:g} kW, week {week}", f"{100 * mine['of_bound']:.1f} %",
            f"{100 * goal:.1f} %", beside, mine["of_bound"] >= goal,
        )  # fmt: skip
    fair, llf = told[30.0][OURS], told[30.0]["LLF"]
    yield Row(
        "Jain index at 30 kW", f"{fair['jain']:.3f}", "0.98", f"LLF {llf['jain']:.2f}", fair["jain"] >= 0.98
    )
    yield Row(
        "5th percentile at 30 kW", f"{fair['low']:.2f}", "0.65", f"LLF {llf['low']:.2f}", fair["low"] >= 0.645
    )
    peak, knows, edf = told[50.0][PEAK], told[50.0]["knows all"], told[50.0]["EDF"]
    yield Row(
        "peak at 50 kW, of the least possible; its energy",
        f"{peak['peak_kw'] / knows['peak_kw']:.2f}; {100 * peak['of_bound']:.1f} %", "1.10; 99.5 %",
        f"EDF {edf['peak_kw'] / knows['peak_kw']:.2f}",
        peak["peak_kw"] <= 1.1 * knows["peak_kw"] and peak["of_bound"] >= 0.995,
    )  # fmt: skip
    for kw, of in _outcomes(python, week, "--stated").items():
        beside = ", ".join(f"{name} {100 * of[name]['of_bound']:.1f}" for name in OTHERS)
        yield Row(
            f"the same with stated departures at {kw:g} kW", f"{100 * of[OURS]['of_bound']:.1f} %", "97 %", beside,
            of[OURS]["of_bound"] >= 0.97,
        )  # fmt: skip


def _outcomes(python: Path, week: int, *more: str) -> dict[float, dict[str, dict[str, Any]]]:
    """By kW and who decides (bench.energy.acn.Outcome)."""
    asked = [str(python), "-m", "bench.energy.acn", "--json", "--week", str(week), *more]
    said = subprocess.run(asked, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    found: dict[float, dict[str, dict[str, Any]]] = {}
    for line in said.splitlines():
        if line.startswith("{"):  # the solver greets
            one = json.loads(line)
            found.setdefault(one["kw"], {})[one["who"]] = one
    return found


def _faults(options: argparse.Namespace) -> Iterator[Row]:
    seeds = range(options.seed, options.seed + options.days)
    known, took = faults.run(seeds, os.cpu_count() or 1, options.journal)
    days = [known[seed] for seed in sorted(known)]
    if not days:
        return
    print(f"{len(days)} site-days, seeds {min(known)} to {max(known)}: {took}")
    ours = [one["ours"] for one in days]
    over = sum(len(one[kind]) for one in ours for kind in ("overloads", "after_silence"))
    plain = sum(faults.all_over(one["plain"]) for one in days)
    yield Row(
        f"overloads over 15 s in {len(days)} site-days with faults",
        f"{over}",
        "0",
        f"plain controller {plain}",
        not over,
    )
    beyond = sum(one["beyond_ledger"] for one in ours)
    yield Row("limits in force that the ledger did not count", f"{beyond}", "0", "-", not beyond)
    energy, messages = faults.energy_and_messages(days)
    yield Row(
        "energy under faults, of the same days without",
        f"{100 * energy:.1f} %",
        "95 %",
        "prototype 92 %",
        energy >= 0.95,
    )
    yield Row("messages a station and hour", f"{messages:.1f}", "20", "prototype 67", messages <= 20)


def _print(rows: list[Row]) -> None:
    heads = ("figure", "measured", "goal", "reference", "met")
    lines = [heads, *[(*row[:4], "yes" if row.met else "NO") for row in rows]]
    widths = [max(len(line[place]) for line in lines) for place in range(len(heads))]
    for line in lines:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


if __name__ == "__main__":
    main()

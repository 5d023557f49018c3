"""A site-day with faults, event by event: the fast loop steers stations that believe nothing but their profiles.

    python -m bench.energy.faults --days 20 --seed 1
    python -m bench.energy.faults --days 1000 --journal faults.jsonl    # goes on where it was stopped

Faults: stations offline (noticed late), half the site offline, restarts with and without their profile, calls and
answers lost, refusals, clocks that are off, the central system down, a meter silent or frozen, spikes of the building,
a station that accepts its profiles and ignores them for an hour, cars that take to other lines. On a quarter of the
days the only meter counts the cars too; on another the stations tell the current of each line every five seconds. The
same days run once without faults and once under a plain controller that pushes the measured rest every
15 s. Prints its seeds; a day is a seed, so any day can be run again: `--days 1 --seed N`.
"""

from __future__ import annotations

import argparse
import os
import signal
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from multiprocessing import active_children
from pathlib import Path
from typing import Any

from bench.energy.journal import Journal, digest
from bench.energy.world import READING_S, Result, day

__all__ = ["Result", "day", "main"]
CODE = [
    f"energy/{name}.py"
    for name in ("allocation", "control", "filling", "grid", "headroom", "ledger", "lines", "obedience")
]
CODE += [f"bench/energy/{name}.py" for name in ("site", "trouble", "world")]
Three = dict[str, Any]  # "ours", "calm" and "plain": a Result each, as a dictionary


def three(seed: int) -> Three:
    runs = {"ours": {"faults": True}, "calm": {"faults": False}, "plain": {"faults": True, "plain": True}}
    return {name: asdict(day(seed, **kind)) for name, kind in runs.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1, help="of the first day; the others follow")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--journal", type=Path, help="keeps each day's result; days that are there are skipped"
    )
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    seeds = range(options.seed, options.seed + options.days)
    known, took = run(seeds, options.workers, options.journal)
    if known:
        _report([known[seed] for seed in sorted(known)], f"seeds {min(known)} to {max(known)}, {took}")


def run(seeds: range, workers: int, where: Path | None) -> tuple[dict[int, Three], str]:
    """(by seed, in words what it took): those that the journal does not know. Ctrl-C: what is finished until then."""
    begun, journal = time.time(), Journal(where, digest(*CODE))
    known = journal.known(seeds)
    old = len(known)
    try:
        _run([seed for seed in seeds if seed not in known], workers, journal, known)
    except (KeyboardInterrupt, BrokenProcessPool):
        print("Stopped; what was finished counts.")
    new = len(known) - old
    return known, f"{new} new in {time.time() - begun:.0f} s, {old} from the journal, code {journal.code}"


def _run(seeds: list[int], workers: int, journal: Journal, known: dict[int, Three]) -> None:
    with ProcessPoolExecutor(workers, initializer=_stop_at_once) as pool:
        running = {pool.submit(three, seed): seed for seed in seeds}
        try:
            for done in as_completed(running):
                seed = running[done]
                known[seed] = done.result()
                journal.add(seed, known[seed])
                _print_day(known[seed])
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in active_children():
                child.terminate()
            raise


def _stop_at_once() -> None:
    """A day that is half done is worth nothing: Ctrl-C ends its process without a word, and so does SIGTERM."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _print_day(one: Three) -> None:
    ours, calm, plain = one["ours"], one["calm"], one["plain"]
    sent = sum(ours["messages"].values()) / ours["stations"] / 24
    print(
        f"seed {ours['seed']}: overloads {len(ours['overloads'])}, in a silence {len(ours['after_silence'])}, "
        f"by who disobeyed {len(ours['disobeyed'])}, on other lines {len(ours['relined'])} (plain {all_over(plain)}); "
        f"beyond the ledger "
        f"{ours['beyond_ledger']}, not found {ours['not_found']}; energy {ours['wh'] / calm['wh']:.3f}, "
        f"served {calm['wh'] / calm['need_wh']:.3f}, messages {sent:.1f}{', grid meter' if ours['grid_meter'] else ''}"
        f"{', lines told' if ours['reading_s'] < READING_S else ''}",
        flush=True,
    )  # fmt: skip


def all_over(result: dict[str, Any]) -> int:
    return sum(len(result[kind]) for kind in ("overloads", "after_silence", "disobeyed", "relined"))


def _longest(days: list[dict[str, Any]], kind: str) -> float:
    return max((float(over["seconds"]) for one in days for over in one[kind]), default=0.0)


def energy_and_messages(days: list[Three]) -> tuple[float, float]:
    """(energy under faults as a part of that without, messages a station and hour)."""
    energy = sum(one["ours"]["wh"] for one in days) / sum(one["calm"]["wh"] for one in days)
    hours = 24 * sum(one["ours"]["stations"] for one in days)
    return energy, sum(sum(one["ours"]["messages"].values()) for one in days) / hours


def _report(days: list[Three], said: str) -> None:
    ours = [one["ours"] for one in days]

    def count(kind: str) -> int:
        return sum(len(one[kind]) for one in ours)

    print(f"{len(days)} site-days, {said}")
    print(
        f"overloads over 15 s: {count('overloads')}; within the dead-man time of a silence: "
        f"{count('after_silence')}; until a station that disobeys is found and made good: {count('disobeyed')} "
        f"(longest {_longest(ours, 'disobeyed'):.0f} s); "
        f"of such stations by themselves: {count('unavoidable')}; until a car on other lines is seen and made good: "
        f"{count('relined')} (longest {_longest(ours, 'relined'):.0f} s); plain controller: "
        f"{sum(all_over(one['plain']) for one in days)}"
    )
    print(
        f"limits in force that the ledger did not count: {sum(one['beyond_ledger'] for one in ours)}; "
        f"stations that disobeyed and were not found in time: {sum(one['not_found'] for one in ours)}"
    )
    for name, kept, often in (
        ("building meter", False, False), ("grid meter", True, False), ("building meter, lines told", False, True),
        ("grid meter, lines told", True, True),
    ):  # fmt: skip
        some = [
            one
            for one in days
            if one["ours"]["grid_meter"] is kept and (one["ours"]["reading_s"] < READING_S) is often
        ]
        if some:
            energy, sent = energy_and_messages(some)
            print(
                f"{name}, {len(some)} days: energy under faults {energy:.3f} of that without; "
                f"messages a station and hour: {sent:.1f}"
            )


if __name__ == "__main__":
    main()

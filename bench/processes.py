"""What processes cost, from /proc: CPU seconds and resident memory of a process with all its descendants."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class _Stat:
    pid: int
    parent: int
    ticks: int  # own, and those of children that ended and were waited for


def _stats() -> dict[int, _Stat]:
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            text = (entry / "stat").read_text()
        except OSError:
            continue
        fields = text.rpartition(")")[2].split()
        found[int(entry.name)] = _Stat(int(entry.name), int(fields[1]), sum(int(f) for f in fields[11:15]))
    return found


def tree(root: int, stats: dict[int, _Stat] | None = None) -> list[int]:
    """The process and all its living descendants."""
    stats = stats if stats is not None else _stats()
    children: dict[int, list[int]] = {}
    for stat in stats.values():
        children.setdefault(stat.parent, []).append(stat.pid)
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        if pid in stats:
            found.append(pid)
            waiting += children.get(pid, [])
    return found


def cpu_seconds(root: int) -> float:
    """CPU of a process, its descendants and those of them that ended already."""
    stats = _stats()
    return sum(stats[pid].ticks for pid in tree(root, stats)) / TICKS


def machine_seconds() -> float:
    """CPU of the whole machine that was used, or taken away by its host, since it started."""
    fields = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    user, nice, system, _idle, _waiting, hard, soft, stolen = fields
    return (user + nice + system + hard + soft + stolen) / TICKS


def resident_bytes(pids: Iterable[int]) -> int:
    total = 0
    for pid in pids:
        try:
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
        except (OSError, IndexError):
            continue
    return total


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def allow_many_files() -> None:
    """Thousands of sockets need as many file descriptors; children inherit the limit."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

"""The local authorisation list and the cache: whom a station lets charge without asking."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from simulator.clock import read_stamp


class Entry(NamedTuple):
    """A token as it came in a list; a verdict of None removes it. `expires` as told, `group` as its parent."""

    uid: str
    verdict: str | None
    expires: str = ""
    group: str = ""


@dataclass
class LocalAuth:
    """`entries` and `cache` map a token's text to its verdict. 2.x and 1.6 number the list's versions alike."""

    version: int = 0
    entries: dict[str, str] = field(default_factory=dict)
    cache: dict[str, str] = field(default_factory=dict)
    expires: dict[str, str] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)  # of tokens, as far as they were told

    def update(
        self,
        version: int,
        full: bool,
        entries: list[tuple[str, str | None]] | list[Entry],
        most: int = 100_000,
    ) -> str:
        """Accepted, VersionMismatch, or Failed where more would stand in the list than fit."""
        if not full and version <= self.version:
            return "VersionMismatch"
        listed = [Entry(*entry) for entry in entries]
        present = {} if full else dict(self.entries)
        for entry in listed:
            if entry.verdict is None:
                present.pop(entry.uid, None)
            else:
                present[entry.uid] = entry.verdict
        if len(present) > most:
            return "Failed"
        for entry in listed:
            self.expires[entry.uid] = entry.expires
            self.note_group(entry.uid, entry.group)
        self.entries, self.version = present, version
        return "Accepted"

    def verdict(self, uid: str, at: datetime | None = None) -> str | None:
        """The list goes before the cache (1.6 section 3.5.3, 2.x C14)."""
        known = self.entries.get(uid) or self.cache.get(uid)
        until = self.expires.get(uid) if uid in self.entries else ""
        if known == "Accepted" and until and at is not None and read_stamp(until) <= at:
            return "Expired"
        return known

    def learn(self, uid: str, verdict: str, group: str = "") -> None:
        self.note_group(uid, group)
        if uid not in self.entries:
            self.cache[uid] = verdict

    def note_group(self, uid: str, group: str) -> None:
        if group:
            self.groups[uid] = group

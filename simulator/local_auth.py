"""The local authorisation list and the cache: whom a station lets charge without asking."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class LocalAuth:
    """Both map a token's text to its verdict. 2.x and 1.6 number the list's versions alike."""

    version: int = 0
    entries: dict[str, str] = field(default_factory=dict)
    cache: dict[str, str] = field(default_factory=dict)

    def update(self, version: int, full: bool, entries: list[tuple[str, str | None]]) -> str:
        """A verdict of None removes the entry. Accepted or VersionMismatch."""
        if not full and version <= self.version:
            return "VersionMismatch"
        if full:
            self.entries.clear()
        for uid, verdict in entries:
            if verdict is None:
                self.entries.pop(uid, None)
            else:
                self.entries[uid] = verdict
        self.version = version
        return "Accepted"

    def verdict(self, uid: str) -> str | None:
        return self.entries.get(uid) or self.cache.get(uid)

    def learn(self, uid: str, verdict: str) -> None:
        if uid not in self.entries:
            self.cache[uid] = verdict

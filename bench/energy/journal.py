"""Results kept in a file, so that a long run goes on where it stopped: JSON lines, one for each seed.

A line counts only for the code that it was made with: its key is a digest of the modules' source.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def digest(*modules: str) -> str:
    """Of the source of these files, told from the project's root."""
    found = hashlib.sha256()
    for path in sorted(modules):
        found.update(path.encode() + b"\0" + (ROOT / path).read_bytes() + b"\0")
    return found.hexdigest()[:16]


class Journal:
    """`path` None: kept nowhere."""

    def __init__(self, path: Path | None, code: str) -> None:
        self.path, self.code = path, code

    def known(self, seeds: Iterable[int]) -> dict[int, Any]:
        """The results that are there, by seed. A line that a crash cut off is none."""
        wanted, found = set(seeds), dict[int, Any]()
        for line in self.path.read_text().splitlines() if self.path and self.path.exists() else []:
            try:
                kept = json.loads(line)
            except ValueError:
                continue
            if kept.get("code") == self.code and kept.get("seed") in wanted:
                found[kept["seed"]] = kept["result"]
        return found

    def add(self, seed: int, result: Any) -> None:
        if self.path is None:
            return
        line = json.dumps({"code": self.code, "seed": seed, "result": result}) + "\n"
        with self.path.open("a+") as file:
            file.seek(0, 2)
            if file.tell() and not self._ends_well():
                file.write("\n")
            file.write(line)

    def _ends_well(self) -> bool:
        assert self.path is not None
        with self.path.open("rb") as file:
            file.seek(-1, 2)
            return file.read(1) == b"\n"

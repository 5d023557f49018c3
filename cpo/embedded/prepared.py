"""What need not be done again: notes in the cluster's folder, each worth something for exactly this code alone."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path

from cpo.embedded.places import CHECKOUT

_PACKAGES = ("cpo", "portal", "roaming", "energy", "stations", "billing", "fleets", "tenants")


class Prepared:
    """Without a folder (a database that is not ours, which others may change) nothing counts as done."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def is_current(self, step: str, *circumstances: str) -> bool:
        """Whether this step was done with this code, under these circumstances, in this cluster."""
        try:
            return self._folder is not None and self._file(step).read_text() == self._mark(circumstances)
        except OSError:
            return False

    def note(self, step: str, *circumstances: str) -> None:
        if self._folder is not None:
            self._file(step).write_text(self._mark(circumstances))

    def _file(self, step: str) -> Path:
        assert self._folder is not None
        return self._folder / f"prepared-{step}"

    def _mark(self, circumstances: tuple[str, ...]) -> str:
        return hashlib.sha256("\n".join([self._code, *circumstances]).encode()).hexdigest()

    @cached_property
    def _code(self) -> str:
        """Digest of all code that could have a say in it, and of the packages under it."""
        together = hashlib.sha256((CHECKOUT / "requirements.txt").read_bytes())
        for package in _PACKAGES:
            for file in sorted((CHECKOUT / package).rglob("*")):
                if file.suffix in (".py", ".sql", ".json"):
                    together.update(bytes(file.relative_to(CHECKOUT)) + b"\0" + file.read_bytes())
        return together.hexdigest()

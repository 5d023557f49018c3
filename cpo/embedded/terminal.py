"""Progress lines: a tick and the seconds each step took; plain lines where nobody watches."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


class Progress:
    """Writes one line per step. `quiet` says nothing of steps that were already done."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.lively = self.stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._detail = ""

    def say(self, text: str = "") -> None:
        try:
            print(text, file=self.stream, flush=True)
        except (BrokenPipeError, OSError, ValueError):
            pass  # the reader went away; the work goes on

    def detail(self, text: str) -> None:
        """A few words shown behind the running step on a terminal."""
        self._detail = text

    def colour(self, code: str, text: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self.lively and "NO_COLOR" not in os.environ else text

    def bold(self, text: str) -> str:
        return self.colour("1", text)

    @contextmanager
    def step(self, name: str, done: str = "") -> Iterator[None]:
        """Show `name` while the body runs, then a tick, or a cross if it raised."""
        begun, over = time.monotonic(), threading.Event()
        self._detail = ""
        spinner = threading.Thread(target=self._spin, args=(name, over), daemon=True)
        if self.lively:
            spinner.start()
        mark = self.colour("31", "✗")
        try:
            yield
            mark, name = self.colour("32", "✓"), done or name
        finally:
            over.set()
            if self.lively:
                spinner.join()
            self.say(f"{self._clear()}  {mark} {name:<44}{self._seconds(begun)}".rstrip())

    def _clear(self) -> str:
        return "\r\033[K" if self.lively else ""

    def _seconds(self, begun: float) -> str:
        took = time.monotonic() - begun
        return self.colour("2", f"{took:6.1f} s") if took >= 0.05 else ""

    def _spin(self, name: str, over: threading.Event) -> None:
        turn = 0
        while not over.wait(0.1):
            turn += 1
            detail = self.colour("2", f" {self._detail[:50]}") if self._detail else ""
            self.stream.write(f"{self._clear()}  {_SPINNER[turn % len(_SPINNER)]} {name}{detail}")
            self.stream.flush()

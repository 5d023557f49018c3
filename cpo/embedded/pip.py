"""Runs pip and turns what it says into one sentence."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from cpo.embedded import processes
from cpo.embedded.places import CHECKOUT
from cpo.embedded.problems import Problem, from_output
from cpo.embedded.terminal import Progress

_NO_NETWORK = (
    "Failed to establish a new connection",
    "NewConnectionError",
    "Read timed out",
    "ReadTimeoutError",
    "ConnectTimeoutError",
    "NameResolutionError",
    "Temporary failure in name resolution",
    "Name or service not known",
    "SSLError",
    "ProxyError",
    "Connection refused",
    "Connection reset",
)


def run(command: Sequence[str | Path], *, where: Path, progress: Progress) -> None:
    """Run a pip command that fills `where`, its output shown as the step's detail. A Problem if it fails."""
    env = {
        **os.environ,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
    }
    env.pop("PYTHONPATH", None)
    lines: list[str] = []
    with subprocess.Popen(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=env,
        cwd=CHECKOUT,
        preexec_fn=processes.tied_to_parent(signal.SIGTERM),
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.rstrip())
            if line.startswith(("Collecting", "Downloading", "  Downloading", "Installing")):
                progress.detail(line.strip().split(" (from")[0])
    if process.returncode:
        text = "\n".join(lines)
        raise problem(text, where) or _unknown(lines)


def problem(text: str, where: Path) -> Problem | None:
    """The sentence for pip's output, if it says something we know."""
    if "DO NOT MATCH THE HASHES" in text:
        return Problem(
            "A package that arrived is not the one that was locked (its hash differs).",
            "Check the package index or mirror that pip is set up to use; nothing of it was installed.",
        )
    if any(sign in text for sign in _NO_NETWORK):
        return Problem(
            "The package index could not be reached.",
            "Check the network, the proxy and pip's settings (`pip config list`), and run the command again.",
        )
    if "(from versions: none)" in text:
        name = text.partition("satisfies the requirement ")[2].split(" ")[0]
        return Problem(
            f"The package index gave no package for {name}: it is out of reach, or has none for this machine.",
            "Check the network and pip's settings (`pip config list`), and that this is Linux on x86-64.",
        )
    if "No matching distribution found" in text or "Could not find a version" in text:
        name = text.rpartition("No matching distribution found for ")[2].split("\n")[0].split(" ")[0]
        return Problem(
            f"No ready-made package of {name or 'a requirement'} exists for this Python and machine.",
            "Use Python 3.11, 3.12 or 3.13 on Linux x86-64, or point pip at an index that has it.",
        )
    return from_output(text, where)


def _unknown(lines: list[str]) -> Problem:
    errors = [line for line in lines if "ERROR" in line or "error:" in line.lower()]
    said = (errors or lines or ["nothing"])[-1].strip()
    return Problem(
        f"pip failed and said: {said}.", "Mend that and run the command again; it goes on where it was."
    )

"""Trouble on somebody's machine becomes one sentence and a way out, never a traceback."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cpo.embedded import commands, frontend, keys, pip, places, problems, pythons
from cpo.embedded.problems import Problem

pytestmark = pytest.mark.nodb


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
            "The disk is full",
        ),
        (
            "WARNING: Retrying ... Failed to establish a new connection: [Errno -3]",
            "index could not be reached",
        ),
        (
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE",
            "not the one that was locked",
        ),
        (
            "ERROR: Could not find a version that satisfies the requirement amqp==5.4.2 (from versions: none)",
            "The package index gave no package for amqp==5.4.2",
        ),
        (
            "ERROR: No matching distribution found for uvloop==0.23.0",
            "No ready-made package of uvloop==0.23.0",
        ),
        ("ERROR: [Errno 13] Permission denied: '/x/.venv'", "cannot be written by this user"),
    ],
)
def test_what_pip_says_is_told_in_a_sentence(said: str, told: str) -> None:
    problem = pip.problem(said, Path("/x"))
    assert problem is not None
    assert told in problem.what
    assert problem.way_out


@pytest.mark.parametrize("code", ["ENOTFOUND", "ECONNREFUSED"])
def test_npm_without_a_network_is_told_in_a_sentence(code: str) -> None:
    assert "could not be reached" in frontend._problem(f"npm error code {code}").what


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.ENOSPC, "The disk is full"),
        (errno.EROFS, "cannot be written"),
        (errno.EACCES, "cannot be written"),
    ],
)
def test_errors_of_the_system_are_told_in_a_sentence(number: int, told: str) -> None:
    problem = problems.from_os_error(OSError(number, os.strerror(number), "/x/file"))
    assert problem is not None
    assert told in problem.what


def test_the_telling_line_of_a_traceback_is_found() -> None:
    said = "Traceback ...\ndjango.db.utils.ProgrammingError: no such column\nLINE 1: ... x\n          ^\n"
    assert problems.last_words(said) == "django.db.utils.ProgrammingError: no such column"
    assert problems.last_words("Give a tenant.\n") == "Give a tenant."
    assert problems.last_words("") == "nothing"


def test_our_own_mistakes_keep_their_traceback() -> None:
    assert problems.from_os_error(OSError(errno.EBADF, "bad file")) is None


def test_a_command_ends_with_1_and_the_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(argv: list[str], progress: object) -> int:
        raise Problem("The moon is full.", "Wait a day.")

    monkeypatch.setattr(commands, "_run", fails)
    assert commands.main(["manage.py", "up"]) == 1
    assert "The moon is full.\nWait a day.\n" in capsys.readouterr().err


def test_an_old_python_is_told_which_one_to_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOLTYARD_HANDED_OVER", "1")
    assert pythons.use_another(["manage.py", "up"]) == 1


def test_secrets_are_random_private_and_kept(tmp_path: Path) -> None:
    first, other = keys.load(tmp_path / "secrets.json"), keys.load(tmp_path / "other.json")
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert keys.load(tmp_path / "secrets.json") == first
    assert not set(first.values()) & set(other.values())
    assert all(len(value) >= 40 for value in first.values())


def test_secrets_that_others_could_read_are_closed(tmp_path: Path) -> None:
    keys.load(tmp_path / "secrets.json")
    (tmp_path / "secrets.json").chmod(0o644)
    keys.load(tmp_path / "secrets.json")
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600


def test_spoilt_secrets_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text(json.dumps({"secret_key": "x"}))
    with pytest.raises(Problem, match="cannot be read"):
        keys.load(tmp_path / "secrets.json")


def test_a_folder_in_a_closed_home_is_not_passable(tmp_path: Path) -> None:
    (tmp_path / "home" / "checkout").mkdir(parents=True)
    (tmp_path / "home").chmod(0o700)
    assert not places.passable(tmp_path / "home" / "checkout")
    assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700


def test_the_launcher_needs_nothing_installed() -> None:
    """Its modules import in an isolated Python without site-packages."""
    names = [f"cpo.embedded.{path.stem}" for path in (places.CHECKOUT / "cpo" / "embedded").glob("[a-z]*.py")]
    code = f"import sys; sys.path.insert(0, {str(places.CHECKOUT)!r}); " + "; ".join(
        f"import {n}" for n in names
    )
    assert len(names) > 10
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)

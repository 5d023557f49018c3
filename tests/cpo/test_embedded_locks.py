"""Locks of the launcher die with their process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cpo.embedded.locks import FileLock

pytestmark = pytest.mark.nodb


def test_a_second_holder_is_refused_and_told_who_has_it(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert first.acquire()
    assert not second.acquire()
    assert second.holder().isdigit()


def test_release_frees_the_lock_and_leaves_no_file(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    lock.acquire()
    lock.release()
    assert not (tmp_path / "lock").exists()
    assert FileLock(tmp_path / "lock").acquire()


def test_a_killed_holder_frees_the_lock(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from cpo.embedded.locks import FileLock; "
        "lock = FileLock(pathlib.Path(sys.argv[1])); print(lock.acquire(), flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"True\n"
    assert not FileLock(tmp_path / "lock").acquire()
    holder.kill()
    holder.communicate()
    assert FileLock(tmp_path / "lock").acquire()

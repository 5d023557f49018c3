"""Where a checkout keeps its things, and as whom its servers run.

The data folder is `.voltyard` in the checkout (VOLTYARD_DATA_DIR elsewhere). PostgreSQL refuses to run as root, so
root's servers run as an unprivileged user, who must be able to reach their folder: the data folder if every
folder above it may be passed by others, else one under /var/lib/voltyard. No permission of a folder that was there
before is ever changed.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import stat
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cpo.embedded.problems import Problem, unwritable

CHECKOUT = Path(__file__).resolve().parent.parent.parent
SHARED_STATE = Path("/var/lib/voltyard")


@dataclass(frozen=True)
class Account:
    """The user that the embedded servers run as."""

    uid: int
    gid: int

    @property
    def is_ours(self) -> bool:
        return self.uid == os.geteuid()

    def own(self, path: Path) -> None:
        if not self.is_ours:
            os.chown(path, self.uid, self.gid)


def server_account() -> Account:
    """Ourselves; for root the user named by VOLTYARD_SERVICE_USER, or nobody."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    name = os.environ.get("VOLTYARD_SERVICE_USER") or "nobody"
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise Problem(
            f"PostgreSQL refuses to run as root, and this machine has no user {name!r}.",
            "Make one with `useradd --system voltyard` and set VOLTYARD_SERVICE_USER=voltyard.",
        ) from None
    if entry.pw_uid == 0:
        raise Problem(
            f"PostgreSQL refuses to run as {name!r}, who is root.", "Name another VOLTYARD_SERVICE_USER."
        )
    return Account(entry.pw_uid, entry.pw_gid)


def make_private(path: Path, mode: int = 0o700) -> Path:
    """The folder, made with `mode` if it was not there; its parents too. A Problem if that is not allowed."""
    if not path.is_dir():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir(mode=mode, exist_ok=True)
            path.chmod(mode)
        except PermissionError:
            raise unwritable(path.parent) from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise unwritable(path)
    return path


def passable(path: Path) -> bool:
    """Whether any user may pass through this folder and all folders above it."""
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in [path, *path.parents])


@dataclass(frozen=True)
class Places:
    """The folders of one checkout."""

    checkout: Path
    data: Path
    account: Account

    @cached_property
    def servers(self) -> Path:
        """Folder that the server account can reach; the programs and the data of the servers are under it."""
        if self.account.is_ours or passable(self.data):
            return make_private(self.data / "servers", 0o700 if self.account.is_ours else 0o711)
        make_private(SHARED_STATE, 0o755)
        folder = make_private(SHARED_STATE / hashlib.sha256(bytes(self.data)).hexdigest()[:16], 0o711)
        (folder / "checkout").write_text(f"{self.data}\n")
        return folder

    @property
    def logs(self) -> Path:
        return make_private(self.data / "logs")

    @property
    def runs(self) -> Path:
        """One folder per throw-away run of the tests."""
        return make_private(self.data / "runs")


def places() -> Places:
    """The folders of this checkout; makes the data folder. Refuses one that a stranger owns."""
    account = server_account()
    text = os.environ.get("VOLTYARD_DATA_DIR", "").strip()
    data = make_private(
        Path(text).resolve() if text else CHECKOUT / ".voltyard", 0o700 if account.is_ours else 0o711
    )
    if data.stat().st_uid != os.geteuid():
        owner = data.stat().st_uid
        raise Problem(
            f"{data} belongs to another user (uid {owner}).",
            "Run the command as that user, or set VOLTYARD_DATA_DIR to a folder of your own.",
        )
    return Places(checkout=CHECKOUT, data=data, account=account)

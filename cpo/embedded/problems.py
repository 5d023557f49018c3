"""Everything that can go wrong on somebody's machine, as one sentence and a way out."""

from __future__ import annotations

import errno
import re


class Problem(Exception):
    """What happened and what to do about it, for the person at the terminal. No traceback is shown."""

    def __init__(self, what: str, way_out: str) -> None:
        super().__init__(f"{what} {way_out}")
        self.what = what
        self.way_out = way_out


def full_disk(where: object) -> Problem:
    return Problem(
        f"The disk is full: {where} could not be written.",
        "Free some space (about 1 GB is needed), or set VOLTYARD_DATA_DIR to a folder on a larger disk.",
    )


def unwritable(where: object) -> Problem:
    return Problem(
        f"{where} cannot be written by this user.",
        "Run the command as the folder's owner, or set VOLTYARD_DATA_DIR to a folder you may write.",
    )


def from_os_error(error: OSError) -> Problem | None:
    """The sentence for an operating system error that people meet; None for one that is our own mistake."""
    where = error.filename or "a file"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return full_disk(where)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return unwritable(where)
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return Problem(
            "Too many files are open.", "Raise the limit with `ulimit -n 65536` and run the command again."
        )
    if error.errno in (errno.EAGAIN, errno.ENOMEM):
        return Problem(
            "The machine is out of memory or processes.", "End other programs and run the command again."
        )
    return None


def from_output(text: str, where: object) -> Problem | None:
    """The sentence for what a program wrote before it gave up; None if the text says nothing we know."""
    if "No space left on device" in text or "Disk quota exceeded" in text:
        return full_disk(where)
    if "Permission denied" in text or "Read-only file system" in text:
        return unwritable(where)
    return None


_ERROR_LINE = re.compile(r"^[A-Za-z_][\w.]*(Error|Exception|DoesNotExist): \S")


def last_words(text: str) -> str:
    """The line of a program's output that most likely says why it gave up."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if _ERROR_LINE.match(line)]
    return (telling or lines or ["nothing"])[-1]

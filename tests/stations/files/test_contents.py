"""Reading uploaded logs within bounds, whatever was uploaded."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from stations.models import LogFile
from stations.services.files import contents, store

pytestmark = pytest.mark.nodb
TEXT = (
    b"".join(b"12:00 INFO line %d\n" % number for number in range(1000))
    + b"12:01 ERROR relay stuck\n12:02 warn: hot\n"
)


def stored(content: bytes) -> LogFile:
    name = default_storage.save("tests/log", ContentFile(content))
    return LogFile(storage_name=name, content_type=store.sniffed(content[: store.HEAD]), name="x")


def zipped(**members: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("_", "."), content)
    return target.getvalue()


def tarred(compression: str = "", **members: bytes) -> bytes:
    target = io.BytesIO()
    mode: Any = f"w:{compression}" if compression else "w"
    with tarfile.open(fileobj=target, mode=mode, format=tarfile.USTAR_FORMAT) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name.replace("_", "."))
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return target.getvalue()


@pytest.mark.parametrize(
    "packed", [TEXT, gzip.compress(TEXT), bz2.compress(TEXT), lzma.compress(TEXT), zipped(a_log=TEXT)]
)
def test_lines_are_counted_paged_searched_and_marked(packed: bytes) -> None:
    file = stored(packed)
    whole = contents.shown(file)
    assert (whole.all_lines, whole.total, whole.errors, whole.warnings) == (1002, 1002, 1, 1)
    assert (len(whole.lines), whole.lines[0].text) == (contents.PAGE, "12:00 INFO line 0")
    assert [line.number for line in contents.shown(file, only="error").lines] == [1001]
    found = contents.shown(file, query="LINE 99")
    assert (found.total, found.lines[-1].text) == (11, "12:00 INFO line 999")
    assert contents.shown(file, page=3).lines[-1].text == "12:02 warn: hot"


@pytest.mark.parametrize(
    "packed",
    [
        zipped(a_log=TEXT, b_bin=b"\0\1"),
        tarred(a_log=TEXT, b_bin=b"\0\1"),
        tarred("gz", a_log=TEXT, b_bin=b"\0\1"),
    ],
)
def test_archives_list_their_members_and_show_text_alone(packed: bytes) -> None:
    file = stored(packed)
    assert [member.name for member in contents.shown(file).members] == ["a.log", "b.bin"]
    assert contents.shown(file, member="a.log").errors == 1
    assert not contents.shown(file, member="b.bin").readable
    assert contents.shown(file, member="../etc/passwd").problem == "missing"


def test_what_swells_is_read_to_the_bound_and_no_further() -> None:
    bomb = stored(gzip.compress(b"\n" * 200_000_000, 9))
    assert contents.shown(bomb).more
    assert contents.shown(stored(gzip.compress(b"x" * 100_000_000, 9))).more
    inner = tarred("gz", a_log=b"0" * 150_000_000, b_log=b"1")
    assert contents.shown(stored(inner)).more


@pytest.mark.parametrize(
    "content",
    [b"\x1f\x8bnonsense", b"PK\x03\x04nonsense", zipped(a_log=TEXT)[:-30], gzip.compress(TEXT)[:-9]],
)
def test_damaged_files_break_nothing(content: bytes) -> None:
    assert contents.shown(stored(content)).problem in ("damaged", "")


def test_what_is_no_text_is_not_shown() -> None:
    for content in (b"\x7fELF\0\0", bytes(range(256))):
        assert not contents.shown(stored(content)).readable
    assert contents.shown(stored(b"\x1b[31mred\x07\n")).lines[0].text == "\ufffd[31mred\ufffd"


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("../../etc/passwd", "passwd"),
        ("a b?.log", "a_b_.log"),
        ("", "log"),
        ("...", "log"),
        ("C:\\x\\cp.log", "cp.log"),
    ],
)
def test_names_are_made_harmless(name: str, plain: str) -> None:
    assert store.plain_name(name, "log") == plain


def test_a_zip_of_very_many_members_is_not_read_into_memory() -> None:
    """Each name of the list costs a hundred times its bytes: a list of megabytes is for no page."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("log.txt", "x")
    one = buffer.getvalue()
    start = one.index(b"PK\x01\x02")
    entry, end = one[start : one.index(b"PK\x05\x06")], one[one.index(b"PK\x05\x06") :]
    many = 100_000
    listed = entry * many
    forged = one[:start] + listed + end[:8] + b"\xff\xff" * 2 + len(listed).to_bytes(4, "little") + end[16:]
    answer = contents.shown(stored(forged))
    assert (answer.members, answer.more, answer.problem) == ([], True, "")

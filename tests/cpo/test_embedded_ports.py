"""Ports are chosen free once and remembered; a port the user fixed is never moved."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from cpo.embedded.ports import ALL, HOST, Ports, any_free, is_free, is_held_by
from cpo.embedded.problems import Problem

pytestmark = pytest.mark.nodb


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_chosen_port_is_remembered(tmp_path: Path) -> None:
    first = Ports(tmp_path / "ports.json").choose("web", any_free())
    assert Ports(tmp_path / "ports.json").choose("web", first + 100) == first


def test_a_port_in_use_is_passed_over(tmp_path: Path, taken: int) -> None:
    assert Ports(tmp_path / "ports.json").choose("web", taken) > taken


def test_a_remembered_port_that_somebody_took_moves(tmp_path: Path, taken: int) -> None:
    (tmp_path / "ports.json").write_text(f'{{"web": {taken}}}')
    moved = Ports(tmp_path / "ports.json").choose("web", taken)
    assert moved != taken
    assert Ports(tmp_path / "ports.json").get("web") == moved


def test_two_services_never_get_the_same_port(tmp_path: Path) -> None:
    ports, first = Ports(tmp_path / "ports.json"), any_free()
    assert ports.choose("web", first) != ports.choose("gateway", first)


def test_a_fixed_port_in_use_is_refused_in_one_sentence(tmp_path: Path, taken: int) -> None:
    with pytest.raises(Problem, match=f"Port {taken} on 127.0.0.1 is in use.*--web-port"):
        Ports(tmp_path / "ports.json").fix("web", taken, "--web-port")


def test_a_port_taken_on_one_interface_is_not_free_on_all(taken: int) -> None:
    assert not is_free(taken, ALL)


def test_it_is_told_who_holds_a_port_on_all_interfaces() -> None:
    with socket.socket() as listener:
        listener.bind((ALL, 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert is_held_by(os.getpid(), port, ALL)
        assert not is_held_by(os.getpid(), port, HOST)
        assert not is_held_by(os.getppid(), port, ALL)


def test_a_spoilt_file_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "ports.json").write_text("[]")
    assert Ports(tmp_path / "ports.json").get("web") is None

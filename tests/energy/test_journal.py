"""A long run goes on where it stopped; results of other code do not count."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.energy import faults
from bench.energy.journal import Journal, digest

pytestmark = pytest.mark.nodb


def test_what_is_there_is_known_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "days.jsonl", "abc")
    assert journal.known(range(5)) == {}
    for seed in (1, 3, 9):
        journal.add(seed, {"wh": seed * 10})
    assert Journal(tmp_path / "days.jsonl", "abc").known(range(5)) == {1: {"wh": 10}, 3: {"wh": 30}}
    assert Journal(tmp_path / "days.jsonl", "abd").known(range(5)) == {}, "by other code"


def test_a_line_that_was_cut_off_is_none_and_harms_no_other(tmp_path: Path) -> None:
    path = tmp_path / "days.jsonl"
    journal = Journal(path, "abc")
    journal.add(1, 10)
    journal.add(2, 20)
    path.write_text(path.read_text()[:-9])
    assert journal.known(range(5)) == {1: 10}
    journal.add(3, 30)
    assert journal.known(range(5)) == {1: 10, 3: 30}


def test_the_key_is_the_source_of_all_that_takes_part() -> None:
    for path in faults.CODE:
        assert digest(*faults.CODE) != digest(*(other for other in faults.CODE if other != path))
    taken = {path for path in faults.CODE if path.startswith("energy/")}
    for path in (*taken, "bench/energy/world.py"):
        source = (Path(faults.__file__).parents[2] / path).read_text()
        used = {
            line.split()[1]
            for line in source.splitlines()
            if line.startswith(("from energy.", "from bench.energy."))
        }
        assert {name.replace(".", "/") + ".py" for name in used} <= set(faults.CODE), (
            f"{path} takes what is not counted"
        )


def test_a_run_skips_the_days_that_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "days.jsonl"
    result = {
        "seed": 7, "wh": 90.0, "need_wh": 200.0, "messages": {"raise": 48}, "stations": 2, "overloads": [],
        "after_silence": [], "disobeyed": [{"seconds": 100.0}], "unavoidable": [], "beyond_ledger": 0, "relined": [],
        "reading_s": 60.0,
        "not_found": 0, "grid_meter": False,
    }  # fmt: skip
    kept = {"ours": result, "calm": {**result, "wh": 100.0}, "plain": {**result, "overloads": [{}, {}]}}
    Journal(path, digest(*faults.CODE)).add(7, kept)
    monkeypatch.setattr("sys.argv", ["faults", "--seed", "7", "--days", "1", "--journal", str(path)])
    faults.main()
    told = capsys.readouterr().out
    assert "0 new" in told and "seeds 7 to 7" in told
    assert "longest 100 s" in told and "plain controller: 3" in told
    assert "energy under faults 0.900 of that without; messages a station and hour: 1.0" in told

"""A run that lies in several places counts once, whoever reads it; copies that differ are no average."""

import json
import shutil

import pytest
from example_commands import bench as command
from example_runs import make_run

import bench
from bench import Measures, StoreError


@pytest.fixture
def store(tmp_path):
    """Two seeds of one model, and the whole of it once more under another data set's name."""
    for seed, value in ((0, 0.5), (1, 0.7)):
        make_run(tmp_path / "runs", seed=seed, values={"O-F1": value, "mAP": 0.4})
    shutil.copytree(tmp_path / "runs" / "toy", tmp_path / "runs" / "Toy")
    return tmp_path / "runs"


@pytest.mark.parametrize("beside", [False, True])
def test_a_copy_is_no_second_seed_in_a_table_and_a_note_tells_of_it(store, beside, capsys):
    if beside:
        shutil.rmtree(store / "Toy")
        shutil.copytree(store, store.with_name("copied"))
    names = [store, store.with_name("copied")] if beside else []
    assert command("table", *names, "--runs", store, "--format", "json") == 0
    shown, told = capsys.readouterr()
    (table,) = json.loads(shown)
    (row,) = table["rows"]
    assert row["seeds"] == [0, 1]
    assert row["cells"]["O-F1"]["n"] == 2
    assert "is a copy of" in told
    assert "and 1 more copies: a run counts once" in told


def test_notebooks_count_a_copy_once_too_and_the_list_shows_each(store, capsys):
    assert len(bench.runs(store)) == 4
    (row,) = bench.runs(store).table().rows
    assert row["seeds"] == [0, 1]
    assert command("runs", "--runs", store, "--json") == 0
    assert len(json.loads(capsys.readouterr().out)) == 4


def test_of_copies_the_whole_one_counts(store):
    for one in sorted(store.glob("Toy/*/*")):
        (one / "scores.npy").write_bytes(b"")
    (row,) = bench.runs(store).table().rows
    assert (row["seeds"], row["failures"]) == ([0, 1], [])


def test_copies_that_measured_differently_are_refused(store):
    copy = next(run for run in bench.runs(store) if run.path.parts[-3] == "Toy")
    copy._folder.write_measures(Measures("top2@1", {"O-F1": 0.9}, {}, ()))
    with pytest.raises(StoreError, match="are of one key, and measured differently"):
        bench.runs(store).table()

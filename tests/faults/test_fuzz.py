"""Damaged inputs for every reader: each stored finding, and a hundred new ones; `nox -s fuzz` tries many more."""

import importlib.util
from collections import Counter
from pathlib import Path

import pytest
from faults import beam, fuzz, ledger, worker
from faults.targets import FINDINGS, TARGETS, reader_of

from bench.errors import DataError

INPUTS = 120
RECORDED = sorted(Path(__file__).with_name("recorded").iterdir())
PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
ROOMS = sorted({target.open.__module__.rpartition(".")[2] for target in TARGETS.values()})
NEEDS = {"parquet": "pyarrow", "scores-parquet": "pyarrow"}


@pytest.mark.parametrize("room", ROOMS)
def test_damaged_inputs_raise_the_projects_own_errors_in_a_line_and_in_bounded_memory(room, tmp_path):
    names = [name for name, target in TARGETS.items() if target.open.__module__.endswith(f".{room}")]
    names = [name for name in names if name not in NEEDS or importlib.util.find_spec(NEEDS[name])]
    count = INPUTS * len(names)
    sitting = fuzz.sit(",".join(names), 0, count, 600.0, out=tmp_path, engine="own")  # hang guard
    assert (sitting.found, sitting.done) == ({}, count)


def test_every_finding_is_of_a_reader():
    names = [path.name for path in FINDINGS.iterdir() if path.name != "abort.parquet"]
    assert len(names) > 30
    assert [name for name in names if not reader_of(name)] == []


def test_a_reader_that_raises_another_error_would_be_found():
    reader = object.__new__(worker.Reader)

    def read(content, deep):
        if content == b"two lines":
            raise DataError("one\nmore")
        return [][int(content)]

    reader.allowed, reader.read, reader.most = DataError, read, 2**62
    assert reader.finding(b"5", False).startswith("IndexError")
    assert reader.finding(b"two lines", False) == ""  # an error of the project is one line as text


def test_a_ledger_adds_up_sittings_and_the_reader_soonest_done_is_next(tmp_path):
    book = tmp_path / "ledger.jsonl"
    for seed, (name, engine, inputs) in enumerate((("a", "own", 900), ("b", "own", 50), ("a", "atheris", 50)), 1):
        ledger.note(book, reader=name, engine=engine, seed=seed, inputs=inputs, seconds=1.0, findings={})
    with book.open("a") as file:
        file.write('{"reader": "a", "inp')  # its process was killed
    lines = ledger.entries(book)
    totals = ledger.readers(lines)
    assert (totals["a"].count, totals["b"].count, ledger.next_seed(lines)) == (950, 50, 4)
    assert fuzz.next_sitting(["a", "b", "c"], totals, 1000, False) == ("c", "own")  # which had none yet
    totals["a"].sittings["own"] = 2
    assert fuzz.next_sitting(["a", "b"], totals, 1000, True) == ("a", "atheris")
    assert fuzz.next_sitting(["a"], totals, 900, True) is None
    assert "| a | 950 | 50 |" in ledger.table(lines)
    assert Counter(beam.available()) <= Counter({beam.NAME: 1})


def test_a_parquet_file_that_ends_pyarrows_process_is_one_clear_line(tmp_path):
    pytest.importorskip("pyarrow", reason="needs the package 'pyarrow'")
    from bench_datasets.parquet_shards import read_parquet

    from bench.external.given import Names
    from bench.external.read import read

    shard = tmp_path / "train-0.parquet"
    shard.write_bytes((FINDINGS / "abort.parquet").read_bytes())
    options = {"image_column": "", "labels_column": "", "label_columns": "", "values": ""}
    for asked in (
        lambda: read_parquet("train", [shard], options, None),
        lambda: read_parquet("train", [shard], options, tmp_path / "cache"),
        lambda: read(shard, Names(("cat",))),
    ):
        with pytest.raises(DataError, match=r"train-0\.parquet: no Parquet file, or ") as refused:
            asked()
        assert "\n" not in str(refused.value)


def test_a_line_of_a_list_that_never_ends_is_refused_before_it_is_split(tmp_path):
    from bench_datasets.label_lists import LONGEST_LINE, read_lines

    path = Path(tmp_path / "list.txt")
    path.write_bytes(b"a\n" + b"x" * LONGEST_LINE + b"\n")
    assert len(read_lines(path, "an image on each line")) == 2
    path.write_bytes(b"a\nb\n" + b"x," * LONGEST_LINE)
    with pytest.raises(DataError, match=r"list\.txt line 3: longer than 16,777,216 bytes"):
        read_lines(path, "an image on each line")


def test_the_page_on_reliability_has_the_tables_of_what_was_recorded():
    page = PAGE.read_text(encoding="utf-8").splitlines()
    shown = [line for book in RECORDED for line in ledger.table(ledger.entries(book)).splitlines()]
    assert len(shown) > len(TARGETS)
    assert [line for line in shown if line not in page] == []

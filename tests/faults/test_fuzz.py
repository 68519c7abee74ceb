"""Damaged inputs for every reader: each stored finding, and a few hundred new ones; `nox -s fuzz` tries many more."""

import subprocess
import sys
from pathlib import Path

import pytest
from faults import fuzz
from faults.targets import FINDINGS, TARGETS

from bench.errors import DataError

INPUTS = {"run-record": 25, "run-manifest": 50, "safetensors": 50}
"""Of the slow ones; of each of the others 150."""


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_inputs_raise_the_projects_own_errors_in_a_line_and_in_bounded_memory(name, tmp_path):
    if name == "parquet":
        pytest.importorskip("pyarrow", reason="needs the package 'pyarrow'")
    count = INPUTS.get(name, 150)
    command = [sys.executable, "-P", fuzz.__file__, name, "--count", str(count), "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    assert f" {count} inputs" in done.stdout


def test_every_finding_is_of_a_reader():
    names = [path.name for path in FINDINGS.iterdir() if path.name != "abort.parquet"]
    assert len(names) > 30
    assert [name for name in names if not any(name.startswith(f"{target}-") for target in TARGETS)] == []


def test_a_reader_that_raises_another_error_would_be_found(tmp_path):
    reader = object.__new__(fuzz.Reader)

    def read(folder, content):
        if content == b"two lines":
            raise DataError("one\nmore")
        return [][int(content)]

    reader.folder, reader.allowed = tmp_path, DataError
    reader.target = type("Target", (), {"read": staticmethod(read)})
    assert reader.finding(b"5").startswith("IndexError")
    assert reader.finding(b"two lines") == ""  # an error of the project is one line as text


def test_a_parquet_file_that_ends_pyarrows_process_is_one_clear_line(tmp_path):
    pytest.importorskip("pyarrow", reason="needs the package 'pyarrow'")
    from bench_datasets.parquet_shards import read_parquet

    shard = tmp_path / "train-0.parquet"
    shard.write_bytes((FINDINGS / "abort.parquet").read_bytes())
    for cache in (None, tmp_path / "cache"):
        with pytest.raises(DataError, match=r"train-0\.parquet: no Parquet file, or ") as refused:
            read_parquet("train", [shard], {"image_column": "", "labels_column": ""}, cache)
        assert "\n" not in str(refused.value)


def test_a_line_of_a_list_that_never_ends_is_refused_before_it_is_split(tmp_path):
    from bench_datasets.label_lists import LONGEST_LINE, read_lines

    path = Path(tmp_path / "list.txt")
    path.write_bytes(b"a\n" + b"x" * LONGEST_LINE + b"\n")
    assert len(read_lines(path, "an image on each line")) == 2
    path.write_bytes(b"a\nb\n" + b"x," * LONGEST_LINE)
    with pytest.raises(DataError, match=r"list\.txt line 3: longer than 16,777,216 bytes"):
        read_lines(path, "an image on each line")

"""A column of 0 and 1 for each label in Parquet files, as many sets of the hub have it, by both of their readers."""

import io
import json

import pytest
from bench_datasets import parquet_check
from open_sets import opened
from PIL import Image

from bench.errors import DataError

pa = pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'multilabel-bench[parquet]'")
pq = pytest.importorskip("pyarrow.parquet")


@pytest.fixture(params=["shards", "huggingface"])
def reader(request, monkeypatch, tmp_path_factory):
    """Give a reader's name; whole files are read in this process, as to start another takes half a second."""
    here = lambda shards, *columns: parquet_check.read_all(list(map(str, shards)), *columns)  # noqa: E731
    monkeypatch.setattr(parquet_check, "_in_another_process", here)
    if request.param == "huggingface":
        pytest.importorskip("datasets", reason="needs datasets: pip install 'multilabel-bench[hf]'")
        monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
    return request.param


def write(root, classes=None, **columns):
    """Write the columns, each with a picture a row, as both parts; ``classes`` are names of their numbers."""
    rows = len(next(iter(columns.values())))
    for part in ("train", "test"):
        table = pa.table({"image": [{"bytes": photo(row), "path": None} for row in range(rows)], **columns})
        features = {name: {"_type": "ClassLabel", "names": names} for name, names in (classes or {}).items()}
        noted = {"info": {"features": {"image": {"_type": "Image"}, **features}}} if features else None
        if noted:
            table = table.replace_schema_metadata({"huggingface": json.dumps(noted)})
        (root / "data").mkdir(exist_ok=True)
        pq.write_table(table, root / "data" / f"{part}-00000-of-00001.parquet")
    return root


def photo(shade):
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, 0, 0)).save(file, "PNG")
    return file.getvalue()


def held(split):
    return [[split.labels[column] for column in row.nonzero()[0]] for row in split.truth]


def test_columns_are_read_where_they_are_named_and_what_to_type_is_told(reader, tmp_path):
    write(tmp_path, image_id=[7, 8, 9], Young=[True, False, False], Bald=[True, True, False])
    with pytest.raises(DataError, match=r"Try: --set 'dataset.label_columns=Young,Bald' where each is"):
        opened(reader, tmp_path)
    dataset = opened(reader, tmp_path, label_columns="Young,Bald")
    assert dataset.labels == ("Young", "Bald")
    assert held(dataset.test) == [["Young", "Bald"], ["Bald"], []]


def test_a_third_value_and_nothing_mean_what_a_table_would_have_them_mean(reader, tmp_path):
    write(tmp_path, Edema=[1.0, -1.0, None, 0.0], Mass=[0.0, 1.0, 1.0, None])
    with pytest.raises(
        DataError, match=r"row 1: found -1.0 for 'Edema', allowed.* Try: --set 'dataset.values=-1.0:ign"
    ):
        opened(reader, tmp_path, label_columns="Edema,Mass")
    dataset = opened(reader, tmp_path, label_columns="Edema,Mass", values="-1.0:ignore")
    assert held(dataset.train) == [["Edema"], ["Mass"], ["Mass"], []]
    assert dataset.train.ignore.tolist() == [[False, False], [True, False], [False, False], [False, False]]
    assert any(note.endswith("train: 2 empty cells of label columns read as 0") for note in dataset.notes)
    dataset = opened(reader, tmp_path, label_columns="Edema,Mass", values="-1.0:ignore,empty:ignore")
    assert dataset.train.ignore.sum() == 3


def test_numbers_of_classes_count_by_their_names(reader, tmp_path):
    """Class 1 of yes and no is no, and class 0 of CelebA's -1 and 1 is -1."""
    write(tmp_path, {"x": ["yes", "no"], "y": ["no", "yes"]}, x=[0, 1, 0], y=[0, 0, 1])
    with pytest.raises(DataError, match=r"row 0: found 'yes' for 'x'"):
        opened(reader, tmp_path, label_columns="x,y")
    assert held(opened(reader, tmp_path, label_columns="x,y", values="yes:1,no:0").train) == [["x"], [], ["x", "y"]]
    write(tmp_path, {"x": ["-1", "1"], "y": ["-1", "1"]}, x=[0, 1, 0], y=[0, 1, 1])
    with pytest.raises(DataError, match=r"row 0: found '-1' for 'x'"):
        opened(reader, tmp_path, label_columns="x,y")
    assert held(opened(reader, tmp_path, label_columns="x,y", values="-1:0").train) == [[], ["x", "y"], ["y"]]


def test_one_of_such_columns_is_no_label_set_without_a_word(reader, tmp_path):
    write(tmp_path, bird=[0, 1, 0], boat=[1, 0, 0])
    notes = opened(reader, tmp_path, labels_column="bird").notes
    assert "if 0 and 1 say whether one label is there: --set dataset.label_columns=NAME, its column" in notes
    write(tmp_path, {"bird": ["no", "yes"], "boat": ["no", "yes"]}, bird=[0, 1, 0], boat=[1, 0, 0])
    with pytest.raises(DataError, match=r"Try: --set 'dataset.label_columns=bird,boat'"):
        opened(reader, tmp_path)

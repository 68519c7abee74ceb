"""Shards as Parquet files, and the columns that hold images and labels."""

import io
import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import open_sets
import pytest
from bench_datasets import parquet_check
from bench_datasets.arrow_columns import find_columns
from PIL import Image

from bench.errors import DataError

pa = pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'multilabel-bench[parquet]'")
pq = pytest.importorskip("pyarrow.parquet")


@pytest.fixture(autouse=True)
def whole_files_are_read_here(request, monkeypatch):
    """To start the process that reads files of others first takes half a second a part."""
    if request.function is not test_a_bad_parquet_file_is_named:
        here = lambda shards, *columns: parquet_check.read_all(list(map(str, shards)), *columns)  # noqa: E731
        monkeypatch.setattr(parquet_check, "_in_another_process", here)


opened = partial(open_sets.opened, "shards")


def photo(shade):
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, 0, 0)).save(file, "PNG")
    return file.getvalue()


def write(path, labels, shades, image="image", features=None, **options):
    table = pa.table({image: [{"bytes": photo(shade), "path": None} for shade in shades], "labels": labels})
    if features:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, path, **options)


IMAGE = ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
OBJECTS = pa.list_(pa.struct([("category", pa.int64()), ("area", pa.float32())]))
TEXTS = pa.list_(pa.string())
CLASSES = {
    "image": {"_type": "Image"},
    "labels": {"_type": "List", "feature": {"_type": "ClassLabel", "names": ["cat", "dog", "owl"]}},
}


def test_rows_are_read_by_group_in_any_order_and_from_threads(tmp_path):
    write(tmp_path / "train-0.parquet", [["dog"]] * 7, range(7), row_group_size=3)
    write(tmp_path / "train-1.parquet", [["cat"]] * 20, range(7, 27), row_group_size=3)
    write(tmp_path / "test-0.parquet", [["cat", "dog"], None], [0, 1])
    dataset = opened(tmp_path)
    assert dataset.labels == ("cat", "dog")
    assert dataset.test.truth.tolist() == [[True, True], [False, False]]
    rows = np.random.default_rng(0).permutation(27).tolist()
    with ThreadPoolExecutor(4) as pool:
        read = list(pool.map(dataset.train.images.read, rows))
    assert [int(pixels[0, 0, 0]) for pixels in read] == rows
    assert dataset.train.images.describe(9) == f"{tmp_path}/train-1.parquet row 2"


def test_class_names_that_hugging_face_noted_are_used(tmp_path):
    for part in ("train", "test"):
        write(tmp_path / f"{part}.parquet", [[2, 0], [1, 1]], [0, 1], features=CLASSES)
    assert opened(tmp_path).labels == ("cat", "dog", "owl")
    assert opened(tmp_path).train.truth.tolist() == [[True, False, True], [False, True, False]]


@pytest.mark.parametrize("objects", [True, False])
def test_class_names_are_used_as_older_versions_noted_them(tmp_path, objects):
    """A list was [feature], and its numbers were labels' names."""
    classes = CLASSES["labels"]["feature"]
    features = CLASSES | {"labels": [{"category": classes} if objects else classes]}
    rows = [[{"category": 2}], [{"category": 0}, {"category": 1}]] if objects else [[2], [0, 1]]
    for part in ("train", "test"):
        write(tmp_path / f"{part}.parquet", rows, [0, 1], features=features)
    assert opened(tmp_path).labels == ("cat", "dog", "owl")
    assert opened(tmp_path).train.truth.tolist() == [[False, False, True], [True, True, False]]


def test_classes_that_one_part_alone_names_are_said_to_be_the_others_too(tmp_path):
    write(tmp_path / "train.parquet", [[2, 0], [1]], [0, 1])
    write(tmp_path / "test.parquet", [[2, 0]], [2], features=CLASSES)
    note = "train: its shards name no classes, so numbers in them are read as those of test"
    assert note in opened(tmp_path).notes
    write(tmp_path / "train.parquet", [[2, 0], [1]], [0, 1], features=CLASSES)
    assert opened(tmp_path).notes == ()


def test_multi_hot_columns_are_told_from_numbers(tmp_path):
    (tmp_path / "labels.txt").write_text("cat\ndog\nowl\n")
    for part in ("train", "test"):
        write(tmp_path / f"{part}.parquet", [[0, 1, 1], [1, 0, 0]], [0, 1])
    assert opened(tmp_path).train.truth.tolist() == [[False, True, True], [True, False, False]]
    numbers = opened(tmp_path, labels_are="numbers", absent_labels="drop")
    assert numbers.labels == ("cat", "dog")
    assert numbers.train.truth.all()
    # A part that could be read either way is read as the others are.
    write(tmp_path / "test.parquet", [[0, 1, 0]], [0])
    assert opened(tmp_path).test.truth.tolist() == [[False, True, False]]


@pytest.mark.parametrize("kind", [pa.int64(), pa.uint8(), pa.float32()])
def test_two_labels_may_be_numbers_or_a_value_for_each(tmp_path, kind):
    for part in ("train", "test"):
        write(tmp_path / f"{part}.parquet", pa.array([[1, 0], [0, 1]], pa.list_(kind)), [0, 1])
    with pytest.raises(
        DataError, match=r"train.parquet row 0: found \[1.*, 0.*\], which may be .*labels_are=multi-hot"
    ):
        opened(tmp_path, labels_column="labels")
    dataset = opened(tmp_path, labels_column="labels", labels_are="multi-hot")
    assert dataset.train.truth.tolist() == [[True, False], [False, True]]


@pytest.mark.parametrize("texts", [True, False])
def test_lists_of_texts_beside_one_class_may_be_captions(texts):
    one = {"label": CLASSES["labels"]["feature"]}
    noted = one if texts else {**one, "lists": CLASSES["labels"]}
    fields = [IMAGE, ("lists", TEXTS if texts else pa.list_(pa.int64())), ("label", pa.int64())]
    schema = pa.schema(fields, {"huggingface": json.dumps({"info": {"features": noted}})})
    if texts:
        with pytest.raises(DataError, match=r"here: the labels may be in lists or label. Try: .*labels_column=lists"):
            find_columns(schema, "", "", "here")
        assert find_columns(schema, "", "label", "here").names == ("cat", "dog", "owl")
    else:
        assert find_columns(schema, "", "", "here").labels == "lists"


def test_classes_and_bools_are_sure(tmp_path):
    for part in ("train", "test"):
        write(tmp_path / f"{part}.parquet", [[1, 0], [0, 1]], [0, 1], features=CLASSES)
    assert opened(tmp_path, absent_labels="drop").train.truth.all()
    for part in ("train", "test"):
        write(tmp_path / f"{part}.parquet", pa.array([[True, False], [False, True]], pa.list_(pa.bool_())), [0, 1])
    assert opened(tmp_path).train.truth.tolist() == [[True, False], [False, True]]


def test_an_image_without_bytes_or_with_damaged_ones_is_named(tmp_path):
    table = pa.table({"image": [{"bytes": None, "path": "/a.png"}, {"bytes": b"x", "path": ""}], "labels": [["a"]] * 2})
    for part in ("train", "test"):
        pq.write_table(table, tmp_path / f"{part}.parquet")
    images = opened(tmp_path).train.images
    with pytest.raises(DataError, match=r"train.parquet row 0: the row holds no bytes"):
        images.read(0)
    with pytest.raises(DataError, match=r"cannot read image .*train.parquet row 1: no known image format"):
        images.read(1)


def test_a_bad_parquet_file_is_named(tmp_path):
    write(tmp_path / "test.parquet", [["a"]], [0])
    path = tmp_path / "train.parquet"
    write(path, [["a"]] * 50, range(50))
    whole = path.read_bytes()
    for content in (b"", b"PAR1", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"train.parquet: no Parquet file, or not a whole one: "):
            opened(tmp_path)
    path.write_bytes(whole)
    dataset = opened(tmp_path)
    path.write_bytes(whole[:100] + bytes(len(whole) - 100))
    with pytest.raises(DataError, match=r"train.parquet: no Parquet file, or not a whole one: "):
        dataset.train.images.read(0)


def test_shards_that_differ_are_refused(tmp_path):
    write(tmp_path / "train-0.parquet", [["a"]], [0])
    write(tmp_path / "train-1.parquet", [["a"]], [0], image="picture")
    write(tmp_path / "test.parquet", [["a"]], [0])
    with pytest.raises(DataError, match=r"train-1.parquet: other columns or classes than train-0.parquet"):
        opened(tmp_path)


def test_a_row_group_too_large_to_hold_is_refused(tmp_path, monkeypatch):
    for part in ("train", "test"):
        write(tmp_path / f"{part}.parquet", [["a"]] * 4, range(4))
    monkeypatch.setattr("bench_datasets.parquet_shards.LARGEST_GROUP", 100)
    with pytest.raises(DataError, match=r"train.parquet: row group 0 holds \d+ bytes of images, allowed: 100.*=100"):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("columns", "asked", "expected"),
    [
        ([IMAGE, ("tags", TEXTS)], "", ("image", "tags", "")),
        (
            [("raw", pa.binary()), ("caption", pa.string()), ("tags", pa.large_list(pa.int32()))],
            "",
            ("raw", "tags", ""),
        ),
        ([IMAGE, ("box", pa.list_(pa.float32())), ("hot", pa.list_(pa.bool_(), 4))], "", ("image", "hot", "")),
        ([IMAGE, ("objects", OBJECTS)], "", ("image", "objects", "category")),
        ([IMAGE, ("objects", pa.struct([("category", TEXTS)]))], "objects", ("image", "objects", "category")),
        ([IMAGE, ("tags", TEXTS), ("caption", pa.string())], "caption", ("image", "caption", "")),
    ],
)
def test_columns_are_found_by_their_types(columns, asked, expected):
    found = find_columns(pa.schema(columns), "", asked, "here")
    assert (found.image, found.labels, found.field) == expected


@pytest.mark.parametrize(
    ("columns", "asked", "message"),
    [
        ([IMAGE, ("a", TEXTS), ("b", TEXTS)], "", r"the labels may be in a or b. Try: --set dataset.labels_column=a"),
        (
            [IMAGE, ("a", pa.string())],
            "",
            r"no column is sure to hold the labels. .*Columns: image \(.*\), a \(string\)",
        ),
        ([("tags", TEXTS)], "", r"no column is sure to hold the images. Try: --set dataset.image_column=NAME"),
        ([IMAGE, ("x", pa.binary()), ("tags", TEXTS)], "", r"the images may be in image or x"),
        ([IMAGE, ("tags", TEXTS)], "words", r"no column 'words'. Columns: .*tags \(list of string\)"),
        ([IMAGE, ("o", OBJECTS)], "o.name", r"column 'o' has the fields category, area. Try: .*column=o.category"),
        ([IMAGE, ("tags", TEXTS)], "tags.name", r"column 'tags' has no fields. Try: --set dataset.labels_column=tags"),
    ],
)
def test_columns_that_cannot_be_told_are_listed(columns, asked, message):
    with pytest.raises(DataError, match=f"here: {message}"):
        find_columns(pa.schema(columns), "", asked, "here")


def test_what_a_column_of_labels_is_called_and_scores_of_objects_have_a_word(tmp_path):
    """A column of captions was that of the labels, and an object of a score of 0.1 a label, without a word."""
    objects = [[{"category": "dog", "score": 0.1}]] * 2
    for part in ("train", "test"):
        write(tmp_path / f"{part}-0.parquet", objects, [0, 1])
    found = [note for note in opened(tmp_path).notes if "score" in note]
    assert found == [
        f"{part}: objects have a field 'score', and count as labels whatever it says" for part in ("train", "test")
    ]
    for column, noted in (("captions", True), ("negative_labels", True), ("tags", False), ("Findings", False)):
        for part in ("train", "test"):
            write(tmp_path / f"{part}-0.parquet", [["dog"], ["cat", "dog"]], [0, 1])
            table = pq.read_table(tmp_path / f"{part}-0.parquet").rename_columns(["image", column])
            pq.write_table(table, tmp_path / f"{part}-0.parquet")
        told = f"train: labels are read from column '{column}', the only one of their type"
        assert (told in opened(tmp_path).notes) == noted
        assert told not in opened(tmp_path, labels_column=column).notes


def test_a_column_of_scores_beside_the_labels_has_a_word(tmp_path):
    """A tagger's table has all labels that it knows in each row."""
    for part in ("train", "test"):
        write(tmp_path / f"{part}-0.parquet", [["dog", "cat"], ["cat", "dog"]], [0, 1])
        table = pq.read_table(tmp_path / f"{part}-0.parquet").append_column("scores", [[[0.9, 0.1], [0.8, 0.3]]])
        pq.write_table(table.append_column("url", [["a", "b"]]), tmp_path / f"{part}-0.parquet")
    told = [note for note in opened(tmp_path).notes if "beside" in note]
    assert told == [f"{part}: column 'scores' beside the labels is not read" for part in ("train", "test")]


@pytest.mark.parametrize("classes", [["0", "1"], ["No", "Yes"], ["negative", "positive"]])
def test_lists_of_no_and_yes_are_a_value_for_each_label(tmp_path, classes):
    """Every image had the labels no and yes."""
    features = CLASSES | {"labels": {"_type": "List", "feature": {"_type": "ClassLabel", "names": classes}}}
    for part in ("train", "test"):
        write(tmp_path / f"{part}.parquet", [[1, 0, 1], [0, 1, 0]], [0, 1], features=features)
    (tmp_path / "labels.txt").write_text("cat\ndog\nowl\n")
    dataset = opened(tmp_path)
    assert dataset.labels == ("cat", "dog", "owl")
    assert dataset.test.truth.tolist() == [[True, False, True], [False, True, False]]

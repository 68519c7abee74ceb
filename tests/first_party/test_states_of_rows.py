"""What tools write of a row beside its labels: how far it is labelled, that it does not count, that there is none."""

import json

import pytest
from open_sets import opened, picture

from bench.errors import DataError

NAMES = [f"{number}.png" for number in range(6)]
LABELS = ["dog", "cat", "dog;cat", "", "cat", "dog"]


@pytest.fixture
def root(tmp_path):
    for number, name in enumerate(NAMES):
        picture(tmp_path / name, number)
    return tmp_path


def write(root, column, cells, labels="labels", of_labels=LABELS):
    rows = [f"{name},{of},{cell}" for name, of, cell in zip(NAMES, of_labels, cells, strict=True)]
    (root / "labels.csv").write_text("\n".join([f"path,{labels},{column}", *rows]))


@pytest.mark.parametrize(
    ("column", "cells", "told"),
    [
        ("status", ["done", "done", "rejected", "done", "done", "in progress"], "rejected"),
        ("answer", ["accept", "reject", "ignore", "accept", "accept", "accept"], "ignore"),  # as Prodigy writes it
        ("wasCancelled", ["False", "True", "False", "False", "False", "False"], "True"),
        ("skipped", ["", "", "", "x1", "", "y"], "y"),
        ("is_labeled", ["1", "1", "1", "0", "1", "1"], "0"),
    ],
)
def test_rows_that_do_not_count_are_asked_about(root, column, cells, told):
    write(root, column, cells)
    with pytest.raises(DataError, match=rf"column '{column}' is {told} in some rows. Do the labels in 'labels' count"):
        opened("csv", root)
    write(root, "note", [f"note {cell}" for cell in cells])
    assert opened("csv", root).labels == ("cat", "dog")


@pytest.mark.parametrize(
    ("column", "cells", "note"),
    [
        (
            "status",
            ["shipped", "cancelled", "paid", "paid", "paid", "paid"],
            "column 'status' is cancelled in some rows.",
        ),
        ("score", "101010", "column 'score' is 0 in some rows."),
        ("primary_label", ["dog", "cat", "dog", "", "cat", "dog"], "column 'primary_label' holds names of labels"),
    ],
)
def test_columns_that_say_nothing_of_labels_are_kept_by_what_the_message_says_to_type(root, column, cells, note):
    """As of an order; a table had to be written anew without them."""
    write(root, column, cells)
    with pytest.raises(DataError, match=r": --set dataset.odd_names=keep$"):
        opened("csv", root)
    dataset = opened("csv", root, odd_names="keep")
    assert dataset.labels == ("cat", "dog")
    assert any(note in told for told in dataset.notes)


@pytest.mark.parametrize("column", ["verified", "was_cancelled", "isSkipped", "rejected"])
def test_a_column_of_0_and_1_that_says_how_far_a_row_is_labelled_is_no_label(root, column):
    write(root, column, "011010", labels="dog", of_labels="110010")
    with pytest.raises(DataError, match=rf"column '{column}' is called as one that .* Try: .*not_labels={column}'"):
        opened("csv", root, labels_column="")
    assert opened("csv", root, not_labels=column).labels == ("dog",)
    assert opened("csv", root, label_columns=f"dog,{column}").labels == ("dog", column)


@pytest.mark.parametrize("word", [r"\N", "(null)", "[NULL]", "<none>", "[nan]", "n.a."])
def test_what_databases_write_for_nothing_is_no_label(root, word):
    rows = [f"{name},{label or word}" for name, label in zip(NAMES, LABELS, strict=True)]
    (root / "labels.csv").write_text("\n".join(["path,labels", *rows]))
    with pytest.raises(DataError, match=r"looks like an empty cell. Try: --set 'dataset.no_label=") as told:
        opened("csv", root)
    assert f"dataset.no_label={word}'" in str(told.value)
    assert opened("csv", root, no_label=word).labels == ("cat", "dog")


@pytest.mark.parametrize("name", ["no_label", "__background__", "NoFinding", "not_annotated", "Skipped"])
def test_folders_of_images_without_a_label_have_a_note(tmp_path, name):
    """CVAT's ImageNet export calls it no_label; it was a label without a word."""
    for part, first in (("train", 0), ("test", 4)):
        for number, label in enumerate(("dog", "cat", name)):
            picture(tmp_path / part / label / f"{number}.png", first + number)
    told = f"if label '{name}' means that there is none: --set 'dataset.no_label={name}'"
    assert told in opened("imagefolder", tmp_path).notes
    assert opened("imagefolder", tmp_path, no_label=name).labels == ("cat", "dog")


def test_lines_of_json_that_do_not_count_are_asked_about(tmp_path):
    for part in ("train", "test"):
        picture(tmp_path / part / "a.png")
        line = {"file_name": "a.png", "labels": ["dog"], "skipped": part == "test", "id": 3}
        (tmp_path / part / "metadata.jsonl").write_text(json.dumps(line))
    with pytest.raises(DataError, match=r"test/metadata.jsonl: column 'skipped' is True in some rows. Do the labels"):
        opened("imagefolder", tmp_path)

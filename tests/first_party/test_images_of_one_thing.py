"""Images of one patient, video or place: they are alike, and known from training where one is in each part."""

from dataclasses import replace

import numpy as np
import pytest
from example_splits import make_split
from open_sets import opened, picture

from bench.data.splits import hold_out, narrow, subset
from bench.errors import DataError


def table(root, column, of, name="labels"):
    """Write a table of one image for each of ``of``, what they are of; by turns a dog and a cat."""
    rows = [f"{name}{n}.png,{'dog' if n % 2 else 'cat'},{thing}" for n, thing in enumerate(of)]
    for number in range(len(rows)):
        picture(root / f"{name}{number}.png", number)
    (root / f"{name}.csv").write_text("\n".join([f"path,labels,{column}", *rows]))
    return [f"{name}{n}.png" for n in range(len(rows))]


PATIENTS = [f"P{number // 4}" for number in range(40)]


def of(names):
    return {PATIENTS[int(name.removeprefix("labels").removesuffix(".png"))] for name in names}


@pytest.mark.parametrize("column", ["Patient ID", "subject_id", "lesion_id", "video", "Location"])
def test_images_of_one_thing_on_both_sides_of_a_drawn_split_have_a_word(tmp_path, column):
    table(tmp_path, column, [0, 0, 0, 0, 1, 1, 1, 1, "", "", "", ""])
    told = f"column '{column}': images of 2 are in train and in test, as of 0. The split is drawn by image. Try: --set"
    assert any(note.startswith(told) for note in opened("csv", tmp_path, test_fraction="0.5").notes)
    table(tmp_path, column, [0, 1, 2, ""])
    assert not any("drawn by image" in note for note in opened("csv", tmp_path, absent_labels="drop").notes)


@pytest.mark.parametrize("seed", range(5))
def test_a_column_that_is_named_keeps_images_of_one_thing_in_one_part(tmp_path, seed):
    table(tmp_path, "who", PATIENTS)
    dataset = opened("csv", tmp_path, group_column="who", split_seed=str(seed))
    assert not of(dataset.train.ids) & of(dataset.test.ids)
    assert len(dataset.test) == 8
    assert f"20% drawn for test by column 'who' with seed {seed}" in dataset.variant
    kept, held = (of(dataset.train.ids[row] for row in rows) for rows in hold_out(dataset.train, 0.1, seed))
    assert not kept & held
    assert len(held) == 1
    by_image = opened("csv", tmp_path, split_seed=str(seed))
    assert of(by_image.train.ids) & of(by_image.test.ids)


def test_it_is_no_label_where_each_label_is_a_column(tmp_path):
    rows = [f"{n}.png,{n % 2},1,{n // 4 % 2}" for n in range(12)]
    for number in range(12):
        picture(tmp_path / f"{number}.png", number)
    (tmp_path / "labels.csv").write_text("\n".join(["path,dog,cat,who", *rows]))
    for said in ({"label_columns": "dog"}, {"not_labels": "cat"}):
        assert opened("csv", tmp_path, labels_column="", group_column="who", **said).labels == ("dog",)


def test_of_no_name_an_image_belongs_to_no_other(tmp_path):
    table(tmp_path, "who", [""] * 10 + ["P"] * 2)
    dataset = opened("csv", tmp_path, group_column="who", test_fraction="0.5")
    assert len(dataset.train) in {5, 6}
    assert len({*dataset.train.groups, *dataset.test.groups}) == 11


def test_parts_that_were_given_are_taken_and_told(tmp_path):
    """A validation part that is still to be drawn is drawn by what was named, and the note says how to name it.

    Of what was named, opening tells, once, as of a plugin's groups.
    """
    table(tmp_path, "patient", PATIENTS, "train")
    table(tmp_path, "patient", ["P1", "P1", "Q", "Q"], "test")
    told = "column 'patient': 10 have several images in train, as P0. A validation part is drawn by image. Try: --set"
    assert any(note.startswith(told) for note in opened("csv", tmp_path).notes)
    dataset = opened("csv", tmp_path, group_column="patient")
    (told,) = (note for note in dataset.notes if "P1" in note)
    assert told.startswith("2 of the 4 images of test are of groups that train has too ('P1')")
    assert not any("drawn by image" in note for note in dataset.notes)
    assert dataset.train.groups == tuple(PATIENTS)
    table(tmp_path, "patient", ["V", "V"], "validation")
    assert not any("drawn by image" in note for note in opened("csv", tmp_path).notes)


def test_fewer_images_or_labels_belong_together_as_before():
    split = replace(make_split(np.eye(4, 2) > 0), groups=("P", "Q", "P", "R"))
    assert subset(split, [3, 0], "train").groups == ("R", "P")
    assert narrow(split, np.array([True, True])).groups == split.groups
    assert narrow(split, np.array([False, True]), drop_unlabelled=True).groups == ("Q",)


def test_one_thing_of_most_images_is_never_held_out():
    split = replace(make_split(np.ones((10, 1))), groups=("P",) * 6 + ("Q", "R", "S", "T"))
    assert all(hold_out(split, 0.1, seed)[1].min() > 5 for seed in range(20))


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("Who", r"line 1: no column 'Who', found: path, labels, who\. Try: --set 'dataset\.group_column=who', or"),
        ("labels", r"line 1: column 'labels' is named for something else, too\. Try: another group_column"),
    ],
)
def test_a_column_that_is_not_there_or_says_something_else(tmp_path, column, message):
    table(tmp_path, "who", PATIENTS)
    with pytest.raises(DataError, match=message):
        opened("csv", tmp_path, group_column=column)


def test_images_all_of_one_thing_cannot_be_drawn_apart(tmp_path):
    table(tmp_path, "who", ["P"] * 12)
    with pytest.raises(DataError, match="12 images of 1 in column 'who' are too few to split"):
        opened("csv", tmp_path, group_column="who")
    table(tmp_path, "who", ["P"] * 11 + ["Q"])
    dataset = opened("csv", tmp_path, group_column="who", absent_labels="drop")
    assert dataset.test.ids == ("labels11.png",)
    with pytest.raises(DataError, match="11 images of 1 groups are too few to hold out a validation part"):
        hold_out(dataset.train, 0.1, 0)

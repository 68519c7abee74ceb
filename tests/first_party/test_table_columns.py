"""Columns that say something of labels or parts in words of their own are not passed over, or taken for labels."""

import pytest
from open_sets import opened
from typed_tables import pictures

from bench.errors import DataError

PARTS = ("isTrain", "train_set", "testset", "Fold_1", "used_for_training", "held_out", "eval", "TRAIN/TEST", "split_id")


def table(root, head, row):
    """Write labels.csv of twelve pictures; ``row`` of a number gives what stands behind its path."""
    pictures(root, "", 12)
    (root / "labels.csv").write_text("\n".join([f"path,{head}", *(f"{n}.png,{row(n)}" for n in range(12))]))
    return root


@pytest.mark.parametrize("column", PARTS)
def test_a_column_of_parts_is_known_in_other_words(tmp_path, column):
    """Each was a label, or a split was drawn over it."""
    table(tmp_path, f"dog,cat,{column}", lambda n: f"{n % 2},{1 - n % 2},{int(n > 8)}")
    with pytest.raises(DataError, match=rf"column '{column}' is called as one that tells parts apart\. Is it a label"):
        opened("csv", tmp_path, labels_column="")
    table(tmp_path, f"labels,{column}", lambda n: f"{('dog', 'cat')[n % 2]},{int(n > 8)}")
    with pytest.raises(DataError, match=rf"column '{column}' tells parts apart, and was not asked for"):
        opened("csv", tmp_path)


@pytest.mark.parametrize(
    "column", ["train", "train station", "split rail", "test tube", "tea set", "patient", "sunset"]
)
def test_what_pictures_show_may_be_a_label(tmp_path, column):
    table(tmp_path, f"dog,cat,{column}", lambda n: f"{n % 2},{1 - n % 2},{int(n % 3 > 0)}")
    assert column in opened("csv", tmp_path, labels_column="").labels


@pytest.mark.parametrize("column", ["image_id", "Row number", "patient id", "no."])
def test_a_column_of_keys_is_no_label_without_a_word(tmp_path, column):
    table(tmp_path, f"dog,cat,{column}", lambda n: f"{n % 2},{1 - n % 2},{int(n % 3 > 0)}")
    with pytest.raises(DataError, match=rf"column '{column}' is called as one that numbers rows"):
        opened("csv", tmp_path, labels_column="")


@pytest.mark.parametrize(
    ("column", "yes", "no"),
    [
        ("is_present", "True", "False"),
        ("present", "yes", "no"),
        ("Presence", "present", "absent"),
        ("is_correct", "1", "0.0"),
        ("negated", "0", "1"),
        ("is_absent", "F", "T"),
    ],
)
def test_a_column_that_says_no_of_the_label_beside_it_is_not_passed_over(tmp_path, column, yes, no):
    table(tmp_path, f"labels,{column}", lambda n: f"{('dog', 'cat')[n % 2]},{yes if n % 3 else no}")
    with pytest.raises(DataError, match=rf"column '{column}' is {no} in some rows\. Is the label there"):
        opened("csv", tmp_path)
    table(tmp_path, f"labels,{column}", lambda n: f"{('dog', 'cat')[n % 2]},{yes}")
    assert opened("csv", tmp_path).labels == ("cat", "dog")


@pytest.mark.parametrize(
    ("first", "more"),
    [
        ("label[0]", "label[1]"),
        ("label", "label (2)"),
        ("label", "2nd label"),
        ("label1_name", "label2_name"),
        ("q1_label", "q2_label"),
        ("label_x", "label_y"),
        ("species_one", "species_two"),
    ],
)
def test_more_columns_of_labels_are_known_wherever_their_number_stands(tmp_path, first, more):
    table(tmp_path, f"{first},{more}", lambda n: f"{('dog', 'cat')[n % 2]},{'owl' if n == 5 else ''}")
    with pytest.raises(DataError, match=r"line 7: 'owl' stands in column '.*'\. Is it a label"):
        opened("csv", tmp_path, labels_column=first)


@pytest.mark.parametrize(("cells", "noted"), [(("dog", "cat;dog", ""), True), (("dog", "brown"), False), ((), False)])
def test_a_column_that_is_not_read_and_holds_names_of_labels_has_a_word(tmp_path, cells, noted):
    table(tmp_path, "labels,also,3", lambda n: f"{('dog', 'cat')[n % 2]},{cells[n % len(cells)] if cells else ''},3")
    told = [note for note in opened("csv", tmp_path).notes if "holds names" in note]
    assert told == ["labels.csv: column 'also' holds names of labels, and is not read"] * noted


def test_a_column_without_a_name_says_nothing_of_what_belongs_together(tmp_path):
    table(tmp_path, "dog,cat,", lambda n: f"{n % 2},{1 - n % 2},{n % 3}")
    assert not any("belong" in note or "column ''" in note for note in opened("csv", tmp_path, labels_column="").notes)


@pytest.mark.parametrize("form", ["{}_pred", "{}_known", "{} difficult?", "pred_{}"])
def test_a_column_beside_each_label_that_says_something_of_it_is_no_label_without_a_word(tmp_path, form):
    names = ("dog", "cat", "owl")
    head = ",".join([*names, *map(form.format, names)])
    table(tmp_path, head, lambda n: f"{n % 2},{1 - n % 2},1,{int(n > 3)},{int(n < 8)},{n % 2}" if n else "1,1,0,0,1,1")
    with pytest.raises(DataError, match=r"column '.*' stands beside one of the same name without its end or begin"):
        opened("csv", tmp_path, labels_column="")
    beside = ",".join(map(form.format, names))
    assert opened("csv", tmp_path, labels_column="", not_labels=beside).labels == names
    assert len(opened("csv", tmp_path, label_columns=head).labels) == 6


def test_numbers_as_numpy_writes_them_are_0_and_1(tmp_path):
    yes, no = "1.000000000000000000e+00", "0.000000000000000000e+00"
    table(tmp_path, "dog,cat", lambda n: f"{yes},{no}" if n % 2 else f"{no},{yes}")
    train = opened("csv", tmp_path, labels_column="").train
    assert train.truth.any(axis=0).all()
    assert (train.truth.sum(axis=1) == 1).all()


def test_an_uncertain_column_for_no_label_says_nothing_of_the_labels(tmp_path):
    """As CheXpert's No Finding with -1: it ended in a KeyError."""
    table(
        tmp_path,
        "dog,cat,No Finding",
        lambda n: f"{int(n % 3 == 1)},{int(n % 3 == 2)},{-1 if n == 3 else int(n % 3 == 0)}",
    )
    found = opened("csv", tmp_path, labels_column="", no_label="No Finding", values="-1:ignore", test_fraction="0.1")
    assert found.labels == ("dog", "cat")
    assert not any(split.ignore.any() for split in (found.train, found.test) if split.ignore is not None)
    (tmp_path / "labels.txt").write_text("dog\nNo Finding\n")
    table(tmp_path, "dog,cat,No Finding", lambda n: f"{int(n % 3 == 1)},{-(n == 2)},{int(n % 3 != 1)}")
    with pytest.raises(DataError, match=r"line 4: unknown label 'cat', not in \S+labels\.txt"):
        opened("csv", tmp_path, labels_column="", values="-1:ignore", no_label="No Finding")


def test_a_label_that_looks_like_the_one_for_none_is_no_label_without_a_word(tmp_path):
    """`no finding` beside `No Finding` became a label, and the note on it left `No Finding` one when it was typed."""
    names = ("dog", "cat", "No Finding", "No_finding")
    table(tmp_path, "labels", lambda n: names[n % 4])
    with pytest.raises(DataError, match=r"'No_finding' \(.*\) looks the same\. Try: .*=No Finding;No_finding', or, if"):
        opened("csv", tmp_path, no_label="No Finding")
    assert opened("csv", tmp_path, no_label="No Finding;No_finding").labels == ("cat", "dog")
    assert "No_finding" in opened("csv", tmp_path, no_label="No Finding", odd_names="keep").labels
    table(tmp_path, "labels", lambda n: ("dog", "cat", "keine", "normal")[n % 4])
    told = "if label 'normal' means that there is none: --set 'dataset.no_label=keine;normal'"
    assert told in opened("csv", tmp_path, no_label="keine").notes

"""Tables whose columns of labels hold more than 0 and 1: what is said at once, and that it is the right thing."""

import pytest
from open_sets import opened, picture

from bench.errors import DataError


@pytest.fixture
def table(tmp_path):
    """Write a table of ten images of a few rows, repeated."""

    def write(head, *rows, name="labels.csv"):
        images = [f"{number}.png" for number in range(10)]
        for number, image in enumerate(images):
            picture(tmp_path / image, number)
        lines = [f"{image},{rows[number % len(rows)]}" for number, image in enumerate(images)]
        (tmp_path / name).write_text("\n".join([f"path,{head}", *lines]))
        return tmp_path

    return write


def test_grades_and_classes_of_all_rows_are_no_marks(table):
    """As hair_color of 0 to 8: its numbers were to be ignored one after the other, and colour 1 was the label."""
    root = table("wrinkles,glasses,hair", "1,0,8", "0,2,3", "1,1,5", "0,0,4", "0,0,1")
    out = "--set 'dataset.not_labels=glasses,hair' where they are no labels"
    with pytest.raises(DataError, match=rf"line 2: column 'hair' holds '8', allowed: .* Try: {out}$"):
        opened("csv", root, labels_column="")
    told = r"'glasses' holds '2'.* Try: --set 'dataset.not_labels=hair,glasses' where it is no label, or .*=2:ignore"
    with pytest.raises(DataError, match=told):
        opened("csv", root, not_labels="hair")
    assert opened("csv", root, not_labels="hair,glasses").labels == ("wrinkles",)


def test_ticks_say_yes(table):
    """A column of x was said to be no label, or was to be ignored."""
    root = table("sign,good,bad,cut", "owl,x,,", "fox,,X,", "elk,?,,x")
    with pytest.raises(DataError, match=r"'sign' holds 'owl'.* Try: --set 'dataset.not_labels=sign' where it is no"):
        opened("csv", root, labels_column="")
    told = r"'good' holds 'x'.* Try: --set 'dataset.values=x:1,\?:ignore' \(or :0\) for what they mean, or"
    with pytest.raises(DataError, match=told):
        opened("csv", root, not_labels="sign")
    dataset = opened("csv", root, not_labels="sign", values="x:1,?:ignore")
    assert dataset.labels == ("good", "bad", "cut")
    rows = [set(map(tuple, part.truth.tolist())) for part in (dataset.train, dataset.test)]
    assert rows[0] | rows[1] == {(True, False, False), (False, True, False), (False, False, True)}


def test_named_columns_are_told_to_be_named_otherwise(table):
    """That they are in dataset.not_labels, as was said, changes nothing."""
    root = table("dog,cat,age", "1,0,31", "0,1,52", "1,1,7", "0,1,8", "0,1,9")
    told = r"'age' holds '31'.* Try: --set 'dataset.label_columns=dog,cat' where it is no label$"
    with pytest.raises(DataError, match=told):
        opened("csv", root, label_columns="dog,cat,age")
    assert opened("csv", root, label_columns="dog,cat").labels == ("dog", "cat")
    with pytest.raises(DataError, match=r"Try: 0 or 1 in each cell of a label's column"):
        opened("csv", root, label_columns="age")


def test_words_of_several_columns_may_be_yes_and_no(table):
    root = table("dog,cat", "oui,non", "non,oui", "oui,oui")
    told = r"Try: --set 'dataset.values=oui:ignore,non:ignore' \(or :1 or :0\) for what they mean, or"
    with pytest.raises(DataError, match=told):
        opened("csv", root, labels_column="")
    assert opened("csv", root, labels_column="", values="oui:1,non:0").labels == ("dog", "cat")


def test_columns_of_names_are_told_to_go_into_one_cell(table):
    """As gender, article and color of shop pictures: all were to be left out, and no label was left."""
    root = table("gender,article", "Women,Shoes", "Men,Belts", "Men,Shoes")
    with pytest.raises(DataError, match=r"Try: where they are classes, all names in one cell, as Women;Shoes$"):
        opened("csv", root, labels_column="")


def test_columns_of_counts_are_told_apart_from_those_of_classes(table):
    """As the votes for each feeling: to leave all columns out was all that was said."""
    root = table("happy,sad", "3,0", "0,2", "2,3", "0,0")
    told = (
        r"Try: --set 'dataset.values=2:1,3:1' where they count what is there, or where they are classes, .* happy 3;s"
    )
    with pytest.raises(DataError, match=told):
        opened("csv", root, labels_column="")
    train = opened("csv", root, labels_column="", values="2:1,3:1").train
    assert {tuple(row) for row in train.truth.tolist()} == {(True, False), (False, True), (True, True), (False, False)}


def test_one_column_of_grades_holds_a_label_in_each_cell(table):
    root = table("fat", "0", "2", "3", "1")
    with pytest.raises(DataError, match=r"or --set 'dataset.labels_column=fat' where each is a label$"):
        opened("csv", root, labels_column="")
    assert opened("csv", root, labels_column="fat").labels == ("0", "1", "2", "3")


def test_folds_are_told_to_be_parts_and_a_split_over_them_is_told(table):
    """As Planet's folds beside its labels: left out as was said, a split was drawn over them without a word."""
    root = table("fold,dog,cat", "0,1,0", "1,0,1", "2,1,1", "3,0,1", "4,1,0")
    told = (
        r"'fold' holds '2'.* Try: --set 'dataset.split_column=fold' where it tells parts apart, or .*not_labels=fold'"
    )
    with pytest.raises(DataError, match=told):
        opened("csv", root, labels_column="")
    dataset = opened("csv", root, "2", "0", labels_column="", split_column="fold")
    assert (dataset.train.ids, dataset.test.ids) == (("2.png", "7.png"), ("0.png", "5.png"))
    told = "column 'fold' is called as one that tells parts apart, and the split is drawn over it"
    assert told in opened("csv", root, not_labels="fold").notes


def test_other_faults_of_a_table_are_told_first(table):
    root = table("dog,cat", "1,2", "0,1")
    (root / "labels.csv").write_text((root / "labels.csv").read_text() + "\n0.png,1,0\n")
    with pytest.raises(DataError, match=r"image 0.png stands twice"):
        opened("csv", root, labels_column="")

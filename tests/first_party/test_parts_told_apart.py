"""Tables that tell train and test apart in a way that is not read: no split is drawn over it without a word."""

import pytest
from open_sets import opened, picture

from bench.errors import DataError

SIDES = ("train", "test")
PARTS = ("Training", "PublicTest", "PrivateTest")
TELLS = r"tells parts apart, and was not asked for, so a split would be drawn\. Try: --set 'dataset.split_column={}'"


def table(root, head, rows):
    for number, row in enumerate(rows):
        picture(root / row.partition(",")[0], number)
    (root / "labels.csv").write_text("\n".join([head, *rows]))
    return root


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("Usage", PARTS),
        ("source", ("train2017", "val2017", "val2017")),
        ("origin", ("trainval", "test", "test")),
        ("role", ("", "TEST", "")),
        ("is_test", ("", "x", "")),
        ("cv_fold", ("A", "B", "C")),
        ("set", ("1", "2", "2")),
        ("train_or_test", ("a", "b", "b")),
    ],
)
def test_no_split_is_drawn_over_a_column_that_tells_parts_apart(tmp_path, column, words):
    rows = [f"{number}.png,{'dog' if number % 2 else 'cat'},{words[number % 3]}" for number in range(12)]
    table(tmp_path, f"path,labels,{column}", rows)
    with pytest.raises(DataError, match=TELLS.format(column)):
        opened("csv", tmp_path)
    assert "drawn for test" in opened("csv", tmp_path, split_column="").variant


@pytest.mark.parametrize(
    ("column", "words"),
    [("main", ("train", "dog", "bus")), ("tag", ("train", "", "train")), ("caption", ("a train", "a test tube", "a"))],
)
def test_a_column_of_other_words_has_a_note(tmp_path, column, words):
    """A train is something that pictures show."""
    rows = [f"{number}.png,{'dog' if number % 2 else 'cat'},{words[number % 3]}" for number in range(12)]
    dataset = opened("csv", table(tmp_path, f"path,labels,{column}", rows))
    assert any(note.endswith(f"columns that are not read: {column}") for note in dataset.notes)


def test_a_column_that_was_said_to_be_no_label_may_tell_parts_apart(tmp_path):
    """As FER+ has it."""
    rows = [f"{number}.png,{PARTS[number % 3]},{number % 2},{1 - number % 2}" for number in range(12)]
    table(tmp_path, "path,Usage,happy,sad", rows)
    with pytest.raises(DataError, match=TELLS.format("Usage")):
        opened("csv", tmp_path, not_labels="Usage")
    dataset = opened("csv", tmp_path, "Training", "PublicTest", not_labels="Usage", split_column="Usage")
    assert dataset.train.ids == ("0.png", "3.png", "6.png", "9.png")
    assert dataset.test.ids == ("1.png", "4.png", "7.png", "10.png")
    assert "data root: 4 rows of labels.csv are of no part, as 11.png" in dataset.notes
    assert not any("in no table" in note for note in dataset.notes)


@pytest.mark.parametrize("folders", [("train", "val", "test"), ("a/train-jpg", "a/test-jpg", "a/test-jpg")])
def test_no_split_is_drawn_over_folders_of_parts(tmp_path, folders):
    rows = [f"{folders[number % 3]}/{number}.png,{'dog' if number % 2 else 'cat'}" for number in range(12)]
    table(tmp_path, "path,labels", rows)
    with pytest.raises(DataError, match=r"images lie in folders test\S* and train\S*, and a split would be drawn over"):
        opened("csv", tmp_path)
    assert "drawn for test" in opened("csv", tmp_path, split_column="").variant


@pytest.mark.parametrize(
    "folders", [("fold1", "fold2", "fold3"), ("main", "holdout", "main"), ("x/a", "x/eval", "x/b")]
)
def test_no_split_is_drawn_over_folders_of_which_one_is_called_as_a_part(tmp_path, folders):
    """As UrbanSound8K has its folds."""
    rows = [f"{folders[number % 3]}/{number}.png,{'dog' if number % 2 else 'cat'}" for number in range(12)]
    table(tmp_path, "path,labels", rows)
    with pytest.raises(DataError, match=r"images lie in folders \w+ and \w+, and a split would be drawn over them"):
        opened("csv", tmp_path)
    assert "drawn for test" in opened("csv", tmp_path, split_column="").variant


@pytest.mark.parametrize("folders", [("train", "car", "bus"), ("tea set", "sunset", "split"), ("set1", "set2", "set3")])
def test_a_split_is_drawn_over_other_folders(tmp_path, folders):
    rows = [f"{folders[number % 3]}/{number}.png,{'dog' if number % 2 else 'cat'}" for number in range(12)]
    assert "drawn for test" in opened("csv", table(tmp_path, "path,labels", rows)).variant


@pytest.mark.parametrize("other", ["COCO_val2014_{}.png", "test_{}.png"])
def test_no_split_is_drawn_over_names_of_parts(tmp_path, other):
    names = [(other if n % 3 else "COCO_train2014_{}.png").format(n) for n in range(12)]
    table(tmp_path, "path,labels", [f"x/{name},{'dog' if n % 2 else 'cat'}" for n, name in enumerate(names)])
    with pytest.raises(
        DataError, match=r"images are called COCO_\S+ and \S+, and a split would be drawn over them\. Try"
    ):
        opened("csv", tmp_path)
    table(tmp_path, "path,labels", [f"x/train_{n}.png,{'dog' if n % 2 else 'cat'}" for n in range(12)])
    assert "drawn for test" in opened("csv", tmp_path).variant


@pytest.mark.parametrize("column", ["test", "in_train", "Validation"])
def test_a_column_of_0_and_1_that_is_called_as_a_part_is_no_label_without_a_word(tmp_path, column):
    table(tmp_path, f"path,dog,cat,{column}", [f"{n}.png,{n % 2},{1 - n % 2},{int(n > 8)}" for n in range(12)])
    with pytest.raises(
        DataError, match=rf"column '{column}' is called as one that tells parts apart\. .* Try: --set 'dataset.split_c"
    ):
        opened("csv", tmp_path, labels_column="")
    assert column in opened("csv", tmp_path, label_columns=f"dog,cat,{column}", test_fraction="0.1").labels


@pytest.mark.parametrize(
    ("column", "no", "yes", "train"),
    [
        ("holdout", 0, 1, 0),
        ("is_train", 0, 1, 1),
        ("trainset", "False", "True", "True"),
        ("is_test", "no", "yes", "no"),
    ],
)
def test_a_column_of_yes_and_no_that_tells_parts_apart_is_taken_for_them_as_is_told(tmp_path, column, no, yes, train):
    """The remedy that stood first drew a split over the parts that were given; then is_train had them the wrong way."""
    table(
        tmp_path, f"path,dog,cat,{column}", [f"{n}.png,{n % 2},{1 - n % 2},{yes if n > 8 else no}" for n in range(12)]
    )
    with pytest.raises(DataError, match=rf"Try: --set 'dataset.split_column={column}' where it tells parts apart, or"):
        opened("csv", tmp_path, labels_column="")
    test = no if train == yes else yes
    with pytest.raises(DataError, match=rf"Try: --train-split {train} --test-split {test}, or one of these"):
        opened("csv", tmp_path, labels_column="", split_column=column)
    found = opened("csv", tmp_path, train=str(train), test=str(test), labels_column="", split_column=column)
    assert ({*map(str, (9, 10, 11))} == {name.removesuffix(".png") for name in found.test.ids}) == (train == no)
    assert len(found.train) + len(found.test) == 12


def test_a_column_called_as_of_parts_is_no_split_where_there_is_one(tmp_path):
    rows = [f"{n}.png,{n % 2},{int(n > 8)},{SIDES[n > 8]}" for n in range(12)]
    table(tmp_path, "path,dog,holdout,split", rows)
    with pytest.raises(DataError, match=r"Is it a label\? Try: --set 'dataset.not_labels=holdout', or"):
        opened("csv", tmp_path, labels_column="")
    table(tmp_path, "path,dog,fold,split", [f"{n}.png,{n % 2},{n % 5},{SIDES[n > 8]}" for n in range(12)])
    with pytest.raises(
        DataError, match=r"'fold' holds '2'.* Try: --set 'dataset.not_labels=fold' where it is no label$"
    ):
        opened("csv", tmp_path, labels_column="")
    (tmp_path / "labels.csv").unlink()
    for part, lines in (("train", rows[:8]), ("test", rows[8:])):
        (tmp_path / f"{part}.csv").write_text("\n".join(["path,dog,holdout,split", *lines]))
    with pytest.raises(DataError, match=r"Is it a label\? Try: --set 'dataset.not_labels=split,holdout', or"):
        opened("csv", tmp_path, labels_column="", not_labels="split", split_column="")


def test_a_train_may_be_a_label_of_a_column(tmp_path):
    table(tmp_path, "path,dog,train", [f"{n}.png,{n % 2},{1 - n % 2}" for n in range(12)])
    assert opened("csv", tmp_path, labels_column="").labels == ("dog", "train")


def test_every_column_and_folder_that_says_so_has_a_word(tmp_path):
    """As PadChest's studies and their patients, ODIR's ID of two eyes, and CheXpert's folders; not numbers of rows."""
    lines = [
        f"patient{n // 4}/study{n}/{n}.png,{'dog' if n % 2 else 'cat'},{n // 2},{n // 3},{n // 4},{n}"
        for n in range(12)
    ]
    table(tmp_path, "path,labels,StudyID,ID,PatientID,image_id", lines)
    notes = [note for note in opened("csv", tmp_path, test_fraction="0.5").notes if "drawn by image" in note]
    told = ["column 'StudyID': images of", "column 'ID': images of", "column 'PatientID': images of"]
    told.append("images of 3 folders are in train and in test, as of patient0. The split")
    assert all(note.startswith(beginning) for note, beginning in zip(notes, told, strict=True))
    given = [f"{line},{'test' if n % 2 else 'train'}" for n, line in enumerate(lines)]
    table(tmp_path, "path,labels,StudyID,ID,PatientID,image_id,split", given)
    notes = opened("csv", tmp_path, absent_labels="drop").notes
    assert "column 'PatientID': images of 3 are in train and in test, as of 0" in notes
    assert not any("image_id'" in note or "'ID'" in note for note in notes)


@pytest.mark.parametrize("words", [("train", "test"), ("Training", "valid"), ("dog;train", "cat;TEST")])
def test_words_for_parts_are_no_labels_without_a_word(tmp_path, words):
    """As the column of the split was given for that of the labels, or tags hold both."""
    table(tmp_path, "path,labels", [f"{n}.png,{words[n % 2]}" for n in range(12)])
    with pytest.raises(DataError, match=r"labels '.+' and '.+' are words for parts\. Is it the column or folder of t"):
        opened("csv", tmp_path)
    assert len(opened("csv", tmp_path, odd_names="keep").labels) >= 2
    table(tmp_path, "path,labels", [f"{n}.png,{('train', 'bus')[n % 2]}" for n in range(12)])
    assert opened("csv", tmp_path).labels == ("bus", "train")


def test_a_folder_of_test_within_trains_is_no_label(tmp_path):
    for number, path in enumerate(("train/dog", "train/cat", "train/test/dog", "test/dog")):
        picture(tmp_path / path / f"{number}.png", number)
    with pytest.raises(DataError, match=r"label 'test' is a word for a part\. Is it the column or folder of the split"):
        opened("imagefolder", tmp_path)
    assert "test" in opened("imagefolder", tmp_path, odd_names="keep").labels


def test_what_is_valid_or_invalid_is_a_label(tmp_path):
    for number, path in enumerate(("train/valid", "train/Invalid", "test/valid")):
        picture(tmp_path / path / f"{number}.png", number)
    assert opened("imagefolder", tmp_path).labels == ("Invalid", "valid")


def test_a_column_of_0_and_1_that_is_read_as_names_has_a_word(tmp_path):
    """Which was two labels, of which one says that the other is not there."""
    table(tmp_path, "path,Target", [f"{n}.png,{n % 2}" for n in range(12)])
    told = "if 0 and 1 say whether one label is there: --set dataset.label_columns=NAME, its column"
    assert told in opened("csv", tmp_path, labels_column="Target").notes
    assert opened("csv", tmp_path, label_columns="Target").labels == ("Target",)
    table(tmp_path, "path,Target", [f"{n}.png,{('No', 'yes')[n % 2]}" for n in range(12)])
    assert told.replace("0 and 1", "No and yes") in opened("csv", tmp_path, labels_column="Target").notes
    table(tmp_path, "path,Target", [f"{n}.png,{n % 3}" for n in range(12)])
    assert told not in opened("csv", tmp_path, labels_column="Target").notes

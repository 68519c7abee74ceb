"""Files as annotation tools write them, which a data set's own readers take or name what to do with."""

import pytest
from open_sets import opened
from PIL import Image

from bench.errors import DataError


@pytest.fixture
def root(tmp_path):
    for number, name in enumerate(("train/a.png", "train/b.png", "test/c.png", "test/d.png")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (9, 9), (number, 0, 0)).save(tmp_path / name)
    return tmp_path


def roboflow(root, part, *lines):
    (root / part / "_classes.csv").write_text("\n".join(lines))


def test_roboflows_table_has_a_column_for_each_label(root):
    roboflow(root, "train", "filename, dog, cat", "a.png, 1, 0", "b.png, 1, 1")
    roboflow(root, "test", "filename, cat, dog", "c.png, 1, 0", "d.png, 0, -1")
    with pytest.raises(
        DataError, match=r"line 3: column 'dog' holds '-1'.* Try: --set 'dataset.values=-1:ignore' \(or"
    ):
        opened("imagefolder", root)
    dataset = opened("imagefolder", root, values="-1:ignore")
    assert dataset.labels == ("dog", "cat")
    assert dataset.train.truth.tolist() == [[True, False], [True, True]]
    assert dataset.test.truth.tolist() == [[False, True], [False, False]]
    assert dataset.test.ignore.tolist() == [[False, False], [True, False]]
    roboflow(root, "test", "filename, cat, owl", "c.png, 1, 0", "d.png, 0, 1")
    with pytest.raises(DataError, match=r"test: other label columns than .*train"):
        opened("imagefolder", root)


def test_one_folder_of_all_images_is_no_label(tmp_path):
    """As YOLO's folders images and labels: every image had the label images."""
    for number, part in enumerate(("train", "test")):
        (tmp_path / part / "images").mkdir(parents=True)
        (tmp_path / part / "labels").mkdir()
        Image.new("RGB", (9, 9), (number, 0, 0)).save(tmp_path / part / "images" / "1.png")
        (tmp_path / part / "labels" / "1.txt").write_text("0 .5 .5 .1 .1\n")
    with pytest.raises(
        DataError, match=r"all images lie in folders 'images'. Is it a label\? .* dataset.odd_names=keep"
    ):
        opened("imagefolder", tmp_path)
    assert opened("imagefolder", tmp_path, odd_names="keep").labels == ("images",)


def test_several_choices_of_label_studio_are_names(root):
    """One choice is written as its name, several as an object, none as an empty cell."""
    several = '"{""choices"": [""dog"", ""cat; old""]}"'
    rows = [f"train/a.png,{several}", "train/b.png,dog", "test/c.png,", f"test/d.png,{several}"]
    (root / "labels.csv").write_text("\n".join(["path,labels", *rows]))
    dataset = opened("csv", root, test_fraction="0.5", split_column="")
    assert dataset.labels == ("cat; old", "dog")
    parts = (dataset.train, dataset.test)
    truth = {name: row for part in parts for name, row in zip(part.ids, part.truth.tolist(), strict=True)}
    assert truth == {
        "train/a.png": [True, True],
        "train/b.png": [False, True],
        "test/c.png": [False, False],
        "test/d.png": [True, True],
    }


@pytest.mark.parametrize("line", ["{},dog;cat", "TRAIN,gs://bucket/{},dog,cat"])
def test_a_table_without_names_of_columns_says_what_to_write(root, line):
    (root / "labels.csv").write_text("\n".join(line.format(name) for name in ("train/a.png", "train/b.png")))
    with pytest.raises(DataError, match=r"Is the line an image's, as .*train/a.png\? Try: a line path,labels above it"):
        opened("csv", root)


@pytest.mark.parametrize("name", ["Data_Entry_2017.csv", "labels.CSV", "labels.xlsx"])
def test_a_table_under_another_name_is_named(root, name):
    (root / name).write_text("path,labels\ntrain/a.png,dog\n")
    with pytest.raises(DataError, match=rf"There is {name}. Try: save it as labels.csv"):
        opened("csv", root)


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/home/ada/train/a.png",
            "C:\\photos\\train\\a.png",
            "https://a.org/train/a.png",
            "../x/train/a.png",
        ),
        *("https://a.org/train/%61.png?token=1", "/data/upload/1/0a1b2c3d-a.png", "/data/local-files/?d=train/a.png"),
    ],
)
def test_paths_of_another_place_say_where_the_image_lies_here(root, path):
    (root / "train.csv").write_text(f"path,labels\n{path},dog\n")
    (root / "test.csv").write_text("path,labels\ntest/c.png,dog\n")
    with pytest.raises(DataError, match=r"line 2: .*\. There is train/a.png in .*\. Try: write paths so$"):
        opened("csv", root)
    (root / "train.csv").write_text("path,labels\na.png,dog\n")
    with pytest.raises(DataError, match=r"line 2: .*\. There is train/a.png\. Try: --set 'dataset.images=\*\*/\{\}'"):
        opened("csv", root)


@pytest.mark.parametrize(
    ("first", "more"),
    [
        ("labels", "labels.1"),
        ("label1", "label2"),
        ("label_1", "label 02"),
        ("primary_label", "secondary_labels"),
        ("tags", "Other tags"),
        ("label_a", "label_b"),
    ],
)
def test_numbered_columns_of_labels_are_not_passed_over(root, first, more):
    """As pandas, spreadsheets and BirdCLEF write several labels of an image."""
    rows = ["train/a.png,dog,", "train/b.png,dog,cat", "test/c.png,cat,"]
    (root / "labels.csv").write_text("\n".join([f"path,{first},{more}", *rows]))
    with pytest.raises(
        DataError, match=rf"line 3: 'cat' stands in column '{more}'. Is it a label\? Try: .* dataset.odd_names=keep"
    ):
        opened("csv", root, labels_column=first)
    rows = ["train/a.png,dog,nan,3", "train/b.png,dog,[],3", "test/c.png,dog,,3"]
    (root / "labels.csv").write_text("\n".join([f"path,{first},{more},{first}_id", *rows]))
    notes = opened("csv", root, labels_column=first, split_column="").notes
    assert any(note.endswith(f"columns that are not read: {more}, {first}_id") for note in notes)


def test_a_split_column_may_be_empty_in_some_rows(root):
    """It was passed over then, and a split drawn."""
    rows = ["train/a.png,dog,training", "train/b.png,cat,", "test/c.png,dog,test"]
    (root / "labels.csv").write_text("\n".join(["path,labels,ml_use", *rows]))
    with pytest.raises(DataError, match=r"column 'ml_use' tells parts apart, and was not asked for"):
        opened("csv", root)
    with pytest.raises(DataError, match=r"line 3: split '', allowed: .*\. Try: fill it in, or take the line out"):
        opened("csv", root, split_column="ml_use")


@pytest.mark.parametrize(
    ("column", "words"),
    [("subset", "0012"), ("is_valid", ["False", "False", "", "True"]), ("phase", ["train", "train", "dev", "test"])],
)
def test_a_column_of_parts_in_words_of_its_own_is_not_passed_over(root, column, words):
    """A split was drawn over it; those that are asked for are taken, and the others are of no part."""
    names = ("train/a.png", "train/b.png", "test/c.png", "test/d.png")
    rows = [f"{name},dog;cat,{word}" for name, word in zip(names, words, strict=True)]
    (root / "labels.csv").write_text("\n".join([f"path,labels,{column}", *rows]))
    with pytest.raises(DataError, match=rf"column '{column}' tells parts apart, and was not asked for"):
        opened("csv", root)
    rows[2] = rows[2].rstrip(",") + ",third" if rows[2].endswith(",") else rows[2]
    (root / "labels.csv").write_text("\n".join([f"path,labels,{column}", *rows]))
    with pytest.raises(DataError, match=r"split '.+', allowed: .* Try: --train-split \S+ --test-split \S+"):
        opened("csv", root, split_column=column)
    dataset = opened("csv", root, words[0], words[-1], split_column=column)
    assert (dataset.train.ids, dataset.test.ids) == (names[:2], names[3:])
    assert "data root: 1 rows of labels.csv are of no part, as test/c.png" in dataset.notes


def test_a_table_of_another_part_is_named_where_there_is_none_of_test(root):
    for name in ("train", "val", "prices"):
        (root / f"{name}.csv").write_text("path,labels\ntrain/a.png,dog\n")
    with pytest.raises(DataError, match=r"no file .*test.csv.* There is val. Try: --test-split val$"):
        opened("csv", root)


def test_label_columns_of_two_tables_may_stand_in_another_order(root):
    (root / "train.csv").write_text("path,dog,cat\ntrain/a.png,1,0\ntrain/b.png,0,1\n")
    (root / "test.csv").write_text("path,cat,dog\ntest/c.png,1,0\n")
    dataset = opened("csv", root, labels_column="")
    assert (dataset.labels, dataset.test.truth.tolist()) == (("dog", "cat"), [[False, True]])
    (root / "test.csv").write_text("path,cat,dog,owl\ntest/c.png,1,0,0\n")
    with pytest.raises(
        DataError, match=r"other label columns than .*, as 'owl'\. Try: --set 'dataset.label_columns=dog,cat'$"
    ):
        opened("csv", root, labels_column="")


def test_paths_may_stand_in_a_column_without_a_name(root):
    """As pandas writes an index; that column was then said to be passed over."""
    rows = ["train/a.png,1,0", "train/b.png,0,1", "test/c.png,1,1"]
    (root / "labels.csv").write_text("\n".join([",dog,cat", *rows]))
    with pytest.raises(DataError, match=r"without a name\? Try: --set 'dataset.path_column='$"):
        opened("csv", root, labels_column="")
    notes = opened("csv", root, labels_column="", path_column="", split_column="").notes
    assert not any("without a name" in note for note in notes)


@pytest.mark.parametrize(
    ("row", "hint"),
    [
        ("a,dog", r"There is train/a.png in .*\. Try: write paths so$"),
        ("train/a.png,dog,cat", "3 cells, expected 2: path, labels. Try: all labels in one cell, as dog;sofa"),
    ],
)
def test_rows_as_competitions_write_them_say_what_to_write(root, row, hint):
    """An image's name without its ending and folder; labels between commas without quotes."""
    (root / "labels.csv").write_text(f"path,labels\n{row}\ntrain/b.png,dog\n")
    with pytest.raises(DataError, match=hint):
        opened("csv", root)


@pytest.mark.parametrize(
    ("labels", "told"), [("dog", "all images of test have the same labels, dog"), ("", "no image of test has a label")]
)
def test_a_part_whose_labels_are_still_to_be_filled_in_has_a_word(root, labels, told):
    """As a competition's sample of an answer, on which every class mean was 100."""
    for number in range(5):
        Image.new("RGB", (9, 9), (9, number, 0)).save(root / "test" / f"{number}.png")
    (root / "train.csv").write_text("path,labels\ntrain/a.png,dog\ntrain/b.png,cat\n")
    rows = [f"test/{number}.png,{labels}" for number in range(5)]
    (root / "test.csv").write_text("\n".join(["path,labels", *rows]))
    assert f"{told}: nothing can be measured or chosen on it. Is it a table to fill in?" in opened("csv", root).notes
    (root / "test.csv").write_text("\n".join(["path,labels", *rows[:4], "test/4.png,cat"]))
    assert not any("to fill in" in note for note in opened("csv", root).notes)


def test_a_column_that_means_no_label_is_left_out_as_its_note_says(root):
    """Of every other label's order, too: it was then a label without an image."""
    for part, names in {"train": "ab", "test": "cd"}.items():
        rows = [f"{part}/{name}.png,{int(name in 'ac')},{int(name in 'bd')}" for name in names]
        (root / f"{part}.csv").write_text("\n".join(["path,No Finding,Mass", *rows]))
    told = [note for note in opened("csv", root, labels_column="").notes if "means that there is none" in note]
    assert told == ["if label 'No Finding' means that there is none: --set 'dataset.no_label=No Finding'"]
    dataset = opened("csv", root, labels_column="", no_label="No Finding")
    assert dataset.labels == ("Mass",)
    assert dataset.train.truth.tolist() == [[False], [True]]


def test_cells_that_mean_nothing_and_columns_without_a_label_say_what_to_type(root):
    for part, names in {"train": "ab", "test": "cd"}.items():
        (root / f"{part}.csv").write_text("\n".join(["path,dog", *(f"{part}/{name}.png,NA" for name in names)]))
    with pytest.raises(DataError, match=r"column 'dog' holds 'NA', .* Try: --set 'dataset.values=NA:ignore' \(or"):
        opened("csv", root, labels_column="")
    with pytest.raises(DataError, match=r"no image has a label. Try: --set dataset.label_columns=NAME, and --set data"):
        opened("csv", root, labels_column="", values="NA:0")


def test_all_columns_of_a_row_that_are_no_labels_are_named_at_once(root):
    """CheXpert's four, one after the other, each behind --set dataset.values=31:ignore."""
    for part, names in {"train": "ab", "test": "cd"}.items():
        rows = [f"{part}/{name}.png,Male,31,AP,{marks}" for name, marks in zip(names, ("1,-1", "0,1"), strict=True)]
        (root / f"{part}.csv").write_text("\n".join(["path,Sex,Age,View,Edema,Mass", *rows]))
    with pytest.raises(
        DataError, match=r"'Sex' holds 'Male'.* Try: --set 'dataset.not_labels=Sex,Age,View' where they"
    ):
        opened("csv", root, labels_column="")
    with pytest.raises(DataError, match=r"'Age' holds '31'.* Try: --set 'dataset.not_labels=Sex,Age,View' where they"):
        opened("csv", root, not_labels="Sex")
    with pytest.raises(DataError, match=r"'Mass' holds '-1'.* Try: --set 'dataset.values=-1:ignore' \(or :1 or :0\)"):
        opened("csv", root, not_labels="Sex,Age,View")
    assert opened("csv", root, not_labels="Sex,Age,View", values="-1:ignore").labels == ("Edema", "Mass")
    (root / "test.csv").write_text("path,Sex,Age,View,Edema,Mass\ntest/c.png,1,1,1,yes,x\ntest/d.png,1,1,1,no,x\n")
    with pytest.raises(DataError, match=r"'Edema' holds 'yes'.* Try: --set 'dataset.values=-1:ignore,yes:1,no:0' \(or"):
        opened("csv", root, not_labels="Sex,Age,View", values="-1:ignore")


def test_shares_of_people_and_scores_are_no_marks(root):
    """As Galaxy Zoo has them: each number was one to be ignored."""
    (root / "labels.csv").write_text("path,Class1,Class2\ntrain/a.png,0.38,0.62\ntrain/b.png,1.0,0\n")
    with pytest.raises(
        DataError, match=r"'Class1' holds '0.38', .* Try: 1 where a share or score is high enough, else"
    ):
        opened("csv", root, labels_column="")


@pytest.mark.parametrize("head", ["202599\nSmiling Young\n", "path Smiling Young\n", "train/a.png 0 1\n"])
def test_a_table_whose_columns_blanks_separate_says_what_makes_a_table(root, head):
    (root / "labels.csv").write_text(f"{head}train/a.png 1 -1\ntrain/b.png -1 1\n")
    with pytest.raises(DataError, match=r"Do blanks separate columns\? Lines of docs/your-data.md, as for CelebA"):
        opened("csv", root)


def test_a_value_that_says_no_is_not_ignored_everywhere(root):
    """CelebA's -1, read as CheXpert's: every label was on each image on which it counted, so that all was right."""
    for part, names in {"train": "ab", "test": "cd"}.items():
        rows = [f"{part}/{names[0]}.png,1,-1", f"{part}/{names[1]}.png,-1,1"]
        (root / f"{part}.csv").write_text("\n".join(["path,dog,cat", *rows]))
    with pytest.raises(DataError, match=r"no image of train is without a label that it could have.* Try: :0 instead"):
        opened("csv", root, labels_column="", values="-1:ignore")
    assert opened("csv", root, labels_column="", values="-1:0").train.truth.tolist() == [[True, False], [False, True]]
    (root / "train.csv").write_text("path,dog,cat\ntrain/a.png,1,-1\ntrain/b.png,0,1\n")
    notes = opened("csv", root, labels_column="", values="-1:ignore").notes
    assert "train: 1 labels are on every image on which they count, as cat" in notes


@pytest.mark.parametrize("column", ["Confidence", "is_present"])
def test_a_column_of_0_and_1_beside_the_label_says_whether_it_is_there(root, column):
    """As Open Images has it: labels that people had looked for in vain were there."""
    rows = ["train/a.png,dog,1", "train/b.png,cat,0", "test/c.png,dog,1"]
    (root / "labels.csv").write_text("\n".join([f"path,labels,{column}", *rows]))
    with pytest.raises(DataError, match=rf"column '{column}' is 0 in some rows. Is the label there that "):
        opened("csv", root)
    for others in ("0.9", ""):
        rows[1] = f"train/b.png,cat,{others}"
        (root / "labels.csv").write_text("\n".join([f"path,labels,{column}", *rows]))
        assert opened("csv", root, split_column="").labels == ("cat", "dog")


@pytest.mark.parametrize("columns", ["image,choice", "Filename,Tags", "file_path,ground_truth", "fname,multi_label"])
def test_usual_columns_of_other_names_are_what_to_type(root, columns):
    """As of Label Studio, Keras and fast.ai; the message had NAME in place of them."""
    path, labels = columns.split(",")
    rows = ["1,train/a.png,dog,2", "2,train/b.png,cat,2", "3,test/c.png,dog,2"]
    (root / "labels.csv").write_text("\n".join([f"id,{columns},width", *rows]))
    typed = rf"Try: --set 'dataset.path_column={path}' --set 'dataset.labels_column={labels}'$"
    with pytest.raises(DataError, match=rf"no column 'path', found: .*\. {typed}"):
        opened("csv", root)
    assert opened("csv", root, path_column=path, labels_column=labels, split_column="").labels == ("cat", "dog")


def test_quotes_may_stand_behind_a_blank(root):
    """As people write them; the quotes were a part of names."""
    (root / "labels.csv").write_text('path, labels\ntrain/a.png, "dog, cat"\ntrain/b.png, "dog"\ntest/c.png, ""\n')
    dataset = opened("csv", root, separator=",", split_column="", test_fraction="0.3")
    assert (dataset.labels, sum(split.truth.sum() for split in (dataset.train, dataset.test))) == (("cat", "dog"), 3)


def test_an_image_with_another_ending_is_told(root):
    (root / "labels.csv").write_text("path,labels,split\ntrain/a.jpeg,dog,train\ntest/c.png,dog,test\n")
    with pytest.raises(DataError, match=r"no image file .*a.jpeg. There is a.png$"):
        opened("csv", root)

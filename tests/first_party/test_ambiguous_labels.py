"""Values that may be read in two ways are refused, with what to type; exact ones are read, and none is cut."""

import itertools
import json

import numpy as np
import pytest
from bench_datasets.cells import canonical, looks_like_a_list, parse_list, truth
from bench_datasets.label_names import NO_LABEL, ODD_NAMES
from bench_datasets.label_values import LABELS_ARE, SEPARATOR, named
from bench_datasets.own_images import Part
from open_sets import opened
from PIL import Image

from bench.data.images import ArrayImages
from bench.errors import DataError, UsageError
from bench.options import resolve


def part(values, name="train"):
    pixels = ArrayImages(np.zeros((len(values), 2, 2, 3), dtype=np.uint8), name)
    return Part(name, tuple(map(str, range(len(values)))), values, pixels, lambda row: f"{name} row {row}")


def sets(values, names=(), sure=False, **options):
    resolved = resolve((LABELS_ARE, SEPARATOR, NO_LABEL, ODD_NAMES), options, "set")
    return named({"train": part(values)}, names, resolved, sure=sure)["train"].labels


TWO, THREE = ("cat", "dog"), ("cat", "dog", "owl")


@pytest.mark.parametrize("names", [(), TWO])
@pytest.mark.parametrize(
    "values",
    [
        *([[1, 0], [0, 1]], [[0, 1]], [[1, 0], None, [1, 0]], [[1.0, 0.0], [0.0, 1.0]], ["0;1", "1;0"]),
        *(["[0, 1]", "[1, 0]"], [["0", "1"]]),
    ],
)
def test_two_numbers_a_row_may_be_two_labels_or_a_value_for_each(values, names):
    message = r"train row 0: found \[.*may be labels' numbers or a value for each label. Try: --set dataset.labels_are="
    with pytest.raises(DataError, match=message):
        sets(values, names)
    hot = sets(values, names, labels_are="multi-hot")
    assert all(len(labels) <= 1 for labels in hot)
    if all(not isinstance(entry, float) for entries in values for entry in entries or ()):
        assert all(len(labels) in {0, 2} for labels in sets(values, names, labels_are="numbers"))


@pytest.mark.parametrize(
    ("values", "names", "expected"),
    [
        ([[1, 0], [0, 1]], THREE, [("dog", "cat"), ("cat", "dog")]),
        ([[1], [0]], (), [("1",), ("0",)]),
        ([[1], [0, 1]], TWO, [("dog",), ("cat", "dog")]),
        ([1, 0], TWO, [("dog",), ("cat",)]),
        ([[0, 1, 1], [1, 0, 0]], (), [("1", "2"), ("0",)]),
        ([[True, False], [False, True]], TWO, [("cat",), ("dog",)]),
        ([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]], THREE, [("cat",), ("dog", "owl")]),
        ([[10**30], [2]], (), [("1" + "0" * 30,), ("2",)]),
    ],
)
def test_what_can_be_read_in_one_way_only_is_read(values, names, expected):
    assert sets(values, names) == expected


@pytest.mark.parametrize(
    "values",
    [[[0, 3, 0], [1, 0, 0]], [[1, -1, 0], [0, 0, 1]], [[0.5, 0.0, 0.0], [1, 0, 0]], [[1, 0, 2]] * 2 + [[0, 0, 0]]],
)
def test_counts_and_third_values_for_each_label_are_not_labels_numbers(values):
    with pytest.raises(DataError, match="may be labels' numbers or a value for each label"):
        sets(values, THREE)
    with pytest.raises(DataError, match=r"allowed: 0 and 1 for each label. Try: --set 'dataset.values="):
        sets(values, THREE, labels_are="multi-hot")


@pytest.mark.parametrize("values", [["1.0;0.0", "0.0;1.0"], ["True;False;True"], ["0;2;0", "1;0;0"], ["0;1", "1"]])
def test_texts_that_are_values_for_each_label_are_not_taken_for_names(values):
    with pytest.raises(DataError, match="may be labels' numbers or a value for each label"):
        sets(values)


def test_a_third_value_can_be_given_a_meaning():
    options = resolve((LABELS_ARE, SEPARATOR), {"labels_are": "multi-hot"}, "set") | {"values": "-1:ignore,2:1,0.5:0"}
    found = named({"train": part([[1, -1, 0], [2, 0.5, -1.0]])}, THREE, options)["train"]
    assert found.labels == [("cat",), ("cat",)]
    assert list(found.ignored) == [("dog",), ("owl",)]


def test_labels_can_be_said_to_be_names():
    assert sets([[1, 0], [0, 1]], labels_are="names") == [("1", "0"), ("0", "1")]
    assert sets(["0;1"], labels_are="names") == [("0", "1")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("['a', 'b']", ["a", "b"]),
        ('["a", "b;c"]', ["a", "b;c"]),
        ("('a',)", ["a"]),
        ("{'b', 'a'}", ["b", "a"]),
        ("[]", []),
        ("set()", []),
        ("[1, 0, 2]", [1, 0, 2]),
        ("['it\\'s', \"b'c\"]", ["it's", "b'c"]),
        ("['a' 'b']", None),
        ("['a', b]", None),
        ("['a'", None),
        ("[" * 100_000, None),
    ],
)
def test_a_list_in_a_cell_is_read_as_python_and_json_write_it(text, expected):
    assert parse_list(text) == expected


@pytest.mark.parametrize("name", ["[red]", "person [occluded]", "sign [/b]", "(other)", "[1]", "{x}", "dog (1, 2)"])
def test_names_in_brackets_are_names(name):
    assert not looks_like_a_list(name)
    assert sets([name, "dog"]) == [(name,), ("dog",)]


def test_beside_lists_of_several_numbers_one_number_is_a_list():
    assert sets(["[0, 2]", "[1]", "[]"], THREE) == [("cat", "owl"), ("dog",), ()]
    with pytest.raises(DataError, match=r"found \[0 2\], a list that cannot be read"):
        sets(["[0 2]", "[1 2]"], THREE)


def test_images_whose_labels_are_null_are_counted():
    options = resolve((LABELS_ARE, SEPARATOR), {}, "set")
    notes = named({"train": part([["cat"], None, None])}, (), options)["train"].notes
    assert notes == ("train: 2 images whose labels are null, read as none",)


def test_a_column_may_be_1_for_every_image_of_one_table(tmp_path):
    for part, lines in (("train", "a.png,1,0\nb.png,0,1\n"), ("test", "c.png,1,0\nd.png,1,1\n")):
        (tmp_path / f"{part}.csv").write_text(f"path,dog,cat\n{lines}")
    for name in "abcd":
        Image.new("RGB", (9, 9)).save(tmp_path / f"{name}.png")
    assert opened("csv", tmp_path, labels_column="").test.truth[:, 0].all()


@pytest.mark.parametrize(
    ("name", "what"), [("Index", "numbers rows"), ("idx", "numbers rows"), ("is_valid", "tells parts apart")]
)
def test_a_column_of_0_and_1_that_is_called_as_none_of_a_label_is_asked_for(table, name, what):
    root = table(f"{name},path,dog,cat", "0,{},1,0", "1,{},0,1")
    with pytest.raises(DataError, match=rf"column '{name}' is called as one that {what}. Is it a label\?"):
        opened("csv", root, labels_column="")
    assert opened("csv", root, not_labels=name).labels == ("dog", "cat")


def test_a_column_without_a_name_that_is_filled_has_a_word(table):
    notes = opened("csv", table(",path,dog,cat", "7,{},1,0", "8,{},0,1"), labels_column="").notes
    assert "train.csv: 2 rows have cells in a column without a name, passed over" in notes


def test_cells_that_are_lists_and_others_are_not_mixed():
    with pytest.raises(DataError, match=r"train row 1: found 'dog', while other cells are lists as \['a', 'b'\]"):
        sets(["['a', 'b']", "dog"])
    with pytest.raises(DataError, match=r"train row 0: found \['a' 'b'\], a list that cannot be read"):
        sets(["['a' 'b']"])


@pytest.mark.parametrize(("cell", "expected"), [
    ("1", 1), ("1.0", 1), (" 1 ", 1), ("TRUE", 1), ("True", 1), ("01", 1), ("+1", 1), ("0", 0), ("0.000", 0),
    ("-0.0", 0), ("false", 0), ("", 0), ("2", None), ("0.5", None), ("yes", None), ("nan", None), ("-1", None),
    ("1e0", None), ("1.0.", None), ("x", None), ("\u0661", None), ("1 0", None), ("t", None), ("None", None),
])  # fmt: skip
def test_cells_mean_yes_or_no_exactly(cell, expected):
    assert truth(cell, {}) == expected


def test_equal_values_are_one_value_however_they_are_written():
    assert canonical("-1") == canonical("-1.0") == canonical(-1.0) == "-1"
    assert canonical("\u00b2") == "\u00b2"


@pytest.fixture
def table(tmp_path):
    """A way to write train.csv and test.csv of the same lines; {} in them is a picture's name."""

    def write(*lines):
        for part in ("train", "test"):
            rows = [lines[0]]
            for number, line in enumerate(lines[1:]):
                Image.new("RGB", (9, 9), (number, 0, 0)).save(tmp_path / f"{part}{number}.png")
                rows.append(line.format(f"{part}{number}.png"))
            (tmp_path / f"{part}.csv").write_text("\n".join(rows), encoding="utf-8")
        return tmp_path

    return write


COLUMNS = ("path,dog,cat,seen,Sex,Unnamed: 0", "{},1,0,1,F,0", "{},-1,1,1,M,1", "{},0,,1,F,2")


def test_columns_of_labels_are_named_or_the_others_are(table):
    root = table(*COLUMNS)
    with pytest.raises(DataError, match=r"line 2: column 'Sex' holds 'F'.* Try: --set 'dataset.not_labels=Sex'"):
        opened("csv", root, labels_column="")
    with pytest.raises(DataError, match=r"line 3: column 'dog' holds '-1'.* Try: --set 'dataset.values=-1:ignore'"):
        opened("csv", root, not_labels="Sex")
    with pytest.raises(DataError, match=r"column 'seen' is 1 for every image.* --set 'dataset.not_labels=Sex,seen'"):
        opened("csv", root, not_labels="Sex", values="-1:ignore")
    dataset = opened("csv", root, not_labels="Sex,seen", values="-1:ignore")
    assert dataset.labels == ("dog", "cat")
    assert dataset.train.truth.tolist() == [[True, False], [False, True], [False, False]]
    assert dataset.train.ignore.tolist() == [[False, False], [True, False], [False, False]]
    told = " ".join(dataset.notes)
    assert "column 'Unnamed: 0' passed over" in told
    assert "train.csv: 1 empty cells of label columns read as 0" in told
    assert opened("csv", root, label_columns="seen,dog", values="-1:0").labels == ("dog", "seen")


@pytest.mark.parametrize(("meaning", "positive", "ignored"), [("1", 2, 0), ("0", 1, 0), ("ignore", 1, 1)])
def test_an_uncertain_value_counts_as_it_is_said_to(table, meaning, positive, ignored):
    root = table("path,dog,cat", "{},1.0,0.0", "{},-1.0,1.0", "{},,1.0")
    train = opened("csv", root, labels_column="", values=f"-1:{meaning}").train
    assert train.truth[:, 0].sum() == positive
    assert (0 if train.ignore is None else train.ignore.sum()) == ignored


def test_a_zero_can_be_given_a_meaning(table):
    """As in WIDER Attribute, where -1 says no and nobody knows of 0."""
    train = opened("csv", table("path,dog,cat", "{},1,-1", "{},0,1"), labels_column="", values="-1:0,0:ignore").train
    assert (train.truth.tolist(), train.ignore.tolist()) == (
        [[True, False], [False, True]],
        [[False, False], [True, False]],
    )


def test_an_empty_cell_can_be_given_a_meaning(table):
    root = table("path,dog,cat", "{},1,0", "{},,1")
    assert opened("csv", root, labels_column="", values="empty:ignore").train.ignore[1, 0]


@pytest.mark.parametrize("option", ["-1", "-1:maybe", ":", "a:b:c"])
def test_a_meaning_must_be_one(table, option):
    with pytest.raises(UsageError, match=r"option values: found '.*', allowed: VALUE:1, VALUE:0 or VALUE:ignore"):
        opened("csv", table("path,dog", "{},1", "{},0"), values=option)


def test_multi_hot_and_numbers_in_a_cell_are_asked_for(table):
    root = table("path,labels", "{},0;1;0", "{},1;0;1")
    (root / "labels.txt").write_text("cat\ndog\nowl\n")
    with pytest.raises(DataError, match=r"train.csv line 2: found \['0', '1', '0'\].*labels_are=multi-hot"):
        opened("csv", root)
    assert opened("csv", root, labels_are="multi-hot").train.truth.tolist() == [
        [False, True, False],
        [True, False, True],
    ]
    root = table("path,labels", "{},2;0", "{},1")
    with pytest.raises(
        DataError, match=r"unknown label '2', not in .*labels.txt. Try: --set dataset.labels_are=numbers"
    ):
        opened("csv", root)
    assert opened("csv", root, labels_are="numbers").train.truth.tolist() == [[True, False, True], [False, True, False]]


@pytest.fixture
def coco(tmp_path):
    """A way to write train.json and test.json with what replaces values of a sound file."""

    def write(image=1, annotated=1, category=3, of=3, **more):
        for part in ("train", "test"):
            content = {
                "images": [{"id": image, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}],
                "categories": [{"id": category, "name": "cat"}, {"id": 90, "name": "dog"}],
                "annotations": [
                    {"image_id": annotated, "category_id": of},
                    {"image_id": 2, "category_id": 90},
                ],
            } | more
            (tmp_path / f"{part}.json").write_text(json.dumps(content))
            for name in ("a", "b"):
                (tmp_path / part).mkdir(exist_ok=True)
                Image.new("RGB", (9, 9)).save(tmp_path / part / f"{name}.png")
        return tmp_path

    return write


def test_whole_numbers_written_with_a_point_are_ids(coco):
    dataset = opened("coco-json", coco(1.0, 1, 3, 3.0))
    assert dataset.train.truth.tolist() == [[True, False], [False, True]]
    assert dataset.labels == ("cat", "dog")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *itertools.product(
            ("image", "annotated", "category", "of"), (1.5, "", True, None, [1], float("nan"), float("inf"))
        ),
        *(("category", "1"), ("of", "1")),
    ],
)
def test_ids_are_not_cut_to_whole_numbers(coco, name, value):
    with pytest.raises(
        DataError, match=r"train.json is no COCO instances file: \w+ is .*, allowed: a whole number, in \{"
    ):
        opened("coco-json", coco(**{name: value}))


@pytest.mark.parametrize("name", [None, 3, "", " ", ["cat"]])
def test_names_of_categories_are_texts(coco, name):
    with pytest.raises(DataError, match=r"train.json is no COCO instances file: name is .*, allowed: text"):
        opened("coco-json", coco(categories=[{"id": 3, "name": name}, {"id": 90, "name": "dog"}]))


@pytest.mark.parametrize("again", ["a.png", "./a.png", "x/../a.png"])
def test_an_image_that_is_listed_twice_is_refused(coco, again):
    images = [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": again}]
    with pytest.raises(DataError, match=r"train.json: file_name 'a.png' stands twice"):
        opened("coco-json", coco(images=images))


@pytest.mark.parametrize("again", ["x\\..\\a.png", ".\\a.png", "e\u0301.png"])
def test_two_names_of_one_file_are_one_image(coco, again):
    first = "\xe9.png" if "\u0301" in again else "a.png"
    images = [{"id": 1, "file_name": first}, {"id": 2, "file_name": again}]
    root = coco(images=images)
    for part in ("train", "test"):
        Image.new("RGB", (9, 9)).save(root / part / first)
    with pytest.raises(DataError, match=f"train.json: file_name '{first}' stands twice"):
        opened("coco-json", root)


def test_one_file_is_not_in_train_and_test_under_two_names(coco):
    root = coco()
    for part, name in (("train", "a.png"), ("test", ".\\a.png")):
        content = json.loads((root / f"{part}.json").read_text())
        content["images"][0]["file_name"] = name
        (root / f"{part}.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"2 images are in both train and test, as 'train/a.png'"):
        opened("coco-json", root, images="train")


@pytest.mark.parametrize("name", ["annotations", "category_id"])
def test_a_name_that_stands_twice_in_an_object_is_refused(coco, name):
    path = coco() / "train.json"
    value = "[]" if name == "annotations" else "3"
    path.write_text(path.read_text().replace(f'"{name}":', f'"{name}": {value}, "{name}":', 1))
    with pytest.raises(DataError, match=f"train.json is no COCO instances file: '{name}' stands twice in one object"):
        opened("coco-json", path.parent)


def test_images_without_an_object_are_counted(coco):
    images = [{"id": number, "file_name": f"{name}.png"} for number, name in ((1, "a"), (2, "b"), (7, "c"))]
    notes = opened("coco-json", coco(images=images)).notes
    assert notes[0].startswith("train: 1 images without an object that counts are left out, and kept")


@pytest.mark.parametrize("other", ["Dog", "dog ", "dog\u200b", "d\u00adog"])
def test_categories_that_look_the_same_are_refused(coco, other):
    categories = [{"id": 3, "name": other}, {"id": 90, "name": "dog"}]
    with pytest.raises(DataError, match=r"look the same|stands twice"):
        opened("coco-json", coco(categories=categories))

"""Labels as columns and shards hold them."""

import numpy as np
import pytest
from bench_datasets.cells import VALUES
from bench_datasets.label_lists import read_names
from bench_datasets.label_names import NO_LABEL, ODD_NAMES
from bench_datasets.label_values import LABELS_ARE, SEPARATOR, named
from bench_datasets.own_images import K, Part, assemble

from bench.data.images import ArrayImages
from bench.errors import DataError
from bench.options import resolve


def part(values, name="train"):
    pixels = ArrayImages(np.zeros((len(values), 2, 2, 3), dtype=np.uint8), name)
    return Part(name, tuple(map(str, range(len(values)))), values, pixels, lambda row: f"{name} row {row}")


def sets(values, names=(), sure=False, **options):
    resolved = resolve((LABELS_ARE, SEPARATOR), options, "set")
    return named({"train": part(values)}, names, resolved, sure=sure)["train"].labels


NAMES = ("cat", "dog", "owl")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["dog; cat;", "", None], [("dog", "cat"), (), ()]),
        ([["dog", "dog"], []], [("dog",), ()]),
        ([2, 0], [("owl",), ("cat",)]),
        ([[2, 0], [1, 1]], [("owl", "cat"), ("dog",)]),
        ([[1, 0], [0]], [("dog", "cat"), ("cat",)]),
        ([[1, 0, 1], [0, 0, 0], None], [("cat", "owl"), (), ()]),
        ([[True, False, False], [True, True, True]], [("cat",), NAMES]),
        ([[1.0, 0.0, 1.0]], [("cat", "owl")]),
    ],
)
def test_values_become_names(values, expected):
    assert sets(values, NAMES) == expected


def test_numbers_without_names_are_their_own_in_the_order_of_numbers():
    found = named({"train": part([[10, 2]]), "test": part([9])}, (), resolve((LABELS_ARE, SEPARATOR), {}, "set"))
    assert found["train"].labels == [("10", "2")]
    options = resolve((K,), {}, "set") | {"absent_labels": "drop"}
    assert assemble("own", "mine", found, options).labels == ("2", "10")


@pytest.mark.parametrize("labels_are", ["auto", "multi-hot"])
def test_lists_of_a_part_that_are_shorter_than_another_parts_are_refused(labels_are):
    """They would be read from the left, though it may be the first label that they lack."""
    parts = {"train": part([[True, False, True]]), "test": part([[False, True]], "test")}
    options = resolve((LABELS_ARE, SEPARATOR), {"labels_are": labels_are}, "set")
    with pytest.raises(DataError, match="test row 0: 2 values for 3 labels"):
        named(parts, (), options)


@pytest.mark.parametrize("values", [["dog", 1], [["dog"], [1]], [["dog", 1]], [["1", "dog"], [1]]])
def test_numbers_beside_names_are_no_labels_of_their_own(values):
    """As where one shard holds names and the next one numbers of a list that is not there."""
    with pytest.raises(DataError, match=r"train row \d: label number 1, while 'dog' is a name \(train row 0\)"):
        sets(values)
    assert {label for labels in sets(values, ("cat", "owl")) for label in labels} - {"1"} == {"dog", "owl"}
    assert {label for labels in sets(values, labels_are="names") for label in labels} == {"dog", "1"}


def test_numbers_that_pandas_wrote_with_a_point_are_labels_numbers():
    """As it does in a column with empty cells."""
    assert sets(["1.0", "", "2.0;0.0"], NAMES, labels_are="numbers") == [("dog",), (), ("owl", "cat")]
    assert sets([[1.0], [2.0, 0]], NAMES, labels_are="numbers") == [("dog",), ("owl", "cat")]
    with pytest.raises(DataError, match=r"train row 0: label 0.5, expected a name or a whole number$"):
        sets([[0.5]], NAMES, labels_are="numbers")
    with pytest.raises(DataError, match=r"expected a name or a whole number\. Try: --set dataset.labels_are=numbers$"):
        sets([[2.0], [1.0, 2.0]], NAMES)


def test_numbers_that_may_be_from_1_on_have_a_word():
    """Each was read as the name before its own, if the last label of all had no image."""
    options = resolve((LABELS_ARE, SEPARATOR), {}, "set")
    told = "no image has label number 0, 'cat': labels are numbered from 0, not from 1"
    for values, noted in (([[1, 2], [2]], True), ([[1], [0, 2]], False), ([["dog"], ["owl"]], False)):
        assert (told in named({"train": part(values)}, NAMES, options)["train"].notes) == noted


def test_lists_of_numbers_may_be_filled_up_with_one_below_zero():
    with pytest.raises(
        DataError, match=r"label number -1, .* Try: --set 'dataset.no_label=-1' where it stands for no l"
    ):
        sets([[2, -1], [-1, -1]], NAMES, labels_are="numbers")
    options = resolve((LABELS_ARE, SEPARATOR, NO_LABEL, K), {"labels_are": "numbers", "no_label": "-1"}, "set")
    found = named({"train": part([[2, -1], [1, 0], [-1, -1]])}, NAMES, options)
    train = assemble(
        "own", "mine", found | {"test": part([["owl"]], "test")}, options | {"absent_labels": "error"}
    ).train
    assert train.truth.tolist() == [[False, False, True], [True, True, False], [False] * 3]


WORDS = [("yes", "no"), ("Y", "N"), ("oui", "non"), ("\u2713", "\u2717"), ("absent", "present", "unsure")]


@pytest.mark.parametrize("words", WORDS)
def test_yes_and_no_for_each_label_are_no_names(words):
    """Every image had the labels yes and no."""
    rows = [[words[0], words[0], words[1]], [words[1], words[0], words[-1]]]
    told = r"which may be labels' names or a value for each label\. .*, =names where each is a label"
    for cells in (rows, [";".join(row) for row in rows], [repr(row) for row in rows]):
        with pytest.raises(DataError, match=told):
            sets(cells, NAMES)
        assert sets(cells, labels_are="names") == [tuple(dict.fromkeys(row)) for row in rows]
    given = {"labels_are": "multi-hot", "values": f"{words[0]}:0,{words[1]}:1"}
    options = resolve((LABELS_ARE, SEPARATOR, VALUES), given, "set")
    assert named({"train": part(rows[:1])}, NAMES, options)["train"].labels == [("owl",)]
    for names in ([["dog", "dog"], ["dog", "dog"]], [["a", "a", "b", "c"], ["d", "a", "b", "c"]], [["yes", "no"]]):
        assert sets(names)


def test_a_number_written_as_a_text_is_the_same_label():
    assert sets([["3"], [3]]) == [("3",), ("3",)]


def test_repeated_numbers_are_labels_where_they_are_sure_to_be():
    assert sets([[0, 0], [1, 0]], NAMES, sure=True) == [("cat",), ("dog", "cat")]
    assert sets([[0, 0], [1, 0]], NAMES, labels_are="numbers") == [("cat",), ("dog", "cat")]


def test_a_0_or_1_for_each_class_is_no_list_of_classes():
    """As a column of Sequence(ClassLabel) holds them by mistake: every image had the first two labels."""
    values = [[0, 0, 1], [1, 0, 1]]
    with pytest.raises(DataError, match=r"row 0: found \[0, 0, 1\], which may be labels' numbers or a value for each"):
        sets(values, NAMES, sure=True)
    assert sets(values, NAMES, sure=True, labels_are="multi-hot") == [("owl",), ("cat", "owl")]
    assert sets(values, NAMES, sure=True, labels_are="numbers") == [("cat", "dog"), ("dog", "cat")]


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([[3]], {}, "train row 0: label number 3, allowed: 0 to 2"),
        ([[0, 2], [-1]], {}, "train row 1: label number -1, allowed: 0 to 2"),
        ([[0.5, 1]], {}, "train row 0: label 0.5, expected a name or a whole number"),
        ([["a"], [None]], {}, "train row 1: label None, expected a name"),
        ([{"a": 1}], {}, r"train row 0: labels are \{'a': 1\}, expected names or numbers"),
        ([2.5], {}, r"train row 0: labels are 2.5, expected names or numbers"),
        ([[1, 0, 1], [1, 0]], {}, "lists of 0 and 1, of different lengths. Try: --set dataset.labels_are=numbers"),
        ([[1, 0, 1], [1, 0]], {"labels_are": "multi-hot"}, "train row 1: 2 values for 3 labels"),
        ([[1, 0, 2]], {"labels_are": "multi-hot"}, "train row 0: found 2 for 'owl', allowed: 0 and 1 for each label"),
        ([[1, 1]], {}, "train row 0: 2 values for 3 labels"),
    ],
)
def test_values_that_are_no_labels_are_named_with_their_place(values, options, message):
    with pytest.raises(DataError, match=message):
        sets(values, NAMES, **options)


@pytest.mark.parametrize(
    "names",
    [
        ("2 owl", "0 cat", "1 dog"),
        ("1: cat", "2: dog", "3: owl"),
        ("001.cat", "002.dog", "004.owl"),
        ("owl,2", "cat,0"),
    ],
)
def test_a_list_that_numbers_its_names_by_itself_is_not_numbered_by_its_lines(names):
    """As CUB's attributes.txt from 1, or a list by name: each number was another label."""
    told = rf"'{names[0]}' would be label number 0, not \d: .* from 0\. Try: names alone.* or, if it is as you mean it"
    for values in ([1, 0], [[True, False, True][: len(names)], [True, True, True][: len(names)]]):
        with pytest.raises(DataError, match=told):
            sets(values, names)
    assert sets([1, 0], names, sure=True) == [(names[1],), (names[0],)]
    options = resolve((LABELS_ARE, SEPARATOR, ODD_NAMES), {"odd_names": "keep"}, "set")
    assert named({"train": part([1])}, names, options)["train"].labels == [(names[1],)]
    assert sets([[names[1]]], names) == [(names[1],)]


@pytest.mark.parametrize("head", ["name", "Labels", "id,name", "class_id\tclass_name", "# labels of the set"])
def test_the_head_of_a_list_is_no_label_number_0(head):
    """Each number was the label before its own, once the last label was left out, which no image had."""
    names = (head, *NAMES)
    for values in ([1, 0], [[2, 1], [0]]):
        with pytest.raises(DataError, match=r"'.*' would be label number 0, and is perhaps no label: .* take the line"):
            sets(values, names)
    assert sets([["cat"], ["owl", "dog"]], names) == [("cat",), ("owl", "dog")]
    assert sets([1, 0], ("#cat", "#dog")) == [("#dog",), ("#cat",)]
    with pytest.raises(DataError, match="'# big ones' would be label number 1, and is perhaps no label"):
        sets([1, 0], ("cat", "# big ones", "elk"))


def test_a_blank_line_of_a_list_has_its_number(tmp_path):
    """Each label behind it was read for the one before."""
    path = tmp_path / "labels.txt"
    path.write_text("cat\n\ndog\r\nowl\n\n")
    names = read_names(path, numbered=True)
    assert (names, read_names(path)) == (("cat", "", "dog", "owl"), NAMES)
    assert sets([2, [3, 0]], names) == [("dog",), ("owl", "cat")]
    with pytest.raises(DataError, match=r"label number 1, allowed: 0 to 3 without those of blank lines of labels"):
        sets([1, 0], names)
    assert sets([[0, 1, 1]], names) == [("dog", "owl")]


@pytest.mark.parametrize(
    "names",
    [("0 cat", "1 dog"), ("3 wheels", "two wheels"), ("grade 1", "grade 2"), ("1", "2"), ("9" * 5000 + " a", "b,1")],
)
def test_other_numbers_in_names_are_part_of_them(names):
    assert sets([1, 0], names) == [(names[1],), (names[0],)]


def test_an_empty_text_in_a_list_is_no_label():
    """As PadChest has it."""
    assert sets(["['cat', '', ' ']", "['']", "['dog']"]) == [("cat",), (), ("dog",)]
    assert sets([["", 1]], NAMES) == [("dog",)]


def test_lists_of_one_part_make_cells_of_another_lists():
    options = resolve((LABELS_ARE, SEPARATOR), {}, "set")
    found = named({"train": part(["[2, 0]", "[1, 2]"]), "test": part(["[1]"], "test")}, NAMES, options)
    assert found["test"].labels == [("dog",)]
    with pytest.raises(DataError, match=r"test row 0: found '\[nan\]', while other cells are lists as \['a', 'b'\]"):
        named({"train": part(["['a', 'b']"]), "test": part(["[nan]"], "test")}, (), options)

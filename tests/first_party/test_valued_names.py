"""Label names that hold a value: a no was a label that is there, and each score a label of its own."""

import pytest
from bench_datasets.label_names import NO_LABEL, ODD_NAMES, check
from bench_datasets.label_values import SEPARATOR

from bench.errors import DataError
from bench.options import resolve


def notes(names, separator=";", odd_names="error", several=True):
    options = resolve((ODD_NAMES, NO_LABEL, SEPARATOR), {"odd_names": odd_names}, "set")
    sets = [names[:1], names] if several else [(name,) for name in names]
    return check({name: f"row {row}" for row, name in enumerate(names)}, sets, options, separator)


@pytest.mark.parametrize(
    "names",
    [
        ("dog:1", "dog:0"),
        ("cat=1", "dog=-1"),
        ("dog(yes)", "dog(No)", "owl"),
        ("hat: false", "hat: true", "dog"),
        ("1193:1", "5:0.9", "7:1"),
        ("dog (0.93)", "dog"),
        ("dog 0.93", "dog 0.12", "cat"),
        ("dog 93%", "dog 12%", "cat"),
        ("dog_no", "dog_yes"),
        ("dog", "dog absent"),
        ("dog 0", "dog 1", "cat 1"),
        ("dog_0", "cat_1"),
        ("dog x2", "dog"),
        ("dog:0", "dog"),
        ("+dog", "-dog"),
        ("dog", "~dog"),
        ("dog 3/3", "dog 0/3", "cat"),
        ("dog: none", "dog"),
    ],
)
def test_a_name_with_a_value_of_it_is_no_name(names):
    with pytest.raises(DataError, match=r"row \d: label '.+' looks like a name and a value of it\. Try: write the nam"):
        notes(names)
    for kept in (notes(names, odd_names="keep"), notes(names, separator=None)):
        assert sum("looks like a name and a value of it" in note for note in kept) == 1


@pytest.mark.parametrize(
    "names",
    [
        ("dog:90", "dog:5", "cat:90", "cat:5"),
        ("dog (2)", "dog (0)", "cat (0)", "cat (3)"),
        ("2 dogs", "3 dogs", "2 cats", "1 cats"),
        ("2x dog", "1x dog", "1x cat", "2x cat"),
    ],
)
def test_a_number_is_a_value_where_no_image_has_two_of_one_label(names):
    """Coins of one and two cents lie on one picture, and cars of two years are labels where each image has one."""

    def told(*sets, **options):
        values = resolve((ODD_NAMES, NO_LABEL, SEPARATOR), options, "set")
        found = check(dict.fromkeys(names, "row 1"), sets, values, ";")
        return sum("looks like a name and a value of it" in note for note in found)

    with pytest.raises(DataError, match=r"row 1: label '.+' looks like a name and a value of it\. Try: write the nam"):
        told(names[::2], names[1:2], names[3:])
    assert told(names[::2], names[1:2], names[3:], odd_names="keep") == 1
    assert told(*((name,) for name in names)) == 1
    assert told(names[:2], names[2:]) == 0


@pytest.mark.parametrize(
    "names",
    [
        ("grade:1", "grade:2", "grade:3"),
        ("type 0", "type 1", "dog"),
        ("python 3.8", "python 3.9", "dog"),
        ("dog:1", "cat:1"),
        ("HER2 positive", "HER2 negative"),
        ("t-shirt", "x-ray", "casino"),
        ("http://a.org/x", "http://a.org/y"),
        ("dog (brown)", "dog"),
        ("Man (m)", "Woman (f)", "dog"),
        ("BMW", "BMW X1", "BMW X5"),
        ("size x2", "dog"),
        ("-dog", "cat"),
        ("2_0", "1_0", "3_1"),
        ("doors:2", "doors:4", "cab"),
        ("Boeing 737", "Boeing 747", "Airbus 320", "Airbus 340"),
        ("3 door car", "5 door car", "2 wheels"),
    ],
)
def test_other_numbers_and_words_are_part_of_a_name(names):
    assert not any("value of it" in note for note in notes(names))


@pytest.mark.parametrize("name", ["no dog", "Not dog", "without_dog", "non-dog"])
@pytest.mark.parametrize("separator", [";", None])
def test_a_name_that_says_that_another_is_not_there_has_a_note(name, separator):
    told = f"label '{name}' says that 'dog' is not there, and counts as a label of its own"
    assert told in notes(("dog", name, "cat"), separator)
    assert told not in notes(("bird", name, "cat"), separator)


@pytest.mark.parametrize("form", ["possible {}", "ohne {}", "{}*", "{}s", "{} (?)"])
def test_what_sets_labels_apart_that_no_image_has_together_has_a_note(form):
    one, other = map(form.format, ("dog", "cat"))
    places = dict.fromkeys(("dog", "cat", one, other, "owl"), "row 1")
    options = resolve((ODD_NAMES, NO_LABEL, SEPARATOR), {"odd_names": "keep"}, "set")

    def told(*sets):
        return [note for note in check(places, sets, options, ";") if note.startswith("no image has a label with and")]

    affix = form.replace("{}", "")
    apart = ("dog", other), (one, "cat"), ("owl",)
    assert told(*apart * 7) == [
        f"no image has a label with and one without '{affix}', as 'dog' and '{one}', of 2:"
        " these count as labels of their own"
    ]
    assert told(*(("dog", one), (other, "cat")) * 7) == told(*(("dog",), (one,), (other,), ("cat",)) * 7) == []
    assert told(*apart, *[("owl", "bird")] * 20) == []


@pytest.mark.parametrize(
    "names",
    [
        ("1", "2", "11", "21"),
        ("car", "dog", "carpet", "dogpet"),
        ("E1", "E2", "E1.5", "E2.5"),
        ("nail", "snail", "pike", "spike"),
    ],
)
def test_numbers_and_other_words_in_names_are_parts_of_them(names):
    assert not any("with and" in note for note in notes(names, odd_names="keep"))


@pytest.mark.parametrize(
    "names",
    [("0.46", "0.12"), ("1", "0.5", "1e-3"), ("0 1 3 4 dog", "0 9 1 4 owl"), ("dog,0,1,3,4", "cat,2,2,9,9")],
)
def test_scores_alone_and_boxes_of_pixels_are_no_names(names):
    with pytest.raises(DataError, match=r"looks like a name and its score or box"):
        notes(names)
    assert not any("looks" in note for note in notes(("0.0", "1.0", "2.0")))


@pytest.mark.parametrize(
    ("joined", "typed"),
    [("dog\ncat", "line"), ("dog\tcat", "tab"), ("#dog #cat", "blank")],
)
def test_names_hold_no_line_ends_and_hashes_begin_new_ones(joined, typed):
    with pytest.raises(DataError, match=rf"looks like 2 labels. Try: --set 'dataset.separator={typed}'"):
        notes((joined, "#owl"), several=False)


@pytest.mark.parametrize("between", [" and ", " - ", " > ", " -> ", "-", ".", "\u2192", "\uff5c", "@"])
def test_words_between_two_labels_are_asked_about_where_no_image_has_two(between):
    names = ("dog", "cat", f"dog{between}cat")
    with pytest.raises(DataError, match=rf"looks like 2 labels. Try: --set 'dataset.separator={between}'"):
        notes(names, several=False)
    several = notes(names)
    assert not any("looks" in note for note in several)
    told = f"label 'dog{between}cat' is other labels with '{between}' between them, and counts as a label of its own"
    assert (told in several) == (" " in between)


@pytest.mark.parametrize("joined", ["dog;cat", "dog, cat", "cat|dog", "dog+cat", "dog_cat"])
def test_a_category_that_is_others_joined_has_a_note(joined):
    told = "is other labels with '"
    assert sum(told in note for note in notes(("dog", "cat", joined), separator=None)) == 1
    assert not any(told in note for note in notes(("dog", "owl", joined, "traffic light"), separator=None))


def test_a_word_between_labels_is_no_label_of_its_own():
    """As and was, for who typed the separator that the message gave."""
    names = ("bird", "cat", "dog", "bird and dog", "bird and cat", "cat and dog")
    with pytest.raises(DataError, match=r"'bird and dog' looks like 2 labels. Try: --set 'dataset.separator= and '"):
        notes(names, several=False)


def test_labels_that_are_all_on_one_image_each_are_asked_about():
    """As names of images, and captions."""
    names = tuple(f"A photo {number}" for number in range(10))
    with pytest.raises(DataError, match=r"label 'A photo 0' is on one image alone, as all labels are, and names"):
        notes(names, several=False)
    assert not any("one image alone" in note for note in notes(names))
    assert not any("one image alone" in note for note in notes(names[:9], several=False))


def test_several_numbers_are_no_name():
    """Few images have few sets of labels twice, so that names with blanks are names elsewhere."""
    with pytest.raises(DataError, match=r"label '16 0' looks like 2 labels. Try: --set 'dataset.separator=blank'"):
        notes(("16 0", "7 1 2", "5", "9"), several=False)


def test_codes_with_slashes_are_not_split():
    """As Open Images has them: m was a label of every image for who typed what the message said."""
    assert not any("looks like" in note for note in notes(("/m/01", "/m/02", "/m/03"), several=False))
    with pytest.raises(DataError, match=r"label '/m/01,/m/02' looks like 2 labels"):
        notes(("/m/01,/m/02", "/m/01", "/m/02"))

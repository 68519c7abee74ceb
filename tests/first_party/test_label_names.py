"""Names of labels that look like a mistake are told with the way to put it right; what is typed then works."""

import os
import shlex
import subprocess
import unicodedata

import pytest
from bench_datasets.label_names import NO_LABEL, ODD_NAMES, check
from typed_tables import opened, pictures, remedies, write

from bench.errors import BenchError, DataError, UsageError
from bench.options import resolve


def odd(labels, separator=";", **options):
    resolved = resolve((NO_LABEL, ODD_NAMES), options, "set")
    places = {name: f"row {row}" for row, names in enumerate(labels) for name in names}
    return check(places, labels, resolved, separator)


@pytest.mark.parametrize(
    ("labels", "typed"),
    [
        ([["a|b"], ["b"], ["c"]], "|"),
        ([["a, b"], ["b, c"]], ","),
        ([["a,b"], ["b"], ["a", "c"]], ","),
        ([["a/b"], ["b/c"], ["c"]], "/"),
        ([["haze primary"], ["clear primary"], ["clear water"], ["haze water primary"], ["clear water haze"]], "blank"),
        ([["a\tb"], ["b"]], "tab"),
        ([["a\uff1bb"], ["b"]], "\uff1b"),
        ([["a::b"], ["b"], ["a"]], ":"),
        ([["a \u2022 b"], ["b"], ["a"]], "\u2022"),
    ],
)
def test_names_that_are_several_names_say_which_separator(labels, typed):
    with pytest.raises(
        DataError, match=r"row \d: label '.*' looks like \d labels. Try: --set 'dataset.separator="
    ) as told:
        odd(labels)
    assert remedies(told.value)[0] == f"dataset.separator={typed}"
    assert any("looks like" in note for note in odd(labels, odd_names="keep"))


@pytest.mark.parametrize(
    ("labels", "what"),
    [
        ([["0 1 1"], ["1 0 0"]], "0 and 1 for each label"),
        ([["011"], ["100"]], "0 and 1 for each label"),
        ([["11"], ["100"], ["0"]], "0 and 1 for each label"),
        ([["{a,b}"], ["{b}"]], "a list"),
        ([["[a", "b]"], ["[a", "c", "b]"]], "a piece of a list"),
        ([["(a", "b)"], ["c"]], "a piece of a list"),
        ([['"a', 'b"'], ['"b', 'a"']], "a piece of a list"),
        ([["dog", "bird (small", "brown)"], ["dog"]], "a piece of a list"),
        ([["1"], ["1.0"]], "the same"),
        ([["dog"], ["dog."]], "the same"),
        ([["dog:0.93", "cat:.8"], ["cat (1.0)"], ["owl 0.7"]], "a name and its score"),
        ([["0 0.5 0.5 0.1 0.1", "1 0.5 0.5 0.2 0.25"], ["0 0.1 0.1 0.1 0.1"]], "a name and its score or box"),
    ],
)
def test_names_that_are_values_or_lists_are_refused(labels, what):
    with pytest.raises(DataError, match=rf"looks? (like )?{what}"):
        odd(labels)


@pytest.mark.parametrize(
    "labels",
    [
        [["traffic light", "car"], ["light", "traffic light"]],
        [["Sword, Long"], ["Bow"]],
        [["red car"], ["blue car"], ["bus"]],
        [["and/or", "x"], ["y"]],
        [["don't know", "5'"], ["rock'n'roll"]],
        [["person [occluded]"], ["sign [/b]", "[red]"], ['12"'], ["'90s", "5) a"]],
        [["C", "C++"], ["C#"]],
        [[":(", ":)", "5) a"], ["dog (brown)", "1. FC"]],
        [["9" * 5000, f"{'9' * 5000}. dog"], ["8" * 5000 + ".5"]],
        [["film:drama"], ["film:action"], ["ratio 1:1.85"], ["x_y", "x"], ["."], ["!"]],
        [["school_uniform", "school"], ["uniform"]],
        [["0", "9"], ["A", "0"]],
        [["0"], ["1"]],
        [["0"], ["1"], ["10"], ["11"]],
        [["0"], ["0.5"], ["5"], ["unrated"]],
        [["0-2"], ["2"], ["0"]],
        [["1", "11"], ["100"]],
        [["No. 5", "none of these"], ["Nancy"]],
        [["\u03b1", "a"], ["\u03bd", "v"], ["\u043d\u043e\u0441", "hoc"]],
    ],
)
def test_names_that_are_names_are_left_alone(labels):
    assert not any("look" in note for note in odd(labels))


@pytest.mark.parametrize(
    "twins",
    [("dog", "Dog"), ("dog", "dog\u200b"), ("fire truck", "fire\u00a0truck"), ("a  b", "a b"), ("a_b", "a b"),
     ("straße", "STRASSE"), ("ﬁre", "fire"), ("dog", "dog\u2060"), ("dog", "d\u043eg"), ("\u0421\u041e\u0420", "cop"),
     ("\u041d\u043e\u0441", "\u043d\u043e\u0441"), ("\u039fx", "ox"), ("dog", "\u201cdog\u201d"), ("a & b", "a &#38 b"),
     ("fire truck", "fire%20truck"), ("café", "cafÃ©"), ("1. cat", "2. cat"), ("cat", "10) cat"),
     ("(dog)", "dog"), ("`dog`", "dog")],
)  # fmt: skip
def test_names_that_look_the_same_are_refused_with_both_places(twins):
    with pytest.raises(DataError, match=r"^labels '.*' \(row 0\) and '.*' \(row 1\) look the same") as told:
        odd([[twins[0]], [twins[1]]])
    assert remedies(told.value) == ["dataset.odd_names=keep"]


@pytest.mark.parametrize("name", ["dog &amp", "dog &amp; cat", "&#39", "caf\ufffd"])
def test_names_of_which_a_letter_was_lost_or_is_of_html_are_refused(tmp_path, name):
    """Its semicolon was one between labels."""
    with pytest.raises(DataError, match=r"row 0: label '.*' holds a letter (that was lost|as HTML writes it)"):
        odd([[name], ["x"]])
    assert any("holds a letter" in note for note in odd([[name], ["x"]], odd_names="keep"))
    with pytest.raises(DataError, match=r"row 0: label 'fire tru\u2026' ends where it was cut"):
        odd([["fire tru\u2026", "dog"], ["fire truck"]])
    with pytest.raises(DataError, match=r"train.csv line 2: label 'dog &amp' holds a letter as HTML writes it"):
        opened(write(tmp_path, "path,labels", "{},dog &amp; cat", "{},dog"))
    assert not any("letter" in note for note in odd([["R&D", "AT&T", "a & b"], ["100%", "&"]]))


@pytest.mark.parametrize("name", ["nan", "NaN", "None", "null", "N/A", "<NA>", "-", "#NAME?", "[]", "0", "False"])
def test_a_label_that_means_nothing_is_refused_until_it_is_said_what_it_is(tmp_path, name):
    write(tmp_path, "path,labels", "{},dog;cat", "{},dog", f"{{}},{name};") if name != "[]" else None
    if name == "[]":
        with pytest.raises(DataError, match=r"label '\[\]' looks like an empty cell"):
            odd([["[]"], ["dog"]])
        return
    with pytest.raises(DataError, match=r"train.csv line 4: label '.*' looks like an empty cell") as told:
        opened(tmp_path)
    nothing, kept = remedies(told.value)
    assert opened(tmp_path, nothing).labels == ("cat", "dog")
    assert not opened(tmp_path, nothing).train.truth[2].any()
    assert name in opened(tmp_path, kept).labels


@pytest.mark.parametrize(
    "cell", ["['dog'", "'dog'", '""dog""', "{'a'", "frozenset({'a'})", "array(['a'], dtype=object)", "b'a'"]
)
def test_a_piece_of_a_list_or_quotes_are_no_name(tmp_path, cell):
    with pytest.raises(DataError, match=r"row 0: label .* looks like a piece of a list or quoted text"):
        odd([[cell.replace('""', '"')], ["cat"]])


@pytest.mark.parametrize("name", ["\u2014", "...", "/", "\u200b", "--"])
def test_one_name_without_a_letter_looks_like_an_empty_cell(tmp_path, name):
    write(tmp_path, "path,labels", "{},dog;cat", "{},dog", f"{{}},{name}")
    with pytest.raises(DataError, match=r"train.csv line 4: label '.*' looks like an empty cell") as told:
        opened(tmp_path)
    assert not opened(tmp_path, remedies(told.value)[0]).train.truth[2].any()
    assert not any("look" in note for note in [*odd([[name, "dog"]]), *odd([[name], [","]])])


def test_the_only_label_that_is_never_beside_another_may_mean_that_there_is_none():
    """In whatever language; by chance it would stand beside one."""
    several = [["dog", "cat"], ["cat", "owl"], ["dog"]] * 3
    told = "if label 'keine' means that there is none: --set 'dataset.no_label=keine'"
    assert told in odd([*several, *[["keine"]] * 5])
    assert told not in odd([*several, ["keine"]])
    assert told not in odd([*several, ["elk"], *[["keine"]] * 5])
    assert told not in odd([*several, ["keine", "dog"], *[["keine"]] * 5])


def test_labels_in_pairs_of_which_each_image_has_one_have_a_word():
    """As where each thing has a label that says that it is there or not, in whatever words."""

    def told(sets):
        return [note for note in odd(sets) if note.endswith("does one of them say that something is not there?")]

    sets = [["dog=oui", "cat=non"], ["dog=non", "cat=oui"], ["dog=oui", "cat=oui"], []] * 5
    assert told(sets)[0].startswith("of 'dog=oui' and 'dog=non', and of all pairs as these, each image with labels has")
    assert not told([*sets, ["owl"]])
    assert not told(sets[:8])
    assert not told([["red", "dress"], ["red", "coat"], ["blue", "dress"], ["black", "coat"]] * 5)
    assert not told([["dog", "cat", "owl"], ["dog", "cat", "bus"], ["dog", "owl", "bus"]] * 5)
    assert not told([["dog", "cat"], ["dog", "owl"], ["cat", "bus"], ["owl", "bus"], ["dog", "bus"]] * 5)


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1"])
def test_letters_that_were_read_as_another_encoding_are_told(tmp_path, encoding):
    root = write(tmp_path, "path,labels", "{},p\u00e1jaro;dog", "{},dog")
    told = r"line 2: label 'p.*jaro' is perhaps 'p\u00e1jaro', read as cp1252\. Try: --set dataset.encoding=utf-8"
    with pytest.raises(DataError, match=told) as error:
        opened(root, encoding=encoding)
    assert opened(root, remedies(error.value)[0]).labels == ("dog", "p\u00e1jaro")
    with pytest.raises(DataError, match=r"Try: write it as it is read, or"):
        odd([["p\u00c3\u00a1jaro"], ["\u00e9t\u00e9"]])


def test_a_name_that_means_no_label_is_left_out_where_it_is_named(tmp_path):
    write(tmp_path, "path,labels", "{},a|b", "{},No Finding", "{},b", "{},normal")
    dataset = opened(tmp_path, separator="|")
    hints = [note for note in dataset.notes if "means that there is none" in note]
    assert len(hints) == 2
    dataset = opened(tmp_path, separator="|", no_label="No Finding;normal")
    assert dataset.labels == ("a", "b")
    assert dataset.train.truth.any(axis=1).tolist() == [True, False, True, False]
    write(tmp_path, "path,labels", "{},a|No Finding", "{},b")
    with pytest.raises(DataError, match=r"line 2: 'No Finding' means no label, and 'a' stands beside it"):
        opened(tmp_path, separator="|", no_label="No Finding")


@pytest.mark.parametrize("mark", ["-1", "-100", "-1.0"])
def test_a_number_below_zero_is_a_mark_for_no_label_and_fills_up_lists(tmp_path, mark):
    root = write(tmp_path, "path,labels", f"{{}},8;{mark}", f"{{}},{mark}", "{},8;7")
    with pytest.raises(
        DataError, match=f"label '{mark}' looks like an empty cell. Try: --set 'dataset.no_label={mark}'"
    ):
        opened(root)
    dataset = opened(root, no_label=mark)
    assert dataset.labels == ("7", "8")
    assert dataset.train.truth.sum(axis=1).tolist() == [1, 0, 2]


def test_unicode_forms_of_a_name_are_one_label_and_that_is_said(tmp_path):
    one, other = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    write(tmp_path, "path,labels", f"{{}},{one};dog", f"{{}},{other}")
    (tmp_path / "labels.txt").write_text(f"dog\n{other}\n", encoding="utf-8")
    dataset = opened(tmp_path)
    assert dataset.labels == ("dog", one)
    assert dataset.train.truth.tolist() == [[True, True], [False, True]]
    assert "train: label names of 1 images brought to one Unicode form" in dataset.notes


def test_blanks_around_names_are_no_part_of_them(tmp_path):
    write(tmp_path, "path,labels", "{},dog\u00a0; cat ", "{},\u00a0dog;\u2003cat")
    assert opened(tmp_path).labels == ("cat", "dog")


def test_a_label_of_every_image_and_one_label_an_image_have_a_word(tmp_path):
    assert (
        "label 'dog' is on every image of train" in opened(write(tmp_path, "path,labels", "{},dog;a", "{},dog")).notes
    )
    assert "no image has more than one label" in opened(write(tmp_path, "path,labels", "{},dog", "{},a")).notes


@pytest.mark.parametrize(
    ("between", "typed"), [(" ", "blank"), ("|", "|"), ("|", "pipe"), (",", "comma"), ("\n", "line")]
)
def test_separators_that_a_command_line_would_lose_have_names(tmp_path, between, typed):
    write(tmp_path, "path,labels", f'{{}},"dog{between}cat"', "{},dog")
    assert opened(tmp_path, f"dataset.separator={typed}").train.truth.tolist() == [[True, True], [False, True]]


@pytest.mark.parametrize(("delimiter", "typed"), [(";", "semicolon"), ("\t", "tab"), ("|", "pipe")])
def test_a_wrong_delimiter_names_the_right_one(tmp_path, delimiter, typed):
    root = write(tmp_path, f"path{delimiter}labels", f"{{}}{delimiter}dog,cat", f"{{}}{delimiter}dog")
    with pytest.raises(DataError, match=r"line 1: no column 'path'") as told:
        opened(root)
    assert remedies(told.value) == [f"dataset.delimiter={typed}"]
    assert opened(root, remedies(told.value)[0], separator=",").labels == ("cat", "dog")


def test_the_line_by_which_excel_is_told_the_delimiter_is_followed(tmp_path):
    root = write(tmp_path, "path;labels", "{};dog", "gone.png;cat")
    for part in ("train", "test"):
        path = root / f"{part}.csv"
        path.write_bytes(b"sep=;\r\n" + path.read_bytes())
    with pytest.raises(DataError, match=r"train.csv line 4: no image file .*gone.png"):
        opened(root)


def test_columns_that_are_called_almost_so_are_named(tmp_path):
    root = write(tmp_path, "Path,LABELS", "{},dog", "{},cat")
    with pytest.raises(DataError, match=r"line 1: no column 'path'") as told:
        opened(root)
    assert opened(root, *remedies(told.value)).labels == ("cat", "dog")


@pytest.mark.parametrize("cell", ["0,5", "don't know", 'a "few"', "-1", "x:y", "many;some"])
def test_what_to_type_for_a_cell_works_whatever_letters_it_holds(tmp_path, cell):
    quoted = '"' + cell.replace('"', '""') + '"'
    root = write(tmp_path, "path,dog,cat,elk", "{},1,0,no", "{},0,1,no", f"{{}},1,1,{quoted}", "{},1,1,1")
    with pytest.raises(DataError, match="column 'elk' holds 'no'") as told:
        opened(root, labels_column="")
    meaning, out = sorted(remedies(told.value), key=lambda text: "values=" not in text)
    assert opened(root, out).labels == ("dog", "cat")
    train = opened(root, meaning, labels_column="").train
    assert train.ignore[:, 2].tolist() == [False, False, True, False]
    assert train.truth[:, 2].tolist() == [False, False, False, True]


@pytest.mark.parametrize("name", ["age, years", "owner's", 'a "b"', "x\ny"])
def test_what_to_type_for_a_column_works_whatever_letters_its_name_holds(tmp_path, name):
    quoted = '"' + name.replace('"', '""') + '"'
    root = write(tmp_path, f"path,dog,cat,{quoted}", "{},1,0,1", "{},0,1,1")
    with pytest.raises(DataError, match="is 1 for every image") as told:
        opened(root, labels_column="")
    without, kept = remedies(told.value)
    assert opened(root, without).labels == ("dog", "cat")
    assert opened(root, kept).labels == ("dog", "cat", name.replace("\n", " "))


def test_tables_with_the_ending_of_tabs_name_the_delimiter(tmp_path):
    root = write(tmp_path, "path\tlabels", "{}\tdog", "{}\tcat", ending="tsv")
    with pytest.raises(DataError, match=r"There are .tsv files") as told:
        opened(root)
    assert opened(root, *remedies(told.value)).labels == ("cat", "dog")


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16-le", "utf-16-be"])
def test_a_wrong_encoding_names_the_right_one(tmp_path, encoding):
    root = write(tmp_path, "path,labels", "{},café", "{},dog;café", encoding=encoding)
    with pytest.raises(DataError, match=r"train.csv") as told:
        opened(root)
    assert remedies(told.value) == [f"dataset.encoding={encoding}"]
    assert opened(root, *remedies(told.value)).labels == ("café", "dog")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_an_encoding_with_its_mark_is_read(tmp_path, encoding):
    root = write(tmp_path, "path,labels", "{},café", "{},dog;café", encoding=encoding)
    assert opened(root).labels == ("café", "dog")


@pytest.mark.parametrize("name", ["cp99", "hex", "undefined", "punycode", "a\0b"])
def test_an_encoding_that_is_none_is_one_clear_line(tmp_path, name):
    later = "|line 1: not PUNYCODE text, perhaps utf-8"  # since Python 3.13, which says where
    words = f"option encoding: found '{name}', allowed: what Python knows{later if name == 'punycode' else ''}"
    with pytest.raises((UsageError, DataError), match=words):
        opened(write(tmp_path, "path,labels", "{},dog"), encoding=name)


def test_a_mark_that_stands_twice_is_no_part_of_the_first_column(tmp_path):
    write(tmp_path, "path,labels", "{},cat", "{},dog;cat")
    for part in ("train", "test"):
        path = tmp_path / f"{part}.csv"
        path.write_bytes("\ufeff\ufeff".encode() + path.read_bytes())
    assert opened(tmp_path).labels == ("cat", "dog")


def test_a_file_that_no_option_reads_names_a_command(tmp_path):
    root = write(tmp_path, "path,labels", "{},café", "{},café")
    (root / "labels.txt").write_bytes("café\n".encode("cp1252"))
    with pytest.raises(DataError, match=r"labels.txt line 1: not UTF-8 text, perhaps cp1252.* Try: iconv") as told:
        opened(root)
    command = str(told.value).partition("Try: ")[2]
    fixed = subprocess.run(shlex.split(command), capture_output=True, check=True).stdout
    (root / "labels.txt").write_bytes(fixed)
    assert opened(root).labels == ("café",)


def test_a_quoted_cell_may_hold_line_ends_and_lines_are_counted_on(tmp_path):
    root = write(tmp_path, "path,labels,note", '{},dog,"two\nlines"', '{},"dog\n",x', "gone.png,cat,")
    with pytest.raises(DataError, match=r"train.csv line 6: no image file .*gone.png"):
        opened(root)


def test_folders_whose_names_look_the_same_are_refused(tmp_path):
    for place in ("train/Dog/a", "train/dog/b", "test/dog/c"):
        pictures(tmp_path, f"{place}/", 1)
    with pytest.raises(BenchError, match=r"labels 'Dog' \(.*\) and 'dog' \(.*\) look the same"):
        opened(tmp_path, name="imagefolder")


def test_folder_names_may_be_several_labels(tmp_path):
    """As dog_cat beside dog and cat, which was a label of its own; a separator that was asked for was passed over."""
    for part in ("train", "test"):
        for label in ("dog_cat", "dog", "cat"):
            pictures(tmp_path, f"{part}/{label}/{label[-3:]}{len(label)}", 1)
    with pytest.raises(DataError, match=r"label 'dog_cat' looks like 2 labels. Try: --set 'dataset.separator=_'"):
        opened(tmp_path, name="imagefolder")
    assert opened(tmp_path, name="imagefolder", odd_names="keep").labels == ("cat", "dog", "dog_cat")
    (tmp_path / "test" / "dog_cat").rename(tmp_path / "test" / "cat_owl")
    dataset = opened(tmp_path, name="imagefolder", separator="_", absent_labels="drop")
    assert (dataset.labels, dataset.train.truth.tolist()) == (
        ("cat", "dog"),
        [[True, False], [False, True], [True] * 2],
    )


def test_folder_names_whose_parts_return_say_how_they_are_separated(tmp_path):
    for part in ("train", "test"):
        for label in ("blue_dress", "blue_jeans"):
            pictures(tmp_path, f"{part}/{label}/{label[5:]}", 1)
    told = "no image has more than one label, and names hold '_', as 'blue_dress'. If it separates labels: --set"
    assert any(note.startswith(told) for note in opened(tmp_path, name="imagefolder").notes)
    dataset = opened(tmp_path, name="imagefolder", separator="_")
    assert (dataset.labels, dataset.test.truth.sum()) == (("blue", "dress", "jeans"), 4)


def test_folder_names_that_are_no_utf_8_are_labels_that_can_be_printed(tmp_path):
    for part in ("train", "test"):
        pictures(tmp_path, f"{part}/x/", 1)
        pictures(tmp_path, f"{part}/y/y", 1)
        os.rename(tmp_path / part / "x", os.fsencode(tmp_path / part) + b"/caf\xe9")  # noqa: PTH104 - bytes
    assert opened(tmp_path, name="imagefolder").labels == ("caf\\xe9", "y")

from functools import partial

import numpy as np
import open_sets
import pytest
from PIL import Image

from bench.cli import run_command_line
from bench.errors import DataError, UsageError
from bench.show.csv_text import csv_text

opened = partial(open_sets.opened, "csv")


@pytest.fixture
def folder(tmp_path):
    """Eight small pictures, and no table yet."""
    (tmp_path / "photos").mkdir()
    for number in range(8):
        Image.new("RGB", (12, 12), (number * 20, 0, 0)).save(tmp_path / "photos" / f"{number}.png")
    return tmp_path


def write(folder, name, lines, encoding="utf-8", end="\n"):
    (folder / name).write_bytes(end.join(lines).encode(encoding))


TRAIN = ["path,labels", "photos/0.png,cat;dog", "photos/1.png,dog", "photos/2.png,"]
TEST = ["path,labels", "photos/3.png,cat"]


def test_two_tables_are_train_and_test(folder):
    write(folder, "train.csv", TRAIN)
    write(folder, "test.csv", TEST)
    dataset = opened(folder)
    assert dataset.labels == ("cat", "dog")
    np.testing.assert_array_equal(dataset.train.truth, [[True, True], [False, True], [False, False]])
    assert dataset.protocol == "top2@1"
    assert dataset.train.images.read(1).shape == (12, 12, 3)
    assert "train 3 / test 1 images, 2 labels" in dataset.variant


def test_images_that_are_trained_on_choose_nothing(folder):
    """As where train.csv is that of train and validation together, and val.csv is found beside it."""
    write(folder, "train.csv", TRAIN)
    write(folder, "test.csv", TEST)
    write(folder, "val.csv", ["path,labels", "photos/1.png,dog", "photos/4.png,dog"])
    with pytest.raises(DataError, match=r"1 images of train are in its validation part, too, as 'photos/1.png'"):
        opened(folder)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_windows_files_read_like_others(folder, encoding, end):
    write(folder, "train.csv", TRAIN, encoding, end)
    write(folder, "test.csv", TEST, encoding, end)
    dataset = opened(folder)
    assert dataset.train.ids == ("photos/0.png", "photos/1.png", "photos/2.png")
    assert dataset.labels == ("cat", "dog")


def test_each_label_may_be_a_column(folder):
    write(folder, "train.csv", ["path,dog,cat", "photos/0.png,1,0", "photos/1.png,1,1", "photos/2.png,,1"])
    write(folder, "test.csv", ["path,dog,cat", "photos/3.png,0,1"])
    dataset = opened(folder, labels_column="")
    assert dataset.labels == ("dog", "cat")
    np.testing.assert_array_equal(dataset.train.truth, [[True, False], [True, True], [False, True]])


def test_a_quoted_cell_and_other_separators(folder):
    write(folder, "train.tsv", ["file\ttags", 'photos/0.png\t"cat, dog"', "photos/1.png\tdog"])
    write(folder, "test.tsv", ["file\ttags", "photos/3.png\tcat"])
    options = {"delimiter": "tab", "separator": ",", "path_column": "file", "labels_column": "tags"}
    assert opened(folder, **options).train.truth.tolist() == [[True, True], [False, True]]


def test_a_column_may_name_the_split(folder):
    rows = ["path,labels,split"] + [
        f"photos/{number}.png,cat,{part}" for number, part in enumerate(["train", "train", "val", "Test"])
    ]
    write(folder, "labels.csv", rows)
    dataset = opened(folder)
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (2, 1, 1)


def test_a_split_is_drawn_where_none_is_given_and_the_seed_decides(folder):
    write(folder, "labels.csv", ["path,labels"] + [f"photos/{number}.png,cat" for number in range(8)])
    first, again, other = opened(folder), opened(folder), opened(folder, split_seed=5)
    assert len(first.test) == 2
    assert first.test.ids == again.test.ids != other.test.ids
    assert "20% drawn for test with seed 0" in first.variant


def test_a_list_of_labels_gives_their_order(folder):
    write(folder, "train.csv", TRAIN)
    write(folder, "test.csv", TEST)
    write(folder, "labels.txt", ["dog", "cat"])
    assert opened(folder).labels == ("dog", "cat")


BAD = {
    "no column": (["file,labels", "photos/0.png,cat"], "line 1: no column 'path', found: file, labels. Try: --set"),
    "twice": ([*TRAIN, "photos/0.png,cat"], "line 5: image photos/0.png stands twice, first in line 2"),
    "no file": ([*TRAIN, "photos/99.png,cat"], "line 5: no image file .*99.png"),
    "length": ([*TRAIN, "photos/4.png"], "line 5: 1 cells, expected 2: path, labels"),
    "empty path": ([*TRAIN, ",cat"], "line 5: the column 'path' is empty"),
    "no rows": (["path,labels"], "no images below the column names"),
    "same file": ([*TRAIN, "./photos/0.png,cat"], "line 5: image photos/0.png stands twice, first in line 2"),
    "column twice": (["path,labels,labels", "photos/0.png,cat,dog"], "line 1: column 'labels' stands twice"),
    "only commas": ([",,", ",,"], "line 2: no column 'path', found: "),
    "late header": (["", "", "file,labels", "photos/0.png,cat"], "line 3: no column 'path', found: file, labels"),
    "long path": ([*TRAIN, "x" * 5000 + ",cat"], "line 5: no image file .*xxx$"),
    "quotes": ([*TRAIN, 'photos/4.png,"cat'], "line 5: unexpected end of data"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_table_is_named_with_its_line(folder, case):
    lines, message = BAD[case]
    write(folder, "train.csv", lines)
    write(folder, "test.csv", TEST)
    with pytest.raises(DataError, match=f"train.csv.*{message}"):
        opened(folder)


def test_other_bad_input_is_one_clear_line(folder):
    with pytest.raises(DataError, match=r"no file .*train.csv and no .*labels.csv. '--data-root' should hold"):
        opened(folder)
    write(folder, "train.csv", TRAIN)
    with pytest.raises(DataError, match=r"no file .*test.csv"):
        opened(folder)
    write(folder, "test.csv", TEST)
    write(folder, "labels.txt", ["dog"])
    with pytest.raises(DataError, match=r"train.csv line 2: unknown label 'cat', not in .*labels.txt"):
        opened(folder)
    (folder / "labels.txt").unlink()
    (folder / "train.csv").write_bytes(b"path,labels\nphotos/0.png,caf\xe9\n")
    with pytest.raises(DataError, match=r"train.csv line 2: not UTF-8 text"):
        opened(folder)
    (folder / "train.csv").write_bytes(b"")
    with pytest.raises(DataError, match=r"train.csv: empty file"):
        opened(folder)
    write(folder, "train.csv", ["path,cat", "photos/0.png,yes"])
    write(folder, "test.csv", ["path,cat", "photos/1.png,1"])
    with pytest.raises(
        DataError, match=r"line 2: column 'cat' holds 'yes', allowed: 0, 1 or nothing.*dataset.values=yes:1"
    ):
        opened(folder, labels_column="")


def test_blank_lines_count_as_lines_and_nothing_else(folder):
    write(folder, "train.csv", ["", *TRAIN, "", "photos/0.png,cat"])
    write(folder, "test.csv", ["", *TEST])
    with pytest.raises(DataError, match=r"train.csv line 7: image photos/0.png stands twice, first in line 3"):
        opened(folder)


def test_a_line_separator_of_unicode_is_part_of_a_name(folder):
    write(folder, "train.csv", ["path,labels", "photos/0.png,cat\u2028fish"])
    write(folder, "test.csv", ["path,labels", "photos/1.png,cat\u2028fish"])
    write(folder, "labels.txt", ["cat\u2028fish"])
    assert opened(folder).labels == ("cat\u2028fish",)


def test_columns_without_a_name_are_passed_over(folder):
    for name in ("train", "test"):
        write(folder, f"{name}.csv", ["path,dog,cat,,", f"photos/{len(name)}.png,1,1,,"])
    assert opened(folder, labels_column="").labels == ("dog", "cat")


@pytest.mark.parametrize("names", [",", "Unnamed: 2,Unnamed: 3"])
def test_labels_in_columns_without_a_name_are_not_passed_over(folder, names):
    """As spreadsheets save a row of several labels below two names, and pandas again."""
    write(folder, "train.csv", [f"path,labels,{names}", "photos/0.png,dog,cat,", "photos/1.png,cat,,"])
    write(folder, "test.csv", TEST)
    with pytest.raises(DataError, match=r"train.csv line 2: 'cat' stands in a column without a name. Is it a label\?"):
        opened(folder)
    write(folder, "train.csv", [f"path,labels,{names}", "photos/0.png,dog,,", "photos/1.png,cat,,"])
    assert opened(folder).labels == ("cat", "dog")


@pytest.mark.parametrize("index", ["", "Unnamed: 0"])
def test_the_rows_numbers_stand_first_and_other_columns_have_a_word(folder, index):
    rows = [f"{index},path,labels,width,confidence", "0,photos/0.png,dog,3,0.5", "1,photos/1.png,cat,4,0"]
    write(folder, "train.csv", rows)
    write(folder, "test.csv", TEST)
    dataset = opened(folder)
    assert dataset.labels == ("cat", "dog")
    assert f"{folder}/train.csv line 1: columns that are not read: width, confidence" in dataset.notes


def test_a_column_that_pandas_calls_the_second_of_its_name_is_refused(folder):
    for name in ("train", "test"):
        write(folder, f"{name}.csv", ["path,dog,cat,dog.1,v1,v1.5", f"photos/{len(name)}.png,1,1,0,1,1"])
    with pytest.raises(DataError, match=r"line 1: column 'dog.1' is what pandas calls a second column 'dog'"):
        opened(folder, labels_column="")
    assert opened(folder, labels_column="", not_labels="dog.1").labels == ("dog", "cat", "v1", "v1.5")


def test_names_for_no_label_that_no_image_has_are_told(folder):
    write(folder, "train.csv", [*TRAIN, "photos/4.png,No Finding"])
    write(folder, "test.csv", TEST)
    with pytest.raises(DataError, match=r"no image has 'no finding' of .* 'No Finding' .*=unsure;No Finding'$"):
        opened(folder, no_label="unsure;no finding")
    dataset = opened(folder, no_label="unsure;No Finding")
    assert dataset.labels == ("cat", "dog")
    assert "no image has 'unsure' of --set dataset.no_label" in dataset.notes


def test_empty_options_are_one_clear_line(folder):
    write(folder, "train.csv", TRAIN)
    write(folder, "test.csv", TEST)
    with pytest.raises(UsageError, match=r"option separator: found '', allowed: text .* 'dataset.separator=;'"):
        opened(folder, separator="")
    with pytest.raises(DataError, match=r"train.csv line 1: no column '', found: path, labels"):
        opened(folder, path_column="")


def test_a_list_of_labels_names_the_line_of_a_name_that_stands_twice(folder):
    write(folder, "train.csv", TRAIN)
    write(folder, "test.csv", TEST)
    write(folder, "labels.txt", ["dog", "cat", "dog"])
    with pytest.raises(DataError, match=r"labels.txt line 3: label 'dog' stands twice, first in line 1"):
        opened(folder)
    write(folder, "labels.txt", [""])
    with pytest.raises(DataError, match=r"labels.txt: no label. Expected: a label name on each line"):
        opened(folder)


def test_a_split_column_must_name_splits(folder):
    write(folder, "labels.csv", ["path,labels,split", "photos/0.png,cat,train", "photos/1.png,cat,dev"])
    with pytest.raises(DataError, match=r"labels.csv line 3: split 'dev', allowed: train, validation, test"):
        opened(folder)
    write(folder, "labels.csv", ["path,labels,split", "photos/0.png,cat,train", "photos/1.png,cat,train"])
    with pytest.raises(DataError, match=r"labels.csv: no row has 'test' in column 'split'. Try: .*draw a split$"):
        opened(folder)
    write(folder, "labels.csv", ["path,labels,split", "photos/0.png,cat,train", "photos/1.png,cat,val"])
    with pytest.raises(DataError, match=r"in column 'split'\. There is validation\. Try: --test-split validation$"):
        opened(folder)
    assert opened(folder, test="validation").test.ids == ("photos/1.png",)


@pytest.mark.parametrize("word", ["", "coco"])
def test_a_column_called_as_a_split_is_none_where_all_its_rows_say_the_same(folder, word):
    write(folder, "labels.csv", ["path,labels,subset", *(f"photos/{number}.png,cat,{word}" for number in range(4))])
    assert "drawn for test" in opened(folder).variant


@pytest.mark.parametrize("words", [("train", "test"), ("Training", "Testing")])
@pytest.mark.parametrize("column", ["Split", "fold", "sub-set"])
def test_a_split_that_stands_in_another_column_is_not_drawn_instead(folder, column, words):
    parts = [words[0], words[0], "val", words[1]]
    rows = [f"photos/{number}.png,cat,{part}" for number, part in enumerate(parts)]
    write(folder, "labels.csv", [f"path,labels,{column}", *rows])
    with pytest.raises(DataError, match=rf"Try: --set 'dataset.split_column={column}'"):
        opened(folder)
    assert len(opened(folder, split_column=column).validation) == 1
    assert "drawn for test" in opened(folder, split_column="").variant
    with pytest.raises(DataError, match=rf"no column 'mine', found: path, labels, {column}"):
        opened(folder, split_column="mine")


def test_splits_that_are_asked_for_are_those_of_the_column(folder):
    """They were passed over, and the rows of train and test taken."""
    parts = ["train", "val", "Test", "train", "fold2"]
    rows = [f"photos/{number}.png,cat,{part}" for number, part in enumerate(parts)]
    write(folder, "labels.csv", ["path,labels,split", *rows[:4]])
    dataset = opened(folder, test="val")
    assert (dataset.train.ids, dataset.test.ids) == (("photos/0.png", "photos/3.png"), ("photos/1.png",))
    assert (dataset.test.name, dataset.validation) == ("val", None)
    assert "data root: 1 rows of labels.csv are of no part, as photos/2.png" in dataset.notes
    assert opened(folder, train="validation").train.ids == ("photos/1.png",)
    with pytest.raises(DataError, match="no row has 'fold2' in column 'split'"):
        opened(folder, test="fold2")
    write(folder, "labels.csv", ["path,labels,split", *rows])
    assert opened(folder, test="fold2").test.ids == ("photos/4.png",)
    with pytest.raises(DataError, match="line 6: split 'fold2', allowed: train, validation, test"):
        opened(folder)


@pytest.mark.parametrize("option", ["train", "test"])
def test_a_split_that_is_asked_for_in_vain_is_refused(folder, option):
    write(folder, "labels.csv", ["path,labels"] + [f"photos/{number}.png,cat" for number in range(8)])
    with pytest.raises(DataError, match=rf"--{option}-split: found 'mine', and no column 'split' names a part"):
        opened(folder, **{option: "mine"})
    with pytest.raises(DataError, match=rf"train and test are drawn. Try: without --{option}-split"):
        opened(folder, **{option: "test" if option == "train" else "train"})
    for part in ("mine", "yours"):
        write(folder, f"{part}.csv", ["path,labels", f"photos/{len(part)}.png,cat"])
    assert opened(folder, "mine", "yours").train.name == "mine"


def test_a_row_of_another_part_in_a_parts_own_table_is_refused(folder):
    cells = ("split", "train", "", "val")
    write(folder, "train.csv", [f"{line},{cell}" for line, cell in zip(TRAIN, cells, strict=True)])
    write(folder, "test.csv", TEST)
    with pytest.raises(DataError, match=r"train.csv line 4: split 'val' in the table of train. Try: one table"):
        opened(folder)
    assert len(opened(folder, split_column="").train) == 3


def test_the_mark_that_keeps_a_cell_from_being_a_formula_is_no_part_of_a_name(folder):
    """As ``bench predict --csv`` writes it: a label would be another one where it stands first."""
    (folder / "=1.png").write_bytes((folder / "photos/1.png").read_bytes())
    written = csv_text(["path", "labels"], [["=1.png", "=a;b"], ["photos/0.png", "b;=a"]])
    assert written.count("'=") == 2
    write(folder, "train.csv", written.splitlines())
    write(folder, "test.csv", ["path,labels", "photos/3.png,b"])
    dataset = opened(folder)
    assert (dataset.train.ids, dataset.labels) == (("=1.png", "photos/0.png"), ("=a", "b"))
    assert dataset.train.truth.all()


def test_a_text_as_spreadsheets_write_it_is_that_text(folder):
    write(folder, "train.csv", ["path,labels", '"=""photos/0.png""","=""007;a"""', "photos/1.png,a", "photos/2.png,b"])
    write(folder, "test.csv", ["path,labels", "photos/3.png,b"])
    dataset = opened(folder)
    assert (dataset.train.ids[0], dataset.labels) == ("photos/0.png", ("007", "a", "b"))


def test_names_in_one_table_and_numbers_in_another_are_not_labels_of_their_own(folder):
    """What was said to type left the labels of the test part out."""
    write(folder, "train.csv", TRAIN)
    write(folder, "test.csv", ["path,labels", "photos/3.png,0;1", "photos/4.png,1"])
    with pytest.raises(
        DataError, match=r"test.csv line 2: label '0' is a number, .* 'cat' is a name .*train.csv line 2"
    ):
        opened(folder)
    write(folder, "labels.txt", ["cat", "dog"])
    assert opened(folder, labels_are="numbers").test.truth.tolist() == [[True, True], [False, True]]


@pytest.mark.parametrize("name", ["train.txt", "train_val_list.txt", "list_eval_partition.csv", "splits.json"])
def test_lists_of_a_split_that_is_drawn_have_a_word(folder, name):
    write(folder, "labels.csv", ["path,labels"] + [f"photos/{number}.png,cat" for number in range(8)])
    write(folder, name, ["photos/0.png"])
    assert f"data root: 1 files are not read, as the split is drawn, as {name}" in opened(folder).notes


def test_labels_that_train_lacks_can_be_left_out(folder):
    write(folder, "train.csv", TRAIN)
    write(folder, "test.csv", ["path,labels", "photos/3.png,cat;bird"])
    with pytest.raises(DataError, match=r"1 of 3 labels have no image in train: bird.*absent_labels=drop"):
        opened(folder)
    dataset = opened(folder, absent_labels="drop")
    assert dataset.labels == ("cat", "dog")
    assert "1 labels without an image in train left out" in dataset.variant


def test_the_command_line_shows_what_was_found(folder, capsys):
    write(folder, "train.csv", TRAIN)
    write(folder, "test.csv", TEST)
    assert run_command_line(["data", "stats", "csv", "--data-root", str(folder)]) == 0
    assert "2 labels, train.csv and test.csv" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("linked", ["a file", "a folder"])
def test_a_link_that_leads_out_of_the_data_root_is_followed_only_where_that_is_allowed(
    folder, tmp_path_factory, linked
):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    Image.new("RGB", (12, 12)).save(elsewhere / "9.png")
    if linked == "a file":
        (folder / "photos" / "9.png").symlink_to(elsewhere / "9.png")
    else:
        (folder / "more").symlink_to(elsewhere)
    name = "photos/9.png" if linked == "a file" else "more/9.png"
    (folder / "photos" / "again.png").symlink_to(folder / "photos" / "3.png")
    write(folder, "train.csv", [*TRAIN, f"{name},cat"])
    write(folder, "test.csv", [*TEST, "photos/again.png,cat"])
    with pytest.raises(DataError, match=r"train\.csv line 5: image .*9\.png is .* behind a link, .*outside=allow"):
        opened(folder)
    assert len(opened(folder, outside="allow").train) == 4

"""What messages say to type where files are called, or hold, what people's files do: it is the right thing, in full."""

import json

import pytest
from open_sets import opened, picture

from bench.errors import BenchError


def told(reader, root, **options):
    with pytest.raises(BenchError) as error:
        opened(reader, root, **options)
    return str(error.value)


@pytest.mark.parametrize(
    ("head", "remedy"),
    [
        ("filename,target", "Try: --set 'dataset.path_column=filename' --set 'dataset.labels_column=target'"),
        (
            "image_id,attributes",
            "'dataset.path_column=image_id' --set dataset.labels_column=NAME, or dataset.labels_col",
        ),
        ("filename,image,label_name", "--set dataset.path_column=NAME --set 'dataset.labels_column=label_name'"),
        (
            "path,angle,make",
            "Try: --set dataset.labels_column=NAME, or dataset.labels_column= where each label is a col",
        ),
        (
            "Image Index,Finding Labels,Patient ID",
            "'dataset.path_column=Image Index' --set 'dataset.labels_column=Find",
        ),
        (
            "PetID,dog,cat,photo",
            "Try: --set dataset.path_column=NAME --set dataset.labels_column=NAME, or dataset.label",
        ),
        (
            ",id,attribute_ids",
            "Try: --set 'dataset.path_column=id' --set dataset.labels_column=NAME, or dataset.labels_",
        ),
        ("imdbId,Genre,labels", "Try: --set dataset.path_column=NAME"),
    ],
)
def test_columns_that_lack_are_told_by_what_the_others_are_called(tmp_path, head, remedy):
    """All were NAME where one of them was not clear, and those that were there, too."""
    (tmp_path / "labels.csv").write_text(f"{head}\n{',' * head.count(',')}\n")
    message = told("csv", tmp_path)
    assert remedy in message
    assert ("path_column" in message) == ("path," not in head)


def test_a_row_without_its_comma_says_that_a_cell_lacks(tmp_path):
    """As images without a label in lists of other programs."""
    (tmp_path / "labels.csv").write_text("path,labels\n1.jpg,dog\n2.jpg\n")
    assert told("csv", tmp_path).endswith(
        "line 3: 1 cells, expected 2: path, labels. Try: a cell for each column, also where it is empty"
    )


def test_a_table_of_names_is_not_to_be_written_over(tmp_path):
    """iMet has labels.csv of names beside train.csv, which was to be saved as labels.csv."""
    (tmp_path / "train.csv").write_text("id,attribute_ids\n1,0 7\n")
    assert told("csv", tmp_path).endswith("Try: save train.csv as labels.csv, and a split is drawn")
    (tmp_path / "labels.csv").write_text("attribute_id,attribute_name\n0,culture::abruzzi\n")
    assert told("csv", tmp_path).endswith(
        "Try: call labels.csv otherwise, then save train.csv as labels.csv, and a split is drawn"
    )


def test_a_test_table_without_labels_is_told_of_train(tmp_path):
    """As a competition's, whose labels nobody has: that train's option should be another was said."""
    (tmp_path / "train.csv").write_text("path,labels\n1.jpg,dog\n")
    (tmp_path / "test.csv").write_text("path,tags\n2.jpg,\n")
    assert told("csv", tmp_path).endswith(
        "train.csv has it. Try: the columns of train.csv, or save train.csv alone as labels.csv, and a split is drawn"
    )


def test_blanks_between_columns_are_seen_beside_other_marks(tmp_path):
    """A table of 0 and 1 with the names behind them: bars were said to separate its columns."""
    (tmp_path / "labels.csv").write_text("posters/1.jpg 1 0 1 Action|Drama\nposters/2.jpg 0 1 0 Comedy\n")
    assert "Do blanks separate columns?" in told("csv", tmp_path)


def test_lists_of_parts_in_text_files_are_named(tmp_path):
    for part in ("train", "test"):
        (tmp_path / f"{part}.txt").write_text("1.jpg 0 1 0\n")
    assert "There is test.txt. Of labels in another form, lines of docs/your-data.md" in told("csv", tmp_path)


def test_other_words_than_parts_in_a_column_are_told_with_the_parts_that_are_there(tmp_path):
    """A fourth part, dealer: that train and test had to be named was said, and not that they are there."""
    words = ("train", "train", "val", "test", "dealer")
    for number in range(5):
        picture(tmp_path / f"{number}.png", number)
    rows = (f"{number}.png,dog;cat,{word}" for number, word in enumerate(words))
    (tmp_path / "labels.csv").write_text("\n".join(["path,labels,split", *rows]))
    assert "Try: --train-split train --test-split test, or one of these words" in told("csv", tmp_path)
    dataset = opened("csv", tmp_path, "train", "test")
    assert [len(part) for part in (dataset.train, dataset.validation, dataset.test)] == [2, 1, 1]


def test_rows_of_one_part_alone_may_be_drawn_from(tmp_path):
    rows = "".join(f"{number}.png,dog;cat,test\n" for number in range(5))
    (tmp_path / "labels.csv").write_text(f"path,labels,split\n{rows}")
    for number in range(5):
        picture(tmp_path / f"{number}.png", number)
    message = told("csv", tmp_path)
    assert message.endswith("no row has 'train' in column 'split'. Try: --set 'dataset.split_column=' to draw a split")
    assert len(opened("csv", tmp_path, split_column="").train) == 4


@pytest.mark.parametrize(
    ("files", "remedy"),
    [
        (("custom_train", "custom_val"), "There is custom_train, custom_val. Try: --train-split custom_train"),
        (("train", "a_val", "b_val", "c_val", "d_val", "e_val", "val"), "There is val, a_val, b_val, c_val, d_val."),
        (("train", "captions_val", "val"), "Try: --test-split val"),
    ],
)
def test_the_part_that_is_meant_is_named_first(tmp_path, files, remedy):
    for name in files:
        (tmp_path / f"{name}.json").write_text(json.dumps({"images": [], "categories": [], "annotations": []}))
    assert remedy in told("coco-json", tmp_path)


def test_a_label_that_the_list_lacks_is_a_line_to_add(tmp_path):
    picture(tmp_path / "JPEGImages" / "1.jpg")
    for part in ("train", "test"):
        (tmp_path / "ImageSets" / "Main").mkdir(parents=True, exist_ok=True)
        (tmp_path / "ImageSets" / "Main" / f"{part}.txt").write_text("1\n")
    objects = "<annotation><object><name>Negative</name></object></annotation>"
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "1.xml").write_text(objects)
    (tmp_path / "labels.txt").write_text("flour\n")
    assert told("voc-folder", tmp_path).endswith("There is annotations. Try: call it Annotations")
    (tmp_path / "annotations").rename(tmp_path / "Annotations")
    assert told("voc-folder", tmp_path).endswith("allowed: flour. Try: a line 'Negative' in labels.txt")
    (tmp_path / "labels.csv").write_text("path,labels\nJPEGImages/1.jpg,dog\n2.jpg,dog\n")
    picture(tmp_path / "2.jpg", 2)
    assert told("csv", tmp_path).endswith("labels.txt. Try: a line 'dog' there")


def test_images_in_folders_of_labels_without_parts_are_told_what_makes_a_table(tmp_path):
    picture(tmp_path / "dog" / "1.jpg")
    assert "Without parts, try: a labels.csv, as lines of docs/your-data.md make it" in told("imagefolder", tmp_path)
    (tmp_path / "dog").rename(tmp_path / "train")
    assert told("imagefolder", tmp_path).endswith(f"and --dataset csv --data-root {tmp_path / 'train'}")


def test_json_lines_of_other_fields_are_told_which_reader_takes_them(tmp_path):
    for part in ("train", "test"):
        picture(tmp_path / part / "1.jpg")
        line = '{"file_name": "1.jpg", "objects": {"bbox": [[1, 2, 3, 4]], "category": [1]}}'
        (tmp_path / part / "metadata.jsonl").write_text(line)
    assert told("imagefolder", tmp_path).endswith("Try: --dataset huggingface, which reads fields of other names")

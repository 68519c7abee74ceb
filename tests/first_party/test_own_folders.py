"""A user's own images in folders: imagefolder, coco-json and voc-folder."""

import json
import re
import shutil

import numpy as np
import pytest
from open_sets import opened, picture

from bench import plugins
from bench.cli import run_command_line
from bench.errors import DataError, UsageError


@pytest.fixture
def listed(tmp_path):
    """Folders train and test, each with two pictures and a labels file of another kind."""
    for part in ("train", "test"):
        for name in ("a.png", "more/b.png"):
            picture(tmp_path / part / name)
    (tmp_path / "train" / "labels.csv").write_text("path,labels\na.png,cat;dog\nmore/b.png,dog\n")
    lines = [{"file_name": "a.png", "labels": ["dog", ""]}, {"file_name": "more/b.png", "labels": "dog; cat"}]
    (tmp_path / "test" / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return tmp_path


def test_folders_with_a_labels_file(listed):
    dataset = opened("imagefolder", listed)
    assert dataset.labels == ("cat", "dog")
    assert dataset.train.truth.tolist() == [[True, True], [False, True]]
    assert dataset.test.truth.tolist() == [[False, True], [True, True]]
    assert dataset.train.ids == ("train/a.png", "train/more/b.png")
    assert dataset.train.images.read(1).shape == (10, 10, 3)


def test_an_image_in_several_label_folders_has_several_labels(tmp_path):
    for path in ("train/cat/1.png", "train/dog/1.png", "train/dog/2.png", "valid/cat/1.png", "test/cat/1.png"):
        picture(tmp_path / path)
    dataset = opened("imagefolder", tmp_path)
    assert dataset.train.ids == ("train/1.png", "train/2.png")
    assert dataset.train.truth.tolist() == [[True, True], [False, True]]
    assert len(dataset.validation) == 1


def test_labels_are_ordered_by_labels_txt(listed):
    (listed / "labels.txt").write_text("dog\ncat\n")
    assert opened("imagefolder", listed).labels == ("dog", "cat")
    (listed / "labels.txt").write_text("dog\n")
    with pytest.raises(DataError, match=r"unknown label 'cat', not in .*labels.txt"):
        opened("imagefolder", listed)


def test_lines_of_json_may_hold_labels_numbers_as_tables_do(listed):
    (listed / "train" / "labels.csv").unlink()
    (listed / "labels.txt").write_text("cat\ndog\nowl\n")
    for part, sets in {"train": ([0, 2], [1]), "test": ([], [1, 0])}.items():
        pairs = zip(("a.png", "more/b.png"), sets, strict=True)
        lines = [json.dumps({"file_name": name, "labels": labels}) for name, labels in pairs]
        (listed / part / "metadata.jsonl").write_text("\n".join(lines))
    dataset = opened("imagefolder", listed)
    assert dataset.train.truth.tolist() == [[True, False, True], [False, True, False]]
    assert dataset.test.truth.tolist() == [[False] * 3, [True, True, False]]


def test_an_unlisted_image_is_refused_or_taken_as_unlabelled(listed):
    picture(listed / "train" / "c.png")
    with pytest.raises(
        DataError, match=r"1 images of the folder are not listed, as c.png. Try: --set dataset.unlisted"
    ):
        opened("imagefolder", listed)
    assert opened("imagefolder", listed, unlisted="unlabelled").train.truth[2].tolist() == [False, False]


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("test/metadata.jsonl", '{"file_name": "a.png"}', r"metadata.jsonl line 1: found .* expected .*labels"),
        ("test/metadata.jsonl", "nonsense", r"metadata.jsonl line 1: found 'nonsense'"),
        ("test/metadata.jsonl", '{"file_name": "a.png", "labels": {}}', r"line 1: labels are \{\}, expected a list"),
        (
            "test/metadata.jsonl",
            '{"file_name": "a.png", "labels": [1]}\n{"file_name": "more/b.png", "labels": []}',
            "line 1: label number 1, while 'cat'",
        ),
        (
            "test/metadata.jsonl",
            '{"file_name": "a.png", "labels": []}\n{"file_name": "a.png", "labels": []}',
            "line 2: image a.png stands twice",
        ),
        ("train/labels.csv", "path,labels\na.png,cat\nmore/b.png,\ngone.png,cat\n", "no image file .*gone.png"),
        ("train/labels.csv", "path,kinds\na.png,cat\n", "line 1: no column 'labels'.* Expected: path and labels"),
        (
            "train/labels.csv",
            "path,labels\na.png,cat\nmore/b.png,\n../test/a.png,cat\n",
            "line 4: image ../test/a.png lies outside .*train",
        ),
        ("test/metadata.jsonl", '{"file_name": "a.png", "labels": ["cat"], "labels": []}', "line 1: found '"),
        ("test/metadata.jsonl", "[" * 100_000, r"metadata.jsonl line 1: found '\[\[\["),
    ],
)
def test_what_is_wrong_with_a_labels_file_is_named(listed, file, content, message):
    (listed / file).write_text(content)
    with pytest.raises(DataError, match=message):
        opened("imagefolder", listed)


@pytest.mark.parametrize("header", ["path;labels", "path\tlabels", "Path,labels", "path,Labels", "path,tags"])
def test_what_to_type_for_a_labels_file_is_an_option_that_there_is(listed, header):
    path, options = listed / "train" / "labels.csv", plugins.installed().dataset("imagefolder").spec.options
    path.write_text(path.read_text().replace("path,labels", header))
    with pytest.raises(DataError) as refused:
        opened("imagefolder", listed)
    assert {*re.findall(r"dataset\.(\w+)", str(refused.value))} <= {option.name for option in options}


def test_names_of_folders_are_not_said_to_stand_in_columns(tmp_path):
    for part in ("train", "test"):
        for label in range(12):
            picture(tmp_path / part / f"{label % 2}" / f"{part}{label}.png", label)
    assert not any("label_column" in note for note in opened("imagefolder", tmp_path).notes)
    for label in range(12):
        path = tmp_path / "train" / f"{label % 2}" / f"train{label}.png"
        (above := tmp_path / "train" / f"a{label}").mkdir()
        path.rename(above / path.name)
    shutil.rmtree(tmp_path / "test")
    picture(tmp_path / "test" / "b" / "b.png", 1)
    with pytest.raises(DataError, match=r"as all labels are\. Is it a label\? Try: write names that images share, or"):
        opened("imagefolder", tmp_path)


def test_columns_of_a_labels_file_may_be_separated_otherwise(listed):
    path = listed / "train" / "labels.csv"
    path.write_text(path.read_text().replace(",", "\t"))
    assert opened("imagefolder", listed, delimiter="tab").train.truth.tolist() == [[True, True], [False, True]]


def test_names_of_a_list_that_are_several_names_are_refused(listed):
    """A list is not split at the separator, so it can hold it."""
    path = listed / "test" / "metadata.jsonl"
    path.write_text(path.read_text().replace('["dog", ""]', '["cat;dog"]'))
    with pytest.raises(
        DataError, match=r"line 1: label 'cat;dog' looks like 2 labels. Try: each as an entry of the list"
    ):
        opened("imagefolder", listed)
    path.write_text(path.read_text().replace('["cat;dog"]', '["dog", "dog"]'))
    assert not any("Unicode" in note for note in opened("imagefolder", listed).notes)


def test_a_list_of_texts_that_are_a_value_for_each_label_is_no_list_of_names(listed):
    (listed / "train" / "labels.csv").unlink()
    for part in ("train", "test"):
        lines = [{"file_name": "a.png", "labels": ["1", "0"]}, {"file_name": "more/b.png", "labels": ["0", "1"]}]
        (listed / part / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(DataError, match=r"line 1: found \['1', '0'\], which may be labels' numbers or a value"):
        opened("imagefolder", listed)
    (listed / "labels.txt").write_text("cat\ndog\n")
    assert opened("imagefolder", listed, labels_are="multi-hot").train.truth.tolist() == [[True, False], [False, True]]


def test_numbers_of_labels_may_be_names_of_folders(tmp_path):
    for name in ("train/0/a.png", "train/1/b.png", "test/1/c.png"):
        picture(tmp_path / name)
    (tmp_path / "labels.txt").write_text("dog\ncat\n")
    with pytest.raises(DataError, match=r"unknown label '0'.* Try: --set dataset.labels_are=numbers"):
        opened("imagefolder", tmp_path)
    dataset = opened("imagefolder", tmp_path, labels_are="numbers")
    assert dataset.labels == ("dog", "cat")
    assert dataset.train.truth.tolist() == [[True, False], [False, True]]


def test_a_comma_in_few_folders_names_is_none_between_labels(tmp_path):
    labels = ("Pepper,_bell___healthy", "Pepper,_bell___spot", "R&B", "R&D", *(f"Tomato_{name}" for name in "abcdef"))
    for part in ("train", "test"):
        for number, name in enumerate(labels):
            picture(tmp_path / part / name / f"{number}.png")
    assert opened("imagefolder", tmp_path).labels == labels


def test_folders_within_a_labels_folder_have_a_word(tmp_path):
    for part in ("train", "test"):
        for name in ("animals/dog/1.png", "animals/2.png", "things/sofa/3.png"):
            picture(tmp_path / part / name)
    dataset = opened("imagefolder", tmp_path)
    assert dataset.labels == ("animals", "things")
    told = "train: 2 images lie in folders within a label's, whose names are no labels, as animals/dog/1.png"
    assert told in dataset.notes


def test_validation_is_no_second_reading_of_test(listed):
    (listed / "test").rename(listed / "val")
    dataset = opened("imagefolder", listed, test="val")
    assert dataset.validation is None


def test_folders_without_any_labels_are_one_clear_line(tmp_path):
    with pytest.raises(DataError, match=r"no folder .*train. '--data-root' should hold folders train and test"):
        opened("imagefolder", tmp_path)
    picture(tmp_path / "train" / "a.png")
    picture(tmp_path / "valid" / "a.png")
    (tmp_path / "weights").mkdir()
    with pytest.raises(DataError, match=r"no folder .*test\..* There is valid. Try: --test-split valid$"):
        opened("imagefolder", tmp_path)
    (tmp_path / "test").mkdir()
    with pytest.raises(DataError, match=r"image a.png lies in no label's folder, and there is no labels.csv"):
        opened("imagefolder", tmp_path)
    (tmp_path / "train" / "a.png").unlink()
    with pytest.raises(DataError, match="train: no images"):
        opened("imagefolder", tmp_path)


ANNOTATION = "<annotation><size><width>10</width><height>10</height></size>{}</annotation>"
OBJECT = (
    "<object><name>{}</name><difficult>{}</difficult><bndbox><xmin>0</xmin><ymin>0</ymin><xmax>5</xmax>"
    "<ymax>{}</ymax></bndbox></object>"
)


@pytest.fixture
def voc(tmp_path):
    """Four pictures of classes that VOC does not have, with annotations and no class files."""
    objects = {"1": [("gull", 0, 10)], "2": [("owl", 0, 5), ("gull", 1, 5)], "3": [("owl", 0, 5)], "4": []}
    for image, found in objects.items():
        picture(tmp_path / "JPEGImages" / f"{image}.png")
        (tmp_path / "Annotations").mkdir(exist_ok=True)
        xml = ANNOTATION.format("".join(OBJECT.format(*entry) for entry in found))
        (tmp_path / "Annotations" / f"{image}.xml").write_text(xml)
    (tmp_path / "ImageSets" / "Main").mkdir(parents=True)
    for split, images in {"train": "1 2", "val": "3 4"}.items():
        (tmp_path / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(images.split()))
    return tmp_path


def test_voc_folders_have_the_classes_of_their_annotations(voc):
    dataset = opened("voc-folder", voc)
    assert dataset.labels == ("gull", "owl")
    assert dataset.train.truth.tolist() == [[True, False], [False, True]]
    assert dataset.train.ignore.tolist() == [[False, False], [True, False]]
    np.testing.assert_allclose(dataset.train.sizes, [[0.5, 0.0], [0.0, 0.25]])
    assert dataset.train.images.read(0).shape == (10, 10, 3)
    with pytest.raises(UsageError, match=r"no split 'test' in ImageSets/Main. There is val. Try: --test-split val"):
        opened("voc-folder", voc, test="test")


@pytest.mark.parametrize(
    ("lists", "asked", "parts"),
    [
        ({}, {}, ("train", None, "val")),
        ({"test": "4"}, {}, ("train", "val", "test")),
        ({"test": "4", "trainval": "1 2 3"}, {}, ("trainval", None, "test")),
        ({"test": "4", "trainval": "1 2 3"}, {"train": "train"}, ("train", "val", "test")),
        ({"test": "4", "trainval": "1 2 3"}, {"test": "val"}, ("train", None, "val")),
        ({"fold": "1 2 3", "test": "4"}, {"train": "fold"}, ("fold", None, "test")),
    ],
)
def test_voc_folders_are_measured_on_test_where_it_is_there_and_choose_on_val(voc, lists, asked, parts):
    (voc / "ImageSets" / "Main" / "val.txt").write_text("3")
    for name, images in lists.items():
        (voc / "ImageSets" / "Main" / f"{name}.txt").write_text("\n".join(images.split()))
    dataset = opened("voc-folder", voc, **asked)
    assert tuple(split and split.name for split in (dataset.train, dataset.validation, dataset.test)) == parts
    assert all(name in dataset.variant for name in parts if name)


def test_voc_folders_read_class_files_and_class_lists(voc):
    (voc / "labels.txt").write_text("owl\ngull\n")
    assert opened("voc-folder", voc).labels == ("owl", "gull")
    (voc / "labels.txt").unlink()
    for split, images in {"train": "12", "val": "34"}.items():
        for label in ("bat", "ant"):
            lines = [f"{image} {1 if image in '13' else -1}" for image in images]
            (voc / "ImageSets" / "Main" / f"{label}_{split}.txt").write_text("\r\n".join(lines))
    dataset = opened("voc-folder", voc)
    assert dataset.labels == ("ant", "bat")
    told = (
        "images whose annotations tell other labels than the class files, which are read; without these they would be"
    )
    assert f"train: 2 {told}, as 1" in dataset.notes


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("ImageSets/Main/train.txt", "1\n2\n1\n", "train.txt line 3: image 1 stands twice, first in line 1"),
        ("ImageSets/Main/train.txt", "\n", "train.txt: no images"),
        ("ImageSets/Main/train.txt", "../1\n", r"train.txt line 1: '../1' lies outside the image folder"),
        ("Annotations/1.xml", ANNOTATION.format(OBJECT.format("", 0, 5)), "1.xml: object 1 has no name"),
        (
            "Annotations/1.xml",
            ANNOTATION.format(OBJECT.format("owl", 0, 5).replace("object", "Object")),
            "1.xml: an <o",
        ),
        (
            "Annotations/1.xml",
            ANNOTATION.format(f"<all>{OBJECT.format('owl', 0, 5)}</all>"),
            "1.xml: an <object> elsew",
        ),
        ("Annotations/1.xml", '<?xml version="1.0" encoding="nonsense"?><a/>', "1.xml is no XML: "),
        (
            "Annotations/1.xml",
            '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><a>&b;</a>',
            "1.xml is no XML: ",
        ),
    ],
)
def test_what_is_wrong_in_voc_folders_is_named(voc, file, content, message):
    (voc / file).write_text(content)
    with pytest.raises(DataError, match=message):
        opened("voc-folder", voc)


def test_class_files_and_image_list_of_voc_folders_must_agree(voc):
    for split, images in {"train": "12", "val": "34"}.items():
        (voc / "ImageSets" / "Main" / f"ant_{split}.txt").write_text("\n".join(f"{image} 1" for image in images))
    (voc / "ImageSets" / "Main" / "train.txt").write_text("1\n")
    with pytest.raises(DataError, match=r"Main: train.txt and ant_train.txt list different images: 2"):
        opened("voc-folder", voc)


def test_own_images_train_to_a_table_row(tmp_path, capsys):
    """Each kind of folder goes through the whole run, by the command that docs/your-data.md gives."""
    generator = np.random.default_rng(0)
    for part, count in (("train", 24), ("test", 8)):
        lines = ["path,labels"]
        for number in range(count):
            picture(tmp_path / part / f"{number}.png", int(generator.integers(256)))
            lines.append(f"{number}.png,{'cat;dog' if number % 3 else 'dog'}")
        (tmp_path / part / "labels.csv").write_text("\n".join(lines))
    arguments = ["run", "--model", "knn", "--dataset", "imagefolder", "--data-root", str(tmp_path)]
    chosen = ["--set", "dataset.k=2", "--set", "backbone.images=640", "--set", "backbone.epochs=2"]
    places = ["--out", str(tmp_path / "runs"), "--cache", str(tmp_path / "cache")]
    arguments += ["--backbone", "digits-cnn", *chosen, *places]
    assert run_command_line(arguments) == 0
    told = capsys.readouterr().out
    assert "24" in told
    place = f"--dataset imagefolder --data-root {tmp_path} --backbone digits-cnn {' '.join(places)}"
    assert f"next        bench compare {place} {' '.join(chosen)} --models knn,cnn-rnn" in told


def test_fields_of_json_lines_that_are_not_read_have_a_word(listed):
    assert not any("fields of" in note for note in opened("imagefolder", listed).notes)
    more = {"labels": ["dog"], "negative": ["cat"], "score": 0.1}
    lines = [{"file_name": name} | more for name in ("a.png", "more/b.png")]
    (listed / "test" / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert "test: fields of metadata.jsonl that are not read: negative, score" in opened("imagefolder", listed).notes


def test_a_row_of_another_part_in_a_folders_table_is_refused(listed):
    (listed / "train" / "labels.csv").write_text("path,labels,split\na.png,cat;dog,train\nmore/b.png,dog,test\n")
    with pytest.raises(DataError, match=r"line 3: split 'test' in the table of train. Try: take the line"):
        opened("imagefolder", listed)
    (listed / "train" / "labels.csv").write_text("path,labels,split\na.png,cat;dog,Training\nmore/b.png,dog,\n")
    assert len(opened("imagefolder", listed).train) == 2
    lines = [{"file_name": name, "labels": ["dog"], "split": "train"} for name in ("a.png", "more/b.png")]
    (listed / "test" / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(DataError, match=r"line 1: split 'train' in the table of test. Try: take the line, or what"):
        opened("imagefolder", listed)


def test_a_column_for_each_label_is_read_of_another_file(listed):
    (listed / "train" / "labels.csv").rename(listed / "train" / "metadata.csv")
    (listed / "train" / "metadata.csv").write_text("file_name,cat,dog\na.png,1,1\nmore/b.png,0,1\n")
    with pytest.raises(DataError, match=r"no column 'labels', found: .* Where each label is a column: _classes.csv"):
        opened("imagefolder", listed)

"""A user's own images in folders: imagefolder, coco-json and voc-folder."""

import json
import re

import numpy as np
import pytest
from open_sets import opened
from PIL import Image

from bench import plugins
from bench.cli import run_command_line
from bench.errors import DataError, UsageError


def picture(path, shade=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (10, 10), (shade, 0, 0)).save(path)


@pytest.fixture
def listed(tmp_path):
    """Folders train and test, each with two pictures and a labels file of another kind."""
    for part in ("train", "test"):
        for name in ("a.png", "more/b.png"):
            picture(tmp_path / part / name)
    (tmp_path / "train" / "labels.csv").write_text("path,labels\na.png,cat;dog\nmore/b.png,dog\n")
    lines = [{"file_name": "a.png", "labels": ["dog"]}, {"file_name": "more/b.png", "labels": "dog; cat"}]
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
        ("test/metadata.jsonl", '{"file_name": "a.png", "labels": [1]}', r"line 1: labels are \[1\], expected a list"),
        (
            "test/metadata.jsonl",
            '{"file_name": "a.png", "labels": []}\n{"file_name": "a.png", "labels": []}',
            "line 2: image a.png stands twice",
        ),
        ("train/labels.csv", "path,labels\na.png,cat\nmore/b.png,\ngone.png,cat\n", "no image file .*gone.png"),
        ("train/labels.csv", "path,tags\na.png,cat\n", "line 1: no column 'labels'.* Expected: path and labels$"),
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


def test_columns_of_a_labels_file_may_be_separated_otherwise(listed):
    path = listed / "train" / "labels.csv"
    path.write_text(path.read_text().replace(",", "\t"))
    assert opened("imagefolder", listed, delimiter="tab").train.truth.tolist() == [[True, True], [False, True]]


def test_names_of_a_list_that_are_several_names_are_refused(listed):
    """A list is not split at the separator, so it can hold it."""
    path = listed / "test" / "metadata.jsonl"
    path.write_text(path.read_text().replace('["dog"]', '["cat;dog"]'))
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
    with pytest.raises(DataError, match=r"image a.png lies in no label's folder, and there is no labels.csv"):
        opened("imagefolder", tmp_path)
    (tmp_path / "train" / "a.png").unlink()
    with pytest.raises(DataError, match="train: no images"):
        opened("imagefolder", tmp_path)


def coco_file(path, images, annotations, categories=((1, "cat"), (5, "dog"))):
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "images": [{"id": key, "file_name": name, "width": 10, "height": 20} for key, name in images],
        "categories": [{"id": key, "name": name} for key, name in categories],
        "annotations": [
            {"image_id": image, "category_id": category, "bbox": [0, 0, *box]} for image, category, box in annotations
        ],
    }
    path.write_text(json.dumps(content))


@pytest.fixture
def exported(tmp_path):
    """Train as annotation tools export it, test with a common image folder; both number their images from 1."""
    picture(tmp_path / "train" / "a.png")
    picture(tmp_path / "images" / "a.png")
    boxes = [(1, 1, (5, 4)), (1, 1, (10, 10)), (1, 5, (1, 1))]
    coco_file(tmp_path / "train" / "_annotations.coco.json", [(1, "a.png")], boxes)
    coco_file(tmp_path / "annotations" / "test.json", [(1, "a.png"), (2, "b.png")], [(1, 5, (10, 20))])
    return tmp_path


def test_coco_files_of_ones_own(exported):
    dataset = opened("coco-json", exported)
    assert (dataset.labels, dataset.protocol) == (("cat", "dog"), "top2@1")
    assert (dataset.train.ids, dataset.test.ids) == (("train/a.png",), ("images/a.png",))
    np.testing.assert_allclose(dataset.train.sizes, [[0.5, 0.005]])
    np.testing.assert_allclose(dataset.test.sizes, [[0.0, 1.0]])


def test_coco_labels_are_in_the_order_of_labels_txt(exported):
    """Which was passed over, so that the scores of an exported model were in another one."""
    ids = opened("coco-json", exported)
    (exported / "labels.txt").write_text("\n".join(ids.labels[::-1]))
    listed = opened("coco-json", exported)
    assert listed.labels == ids.labels[::-1]
    for split, other in ((ids.train, listed.train), (ids.test, listed.test)):
        assert np.array_equal(split.truth, other.truth[:, ::-1])
        assert np.array_equal(split.sizes, other.sizes[:, ::-1])
    (exported / "labels.txt").write_text("\n".join((*ids.labels, "zebu")))
    with pytest.raises(DataError, match=r"its categories are not those of labels\.txt, as 'zebu'"):
        opened("coco-json", exported)


def test_annotation_files_that_are_not_read_are_noted(exported):
    (exported / "test.json").write_bytes((exported / "annotations" / "test.json").read_bytes())
    assert "test: 1 annotation files not read, as test.json is, as annotations/test.json" in (
        opened("coco-json", exported).notes
    )


def test_a_coco_file_whose_images_leave_the_folder_is_refused(exported):
    coco_file(exported / "annotations" / "test.json", [(1, "../a.png")], [(1, 5, (1, 1))])
    with pytest.raises(DataError, match=r"image 1 has file_name '../a.png', which leaves the image folder"):
        opened("coco-json", exported)


@pytest.mark.parametrize(
    ("images", "categories", "message"),
    [
        ([(1, "a.png"), (1, "b.png")], [(1, "cat")], "test.json: image id 1 stands twice"),
        ([(1, "a.png"), (2, "a.png")], [(1, "cat")], "test.json: file_name 'a.png' stands twice"),
        ([(1, "a.png")], [(1, "cat"), (1, "dog")], "test.json: category id 1 stands twice"),
        ([(1, "a.png")], [(1, "cat"), (5, "cat")], "test.json: category 'cat' stands twice"),
        ([("x", "a.png")], [(1, "cat")], "test.json is no COCO instances file: id is 'x', allowed: a whole number"),
    ],
)
def test_what_stands_twice_in_a_coco_file_is_named(exported, images, categories, message):
    coco_file(exported / "annotations" / "test.json", images, [(1, 1, (1, 1))], categories)
    with pytest.raises(DataError, match=message):
        opened("coco-json", exported)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{\n"images": "caf\xe9"}', "test.json line 2: not UTF-8 text"),
        (b'{\n"images": [', "test.json line 2 is no JSON: Expecting value. Is the file whole"),
        (b"[" * 100_000, "test.json is no COCO instances file: its lists are too deep"),
        (b"[]", "test.json is no COCO instances file: its content is a list"),
    ],
)
def test_what_is_no_coco_file_is_one_clear_line(exported, content, message):
    (exported / "annotations" / "test.json").write_bytes(content)
    with pytest.raises(DataError, match=message):
        opened("coco-json", exported)


@pytest.mark.parametrize("name", ["images", "annotations", "categories"])
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "'{}' is null, allowed: a list of objects"),
        ({}, "'{}' is an object, allowed: a list of objects"),
        ("none", "'{}' is \"none\", allowed: a list of objects"),
        ([None], "entry 1 of '{}' is null, allowed: an object"),
        ([[]], "entry 1 of '{}' is a list, allowed: an object"),
    ],
)
def test_what_a_coco_file_holds_in_place_of_a_list_of_objects_is_named(exported, name, value, reason):
    path = exported / "annotations" / "test.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    with pytest.raises(DataError, match=f"test.json is no COCO instances file: {reason.format(name)}$"):
        opened("coco-json", exported)


def test_areas_that_are_none_are_no_size(exported):
    path = exported / "annotations" / "test.json"
    content = json.loads(path.read_text())
    for area in (float("nan"), -5.0):
        content["annotations"][0]["area"] = area
        path.write_text(json.dumps(content))
        assert opened("coco-json", exported).test.sizes is None


@pytest.mark.parametrize(
    ("categories", "what"),
    [
        ([(1, "cow")], "as 'cat'"),
        ([(1, "dog"), (5, "cat")], "by the order of their ids: cat, dog and dog, cat"),
    ],
)
def test_coco_files_with_other_categories_are_refused(exported, categories, what):
    coco_file(exported / "annotations" / "test.json", [(1, "a.png")], [(1, 1, (1, 1))], categories)
    with pytest.raises(DataError, match=f"train and test have different categories, {what}"):
        opened("coco-json", exported)


def test_official_coco_knows_its_years_and_sizes(reference_data):
    dataset = opened("coco2017", reference_data / "coco128", absent_labels="drop")
    assert (dataset.name, dataset.protocol) == ("coco2017", "coco-top3@1")
    sizes = dataset.test.sizes
    assert sizes.max() <= 1
    assert ((sizes > 0) == dataset.test.truth).all()
    with pytest.raises(DataError, match=r"no file .*instances_train2014.json"):
        opened("coco2014", reference_data / "coco128")


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
    with pytest.raises(UsageError, match=r"no split 'test', found: train, val. Try: --train-split"):
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

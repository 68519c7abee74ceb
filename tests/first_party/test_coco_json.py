"""A user's own images with COCO's annotation files: coco-json, and the official sets that read the same."""

import json

import numpy as np
import pytest
from bench_datasets.coco_file import _slim
from open_sets import opened, picture

from bench.errors import DataError


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
        ([("x", "a.png")], [(1, "cat")], "test.json: an annotation names image 1, which 'images' lacks"),
        ([("1", "a.png"), (2, "b.png")], [(1, "cat")], "some ids of images are whole numbers and others texts"),
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


def test_coco_files_with_other_categories_are_refused(exported):
    coco_file(exported / "annotations" / "test.json", [(1, "a.png")], [(1, 1, (1, 1))], [(1, "cow")])
    with pytest.raises(
        DataError, match=r"train and test have different categories, as 'cat'. Try: the same 'categories'"
    ):
        opened("coco-json", exported)


def test_files_may_number_their_categories_and_name_their_images_in_ways_of_their_own(exported):
    """As two exports of one tool do, and files of camera traps."""
    path = exported / "annotations" / "test.json"
    coco_file(path, [("0a-1", "a.png")], [("0a-1", 0, (10, 20))], [(0, "dog"), (9, "cat")])
    dataset = opened("coco-json", exported)
    assert dataset.train.labels == dataset.test.labels == ("cat", "dog")
    assert (dataset.test.ids, dataset.test.truth.tolist()) == (("images/a.png",), [[False, True]])


def test_objects_marked_ignore_count_neither_way(exported):
    """As difficult ones of VOC in COCO's format: they were labels."""
    path = exported / "train" / "_annotations.coco.json"
    content = json.loads(path.read_text())
    for number in (0, 2):  # one of two cats, and the only dog
        content["annotations"][number]["ignore"] = 1
    content["images"].append(content["images"][0] | {"id": 2, "file_name": "c.png"})
    content["annotations"].append({"image_id": 2, "category_id": 5})
    path.write_text(json.dumps(content))
    picture(exported / "train" / "c.png", 1)
    dataset = opened("coco-json", exported)
    assert dataset.train.truth.tolist() == [[True, False], [False, True]]
    assert dataset.train.ignore.tolist() == [[False, True], [False, False]]
    assert "train: 1 images have labels of objects marked 'ignore' alone, which count neither way, as a.png" in (
        dataset.notes
    )
    content["annotations"][1]["ignore"] = None
    for mark in ("1", 2, [1]):
        content["annotations"][0]["ignore"] = mark
        path.write_text(json.dumps(content))
        with pytest.raises(DataError, match=r"is no COCO instances file: ignore is .*, allowed: 0 or 1, in "):
            opened("coco-json", exported)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("a.PNG", "There is a.png, in other letters"),
        ("https://x.org/7/a.png", "There is a.png in .*images. Try: write paths so"),
    ],
)
def test_an_image_file_that_is_called_otherwise_is_named(exported, name, why):
    """It was asked whether the data set is unpacked whole."""
    coco_file(exported / "annotations" / "test.json", [(1, name)], [(1, 5, (1, 1))])
    with pytest.raises(DataError, match=rf"test.json: no image file .*\. {why}$"):
        opened("coco-json", exported)


def test_what_parts_are_called_is_told_where_one_is_not_there(exported):
    (exported / "annotations" / "test.json").rename(exported / "annotations" / "instances_val2017.json")
    with pytest.raises(DataError, match=r"no file .*test.json.* There is val2017. Try: --test-split val2017$"):
        opened("coco-json", exported)
    assert len(opened("coco-json", exported, test="val2017").test) == 1


def test_official_coco_knows_its_years_and_sizes(reference_data):
    dataset = opened("coco2017", reference_data / "coco128", absent_labels="drop")
    assert (dataset.name, dataset.protocol) == ("coco2017", "coco-top3@1")
    sizes = dataset.test.sizes
    assert sizes.max() <= 1
    assert ((sizes > 0) == dataset.test.truth).all()
    with pytest.raises(DataError, match=r"no file .*instances_train2014.json"):
        opened("coco2014", reference_data / "coco128")


def test_scores_and_labels_that_nobody_looked_for_have_a_word(exported):
    """Objects of predictions, however unsure, were labels, and what LVIS has not verified was not there."""
    path = exported / "annotations" / "test.json"
    content = json.loads(path.read_text())
    assert not any("score" in note or "neg_" in note for note in opened("coco-json", exported).notes)
    content["annotations"][0]["score"] = 0.03
    content["images"][0]["neg_category_ids"] = [1]
    path.write_text(json.dumps(content))
    notes = opened("coco-json", exported).notes
    told = (
        "test: 1 images have objects with a score other than 1, as of predictions, which are labels like others, as a"
    )
    assert any(note.startswith(told) for note in notes)
    assert any(note.startswith("test: 1 images have neg_category_ids: labels that they lack and") for note in notes)
    content["annotations"][0]["score"] = 1.0
    path.write_text(json.dumps(content))
    assert not any("score" in note for note in opened("coco-json", exported).notes)


def test_images_are_found_by_the_end_of_their_url_and_of_a_files_name(tmp_path):
    """As LVIS names them, part of whose validation images lie in train2017, and as COCO-Stuff calls its files."""
    for number, name in enumerate(("train2017/a.png", "train2017/b.png", "val2017/c.png")):
        picture(tmp_path / name, number)
    coco_file(tmp_path / "annotations" / "stuff_train2017.json", [(1, "a.png")], [(1, 1, (1, 1)), (1, 5, (1, 1))])
    path = tmp_path / "annotations" / "stuff_val2017.json"
    coco_file(path, [(1, "c.png")], [(1, 1, (1, 1))])
    dataset = opened("coco-json", tmp_path, "stuff_train2017", "stuff_val2017")
    assert (dataset.train.ids, dataset.test.ids) == (("train2017/a.png",), ("val2017/c.png",))
    coco_file(path, [(1, "b.png"), (2, "c.png")], [(1, 1, (1, 1)), (2, 1, (1, 1))])
    content = json.loads(path.read_text())
    for image, folder in zip(content["images"], ("train2017", "val2017"), strict=True):
        image["coco_url"] = f"http://images.cocodataset.org/{folder}/{image.pop('file_name')}"
    path.write_text(json.dumps(content))
    dataset = opened("coco-json", tmp_path, "stuff_train2017", "stuff_val2017")
    assert dataset.test.ids == ("train2017/b.png", "val2017/c.png")


@pytest.mark.parametrize(
    ("content", "told"),
    [([], "its content is a list"), ({"images": [], "annotations": []}, "no 'categories' where one is needed")],
)
def test_other_json_says_what_makes_a_table_of_it(tmp_path, content, told):
    (tmp_path / "train.json").write_text(json.dumps(content))
    (tmp_path / "test.json").write_text(json.dumps(content))
    with pytest.raises(
        DataError, match=rf"{told}\. Lines of docs/your-data.md, as for other JSON, make a table of it$"
    ):
        opened("coco-json", tmp_path)


def test_one_file_for_all_images_and_another_folder_say_what_to_do(tmp_path):
    picture(tmp_path / "data" / "a.png")
    for name in ("labels", "more"):
        coco_file(tmp_path / f"{name}.json", [(1, "a.png")], [(1, 1, (1, 1))])
    with pytest.raises(DataError, match=r"There is data/a.png in .*\. Try: .* or --set 'dataset.images=data'$"):
        opened("coco-json", tmp_path, "labels", "more")
    (tmp_path / "more.json").unlink()
    with pytest.raises(DataError, match=r"There is labels. Where one file holds all images"):
        opened("coco-json", tmp_path)
    with pytest.raises(DataError, match=r"no file .*test.json.* Where one file holds all images, lines of docs/your-d"):
        opened("coco-json", tmp_path, "labels", images="data")


def test_where_an_image_has_a_file_its_address_says_nothing():
    """As of COCO's own files, whose addresses name another folder than a data root may."""
    pairs = [("file_name", "a.jpg"), ("coco_url", "http://images.cocodataset.org/train2017/a.jpg")]
    assert _slim(pairs) == _slim(pairs[::-1]) == {"file_name": "a.jpg"}

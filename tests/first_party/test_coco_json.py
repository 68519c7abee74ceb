"""A user's own images with COCO's annotation files: coco-json, and the official sets that read the same."""

import json

import numpy as np
import pytest
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

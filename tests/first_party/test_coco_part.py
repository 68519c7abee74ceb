"""The part of COCO that ids name: the same photographs at every user's."""

import io
import json

import pytest
from bench_datasets import coco_part
from PIL import Image

from bench import DataError, DatasetRequest


def test_the_ids_are_those_of_9000_and_3000_photographs_and_no_one_is_in_both():
    ids = coco_part.image_ids()
    assert {part: len(found) for part, found in ids.items()} == {"train": 9000, "test": 3000}
    assert not ids["train"] & ids["test"]


def official(root, images):
    """The official train2014 of a few ``images``, each of two categories."""
    (root / "annotations").mkdir(parents=True)
    (root / "train2014").mkdir()
    picture = io.BytesIO()
    Image.new("RGB", (8, 8)).save(picture, "JPEG")
    content = {"categories": [{"id": 1, "name": "person"}, {"id": 3, "name": "car"}], "images": [], "annotations": []}
    for image in images:
        name = f"COCO_train2014_{image:012}.jpg"
        content["images"].append({"id": image, "file_name": name})
        content["annotations"] += [{"image_id": image, "category_id": category} for category in (1, 3)]
        (root / "train2014" / name).write_bytes(picture.getvalue())
    (root / "annotations" / "instances_train2014.json").write_text(json.dumps(content))
    return DatasetRequest({}, root)


def test_of_the_official_files_it_takes_its_own_photographs_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(coco_part, "image_ids", lambda: {"train": frozenset({7, 9}), "test": frozenset({8})})
    dataset = coco_part.build(official(tmp_path, [5, 7, 8, 9, 11]))
    assert (dataset.train.ids, dataset.test.ids) == (("7", "9"), ("8",))
    assert dataset.part_of == "a part of train2014: not the official split"
    assert dataset.test.images.read(0).shape == (8, 8, 3)


def test_another_file_than_the_official_one_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(coco_part, "image_ids", lambda: {"train": frozenset({7, 9}), "test": frozenset({8})})
    with pytest.raises(DataError, match=r"instances_train2014.json: 1 of 2 images are not in it, as 9\. Expected:"):
        coco_part.build(official(tmp_path, [7, 8]))

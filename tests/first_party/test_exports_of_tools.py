"""Folders as annotation tools export them are read as they lie, or refused with what to type."""

import json

import pytest
from open_sets import opened, picture

from bench.errors import DataError, UsageError

LABELS = {"a": ["dog", "cat"], "b": ["cat"], "c": ["dog"]}
NAMES = ("cat", "dog")


def coco(*images):
    boxes = [{"image_id": image, "category_id": NAMES.index(label)} for image in images for label in LABELS[image]]
    categories = [{"id": number, "name": name} for number, name in enumerate(NAMES)]
    files = [{"id": image, "file_name": f"{image}.png"} for image in images]
    return json.dumps({"images": files, "categories": categories, "annotations": boxes})


def write(root, **files):
    """Write files of texts, and of pictures where the text is a picture's name."""
    for path, text in files.items():
        if text in LABELS:
            picture(root / path, ord(text))
        else:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
    return root


def held(split):
    return {
        row: {label for label, true in zip(split.labels, truth, strict=True) if true}
        for row, truth in zip(split.ids, split.truth, strict=True)
    }


def test_cvat_calls_its_parts_with_capitals(tmp_path):
    """Its Validation was passed over without a word where Train and Test had been typed."""
    parts = {"Train": "a", "Test": "b", "Validation": "c"}
    for part, image in parts.items():
        files = {f"images/{part}/{image}.png": image, f"annotations/instances_{part}.json": coco(image)}
        write(tmp_path, **files)
    dataset = opened("coco-json", tmp_path, absent_labels="drop")
    assert [held(split) for split in (dataset.train, dataset.test, dataset.validation)] == [
        {f"images/{part}/{image}.png": set(LABELS[image])} for part, image in parts.items()
    ]
    (tmp_path / "annotations" / "instances_Extra.json").write_text("{}")
    assert "data root: 1 annotation files are of no part, as Extra" in opened("coco-json", tmp_path).notes


@pytest.mark.parametrize("folder", ["data", "images", "."])
@pytest.mark.parametrize("file", ["labels.json", "annotations.json"])
def test_a_part_may_hold_its_annotations_and_a_folder_of_its_images(tmp_path, folder, file):
    """The first as FiftyOne exports COCO's format."""
    for part, image in {"train": "a", "test": "b"}.items():
        write(tmp_path, **{f"{part}/{folder}/{image}.png": image, f"{part}/{file}": coco(image)})
    assert [*held(opened("coco-json", tmp_path).train).values()] == [{"cat", "dog"}]
    with pytest.raises(DataError, match=rf"train/{file} may list labels, and is not read. Try: .*--dataset coco-json"):
        opened("imagefolder", tmp_path)


def test_a_list_beside_label_folders_may_tell_more_labels(tmp_path):
    """Of an image's labels CVAT's Ultralytics export takes one for a folder, and labels.json tells all."""
    files = {"train/dog/a.png": "a", "train/cat/b.png": "b", "test/dog/c.png": "c", "train/labels.json": "{}"}
    write(tmp_path, **files)
    with pytest.raises(DataError, match=r"train/labels.json may list labels, and is not read. Try: labels.csv \(path"):
        opened("imagefolder", tmp_path)
    (tmp_path / "train" / "labels.json").rename(tmp_path / "train" / "colours.json")
    assert opened("imagefolder", tmp_path).labels == NAMES


@pytest.mark.parametrize("part", ["default", "Train"])
def test_one_list_of_all_images_says_what_to_do(tmp_path, part):
    """It said --train-split default, and that there is no other one then."""
    write(tmp_path, **{f"annotations/instances_{part}.json": coco("a"), f"ImageSets/Main/{part}.txt": "a\n"})
    with pytest.raises(DataError, match=rf"There is {part}. Where one file holds all images, lines of docs/your-data"):
        opened("coco-json", tmp_path)
    with pytest.raises(UsageError, match=rf"There is {part}. Try: lists train.txt and test.txt of its lines"):
        opened("voc-folder", tmp_path)


def test_lists_may_hold_paths_of_another_machine(tmp_path):
    """As of Darknet: it said that these lie outside the image folder."""
    for name, label in {"a": "dog", "b": "cat"}.items():
        objects = f"<annotation><object><name>{label}</name></object></annotation>"
        write(tmp_path, **{f"JPEGImages/{name}.png": name, f"Annotations/{name}.xml": objects})
    lists = {"train": "/home/ada/VOC/JPEGImages/a.png\n", "val": "C:\\VOC\\JPEGImages\\b.png\n"}
    write(tmp_path, **{f"ImageSets/Main/{part}.txt": line for part, line in lists.items()})
    dataset = opened("voc-folder", tmp_path, absent_labels="drop")
    assert [held(split) for split in (dataset.train, dataset.test)] == [{"a": {"dog"}}, {"b": set()}]


def test_class_files_that_lack_images_say_what_they_want(tmp_path):
    """CVAT's hold images with a tag alone."""
    write(tmp_path, **{"ImageSets/Main/train.txt": "a\nb", "ImageSets/Main/val.txt": "c\n", "JPEGImages/a.png": "a"})
    write(tmp_path, **{"ImageSets/Main/cat_train.txt": "a  1", "ImageSets/Main/cat_val.txt": "c -1"})
    with pytest.raises(DataError, match=r"train.txt and cat_train.txt list different images: b. Try: a line 'b -1' in"):
        opened("voc-folder", tmp_path)


@pytest.mark.parametrize(
    ("files", "form"),
    [
        (["train/_annotations.coco.json"], "There is train/_annotations.coco.json. Try: --dataset coco-json"),
        (["annotations/instances_default.json"], "Try: --dataset coco-json"),
        (["ImageSets/Main/train.txt"], "There is ImageSets/Main/train.txt. Try: --dataset voc-folder"),
        (["train/_classes.csv"], "Try: --dataset imagefolder"),
        (["export.ndjson"], "There is export.ndjson. Of labels in another form, lines of docs/your-data.md"),
        (["labels.parquet"], "Try: --dataset shards where it holds the pictures, or save it as labels.csv"),
    ],
)
def test_a_folder_in_another_form_is_told_by_what_lies_in_it(tmp_path, files, form):
    write(tmp_path, **dict.fromkeys(files, "x"))
    with pytest.raises(DataError) as told:
        opened("csv", tmp_path)
    assert form in str(told.value)

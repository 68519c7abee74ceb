"""The lines of docs/your-data.md that make tables of other tools' files give the labels that those hold."""

import json
import re
from pathlib import Path

import open_sets
import pytest
from open_sets import opened

PAGE = Path(__file__).parents[2] / "docs" / "your-data.md"


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_lines_of(name):
    """Run the block of Python that follows the paragraph which begins with ``name``."""
    section = PAGE.read_text(encoding="utf-8").partition("## Files of other tools")[2]
    exec(re.search(rf"^{name}.*?^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)[1], {})


def picture(path):
    """Write a picture that is another for each name."""
    open_sets.picture(path, sum(map(ord, path.name)) % 256)


def held(split):
    return [[split.labels[column] for column in row.nonzero()[0]] for row in split.truth]


def test_celeba(place):
    names = [f"{number:06}.jpg" for number in range(1, 7)]
    for name in names:
        picture(place / "img_align_celeba" / name)
    signs = [" 1 -1", "-1  1", " 1  1", "-1 -1", " 1 -1", "-1  1"]
    rows = [f"{name} {sign}" for name, sign in zip(names, signs, strict=True)]
    (place / "list_attr_celeba.txt").write_text("\n".join(["6", "Eyeglasses Smiling ", *rows, ""]))
    parts = [f"{name} {part}" for name, part in zip(names, (0, 0, 1, 1, 2, 2), strict=True)]
    (place / "list_eval_partition.txt").write_text("\n".join([*parts, ""]))
    run_lines_of("CelebA")
    dataset = opened("csv", place)
    assert held(dataset.train) == [["Eyeglasses"], ["Smiling"]]
    assert held(dataset.validation) == [["Eyeglasses", "Smiling"], []]
    assert held(dataset.test) == [["Eyeglasses"], ["Smiling"]]


def test_open_images(place):
    (place / "class-descriptions.csv").write_text("/m/01,Dog\n/m/02,Toy\n/m/03,Cat\n")
    for part in ("train", "validation", "test"):
        lines = [f"{part}0,verification,/m/01,1", f"{part}0,verification,/m/02,0", f"{part}1,verification,/m/02,1"]
        lines += [f"{part}1,verification,/m/03,1", f"{part}2,crowdsource,/m/03,0"]
        text = "\n".join(["ImageID,Source,LabelName,Confidence", *lines, ""])
        (place / f"{part}-annotations-human-imagelabels.csv").write_text(text)
        for number in range(3):
            picture(place / part / f"{part}{number}.jpg")
    run_lines_of("Open Images")
    dataset = opened("csv", place, labels_column="", values="-1:ignore")
    assert held(dataset.test) == [["Dog"], ["Toy", "Cat"], []]
    assert dataset.test.ignore.tolist() == [[False, False, True], [True, False, False], [True, True, False]]


def test_a_row_for_each_image_and_label(place):
    for name in ("a", "b", "c"):
        picture(place / f"{name}.png")
    rows = ["image,label,x1", "a.png,dog,1", "b.png,,", "a.png,NA,2", "a.png,dog,3", "c.png,NA,4"]
    (place / "pairs.csv").write_text("\n".join(rows))
    run_lines_of("A row for each image and label")
    assert (place / "labels.csv").read_text().split() == ["path,labels", "a.png,NA;dog", "b.png,", "c.png,NA"]


def test_coco_in_one_file(place):
    for name in "abc":
        picture(place / "images" / f"{name}.png")
    content = {
        "images": [{"id": number, "file_name": f"{name}.png"} for number, name in enumerate("abc")],
        "categories": [{"id": 3, "name": "dog"}, {"id": 1, "name": "cat"}],
        "annotations": [{"image_id": image, "category_id": label} for image, label in ((0, 3), (2, 3), (2, 1), (0, 3))],
    }
    (place / "annotations").mkdir()
    (place / "annotations" / "instances_default.json").write_text(json.dumps(content))
    run_lines_of("COCO's format with all images in one file")
    rows = ["path,labels", "images/a.png,dog", "images/b.png,", "images/c.png,cat;dog"]
    assert (place / "labels.csv").read_text().split() == rows


def test_mirflickr(place):
    for number in (1, 2, 10):
        picture(place / "mirflickr" / f"im{number}.jpg")
    (place / "annotations").mkdir()
    for name, text in {"sky": "1\n10\n", "sea": "10\n", "sky_r1": "2\n", "README": "Each file lists numbers."}.items():
        (place / "annotations" / f"{name}.txt").write_text(text)
    run_lines_of("A list of images for each label")
    rows = ["path,labels", "mirflickr/im1.jpg,sky", "mirflickr/im10.jpg,sea;sky", "mirflickr/im2.jpg,"]
    assert (place / "labels.csv").read_text().split() == rows


@pytest.mark.parametrize("names", ["[dog, toy, cat]", "{0: dog, 1: toy, 2: cat}"])
def test_yolo(place, names):
    (place / "data.yaml").write_text(f"train: images/train\nval: images/val\nnc: 3\nnames: {names}\n")
    for part in ("train", "val", "test"):
        for number, boxes in enumerate(
            ("2 .5 .5 .1 .1\n0 .5 .5 .2 .2\n2 .1 .1 .1 .1\n", "", "1 0.1 0.1 0.3 0.3 0.2 0.2\n")
        ):
            picture(place / "images" / part / f"{part}{number}.png")
            text = place / "labels" / part / f"{part}{number}.txt"
            text.parent.mkdir(parents=True, exist_ok=True)
            text.write_text(boxes)
    (place / "labels" / "train" / "train1.txt").unlink()  # an image without boxes may have no file
    run_lines_of("YOLO")
    dataset = opened("csv", place)
    assert sorted(dataset.test.labels) == ["cat", "dog", "toy"]
    assert [sorted(labels) for labels in held(dataset.train)] == [["cat", "dog"], [], ["toy"]]
    assert [sorted(labels) for labels in held(dataset.test)] == [["cat", "dog"], [], ["toy"]]

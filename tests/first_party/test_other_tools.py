"""The lines of docs/your-data.md that make tables of other tools' files give the labels that those hold."""

import json
import re
from pathlib import Path

import numpy as np
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


def test_a_list_of_the_images_of_a_part(place):
    names = [f"{number:08}_000.png" for number in range(4)]
    for name in names:
        picture(place / "images_001" / "images" / name)
    # The last column has no name in the file of 2017.
    head = "Image Index,Finding Labels,Patient ID,OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
    cells = ("Mass|Edema", "No Finding", "Edema", "No Finding")
    rows = [f"{name},{cell},1,2682,2749,0.143,0.143," for name, cell in zip(names, cells, strict=True)]
    (place / "Data_Entry_2017.csv").write_text("\n".join([head, *rows, ""]))
    (place / "test_list.txt").write_text("\n".join([*names[2:], ""]))
    run_lines_of("A list of the images of a part")
    dataset = opened("csv", place, **options_of("ChestX-ray14"))
    assert held(dataset.train) == [["Edema", "Mass"], []]
    assert held(dataset.test) == [["Edema"], []]


def test_lists_of_paths_and_zeros_and_ones(place):
    for part, names in (("train", "ab"), ("test", "cd")):
        for name in names:
            picture(place / "images" / f"{name}.jpg")
        (place / f"{part}.txt").write_text("".join(f"images/{name}.jpg 0 {int(name in 'ac')}  1\n" for name in names))
    run_lines_of("Lists of a path and 0 or 1")
    dataset = opened("csv", place, labels_column="", not_labels="label 3", absent_labels="drop")
    assert (held(dataset.train), held(dataset.test)) == ([["label 2"], []], [["label 2"], []])


def test_pa_100k(place):
    savemat = pytest.importorskip("scipy.io", reason="needs scipy: pip install scipy").savemat
    content = {"attributes": cells(["Female", "Hat"])}
    for part, truth in (("train", [[1, 0], [0, 1], [0, 0]]), ("val", [[1, 1], [0, 0]]), ("test", [[0, 1], [1, 0]])):
        names = [f"{part}{number}.jpg" for number in range(len(truth))]
        for name in names:
            picture(place / "data" / name)
        content |= {f"{part}_images_name": cells(names), f"{part}_label": np.array(truth, np.uint8)}
    savemat(place / "annotation.mat", content)
    run_lines_of("PA-100K")
    dataset = opened("csv", place, labels_column="", images="data/{}")
    assert held(dataset.train) == [["Female"], ["Hat"], []]
    assert (held(dataset.validation), held(dataset.test)) == ([["Female", "Hat"], []], [["Hat"], ["Female"]])


def cells(texts):
    """Return a column of cells, as MATLAB keeps texts."""
    return np.array(texts, dtype=object)[:, None]


def test_other_json(place):
    labels = {"1.jpg": [0, 7], "2.jpg": [7], "3.jpg": [0, 7]}
    (place / "vg_category_500_labels_index.json").write_text(json.dumps(labels))
    (place / "train_list_500.txt").write_text("2.jpg\n1.jpg\n")
    (place / "test_list_500.txt").write_text("3.jpg\n")
    for path in ("VG_100K/1.jpg", "VG_100K/3.jpg", "VG_100K_2/2.jpg"):
        picture(place / path)
    run_lines_of("Other JSON than COCO's")
    dataset = opened("csv", place, images="VG_100K*/{}")
    assert (held(dataset.train), held(dataset.test)) == ([["7"], ["0", "7"]], [["0", "7"]])


def options_of(name):
    """Return what the table of data sets that are read as they are says of the one that begins with ``name``."""
    row = re.search(rf"^\| {name}.*\|(.*)\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)[1]
    return dict(one.split("=", 1) for one in re.findall("`([^`]*)`", row))


AS_PUBLISHED = {
    "CelebA on Kaggle": (
        "labels.csv",
        ["image_id,Bald,Young", "{}.jpg,-1,1", "{}.jpg,1,-1"],
        "img_align_celeba/img_align_celeba/{}.jpg",
        [["Young"], ["Bald"]],
    ),
    "ChestX-ray14": (
        "labels.csv",
        ["Image Index,Finding Labels,Patient ID", "{}.png,Mass|Edema,1", "{}.png,No Finding,2"],
        "images_00{}/images/{}.png",
        [["Edema", "Mass"], []],
    ),
    "Planet's Amazon": (
        "labels.csv",
        ["image_name,tags", "{},haze primary", "{},primary"],
        "train-jpg/{}.jpg",
        [["haze", "primary"], ["primary"]],
    ),
    "Plant Pathology 2021": (
        "labels.csv",
        ["image,labels", "{}.jpg,scab rust", "{}.jpg,rust"],
        "train_images/{}.jpg",
        [["rust", "scab"], ["rust"]],
    ),
    "Human Protein Atlas": (
        "labels.csv",
        ["Id,Target", "{},16 0", "{},16"],
        "train/{}_green.png",
        [["0", "16"], ["16"]],
    ),
    "UC Merced": (
        "labels.tsv",
        ["IMAGE\\LABEL\tcars\tsea", "{}\t1\t0", "{}\t0\t1"],
        "Images/class{}/{}.tif",
        [["cars"], ["sea"]],
    ),
}


@pytest.mark.parametrize("name", AS_PUBLISHED)
def test_a_set_is_read_as_it_is_published(place, name):
    """Ten pictures of each of two label sets, one of them in train and test."""
    file, (head, *rows), path, expected = AS_PUBLISHED[name]
    lines, labels = [head], {}
    for number in range(20):
        lines.append(rows[number % 2].format(number))
        image = path.replace("{}", str(number % 3), path.count("{}") - 1).format(number)
        open_sets.picture(place / image, number)
        labels[image] = expected[number % 2]
    (place / file).write_text("\n".join(lines))
    dataset = opened("csv", place, **options_of(name))
    found = {}
    for split in (dataset.train, dataset.test):
        found |= dict(zip(split.ids, held(split), strict=True))
    assert found == labels


def test_chexpert_is_read_as_it_is_published(place):
    marks = {"train": ["1.0,-1.0", ",1.0", "0.0,0.0"], "valid": ["1.0,0.0", "0.0,1.0"]}
    for part, cells in marks.items():
        rows = [f"{part}/patient{n}/study1/view1.jpg,Male,{n + 30},Frontal,AP,{cell}" for n, cell in enumerate(cells)]
        for row in rows:
            picture(place / row.partition(",")[0])
        (place / f"{part}.csv").write_text("\n".join(["Path,Sex,Age,Frontal/Lateral,AP/PA,Edema,Mass", *rows]))
    dataset = opened("csv", place, test="valid", **options_of("CheXpert"))
    assert (held(dataset.train), held(dataset.test)) == ([["Edema"], ["Mass"], []], [["Edema"], ["Mass"]])
    assert dataset.train.ignore.tolist() == [[False, True], [False, False], [False, False]]


def test_pascal_of_fast_ai_is_read_as_it_is_published(place):
    for part, first in (("train", 5), ("test", 1)):
        rows = [f"{number:06}.jpg,{'car person' if number % 2 else 'car'}" for number in (first, first + 1)]
        for row in rows:
            picture(place / part / row.partition(",")[0])
        more = (",is_valid", ",True") if part == "train" else ("", "")
        (place / f"{part}.csv").write_text("\n".join(["fname,labels" + more[0], *(row + more[1] for row in rows)]))
    dataset = opened("csv", place, **options_of("PASCAL VOC 2007 of fast.ai"))
    assert dataset.train.ids == ("train/000005.jpg", "train/000006.jpg")
    assert held(dataset.train) == held(dataset.test) == [["car", "person"], ["car"]]


@pytest.mark.parametrize("head", ["", "LabelName,DisplayName\n"])
def test_open_images(place, head):
    (place / "class-descriptions.csv").write_text(f"{head}/m/01,Dog\n/m/02,Toy\n/m/03,Cat\n")
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


def test_folders_of_labels_without_parts(place):
    for name in ("dog/1.jpg", "dog/2.png", "wild cat/1.jpg"):
        picture(place / name)
    (place / "dog" / "notes.txt").write_text("")
    run_lines_of("A folder for each label, and no folders train and test")
    rows = ["path,labels", "dog/1.jpg,dog", "dog/2.png,dog", "wild cat/1.jpg,wild cat"]
    assert (place / "labels.csv").read_text().splitlines() == rows


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

"""The data sets that read files, on the real files where they are at hand, and on damaged copies."""

import json
import re
import shutil
import tarfile

import numpy as np
import pytest
from open_sets import opened
from PIL import Image

from bench.data.fingerprint import fingerprint
from bench.data.statistics import statistics
from bench.data.unpack import extract
from bench.errors import BenchError, DataError, UsageError


@pytest.fixture(scope="session")
def voc_lists(reference_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("voc")
    extract(reference_data / "voc2007_imagesets_main.tar.xz", folder)
    return folder


def test_voc2007_counts_are_the_official_ones(voc_lists):
    dataset = opened("voc2007", voc_lists)
    train, test = statistics(dataset.train), statistics(dataset.test)
    assert (train["images"], test["images"]) == (5011, 4952)
    counts = {
        label: [(part["label_counts"][label], part["ignored_counts"][label]) for part in (train, test)]
        for label in ("aeroplane", "person")
    }
    assert counts["aeroplane"] == [(238, 2), (204, 1)]
    assert [positive for positive, _ in counts["person"]] == [2008, 2007]
    assert dataset.labels[0] == "aeroplane"
    assert dataset.labels[-1] == "tvmonitor"
    assert dataset.protocol == "voc2007@1"


def test_voc2007_splits_are_named_and_disjoint(voc_lists):
    dataset = opened("voc2007", voc_lists, "train", "val")
    assert (len(dataset.train), len(dataset.test)) == (2501, 2510)
    with pytest.raises(UsageError, match="found split 'dev', allowed: trainval, train, val, test"):
        opened("voc2007", voc_lists, "dev")
    with pytest.raises(DataError, match="images are in both trainval and val"):
        opened("voc2007", voc_lists, "trainval", "val")


def test_voc2007_with_other_labels_than_the_official_ones_says_so(voc_lists, tmp_path):
    """As of copies whose difficult objects were taken for others, or for none."""
    assert not opened("voc2007", voc_lists).notes
    assert not opened("voc2007", voc_lists, "train", "val").notes
    for flag, labels, ignored in (("1", "7,014", 618), ("-1", "7,013", 618)):
        shutil.copytree(voc_lists, copy := tmp_path / flag)
        path = copy / "VOC2007" / "ImageSets" / "Main" / "aeroplane_test.txt"
        path.write_text(re.sub(" 0$", f" {flag}", path.read_text(), count=1, flags=re.MULTILINE))
        dataset = opened("voc2007", copy)
        (note,) = dataset.notes
        assert dataset.part_of == "labels other than the published ones"
        assert note.startswith(
            f"test: {labels} labels and {ignored} ignored ones, the official 4,952 images have 7,013 and"
        )


def test_images_of_later_years_are_not_voc2007(xml_voc):
    (xml_voc / "VOC2007" / "ImageSets" / "Main" / "test.txt").write_text("2008_000002")
    write_xml(xml_voc, "2008_000002", [("sofa", 0)])
    with pytest.raises(DataError, match=r"image '2008_000002' is of VOC 2008. Try: --dataset voc-folder"):
        opened("voc2007", xml_voc)


def test_voc2007_without_pictures_gives_labels_and_says_so_when_read(voc_lists):
    with pytest.raises(DataError, match=r"cannot read image \d+.jpg: there is no folder .*JPEGImages"):
        opened("voc2007", voc_lists).train.images.read(0)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("000005 2", "cat_trainval.txt line 1: found '000005 2'"),
        ("000005", "cat_trainval.txt line 1: found '000005'"),
        ("000007 1", "line 2: image 000007 stands twice"),
        ("zzz 1", "cat_trainval.txt and aeroplane_trainval.txt list different images"),
    ],
)
def test_voc2007_names_the_damaged_line(voc_lists, tmp_path, line, message):
    shutil.copytree(voc_lists, tmp_path / "copy")
    path = tmp_path / "copy" / "VOC2007" / "ImageSets" / "Main" / "cat_trainval.txt"
    path.write_text("\n".join([line, *path.read_text().splitlines()[1:]]))
    with pytest.raises(DataError, match=message):
        opened("voc2007", tmp_path / "copy")


def write_xml(root, image, objects):
    entries = "".join(
        f"<object><name>{name}</name><difficult>{difficult}</difficult></object>" for name, difficult in objects
    )
    path = root / "VOC2007" / "Annotations" / f"{image}.xml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"<annotation>{entries}</annotation>")


@pytest.fixture
def xml_voc(tmp_path):
    """A VOC folder without class files: an image list for each split, and annotations that show every class."""
    from bench_datasets.voc2007 import CLASSES

    main = tmp_path / "VOC2007" / "ImageSets" / "Main"
    main.mkdir(parents=True)
    (main / "trainval.txt").write_text("1\n2\n")
    (main / "test.txt").write_text("3\n")
    write_xml(tmp_path, 1, [(name, 0) for name in CLASSES] + [("cat", 1)])
    write_xml(tmp_path, 2, [("dog", 1), ("cat", 1), ("cat", 0)])
    write_xml(tmp_path, 3, [("sofa", 1)])
    return tmp_path


def test_voc2007_reads_the_annotations_where_class_files_are_absent(xml_voc):
    dataset = opened("voc2007", xml_voc)
    dog, cat, sofa = (dataset.labels.index(name) for name in ("dog", "cat", "sofa"))
    assert dataset.train.truth[1].nonzero()[0].tolist() == [cat]
    assert dataset.train.ignore[1].nonzero()[0].tolist() == [dog]
    assert dataset.test.ignore[0].nonzero()[0].tolist() == [sofa]
    assert not dataset.test.truth.any()


def test_voc2007_names_an_annotation_with_an_unknown_label(xml_voc):
    write_xml(xml_voc, 2, [("unicorn", 0)])
    with pytest.raises(DataError, match=r"2.xml: unknown label 'unicorn', allowed: aeroplane"):
        opened("voc2007", xml_voc)
    (xml_voc / "VOC2007" / "Annotations" / "2.xml").write_text("<annotation><object>")
    with pytest.raises(DataError, match=r"2.xml is no XML"):
        opened("voc2007", xml_voc)
    (xml_voc / "VOC2007" / "Annotations" / "2.xml").unlink()
    with pytest.raises(DataError, match=r"no file .*2.xml, listed in ImageSets/Main/trainval.txt"):
        opened("voc2007", xml_voc)


def test_coco_reads_the_official_files(reference_data):
    dataset = opened("coco", reference_data / "coco128", absent_labels="drop")
    assert (len(dataset.train), len(dataset.test), len(dataset.labels)) == (126, 127, 71)
    assert "9 categories without an image in train2017 left out" in dataset.variant
    assert dataset.train.images.read(0).dtype == np.uint8
    kept = opened("coco", reference_data / "coco128", absent_labels="drop", keep_unlabelled=True)
    assert (len(kept.train), len(kept.test)) == (128, 128)
    assert fingerprint(kept.train) != fingerprint(dataset.train)


def test_coco_refuses_categories_that_train_never_shows(reference_data):
    with pytest.raises(DataError, match=r"9 of 80 labels have no image in train2017.*dataset.absent_labels=drop"):
        opened("coco", reference_data / "coco128")


@pytest.fixture
def tiny_coco(tmp_path):
    """Two splits of three pictures and two categories, and a way to damage a split's JSON."""
    for number, split in enumerate(("train2014", "val2014")):
        images = [{"id": 10 * number + i, "file_name": f"{split}_{i}.jpg"} for i in range(3)]
        content = {
            "images": images,
            "categories": [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}],
            "annotations": [
                {"image_id": images[0]["id"], "category_id": 7, "iscrowd": 0},
                {"image_id": images[1]["id"], "category_id": 3, "iscrowd": 1},
            ],
        }
        (tmp_path / split).mkdir()
        (tmp_path / "annotations").mkdir(exist_ok=True)
        for image in images:
            Image.new("RGB", (8, 8)).save(tmp_path / split / image["file_name"])
        (tmp_path / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))

    def change(edit):
        path = tmp_path / "annotations" / "instances_train2014.json"
        content = json.loads(path.read_text())
        edit(content)
        path.write_text(json.dumps(content))

    return tmp_path, change


def test_coco_labels_come_in_the_order_of_the_official_ids(tiny_coco):
    dataset = opened("coco", tiny_coco[0])
    assert dataset.labels == ("cat", "dog")
    assert dataset.train.truth.tolist() == [[False, True], [True, False]]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda content: content["annotations"][0].update(category_id=99), "has category 99, which 'categories' lacks"),
        (lambda content: content["annotations"][0].update(image_id=99), "names image 99, which 'images' lacks"),
        (lambda content: content.pop("images"), "is no COCO instances file: no 'images' where one is needed"),
        (lambda content: content.update(annotations=[]), "no image with an annotation"),
        (lambda content: content["images"][0].update(file_name="gone.jpg"), "no image file .*gone.jpg"),
        (lambda content: content["categories"].pop(), "category 3, which 'categories' lacks"),
    ],
)
def test_coco_names_what_is_wrong_with_its_files(tiny_coco, edit, message):
    root, change = tiny_coco
    change(edit)
    with pytest.raises(DataError, match=message):
        opened("coco", root)


def test_coco_that_is_no_json_is_one_clear_line(tiny_coco):
    (tiny_coco[0] / "annotations" / "instances_val2014.json").write_text('{"images": [')
    with pytest.raises(
        DataError, match=r"instances_val2014.json line 1 is no JSON: Expecting value. Is the file whole"
    ):
        opened("coco", tiny_coco[0])


@pytest.fixture
def tiny_corel(tmp_path):
    lines = {"train": ["a.jpg\tsky,sea", "b.jpg\tsky", "c.jpg\tcat"], "test": ["d.jpg\tsky,sun"]}
    (tmp_path / "images").mkdir()
    for name, rows in lines.items():
        (tmp_path / f"{name}.tsv").write_text("\n".join(rows) + "\n")
        for row in rows:
            Image.new("RGB", (8, 8)).save(tmp_path / "images" / row.partition("\t")[0])
    return tmp_path


def test_corel5k_takes_the_words_that_were_asked_for(tiny_corel):
    assert opened("corel5k", tiny_corel).labels == ("sky",)
    assert opened("corel5k", tiny_corel, labels="all").labels == ("cat", "sea", "sky")
    frequent = opened("corel5k", tiny_corel, labels="frequent", min_images="2")
    assert frequent.labels == ("sky",)
    assert "1 images without one left out" in frequent.variant


def test_byte_order_marks_and_windows_line_ends_change_nothing(tiny_corel):
    before = opened("corel5k", tiny_corel)
    path = tiny_corel / "train.tsv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert fingerprint(opened("corel5k", tiny_corel).train) == fingerprint(before.train)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "train.tsv: no images"),
        (b"a.jpg sky\n", "train.tsv line 1: found 'a.jpg sky'"),
        (b"a.jpg\tsky\n\xff\xfe\n", "train.tsv line 2: not UTF-8"),
        (b"a.jpg\tsky\nb.jpg\tsky;sea\n", "train.tsv line 2: label 'sky;sea' looks like 2 labels. Try: a comma"),
        (b"a.jpg\tsky\na.jpg\tsky\n", "line 2: image a.jpg stands twice"),
        (b"gone.jpg\tsky\n", "no image file .*gone.jpg, listed in .*train.tsv"),
    ],
)
def test_corel5k_names_the_damaged_line(tiny_corel, content, message):
    (tiny_corel / "train.tsv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        opened("corel5k", tiny_corel)


def test_corel5k_counts_are_those_of_the_literature(reference_data, tmp_path):
    with tarfile.open(reference_data / "corel5k.tar.gz") as archive:
        for name in ("train.tsv", "test.tsv"):
            (tmp_path / name).write_bytes(archive.extractfile(f"corel5k/{name}").read())
    dataset = opened("corel5k", tmp_path)
    assert len(dataset.labels) == 260
    assert (len(dataset.train), len(dataset.test)) == (4493, 499)


@pytest.mark.parametrize(
    ("name", "root", "message"),
    [
        ("voc2007", "", "no folder .*Main. '--data-root' should hold VOC2007/ImageSets/Main"),
        ("coco", "", "no file .*instances_train2014.json. '--data-root' should hold annotations"),
        ("corel5k", "", r"no file .*train.tsv. Expected there: train.tsv and test.tsv"),
        ("coco", "nowhere", "data root .*nowhere is no folder. 'coco' expects there: annotations"),
        ("coco", None, "dataset 'coco' needs its files. Try: bench data download coco --out DIR "),
        ("digit-scenes", "", "built in and reads no files. Try: without --data-root"),
    ],
)
def test_a_wrong_data_root_says_what_was_expected_where(tmp_path, name, root, message):
    with pytest.raises(BenchError, match=message):
        opened(name, None if root is None else tmp_path / root)

import tracemalloc

import numpy as np
import pytest
from bench_datasets import nuswide
from example_lists import write_nuswide_1000
from open_sets import opened
from PIL import Image

from bench.cli import run_command_line
from bench.data.statistics import statistics
from bench.errors import DataError

TRAIN = ["actor\\0001_1.jpg", "sky\\0002_2.jpg", "sky\\0003_3.jpg"]
TEST = ["actor\\0004_4.jpg", "sky\\0005_5.jpg"]
TRUTH = {"Train": [[1, 0], [0, 0], [1, 1]], "Test": [[0, 1], [1, 0]]}


@pytest.fixture
def root(tmp_path):
    """The official files of two concepts and three tags, written as on Windows, without images."""
    (tmp_path / "ImageList").mkdir()
    for name, images in (("Train", TRAIN), ("Test", TEST), ("", TRAIN + TEST)):
        (tmp_path / "ImageList" / f"{name}Imagelist.txt").write_bytes("\r\n".join([*images, ""]).encode())
    (tmp_path / "Concepts81.txt").write_text("person\nsky\n")
    labels = tmp_path / "Groundtruth" / "TrainTestLabels"
    labels.mkdir(parents=True)
    for part, rows in TRUTH.items():
        for column, name in enumerate(("person", "sky")):
            (labels / f"Labels_{name}_{part}.txt").write_text("".join(f"{row[column]}\n" for row in rows))
    (tmp_path / "TagList1k.txt").write_text("red\ngreen\nblue\n")
    (tmp_path / "AllTags1k.txt").write_text("1\t0\t0\n0\t1\t0\n0\t0\t1\n0\t0\t0\n1\t1\t0\n")
    return tmp_path


def test_concepts_are_read_and_unlabelled_images_dropped(root):
    dataset = opened("nuswide-81", root)
    assert dataset.labels == ("person", "sky")
    assert dataset.train.ids == ("actor/0001_1.jpg", "sky/0003_3.jpg")
    np.testing.assert_array_equal(dataset.train.truth, [[True, False], [True, True]])
    np.testing.assert_array_equal(dataset.test.truth, [[False, True], [True, False]])
    assert dataset.protocol == "nuswide81-top3@1"
    assert dataset.variant == "official split, 2 / 2 images, unlabelled dropped"
    assert len(opened("nuswide-81", root, keep_unlabelled=True).train) == 3


def test_tags_follow_the_list_of_all_images(root):
    dataset = opened("nuswide-1000", root)
    assert dataset.labels == ("red", "green", "blue")
    np.testing.assert_array_equal(dataset.train.truth, np.eye(3, dtype=bool))
    np.testing.assert_array_equal(dataset.test.truth, [[True, True, False]])
    assert dataset.protocol == "nuswide1000-top10@1"


def test_labels_alone_are_enough_to_count(root):
    assert statistics(opened("nuswide-81", root).train)["label_counts"] == {"person": 2, "sky": 1}


def test_images_that_are_gone_are_counted_and_make_another_data_set(root):
    whole = statistics(opened("nuswide-81", root).train)["fingerprint"]
    for name in (TRAIN + TEST)[1:]:
        file = root / "Flickr" / name.replace("\\", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(file)
    dataset = opened("nuswide-81", root)
    assert dataset.train.ids == ("sky/0003_3.jpg",)
    assert "1 listed images are gone (first: actor/0001_1.jpg)" in dataset.variant
    assert dataset.gone == ("actor/0001_1.jpg",)
    assert dataset.train.images.read(0).shape == (8, 8, 3)
    assert statistics(dataset.train)["fingerprint"] != whole


def test_verifying_lists_the_images_that_are_gone(root, capsys):
    for name in (TRAIN + TEST)[1:]:
        file = root / "images" / name.replace("\\", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (len(name), len(list(root.rglob("*"))), 0)).save(file)
    assert run_command_line(["data", "verify", "nuswide-81", "--data-root", str(root)]) == 0
    printed = capsys.readouterr().out
    assert "gone, so in no split: actor/0001_1.jpg" in printed
    assert "0 in train and in test, 1 listed but gone" in printed
    assert "known with 125,449 / 83,898 images: official split, labelled only" in printed


def test_a_random_split_depends_on_its_seed_alone(root):
    drawn = [opened("nuswide-81", root, split="random150k", train_images=3, split_seed=seed) for seed in (0, 0, 1, 2)]
    assert drawn[0].train.ids == drawn[1].train.ids
    assert {dataset.train.ids for dataset in drawn} != {drawn[0].train.ids}
    assert all((len(dataset.train), len(dataset.test)) == (3, 1) for dataset in drawn)
    with pytest.raises(DataError, match="150,000 training images asked for, 4 usable"):
        opened("nuswide-81", root, split="random150k")


BAD = {
    "length": ("Groundtruth/TrainTestLabels/Labels_sky_Test.txt", "1\n", "1 rows for the 2 images of TestImagelist"),
    "row": ("Groundtruth/TrainTestLabels/Labels_sky_Test.txt", "\n1 0\n", "line 2: 2 numbers, expected 1. Is the file"),
    "no rows": (
        "Groundtruth/TrainTestLabels/Labels_sky_Test.txt",
        "",
        "Labels_sky_Test.txt: empty file. Expected: 1 num",
    ),
    "image twice": (
        "ImageList/TestImagelist.txt",
        "a\n\na\n",
        "TestImagelist.txt line 3: image a stands twice, first in",
    ),
    "letters": ("Groundtruth/TrainTestLabels/Labels_sky_Test.txt", "1\nx\n", "line 2: found 'x', allowed: 0 and 1"),
    "no list": ("Concepts81.txt", None, "no file Concepts81.txt in"),
    "no labels": ("Groundtruth/TrainTestLabels/Labels_sky_Train.txt", None, "no file .*Labels_sky_Train.txt"),
    "outside": ("ImageList/TestImagelist.txt", "..\\x.jpg\na\n", "line 1: '../x.jpg' lies outside the image folder"),
    "twice": ("Concepts81.txt", "sky\nsky\n", "Concepts81.txt line 2: label 'sky' stands twice, first in line 1"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_named(root, case):
    name, content, message = BAD[case]
    if content is None:
        (root / name).unlink()
    else:
        (root / name).write_text(content)
    with pytest.raises(DataError, match=message):
        opened("nuswide-81", root)


def test_label_files_of_other_systems_read_like_others(root):
    before = opened("nuswide-81", root)
    path = root / "Groundtruth" / "TrainTestLabels" / "Labels_sky_Test.txt"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    np.testing.assert_array_equal(opened("nuswide-81", root).test.truth, before.test.truth)


def test_rows_are_counted_across_chunks(root, monkeypatch):
    before = opened("nuswide-1000", root)
    for size in (1, 2, 5, 7):
        monkeypatch.setattr("bench_datasets.nuswide.CHUNK", size)
        np.testing.assert_array_equal(opened("nuswide-1000", root).train.truth, before.train.truth)
    (root / "AllTags1k.txt").write_text("1 0 0\n0 1 0\n0 0 1 0\n0 0\n1 1 0\n")
    for size in (1, 5, 1 << 20):
        monkeypatch.setattr("bench_datasets.nuswide.CHUNK", size)
        with pytest.raises(DataError, match=r"AllTags1k.txt line 3: 4 numbers, expected 3"):
            opened("nuswide-1000", root)


def test_a_bad_tag_file_is_named(root):
    (root / "AllTags1k.txt").write_text("1 0 0\n0 1\n")
    with pytest.raises(DataError, match=r"AllTags1k.txt line 2: 2 numbers, expected 3. Is the file whole\?"):
        opened("nuswide-1000", root)
    (root / "AllTags1k.txt").write_text("1 0 0\n")
    with pytest.raises(DataError, match=r"1 rows for the 5 images of Imagelist.txt"):
        opened("nuswide-1000", root)


def test_long_lists_load_in_little_more_memory_than_their_truth(tmp_path, monkeypatch):
    """A twentieth of the real data set's images, in chunks as much smaller."""
    images, chunk = 269_648 // 20, nuswide.CHUNK // 20
    write_nuswide_1000(tmp_path, images)
    monkeypatch.setattr(nuswide, "CHUNK", chunk)
    tracemalloc.start()
    dataset = opened("nuswide-1000", tmp_path)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert statistics(dataset.train)["images"] == len(dataset.train)
    assert dataset.train.truth.shape[1] == 1000
    assert 5.5 < dataset.train.truth.sum(axis=1).mean() < 6.5
    truth = images * 1000
    assert held < 1.2 * truth
    # Rows are copied once, into their splits; a chunk is taken apart with some bytes for each of its own.
    assert peak < 2.5 * truth + 16 * chunk
    assert 20 * peak < 2**30

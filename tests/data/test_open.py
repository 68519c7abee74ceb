import contextlib
import os
from dataclasses import replace

import numpy as np
import pytest
from example_splits import make_split, random_truth
from PIL import Image

from bench.contracts import DatasetRequest, DatasetSpec
from bench.data.fingerprint import fingerprint, fingerprint_over
from bench.data.images import FolderImages
from bench.data.open import open_dataset
from bench.data.splits import hold_out, narrow, subset
from bench.data.statistics import cooccurrence, statistics
from bench.errors import DataError, UsageError
from bench.guard import HOST
from bench.records import Dataset


@pytest.mark.parametrize("option", ["train", "test"])
def test_a_split_that_a_data_set_does_not_have_is_not_another_one(option):
    """A data set may not look at what was asked for, and its usual splits were measured under that name."""
    parts = {part: make_split(random_truth(), part) for part in ("train", "test")}
    spec = DatasetSpec("toy", "", lambda _: Dataset("toy", "", **parts, protocol="top3@1"))
    asked = {f"{option}_split": option}
    assert open_dataset(spec, DatasetRequest({}, **asked)).test is parts["test"]
    with pytest.raises(UsageError, match=f"--{option}-split: found 'mine', and dataset 'toy' has '{option}' there"):
        open_dataset(spec, DatasetRequest({}, **{f"{option}_split": "mine"}))


def test_held_out_images_are_the_asked_share_and_disjoint_from_the_kept():
    kept, held = hold_out(make_split(random_truth()), 0.1, seed=0)
    assert len(held) == 20
    assert sorted([*kept, *held]) == list(range(200))


def test_the_kept_part_holds_every_label_however_rare():
    truth = np.zeros((50, 3), dtype=np.bool_)
    truth[:, 0] = True
    truth[7, 1] = truth[9, 2] = True
    split = make_split(truth)
    for seed in range(20):
        kept, _ = hold_out(split, 0.4, seed)
        assert split.truth[kept].any(axis=0).all()


def test_the_same_seed_holds_out_the_same_images():
    split = make_split(random_truth())
    np.testing.assert_array_equal(hold_out(split, 0.1, 3)[1], hold_out(split, 0.1, 3)[1])
    assert not np.array_equal(hold_out(split, 0.1, 3)[1], hold_out(split, 0.1, 4)[1])


def test_too_few_images_to_hold_out_are_one_clear_error():
    with pytest.raises(DataError, match="toy/train: 2 images are too few"):
        hold_out(make_split(np.eye(2)), 0.1, 0)


@pytest.mark.parametrize("indices", [[-1], [99], [0.5], [True, False], ["0"], {0}, "0", [[0]], slice(1)])
def test_a_subset_is_of_places_that_there_are(indices):
    with pytest.raises(DataError, match="indices are no list of whole numbers from 0 to "):
        subset(make_split(np.eye(2)), indices, "part")


@pytest.mark.parametrize("kept", [[1, 1, 1], [True], [0, 2]])
def test_labels_are_narrowed_by_a_mask_of_them(kept):
    with pytest.raises(DataError, match="must be bool, one a label"):
        narrow(make_split(np.eye(3)), kept)


def test_a_subset_keeps_ids_truth_and_pictures_together():
    split = make_split(random_truth())
    part = subset(split, [5, 3], "part")
    assert part.ids == ("train5", "train3")
    np.testing.assert_array_equal(part.truth, split.truth[[5, 3]])
    np.testing.assert_array_equal(part.images.read(1), split.images.read(3))


@pytest.mark.parametrize("ending", ["bmp", "TIF", "ppm"])
def test_a_spot_in_a_picture_that_is_not_compressed_is_another_fingerprint(tmp_path, ending):
    pixels = np.zeros((120, 120, 3), dtype=np.uint8)
    path = tmp_path / f"a.{ending}"

    def print_of(pixels):
        Image.fromarray(pixels).save(path)
        split = replace(make_split([[True], [False]]), images=FolderImages((path, path)))
        assert "every byte of BMP, TIFF" in fingerprint_over(split)
        return fingerprint(split), fingerprint(subset(split, [0], "part"))

    before = print_of(pixels)
    assert print_of(pixels) == before
    pixels[30, 30] = 255  # between the samples, and the file is as long as before
    after = print_of(pixels)
    assert after[0] != before[0]
    assert after[1] != before[1]


def test_other_pictures_are_sampled_as_ever(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGB", (9, 9)).save(path)
    split = replace(make_split([[True]]), images=FolderImages((path,)))
    assert "every byte" not in fingerprint_over(split)


def test_the_fingerprint_follows_labels_truth_pictures_and_mask():
    truth = random_truth()
    base = fingerprint(make_split(truth))
    assert fingerprint(make_split(truth)) == base
    changed = truth.copy()
    changed[9, 0] ^= True
    ignore = np.zeros_like(truth)
    ignore[0, np.flatnonzero(~truth[0])[0]] = True
    others = [make_split(changed), make_split(truth, seed=1), make_split(truth, ignore=ignore), make_split(truth, "x")]
    assert base not in map(fingerprint, others)
    assert len({fingerprint(split) for split in others}) == 4


def test_statistics_by_hand():
    split = make_split([[1, 1, 0], [1, 0, 0], [1, 1, 0], [0, 0, 1]])
    counted = statistics(split)
    assert counted["label_cardinality"] == pytest.approx(6 / 4)
    assert counted["label_counts"] == {"a": 3, "b": 2, "c": 1}
    assert counted["cardinality_histogram"] == [0, 2, 2]
    assert counted["imbalance"] == 3.0
    # a and b are together in 2 of 4 images; if independent they were in 4 * 3/4 * 2/4.
    assert counted["cooccurrence"][0] == {"labels": ["a", "b"], "images": 2, "lift": pytest.approx(2 / 1.5)}
    np.testing.assert_array_equal(cooccurrence(split.truth), [[3, 2, 0], [2, 2, 0], [0, 0, 1]])


def test_a_picture_that_is_written_after_the_data_set_was_hashed_is_not_read(tmp_path):
    """Its features would be kept, and a run stored, under the hash of the picture that was there."""
    splits = {}
    for part in ("train", "test"):
        paths = [tmp_path / f"{part}{row}.png" for row in range(70)]
        for path in paths:
            Image.new("RGB", (2, 2)).save(path)
        splits[part] = replace(make_split(random_truth(70), part), images=FolderImages(tuple(paths)))
    spec = DatasetSpec("toy", "", lambda _: Dataset("toy", "", **splits, protocol="top3@1"))
    opened = open_dataset(spec, DatasetRequest({}), HOST)
    fingerprint(opened.train)
    for row in (2, 69):
        Image.new("RGB", (2, 2), "red").save(opened.train.images.paths[row])
        for read in (opened.train.images.read, subset(opened.train, [5, row], "part").images.picture):
            with pytest.raises(DataError, match=f"train{row}.png was written after the data set was opened"):
                read(row if read == opened.train.images.read else 1)
    assert fingerprint(opened.test) == fingerprint(splits["test"])


@pytest.mark.parametrize(("ending", "read"), [("png", True), ("jpg", True), ("bmp", False)])
def test_another_time_of_the_same_picture_is_no_other_picture(tmp_path, ending, read):
    """Drives without times give any. Of a picture kept as it is more is hashed than is looked at for that."""
    splits = {}
    for part in ("train", "test"):
        Image.new("RGB", (2, 2)).save(path := tmp_path / f"{part}.{ending}")
        os.utime(path, (2**34, 2**34))  # beyond what 64 bits hold of nanoseconds
        splits[part] = replace(make_split(np.ones((1, 2), dtype=np.bool_), part), images=FolderImages((path,)))
    spec = DatasetSpec("toy", "", lambda _: Dataset("toy", "", **splits, protocol="top3@1"))
    images = open_dataset(spec, DatasetRequest({}), HOST).test.images
    images.content_hash()
    assert images.read(0).shape == (2, 2, 3)
    os.utime(images.paths[0], (1, 1))
    with contextlib.nullcontext() if read else pytest.raises(DataError, match="was written after"):
        images.read(0)

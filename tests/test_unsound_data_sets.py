"""Data sets of third parties: what they hand over is the host's from then on, and pictures are the same each time."""

from dataclasses import replace

import hostile_runs
import numpy as np
import pytest
from hostile_runs import Pictures, registry, run, toy

from bench import PluginError
from bench.errors import BenchError


def of(**changes):
    """A build of ``toy`` whose splits have other fields, each made from the split."""

    def build():
        def other(part):
            return replace(part, **{name: change(part) for name, change in changes.items()})

        parts = toy()
        return replace(parts, train=other(parts.train), test=other(parts.test))

    return build


FAULTS = {
    "numbers as ids": (
        {"ids": lambda part: tuple(range(len(part)))},
        "image ids of toy/train: found 0, must be texts that are not empty",
    ),
    "numbers as labels": ({"labels": lambda part: (0, 1, 2, 3)}, "labels of toy/train: found 0, must be texts"),
    "a blank label": ({"labels": lambda part: ("a", " ", "b", "c")}, "labels of toy/train: found ' ', must be texts"),
    "one text as labels": ({"labels": lambda part: "abcd"}, "labels of toy/train: found a str, must be texts"),
    "a set of labels": (
        {"labels": lambda part: set(part.labels)},
        "labels of toy/train: found a set, must be texts that are not empty, in order. Try: a list, in truth's order",
    ),
    "two forms of a label": (
        {"labels": lambda part: ("caf\u00e9", "cafe\u0301", "b", "c")},
        r"'caf\xe9' and 'cafe\u0301' are shown alike",
    ),
    "a blank behind a label": ({"labels": lambda part: ("cat", "cat ", "b", "c")}, "'cat' and 'cat ' are shown alike"),
    "a masked truth": (
        {"truth": lambda part: np.ma.MaskedArray(part.truth, mask=~part.truth)},
        "truth of toy/train is a MaskedArray, must be a plain array",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_names_and_masks_that_are_none_are_refused_by_name(name, tmp_path):
    changes, words = FAULTS[name]
    with pytest.raises(BenchError) as caught:
        run(tmp_path, registry(dataset=of(**changes), bad="dataset"))
    assert words in str(caught.value)
    assert str(caught.value).startswith("bench-bad 2.1 (bad), open data set of data set 'toy'")


def test_truth_is_that_of_when_the_data_set_was_opened(tmp_path):
    """A plugin that fills its masks as it reads pictures changes nothing that is measured."""
    kept = np.array(toy().test.truth)

    class Filling(Pictures):
        def read(self, index):
            kept[:] = True
            return np.full((4, 4, 3), index, np.uint8)

    def dataset():
        parts = toy(Filling())
        return replace(parts, test=replace(parts.test, truth=kept[:]))

    before = kept.copy()
    folder = run(tmp_path, registry(dataset=dataset, bad="dataset"))
    assert kept.all()
    np.testing.assert_array_equal(np.array(folder.read_truth().truth), before)


class OneArray(Pictures):
    """Gives the same array for every picture, filled anew."""

    pixels = np.zeros((4, 4, 3), np.uint8)

    def read(self, index):
        self.pixels[:] = index
        return self.pixels


class Chance(Pictures):
    def read(self, index):
        return np.random.default_rng().integers(0, 255, (4, 4, 3), dtype=np.uint8)


class TwoWays(Pictures):
    def read(self, index):
        return np.full((4, 4, 3), index, np.uint8)

    def picture(self, index):
        from PIL import Image

        return Image.fromarray(255 - self.read(index))


@pytest.mark.parametrize(
    ("pictures", "words"),
    [
        (OneArray, "reading an image changes the one read before. Try: a new array for each read"),
        (Chance, "image 23 (23) differs when it is read again"),
        (TwoWays, "image 23 (23) differs when it is read again, by picture in place of read"),
    ],
)
def test_pictures_that_are_not_the_same_twice_are_refused_by_name(pictures, words, tmp_path):
    with pytest.raises(PluginError) as caught:
        run(tmp_path, registry(dataset=lambda: toy(pictures()), bad="dataset"))
    assert words in str(caught.value)
    assert str(caught.value).startswith("bench-bad 2.1 (bad), reading pictures of data set 'toy'")


class Drawn(Pictures):
    """Pictures whose ``content_hash`` is the same whatever they are."""

    def __init__(self, seed):
        self.seed = seed

    def read(self, index):
        return np.random.default_rng([self.seed, index]).integers(0, 255, (4, 4, 3), dtype=np.uint8)


def test_other_pictures_are_another_run_whatever_hash_they_are_given(tmp_path):
    def prints(seed):
        folder = run(tmp_path, registry(dataset=lambda: toy(Drawn(seed)), bad="dataset"))
        return folder.config["dataset"]["fingerprints"]

    assert prints(0) == prints(0)
    assert prints(0)["test"] != prints(1)["test"]
    assert prints(0)["train"] == prints(1)["train"]


def test_what_a_first_party_data_set_gives_is_hashed_by_itself_alone():
    from bench.data.guarded import NamedImages

    images = Drawn(0)
    assert NamedImages(images, "multilabel-bench 0.1", "data set 'toy'").content_hash() == "made up"
    assert NamedImages(images, hostile_runs.BAD, "data set 'toy'").hashed_over().endswith("pictures as they are read")

"""A validation part that is the test part under other names is told by its pictures, wherever these are kept."""

import io
import shutil
from dataclasses import replace

import numpy as np
import pytest
from example_splits import make_split, random_truth
from PIL import Image

from bench import EncodedImages
from bench.assembly import parts_of
from bench.cli import run_command_line
from bench.data.copies import (
    image_hashes,
    one_picture,
    parted_groups,
    refuse_test_images,
    several_label_sets,
    trained_on,
)
from bench.data.guarded import NamedImages
from bench.data.images import ArrayImages, FolderImages, MissingImages
from bench.data.splits import subset
from bench.errors import DataError
from bench.options import resolve
from bench.plugins import installed
from bench.records import RunRequest

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 3), dtype=np.uint8)


class Kept(EncodedImages):
    """Encoded pictures one behind another in memory."""

    def __init__(self, contents):
        self.contents = contents

    def __len__(self):
        return len(self.contents)

    def encoded(self, index):
        return self.contents[index]

    def describe(self, index):
        return f"picture {index}"

    def sections(self):
        for content in self.contents:
            yield io.BytesIO(content), 0, len(content)


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def in_memory(folder, rows):
    return ArrayImages(PIXELS[rows], "toy")


def encoded(folder, rows):
    return NamedImages(Kept([png(PIXELS[row]) for row in rows]), "a plugin", "data set 'toy'")


def files(folder, rows):
    paths = [folder / f"{len(list(folder.iterdir()))}-{row}.png" for row in rows]
    for path, row in zip(paths, rows, strict=True):
        path.write_bytes(png(PIXELS[row]))
    return FolderImages(tuple(paths))


def rows_of_files(folder, rows):
    every = replace(make_split(random_truth(6, 2)), images=files(folder, range(6)))
    return subset(every, rows, "part").images


KEEPERS = (in_memory, encoded, files, rows_of_files)


def part(name, images):
    ids = tuple(f"{name}{row}" for row in range(len(images)))
    return replace(make_split(random_truth(len(images), 2)), ids=ids, images=images)


@pytest.mark.parametrize("kept", KEEPERS)
def test_renamed_copies_are_refused_in_any_order_and_a_few_are_not(kept, tmp_path):
    test = part("test", kept(tmp_path, [0, 1, 2, 3]))
    for rows, words in (
        ([0, 1, 2, 3], "under other names|every image of its validation part is a copy"),
        ([2, 0, 3, 1], "every image of its validation part is a copy of one in its test part"),
        ([3, 1], "every image of its validation part is a copy of one in its test part"),
        ([4, 3, 2, 1, 0], "every image of its test part has a copy in its validation part"),
    ):
        with pytest.raises(DataError, match=words):
            refuse_test_images("toy", part("val", kept(tmp_path, rows)), test)
    for rows in ([4, 5], [4, 0, 1, 2]):
        refuse_test_images("toy", part("val", kept(tmp_path, rows)), test)
    assert len(set(image_hashes(test.images))) == 4


@pytest.mark.parametrize("kept", [files, in_memory])
def test_a_test_part_that_is_mostly_copies_of_training_images_is_told_of_and_a_few_are_not(kept, tmp_path):
    """As of COCO's train2017 and val2014, whose images have other names."""
    train = part("train", kept(tmp_path, [0, 1, 2, 3, 4]))
    every, most = "every image of ", "4 of the 5 images of "
    for rows, told in (([0, 1, 2, 3, 4], every), ([3, 1], every), ([0, 1, 2, 3, 5], most), ([5, 0], "")):
        images = NamedImages(kept(tmp_path, rows), "a plugin", "data set 'toy'")
        assert "".join(trained_on(train, part("test", images))).startswith(told)
        assert bool(trained_on(train, part("test", images))) == bool(told)
    assert trained_on(train, part("test", encoded(None, [0, 1]))) == ()


def test_a_picture_that_stands_for_many_images_of_other_labels_is_told_of(tmp_path):
    """As of archives that were fetched from links, some of them dead."""
    images = files(tmp_path, [0] * 9 + [1, 2, 3, 4, 5])
    truth = np.arange(28).reshape(14, 2) % 3 == 0
    truth[1] = truth[0]
    (note,) = one_picture(replace(part("test", images), truth=truth))
    assert note.startswith(
        "9 of the 14 images of train are one picture with several label sets, as 'test0' and 'test2'"
    )
    assert not one_picture(replace(part("test", images), truth=np.repeat([[True, False]], 14, axis=0)))
    assert not one_picture(replace(part("test", files(tmp_path, [0, 1, 2, 3, 4, 5] * 3)), truth=np.eye(18, 2) > 0))
    assert one_picture(part("test", in_memory(None, [0] * 9)))
    assert not one_picture(part("test", encoded(None, [0] * 9)))


@pytest.mark.parametrize("keep", [in_memory, files])
def test_pictures_with_several_label_sets_have_a_note(tmp_path, keep):
    """As where a tool wrote a picture into the folder of each of its labels, under other names."""
    twice = part("test", keep(tmp_path, [0, 1, 2, 3, 1, 2]))
    alike = replace(twice, truth=np.eye(4, 2)[[0, 1, 2, 3, 1, 2]] > 0)
    other = replace(twice, truth=np.eye(2)[[0, 1, 0, 1, 0, 0]] > 0)
    (note,) = several_label_sets(other)
    assert "several label sets, as 'test1' and 'test4': 'bench data verify' names them" in note
    assert not several_label_sets(alike)
    assert not several_label_sets(replace(part("test", keep(tmp_path, [0, 1, 2])), truth=np.eye(3, 2) > 0))


def test_of_encoded_pictures_none_is_read_for_a_note():
    """All of Parquet's or tar shards were, at every run."""

    class Unread(Kept):
        def sections(self):
            raise AssertionError("read")

    train, test = (part(name, NamedImages(Unread([b"1", b"2"]), "a plugin", "toy")) for name in ("train", "test"))
    assert (trained_on(train, test), one_picture(test), several_label_sets(test)) == ((), (), ())


def test_an_image_that_is_in_both_by_its_id_is_refused_and_pictures_that_are_not_here_are_not_compared():
    test = part("test", in_memory(None, [0, 1, 2]))
    other = replace(part("val", in_memory(None, [3, 4, 5])), ids=("val0", "test2", "test1"))
    with pytest.raises(
        DataError, match="toy: 2 images of its validation part are in its test part, as 'test1', on which nothing"
    ):
        refuse_test_images("toy", other, test)
    refuse_test_images("toy", *(part(name, MissingImages(("a", "b"), "gone")) for name in ("val", "test")))


def test_a_run_on_a_renamed_test_part_is_one_line_and_is_not_begun(tmp_path, capsys):
    folder, lines = tmp_path / "data", ["path,labels,split"]
    folder.mkdir()
    for row in range(6):
        (folder / f"{row}.png").write_bytes(png(PIXELS[row]))
        lines.append(f"{row}.png,{('cat', 'dog')[row % 2]},{'train' if row < 3 else 'test'}")
    for row, name in ((5, "a.png"), (3, "b.png"), (4, "c.png")):
        shutil.copy(folder / f"{row}.png", folder / name)
        lines.append(f"{name},cat,validation")
    (folder / "labels.csv").write_text("\n".join(lines))
    command = ["run", "--model", "bce", "--dataset", "csv", "--protocol", "top1@1", "--out", str(tmp_path / "runs")]
    random = ["--backbone", "timm/resnet18", "--set", "backbone.init=random"]
    assert run_command_line([*command, "--data-root", str(folder), "--cache", str(tmp_path / "cache"), *random]) == 2
    told = capsys.readouterr().err.splitlines()
    assert "every image of its validation part is a copy of one in its test part" in told[-1]
    assert not list((tmp_path / "runs").glob("*/*/*/config.json"))


def test_a_run_on_copies_of_what_it_is_trained_on_says_so(tmp_path):
    for part, rows in {"train": (0, 1, 2), "test": (2, 0)}.items():
        for row in rows:
            (folder := tmp_path / part / ("cat", "dog")[row % 2]).mkdir(parents=True, exist_ok=True)
            (folder / f"{part}{row}.png").write_bytes(png(PIXELS[row]))
    found = installed().dataset("imagefolder")
    options = resolve(found.spec.options, {}, "data set")
    request = RunRequest(model="bce", dataset="imagefolder", data_root=tmp_path, out=tmp_path, cache=tmp_path / "cache")
    assert (
        parts_of(found, options, request).dataset.notes[-1].startswith("every image of test is a copy of one in train")
    )


def test_groups_that_two_parts_share_are_told():
    """A patient of whom train has pictures too: the numbers of test are better than a new patient's would be."""
    fit, other, test = (replace(make_split(random_truth(4, 3)), name=name) for name in ("fit", "validation", "test"))
    fit, other = replace(fit, groups=("a", "a", "b", "c")), replace(other, groups=("d", "d", "e", "e"))
    assert parted_groups((fit, other, test)) == ()
    (told,) = parted_groups((fit, other, replace(test, groups=("b", "c", "c", "f"))))
    assert "3 of the 4 images of test are of groups that fit has too ('b', 'c')" in told

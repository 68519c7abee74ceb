"""Images of a table that lie in a folder, or in several, and whose names have no ending: --set dataset.images."""

import pytest
from open_sets import opened, picture

from bench.errors import DataError, UsageError


def write(root, name, *lines):
    (root / name).write_text("\n".join(["path,labels", *lines, ""]))


def held(*splits):
    pairs = [pair for split in splits for pair in zip(split.ids, split.truth, strict=True)]
    return {image: {splits[0].labels[column] for column in row.nonzero()[0]} for image, row in pairs}


def pictures(root, *paths):
    for number, path in enumerate(paths):
        picture(root / path, number)


@pytest.mark.parametrize(
    ("cells", "files", "pattern"),
    [
        (["a", "b", "c"], ["train-jpg/a.jpg", "train-jpg/b.jpg", "train-jpg/c.jpg"], "train-jpg/{}.jpg"),
        (["a.png", "b.png", "c.png"], ["x/x/a.png", "x/x/b.png", "x/x/c.png"], "x/x/{}"),
        (["a.png", "b.png", "c.png"], ["i1/images/a.png", "i1/images/b.png", "i2/images/c.png"], "*/images/{}"),
        (["a", "b", "c"], ["a.jpg", "b.jpg", "c.jpg"], "{}.jpg"),
        (["v/a.b", "v/c", "w/d"], ["p/v/a.b.png", "p/v/c.png", "p/w/d.png"], "p/{}.png"),
        (["a", "b", "c"], ["x/a.png", "y/z/b.png", "c.png"], "**/{}.png"),
        (["\u00e9", "b", "c"], ["x/e\u0301.png", "x/b.png", "x/c.png"], "x/{}.png"),
    ],
)
def test_the_pattern_that_is_said_to_be_typed_finds_every_image(tmp_path, cells, files, pattern):
    """As Planet's, CelebA's and the NIH's pictures lie."""
    pictures(tmp_path, *files)
    names = dict(zip(cells, ("dog", "cat", "dog"), strict=True))
    write(tmp_path, "labels.csv", *(f"{cell},{name}" for cell, name in names.items()))
    with pytest.raises(DataError) as told:
        opened("csv", tmp_path)
    said = f"There is {files[0]}. Try: --set 'dataset.images={pattern}'"
    assert str(told.value).endswith(f"labels.csv line 2: no image file {cells[0]}. {said}")
    dataset = opened("csv", tmp_path, images=pattern)
    assert held(dataset.train, dataset.test) == {file: {name} for file, name in zip(files, names.values(), strict=True)}


def test_a_pattern_may_end_in_what_stands_behind_every_name(tmp_path):
    """As the Human Protein Atlas, whose pictures of each colour are called as one: nothing was said."""
    pictures(tmp_path, "train/1_red.png", "train/1_green.png", "train/2_red.png", "train/2_green.png")
    write(tmp_path, "labels.csv", "1,dog", "2,dog;cat")
    told = r"Try: --set 'dataset.images=train/\{\}_green.png', or --set 'dataset.images=train/\{\}_red.png'$"
    with pytest.raises(DataError, match=told):
        opened("csv", tmp_path)
    dataset = opened("csv", tmp_path, images="train/{}_green.png", absent_labels="drop")
    assert {*dataset.train.ids, *dataset.test.ids} == {"train/1_green.png", "train/2_green.png"}
    write(tmp_path, "labels.csv", "1_red.png,dog", "2_red.png,dog")
    dataset = opened("csv", tmp_path, images="train")
    assert {*dataset.train.ids, *dataset.test.ids} == {"train/1_red.png", "train/2_red.png"}


def test_a_pattern_finds_nothing_in_folders_that_are_hidden(tmp_path):
    pictures(tmp_path, ".thumbnails/a.png", "x/a.png", "y/b.png", "y/.cache/b.png")
    write(tmp_path, "labels.csv", "a,dog", "b,dog")
    for pattern in ("*/{}.png", "**/{}.png"):
        dataset = opened("csv", tmp_path, images=pattern)
        assert {*dataset.train.ids, *dataset.test.ids} == {"x/a.png", "y/b.png"}


def test_one_pattern_is_of_all_tables_or_of_none(tmp_path):
    pictures(tmp_path, "train/a.png", "test/b.png", "valid/c.png")
    write(tmp_path, "train.csv", "a.png,dog")
    write(tmp_path, "test.csv", "b.png,dog")
    write(tmp_path, "valid.csv", "c.png,dog")
    with pytest.raises(DataError, match=r"Try: --set 'dataset.images=\*/\{\}'$"):
        opened("csv", tmp_path)
    dataset = opened("csv", tmp_path, images="*/{}")
    assert (dataset.train.ids, dataset.validation.ids, dataset.test.ids) == (
        ("train/a.png",),
        ("valid/c.png",),
        ("test/b.png",),
    )


def test_images_of_one_name_in_several_folders_are_not_taken_for_one_another(tmp_path):
    """As RFMiD's, whose every part begins at 1."""
    pictures(tmp_path, "Test/1.png", "Train/1.png", "Train/2.png")
    write(tmp_path, "train.csv", "1,dog", "2,cat")
    write(tmp_path, "test.csv", "1,dog")
    both = r"There are Test/1.png and Train/1.png"
    with pytest.raises(DataError, match=rf"{both} in .*\. Try: write paths so, each to the one that is meant$"):
        opened("csv", tmp_path)
    with pytest.raises(DataError, match=r"line 2: image 1: it may be Test/1.png or Train/1.png. Try: write paths so"):
        opened("csv", tmp_path, images="*/{}.png")
    picture(tmp_path / "Test" / "2.png")
    write(tmp_path, "test.csv", "Test/1.png,dog")
    with pytest.raises(DataError, match=rf"{both} in .*\. Try: write paths so, each to the one that is meant$"):
        opened("csv", tmp_path)
    (tmp_path / "test.csv").unlink()
    (tmp_path / "train.csv").rename(tmp_path / "labels.csv")
    with pytest.raises(DataError, match=rf"{both}.*'dataset.images=Test/.*', or --set 'dataset.images=Train/"):
        opened("csv", tmp_path)
    write(tmp_path, "labels.csv", "Train/1.png,dog", "2,cat")
    with pytest.raises(DataError, match=r"There are Test/2.png and Train/2.png in .* each to the one that is meant"):
        opened("csv", tmp_path)


def test_a_number_that_lost_its_zeros_is_found(tmp_path):
    """As a spreadsheet writes 000001."""
    pictures(tmp_path, "photos/000001.jpg", "photos/000002.jpg")
    write(tmp_path, "labels.csv", "1,dog", "2,cat")
    with pytest.raises(DataError, match=r"There is photos/00000[12].jpg in .*\. Try: write paths so$"):
        opened("csv", tmp_path)


def test_parts_that_folders_tell_apart_are_told_apart_behind_a_pattern_too(tmp_path):
    pictures(tmp_path, "images_tr/a.png", "images_test/b.png", "images_tr/c.png")
    write(tmp_path, "labels.csv", "a,dog", "b,dog", "c,cat")
    with pytest.raises(DataError, match=r"images lie in folders images_test and images_tr, and a split would be drawn"):
        opened("csv", tmp_path, images="*/{}.png")


@pytest.mark.parametrize("pattern", ["{}/{}.png", "x/{}*", "x*{}", "/abs/*/{}"])
def test_a_pattern_that_cannot_be_is_refused(tmp_path, pattern):
    pictures(tmp_path, "x/a.png")
    write(tmp_path, "labels.csv", "a,dog")
    with pytest.raises(UsageError, match=r"option images: found '.*', allowed: \{\} once, and \* in the folders"):
        opened("csv", tmp_path, images=pattern)
    with pytest.raises(DataError, match=r"line 2: image a: there is none in y\*"):
        opened("csv", tmp_path, images="y*/{}.png")
    write(tmp_path, "labels.csv", "a,dog", "b,dog")
    with pytest.raises(DataError, match="outside the data root"):
        opened("csv", tmp_path, images="../x/{}.png")

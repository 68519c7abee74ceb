"""Folders of images and of what was drawn over them, as of segmentation, are no labels; ordinary ones stay labels."""

import pytest
from open_sets import opened, picture

from bench.errors import DataError


def folders(root, *names):
    """Write two pictures in each folder of train and test."""
    shade = 0
    for part in ("train", "test"):
        for name in names:
            for number in range(2):
                picture(root / part / name / f"{name.replace('/', '-')}{number}.png", shade := shade + 1)
    return root


@pytest.mark.parametrize(
    "names",
    [
        ("images", "targets"),
        ("input", "labels"),
        ("gt", "images"),
        ("original_images", "original_masks"),
        ("images", "instances"),
        ("images", "v1.2"),
        ("input image", "ground truth"),
        ("images", "masks", "edges"),
        ("Rural/images_png", "Rural/masks_png", "Urban/images_png", "Urban/masks_png"),
    ],
)
def test_images_and_their_masks_are_asked_about(tmp_path, names):
    """Every mask was an image of a label masks, or of the label in whose folder it lies."""
    root = folders(tmp_path, *names)
    with pytest.raises(
        DataError, match=r"train: folders are called '.*' and '.*'. Do they hold images and their masks"
    ):
        opened("imagefolder", root)
    assert opened("imagefolder", root, odd_names="keep").labels == tuple(sorted({name.split("/")[0] for name in names}))


@pytest.mark.parametrize(
    "names",
    [
        ("mask", "no_mask"),
        ("with_mask", "without_mask"),
        ("photo", "sketch", "cartoon"),
        ("hats", "masks", "shirts"),
        ("dog/images", "cat/images"),
        ("dog/images", "cat/more"),
        ("price label", "barcode"),
        ("outputs", "cables"),
        ("mask", "image editing", "text"),
        ("picture frame", "mask"),
        ("product picture", "nutrition label"),
        ("Target", "Shutterstock images"),
        ("images", "tables", "charts"),
    ],
)
def test_ordinary_names_stay_labels(tmp_path, names):
    labels = opened("imagefolder", folders(tmp_path, *names)).labels
    assert labels == tuple(sorted({name.split("/")[0] for name in names}))


def test_they_are_asked_about_wherever_they_are_labels(tmp_path):
    """As Hugging Face's library makes labels of folders."""
    for number, name in enumerate(("images", "masks") * 3):
        picture(tmp_path / f"{number}.png", number)
        with (tmp_path / "labels.csv").open("a") as file:
            file.write(f"{'path,labels' if not number else ''}\n{number}.png,{name}")
    with pytest.raises(DataError, match=r"labels 'images' and 'masks' are called as folders of images and of masks"):
        opened("csv", tmp_path)
    (tmp_path / "labels.csv").write_text((tmp_path / "labels.csv").read_text().replace("masks", "images;masks"))
    assert opened("csv", tmp_path).labels == ("images", "masks")

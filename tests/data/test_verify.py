import json
import shutil

import pytest
from example_commands import write_corel
from PIL import Image

from bench.cli import run_command_line
from bench.data.unpack import extract


@pytest.fixture
def corel(tmp_path):
    """Pictures of which many are equal, so each gets a pixel of its own."""
    write_corel(tmp_path / "corel", images=12)
    for number, path in enumerate(sorted((tmp_path / "corel" / "images").iterdir())):
        picture = Image.open(path)
        picture.load()
        picture.putpixel((0, 0), (number, 1, 2))
        picture.save(path)
    return tmp_path / "corel"


def verify(root, *more):
    return run_command_line(["data", "verify", "corel5k", "--data-root", str(root), *more])


def test_a_sound_copy_is_said_to_be_so(corel, capsys):
    assert verify(corel) == 0
    printed = capsys.readouterr().out
    assert "corel5k/train: 12 images, fingerprint" in printed
    assert "known as: no known variant: compare with your own runs only" in printed
    assert "known with 4,500 / 499 images: " in printed
    assert "fingerprint over: ids, labels, truth, ignore mask; of each image file, its length" in printed
    assert "16 of 16 images read: 0 unreadable, 0 in train and in test" in printed


def test_unreadable_images_and_copies_are_named(corel, capsys):
    (corel / "images" / "train3.png").write_bytes(b"")
    shutil.copy(corel / "images" / "test0.png", corel / "images" / "train5.png")
    assert verify(corel) == 2
    printed = capsys.readouterr().out
    assert "unreadable: cannot read image" in printed
    assert "train3.png: empty file" in printed
    assert "in train and in test:" in printed
    assert "1 unreadable, 1 in train and in test" in printed
    assert verify(corel, "--json") == 2
    found = json.loads(capsys.readouterr().out)
    assert not found["sound"]
    assert len(found["duplicates"]) == 1


def test_copies_of_test_images_in_a_validation_part_are_named(tmp_path, capsys):
    """A run refuses those parts only of which every image is a copy; published sets have a few."""
    for part, shades in {"train": range(6), "validation": range(10, 14), "test": (10, 20, 30)}.items():
        for name in ("cat", "dog"):
            (tmp_path / part / name).mkdir(parents=True)
        for shade in shades:
            Image.new("RGB", (9, 9), (shade, 0, 0)).save(tmp_path / part / "cat" / f"{part}{shade}.png")
    Image.new("RGB", (9, 9), (5, 0, 0)).save(tmp_path / "train" / "dog" / "copy.png")
    assert run_command_line(["data", "verify", "imagefolder", "--data-root", str(tmp_path)]) == 2
    printed = capsys.readouterr().out
    assert f"in validation and in test: {tmp_path}/validation/cat/validation10.png = {tmp_path}/test/cat/" in printed
    assert "0 in train and in test, 1 in validation and in test" in printed
    one, other = tmp_path / "train" / "cat" / "train5.png", tmp_path / "train" / "dog" / "copy.png"
    assert f"one picture with two label sets in train: {one} = {other}" in printed


def test_labels_without_images_are_told(corel, capsys):
    shutil.rmtree(corel / "images")
    assert verify(corel) == 2
    printed = capsys.readouterr().out
    assert "no images here for train: only its labels were checked" in printed
    assert "0 of 16 images read" in printed


def opened_reference(name, root, *sets):
    return run_command_line(["data", "verify", name, "--data-root", str(root), "--json", *sets])


def test_the_real_lists_are_known_by_name(reference_data, tmp_path, capsys):
    extract(reference_data / "voc2007_imagesets_main.tar.xz", tmp_path)
    assert opened_reference("voc2007", tmp_path) == 2  # no images are here
    assert json.loads(capsys.readouterr().out)["known"].startswith("official trainval and test: the rows of Table 4")
    assert opened_reference("voc2007", tmp_path, "--train-split", "train", "--test-split", "val") == 2
    assert "for development" in json.loads(capsys.readouterr().out)["known"]


def test_data_list_is_the_list_of_data_sets(capsys):
    assert run_command_line(["data", "list"]) == 0
    assert "digit-scenes" in capsys.readouterr().out

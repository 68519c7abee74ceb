import dataclasses
import json
import threading

import numpy as np
import pytest
import torch
from example_splits import make_split, random_truth
from PIL import Image

from bench import Backbone, Images, Preprocessing
from bench.cli import run_command_line
from bench.data.images import FolderImages
from bench.data.loading import load
from bench.data.pictures import read_rgb
from bench.data.preprocess import preprocess
from bench.data.splits import subset
from bench.errors import DataError, NotRun
from bench.speed.loading import BACKBONE, LOADER, compare

SCALE = Preprocessing(size=32, resize=36)


@pytest.fixture
def photographs(tmp_path):
    """Twelve JPEG files of noise, portrait and landscape."""
    rng = np.random.default_rng(0)
    paths = []
    for number in range(12):
        shape = (60 + number, 50, 3) if number % 2 else (40, 70 + number, 3)
        paths.append(tmp_path / f"{number}.jpg")
        Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(paths[-1])
    return tuple(paths)


def batches_of(count, size):
    return [range(start, min(start + size, count)) for start in range(0, count, size)]


def test_batches_hold_each_picture_preprocessed_in_order(photographs):
    expected = np.stack([preprocess(read_rgb(path), SCALE) for path in photographs])
    for size in (1, 5, 12, 40):
        found = [pixels.copy() for pixels in load(FolderImages(photographs), batches_of(12, size), SCALE)]
        np.testing.assert_array_equal(np.concatenate(found), expected)


def test_a_picture_as_pillow_holds_it_and_as_an_array_give_the_same_values(photographs):
    class Arrays(Images):
        def __init__(self, images):
            self.read = images.read

    images = FolderImages(photographs)
    for one, other in zip(*(load(kind, batches_of(12, 4), SCALE) for kind in (images, Arrays(images))), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_subset_loads_its_own_rows(photographs):
    split = dataclasses.replace(make_split(random_truth(12)), images=FolderImages(photographs))
    part = subset(split, [7, 2], "part")
    expected = np.stack([preprocess(read_rgb(photographs[row]), SCALE) for row in (7, 2)])
    np.testing.assert_array_equal(next(load(part.images, [[0, 1]], SCALE)), expected)


def test_nothing_to_load_gives_no_batch():
    assert list(load(FolderImages(()), [], SCALE)) == []


def test_a_bad_picture_ends_the_loading_and_its_threads(photographs):
    photographs[6].write_bytes(b"no picture")
    threads = set(threading.enumerate())
    loaded = load(FolderImages(photographs), batches_of(12, 4), SCALE)
    assert len(next(loaded)) == 4
    with pytest.raises(DataError, match=r"6.jpg: no known image format"):
        next(loaded)
    assert set(threading.enumerate()) <= threads


def test_loading_that_is_given_up_leaves_no_thread(photographs):
    threads = set(threading.enumerate())
    loaded = load(FolderImages(photographs), batches_of(12, 2), SCALE)
    next(loaded)
    loaded.close()
    assert set(threading.enumerate()) <= threads


def toy_backbone():
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 7))
    return Backbone("toy", module.eval(), 7, SCALE, "w", "toy")


def test_a_comparison_times_every_way_and_finds_torchvisions_pixels(photographs, monkeypatch, tmp_path):
    monkeypatch.setattr("bench.system.clock.SECONDS", 0.0)
    monkeypatch.setattr("bench.speed.loading.thread_counts", lambda: {"cores": 1})
    split = dataclasses.replace(make_split(random_truth(12)), images=FolderImages(photographs))
    found = compare(split, toy_backbone(), tmp_path, images=20)
    assert [rate.method for rate in found.rates] == [
        "our loader",
        "torchvision DataLoader, 1 worker",
        "torchvision DataLoader, no workers",
        "backbone alone, torch",
        "features: reading and backbone",
    ]
    assert all(0 < rate.per_second.q1 <= rate.per_second.median <= rate.per_second.q3 for rate in found.rates)
    assert found.rates[0].ratio == 1.0
    assert found.rate(BACKBONE) != found.rate(LOADER)
    assert (found.compared, found.equal, found.largest_difference) == (12, 12, 0.0)


def test_a_turned_photograph_is_counted_as_different_from_torchvisions(photographs, monkeypatch, tmp_path):
    monkeypatch.setattr("bench.system.clock.SECONDS", 0.0)
    monkeypatch.setattr("bench.speed.loading.thread_counts", lambda: {"cores": 1})
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(photographs[3]).copy().save(photographs[3], exif=exif)
    split = dataclasses.replace(make_split(random_truth(12)), images=FolderImages(photographs))
    found = compare(split, toy_backbone(), tmp_path, images=12)
    assert found.equal == 11
    assert found.largest_difference > 1


def test_a_bad_image_is_named_before_anything_is_timed(photographs, tmp_path):
    photographs[6].write_bytes(b"no picture")
    split = dataclasses.replace(make_split(random_truth(12)), images=FolderImages(photographs))
    with pytest.raises(DataError, match=r"cannot read image .*6.jpg: no known image format"):
        compare(split, toy_backbone(), tmp_path, images=12)


def test_pictures_that_are_no_files_cannot_be_compared(tmp_path):
    with pytest.raises(NotRun, match="has no image files that a DataLoader could read"):
        compare(make_split(random_truth(8)), toy_backbone(), tmp_path)


def test_the_command_prints_a_table_and_json(photographs, monkeypatch, capsys):
    monkeypatch.setattr("bench.system.clock.SECONDS", 0.0)
    monkeypatch.setattr("bench.speed.loading.SECONDS_OF_EXTRACTION", 0.0)
    monkeypatch.setattr("bench.speed.loading.thread_counts", lambda: {"cores": 1})
    root = photographs[0].parent
    lines = [f"{path.name},{'even' if number % 2 else 'odd'}\n" for number, path in enumerate(photographs)]
    (root / "labels.csv").write_text("path,labels\n" + "".join(lines))
    command = [
        "data",
        "speed",
        "csv",
        "--data-root",
        str(root),
        "--images",
        "8",
        "--backbone",
        "timm/test_byobnet.r160_in1k",
    ]
    command += ["--set", "backbone.init=random", "--set", "backbone.size=32", "--set", "test_fraction=0.5"]
    assert run_command_line(command) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "csv/train: pictures of" in printed
    assert "6 of 6 images equal torchvision's to the bit; largest difference 0 levels" in printed
    assert "bottleneck: " in printed
    assert run_command_line([*command, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert {rate["images"] for rate in record["loading"]["rates"]} == {8}
    assert record["environment"]["cores"] >= 1
    assert run_command_line([*command, "--set", "backbone.sise=1"]) == 2
    assert "did you mean 'size'" in capsys.readouterr().err

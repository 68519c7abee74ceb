import io
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import odd_pictures
import pytest
import torch
from example_commands import write_corel
from PIL import Image

import bench
from bench.notebook.labelling import MixedImages


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """An exported model, and the folder of its pictures."""
    root = tmp_path_factory.mktemp("labelling")
    write_corel(root / "corel")
    run = bench.run(
        "bce",
        "corel5k",
        data_root=root / "corel",
        protocol="top2@1",
        backbone="digits-cnn",
        options={"epochs": 2},
        out=root / "runs",
        cache=root / "cache",
        export=True,
    )
    return run.path / "onnx", root / "corel" / "images", run


def test_files_pictures_arrays_and_tensors_give_the_same_labels(model):
    folder, images, run = model
    paths = [images / f"test{number}.png" for number in range(20)]
    expected = bench.predict(folder, paths)
    for found, row in zip(expected, run.predicted, strict=True):
        assert set(found.labels) == {run.labels[label] for label in row.nonzero()[0]}
    pictures = [Image.open(path) for path in paths]
    stacked = np.stack([np.asarray(picture) for picture in pictures])
    for same in (list(map(str, paths)), pictures, stacked, list(stacked), torch.from_numpy(stacked), iter(paths)):
        results = bench.predict(folder, same)
        assert [(one.labels, one.scores) for one in results] == [(one.labels, one.scores) for one in expected]
    mixed = bench.predict(folder, [paths[0], pictures[1], stacked[2]], batch=2)
    assert [one.image for one in mixed] == [str(paths[0]), "image 1", "image 2"]


def test_one_image_is_a_list_of_one(model):
    folder, images, _ = model
    picture = Image.open(images / "test0.png")
    for one in (images / "test0.png", str(images / "test0.png"), picture, np.asarray(picture)):
        assert len(bench.predict(folder, one)) == 1
    assert bench.predict(folder, []) == []


def test_a_folder_stands_for_the_image_files_directly_in_it_by_name(model, tmp_path):
    folder, images, _ = model
    for name in ("b.png", "a.PNG", "deeper/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(images / "test0.png", tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    assert [one.image for one in bench.predict(folder, tmp_path)] == [str(tmp_path / "a.PNG"), str(tmp_path / "b.png")]


def test_of_a_folder_the_files_are_those_that_the_command_takes(model, tmp_path):
    """What a Mac leaves and what Pillow only writes are none of them; HEIC is, so that no photograph is passed over."""
    folder, images, _ = model
    for name in ("._b.png", "c.pdf", "b.png"):
        shutil.copy(images / "test0.png", tmp_path / name)
    assert [one.image for one in bench.predict(folder, tmp_path)] == [str(tmp_path / "b.png")]
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic")
    with pytest.raises(bench.DataError, match=r"a\.heic: HEIC, which Pillow does not read"):
        bench.predict(folder, tmp_path)


def test_a_pillow_image_is_read_as_its_file_is_and_stays_as_it_was(model):
    folder, images, _ = model
    upright = Image.open(images / "test1.png").convert("RGB").resize((32, 16))
    exif = Image.Exif()
    exif[0x0112] = 6
    pictures = {
        "turned": (upright, {"format": "PNG", "exif": exif}),
        "grey": (upright.convert("L"), {"format": "PNG"}),
        "palette": (upright.convert("P"), {"format": "PNG"}),
        "transparent": (upright.convert("RGBA").rotate(30), {"format": "PNG"}),
        "ink": (upright.convert("CMYK"), {"format": "TIFF"}),
    }
    for name, (picture, keywords) in pictures.items():
        buffer = io.BytesIO()
        picture.save(buffer, **keywords)
        opened = Image.open(io.BytesIO(buffer.getvalue()))
        before = (opened.mode, opened.size)
        file = images.parent / f"{name}.{keywords['format'].lower()}"
        file.write_bytes(buffer.getvalue())
        (by_picture,), (by_file,) = bench.predict(folder, opened), bench.predict(folder, file)
        assert (by_picture.labels, by_picture.scores) == (by_file.labels, by_file.scores), name
        assert (opened.mode, opened.size) == before


def test_a_tiff_on_its_side_that_pillow_opened_by_its_path_is_turned_once(tmp_path):
    path = tmp_path / "side.tif"
    path.write_bytes(odd_pictures.on_its_side("L"))
    opened = Image.open(path)
    assert MixedImages((opened,)).read(0).tolist() == odd_pictures.STANDING
    assert opened.filename == str(path)


def test_grey_arrays_are_pictures(model):
    folder, _, _ = model
    grey = np.full((20, 30), 90, np.uint8)
    (one,), (other,) = bench.predict(folder, grey), bench.predict(folder, np.repeat(grey[:, :, None], 3, axis=2))
    assert one.scores == other.scores


REFUSED = {
    "float": (
        lambda folder: bench.predict(folder, np.zeros((4, 4, 3))),
        r"array of float64 \(4, 4, 3\), allowed: uint8",
    ),
    "channels first": (
        lambda folder: bench.predict(folder, np.zeros((3, 8, 8), np.uint8)),
        r"uint8 \(3, 8, 8\), allowed",
    ),
    "alpha": (lambda folder: bench.predict(folder, np.zeros((8, 8, 4), np.uint8)), r"uint8 \(8, 8, 4\), allowed"),
    "no pixels": (lambda folder: bench.predict(folder, np.zeros((0, 8, 3), np.uint8)), r"uint8 \(0, 8, 3\), allowed"),
    "absent": (lambda folder: bench.predict(folder, "nowhere.jpg"), r"no image file nowhere\.jpg"),
    "empty name": (lambda folder: bench.predict(folder, [""]), "found an empty name, allowed: paths"),
    "empty model": (lambda folder: bench.predict("", []), "model: found '', allowed: the path of a folder"),
    "number": (lambda folder: bench.predict(folder, 3), "found a int, allowed: paths, Pillow images and uint8 arrays"),
    "numbers": (lambda folder: bench.predict(folder, [3]), "found a int, allowed"),
    "content": (lambda folder: bench.predict(folder, b"GIF89a"), "found a bytes, allowed: paths"),
    "open file": (lambda folder: bench.predict(folder, io.BytesIO()), r"found a BytesIO, .*Try: PIL\.Image\.open"),
    "array of paths": (lambda folder: bench.predict(folder, np.array(["a.jpg"])), r"Of paths, try: list\(images\)"),
    "line": (lambda folder: bench.predict(folder, Image.new("RGB", (1, 900))), "cannot read image 0: 1x900 pixels"),
    "real": (
        lambda folder: bench.predict(folder, Image.new("F", (9, 9))),
        "cannot read image 0: floating-point pixels",
    ),
    "batch": (lambda folder: bench.predict(folder, [], batch=0), "batch: found 0, allowed: whole numbers from 1"),
    "threads": (lambda folder: bench.predict(folder, [], threads="2"), "threads: found '2', allowed: whole numbers"),
    "half a thread": (lambda folder: bench.predict(folder, [], threads=2.5), "threads: found 2.5, allowed: whole"),
    "threads below none": (lambda folder: bench.predict(folder, [], threads=-1), "threads: found -1, allowed: whole"),
    "too many": (lambda folder: bench.predict(folder, [], threads=1025), "found 1025, allowed: 0, for every core, to"),
    "device": (
        lambda folder: bench.predict(folder, [], device="tpu"),
        "--device: found 'tpu', allowed: auto, cpu, cuda",
    ),
    "model": (lambda folder: bench.predict(folder.parent / "none", []), "no exported model at"),
    "no path": (lambda _: bench.predict(None, []), "model: found None, allowed: the path of a folder"),
    "no images": (lambda folder: bench.predict(folder, folder), "no image files directly in it"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_picture_is_refused_in_one_line(model, case):
    call, message = REFUSED[case]
    with pytest.raises(bench.BenchError, match=message) as raised:
        call(model[0])
    assert "\n" not in str(raised.value)


def test_a_cut_file_in_a_lazy_pillow_image_is_named(model):
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(buffer, format="PNG")
    lazy = Image.open(io.BytesIO(buffer.getvalue()[:900]))
    with pytest.raises(bench.DataError, match="cannot read image 0: damaged: "):
        bench.predict(model[0], lazy)


class SlowFile(io.BytesIO):
    """A file whose reading lets other threads run."""

    def read(self, size=-1):
        """Return the next bytes, a moment later."""
        time.sleep(0.001)
        return super().read(size)


def test_a_lazy_pillow_image_may_be_given_several_times():
    buffer = io.BytesIO()
    Image.effect_noise((600, 600), 50).save(buffer, format="JPEG", quality=95)
    expected = np.asarray(Image.open(buffer).convert("RGB"))
    pictures = MixedImages((Image.open(SlowFile(buffer.getvalue())),) * 4)
    with ThreadPoolExecutor(4) as pool:
        assert all(np.array_equal(found, expected) for found in pool.map(pictures.read, range(4)))


def test_several_threads_may_predict(model):
    folder, images, _ = model
    paths = sorted(images.glob("test*.png"))[:6]
    expected = bench.predict(folder, paths)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: bench.predict(folder, paths), range(8)))
    assert all(found == expected for found in results)


def test_a_model_that_stays_loaded_says_what_is_said_of_each_image_alone(model):
    folder, images, run = model
    paths = sorted(images.glob("test*.png"))[:6]
    expected = [bench.predict(folder, path)[0] for path in paths]
    loaded = bench.ExportedModel(folder)
    assert loaded.labels == run.labels
    with ThreadPoolExecutor(4) as pool:
        assert [one for (one,) in pool.map(loaded.predict, paths)] == expected
    assert bench.ExportedModel(folder, batch=6).predict(paths) == bench.predict(folder, paths)
    with pytest.raises(bench.DataError, match="found a int, allowed: paths"):
        loaded.predict(3)


def test_a_model_that_stays_loaded_is_found_from_wherever_the_process_goes(model, monkeypatch):
    """By many images it opens its folder once more."""
    folder, images, _ = model
    monkeypatch.chdir(folder.parent)
    loaded = bench.ExportedModel(folder.name, threads=2)
    monkeypatch.chdir(images)
    assert len(loaded.predict(sorted(images.glob("test*.png"))[:6])) == 6


def test_prediction_imports_no_torch(model):
    folder, images, _ = model
    code = (
        "import sys, bench\n"
        "assert bench.predict(sys.argv[1], sys.argv[2])[0].labels\n"
        "assert not {'torch', 'bench_models', 'typer', 'rich'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-P", "-c", code, folder, images / "test0.png"], check=True)

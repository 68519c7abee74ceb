"""``bench predict`` on whatever people have: in order, each image told, the exit status by the worst."""

import csv
import io
import itertools
import json
import subprocess
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from example_commands import bench
from example_exports import images_of
from PIL import Image

from bench.data.sources import Source
from bench.errors import UsageError
from bench.exported import labelling
from bench.exported.labelling import Choice, Unread, label
from bench.exported.policy import ExportedPolicy, calibrated_by, reader
from bench.exported.predict import Predictor, best_first
from bench.exported.standalone import predict


def records(capsys, *arguments, status=0):
    """What ``bench predict --jsonl`` prints, and what it tells on standard error."""
    capsys.readouterr()
    assert bench("predict", *arguments, "--jsonl") == status
    told = capsys.readouterr()
    return [json.loads(line) for line in told.out.splitlines()], told.err


def test_files_folders_patterns_lines_and_archives_give_the_same_labels(exported, tmp_path, monkeypatch, capsys):
    paths = images_of(exported)[:5]
    with tarfile.open(tmp_path / "some.tar.gz", "w:gz") as tar:
        for path in paths:
            tar.add(path, path.name)
    (tmp_path / "folder").mkdir()
    for path in paths:
        (tmp_path / "folder" / path.name).symlink_to(path)
    lines = "".join(f"{path}\n" for path in paths).encode()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(lines)))
    model = exported / "bce"
    expected, _ = records(capsys, model, *paths)
    assert [one["image"] for one in expected] == list(map(str, paths))
    for same in (tmp_path / "folder", tmp_path / "folder" / "test[0-9].png", tmp_path / "some.tar.gz", "-"):
        found, told = records(capsys, model, same)
        assert told == ""
        assert [one["labels"] for one in found] == [one["labels"] for one in expected], same
        np.testing.assert_allclose(
            [one["scores"] for one in found], [one["scores"] for one in expected], rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("batch", [1, 2, 16])
def test_an_unreadable_image_is_a_row_in_its_place_and_the_rest_is_done(exported, tmp_path, batch, capsys):
    """With one image at a time and two threads, batches are computed by threads; with 16, one after another."""
    (tmp_path / "b.png").write_bytes(b"no picture")
    paths = [*images_of(exported)[:6], tmp_path / "b.png", *images_of(exported)[6:12], tmp_path / "none.png"]
    settings = ("--batch", batch, "--threads", 2)
    expected, _ = records(capsys, exported / "cnn-rnn", *images_of(exported)[:12], *settings)
    found, told = records(capsys, exported / "cnn-rnn", *paths, *settings, status=1)
    assert told == "12 of 14 images labelled, 2 not read\n"
    assert [one["image"] for one in found] == list(map(str, paths))
    assert [one["labels"] for one in found if one["error"] is None] == [one["labels"] for one in expected]
    wrong = {one["image"]: one["error"] for one in found if one["labels"] is None}
    assert wrong == {str(tmp_path / "b.png"): "no known image format", str(tmp_path / "none.png"): "no such file"}


def test_where_none_can_be_read_there_are_rows_all_the_same(exported, tmp_path, capsys):
    found, told = records(capsys, exported / "bce", tmp_path, tmp_path / "x.png", status=1)
    assert [one["error"][:10] for one in found] == ["no image f", "no such fi"]
    assert told == "0 of 2 images labelled, 2 not read\n"


def test_the_best_labels_and_those_above_a_threshold_are_asked_for(exported, capsys):
    images, model = images_of(exported), exported / "bce"
    every, _ = records(capsys, model, *images, "--top-k", 3)
    assert all(len(one["labels"]) == 3 and one["scores"] == sorted(one["scores"])[::-1] for one in every)
    best, _ = records(capsys, model, *images, "--top-k", 1)
    assert [one["labels"] for one in best] == [one["labels"][:1] for one in every]
    likely, _ = records(capsys, model, *images, "--threshold", 0.5)
    for one, other in zip(likely, every, strict=True):
        assert one["labels"] == [
            name for name, value in zip(other["labels"], other["probabilities"], strict=True) if value >= 0.5
        ]
        np.testing.assert_allclose(other["probabilities"], 1 / (1 + np.exp(-np.array(other["scores"]))))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (("--top-k", 0), "--top-k: found 0, allowed: whole numbers from 1"),
        (("--threads", "9" * 23), "1024"),
        (("--batch", "9" * 23), "65536"),
        (("--threshold", "nan"), "--threshold: found nan"),
        (("--json", "--csv"), "found --json and --csv, allowed: one of them"),
    ],
)
def test_what_cannot_be_asked_for_is_one_line(exported, asked, message, capsys):
    assert bench("predict", exported / "bce", images_of(exported)[0], *asked) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert message in told.err
    assert len(told.err.splitlines()) == 1


def test_ties_go_to_the_lower_label_index():
    for choice, last, expected in ((Choice(top_k=2), 0.5, [1, 2]), (Choice(threshold=0.5), 0.4, [1, 2, 0])):
        scores = np.array([0.5, 1.0, 1.0, last], np.float32)
        assert choice.labels(best_first(scores), scores, None) == expected
    with pytest.raises(UsageError, match="--top-k"):
        Choice(top_k=-1)


def test_the_best_labels_are_those_of_the_best_calibrated_probabilities_in_both_programs(exported):
    predictor, source = Predictor(exported / "bce"), images_of(exported)[0]
    count = len(predictor.description.labels)
    ends = np.arange(count + 1) * 2  # each label has two points, of its own constant probability
    constant = np.repeat(np.arange(1, count + 1) / 10 + 0.05, 2)
    state = {"starts": ends, "x": np.tile([-1.0, 1.0], count), "y": constant}
    state = {"thresholds": np.full(count, -99.0), **{f"calibration_{name}": array for name, array in state.items()}}
    values = {
        name: {"dtype": array.dtype.name, "shape": list(array.shape), "values": array.tolist()}
        for name, array in state.items()
    }
    policy = ExportedPolicy("f1;per-label;isotonic", state=values)
    predictor._calibrate = calibrated_by(policy, predictor.description.score_kind)
    predictor._read = reader(policy, predictor.description.k, None)
    model = predict.Model(exported / "bce")
    model.description |= {"policy": policy.to_values()}
    best = predictor.description.labels[::-1]
    for top_k in (2, None):  # label sets, which hold every label here, are in that order too
        (one,) = label(predictor, [Source(str(source), source)], Choice(top_k=top_k))
        (other,) = predict.label(model, [(source, "")], top_k, None)
        assert one.labels == tuple(other["labels"]) == best[:top_k]
        assert one.probabilities == tuple(other["probabilities"])
    for rank, least in enumerate(constant[::-2]):  # some are less in single precision
        (one,) = label(predictor, [Source(str(source), source)], Choice(threshold=least.item()))
        (other,) = predict.label(model, [(source, "")], None, least.item())
        assert one.labels == tuple(other["labels"]) == best[: rank + 1]


def test_a_table_has_a_row_for_each_image_and_no_formula(exported, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("=cmd.png", "@a.png", "+b.png", "plain.png"):
        Image.new("RGB", (8, 8), "red").save(tmp_path / name)
    (tmp_path / "-c.png").write_bytes(b"")
    capsys.readouterr()
    assert bench("predict", exported / "bce", "--csv", "--", "=cmd.png", "@a.png", "+b.png", "-c.png", "plain.png") == 1
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert rows[0] == ["image", "labels", "scores", "probabilities", "log_probability", "error"]
    assert [row[0] for row in rows[1:]] == ["'=cmd.png", "'@a.png", "'+b.png", "'-c.png", "plain.png"]
    assert rows[4][1:] == ["", "", "", "", "empty file"]
    labels, scores, likely = (rows[5][place].split(";") for place in (1, 2, 3))
    assert len(labels) == len(scores) == len(likely) == 2
    assert float(likely[0]) == pytest.approx(1 / (1 + np.exp(-float(scores[0]))), abs=1e-5)


def test_a_label_that_holds_what_joins_labels_is_in_no_table(exported, monkeypatch, capsys):
    class Divided(Predictor):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.description = replace(self.description, labels=("a;b", *self.description.labels[1:]))

    monkeypatch.setattr("bench.exported.predict.Predictor", Divided)
    assert bench("predict", exported / "bce", images_of(exported)[0], "--jsonl") == 0
    capsys.readouterr()
    assert bench("predict", exported / "bce", images_of(exported)[0], "--csv") == 2
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "error: label 'a;b' holds ';', by which CSV joins labels. Try: --jsonl\n")


def test_names_that_steer_a_terminal_are_escaped_in_every_form(exported, tmp_path, capsys):
    Image.new("RGB", (8, 8), "red").save(tmp_path / "a\x1b[31m\u202e.png")
    for form in ((), ("--json",), ("--jsonl",), ("--csv",)):
        capsys.readouterr()
        assert bench("predict", exported / "bce", tmp_path, *form) == 0
        told = capsys.readouterr().out
        assert "\x1b" not in told
        assert "\u202e" not in told
        assert r"a\u001b[31m\u202e.png" in told


def test_where_it_is_stopped_it_says_what_is_kept_and_that_it_begins_anew(exported, monkeypatch, capsys):
    def stopped(*arguments):
        yield from itertools.islice(label(*arguments), 2)
        raise KeyboardInterrupt

    monkeypatch.setattr(labelling, "label", stopped)
    model, images = exported / "bce", images_of(exported)[:4]
    assert bench("predict", model, *images, "--jsonl") == 130
    told = capsys.readouterr()
    assert [json.loads(line)["image"] for line in told.out.splitlines()] == list(map(str, images[:2]))
    kept = "stopped; each image that was printed is labelled whole, of the others nothing is kept. To begin anew: bench"
    assert told.err.startswith(f"{kept} predict {model}")


def test_no_image_at_all_is_an_empty_list(exported, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"")))
    assert bench("predict", exported / "bce", "-", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []


def test_pictures_are_taken_as_they_are_used_and_not_all_at_once(exported, monkeypatch):
    """However many there are: no more than two batches for each thread are under way."""
    taken, image = [], images_of(exported)[0]

    def endless():
        while True:
            taken.append(len(taken))
            yield Source(f"{len(taken)}", image)

    for batch, most in ((1, 4), (4, 16)):
        taken.clear()
        predictor = Predictor(exported / "bce", threads=2, batch=batch)
        found = label(predictor, endless())
        for number in range(50):
            assert next(found).image == str(number + 1)
            assert len(taken) <= number + 1 + most + batch


def test_contents_of_a_packed_archive_bound_a_batch(monkeypatch):
    monkeypatch.setattr(labelling, "MOST_BYTES", 10)
    pictures = [Source(str(size), content=bytes(size)) for size in (4, 4, 4, 50, 1, 1)]
    sizes = [[one.name for one in batch] for batch in labelling._batches(pictures, 5)]
    assert sizes == [["4", "4", "4"], ["50"], ["1", "1"]]


@pytest.mark.parametrize("model", ["cnn-rnn", "bce"])
def test_one_predictor_in_four_threads_is_right(exported, model):
    predictor = Predictor(exported / model, threads=2, batch=2)
    pictures = [Source(str(number), path) for number, path in enumerate(images_of(exported))]
    orders = [np.random.default_rng(seed).permutation(len(pictures)) for seed in range(12)]
    expected = [row.labels for row in label(predictor, pictures) if not isinstance(row, Unread)]

    def wrong(order):
        found = label(predictor, [pictures[place] for place in order])
        return sum(row.labels != expected[place] for row, place in zip(found, order, strict=True))

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(wrong, orders)) == 0


BLOCKED = """
import sys
from importlib.machinery import PathFinder

absent = sys.argv[1].split(",")

class Others(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name in absent else super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Others
from bench.__main__ import main
sys.argv[:2] = ["bench"]
main()
"""


def started_without(modules, *arguments):
    command = [sys.executable, "-P", "-c", BLOCKED, modules, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_predicts_where_torch_and_all_that_trains_is_not_installed(exported):
    absent = "torch,torchvision,timm,scipy,sklearn,matplotlib,jinja2,onnx,onnxscript,rich"
    done = started_without(absent, "predict", exported / "cnn-rnn", images_of(exported)[0])
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("module", "package"), [("onnxruntime", "onnxruntime"), ("numpy", "numpy"), ("PIL", "pillow"), ("typer", "typer")]
)
def test_what_is_not_installed_is_named_in_one_line(exported, module, package):
    done = started_without(module, "predict", exported / "bce", images_of(exported)[0])
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {package} is not installed, which this command needs. Try: pip install ")
    assert len(done.stderr.splitlines()) == 1


def test_training_without_torch_is_one_line_too(tmp_path):
    done = started_without("torch", "run", "--model", "bce", "--dataset", "digit-scenes", "--out", tmp_path)
    assert done.returncode == 2
    assert "torch is not installed" in done.stderr
    assert "Traceback" not in done.stderr

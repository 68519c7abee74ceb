"""The whole way, from the command line, on a data set and a backbone small enough for a test."""

import json
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
from example_commands import FAST, bench, write_corel
from example_models import make

from bench import Metric, weights
from bench.evaluation import metric_table
from bench.model import checkpoint, networks, train
from bench.store.runs import find
from bench.system.journal import PROGRESS


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Options for a small run: data, backbone, and a cache and a store of its own."""
    root = tmp_path_factory.mktemp("small")
    write_corel(root / "corel")
    return {
        "data": ("--dataset", "corel5k", "--data-root", root / "corel", "--protocol", "top2@1"),
        "backbone": ("--backbone", "timm/mobilenetv2_035", "--set", "backbone.size=32"),
        "cache": ("--cache", root / "cache"),
        "root": root,
    }


def run(place, model, *more, out=None):
    options = (*place["data"], *place["backbone"], *place["cache"], "--out", out or place["root"] / "runs")
    return bench("run", "--model", model, *options, *FAST, *more)


@pytest.fixture(scope="module")
def stored(place):
    """A finished run of ``bce`` as ``run`` makes it."""
    assert run(place, "bce") == 0
    return next(folder for folder in find(place["root"] / "runs", "corel5k", ("bce",)) if folder.config["seed"] == 0)


SEQUENCES = ("cnn-rnn", "no-rnn")
VECTORS = ("bce", "softmax", "warp", "joint-embedding", "knn", "svm", "asymmetric-loss", "i-ft")
NEIGHBOURS = ("metric-learning", "dlsr")
CONTROLS = ("prior", "prior-known", "random", "logistic", "classifier-chain", "mlp")
MAPS = ("csra", "query2label", "hcp", "inria", "multi-edge-graph")


@pytest.mark.parametrize("model", [*SEQUENCES, *VECTORS, *NEIGHBOURS, *MAPS, *CONTROLS])
def test_every_model_goes_from_pictures_to_a_table_row(place, model, capsys):
    # What is not trained by gradients has no epochs to shorten.
    unlike = {"knn": "neighbours=5", "svm": "C=1", "inria": "gaussians=2"}
    unlike |= {"logistic": "C=1", "classifier-chain": "orders=1"}
    unlike |= {"metric-learning": "neighbours=5", "multi-edge-graph": "edges=5", "dlsr": "neighbours=5"}
    unlike |= dict.fromkeys(("prior", "prior-known", "random"), "backbone.init=random")
    fast = ("--set", "backbone.init=random", "--set", unlike[model]) if model in unlike else FAST
    options = (*place["data"], *place["backbone"], *place["cache"], "--out", place["root"] / "runs")
    assert bench("run", "--model", model, *options, *fast) == 0
    printed = capsys.readouterr().out
    assert "C-F1" in printed
    assert "run folder" in printed
    assert "bench compare --dataset corel5k" in printed
    folder = find(place["root"] / "runs", "corel5k", (model,))[-1]
    assert folder.done
    assert folder.has("label_sets") == (model in SEQUENCES)
    assert not list(folder.path.glob("checkpoint*"))


def test_running_again_does_nothing_and_the_json_is_whole(place, stored, capsys):
    before = {path.name: path.stat().st_mtime_ns for path in stored.path.iterdir() if path.suffix == ".json"}
    (stored.path / PROGRESS).write_text("{}")  # its process was killed after the last record and before it was removed
    capsys.readouterr()
    assert run(place, "bce", "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["folder"] == str(stored.path)
    assert set(record["measures"]["values"]) >= {"C-F1", "O-F1", "mAP", "MAP@10"}
    after = {path.name: path.stat().st_mtime_ns for path in stored.path.iterdir() if path.suffix == ".json"}
    assert after == before


def test_the_same_seed_gives_the_same_scores_in_another_store(place, tmp_path):
    for out in (tmp_path / "a", tmp_path / "b"):
        assert run(place, "cnn-rnn", out=out) == 0
    one, other = (find(tmp_path / name)[0] for name in ("a", "b"))
    assert one.key == other.key
    assert one.read_weights() == other.read_weights()
    np.testing.assert_array_equal(one.read_scores().values, other.read_scores().values)
    np.testing.assert_array_equal(one.read_label_sets().sequences, other.read_label_sets().sequences)


def test_a_runs_metrics_see_the_label_sequences(place, tmp_path, monkeypatch):
    def first_label(evaluation):
        return evaluation.sequences.sequences[:, 0].mean()

    extra = Metric("first_label", first_label, "Mean index of the first label", scale=1.0, direction="none")
    monkeypatch.setattr(metric_table, "METRICS", (*metric_table.METRICS, extra))
    assert run(place, "cnn-rnn", out=tmp_path) == 0
    (folder,) = find(tmp_path)
    assert folder.read_measures().values["first_label"] == folder.read_label_sets().sequences[:, 0].mean()


def test_fine_tuning_changes_the_features_and_is_kept(place, stored, tmp_path):
    assert run(place, "bce", "--finetune", "1", out=tmp_path) == 0
    folder = find(tmp_path)[0]
    assert folder.has("backbone")
    assert folder.config["backbone"]["finetune"] == 1
    assert not np.array_equal(folder.read_scores().values, stored.read_scores().values)


def test_a_finished_run_can_be_rebuilt_and_scores_the_same(place, stored):
    from bench.model import features, train
    from bench.rebuilt import rebuild

    rebuilt = rebuild(stored)
    extracted = features.of_parts(rebuilt.assembly.parts, rebuilt.backbone, place["root"] / "cache" / "features")
    np.testing.assert_array_equal(train.scores(rebuilt.model, extracted.test), stored.read_scores().values)


BAD = {
    "model": (("--model", "sofmax"), "no model 'sofmax'; did you mean 'softmax'?"),
    "dataset": (("--dataset", "vco2007"), "no dataset 'vco2007'; did you mean 'voc2007'?"),
    "option": (("--set", "cel=gru"), "no option of model 'cnn-rnn' 'cel'; did you mean 'cell'?"),
    "option of another part": (("--set", "precision=fp32"), "Try: --set finetune.precision=fp32"),
    "value": (("--set", "cell=gruu"), "option cell: found 'gruu', allowed: paper, paper-literal, lstm, gru"),
    "number": (("--set", "beam_width=0"), "option beam_width: found '0', allowed: a whole number >= 1"),
    "protocol": (("--protocol", "coco-top3@9"), "no protocol 'coco-top3@9'"),
    "k": (("--protocol", "top4@1"), "k is 4, allowed: at most the 3 labels"),
    "root": (("--data-root", "nowhere"), "data root nowhere is no folder. 'corel5k' expects there: train.tsv"),
    "split": (("--test-split", "train"), "images are in both train and train"),
    "weights": (("--weights", "gone.pth"), "no weights file gone.pth"),
    "device": (("--device", "tpu9"), "--device: found 'tpu9', allowed: cpu, cuda or cuda:N"),
    "another name of the cpu": (("--device", "cpu:0"), "--device: found 'cpu:0', allowed: cpu, cuda or cuda:N"),
    "no device that computes": (("--device", "meta"), "--device: found 'meta', allowed: cpu, cuda or cuda:N"),
    "seed": (("--seed", "-1"), "Invalid value for '--seed'"),
}


def test_each_damaged_file_of_a_finished_run_is_made_anew_by_the_same_run(place, tmp_path):
    assert run(place, "bce", out=tmp_path) == 0
    (folder,) = find(tmp_path)
    listed = json.loads((folder.path / "manifest.json").read_text())["files"]
    contents = {name: (folder.path / name).read_bytes() for name in listed}
    assert {"training.json", "weights.safetensors", "validation.npz", "gallery.npz"} <= contents.keys()
    for name, content in contents.items():
        damaged = bytearray(content)
        damaged[2 * len(damaged) // 3] ^= 4
        (folder.path / name).write_bytes(damaged)
        assert run(place, "bce", out=tmp_path) == 0
        assert find(tmp_path)[0].done, name
        if name in {"weights.safetensors", "scores.npy", "predicted.npz", "measures.json", "truth.npz"}:
            assert (folder.path / name).read_bytes() == content


@pytest.mark.parametrize("mistake", BAD)
def test_a_mistake_is_one_clear_line_and_exit_code_two(place, mistake, capsys):
    arguments, message = BAD[mistake]
    assert run(place, "cnn-rnn", *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1


def test_a_cuda_device_that_is_not_there_is_not_run_and_never_a_silent_fallback(place, capsys):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    assert run(place, "bce", "--device", "cuda") == 2
    assert capsys.readouterr().err.startswith("not run: --device cuda was asked for")


def test_a_truncated_picture_stops_the_run_with_its_path(place, tmp_path, capsys):
    root = write_corel(tmp_path / "corel")
    picture = root / "images" / "train7.png"
    picture.write_bytes(picture.read_bytes()[:40])
    assert run(place, "bce", "--data-root", root, out=tmp_path / "runs") == 2
    error = capsys.readouterr().err
    assert "train7.png" in error
    assert len(error.strip().splitlines()) == 1
    assert find(tmp_path / "runs")[0].summary().state == "failed"


def test_a_loss_that_diverges_is_a_failed_row_with_its_reason(place, tmp_path, capsys):
    wild = ("--set", "learning_rates=1e36", "--set", "clip_norm=0", "--set", "epochs=9", "--set", "batch_size=8")
    assert run(place, "softmax", *wild, out=tmp_path) == 2
    assert "the loss became infinite or undefined" in capsys.readouterr().err
    summary = find(tmp_path)[0].summary()
    assert (summary.state, "loss became infinite" in summary.reason) == ("failed", True)


def test_an_output_folder_that_cannot_be_written_is_one_clear_line(place, tmp_path, capsys):
    (tmp_path / "file").write_text("not a folder")
    assert run(place, "bce", out=tmp_path / "file" / "runs") == 2
    error = capsys.readouterr().err
    assert "cannot write" in error
    assert len(error.strip().splitlines()) == 1


def test_a_full_disk_is_one_clear_line(place, tmp_path, capsys, monkeypatch):
    import errno

    from bench.store import sealed

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sealed.np, "savez_compressed", full, raising=False)
    monkeypatch.setattr("bench.system.files.os.fsync", full)
    assert run(place, "bce", out=tmp_path) == 2
    error = capsys.readouterr().err
    assert "No space left on device" in error
    assert len(error.strip().splitlines()) == 1


def test_a_run_that_dies_in_training_goes_on_from_its_checkpoint_and_ends_as_if_it_had_not(
    place, tmp_path, monkeypatch
):
    """tests/faults/test_campaign.py kills the process."""

    def save(file, state):
        saved.append(state.epoch)
        if len(saved) == 4:
            raise MemoryError
        kept(file, state)

    saved, kept = [], checkpoint.CheckpointFile.save
    monkeypatch.setattr(checkpoint, "SECONDS", 0.0)
    monkeypatch.setattr(checkpoint.CheckpointFile, "save", save)
    more = ("--set", "epochs=6", "--set", "hidden=16", "--set", "learning_rates=1e-2")
    assert run(place, "cnn-rnn", *more, out=tmp_path / "died") == 2
    assert run(place, "cnn-rnn", *more, out=tmp_path / "died") == 0
    assert saved[:5] == [1, 2, 3, 4, 4]
    assert run(place, "cnn-rnn", *more, out=tmp_path / "whole") == 0
    continued, whole = (find(tmp_path / name)[0] for name in ("died", "whole"))
    assert continued.done
    assert continued.read_weights() == whole.read_weights()
    assert continued.read_measures() == whole.read_measures()


def test_compare_prints_one_row_per_model_and_runs_only_what_is_missing(place, capsys):
    options = (*place["data"], *place["backbone"], *place["cache"], "--out", place["root"] / "runs")
    arguments = ("compare", "--models", "bce,softmax", "--seeds", "2", *options, *FAST, "--format", "markdown")
    assert bench(*arguments) == 0
    first = capsys.readouterr().out
    assert bench(*arguments) == 0
    assert capsys.readouterr().out == first
    assert [line.split("|")[1].strip() for line in first.splitlines() if line.startswith("| bce")] == ["bce"]
    assert "±" in first


def test_a_run_resumed_with_stored_weights_goes_on_on_its_device():
    """The device without memory stands for a GPU that this machine may not have."""
    model = make("bce")
    folder = SimpleNamespace(read_weights=lambda: train.save_weights(model))
    plan = SimpleNamespace(calling=lambda *_: nullcontext(), request=SimpleNamespace(device="meta"))
    resumed = make("bce")
    weights._take_weights(folder, plan, resumed)
    assert networks.device_of(resumed).type == "meta"

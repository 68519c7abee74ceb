"""Every forgery of a stored run, and which level of ``bench validate`` finds it.

Those that the folder alone shows are in ``forged_runs``; those here are consistent in themselves.
"""

import contextlib
import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from example_commands import FAST, bench, write_corel
from forged_runs import BY_FOLDER, as_sequences, copied, edit, measure_again, renamed, results_of_another_model

from bench.data.fingerprint import truth_hash
from bench.evaluation import protocols
from bench.recompute.compare import relative_difference
from bench.recompute.run import recompute
from bench.records import LabelSpace, Scores
from bench.store.runs import find
from bench.store.sealed import MANIFEST, SealedFolder
from bench.store.validate import verdict

MODELS = ("bce", "warp", "cnn-rnn")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store of honest runs: two score models and a sequence model, one seed each."""
    root = tmp_path_factory.mktemp("honest")
    write_corel(root / "corel")
    for model in MODELS:
        # With this seed some sequences name wrong labels: only what a run says can contradict a forgery.
        own = ("--seed", "5") if model == "cnn-rnn" else ()
        assert bench("-q", "run", "--model", model, *options(root), *own, "--out", root / "runs") == 0
    return root


def options(root):
    where = ("--dataset", "corel5k", "--data-root", root / "corel", "--protocol", "top2@1", "--cache", root / "cache")
    return (*where, "--backbone", "timm/mobilenetv2_035", "--set", "backbone.size=32", *FAST)


@pytest.fixture
def runs(made, tmp_path):
    """Copies of the honest runs by their model, to be forged."""
    shutil.copytree(made / "runs", tmp_path / "runs")
    return {folder.path.parent.name: folder for folder in find(tmp_path / "runs")}


def scores_invented(runs):
    folder = runs["bce"]
    truth, scores = folder.read_truth(), folder.read_scores()
    folder.write_scores(Scores(truth.ids, np.where(truth.truth, 5.0, -5.0).astype(np.float32), scores.kind))
    folder.write_predicted(protocols.predicted_from_scores(protocols.get("top2@1"), folder.read_scores()))
    measure_again(folder)


def scores_of_another_model_sealed_with_them(runs):
    folder, other = runs["bce"], runs["warp"].read_scores()
    folder.write_scores(Scores(other.ids, np.array(other.values), folder.read_scores().kind))
    folder.write_predicted(protocols.predicted_from_scores(protocols.get("top2@1"), folder.read_scores()))
    measure_again(folder)


def sequences_and_their_scores_invented(runs):
    folder = runs["cnn-rnn"]
    truth = folder.read_truth()
    folder.write_label_sets(as_sequences(truth.truth, truth.ids, probability=0.9))
    folder.write_scores(Scores(truth.ids, np.where(truth.truth, 0.97, 0.01).astype(np.float32), "probability"))
    folder.write_predicted(truth.truth)
    for name in ("trees.json", "embedding.npz", "attention.npz"):
        with contextlib.suppress(KeyError):
            SealedFolder(folder.path).forget(name)
    measure_again(folder)


def weights_and_their_seal_exchanged(runs):
    folder = runs["bce"]
    copied(runs["warp"], folder, "weights.safetensors")
    scores = folder.read_scores()
    folder.write_scores(Scores(scores.ids, np.array(scores.values), scores.kind))


def truth_config_and_key_rewritten(runs):
    folder = runs["bce"]
    truth, predicted = folder.read_truth(), folder.read_predicted()
    folder.write_truth(replace(truth, truth=predicted))
    measure_again(folder)
    hashed = truth_hash(truth.ids, truth.labels, np.packbits(predicted, axis=1), None)
    return renamed(folder, dataset=folder.config["dataset"] | {"truth": hashed})


def options_config_and_key_rewritten(runs):
    config = runs["bce"].config
    return renamed(runs["bce"], training=config["training"] | {"weight_decay": 0.125})


def validation_scores_raised_together(runs):
    training = runs["cnn-rnn"].read_training()
    history = [entry | {"score": 0.5 + entry["score"] / 2.001} for entry in training["history"]]
    best = max(history, key=lambda entry: entry["score"])
    edit(runs["cnn-rnn"], "training.json", history=history, best_epoch=best["epoch"], score=best["score"])


def another_label_space(runs):
    space = runs["cnn-rnn"].exhibits.label_space()
    exchanged = LabelSpace(space.labels[::-1], space.images, space.start)
    arrays = {name: getattr(exchanged, name) for name in ("labels", "images", "start")}
    SealedFolder(runs["cnn-rnn"].path).write_arrays("embedding.npz", **arrays)


def another_published_row(runs):
    runs["bce"].write_about(replace(runs["bce"].read_about(), row="CNN-RNN"))


def no_deviations(runs):
    runs["cnn-rnn"].write_about(replace(runs["cnn-rnn"].read_about(), deviations="none"))


SCORES = "its scores are not those of its weights"

RECOMPUTED = {
    scores_invented: SCORES,
    scores_of_another_model_sealed_with_them: SCORES,
    sequences_and_their_scores_invented: "the label sequences of 20 images are not those of its weights",
    weights_and_their_seal_exchanged: SCORES,
    truth_config_and_key_rewritten: "gives another run here: dataset.truth differ",
    options_config_and_key_rewritten: "gives another run here: training.weight_decay differ",
    validation_scores_raised_together: "its validation score is stored as .*, its weights give",
    another_label_space: "embedding.npz is not what its weights and images show",
    another_published_row: "about.json: row is not what plugin and data set say",
    no_deviations: "about.json: deviations is not what plugin and data set say",
}
"""Each forgery that is consistent in itself, and by what weights and data show it."""


def losses_invented(runs):
    history = [entry | {"loss": entry["loss"] / 2} for entry in runs["bce"].read_training()["history"]]
    edit(runs["bce"], "training.json", history=history)


def forged(attack, runs):
    """Return the folder that ``attack`` changed: the one it says, or the one whose files are no longer the same."""
    before = {name: (folder.path / MANIFEST).read_bytes() for name, folder in runs.items()}
    if (folder := attack(runs)) is not None:
        return folder
    files = {name: folder.path / MANIFEST for name, folder in runs.items()}
    (changed,) = [name for name, file in files.items() if not file.exists() or file.read_bytes() != before[name]]
    return runs[changed]


@pytest.mark.parametrize("model", MODELS)
def test_an_honest_run_passes_every_level(runs, model):
    assert verdict(runs[model]).faults == ()
    found = recompute(runs[model], retrain=True)
    assert (found.faults, found.level) == ((), "retrained")


@pytest.mark.parametrize("attack", BY_FOLDER)
def test_the_folder_alone_finds(attack, runs):
    found = verdict(forged(attack, runs))
    assert any(re.search(BY_FOLDER[attack], fault) for fault in found.faults), found.faults
    assert found.level == "folder"


@pytest.mark.parametrize("attack", RECOMPUTED)
def test_recomputing_finds_what_the_folder_alone_cannot(attack, runs):
    folder = forged(attack, runs)
    assert verdict(folder).faults == ()
    found = recompute(folder)
    assert any(re.search(RECOMPUTED[attack], fault) for fault in found.faults), found.faults
    assert found.level == "recomputed"


def test_training_again_finds_losses_that_nothing_else_can(runs):
    folder = forged(losses_invented, runs)
    assert recompute(folder).faults == ()
    assert recompute(folder, retrain=True).faults == ("training again gives other training curves",)


def test_a_run_whose_data_are_gone_is_checked_by_its_folder_and_says_so(runs, made, tmp_path, capsys):
    moved = tmp_path / "moved"
    shutil.copytree(made / "corel", moved)
    edit(runs["bce"], "request.json", data_root=str(tmp_path / "gone"))
    named = (str(runs["bce"].path), "--recompute")
    assert bench("validate", *named) == 2
    printed = capsys.readouterr().out
    assert "done [folder], as it claims" in printed
    assert "not recomputed:" in printed
    assert "--data-root DIR" in printed
    assert bench("validate", *named, "--data-root", moved, "--json") == 0
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    assert (run["level"], run["faults"]) == ("recomputed", [])


def test_where_data_lie_is_only_asked_for_recomputing(runs, capsys):
    assert bench("validate", runs["bce"].path, "--data-root", "somewhere") == 2
    assert "--data-root and --weights are for --recompute" in capsys.readouterr().err


def test_a_run_without_a_manifest_is_listed_as_damaged(runs, capsys):
    (runs["bce"].path / MANIFEST).unlink()
    store = ("--runs", runs["bce"].path.parents[2])
    assert bench("validate", *store) == 1
    assert f"bce/{runs['bce'].path.name}: damaged [folder]" in capsys.readouterr().out
    assert bench("runs", *store, "--json") == 0
    states = {entry["model"]: entry["state"] for entry in json.loads(capsys.readouterr().out)}
    assert states == {"bce": "damaged", "warp": "done", "cnn-rnn": "done"}
    assert bench("table", *store, "--format", "json") == 0
    assert "has no manifest.json" in capsys.readouterr().out


def test_a_run_that_holds_another_ones_results_is_made_anew_by_running_it_again(runs, made):
    folder, honest = forged(results_of_another_model, runs), runs["bce"].key
    scores = find(made / "runs", models=("bce",))[0].read_scores().values
    assert bench("-q", "run", "--model", "bce", *options(made), "--out", folder.path.parents[2]) == 0
    assert folder.key == honest
    assert verdict(folder).faults == ()
    np.testing.assert_array_equal(folder.read_scores().values, scores)


def test_a_sequence_exchanged_under_the_same_probability_is_found(runs):
    folder = runs["cnn-rnn"]
    stored = folder.read_label_sets()
    sequences = stored.sequences.copy()
    sequences[0, 0] = (sequences[0, 0] + 1) % 3
    folder.write_label_sets(replace(stored, sequences=sequences))
    folder.write_predicted(folder.read_label_sets().as_matrix(3))
    measure_again(folder)
    assert "the label sequences of 1 images are not those of its weights" in recompute(folder).faults


def test_a_run_by_another_version_is_done_again_by_the_code_at_hand_which_is_said(runs):
    older = renamed(runs["bce"], bench="0.0.9")
    found = recompute(older)
    assert (found.faults, found.level) == ((), "recomputed")
    assert found.notes[0] == "done again by other code: bench differ"


@pytest.mark.parametrize(
    ("stored", "again", "expected"),
    [
        ([1.0, 2.0], [1.0, 4.0], 0.5),
        ([-np.inf, 1.0], [-np.inf, 1.0], 0.0),
        ([-np.inf, 1.0], [0.0, 1.0], np.inf),
        ([1.0], [1.0, 1.0], np.inf),
    ],
)
def test_differences_are_relative_to_the_largest_magnitude_and_infinite_scores_must_agree(stored, again, expected):
    assert relative_difference(np.array(stored), np.array(again)) == expected

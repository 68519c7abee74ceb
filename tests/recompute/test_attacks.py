"""Stored runs forged, each as well as a careful forger would, and which level of ``bench validate`` finds it.

Every forgery is resealed: the manifest holds the new hashes, and measures are computed again from what was forged.
``RENAMED`` ones also have a new config, key, folder name, and that key in every file.
"""

import contextlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from example_commands import FAST, bench, write_corel

from bench.data.fingerprint import truth_hash
from bench.evaluation import protocols
from bench.evaluation.measure import measure
from bench.recompute.run import recompute
from bench.records import LabelSets, LabelSpace, Measures, Scores
from bench.store.run_folder import RunFolder
from bench.store.runs import find
from bench.store.sealed import MANIFEST, SealedFolder
from bench.store.stored import Truth
from bench.store.validate import verdict
from bench.system.files import canonical_json, digest

MODELS = ("bce", "warp", "cnn-rnn")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store of honest runs: two score models and a sequence model, one seed each."""
    root = tmp_path_factory.mktemp("honest")
    write_corel(root / "corel")
    where = ("--dataset", "corel5k", "--data-root", root / "corel", "--protocol", "top2@1", "--cache", root / "cache")
    backbone = ("--backbone", "timm/mobilenetv2_035", "--set", "backbone.size=32")
    for model in MODELS:
        assert bench("-q", "run", "--model", model, *where, *backbone, *FAST, "--out", root / "runs") == 0
    return root


@pytest.fixture
def runs(made, tmp_path):
    """Copies of the honest runs by their model, to be forged."""
    shutil.copytree(made / "runs", tmp_path / "runs")
    return {folder.path.parent.name: folder for folder in find(tmp_path / "runs")}


def measure_again(folder):
    """Store what the forged predictions are worth."""
    masks, scores = folder.read_masks(), folder.read_scores()
    sequences = folder.read_label_sets() if folder.has("label_sets") else None
    protocol = protocols.get("top2@1")
    folder.write_measures(
        measure(protocol, masks.labels, masks.truth, masks.ignore, masks.predicted, scores, sequences=sequences)
    )


def edit(folder, name, **changes):
    """Change entries of a JSON file and reseal it."""
    files = SealedFolder(folder.path)
    files.write_json(name, files.read_json(name) | changes)


def copied(source, target, *names):
    """Put files of one run into another and seal them there."""
    for name in names:
        SealedFolder(target.path).write(name, (source.path / name).read_bytes())


def renamed(folder, **changes):
    """Return the run under another config, with its key in the manifest, in every file and as the folder's name."""
    config = json.loads((folder.path / "config.json").read_bytes()) | changes
    key, files = digest(canonical_json(config)), SealedFolder(folder.path)
    listed = files.manifest()["files"]
    values = {name: files.read_json(name) for name in listed if name.endswith(".json") and name != "config.json"}
    arrays = {name: files.read_arrays(name) for name in listed if name.endswith(".npz")}
    manifest = json.loads((folder.path / MANIFEST).read_bytes())
    (folder.path / MANIFEST).write_text(json.dumps(manifest | {"key": key}))
    files.write_json("config.json", config)
    for name, value in values.items():
        files.write_json(name, value)
    for name, value in arrays.items():
        files.write_arrays(name, **value)
    return RunFolder(folder.path.rename(folder.path.with_name(key)))


def predictions_are_the_truth(runs):
    folder = runs["bce"]
    folder.write_predicted(folder.read_truth().truth)
    measure_again(folder)


def ties_go_to_the_higher_index(runs):
    folder = runs["bce"]
    scores = folder.read_scores()
    folder.write_scores(Scores(scores.ids, np.zeros_like(scores.values), scores.kind))
    folder.write_predicted(np.tile(np.array([False, True, True]), (len(scores.ids), 1)))
    measure_again(folder)


def one_label_more(runs):
    folder = runs["warp"]
    predicted = folder.read_predicted()
    predicted[0] = True
    folder.write_predicted(predicted)
    measure_again(folder)


def label_sets_are_not_the_sequences(runs):
    folder = runs["cnn-rnn"]
    folder.write_predicted(folder.read_truth().truth)
    measure_again(folder)


def sequences_for_a_score_model(runs):
    folder = runs["bce"]
    truth = folder.read_truth()
    folder.write_label_sets(as_sequences(truth.truth, truth.ids))
    folder.write_predicted(truth.truth)
    measure_again(folder)


def as_sequences(truth, ids, probability=1.0):
    sequences = np.full((len(ids), 3), -1, dtype=np.int32)
    for row, labels in enumerate(map(np.flatnonzero, truth)):
        sequences[row, : len(labels)] = labels
    count = len(ids)
    return LabelSets(ids, sequences, np.full(count, np.log(probability)), np.ones(count, dtype=np.bool_))


def sequences_are_the_truth(runs):
    folder = runs["cnn-rnn"]
    truth = folder.read_truth()
    folder.write_label_sets(as_sequences(truth.truth, truth.ids))
    folder.write_predicted(truth.truth)
    measure_again(folder)


def class_scores_are_the_truth(runs):
    folder = runs["cnn-rnn"]
    truth = folder.read_truth()
    folder.write_scores(Scores(truth.ids, truth.truth.astype(np.float32), "probability"))
    measure_again(folder)


def class_scores_beyond_probability(runs):
    folder = runs["cnn-rnn"]
    scores = folder.read_scores()
    folder.write_scores(Scores(scores.ids, np.asarray(scores.values) + 1, "probability"))
    measure_again(folder)


def truth_is_what_was_predicted(runs):
    folder = runs["bce"]
    truth = folder.read_truth()
    folder.write_truth(replace(truth, truth=folder.read_predicted()))
    measure_again(folder)


def misses_are_ignored(runs):
    folder = runs["bce"]
    truth = folder.read_truth()
    folder.write_truth(replace(truth, ignore=folder.read_predicted() & ~truth.truth))
    measure_again(folder)


def ids_in_another_order(runs):
    folder = runs["bce"]
    truth = folder.read_truth()
    folder.write_truth(replace(truth, ids=truth.ids[::-1]))


def label_names_in_another_order(runs):
    folder = runs["bce"]
    truth = folder.read_truth()
    folder.write_truth(replace(truth, labels=truth.labels[::-1]))


def an_image_left_out(runs):
    folder = runs["bce"]
    truth, scores = folder.read_truth(), folder.read_scores()
    predicted = folder.read_predicted()
    folder.write_truth(Truth(truth.ids[1:], truth.labels, truth.truth[1:], None))
    folder.write_scores(Scores(scores.ids[1:], np.array(scores.values[1:]), scores.kind))
    folder.write_predicted(predicted[1:])
    measure_again(folder)


def folders_swapped(runs):
    one, other = runs["bce"].path, runs["warp"].path
    aside = one.with_name("aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)
    return RunFolder(one)


def moved_under_another_model(runs):
    path = runs["warp"].path
    target = path.parents[1] / "softmax" / path.name
    target.parent.mkdir()
    return RunFolder(path.rename(target))


def moved_under_another_data_set(runs):
    path = runs["bce"].path
    target = path.parents[2] / "voc2007" / "bce" / path.name
    target.parent.mkdir(parents=True)
    return RunFolder(path.rename(target))


def folder_renamed(runs):
    path = runs["bce"].path
    return RunFolder(path.rename(path.with_name("0" * 16)))


def results_of_another_model(runs):
    names = ("scores.npy", "scores.json", "predicted.npz", "measures.json", "training.json", "weights.safetensors")
    copied(runs["warp"], runs["bce"], *names)
    return runs["bce"]


def scores_of_another_model(runs):
    folder = runs["bce"]
    copied(runs["warp"], folder, "scores.npy")
    folder.write_predicted(protocols.predicted_from_scores(protocols.get("top2@1"), folder.read_scores()))
    measure_again(folder)


def weights_of_another_model(runs):
    copied(runs["warp"], runs["bce"], "weights.safetensors")


def config_edited(runs):
    SealedFolder(runs["bce"].path).write_json("config.json", runs["bce"].config | {"seed": 7})


def config_and_key_edited(runs):
    folder, config = runs["bce"], runs["bce"].config | {"seed": 7}
    manifest = json.loads((folder.path / MANIFEST).read_bytes())
    (folder.path / MANIFEST).write_text(json.dumps(manifest | {"key": digest(canonical_json(config))}))
    SealedFolder(folder.path).write_json("config.json", config)


def config_key_and_name_edited(runs):
    folder = runs["bce"]
    config_and_key_edited(runs)
    return RunFolder(folder.path.rename(folder.path.with_name(folder.key)))


def seed_changed_everywhere_but_in_the_request(runs):
    return renamed(runs["bce"], seed=7)


def rows_of_classes_invented(runs):
    measures = runs["bce"].read_measures()
    rows = measures.per_class | {"recall": (1.0, 1.0, 1.0)}
    runs["bce"].write_measures(replace(measures, per_class=rows))


def rows_of_classes_too_many(runs):
    measures = runs["bce"].read_measures()
    rows = {name: (*row, 1.0) for name, row in measures.per_class.items()}
    runs["bce"].write_measures(replace(measures, per_class=rows))


def notes_invented(runs):
    measures = runs["bce"].read_measures()
    runs["bce"].write_measures(replace(measures, notes=("checked by three people",)))


def a_measure_raised(runs):
    measures = runs["bce"].read_measures()
    runs["bce"].write_measures(Measures(measures.protocol, measures.values | {"mAP": 0.99}, measures.per_class))


def another_protocol(runs):
    folder = runs["bce"]
    masks = folder.read_masks()
    again = measure(protocols.get("top1@1"), masks.labels, masks.truth, None, masks.predicted, folder.read_scores())
    folder.write_measures(again)


def a_better_validation_score(runs):
    edit(runs["bce"], "training.json", score=1.0)


def another_best_epoch(runs):
    history = runs["bce"].read_training()["history"]
    worst = min(history, key=lambda entry: entry["score"])
    edit(runs["bce"], "training.json", best_epoch=3 - worst["epoch"] + 1, score=worst["score"])


def more_epochs_than_asked_for(runs):
    training = runs["bce"].read_training()
    history = [*training["history"], training["history"][-1] | {"epoch": 3, "loss": 0.01, "score": 1.0}]
    edit(runs["bce"], "training.json", history=history, best_epoch=3, score=1.0)


def a_learning_rate_never_tried(runs):
    training = runs["bce"].read_training()
    history = [entry | {"learning_rate": 0.5, "rate": 0.5} for entry in training["history"]]
    edit(runs["bce"], "training.json", history=history, learning_rate=0.5)


def more_parameters(runs):
    edit(runs["bce"], "training.json", parameters=10**9)


def searches_of_other_answers(runs):
    folder = runs["cnn-rnn"]
    trees = folder.exhibits.trees()
    trees[0]["best"] = [2, 1, 0, 3]
    edit(folder, "trees.json", trees=trees)


def a_search_more_certain(runs):
    folder = runs["cnn-rnn"]
    trees = folder.exhibits.trees()
    for tree in trees:
        tree["edges"] = [[*edge[:2], 0.999, 0.999, edge[4]] for edge in tree["edges"]]
    edit(folder, "trees.json", trees=trees)


def other_pictures(runs):
    files = SealedFolder(runs["bce"].path)
    stored = files.read_arrays("gallery.npz")
    files.write_arrays("gallery.npz", **stored | {"rows": stored["rows"][::-1]})


def a_record_left_out(runs):
    SealedFolder(runs["bce"].path).forget("training.json")


def another_model_was_asked_for(runs):
    edit(runs["bce"], "request.json", model="warp")


def manifest_removed(runs):
    (runs["bce"].path / MANIFEST).unlink()


FOLDER = [
    *(predictions_are_the_truth, ties_go_to_the_higher_index, one_label_more, label_sets_are_not_the_sequences),
    *(sequences_for_a_score_model, sequences_are_the_truth, class_scores_beyond_probability),
    *(truth_is_what_was_predicted, misses_are_ignored, ids_in_another_order, label_names_in_another_order),
    *(an_image_left_out, folders_swapped, moved_under_another_model, moved_under_another_data_set, folder_renamed),
    *(results_of_another_model, scores_of_another_model, weights_of_another_model),
    *(config_edited, config_and_key_edited, config_key_and_name_edited, seed_changed_everywhere_but_in_the_request),
    *(rows_of_classes_invented, rows_of_classes_too_many, notes_invented, a_measure_raised, another_protocol),
    *(a_better_validation_score, another_best_epoch, more_epochs_than_asked_for, a_learning_rate_never_tried),
    *(more_parameters, searches_of_other_answers, a_search_more_certain, other_pictures, a_record_left_out),
    *(another_model_was_asked_for, manifest_removed),
]


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
    training = runs["bce"].read_training()
    history = [entry | {"score": 0.5 + entry["score"] / 2.001} for entry in training["history"]]
    best = max(history, key=lambda entry: entry["score"])
    edit(runs["bce"], "training.json", history=history, best_epoch=best["epoch"], score=best["score"])


def another_label_space(runs):
    space = runs["cnn-rnn"].exhibits.label_space()
    exchanged = LabelSpace(space.labels[::-1], space.images, space.start)
    arrays = {name: getattr(exchanged, name) for name in ("labels", "images", "start")}
    SealedFolder(runs["cnn-rnn"].path).write_arrays("embedding.npz", **arrays)


def another_published_row(runs):
    runs["bce"].write_about(replace(runs["bce"].read_about(), row="CNN-RNN"))


RECOMPUTED = [
    *(scores_invented, scores_of_another_model_sealed_with_them, sequences_and_their_scores_invented),
    *(class_scores_are_the_truth, weights_and_their_seal_exchanged, truth_config_and_key_rewritten),
    *(options_config_and_key_rewritten, validation_scores_raised_together, another_label_space),
    another_published_row,
]


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


@pytest.mark.parametrize("attack", FOLDER)
def test_the_folder_alone_finds(attack, runs):
    found = verdict(forged(attack, runs))
    assert found.faults
    assert found.level == "folder"


@pytest.mark.parametrize("attack", RECOMPUTED)
def test_recomputing_finds_what_the_folder_alone_cannot(attack, runs):
    folder = forged(attack, runs)
    assert verdict(folder).faults == ()
    found = recompute(folder)
    assert found.faults
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
    store = ("--runs", str(Path(runs["bce"].path).parents[2]))
    assert bench("validate", *store) == 1
    assert f"bce/{runs['bce'].path.name}: damaged [folder]" in capsys.readouterr().out
    assert bench("runs", *store, "--json") == 0
    states = {entry["model"]: entry["state"] for entry in json.loads(capsys.readouterr().out)}
    assert states == {"bce": "damaged", "warp": "done", "cnn-rnn": "done"}
    assert bench("table", *store, "--format", "json") == 0
    assert "has no manifest.json" in capsys.readouterr().out

"""Stored runs forged, each as well as a careful forger would, and by what their folders alone show it.

Each function takes honest runs by their model and forges one; it returns the folder where that was moved. Every forgery
is resealed: the manifest holds the new hashes, and measures are computed again from what was forged.
"""

import json
from dataclasses import replace

import numpy as np

from bench.evaluation import protocols
from bench.evaluation.measure import measure
from bench.records import LabelSets, Measures, Scores
from bench.store.run_folder import RunFolder
from bench.store.sealed import MANIFEST, SealedFolder
from bench.store.stored import Truth
from bench.system.files import canonical_json, digest


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
    rows = measures.per_class | {"precision": (1.0, 1.0, 1.0)}
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
    edit(runs["cnn-rnn"], "training.json", score=1.0)


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
    trees[0]["answer"] = [2, 1, 0, 3]
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


UNBOUND = "its ids, label names, truth or ignore mask are not those of its config"
CURVES = "its learning rate, best epoch and validation score are not the best of its training curves"

BY_FOLDER = {
    predictions_are_the_truth: r"label sets of \d+ images are not top2@1 of their scores",
    ties_go_to_the_higher_index: "label sets of 20 images are not top2@1 of their scores",
    one_label_more: "label sets of 1 images are not top2@1 of their scores",
    label_sets_are_not_the_sequences: "its predicted label sets are not those of its label sequences",
    sequences_for_a_score_model: "it has label_sets, which a model of kind 'scores', finetune=0 does not make",
    sequences_are_the_truth: r"class scores of \d+ images cannot be max_over_steps of their sequences",
    class_scores_are_the_truth: r"class scores of \d+ images cannot be max_over_steps of their sequences",
    class_scores_beyond_probability: "some of its scores can be no probability",
    truth_is_what_was_predicted: UNBOUND,
    misses_are_ignored: UNBOUND,
    ids_in_another_order: UNBOUND,
    label_names_in_another_order: UNBOUND,
    an_image_left_out: UNBOUND,
    folders_swapped: "it lies in corel5k/bce/.*, its config belongs in corel5k/warp/",
    moved_under_another_model: "it lies in corel5k/softmax/.*, its config belongs in corel5k/warp/",
    moved_under_another_data_set: "it lies in voc2007/bce/.*, its config belongs in corel5k/bce/",
    folder_renamed: "it lies in corel5k/bce/0{16}, its config belongs in",
    results_of_another_model: "measures.json is another run's",
    scores_of_another_model: "scores.npy is another run's",
    weights_of_another_model: "weights.safetensors is another run's",
    config_edited: "config.json does not belong to run",
    config_and_key_edited: "status.json is of run .*, not of",
    config_key_and_name_edited: "status.json is of run .*, not of",
    seed_changed_everywhere_but_in_the_request: "seed 0 was asked for, its config says 7",
    rows_of_classes_invented: "the classes' precision are not those of its predictions",
    rows_of_classes_too_many: "the classes' ap are not those of its predictions",
    notes_invented: "the notes on its measures are not those of its predictions",
    a_measure_raised: "mAP is stored as 99.00, its predictions give",
    another_protocol: "measured by top1@1, its config says top2@1",
    a_better_validation_score: CURVES,
    another_best_epoch: CURVES,
    more_epochs_than_asked_for: "its training curves hold epoch 3 at learning rate 0.0003, which its training options",
    a_learning_rate_never_tried: "its training curves hold epoch 1 at learning rate 0.5, which its training options",
    more_parameters: r"its training is of 1000000000 parameters, \d+ numbers are stored",
    searches_of_other_answers: r"searches shown of test images \[\d+\] do not lead to their label sequences",
    a_search_more_certain: "searches shown of test images .* do not lead to their label sequences",
    other_pictures: "its gallery is of other test images",
    a_record_left_out: "it is done and has no training",
    another_model_was_asked_for: "model warp was asked for, its config says bce",
    manifest_removed: "has no manifest.json, so none of its files counts",
}
"""Each forgery that the folder alone shows, and by what."""

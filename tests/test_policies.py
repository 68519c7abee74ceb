"""A run's label-set policy: chosen on the validation part and never on test, derived, shown, exported, checked."""

import itertools
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from example_commands import FAST, bench, write_corel
from example_exports import NETWORK, run_options
from test_plugins import entry, hook

import bench as face
from bench import DataError, LabelSetPolicy, PluginError, StoreError, UsageError, plugins
from bench.assembly import _cached_parts
from bench.evaluation import calibration, policies, protocols
from bench.exported.predict import Predictor
from bench.recompute.run import recompute
from bench.show import tables
from bench.show.paper_tables import build as build_ledger
from bench.show.published import tables as published_tables
from bench.show.report import chosen_thresholds
from bench.store.derived import derive
from bench.store.run_folder import RunFolder
from bench.store.runs import find
from bench.store.validate import validate

POLICIES = ("threshold", "thresholds", "at-most-k", "count")


def command(root, model, *more, out=None):
    return ["run", "--model", model, *run_options(root), *FAST, *more, *(("--out", out) if out else ())]


def runs_of(root, model):
    found = find(root / "runs" if (root / "runs").is_dir() else root, "corel5k", (model,))
    return {str(folder.config["policy"]["name"]): folder for folder in found}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("policies")
    write_corel(root / "corel")
    for model in ("bce", "cnn-rnn"):
        assert bench(*command(root, model)) == 0
    return root


def content(folder):
    """What a run's policy decides, byte by byte."""
    return {name: (folder.path / name).read_bytes() for name in ("predicted.npz", "policy.npz", "measures.json")}


def test_a_run_stores_scores_and_label_sets_of_its_validation_part(root):
    stored = runs_of(root, "bce")["exactly-k"].read_validation()
    assert stored.prediction.scores.values.shape == stored.truth.truth.shape == (6, 3)
    expected = protocols.predicted_from_scores(protocols.get("top2@1"), stored.prediction.scores)
    np.testing.assert_array_equal(stored.prediction.predicted, expected)
    sequences = runs_of(root, "cnn-rnn")["decoded"].read_validation().prediction.label_sets
    assert sequences is not None
    assert len(sequences.ids) == 6


@pytest.mark.parametrize("name", POLICIES)
def test_a_derived_run_is_the_run_that_training_would_have_made(root, tmp_path, name):
    derived = derive(runs_of(root, "bce")["exactly-k"], name)
    assert bench(*command(root, "bce", "--policy", name, out=tmp_path)) == 0
    (trained,) = find(tmp_path)
    assert trained.key == derived.key
    assert content(trained) == content(derived)
    assert trained.read_weights() == derived.read_weights()
    (tmp_path / "link").symlink_to(runs_of(root, "bce")["exactly-k"].path)
    assert derive(RunFolder(tmp_path / "link"), name).path == derived.path
    assert [one.faults for one in validate([trained, derived])] == [(), ()]


def test_the_protocols_policy_is_derived_from_another_with_the_validation_part_of_its_own_run(root, tmp_path):
    plain = runs_of(root, "bce")["exactly-k"]
    other = derive(plain, "threshold").path
    derived = derive(RunFolder(shutil.copytree(other, tmp_path / "corel5k" / "bce" / other.name)), "exactly-k")
    assert derived.key == plain.key
    assert derived.path != plain.path
    assert derived.read_validation().prediction.predicted.tolist() == (
        plain.read_validation().prediction.predicted.tolist()
    )
    assert validate([derived])[0].faults == ()


def test_a_run_that_differs_by_its_policy_alone_is_not_trained_again(root, monkeypatch):
    from bench.model import train

    def never(*arguments, **named):
        raise AssertionError("trained again")

    monkeypatch.setattr(train, "fit", never)
    assert bench(*command(root, "cnn-rnn", "--policy", "thresholds")) == 0
    assert runs_of(root, "cnn-rnn")["thresholds"].done


def test_test_labels_in_another_order_change_no_policy(root, tmp_path):
    before = {name: derive(runs_of(root, "bce")["exactly-k"], name) for name in POLICIES}
    lines = (root / "corel" / "test.tsv").read_text().splitlines()
    names, labels = zip(*(line.split("\t") for line in lines), strict=True)
    turned = "\n".join("\t".join(pair) for pair in zip(names, labels[1:] + labels[:1], strict=True))
    (root / "corel" / "test.tsv").write_text(turned)
    _cached_parts.cache_clear()
    try:
        for name in POLICIES:
            assert bench(*command(root, "bce", "--policy", name, out=tmp_path)) == 0
    finally:
        (root / "corel" / "test.tsv").write_text("\n".join(lines))
        _cached_parts.cache_clear()
    for name, folder in runs_of(tmp_path, "bce").items():
        assert folder.key != before[name].key
        assert not np.array_equal(folder.read_truth().truth, before[name].read_truth().truth)
        for array, stored in folder.read_policy().items():
            np.testing.assert_array_equal(stored, before[name].read_policy()[array])
        np.testing.assert_array_equal(folder.read_predicted(), before[name].read_predicted())


def test_nothing_is_chosen_where_the_validation_part_is_the_test_part(root, monkeypatch):
    folder = runs_of(root, "bce")["exactly-k"]
    config = folder.config
    config["dataset"]["fingerprints"]["validation"] = config["dataset"]["fingerprints"]["test"]
    monkeypatch.setattr(RunFolder, "config", property(lambda _: config))
    with pytest.raises(DataError, match="its validation part is its test part, on which nothing may be chosen"):
        derive(folder, "threshold")


def test_a_sequence_is_cut_to_its_first_k_labels_by_exactly_k(root):
    decoded = runs_of(root, "cnn-rnn")["decoded"]
    protocol, sequences = protocols.get("top1@1"), decoded.read_label_sets()
    chosen = policies.chosen("exactly-k", None, protocol, "sequence")
    found = policies.read(chosen, protocol, decoded.read_scores(), sequences=sequences)[:]
    first = [set(row[:1][row[:1] >= 0].tolist()) for row in sequences.sequences]
    assert [set(np.flatnonzero(row).tolist()) for row in found] == first
    assert chosen.amount == "exactly k"
    assert not chosen.by_protocol


@pytest.mark.parametrize(
    ("model", "name", "words"),
    [
        ("bce", "decoded", "--policy decoded: a model of kind 'scores' emits no label sequences, allowed: at-most-k"),
        ("bce", "own", "--policy own: a model of kind 'scores' has no label sets of its own, allowed: at-most-k"),
        (
            "bce",
            "treshold",
            "no label-set policy 'treshold'; did you mean 'threshold'? allowed: at-most-k, count, exactly",
        ),
        ("knn", "natural-threshold", "scores of kind"),
    ],
)
def test_a_policy_that_a_model_has_nothing_for_is_one_line(root, capsys, model, name, words):
    random = ("--set", "backbone.init=random")
    assert bench("run", "--model", model, *run_options(root), *random, "--policy", name) == 2
    error = capsys.readouterr().err
    assert words in " ".join(error.split())
    assert "Traceback" not in error


def test_rows_of_another_policy_never_stand_unmarked_beside_others(root, capsys):
    runs = [derive(runs_of(root, "bce")["exactly-k"], name) for name in POLICIES]
    summaries = [folder.summary() for folder in (*runs_of(root, "bce").values(), *runs_of(root, "cnn-rnn").values())]
    with pytest.raises(StoreError, match="label-set policies at-most-k and count and decoded and exactly-k"):
        tables.build(summaries)
    groups = {tables.build(group).title: tables.build(group) for group in tables.by_comparison(summaries)}
    usual, *others = groups.items()
    assert [row.label for row in usual[1].rows] == ["bce", "cnn-rnn"]
    assert "label sets by policy exactly-k (bce); decoded (cnn-rnn)" in usual[1].notes
    for title, table in others:
        assert "labels an image" in title
        for row in table.rows:
            said = "policy=" in row.label or any(f"({row.label}" in note or row.label in note for note in table.notes)
            assert said, row.label
    free = next(table for title, table in others if "any number of labels an image" in title)
    assert {"bce (policy=threshold)", "bce (policy=count)", "bce (policy=thresholds)"} <= {
        row.label for row in free.rows
    }
    assert len(runs) == len(POLICIES)
    assert bench("table", "--runs", root / "runs", "--format", "json") == 0
    assert len(json.loads(capsys.readouterr().out)) == len(groups)


def test_a_row_of_another_policy_is_no_reproduction(root):
    summary = derive(runs_of(root, "bce")["exactly-k"], "threshold").summary()
    published = published_tables()[2]
    config = summary.config | {"protocol": f"{published.protocol}@1"}
    row = next(row.name for row in published.rows if row.name.startswith("Binary"))
    ledger = build_ledger(published, [replace(summary, config=config, about=replace(summary.about, row=row))])
    assert "measured by policy threshold, which the paper has not" in [one.status for one in ledger.rows]


def forged(root, tmp_path, name="threshold"):
    derived = derive(runs_of(root, "bce")["exactly-k"], name)
    place = tmp_path.joinpath(*derived.path.parts[-3:])
    shutil.copytree(derived.path, place)
    return RunFolder(place)


def test_a_threshold_that_the_validation_part_does_not_give_is_found(root, tmp_path):
    folder = forged(root, tmp_path)
    folder.write_policy({"threshold": folder.read_policy()["threshold"] - 1})
    faults = validate([folder])[0].faults
    assert "policy threshold chooses otherwise on its validation part" in faults
    assert any("are not those of policy threshold" in fault for fault in faults)


def test_another_validation_part_is_found(root, tmp_path):
    folder = forged(root, tmp_path)
    part = folder.read_validation()
    folder.write_validation(replace(part.truth, truth=~part.truth.truth), part.prediction)
    found = validate([folder])[0].faults
    assert "the ids, truth or ignore mask of its validation part are not those of its config" in found


def test_validation_scores_that_its_weights_do_not_give_are_found(root, tmp_path):
    folder = forged(root, tmp_path)
    part, protocol = folder.read_validation(), protocols.get("top2@1")
    values = part.prediction.scores.values * np.float32(-1)
    scores = replace(part.prediction.scores, values=values)
    chosen = policies.of_config(folder.config)
    state = policies.fit(chosen, protocol, scores, part.truth.truth, ignore=None)
    folder.write_policy(state)
    folder.write_validation(
        part.truth, policies.applied(chosen, protocol, replace(part.prediction, scores=scores), state, None)
    )
    assert any("its validation scores are not those of its weights" in fault for fault in recompute(folder).faults)


def test_a_sound_run_is_predicted_and_trained_again(root):
    again = recompute(derive(runs_of(root, "bce")["exactly-k"], "thresholds"), retrain=True)
    assert (again.faults, again.level) == ((), "retrained")


@pytest.mark.parametrize(("model", "name"), [("bce", "thresholds"), ("bce", "count"), ("cnn-rnn", "threshold")])
def test_an_export_gives_the_stored_label_sets_by_what_its_description_holds(root, tmp_path, model, name):
    folder = derive(next(iter(runs_of(root, model).values())), name)
    assert bench("export", folder.path, "--out", tmp_path / "out") == 0
    predictor = Predictor(tmp_path / "out")
    described = predictor.description.policy
    for array, stored in folder.read_policy().items():
        np.testing.assert_array_equal(described.arrays()[array], stored)
    paths = [root / "corel" / "images" / name for name in folder.read_truth().ids]
    labels = folder.read_truth().labels
    found = [{labels.index(label) for label in one.labels} for one in predictor.predict(paths)]
    assert found == [set(np.flatnonzero(row).tolist()) for row in folder.read_predicted()]


GOALS = "f1;red:precision>=0.6;per-label;isotonic"


def test_thresholds_for_goals_are_derived_run_validated_and_exported_with_their_calibration(root, tmp_path, capsys):
    plain = runs_of(root, "bce")["exactly-k"]
    asked = ("--for", "f1", "--for", "red: P >= 60%", "--per-label", "--calibrate", "isotonic")
    assert bench("thresholds", plain.path, *asked, "--json") == 0
    (told,) = json.loads(capsys.readouterr().out)
    folder = runs_of(root, "bce")[GOALS]
    assert (told["policy"], told["key"]) == (GOALS, folder.key)
    red = folder.read_truth().labels.index("red")
    test = folder.read_truth().truth[:, red], folder.read_predicted()[:, red]
    assert told["labels"][red]["test"]["hits"] == int((test[0] & test[1]).sum())
    assert told["test"]["interval"]["low"] <= told["test"]["interval"]["value"] <= told["test"]["interval"]["high"]
    typed = GOALS.replace(">=0.6", " >= 60%")
    runs = len(find(root / "runs"))
    assert bench(*command(root, "bce", "--policy", typed)) == 0
    assert len(find(root / "runs")) == runs
    assert validate([folder])[0].faults == ()
    assert bench("export", folder.path, "--out", tmp_path / "out") == 0
    predictor = Predictor(tmp_path / "out")
    described = predictor.description.policy.arrays()
    np.testing.assert_array_equal(described["thresholds"], folder.read_policy()["thresholds"])
    paths = [root / "corel" / "images" / name for name in folder.read_truth().ids]
    labels, found = folder.read_truth().labels, list(predictor.predict(paths))
    sets = [{labels.index(label) for label in one.labels} for one in found]
    assert sets == [set(np.flatnonzero(row).tolist()) for row in folder.read_predicted()]
    expected = calibration.calibrated(np.asarray(folder.read_scores().values), "logit", folder.read_policy())
    for row, one in zip(expected, found, strict=True):
        np.testing.assert_allclose(one.probabilities, [row[labels.index(name)] for name in one.labels], atol=1e-3)


def test_a_threshold_for_a_goal_that_the_validation_part_does_not_give_is_found(root, tmp_path):
    folder = forged(root, tmp_path, "recall>=0.5")
    state = folder.read_policy()
    folder.write_policy(state | {"thresholds": state["thresholds"] - 1})
    assert "policy recall>=0.5 chooses otherwise on its validation part" in validate([folder])[0].faults


def test_thresholds_in_the_terminal_say_what_was_asked_and_what_was_had_on_test(root, capsys):
    plain = runs_of(root, "bce")["exactly-k"]
    assert bench("thresholds", plain.path, "--for", "precision>=0.999", "--per-label") == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "chosen on 6 validation images" in told
    assert "nothing was chosen on test" in told
    before = len(find(root / "runs"))
    assert bench("thresholds", plain.path, "--for", "green:f1", "--for", "violet:f1") == 2
    assert "no label 'violet'" in capsys.readouterr().err
    assert len(find(root / "runs")) == before


def test_a_report_shows_each_labels_curve_with_the_point_that_was_chosen(root, tmp_path):
    folder = derive(runs_of(root, "bce")["exactly-k"], "recall>=0.5;per-label")
    (figure,) = chosen_thresholds.curves(folder)
    part, state = folder.read_validation(), folder.read_policy()
    for place, label in enumerate(part.truth.labels):
        own = [one for one in figure.numbers if (one["label"], one["part"]) == (label, "validation")]
        if not state["positives"][place]:
            assert own == []
            continue
        (point,) = [one for one in own if one["what"] == "chosen"]
        assert point["recall"] == state["hits"][place] / state["positives"][place] >= 0.5
        assert point["precision"] == state["hits"][place] / state["predicted"][place]
        curve = {(one["recall"], one["precision"]) for one in own if one["what"] == "curve"}
        assert (point["recall"], point["precision"]) in curve
    page = tmp_path / "page.html"
    assert bench("report", folder.path, "--out", page, "--resamples", "0", "--cache", tmp_path) == 0
    assert "Thresholds for goals" in page.read_text()
    assert chosen_thresholds.curves(runs_of(root, "bce")["exactly-k"]) == []


def test_a_script_asks_for_a_policy_as_the_command_does(root):
    named = {"data_root": root / "corel", "protocol": "top2@1", "cache": root / "cache", "out": root / "runs"}
    options = {"backbone.size": 32, "backbone.init": "random", "epochs": 2}
    run = face.run("bce", "corel5k", backbone=NETWORK, options=options, policy="at-most-k", **named)
    assert run.key == runs_of(root, "bce")["at-most-k"].key
    assert run.by_policy("exactly-k").key == runs_of(root, "bce")["exactly-k"].key
    assert run.validation.truth.truth.shape == (6, 3)
    of_each = {"policy": "threshold,cnn-rnn=decoded", "prior": False}
    compared = face.compare("bce,cnn-rnn", "corel5k", backbone=NETWORK, options=options, **of_each, **named)
    assert [one.config["policy"]["name"] for one in compared] == ["threshold", "decoded"]
    with pytest.raises(UsageError, match="no model for --policy 'warp'"):
        face.compare("bce", "corel5k", policy="warp=decoded", **named)


COUNTED = itertools.count()
BAD = {
    "no state": ({"fit": lambda part: None}, "fit returned a NoneType, must return named arrays"),
    "no numbers": ({"fit": lambda part: {"at": np.array("x")}}, "state 'at' is <U1, must be finite numbers"),
    "chance": ({"fit": lambda part: {"at": np.random.default_rng().normal()}}, "asked again, gives another 'at'"),
    "little": ({"fit": lambda part: {"at": 1 + next(COUNTED) * 1e-5}}, "asked again, gives another 'at'"),
    "infinite": ({"fit": lambda part: {"at": np.inf}}, "state 'at' is float64, must be finite numbers"),
    "raises": ({"fit": lambda part: 1 / 0}, "ZeroDivisionError: division by zero"),
    "place": ({"label_sets": lambda s, _: np.arange(s.size).reshape(s.shape) % 2 == 0}, "depend on the other images"),
    "truth": ({"fit": lambda part: part.truth.fill(False)}, "ValueError: assignment destination is read-only"),
    "state": ({"fit": lambda _: {"a": np.ones(1)}, "label_sets": lambda _, s: s["a"].fill(0)}, "is read-only"),
    "no sets": ({"label_sets": lambda scores, state: scores}, "label_sets gives float32 of shape (6, 3), must be bool"),
    "too many": (
        {"label_sets": lambda scores, state: scores > -np.inf, "amount": "at most k"},
        "label_sets gives 3 to 3 labels, its amount is at most k: 2",
    ),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_policy_is_a_failed_row_that_names_the_plugin(root, tmp_path, monkeypatch, fault):
    changed, words = BAD[fault]
    sound = {"fit": lambda part: {"rounded": 1 + next(COUNTED) * 1e-9}, "label_sets": lambda scores, state: scores > 0}
    spec = LabelSetPolicy("bad", "made up", **(sound | changed))
    own = [found for found in plugins._entry_points() if found.dist and found.dist.name == plugins.HOST]
    registry = plugins.load([*own, entry("bench-bad", hook("bench_policies", [spec]))])
    monkeypatch.setattr(plugins, "loaded", lambda: registry)
    source = runs_of(root, "bce")["exactly-k"]
    place = tmp_path.joinpath(*source.path.parts[-3:])
    shutil.copytree(source.path, place)
    with pytest.raises(PluginError) as error:
        derive(RunFolder(place), "bad")
    assert "bench-bad" in str(error.value)
    assert words in str(error.value)
    (failed,) = [one for one in find(tmp_path) if not one.done]
    assert failed.status.stage == "policy"
    assert words in failed.status.reason


def test_unfinished_runs_are_left_out_with_a_note(root, tmp_path, capsys):
    source = runs_of(root, "bce")["exactly-k"]
    place = Path(tmp_path).joinpath(*source.path.parts[-3:])
    shutil.copytree(source.path, place)
    shutil.copytree(place, place.with_name("0" * 16))
    (place.with_name("0" * 16) / "manifest.json").unlink()
    with pytest.raises(StoreError):
        derive(RunFolder(place.with_name("0" * 16)), "threshold")
    assert bench("policy", place, "--policy", "threshold") == 0
    assert "label sets by policy threshold (bce)" in capsys.readouterr().out


def test_a_name_is_given_to_a_run_that_is_there_and_changes_no_key(root, tmp_path, capsys):
    shutil.copytree(root / "runs", tmp_path / "runs")
    before = [folder.key for folder in find(tmp_path / "runs")]
    assert bench(*command(root, "bce", "--name", "posters", out=tmp_path / "runs")) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert told.startswith("posters; ")
    assert "--name posters" in told
    assert [folder.key for folder in find(tmp_path / "runs")] == before
    assert [one.faults for one in validate(find(tmp_path / "runs", "corel5k", ("bce",))) if one.faults] == []
    for name, words in (("coco", "'coco' is another data set"), ("a/b", "no '/'"), ("x" * 61, "up to 60 letters")):
        assert bench(*command(root, "bce", "--name", name)) == 2
        assert words in capsys.readouterr().err

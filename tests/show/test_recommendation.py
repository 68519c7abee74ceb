"""A recommendation is chosen on validation scores, never on test; bounds are kept; what is as good is named."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from example_runs import make_run, run_config

import bench
from bench import LabelSets, Scores, StoreError, UsageError
from bench.cli import run_command_line
from bench.contracts.goals import parse_goal
from bench.evaluation import choosing, policies, protocols, significance
from bench.records import Prediction
from bench.show import differences, intervals, recommendation, tables
from bench.show.recommended import print_recommendation, use
from bench.show.report import gather
from bench.store import goal_thresholds, resamples
from bench.store.cost import cost_of
from bench.store.derived import derive
from bench.store.measured import measured
from bench.store.stored import Truth

LABELS, IMAGES = ("cat", "dog", "cow"), 80
PROTOCOL = protocols.get("top2@1")


def part(name, noise, seed):
    """Truth that depends on the part alone, and scores that know it but for ``noise``."""
    rng = np.random.default_rng(len(name))
    truth = rng.random((IMAGES, len(LABELS))) < 0.5
    ids = tuple(f"{name}{number}" for number in range(IMAGES))
    values = truth - 0.5 + noise * np.random.default_rng(seed).normal(size=truth.shape)
    return Truth(ids, LABELS, truth, None), Scores(ids, values.astype(np.float32), "logit")


def rated_run(root, model, seed=0, *, validation, test, latency=0.01, **changes):
    """A finished run whose scores are off by ``validation`` and ``test`` times a normal deviate."""
    kind = run_config(model)["model"] | {"kind": "scores"}
    config = {"model": kind, "backbone": run_config()["backbone"] | {"finetune": 0}} | changes
    folder = make_run(root, model, seed, **config)
    truth, scores = part("test", test, hash_of(model, seed))
    folder._files.forget("label_sets.npz")
    folder.write_truth(truth)
    folder.write_scores(scores)
    folder.write_predicted(protocols.predicted_from_scores(PROTOCOL, scores))
    of_validation, val_scores = part("validation", validation, hash_of(model, seed) + 1)
    chosen = protocols.predicted_from_scores(PROTOCOL, val_scores)
    folder.write_validation(of_validation, Prediction(val_scores, chosen, None))
    masks = folder.read_masks()
    folder.write_measures(measured(PROTOCOL, masks, masks.predicted, scores, None))
    speed = {"images_per_second": 1 / latency}
    folder.write_timings({"seconds": {"predict": 0.0016}, "feature_extraction": speed})
    folder.finish()
    return folder


def hash_of(model, seed):
    return sum(map(ord, model)) * 10 + seed


def recommend(folders, *goals):
    return recommendation.recommend(
        [one.summary() for one in folders], [parse_goal(text) for text in goals], resamples=100
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Runs of which the best on validation is not the best on test."""
    root = tmp_path_factory.mktemp("store") / "runs"
    return [
        rated_run(root, "good", validation=0.3, test=0.6, latency=0.02),
        rated_run(root, "lucky", validation=0.9, test=0.1, latency=0.001),
        rated_run(root, "good2", validation=0.35, test=0.6, latency=0.005),
    ]


def test_test_images_without_any_label_tell_nothing_apart(tmp_path):
    runs = [rated_run(tmp_path / "runs", name, validation=0.3, test=0.6) for name in ("one", "two")]
    for folder in runs:
        truth, masks = folder.read_truth(), folder.read_masks()
        folder.write_truth(replace(truth, truth=np.zeros_like(truth.truth)))
        folder.write_measures(measured(PROTOCOL, folder.read_masks(), masks.predicted, folder.read_scores(), None))
        folder.finish()
    found = recommend(runs)
    assert found.chosen is not None
    assert found.differences is None
    assert [one["distinguishable"] for one in recommendation.to_json(found)["others"]] == [None]


def test_the_best_on_validation_is_taken_though_another_is_better_on_test_and_that_is_said(store, tmp_path, capsys):
    worse = rated_run(tmp_path / "runs", "worse", validation=0.9, test=3.0)
    found = recommend(store)
    assert found.wish.objective == "O-F1"
    assert found.chosen.name == "good"
    assert [one.name for one in found.others] == ["good2", "lucky"]
    test = {run.config["model"]["name"]: run.measures.values["O-F1"] for run in (one.summary() for one in store)}
    assert test["lucky"] > test["good"] + 0.05
    assert found.intervals["O-F1"].value == pytest.approx(test["good"])
    assert found.better["lucky"].value == pytest.approx(test["lucky"] - test["good"])
    print_recommendation(found)
    told = " ".join(capsys.readouterr().out.split())
    assert "beaten on test by O-F1, though not on validation" in told
    assert f"lucky {100 * (test['lucky'] - test['good']):+.1f} [" in told
    print_recommendation(recommend([store[0], worse]))
    assert "the other is worse on test" in " ".join(capsys.readouterr().out.split())


def test_what_the_test_images_cannot_tell_from_it_is_named_and_what_they_can_is_not(store):
    found = recommend(store, "mAP")
    assert set(found.ties) == {"good2"}
    assert set(found.better) == {"lucky"}
    assert found.ties["good2"].low <= 0 <= found.ties["good2"].high


def test_a_figure_of_what_models_cost_has_the_times_that_a_choice_has(store):
    assert cost_of(store[0]).latency == pytest.approx(0.02 + 0.0016 / (2 * IMAGES))  # predicted are both parts
    (figure, *_) = [figure for _, figure in gather.groups([one.summary() for one in store])[0].figures]
    assert figure.name == "pareto"
    for folder in store:
        (row,) = [row for row in figure.numbers if row["model"] == folder.config["model"]["name"]]
        assert row["ms"] == pytest.approx(1e3 * cost_of(folder).latency)
        assert row["ms"] == pytest.approx(row["backbone_ms"] + row["model_ms"])


def test_bounds_on_cost_and_metrics_leave_out_what_does_not_keep_them(store):
    found = recommend(store, "mAP", "latency<10ms", "O-F1>=78%")
    assert found.chosen.name == "good2"
    reasons = dict(found.left_out)
    assert "its latency is 20" in reasons["good"]
    assert "O-F1" in reasons["lucky"]
    assert reasons["lucky"].endswith(", asked at least 78.0")  # in the unit of the value beside it
    assert recommend(store, "latency").chosen.name == "lucky"
    nothing = recommend(store, "latency<1us")
    assert nothing.chosen is None
    assert len(nothing.left_out) == 3


def test_a_precision_is_had_by_thresholds_chosen_on_validation_and_told_on_test(store):
    found = recommend(store, "precision>=0.95")
    best = found.chosen
    assert (best.name, found.wish.objective) == ("good", "O-R")
    assert best.candidate.values["O-P"] >= 0.95
    derived = derive(store[0], "precision>=0.95")
    assert best.thresholds == pytest.approx(sorted(set(derived.read_policy()["thresholds"].tolist())))
    assert found.intervals["O-P"].value == pytest.approx(derived.read_measures().values["O-P"])
    assert recommend([*store, derived], "precision>=0.95").chosen.name == "good"


def test_a_policy_is_judged_on_validation_images_that_it_was_not_fitted_on(store):
    derived = derive(store[0], "f1;per-label")
    judged = recommend([derived]).chosen.candidate.values["O-F1"]
    validation = derived.read_validation()
    truth, predicted = validation.truth.truth, validation.prediction.predicted
    fitted = 2 * (truth & predicted).sum() / (truth.sum() + predicted.sum())
    assert judged <= fitted
    own = policies.of_config(derived.config)
    held_out = recommendation._held_out(own, PROTOCOL, validation)
    changed = replace(validation, truth=replace(validation.truth, truth=truth.copy()))
    changed.truth.truth[::5] = ~changed.truth.truth[::5]
    again = recommendation._held_out(own, PROTOCOL, changed)
    np.testing.assert_array_equal(again[::5], held_out[::5])  # a fold's own truth decides nothing in it


def test_a_threshold_that_would_be_better_than_the_label_sets_as_stored_is_spoken_of(store):
    found = recommend(store)
    derived = derive(store[0], "f1")
    assert found.with_threshold > found.chosen.candidate.values["O-F1"]
    again = recommend([derived])
    assert found.with_threshold == pytest.approx(again.chosen.candidate.values["O-F1"])
    assert np.isnan(again.with_threshold)


def test_seeds_are_one_row_and_the_best_of_them_on_validation_is_the_run(tmp_path):
    runs = [
        rated_run(tmp_path / "runs", "bce", seed, validation=noise, test=0.5, latency=latency)
        for seed, noise, latency in ((0, 0.6, 0.03), (1, 0.2, 0.01))
    ]
    found = recommend(runs)
    assert found.chosen.best == recommend(runs, "latency").chosen.best == runs[1]
    assert len(found.chosen.folders) == 2
    cost = found.chosen.cost
    assert (cost.features, cost.latency) == (pytest.approx(0.02), pytest.approx(0.02 + 0.0016 / (2 * IMAGES)))
    assert found.with_threshold > found.chosen.o_f1
    by_threshold = recommend([derive(folder, "f1") for folder in runs])
    assert by_threshold.chosen.o_f1 > by_threshold.chosen.candidate.values["O-F1"] + 0.02
    assert np.isnan(by_threshold.with_threshold)  # it is what the best seed has, and no better for being above the mean


def test_a_run_that_validation_says_nothing_of_is_left_out_and_says_why(store, tmp_path):
    both = {"trials": {"budget": 1, "made": 1, "options": "", "trained_on": "train and validation"}}
    refit = rated_run(tmp_path / "runs", "refit", validation=0.0, test=0.0, **both)
    refit._files.write_json("trials.json", {})
    file = {"external": {"validation_scores": ""}}
    bare = rated_run(tmp_path / "runs", "bare", validation=0.0, test=0.0, **file)
    manifest = json.loads((bare.path / "manifest.json").read_text())
    del manifest["files"]["validation.npz"]
    (bare.path / "manifest.json").write_text(json.dumps(manifest))
    found = recommend([*store, refit, bare])
    assert found.chosen.name == "good"
    assert dict(found.left_out) == {
        "refit": "it was trained on its validation images too",
        "bare": "no scores of validation images are stored",
    }


def test_what_follows_a_recommended_run_is_its_export_only_where_its_weights_can_be(tmp_path):
    made = rated_run(tmp_path / "runs", "made", validation=0.1, test=0.1)
    assert use(made) == f"bench export {made.key[:8]} --runs {tmp_path / 'runs'} --out model"
    made._files.forget("request.json")  # as of a run that was merged from an archive
    report = f"bench report --runs {tmp_path / 'runs'} --out report.html"
    assert use(made) == report
    # A model that is told tags of an image, a plugin's decoder, scores from a file.
    for changed in ({"training": {"known_share": 0.5}}, {"search": {"decoder": "near-best"}}, {"external": {}}):
        told = SimpleNamespace(config=made.config | changed, key=made.key, path=made.path, lists=lambda _: True)
        assert use(told) == report


def test_label_sets_without_scores_are_not_recommended_with_a_threshold(store, tmp_path):
    sets = rated_run(tmp_path / "runs", "sets", validation=0.0, test=0.0)
    scores = sets.read_scores()
    sets.write_scores(Scores(scores.ids, (scores.values > 0).astype(np.float32), "label"))
    found = recommend([*store, sets], "precision>=0.6")
    assert dict(found.left_out) == {"sets": "it is stored as label sets, without scores for a threshold"}


def test_no_finished_run_is_one_line(tmp_path):
    with pytest.raises(StoreError, match="no finished run to choose from"):
        recommend([])


@pytest.mark.parametrize(
    ("goals", "words"),
    [
        (["mpa"], "no goal 'mpa'; did you mean 'mAP'"),
        (["latency<20"], "allowed: a unit of us, µs, ms, s, as in latency<20ms"),
        (["latency>20ms"], "allowed: at most a value. Try: --for 'latency<20ms'"),
        (["mAP>=60"], "allowed: from 0 to 1, or percent, as in mAP>=60%"),
        (["mAP", "C-F1"], "found mAP and C-F1, allowed: one to be as good as can be"),
        (["labels_per_image"], "no goal 'labels_per_image'"),
        (["size<20ms"], "a unit of b, kb, mb"),
    ],
)
def test_a_goal_that_is_none_is_one_line(goals, words):
    with pytest.raises(UsageError, match=words):
        choosing.wish([parse_goal(text) for text in goals], PROTOCOL.name)


def test_the_command_prints_it_and_its_json_says_that_it_was_chosen_on_validation(store, tmp_path, capsys):
    place = (*(str(folder.path) for folder in store), "--cache", str(tmp_path / "cache"))
    assert run_command_line(["choose", *place, "--for", "precision >= 95%"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "recommended for precision>=0.95" in told
    assert f"bench thresholds {store[0].key[:8]} --for 'precision>=0.95'" in told
    assert "80 validation images, by which it was chosen" in told
    assert run_command_line(["choose", *place, "--for", "mAP", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["chosen_on"], found["recommended"]["model"]) == ("validation", "good")
    assert {one["model"]: one["distinguishable"] for one in found["others"]} == {"good2": False, "lucky": True}
    assert run_command_line(["choose", *place, "--for", "size<1B"]) == 1
    assert "nothing fits" in capsys.readouterr().out


def test_of_two_that_are_as_good_the_one_whose_time_is_known_comes_first():
    times = {"untimed": np.nan, "slow": 0.2, "fast": 0.1}
    candidates = [choosing.Candidate(name, {"O-F1": 0.5, "latency": time}) for name, time in times.items()]
    ordered = choosing.order(candidates, choosing.wish([], PROTOCOL.name))
    assert [one.name for one in ordered] == ["fast", "slow", "untimed"]


def test_from_python_it_is_what_the_command_says(store, tmp_path, capsys):
    cache = tmp_path / "cache"
    held = store[0].path.parents[2]
    for goals in ("mAP", ["precision>=0.95"], ["latency", "mAP>=0.6"]):
        chosen = bench.choose(goals, held, dataset="toy", cache=cache)
        words = [word for goal in ([goals] if isinstance(goals, str) else goals) for word in ("--for", goal)]
        assert run_command_line(["choose", "--runs", str(held), "--cache", str(cache), *words, "--json"]) == 0
        assert [chosen.to_json()] == json.loads(capsys.readouterr().out)
        assert chosen.run.key == chosen.to_json()["recommended"]["key"]
    plain = [run for run in bench.runs(held) if run.config["policy"]["name"] == "exactly-k"]
    best = bench.choose("mAP", plain, cache=cache)
    assert (best.model, best.others, set(best.as_good)) == ("good", ("good2", "lucky"), {"good2"})
    assert set(best.better_on_test) == {"lucky"}
    assert best.test["mAP"][1] < best.test["mAP"][0] < best.test["mAP"][2]
    assert "recommended for mAP, toy (top2@1): good, policy" in repr(best)
    nothing = bench.choose("size<1B", plain, cache=cache)
    assert (nothing.run, nothing.model, nothing.test, len(nothing.left_out)) == (None, "", {}, 3)
    with pytest.raises(StoreError, match="no finished run to choose from"):
        bench.choose("mAP", held, dataset="voc2007", cache=cache)
    with pytest.raises(UsageError, match="no goal 'mpa'"):
        bench.choose("mpa", held, cache=cache)


def test_from_python_runs_of_two_data_sets_are_no_choice(store, tmp_path):
    other = run_config()["dataset"] | {"name": "other"}
    of_other = rated_run(tmp_path / "runs", "good", validation=0.3, test=0.3, dataset=other)
    both = [*bench.runs(store[0].path.parents[2]), *bench.runs(of_other.path.parents[2])]
    with pytest.raises(UsageError, match=r"runs: found toy \(top2@1\), other \(top2@1\), allowed: one"):
        bench.choose("mAP", both, cache=tmp_path)
    assert bench.choose("mAP", both, dataset="other", cache=tmp_path).run.key == of_other.key


def test_a_sequence_models_free_length_is_measured_as_its_protocol_says(tmp_path):
    folder = rated_run(tmp_path / "runs", "seq", validation=0.2, test=0.2)
    truth, scores = part("validation", 0.2, 1)
    first = truth.truth.argmax(axis=1).astype(np.int32)[:, None]
    sequences = LabelSets(scores.ids, first, np.log(np.full(IMAGES, 0.5)), np.ones(IMAGES, dtype=np.bool_))
    predicted = sequences.as_matrix(len(LABELS))
    folder.write_validation(truth, Prediction(scores, predicted, sequences))
    values = recommend([folder]).chosen.candidate.values
    assert values["O-R"] == pytest.approx((predicted & truth.truth).sum() / truth.truth.sum())


def test_whatever_has_error_bars_draws_no_more_resamples_than_are_affordable(store, monkeypatch, capsys):
    """A thousand of a million images and a thousand labels take an hour."""
    monkeypatch.setattr(resamples, "FEWEST", 7)
    monkeypatch.setattr(resamples, "MOST", 7)
    asked = []

    def draw(outcome, count):
        asked.append(count)
        return significance.draw(outcome, count)

    runs = [one.summary() for one in store]
    goal_thresholds.of_run(derive(store[0], "precision>=0.5"), draw)
    intervals.of_run(store[0], draw)
    pairs = significance.differences(differences.of_rows(tables.build(runs), runs, draw))
    differences.print_differences(pairs)
    assert "95 % of 7 paired resamples" in capsys.readouterr().out
    gather.with_error_bars(gather.groups(runs)[0], None, draw)
    recommendation.recommend(runs, [], draw)
    assert asked == [7] * (1 + 1 + 3 * len(runs))


def test_machines_and_papers_get_the_pairs_too(store, capsys):
    runs = [one.summary() for one in store]
    table = tables.build(runs)
    shown = {}
    for style in ("terminal", "json", "markdown", "latex"):
        differences.print_with_differences([table], [runs], style, significance.draw)
        shown[style] = capsys.readouterr().out
    found = json.loads(shown["json"])[0]["differences"]
    labels = [row.label for row in table.rows]
    pairs = {(labels[first], labels[second]) for second in range(len(labels)) for first in range(second)}
    assert {(one["first"], one["second"]) for one in found} == pairs
    for one in found:
        cells = {row["label"]: row["cells"][one["metric"]]["mean"] for row in json.loads(shown["json"])[0]["rows"]}
        assert one["value"] == pytest.approx(cells[one["first"]] - cells[one["second"]])
        assert one["low"] <= one["value"] <= one["high"]
        interval = f"[{one['low']:+.1f}, {one['high']:+.1f}]"
        assert one["distinguishable"] == (one["low"] > 0 or one["high"] < 0)
        assert interval in shown["terminal"]
        assert f"not corrected for comparing {len(found)} pairs" in " ".join(shown["terminal"].split())
        assert interval in shown["latex"]
        assert interval.replace("[", "\\[").replace("]", "\\]") in shown["markdown"]


def test_from_python_failed_runs_are_told_of_too(tmp_path, capsys):
    """They were passed over without a word."""
    rated_run(tmp_path / "runs", "good", validation=0.3, test=0.3)
    failed = rated_run(tmp_path / "runs", "bad", validation=0.3, test=0.3)
    failed.fail("train", "it diverged")
    assert bench.choose("mAP", failed.path.parents[2], cache=tmp_path).model == "good"
    assert f"note: {failed.path} is failed, left out\n" in capsys.readouterr().err

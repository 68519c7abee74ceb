"""Thresholds for a goal are the best that brute force finds, calibrations scikit-learn's; goals are read as typed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import log_loss, precision_recall_curve

from bench import UsageError
from bench.contracts.goals import is_goals, parse_goal, parse_goals, policy_named, threshold_goals
from bench.evaluation import calibration, policies, protocols, thresholds
from bench.records import Scores

GOALS = ("precision>=0.7", "recall>=0.6", "f1")
LABELS = ("dog", "cat; big", "a:b", "red, blue")
small = st.integers(0, 2**31).map(np.random.default_rng)


def made_up(rng, images=12):
    """Few scores with ties, truth and ignored pairs."""
    values = rng.integers(-3, 4, size=(images, len(LABELS))).astype(np.float32)
    truth, ignore = rng.random(values.shape) < 0.4, rng.random(values.shape) < 0.2
    return values, truth & ~ignore, ignore


def fitted(name, values, truth, ignore=None, *, kind="logit", known=None):
    protocol = protocols.get("top2@1")
    policy = policies.chosen(name, None, protocol, "scores")
    scores = Scores(tuple(map(str, range(len(values)))), np.asarray(values, dtype=np.float32), kind)
    state = policies.fit(policy, protocol, scores, truth, ignore=ignore, known=known, labels=LABELS)
    return state, policies.read(policy, protocol, scores, state, known=known)[:]


def shares(predicted, truth):
    hits, found, true = (int(mask.sum()) for mask in (predicted & truth, predicted, truth))
    return {"precision": hits / found if found else 0.0, "recall": hits / true, "f1": 2 * hits / (found + true)}


def brute_force(goal, scores, truth):
    """What the goal leaves to be best at, over every threshold that divides the scores; ``None``: none keeps it."""
    found = [shares(scores >= at, truth) for at in np.unique(scores)]
    kept = [one for one in found if not goal.relation or one[goal.name] >= goal.value]
    beside = {"precision": "recall", "recall": "precision", "f1": "f1"}[goal.name]
    return max((one[beside] for one in kept), default=None)


@pytest.mark.parametrize("text", GOALS)
@given(small)
def test_the_threshold_of_all_labels_is_the_best_that_keeps_the_goal(text, rng):
    values, truth, ignore = made_up(rng)
    truth[0, 0], ignore[0, 0] = True, False
    state, sets = fitted(text, values, truth, ignore)
    goal, found = parse_goal(text), shares(sets[~ignore], truth[~ignore])
    best = brute_force(goal, values[~ignore], truth[~ignore])
    if best is None:
        assert not sets.any()
        assert not state["reached"].any()
        return
    assert found[goal.name] >= (goal.value if goal.relation else best)
    assert found[{"precision": "recall", "recall": "precision", "f1": "f1"}[goal.name]] == pytest.approx(best)
    np.testing.assert_array_equal(state["hits"], (sets & truth & ~ignore).sum(axis=0))
    np.testing.assert_array_equal(state["predicted"], (sets & ~ignore).sum(axis=0))


@pytest.mark.parametrize("text", GOALS)
@given(small)
def test_each_label_keeps_its_own_goal_or_is_said_not_to(text, rng):
    values, truth, ignore = made_up(rng)
    state, sets = fitted(f"{text};per-label", values, truth, ignore)
    goal = parse_goal(text)
    for place in range(len(LABELS)):
        counted = ~ignore[:, place]
        scores, true, chosen = (array[counted, place] for array in (values, truth, sets))
        best = brute_force(goal, scores, true) if true.any() else None
        assert state["reached"][place] == (best is not None)
        if best is not None:
            assert shares(chosen, true)[goal.name] >= (goal.value if goal.relation else best)
        elif goal.name == "precision":
            assert not sets[:, place].any()


def test_precision_and_recall_of_every_threshold_are_scikit_learns():
    rng = np.random.default_rng(0)
    scores, truth = rng.normal(size=500).round(1).astype(np.float32), rng.random(500) < 0.3
    values, predicted, hits = thresholds.curve(scores, truth)
    precision, recall, at = precision_recall_curve(truth, scores)
    np.testing.assert_array_equal(values[::-1], at)
    np.testing.assert_allclose((hits / predicted)[::-1], precision[:-1])
    np.testing.assert_allclose((hits / truth.sum())[::-1], recall[:-1])


def test_a_precision_that_no_threshold_reaches_is_never_predicted_or_the_nearest_if_asked():
    values = np.tile(np.array([3, 2, 1, 0], dtype=np.float32)[:, None], (1, 4))
    truth = np.zeros((4, 4), dtype=np.bool_)
    truth[1, 0] = truth[0, 1] = truth[:, 3] = True  # at best one of two, all, none at all, all
    state, sets = fitted("precision>=0.9;per-label", values, truth)
    assert state["reached"].tolist() == [False, True, False, True]
    assert sets.sum(axis=0).tolist() == [0, 1, 0, 4]
    _, nearest = fitted("precision>=0.9;per-label;best-if-unreached", values, truth)
    assert nearest.sum(axis=0).tolist() == [2, 1, 0, 4]
    infinite, _ = fitted("precision>=0.9;per-label", np.where(truth, values, np.inf), truth)
    assert not thresholds.label_sets(np.full((1, 4), np.finfo(np.float32).max), infinite)[0, 2]


@pytest.mark.parametrize("shift", [-9.0, -2.0, 0.5, 2.0])
def test_rounding_loses_no_label_where_every_score_reaches_the_threshold(shift):
    values = np.tile(np.linspace(0, 4, 5, dtype=np.float32)[:, None] + np.float32(shift), (1, 4))
    truth = np.zeros(values.shape, dtype=np.bool_)
    truth[0] = True  # the image of the lowest score
    for name in ("recall>=1", "recall>=1;per-label"):
        state, sets = fitted(name, values, truth)
        assert sets.all()
        assert thresholds.label_sets(values - np.float32(1e-5) * np.abs(values).max(), state).all()
        assert not thresholds.label_sets(values - np.float32(1e-3) * np.abs(values).max(), state)[0].any()


@pytest.mark.parametrize("ranked", [[0.7, 0.0], [1e-9], [3e38, -3.4028235e38], [3.4028235e38, 1.0], [3.4028235e38]])
def test_the_lowest_threshold_is_a_number_and_none_of_probabilities_is_below_zero(ranked):
    scores = np.array(ranked, dtype=np.float32)
    found = thresholds.half_way(scores, len(scores) - 1)
    assert -thresholds.NEVER <= found <= scores[-1]
    assert (found >= 0) == (scores[-1] >= 0)


def test_a_label_without_a_true_image_takes_the_threshold_of_all_for_recall():
    values, truth, _ = made_up(np.random.default_rng(3))
    truth[:, 2] = False
    alone, _ = fitted("recall>=0.9;per-label", values, truth)
    common, _ = fitted("recall>=0.9", values, truth)
    assert alone["thresholds"][2] == common["thresholds"][2]
    assert alone["reached"].tolist() == [True, True, False, True]


def test_a_goal_of_one_label_leaves_the_threshold_of_the_others_to_them():
    values, truth, _ = made_up(np.random.default_rng(1), images=40)
    own, sets = fitted("f1;dog:recall>=0.95", values, truth)
    assert shares(sets[:, 0], truth[:, 0])["recall"] >= 0.95
    best = max(shares((values >= at)[:, 1:], truth[:, 1:])["f1"] for at in np.unique(values))
    assert shares(sets[:, 1:], truth[:, 1:])["f1"] == pytest.approx(best)
    assert len(set(own["thresholds"][1:].tolist())) == 1
    with pytest.raises(UsageError, match="no label 'dgo'; did you mean 'dog'"):
        fitted("f1;dgo:recall>=0.95", values, truth)


def test_known_labels_are_in_no_label_set_and_choose_nothing():
    values, truth, _ = made_up(np.random.default_rng(2))
    known = truth & (np.arange(len(truth))[:, None] % 2 == 0)
    state, sets = fitted("f1", values, truth, known=known)
    assert not (sets & known).any()
    assert state["positives"].sum() == (truth & ~known).sum()


@pytest.mark.parametrize("label", [None, *LABELS])
@pytest.mark.parametrize("typed", ["precision>=0.9", "P > 90%", "Precision≥.9", "prec => 0.90"])
def test_a_goal_is_read_however_it_is_typed_and_a_policys_name_is_read_back(label, typed):
    goal = parse_goal(typed if label is None else f"{label}: {typed}")
    assert (goal.name, goal.relation, goal.value, goal.label) == ("precision", ">=", 0.9, label or "")
    assert parse_goal("mAP>=70%").value == 0.7 < 70 * 0.01
    whole = threshold_goals([goal], per_label=True, calibration="isotonic", best=True)
    assert is_goals(whole.text)
    assert "," not in whole.text.replace("isotonic", "")
    assert parse_goals(whole.text) == whole
    assert whole.common is None or whole.common.value == whole.common.value  # no NaN: it would equal nothing
    assert policy_named(whole.text) == whole.text


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("precision=0.9", r"found 'precision=0.9', allowed: a name, or NAME>=VALUE"),
        ("precision>=90", "above 0 and at most 1, or percent, as in precision>=90%"),
        ("precision>=0", "above 0 and at most 1"),
        ("precision>=x", "found 'precision>=x'"),
        ("precision>=1..2", "allowed: a number"),
        ("precision>=20ms", "above 0 and at most 1"),
        ("precision<=0.9", "allowed: at least a value. Try: --for 'precision>=0.9'"),
        ("precision", "allowed: a least value. Try: --for 'precision>=0.9'"),
        ("mAP", "thresholds are set for one of: precision>=0.9"),
        ("", "allowed: a name"),
        ("dog:", "allowed: a name"),
    ],
)
def test_what_is_no_goal_of_a_threshold_is_one_line_that_says_what_is(typed, words):
    with pytest.raises(UsageError, match=words):
        threshold_goals([parse_goal(typed)])


def test_two_goals_of_the_same_labels_are_refused():
    with pytest.raises(UsageError, match="one for all labels, and one for each label named"):
        threshold_goals([parse_goal("precision>=0.9"), parse_goal("recall>=0.5")])
    with pytest.raises(UsageError, match="two goals of label 'dog'"):
        threshold_goals([parse_goal("dog:precision>=0.9"), parse_goal("dog:f1")])
    with pytest.raises(UsageError, match="two calibrations"):
        parse_goals("f1;isotonic;temperature")


def probabilities(rng, per_label, kind="logit"):
    logits = 3.0 * rng.normal(size=(300, len(LABELS))) + np.array([-1.0, 0.0, 1.0, 2.0])
    truth = rng.random(logits.shape) < 1 / (1 + np.exp(-logits / 2.5))
    truth[:, 3] = True  # nothing is false: it takes what is fitted of all
    values = (1 / (1 + np.exp(-logits)) if kind == "probability" else logits).astype(np.float32)
    return values, truth, "f1;per-label;" if per_label else "f1;"


@pytest.mark.parametrize("per_label", [False, True])
@pytest.mark.parametrize("kind", ["logit", "probability"])
def test_a_temperature_has_the_least_log_loss_of_scikit_learn(kind, per_label):
    values, truth, name = probabilities(np.random.default_rng(0), per_label, kind)
    state, _ = fitted(f"{name}temperature", values, truth, kind=kind)
    found = calibration.calibrated(values, kind, state)
    logits = values.astype(np.float64) if kind == "logit" else np.log(values) - np.log1p(-values.astype(np.float64))

    def loss(logarithm, place):
        return log_loss(truth[:, place].ravel(), 1 / (1 + np.exp(-logits[:, place].ravel() / np.exp(logarithm))))

    for column in range(3) if per_label else [slice(None)]:
        best = minimize_scalar(loss, args=(column,), bounds=(-3, 3), options={"xatol": 1e-9})
        temperature = state["calibration_temperature"][column if per_label else 0]
        assert np.log(temperature) == pytest.approx(best.x, abs=1e-5)
        assert log_loss(truth[:, column].ravel(), found[:, column].ravel()) == pytest.approx(best.fun, abs=1e-6)


@pytest.mark.parametrize("per_label", [False, True])
def test_an_isotonic_calibration_is_scikit_learns(per_label):
    values, truth, name = probabilities(np.random.default_rng(1), per_label)
    state, _ = fitted(f"{name}isotonic", values, truth)
    new = np.random.default_rng(2).normal(scale=5, size=(50, len(LABELS))).astype(np.float32)
    found = calibration.calibrated(new, "logit", state)
    for place in range(len(LABELS)):
        own = [place] if per_label and place < 3 else list(range(len(LABELS)))
        model = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
        model.fit(values[:, own].ravel().astype(np.float64), truth[:, own].ravel())
        np.testing.assert_allclose(found[:, place], model.predict(new[:, place].astype(np.float64)), atol=1e-6)


def test_a_calibration_changes_no_threshold():
    values, truth, name = probabilities(np.random.default_rng(4), True)
    plain, _ = fitted(name, values, truth)
    for kind in ("isotonic", "temperature"):
        state, _ = fitted(name + kind, values, truth)
        np.testing.assert_array_equal(state["thresholds"], plain["thresholds"])
    with pytest.raises(UsageError, match=r"scores of kind margin, allowed: logit, probability\. Try: --calibrate iso"):
        fitted("f1;temperature", values, truth, kind="margin")

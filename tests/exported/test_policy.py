"""The label-set policy in an exported model's description."""

from dataclasses import replace

import pytest
from test_plugins import entry, hook

from bench import DataError, LabelSetPolicy, ModelError, plugins
from bench.evaluation.policies import Policy
from bench.exported.policy import ExportedPolicy, reader
from bench.exported.policy import exported as exported_policy
from bench.exported.predict import Predictor
from bench.exported.programs import _choice, readme


def test_an_export_whose_policy_is_not_installed_says_what_to_install():
    policy = ExportedPolicy("best", "bench-best", "2.0", {"at": {"dtype": "float32", "shape": [], "values": [0.5]}})
    with pytest.raises(ModelError, match=r"by policy 'best' of bench-best 2\.0, which is not installed\. Try: pip"):
        reader(policy, 2, None)
    # It said to install from the index what has the name of her own file.
    with pytest.raises(ModelError, match=r"mine the plugin file, which is not loaded\. Try: bench --plugin mine\.py"):
        reader(replace(policy, distribution="mine", version="file"), 2, None)


def test_a_policy_that_was_edited_since_the_export_is_told(monkeypatch, capsys):
    spec = LabelSetPolicy("best", "", lambda part: {}, lambda scores, state: scores > 0)
    registry = plugins.load([entry("bench-best", hook("bench_policies", [spec]))])
    monkeypatch.setattr(plugins, "loaded", lambda: registry)
    made = exported_policy(Policy("best", "any number", False, registry.policy("best", "scores")), {})
    for policy in (made, replace(made, code="")):
        reader(policy, 2, None)
    assert not capsys.readouterr().err
    reader(replace(made, code="0123"), 2, None)
    assert "policy 'best' of bench-best 1.2 (models) has other code than when" in capsys.readouterr().err


@pytest.mark.parametrize(
    "state",
    [
        {"at": 3},
        {"at": {"dtype": "float32", "shape": [2], "values": [1.0]}},
        {"at": {"dtype": "object", "shape": [1], "values": [1.0]}},
        {"at": {"dtype": "float32", "shape": [1], "values": [float("inf")]}},
        {"at": {"dtype": "float32", "shape": [10**9, 10**9], "values": []}},
        [],
    ],
)
def test_a_damaged_state_in_a_description_is_refused(state):
    with pytest.raises(DataError, match="policy state"):
        ExportedPolicy("threshold", "multilabel-bench", "1", state)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("threshold", "those that score 0.10000000149011612 or more"),
        ("at-most-k", "of the 2 best those that score 0.10000000149011612 or more"),
        ("thresholds", "those that score at least what `thresholds` says of them in `description.policy.state`"),
        ("count", "the best, as many as `label_set` in `predict.py` computes from `description.policy.state`"),
    ],
)
def test_the_readme_of_an_exported_folder_says_how_label_sets_are_read_off_scores(exported, name, words):
    state = {"threshold": {"dtype": "float32", "shape": [], "values": [0.1]}}
    state["k"] = {"dtype": "int64", "shape": [], "values": [2]}
    policy = ExportedPolicy(name, "multilabel-bench", "1", state)
    description = Predictor(exported / "bce").description
    assert f"policy {name}: {words}" in _choice(replace(description, policy=policy))


def test_the_readme_of_an_exported_folder_says_where_its_calibrated_probabilities_come_from(exported):
    described = Predictor(exported / "bce").description
    state = {
        "thresholds": {"dtype": "float32", "shape": [len(described.labels)], "values": [0.5] * len(described.labels)}
    }
    state["calibration_temperature"] = {"dtype": "float64", "shape": [1], "values": [2.0]}
    config = {
        "bench": "1",
        "seed": 0,
        "backbone": {"architecture": "a", "weights_hash": "w", "finetune": 0},
        "dataset": {"name": "d", "fingerprints": {"train": "f"}},
    }
    text = readme(replace(described, policy=ExportedPolicy("f1;temperature", state=state)), config)
    assert "as `calibrated` in `predict.py` computes them from `description.policy.state`" in text

import json

import numpy as np
import pytest
from example_runs import make_honest

from bench.cli import run_command_line
from bench.records import Measures, Scores
from bench.store.validate import validate


@pytest.fixture
def honest(stored_run):
    """A stored run whose measures and predictions follow from what it stores."""
    return make_honest(stored_run("bce"))


def verdict(folder):
    (found,) = validate([folder])
    return found.faults


def test_an_honest_run_is_as_it_claims(honest, capsys):
    assert verdict(honest) == ()
    assert run_command_line(["validate", str(honest.path.parents[2])]) == 0
    assert "1 run, 0 not what they claim" in capsys.readouterr().out


def test_a_raised_number_is_found(honest, capsys):
    measures = honest.read_measures()
    honest.write_measures(Measures(measures.protocol, measures.values | {"O-F1": 0.99}, measures.per_class))
    assert any(fault.startswith("O-F1 is stored as 99.00, its predictions give") for fault in verdict(honest))
    assert run_command_line(["validate", str(honest.path.parents[2]), "--json"]) == 1
    assert not json.loads(capsys.readouterr().out)["sound"]


def test_a_metric_of_no_protocol_and_a_changed_class_are_found(honest):
    measures = honest.read_measures()
    rows = measures.per_class | {"ap": tuple(0.5 for _ in measures.per_class["ap"])}
    honest.write_measures(Measures(measures.protocol, measures.values | {"invented": 1.0}, rows))
    assert verdict(honest) == (
        "invented is stored, and no metric of the protocol",
        "the classes' ap are not those of its predictions",
    )


def test_predictions_that_are_not_the_sequences_are_found(honest):
    honest.write_predicted(~honest.read_predicted())
    assert "its predicted label sets are not those of its label sequences" in verdict(honest)


def test_scores_changed_behind_the_stores_back_are_found(honest):
    (honest.path / "scores.npy").write_bytes(b"other")
    assert verdict(honest) == ("scores.npy is not what was written",)


def test_scores_changed_with_their_hash_are_found_by_the_measures(honest):
    scores = honest.read_scores()
    honest.write_scores(Scores(scores.ids, 1 - np.asarray(scores.values), scores.kind))
    assert any(fault.startswith("mAP is stored as") for fault in verdict(honest))


def test_a_changed_config_no_longer_has_its_key(honest):
    honest.write_config(dict(honest.config) | {"seed": 7})
    assert "config.json does not belong to run" in verdict(honest)[0]


def test_no_runs_are_one_clear_line(tmp_path, capsys):
    assert run_command_line(["validate", "--runs", str(tmp_path)]) == 2
    assert f"no runs under {tmp_path}" in capsys.readouterr().err
    assert run_command_line(["validate", str(tmp_path)]) == 2
    assert f"no run '{tmp_path}': none is in that folder" in capsys.readouterr().err


def test_a_run_of_a_policy_whose_plugin_is_not_here_is_no_damaged_one(stored_run, capsys):
    theirs = {"name": "gap", "amount": "any number", "by_protocol": False, "distribution": "bench-gap", "version": "1"}
    run = make_honest(stored_run("bce", policy=theirs))
    assert verdict(run)[0].startswith("not checked: no label-set policy 'bench-gap:gap'; allowed: ")
    assert run_command_line(["validate", str(run.path.parents[2])]) == 1
    printed = capsys.readouterr().out
    assert f"{run.path}: done [folder], not checked: " in printed
    assert "1 run, 0 not what they claim, 1 not checked; checked: 1 folder" in printed

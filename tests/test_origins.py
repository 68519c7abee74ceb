"""Every value of a run's config says where it came from, and nothing else does."""

import json
from dataclasses import replace

import pytest
from example_commands import bench, write_corel

from bench import plugins
from bench.assembly import Assembly, choose_protocol, open_parts
from bench.contracts import Backbone
from bench.origins import origins_of
from bench.plan import make_plan
from bench.records import Preprocessing, RunRequest
from bench.run_config import about, make_config
from bench.show.row_labels import flatten
from bench.show.settings import settings_of
from bench.store.runs import find

BUILT = Backbone("built", None, 8, Preprocessing(32, 36), "dddd", "an architecture")
"""What a backbone's plugin would return; origins do not look at its network."""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_corel(tmp_path_factory.mktemp("origins") / "corel")


def planned(root, model, registry=None, **asked):
    plan = make_plan(RunRequest(model, "corel5k", data_root=root, **asked), registry or plugins.installed())
    return plan, open_parts(plan)


def assembled(root, model, **asked):
    plan, parts = planned(root, model, protocol="top2@1", **asked)
    built = replace(BUILT, feature_map=(BUILT.dimensions, 2, 2)) if plan.model.spec.feature_maps else BUILT
    return Assembly(plan, parts, built, choose_protocol(plan, parts))


def origins(root, model, **asked):
    return about(assembled(root, model, **asked)).origins


def test_every_value_of_a_stored_runs_config_has_an_origin_and_every_origin_a_value(root, tmp_path, capsys):
    places = ("--data-root", root, "--cache", tmp_path / "cache", "--out", tmp_path / "runs", "--protocol", "top2@1")
    backbone = ("--backbone", "timm/mobilenetv2_035", "--set", "backbone.size=32", "--set", "backbone.init=random")
    options = (*places, *backbone, "--set", "epochs=1", "--set", "cell=gru", "--set", "min_length=1", "--seed", "3")
    assert bench("run", "--model", "cnn-rnn", "--dataset", "corel5k", *options) == 0
    folder = find(tmp_path / "runs")[0]
    stored = folder.read_about().origins
    assert sorted(stored) == sorted(name for name, _ in flatten(folder.config))
    assert all(stored.values())
    assert stored["seed"] == "--seed"
    assert stored["model.options.cell"] == "--set cell=gru"
    assert stored["training.epochs"] == "--set epochs=1"
    assert stored["search.min_length"] == "--set min_length=1"
    assert stored["search.max_length"] == "protocol top2@1"
    assert stored["backbone.options.size"] == "--set backbone.size=32"
    longest = settings_of(folder)["search.max_length"]
    assert (longest.value, longest.in_force) == (-1, 20)
    capsys.readouterr()
    assert bench("config", folder.key[:8], "--runs", tmp_path / "runs", "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["key"] == folder.key
    assert {name: entry["origin"] for name, entry in record["config"].items()} == stored
    assert record["config"]["search.max_length"] == {"value": -1, "in_force": 20, "origin": "protocol top2@1"}


@pytest.mark.parametrize("model", plugins.installed().all(plugins.MODELS))
def test_the_config_of_every_installed_model_has_its_origins(root, model):
    run = assembled(root, model)
    assert sorted(about(run).origins) == sorted(name for name, _ in flatten(make_config(run)))


def test_a_request_that_says_nothing_leaves_everything_to_defaults(root):
    found = origins_of(*planned(root, "cnn-rnn"), "corel5k-top5@1")
    typed = sorted(name for name, words in found.items() if words.startswith("--"))
    assert typed == ["dataset.name", "model.name"]
    assert found["protocol"] == found["backbone.name"] == found["dataset.train"] == "default of data set 'corel5k'"
    assert found["search.beam_width"] == "default of the search"
    assert found["search.max_length"] == "protocol corel5k-top5@1"
    assert found["seed"] == "default of --seed"
    assert found["training.hold_out"] == "data set 'corel5k' has no validation split"


def test_a_models_own_training_default_is_told_from_everyones_and_from_what_was_typed(root):
    registry = plugins.installed()
    bce = registry.model("bce")
    own = replace(bce, spec=replace(bce.spec, training={"epochs": 7, "patience": 2}))
    models = {**registry.offered["models"], "bce": own}
    registry = replace(registry, offered={**registry.offered, "models": models})
    found = origins_of(*planned(root, "bce", registry, sets=("patience=3",)), "top2@1")
    assert found["training.epochs"] == "training default of model 'bce'"
    assert found["training.patience"] == "--set patience=3"
    assert found["training.momentum"] == "default of gradient training"


def test_a_value_typed_equal_to_the_default_was_still_typed(root):
    default = origins(root, "bce")
    typed = origins(root, "bce", sets=("batch_size=128",))
    assert default["training.batch_size"] == "default of gradient training"
    assert typed["training.batch_size"] == "--set batch_size=128"


def test_a_length_typed_as_the_protocols_is_the_protocols(root):
    found = origins(root, "cnn-rnn", sets=("max_length=-1", "class_score=protocol"))
    assert found["search.max_length"] == found["search.class_score"] == "protocol top2@1"


def test_a_weights_file_is_named_without_its_folder(root, tmp_path):
    run = assembled(root, "bce", weights=tmp_path / "secret" / "resnet.safetensors")
    assert about(run).origins["backbone.weights_hash"] == "computed from the weights in resnet.safetensors"


def test_a_validation_split_is_why_nothing_is_held_out(root):
    run = assembled(root, "bce")
    dataset = replace(run.parts.dataset, validation=run.parts.validation)
    run = replace(run, parts=replace(run.parts, dataset=dataset))
    assert make_config(run)["training"]["hold_out"] == 0.0
    assert about(run).origins["training.hold_out"] == "data set 'corel5k' has a validation split"

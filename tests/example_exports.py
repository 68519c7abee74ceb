"""Runs of small models, exported once for all tests of exported folders, and how tests look into a folder."""

import json

import numpy as np
import onnx
from example_commands import FAST, bench, write_corel
from example_network import two_layers

from bench.data.pictures import read_rgb
from bench.data.preprocess import preprocess
from bench.exported import manifest, model_folder
from bench.store.runs import find

MODELS = ("cnn-rnn", "bce", "knn")

NETWORK = f"timm/{two_layers.__name__}"


def run_options(root):
    options = ("--dataset", "corel5k", "--data-root", root / "corel", "--protocol", "top2@1", "--cache", root / "cache")
    return (*options, "--backbone", NETWORK, "--set", "backbone.size=32", "--out", root / "runs")


TRAINING = {
    "knn": ("--set", "backbone.init=random", "--set", "neighbours=5"),
    "sees-image": ("--set", "backbone.init=random", "--set", "epochs=30", "--set", "learning_rates=3e-2"),
}
"""What is not trained as ``FAST`` says."""


def export_models(root, models=MODELS):
    """Run each of ``models`` on small pictures and export it to ``root / model``."""
    write_corel(root / "corel")
    for model in models:
        assert bench("run", "--model", model, *run_options(root), *TRAINING.get(model, FAST)) == 0
        assert bench("export", run_of(root, model).path, "--out", root / model) == 0
    return root


def run_of(root, model, folder="runs"):
    return find(root / folder, "corel5k", (model,))[0]


def images_of(root):
    return [root / "corel" / "images" / f"test{number}.png" for number in range(20)]


def pixels_of(predictor, paths):
    return np.stack([preprocess(read_rgb(path), predictor.description.preprocessing) for path in paths])


def set_metadata(path, change):
    """Replace the description in an ONNX file by what ``change`` makes of it; ``None``: by nothing."""
    proto = onnx.load(path)
    values = {entry.key: entry.value for entry in proto.metadata_props}
    del proto.metadata_props[:]
    changed = change(json.loads(values["multilabel-bench"]))
    if changed is not None:
        text = changed if isinstance(changed, str) else json.dumps(changed)
        onnx.helper.set_model_props(proto, {"multilabel-bench": text})
    onnx.save(proto, path)


def seal_again(folder):
    """Write the manifest anew, as whoever made the folder by hand would: only what the files say can still be wrong."""
    stored = manifest.read_manifest(folder)
    description = stored.description
    properties = {}
    try:
        properties = {entry.key: entry.value for entry in onnx.load(folder / model_folder.ENCODER).metadata_props}
        description = model_folder.parse(properties["multilabel-bench"], folder)
    except Exception:
        pass
    manifest.write_manifest(folder, description, stored.checks)

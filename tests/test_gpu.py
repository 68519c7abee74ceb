"""What must hold on a CUDA device; skipped where there is none."""

import dataclasses

import numpy as np
import pytest
import torch
from example_models import as_features, batch, make
from example_splits import make_backbone, split_of

from bench.data.fingerprint import fingerprint
from bench.model import networks, train
from bench.model.features import extract

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device"),
]


@pytest.mark.parametrize(("engine", "batch_size"), [("torch", 64), ("torch", 3), ("onnx", 3), ("onnx-fp16", 3)])
def test_features_on_the_gpu_equal_those_on_the_cpu(tmp_path, engine, batch_size):
    split = split_of(40)
    backbone = dataclasses.replace(make_backbone(), engine=engine)
    expected = extract(split, fingerprint(split), make_backbone(), tmp_path / "cpu").values
    cache = tmp_path / "cuda"
    values = extract(split, fingerprint(split), backbone, cache, batch_size=batch_size, device="cuda").values
    close = 1e-2 if engine == "onnx-fp16" else 1e-4
    np.testing.assert_allclose(values, expected, rtol=close, atol=close * np.abs(expected).max())


@pytest.mark.parametrize("name", ["bce", "softmax", "warp"])
def test_scores_on_the_gpu_equal_those_on_the_cpu(name):
    model = make(name)
    values, truth = batch(300)
    model.fit(values, truth)
    on_cpu = train.scores(model, as_features(values))
    np.testing.assert_allclose(train.scores(model.to("cuda"), as_features(values)), on_cpu, rtol=1e-4, atol=1e-5)


def test_prefix_terms_on_the_gpu_equal_those_on_the_cpu():
    model = make("cnn-rnn")
    labels = np.arange(40) % 6
    states = np.random.default_rng(0).normal(size=(40, 512)).astype(np.float32)
    on_cpu = networks.TorchStepNetwork(model).step(labels, states)
    on_gpu = networks.TorchStepNetwork(model.to("cuda")).step(labels, states)
    for one, other in zip(on_cpu, on_gpu, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_an_exported_encoder_on_the_gpu_equals_it_on_the_cpu(tmp_path):
    from example_commands import FAST, bench, write_corel

    from bench.errors import NotRun
    from bench.exported import engine
    from bench.onnx import sessions
    from bench.store.runs import find

    write_corel(tmp_path / "corel")
    options = ("--dataset", "corel5k", "--data-root", tmp_path / "corel", "--protocol", "top2@1")
    options += ("--backbone", "timm/mobilenetv2_035", "--set", "backbone.size=32", "--cache", tmp_path / "cache")
    assert bench("run", "--model", "bce", *options, *FAST, "--out", tmp_path / "runs") == 0
    assert bench("export", find(tmp_path / "runs")[0].path, "--out", tmp_path / "model") == 0
    pixels = np.random.default_rng(0).normal(size=(20, 3, 32, 32)).astype(np.float32)
    try:
        on_gpu = engine.Encoder(tmp_path / "model", sessions.choose_device("cuda"))(pixels)
    except NotRun as reason:
        pytest.skip(str(reason))
    on_cpu = engine.Encoder(tmp_path / "model")(pixels)
    np.testing.assert_allclose(on_gpu, on_cpu, rtol=1e-3, atol=1e-3 * np.abs(on_cpu).max())


def test_a_run_resumed_on_the_gpu_predicts_there_what_it_predicted(tmp_path, monkeypatch):
    from example_commands import FAST, bench, write_corel

    from bench.model import predict
    from bench.store.runs import find

    write_corel(tmp_path / "corel")
    options = ("--dataset", "corel5k", "--data-root", tmp_path / "corel", "--protocol", "top2@1", "--device", "cuda")
    options += ("--backbone", "timm/mobilenetv2_035", "--set", "backbone.size=32", "--cache", tmp_path / "cache")
    command = ("run", "--model", "bce", *options, *FAST, "--out", tmp_path / "runs")
    devices = []
    predicted = predict.predict

    def noted(model, *rest):
        devices.append(networks.device_of(model).type)
        return predicted(model, *rest)

    monkeypatch.setattr(predict, "predict", noted)
    assert bench(*command) == 0
    (folder,) = find(tmp_path / "runs")
    first = np.array(folder.read_scores().values)
    (folder.path / "scores.npy").unlink()
    assert bench(*command) == 0
    assert set(devices) == {"cuda"}
    np.testing.assert_allclose(folder.read_scores().values, first, rtol=1e-4, atol=1e-5)

"""What must hold on a CUDA device; skipped where there is none."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from bench_backbones.pooling import AdaptiveMean
from example_commands import FAST, bench, write_corel
from example_exports import run_options
from example_models import as_features, batch, make
from example_splits import make_backbone, split_of
from methods_page import first_party

from bench.data.augment import Augmentation
from bench.data.fingerprint import fingerprint
from bench.errors import ModelError, NotRun
from bench.model import finetune, networks, predict, train
from bench.model.checkpoint import CheckpointFile, TuningState
from bench.model.features import extract
from bench.store.runs import find
from bench.system.deterministic import deterministic

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
    from bench.exported import engine
    from bench.onnx import sessions

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
    write_corel(tmp_path / "corel")
    options = ("--dataset", "corel5k", "--data-root", tmp_path / "corel", "--protocol", "top2@1", "--device", "cuda")
    options += ("--backbone", "timm/mobilenetv2_035", "--set", "backbone.size=32", "--cache", tmp_path / "cache")
    command = ("run", "--model", "bce", *options, *FAST, "--out", tmp_path / "runs")
    devices = []
    predicted = predict.predict

    def noted(model, *rest, **more):
        devices.append(networks.device_of(model).type)
        return predicted(model, *rest, **more)

    monkeypatch.setattr(predict, "predict", noted)
    assert bench(*command) == 0
    (folder,) = find(tmp_path / "runs")
    first = np.array(folder.read_scores().values)
    (folder.path / "scores.npy").unlink()
    assert bench(*command) == 0
    assert set(devices) == {"cuda"}
    np.testing.assert_allclose(folder.read_scores().values, first, rtol=1e-4, atol=1e-5)


class Head(torch.nn.Linear):
    """A classifier of its own, so that no plugin is needed; its dropout draws from the device's generator."""

    def loss(self, features, truth, generator):
        kept = torch.nn.functional.dropout(features, 0.2)
        return torch.nn.functional.binary_cross_entropy_with_logits(self(kept), truth.float())


def tuned(precision, path=None, dies_in=None):
    """The weights that fine-tuning on the GPU leads to; killed in the second batch of epoch ``dies_in``."""
    split, backbone = split_of(40), make_backbone()
    torch.manual_seed(0)
    head = Head(backbone.dimensions, split.truth.shape[1])
    loss, calls = head.loss, [0]

    def counted(features, truth, generator):
        calls[0] += 1
        if dies_in is not None and calls[0] == 5 * (dies_in - 1) + 2:
            raise KeyboardInterrupt
        return loss(features, truth, generator)

    head.loss = counted
    pictures = Augmentation(horizontal_flip=0.5)
    settings = finetune.Settings(precision=precision, batch_size=8, warmup=0.5, augmentation=pictures)
    file = CheckpointFile(path, "run", TuningState, seconds=0.0)
    given = {"epochs": 3, "seed": 0, "device": "cuda", "settings": settings, "checkpoint": file}
    return finetune.tune(backbone, head, split, split.truth, **given).module.state_dict()


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_fine_tuning_on_the_gpu_continues_to_the_same_bits_in_every_precision(tmp_path, precision):
    whole, again, exact = tuned(precision), tuned(precision), tuned("fp32")
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    with pytest.raises(KeyboardInterrupt):
        tuned(precision, tmp_path / "checkpoint", dies_in=2)
    continued = tuned(precision, tmp_path / "checkpoint")
    assert all(torch.equal(whole[name], continued[name]) for name in whole)
    for name, tensor in whole.items():
        torch.testing.assert_close(tensor, exact[name], rtol=0.1, atol=0.02)
    if precision != "fp32":
        assert any(not torch.equal(whole[name], exact[name]) for name in whole)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("rows")
    write_corel(root / "corel")
    return root


OWN_PICTURES = {"inria": ("--backbone", "dense-sift", "--set", "gaussians=2", "--set", "backbone.size=64")}
"""The backbone that a model is made for, in the place of the tests' network."""


@pytest.mark.parametrize("name", first_party())
def test_every_model_is_trained_on_the_gpu_and_lies_there_whole(root, name, monkeypatch):
    devices = set()
    predicted = predict.predict

    def noted(model, *rest, **more):
        tensors = itertools.chain(model.parameters(), model.buffers())
        devices.update(tensor.device.type for tensor in tensors)
        return predicted(model, *rest, **more)

    monkeypatch.setattr(predict, "predict", noted)
    options, training = run_options(root), FAST if first_party()[name].training else ("--set", "backbone.init=random")
    if name in OWN_PICTURES:
        place = options.index("--backbone")
        options, training = (*options[:place], *options[options.index("--out") :]), OWN_PICTURES[name]
    assert bench("run", "--model", name, *options, *training, "--device", "cuda") == 0
    assert devices == {"cuda"}


def test_the_mean_that_vgg_pools_by_has_gradients_that_are_the_same_each_time():
    maps = torch.randn(4, 8, 5, 6, device="cuda", requires_grad=True)
    adaptive = torch.nn.AdaptiveAvgPool2d((7, 3))
    with deterministic():
        (gradient,) = torch.autograd.grad(AdaptiveMean(adaptive)(maps).square().sum(), maps)
    (expected,) = torch.autograd.grad(adaptive(maps).square().sum(), maps)
    torch.testing.assert_close(gradient, expected)
    with pytest.raises(ModelError, match="adaptive_avg_pool2d_backward_cuda: on a GPU"), deterministic():
        adaptive(maps).square().sum().backward()

"""Encoding images, and image to labels over the encoder alone: ``pytest tests/benchmarks --benchmark-only``.

MobileNetV2 at 224 pixels with random weights, which change no time. Its image terms mean nothing, so those of a trained
workload are decoded, as many. ``bench speed`` measures ResNet-18 and all decoders.
"""

import functools

import numpy as np
import pytest
import torch
import torchvision

from bench import plugins
from bench.onnx.files import write_onnx
from bench.onnx.sessions import open_session
from bench.records import SearchOptions
from bench.speed import workloads
from bench.speed.decode import DecodeBench

BATCHES, SIZE = [1, 16], 224


@functools.cache
def decoding():
    truth = workloads.generated_label_sets(80, 6_000, cardinality=2.9)
    spec = plugins.installed().model("cnn-rnn").spec
    options = SearchOptions()
    return DecodeBench(workloads.train("80", truth, separation=2.5, k=3, options=options, spec=spec, epochs=1), options)


@functools.cache
def network():
    module = torchvision.models.mobilenet_v2(weights=None)
    module.classifier = torch.nn.Linear(1280, decoding().terms.shape[1])
    return module.eval()


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    path = tmp_path_factory.mktemp("encoder") / "encoder.onnx"
    write_onnx(network(), (torch.zeros(2, 3, SIZE, SIZE),), ["pixels"], ["terms"], path)
    return open_session(path)


@functools.cache
def pixels(images):
    return np.random.default_rng(0).standard_normal((images, 3, SIZE, SIZE), dtype=np.float32)


def by_torch(layout, images):
    module, values = network().to(memory_format=layout), torch.from_numpy(pixels(images)).to(memory_format=layout)
    with torch.inference_mode():
        return module(values).numpy()


@pytest.mark.parametrize("method", ["ONNX Runtime", "eager PyTorch", "eager PyTorch, channels last"])
@pytest.mark.parametrize("images", BATCHES)
def test_encode(benchmark, session, images, method):
    benchmark.group = f"MobileNetV2, {images} images"
    calls = {
        "ONNX Runtime": lambda: session.run(None, {"pixels": pixels(images)})[0],
        "eager PyTorch": lambda: by_torch(torch.contiguous_format, images),
        "eager PyTorch, channels last": lambda: by_torch(torch.channels_last, images),
    }
    assert len(benchmark.pedantic(calls[method], rounds=7, warmup_rounds=2)) == images


@pytest.mark.parametrize("images", BATCHES)
def test_image_to_labels(benchmark, session, images):
    benchmark.group = f"MobileNetV2, {images} images"
    terms = np.ascontiguousarray(decoding().terms[:images])

    def image_to_labels():
        session.run(None, {"pixels": pixels(images)})
        return decoding().decoder.sequences(terms)

    assert len(benchmark.pedantic(image_to_labels, rounds=7, warmup_rounds=2)) == images

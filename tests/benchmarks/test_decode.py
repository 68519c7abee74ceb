"""Decoding by the kernel and by its peers: ``pytest tests/benchmarks --benchmark-only``.

The label sets are generated, so that this runs anywhere; ``bench speed --label-sets FILE`` takes real ones.
"""

import functools
from dataclasses import replace

import numpy as np
import pytest

from bench import plugins
from bench.records import SearchOptions
from bench.speed import workloads
from bench.speed.decode import DecodeBench

METHODS = ("kernel", "PyTorch, batched", "ONNX Runtime + NumPy")


@functools.cache
def trained(labels):
    """A workload of COCO's size and cardinality, or of NUS-WIDE-1000's, of which ten labels are asked for."""
    spec = plugins.installed().model("cnn-rnn").spec
    if labels == 1000:
        return workloads.generated(1000, spec, images=6_000)
    truth = workloads.generated_label_sets(labels, 6_000, cardinality=2.9)
    return workloads.train(str(labels), truth, separation=2.5, k=3, options=SearchOptions(), spec=spec, epochs=1)


@functools.cache
def prepared(labels, width):
    workload = trained(labels)
    return DecodeBench(workload, replace(workload.options, beam_width=width))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("images", [1, 64, 500])
@pytest.mark.parametrize(("labels", "width"), [(20, 2), (80, 1), (80, 2), (80, 5), (80, 10), (1000, 5)])
def test_decode_with_a_warm_tree(benchmark, labels, width, images, method):
    bench = prepared(labels, width)
    terms = np.ascontiguousarray(bench.terms[:images])
    benchmark.group = f"warm, {labels} labels, beam {width}, {len(terms)} images"
    call = bench.decoder.sequences if method == "kernel" else bench.peers[method]
    assert len(benchmark.pedantic(call, (terms,), rounds=10, warmup_rounds=1)) == len(terms)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("images", [50, 500])
@pytest.mark.parametrize("width", [2, 5])
def test_decode_with_a_cold_tree(benchmark, width, images, method):
    """The more images share a tree, the less time is an image's."""
    bench = prepared(80, width)
    terms = np.ascontiguousarray(bench.terms[:images])
    benchmark.group = f"cold, 80 labels, beam {width}, {len(terms)} images"
    call = (lambda x: bench.make_decoder().sequences(x)) if method == "kernel" else bench.peers[method]
    assert len(benchmark.pedantic(call, (terms,), rounds=5, warmup_rounds=1)) == len(terms)

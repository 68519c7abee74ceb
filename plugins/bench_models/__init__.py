"""First-party models: the paper's CNN-RNN, its No-RNN ablation and the baselines of its tables."""

import bench
from bench_models import bce, cnn_rnn, knn, no_rnn, softmax, warp


@bench.hookimpl
def bench_models() -> list[bench.ModelSpec]:
    """Return the first-party models."""
    return [cnn_rnn.SPEC, no_rnn.SPEC, bce.SPEC, softmax.SPEC, warp.SPEC, knn.SPEC]

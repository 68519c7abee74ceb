"""First-party models: the paper's CNN-RNN, its No-RNN ablation and the baselines of its tables."""

import bench
from bench_models import cnn_rnn, softmax


@bench.hookimpl
def bench_models() -> list[bench.ModelSpec]:
    """Return the first-party models."""
    return [cnn_rnn.SPEC, softmax.SPEC]

"""First-party models: the paper's CNN-RNN, its No-RNN ablation and the baselines of its tables."""

import bench
from bench_models import bce, cnn_rnn, joint_embedding, knn, no_rnn, softmax, svm, warp


@bench.hookimpl
def bench_models() -> list[bench.ModelSpec]:
    """Return the first-party models."""
    modules = (cnn_rnn, no_rnn, bce, softmax, warp, knn, svm, joint_embedding)
    return [module.SPEC for module in modules]

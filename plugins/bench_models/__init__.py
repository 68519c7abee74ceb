"""First-party models and label-set policies: the paper's CNN-RNN, its No-RNN ablation, the baselines of its tables."""

import bench
from bench_models import bce, cnn_rnn, joint_embedding, knn, no_rnn, softmax, svm, warp
from bench_models.policies import at_most_k, count, threshold, thresholds


@bench.hookimpl
def bench_models() -> list[bench.ModelSpec]:
    """Return the first-party models."""
    modules = (cnn_rnn, no_rnn, bce, softmax, warp, knn, svm, joint_embedding)
    return [module.SPEC for module in modules]


@bench.hookimpl
def bench_policies() -> list[bench.LabelSetPolicy]:
    """Return the first-party label-set policies."""
    return [module.POLICY for module in (threshold, thresholds, at_most_k, count)]

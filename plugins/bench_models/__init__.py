"""First-party models: the paper's CNN-RNN, its No-RNN ablation and the baselines of its tables."""

import bench
from bench_models import (
    asymmetric_loss,
    bce,
    cnn_rnn,
    csra,
    hcp,
    i_ft,
    inria,
    joint_embedding,
    knn,
    no_rnn,
    query2label,
    softmax,
    svm,
    warp,
)


@bench.hookimpl
def bench_models() -> list[bench.ModelSpec]:
    """Return the first-party models."""
    of_tables = (cnn_rnn, no_rnn, bce, softmax, warp, knn, svm, joint_embedding, inria, i_ft, hcp)
    modules = (*of_tables, asymmetric_loss, csra, query2label)
    return [module.SPEC for module in modules]

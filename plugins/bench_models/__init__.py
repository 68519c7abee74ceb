"""First-party models: the paper's CNN-RNN, its No-RNN ablation, the rows of its tables, and controls."""

import bench
from bench_models import (
    asymmetric_loss,
    bce,
    classifier_chain,
    cnn_rnn,
    csra,
    dlsr,
    joint_embedding,
    knn,
    logistic,
    metric_learning,
    multi_edge_graph,
    no_rnn,
    prior,
    prior_known,
    query2label,
    random_scores,
    softmax,
    svm,
    warp,
)


@bench.hookimpl
def bench_models() -> list[bench.ModelSpec]:
    """Return the first-party models."""
    modules = (cnn_rnn, no_rnn, bce, softmax, warp, knn, svm, joint_embedding, asymmetric_loss, csra, query2label)
    neighbours = (metric_learning, multi_edge_graph, dlsr)
    controls = (prior, prior_known, random_scores, logistic, classifier_chain)
    return [module.SPEC for module in (*modules, *neighbours, *controls)]

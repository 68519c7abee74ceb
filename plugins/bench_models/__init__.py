"""First-party models, the paper's CNN-RNN, the rows of its tables and controls, and label-set policies."""

import bench
from bench_models import (
    asymmetric_loss,
    bce,
    classifier_chain,
    cnn_rnn,
    cnn_rnn_places,
    cnn_rnn_tuned,
    csra,
    dlsr,
    hcp,
    i_ft,
    inria,
    joint_embedding,
    knn,
    logistic,
    metric_learning,
    mlp,
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
from bench_models.policies import at_most_k, count, threshold, thresholds


@bench.hookimpl
def bench_models() -> list[bench.ModelSpec]:
    """Return the first-party models."""
    of_tables = (
        cnn_rnn,
        cnn_rnn_tuned,
        cnn_rnn_places,
        no_rnn,
        bce,
        softmax,
        warp,
        knn,
        svm,
        joint_embedding,
        inria,
        i_ft,
        hcp,
    )
    neighbours = (metric_learning, multi_edge_graph, dlsr)
    of_today = (asymmetric_loss, csra, query2label)
    controls = (prior, prior_known, random_scores, logistic, classifier_chain, mlp)
    return [module.SPEC for module in (*of_tables, *neighbours, *of_today, *controls)]


@bench.hookimpl
def bench_policies() -> list[bench.LabelSetPolicy]:
    """Return the first-party label-set policies."""
    return [module.POLICY for module in (threshold, thresholds, at_most_k, count)]

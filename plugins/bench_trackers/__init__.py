"""First-party trackers: stored runs in TensorBoard, MLflow and Weights & Biases."""

import bench
from bench_trackers import mlflow, tensorboard, wandb


@bench.hookimpl
def bench_trackers() -> list[bench.TrackerSpec]:
    """Return the first-party trackers."""
    return [tensorboard.SPEC, mlflow.SPEC, wandb.SPEC]

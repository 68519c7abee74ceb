"""Measuring a stored run far larger than memory should hold: the time, and what it takes beside the stored files."""

from __future__ import annotations

import shutil
import tempfile
import time
import tracemalloc
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import NotRun
from bench.evaluation import metrics, protocols
from bench.evaluation.bits import row_blocks
from bench.evaluation.measure import measure
from bench.records import Scores
from bench.speed import workloads
from bench.speed.limits import peak_memory
from bench.store.run_folder import RunFolder
from bench.store.runs import open_run
from bench.store.stored import Truth


def stored_run(images: int, labels: int) -> dict[str, Any]:
    """Return seconds and memory of reading and measuring a generated run of that size, in a process of its own.

    The run is written to the folder for temporary files, about 8 bytes a score until it is measured.
    Raises ``NotRun`` where the disk has no room for it.
    """
    needed, free = 9 * images * labels, shutil.disk_usage(tempfile.gettempdir()).free
    if needed > free:
        raise NotRun(
            f"{images:,} x {labels:,} scores need {needed / 1e9:.0f} GB in {tempfile.gettempdir()}, which has"
            f" {free / 1e9:.0f} GB free. Try: another folder in the variable TMPDIR"
        )
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        run = _write(Path(folder), images, labels)
        return {"images": images, "labels": labels} | process.submit(measured, str(run.path)).result()


def measured(path: str) -> dict[str, float]:
    """Return seconds, and MiB: the most allocated at once, and the most resident, with the pages of mapped files.

    Everything is counted from before the first file of the run is opened.
    """
    folder = RunFolder(Path(path))
    tracemalloc.start()
    started = time.perf_counter()
    masks, scores = folder.read_masks(), folder.read_scores()
    read = time.perf_counter()
    protocol = protocols.get(folder.config["protocol"])
    measure(protocol, masks.labels, masks.truth, masks.ignore, masks.predicted, scores)
    finished = time.perf_counter()
    allocated = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    return {
        "read_seconds": read - started,
        "measure_seconds": finished - read,
        "allocated_mib": allocated,
        "scores_mib": scores.values.nbytes / 2**20,
        "peak_rss_mib": peak_memory(),
    }


def _write(root: Path, images: int, labels: int) -> RunFolder:
    """Store label sets of a topic model, noisy scores and their best labels under ``root``."""
    k = min(labels, 10)
    truth = workloads.generated_label_sets(labels, images, cardinality=float(k))
    values = np.lib.format.open_memmap(root / "values.npy", "w+", np.float32, truth.shape)
    for seed, rows in enumerate(row_blocks(images, labels)):
        values[rows] = workloads.simulated_evidence(truth[rows], workloads.SEPARATION, seed)
    ids = tuple(f"{image:012d}" for image in range(images))
    config = {"dataset": {"name": "generated"}, "model": {"name": "generated"}, "protocol": f"top{k}@1"}
    folder = open_run(root, config)
    folder.write_truth(Truth(ids, tuple(f"label{label}" for label in range(labels)), truth, None))
    folder.write_predicted(metrics.packed_top_k(values, k)[:])
    folder.write_scores(Scores(ids, values, "logit"))
    (root / "values.npy").unlink()
    return folder

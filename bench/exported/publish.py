"""From a stored run to an exported model: what ``bench export`` and ``bench run --export`` do."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

import numpy as np

from bench.assembly import Rebuilt, rebuild
from bench.data.preprocess import preprocess
from bench.errors import ModelError
from bench.evaluation import protocols
from bench.evaluation.measure import measure
from bench.exported import export
from bench.exported.model_folder import Description
from bench.exported.predict import Predictor
from bench.guard import calling
from bench.model import train
from bench.records import LabelSets, ScoreKind, Scores
from bench.store.run_folder import RunFolder
from bench.system.environment import versions
from bench.system.files import digest
from bench.system.progress import progress_bar

CHUNK = 64
"""Test images read at once when an exported model is measured."""

REAL_IMAGES = 8
"""Test images on which the exported model is compared with torch."""


def export_run(
    folder: RunFolder,
    out: Path,
    precision: Literal["fp32", "fp16"] = "fp32",
    *,
    data_root: Path | None = None,
    weights: Path | None = None,
) -> dict[str, float]:
    """Export the finished run in ``folder`` to ``out`` and return each file's largest relative difference from torch.

    ``data_root`` and ``weights`` say where they lie now.
    Raises ``BenchError`` where the run is not finished, cannot be rebuilt, or the result differs too much.
    """
    if not folder.done:
        raise ModelError(
            f"{folder.path} is {folder.status.state}, only a finished run can be exported. See: bench runs"
        )
    rebuilt = rebuild(folder, data_root, weights)
    model, parts = rebuilt.model, rebuilt.assembly.parts
    if not hasattr(model, "forward"):
        raise ModelError(f"model '{rebuilt.assembly.plan.model.spec.name}' is no torch module and cannot be exported")
    description = describe(rebuilt, folder.key, precision)
    images = [parts.test.images.read(row) for row in range(min(REAL_IMAGES, len(parts.test)))]
    pixels = np.stack([preprocess(image, description.preprocessing) for image in images])
    order = getattr(model, "label_order", None)
    found = rebuilt.assembly.plan.model
    with calling(found.origin, "export", f"model '{found.spec.name}'"):
        return export.export(
            rebuilt.backbone.module.to("cpu"),
            model.to("cpu"),
            description,
            out,
            dimensions=rebuilt.backbone.dimensions,
            images=pixels,
            sequences=None if order is None else export.label_sequences(parts.fit.truth, order),
        )


def describe(rebuilt: Rebuilt, run: str, precision: Literal["fp32", "fp16"]) -> Description:
    """Return what the exported files say of themselves."""
    model, assembly = rebuilt.model, rebuilt.assembly
    spec, protocol, sequence = assembly.plan.model.spec, assembly.protocol, assembly.sequence
    score_kind: ScoreKind = "probability" if sequence else model.score_kind
    return Description(
        model=spec.name,
        kind=spec.kind,
        labels=assembly.parts.dataset.labels,
        score_kind=score_kind,
        preprocessing=rebuilt.backbone.preprocessing,
        protocol=protocol.name,
        k=protocol.k,
        threshold=protocols.THRESHOLDS.get(score_kind),
        search=assembly.search,
        activation=model.activation if sequence else None,
        sees_image=model.sees_image if sequence else None,
        precision=precision,
        weights_hash=digest(train.save_weights(model).hex(), rebuilt.backbone.weights_hash),
        run=run,
        versions=versions(),
    )


def measure_exported(
    folder: RunFolder,
    out: Path,
    device: str = "cpu",
    *,
    data_root: Path | None = None,
    weights: Path | None = None,
) -> dict[str, tuple[float, float]]:
    """Return each metric as (stored, as the exported model predicts the whole test part).

    NaN is stored where the metric is newer than the run.
    """
    rebuilt = rebuild(folder, data_root, weights)
    split, protocol = rebuilt.assembly.parts.test, rebuilt.assembly.protocol
    predictor = Predictor(out, device)
    rows = []
    for start in progress_bar(range(0, len(split), CHUNK), "measuring the exported model", scale=CHUNK):
        images = [split.images.read(row) for row in range(start, min(start + CHUNK, len(split)))]
        rows.append(
            predictor.encoder(np.stack([preprocess(image, rebuilt.backbone.preprocessing) for image in images]))
        )
    encoded = np.concatenate(rows)
    sequences: LabelSets | None = None
    if predictor.decoder is None:
        scores = Scores(split.ids, encoded, predictor.description.score_kind)
    else:
        answers, _ = predictor.decoder.answers(encoded, predictor.decoder.start_states)
        scores = Scores(split.ids, answers["class_scores"], "probability")
        sequences = LabelSets(split.ids, answers["sequences"], answers["log_probabilities"], answers["complete"])
    predicted = protocols.label_sets(protocol, scores, sequences)
    found = measure(protocol, split.labels, split.truth, split.ignore, predicted, scores, sequences=sequences).values
    stored = folder.read_measures().values
    return {name: (stored.get(name, math.nan), value) for name, value in found.items()}

"""From a stored run to an exported model: what ``bench export`` and ``bench run --export`` do."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from bench.data.preprocess import preprocess
from bench.errors import ModelError
from bench.evaluation.protocols import THRESHOLDS
from bench.exported import export
from bench.exported.model_folder import Description
from bench.model import train
from bench.pipeline import Rebuilt, rebuild, search_options
from bench.records import ScoreKind
from bench.store.run_folder import RunFolder
from bench.system.environment import versions
from bench.system.files import digest

CHUNK = 64
"""Test images read at once when an exported model is measured."""

REAL_IMAGES = 8
"""Test images on which the exported model is compared with torch."""


def export_run(folder: RunFolder, out: Path, precision: Literal["fp32", "fp16"] = "fp32") -> dict[str, float]:
    """Export the finished run in ``folder`` to ``out`` and return each file's largest relative difference from torch.

    Raises ``BenchError`` where the run is not finished, cannot be rebuilt, or the result differs too much.
    """
    if not folder.done:
        raise ModelError(
            f"{folder.path} is {folder.status.state}, only a finished run can be exported. See: bench runs"
        )
    rebuilt = rebuild(folder)
    model, split = rebuilt.model, rebuilt.parts.dataset.test
    if not hasattr(model, "forward"):
        raise ModelError(f"model '{rebuilt.plan.model.spec.name}' is no torch module and cannot be exported")
    description = describe(rebuilt, folder.key, precision)
    images = [split.images.read(row) for row in range(min(REAL_IMAGES, len(split)))]
    pixels = np.stack([preprocess(image, description.preprocessing) for image in images])
    order = getattr(model, "label_order", None)
    fit = rebuilt.parts.fit
    return export.export(
        rebuilt.backbone.module.to("cpu"),
        model.to("cpu"),
        description,
        out,
        dimensions=rebuilt.backbone.dimensions,
        images=pixels,
        sequences=None if order is None else export.label_sequences(fit.truth, order),
    )


def describe(rebuilt: Rebuilt, run: str, precision: Literal["fp32", "fp16"]) -> Description:
    """Return what the exported files say of themselves."""
    model, plan, protocol = rebuilt.model, rebuilt.plan, rebuilt.protocol
    sequence = plan.model.spec.kind == "sequence"
    score_kind: ScoreKind = "probability" if sequence else model.score_kind
    return Description(
        model=plan.model.spec.name,
        kind=plan.model.spec.kind,
        labels=rebuilt.parts.dataset.labels,
        score_kind=score_kind,
        preprocessing=rebuilt.backbone.preprocessing,
        protocol=protocol.name,
        k=protocol.k,
        threshold=THRESHOLDS.get(score_kind),
        search=search_options(plan, protocol) if sequence else None,
        activation=model.activation if sequence else None,
        sees_image=model.sees_image if sequence else None,
        precision=precision,
        weights_hash=digest(train.save_weights(model).hex(), rebuilt.backbone.weights_hash),
        run=run,
        versions=versions(),
    )


def measure_exported(folder: RunFolder, out: Path, device: str = "cpu") -> dict[str, tuple[float, float]]:
    """Return each metric of the run as (stored, as the exported model predicts the whole test part)."""
    from bench.evaluation import protocols
    from bench.exported.predict import Predictor
    from bench.records import LabelSets, Scores
    from bench.system.progress import track

    rebuilt = rebuild(folder)
    split, protocol = rebuilt.parts.dataset.test, rebuilt.protocol
    predictor = Predictor(out, device)
    rows = []
    for start in track(range(0, len(split), CHUNK), "measuring the exported model", scale=CHUNK):
        images = [split.images.read(row) for row in range(start, min(start + CHUNK, len(split)))]
        rows.append(
            predictor.encoder(np.stack([preprocess(image, rebuilt.backbone.preprocessing) for image in images]))
        )
    encoded = np.concatenate(rows)
    if predictor.decoder is None:
        scores = Scores(split.ids, encoded, predictor.description.score_kind)
        predicted = protocols.predicted_top_k(scores, protocol.k)
    else:
        answers, _ = predictor.decoder.answers(encoded, predictor.decoder.start_states)
        scores = Scores(split.ids, answers["class_scores"], "probability")
        label_sets = LabelSets(split.ids, answers["sequences"], answers["log_probabilities"], answers["complete"])
        predicted = protocols.predicted_from_sequences(protocol, label_sets, scores)
    found = protocols.measure(protocol, split.labels, split.truth, split.ignore, predicted, scores).values
    stored = folder.read_measures().values
    return {name: (stored[name], value) for name, value in found.items()}

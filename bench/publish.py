"""From a stored run to an exported model: what ``bench export`` and ``bench run --export`` do."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from bench import export, train
from bench.environment import versions
from bench.errors import ModelError
from bench.files import digest
from bench.model_folder import Description
from bench.preprocess import preprocess
from bench.protocols import THRESHOLDS
from bench.records import ScoreKind
from bench.run import Rebuilt, rebuild, search_options
from bench.store import RunFolder

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

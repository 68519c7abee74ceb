"""From a stored run to an exported model: what ``bench export`` and ``bench run --export`` do."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

import numpy as np

from bench.contracts import HOST_DECODER, ModelSpec, PolicyState
from bench.data.preprocess import preprocess
from bench.errors import DataError, ModelError
from bench.evaluation import protocols
from bench.evaluation.measure import measure
from bench.exported import export
from bench.exported.manifest import Check, is_whole, write_manifest
from bench.exported.model_folder import Description
from bench.exported.placing import placed, replaceable
from bench.exported.policy import exported
from bench.exported.predict import Predictor
from bench.exported.programs import write_programs
from bench.exported.stored import DEFAULT_BATCH, against_stored
from bench.model import train
from bench.rebuilt import Rebuilt, rebuild
from bench.records import FloatArray, LabelSets, Preprocessing, ScoreKind, Scores, Split
from bench.store.run_folder import RunFolder
from bench.system.environment import versions
from bench.system.files import digest
from bench.system.progress import progress_bar

REAL_IMAGES = 8
"""Test images on which the exported model is compared with torch."""


def why_not(spec: ModelSpec) -> str:
    """Return why no run of a model can be exported; empty: its runs can, and say from files what they have stored."""
    return "it takes known tags of an image, which a picture does not have" if spec.known_tags else ""


def export_run(
    folder: RunFolder,
    out: Path,
    precision: Literal["fp32", "fp16"] = "fp32",
    *,
    data_root: Path | None = None,
    weights: Path | None = None,
) -> tuple[Check, ...]:
    """Export the finished run in ``folder`` to ``out`` and return the checks: against torch and stored scores.

    ``data_root`` and ``weights`` say where they lie now. ``out`` then holds the whole model, with the checks in its
    manifest, or what it held before.
    Raises ``BenchError`` where the run is not finished, was decoded by a plugin, cannot be rebuilt or exported, ``out``
    must not be replaced, or the result differs too much.
    """
    folder.check_done("only a finished run can be exported")
    if (decoder := folder.config["search"].get("decoder", HOST_DECODER)) != HOST_DECODER:
        raise ModelError(
            f"{folder.path} cannot be exported: it was decoded by '{decoder}', a plugin's code, which an exported model"
            " cannot carry. Try: the same bench run without --set decoder, then bench export on that run"
        )
    replaceable(out)
    rebuilt = rebuild(folder, data_root, weights)
    model, parts = rebuilt.model, rebuilt.assembly.parts
    if not hasattr(model, "forward"):
        raise ModelError(f"model '{rebuilt.assembly.plan.model.spec.name}' is no torch module and cannot be exported")
    if reason := why_not(rebuilt.assembly.plan.model.spec):
        raise ModelError(f"this model cannot be exported: {reason}")
    state = folder.read_policy() if rebuilt.assembly.policy.fitted else None
    description = describe(rebuilt, folder.key, precision, state)
    order = getattr(model, "label_order", None)
    with placed(out) as place:
        with rebuilt.assembly.plan.calling("model", "export"):
            checks = export.export(
                rebuilt.backbone.module.to("cpu"),
                model.to("cpu"),
                description,
                place,
                shape=rebuilt.backbone.shape,
                images=_real_images(parts.test, description.preprocessing),
                sequences=None if order is None else export.label_sequences(parts.fit.truth, order),
            )
        write_programs(place, description, folder.config)
        write_manifest(place, description, checks)
        checks += against_stored(place, folder, parts.test)
        export.require_equal(checks, description)
        write_manifest(place, description, checks)
    return tuple(checks)


def export_beside(folder: RunFolder) -> Path:
    """Return the exported model in the run's own folder, written now unless it is there and whole."""
    out = folder.path / "onnx"
    if not is_whole(out, folder.key):
        export_run(folder, out)
    return out


def _real_images(test: Split, preprocessing: Preprocessing) -> FloatArray | None:
    """Return the first test images, preprocessed; ``None`` where they cannot be read, which ``against_stored`` says."""
    try:
        images = [test.images.read(row) for row in range(min(REAL_IMAGES, len(test)))]
    except DataError:
        return None
    return np.stack([preprocess(image, preprocessing) for image in images])


def describe(
    rebuilt: Rebuilt, run: str, precision: Literal["fp32", "fp16"], state: PolicyState | None = None
) -> Description:
    """Return what the exported files say of themselves; ``state`` is what the run's label-set policy chose."""
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
        cut_to_k=assembly.policy.name == "exactly-k",
        threshold=protocols.THRESHOLDS.get(score_kind),
        search=assembly.search,
        activation=model.activation if sequence else None,
        sees_image=model.sees_image if sequence else None,
        precision=precision,
        weights_hash=digest(train.save_weights(model).hex(), rebuilt.backbone.weights_hash),
        run=run,
        versions=versions(),
        annotations=export.annotations_of(model, rebuilt.backbone.shape),
        feature_map=rebuilt.backbone.feature_map,
        policy=exported(assembly.policy, state),
    )


def measure_exported(
    folder: RunFolder,
    out: Path,
    *,
    data_root: Path | None = None,
    weights: Path | None = None,
) -> dict[str, tuple[float, float]]:
    """Return each metric as (stored, as the exported model predicts the whole test part).

    NaN is stored where the metric is newer than the run.
    """
    rebuilt = rebuild(folder, data_root, weights)
    split, protocol = rebuilt.assembly.parts.test, rebuilt.assembly.protocol
    predictor = Predictor(out)
    bar = progress_bar(
        predictor.answers(split.images),
        "measuring the exported model",
        len(split) // DEFAULT_BATCH,
        scale=DEFAULT_BATCH,
    )
    answers = list(bar)
    values = np.concatenate([found.scores for found in answers])
    scores, sequences = Scores(split.ids, values, predictor.description.score_kind), None
    if predictor.description.kind == "sequence":
        joined = [
            np.concatenate([getattr(found, name) for found in answers])
            for name in ("sequences", "log_probabilities", "complete")
        ]
        sequences = LabelSets(split.ids, *joined)
    predicted = np.zeros(values.shape, dtype=np.bool_)
    for row, labels in enumerate(labels for found in answers for labels in found.chosen):
        predicted[row, list(labels)] = True
    found = measure(protocol, split.labels, split.truth, split.ignore, predicted, scores, sequences=sequences).values
    stored = folder.read_measures().values
    return {name: (stored.get(name, math.nan), value) for name, value in found.items()}

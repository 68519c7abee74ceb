"""What makes an exported folder stand alone: its two programs, copied as they are, and a README that tells of both."""

from __future__ import annotations

import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.exported.model_folder import Description
from bench.exported.policy import calibrated_by
from bench.records import Preprocessing
from bench.system.files import write_atomic
from bench.system.text import one_line

PROGRAM, SEARCH, README = "predict.py", "search.py", "README.md"
SOURCES, TEMPLATE = Path(__file__).parent / "standalone", "model-readme.md"

TOLERANCE = {"fp32": 1e-5, "fp16": 2e-2}
"""Largest difference of a score between ``predict.py`` and ``bench predict``, relative to the largest: batches round.

Seen: 2e-7 in single precision.
"""

CARRIED = ("threshold", "thresholds", "at-most-k", "count")
"""Label-set policies of plugins that ``predict.py`` knows how to apply."""

INTERPOLATION = {"nearest": "nearest neighbour", "bilinear": "bilinear, antialiased", "bicubic": "bicubic, antialiased"}

STATE = "`description.policy.state` of `manifest.json`"
"""Where a reader of the README finds what a policy chose."""

SEQUENCE = (
    "`step.onnx` and `decoder.safetensors` are the memory and the words of a model that writes label after label;"
    " `search.py` searches. To it END is label {labels}, and START, before the first, {start}.\n"
)


def write_programs(folder: Path, description: Description, config: Mapping[str, Any]) -> None:
    """Write the programs and the README to ``folder``, which has the other files of a model of a run of ``config``."""
    for name in (PROGRAM, SEARCH) if description.kind == "sequence" else (PROGRAM,):
        write_atomic(folder / name, (SOURCES / name).read_bytes())
    write_atomic(folder / README, readme(description, config))


def readme(description: Description, config: Mapping[str, Any]) -> str:
    """Return what the folder's README says, of this model alone, and of where it comes from by its run's ``config``."""
    scaling, labels = description.preprocessing, len(description.labels)
    probabilities = {
        "logit": ", probabilities are 1 / (1 + exp(-score))",
        "log_probability": ", probabilities exp(score)",
    }
    shown = probabilities.get(description.score_kind, "")
    if calibrated_by(description.policy, description.score_kind) is not None:
        shown = (
            ". What is printed are probabilities, calibrated on validation images, as `calibrated` in `predict.py`"
            f" computes them from {STATE}; thresholds of the label sets are on the scores"
        )
    return (
        (SOURCES / TEMPLATE)
        .read_text(encoding="utf-8")
        .format(
            model=one_line(description.model),
            labels=labels,
            run=one_line(description.run),
            precision=description.precision,
            tolerance=f"{TOLERANCE[description.precision]:g}",
            resize=_resizing(scaling),
            interpolation=INTERPOLATION[scaling.interpolation],
            size=scaling.size,
            mean=", ".join(f"{value:.9g}" for value in scaling.mean),
            std=", ".join(f"{value:.9g}" for value in scaling.std),
            outputs=" and ".join(f"`{name}`" for name in description.outputs),
            choice=_choice(description),
            score_kind=description.score_kind,
            probabilities=shown,
            maps=" Feature maps are rounded to half precision inside the network." if description.feature_map else "",
            sequence=SEQUENCE.format(labels=labels, start=labels + 1) if description.kind == "sequence" else "",
            pillow=description.versions["pillow"],
            **_provenance(config),
        )
    )


def _provenance(config: Mapping[str, Any]) -> dict[str, str]:
    """Return what was trained on what, in words for the README."""
    backbone, data = config["backbone"], config["dataset"]
    tuned = f", tuned for {backbone['finetune']} epochs" if backbone["finetune"] else ""
    return {
        "version": one_line(config["bench"]),
        "backbone": one_line(backbone["architecture"] or backbone["name"]),
        "weights": f"{one_line(backbone['weights_hash'])}{tuned}",
        "dataset": one_line(data["name"]),
        "train": one_line(data["fingerprints"]["train"]),
        "seed": str(config["seed"]),
    }


def reason_not_carried(description: Description) -> str:
    """Return why ``predict.py`` cannot give the model's label sets, only scores; nothing where it can."""
    policy = description.policy
    if policy is None or not policy.distribution:
        return ""
    if policy.distribution == "multilabel-bench" and policy.name in CARRIED:
        return ""
    return f"label sets are by policy '{policy.name}' of {policy.distribution}, whose code the folder does not carry"


def program_of(folder: Path) -> dict[str, Any]:
    """Return the names that the folder's own ``predict.py`` defines."""
    return runpy.run_path(str(folder / PROGRAM), run_name="predict")


def _resizing(scaling: Preprocessing) -> str:
    if scaling.crop == "squash":
        return f"to {scaling.size}x{scaling.size}, its sides' ratio lost"
    return (
        f"the shorter side to {scaling.resize}, the other in proportion and cut to a whole number; of that the middle"
        f" {scaling.size}x{scaling.size}, whose offset is half the rest, a half rounded to the even number"
    )


def _choice(description: Description) -> str:
    if lacking := reason_not_carried(description):
        return f"its {lacking}: say `--top-k` or `--threshold`, or use `bench predict`."
    name = one_line(description.policy.name) if description.policy else "the protocol's"
    if description.policy is not None and description.policy.of_goals:
        return (
            f"policy {name}: those that score at least what `thresholds` says of them in {STATE}, chosen on validation"
            f" images (protocol {description.protocol})."
        )
    words = {
        "exactly-k": f"exactly the {description.k} best",
        "natural-threshold": f"of the {description.k} best those that score {description.threshold} or more",
        "own": "those that the model decides on",
        "decoded": "those of the most probable label sequence that is found",
        "thresholds": f"those that score at least what `thresholds` says of them in {STATE}",
        "count": f"the best, as many as `label_set` in `predict.py` computes from {STATE}",
    }
    state = {} if description.policy is None else description.policy.arrays()
    if name in {"threshold", "at-most-k"}:
        best = f"of the {state['k']} best " if name == "at-most-k" else ""
        words[name] = f"{best}those that score {float(state['threshold'])!r} or more"
    return f"policy {name}: {words.get(name, 'as chosen on validation images')} (protocol {description.protocol})."

"""Small run folders for tests: 4 images, 3 labels, every record stored."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from safetensors.numpy import save

from bench import LabelSets, Measures, Scores
from bench.data.fingerprint import truth_hash
from bench.evaluation import policies, protocols
from bench.evaluation.measure import measure
from bench.records import Exhibits, LabelSpace, Prediction, RunRequest
from bench.store.run_folder import RunFolder
from bench.store.runs import open_run
from bench.store.stored import About, Truth

TRAINING = {
    "history": [
        {"learning_rate": rate, "epoch": epoch, "loss": loss, "score": score, "rate": rate, "seconds": 0.1}
        for rate, epoch, loss, score in ((0.01, 1, 2.0, 0.3), (0.001, 1, 3.0, 0.25), (0.001, 2, 1.5, 0.5))
    ],
    "best_epoch": 2,
    "learning_rate": 0.001,
    "score": 0.5,
    "parameters": 12,
    "diverged": [0.01],
}
"""Two learning rates tried: the loss of the first diverged in its second epoch, the second is kept."""

WEIGHTS = save({"weight": np.zeros((3, 4), dtype=np.float32)})

IDS, LABELS = ("a", "b", "c", "d"), ("cat", "dog", "cow")
VALIDATION_IDS = ("e", "f", "g", "h")
TRUTH = np.array([[1, 0, 0], [0, 1, 1], [1, 1, 0], [0, 0, 1]], dtype=np.bool_)
IGNORE = np.zeros_like(TRUTH)
IGNORE[0, 2] = True


def run_config(model: str = "bce", /, seed: int = 0, **changes: Any) -> dict[str, Any]:
    """A run's config in the shape that ``bench.pipeline`` writes; ``changes`` replace top-level entries."""
    config: dict[str, Any] = {
        "bench": "0.1.0",
        "model": {
            "name": model,
            "distribution": "multilabel-bench",
            "version": "0.1.0",
            "kind": "sequence",
            "options": {},
        },
        "training": {"epochs": 2, "learning_rates": "0.01,0.001", "patience": 5, "halve_after": 5},
        "search": {},
        "dataset": {
            "name": "toy",
            "fingerprints": {"train": "aaaa", "validation": "bbbb", "test": "cccc"},
            "truth": truth_hash(IDS, LABELS, np.packbits(TRUTH, axis=1), np.packbits(IGNORE, axis=1)),
            "validation_truth": truth_hash(VALIDATION_IDS, LABELS, np.packbits(TRUTH[::-1], axis=1), None),
        },
        "backbone": {
            "name": "tiny",
            "weights_hash": "dddd",
            "finetune": 1,
            "preprocessing": {"size": 16, "resize": 20},
        },
        "protocol": "top2@1",
        "device": "cpu",
        "seed": seed,
    }
    config |= changes
    name = config["protocol"] if config["protocol"] in protocols.REGISTERED else "top2@1"
    policy = policies.chosen("", None, protocols.get(name), config["model"].get("kind", "sequence"))
    return config | ({} if "policy" in changes else {"policy": policy.to_json()})


def make_run(
    root: Path, model: str = "bce", /, seed: int = 0, values: dict[str, float] | None = None, **changes: Any
) -> RunFolder:
    """Store a finished run under ``root``; ``changes`` go to its config, ``values`` to its measures."""
    ids, labels, truth, ignore = IDS, LABELS, TRUTH.copy(), IGNORE.copy()
    scores = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)
    folder = open_run(root, run_config(model, seed, **changes))
    folder.write_about(About(row=model, variant="four images"))
    folder.write_request(RunRequest(model=model, dataset="toy", finetune=1, seed=seed, out=root, cache=root / "cache"))
    folder.write_environment({"system": "Linux"})
    folder.write_truth(Truth(ids, labels, truth, ignore))
    folder.write_sizes((truth * np.linspace(0.05, 0.6, 12).reshape(4, 3)).astype(np.float32))
    folder.write_training(TRAINING)
    folder.write_weights(WEIGHTS)
    folder.write_backbone(b"tuned")
    folder.write_scores(Scores(ids, scores, "logit"))
    folder.write_predicted(truth.copy())
    folder.write_validation(*validation_part())
    sequences = np.array([[0, -1], [1, 2], [0, 1], [2, -1]], dtype=np.int32)
    folder.write_label_sets(LabelSets(ids, sequences, np.log(np.full(4, 0.5)), np.ones(4, dtype=np.bool_)))
    folder.write_exhibits(make_exhibits())
    folder.write_measures(
        Measures("top2@1", values or {"O-F1": 0.5, "mAP": 0.25}, {"ap": (1.0, float("nan"), 0.5)}, ("a note",))
    )
    folder.write_timings({"seconds": {"train": 1.5}})
    folder.finish()
    return folder


def make_honest(folder: RunFolder) -> RunFolder:
    """Store label sequences that are partly wrong, class scores that fit them, and what they are worth."""
    sequences = np.array([[0, 1], [1, 2], [0, 1], [0, 1]], dtype=np.int32)
    label_sets = LabelSets(IDS, sequences, np.log(np.full(4, 0.432)), np.ones(4, dtype=np.bool_))
    predicted = label_sets.as_matrix(len(LABELS))
    steps = np.linspace(0.0, 0.05, 12, dtype=np.float32).reshape(4, 3)
    folder.write_label_sets(label_sets)
    folder.write_scores(Scores(IDS, np.where(predicted, 0.9, 0.1).astype(np.float32) + steps, "probability"))
    folder.write_predicted(predicted)
    masks, scores = folder.read_masks(), folder.read_scores()
    protocol = protocols.get("top2@1")
    folder.write_measures(
        measure(protocol, LABELS, masks.truth, masks.ignore, masks.predicted, scores, sequences=label_sets)
    )
    return folder


def validation_part() -> tuple[Truth, Prediction]:
    """Four images more, whose label sequences are right."""
    truth = TRUTH[::-1].copy()
    sequences = np.array([[2, -1], [0, 1], [1, 2], [0, -1]], dtype=np.int32)
    label_sets = LabelSets(VALIDATION_IDS, sequences, np.log(np.full(4, 0.5)), np.ones(4, dtype=np.bool_))
    scores = Scores(VALIDATION_IDS, np.where(truth, 0.9, 0.1).astype(np.float32), "probability")
    return Truth(VALIDATION_IDS, LABELS, truth, None), Prediction(scores, truth.copy(), label_sets)


def make_exhibits() -> Exhibits:
    """Four pictures, the search of the second, an embedding of three labels, and its attention."""
    generator = np.random.default_rng(0)
    pictures = {row: picture(value) for row, value in enumerate((30, 90, 150, 210))}
    edges = [
        [[], 1, 0.6, 0.6, True],
        [[], 0, 0.3, 0.3, False],
        [[1], 2, 0.9, 0.54, True],
        [[1, 2], 3, 0.8, 0.432, True],
    ]
    tree = {
        "row": 1,
        "edges": edges,
        "answer": [1, 2, 3],
        "beam": [1, 2, 3],
        "search": "beam",
        "end": 3,
        "beam_width": 2,
    }
    labels, images, start = (generator.normal(size=shape).astype(np.float32) for shape in ((3, 4), (4, 4), (4,)))
    attention = {1: generator.random((2, 2, 8, 8)).astype(np.float32)}
    return Exhibits(pictures, (tree,), LabelSpace(labels, images, start), attention)


def picture(value: int) -> bytes:
    """A small grey JPEG."""
    buffer = io.BytesIO()
    Image.new("RGB", (24, 16), (value, value, value)).save(buffer, format="JPEG")
    return buffer.getvalue()

"""The run store: one folder per run, named by the hash of its config, whole or plainly unfinished.

<out>/<dataset>/<model>/<key>/
    manifest.json      layout version, key, and the SHA-256 of every other file; most of them hold the key, too
    config.json        everything that shapes the result; its hash is the key
    about.json         what readers call its parts, and where each value of the config came from
    request.json       what was typed, with the paths of this machine
    environment.json   machine, versions, threads
    ids.json labels.json truth.npz        the test part: ids, label names, truth and ignore as packed bits
    sizes.npz                             shares of the picture's area of the true labels, where they are known
    known.npz                             true labels that a model of known tags was told, as packed bits
    trials.json                           trials that chose the options; absent where none were asked for
    validation.npz                        the validation part: ids, truth, masks, scores, label sets, sequences
    policy.npz                            what the label-set policy chose on it; absent where nothing is to be chosen
    training.json weights.safetensors     what training gave
    backbone.safetensors                  the fine-tuned backbone; absent where it stayed frozen
    scores.npy scores.json                (images, labels) float32, memory-mappable; their kind, and the SHA-256 of them
                                          and of the weights they are of
    predicted.npz label_sets.npz          label sets as packed bits; label sequences, if the model makes them
    gallery.npz trees.json embedding.npz attention.npz    what figures show, see bench/store/exhibits.py
    measures.json timings.json            what was measured
    provenance.json    of a run that was merged into this store: the archive, and what it was packed without
    status.json        "done" and when, or "failed" with stage and reason; absent while unfinished
    traceback.txt      of a failed run: where in the code, for the plugin's author
    log.jsonl progress.json    what it did and is at, for bench status: no records, see bench/system/journal.py
"""

from __future__ import annotations

import contextlib
import fcntl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import StoreError
from bench.records import (
    BoolArray,
    Exhibits,
    FloatArray,
    LabelSets,
    Ledger,
    Measures,
    Prediction,
    RunRequest,
    Scores,
    Split,
)
from bench.store.required import RECORDS
from bench.store.run_reader import SCORED_BY, SEQUENCE_ARRAYS, STATE, RunReader
from bench.store.stored import About, Provenance, Status, Truth
from bench.system.files import write_atomic
from bench.system.locks import NO_LOCKS

__all__ = ["CHECKPOINT", "RECORDS", "TUNING_CHECKPOINT", "RunFolder"]

CHECKPOINT, TUNING_CHECKPOINT = "checkpoint.pt", "checkpoint-finetune.pt"
TRACEBACK = "traceback.txt"


class HeldError(StoreError):
    """Another process holds the run."""


@dataclass(frozen=True, slots=True)
class RunFolder(RunReader):
    """One run's folder. Reads raise ``StoreError`` naming the file that is absent or damaged."""

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run against other processes; the status of an earlier attempt that is not done is cleared.

        Raises ``StoreError`` where another process holds it.
        """
        with self.held():
            if self.foreign():
                # Weights do not say whose they are: where one file is another run's, none can be gone on from.
                self._files.forget(*self._files.manifest()["files"].keys() - {"config.json"})
            if self._files.lists("status.json") and not self.done:
                self._files.forget("status.json")
                (self.path / TRACEBACK).unlink(missing_ok=True)
            yield

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder, made if absent, against other processes.

        Raises ``HeldError`` where another holds it, ``StoreError`` where it cannot be written.
        """
        with contextlib.ExitStack() as stack:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                handle = stack.enter_context((self.path / ".lock").open("w"))
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise HeldError(f"another process is working on {self.path}. Wait for it, or choose --out") from None
            except OSError as error:
                # Some network file systems have no locks; a single user on one is better served without.
                if error.errno not in NO_LOCKS:
                    remedy = "Try: --out with another folder, or --runs with a copy"
                    raise StoreError(f"cannot write {self.path}: {error.strerror}. {remedy}") from error
            yield

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Store everything that shapes the result."""
        self._files.write_json("config.json", config)

    def write_about(self, about: About) -> None:
        """Store what readers call the run's parts; it shapes no result."""
        self._files.write_json("about.json", _values(about))

    def write_request(self, request: RunRequest) -> None:
        """Store what was asked for, so that the run can be rebuilt on this machine from any folder: paths are whole."""
        self._files.write_json("request.json", request.to_json())

    def write_environment(self, environment: Mapping[str, Any]) -> None:
        """Store the record of the machine."""
        self._files.write_json("environment.json", environment)

    def write_truth(self, split: Split | Truth) -> None:
        """Store ids, labels, truth and ignore mask of the test part."""
        arrays = {"truth": np.packbits(split.truth, axis=1)}
        if split.ignore is not None:
            arrays["ignore"] = np.packbits(split.ignore, axis=1)
        self._files.write_json("ids.json", split.ids)
        self._files.write_json("labels.json", split.labels)
        self._files.write_arrays("truth.npz", **arrays)

    def write_sizes(self, sizes: FloatArray) -> None:
        """Store how large the true labels' objects are, (images, labels) as in ``Split.sizes``; only what is not 0."""
        rows, columns = np.nonzero(sizes)
        places = {"rows": rows.astype(np.int32), "columns": columns.astype(np.int32)}
        self._files.write_arrays("sizes.npz", **places, shares=sizes[rows, columns])

    def keep_sizes(self, sizes: FloatArray | None) -> None:
        """Store ``sizes`` where they are known, and others, or none, are stored: no key holds them."""
        if sizes is not None and not (self.has("sizes") and np.array_equal(self.read_sizes(), sizes)):
            self.write_sizes(sizes)

    def write_trials(self, ledger: Ledger) -> None:
        """Store the trials that the run's options were chosen by."""
        self._files.write_json("trials.json", ledger.to_json())

    def write_training(self, training: Mapping[str, Any]) -> None:
        """Store the history and outcome of the training."""
        self._files.write_json("training.json", training)

    def write_weights(self, content: bytes) -> None:
        """Store the model's weights, the content of a safetensors file."""
        self._files.write("weights.safetensors", content)

    def write_backbone(self, content: bytes) -> None:
        """Store a fine-tuned backbone's weights, the content of a safetensors file."""
        self._files.write("backbone.safetensors", content)

    def write_known(self, known: BoolArray) -> None:
        """Store the true labels of the test images that the model was told, (images, labels) bool."""
        self._files.write_arrays("known.npz", known=np.packbits(known, axis=1))

    def write_scores(self, scores: Scores) -> None:
        """Store the scores of the test part, and which weights they are of: those stored by then."""
        with self._files.replacing("scores.npy") as temporary, temporary.open("wb") as file:
            np.save(file, np.ascontiguousarray(scores.values), allow_pickle=False)
        seals = {name: seal for name in SCORED_BY if (seal := self._files.seal(name))}
        self._files.write_json("scores.json", {"kind": scores.kind, "shape": scores.values.shape, "seals": seals})

    def write_predicted(self, predicted: BoolArray) -> None:
        """Store the predicted label sets, (images, labels) bool."""
        self._files.write_arrays("predicted.npz", predicted=np.packbits(predicted, axis=1))

    def write_label_sets(self, label_sets: LabelSets) -> None:
        """Store the label sequences with their log-probabilities."""
        self._files.write_arrays("label_sets.npz", **{name: getattr(label_sets, name) for name in SEQUENCE_ARRAYS})

    def write_prediction(self, prediction: Prediction) -> None:
        """Store scores, label sets and, of a model that makes them, label sequences."""
        self.write_scores(prediction.scores)
        self.write_predicted(prediction.predicted)
        if prediction.label_sets is not None:
            self.write_label_sets(prediction.label_sets)

    def write_validation(self, part: Split | Truth, prediction: Prediction, known: BoolArray | None = None) -> None:
        """Store truth and predictions of the validation part, and what a model of known tags was told of it."""
        masks = {"truth": part.truth, "ignore": part.ignore, "known": known, "predicted": prediction.predicted}
        arrays = {name: np.packbits(mask, axis=1) for name, mask in masks.items() if mask is not None}
        if prediction.label_sets is not None:
            arrays |= {name: getattr(prediction.label_sets, name) for name in SEQUENCE_ARRAYS}
        scores = prediction.scores
        self._files.write_arrays(
            "validation.npz", ids=np.array(part.ids), kind=np.array(scores.kind), scores=scores.values, **arrays
        )

    def write_policy(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Store what the run's label-set policy chose on the validation part."""
        self._files.write_arrays("policy.npz", **{f"{STATE}{name}": array for name, array in state.items()})

    def write_exhibits(self, exhibits: Exhibits) -> None:
        """Store what figures show of the run; ``exhibits`` reads it back."""
        self.exhibits.write(exhibits)

    def write_measures(self, measures: Measures) -> None:
        """Store what the protocol measured; undefined (NaN) values are stored as null."""
        self._files.write_json("measures.json", _values(measures))

    def write_provenance(self, provenance: Provenance) -> None:
        """Store where the run was merged from."""
        self._files.write_json("provenance.json", _values(provenance))

    def write_timings(self, timings: Mapping[str, Any]) -> None:
        """Store wall times and thread counts."""
        self._files.write_json("timings.json", timings)

    def finish(self) -> None:
        """Mark the run as done and remove the checkpoints, which the weights now replace."""
        self._files.write_json("status.json", _values(Status("done", finished=time.time())))
        for name in (CHECKPOINT, TUNING_CHECKPOINT):
            (self.path / name).unlink(missing_ok=True)

    def fail(self, stage: str, reason: str, traceback: str = "") -> None:
        """Mark the run as failed in ``stage``; it stays in every table as a row with its ``reason``."""
        if traceback:
            write_atomic(self.path / TRACEBACK, traceback)
        self._files.write_json("status.json", _values(Status("failed", stage, reason, time.time())))


def _values(record: Any) -> dict[str, Any]:
    return {entry.name: getattr(record, entry.name) for entry in fields(record)}

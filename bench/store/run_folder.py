"""The run store: one folder per run, named by the hash of its config, whole or plainly unfinished.

<out>/<dataset>/<model>/<key>/
    manifest.json      layout version, key, and the SHA-256 of every other file
    config.json        everything that shapes the result; its hash is the key
    about.json         what readers call its parts, and where each value of the config came from
    request.json       what was typed, with the paths of this machine
    environment.json   machine, versions, threads
    ids.json labels.json truth.npz        the test part: ids, label names, truth and ignore as packed bits
    sizes.npz                             shares of the picture's area of the true labels, where they are known
    training.json weights.safetensors     what training gave
    backbone.safetensors                  the fine-tuned backbone; absent where it stayed frozen
    scores.npy scores.json                (images, labels) float32, memory-mappable; and their kind
    predicted.npz label_sets.npz          label sets as packed bits; label sequences, if the model makes them
    gallery.npz trees.json embedding.npz attention.npz    what figures show, see bench/store/exhibits.py
    measures.json timings.json            what was measured
    status.json        "done" and when, or "failed" with stage and reason; absent while unfinished
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import StoreError
from bench.evaluation.bits import BitMatrix
from bench.evaluation.outcome import Outcome
from bench.records import BoolArray, Exhibits, FloatArray, LabelSets, Measures, Prediction, RunRequest, Scores, Split
from bench.store.exhibits import StoredExhibits
from bench.store.sealed import REPAIR, SealedFolder
from bench.store.stored import About, Masks, RunSummary, Status, Truth
from bench.system.files import canonical_json, digest
from bench.system.locks import NO_LOCKS

CHECKPOINT = "checkpoint.pt"

RECORDS: dict[str, tuple[str, ...]] = {
    "config": ("config.json",),
    "about": ("about.json",),
    "request": ("request.json",),
    "environment": ("environment.json",),
    "truth": ("ids.json", "labels.json", "truth.npz"),
    "sizes": ("sizes.npz",),
    "training": ("training.json",),
    "weights": ("weights.safetensors",),
    "backbone": ("backbone.safetensors",),
    "scores": ("ids.json", "scores.npy", "scores.json"),
    "predicted": ("predicted.npz",),
    "label_sets": ("label_sets.npz",),
    "gallery": ("gallery.npz",),
    "trees": ("trees.json",),
    "embedding": ("embedding.npz",),
    "attention": ("attention.npz",),
    "measures": ("measures.json",),
    "timings": ("timings.json",),
    "status": ("status.json",),
}
"""The files of each record."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One run's folder. Reads raise ``StoreError`` naming the file that is absent or damaged."""

    path: Path

    @property
    def _files(self) -> SealedFolder:
        return SealedFolder(self.path)

    @property
    def exhibits(self) -> StoredExhibits:
        """Return what the run shows of some test images, read file by file."""
        return StoredExhibits(self.path)

    @property
    def key(self) -> str:
        """Return the hash of the config, 16 hex digits."""
        return self._files.key

    @property
    def config(self) -> dict[str, Any]:
        """Return everything that shaped the result. Raises ``StoreError`` where the key is not its hash."""
        config: dict[str, Any] = self._files.read_json("config.json")
        if digest(canonical_json(config)) != self.key:
            raise StoreError(f"{self.path}: config.json does not belong to run {self.key}. {REPAIR}")
        return config

    @property
    def status(self) -> Status:
        """Return whether the run is done, failed or unfinished, without checking its other files."""
        if not self._files.lists("status.json"):
            return Status("unfinished")
        return Status(**self._files.read_json("status.json"))

    @property
    def done(self) -> bool:
        """Return whether the run is finished and none of its files is absent or damaged."""
        try:
            return self.status.state == "done" and not self.verify()
        except StoreError:
            return False

    def has(self, record: str) -> bool:
        """Return whether ``record`` (a name in ``RECORDS``) is stored and intact."""
        return all(self._files.intact(name) for name in RECORDS[record])

    def verify(self) -> list[str]:
        """Return the names of the files that are absent or not what was written; none in a sound folder."""
        return [name for name in sorted(self._files.manifest()["files"]) if not self._files.intact(name)]

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run against other processes; the status of an earlier attempt that is not done is cleared.

        Raises ``StoreError`` where another process holds it.
        """
        with self.held():
            if self._files.lists("status.json") and not self.done:
                self._files.forget("status.json")
            yield

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder, made if absent, against other processes. Raises ``StoreError`` where another holds it."""
        with contextlib.ExitStack() as stack:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                handle = stack.enter_context((self.path / ".lock").open("w"))
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StoreError(f"another process is working on {self.path}. Wait for it, or choose --out") from None
            except OSError as error:
                # Some network file systems have no locks; a single user on one is better served without.
                if error.errno not in NO_LOCKS:
                    raise StoreError(
                        f"cannot write {self.path}: {error.strerror}. Try: another folder with --out"
                    ) from error
            yield

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Store everything that shapes the result."""
        self._files.write_json("config.json", config)

    def write_about(self, about: About) -> None:
        """Store what readers call the run's parts; it shapes no result."""
        self._files.write_json("about.json", _values(about))

    def write_request(self, request: RunRequest) -> None:
        """Store what was asked for, so that the run can be rebuilt on this machine from any folder: paths are whole."""
        values = {
            name: str(value.absolute()) if isinstance(value, Path) else value
            for name, value in _values(request).items()
        }
        self._files.write_json("request.json", values)

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

    def write_training(self, training: Mapping[str, Any]) -> None:
        """Store the history and outcome of the training."""
        self._files.write_json("training.json", training)

    def write_weights(self, content: bytes) -> None:
        """Store the model's weights, the content of a safetensors file."""
        self._files.write("weights.safetensors", content)

    def write_backbone(self, content: bytes) -> None:
        """Store a fine-tuned backbone's weights, the content of a safetensors file."""
        self._files.write("backbone.safetensors", content)

    def write_scores(self, scores: Scores) -> None:
        """Store the scores of the test part."""
        with self._files.replacing("scores.npy") as temporary, temporary.open("wb") as file:
            np.save(file, np.ascontiguousarray(scores.values), allow_pickle=False)
        self._files.write_json("scores.json", {"kind": scores.kind, "shape": scores.values.shape})

    def write_predicted(self, predicted: BoolArray) -> None:
        """Store the predicted label sets, (images, labels) bool."""
        self._files.write_arrays("predicted.npz", predicted=np.packbits(predicted, axis=1))

    def write_label_sets(self, label_sets: LabelSets) -> None:
        """Store the label sequences with their log-probabilities."""
        names = ("sequences", "log_probabilities", "complete")
        self._files.write_arrays("label_sets.npz", **{name: getattr(label_sets, name) for name in names})

    def write_prediction(self, prediction: Prediction) -> None:
        """Store scores, label sets and, of a model that makes them, label sequences."""
        self.write_scores(prediction.scores)
        self.write_predicted(prediction.predicted)
        if prediction.label_sets is not None:
            self.write_label_sets(prediction.label_sets)

    def write_exhibits(self, exhibits: Exhibits) -> None:
        """Store what figures show of the run; ``exhibits`` reads it back."""
        self.exhibits.write(exhibits)

    def write_measures(self, measures: Measures) -> None:
        """Store what the protocol measured; undefined (NaN) values are stored as null."""
        self._files.write_json("measures.json", _values(measures))

    def write_timings(self, timings: Mapping[str, Any]) -> None:
        """Store wall times and thread counts."""
        self._files.write_json("timings.json", timings)

    def finish(self) -> None:
        """Mark the run as done and remove the training checkpoint, which the weights now replace."""
        self._files.write_json("status.json", _values(Status("done", finished=time.time())))
        (self.path / CHECKPOINT).unlink(missing_ok=True)

    def fail(self, stage: str, reason: str) -> None:
        """Mark the run as failed in ``stage``; it stays in every table as a row with its ``reason``."""
        self._files.write_json("status.json", _values(Status("failed", stage, reason, time.time())))

    def request(self) -> RunRequest:
        """Return what was asked for."""
        values = self._files.read_json("request.json")
        paths = {name: Path(values[name]) for name in ("data_root", "weights", "out", "cache") if values[name]}
        request: RunRequest = self._files.parse(
            "request.json", lambda: RunRequest(**values | paths | {"sets": tuple(values["sets"])})
        )
        return request

    def read_about(self) -> About:
        """Return what readers call the run's parts, and where the values of its config came from."""
        content = self._files.read_json("about.json")
        about: About = self._files.parse(
            "about.json", lambda: About(**content | {"notes": tuple(content.get("notes", ()))})
        )
        return about

    def read_environment(self) -> dict[str, Any]:
        """Return the record of the machine."""
        return dict(self._files.read_json("environment.json"))

    def read_truth(self) -> Truth:
        """Return ids, labels, truth and ignore mask of the test part."""
        labels = self._labels()
        truth, ignore = self._truth(len(labels))
        return Truth(self._ids(), labels, truth[:], None if ignore is None else ignore[:])

    def read_masks(self) -> Masks:
        """Return truth, ignore mask and predicted label sets, packed: an eighth of what they take as bool arrays."""
        labels = self._labels()
        return Masks(labels, *self._truth(len(labels)), self._predicted(len(labels)))

    def read_outcome(self) -> Outcome:
        """Return all that the run's numbers follow from: masks packed, scores memory-mapped."""
        config, masks = self.config, self.read_masks()
        return Outcome(
            str(self.path),
            str(config["dataset"].get("fingerprints", {}).get("test", "")),
            str(config["protocol"]),
            masks.labels,
            masks.truth,
            masks.ignore,
            masks.predicted,
            self.read_scores(),
        )

    def read_sizes(self) -> FloatArray:
        """Return the objects' shares of the picture's area, (images, labels); see ``has("sizes")``."""
        stored = self._files.read_arrays("sizes.npz")
        sizes = np.zeros((len(self._ids()), len(self._labels())), dtype=np.float32)
        sizes[stored["rows"], stored["columns"]] = stored["shares"]
        return sizes

    def read_training(self) -> dict[str, Any]:
        """Return the history and outcome of the training."""
        return dict(self._files.read_json("training.json"))

    def read_weights(self) -> bytes:
        """Return the content of the weights' safetensors file."""
        return self._files.read("weights.safetensors")

    def read_backbone(self) -> bytes:
        """Return the content of the fine-tuned backbone's safetensors file."""
        return self._files.read("backbone.safetensors")

    def read_scores(self) -> Scores:
        """Return the scores of the test part, memory-mapped, so that they need not fit in memory."""
        self._files.check("scores.npy")
        kind = self._files.read_json("scores.json")["kind"]
        file = self.path / "scores.npy"
        values = self._files.parse("scores.npy", lambda: np.load(file, mmap_mode="r", allow_pickle=False))
        return Scores(self._ids(), values, kind)

    def read_predicted(self) -> BoolArray:
        """Return the predicted label sets, (images, labels) bool."""
        return self._predicted(len(self._labels()))[:]

    def read_label_sets(self) -> LabelSets:
        """Return the label sequences; only a sequence model has them, see ``has("label_sets")``."""
        return LabelSets(self._ids(), **self._files.read_arrays("label_sets.npz"))

    def read_measures(self) -> Measures:
        """Return what the protocol measured."""
        content = self._files.read_json("measures.json")
        values = {name: _number(value) for name, value in content["values"].items()}
        per_class = {name: tuple(map(_number, row)) for name, row in content["per_class"].items()}
        return Measures(content["protocol"], values, per_class, tuple(content["notes"]))

    def read_timings(self) -> dict[str, Any]:
        """Return wall times and thread counts."""
        return dict(self._files.read_json("timings.json"))

    def summary(self) -> RunSummary:
        """Return what a table needs of this run; a damaged folder is one more way to have no measures.

        Every file is checked: a number stands in a table only while what it was computed from can be shown.
        """
        try:
            key, config, status = self.key, self.config, self.status
            if damaged := self.verify():
                reason = f"{', '.join(damaged)} absent or damaged. {REPAIR}"
                return RunSummary(self.path, key, config, "damaged", reason)
            if status.state == "done":
                return RunSummary(
                    self.path,
                    key,
                    config,
                    "done",
                    measures=self.read_measures(),
                    images=len(self._ids()),
                    labels=self._labels(),
                    about=self.read_about(),
                    finished=status.finished,
                )
            reason = f"{status.stage}: {status.reason}" if status.reason else "not finished"
            about = self.read_about() if self.has("about") else About()
            return RunSummary(self.path, key, config, status.state, reason, about=about)
        except StoreError as error:
            model, dataset = ({"name": part.name} for part in (self.path.parent, self.path.parent.parent))
            config = {"model": model, "dataset": dataset}
            return RunSummary(self.path, self.path.name, config, "damaged", str(error))

    def _ids(self) -> tuple[str, ...]:
        return tuple(self._files.read_json("ids.json"))

    def _labels(self) -> tuple[str, ...]:
        return tuple(self._files.read_json("labels.json"))

    def _truth(self, labels: int) -> tuple[BitMatrix, BitMatrix | None]:
        arrays = self._files.read_arrays("truth.npz")
        ignore = BitMatrix(arrays["ignore"], labels) if "ignore" in arrays else None
        return BitMatrix(arrays["truth"], labels), ignore

    def _predicted(self, labels: int) -> BitMatrix:
        return BitMatrix(self._files.read_arrays("predicted.npz")["predicted"], labels)


def _values(record: Any) -> dict[str, Any]:
    return {entry.name: getattr(record, entry.name) for entry in fields(record)}


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)

"""A run folder as it is read: whether it stands, what it claims, and every record of it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from bench.contracts import KNOWN_SHARE
from bench.errors import BenchError, StoreError
from bench.evaluation import known_tags
from bench.evaluation.bits import BitMatrix, Mask
from bench.evaluation.outcome import Outcome
from bench.records import BoolArray, FloatArray, LabelSets, Ledger, Measures, Prediction, RunRequest, Scores
from bench.records.field_types import wrong_field
from bench.store.exhibits import StoredExhibits
from bench.store.following import of_store
from bench.store.protocol import protocol_of
from bench.store.required import RECORDS, needed
from bench.store.sealed import REPAIR, SealedFolder, UnreadableError, reads
from bench.store.stored import About, Masks, Provenance, RunSummary, Status, Truth, ValidationPart
from bench.system.files import canonical_json, digest
from bench.system.npz import map_npy

SEQUENCE_ARRAYS = ("sequences", "log_probabilities", "complete")
"""The arrays of label sequences, as in ``LabelSets``."""

STATE = "state."
"""What stands before the name of an array of a policy's state."""

TUNED_BY = "fine_tuning"
"""Where a run's environment says by how many processes and threads its backbone was tuned."""

SCORED_BY = ("scores.npy", "weights.safetensors", "backbone.safetensors")
"""Files whose SHA-256 scores.json holds: the scores, and what they were computed with."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RunReader:
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
    @reads("config.json")
    def config(self) -> dict[str, Any]:
        """Return everything that shaped the result. Raises ``StoreError`` where the key is not its hash."""
        config: dict[str, Any] = dict(self._files.read_json("config.json"))
        if digest(canonical_json(config)) != self.key:
            raise StoreError(f"{self.path}: config.json does not belong to run {self.key}. {REPAIR}")
        return config

    @property
    @reads("status.json")
    def status(self) -> Status:
        """Return whether the run is done, failed or unfinished, without checking its other files."""
        if not self._files.lists("status.json"):
            return Status("unfinished")
        return _record(Status, self._files.read_json("status.json"))

    @property
    def done(self) -> bool:
        """Return whether the run is finished and none of its files is absent, damaged or another run's.

        Raises ``UnreadableError`` where that cannot be told.
        """
        try:
            return self.status.state == "done" and not self.lacking() and not self.verify() and not self.foreign()
        except UnreadableError:
            raise
        except BenchError:
            return False

    def check_done(self, what: str) -> None:
        """Raise ``StoreError`` unless the run is finished and whole, which ``what`` is for; it says what is wrong."""
        if self.done:
            return
        found = self.summary()
        why = f": {found.reason}" if found.state == "damaged" else f", {what}. See: bench runs{of_store(self.path)}"
        raise StoreError(f"{self.path} is {found.state}{why}")

    def has(self, record: str) -> bool:
        """Return whether ``record`` (a name in ``RECORDS``) is stored and intact."""
        return all(self._files.intact(name) for name in RECORDS[record])

    def lists(self, record: str) -> bool:
        """Return whether ``record`` was written, without reading it."""
        return self._files.lists(*RECORDS[record])

    def foreign(self) -> list[str]:
        """Return the names of files that are of another run, and of scores and weights that scores.json is not of."""
        names = [name for name in sorted(self._files.manifest()["files"]) if not self._files.own(name)]
        if names or not self._files.intact("scores.json"):
            return names
        seals = self._files.parse("scores.json", lambda: dict(self._files.read_json("scores.json").get("seals", {})))
        found = self.read_provenance()
        absent = found.left_out if found else {}
        return [name for name in SCORED_BY if (self._files.seal(name) or absent.get(name, "")) != seals.get(name, "")]

    def read_provenance(self) -> Provenance | None:
        """Return where the run was merged from; ``None`` where it was made in this store."""
        if not self.lists("provenance"):
            return None
        content = self._files.read_json("provenance.json")
        found: Provenance = self._files.parse("provenance.json", lambda: _record(Provenance, content))
        return found

    @reads("config.json")
    def lacking(self) -> list[str]:
        """Return the names of the files that a finished run of this config has and this one does not."""
        found = self.read_provenance()
        absent = found.left_out if found else {}
        names = [name for record in needed(self.config, absent) for name in RECORDS[record]]
        return [name for name in dict.fromkeys(names) if not self._files.lists(name)]

    def plainly_wrong(self) -> str:
        """Return what is wrong with the folder as far as the names of its files tell; empty: nothing."""
        if self.path.resolve().name != self.key:
            return f"{self.path} holds run {self.key}: it was moved or renamed. {REPAIR}"
        absent = self.lacking() if self.status.state == "done" else []
        absent += [name for name in sorted(self._files.manifest()["files"]) if not (self.path / name).exists()]
        return _told(absent, "absent")

    def verify(self) -> list[str]:
        """Return the names of the files that are absent or not what was written; none in a sound folder."""
        return [name for name in sorted(self._files.manifest()["files"]) if not self._files.intact(name)]

    @reads("request.json")
    def request(self) -> RunRequest:
        """Return what was asked for."""
        values = self._files.read_json("request.json")
        request: RunRequest = self._files.parse("request.json", lambda: RunRequest.from_json(values))
        return request

    @reads("about.json")
    def read_about(self) -> About:
        """Return what readers call the run's parts, and where the values of its config came from."""
        content = self._files.read_json("about.json")
        return _record(About, content | {name: tuple(content.get(name, ())) for name in ("notes", "remarks")})

    @reads("environment.json")
    def read_environment(self) -> dict[str, Any]:
        """Return the record of the machine."""
        return dict(self._files.read_json("environment.json"))

    def tuned_by(self) -> list[dict[str, int]]:
        """Return by how many ``processes`` of how many ``threads`` how many ``epochs`` of fine-tuning were made.

        Empty where the backbone stayed frozen, or nothing is told of it.
        """
        told = self.read_environment().get(TUNED_BY)
        names = ("epochs", "processes", "threads")
        rows = told if isinstance(told, list) else []
        return [row for row in rows if isinstance(row, dict) and all(isinstance(row.get(name), int) for name in names)]

    @reads("truth.npz")
    def read_truth(self) -> Truth:
        """Return ids, labels, truth and ignore mask of the test part as they are measured: known tags are ignored."""
        labels = self._labels()
        truth, ignore = self.read_counted()
        return Truth(self._ids(), labels, truth[:], None if ignore is None else ignore[:])

    @reads("truth.npz")
    def read_masks(self) -> Masks:
        """Return truth, ignore mask and predicted label sets, packed: an eighth of what they take as bool arrays."""
        labels = self._labels()
        return Masks(labels, *self._truth(len(labels)), self._predicted(len(labels)), self._known(len(labels)))

    @reads("truth.npz")
    def read_counted(self) -> tuple[Mask, Mask | None]:
        """Return truth and the pairs that count not at all by the run's protocol, packed; known tags are such pairs.

        Where the protocol is not here, as a plugin's may be, ignored pairs are taken to be left out.
        """
        labels = len(self._labels())
        truth, ignore = self._truth(labels)
        with contextlib.suppress(BenchError, KeyError):
            ignore = ignore if protocol_of(self.config).difficult == "ignore" else None
        known = self._known(labels)
        return (truth, ignore) if known is None else known_tags.left_out(truth, ignore, known)

    @reads("config.json")
    def read_outcome(self) -> Outcome:
        """Return all that the run's numbers follow from: masks packed, scores memory-mapped.

        Raises ``BenchError`` where the protocol is a plugin's that is not here, or makes other choices now.
        """
        config, masks = self.config, self.read_masks()
        truth, ignore = self.read_counted()
        files = ("truth.npz", "predicted.npz", "scores.npy", *(["known.npz"] if masks.known is not None else []))
        told = f" known {config['training'][KNOWN_SHARE.name]}" if masks.known is not None else ""
        return Outcome(
            str(self.path),
            str(config["dataset"].get("fingerprints", {}).get("test", "")) + told,
            protocol_of(config),
            masks.labels,
            truth,
            ignore,
            masks.predicted,
            self.read_scores(),
            masks.ignore,
            masks.known,
            " ".join(map(self._files.seal, files)),
        )

    @reads("known.npz")
    def read_known(self) -> BoolArray:
        """Return the true labels that the model was told, (images, labels) bool; see ``lists("known")``."""
        return BitMatrix(self._files.read_arrays("known.npz")["known"], len(self._labels()))[:]

    @reads("sizes.npz")
    def read_sizes(self) -> FloatArray:
        """Return the objects' shares of the picture's area, (images, labels); see ``has("sizes")``."""
        stored = self._files.read_arrays("sizes.npz")
        sizes = np.zeros((len(self._ids()), len(self._labels())), dtype=np.float32)
        sizes[stored["rows"], stored["columns"]] = stored["shares"]
        return sizes

    @reads("trials.json")
    def read_trials(self) -> Ledger:
        """Return the trials that the run's options were chosen by; see ``lists("trials")``."""
        content = self._files.read_json("trials.json")
        ledger: Ledger = self._files.parse("trials.json", lambda: Ledger.from_json(content))
        return ledger

    @reads("training.json")
    def read_training(self) -> dict[str, Any]:
        """Return the history and outcome of the training."""
        return dict(self._files.read_json("training.json"))

    def read_weights(self) -> bytes:
        """Return the content of the weights' safetensors file."""
        return self._files.read("weights.safetensors")

    def read_backbone(self) -> bytes:
        """Return the content of the fine-tuned backbone's safetensors file."""
        return self._files.read("backbone.safetensors")

    @reads("scores.json")
    def read_scores(self) -> Scores:
        """Return the scores of the test part, memory-mapped, so that they need not fit in memory."""
        self._files.check("scores.npy")
        kind = self._files.read_json("scores.json")["kind"]
        file = self.path / "scores.npy"
        values = self._files.parse("scores.npy", lambda: map_npy(file))
        return Scores(self._ids(), values, kind)

    @reads("predicted.npz")
    def read_predicted(self) -> BoolArray:
        """Return the predicted label sets, (images, labels) bool."""
        return self._predicted(len(self._labels()))[:]

    @reads("label_sets.npz")
    def read_label_sets(self) -> LabelSets:
        """Return the label sequences; only a sequence model has them, see ``has("label_sets")``."""
        return LabelSets(self._ids(), **self._files.read_arrays("label_sets.npz"))

    @reads("validation.npz")
    def read_validation(self) -> ValidationPart:
        """Return truth and predictions of the validation part, by which a label-set policy is chosen."""
        arrays, labels = self._files.read_arrays("validation.npz"), self._labels()

        def parse() -> ValidationPart:
            ids = tuple(map(str, arrays["ids"]))
            masks = {
                name: BitMatrix(arrays[name], len(labels))[:]
                for name in ("truth", "ignore", "known", "predicted")
                if name in arrays
            }
            sequences = {name: arrays[name] for name in SEQUENCE_ARRAYS if name in arrays}
            return ValidationPart(
                Truth(ids, labels, masks["truth"], masks.get("ignore")),
                masks.get("known"),
                Prediction(
                    Scores(ids, arrays["scores"], str(arrays["kind"])),  # type: ignore[arg-type]
                    masks["predicted"],
                    LabelSets(ids, **sequences) if sequences else None,
                ),
            )

        part: ValidationPart = self._files.parse("validation.npz", parse)
        return part

    @reads("policy.npz")
    def read_policy(self) -> dict[str, NDArray[Any]]:
        """Return what the run's label-set policy chose on the validation part; see ``has("policy")``."""
        return {name.removeprefix(STATE): array for name, array in self._files.read_arrays("policy.npz").items()}

    @reads("measures.json")
    def read_measures(self) -> Measures:
        """Return what the protocol measured."""
        content = self._files.read_json("measures.json")
        values = {name: _number(value) for name, value in content["values"].items()}
        per_class = {name: tuple(map(_number, row)) for name, row in content["per_class"].items()}
        return Measures(str(content["protocol"]), values, per_class, tuple(map(str, content["notes"])))

    @reads("timings.json")
    def read_timings(self) -> dict[str, Any]:
        """Return wall times and thread counts."""
        return dict(self._files.read_json("timings.json"))

    def summary(self) -> RunSummary:
        """Return what a table needs of this run; a damaged folder is one more way to have no measures.

        Every file is checked: a number stands in a table only while what it was computed from can be shown.
        """
        try:
            key, config, status = self.key, self.config, self.status
            wrong = self.plainly_wrong() or _told(self.verify(), "damaged") or _told(self.foreign(), "of another run")
            if wrong:
                return RunSummary(self.path, key, config, "damaged", wrong)
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
                    provenance=self.read_provenance(),
                )
            reason = f"{status.stage}: {status.reason}" if status.reason else "not finished"
            about = self.read_about() if self.has("about") else About()
            return RunSummary(self.path, key, config, status.state, reason, about=about)
        except BenchError as error:
            model, dataset = ({"name": part.name} for part in (self.path.parent, self.path.parent.parent))
            config = {"model": model, "dataset": dataset}
            return RunSummary(self.path, self.path.name, config, "damaged", str(error))

    def _ids(self) -> tuple[str, ...]:
        return self._texts("ids.json")

    def _labels(self) -> tuple[str, ...]:
        return self._texts("labels.json")

    def _texts(self, name: str) -> tuple[str, ...]:
        content = self._files.read_json(name)
        if not isinstance(content, list) or not all(isinstance(text, str) for text in content):
            raise StoreError(f"cannot read {self.path / name}: it is no list of texts. {REPAIR}")
        return tuple(content)

    def _truth(self, labels: int) -> tuple[BitMatrix, BitMatrix | None]:
        arrays = self._files.read_arrays("truth.npz")
        ignore = BitMatrix(arrays["ignore"], labels) if "ignore" in arrays else None
        return BitMatrix(arrays["truth"], labels), ignore

    def _known(self, labels: int) -> BitMatrix | None:
        if not self.lists("known"):
            return None
        return BitMatrix(self._files.read_arrays("known.npz")["known"], labels)

    def _predicted(self, labels: int) -> BitMatrix:
        return BitMatrix(self._files.read_arrays("predicted.npz")["predicted"], labels)


def _told(names: Sequence[str], wrong: str) -> str:
    return f"{', '.join(names)} {wrong}. {REPAIR}" if names else ""


def _record(kind: type[T], content: Mapping[str, Any]) -> T:
    """Return the record in ``content``; what a newer bench of the same layout tells besides is passed over.

    Raises ``ValueError`` where a field holds what it cannot.
    """
    record = kind(**{entry.name: content[entry.name] for entry in fields(kind) if entry.name in content})  # type: ignore[arg-type] # a dataclass
    if fault := wrong_field(record):
        raise ValueError(fault)
    return record


def _number(value: float | None) -> float:
    if value is not None and (not isinstance(value, (int, float)) or isinstance(value, bool)):
        raise ValueError(f"found {value!r:.60}, allowed: a number or null")
    return math.nan if value is None else float(value)

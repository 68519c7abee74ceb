"""The run store: one folder per run, named by the hash of its config, whole or plainly unfinished.

    <out>/<dataset>/<model>/<key>/
        manifest.json      schema, key, and the SHA-256 of every other file; rewritten after each of them
        config.json        everything that shapes the result; its hash is the key
        request.json       what was typed, with the paths of this machine
        environment.json   machine, versions, threads
        ids.json labels.json truth.npz        the test part: ids, label names, truth and ignore as packed bits
        training.json weights.safetensors     what training gave
        scores.npy scores.json                (images, labels) float32, memory-mappable; and their kind
        predicted.npz label_sets.npz          label sets as packed bits; label sequences, if the model makes them
        measures.json timings.json            what was measured
        status.json        "done", or "failed" with stage and reason; absent while unfinished

A file counts as written once the manifest holds its hash, so a run killed at any moment continues
from the last whole file. Every read checks the hash.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import io
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench.errors import StoreError
from bench.files import atomic_path, canonical_json, digest, write_atomic
from bench.plan import RunRequest
from bench.records import BoolArray, LabelSets, Measures, Scores, Split

SCHEMA = 1
"""Version of the folder's layout. A folder of a newer one is refused, never guessed at."""

MANIFEST = "manifest.json"
CHECKPOINT = "checkpoint.pt"
REPAIR = "Run the same 'bench run' again to make it anew, or delete the folder"

RECORDS: dict[str, tuple[str, ...]] = {
    "config": ("config.json",),
    "request": ("request.json",),
    "environment": ("environment.json",),
    "truth": ("ids.json", "labels.json", "truth.npz"),
    "training": ("training.json",),
    "weights": ("weights.safetensors",),
    "scores": ("scores.npy", "scores.json"),
    "predicted": ("predicted.npz",),
    "label_sets": ("label_sets.npz",),
    "measures": ("measures.json",),
    "timings": ("timings.json",),
    "status": ("status.json",),
}
"""The files of each record."""


@dataclass(frozen=True, slots=True)
class Truth:
    """The test part as stored: ids, label names, truth and ignore mask, both (images, labels) bool."""

    ids: tuple[str, ...]
    labels: tuple[str, ...]
    truth: BoolArray
    ignore: BoolArray | None


@dataclass(frozen=True, slots=True)
class Status:
    """How a run stands; ``stage`` and ``reason`` say where and why it failed."""

    state: Literal["done", "failed", "unfinished"]
    stage: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One run's folder. Reads raise ``StoreError`` naming the file that is absent or damaged."""

    path: Path

    @property
    def key(self) -> str:
        """Return the hash of the config, 16 hex digits."""
        return str(self._manifest()["key"])

    @property
    def config(self) -> dict[str, Any]:
        """Return everything that shaped the result. Raises ``StoreError`` where it is not what the key is a hash of."""
        config: dict[str, Any] = self._read_json("config.json")
        if digest(canonical_json(config)) != self.key:
            raise StoreError(f"{self.path}: config.json does not belong to run {self.key}. {REPAIR}")
        return config

    @property
    def status(self) -> Status:
        """Return whether the run is done, failed or unfinished, without checking the other files."""
        if not self._listed("status"):
            return Status("unfinished")
        return Status(**self._read_json("status.json"))

    @property
    def done(self) -> bool:
        """Return whether the run is finished and none of its files is absent or damaged."""
        try:
            return self.status.state == "done" and all(self._intact(name) for name in self._manifest()["files"])
        except StoreError:
            return False

    def has(self, record: str) -> bool:
        """Return whether ``record`` (a name in ``RECORDS``) is stored and intact."""
        return self._listed(record) and all(self._intact(name) for name in RECORDS[record])

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run against other processes. Clears the status of an earlier attempt that is not done.

        Raises ``StoreError`` where another process holds it.
        """
        with contextlib.ExitStack() as stack:
            try:
                handle = stack.enter_context((self.path / ".lock").open("w"))
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StoreError(f"another process is working on {self.path}. Wait for it, or choose --out") from None
            except OSError as error:
                # Some network file systems have no locks; a single user on one is better served without.
                if error.errno not in {errno.ENOLCK, errno.ENOTSUP}:
                    raise StoreError(f"cannot write {self.path}: {error.strerror}. Try: another --out") from error
            if self._listed("status") and not self.done:
                self._forget("status.json")
            yield

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Store everything that shapes the result."""
        self._write("config.json", _json(config))

    def write_request(self, request: RunRequest) -> None:
        """Store what was asked for, paths included, so that the run can be rebuilt on this machine."""
        values = {entry.name: getattr(request, entry.name) for entry in fields(request)}
        self._write("request.json", _json({k: str(v) if isinstance(v, Path) else v for k, v in values.items()}))

    def write_environment(self, environment: Mapping[str, Any]) -> None:
        """Store the record of the machine."""
        self._write("environment.json", _json(environment))

    def write_truth(self, split: Split | Truth) -> None:
        """Store ids, labels, truth and ignore mask of the test part."""
        arrays = {"truth": np.packbits(split.truth, axis=1)}
        if split.ignore is not None:
            arrays["ignore"] = np.packbits(split.ignore, axis=1)
        self._write("ids.json", _json(split.ids))
        self._write("labels.json", _json(split.labels))
        self._write("truth.npz", _npz(**arrays))

    def write_training(self, training: Mapping[str, Any]) -> None:
        """Store the history and outcome of the training."""
        self._write("training.json", _json(training))

    def write_weights(self, content: bytes) -> None:
        """Store the model's weights, the content of a safetensors file."""
        self._write("weights.safetensors", content)

    def write_scores(self, scores: Scores) -> None:
        """Store the scores of the test part."""
        with self._replacing("scores.npy") as temporary, temporary.open("wb") as file:
            np.save(file, np.ascontiguousarray(scores.values), allow_pickle=False)
        self._write("scores.json", _json({"kind": scores.kind, "shape": scores.values.shape}))

    def write_predicted(self, predicted: BoolArray) -> None:
        """Store the predicted label sets, (images, labels) bool."""
        self._write("predicted.npz", _npz(predicted=np.packbits(predicted, axis=1)))

    def write_label_sets(self, label_sets: LabelSets) -> None:
        """Store the label sequences with their log-probabilities."""
        names = ("sequences", "log_probabilities", "complete")
        self._write("label_sets.npz", _npz(**{name: getattr(label_sets, name) for name in names}))

    def write_measures(self, measures: Measures) -> None:
        """Store what the protocol measured; undefined (NaN) values are stored as null."""
        self._write("measures.json", _json({entry.name: getattr(measures, entry.name) for entry in fields(measures)}))

    def write_timings(self, timings: Mapping[str, Any]) -> None:
        """Store wall times and thread counts."""
        self._write("timings.json", _json(timings))

    def finish(self) -> None:
        """Mark the run as done and remove the training checkpoint, which the weights now replace."""
        self._write_status(Status("done"))
        (self.path / CHECKPOINT).unlink(missing_ok=True)

    def fail(self, stage: str, reason: str) -> None:
        """Mark the run as failed in ``stage``; it stays in every table as a row with its ``reason``."""
        self._write_status(Status("failed", stage, reason))

    def request(self) -> RunRequest:
        """Return what was asked for."""
        values = self._read_json("request.json")
        paths = {name: Path(values[name]) for name in ("data_root", "weights", "out", "cache") if values[name]}
        return RunRequest(**values | paths | {"sets": tuple(values["sets"])})

    def read_environment(self) -> dict[str, Any]:
        """Return the record of the machine."""
        return dict(self._read_json("environment.json"))

    def read_truth(self) -> Truth:
        """Return ids, labels, truth and ignore mask of the test part."""
        ids, labels = tuple(self._read_json("ids.json")), tuple(self._read_json("labels.json"))
        arrays = self._read_npz("truth.npz")
        truth, ignore = (_unpack(arrays[name], len(labels)) if name in arrays else None for name in ("truth", "ignore"))
        if truth is None or len(truth) != len(ids):
            raise StoreError(f"{self.path}: truth.npz does not fit ids.json and labels.json. {REPAIR}")
        return Truth(ids, labels, truth, ignore)

    def read_training(self) -> dict[str, Any]:
        """Return the history and outcome of the training."""
        return dict(self._read_json("training.json"))

    def read_weights(self) -> bytes:
        """Return the content of the weights' safetensors file."""
        return self._read("weights.safetensors")

    def read_scores(self) -> Scores:
        """Return the scores of the test part, memory-mapped, so that they need not fit in memory."""
        self._check("scores.npy")
        kind = self._read_json("scores.json")["kind"]
        values = self._parse("scores.npy", lambda: np.load(self.path / "scores.npy", mmap_mode="r", allow_pickle=False))
        return Scores(tuple(self._read_json("ids.json")), values, kind)

    def read_predicted(self) -> BoolArray:
        """Return the predicted label sets, (images, labels) bool."""
        return _unpack(self._read_npz("predicted.npz")["predicted"], len(self._read_json("labels.json")))

    def read_label_sets(self) -> LabelSets:
        """Return the label sequences; only a sequence model has them, see ``has("label_sets")``."""
        return LabelSets(tuple(self._read_json("ids.json")), **self._read_npz("label_sets.npz"))

    def read_measures(self) -> Measures:
        """Return what the protocol measured."""
        content = self._read_json("measures.json")
        per_class = {name: tuple(map(_number, values)) for name, values in content["per_class"].items()}
        values = {name: _number(value) for name, value in content["values"].items()}
        return Measures(content["protocol"], values, per_class, tuple(content["notes"]))

    def read_timings(self) -> dict[str, Any]:
        """Return wall times and thread counts."""
        return dict(self._read_json("timings.json"))

    def verify(self) -> list[str]:
        """Return one line per file that is absent or is not what was written; empty for a sound folder."""
        return [f"{name} is absent or damaged" for name in sorted(self._manifest()["files"]) if not self._intact(name)]

    def _write_status(self, status: Status) -> None:
        self._write("status.json", _json({entry.name: getattr(status, entry.name) for entry in fields(status)}))

    def _write(self, name: str, content: bytes | str) -> None:
        with self._replacing(name) as temporary:
            temporary.write_bytes(content.encode() if isinstance(content, str) else content)

    @contextlib.contextmanager
    def _replacing(self, name: str) -> Iterator[Path]:
        with atomic_path(self.path / name) as temporary:
            yield temporary
            checksum = _sha256(temporary)
        manifest = self._manifest()
        manifest["files"][name] = checksum
        write_atomic(self.path / MANIFEST, _json(manifest))

    def _forget(self, name: str) -> None:
        manifest = self._manifest()
        del manifest["files"][name]
        write_atomic(self.path / MANIFEST, _json(manifest))

    def _manifest(self) -> dict[str, Any]:
        file = self.path / MANIFEST
        try:
            manifest = json.loads(file.read_bytes())
            schema, files = manifest["schema"], manifest["files"]
        except FileNotFoundError:
            raise StoreError(f"{self.path} is no run folder: {MANIFEST} is absent. See: bench runs") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{file} is damaged. Delete the folder {self.path} and run again") from error
        if schema > SCHEMA:
            raise StoreError(
                f"{self.path} was written by a newer bench: layout {schema}, this one reads up to {SCHEMA}."
                " Try: pip install --upgrade multilabel-bench"
            )
        return {"schema": schema, "key": manifest["key"], "files": dict(files)}

    def _listed(self, record: str) -> bool:
        files = self._manifest()["files"]
        return all(name in files for name in RECORDS[record])

    def _intact(self, name: str) -> bool:
        try:
            return bool(_sha256(self.path / name) == self._manifest()["files"].get(name))
        except OSError:
            return False

    def _check(self, name: str) -> None:
        expected = self._manifest()["files"].get(name)
        if expected is None:
            raise StoreError(f"{self.path} has no {name}: the run is {self.status.state}. Run it again to complete it")
        if not self._intact(name):
            state = "damaged" if (self.path / name).exists() else "absent"
            raise StoreError(f"{self.path / name} is {state}. {REPAIR}")

    def _read(self, name: str) -> bytes:
        self._check(name)
        return (self.path / name).read_bytes()

    def _read_json(self, name: str) -> Any:
        content = self._read(name)
        return self._parse(name, lambda: json.loads(content))

    def _read_npz(self, name: str) -> dict[str, NDArray[Any]]:
        content = self._read(name)
        return self._parse(name, lambda: dict(np.load(io.BytesIO(content), allow_pickle=False)))  # type: ignore[no-any-return]

    def _parse(self, name: str, parse: Callable[[], Any]) -> Any:
        try:
            return parse()
        except (ValueError, KeyError, EOFError, OSError) as error:
            raise StoreError(f"cannot read {self.path / name}: {error}. {REPAIR}") from error


def open_run(root: Path, config: Mapping[str, Any]) -> RunFolder:
    """Return the folder of the run with this ``config`` under ``root``, made if absent.

    Raises ``StoreError`` where it cannot be written, or was written by a newer version.
    """
    key = digest(canonical_json(config))
    names = (_folder_name(str(config[part]["name"])) for part in ("dataset", "model"))
    folder = RunFolder(root.joinpath(*names, key))
    if not (folder.path / MANIFEST).exists():
        write_atomic(folder.path / MANIFEST, _json({"schema": SCHEMA, "key": key, "files": {}}))
    if folder.key != key:
        raise StoreError(f"{folder.path} holds run {folder.key}: it was moved here. Delete it, or choose --out")
    if not folder.has("config"):
        folder.write_config(config)
    return folder


def find(root: Path, dataset: str = "", models: tuple[str, ...] = ()) -> list[RunFolder]:
    """Return the run folders under ``root``, of this data set and these models if given, in order of path."""
    pattern = f"{_folder_name(dataset) or '*'}/*/*/{MANIFEST}"
    wanted = {_folder_name(model) for model in models}
    folders = (file.parent for file in root.glob(pattern))
    return [RunFolder(path) for path in sorted(folders) if not wanted or path.parent.name in wanted]


def named(text: str, root: Path) -> RunFolder:
    """Return the run that ``text`` names: the path of its folder, or the first digits of its key under ``root``."""
    if (Path(text) / MANIFEST).exists():
        return RunFolder(Path(text))
    matches = [folder for folder in find(root) if re.fullmatch("[0-9a-f]+", text) and folder.path.name.startswith(text)]
    if len(matches) == 1:
        return matches[0]
    found = f"{len(matches)} runs begin so" if matches else "found neither a run folder nor a key"
    raise StoreError(f"no run '{text}': {found} under {root}. See: bench runs --out {root}")


def _folder_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)


def _json(value: Any) -> str:
    return json.dumps(_finite(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    """Return ``value`` with every number that JSON lacks (NaN, infinity) as null."""
    if isinstance(value, Mapping):
        return {str(name): _finite(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _npz(**arrays: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _unpack(packed: NDArray[Any], columns: int) -> BoolArray:
    return np.unpackbits(packed, axis=1, count=columns).astype(np.bool_)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

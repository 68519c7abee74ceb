"""Readers of runs that somebody hands over: their records sealed anew, their manifests, archives of them."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
from faults import mutations
from faults.targets.target import Mutate, Opened, npz, split, target

UNNAMED = ("config.json", "ids.json", "labels.json", "manifest.json")


def _of_record(name: str) -> Mutate:
    by_ending = {
        "npz": mutations.of_zip(mutations.of_npy),
        "json": mutations.of_json,
        "npy": mutations.of_npy,
        "safetensors": mutations.of_safetensors,
    }
    return by_ending.get(name.rpartition(".")[2], mutations.of_bytes)


def _run(root: Path, **changes: object):
    from example_runs import make_honest, make_run

    return make_honest(make_run(root / "runs", "cnn-rnn", **changes))


def _readers(folder: object) -> dict[str, tuple[Callable[[], object], ...]]:
    """Return what reads each file of a run's folder."""
    shown = folder.exhibits
    return {
        "config.json": (lambda: folder.config,),
        "about.json": (folder.read_about,),
        "request.json": (folder.request,),
        "environment.json": (folder.read_environment,),
        "ids.json": (folder.read_scores,),
        "labels.json": (folder.read_masks,),
        "truth.npz": (folder.read_truth, folder.read_masks),
        "sizes.npz": (folder.read_sizes,),
        "validation.npz": (folder.read_validation,),
        "training.json": (folder.read_training,),
        "weights.safetensors": (folder.read_weights,),
        "backbone.safetensors": (folder.read_backbone,),
        "scores.npy": (folder.read_scores,),
        "scores.json": (folder.read_scores, folder.foreign),
        "predicted.npz": (folder.read_predicted,),
        "label_sets.npz": (folder.read_label_sets,),
        "gallery.npz": (shown.gallery,),
        "trees.json": (shown.trees,),
        "embedding.npz": (shown.label_space,),
        "attention.npz": (shown.attention,),
        "measures.json": (folder.read_measures,),
        "timings.json": (folder.read_timings,),
        "status.json": (lambda: folder.status,),
        "trials.json": (folder.read_trials,),
    }


def _asked(reads: object) -> None:
    """Make each of the calls, and raise the last of the project's errors that came of them."""
    from bench.errors import BenchError

    refused = None
    for read in reads:
        try:
            read()
        except BenchError as error:
            refused = error
    if refused is not None:
        raise refused


def _named(content: bytes, key: str) -> bytes:
    """Return a JSON object's text with ``key`` as the run that it is of."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return content
    return (
        json.dumps({"run": key} | {k: v for k, v in value.items() if k != "run"}).encode()
        if isinstance(value, dict)
        else content
    )


@target("run-record", mutations.of_named(_of_record), every=128)
def _(root: Path) -> Opened:
    """Sealed anew, as a run that somebody hands over may be; of a config the key is made anew, too."""
    from bench.show import tables
    from bench.store.validate import verdict
    from bench.system.files import canonical_json, digest

    folder = _run(root)
    readers, key, manifest = _readers(folder), folder.key, folder._files.manifest()
    kept = {name: (folder.path / name).read_bytes() for name in ("manifest.json", *manifest["files"])}
    everything = (
        *dict.fromkeys(read for name, reads in readers.items() if name in kept for read in reads),
        lambda: folder.done,
        lambda: verdict(folder),
        lambda: tables.build([folder.summary()]),
    )

    def key_of(content: bytes) -> str:
        try:
            return digest(canonical_json(json.loads(content)))
        except (ValueError, RecursionError):
            return key

    def read(content: bytes, deep: bool) -> object:
        name, rest = split(content)
        if name not in kept:
            return None
        rest = _named(rest, key) if name.endswith(".json") and name not in UNNAMED else rest
        sealed = manifest | {"files": manifest["files"] | {name: hashlib.sha256(rest).hexdigest()}}
        sealed["key"] = key_of(rest) if name == "config.json" else key
        (folder.path / name).write_bytes(rest)
        (folder.path / "manifest.json").write_text(json.dumps(sealed))
        try:
            return _asked(everything if deep else readers[name])
        finally:
            (folder.path / name).write_bytes(kept[name])

    return [name.encode() + b"\n" + kept[name] for name in manifest["files"]], read


@target("run-manifest", mutations.of_json, every=256)
def _(root: Path) -> Opened:
    from bench.show import tables
    from bench.store.validate import verdict

    folder = _run(root)
    path, files = folder.path / "manifest.json", folder._files
    quick = (files.manifest, files.is_damaged, lambda: folder.status, lambda: folder.lists("truth"))
    deep = (
        *dict.fromkeys(read for reads in _readers(folder).values() for read in reads),
        lambda: folder.done,
        lambda: verdict(folder),
        lambda: tables.build([folder.summary()]),
    )
    sound = path.read_bytes()

    def read(content: bytes, thoroughly: bool) -> object:
        path.write_bytes(content)
        return _asked((*quick, *deep) if thoroughly else quick)

    return [sound], read


@target("run-status", mutations.of_json_lines)
def _(root: Path) -> Opened:
    """What a run's process left beside its records, which ``bench status`` reads."""
    from bench.store import live

    folder = _run(root)
    log = folder.path / "log.jsonl"
    (folder.path / "progress.json").write_text('{"stage": "train", "done": 1, "total": 2, "unit": "epochs"}')

    def read(content: bytes, deep: bool) -> object:
        first, _, rest = content.partition(b"\n")
        (folder.path / "progress.json").write_bytes(first)
        log.write_bytes(rest)
        return live._progress(folder.path), live._last_error(folder.path), live.look(folder)

    event = {"event": "run begins", "level": "info", "time": 1.5, "process": 3, "seed": 0, "model": "bce"}
    error = {"event": "run stops", "level": "error", "stage": "train", "reason": "no memory"}
    stage = {"stage": "train", "stage_begun": 1.0, "doing": "epochs", "done": 1, "total": 2, "unit": "epochs"}
    return ["\n".join(map(json.dumps, (stage, event, error))).encode()], read


TRIAL = b'{"options": {"epochs": 3}, "score": 0.5, "rates": [0.1], "reason": "", "seconds": 1.0}'


@target("trial", mutations.of_json)
def _(root: Path) -> Opened:
    """A finished trial in a store, sealed anew; and all that is said of it."""
    from example_runs import run_config

    from bench.records import Ledger
    from bench.show import trials
    from bench.system import sealed_files
    from bench.trials.files import TrialFile

    file = TrialFile(root, run_config(), "O-F1")
    file.path.parent.mkdir(parents=True)

    def read(content: bytes, deep: bool) -> object:
        hasher = sealed_files._hasher(file.key)
        hasher.update(content)
        file.path.write_bytes(sealed_files._head(hasher) + content)
        trial = file.read(told=True)
        if trial is None:
            return None
        ledger = Ledger(1, "mAP", 4, (trial,), refit=True)
        return ledger.chosen, ledger.as_config(), trials.rows(ledger), ledger.chosen < 0 or trials.told(ledger)

    return [TRIAL], read


@target("trial-ledger", mutations.of_json, every=64)
def _(root: Path) -> Opened:
    """The trials of a run that is handed over, as reports and checks read them."""
    from bench.records import Ledger, Trial
    from bench.show import trials
    from bench.store.validate import verdict

    options = [{}, {"epochs": 2}, {"epochs": 3}]
    ledger = Ledger(
        3, "mAP", 4, tuple(Trial(o, 0.5 - n / 10, (0.1,), "", 1.0) for n, o in enumerate(options)), refit=False
    )
    folder = _run(root, trials=ledger.as_config())
    folder.write_trials(ledger)
    manifest = folder._files.manifest()
    path, key = folder.path / "trials.json", manifest["key"]

    def read(content: bytes, deep: bool) -> object:
        content = _named(content, key)
        path.write_bytes(content)
        sealed = manifest | {"files": manifest["files"] | {"trials.json": hashlib.sha256(content).hexdigest()}}
        (folder.path / "manifest.json").write_text(json.dumps(sealed))
        found = folder.read_trials()
        shown = found.chosen, found.as_config(), trials.rows(found), found.chosen < 0 or trials.told(found)
        return (verdict(folder), trials.section([replace(folder.summary())])) if deep else shown

    return [path.read_bytes()], read


def _archive(root: Path) -> bytes:
    from bench.store.pack import pack

    pack([_run(root)], root / "archive.tar", "Ada")
    return (root / "archive.tar").read_bytes()


def _members(content: bytes) -> tuple[dict[str, object], dict[str, bytes]]:
    """Return the index of an archive, and the content of each file of its only run."""
    from bench.store import packed

    reader = packed.Reader(io.BytesIO(content), Path("archive"))
    index = packed.read_index(reader)
    files = {
        name: b"".join(reader.chunks(reader.size_of(packed.path_of(run, name)))) for run, name in packed.members(index)
    }
    return json.loads(packed.write_index(index)), files


def _packed(index: object, files: dict[str, bytes]) -> bytes:
    """Return an archive of these, whose headers are as they must be."""
    from bench.store import packed

    parts = [("index.json", json.dumps(index).encode())]
    key = index["runs"][0]["key"] if files else ""
    parts += [(f"runs/{key}/{name}", files[name]) for name in packed.order(files)]
    blocks = b"".join(
        packed.header(name, len(content)) + content + bytes(packed.padding(len(content))) for name, content in parts
    )
    return blocks + packed.ending(len(blocks))


def _resealed(index: dict[str, object], files: dict[str, bytes], changed: str) -> bytes:
    """Return an archive of files one of which was changed, with every hash and key that depends on it made anew."""
    from bench.store.run_reader import SCORED_BY
    from bench.system.files import canonical_json, digest

    run = dict(index["runs"][0])
    if changed == "config.json":
        run["key"] = digest(canonical_json(json.loads(files["config.json"])))
        for name, content in files.items():
            if name.endswith(".npz"):
                with np.load(io.BytesIO(content)) as arrays:
                    files[name] = npz(**{**arrays, "run": np.array(run["key"])})
    for name in [name for name in files if name.endswith(".json") and name not in UNNAMED]:
        files[name] = _named(files[name], run["key"])
    if changed in SCORED_BY:
        scored = json.loads(files["scores.json"])
        scored["seals"][changed] = hashlib.sha256(files[changed]).hexdigest()
        files["scores.json"] = json.dumps(scored).encode()
    run["files"] = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    return _packed(index | {"runs": [run]}, files)


def of_results(content: bytes, draw: Random) -> bytes:
    """Return an archive of results with one of its files changed and all resealed, or with damaged bytes."""
    if draw.random() < 0.1:
        return mutations.of_bytes(content, draw)
    try:
        index, files = _members(content)
        name = draw.choice(sorted(files))
        files[name] = _of_record(name)(files[name], draw)
        return _resealed(index, files, name)
    except Exception:  # the seed was damaged already, or its config is none that has a key
        return mutations.of_bytes(content, draw)


def _of_index(content: bytes, draw: Random) -> bytes:
    """Return an archive whose index is changed as JSON is; what follows it stays."""
    from bench.store import packed

    try:
        reader = packed.Reader(io.BytesIO(content), Path("archive"))
        index = b"".join(reader.chunks(reader.size_of("index.json")))
    except Exception:  # the seed was damaged already
        return mutations.of_tar(content, draw)
    changed = mutations.of_json(index, draw)
    padded = changed + bytes(packed.padding(len(changed)))
    return packed.header("index.json", len(changed)) + padded + content[reader.read :]


@target("results-index", _of_index)
def _(root: Path) -> Opened:
    from bench.store import packed

    def read(content: bytes, deep: bool) -> object:
        reader = packed.Reader(io.BytesIO(content), root / "archive")
        index = packed.read_index(reader)
        for run, name in packed.members(index):
            for _ in reader.chunks(reader.size_of(packed.path_of(run, name))):
                pass
        return reader.end()

    return [_archive(root)], read


@target("results-file", mutations.of_named(_of_record))
def _(root: Path) -> Opened:
    """A file of an archive, as it is looked at before any other code reads it."""
    from bench.store import claims

    _, files = _members(_archive(root))

    def read(content: bytes, deep: bool) -> object:
        name, rest = split(content)
        if name.endswith(".json"):
            return claims.check_json(name, claims.parsed(name, rest))
        if name.endswith(".npz"):
            return claims.check_arrays(name, rest)
        return claims.check_matrix(name, rest[:8192], len(rest), (4, 3))

    return [name.encode() + b"\n" + content for name, content in files.items()], read


@target("results-merge", of_results)
def _(root: Path) -> Opened:
    """An archive whose run is made to fit: unpacked, looked at, measured again, and put into an empty store."""
    from bench.store.merge import merge

    sound, path, store = _archive(root), root / "given.tar", root / "store"

    def read(content: bytes, deep: bool) -> object:
        path.write_bytes(content)
        try:
            return merge([path], store)
        finally:
            shutil.rmtree(store, ignore_errors=True)

    return [sound], read

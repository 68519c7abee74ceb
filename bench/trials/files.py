"""Finished trials on disk, each a file of its own: a killed search loses the trial in flight, and nothing else.

<out>/<dataset>/<model>/trials/<key>.json    checksummed, and bound to its key

The key is the hash of all that shapes a trial: its run's config without anything of the test part. So budgets, seeds of
the final run and searches that overlap share their trials, and jobs side by side divide them.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.records import Trial
from bench.records.trials import trial_from_json
from bench.store.runs import folder_name
from bench.system.files import canonical_json, digest
from bench.system.locks import exclusive
from bench.system.notes import note
from bench.system.sealed_files import read_sealed, write_sealed

FOLDER = "trials"


def trial_key(config: Mapping[str, Any], metric: str, *, by_policy: bool = False) -> str:
    """Return the hash of what shapes a trial of a run with ``config``: nothing of its test part is in it.

    It is judged by ``metric``; ``by_policy``: the run's policy is fitted, and trials are judged by it.

    >>> config = {"dataset": {"test": "a", "truth": "b", "fingerprints": {"train": "c", "test": "d"}}, "seed": 0}
    >>> other = {"dataset": {"test": "e", "truth": "f", "fingerprints": {"train": "c", "test": "g"}}, "seed": 0}
    >>> trial_key(config, "O-F1") == trial_key(other, "O-F1")
    True
    """
    dataset = {name: value for name, value in config["dataset"].items() if name not in {"test", "truth"}}
    fingerprints = {name: value for name, value in dataset["fingerprints"].items() if name != "test"}
    # A policy comes after training; others than it are judged alike, by the protocol's.
    rest = {name: value for name, value in config.items() if by_policy or name != "policy"}
    code = {part: value for part, value in config.get("code", {}).items() if by_policy or part != "policy"}
    dataset = {**dataset, "fingerprints": fingerprints}
    return digest(canonical_json({**rest, "code": code, "dataset": dataset, "judged_by": metric}))


class TrialFile:
    """The file of one trial of a run with ``config``, below the folder of runs ``out``; the rest as above."""

    def __init__(self, out: Path, config: Mapping[str, Any], metric: str, *, by_policy: bool = False) -> None:
        self.key = trial_key(config, metric, by_policy=by_policy)
        names = (folder_name(str(config[part]["name"])) for part in ("dataset", "model"))
        self.path = out.joinpath(*names, FOLDER, f"{self.key}.json")

    def read(self, *, told: bool = False) -> Trial | None:
        """Return the trial; ``None``: not made yet, or its file is damaged, which is said unless it was ``told``."""
        content = read_sealed(self.path, self.key)
        if content is not None:
            # What was written whole can still be another version's.
            with contextlib.suppress(Exception):
                return trial_from_json(json.loads(content))
        if self.path.exists() and not told:
            note(f"{self.path} is damaged: this trial is made anew")
        return None

    def write(self, trial: Trial) -> None:
        """Store the finished trial, whole or not at all. Raises ``StoreError`` where it cannot be written."""
        write_sealed(self.path, self.key, canonical_json(asdict(trial)).encode())

    @contextlib.contextmanager
    def held(self, *, wait: bool) -> Iterator[bool]:
        """Hold the trial against other jobs; gives false where another one is at it and this does not ``wait``."""
        with contextlib.ExitStack() as stack:
            lock = self.path.with_name(f"{self.key}.lock")
            try:
                stack.enter_context(exclusive(lock, f"trial {self.path.name}", wait=wait))
            except BlockingIOError:
                yield False
                return
            yield True

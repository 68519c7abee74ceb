"""Which stored runs a command reads: those that a user names, or all of a store."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.store.following import runs_of

if TYPE_CHECKING:
    from bench.store.run_folder import RunFolder
    from bench.store.stored import RunSummary


def run_folders(names: Sequence[str] | None, store: Path, dataset: str = "") -> list[RunFolder]:
    """Return the runs called ``names``, each once, or all in ``store`` on this data set.

    A name is a run's folder, a folder that holds runs, or the first digits of a key in ``store``. Raises
    ``StoreError`` for a name of none, and where the store holds no run.
    """
    from bench.errors import StoreError

    found = _found(names, store, dataset)
    if not found:
        raise StoreError(none_found(store, dataset))
    return found


def finished_folders(folders: Sequence[RunFolder]) -> list[RunFolder]:
    """Return those that are finished and whole, as ``finished_summaries`` does."""
    from bench.store.runs import finished_summaries

    done = {run.path for run in finished_summaries([folder.summary() for folder in folders])}
    return [folder for folder in folders if folder.path in done]


def one_run(name: str, store: Path) -> RunFolder:
    """Return the run called ``name``. Raises ``StoreError`` where it names none or several."""
    from bench.errors import StoreError

    found = run_folders([name], store)
    if len(found) > 1:
        raise StoreError(
            f"'{name}': found {len(found)} runs, allowed: one. See: bench runs {shlex.quote(name)}{runs_of(store)}"
        )
    return found[0]


def run_summaries(
    names: Sequence[str] | None,
    store: Path,
    dataset: str = "",
    models: tuple[str, ...] = (),
    protocol: str = "",
    *,
    may_be_none: bool = False,
    every_copy: bool = False,
) -> list[RunSummary]:
    """Return the summaries of the chosen runs on this data set, under this protocol, of ``models`` in their order.

    Each run once, unless ``every_copy`` of one is asked for. Raises ``StoreError`` for a name of no run, and where
    there are none unless they ``may_be_none``.
    """
    from bench.errors import StoreError
    from bench.store.runs import each_once

    summaries = [folder.summary() for folder in _found(names, store, dataset, models)]
    summaries = summaries if every_copy else each_once(summaries)
    if protocol:  # of a damaged run it may not be known
        summaries = [run for run in summaries if run.config.get("protocol", protocol) == protocol]
    if models:
        ranks = {name: rank for rank, name in enumerate(models)}
        summaries.sort(key=lambda run: ranks.get(run.config["model"]["name"], len(ranks)))
    if not summaries and not may_be_none:
        raise StoreError(none_found(store, dataset, models=models, protocol=protocol))
    return summaries


def none_found(
    store: Path, dataset: str = "", state: str = "", *, models: Sequence[str] = (), protocol: str = ""
) -> str:
    """Return the message that no run was found that is as asked for, and what to type."""
    from bench.remote.copies import shown

    what = f"{state} runs" if state else "runs"
    of = f" of {', '.join(models)}" if models else ""
    by = f" by protocol '{protocol}'" if protocol else ""
    where = f"{shown(store)} on '{dataset}'" if dataset else shown(store)
    see = f"See: bench runs{runs_of(store)}" if models or protocol else "Try: bench run, or another --runs"
    return f"no {what}{of}{by} under {where}. {see}"


def up_to_date(store: Path) -> Path:
    """Return ``store``; where the command was given an address for it, with every run that stands there by now."""
    from bench.cli.options import ASKED_BY_ADDRESS

    if store in ASKED_BY_ADDRESS:
        from bench.store.mirror import synchronised

        synchronised(store)
    return store


def _found(names: Sequence[str] | None, store: Path, dataset: str, models: tuple[str, ...] = ()) -> list[RunFolder]:
    from bench.store import runs as stored_runs

    store = up_to_date(store)
    if not names:
        return stored_runs.find(store, dataset, models)
    found = [folder for name in names for folder in stored_runs.all_named(name, store)]
    once = {folder.path.resolve(): folder for folder in found}.values()
    return [folder for folder in once if stored_runs.is_of(folder, dataset, models)]

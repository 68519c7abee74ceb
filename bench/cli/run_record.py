"""A stored run as JSON, as ``bench run`` and ``bench score`` print it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.store.run_folder import RunFolder


def as_json(folder: RunFolder, **more: Any) -> str:
    """Return folder, key, config, measures, notes and timings of a finished run, and ``more`` that is to be said."""
    from dataclasses import asdict

    from bench.store.sealed import to_json

    about = folder.read_about()
    record: dict[str, Any] = {
        "folder": str(folder.path),
        "key": folder.key,
        "config": folder.config,
        "measures": asdict(folder.read_measures()),
        "notes": [*about.notes, *about.remarks],
        "timings": folder.read_timings(),
    }
    return to_json(record | more)

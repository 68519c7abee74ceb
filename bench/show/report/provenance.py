"""What a reader checks of a run: its config, machine and times."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from bench.store.run_folder import RunFolder
from bench.store.stored import RunSummary


def provenance(run: RunSummary) -> dict[str, Any]:
    """Return what a reader checks: key, state, config and the machine; no paths."""
    record: dict[str, Any] = {"config": run.config}
    if run.provenance is not None:
        record["merged"] = asdict(run.provenance)
    folder = RunFolder(run.path)
    if run.measures is not None and folder.has("environment"):
        record["environment"] = folder.read_environment()
    if run.measures is not None and folder.has("timings"):
        record["seconds"] = folder.read_timings().get("seconds", {})
    return {
        "key": run.key,
        "model": run.config["model"]["name"],
        "seed": run.config.get("seed", "?"),
        "state": run.state,
        "reason": run.reason,
        "record": json.dumps(record, indent=1, ensure_ascii=False, sort_keys=True),
    }

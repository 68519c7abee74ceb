"""MLflow: an MLflow run for each run and each table, in a local database where no server is named."""

from __future__ import annotations

import csv
import io
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import bench
from bench import canonical_json, digest

OPTIONS = (
    bench.Option("experiment", "multilabel-bench", "MLflow experiment, made if absent"),
    bench.Option("uri", "", "tracking server or database; empty: a file mlflow.db in the tracker's folder"),
)

KEY, CONTENT = "bench.key", "bench.content"
"""Tags: which run or table of ours this is, and the hash of all that was sent, set last."""

BATCH = 100
"""MLflow takes at most 100 parameters and 1,000 metrics at once; one size suits both."""


class MLflow:
    """Writes to one experiment: config as parameters, curves and measures as metrics, tables as CSV artifacts."""

    def __init__(self, request: bench.TrackerRequest) -> None:
        # Read when mlflow is imported. A user's own setting wins.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # the default waits minutes for a dead server,
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")  # and at one that is silent two, each time
        from mlflow import MlflowClient

        logging.getLogger("mlflow").setLevel(logging.WARNING)
        logging.getLogger("alembic").setLevel(logging.WARNING)
        uri, name = str(request.options["uri"]), str(request.options["experiment"])
        folder = request.folder.absolute()
        if not uri:
            folder.mkdir(parents=True, exist_ok=True)
        self._client = MlflowClient(uri or f"sqlite:///{folder / 'mlflow.db'}")
        found = self._client.get_experiment_by_name(name)
        artifacts = None if uri else (folder / "artifacts").as_uri()
        self._experiment = found.experiment_id if found else self._client.create_experiment(name, artifacts)
        self._place = uri or str(folder / "mlflow.db")

    def run(self, run: bench.TrackedRun) -> str:
        """Write one run; return the store and MLflow's id in it."""
        from mlflow.entities import Metric, Param

        when = int(run.finished * 1000)
        metrics = [Metric(_allowed(f"test/{name}"), value, when, 0) for name, value in run.measures.items()]
        metrics += [
            Metric(_allowed(series.name), value, when, epoch)
            for series in run.series
            for epoch, value in zip(series.epochs, series.values, strict=True)
        ]
        params = [Param(_allowed(name), str(value)) for name, value in run.config.items()]
        tags = {"dataset": run.dataset, "model": run.model, "seed": str(run.seed)}
        name = f"{run.dataset} {run.model} seed {run.seed}"
        return self._replace(run.key, asdict(run), name, tags, when, metrics, params, {"per_class.csv": run.per_class})

    def table(self, table: bench.TrackedTable) -> str:
        """Write one table as a run of its own, its notes as the description; return the store and MLflow's id."""
        tags = {"mlflow.note.content": "\n".join([table.title, "", *(f"* {note}" for note in table.notes)])}
        name = f"comparison {table.title}"
        return self._replace(table.key, asdict(table), name, tags, None, [], [], {"comparison.csv": table})

    def _replace(  # noqa: PLR0917 - one caller for runs and one for tables
        self,
        key: str,
        content: Mapping[str, Any],
        name: str,
        tags: Mapping[str, str],
        when: int | None,
        metrics: list[Any],
        params: list[Any],
        tables: Mapping[str, bench.TrackedTable],
    ) -> str:
        """Write an MLflow run unless one of this key holds the same; one that is older or incomplete is deleted."""
        client, fingerprint = self._client, digest(canonical_json(content))
        held = client.search_runs([self._experiment], f"tags.`{KEY}` = '{key}'")
        for old in held:
            if old.data.tags.get(CONTENT) == fingerprint:
                return f"{self._place} {old.info.run_id}"
        made = client.create_run(self._experiment, when, {**tags, KEY: key}, name).info.run_id
        for start in range(0, max(len(metrics), len(params)), BATCH):
            part = slice(start, start + BATCH)
            client.log_batch(made, metrics=metrics[part], params=params[part])
        for file, table in tables.items():
            client.log_text(made, _csv(table), file)
        client.set_tag(made, CONTENT, fingerprint)
        client.set_terminated(made, end_time=when)
        for old in held:
            client.delete_run(old.info.run_id)
        return f"{self._place} {made}"


def _csv(table: bench.TrackedTable) -> str:
    """Return the table as CSV, whose texts no spreadsheet takes for formulas: an apostrophe stands before such."""
    buffer = io.StringIO()
    rows = ([_cell(value) for value in row] for row in (table.header, *table.rows))
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def _allowed(name: str) -> str:
    """Return ``name`` in the characters that MLflow takes: MAP@10 is MAP_at_10."""
    return re.sub(r"[^\w\-. :/]", "_", name.replace("@", "_at_"))


SPEC = bench.TrackerSpec(
    name="mlflow",
    summary="runs in a local database, or on a server",
    open=MLflow,
    options=OPTIONS,
    requires="multilabel-bench[mlflow]",
    source="https://mlflow.org",
)

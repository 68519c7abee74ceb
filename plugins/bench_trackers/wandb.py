"""Weights & Biases: offline run folders that ``wandb sync`` uploads, or runs sent at once where that is asked for."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import bench

OPTIONS = (
    bench.Option("project", "multilabel-bench", "W&B project"),
    bench.Option("entity", "", "W&B user or team; empty: the one logged in"),
    bench.Option("mode", "offline", "keep on this machine, or send over the network", choices=("offline", "online")),
)


class WeightsAndBiases:
    """Writes W&B runs whose id is the key: a run of that id, made anew, takes the old one's place, also on the server.

    Nothing is recorded but what is sent: no system metrics, host, git state, code, packages or console.
    """

    def __init__(self, request: bench.TrackerRequest) -> None:
        # Read when wandb is imported and its service started; otherwise even an offline run looks up a host.
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        self._wandb = wandb
        self._folder = request.folder.absolute()
        self._options = request.options
        # Asked here without a prompt: a run that ends at night must not wait for a key to be typed.
        if request.options["mode"] == "online" and not wandb.login(prompt=False, verify=False):
            raise bench.TrackerError("no W&B key on this machine. Try: wandb login, or --set mode=offline")
        self._folder.mkdir(parents=True, exist_ok=True)

    def run(self, run: bench.TrackedRun) -> str:
        """Write one run: curves as history, measures as summary, the per-class table; return its folder or address."""
        points: dict[int, dict[str, float]] = {}
        for series in run.series:
            for epoch, value in zip(series.epochs, series.values, strict=True):
                points.setdefault(epoch, {})[series.name] = value
        name = f"{run.dataset} {run.model} seed {run.seed}"
        open_run = self._open(run.key, name, config=dict(run.config), group=run.dataset, job_type=run.model)
        with open_run:
            for epoch in sorted(points):
                open_run.log(points[epoch], step=epoch)
            open_run.log({"per_class": self._table(run.per_class)})
            open_run.summary.update({f"test/{measure}": value for measure, value in run.measures.items()})
        return self._keep(open_run)

    def table(self, table: bench.TrackedTable) -> str:
        """Write one table as a run of its own, its title and notes as the run's notes; return its folder or address."""
        notes = "\n".join([table.title, "", *(f"* {note}" for note in table.notes)])
        with self._open(table.key, f"comparison {table.title}"[:128], notes=notes, job_type="comparison") as open_run:
            open_run.log({"comparison": self._table(table)})
        return self._keep(open_run)

    def _open(self, key: str, name: str, **described: Any) -> Any:
        mode: Any = self._options["mode"]
        return self._wandb.init(
            project=str(self._options["project"]),
            entity=str(self._options["entity"]) or None,
            mode=mode,
            dir=str(self._folder),
            id=key,
            name=name,
            reinit="finish_previous",
            settings=self._wandb.Settings(
                silent=True,
                host="",
                console="off",
                disable_git=True,
                disable_code=True,
                x_disable_meta=True,
                x_disable_stats=True,
                x_disable_machine_info=True,
                x_save_requirements=False,
            ),
            **described,
        )

    def _table(self, table: bench.TrackedTable) -> Any:
        return self._wandb.Table(columns=list(table.header), data=[list(row) for row in table.rows])

    def _keep(self, finished: Any) -> str:
        """Delete older offline folders of the same id, and return where the finished run is found."""
        folder = Path(finished.settings.sync_dir)
        for older in folder.parent.glob(f"offline-run-*-{finished.id}*"):
            if older != folder:
                shutil.rmtree(older)
        return str(finished.url if self._options["mode"] == "online" else folder)


SPEC = bench.TrackerSpec(
    name="wandb",
    summary="Weights & Biases; offline unless told otherwise, then: wandb sync FOLDER",
    open=WeightsAndBiases,
    options=OPTIONS,
    requires="multilabel-bench[wandb]",
    source="https://wandb.ai",
)

"""``bench export``: a stored run as ONNX files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from bench.cli.choose import one_run
from bench.cli.options import STORE, DataRoot, RunName, RunsFolder, Weights
from bench.show.console import put, put_raw

EXAMPLES = """Examples:

  bench export 9b2fb905 --out model

  bench export runs/digit-scenes/cnn-rnn/9b2fb9059dedec9a --out model --precision fp16 --measure

  bench predict model photo.jpg"""


def export(  # noqa: PLR0917 - the parser passes options by name
    run: RunName,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the exported model.")],
    precision: Annotated[
        Literal["fp32", "fp16"], typer.Option("--precision", help="Arithmetic of the image network.")
    ] = "fp32",
    store: RunsFolder = STORE,
    measure: Annotated[
        bool, typer.Option("--measure", help="Also predict the whole test part with the exported model.")
    ] = False,
    data_root: DataRoot = None,
    weights: Weights = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the differences from torch as JSON.")] = False,
) -> None:
    """Write a run's model as ONNX, with labels, preprocessing and thresholds inside, and check it against torch.

    --data-root and --weights say where these lie now, if they were moved since the run.
    The folder then predicts without torch and without the data set: bench predict DIR image.jpg
    """
    from bench.evaluation.metric_table import HEADLINES, by_name
    from bench.exported.export import TOLERANCE
    from bench.exported.publish import export_run, measure_exported
    from bench.store.sealed import to_json

    folder = one_run(run, store)
    differences = export_run(folder, out, precision, data_root=data_root, weights=weights)
    measured = measure_exported(folder, out, data_root=data_root, weights=weights) if measure else {}
    files = {path.name: path.stat().st_size for path in sorted(out.iterdir()) if path.is_file()}
    if as_json:
        put_raw(to_json({"folder": str(out), "files": files, "differences": differences, "measures": measured}))
        return
    for name, size in files.items():
        put(f"{out / name}  {size / 1e6:.1f} MB")
    worst = max(differences.values())
    put(f"largest difference from torch: {worst:.1e}, relative (allowed: {TOLERANCE[precision]:.0e})")
    for name in HEADLINES if measure else ():
        stored, found = measured[name]
        metric = by_name()[name]
        before, after = metric.shown(stored, 1), metric.shown(found, 1)
        change = f"{metric.scale * (found - stored):+.{metric.digits + 1}f}"
        put(f"{name:<7} {before} in the run, {after} exported ({change})")
    put(f"next        bench predict {out} IMAGE...")

"""``bench export``: a stored run as ONNX files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from bench.cli.common import DataRoot, Weights

MEASURES = ("C-F1", "O-F1", "mAP")

EXAMPLES = """Examples:

  bench export 9b2fb905 --out model

  bench export runs/digit-scenes/cnn-rnn/9b2fb9059dedec9a --out model --precision fp16 --measure

  bench predict model photo.jpg"""


def export(  # noqa: PLR0917 - the parser passes options by name
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, or the first digits of its key.")],
    to: Annotated[Path, typer.Option("--to", "--out", metavar="DIR", help="Folder of the exported model.")],
    precision: Annotated[
        Literal["fp32", "fp16"], typer.Option("--precision", help="Arithmetic of the image network.")
    ] = "fp32",
    runs: Annotated[Path, typer.Option("--runs", metavar="DIR", help="Folder of the stored runs.")] = Path("runs"),
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
    from bench.exported.export import TOLERANCE
    from bench.exported.publish import export_run, measure_exported
    from bench.store import runs as stored_runs
    from bench.store.sealed import to_json

    folder = stored_runs.named(run, runs)
    differences = export_run(folder, to, precision, data_root=data_root, weights=weights)
    measured = measure_exported(folder, to, data_root=data_root, weights=weights) if measure else {}
    files = {path.name: path.stat().st_size for path in sorted(to.iterdir()) if path.is_file()}
    if as_json:
        print(to_json({"folder": str(to), "files": files, "differences": differences, "measures": measured}), end="")
        return
    for name, size in files.items():
        print(f"{to / name}  {size / 1e6:.1f} MB")
    worst = max(differences.values())
    print(f"largest difference from torch: {worst:.1e}, relative (allowed: {TOLERANCE[precision]:.0e})")
    for name in MEASURES if measure else ():
        stored, found = measured[name]
        print(f"{name:<7} {100 * stored:.2f} in the run, {100 * found:.2f} exported ({100 * (found - stored):+.2f})")
    print(f"next        bench predict {to} IMAGE...")

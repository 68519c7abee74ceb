"""``bench export``: a stored run as ONNX files."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bench.cli.choose import one_run
from bench.cli.options import STORE, MovedData, MovedWeights, RunName, RunsFolder
from bench.show.console import put, put_raw

if TYPE_CHECKING:
    from bench.exported.manifest import Check

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
    data_root: MovedData = None,
    weights: MovedWeights = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print files and checks as JSON.")] = False,
) -> None:
    """Write a run's model as ONNX, with labels, preprocessing and thresholds inside, checked before it is put there.

    The files are compared with torch, and from image files on with the scores and label sets stored with the run; a
    difference, or a folder DIR that holds anything but an earlier export, ends with status 2 and changes nothing.

    The folder then predicts without torch and without the data set: bench predict DIR image.jpg, or where bench is not
    installed either: python DIR/predict.py image.jpg
    """
    from dataclasses import asdict

    from bench.evaluation.metric_table import HEADLINES, by_name
    from bench.exported.publish import export_run, measure_exported
    from bench.store.sealed import to_json

    folder = one_run(run, store)
    checks = export_run(folder, out, precision, data_root=data_root, weights=weights)
    measured = measure_exported(folder, out, data_root=data_root, weights=weights) if measure else {}
    files = {path.name: path.stat().st_size for path in sorted(out.iterdir()) if path.is_file()}
    if as_json:
        listed = [asdict(check) for check in checks]
        put_raw(to_json({"folder": str(out), "files": files, "checks": listed, "measures": measured}))
        return
    for name, size in files.items():
        put(f"{out / name}  {size / 1e6:.1f} MB")
    for line in _lines(checks):
        put(line)
    for name in HEADLINES if measure else ():
        stored, found = measured[name]
        metric = by_name()[name]
        before, after = metric.shown(stored, 1), metric.shown(found, 1)
        change = f"{metric.scale * (found - stored):+.{metric.digits + 1}f}"
        put(f"{name:<7} {before} in the run, {after} exported ({change})")
    put(f"next        bench predict {shlex.quote(str(out))} IMAGE...")
    script = shlex.quote(str(out / "predict.py"))
    put(f"            python {script} IMAGE...   where only onnxruntime, numpy and pillow are installed")


def _lines(checks: Sequence[Check]) -> Iterator[str]:
    """Yield a line for each comparison: the largest difference over its batch sizes."""
    row = "{:<38} {:>8} {:>8} {:>6}  {}"
    yield row.format("checked", "found", "allowed", "of", "batch sizes")
    for name in dict.fromkeys(check.name for check in checks):
        alike = [check for check in checks if check.name == name]
        worst = max(alike, key=lambda check: check.difference or 0.0)
        if worst.difference is None:
            yield f"not checked: {name}: {worst.reason}"
            continue
        batches, most = ", ".join(str(check.batch) for check in alike), max(check.count for check in alike)
        yield row.format(name, worst.shown(worst.difference), worst.shown(worst.allowed), most, batches)
    yield "Differences are parts of the largest value; percent: images with another label set."

"""``bench predict``: labels of image files, from an exported model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.show.console import put, put_raw

EXAMPLES = """Examples:

  bench predict model photo.jpg

  bench predict model photos/*.jpg --json --device cuda"""


def predict(  # noqa: PLR0917 - the parser passes options by name
    model: Annotated[Path, typer.Argument(metavar="MODEL_DIR", help="Folder written by: bench export")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Image files.")],
    device: Annotated[str, typer.Option("--device", metavar="NAME", help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[int, typer.Option("--threads", min=0, help="Processor threads; 0: all cores.")] = 0,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Images computed at once.")] = 16,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON record.")] = False,
) -> None:
    """Print the labels of each image; needs neither torch nor the data set."""
    from dataclasses import asdict

    from bench.exported.predict import Predictor
    from bench.store.sealed import to_json
    from bench.system.progress import progress_bar

    predictor = Predictor(model, device, threads, min(batch, max(len(images), 1)))
    results = list(progress_bar(predictor.predict(images), "labelling", total=len(images)))
    if as_json:
        put_raw(to_json([asdict(result) for result in results]))
        return
    for result in results:
        words = ", ".join(f"{name} {score:.2f}" for name, score in zip(result.labels, result.scores, strict=True))
        put(f"{result.image}: {words or 'no label'}")

"""Features of the made-up data set, put into the cache in blocks: ``ready_features.py DATA CACHE``.

They are what the backbone gives, without a picture being read: that takes 0.1 ms an image, and no memory that grows.
"""

from __future__ import annotations

import sys
from pathlib import Path

import generated
import numpy as np

from bench.assembly import build_backbone, open_parts
from bench.model.features import file_of
from bench.plan import make_plan
from bench.plugins import installed
from bench.records import RunRequest


def main(data: Path, cache: Path) -> None:
    """Write the features of train and test."""
    plan = make_plan(RunRequest(model="bce", dataset="generated", data_root=data, cache=cache), installed())
    parts, backbone = open_parts(plan), build_backbone(plan)
    (cache / "features").mkdir(parents=True, exist_ok=True)
    weight = backbone.module.state_dict()["1.weight"].numpy()
    mean, std = generated.SHOWN.mean[0], generated.SHOWN.std[0]
    for name, split in (("train", parts.train), ("test", parts.test)):
        file = file_of(split, parts.fingerprints[name], backbone, cache / "features")
        pixels = np.load(data / f"{name}.pixels.npy", mmap_mode="r")
        with file.writing(file.path.with_suffix(".part")) as writing:
            for block in writing.missing:
                rows = file.rows_of(block)
                seen = (pixels[rows.start : rows.stop].astype(np.float32) / 255 - mean) / std
                flat = seen.transpose(0, 3, 1, 2).reshape(len(rows), -1)
                writing.write(block, flat @ weight.T)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

"""What a reader is to a campaign, and the small sound inputs that several readers begin from."""

from __future__ import annotations

import importlib
import io
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
from faults import mutations

Mutate = Callable[[bytes, Random], bytes]
Read = Callable[[bytes, bool], object]
"""Reads one input; the second argument says whether what takes long is asked for, too."""

Opened = tuple[list[bytes], Read]
"""Sound inputs of a reader, and what reads one."""


@dataclass(frozen=True, slots=True)
class Target:
    """A reader. ``open`` fills a folder and returns the seeds and what reads an input.

    One input in ``every`` is read by all that comes after parsing, too: opening whole data sets, measuring again.
    """

    name: str
    open: Callable[[Path], Opened]
    mutate: Mutate
    every: int = 1


TARGETS: dict[str, Target] = {}
FINDINGS = Path(__file__).parents[1] / "findings"
"""Inputs that once raised another error, took too long or too much memory: seeds of campaigns, and tests."""

ISOLATED = frozenset({"parquet", "scores-parquet"})
"""Readers that the project runs in a process of its own, so that one which ends it is refused in a line."""


def target(name: str, mutate: Mutate, every: int = 1) -> Callable[[Callable[[Path], Opened]], None]:
    """Register what is decorated as the reader ``name``."""

    def register(opening: Callable[[Path], Opened]) -> None:
        TARGETS[name] = Target(name, opening, mutate, every)

    return register


def findings(name: str) -> list[bytes]:
    """Return the stored findings of a target."""
    return [path.read_bytes() for path in sorted(FINDINGS.iterdir()) if reader_of(path.name) == name]


def reader_of(finding: str) -> str:
    """Return the reader that a stored finding is of: the longest name that it begins with; empty where none is."""
    return max((name for name in TARGETS if finding.startswith(f"{name}-")), key=len, default="")


def picture(kind: str = "PNG", mode: str = "RGB", size: tuple[int, int] = (6, 4), **options: object) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.new(mode, size, 1 if mode == "1" else None).save(buffer, format=kind, **options)
    return buffer.getvalue()


def pictures(folder: Path, names: str = "abcd", ending: str = "png") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / f"{name}.{ending}").write_bytes(picture("JPEG" if ending == "jpg" else "PNG"))


def builder(name: str, root: Path, **options: object) -> Callable[[], object]:
    """Return what opens the data set of a first-party reader, with its default options but for ``options``."""
    from bench import DatasetRequest

    spec = importlib.import_module(f"bench_datasets.{name}").SPEC
    defaults = {option.name: option.default for option in spec.options}
    request = DatasetRequest(defaults | options, root)
    return lambda: spec.build(request)


def tar(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def npz(**arrays: object) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def npy(array: object) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def parquet(columns: dict[str, object], **options: object) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer, row_group_size=2, **options)
    return buffer.getvalue()


def split(content: bytes) -> tuple[str, bytes]:
    """Return the name in the first line of an input that names a file, and what follows."""
    name, _, rest = content.partition(b"\n")
    return name.decode("utf-8", "replace"), rest


__all__ = [
    "FINDINGS",
    "ISOLATED",
    "TARGETS",
    "Opened",
    "Target",
    "builder",
    "findings",
    "mutations",
    "npy",
    "npz",
    "parquet",
    "picture",
    "pictures",
    "reader_of",
    "split",
    "tar",
    "target",
    "zipped",
]

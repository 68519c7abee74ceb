"""One run as asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bench.system.files import default_cache


@dataclass(frozen=True, slots=True)
class RunRequest:
    """One run as asked for; paths are where things lie, not what they are. ``sets`` are as in ``--set NAME=VALUE``."""

    model: str
    dataset: str
    backbone: str = ""
    sets: tuple[str, ...] = ()
    protocol: str = ""
    policy: str = ""
    data_root: Path | None = None
    weights: Path | None = None
    train_split: str | None = None
    test_split: str | None = None
    finetune: int = 0
    seed: int = 0
    out: Path = Path("runs")
    cache: Path = field(default_factory=default_cache)
    device: str = "cpu"
    engine: str = "auto"

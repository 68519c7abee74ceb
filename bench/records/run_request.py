"""One run as asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from bench.system.files import default_cache


@dataclass(frozen=True, slots=True)
class RunRequest:
    """One run as asked for; paths are where things lie, not what they are. ``sets`` are as in ``--set NAME=VALUE``.

    ``finetune`` of ``None``: as many epochs as the model says, which for most is 0, a frozen backbone.
    ``name`` is what readers call the data set; empty: as its plugin is called.
    ``trials``: how many are made to choose options on the validation part; ``None``: none, the defaults are taken.
    """

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
    finetune: int | None = None
    seed: int = 0
    out: Path = Path("runs")
    cache: Path = field(default_factory=default_cache)
    device: str = "cpu"
    engine: str = "auto"
    trials: int | None = None
    name: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values, paths as whole ones."""
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        return {name: str(value.absolute()) if isinstance(value, Path) else value for name, value in values.items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> RunRequest:
        """Return the request that ``to_json`` gave ``values`` of. Raises ``TypeError`` or ``KeyError`` for others."""
        paths = {name: Path(values[name]) for name in ("data_root", "weights", "out", "cache") if values[name]}
        return cls(**{**values, **paths, "sets": tuple(values["sets"])})

"""One run as asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from bench.errors import UsageError
from bench.remote.address import WEB, as_path, is_remote, normal, opened, scheme_of
from bench.remote.copies import copy_of
from bench.system.files import default_cache


@dataclass(frozen=True, slots=True)
class RunRequest:
    """One run as asked for; paths are where things lie, not what they are. ``sets`` are as in ``--set NAME=VALUE``.

    An address as ``s3://bucket/folder`` becomes a path to read by as ``data_root``, and as ``out`` and ``cache`` that
    place's copy here.

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

    def __post_init__(self) -> None:
        if self.data_root is not None:
            object.__setattr__(self, "data_root", as_path(self.data_root))
        if self.weights is not None and is_remote(self.weights):
            raise UsageError(f"--weights: found {normal(self.weights)}, allowed: a path of this machine")
        if is_remote(self.out):
            address = normal(self.out)
            if scheme_of(address) in WEB:
                raise UsageError(f"--out: found {address}, which is only read. Allowed: a path, or s3://bucket/folder")
            opened(address)  # what is not installed is said before anything is made
        object.__setattr__(self, "out", copy_of(self.out))
        object.__setattr__(self, "cache", copy_of(self.cache, cache=True))

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values, paths as whole ones."""
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        return {name: str(value.absolute()) if isinstance(value, Path) else value for name, value in values.items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> RunRequest:
        """Return the request that ``to_json`` gave ``values`` of. Raises ``TypeError`` or ``KeyError`` for others."""
        paths = {name: Path(values[name]) for name in ("data_root", "weights", "out", "cache") if values[name]}
        return cls(**{**values, **paths, "sets": tuple(values["sets"])})

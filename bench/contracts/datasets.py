"""Data sets as plugins give them: a light spec, whose ``build`` returns the images and their truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.contracts.api import API_VERSION
from bench.options import Option, OptionValue, given
from bench.remote.address import as_path

if TYPE_CHECKING:
    from bench.records import Dataset


@dataclass(frozen=True, slots=True)
class DatasetRequest:
    """What a data set is built from: its resolved options, ``--data-root``, and the splits asked for.

    ``root`` may be an address as ``s3://bucket/folder``: a path all the same, listed there and read through a cache by
    what ``pathlib`` offers, ``iterdir``, ``glob``, ``is_file``, ``open``. Nothing can be done with it by ``os``.
    The splits are to be called as they were asked for by ``train_split`` and ``test_split``: others are refused.
    ``cache`` is a folder for what saves time when the data set is opened again; ``None``: nothing is kept. What is
    kept there goes through ``bench.kept``, so that damage to it never changes a label.
    """

    options: Mapping[str, OptionValue]
    root: Path | None = None
    train_split: str | None = None
    test_split: str | None = None
    cache: Path | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", given(self.options))
        if self.root is not None:
            object.__setattr__(self, "root", as_path(self.root))


@dataclass(frozen=True, slots=True)
class Archive:
    """An official archive, unpacked to ``folder`` below the data root.

    ``md5`` and ``sha256`` are empty where none is published; ``size`` in bytes, 0: not known.
    """

    url: str
    md5: str = ""
    folder: str = "."
    sha256: str = ""
    size: int = 0


@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """A data set. ``expects`` says in one line what lies in the data root; empty: no root is needed.

    ``root_optional``: options may say where the data are instead, and ``build`` refuses a request without either.
    ``backbone`` is the one taken where ``--backbone`` names none. ``variants`` are known sizes: images of train and
    of test, and which published rows such a copy may be compared with. ``without_absent_labels`` is what a user types
    so that labels that have no training image are left out, as in ``--set dataset.absent_labels=drop``.
    """

    name: str
    summary: str
    build: Callable[[DatasetRequest], Dataset]
    options: tuple[Option, ...] = ()
    expects: str = ""
    root_optional: bool = False
    splits: tuple[str, ...] = ()
    backbone: str = "vgg16"
    source: str = ""
    archives: tuple[Archive, ...] = ()
    variants: tuple[tuple[int, int, str], ...] = ()
    without_absent_labels: str = "another train split"
    api_version: int = API_VERSION

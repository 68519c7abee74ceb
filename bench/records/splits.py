"""Images and their true labels: one split, a data set of several, the parts of one run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from bench.records.checks import check_ids, freeze, require
from bench.system.lazy import lazy_import

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bench.records.checks import BoolArray, FloatArray
else:
    np = lazy_import("numpy")

if TYPE_CHECKING:
    from PIL.Image import Image as Picture


class Images(Protocol):
    """The pictures of one split, read one at a time so that no data set has to fit in memory.

    A class with this one as its base inherits ``picture`` and ``hashed_over``, and writes the others.
    """

    def __len__(self) -> int: ...

    def read(self, index: int) -> NDArray[np.uint8]:
        """Return image ``index`` as RGB, (height, width, 3). Raises ``DataError`` with its path."""
        ...

    def picture(self, index: int) -> Picture:
        """Return image ``index`` as Pillow holds it, for resizing. Raises ``DataError`` with its path."""
        from PIL import Image

        return Image.fromarray(self.read(index))

    def describe(self, index: int) -> str:
        """Return the path, or another name by which a user finds image ``index``."""
        ...

    def content_hash(self) -> str:
        """Return a hash over the pictures' bytes; it is part of the data set's fingerprint."""
        ...

    def hashed_over(self) -> str:
        """Return in words what ``content_hash`` is over."""
        return "what its data set hashes of the images"


MEMBERS = ("read", "picture", "describe", "content_hash", "hashed_over")
"""What ``Images`` must have beside a length."""


@dataclass(frozen=True, slots=True)
class Split:
    """The images of one split and their true labels.

    ``truth`` is (images, labels) bool. ``ignore``, if given, marks (image, label) pairs that count
    neither as positive nor as negative, such as VOC's "difficult only"; it never overlaps ``truth``.
    ``sizes``, if known, is (images, labels) float32: the largest share of the picture's area that one object of
    the label takes, 0 where there is none. It shapes no result, so it is no part of the fingerprint.
    ``groups``, if given, says for each image with which it belongs together, as a patient's: where a validation part is
    held out, it is held out by them.
    """

    dataset: str
    name: str
    ids: tuple[str, ...]
    labels: tuple[str, ...]
    truth: BoolArray
    images: Images
    ignore: BoolArray | None = None
    sizes: FloatArray | None = None
    groups: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        where = f"{self.dataset}/{self.name}"
        shape = (len(self.ids), len(self.labels))
        require(shape[0] > 0, f"{where}: no images")
        require(shape[1] > 0, f"{where}: no labels")
        check_ids(self.ids, where)
        require(len(set(self.labels)) == shape[1], f"{where}: a label name stands twice")
        kind = getattr(self.truth, "dtype", type(self.truth).__name__)
        require(kind == np.bool_, f"{where}: truth is {kind}, must be bool")
        require(self.truth.shape == shape, f"{where}: truth is {self.truth.shape}, must be {shape}")
        lacking = [name for name in MEMBERS if not hasattr(self.images, name)]
        require(not lacking, f"{where}: images without {', '.join(lacking)}. Try: class ...(bench.Images)")
        require(len(self.images) == shape[0], f"{where}: {len(self.images)} images for {shape[0]} ids")
        freeze(self.truth)
        if self.ignore is not None:
            require(
                self.ignore.shape == shape and self.ignore.dtype == np.bool_, f"{where}: ignore must be bool {shape}"
            )
            require(not bool((self.ignore & self.truth).any()), f"{where}: a pair is both positive and ignored")
            freeze(self.ignore)
        if self.sizes is not None:
            require(
                self.sizes.shape == shape and self.sizes.dtype == np.float32, f"{where}: sizes, not float32 {shape}"
            )
            freeze(self.sizes)
        if self.groups is not None:
            require(len(self.groups) == shape[0], f"{where}: {len(self.groups)} groups for {shape[0]} ids")

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Dataset:
    """A built data set. Without ``validation``, training holds out a part of ``train``.

    ``protocol`` names the evaluation protocol, as in ``coco-top3@1``; ``variant`` says in one line
    which images, label list and options these are. ``gone`` are images that its lists name and that are not here;
    no split holds them. ``notes`` are lines for people on what was passed over, and on labels that look odd.
    ``part_of`` says of which published set's images these are a part, so that no row stands for a row of that set.
    """

    name: str
    variant: str
    train: Split
    test: Split
    protocol: str
    validation: Split | None = None
    source: str = ""
    gone: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    part_of: str = ""

    def __post_init__(self) -> None:
        require(isinstance(self.protocol, str), f"{self.name}: protocol {self.protocol!r}, must be a name, as top3@1")
        for split in (self.validation, self.test):
            if split is not None:
                require(split.labels == self.train.labels, f"{self.name}: {split.name} and train have different labels")

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the label names in order."""
        return self.train.labels


@dataclass(frozen=True, slots=True)
class Parts:
    """The images of a run: ``fit`` and ``validation`` share no image, and neither shares one with ``test``.

    ``fingerprints`` are those of train, which ``fit`` may be a part of, of ``validation`` and of ``test``.
    """

    dataset: Dataset
    fit: Split
    validation: Split
    fingerprints: Mapping[str, str]

    @property
    def train(self) -> Split:
        """Return the whole training part."""
        return self.dataset.train

    @property
    def test(self) -> Split:
        """Return the test part."""
        return self.dataset.test


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """From an RGB image to a backbone's input: resize, crop, scale to [0, 1], subtract mean, divide by std.

    ``crop="center"`` resizes the short side to ``resize`` and cuts the centre; ``crop="squash"``
    resizes to a square and loses the aspect ratio instead of the margins.
    """

    size: int = 224
    resize: int = 256
    crop: Literal["center", "squash"] = "center"
    interpolation: Literal["nearest", "bilinear", "bicubic"] = "bilinear"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        require(0 < self.size <= self.resize or self.crop == "squash", "preprocessing: crop is larger than resize")
        require(all(value > 0 for value in self.std), "preprocessing: std must be positive")

"""Pictures of a split: held in memory, or files in a folder, decoded to RGB one at a time."""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataError
from bench.records import Images
from bench.system.files import digest
from bench.system.threads import in_threads

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

LARGEST_PIXELS = 100_000_000
"""Images with more pixels are refused before they are decoded: a small file can claim a huge picture."""

LARGEST_RATIO = 200
"""Of a picture's longer side to its shorter: a line of pixels would be resized to a picture of billions."""

SAMPLED_BYTES = 4096
"""Of each file, its length and this many bytes from its start, middle and end enter the content hash."""

SAMPLED = f"of each image file, its length and three samples of {SAMPLED_BYTES // 1024} KiB"
"""What the content hash of encoded images is over, in words."""

READERS, GROUP = 8, 64
"""Groups of files that wait for the disk at the same time, and files in a group."""

PILLOW_IGNORED = ("ignore", None, Warning, re.compile(r"PIL\."), 0)
"""The filter of Pillow's warnings, of large pictures and odd EXIF blocks: an image is read, or refused by ourselves.

It stays in force: ``warnings.catch_warnings`` around each picture would let threads restore each other's filters.
"""


@dataclass(frozen=True, slots=True)
class ArrayImages:
    """Pictures as one array, (n, height, width, 3) uint8."""

    pixels: NDArray[np.uint8]
    name: str

    hashed: ClassVar[str] = "every pixel"

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.uint8 or self.pixels.ndim != 4 or self.pixels.shape[3] != 3:
            raise DataError(
                f"{self.name}: pictures are {self.pixels.dtype} {self.pixels.shape}, must be uint8 (n,h,w,3)"
            )

    def __len__(self) -> int:
        return len(self.pixels)

    def read(self, index: int) -> NDArray[np.uint8]:
        """Return picture ``index``, (height, width, 3)."""
        return np.asarray(self.pixels[index])

    def describe(self, index: int) -> str:
        """Return the split's name and the picture's number."""
        return f"{self.name} image {index}"

    def content_hash(self) -> str:
        """Return a hash over all pixels."""
        return digest(str(self.pixels.shape), np.ascontiguousarray(self.pixels).tobytes())


@dataclass(frozen=True, slots=True)
class FolderImages:
    """Picture files. That each exists is checked when built; what they hold, when they are read."""

    paths: tuple[Path, ...]
    listed_in: str = ""
    _hash: list[str] = field(default_factory=list, init=False, repr=False, compare=False)

    hashed: ClassVar[str] = SAMPLED

    def __post_init__(self) -> None:
        absent = [path for paths in in_threads(_absent, _in_groups(self.paths), READERS) for path in paths]
        if absent:
            source = f", listed in {self.listed_in}. Is the data set unpacked whole?" if self.listed_in else ""
            more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
            raise DataError(f"no image file {absent[0]}{more}{source}")

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, index: int) -> NDArray[np.uint8]:
        """Return image ``index`` as RGB, (height, width, 3). Raises ``DataError`` with its path."""
        return decode(self.paths[index])

    def picture(self, index: int) -> Picture:
        """Return image ``index`` as Pillow holds it: ``read`` without the copy to an array."""
        return open_rgb(self.paths[index])

    def describe(self, index: int) -> str:
        """Return the path."""
        return str(self.paths[index])

    def content_hash(self) -> str:
        """Return a hash over each file's length and three samples of ``SAMPLED_BYTES``; names do not count.

        It is computed once: a change of a file is noticed when the data set is opened again.
        """
        if not self._hash:
            hasher = hashlib.sha256()
            for content in in_threads(_samples_of_files, _in_groups(self.paths), READERS):
                hasher.update(content)
            self._hash.append(hasher.hexdigest()[:16])
        return self._hash[0]


def _in_groups(paths: Sequence[Path]) -> list[Sequence[Path]]:
    return [paths[start : start + GROUP] for start in range(0, len(paths), GROUP)]


def _absent(paths: Sequence[Path]) -> list[Path]:
    return [path for path in paths if not path.is_file()]


def sampled_hash(sections: Iterable[tuple[BinaryIO, int, int]]) -> str:
    """Return a hash over pictures wherever they are kept: each is an open file, a start in it and a length in bytes."""
    hasher = hashlib.sha256()
    for file, start, size in sections:
        hasher.update(_samples(file, start, size))
    return hasher.hexdigest()[:16]


def _samples_of_files(paths: Sequence[Path]) -> bytes:
    parts = []
    for path in paths:
        with path.open("rb", buffering=0) as file:
            parts.append(_samples(file, 0, file.seek(0, 2)))
    return b"".join(parts)


def _samples(file: BinaryIO | io.FileIO, start: int, size: int) -> bytes:
    """Return a section's length in eight bytes, and bytes from its start, middle and end."""
    parts = [size.to_bytes(8, "little")]
    for place in (0, max(size // 2 - SAMPLED_BYTES // 2, 0), max(size - SAMPLED_BYTES, 0)):
        file.seek(start + place)
        parts.append(file.read(min(SAMPLED_BYTES, size - place)))
    return b"".join(parts)


@dataclass(frozen=True, slots=True)
class MissingImages:
    """Pictures that are listed but not here: labels can be counted, and reading one raises ``DataError``."""

    names: tuple[str, ...]
    reason: str

    hashed: ClassVar[str] = "no image, as none is here"

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> NDArray[np.uint8]:
        """Raise ``DataError`` with the reason."""
        raise DataError(f"cannot read image {self.names[index]}: {self.reason}")

    def describe(self, index: int) -> str:
        """Return the listed name."""
        return self.names[index]

    def content_hash(self) -> str:
        """Return a mark that no picture's hash equals."""
        return "missing"


class ImageBytes(io.BytesIO):
    """An image file's bytes where there is no file, for ``decode``; ``name`` is what errors call it."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self.name = name

    def __str__(self) -> str:
        return str(self.name)


class EncodedImages(ABC):
    """Images of which a data set has the encoded bytes, wherever it keeps them."""

    __slots__ = ()
    hashed: ClassVar[str] = SAMPLED

    @abstractmethod
    def encoded(self, index: int) -> bytes:
        """Return the bytes of image ``index``, as an image file holds them. Raises ``DataError`` naming it."""

    @abstractmethod
    def describe(self, index: int) -> str:
        """Return where image ``index`` is, for people."""

    @abstractmethod
    def sections(self) -> Iterator[tuple[BinaryIO, int, int]]:
        """Yield of each image an open file, its start in it and its length in bytes."""

    def picture(self, index: int) -> Picture:
        """Return image ``index`` as Pillow holds it."""
        return open_rgb(ImageBytes(self.encoded(index), self.describe(index)))

    def read(self, index: int) -> NDArray[np.uint8]:
        """Return image ``index`` as RGB, (height, width, 3). Raises ``DataError`` naming it."""
        return np.asarray(self.picture(index))

    def content_hash(self) -> str:
        """Return a hash over each image's length and samples; see ``sampled_hash``."""
        return sampled_hash(self.sections())


def picture(images: Images, index: int) -> Picture | NDArray[np.uint8]:
    """Return image ``index`` as Pillow holds it, where ``images`` can give that, else as ``read`` does.

    To resize an array, Pillow first copies it; what a file held is in Pillow's own memory already.
    """
    as_pillow = getattr(images, "picture", None)
    found: Picture | NDArray[np.uint8] = as_pillow(index) if as_pillow is not None else images.read(index)
    return found


def decode(path: Path | ImageBytes) -> NDArray[np.uint8]:
    """Return the image file at ``path`` as an array, (height, width, 3); see ``open_rgb``."""
    return np.asarray(open_rgb(path))


def open_rgb(path: Path | ImageBytes) -> Picture:
    """Return the image file at ``path`` as RGB, decoded and turned as its EXIF orientation says.

    Palette, greyscale, CMYK and 16-bit images are converted, transparency is laid over white, and of an
    animation the first frame is taken. Raises ``DataError`` with the path and the reason for anything that cannot be
    decoded to its end, whose numbers have no known range, or whose size or shape is beyond the limits above.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    if PILLOW_IGNORED not in warnings.filters:
        warnings.filterwarnings("ignore", module=PILLOW_IGNORED[3].pattern)
    try:
        with Image.open(path) as image:
            _check(image)
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            return _to_rgb(image)
    except DataError as refused:
        reason = str(refused)
    except UnidentifiedImageError:
        reason = _unidentified(path)
    except Image.DecompressionBombError:
        reason = f"a decompression bomb, or too large; allowed: {LARGEST_PIXELS:,} pixels"
    except OSError as error:
        reason = error.strerror or str(error)
    except Exception as error:
        # Of a damaged file, Pillow's readers raise whatever their parsing ran into.
        reason = f"damaged: {str(error) or type(error).__name__}"
    raise DataError(f"cannot read image {path}: {reason}")


def _check(image: Picture) -> None:
    """Raise ``DataError`` for a picture that must not be decoded."""
    width, height = image.size
    if width * height > LARGEST_PIXELS:
        raise DataError(f"{width}x{height} pixels, allowed: {LARGEST_PIXELS:,}")
    if max(width, height) > LARGEST_RATIO * min(width, height):
        raise DataError(f"{width}x{height} pixels, allowed: one side {LARGEST_RATIO} times the other")
    if image.format in {"EPS", "WMF"}:
        # Other programs would draw it, Ghostscript for one.
        raise DataError(f"a drawing ({image.format}), no picture of pixels")


def _unidentified(path: Path | ImageBytes) -> str:
    """Return why no reader takes the file, by its first bytes."""
    if isinstance(path, ImageBytes):
        start = path.getvalue()[:512]
    else:
        with path.open("rb") as file:
            start = file.read(512)
    if not start:
        return "empty file"
    if start[4:8] == b"ftyp" and start[8:12] in {b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"}:
        return "HEIC, which Pillow does not read. Try: convert it to JPEG"
    if start.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "a web page, no image. Was its download refused?"
    return "no known image format"


def _to_rgb(image: Picture) -> Picture:
    from PIL import Image

    if image.mode == "F":
        raise DataError("floating-point pixels, of which no range is known. Try: convert it to 8 or 16 bits")
    if image.mode.startswith("I"):
        # 16-bit greyscale: PIL's own conversion clips at 255 where the range must be scaled.
        values = np.asarray(image).astype(np.float64) / 257.0
        if values.min() < 0 or values.max() > 255:
            raise DataError("32-bit pixels beyond the range of 16 bits. Try: convert it to 8 or 16 bits")
        image = Image.fromarray(values.round().astype(np.uint8))
    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image if image.mode == "RGB" else image.convert("RGB")

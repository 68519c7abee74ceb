"""Pictures of a split: held in memory, or files in a folder, decoded to RGB one at a time."""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataError
from bench.files import digest

LARGEST_PIXELS = 100_000_000
"""Images with more pixels are refused before they are decoded: a small file can claim a huge picture."""

SAMPLED_BYTES = 4096
"""Of each file, its length and this many bytes from its start, middle and end enter the content hash."""


@dataclass(frozen=True, slots=True)
class ArrayImages:
    """Pictures as one array, (n, height, width, 3) uint8."""

    pixels: NDArray[np.uint8]
    name: str

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

    def __post_init__(self) -> None:
        absent = [path for path in self.paths if not path.is_file()]
        if absent:
            source = f", listed in {self.listed_in}" if self.listed_in else ""
            more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
            raise DataError(f"no image file {absent[0]}{more}{source}. Is the data set unpacked whole?")

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, index: int) -> NDArray[np.uint8]:
        """Return image ``index`` as RGB, (height, width, 3). Raises ``DataError`` with its path."""
        return decode(self.paths[index])

    def describe(self, index: int) -> str:
        """Return the path."""
        return str(self.paths[index])

    def content_hash(self) -> str:
        """Return a hash over each file's length and three samples of ``SAMPLED_BYTES``; names do not count."""
        return sampled_hash(self._sections())

    def _sections(self) -> Iterator[tuple[BinaryIO, int, int]]:
        for path in self.paths:
            with path.open("rb") as file:
                yield file, 0, file.seek(0, 2)


def sampled_hash(sections: Iterable[tuple[BinaryIO, int, int]]) -> str:
    """Return a hash over pictures wherever they are kept: each is an open file, a start in it and a length in bytes."""
    hasher = hashlib.sha256()
    for file, start, size in sections:
        hasher.update(size.to_bytes(8, "little"))
        for place in (0, max(size // 2 - SAMPLED_BYTES // 2, 0), max(size - SAMPLED_BYTES, 0)):
            file.seek(start + place)
            hasher.update(file.read(min(SAMPLED_BYTES, size - place)))
    return hasher.hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class MissingImages:
    """Pictures that are listed but not here: labels can be counted, and reading one raises ``DataError``."""

    names: tuple[str, ...]
    reason: str

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


def decode(path: Path | ImageBytes) -> NDArray[np.uint8]:
    """Return the image file at ``path`` as RGB, (height, width, 3), turned as its EXIF orientation says.

    Palette, greyscale, CMYK and 16-bit images are converted, transparency is laid over white, and of an
    animation the first frame is taken. Raises ``DataError`` with the path for anything that cannot be
    decoded to its end, or has more than ``LARGEST_PIXELS`` pixels.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            # PIL only warns of a decompression bomb up to twice its limit; ours is checked below, before decoding.
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                if image.width * image.height > LARGEST_PIXELS:
                    raise DataError(
                        f"cannot read image {path}: {image.width}x{image.height} pixels, allowed: {LARGEST_PIXELS:,}"
                    )
                image.load()
                return np.asarray(_to_rgb(ImageOps.exif_transpose(image)))
    except UnidentifiedImageError:
        size = path.seek(0, 2) if isinstance(path, ImageBytes) else path.stat().st_size
        raise DataError(f"cannot read image {path}: {'empty file' if not size else 'no known image format'}") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"cannot read image {path}: {error}") from error


def _to_rgb(image: object) -> object:
    from PIL import Image

    assert isinstance(image, Image.Image)
    if image.mode.startswith("I"):
        # 16-bit greyscale: PIL's own conversion clips at 255 where the range must be scaled.
        values = np.asarray(image).astype(np.float64) / 257.0
        image = Image.fromarray(values.clip(0, 255).round().astype(np.uint8))
    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def hash_by_content(images: Sequence[Path]) -> dict[Path, str]:
    """Return a hash over all bytes of each file, by which copies under other names are found."""
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in images}

"""An image file as an RGB picture: decoded whole, turned upright, or refused with its reason."""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from bench.errors import DataError, StorageError
from bench.system.lazy import lazy_import
from bench.system.text import plain

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    np = lazy_import("numpy")

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

LARGEST_PIXELS = 100_000_000
"""Images with more pixels are refused before they are decoded: a small file can claim a huge picture."""

PLAUSIBLE_PIXELS, PIXELS_A_BYTE = 1 << 24, 1000
"""A picture of more than so many pixels must have a byte for each so many: what claims more is a bomb. Of a photograph,
a byte holds some ten."""

LARGEST_RATIO = 200
"""Of a picture's longer side to its shorter: a line of pixels would be resized to a picture of billions."""

SIXTEEN_BITS = frozenset({"PNG", "PPM", None})
"""Formats of which Pillow may give 16-bit numbers as 32-bit ones; ``None``: a picture that was never a file."""

PHOTOMETRIC, WHITE_IS_ZERO = 262, 0
BITS, SAMPLES, SIGNED = 258, 339, 2
"""TIFF's tags of what numbers mean, and some of their values."""

ZEROS = 64
"""Zero bytes at the end of a JPEG from which on its end mark is looked for: few cameras fill files up."""

JPEG_SCAN, JPEG_END = b"\xff\xda", b"\xff\xd9"

PILLOW = r"PIL\."
"""The modules whose warnings are left out."""


def shown(path: object) -> str:
    r"""Return a path as ``plain`` has it, on one line, what is no UTF-8 text in it written as ``\xe9``.

    >>> print(shown("caf\udce9.jpg"))
    caf\xe9.jpg
    """
    try:
        content = str(path).encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # halves of surrogate pairs, which JSON can hold, stand for no byte of a name
        content = str(path).encode("utf-8", "backslashreplace")
    text = content.decode("utf-8", "backslashreplace")
    return plain(text).replace("\n", r"\n").replace("\t", r"\t")


class ImageBytes(io.BytesIO):
    """An image file's bytes where there is no file, for ``read_rgb``; ``name`` is what errors call it."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self.name = name

    def __str__(self) -> str:
        return str(self.name)


def read_rgb(path: Path | ImageBytes) -> NDArray[np.uint8]:
    """Return the image file at ``path`` as an array, (height, width, 3); see ``open_rgb``."""
    return np.asarray(open_rgb(path))


def open_rgb(path: Path | ImageBytes) -> Picture:
    """Return the image file at ``path`` as RGB, decoded and turned as its EXIF orientation says.

    Palette, greyscale, CMYK and 16-bit images are converted, transparency is laid over white, and of an
    animation the first frame is taken. Raises ``DataError`` with the path and the reason for anything that cannot be
    decoded to its end, whose numbers have no known range, or whose size or shape is beyond the limits above.
    """
    from PIL import Image, UnidentifiedImageError

    silence_pillow()
    try:
        with contextlib.ExitStack() as stack:
            # Of a path, Pillow maps uncompressed TIFFs, and turns those that lie on their side twice.
            file = path if isinstance(path, ImageBytes) else stack.enter_context(path.open("rb"))
            image = stack.enter_context(Image.open(file))
            _check(image, _size(path))
            if image.format == "PNG":
                image.verify()  # its checksums, at which Pillow does not look otherwise; the image is used up by it
                file.seek(0)
                image = stack.enter_context(Image.open(file))
            elif image.format in {"JPEG", "MPO"}:
                _check_end(file)
            return _upright_rgb(image, _transparent(image))
    except StorageError:
        raise
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
    raise DataError(f"cannot read image {shown(path)}: {reason}")


def to_rgb(image: Picture, name: str) -> Picture:
    """Return a picture that Pillow holds already as ``open_rgb`` returns one of a file; ``image`` stays as it is.

    Raises ``DataError`` that calls it ``name``.
    """
    silence_pillow()
    try:
        _check(image)
        transparent = _transparent(image)
        return _upright_rgb(image.copy(), transparent)
    except DataError as refused:
        reason = str(refused)
    except Exception as error:
        # It may be lazy, and its file damaged: Pillow's readers raise whatever their parsing ran into.
        reason = f"damaged: {str(error) or type(error).__name__}"
    raise DataError(f"cannot read {name}: {reason}")


def _upright_rgb(image: Picture, transparent: object) -> Picture:
    """Return ``image`` decoded, turned as its EXIF orientation says, and as RGB; see ``_transparent``."""
    from PIL import ImageOps

    image.load()
    if transparent is not None:
        image.info["transparency"] = transparent
    ImageOps.exif_transpose(image, in_place=True)
    return _to_rgb(image)


def silence_pillow() -> None:
    """Leave out Pillow's warnings, of large pictures and odd EXIF blocks: an image is read, or refused by ourselves.

    Once for a stage, at whose end all filters are put back: ``warnings.catch_warnings`` around each picture would let
    threads restore each other's.
    """
    if not any(getattr(module, "pattern", "") == PILLOW for _, _, _, module, _ in warnings.filters):
        warnings.filterwarnings("ignore", module=PILLOW)


def _size(path: Path | ImageBytes) -> int:
    """Return the length of an image file in bytes."""
    return path.getbuffer().nbytes if isinstance(path, ImageBytes) else path.stat().st_size


def _check(image: Picture, size: int | None = None) -> None:
    """Raise ``DataError`` for a picture that must not be decoded; ``size`` are its file's bytes, where it has one."""
    width, height = image.size
    if width * height > LARGEST_PIXELS:
        raise DataError(f"{width}x{height} pixels, allowed: {LARGEST_PIXELS:,}")
    if max(width, height) > LARGEST_RATIO * min(width, height):
        raise DataError(f"{width}x{height} pixels, allowed: one side {LARGEST_RATIO} times the other")
    if size is not None and width * height > max(PLAUSIBLE_PIXELS, PIXELS_A_BYTE * size):
        raise DataError(f"a decompression bomb: {width}x{height} pixels in {size:,} bytes")
    if image.format in {"EPS", "WMF"}:
        # Other programs would draw it, Ghostscript for one.
        raise DataError(f"a drawing ({image.format}), no picture of pixels")
    if image.mode == "I" and image.format not in SIXTEEN_BITS:
        raise DataError("32-bit pixels, of which no range is known. Try: convert it to 8 or 16 bits")
    tags = getattr(image, "tag_v2", {})
    if 12 in tags.get(BITS, ()) or SIGNED in tags.get(SAMPLES, ()):
        raise DataError("12-bit or signed pixels, which Pillow reads as others. Try: convert it to 8 bits")
    if image.mode.startswith("I;16") and tags.get(PHOTOMETRIC) == WHITE_IS_ZERO:
        raise DataError("16-bit pixels of which 0 is white, which Pillow reads as black. Try: convert it to 8 bits")
    if image.mode == "RGB" and _raw_mode(image) == "RGB;16B" and "transparency" in image.info:
        raise DataError("16 bits a colour and one that is transparent, which Pillow misses. Try: convert it to 8 bits")


def _check_end(file: BinaryIO) -> None:
    """Raise ``DataError`` for a JPEG of which a part was never written: it ends in zeros, which decode as pixels."""
    place = file.tell()
    file.seek(max(file.seek(0, io.SEEK_END) - ZEROS, 0))
    if not any(file.read()):
        file.seek(0)
        content = file.read()
        if content.rfind(JPEG_END) < content.rfind(JPEG_SCAN):
            raise DataError("cut: it ends in zeros, without its end mark")
    file.seek(place)


def _raw_mode(image: Picture) -> object:
    """Return how the pixels of an image that is not decoded yet are stored, in Pillow's words; empty where unknown."""
    tiles = getattr(image, "tile", None)
    return tiles[0][3] if tiles else ""


def _transparent(image: Picture) -> object:
    """Return the colour that an image not decoded yet calls transparent, as its decoded pixels have it.

    Pillow leaves the one of a PNG of 2 or 4 bits as it stands there, and spreads the pixels over 8 bits.
    """
    found, factor = image.info.get("transparency"), {"L;2": 85, "L;4": 17}.get(str(_raw_mode(image)), 1)
    return found * factor if isinstance(found, int) and found * factor <= 255 else found


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


def _scaled(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Return 16-bit values as 8-bit ones; a few rows at a time, as they are eight times as large in between."""
    scaled = np.empty(values.shape, dtype=np.uint8)
    for row in range(0, len(values), 256):
        block = values[row : row + 256].astype(np.float64) / 257.0
        if block.min() < 0 or block.max() > 255:
            raise DataError("32-bit pixels beyond the range of 16 bits. Try: convert it to 8 or 16 bits")
        scaled[row : row + 256] = block.round()
    return scaled


def _to_rgb(image: Picture) -> Picture:
    from PIL import Image

    if image.mode == "F":
        raise DataError("floating-point pixels, of which no range is known. Try: convert it to 8 or 16 bits")
    if image.mode.startswith("I"):
        # 16-bit greyscale: PIL's own conversion clips at 255 where the range must be scaled.
        values = np.asarray(image)
        scaled = _scaled(values)
        scaled[values == image.info.get("transparency", -1)] = 255
        image = Image.fromarray(scaled)
    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image if image.mode == "RGB" else image.convert("RGB")

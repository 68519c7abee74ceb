"""Pictures that Pillow by itself reads otherwise than their formats say, as bytes; and what their pixels are."""

import io
import re
import struct
import zlib

import numpy as np
from PIL import Image

GREY, COLOUR = 0, 2


def png(depth, colour, row, transparent=()):
    """A PNG of one row, of which the colour ``transparent``, if there is one, is transparent."""
    width = len(row) * 8 // depth // (3 if colour == COLOUR else 1)

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, 1, depth, colour, 0, 0, 0)
    alpha = struct.pack(f">{len(transparent)}H", *transparent)
    parts = (
        chunk(b"IHDR", header),
        chunk(b"tRNS", alpha) if transparent else b"",
        chunk(b"IDAT", zlib.compress(b"\0" + row)),
        chunk(b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def encoded(picture, ending, **options):
    buffer = io.BytesIO()
    picture.save(buffer, format=ending, **options)
    return buffer.getvalue()


def on_its_side(mode):
    """An uncompressed TIFF whose orientation says that its rows are columns."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(Image.fromarray(ROW).convert(mode), "TIFF", exif=exif)


def grey(*levels):
    return [[level] * 3 for level in levels]


ROW = np.array([[10, 20, 30, 40]], dtype=np.uint8)
STANDING = [[level] for level in grey(*ROW[0].tolist())]

READ = {
    "one of 4 levels is transparent": (png(2, GREY, b"\x1b", (1,)), [grey(0, 255, 170, 255)]),
    "one of 16 levels is transparent": (png(4, GREY, b"\x39", (9,)), [grey(51, 255)]),
    "black of 16 levels is transparent": (png(4, GREY, b"\x03", (0,)), [grey(255, 51)]),
    "one of 256 levels is transparent": (png(8, GREY, b"\x07\x09", (7,)), [grey(255, 9)]),
    "one of 65,536 levels is transparent": (png(16, GREY, b"\x12\x34\x12\xff", (0x1234,)), [grey(255, 19)]),
    "16 bits a colour": (
        png(16, COLOUR, struct.pack(">6H", 255, 256, 511, 512, 0x80FF, 0xFFFF)),
        [[[0, 1, 1], [2, 128, 255]]],
    ),
    "16-bit levels in a text of its own": (b"P5 2 1 65535\n\x00\x00\x80\x00", [grey(0, 128)]),
    "one colour is transparent": (png(8, COLOUR, b"\1\2\3\4\5\6", (1, 2, 3)), [[[255, 255, 255], [4, 5, 6]]]),
    **{f"an uncompressed {mode} TIFF on its side": (on_its_side(mode), STANDING) for mode in ("L", "RGB", "RGBA", "P")},
}
"""What it is -> the file, and its pixels as RGB over white."""


def noise():
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))


def zeros_for_the_last(share, content):
    kept = round(len(content) * (1 - share))
    return content[:kept] + bytes(len(content) - kept)


def patches():
    """Pixels that repeat: of their PNG, zeros for the second half decode as more pixels."""
    colours = np.random.default_rng(0).integers(0, 255, (20, 20, 3), dtype=np.uint8)
    return Image.fromarray(np.kron(colours, np.ones((20, 20, 1), np.uint8)))


def with_another_checksum(content):
    """A PNG whose pixels' checksum, the four bytes before its last chunk, is another one."""
    return content[:-13] + bytes([content[-13] ^ 1]) + content[-12:]


WHITE_IS_ZERO = encoded(Image.fromarray(ROW.astype(np.uint16)), "TIFF").replace(
    struct.pack("<HHIHH", 262, 3, 1, 1, 0), struct.pack("<HHIHH", 262, 3, 1, 0, 0)
)


def with_another_tag(number, value):
    """A grey TIFF of 8 bits whose tag ``number`` has another value."""
    content = encoded(Image.fromarray(ROW), "TIFF", tiffinfo={339: 1})
    return re.sub(
        struct.pack("<HHI", number, 3, 1) + b"..", struct.pack("<HHIH", number, 3, 1, value), content, flags=re.S
    )


TWELVE_BITS = encoded(Image.fromarray(ROW.astype(np.uint16)), "TIFF").replace(
    struct.pack("<HHIHH", 258, 3, 1, 16, 0), struct.pack("<HHIHH", 258, 3, 1, 12, 0)
)

REFUSED = {
    "12-bit levels": (TWELVE_BITS, "12-bit"),
    "signed levels": (with_another_tag(339, 2), "signed"),
    "32-bit levels that 8 bits would hold": (encoded(Image.fromarray(ROW.astype(np.int32)), "TIFF"), "32-bit"),
    "16 bits a colour, of which one is transparent": (
        png(16, COLOUR, struct.pack(">6H", 1, 1, 1, 2, 2, 2), (1, 1, 1)),
        "transparent",
    ),
    "16-bit levels of which 0 is white": (WHITE_IS_ZERO, "white"),
    "a JPEG whose last tenth was never written": (zeros_for_the_last(0.1, encoded(noise(), "JPEG")), "cut"),
    "a JPEG whose last half was never written": (zeros_for_the_last(0.5, encoded(noise(), "JPEG")), "cut"),
    "a PNG whose last half was never written": (
        zeros_for_the_last(0.5, encoded(patches(), "PNG")),
        "damaged",
    ),
    "a PNG with another checksum": (with_another_checksum(encoded(noise(), "PNG")), "damaged"),
}
"""What it is -> the file, and a word of the reason."""

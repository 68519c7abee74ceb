import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from odd_pictures import READ, encoded, noise
from odd_pictures import REFUSED as MISREAD
from PIL import Image

from bench.data.images import ArrayImages, FolderImages, MissingImages
from bench.data.pictures import ImageBytes, read_rgb
from bench.errors import DataError

RED = (200, 30, 40)


def save(path, mode="RGB", color=RED, **options):
    Image.new("RGB", (30, 20), color).convert(mode).save(path, **options)
    return path


@pytest.mark.parametrize(
    ("name", "mode"), [("a.png", "RGB"), ("a.jpg", "RGB"), ("a.jpg", "CMYK"), ("a.gif", "P"), ("a.png", "RGBA")]
)
def test_every_colour_mode_becomes_rgb(tmp_path, name, mode):
    pixels = read_rgb(save(tmp_path / name, mode))
    assert pixels.shape == (20, 30, 3)
    assert pixels.dtype == np.uint8
    np.testing.assert_allclose(pixels.mean(axis=(0, 1)), RED, atol=8)


def test_grey_and_sixteen_bit_images_keep_their_brightness(tmp_path):
    Image.fromarray(np.full((5, 5), 128, dtype=np.uint8)).save(tmp_path / "grey.png")
    Image.fromarray(np.full((5, 5), 128 * 257, dtype=np.uint16)).save(tmp_path / "deep.png")
    for name in ("grey.png", "deep.png"):
        np.testing.assert_array_equal(read_rgb(tmp_path / name), np.full((5, 5, 3), 128))


def test_transparency_lies_over_white(tmp_path):
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    np.testing.assert_array_equal(read_rgb(tmp_path / "clear.png"), np.full((4, 4, 3), 255))


def test_the_first_frame_of_an_animation_is_taken(tmp_path):
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert read_rgb(tmp_path / "a.gif")[0, 0].tolist() == [255, 0, 0]


def test_exif_orientation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    save(tmp_path / "a.jpg", exif=exif)
    assert read_rgb(tmp_path / "a.jpg").shape == (30, 20, 3)


def test_a_damaged_image_is_named_with_its_path(tmp_path):
    whole = save(tmp_path / "whole.jpg", quality=95).read_bytes()
    damaged = {"empty.jpg": b"", "text.jpg": b"hello", "cut.jpg": whole[: len(whole) // 2]}
    for name, content in damaged.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=f"cannot read image .*{name}: "):
            read_rgb(tmp_path / name)


def png_of(width, height, depth=8, colour=2, pixels=b""):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(pixels)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


REFUSED = {
    "photo.heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40), "HEIC, which Pillow does not read"),
    "gone.jpg": (b"\n<!DOCTYPE html><title>This photo is no longer available", "a web page, no image"),
    "film.jpg": (b"\0\0\0\x18ftypisom\0\0\0\0isommp42" + bytes(40), "no known image format"),
    "drawing.jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", r"a drawing \(EPS\)"),
    "claim.png": (png_of(2**31 - 1, 2**31 - 1), "a decompression bomb, or too large; allowed: 100,000,000 pixels"),
    "large.png": (png_of(11_000, 11_000), "11000x11000 pixels, allowed: 100,000,000"),
    "line.png": (png_of(50_000, 1), "50000x1 pixels, allowed: one side 200 times the other"),
    "short.png": (png_of(9, 9, pixels=b"\0"), "image file is truncated"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_usable_picture_is_refused_with_its_reason(tmp_path, name):
    content, reason = REFUSED[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=f"^cannot read image .*{name}: .*{reason}") as refused:
        read_rgb(tmp_path / name)
    assert "\n" not in str(refused.value)


def test_numbers_of_no_known_range_are_refused(tmp_path):
    Image.fromarray(np.full((5, 5), 0.5, dtype=np.float32)).save(tmp_path / "float.tif")
    Image.fromarray(np.full((5, 5), 70_000, dtype=np.int32)).save(tmp_path / "wide.tif")
    for name, reason in (("float.tif", "floating-point pixels"), ("wide.tif", "32-bit pixels, of which no")):
        with pytest.raises(DataError, match=f"{name}: {reason}"):
            read_rgb(tmp_path / name)


def test_sixteen_bits_a_colour_become_eight(tmp_path):
    row = b"\0" + struct.pack(">3H", 200 * 257, 30 * 257, 40 * 257) * 6
    (tmp_path / "deep.png").write_bytes(png_of(6, 5, depth=16, pixels=row * 5))
    np.testing.assert_array_equal(read_rgb(tmp_path / "deep.png"), np.full((5, 6, 3), RED))


@pytest.mark.parametrize("ending", ["webp", "png", "tif"])
def test_the_first_picture_of_several_is_taken_in_every_format(tmp_path, ending):
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / f"a.{ending}", save_all=True, append_images=frames[1:])
    np.testing.assert_allclose(read_rgb(tmp_path / f"a.{ending}")[0, 0], (255, 0, 0), atol=2)


@pytest.mark.parametrize("name", READ)
def test_what_pillow_reads_otherwise_than_its_format_says_is_read_rightly(tmp_path, name):
    """From a file and from bytes, which Pillow does not read in one way."""
    content, pixels = READ[name]
    (tmp_path / "a").write_bytes(content)
    for source in (tmp_path / "a", ImageBytes(content, "a")):
        np.testing.assert_array_equal(read_rgb(source), pixels)


@pytest.mark.parametrize("name", MISREAD)
def test_what_would_be_other_pixels_is_refused(tmp_path, name):
    content, reason = MISREAD[name]
    (tmp_path / "a").write_bytes(content)
    for source in (tmp_path / "a", ImageBytes(content, "a")):
        with pytest.raises(DataError, match=reason):
            read_rgb(source)


def test_a_whole_jpeg_may_be_filled_up_with_zeros(tmp_path):
    content = encoded(noise(), "JPEG")
    np.testing.assert_array_equal(read_rgb(ImageBytes(content + bytes(5000), "a")), read_rgb(ImageBytes(content, "a")))


def test_the_ending_of_a_name_says_nothing(tmp_path):
    save(tmp_path / "a.png").rename(tmp_path / "a.jpg")
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.jpg")[0, 0], RED)


def test_a_broken_exif_block_is_no_warning_and_no_error(tmp_path):
    save(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01")
    code = "import sys; from pathlib import Path; from bench.data.pictures import read_rgb; read_rgb(Path(sys.argv[1]))"
    command = [sys.executable, "-P", "-W", "error", "-c", code, str(tmp_path / "a.jpg")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_folder_and_an_absent_file_are_named_once(tmp_path):
    (tmp_path / "a.jpg").mkdir()
    with pytest.raises(DataError, match=r"^cannot read image \S*a.jpg: Is a directory$"):
        read_rgb(tmp_path / "a.jpg")
    with pytest.raises(DataError, match=r"^no image file \S*b.jpg$"):
        FolderImages((tmp_path / "b.jpg",))


def test_a_huge_picture_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.data.pictures.LARGEST_PIXELS", 500)
    with pytest.raises(DataError, match="30x20 pixels, allowed: 500"):
        read_rgb(save(tmp_path / "a.png"))


def test_a_list_that_names_absent_files_says_which_and_where(tmp_path):
    here = save(tmp_path / "here.png")
    with pytest.raises(DataError, match=r"no image file .*gone.png and 1 more, listed in train.txt"):
        FolderImages((here, tmp_path / "gone.png", tmp_path / "lost.png"), "train.txt")


def test_the_content_hash_follows_the_bytes_and_not_the_names(tmp_path):
    one, two = save(tmp_path / "1.png"), save(tmp_path / "2.png")
    other = save(tmp_path / "3.png", color=(0, 0, 0))
    assert FolderImages((one,)).content_hash() == FolderImages((two,)).content_hash()
    assert FolderImages((one,)).content_hash() != FolderImages((other,)).content_hash()
    assert FolderImages((one, other)).content_hash() != FolderImages((other, one)).content_hash()


def test_missing_images_are_counted_and_refuse_to_be_read():
    images = MissingImages(("a.jpg",), "there is no folder images")
    assert len(images) == 1
    with pytest.raises(DataError, match=r"cannot read image a.jpg: there is no folder images"):
        images.read(0)


def test_arrays_that_are_no_pictures_are_refused():
    with pytest.raises(DataError, match="must be uint8"):
        ArrayImages(np.zeros((2, 4, 4), dtype=np.uint8), "toy")


def test_the_content_hash_notices_length_start_middle_and_end_and_says_so(tmp_path):
    content = bytes(40_000)
    path = tmp_path / "a.jpg"

    def hash_of(data):
        path.write_bytes(data)
        return FolderImages((path,)).content_hash()

    changed = [content[:place] + b"x" + content[place + 1 :] for place in (0, 20_000, 39_999)]
    assert len({hash_of(content), hash_of(content + b"\0"), *map(hash_of, changed)}) == 5
    # What is sampled is not all: a byte between the samples goes unnoticed.
    assert hash_of(content[:10_000] + b"x" + content[10_001:]) == hash_of(content)
    assert "three samples of 4 KiB" in FolderImages((path,)).hashed_over()


def test_the_content_hash_of_many_files_is_that_of_their_order(tmp_path):
    import hashlib

    paths = [tmp_path / f"{number}.jpg" for number in range(300)]
    expected = hashlib.sha256()
    for number, path in enumerate(paths):
        path.write_bytes(bytes([number % 256]) * 100)
        expected.update((100).to_bytes(8, "little") + path.read_bytes() * 3)
    assert FolderImages(tuple(paths)).content_hash() == expected.hexdigest()[:16]

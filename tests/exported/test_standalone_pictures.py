"""Pictures become the same pixels in an exported folder's own program as in ``bench predict``."""

import numpy as np
import odd_pictures
import pytest
from PIL import Image

from bench.data.pictures import open_rgb
from bench.data.preprocess import preprocess
from bench.errors import DataError
from bench.exported.standalone import predict
from bench.records import Preprocessing

PICTURES = {
    "grey": lambda picture: picture.convert("L"),
    "grey and alpha": lambda picture: picture.convert("LA").rotate(20),
    "palette": lambda picture: picture.convert("P"),
    "alpha": lambda picture: picture.convert("RGBA").rotate(20),
    "ink": lambda picture: picture.convert("CMYK"),
    "bits": lambda picture: picture.convert("1"),
    "16 bits": lambda picture: Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 251),
    "32 bits": lambda picture: Image.fromarray(np.full((9, 9), 70_000, np.int32)),
    "real": lambda picture: picture.convert("F"),
    "tall": lambda picture: picture.resize((2, 401)),
    "wide": lambda picture: picture.resize((90, 31)),
    "plain": lambda picture: picture,
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_of_any_kind_becomes_the_same_pixels(tmp_path, name):
    noise = Image.effect_noise((47, 61), 80)
    picture = PICTURES[name](Image.merge("RGB", (noise, noise.rotate(90).resize((47, 61)), noise.rotate(180))))
    file = tmp_path / f"picture.{ {'CMYK': 'jpg', 'F': 'tiff', 'I': 'tiff'}.get(picture.mode, 'png') }"
    exif = Image.Exif()
    exif[0x0112] = 5
    moving = {"save_all": True, "append_images": [picture.rotate(90)]} if name == "palette" else {}
    picture.save(file, exif=exif, **moving)
    try:
        expected = open_rgb(file)
    except DataError:
        with pytest.raises(predict.Refused):
            predict.open_rgb(file)
        assert name in {"32 bits", "real", "tall"}
        return
    found = predict.open_rgb(file)
    assert found.size == picture.size[::-1]
    assert np.array_equal(np.asarray(found), np.asarray(expected))
    for scaling in (
        Preprocessing(size=24, resize=33, interpolation="bicubic"),
        Preprocessing(size=25, resize=25, interpolation="bilinear", mean=(0.5, 0.4, 0.3)),
        Preprocessing(size=40, resize=10, crop="squash", interpolation="nearest"),
    ):
        how = {name: getattr(scaling, name) for name in scaling.__slots__}
        assert np.array_equal(predict.preprocess(found, how), preprocess(expected, scaling))


def test_what_pillow_reads_otherwise_than_its_format_says_is_read_as_bench_predict_does(tmp_path):
    for name, (content, pixels) in odd_pictures.READ.items():
        (tmp_path / "a").write_bytes(content)
        assert np.asarray(predict.open_rgb(tmp_path / "a")).tolist() == pixels, name
    for content, reason in odd_pictures.REFUSED.values():
        (tmp_path / "a").write_bytes(content)
        with pytest.raises(predict.Refused, match=reason):
            predict.open_rgb(tmp_path / "a")


def test_a_picture_of_too_many_pixels_for_its_bytes_is_refused_as_bench_predict_does(tmp_path):
    """It gave labels here, and the reason why there are none there."""
    for name, side in (("bomb", 4200), ("small", 4000)):
        Image.new("1", (side, side)).save(tmp_path / name, "PNG")
        assert (tmp_path / name).stat().st_size < side * side / 1000
    assert predict.open_rgb(tmp_path / "small").size == open_rgb(tmp_path / "small").size
    for read, error in ((open_rgb, DataError), (predict.open_rgb, predict.Refused)):
        with pytest.raises(error, match="4200x4200 pixels"):
            read(tmp_path / "bomb")


def test_a_file_that_is_no_picture_has_the_reason_of_bench_predict(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.data.pictures.LARGEST_PIXELS", 100)
    monkeypatch.setattr(predict, "LARGEST_PIXELS", 100)
    whole = odd_pictures.encoded(Image.effect_noise((64, 64), 50), "PNG")
    contents = {"empty": b"", "text": b"no picture", "cut": whole[:900], "large": whole}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(predict.Refused) as reason:
            predict.open_rgb(tmp_path / name)
        with pytest.raises(DataError, match="cannot read image") as expected:
            open_rgb(tmp_path / name)
        assert str(expected.value).startswith(f"cannot read image {tmp_path / name}: {reason.value}"[:70])

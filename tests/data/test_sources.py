"""Pictures by whatever names them: each in its order, and what cannot be used with its reason."""

import bz2
import gzip
import io
import lzma
import os
import tarfile

import numpy as np
import pytest
from PIL import Image

from bench.data import sources as module
from bench.data.sources import number_of, sources
from bench.errors import DataError, UsageError


def png(value=0):
    buffer = io.BytesIO()
    Image.new("RGB", (4, 3), (value, 0, 0)).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Pictures in folders, beside what is none."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("b.png", "a.PNG", "deeper/c.png", "deeper/still/d.jpg", ".hidden/e.png", ".f.png")):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(number))
    (tmp_path / "photos" / "notes.txt").write_text("no picture")
    (tmp_path / "photos" / "g.heic").touch()
    (tmp_path / "photos" / "around").symlink_to(tmp_path / "photos")
    return tmp_path


def named(*arguments, lines=b""):
    return [(source.name, source.reason) for source in sources(arguments, io.BytesIO(lines))]


def reds(found):
    return [int(np.asarray(source.picture())[0, 0, 0]) for source in found]


def archive(path, members, mode="w", **settings):
    with tarfile.open(path, mode, **settings) as tar:
        for name, content in members:
            header = tarfile.TarInfo(name)
            header.size = len(content)
            tar.addfile(header, io.BytesIO(content))
    return path


def test_a_folder_is_all_images_below_it_by_name_without_hidden_ones(photos):
    expected = ["photos/a.PNG", "photos/b.png", "photos/g.heic", "photos/deeper/c.png", "photos/deeper/still/d.jpg"]
    assert named("photos") == [(name, "") for name in expected]


def test_patterns_lines_and_files_come_in_the_order_in_which_they_are_named(photos):
    lines = b"photos/b.png\r\n\nphotos/deeper\nnowhere.png"
    found = named("photos/deeper/c.png", "-", "photos/**/*.png", "photos/?.png", lines=lines)
    names = [name for name, _ in found]
    expected = [
        "photos/deeper/c.png",
        "photos/b.png",
        "photos/deeper/c.png",
        "photos/deeper/still/d.jpg",
        "nowhere.png",
    ]
    assert names[:5] == expected
    assert names[5:] == [*sorted(names[5:-1]), "photos/b.png"]
    assert {"photos/b.png", "photos/deeper/c.png"} <= set(names[5:-1])
    assert [reason for _, reason in found if reason] == ["no such file"]


def test_a_file_whose_name_looks_like_a_pattern_is_itself(photos):
    (photos / "photos" / "[b].png").write_bytes(png(9))
    assert reds(sources(["photos/[b].png"], io.BytesIO())) == [9]
    assert reds(sources(["-"], io.BytesIO(b"photos/[b].png\n"))) == [9]


def test_names_that_are_no_text_are_kept(photos):
    name = b"photos/caf\xe9.png"
    (photos / os.fsdecode(name)).write_bytes(png(7))
    assert reds(sources(["-"], io.BytesIO(name))) == [7]


def test_a_mark_before_the_first_path_as_windows_saves_texts_is_no_part_of_it(photos):
    mark = b"\xef\xbb\xbf"
    assert named("-", lines=mark + b"photos/b.png\r\n" + mark) == [("photos/b.png", ""), ("\ufeff", "no such file")]


UNUSABLE = {
    "nowhere.png": "no such file",
    "photos/*.gif": "no file matches this pattern",
    "empty": "no image file in this folder or below it, by the endings of their names",
    "link.png": "a link to nothing",
    "pipe.png": "no file",
    "": "an empty name",
    "photos.zip": "a zip archive, allowed: tar archives. Try: unzip it, and name the folder",
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_what_is_not_there_is_a_source_with_the_reason(photos, name):
    (photos / "empty").mkdir()
    (photos / "link.png").symlink_to("nowhere")
    os.mkfifo(photos / "pipe.png")
    (photos / "photos.zip").write_bytes(b"PK\x03\x04")
    (found,) = sources([name], io.BytesIO())
    assert (found.name, found.reason) == (name, UNUSABLE[name])
    with pytest.raises(DataError, match="cannot read image"):
        found.picture()


def test_a_pipe_in_a_folder_is_not_waited_for(photos):
    os.mkfifo(photos / "photos" / "deeper" / "p.png")
    (found,) = (source for source in sources(["photos"], io.BytesIO()) if source.name.endswith("p.png"))
    with pytest.raises(DataError, match=r"p\.png: no file"):
        found.picture()


@pytest.mark.parametrize("lines", [png(), b"x" * 70_000, b"a.png\n\0"])
def test_lines_that_are_no_paths_are_refused(lines):
    with pytest.raises(UsageError, match="standard input, line"):
        named("-", lines=lines)


def test_a_closed_standard_input_is_refused():
    with pytest.raises(UsageError, match="closed"):
        list(sources(["-"], None))


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"])
@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_an_archive_gives_its_images_in_its_order(photos, ending, form):
    members = [("z.png", png(5)), ("labels.json", b"{}"), ("./a/é" + "long" * 60 + ".png", png(6)), ("._a.png", b"")]
    packed = {"gz": "w:gz", "z2": "w:bz2", "xz": "w:xz"}.get(ending[-2:], "w:gz" if ending == ".tgz" else "w")
    path = archive(photos / f"x{ending}", members, packed, format=form)
    found = list(sources([str(path)], io.BytesIO()))
    assert [source.name.removeprefix(f"{path}:") for source in found] == [members[0][0], members[2][0]]
    assert reds(found) == [5, 6]
    assert (found[0].content is None) == (ending == ".tar")


def test_an_archive_of_a_folder_is_the_folders_images(photos):
    with tarfile.open(photos / "x.tar", "w", dereference=False) as tar:
        tar.add("photos", "./photos", filter=lambda member: None if member.issym() else member)
    from_archive = {source.name.partition(":./")[2] for source in sources(["x.tar"], None)}
    assert from_archive == {name for name, _ in named("photos")}


def test_what_is_wrong_with_an_archive_is_told_after_its_whole_members(photos, monkeypatch):
    members = [(f"{number}.png", png(number)) for number in range(4)]
    whole = archive(photos / "whole.tar", members).read_bytes()
    noise = np.random.default_rng(0).bytes(3000)
    noisy = archive(photos / "noisy.tar", [*members[:1], ("1.png", noise), ("2.png", noise[::-1])]).read_bytes()
    header = bytearray(whole)
    header[2 * 1024 + 20] ^= 1  # in the third member's name: its checksum is another
    damaged = {
        "header.tar": (bytes(header), 2, "damaged or cut: bad checksum"),
        "cut.tar": (whole[: 2 * 1024], 2, "damaged or cut: empty header"),
        "in.tar": (whole[: 2 * 1024 + 100], 2, "damaged or cut: truncated header"),
        "cut.tgz": (gzip.compress(noisy)[:1800], None, "damaged"),
        "cut.tbz2": (bz2.compress(noisy)[:1800], None, "damaged"),
        "cut.txz": (lzma.compress(noisy)[:1800], None, "damaged"),
        "random.tar": (b"no archive" * 100, 0, "damaged or cut: "),
        "empty.tar": (b"", 0, "damaged or cut: empty header"),
    }
    for name, (content, count, reason) in damaged.items():
        (photos / name).write_bytes(content)
        *read, last = sources([name], io.BytesIO())
        assert last.name == name
        assert last.reason.startswith(reason), last.reason
        assert count is None or reds(read) == list(range(count))


def test_members_that_are_no_files_or_too_large_are_told_and_the_others_read(photos, monkeypatch):
    with tarfile.open(photos / "x.tar", "w") as tar:
        for name, kind in (("l.png", tarfile.SYMTYPE), ("h.png", tarfile.LNKTYPE), ("d.png", tarfile.CHRTYPE)):
            header = tarfile.TarInfo(name)
            header.type, header.linkname = kind, "/etc/hosts"
            tar.addfile(header)
        large = tarfile.TarInfo("large.png")
        large.size = 4096
        tar.addfile(large, io.BytesIO(bytes(4096)))
        last = tarfile.TarInfo("../../last.png")
        last.size = len(png(8))
        tar.addfile(last, io.BytesIO(png(8)))
    monkeypatch.setattr(module, "LARGEST_MEMBER", 1000)
    *refused, good = sources(["x.tar"], io.BytesIO())
    assert [source.reason[:6] for source in refused] == ["a link"] * 3 + ["4,096 "]
    assert (good.name, reds([good])) == ("x.tar:../../last.png", [8])


@pytest.mark.parametrize("size", [2**40, -1024])
@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.REGTYPE])
def test_a_header_that_claims_a_size_that_none_has_ends_the_archive_at_once(photos, size, kind):
    header = tarfile.TarInfo("a.png")
    header.type, header.size = kind, size
    content = header.tobuf(tarfile.GNU_FORMAT) + bytes(2048)
    (photos / "x.tar").write_bytes(content)
    (photos / "x.tgz").write_bytes(gzip.compress(content))
    for name in ("x.tar", "x.tgz"):
        found = list(sources([name], io.BytesIO()))
        assert found[-1].reason
        assert len(found) <= 2


def test_an_archive_with_a_file_of_holes_is_told(photos):
    pax = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "a.png", "GNU.sparse.realsize": "9"}
    header = tarfile.TarInfo("a.png")
    header.pax_headers, header.size = pax, 512
    with tarfile.open(photos / "x.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(header, io.BytesIO(b"1\n0\n9\n".ljust(512, b"\0")))
    assert [source.reason[:12] for source in sources(["x.tar"], io.BytesIO())] == ["a file with "]


def test_how_many_there_are_is_known_of_files_alone(photos):
    assert number_of(["photos/b.png", "photos/a.PNG"]) == 2
    archive(photos / "x.tar", [])
    for other in ("-", "photos", "photos/*", "x.tar", "nowhere.png"):
        assert number_of(["photos/b.png", other]) is None

"""What a folder or an archive holds is read whole: what is passed over is named and counted."""

import io
import json
import os
import tarfile
import unicodedata

import pytest
from bench_datasets.listing import find_file, list_images, printable, starts_as_image
from open_sets import opened
from PIL import Image

from bench import plugins
from bench.cli import run_command_line
from bench.contracts import DatasetRequest
from bench.data.fingerprint import fingerprint
from bench.errors import DataError
from bench.options import resolve


def photo(shade=0, kind="PNG"):
    file = io.BytesIO()
    Image.new("RGB", (10, 10), (shade, 0, 0)).save(file, kind)
    return file.getvalue()


def put(path, content=None, shade=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(photo(shade) if content is None else content)


@pytest.fixture
def folders(tmp_path):
    """Folders train and test with labels cat and dog, and two images that differ in each."""
    for shade, place in enumerate(("train/cat/1", "train/dog/2", "test/cat/3", "test/dog/4")):
        put(tmp_path / f"{place}.png", shade=shade)
    return tmp_path


def shades(split):
    return [int(split.images.read(row)[0, 0, 0]) for row in range(len(split))]


def test_files_of_one_name_that_differ_are_two_images(folders):
    for label, shade in (("cat", 50), ("dog", 60)):
        put(folders / "train" / label / "deep" / "0001.png", shade=shade)
        put(folders / "train" / label / "same.png", shade=70)
    dataset = opened("imagefolder", folders)
    found = dict(
        zip(dataset.train.ids, zip(shades(dataset.train), dataset.train.truth.tolist(), strict=True), strict=True)
    )
    assert found == {
        "train/1.png": (0, [True, False]),
        "train/2.png": (1, [False, True]),
        "train/cat/deep/0001.png": (50, [True, False]),
        "train/dog/deep/0001.png": (60, [False, True]),
        "train/same.png": (70, [True, True]),
    }
    assert any("1 names with other content" in note and "deep/0001.png" in note for note in dataset.notes)


def test_three_files_of_one_name_of_which_two_are_equal_are_two_images(folders):
    for label, shade in (("cat", 50), ("cow", 60), ("dog", 50)):
        put(folders / "train" / label / "0001.png", shade=shade)
    put(folders / "test" / "cow" / "5.png")
    dataset = opened("imagefolder", folders)
    row = dataset.train.ids.index("train/cat/0001.png")
    assert dataset.train.truth[row].tolist() == [True, False, True]
    assert len(dataset.train) == 4


def test_endings_in_other_letters_are_other_names(folders):
    put(folders / "train" / "cat" / "2.PNG", shade=80)
    assert sorted(opened("imagefolder", folders).train.ids) == ["train/1.png", "train/2.PNG", "train/2.png"]


def test_a_label_folder_in_another_one_leaves_ids_unique(folders):
    put(folders / "train" / "cat" / "9.png", shade=90)
    put(folders / "train" / "dog" / "9.png", shade=91)
    put(folders / "train" / "dog" / "cat" / "9.png", shade=92)
    ids = opened("imagefolder", folders).train.ids
    assert len(set(ids)) == 5


@pytest.mark.parametrize(
    "litter",
    [
        ".ipynb_checkpoints/a.png",
        "__MACOSX/cat/._a.png",
        "cat/._1.png",
        ".DS_Store",
        "cat/Thumbs.db",
        "dog/desktop.ini",
    ],
)
def test_what_systems_leave_is_no_image_and_no_label(folders, litter):
    before = opened("imagefolder", folders)
    put(folders / "train" / litter)
    after = opened("imagefolder", folders)
    assert (after.labels, after.train.ids) == (before.labels, before.train.ids)
    hidden = litter.split("/")[0] if litter.startswith((".", "_")) else litter
    assert f"train: 1 passed over, hidden, as {hidden}" in after.notes


def test_what_is_no_image_is_counted_shown_and_kept_with_the_data_set(folders, capsys):
    put(folders / "train" / "cat" / "notes.txt", b"no image")
    put(folders / "train" / "cat" / "labelme.json", b"{}")
    (folders / "train" / "empty").mkdir()
    assert run_command_line(["data", "stats", "imagefolder", "--data-root", str(folders)]) == 0
    told = capsys.readouterr().out
    assert "note: train: 2 passed over, no image, as cat/labelme.json" in told
    assert "note: train: 1 folders without an image, so no label, as empty" in told
    assert run_command_line(["data", "verify", "imagefolder", "--data-root", str(folders), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["notes"]) >= 2


@pytest.mark.parametrize(("kind", "name"), [("JPEG", "a"), ("GIF", "b.data"), ("TIFF", "c.txt"), ("BMP", "d.orig")])
def test_content_decides_where_the_ending_does_not(folders, kind, name):
    put(folders / "train" / "cat" / name, photo(0, kind))
    assert f"train/{name}" in opened("imagefolder", folders).train.ids


@pytest.mark.parametrize("suffix", ["jfif", "jpe", "JPEG", "avif", "jp2", "webp", "pnm", "apng"])
def test_every_ending_of_an_image_is_one(folders, suffix):
    put(folders / "train" / "cat" / f"a.{suffix}")
    assert f"train/a.{suffix}" in opened("imagefolder", folders).train.ids


def test_folders_tables_and_shards_of_no_part_are_named(folders, tmp_path_factory):
    put(folders / "dev" / "cat" / "1.png")
    (folders / "labels.csv").write_text("path,labels\n")
    notes = opened("imagefolder", folders).notes
    assert "data root: 1 folders that are no part, as dev" in notes
    assert "data root: 1 files beside the folders are not read, as labels.csv" in notes
    root = tmp_path_factory.mktemp("shards")
    tar(root / "extra-000.tar", [])
    assert "data root: 1 shards of no part, as extra-000.tar" in shards(root, "0").notes


def test_a_photograph_that_cannot_be_read_is_not_passed_over(folders):
    put(folders / "train" / "cat" / "a.heic", b"\0\0\0\x18ftypheic" + bytes(40))
    images = opened("imagefolder", folders).train.images
    with pytest.raises(DataError, match=r"a.heic: HEIC"):
        [images.read(row) for row in range(len(images))]


def test_links_are_followed_and_circles_are_not(folders, tmp_path):
    put(tmp_path / "elsewhere" / "far.png", shade=33)
    (folders / "train" / "cat" / "linked").symlink_to(tmp_path / "elsewhere")
    (folders / "train" / "cat" / "up").symlink_to(folders / "train")
    (folders / "train" / "cat" / "gone.png").symlink_to("nowhere.png")
    os.mkfifo(folders / "train" / "cat" / "pipe.png")
    dataset = opened("imagefolder", folders)
    assert "train/linked/far.png" in dataset.train.ids
    told = " ".join(dataset.notes)
    assert "a link to a folder that it lies in, as cat/up" in told
    assert "a link to nothing, as cat/gone.png" in told
    assert "no image, as cat/pipe.png" in told


def test_a_folder_that_ends_as_an_image_is_a_folder(folders):
    put(folders / "train" / "cat" / "album.jpg" / "a.png")
    assert "train/album.jpg/a.png" in opened("imagefolder", folders).train.ids


def test_names_that_are_no_utf_8_have_ids_that_can_be_printed(folders):
    path = os.fsencode(folders / "train" / "cat") + b"/caf\xe9.png"
    with open(path, "wb") as file:  # noqa: PTH123 - bytes are no path of pathlib's
        file.write(photo(44))
    train = opened("imagefolder", folders).train
    row = train.ids.index("train/caf\\xe9.png")
    assert int(train.images.read(row)[0, 0, 0]) == 44
    assert train.images.describe(row).endswith("cat/caf\\xe9.png")
    assert fingerprint(train)


def test_a_folder_without_any_image_says_what_it_holds(folders):
    for path in (folders / "train").rglob("*.png"):
        path.write_bytes(b"x")
        path.rename(path.with_suffix(".svg"))
    with pytest.raises(DataError, match=r"train: no images: train: 2 passed over, no image, as cat/1.svg"):
        opened("imagefolder", folders)


def test_a_file_is_found_in_another_unicode_form_and_with_backslashes(tmp_path):
    put(tmp_path / unicodedata.normalize("NFD", "größe") / unicodedata.normalize("NFD", "Übung.png"))
    found = find_file(tmp_path, unicodedata.normalize("NFC", "größe\\Übung.png"))
    assert (tmp_path / found).is_file()
    assert find_file(tmp_path, "größe/other.png") is None
    put(tmp_path / "größe" / "a.png")  # the folder's other form beside it
    for name in ("größe/a.png", "größe\\Übung.png"):
        assert (tmp_path / find_file(tmp_path, name)).is_file()


@pytest.mark.parametrize(
    "start", [b"BMW;car\n and more text for a header", b"P5 is a game", b"path,labels", b"", b"RIFF1234WAVE"]
)
def test_text_is_no_image(start):
    assert not starts_as_image(start)


def test_printable_names_hold_no_control_characters():
    assert printable("a\nb\udce9é") == "a\\nb\\xe9é"


def test_a_listing_is_ordered_by_the_parts_of_paths(tmp_path):
    for name in ("a-b/1.png", "a/2.png", "a.png"):
        put(tmp_path / name)
    assert list_images(tmp_path).images == ("a/2.png", "a-b/1.png", "a.png")


def tar(path, members):
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            value = content if isinstance(content, bytes) else json.dumps(content).encode()
            entry = tarfile.TarInfo(name)
            entry.size = len(value)
            archive.addfile(entry, io.BytesIO(value))


def shards(root, *keys, more=()):
    for part in ("train", "test"):
        members = [pair for key in keys for pair in ((f"{key}.png", photo()), (f"{key}.json", ["cat"]))]
        tar(root / f"{part}.tar", [*members, *more])
    return opened("shards", root)


def test_keys_may_hold_dots(tmp_path):
    keys = ("IMG_2021.08.14", "scan v1.2", "a", "a.b", "set.v2/0001", "a.jpg")
    assert shards(tmp_path, *keys).train.ids == tuple(f"train/{key}" for key in keys)


def test_more_members_of_a_sample_are_counted_and_strangers_are_refused(tmp_path):
    dataset = shards(
        tmp_path, "0", more=[("0.seg.png", photo()), ("0.meta.json", {}), ("0.npy", b"x"), ("README", b"x")]
    )
    assert dataset.train.ids == ("train/0",)
    told = " ".join(dataset.notes)
    for words in (
        "more images of a sample, as 0.seg.png",
        "more members of a sample, as 0.meta.json",
        ".npy",
        "README",
    ):
        assert words in told
    with pytest.raises(DataError, match=r"member 1.left.png: no member 1.left.json with its labels"):
        shards(tmp_path, "0", more=[("1.left.png", photo()), ("1.json", ["cat"])])


def test_members_below_a_dot_and_without_an_ending_are_read_as_in_a_folder(tmp_path):
    more = [("./1.png", photo(1)), (".//1.json", ["dog"]), ("2.image", photo(2, "JPEG")), ("2.json", ["dog"])]
    more += [("._1.png", b"x"), ("__MACOSX/1.png", b"x")]
    dataset = shards(tmp_path, "0", more=more)
    assert dataset.train.ids == ("train/0", "train/1", "train/2")
    assert dataset.train.truth.tolist() == [[True, False], [False, True], [False, True]]
    assert "train: 2 passed over, hidden, as ._1.png" in dataset.notes


def test_an_index_that_was_kept_passes_over_the_same(tmp_path):
    shards(tmp_path, "0", more=[("0.npy", b"x")])
    spec = plugins.installed().dataset("shards").spec
    request = DatasetRequest(resolve(spec.options, {}, "shards"), tmp_path, cache=tmp_path / "cache")
    assert spec.build(request).notes == spec.build(request).notes != ()


def test_a_member_that_stands_twice_is_refused_in_whatever_way_it_is_written(tmp_path):
    with pytest.raises(DataError, match=r"member 0.png: a second image of key '0'"):
        shards(tmp_path, "0", more=[("./0.png", photo(5))])


@pytest.fixture
def voc(tmp_path):
    """Images with blanks and dots in their names, of which one begins as another does."""
    labels = {"a": "cat", "b": "dog", "c": "cat", "c copy": "dog", "v1.2  x": "cat", "d": "cat", "e": "dog"}
    for shade, (image, label) in enumerate(labels.items()):
        put(tmp_path / "JPEGImages" / f"{image}.png", shade=shade)
        xml = f"<annotation><object><name>{label}</name></object></annotation>"
        put(tmp_path / "Annotations" / f"{image}.xml", xml.encode())
    for split, images in {"train": ("a", "b", "c copy", "v1.2  x"), "val": ("d", "e")}.items():
        put(tmp_path / "ImageSets" / "Main" / f"{split}.txt", "\n".join(images).encode())
    return tmp_path


def test_a_line_of_an_image_list_is_one_name(voc):
    train = opened("voc-folder", voc).train
    assert train.ids == ("a", "b", "c copy", "v1.2  x")
    assert (shades(train), train.truth[2].tolist()) == ([0, 1, 3, 4], [False, True])


@pytest.mark.parametrize("change", [
    lambda text: "\ufeff" + text.replace("\n", "\r\n") + "\r\n\r\n",
    lambda text: "\n\n" + text.replace("\n", "  \n\n"),
    lambda text: "\n".join(f"JPEGImages/{name}.png" for name in text.split("\n")),
    lambda text: "\n".join(f"{name}.jpg" for name in text.split("\n")),
    lambda text: "\n".join(f"{name} 1" for name in text.split("\n")),
])  # fmt: skip
def test_image_lists_may_be_written_in_other_ways(voc, change):
    before = opened("voc-folder", voc)
    path = voc / "ImageSets" / "Main" / "train.txt"
    path.write_bytes(change(path.read_text()).encode())
    assert fingerprint(opened("voc-folder", voc).train) == fingerprint(before.train)


def test_a_name_that_is_not_there_is_no_other_image(voc):
    path = voc / "ImageSets" / "Main" / "train.txt"
    path.write_text("a\nb copy\n")
    with pytest.raises(DataError, match=r"no file .*b copy.xml, listed in"):
        opened("voc-folder", voc)
    path.write_text("a 1\nb -1\n")
    with pytest.raises(DataError, match=r"train.txt: found 'b -1', an image with the flag -1"):
        opened("voc-folder", voc)


def test_class_files_may_name_images_with_blanks(voc):
    for split, images in {"train": ("a", "b", "c copy", "v1.2  x"), "val": ("d", "e")}.items():
        for label, positive in (("cat", "acvd"), ("dog", "be")):
            lines = "\n".join(f"{image}   {1 if image[0] in positive else -1}" for image in images)
            put(voc / "ImageSets" / "Main" / f"{label}_{split}.txt", lines.encode())
    assert opened("voc-folder", voc).train.truth[:, 1].tolist() == [False, True, False, False]


def test_a_labels_file_beside_an_image_is_no_image(voc):
    for image in ("a", "b"):
        put(voc / "JPEGImages" / f"{image}.json", b"{}")
        put(voc / "JPEGImages" / f"{image}.PNG.bak", b"x")
    dataset = opened("voc-folder", voc)
    assert shades(dataset.train)[:2] == [0, 1]
    assert "JPEGImages: 4 passed over, no image, as a.PNG.bak" in dataset.notes


def test_two_images_of_one_name_are_one_only_where_they_are_equal(voc):
    put(voc / "JPEGImages" / "a.PNG", shade=0)
    assert opened("voc-folder", voc).train.ids[0] == "a"
    put(voc / "JPEGImages" / "a.PNG", shade=9)
    with pytest.raises(DataError, match=r"a.PNG and a.png differ, and ImageSets/Main names 'a'"):
        opened("voc-folder", voc)


def test_annotations_are_read_in_any_encoding_and_namespace(voc):
    text = '<?xml version="1.0" encoding="gb2312"?><annotation xmlns="http://x/"><object><name>猫</name></object></annotation>'
    put(voc / "Annotations" / "a.xml", text.encode("gb2312"))
    assert "猫" in opened("voc-folder", voc).labels
    put(voc / "Annotations" / "a.xml", text.encode("gb2312")[:90] + b"\xff\xff</name></object></annotation>")
    with pytest.raises(DataError, match=r"a.xml is no XML: not in its encoding, gb2312"):
        opened("voc-folder", voc)
    put(voc / "Annotations" / "a.xml", "<annotation><object><name>café</name></object></annotation>".encode("cp1252"))
    with pytest.raises(DataError, match=r"a.xml is no XML: not in its encoding, utf-8. Try: write it as UTF-8"):
        opened("voc-folder", voc)


def test_objects_that_labelme_keeps_as_deleted_are_none(voc):
    """They were labels."""
    entries = (
        "<object><name>gnu</name><deleted>1</deleted></object><object><name>cat</name><deleted>0</deleted></object>"
    )
    put(voc / "Annotations" / "a.xml", f"<annotation>{entries}</annotation>".encode())
    assert "gnu" not in opened("voc-folder", voc).labels


@pytest.mark.parametrize("value", ["yes", "2", "0.5", "True", "1.0"])
@pytest.mark.parametrize("flag", ["difficult", "deleted"])
def test_difficult_and_deleted_are_0_or_1(voc, flag, value):
    xml = f"<annotation><object><name>cat</name><{flag}>{value}</{flag}></object></annotation>"
    put(voc / "Annotations" / "a.xml", xml.encode())
    with pytest.raises(DataError, match=rf"a.xml: object 1 has <{flag}>{value}, allowed: 0, 1"):
        opened("voc-folder", voc)


def test_an_object_of_several_names_is_refused(voc):
    xml = "<annotation><object><name>cat</name><name>dog</name></object></annotation>"
    put(voc / "Annotations" / "a.xml", xml.encode())
    with pytest.raises(DataError, match=r"a.xml: object 1 has several names, allowed: one, and an object for each"):
        opened("voc-folder", voc)

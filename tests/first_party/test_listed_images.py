"""Images that a table names are found by the path that it means, below the data root alone."""

import unicodedata

import pytest
from typed_tables import opened, pictures, remedies, write

from bench.errors import DataError


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_image_names_are_found_in_either_unicode_form(tmp_path, form):
    root = write(tmp_path, "path,labels", "{},dog", f"{unicodedata.normalize(form, 'Übung.png')},cat")
    other = unicodedata.normalize("NFD" if form == "NFC" else "NFC", "Übung.png")
    (root / "train1.png").rename(root / other)
    (root / "test.csv").write_text("path,labels\ntest0.png,dog\n")
    train = opened(root).train
    assert int(train.images.read(1)[0, 0, 0]) == 1
    assert len({*train.ids}) == 2


def test_backslashes_are_read_as_windows_means_them(tmp_path):
    pictures(tmp_path, "photos/deep/", 2)
    (tmp_path / "train.csv").write_text("path,labels\nphotos\\deep\\0.png,dog\n.\\photos\\deep\\1.png,cat\n")
    write(tmp_path / "other", "path,labels", "{},dog")
    pictures(tmp_path, "test", 1)
    (tmp_path / "test.csv").write_text("path,labels\ntest0.png,dog\n")
    assert opened(tmp_path).train.ids == ("photos/deep/0.png", "photos/deep/1.png")
    assert not any("in no table" in note for note in opened(tmp_path).notes)
    (tmp_path / "train.csv").write_text("path,labels\nphotos\\deep\\0.png,dog\nphotos/deep/0.png,cat\n")
    with pytest.raises(DataError, match=r"train.csv line 3: image photos/deep/0.png stands twice"):
        opened(tmp_path)


@pytest.mark.parametrize(
    "path", ["../out/0.png", "{root}/../out/0.png", "x/../../out/0.png", "..\\out\\0.png", "C:\\a.png"]
)
def test_images_outside_the_data_root_are_refused_unless_allowed(tmp_path, path):
    root = write(tmp_path / "in", "path,labels", "{},dog")
    pictures(tmp_path, "out/", 1)
    (root / "train.csv").write_text(f"path,labels\n{path.format(root=root)},dog\n")
    with pytest.raises(DataError, match=r"train.csv line 2: image .* lies outside the data root") as told:
        opened(root)
    if not path.startswith("C:"):
        assert len(opened(root, *remedies(told.value)).train) == 1


def test_whole_paths_and_links_below_the_data_root_are_read(tmp_path):
    root = write(tmp_path / "in", "path,labels", "{},dog", "{},cat")
    pictures(root, "far/", 1)
    (root / "photos").symlink_to(root / "far")
    (root / "train.csv").write_text(f"path,labels\n{root}/train0.png,dog\nphotos/0.png,cat\n")
    assert opened(root).train.ids == ("train0.png", "photos/0.png")
    (root / "photos").unlink()
    (root / "photos").symlink_to(tmp_path / "nowhere")
    with pytest.raises(
        DataError, match=r"line 3: no image file .*0.png. .*photos is a link to .*nowhere, which is not th"
    ):
        opened(root)


def test_an_image_that_is_there_under_almost_its_name_is_named(tmp_path):
    root = write(tmp_path, "path,labels", "{},dog")
    for name, there in (("Train0.PNG", "train0.png, in other letters"), ("train0", "train0.png")):
        (root / "train.csv").write_text(f"path,labels\n{name},dog\n")
        with pytest.raises(DataError, match=rf"line 2: no image file .*{name}. There is {there}"):
            opened(root)
    (root / "photos").mkdir()
    (root / "train.csv").write_text("path,labels\nphotos,dog\n")
    with pytest.raises(DataError, match=r"line 2: no image file .*photos. photos is a folder"):
        opened(root)


def test_images_beside_listed_ones_are_counted(tmp_path):
    root = write(tmp_path, "path,labels", "{},dog", "{},cat")
    pictures(root, "more", 3)
    assert "data root: 3 images beside the listed ones are in no table, as more0.png" in opened(root).notes

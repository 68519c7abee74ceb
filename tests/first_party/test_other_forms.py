"""Data roots of another reader, or of none: the message says what to type instead."""

import pytest
from open_sets import opened, picture

from bench.errors import DataError

READERS = ("csv", "imagefolder", "coco-json", "shards", "voc-folder")


def put(root, *files):
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text("a,b\n")


@pytest.mark.parametrize(
    ("file", "reader"),
    [
        ("test-000000.tar", "shards"),
        ("data/train-00000-of-00001.parquet", "shards"),
        ("train/_classes.csv", "imagefolder"),
        ("VOC2012_train_val/ImageSets/Main/train.txt", "voc-folder"),
        ("annotations/instances_train2017.json", "coco-json"),
    ],
)
@pytest.mark.parametrize("asked", READERS)
def test_a_folder_of_another_reader_is_known(tmp_path, asked, file, reader):
    put(tmp_path, file)
    if asked != reader:
        with pytest.raises(DataError, match=rf"There is {file}\. Try: --dataset {reader}$"):
            opened(asked, tmp_path)


@pytest.mark.parametrize(
    ("asked", "file"),
    [
        ("csv", "labels.csv"),
        ("coco-json", "annotations/instances_train2017.json"),
        ("imagefolder", "train/metadata.csv"),
        ("shards", "train-000000.tar"),
    ],
)
def test_a_folder_within_the_data_root_is_named(tmp_path, asked, file):
    """As archives are unpacked: imagefolder was proposed for any folder with a labels.csv."""
    put(tmp_path, f"my-images/{file}")
    with pytest.raises(DataError, match=rf"There is my-images/{file}\. Try: --data-root {tmp_path}/my-images$"):
        opened(asked, tmp_path)


@pytest.mark.parametrize("asked", READERS)
def test_archives_alone_are_to_be_unpacked(tmp_path, asked):
    """Any .tar was said to be shards."""
    put(tmp_path, "VOCtrainval_06-Nov-2007.tar", "annotations.zip")
    with pytest.raises(DataError, match=r"There is VOCtrainval_06-Nov-2007.tar\. Try: unpack it, and name the folder$"):
        opened(asked, tmp_path)
    put(tmp_path, "readme.txt")
    with pytest.raises(DataError, match=r"^((?!Try: (unpack|--dataset)).)*$"):
        opened(asked, tmp_path)


@pytest.mark.parametrize("asked", READERS)
@pytest.mark.parametrize(
    ("file", "remedy"),
    [
        ("train.tfrecord-00000-of-00002", "a labels.csv, with TensorFlow"),
        ("corel5k-train.arff", "features and no pictures"),
        ("release/annotation.mat", "as for PA-100K, make a table of it"),
    ],
)
def test_files_that_nothing_here_reads_are_named(tmp_path, asked, file, remedy):
    put(tmp_path, file, ".cache/x.mat")
    with pytest.raises(DataError, match=rf"There is {file}\. .*{remedy}"):
        opened(asked, tmp_path)


def test_the_table_to_save_is_none_to_fill_in_and_no_list_of_names_alone(tmp_path):
    """Planet's sample submission, in which all images have the same labels, was the one that was named."""
    put(tmp_path, "train_v2.csv", "sample_submission_v2.csv")
    with pytest.raises(DataError, match=r"There is train_v2.csv. Try: save it as labels.csv$"):
        opened("csv", tmp_path)
    put(tmp_path, "class-descriptions.csv")
    with pytest.raises(DataError, match=r"There are class-descriptions.csv, train_v2.csv. Try: save the one of images"):
        opened("csv", tmp_path)


def test_tables_in_folders_are_named(tmp_path):
    put(tmp_path, "Training_Set/RFMiD_Training_Labels.csv", "Test_Set/RFMiD_Testing_Labels.csv")
    with pytest.raises(
        DataError, match=r"There are Test_Set/RFMiD_Testing_Labels.csv, Training_Set/.* one of each part"
    ):
        opened("csv", tmp_path)


def test_a_table_of_train_alone_may_be_split(tmp_path):
    (tmp_path / "train.csv").write_text("path,labels\na.png,dog\nb.png,dog\n")
    (tmp_path / "train_photos.csv").write_text("photo,business\n")
    message = r"no file .*test.csv\. .* Try: save train.csv as labels.csv, and a split is drawn$"
    with pytest.raises(DataError, match=message):
        opened("csv", tmp_path)
    for name in "ab":
        picture(tmp_path / f"{name}.png", ord(name))
    (tmp_path / "train.csv").rename(tmp_path / "labels.csv")
    assert len(opened("csv", tmp_path).test) == 1

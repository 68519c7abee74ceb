"""One set of images, given in every form that a user may have them in: each must be the same data set."""

import csv
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import open_sets
import pytest
import torch
from PIL import Image

from bench.contracts import Backbone
from bench.data.fingerprint import fingerprint
from bench.data.images import FolderImages
from bench.data.pictures import read_rgb
from bench.errors import DataError
from bench.model.features import extract
from bench.records import Preprocessing


def opened(name, root, **options):
    return open_sets.opened(name, root, **{"absent_labels": "drop", **options})


def as_csv(root, parts):
    for part, rows in parts.items():
        with (root / f"{part}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["path", "labels"])
            for path, labels in rows:
                writer.writerow([path, ";".join(labels)])
    return opened("csv", root, outside="allow")


def as_image_folder(root, parts):
    for part, rows in parts.items():
        (root / part).mkdir()
        lines = []
        for path, labels in rows:
            (root / part / path.name).write_bytes(path.read_bytes())
            lines.append(json.dumps({"file_name": path.name, "labels": labels}))
        (root / part / "metadata.jsonl").write_text("\n".join(lines))
    return opened("imagefolder", root)


def as_coco_json(root, parts):
    names = sorted({label for rows in parts.values() for _, labels in rows for label in labels})
    for part, rows in parts.items():
        (root / part).mkdir()
        for path, _ in rows:
            (root / part / path.name).write_bytes(path.read_bytes())
        content = {
            "images": [{"id": number, "file_name": path.name} for number, (path, _) in enumerate(rows)],
            "categories": [{"id": number, "name": name} for number, name in enumerate(names)],
            "annotations": [
                {"image_id": number, "category_id": names.index(label)}
                for number, (_, labels) in enumerate(rows)
                for label in labels
            ],
        }
        (root / f"{part}.json").write_text(json.dumps(content))
    return opened("coco-json", root, keep_unlabelled=True)


def as_tar_shards(root, parts):
    for part, rows in parts.items():
        for shard, start in enumerate(range(0, len(rows), 40)):
            with tarfile.open(root / f"{part}-{shard:03}.tar", "w") as archive:
                for number, (path, labels) in enumerate(rows[start : start + 40], start):
                    for suffix, content in (
                        (path.suffix, path.read_bytes()),
                        (".json", json.dumps({"labels": labels}).encode()),
                    ):
                        entry = tarfile.TarInfo(f"{number:06}{suffix}")
                        entry.size = len(content)
                        archive.addfile(entry, io.BytesIO(content))
    return opened("shards", root)


def as_parquet_shards(root, parts):
    pa = pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'multilabel-bench[parquet]'")
    pq = pytest.importorskip("pyarrow.parquet")
    for part, rows in parts.items():
        for shard, start in enumerate(range(0, len(rows), 40)):
            chosen = rows[start : start + 40]
            columns = {
                "image": [{"bytes": path.read_bytes(), "path": path.name} for path, _ in chosen],
                "labels": pa.array([labels for _, labels in chosen], pa.list_(pa.string())),
            }
            pq.write_table(pa.table(columns), root / f"{part}-{shard:03}.parquet", row_group_size=16)
    return opened("shards", root)


def as_hugging_face(root, parts):
    datasets = pytest.importorskip("datasets", reason="needs datasets: pip install 'multilabel-bench[hf]'")
    names = sorted({label for rows in parts.values() for _, labels in rows for label in labels})
    features = datasets.Features({"image": datasets.Image(), "labels": datasets.List(datasets.ClassLabel(names=names))})
    datasets.DatasetDict(
        {
            part: datasets.Dataset.from_dict(
                {"image": [str(path) for path, _ in rows], "labels": [labels for _, labels in rows]}, features
            )
            for part, rows in parts.items()
        }
    ).save_to_disk(root)
    return opened("huggingface", root)


FORMS = {
    "csv": as_csv,
    "imagefolder": as_image_folder,
    "coco-json": as_coco_json,
    "shards of tar": as_tar_shards,
    "shards of parquet": as_parquet_shards,
    "huggingface": as_hugging_face,
}


def generated(folder: Path):
    """Ten pictures of several file formats and colour modes, with labels; one has none."""
    generator = np.random.default_rng(0)
    words = ["cat", "dog", "tree"]
    kinds = (("RGB", "png"), ("L", "jpg"), ("P", "gif"), ("CMYK", "jpg"), ("I;16", "png"))
    rows = []
    for number in range(10):
        pixels = Image.fromarray(generator.integers(0, 256, (20 + number, 30, 3), dtype=np.uint8))
        mode, suffix = kinds[number % len(kinds)]
        path = folder / f"{number}.{suffix}"
        (pixels.convert("L").convert(mode) if mode == "I;16" else pixels.convert(mode)).save(path)
        rows.append((path, [word for place, word in enumerate(words) if number >> place & 1]))
    return {"train": rows[:7], "test": rows[7:]}


def real(reference_data: Path):
    """The photographs of COCO with their object categories."""
    folder = reference_data / "coco128"
    parts = {}
    for part, split in (("train", "train2017"), ("test", "val2017")):
        content = json.loads((folder / "annotations" / f"instances_{split}.json").read_bytes())
        names = {entry["id"]: entry["name"] for entry in content["categories"]}
        labels = {entry["id"]: set() for entry in content["images"]}
        for entry in content["annotations"]:
            labels[entry["image_id"]].add(names[entry["category_id"]])
        files = {entry["id"]: folder / split / entry["file_name"] for entry in content["images"]}
        parts[part] = [(files[image], sorted(labels[image])) for image in sorted(files)]
    return parts


def tiny_backbone():
    """Average colours on a grid of 4 x 4: features that depend on every pixel, without weights."""
    module = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(4), torch.nn.Flatten())
    return Backbone("colours", module, 48, Preprocessing(size=32, resize=32), "none")


@pytest.mark.parametrize("form", FORMS)
def test_generated_images_are_the_same_data_set_in_every_form(tmp_path, form):
    parts = generated(tmp_path)
    (tmp_path / "form").mkdir()
    dataset = FORMS[form](tmp_path / "form", parts)
    assert dataset.labels == ("cat", "dog", "tree")
    for part, rows in parts.items():
        split = getattr(dataset, part)
        assert [[name for name, is_in in zip(split.labels, row, strict=True) if is_in] for row in split.truth] == [
            labels for _, labels in rows
        ]
        for row, (path, _) in enumerate(rows):
            np.testing.assert_array_equal(split.images.read(row), read_rgb(path))
        assert split.images.content_hash() == FolderImages(tuple(path for path, _ in rows)).content_hash()


@pytest.mark.parametrize("form", FORMS)
def test_a_picture_too_large_is_refused_in_every_form(tmp_path, monkeypatch, form):
    (tmp_path / "form").mkdir()
    dataset = FORMS[form](tmp_path / "form", generated(tmp_path))
    monkeypatch.setattr("bench.data.pictures.LARGEST_PIXELS", 500)
    with pytest.raises(DataError, match=r"cannot read image .*: 30x20 pixels, allowed: 500"):
        dataset.train.images.read(0)


@pytest.mark.parametrize("form", FORMS)
def test_real_photographs_have_the_same_truth_and_features_in_every_form(reference_data, tmp_path, form):
    parts = real(reference_data)
    (tmp_path / "form").mkdir()
    dataset = FORMS[form](tmp_path / "form", parts)
    expected = opened("coco2017", reference_data / "coco128", keep_unlabelled="true")
    order = [dataset.labels.index(label) for label in expected.labels]
    for part in parts:
        split, wanted = getattr(dataset, part), getattr(expected, part)
        np.testing.assert_array_equal(split.truth[:, order], wanted.truth)
        assert split.images.content_hash() == wanted.images.content_hash()
    found, wanted = (
        extract(split, fingerprint(split), tiny_backbone(), tmp_path / "cache").values
        for split in (dataset.test, expected.test)
    )
    assert found.std() > 0
    np.testing.assert_array_equal(found, wanted)

"""A small folder for each data set that reads files, as its users have them, with pictures."""

import io
import json
import tarfile

import numpy as np
from PIL import Image

LABELS = tuple(f"label{number:02}" for number in range(12))
PARTS = {"train": 6, "test": 3}


def labels_of(number):
    return [LABELS[2 * number % 12], LABELS[(2 * number + 1) % 12]]


def picture(part, number):
    seed = number + 100 * (part.startswith(("test", "val")))
    pixels = np.random.default_rng(seed).integers(0, 256, (10, 12, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def pictures(root, folder="{part}", parts=PARTS):
    """Write the pictures of each part and yield part, file name and labels of each."""
    for part, count in parts.items():
        for number in range(count):
            name = f"{part}{number}.png"
            put(root / folder.format(part=part) / name, picture(part, number))
            yield part, name, labels_of(number)


def csv(root):
    rows = list(pictures(root, "images"))
    for part in PARTS:
        lines = [f"images/{name},{';'.join(labels)}" for of, name, labels in rows if of == part]
        put(root / f"{part}.csv", "\n".join(["path,labels", *lines]))


def imagefolder(root):
    for part, name, labels in list(pictures(root)):
        (root / part / name).unlink()
        for label in labels:
            put(root / part / label / name, picture(part, int(name[len(part) : -4])))


def coco(root, parts=None, annotations="annotations/instances_{part}.json"):
    rows = list(pictures(root, parts=parts or {"train2014": 6, "val2014": 3}))
    for part in dict.fromkeys(part for part, _, _ in rows):
        own, first = [(name, labels) for of, name, labels in rows if of == part], 100 * len(part)
        content = {
            "images": [{"id": first + number, "file_name": name} for number, (name, _) in enumerate(own)],
            "categories": [{"id": number + 1, "name": name} for number, name in enumerate(LABELS)],
            "annotations": [
                {"image_id": first + number, "category_id": LABELS.index(label) + 1, "iscrowd": 0}
                for number, (_, labels) in enumerate(own)
                for label in labels
            ],
        }
        put(root / annotations.format(part=part), json.dumps(content))


def coco2017(root):
    coco(root, {"train2017": 6, "val2017": 3})


def coco_json(root):
    coco(root, PARTS, "{part}.json")


def voc(root, labels_of_image=lambda labels: labels):
    parts = {"trainval": 6, "test": 3}
    rows = list(pictures(root, "JPEGImages", parts))
    for part in parts:
        stems = [name[:-4] for of, name, _ in rows if of == part]
        put(root / "ImageSets" / "Main" / f"{part}.txt", "\n".join(stems))
    for _, name, labels in rows:
        (root / "JPEGImages" / name).rename((root / "JPEGImages" / name).with_suffix(".jpg"))
        objects = "".join(
            f"<object><name>{label}</name><difficult>0</difficult></object>" for label in labels_of_image(labels)
        )
        put(root / "Annotations" / f"{name[:-4]}.xml", f"<annotation>{objects}</annotation>")


def voc2007(root):
    from bench_datasets.voc2007 import CLASSES

    voc(root / "VOC2007", lambda labels: CLASSES)


def shards(root):
    for part, count in PARTS.items():
        with tarfile.open(root / f"{part}-000.tar", "w") as archive:
            for number in range(count):
                labels = json.dumps({"labels": labels_of(number)}).encode()
                for suffix, content in (("png", picture(part, number)), ("json", labels)):
                    entry = tarfile.TarInfo(f"{part}/{number}.{suffix}")
                    entry.size = len(content)
                    archive.addfile(entry, io.BytesIO(content))


def nuswide(root):
    rows = list(pictures(root, "images/sky"))
    for name, parts in (("Train", ["train"]), ("Test", ["test"]), ("", list(PARTS))):
        lines = [f"sky\\{image}" for part, image, _ in rows if part in parts]
        put(root / "ImageList" / f"{name}Imagelist.txt", "\n".join(lines))
    put(root / "Concepts81.txt", "\n".join(LABELS))
    for label in LABELS:
        for part in PARTS:
            own = [labels for of, _, labels in rows if of == part]
            text = "".join(f"{int(label in labels)}\n" for labels in own)
            put(root / "Groundtruth" / "TrainTestLabels" / f"Labels_{label}_{part.title()}.txt", text)
    put(root / "TagList1k.txt", "\n".join(LABELS))
    lines = ["\t".join(str(int(label in labels)) for label in LABELS) for _, _, labels in rows]
    put(root / "AllTags1k.txt", "\n".join(lines))


def corel5k(root):
    rows = list(pictures(root, "images"))
    for part in PARTS:
        put(root / f"{part}.tsv", "\n".join(f"{name}\t{','.join(labels)}" for of, name, labels in rows if of == part))


ROOTS = {
    "csv": csv,
    "imagefolder": imagefolder,
    "coco": coco,
    "coco2014": coco,
    "coco2017": coco2017,
    "coco-json": coco_json,
    "voc-folder": voc,
    "voc2007": voc2007,
    "shards": shards,
    "nuswide-81": nuswide,
    "nuswide-1000": nuswide,
    "corel5k": corel5k,
}
"""Data set -> what writes a folder for it."""

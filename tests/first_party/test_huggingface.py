"""Data sets of Hugging Face's library: its own folders, what else it reads, and its hub, which a server here plays."""

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import open_sets
import pytest
from PIL import Image

from bench.data.fingerprint import fingerprint
from bench.errors import DataError, NotRun, UsageError
from bench.testing import check_dataset

datasets = pytest.importorskip("datasets", reason="needs datasets: pip install 'multilabel-bench[hf]'")


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))


opened = partial(open_sets.opened, "huggingface")


def picture(shade=0):
    return Image.new("RGB", (9, 9), (shade, 0, 0))


def saved(root, kind, labels, splits=("train", "test")):
    """Save the rows, each with a picture, as every split."""
    features = datasets.Features({"image": datasets.Image(), "labels": kind})
    rows = {"image": [picture(10 * row) for row in range(len(labels))], "labels": labels}
    parts = {split: datasets.Dataset.from_dict(rows, features) for split in splits}
    datasets.DatasetDict(parts).save_to_disk(root)
    return root


CLASSES = datasets.ClassLabel(names=["cat", "dog"])
BOTH = [[True, False], [True, True]]


@pytest.mark.parametrize(
    ("kind", "labels"),
    [
        (datasets.List(CLASSES), [[0], [1, 0]]),
        (datasets.List(datasets.Value("string")), [["cat"], ["dog", "cat"]]),
        (datasets.List(datasets.Value("int8"), length=2), [[1, 0], [1, 1]]),
        (datasets.List(datasets.Value("bool")), [[True, False], [True, True]]),
        (datasets.List({"category": CLASSES}), [[{"category": 0}], [{"category": 1}, {"category": 0}]]),
        ({"category": datasets.List(CLASSES)}, [{"category": [0, 0]}, {"category": [0, 1]}]),
    ],
)
def test_labels_are_found_by_their_type(tmp_path, kind, labels):
    root = saved(tmp_path / "set", kind, labels)
    (root / "labels.txt").write_text("cat\ndog\n")
    dataset = opened(root)
    assert dataset.labels == ("cat", "dog")
    assert dataset.train.truth.tolist() == BOTH
    assert int(dataset.train.images.read(1)[0, 0, 0]) == 10


def test_it_keeps_its_contract(tmp_path):
    features = datasets.Features({"image": datasets.Image(), "labels": datasets.List(datasets.Value("string"))})
    labels = [["a"], ["b", "c"], ["c"], ["a", "b"]]
    rows = [{"image": [picture(20 * row + shade) for row in range(4)], "labels": labels} for shade in (0, 9)]
    train, test = (datasets.Dataset.from_dict(own, features) for own in rows)
    datasets.DatasetDict({"train": train, "test": test}).save_to_disk(tmp_path / "set")
    check_dataset("huggingface", tmp_path / "set")


def test_one_class_a_row_and_text_can_be_read_too(tmp_path):
    assert opened(saved(tmp_path / "one", CLASSES, [1, 0])).train.truth.tolist() == [[False, True], [True, False]]
    root = saved(tmp_path / "text", datasets.Value("string"), ["cat", "dog; cat"])
    with pytest.raises(DataError, match=r"text/train: no column is sure to hold the labels.*labels \(string\)"):
        opened(root)
    assert opened(root, labels_column="labels").train.truth.tolist() == BOTH


def test_splits_are_named_sliced_and_kept_apart(tmp_path):
    root = saved(tmp_path / "set", datasets.List(CLASSES), [[0, 1]] * 10, ("train", "validation"))
    with pytest.raises(UsageError, match=r"no split 'test', found: train, validation. Try: .* 'train\[:80%\]'"):
        opened(root)
    dataset = opened(root, test="validation")
    assert dataset.validation is None
    sliced = opened(root, train="train[:70%]", test="train[70%:]")
    assert (len(sliced.train), len(sliced.validation), len(sliced.test)) == (7, 10, 3)
    assert sliced.test.ids == ("train/7", "train/8", "train/9")
    assert sliced.test.images.describe(0) == f"{root}/train row 7"
    assert int(sliced.test.images.read(0)[0, 0, 0]) == 70
    with pytest.raises(DataError, match="1 images are in both"):
        opened(root, train="train[:5]", test="train[4:]")


def test_a_fingerprint_follows_the_bytes_of_the_images(tmp_path):
    first = saved(tmp_path / "first", datasets.List(CLASSES), [[0, 1], [1]])
    again = saved(tmp_path / "again", datasets.List(CLASSES), [[0, 1], [1]])
    other = datasets.load_from_disk(first).map(lambda row: row | {"image": picture(200)}, load_from_cache_file=False)
    other.save_to_disk(tmp_path / "other")
    prints = [fingerprint(opened(root).train) for root in (first, again, tmp_path / "other")]
    assert prints[0] == prints[1] != prints[2]


def test_folders_and_archives_of_images_are_read(tmp_path):
    for part in ("train", "test"):
        folder = tmp_path / "folder" / part
        folder.mkdir(parents=True)
        lines = []
        for name, labels in (("a.png", ["cat"]), ("b.png", ["dog", "cat"])):
            picture(50).save(folder / name)
            lines.append(json.dumps({"file_name": name, "labels": labels}))
        (folder / "metadata.jsonl").write_text("\n".join(lines))
        (tmp_path / "packed").mkdir(exist_ok=True)
        with zipfile.ZipFile(tmp_path / "packed" / f"{part}.zip", "w") as archive:
            for path in sorted(folder.iterdir()):
                archive.write(path, path.name)
    plain, packed = opened(tmp_path / "folder"), opened(tmp_path / "packed")
    assert plain.train.truth.tolist() == packed.train.truth.tolist() == BOTH
    assert int(packed.train.images.read(0)[0, 0, 0]) == 50
    assert fingerprint(packed.train) == fingerprint(plain.train)
    (tmp_path / "folder" / "train" / "a.png").unlink()
    with pytest.raises(DataError, match=r"cannot read image .*folder/train row 0: no file .*a.png"):
        plain.train.images.read(0)


def test_an_edited_file_is_read_anew_though_its_time_is_kept(tmp_path):
    """A copy may keep the time of modification, by which the library finds what it has read of a file."""
    for labels in (["cat", "dog"], ["dog", "cat"]):
        rows = datasets.Dataset.from_dict(
            {"image": [picture(), picture(50)], "labels": [[label] for label in labels]},
            datasets.Features({"image": datasets.Image(), "labels": datasets.List(datasets.Value("string"))}),
        )
        for split in ("train", "test"):
            rows.to_parquet(tmp_path / f"{split}.parquet")
            os.utime(tmp_path / f"{split}.parquet", (1_000_000_000, 1_000_000_000))
        dataset = opened(tmp_path)
        found = [[dataset.labels[column] for column in row.nonzero()[0]] for row in dataset.train.truth]
        assert found == [[label] for label in labels]


@pytest.mark.parametrize("field", [False, True])
@pytest.mark.parametrize("where", ["another split", "another shard", "README.md"])
def test_numbers_are_not_read_by_the_classes_of_another_file(tmp_path, where, field):
    """As the library does: dog would be called cat, and cat dog."""

    def features(classes):
        return datasets.Features(
            {"image": datasets.Image(), "labels": datasets.List({"category": classes} if field else classes)}
        )

    turned = datasets.ClassLabel(names=["dog", "cat"])
    files = {"train-0": CLASSES, "train-1": CLASSES, "test": CLASSES}
    files |= {"another split": {"test": turned}, "another shard": {"train-1": turned}}.get(where, {})
    for name, classes in files.items():
        labels = [[{"category": label}] if field else [label] for label in ("cat", "dog")]
        rows = datasets.Dataset.from_dict({"image": [picture(1), picture(2)], "labels": labels}, features(classes))
        rows.to_parquet(tmp_path / f"{name}.parquet")
    if where == "README.md":
        info = datasets.DatasetInfo(features=features(turned))
        datasets.info.DatasetInfosDict({"default": info}).write_to_directory(tmp_path)
    with pytest.raises(DataError, match=r"\.parquet: the classes of '.*' are (cat, dog|dog, cat); the numbers would"):
        opened(tmp_path)


@pytest.mark.parametrize("odd", ["train-1", "test"])
def test_numbers_of_a_file_are_not_made_names_of(tmp_path, odd):
    """As the library does where the first file has texts."""
    for name in ("train-0", "train-1", "test"):
        kind = datasets.Value("int64" if name == odd else "string")
        labels = [[0], [1]] if name == odd else [["cat"], ["dog"]]
        features = datasets.Features({"image": datasets.Image(), "labels": datasets.List(kind)})
        rows = datasets.Dataset.from_dict({"image": [picture(1), picture(2)], "labels": labels}, features)
        rows.to_parquet(tmp_path / f"{name}.parquet")
    with pytest.raises(DataError, match=rf"{odd}.parquet: column 'labels' holds .*int64.*, that of other files texts"):
        opened(tmp_path)


def test_an_archive_written_anew_in_one_process_is_read_anew(tmp_path):
    for shade in (10, 200):
        for split in ("train", "test"):
            picture(shade).save(tmp_path / "1.png")
            lines = '{"file_name": "1.png", "labels": ["cat"]}'
            with zipfile.ZipFile(tmp_path / f"{split}.zip", "w") as archive:
                archive.write(tmp_path / "1.png", "1.png")
                archive.writestr("metadata.jsonl", lines)
            (tmp_path / "1.png").unlink()
        assert opened(tmp_path).train.images.read(0)[0, 0].tolist() == [shade, 0, 0]


def test_what_cannot_be_opened_is_one_clear_line(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"'datasets' cannot open .*empty: .* any data files"):
        opened(tmp_path / "empty")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "code.py").write_text("raise SystemExit('the code of a data set was run')")
    with pytest.raises(DataError, match=r"'datasets' cannot open .*code: .* no longer supported"):
        opened(tmp_path / "code")
    root = saved(tmp_path / "cut", datasets.List(CLASSES), [[0, 1]] * 20)
    arrow = next((root / "train").glob("*.arrow"))
    arrow.write_bytes(arrow.read_bytes()[: arrow.stat().st_size // 2])
    with pytest.raises(DataError, match=r"'datasets' cannot open .*cut: "):
        opened(root)


def test_a_row_may_not_point_at_a_device_or_at_nothing(tmp_path):
    root = saved(tmp_path / "set", datasets.List(CLASSES), [[0, 1], [1]])
    images = opened(root).train.images
    for path, message in (
        ("/dev/zero", "no file /dev/zero"),
        ("https://there/a.png", "no file https:"),
        (None, "none"),
    ):
        rows = datasets.Dataset.from_dict({"image": [{"bytes": None, "path": path}]}).with_format("arrow")
        with pytest.raises(DataError, match=f"cannot read image .* row 0: .*{message}"):
            replace(images, rows=rows).read(0)


def test_splits_with_other_classes_are_refused(tmp_path):
    parts = {}
    for part, names in (("train", ["cat", "dog"]), ("test", ["dog", "cat"])):
        features = datasets.Features(
            {"image": datasets.Image(), "labels": datasets.List(datasets.ClassLabel(names=names))}
        )
        parts[part] = datasets.Dataset.from_dict({"image": [picture()], "labels": [[0, 1]]}, features)
    datasets.DatasetDict(parts).save_to_disk(tmp_path)
    with pytest.raises(DataError, match="'test' has other classes than 'train'"):
        opened(tmp_path)


def test_a_name_or_a_folder_is_needed_and_not_both(tmp_path):
    with pytest.raises(UsageError, match=r"found no name and no folder. Try: --set dataset.path=OWNER/NAME"):
        opened(None)
    with pytest.raises(UsageError, match=r"found both a hub's name and a folder"):
        opened(tmp_path, path="owner/name")
    for name in ("csv", "../x/y", "hf://datasets/a/b", str(tmp_path)):
        with pytest.raises(UsageError, match=r"dataset.path: found '.*', allowed: OWNER/NAME as on the hub"):
            opened(None, path=name)


def test_a_library_that_runs_code_of_data_sets_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.__version__", "3.6.0")
    with pytest.raises(
        NotRun, match=r"datasets 3.6.0 is installed, and may run code of a data set; needed: 4 or newer"
    ):
        opened(tmp_path)


def test_without_the_library_the_remedy_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(NotRun, match=r"'datasets' is not installed. Try: pip install 'multilabel-bench\[hf\]'"):
        opened(tmp_path)


COMMIT = "a" * 40


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of the hub as opening one data set, owner/name, asks for."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, code, body=b"{}", **headers):
        self.send_response(code)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path, root = Path(self.path.partition("?")[0]), self.server.root
        if path.is_relative_to(files := Path("/datasets/owner/name/resolve")):
            file = root / Path(*path.relative_to(files).parts[1:])
            if not file.is_file():
                return self.answer(404, X_Error_Code="EntryNotFound", X_Repo_Commit=COMMIT)
            content = file.read_bytes()
            return self.answer(200, content, ETag=hashlib.sha1(content).hexdigest(), X_Repo_Commit=COMMIT)
        if path.is_relative_to(tree := Path("/api/datasets/owner/name/tree")):
            folder = root / Path(*path.relative_to(tree).parts[1:])
            listed = [
                {"path": str(entry.relative_to(root)), "size": entry.stat().st_size, "oid": "b" * 40}
                | {"type": "file" if entry.is_file() else "directory"}
                for entry in folder.glob("*")
            ]
            return self.answer(200, json.dumps(listed).encode())
        if path.is_relative_to("/api/datasets/owner/name"):
            siblings = [{"rfilename": str(file.relative_to(root))} for file in root.rglob("*")]
            return self.answer(200, json.dumps({"id": "owner/name", "sha": COMMIT, "siblings": siblings}).encode())
        return self.answer(404, X_Error_Code="RepoNotFound")


@pytest.fixture
def hub(tmp_path):
    """A hub with one data set of two Parquet files, and a command that opens it in a process of its own."""
    root = tmp_path / "hub"
    (root / "data").mkdir(parents=True)
    for part in datasets.load_from_disk(saved(tmp_path / "set", datasets.List(CLASSES), [[0], [1, 0]])).items():
        part[1].to_parquet(root / "data" / f"{part[0]}-00000-of-00001.parquet")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.root = root
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    def stats(name="owner/name", **environment):
        address = {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_HOME": str(tmp_path / "home")}
        program = [sys.executable, "-P", "-c", "import bench.cli; bench.cli.main()"]
        return subprocess.run(
            [*program, "data", "stats", "huggingface", "--json", "--set", f"dataset.path={name}"],
            env=os.environ | address | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    yield root, stats
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_set_of_the_hub_is_read_by_its_name(hub):
    _, stats = hub
    result = stats()
    assert result.returncode == 0, result.stderr
    described = json.loads(result.stdout)
    assert described["variant"] == "owner/name: train 2 / test 2 images, 2 labels"
    assert described["splits"]["train"]["label_counts"] == {"cat": 2, "dog": 1}
    assert not result.stderr


def test_a_script_on_the_hub_is_refused(hub):
    root, stats = hub
    (root / "name.py").write_text("raise SystemExit('the code of a data set was run')")
    result = stats()
    assert result.returncode == 2
    assert result.stderr.startswith("error: 'datasets' cannot open owner/name: Dataset scripts are no longer supported")
    assert result.stderr.count("\n") == 1


def test_without_the_hub_a_set_that_is_not_here_is_not_run(hub):
    _, stats = hub
    result = stats(HF_HUB_OFFLINE="1")
    assert result.returncode == 2
    assert result.stderr == (
        "not run: the Hugging Face hub cannot be reached, and its cache here does not hold 'owner/name'\n"
    )


def test_scores_of_objects_have_a_word(tmp_path):
    kind = datasets.List({"category": CLASSES, "Score": datasets.Value("float32")})
    root = saved(tmp_path, kind, [[{"category": 0, "Score": 0.1}], [{"category": 1, "Score": 0.9}]])
    told = "train: objects have a field 'Score', and count as labels whatever it says"
    assert any(note.endswith(told) for note in opened(root).notes)

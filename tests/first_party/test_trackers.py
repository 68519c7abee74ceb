"""What the first-party trackers write, read back with the trackers' own readers."""

import csv
import io
import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench import TrackerError, plugins
from bench.show import tracking
from bench.show.tracking import Destination
from bench.store.run_folder import RunFolder

# MLflow's own use of SQLAlchemy.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

Make = Callable[..., RunFolder]
CURVES = {
    "training/loss": {1: 3.0, 2: 1.5},
    "training/learning_rate": {1: 0.001, 2: 0.001},
    "validation/score": {1: 0.25, 2: 0.5},
    "tried lr 0.01/training/loss": {1: 2.0},
    "tried lr 0.01/training/learning_rate": {1: 0.01},
    "tried lr 0.01/validation/score": {1: 0.3},
}
VALUES = {"O-F1": 0.5, "mAP": 0.25, "MAP@10_image": 0.75}


def destination(name: str, folder: Path, **options: str) -> Destination:
    (found,) = tracking.destinations([name], options, folder, plugins.installed())
    return found


def send(place: Destination, *folders: RunFolder) -> list[str]:
    """Tell ``place`` of runs, and of their comparison where there are several."""
    summaries = [folder.summary() for folder in folders]
    return tracking.send(place, [tracking.tracked_run(run) for run in summaries], tracking.comparisons(summaries))


@pytest.fixture
def two_runs(stored_run: Make) -> tuple[RunFolder, RunFolder]:
    return stored_run("bce", values=VALUES), stored_run("warp", values=VALUES | {"O-F1": 0.25})


def once(points: list[tuple[int, float]]) -> dict[int, float]:
    """The points of a curve by epoch; an epoch that stands twice fails."""
    assert len({epoch for epoch, _ in points}) == len(points)
    return dict(points)


@pytest.mark.parametrize("name", ["tensorboard", "mlflow", "wandb"])
def test_a_tracker_whose_package_is_absent_says_how_to_install_it(
    name: str, stored_run: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [module for module in sys.modules if module.split(".")[0] == name]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(TrackerError, match=rf"{name}.*Try: pip install 'multilabel-bench\[{name}\]'$"):
        send(destination(name, tmp_path / "told"), stored_run())
    assert not (tmp_path / "told").exists()


def events(folder: str) -> Any:
    pytest.importorskip("tensorboard", reason="not installed: pip install 'multilabel-bench[tensorboard]'")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(folder, size_guidance={"scalars": 0, "tensors": 0})
    accumulator.Reload()
    return accumulator


def scalars(accumulator: Any) -> dict[str, dict[int, float]]:
    tags = [tag for tag in accumulator.Tags()["tensors"] if "/" in tag and not tag.startswith("_")]
    return {tag: once([(e.step, e.tensor_proto.float_val[0]) for e in accumulator.Tensors(tag)]) for tag in tags}


def text(accumulator: Any, tag: str) -> str:
    (event,) = accumulator.Tensors(tag)
    return str(event.tensor_proto.string_val[0].decode())


def test_tensorboard_holds_curves_measures_config_and_tables(
    two_runs: tuple[RunFolder, RunFolder], tmp_path: Path
) -> None:
    pytest.importorskip("tensorboard", reason="not installed: pip install 'multilabel-bench[tensorboard]'")
    first, _, compared = send(destination("tensorboard", tmp_path), *two_runs)
    assert Path(first) == tmp_path / "tensorboard" / "toy" / "bce" / two_runs[0].key
    run = events(first)
    expected = CURVES | {f"test/{name}": {0: value} for name, value in VALUES.items()}
    # Its scalars have 32 bits.
    assert scalars(run) == {tag: pytest.approx(points, rel=1e-6) for tag, points in expected.items()}
    assert "| dog |  |" in text(run, "per_class")
    assert "| cat | 1 |" in text(run, "per_class")
    assert "| warp | 1 | 25 |" in text(events(compared), "comparison")

    from tensorboard.plugins.hparams import plugin_data_pb2

    content = run.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    options = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info.hparams
    assert options["model.name"].string_value == "bce"
    assert options["training.epochs"].number_value == 2


def test_tensorboard_holds_a_run_once_however_often_it_is_told(
    two_runs: tuple[RunFolder, RunFolder], tmp_path: Path
) -> None:
    pytest.importorskip("tensorboard", reason="not installed: pip install 'multilabel-bench[tensorboard]'")
    place = destination("tensorboard", tmp_path)
    (folder,) = send(place, two_runs[0])
    before = (Path(folder) / "events.out.tfevents.bench").read_bytes()
    assert send(place, two_runs[0]) == [folder]
    (file,) = Path(folder).iterdir()
    assert file.read_bytes() == before
    assert scalars(events(folder))["training/loss"] == CURVES["training/loss"]


def test_tensorboard_is_written_without_torch(two_runs: tuple[RunFolder, RunFolder], tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="not installed: pip install 'multilabel-bench[tensorboard]'")
    code = (
        "import sys; from bench.cli import run_command_line; assert run_command_line(sys.argv[1:]) == 0;"
        "heavy = {'torch', 'tensorflow', 'onnxruntime', 'matplotlib'} & set(sys.modules); assert not heavy, heavy"
    )
    root = two_runs[0].path.parents[2]
    arguments = ["track", "--to", "tensorboard", "--runs", str(root), "--out", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-P", "-W", "error", "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3


@pytest.fixture(scope="module")
def mlflow_store(tmp_path_factory: pytest.TempPathFactory) -> Destination:
    """A local MLflow store, whose database takes seconds to make."""
    pytest.importorskip("mlflow", reason="not installed: pip install 'multilabel-bench[mlflow]'")
    place = destination("mlflow", tmp_path_factory.mktemp("told"), experiment="toys")
    tracking.send(place, [])
    return place


def mlflow_runs(place: Destination) -> tuple[Any, dict[str, Any]]:
    """The store's client, and its runs by our key; a key that stands twice fails."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{place.request.folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("toys")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id])
    keys = [run.data.tags["bench.key"] for run in found]
    assert len(set(keys)) == len(keys)
    return client, dict(zip(keys, found, strict=True))


def artifact(client: Any, run: Any, name: str, folder: Path) -> list[list[str]]:
    path = client.download_artifacts(run.info.run_id, name, str(folder))
    return list(csv.reader(io.StringIO(Path(path).read_text())))


def test_mlflow_holds_curves_measures_config_and_tables(
    mlflow_store: Destination, two_runs: tuple[RunFolder, RunFolder], tmp_path: Path
) -> None:
    told = send(mlflow_store, *two_runs)
    client, runs = mlflow_runs(mlflow_store)
    run = runs[two_runs[0].key]
    assert told[0].endswith(run.info.run_id)
    assert (run.info.run_name, run.info.status) == ("toy bce seed 0", "FINISHED")
    assert run.data.params["model.name"] == "bce"
    assert run.data.params["dataset.fingerprints.test"] == "cccc"
    assert run.data.metrics["test/O-F1"] == 0.5
    assert run.data.metrics["test/MAP_at_10_image"] == 0.75
    for name, points in CURVES.items():
        history = client.get_metric_history(run.info.run_id, name)
        assert once([(metric.step, metric.value) for metric in history]) == points
    assert artifact(client, run, "per_class.csv", tmp_path)[:3] == [["label", "ap"], ["cat", "1.0"], ["dog", ""]]
    (compared,) = [one for one in runs.values() if one.info.run_name.startswith("comparison toy")]
    rows = artifact(client, compared, "comparison.csv", tmp_path)
    assert [row[:3] for row in rows] == [["model", "seeds", "O-F1"], ["bce", "1", "50.0"], ["warp", "1", "25.0"]]
    assert "* a note" in compared.data.tags["mlflow.note.content"]


def test_mlflow_keeps_a_run_that_is_the_same_and_replaces_one_that_is_not(
    mlflow_store: Destination, stored_run: Make
) -> None:
    folder = stored_run("softmax", values=VALUES)
    first, again = send(mlflow_store, folder), send(mlflow_store, folder)
    assert first == again
    folder.write_training(folder.read_training() | {"history": []})
    assert send(mlflow_store, folder) != first
    _, runs = mlflow_runs(mlflow_store)
    assert "training/loss" not in runs[folder.key].data.metrics
    assert runs[folder.key].data.metrics["test/O-F1"] == 0.5


def test_mlflow_with_a_server_that_is_down_is_one_line(
    stored_run: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow", reason="not installed: pip install 'multilabel-bench[mlflow]'")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    place = destination("mlflow", tmp_path, uri="http://127.0.0.1:9")
    with pytest.raises(TrackerError) as error:
        send(place, stored_run())
    assert "127.0.0.1" in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "mlflow").exists()


def test_mlflow_does_not_wait_for_minutes_at_a_server_that_is_silent(
    stored_run: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow", reason="not installed: pip install 'multilabel-bench[mlflow]'")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT", raising=False)

    def silent(uri: str) -> None:
        raise TimeoutError(f"{os.environ['MLFLOW_HTTP_REQUEST_TIMEOUT']} s")

    monkeypatch.setattr(mlflow, "MlflowClient", silent)
    with pytest.raises(TrackerError, match="TimeoutError: 30 s"):
        send(destination("mlflow", tmp_path, uri="http://127.0.0.1:9"), stored_run())


def wandb_records(folder: Path) -> Iterator[Any]:
    """The records of an offline run: protocol buffers in a log of 32 KiB blocks, as LevelDB writes it."""
    from wandb.proto import wandb_internal_pb2

    (file,) = folder.glob("run-*.wandb")
    content, position, parts = file.read_bytes(), 7, b""
    assert content[:4] == b":W&B"
    while position + 7 <= len(content):
        if 32768 - position % 32768 < 7:
            position += 32768 - position % 32768
            continue
        _, length, kind = struct.unpack_from("<IHB", content, position)
        parts += content[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in {1, 4}:  # a whole record, or the last part of one
            record = wandb_internal_pb2.Record()
            record.ParseFromString(parts)
            parts = b""
            yield record


@pytest.fixture
def no_wandb_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which nobody has logged in to W&B."""
    pytest.importorskip("wandb", reason="not installed: pip install 'multilabel-bench[wandb]'")
    for variable in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("NETRC", str(tmp_path / "absent"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "config"))


@pytest.mark.usefixtures("no_wandb_account")
def test_wandb_holds_curves_measures_config_and_tables(two_runs: tuple[RunFolder, RunFolder], tmp_path: Path) -> None:
    told = [Path(place) for place in send(destination("wandb", tmp_path, project="toys"), *two_runs)]
    assert all(folder.name.startswith("offline-run-") for folder in told)
    records = list(wandb_records(told[0]))
    run = next(one.run for one in records if one.WhichOneof("record_type") == "run")
    assert (run.run_id, run.project, run.display_name) == (two_runs[0].key, "toys", "toy bce seed 0")
    assert (run.run_group, run.job_type, run.host) == ("toy", "bce", "")
    config = {item.key: json.loads(item.value_json) for item in run.config.update}
    assert (config["model.name"], config["training.epochs"]) == ("bce", 2)

    curves: dict[str, list[tuple[int, float]]] = {}
    for one in records:
        if one.WhichOneof("record_type") == "history":
            for item in one.history.item:
                name = "/".join(item.nested_key) or item.key
                curves.setdefault(name, []).append((one.history.step.num, json.loads(item.value_json)))
    assert {name: once(curves[name]) for name in CURVES} == CURVES
    summary: dict[str, Any] = {}
    for one in records:
        for item in one.summary.update:
            summary["/".join(item.nested_key) or item.key] = json.loads(item.value_json)
    assert {name: summary[f"test/{name}"] for name in VALUES} == VALUES

    def table(folder: Path) -> dict[str, Any]:
        (file,) = (folder / "files" / "media" / "table").iterdir()
        return json.loads(file.read_text())  # type: ignore[no-any-return]

    assert table(told[0])["data"] == [["cat", 1.0], ["dog", None], ["cow", 0.5]]
    assert table(told[2])["columns"][:3] == ["model", "seeds", "O-F1"]
    assert [row[:3] for row in table(told[2])["data"]] == [["bce", 1, 50.0], ["warp", 1, 25.0]]


@pytest.mark.usefixtures("no_wandb_account")
def test_wandb_holds_a_run_once_however_often_it_is_told(two_runs: tuple[RunFolder, RunFolder], tmp_path: Path) -> None:
    place = destination("wandb", tmp_path)
    for _ in range(3):
        told = send(place, *two_runs)
    folders = {Path(folder) for folder in told}
    assert set((tmp_path / "wandb" / "wandb").glob("offline-run-*")) == folders
    assert len(folders) == 3


@pytest.mark.usefixtures("no_wandb_account")
def test_wandb_online_without_a_key_is_one_line_and_asks_nothing(stored_run: Make, tmp_path: Path) -> None:
    with pytest.raises(TrackerError, match=r"^no W&B key on this machine. Try: wandb login, or --set mode=offline$"):
        send(destination("wandb", tmp_path / "told", mode="online"), stored_run())
    assert not (tmp_path / "told").exists()


@pytest.fixture
def stranger(tmp_path: Path) -> dict[str, str]:
    """An environment that says neither that this is a test nor CI, in which packages keep their telemetry off."""
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}


def test_mlflow_looks_up_no_address_and_connects_to_none(
    mlflow_store: Destination, two_runs: tuple[RunFolder, RunFolder], stranger: dict[str, str]
) -> None:
    code = """if True:
        import sys
        seen = []
        def hook(event, arguments):
            if event == "socket.getaddrinfo" or (event == "socket.connect" and isinstance(arguments[1], tuple)):
                seen.append(arguments[:2])
        sys.addaudithook(hook)
        from bench.cli import run_command_line
        assert run_command_line(sys.argv[1:]) == 0
        assert not seen, seen
    """
    folders = ["--runs", str(two_runs[0].path.parents[2]), "--out", str(mlflow_store.request.folder.parent)]
    command = [sys.executable, "-P", "-c", code, "track", two_runs[0].key, "--to", "mlflow", *folders]
    done = subprocess.run(command, env=stranger, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_wandb_looks_up_no_address_and_connects_to_none(
    two_runs: tuple[RunFolder, RunFolder], tmp_path: Path, stranger: dict[str, str]
) -> None:
    pytest.importorskip("wandb", reason="not installed: pip install 'multilabel-bench[wandb]'")
    code = "import sys; from bench.cli import run_command_line; sys.exit(run_command_line(sys.argv[1:]))"
    folders = ["--runs", str(two_runs[0].path.parents[2]), "--out", str(tmp_path)]
    # What sends is a process of its own, not Python.
    watched = ["strace", "-f", "-qq", "-e", "trace=connect", "-o", str(tmp_path / "trace")]
    command = [*watched, sys.executable, "-P", "-c", code, "track", two_runs[0].key, "--to", "wandb", *folders]
    done = subprocess.run(command, env=stranger, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    connections = (tmp_path / "trace").read_text()
    assert "AF_UNIX" in connections  # the trace does show what connects
    assert "AF_INET" not in connections

"""How a run is named: by its row in ``bench runs``, by the first digits of its key, by its folder; and its data set."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from example_runs import make_run, run_config

import bench
from bench import StoreError
from bench.cli import run_command_line
from bench.cli.choose import run_summaries
from bench.show import tables
from bench.show.report import order
from bench.store import following, runs
from bench.store.derived import derive
from bench.store.run_folder import RunFolder


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A store with six runs, of which one failed."""
    root = tmp_path_factory.mktemp("naming") / "runs"
    for model in ("bce", "warp"):
        for seed in range(3):
            folder = make_run(root, model, seed)
    folder.fail("train", "the loss became NaN")
    return root


def keyed(monkeypatch, *keys):
    """A store whose runs have these keys, as the names of their folders."""
    held = [RunFolder(Path("runs/toy/bce") / key) for key in keys]
    monkeypatch.setattr(runs, "in_rows", lambda root: held)
    return held


def test_a_row_of_the_list_names_its_run(root, capsys):
    assert run_command_line(["runs", "--runs", str(root), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [entry["row"] for entry in listed] == [1, 2, 3, 4, 5, 6]
    for entry in listed:
        for name in (str(entry["row"]), entry["short"], entry["short"].upper(), entry["key"]):
            assert runs.named(name, root).key == entry["key"]
        below = Path(entry["folder"]).relative_to(root)
        assert runs.named(str(below), root).key == entry["key"]
    assert len(runs.all_named("toy/bce", root)) == len(runs.all_named("toy", root)) / 2 == 3
    assert run_command_line(["config", "2", "5", "--runs", str(root)]) == 0


def test_a_new_run_moves_no_row(root, tmp_path):
    shutil.copytree(root, tmp_path / "runs")
    before = [folder.key for folder in runs.in_rows(tmp_path / "runs")]
    new = make_run(tmp_path / "runs", "aaa")
    assert [folder.key for folder in runs.in_rows(tmp_path / "runs")] == [*before, new.key]
    assert before == [folder.key for folder in runs.in_rows(root)]


def test_a_filter_changes_no_row(root, capsys):
    failed = ["runs", "--runs", str(root), "--state", "failed", "--json"]
    assert run_command_line(failed) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert runs.in_rows(root)[entry["row"] - 1].key == entry["key"]
    assert entry["reason"] == "train: the loss became NaN"


def test_the_list_shows_rows_keys_measures_and_times_within_eighty_columns(root, capsys):
    assert run_command_line(["runs", "--runs", str(root)]) == 0
    shown = capsys.readouterr().out
    _, header, _, *rows = [line for line in shown.splitlines() if line.strip()]
    assert header.split() == ["row", "key", "data", "set", "model", "seed", "O-F1", "mAP", "took", "when"]
    assert max(map(len, (header, *rows[:6]))) <= 80
    assert all(re.match(r" +\d  [0-9a-f]{6,}  toy +(bce|warp) +\d ", row) for row in rows[:6])
    assert sum(row.rstrip().endswith("failed") for row in rows[:6]) == 1
    assert "50.0  25.0   2 s" in rows[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ab", "2 runs under runs begin so: 2 ab1111 bce; 3 ab2222 bce"),
        ("zz", r"nor a row; there are \(row, key, model\) 1 100011 bce; 2 ab1111 bce; 3 ab2222 bce"),
        ("99", "nor a row; there are"),
        ("0", "nor a row"),
    ],
)
def test_a_name_of_none_or_of_several_says_in_one_line_what_there_is(monkeypatch, text, words):
    keyed(monkeypatch, "1000110000000000", "ab11110000000000", "ab22220000000000")
    with pytest.raises(StoreError, match=words) as error:
        runs.named(text, Path("runs"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", " "])
def test_an_empty_name_is_not_the_folder_one_works_in(root, monkeypatch, text):
    """As of a variable that is not set."""
    monkeypatch.chdir(root)
    assert runs.all_named(".", root)
    with pytest.raises(StoreError, match=r"no run '.?': it is empty"):
        runs.all_named(text, root)


def test_a_folder_called_as_a_key_in_a_hidden_one_is_no_run(root, monkeypatch):
    """As Hypothesis has them in the folder in which tests were run."""
    (root / ".hypothesis" / "examples" / "0123456789abcdef").mkdir(parents=True)
    monkeypatch.chdir(root)
    for found in (runs.all_named(".", root), runs.find(root)):
        assert found
        assert "0123456789abcdef" not in {folder.path.name for folder in found}


def test_few_digits_are_a_row_and_more_are_a_key_or_said_to_be_both(monkeypatch):
    held = keyed(monkeypatch, *(f"{number:04}{number:012x}" for number in range(1230, 1236)), *(["f" * 16] * 1300))
    assert runs.named("1", Path("runs")) == held[0]
    assert runs.named("6", Path("runs")) == held[5]
    with pytest.raises(StoreError, match="it is row 1231, and keys begin so: 2 1231"):
        runs.named("1231", Path("runs"))
    assert runs.named("12310", Path("runs")) == held[1]


def test_a_short_key_names_one_run_alone(monkeypatch):
    held = keyed(monkeypatch, "abcdef1200000000", "abcdef1300000000", "1200000000000000")
    assert list(runs.short_keys(held).values()) == ["abcdef12", "abcdef13", "120000"]
    for folder, short in zip(held, runs.short_keys(held).values(), strict=True):
        assert runs.named(short, Path("runs")) == folder


def test_a_name_that_one_run_was_given_stands_over_all_runs_on_its_images(tmp_path, capsys):
    root = tmp_path / "runs"
    plain, _ = make_run(root, "bce"), named_dataset(make_run(root, "warp"), "posters")
    summaries = [folder.summary() for folder in runs.find(root)]
    assert tables.build(summaries).title.startswith("posters; ")
    assert list(tables.by_dataset(iter(summaries))) == order.headings([summaries]) == ["posters"]
    prints = plain.config["dataset"]["fingerprints"]
    assert runs.given_name(root, "toy", prints) == "posters"
    assert not runs.given_name(root, "toy", prints | {"test": "z"})
    assert run_command_line(["run", "--model", "bce", "--dataset", "posters", "--out", str(root)]) == 2
    assert "call a data set 'toy'. Try: --dataset toy" in capsys.readouterr().err
    named_dataset(make_run(root, "softmax"), "flyers")
    assert not runs.given_name(root, "toy", prints)


def named_dataset(folder, name):
    folder.write_about(replace(folder.read_about(), dataset=name))
    return folder


def test_a_given_name_is_shown_and_found_and_compares_by_fingerprint_alone(tmp_path, capsys):
    root = tmp_path / "runs"
    posters = [named_dataset(make_run(root, "bce"), "posters"), named_dataset(make_run(root, "warp"), "my posters")]
    other = run_config()["dataset"] | {"fingerprints": {"train": "x", "validation": "y", "test": "z"}}
    make_run(root, "bce", 1, dataset=other)
    summaries = [folder.summary() for folder in runs.find(root)]
    assert {name: len(group) for name, group in tables.by_dataset(summaries).items()} == {"posters": 2, "toy": 1}
    assert len(tables.build([folder.summary() for folder in posters]).rows) == 2
    for command in ("table", "runs"):
        assert run_command_line([command, "--runs", str(root), "--dataset", "posters"]) == 0
        shown = capsys.readouterr().out
        assert "posters" in shown
        assert "warp" not in shown
    assert [run.model for run in bench.runs(root, dataset="posters")] == ["bce"]
    assert [run.dataset for run in bench.runs(root, dataset="toy")] == ["toy", "posters", "my posters"]
    assert run_command_line(["table", "--runs", str(root)]) == 0
    assert run_command_line(["table", "--runs", str(root), "--dataset", "flyers"]) == 2
    assert "no runs under" in capsys.readouterr().err


def test_a_run_is_of_what_its_config_says_wherever_it_was_moved(tmp_path):
    root = tmp_path / "runs"
    kept, moved, other = make_run(root, "bce"), make_run(root, "bce", 1), make_run(root, "warp")
    keys, last = {kept.key, moved.key}, other.key
    moved.path.rename(other.path.with_name(moved.key))
    (root / "toy" / "bce").rename(root / "toy-old")
    (root / "mine").mkdir()
    (root / "toy-old").rename(root / "mine" / "bce")
    assert {folder.key for folder in runs.find(root, "toy", ("bce",))} == keys
    assert {run.key for run in run_summaries(["."], root, "toy", ("bce",))} == keys
    assert [folder.key for folder in runs.find(root, "", ("warp",))] == [last]
    assert not runs.find(root, "mine")
    damaged = next((root / "mine").glob("*/*"))
    (damaged / "manifest.json").unlink()
    assert [folder.path for folder in runs.find(root, "mine")] == [damaged]


def test_what_this_user_may_not_look_into_is_told_and_keeps_nobody_from_the_rest(tmp_path, monkeypatch, capsys):
    root = tmp_path / "runs"
    open_to_all, closed, hidden = make_run(root, "bce"), make_run(root, "bce", 1), make_run(root, "warp")

    def unless_closed(call):
        def checked(path, *arguments):
            if closed.path in {path, *path.parents}:
                raise PermissionError(13, "Permission denied", str(path))
            return call(path, *arguments)

        return checked

    monkeypatch.setattr(Path, "read_bytes", unless_closed(Path.read_bytes))
    monkeypatch.setattr(Path, "exists", unless_closed(Path.exists))
    monkeypatch.setattr("os.access", lambda path, _: path != hidden.path.parent)
    states = {run.path: (run.state, run.reason) for run in run_summaries(None, root)}
    assert states[open_to_all.path] == ("done", "")
    assert states[closed.path] == ("damaged", f"cannot read {closed.path}/manifest.json: Permission denied")
    runs.find(root)
    assert capsys.readouterr().err.count(f"this user may not look into {hidden.path.parent}") == 1


def test_the_store_of_a_run_is_found_through_links_and_from_within(root, tmp_path, monkeypatch):
    run = runs.find(root)[0].path
    link = tmp_path / "a" / "b" / "c"
    link.parent.mkdir(parents=True)
    link.symlink_to(run)
    (tmp_path / "linked").symlink_to(root)
    assert following.store_of(link) == following.store_of(run) == root
    assert following.store_of(tmp_path / "linked" / run.relative_to(root)) == tmp_path / "linked"
    monkeypatch.chdir(run)
    assert following.store_of(Path()) == following.store_of(Path("..", run.name)) == root
    monkeypatch.chdir(root)
    assert following.store_of(run.relative_to(root)) == Path()


def test_a_run_whose_protocol_damage_hides_is_not_left_out(tmp_path):
    root = tmp_path / "runs"
    make_run(root, "bce")
    (make_run(root, "warp").path / "manifest.json").unlink()
    assert [run.state for run in run_summaries(None, root, protocol="top2@1")] == ["done", "damaged"]
    assert [run.state for run in run_summaries(None, root, protocol="top3@1")] == ["damaged"]


def test_a_row_of_a_deterministic_model_says_so(tmp_path):
    knn = make_run(tmp_path / "runs", "knn")
    knn.write_about(replace(knn.read_about(), deterministic=True))
    table = tables.build([knn.summary(), *(make_run(tmp_path / "runs", "bce", seed).summary() for seed in (0, 1))])
    assert "1 run (deterministic): knn" in table.notes


def test_nothing_is_derived_from_a_run_in_a_flat_archive(root, tmp_path):
    run = next(root.glob("toy/bce/*"))
    shutil.copytree(run, tmp_path / "kept" / run.name)
    with pytest.raises(StoreError, match=rf"config belongs in toy/bce/{run.name}, and so would .*Try: move it there"):
        derive(RunFolder(tmp_path / "kept" / run.name), "threshold")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]

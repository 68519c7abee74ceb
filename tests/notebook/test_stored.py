import shutil

import numpy as np
import pytest
from example_commands import bench as command
from example_runs import make_run, run_config

import bench


@pytest.fixture
def store(tmp_path):
    """Two models with two seeds, another protocol, a failed run and a damaged one."""
    root = tmp_path / "runs"
    for model in ("bce", "cnn-rnn"):
        for seed in (0, 1):
            make_run(root, model, seed=seed, values={"O-F1": 0.5 + 0.1 * seed, "mAP": 0.25})
    make_run(root, "warp", protocol="top1@1")
    make_run(root, "softmax").fail("train", "it diverged")
    damaged = make_run(root, "knn")
    (damaged.path / "config.json").write_text("{}")
    return root


def test_a_stored_run_is_read_as_it_was_written(tmp_path):
    folder = make_run(tmp_path)
    (run,) = bench.runs(tmp_path)
    assert (run.key, run.path, run.config) == (folder.key, folder.path, folder.config)
    assert (run.state, run.reason, run.done) == ("done", "", True)
    assert (run.model, run.dataset, run.seed, run.protocol) == ("bce", "toy", 0, "top2@1")
    assert run.measures["O-F1"] == 0.5
    assert run.per_class["ap"][2] == 0.5
    assert (run.ids, run.labels) == (("a", "b", "c", "d"), ("cat", "dog", "cow"))
    truth = folder.read_truth()
    np.testing.assert_array_equal(run.truth, truth.truth)
    np.testing.assert_array_equal(run.ignore, truth.ignore)
    np.testing.assert_array_equal(run.predicted, truth.truth)
    assert run.scores.kind == "logit"
    assert isinstance(run.scores.values, np.memmap)
    assert run.label_sets.sequences.tolist() == [[0, -1], [1, 2], [0, 1], [2, -1]]
    assert run.timings == {"seconds": {"train": 1.5}}
    assert run.scores is run.scores
    part = run.validation
    for array in (
        *(run.scores.values, run.label_sets.sequences, run.truth, run.ignore, run.predicted),
        *(part.truth.truth, part.prediction.predicted, part.prediction.scores.values),
    ):
        assert not array.flags.writeable


def test_a_part_of_a_store_holds_its_runs_and_no_model_that_was_exported_in_one(store):
    for name in ("onnx", "other"):
        exported = next((store / "toy" / "bce").iterdir()) / name
        exported.mkdir()
        (exported / "manifest.json").write_text('{"labels": []}')
    assert len(bench.runs(store / "toy")) == len(bench.runs(store)) == 7
    assert [run.model for run in bench.runs(store / "toy" / "bce")] == ["bce", "bce"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bench.runs(""), "folder: found '', allowed: a path"),
        (lambda: bench.runs(None), "folder: found None, allowed: a path"),
        (lambda: bench.runs(b"runs"), "folder: found b'runs', allowed: a path"),
        (lambda: bench.runs(".", models=None), "models: found None, allowed: names"),
        (lambda: bench.choose(3), "goals: found 3, allowed: names"),
        (lambda: bench.choose("mAP", 3), "runs: found 3, allowed: a folder, or runs as bench.runs gives them"),
        (lambda: bench.choose("mAP", ".", cache=3), "cache: found 3, allowed: a path"),
    ],
)
def test_what_names_no_runs_is_refused_in_a_line(call, message):
    with pytest.raises(bench.UsageError, match=message):
        call()


def test_a_run_is_chosen_from_itself_and_its_policy_is_a_name(store):
    run = bench.runs(store, models="bce")[0]
    assert bench.choose("O-F1", run).run.key == run.key
    with pytest.raises(bench.UsageError, match="name: found None, allowed: a policy"):
        run.by_policy(None)
    with pytest.raises(bench.UsageError, match="columns: found None, allowed: names"):
        bench.runs(store).table(None)


def test_a_folder_that_is_gone_is_not_called_damaged_to_be_deleted(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = bench.runs("runs", models="bce")[0]
    monkeypatch.chdir(store)
    with pytest.raises(bench.StoreError, match="is not there from here"):
        _ = run.truth


def test_nothing_is_read_before_it_is_asked_for(tmp_path, monkeypatch):
    make_run(tmp_path)
    (run,) = bench.runs(tmp_path)
    monkeypatch.setattr("bench.store.run_folder.RunFolder.verify", lambda _: pytest.fail("every file was read"))
    assert run.model == "bce"
    assert run.config["seed"] == 0
    assert run.scores.values.shape == (4, 3)


def test_filters_leave_failed_and_damaged_runs_in(store):
    found = bench.runs(store)
    states = {run.model: (run.state, run.reason) for run in found}
    assert len(found) == 7
    assert states["softmax"] == ("failed", "train: it diverged")
    assert states["knn"][0] == "damaged"
    assert "config.json" in states["knn"][1]
    assert [run.model for run in bench.runs(store, protocol="top1@1")] == ["knn", "warp"]
    assert [run.model for run in bench.runs(store, models="warp,bce")] == ["warp", "bce", "bce"]
    assert [run.model for run in bench.runs(store, models=["bce", "warp"])] == ["bce", "bce", "warp"]
    assert len(bench.runs(store, dataset="toy")) == 7
    assert len(bench.runs(store, dataset="other")) == 0


def test_what_a_run_does_not_hold_is_an_error_with_its_reason(store):
    failed, damaged = bench.runs(store, models=["softmax", "knn"])
    with pytest.raises(bench.StoreError, match="softmax on toy, seed 0, has no measures: failed: train: it diverged"):
        _ = failed.measures
    with pytest.raises(bench.StoreError, match=r"knn on toy, seed None, has no measures: damaged: .*config.json"):
        _ = damaged.per_class
    assert damaged.scores.values.shape == (4, 3)


def test_damage_is_found_when_the_file_is_read(tmp_path):
    folder = make_run(tmp_path)
    (folder.path / "scores.npy").write_bytes(b"other")
    (folder.path / "label_sets.npz").unlink()
    (run,) = bench.runs(tmp_path)
    assert run.truth.shape == (4, 3)
    with pytest.raises(bench.StoreError, match=r"scores.npy is damaged"):
        _ = run.scores
    with pytest.raises(bench.StoreError, match=r"label_sets.npz is absent"):
        _ = run.label_sets
    assert run.state == "damaged"


def test_a_model_without_sequences_has_none(tmp_path):
    folder = make_run(tmp_path, model=run_config()["model"] | {"kind": "scores"})
    (folder.path / "label_sets.npz").unlink()
    folder._files.forget("label_sets.npz")
    (run,) = bench.runs(tmp_path)
    assert run.done
    assert run.label_sets is None


def test_a_stored_runs_numbers_can_be_measured_again(tmp_path):
    make_run(tmp_path)
    (run,) = bench.runs(tmp_path)
    measures = bench.measure(
        run.truth, run.scores, predicted=run.predicted, ignore=run.ignore, protocol=run.protocol, labels=run.labels
    )
    assert measures["O-F1"] == 1.0


def test_runs_are_a_sequence_that_shows_itself(store):
    found = bench.runs(store)
    assert isinstance(found[1:3], bench.Runs)
    assert [run.key for run in found[1:3]] == [found[1].key, found[2].key]
    assert found[-1] in found
    assert repr(found).startswith("7 runs\n<run ")
    assert "softmax on toy, seed 0, failed: train: it diverged>" in repr(found)
    assert "it diverged" in found._repr_html_()


def test_no_folder_is_an_error_and_no_run_in_it_is_none(tmp_path):
    with pytest.raises(bench.StoreError, match=r"no folder .*nowhere. Try: bench.run"):
        bench.runs(tmp_path / "nowhere")
    assert list(bench.runs(tmp_path)) == []
    with pytest.raises(bench.StoreError, match="no runs to tabulate"):
        bench.runs(tmp_path).table()


def test_a_table_is_what_the_command_prints(store, capsys):
    shutil.rmtree(store / "toy" / "warp")
    assert command("table", "--runs", store) == 0
    printed = [line.rstrip() for line in capsys.readouterr().out.rstrip("\n").splitlines()]
    table = bench.runs(store).table()
    assert str(table).splitlines() == printed
    assert repr(table) == str(table)
    for style in ("markdown", "latex", "csv", "json"):
        assert command("table", "--runs", store, "--format", style) == 0
        assert table.render(style) == capsys.readouterr().out
    with pytest.raises(bench.UsageError, match="no format of tables 'html'; allowed: csv, json, latex, markdown"):
        table.render("html")


def test_rows_are_plain_numbers(store):
    table = bench.runs(store, models="bce,softmax").table(["O-F1", "mAP"])
    bce, softmax = table.rows
    assert bce["model"] == "bce"
    assert bce["seeds"] == [0, 1]
    assert bce["O-F1"] == {"value": pytest.approx(55.0), "spread": pytest.approx(50**0.5), "n": 2}
    assert len(bce["runs"]) == 2
    assert softmax["O-F1"] is None
    assert softmax["failures"] == ["seed 0 failed: train: it diverged"]
    assert table.columns == ("O-F1", "mAP")
    assert "± is the sample standard deviation over seeds" in table.notes
    assert table.title.startswith("toy; four images")


def test_runs_that_do_not_compare_are_refused_unless_mixed(store):
    with pytest.raises(bench.StoreError, match="these runs do not compare: protocols top1@1 and top2@1"):
        bench.runs(store).table()
    assert "MIXED, rows do not compare" in str(bench.runs(store).table(mix=True))
    with pytest.raises(bench.UsageError, match="no column 'O-F2'; did you mean 'O-F1'"):
        bench.runs(store).table("O-F2")


def test_a_frame_has_a_row_for_each_model(store):
    pytest.importorskip("pandas")
    frame = bench.runs(store, models="bce,softmax").table("O-F1").to_pandas()
    assert frame.loc["bce", "O-F1"] == pytest.approx(55.0)
    assert frame.loc["bce", "seeds"] == 2
    assert np.isnan(frame.loc["softmax", "O-F1"])
    assert frame.loc["softmax", "failures"] == "seed 0 failed: train: it diverged"
    assert list(frame.columns) == ["seeds", "O-F1", "O-F1 spread", "failures"]
    assert frame["O-F1 spread"].dtype == np.float64


def test_a_frame_without_pandas_is_one_clear_line(store, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(bench.UsageError, match=r"which is not installed. Try: pip install pandas"):
        bench.runs(store, models="bce").table().to_pandas()


HOSTILE = "<script>alert(1)</script> & <b>"


def test_html_is_escaped(tmp_path):
    folder = make_run(tmp_path)
    folder.fail("train", HOSTILE)
    found = bench.runs(tmp_path)
    for html in (found._repr_html_(), found.table()._repr_html_()):
        assert "<script>" not in html
        assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &lt;b&gt;" in html


def test_text_has_no_colours_whatever_the_environment_forces(store, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "20")
    shown = str(bench.runs(store, models="bce").table())
    assert "\x1b" not in shown
    assert "55.0 ±7.1" in shown

"""Commands on a store in which one run is damaged: the others are worked on, and a line says what is wrong."""

import pytest
from example_commands import bench as command
from example_runs import make_honest, make_run


@pytest.fixture
def store(tmp_path):
    """Two finished runs; of the first, a file is gone."""
    first, _ = (make_honest(make_run(tmp_path / "runs", "cnn-rnn", seed=seed, code={})) for seed in (0, 1))
    (first.path / "weights.safetensors").unlink()
    return first, tmp_path / "runs"


@pytest.mark.parametrize("file", ["weights.safetensors", "status.json", "manifest.json"])
@pytest.mark.parametrize(
    "arguments",
    ["policy --policy threshold", "thresholds --for precision>=0.1", "results pack --out results.tar", "choose"],
)
def test_a_damaged_run_is_left_out_with_its_reason_and_the_others_are_not(store, arguments, file, capsys):
    first, runs = store
    if file != "weights.safetensors":
        (first.path / file).write_text("{")
    asked = arguments.replace("results.tar", str(runs.parent / "results.tar")).split()
    assert command(*asked, runs, "--runs", runs) == 0
    told = capsys.readouterr().err
    assert f"note: {first.path} is damaged, left out: " in told
    assert file in told


@pytest.mark.parametrize(
    "arguments", ["policy --policy threshold", "thresholds --for precision>=0.1", "export --out model"]
)
def test_a_damaged_run_that_is_asked_for_is_no_finished_one_in_the_line(store, arguments, capsys):
    first, runs = store
    assert command(*arguments.split(), first.key, "--runs", runs) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"error: {first.path} is damaged: weights.safetensors absent")
    assert "is done" not in told


@pytest.mark.parametrize(("option", "named"), [("--models", "of warp"), ("--protocol", "by protocol 'warp'")])
def test_a_filter_that_leaves_no_run_is_named(store, option, named, capsys):
    _, runs = store
    assert command("table", "--runs", runs, option, "warp") == 2
    assert f"no runs {named} under {runs}. See: bench runs" in capsys.readouterr().err

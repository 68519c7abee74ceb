"""Whatever a plugin raises, wherever: one line that names plugin, version, stage and place; Ctrl-C stays the user's."""

import contextlib
import signal

import pytest
import torch
from hostile import FAILURES
from hostile_runs import BAD, Pictures, Plain, Worded, flat, registry, run, toy

from bench import PluginError, plugins
from bench.cli import run_command_line
from bench.guard import calling
from bench.store.runs import find


@pytest.mark.parametrize("name", FAILURES)
def test_whatever_a_loss_raises_is_a_row_with_one_line_that_names_all(name, tmp_path):
    call, words = FAILURES[name]

    class Failing(Plain):
        def loss(self, features, truth, generator):
            call()

    with pytest.raises(PluginError) as caught:
        run(tmp_path, registry(Failing))
    told = str(caught.value)
    assert told.startswith("bench-bad 2.1 (bad), train of model 'm', ")
    assert "Failing.loss at test_failing_plugins.py:" in told
    assert words in told
    assert "\n" not in told
    folder = caught.value.folder
    assert folder.summary().reason == f"train: {told}"
    assert "Failing" in (folder.path / "traceback.txt").read_text()


@pytest.mark.parametrize("name", FAILURES)
@pytest.mark.parametrize(
    ("bad", "where"),
    [
        ("dataset", "open data set of data set 'toy'"),
        ("picture", "reading pictures of data set 'toy'"),
        ("backbone", "build backbone of backbone 'flat'"),
        ("features", "features of backbone 'flat'"),
        ("model", "build model of model 'm'"),
    ],
)
def test_a_failure_before_training_names_the_plugin_and_the_stage(bad, where, name, tmp_path):
    call, words = FAILURES[name]

    class Own(Pictures):
        def read(self, index):
            call()

    class Module(torch.nn.Module):
        def forward(self, pixels):
            call()

    plugins = {
        "dataset": lambda: registry(dataset=call, bad="dataset"),
        "picture": lambda: registry(dataset=lambda: toy(Own()), bad="dataset"),
        "backbone": lambda: registry(backbone=call, bad="backbone"),
        "features": lambda: registry(backbone=lambda: flat(Module()), bad="backbone"),
        "model": lambda: registry(lambda _: call()),
    }
    with pytest.raises(PluginError) as caught:
        run(tmp_path, plugins[bad]())
    told = str(caught.value)
    assert told.startswith(f"bench-bad 2.1 (bad), {where}, ")
    assert words in told
    assert " at hostile" in told or "test_failing_plugins.py" in told


def test_a_users_interrupt_goes_on_even_where_the_plugin_swallows_it():
    with pytest.raises(KeyboardInterrupt), calling(BAD, "train", "model 'm'"):
        signal.raise_signal(signal.SIGINT)

    def swallow():
        with contextlib.suppress(BaseException):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt), calling(BAD, "train", "model 'm'"), calling(BAD, "validate", "model 'm'"):
        swallow()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("error", [ZeroDivisionError("no"), SystemExit(3), KeyboardInterrupt()])
def test_what_cannot_be_shown_is_a_note_and_the_run_is_done(error, tmp_path, monkeypatch):
    from bench.model import inspection

    def fails(*_):
        raise error

    monkeypatch.setattr(inspection, "search_tree", fails)
    folder = run(tmp_path, registry(Worded, kind="sequence"))
    assert folder.done
    notes = folder.read_about().remarks
    assert any(note.startswith("no picture") and type(error).__name__ in note for note in notes)


def test_debug_before_or_behind_a_command_prints_where_a_plugin_failed(tmp_path, monkeypatch, capsys):
    class Failing(Plain):
        def loss(self, features, truth, generator):
            raise ZeroDivisionError("[/b]")

    monkeypatch.setattr(plugins, "installed", lambda: registry(Failing))
    command = ["run", "--model", "m", "--dataset", "toy", "--out", str(tmp_path / "runs"), "--cache", str(tmp_path)]
    assert run_command_line(command) == 2
    line = capsys.readouterr().err
    assert line.startswith("error: bench-bad 2.1 (bad), train of model 'm', ")
    assert line.endswith("ZeroDivisionError: [/b]\n")
    assert len(line.splitlines()) == 1
    for given in (["--debug", *command], [*command, "--debug"]):
        assert run_command_line(given) == 2
        told = capsys.readouterr().err
        assert told.count("Traceback (most recent call last)") == 1
        assert told.endswith(line)


def test_ctrl_c_while_a_plugin_computes_ends_the_command_and_the_run_is_unfinished_not_failed(
    tmp_path, monkeypatch, capsys
):
    class Interrupted(Plain):
        def loss(self, features, truth, generator):
            with contextlib.suppress(BaseException):
                signal.raise_signal(signal.SIGINT)
            return super().loss(features, truth, generator)

    monkeypatch.setattr(plugins, "installed", lambda: registry(Interrupted))
    command = ["run", "--model", "m", "--dataset", "toy", "--out", str(tmp_path / "runs"), "--cache", str(tmp_path)]
    assert run_command_line(command) == 130
    assert capsys.readouterr().err.startswith("stopped; features, checkpoints and finished stages are kept")
    (folder,) = find(tmp_path / "runs")
    assert folder.summary().state == "unfinished"

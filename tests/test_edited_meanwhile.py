"""Plugins whose files are written while a run of theirs goes on: no number stands under the key of other code."""

import importlib
import sys

import hostile_runs
import pytest

import bench
from bench import plugins
from bench.assembly import Assembly


@pytest.fixture
def offered(write):
    """A registry whose model ``m`` is the one called ``model`` of a plugin file with that text."""

    def offer(name, text, model):
        write(name, text)
        registry = hostile_runs.registry()
        registry.offered["models"]["m"] = plugins.load().model(model)
        return registry

    return offer


@pytest.fixture
def before_training(monkeypatch):
    """Have something done when a run is about to train."""

    def put(work):
        train = Assembly.train

        def after_it(*arguments):
            work()
            return train(*arguments)

        monkeypatch.setattr(Assembly, "train", after_it)

    return put


LATE = """
import bench

@bench.hookimpl
def bench_models():
    def build(request):
        from late_part import Model
        return Model(request)
    return [bench.ModelSpec("late", "imports in build", "scores", build, training={"epochs": 1})]
"""


def test_a_module_that_is_edited_between_key_and_build_is_a_failing_row(offered, tmp_path, monkeypatch):
    from bench.model import features

    part = tmp_path / "late_part.py"
    part.write_text("from hostile_runs import Plain as Model\n")
    registry = offered("late_file", LATE, "late")
    extract = features.of_parts

    def edit(*arguments, **named):
        part.write_text("from hostile_runs import Plain as Model  # another\n")
        return extract(*arguments, **named)

    monkeypatch.setattr(features, "of_parts", edit)
    with pytest.raises(bench.PluginError, match="its code was edited after the run had begun"):
        hostile_runs.run(tmp_path, registry)
    monkeypatch.setattr(features, "of_parts", extract)
    assert hostile_runs.run(tmp_path, registry).done


def test_a_plugin_that_is_loaded_again_after_an_edit_runs_under_no_key(offered, tmp_path):
    """As ``importlib.reload`` in a notebook does: old functions then find new classes, and old classes stay."""
    registry = offered("again_file", "WIDTH = 1\n" + LATE, "late")
    (tmp_path / "late_part.py").write_text("from hostile_runs import Plain as Model\n")
    importlib.reload(sys.modules["again_file"])
    assert hostile_runs.run(tmp_path, registry).done
    (tmp_path / "again_file.py").write_text("WIDTH = 22\n" + LATE)
    importlib.reload(sys.modules["again_file"])
    with pytest.raises(bench.PluginError, match=r"was edited and loaded again .* Try: start again"):
        hostile_runs.run(tmp_path, registry)


IN_FIT = """
import bench
from hostile_runs import Plain

class Late(Plain):
    def fit(self, features, truth, **others):
        import late_part
        self.linear.bias.data.fill_(late_part.BIAS)

@bench.hookimpl
def bench_models():
    return [bench.ModelSpec("late", "imports as it works", "scores", Late, training=None)]
"""


def test_a_module_that_is_edited_before_training_imports_it_leaves_no_weights(offered, before_training, tmp_path):
    part = tmp_path / "late_part.py"
    part.write_text("BIAS = 0.5\n")
    registry = offered("late_file", IN_FIT, "late")
    before_training(lambda: part.write_text("BIAS = 0.25\n"))
    with pytest.raises(bench.PluginError, match="its code was edited after the run had begun") as caught:
        hostile_runs.run(tmp_path, registry)
    assert not caught.value.folder.lists("weights")
    assert hostile_runs.run(tmp_path, registry).done  # of the code that was loaded


NAMES_A_FILE = """
import bench
from hostile_runs import Plain
from pathlib import Path

WIDTH = Path(__file__).with_name("width.json").read_text()

@bench.hookimpl
def bench_models():
    return [bench.ModelSpec("wide", "reads a file", "scores", Plain, training={"epochs": 1})]
"""


def test_no_run_begins_after_an_edit_of_a_file_that_loaded_code_names_and_those_begun_end(
    offered, before_training, tmp_path
):
    table = tmp_path / "width.json"
    table.write_text("1")
    registry = offered("wide_file", NAMES_A_FILE, "wide")
    before_training(lambda: table.write_text("2"))
    assert hostile_runs.run(tmp_path, registry).done
    with pytest.raises(bench.PluginError, match="was edited while this process goes on"):
        hostile_runs.run(tmp_path, registry)


WRITES_A_FILE = """
import bench
from hostile_runs import Plain
from pathlib import Path

BEST = Path(__file__).parent / "best.txt"

class Keeping(Plain):
    def fit(self, features, truth, **others):
        BEST.write_text(str(id(self)))
        BEST.read_text()

@bench.hookimpl
def bench_models():
    return [bench.ModelSpec("keeping", "writes a file", "scores", Keeping, training=None)]
"""


def test_a_plugin_that_writes_beside_itself_loses_no_training_and_is_told_to_write_elsewhere(offered, tmp_path):
    registry = offered("keeping_file", WRITES_A_FILE, "keeping")
    assert hostile_runs.run(tmp_path, registry).done
    with pytest.raises(bench.PluginError, match=r"best.txt was .* while this process goes on. Try: .* another folder"):
        hostile_runs.run(tmp_path, registry, seed=1)

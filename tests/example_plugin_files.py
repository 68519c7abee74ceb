"""A plugin that is one file, written by a test and forgotten after it."""

import sys

import pytest

from bench import plugin_files, plugins

FILE = """
import bench
from {helper} import build

@bench.hookimpl
def bench_models():
    return [bench.ModelSpec("{model}", "one file", "scores", build)]
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a plugin file with a helper beside it, name it in ``BENCH_PLUGINS``, and forget both afterwards."""
    before, path, folders = set(sys.modules), list(sys.path), set(plugin_files._folders)
    monkeypatch.setenv(plugin_files.VARIABLE, "")
    monkeypatch.setenv(plugins.BLOCK_VARIABLE, "")
    monkeypatch.setenv(plugins.STRICT_VARIABLE, "")

    def one(name="own_file", content=None, model="own-model"):
        helper = f"{name}_helper"
        (tmp_path / f"{helper}.py").write_text("def build(request):\n    return None\n")
        file = tmp_path / f"{name}.py"
        file.write_text(FILE.format(helper=helper, model=model) if content is None else content)
        plugin_files.add([str(file)])
        return file

    plugins.loaded.cache_clear()
    yield one
    plugins.loaded.cache_clear()
    sys.path[:], plugin_files._folders = path, folders
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]

"""Plugins that are one file: found, named, hashed and refused as installed ones are."""

import json
import os
import py_compile
import sys
from pathlib import Path

import pytest
from example_plugin_files import FILE

from bench import UsageError, plugin_files, plugins
from bench.cli import run_command_line
from bench.code import plugin_code
from bench.system import source


def rewrite(file: Path, content: str) -> None:
    """Write ``file`` anew, as before the process began that imports it next."""
    source._as_loaded.clear()
    time = file.stat().st_mtime_ns + 1_000_000_000
    file.write_text(content)
    os.utime(file, ns=(time, time))


def test_a_file_is_a_plugin_named_after_it_with_its_path(write):
    file = write()
    found = plugins.load().model("own-model")
    assert str(found.origin) == f"own_file file ({file})"
    assert plugins.load().model("own_file:own-model") == found


@pytest.mark.parametrize("where", ["before", "behind"])
def test_the_command_line_takes_a_file_before_and_behind_a_command(write, capsys, where):
    file = write()
    os.environ[plugin_files.VARIABLE] = ""
    arguments = {"before": ["--plugin", str(file), "plugin", "list"], "behind": ["plugin", "list", f"--plugin={file}"]}
    assert run_command_line([*arguments[where], "--json"]) == 0
    listed = {one["distribution"]: one for one in json.loads(capsys.readouterr().out)["plugins"]}
    assert listed["own_file"]["adds"] == {"models": ["own-model"]}
    assert listed["own_file"]["plugin"] == str(file)


@pytest.mark.parametrize("edited", ["own_file.py", "own_file_helper.py"])
def test_an_edit_of_the_file_or_of_what_it_imports_beside_it_is_another_key(write, edited):
    file = write()
    found = plugins.load().model("own-model")
    before = plugin_code(found)
    (file.parent / "unrelated.py").write_text("x = 1\n")
    assert plugin_code(found) == before
    place = file.parent / edited
    rewrite(place, place.read_text() + "\nmore = 2\n")
    assert plugin_code(found) != before


@pytest.mark.parametrize("edited", ["own_file.py", "own_file_helper.py"])
def test_code_that_is_edited_after_it_was_loaded_is_told_and_counts_as_it_was(write, edited, capsys):
    file = write()
    found = plugins.load().model("own-model")
    place = file.parent / edited
    place.write_text(place.read_text() + "\nimport own_other\n")
    before = plugin_code(found)
    told = capsys.readouterr().err
    assert (
        told
        == f"note: {place} was edited after it was loaded: this process goes on with it as it was. Try: start again\n"
    )
    source._as_loaded.clear()
    assert plugin_code(found) != before


def test_a_helper_that_another_module_of_its_name_hides_is_told_by_both(write, tmp_path):
    write(content="import bench\nimport own_helper\n")
    (tmp_path / "own_helper.py").write_text("")
    other = tmp_path / "other"
    other.mkdir()
    (other / "own_helper.py").write_text("")
    for name, content in (("first_hop", "import second_hop\n"), ("second_hop", "def f():\n    import own_helper\n")):
        (other / f"{name}.py").write_text(content)
    file = other / "own_second.py"
    file.write_text("import statistics, first_hop\n")
    (other / "statistics.py").write_text("")
    plugin_files.add([str(file)])
    (told,) = (told for origin, told in plugins.load().broken.items() if origin.distribution == "own_second")
    assert f"second_hop.py imports 'own_helper', and {tmp_path / 'own_helper.py'} comes before" in told


def test_a_helper_in_a_folder_without_init_that_another_plugins_hides_is_told_by_both(write, tmp_path):
    """Such folders of one name are one package to Python: the model would be the other plugin's."""
    folders = tmp_path / "one", tmp_path / "other"
    for folder in folders:
        (folder / "shared_nets").mkdir(parents=True)
        (folder / "shared_nets" / "own_net.py").write_text("")
        (folder / f"of_{folder.name}.py").write_text("def build(request):\n    from shared_nets import own_net\n")
    plugin_files.add([str(folder / f"of_{folder.name}.py") for folder in folders])
    (told,) = (told for told in plugins.load().broken.values() if "comes before" in told)
    nets = [folder / "shared_nets" / "own_net.py" for folder in folders]
    assert f"of_other.py imports 'shared_nets.own_net', and {nets[0]} comes before {nets[1]}" in told


WAYS = {
    "import_module": ("import_module('{0}')", "{0}.py"),
    "import_module of a package": ("import_module('.{0}', 'own_package')", "own_package/{0}.py"),
    "__import__": ("__import__('{0}')", "{0}.py"),
    "executed text": ("exec(Path(__file__).with_name('{0}.py').read_text())", "{0}.py"),
    "a table": ("Path(__file__).with_name('{0}.json').read_text()", "{0}.json"),
    "a table in a folder": ("(Path(__file__).parent / 'settings' / '{0}.json').read_text()", "settings/{0}.json"),
    "another folder": ("sys.path.append(str(Path(__file__).parents[1] / 'beside')); import {0}", "../beside/{0}.py"),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_a_file_reads_or_imports_by_a_text_counts_as_its_code(write, way, tmp_path):
    name = "way_" + "".join(filter(str.isalpha, way))
    statement, place = (text.format(f"{name}_part") for text in WAYS[way])
    inner = tmp_path / place
    inner.parent.mkdir(parents=True, exist_ok=True)
    inner.write_text("{}")
    (tmp_path / "own_package").mkdir(exist_ok=True)
    (tmp_path / "own_package" / "__init__.py").write_text("")
    content = FILE.format(helper=f"{name}_helper", model="own-model")
    write(name, f"import sys\nfrom importlib import import_module\nfrom pathlib import Path\n{content}\n{statement}\n")
    found = plugins.load().model("own-model")
    before = plugin_code(found)
    (inner.parent / "unrelated.json").write_text("1")
    assert plugin_code(found) == before
    rewrite(inner, "[]")
    assert plugin_code(found) != before


def test_a_link_beside_a_file_counts_as_what_it_leads_to(write, tmp_path):
    real = tmp_path / "far" / "real.py"
    real.parent.mkdir()
    real.write_text("def build(request):\n    return None\n")
    (tmp_path / "own_link.py").symlink_to(real)
    write("own_linked", FILE.format(helper="own_link", model="own-model"))
    found = plugins.load().model("own-model")
    before = plugin_code(found)
    rewrite(real, "def build(request):\n    return 1\n")
    assert plugin_code(found) != before


def test_a_name_of_the_first_party_stays_its_own_and_a_tie_of_files_has_no_owner(write):
    write(model="bce")
    write("other_file", model="shared")
    write("third_file", model="shared")
    registry = plugins.load()
    assert registry.model("bce").origin.distribution == "multilabel-bench"
    assert registry.model("own_file:bce").origin.distribution == "own_file"
    with pytest.raises(UsageError, match="Type other_file:shared or third_file:shared"):
        registry.model("shared")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nowhere.py", "no file 'nowhere.py'"),
        ("mine.txt", "allowed: a file called as a Python module"),
        ("my-plugin.py", "allowed: a file called as a Python module"),
        ("bench.py", "allowed: a file called as a Python module"),
    ],
)
def test_what_is_no_plugin_file_is_refused_at_once(name, words, capsys):
    assert run_command_line(["--plugin", name, "list"]) == 2
    assert words in capsys.readouterr().err


def test_a_file_called_as_an_installed_module_is_left_out_and_hides_nothing(write):
    write("statistics", content="raise SystemExit('was run')\n")
    (told,) = plugins.load().broken.values()
    assert "there is a module 'statistics' already" in told
    import statistics

    assert statistics.mean([1, 3]) == 2


def test_a_broken_file_is_named_with_its_line_where_its_model_is_asked_for(write, capsys):
    write(content="import bench\n1 / 0\n")
    assert run_command_line(["run", "--model", "own-model", "--dataset", "digit-scenes"]) == 2
    told = capsys.readouterr().err
    assert "could not be loaded: own_file file" in told
    assert "own_file.py:2: ZeroDivisionError" in told


def test_a_broken_file_is_told_of_where_another_plugins_model_runs_in_its_place(write, capsys):
    write()
    write(name="other_file", content="import bench\n1 / 0\n")
    assert run_command_line(["data", "list", "--json"]) == 0
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith("note: without other_file file")
    assert "which cannot be loaded: import of " in told
    assert "other_file.py:2: ZeroDivisionError" in told


def test_strict_makes_a_broken_plugin_an_error_and_lists_it_first(write, capsys):
    write(content="1 / 0\n")
    assert run_command_line(["plugin", "list", "--errors"]) == 0
    capsys.readouterr()
    assert run_command_line(["--strict", "list"]) == 2
    assert "own_file file" in capsys.readouterr().err
    assert run_command_line(["--strict", "plugin", "list", "--errors", "--json"]) == 2
    captured = capsys.readouterr()
    assert [one["distribution"] for one in json.loads(captured.out)["plugins"]] == ["own_file"]
    assert captured.err.count("\n") == 1


def test_the_list_works_where_every_plugin_is_broken(write, capsys, monkeypatch):
    write(content="1 / 0\n")
    monkeypatch.setattr(plugins.importlib.metadata, "entry_points", lambda group: [])
    for arguments in (["plugin", "list"], ["plugin", "list", "--errors"], ["list"]):
        assert run_command_line(arguments) == 0
        assert "ZeroDivisionError" in capsys.readouterr().out


def test_a_slow_import_is_told_with_what_it_loads(write, capsys, monkeypatch):
    write()
    monkeypatch.setattr(plugins, "SLOW", 0.0)
    assert run_command_line(["plugin", "list"]) == 0
    assert "own_file: slow to import" in capsys.readouterr().out.replace("\n", " ").replace("    ", " ")
    assert "Try: import inside build" in plugins.slowness(plugins.Loading(2.0, ("torch",)))
    monkeypatch.setattr(plugins, "SLOW", 3.0)
    assert plugins.slowness(plugins.Loading(2.0)) == ""


def test_without_refuses_what_is_not_there(write, capsys):
    write()
    assert run_command_line(["--without", "own_fiel", "list"]) == 2
    assert "did you mean 'own_file'" in capsys.readouterr().err
    assert run_command_line(["--without", "own_file", "list", "models"]) == 0
    assert "own-model" not in capsys.readouterr().out


def overwrite(file: Path, content: str) -> None:
    """Write ``file`` anew with the length and time that it had, as an unpacked archive or a quick script may."""
    status = file.stat()
    assert len(content.encode()) == status.st_size
    file.write_text(content)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("edited", ["own_file.py", "own_file_helper.py"])
def test_compiled_code_of_another_content_of_the_same_length_and_time_is_not_run(write, edited):
    file = write()
    place = file.parent / edited
    place.write_text(place.read_text() + "width = 3\n")
    py_compile.compile(str(place))
    overwrite(place, place.read_text().replace("width = 3", "width = 4"))
    plugins.load().model("own-model")
    assert sys.modules[place.stem].width == 4


def test_compiled_code_that_was_run_in_place_of_the_source_is_refused_once(write):
    file = write(content=FILE.format(helper="own_late.helper", model="own-model"))
    (package := file.parent / "own_late").mkdir()
    (package / "__init__.py").write_text("")
    place = package / "helper.py"
    place.write_text("width = 3\ndef build(request): ...\n")
    py_compile.compile(str(place))
    overwrite(place, place.read_text().replace("width = 3", "width = 4"))
    (told,) = plugins.load().broken.values()
    assert f"{place} was edited, and Python took its compiled code of before" in told
    for name in ("own_late.helper", "own_late", "own_file"):
        del sys.modules[name]
    assert not plugins.load().broken
    assert sys.modules["own_late.helper"].width == 4

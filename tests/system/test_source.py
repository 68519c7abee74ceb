"""The code that a module leads to: what an edit changes, and what it does not."""

import importlib
import os
import py_compile
import sys
import warnings
import zipfile
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from bench.system import imports, source
from bench.system.source import UNKNOWN, closure, code_hash, remember

FILES = {
    "__init__.py": "from mine.model import build\nfrom mine.other import other\nEVERYTHING = [build, other]\n",
    "model.py": "import numpy\nfrom mine import helper\nfrom .deep.inside import value\n"
    "def build():\n    from mine.late import late\n",
    "helper.py": "x = 1\n",
    "late.py": "import mine.later_still\n",
    "later_still.py": "y = 1\n",
    "other.py": "z = 1\n",
    "constants.py": "A = 1\n",
    "deep/__init__.py": "LISTED = 1\n",
    "deep/inside.py": "value = 1\n",
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    for name, content in FILES.items():
        file = tmp_path / "mine" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / "mine"
    for name in [name for name in sys.modules if name.partition(".")[0] == "mine"]:
        del sys.modules[name]


def within(name):
    return name.partition(".")[0] == "mine"


def hashed():
    return code_hash(["mine.model"], within)


def edit(file, content):
    """Write ``content``, and a time of change that is surely another one."""
    file.write_text(content)
    import os

    status = file.stat()
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000_000))


def test_the_closure_is_what_is_imported_anywhere_and_no_more(package):
    found = set(closure(["mine.model"], within))
    assert found == {
        "mine.model",
        "mine.helper",
        "mine.deep.inside",
        "mine.late",
        "mine.later_still",
    }


@pytest.mark.parametrize("name", ["model.py", "helper.py", "deep/inside.py", "late.py", "later_still.py"])
def test_an_edit_of_anything_imported_changes_the_hash(package, name):
    before = hashed()
    edit(package / name, FILES[name] + "\nmore = 2\n")
    assert hashed() != before


@pytest.mark.parametrize(
    ("statement", "file"),
    [
        ("open(os.path.dirname(__file__) + '/prior.json')\n", "prior.json"),
        ("open(f'{os.path.dirname(__file__)}/prior.json')\n", "prior.json"),
        ("open('./prior.json')\n", "prior.json"),
        ("open(HERE / 'prior, of 2 (new).json')\n", "prior, of 2 (new).json"),
        ("open(os.path.join(HERE, 'tables', 'v1', 'prior.json'))\n", "tables/v1/prior.json"),
        ("open(os.path.join(HERE, 'tables', 'v1/old/prior.json'))\n", "tables/v1/old/prior.json"),
        ("open(HERE + '/../tables/prior.json')\n", "../tables/prior.json"),
        ("open('{}/prior.json'.format(HERE))\n", "prior.json"),
        ("open('%s/tables/prior.json' % HERE)\n", "tables/prior.json"),
        ("open(os.path.join(os.fsencode(HERE), b'prior.json'))\n", "prior.json"),
        ("open(os.path.join(HERE, '.tables', '.env'))\n", ".tables/.env"),
        ("from mine import tables\nfiles(tables) / 'prior.json'\n", "../tables/prior.json"),
        ("open(Path(__file__).with_suffix('.json'))\n", "inside.json"),
        ("open(HERE / f'{Path(__file__).stem}_prior.json')\n", "inside_prior.json"),
        ("load_file(HERE / 'weights' / f'{name}.safetensors')\n", "weights/vit.safetensors"),  # nobody hears it opened
        ("load_file(HERE / f'{name}.safetensors')\n", "vit.safetensors"),
        ("glob('*.onnx')\n", "vit.onnx"),
        ("from_pretrained(HERE / 'clip')\n", "clip/model.safetensors"),
    ],
)
def test_a_file_counts_however_its_path_is_put_together_from_texts(package, statement, file):
    table = package / "deep" / file
    table.parent.mkdir(parents=True, exist_ok=True)
    table.write_text("{}")
    edit(package / "deep" / "inside.py", FILES["deep/inside.py"] + statement)
    before = hashed()
    edit(table, "[]")
    assert hashed() != before


@pytest.mark.parametrize(
    ("named", "content"),
    [
        ("weights.json", {"weights.json": '{"layers": ["layers/first.bin"]}'}),
        ("model.yaml", {"model.yaml": "weights: weights.json\n", "weights.json": '{"layers": ["layers/first.bin"]}'}),
        ("op.cpp", {"op.cpp": '#include "op.h"\n', "op.h": '#include "layers/first.bin"\n'}),
    ],
)
def test_a_file_counts_that_a_list_beside_a_source_names(package, monkeypatch, named, content):
    edit(package / "model.py", FILES["model.py"] + f"load(HERE / '{named}')\n")
    for name, text in content.items():
        (package / name).write_text(text)
    (weights := package / "layers" / "first.bin").parent.mkdir()
    weights.write_text("1")
    before = hashed()
    edit(weights, "2")
    assert hashed() != before
    monkeypatch.setattr(imports, "MOST_LISTED", 0)  # as of a list of pictures
    without = hashed()
    edit(weights, "3")
    assert hashed() == without


@pytest.mark.parametrize(
    "statement",
    [
        "from importlib import import_module as of\nof('mine.other')\n",
        "importlib.import_module(name='mine.other')\n",
        "importlib.import_module('.other', package='mine')\n",
        "HEADS = {'other': 'mine.other'}\n",
        "HEADS = {'other': 'mine.other:Other.build'}\n",
        "HEADS = {'other': 'mine.other.Other'}\n",
        "HEADS = {'other': '.other'}\n",
        "runpy.run_path(HERE / 'other.py')\n",
    ],
)
def test_a_module_that_lies_with_a_source_counts_where_a_text_names_it(package, statement):
    edit(package / "model.py", FILES["model.py"] + statement)
    edit(package / "other.py", "import mine.constants\n")
    before = hashed()
    edit(package / "constants.py", "A = 2\n")
    assert hashed() != before


def test_no_module_of_elsewhere_counts_where_a_text_is_its_name(package, tmp_path, monkeypatch):
    """A folder that a command happens to run in is no part of what a plugin is."""
    (other := tmp_path / "elsewhere" / "mine_too.py").parent.mkdir()
    other.write_text("")
    monkeypatch.syspath_prepend(other.parent)
    before = set(closure(["mine.model"], within))
    edit(package / "model.py", FILES["model.py"] + "NAMES = ['mine_too', '.jpg', 'mine.', 'os.path']\n")
    assert set(closure(["mine.model"], lambda name: name.startswith("mine"))) == before


@pytest.mark.parametrize(
    ("begins", "counts"),
    [
        ("from mine import other\nother.z = 1\n", "__init__.py"),
        ("import mine.other\nif True:\n    mine.other.table['z'] = 1\n", "__init__.py"),
        ("import torch\ntorch.set_default_dtype(torch.float64)\n", "__init__.py"),
        ("from mine import other\n", "other.py"),
        ("try:\n    from .other import *\nexcept ImportError:\n    pass\n", "other.py"),
        ("from mine.sub import leaf\n", "sub/__init__.py"),
    ],
)
def test_what_sets_or_enters_something_counts_where_a_package_runs_it(package, begins, counts):
    """As constants of a module, and networks in a registry: the import of ``mine.model`` runs ``mine`` first."""
    (package / "__init__.py").write_text(begins)
    (package / "sub").mkdir()
    (package / "sub" / "leaf.py").write_text("")
    (package / "sub" / "__init__.py").write_text("import mine.helper\nmine.helper.z = 1\n")
    edit(package / "other.py", "from mine.helper import HEADS\n@HEADS.register('z')\ndef z(): return 1\n")
    before = hashed()
    edit(package / counts, (package / counts).read_text() + "more = 2\n")
    assert hashed() != before


def test_what_only_names_and_decorates_enters_nothing(package):
    begins = "from mine.other import build\nimport functools, bench\n__all__ = ['build']\nONE: int = 1\n"
    hook = "@bench.hookimpl\ndef bench_models(): return [build()]\n"
    (package / "__init__.py").write_text(f"'''Mine.'''\n{begins}{hook}")
    decorated = "from functools import cache as kept\n@kept\ndef build(): ...\n@property\ndef x(): ...\n"
    edit(package / "other.py", decorated)
    assert not {"mine", "mine.other"} & set(closure(["mine.model"], within))


def test_of_a_compiled_module_and_its_source_the_one_counts_that_python_takes(package):
    """As Cython leaves them: an edit of the source alone changes nothing, and nor does whether it is loaded by now."""
    (compiled := package / f"helper{EXTENSION_SUFFIXES[0]}").write_bytes(b"1")
    assert closure(["mine.model"], within)["mine.helper"] == compiled


def test_a_file_counts_in_a_folder_of_too_many_to_list(package, monkeypatch):
    monkeypatch.setattr(imports, "MANY", 0)
    table = package / "deep" / "tables" / "prior.json"
    table.parent.mkdir()
    table.write_text("{}")
    edit(
        package / "deep" / "inside.py",
        FILES["deep/inside.py"] + f"open(HERE / 'tables' / 'prior.json')\n'{'é' * 99}'\n",
    )
    before = hashed()
    edit(table, "[]")
    assert hashed() != before


def test_compiled_code_of_a_file_that_was_touched_since_is_kept(tmp_path):
    """As of every file of an environment that was copied; Python warns of this one whenever it compiles it."""
    file = tmp_path / "module.py"
    file.write_text("PATTERN = '\\d'\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kept = Path(py_compile.compile(str(file)))
    file.chmod(0o600)
    os.utime(kept, ns=(0, file.stat().st_ctime_ns - 1))
    assert not source.drop_stale(file)
    assert kept.exists()


@pytest.mark.parametrize(
    ("named_in", "statement"),
    [
        ("model.py", "from importlib.resources import files\nfiles('mine.tables') / 'prior.json'\n"),
        ("deep/inside.py", "from pathlib import Path\nPath(__file__).parents[1] / 'tables' / 'prior.json'\n"),
    ],
)
def test_a_table_of_another_folder_of_the_package_counts_where_texts_name_both(package, named_in, statement):
    table = package / "tables" / "prior.json"
    table.parent.mkdir()
    table.write_text("{}")
    edit(package / named_in, FILES[named_in] + statement)
    before = hashed()
    (table.parent / "other.json").write_text("1")
    assert hashed() == before
    edit(table, "[]")
    assert hashed() != before


def test_a_loaded_module_counts_as_it_was_loaded(package, capsys):
    (package / "__init__.py").write_text("")
    assert importlib.import_module("mine.helper").x == 1
    remember(["mine.helper", "json"])
    before = hashed()
    edit(package / "helper.py", "x = 2\n")
    assert hashed() == hashed() == before
    assert capsys.readouterr().err.count("helper.py was edited after it was loaded") == 1
    source._as_loaded.clear()
    assert hashed() != before


@pytest.mark.parametrize("name", ["other.py", "__init__.py", "constants.py", "deep/__init__.py"])
def test_an_edit_of_anything_else_does_not(package, name):
    before = hashed()
    edit(package / name, FILES[name] + "\nmore = 2\n")
    assert hashed() == before


def test_a_package_counts_where_something_is_imported_from_it(package):
    edit(package / "model.py", FILES["model.py"] + "from mine import EVERYTHING\n")
    assert {"mine", "mine.other"} <= set(closure(["mine.model"], within))


def test_line_ends_and_places_do_not_matter(package):
    before = hashed()
    edit(package / "helper.py", "x = 1\r\n")
    (package / "helper.py").write_bytes(b"x = 1\r\n")
    assert hashed() == before


def test_a_module_without_a_file_is_unknown(package):
    assert code_hash(["no_such_module_anywhere"], within) == UNKNOWN


def test_a_star_and_a_conditional_import_count(package):
    edit(package / "helper.py", "try:\n    from .constants import *\nexcept ImportError:\n    import mine.other\n")
    assert {"mine.constants", "mine.other"} <= set(closure(["mine.model"], within))


def test_a_file_that_does_not_parse_counts_as_its_bytes(package):
    before = hashed()
    edit(package / "helper.py", "this is no Python\n")
    assert hashed() != before


def test_a_folder_without_init_is_searched(package):
    (package / "space").mkdir()
    (package / "space" / "leaf.py").write_text("q = 1\n")
    edit(package / "helper.py", "import mine.space.leaf\n")
    assert "mine.space.leaf" in closure(["mine.model"], within)
    assert closure(["mine.model"], within)["mine.space.leaf"] is not None


def test_a_module_of_an_archive_counts_as_the_archive(tmp_path, monkeypatch):
    def hash_of(number):
        with zipfile.ZipFile(tmp_path / "lib.zip", "w") as archive:
            archive.writestr(zipfile.ZipInfo("archived/__init__.py"), "")
            archive.writestr(zipfile.ZipInfo("archived/nets.py"), f"x = {number}\n")
        return [code_hash([name], lambda _: True) for name in ("archived", "archived.nets")]

    monkeypatch.syspath_prepend(tmp_path / "lib.zip")
    one, again, other = (hash_of(number) for number in (1, 1, 2))
    assert one == again
    assert not {UNKNOWN, *one} & {*other}


def test_variables_of_the_environment_are_those_that_a_source_reads_by_a_text(package):
    edit(
        package / "helper.py",
        "import os\nfrom os import environ, getenv\nNAME = 'D'\n"
        "a, b, c, d = getenv('A'), os.environ['B'], environ.get('C', '1'), os.environ[NAME]\n"
        "e = 'E' in os.environ\nos.environ['SET'] = 'x'\nf, g = {}.get('F'), a['G']\n",
    )
    assert source.variables(["mine.model"], within) == set("ABCDE")

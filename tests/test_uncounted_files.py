"""Files that a plugin reads and that no key holds, as their names are made at run time: a row says so."""

import sys

import hostile_runs
import pytest

from bench import plugins
from bench.guard import calling
from bench.uncounted import uncounted_files, uncounted_variables

READING = """
import bench, tempfile
from pathlib import Path
from bench.system.files import sha256_of  # the host reads, as a plugin asks it to

HERE = Path(__file__).parent

def build(request):
    {statement}
    if request is not None:
        from hostile_runs import Plain
        return Plain(request)

@bench.hookimpl
def bench_models():
    return [bench.ModelSpec("reading", "reads as it is built", "scores", build, training={{"epochs": 1}})]
"""

UNCOUNTED = {
    "all of an ending": "[one.read_text() for one in (HERE / 'settings').glob('*.json')]",
    "all of a folder": "[one.read_text() for one in (HERE / 'settings').iterdir()]",
    "a name of two texts": "name = 'prior'; (HERE / 'settings' / f'{name}.json').read_text()",
    "what the host reads as it is asked to": "name = 'prior'; sha256_of(HERE / 'settings' / f'{name}.json')",
    "a module by such a name": "import importlib; importlib.import_module('set' + 'tings.prior')",
}
COUNTED = {
    "a name that stands in the code": "(HERE / 'settings' / 'prior.json').read_text()",
    "an import of a package": "import settings.prior",
    "what it wrote itself": "(HERE / f'{1}.txt').write_text(''); (HERE / f'{1}.txt').read_text()",
    "what is for a while": "tempfile.TemporaryFile().close()",
    "a library's files": "import importlib.metadata; importlib.metadata.version('numpy')",
    "the system's": "Path('/dev/null').read_text()",
}


@pytest.fixture
def reading(write, tmp_path):
    """Return the model of a plugin file that does what ``statement`` says as it is built."""

    def offer(statement):
        (tmp_path / "settings").mkdir()
        for name in ("prior.json", "prior.py", "__init__.py"):
            (tmp_path / "settings" / name).write_text("")
        write("reading_file", READING.format(statement=statement))
        return plugins.load().model("reading")

    return offer


def notes_of(found):
    with calling(found.origin, "build model", "model 'reading'"):
        found.spec.build(None)
    return uncounted_files(found, "model")


@pytest.mark.parametrize("way", UNCOUNTED)
def test_a_file_that_is_read_by_a_name_made_at_run_time_is_told(reading, way):
    (told,) = notes_of(reading(UNCOUNTED[way]))
    name = "prior.py" if "module" in way else "prior.json"
    assert f"settings/{name}" in told
    assert "read by model 'reading', is in no key: edited, it may give the stored run" in told


def test_what_a_module_reads_as_it_is_imported_is_told_of_each_that_imports_it(reading, tmp_path):
    """It is read once in a process, by when the first of several models is built."""
    (tmp_path / "reads_at_import.py").write_text(
        "from pathlib import Path\n[one.read_text() for one in (Path(__file__).parent / 'settings').glob('*.json')]\n"
    )
    found = reading("import reads_at_import")
    with calling(found.origin, "build model", "model 'another'"):
        import reads_at_import  # noqa: F401
    (told,) = notes_of(found)
    assert "settings/prior.json, read by model 'reading', is in no key" in told
    sys.modules.pop("reads_at_import")


@pytest.mark.parametrize("way", COUNTED)
def test_of_what_counts_or_is_no_code_nothing_is_told(reading, way):
    assert notes_of(reading(COUNTED[way])) == ()


def test_what_the_host_hands_over_is_no_such_file(reading, tmp_path):
    found = reading(UNCOUNTED["all of a folder"])
    assert notes_of(found)
    assert uncounted_files(found, "model", [tmp_path / "settings"]) == ()


def test_the_row_says_it(reading, tmp_path):
    registry = hostile_runs.registry()
    registry.offered["models"]["m"] = reading(UNCOUNTED["a name of two texts"])
    (remark,) = hostile_runs.run(tmp_path, registry).read_about().remarks
    assert remark.startswith("settings/prior.json, read by model 'reading', is in no key")


def test_a_variable_of_the_environment_is_told_and_those_that_say_where_things_lie_are_not(reading):
    (told,) = uncounted_variables(reading("import os; os.getenv('SCALE'), os.getenv('HF_HOME')"), "model")
    assert told.startswith("SCALE of the environment, read by model 'reading', is in no key")

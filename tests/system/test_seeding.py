"""Constants that a module draws as it is imported: the same by whenever that is, and in nobody's way."""

import contextlib
import importlib
import importlib.util
import random
import subprocess
import sys
import threading
import types

import numpy as np
import pytest
import torch

from bench.guard import calling
from bench.plugin_files import PluginFile
from bench.system import seeding
from bench.system.seeding import seed_all

SOURCE = """
import random

import numpy as np
import torch

DRAWN = random.random(), np.random.rand(), torch.rand(1).item()
"""


def draw():
    return random.random(), np.random.rand(), torch.rand(1).item()  # noqa: NPY002 - the old generator is what is global


@pytest.fixture
def source(tmp_path, monkeypatch):
    file = tmp_path / "drawn_at_import.py"
    file.write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    yield file
    sys.modules.pop("drawn_at_import", None)


@pytest.mark.parametrize("way", ["import", "file"])
def test_a_module_draws_the_same_whenever_it_is_imported_and_leaves_generators_as_they_were(source, way):
    drawn = set()
    for seed in range(2):
        seed_all(seed)
        expected = draw()
        sys.modules.pop("drawn_at_import", None)
        with calling("other 1.0 (other)", "build model", "model 'mine'", seed=seed):
            module = PluginFile(str(source)).load() if way == "file" else importlib.import_module("drawn_at_import")
            assert draw() == expected
        drawn.add(module.DRAWN)
    assert len(drawn) == 1


def test_a_module_that_another_thread_imports_draws_the_same_there_and_is_let_be_by_who_works_beside_it(source):
    """A notebook's server runs cells in threads of its own."""
    drawn = []

    def imported(*, calls):
        sys.modules.pop("drawn_at_import", None)
        with calling("other 1.0 (other)", "import", "other") if calls else contextlib.nullcontext():
            drawn.append(importlib.import_module("drawn_at_import").DRAWN)

    def in_thread(*, calls):
        thread = threading.Thread(target=imported, kwargs={"calls": calls})
        thread.start()
        thread.join()

    imported(calls=True)
    in_thread(calls=True)
    with calling("other 1.0 (other)", "build model", "model 'mine'", seed=3):
        in_thread(calls=False)
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_library_that_a_module_is_the_first_to_load_draws_the_same_too(source):
    source.write_text("import numpy as np\nDRAWN = np.random.rand(2)\n")
    program = f"""
import sys
from bench.guard import calling
from bench.plugin_files import PluginFile
sys.path.append({str(source.parent)!r})
assert "numpy" not in sys.modules
with calling("other 1.0 (other)", "import", "other"):
    import drawn_at_import
print(drawn_at_import.DRAWN)
"""
    said = {subprocess.run([sys.executable, "-P", "-c", program], check=True, capture_output=True).stdout for _ in "ab"}
    assert len(said) == 1


def test_a_library_that_is_being_loaded_is_asked_for_no_state():
    """torch, which imports others as it is loaded, would end the process."""
    spec = importlib.util.spec_from_loader("torch", None)
    spec._initializing = True
    module = types.ModuleType("torch")
    module.__spec__ = spec
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "torch", module)
        assert sorted(seeding._states()) == ["numpy", "random"]
    assert sorted(seeding._states()) == ["numpy", "random", "torch"]

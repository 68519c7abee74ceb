"""What docs/python.md and examples/notebook.py show is what happens."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def blocks_of(page):
    """The fenced Python blocks of a page, each with the number of its first line."""
    text = page.read_text(encoding="utf-8")
    return [
        (text[: found.start(1)].count("\n"), found[1])
        for found in re.finditer(r"^```python\n(.*?)^```$", text, re.M | re.S)
    ]


def run_script(path, folder, **environment):
    variables = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "XDG_CACHE_HOME": str(folder / "cache")}
    command = [sys.executable, "-W", "error", "-W", r"ignore::Warning:PIL", path]
    return subprocess.run(command, cwd=folder, env=variables | environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_every_block_of_the_page_runs_in_order(tmp_path):
    blocks = blocks_of(ROOT / "docs" / "python.md")
    assert len(blocks) > 10
    script = tmp_path / "page.py"
    lines = []
    for start, block in blocks:
        lines += [""] * (start - len(lines)) + block.splitlines()  # a traceback's line is the page's
    script.write_text("\n".join(lines))
    done = run_script(script, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "truth: found 2 at image 0, label 2, allowed: bool, or exactly 0 or 1" in done.stdout
    assert "did you mean 'softmax'?" in done.stdout
    assert "30 test images (top2@1)" in done.stdout


@pytest.mark.slow
def test_the_notebook_runs_as_a_script(tmp_path):
    done = run_script(ROOT / "examples" / "notebook.py", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "400 test" in done.stdout
    assert "above +0.0: O-P " in done.stdout


def test_the_notebook_has_cells_of_text_and_code():
    text = (ROOT / "examples" / "notebook.py").read_text(encoding="utf-8")
    assert text.startswith("# %% [markdown]\n# # ")
    assert len(re.findall(r"^# %%", text, re.MULTILINE)) > 5

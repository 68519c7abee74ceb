"""Processes that ask for the same run at the same time: one does it, and nothing it stored is lost."""

import contextlib
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from example_runs import make_run, run_config

from bench.store.run_folder import RunFolder
from bench.store.runs import find, open_run

JOBS = """
    import os, random, sys, time
    from pathlib import Path
    from example_runs import make_run
    from bench import StoreError
    from bench.store import runs, sealed

    def slowly(create):
        # The pause in which another process once made the folder, and finished the run in it.
        def pausing(*arguments):
            time.sleep(random.random() / 20)
            create(*arguments)
        return pausing

    def run(root):
        while True:
            try:
                folder = runs.open_run(root, CONFIG)
                with folder.lock():
                    if not folder.done:
                        os.write(1, b"made\\n")
                        make_run(root)
                    return folder.summary().state == "done"
            except StoreError as error:
                if "another process is working on" not in str(error):
                    raise
                time.sleep(0.001)

    from example_runs import run_config
    CONFIG = run_config()
    sealed.SealedFolder.create = slowly(sealed.SealedFolder.create)
    gate, children = os.pipe(), []
    for number in range(24):
        child = os.fork()
        if not child:
            random.seed(number)
            os.close(gate[1])
            os.read(gate[0], 1)
            os._exit(not run(Path(sys.argv[1])))
        children.append(child)
    os.close(gate[1])
    sys.exit(any([os.waitpid(child, 0)[1] for child in children]))
"""


def test_of_many_processes_that_ask_for_one_run_one_does_it_and_all_find_it_done(tmp_path: Path) -> None:
    code = f"import sys; sys.path[:0] = {[str(Path(__file__).parents[1])]!r}\n" + textwrap.dedent(JOBS)
    command = [sys.executable, "-P", "-c", code, str(tmp_path / "runs")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "made\n"), done.stderr
    (folder,) = find(tmp_path / "runs")
    assert folder.done
    assert folder.read_measures().values == {"O-F1": 0.5, "mAP": 0.25}


def test_a_run_that_another_process_finishes_meanwhile_keeps_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: Callable[[RunFolder], contextlib.AbstractContextManager[None]] = RunFolder.held

    @contextlib.contextmanager
    def too_late(folder: RunFolder) -> Iterator[None]:
        monkeypatch.setattr(RunFolder, "held", held)
        make_run(tmp_path)
        with held(folder):
            yield

    monkeypatch.setattr(RunFolder, "held", too_late)
    folder = open_run(tmp_path, run_config())
    assert folder.done
    assert folder.summary().measures is not None

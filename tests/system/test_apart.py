"""Functions called by a process of their own: what they say comes back, and what ends that process ends no other."""

import json
import os
import subprocess
import sys

import pytest

from bench.errors import DataError
from bench.system.apart import call_apart

REFUSED = "a.parquet: no Parquet file, or a damaged one"


@pytest.mark.parametrize(
    ("function", "arguments", "said"),
    [
        ("bench.external.voc:label_of", {"name": "x.txt"}, "file 'x.txt' is called otherwise than VOC's results"),
        ("os:abort", {}, rf"{REFUSED}: reading it ended the process that did \(signal 6\)"),
        ("builtins:bytearray", {"source": 1 << 40}, rf"{REFUSED}: reading it ended the process that did \(MemoryError"),
    ],
)
def test_what_a_function_refuses_or_dies_of_is_an_error_in_a_line(function, arguments, said):
    with pytest.raises(DataError, match=f"^{said}") as refused:
        call_apart(function, arguments, refused=REFUSED)
    assert "\n" not in str(refused.value)


def test_content_of_any_bytes_goes_with_the_arguments():
    pytest.importorskip("pyarrow", reason="needs the package 'pyarrow'")
    with pytest.raises(DataError, match=r"^scores\.parquet: no Parquet file, or damaged: "):
        call_apart(
            "bench.external.tables:parquet_columns", {"place": "scores.parquet"}, refused="", content=b"\n\0\xff" * 9
        )
    call_apart("builtins:dict", {"a": 1}, refused=REFUSED)


def test_what_a_library_does_while_its_process_winds_up_is_no_fault_of_the_file(tmp_path, monkeypatch):
    (tmp_path / "winds_up_badly.py").write_text("import atexit, os\ndef read():\n    atexit.register(os.abort)\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    call_apart("winds_up_badly:read", {}, refused=REFUSED)


def test_a_lower_limit_of_memory_that_is_there_already_stays():
    asked = json.dumps({"function": "builtins:dict", "arguments": {}, "content": False})
    limited = f"ulimit -v {6 << 20}; exec {sys.executable} -P -m bench.system.apart"
    done = subprocess.run(["sh", "-c", limited], input=asked, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")

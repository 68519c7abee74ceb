"""The streams that a command writes to."""

import subprocess
import sys

CODE = """
import os, sys
os.closerange(0, 3)
sys.stdin = sys.stdout = sys.stderr = None
from bench.system.text import prepare_streams
prepare_streams()
print("into nothing")
os._exit(os.open(os.devnull, os.O_RDONLY))
"""


def test_no_file_gets_the_number_of_a_standard_stream_that_was_closed_before_the_start():
    """What a library prints to it would lie amid the file's own bytes."""
    assert subprocess.run([sys.executable, "-P", "-c", CODE], check=False).returncode > 2

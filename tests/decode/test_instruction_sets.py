"""The kernel as other processors run it: without AVX2 it finds the same label sequences."""

import io
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.decode import _beam

SEARCHES = """
import io, sys
import numpy as np
import oracle
from bench.decode import _beam
from bench.decode.decoder import decode
from bench.records import SearchOptions

rng = np.random.default_rng(5)
found = {}
for activation in ("identity", "relu", "tanh"):
    output, table = (rng.normal(size=(rows, 24)).astype(np.float32) for rows in (81, 997))
    bias = rng.normal(size=81).astype(np.float32)
    network = oracle.TableNetwork(output, bias, table, activation, False)
    terms = rng.normal(size=(100, 24)).astype(np.float32)
    for search, score in (("beam", "beam_marginal"), ("exact", "max_over_steps")):
        options = SearchOptions(search=search, beam_width=4, max_length=4, class_score=score, node_limit=2000)
        answer = decode(network, terms, network.start_states(100), [str(row) for row in range(100)], options)
        name = f"{activation} {search} "
        found[name + "sequences"] = answer.label_sets.sequences
        found[name + "log"] = answer.label_sets.log_probabilities
        found[name + "scores"] = answer.class_scores.values
buffer = io.BytesIO()
np.savez(buffer, instruction_set=_beam.instruction_set, **found)
sys.stdout.buffer.write(buffer.getvalue())
"""


def searched(instructions):
    """What the searches find in a process that computes with no more than ``instructions``."""
    paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    env = os.environ | {"BENCH_INSTRUCTIONS": instructions, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    done = subprocess.run([sys.executable, "-P", "-c", SEARCHES], env=env, capture_output=True, check=False)
    if done.returncode:
        return done.stderr.decode()
    with np.load(io.BytesIO(done.stdout)) as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def widest():
    """What this processor finds with all that it has."""
    return searched("")


@pytest.mark.parametrize("instructions", ["portable", "avx2"])
def test_fewer_instructions_find_the_same_label_sequences(instructions, widest):
    found = searched(instructions)
    assert str(widest["instruction_set"]) == _beam.instruction_set
    # A processor without AVX2 has the portable ones alone.
    assert str(found.pop("instruction_set")) in {instructions, "portable"}
    assert len(np.unique(widest["tanh beam sequences"], axis=0)) > 50
    for name, values in found.items():
        if name.endswith("sequences"):
            np.testing.assert_array_equal(values, widest[name])
        else:
            # A product and a sum are rounded once where the processor can, else twice.
            np.testing.assert_allclose(values, widest[name], rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(
    platform.machine() != "x86_64" or not shutil.which("qemu-x86_64"), reason="no emulator: apt-get install qemu-user"
)
@pytest.mark.parametrize(("processor", "expected"), [("Nehalem", "portable"), ("max", "avx2")])
def test_a_processor_is_given_the_instructions_that_it_has(processor, expected):
    """The module alone is loaded: an instruction that the emulated processor lacks would end the process."""
    code = f"import sys; sys.path.insert(0, {str(Path(_beam.__file__).parent)!r}); import _beam as kernel"
    command = ["qemu-x86_64", "-cpu", processor, sys._base_executable, "-P", "-S", "-c"]
    command.append(f"{code}; print(kernel.instruction_set)")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == expected, done.stderr


def test_instructions_that_there_are_not_are_refused():
    assert "BENCH_INSTRUCTIONS: found 'sse9', allowed: portable, avx2, avx512" in searched("sse9")

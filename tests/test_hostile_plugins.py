"""What hostile plugins get: global state is put back, and the next model's numbers stay the same.

The list stands in docs/plugins.md.
"""

import functools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hostile import HOSTILE
from hostile_runs import BAD, Flat, Pictures, Plain, flat, registry, run, toy

import bench
from bench import BenchError
from bench.assembly import parts_of
from bench.guard import calling
from bench.pipeline import run_one
from bench.plugins import Found
from bench.records import RunRequest
from bench.system import global_state


def state():
    settings = global_state._settings()
    return {name: str(value) for name, value in global_state._read(settings).items() if "path" not in name}


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    """The key and the scores of a model that no hostile plugin ran before."""
    folder = run(tmp_path_factory.mktemp("before"), registry())
    return folder.key, np.array(folder.read_scores().values)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_call_that_changes_global_state_leaves_it_as_it_was(name):
    before, folder, streams = state(), Path.cwd(), (sys.stdin, sys.stdout, sys.stderr)
    with calling(BAD, "build", "model 'm'"):
        HOSTILE[name]()
    assert state() == before
    assert Path.cwd() == folder
    assert (sys.stdin, sys.stdout, sys.stderr) == streams
    assert sys.path[0] != "/nowhere"
    print("standard output is open", file=sys.stdout)
    assert torch.ones(2, requires_grad=True).sum().requires_grad


@pytest.mark.parametrize("name", HOSTILE)
def test_the_next_models_numbers_are_those_of_a_run_without_the_hostile_one(name, numbers, tmp_path):
    class Hostile(Plain):
        def loss(self, features, truth, generator):
            loss = super().loss(features, truth, generator)
            HOSTILE[name]()
            return loss

    try:
        run(tmp_path, registry(Hostile))
    except BenchError as error:
        assert str(error).startswith("bench-bad 2.1 (bad), train of model 'm'")  # noqa: PT017 - it may well succeed
    after = run(tmp_path, registry())
    assert after.key == numbers[0]
    np.testing.assert_array_equal(after.read_scores().values, numbers[1])


@pytest.mark.parametrize("stage", ["data set", "picture", "backbone", "features", "model", "forward"])
def test_state_that_is_changed_in_any_stage_is_put_back(stage, numbers, tmp_path):
    def upset(where):
        if where == stage:
            torch.set_default_dtype(torch.float64)
            np.random.seed(1)  # noqa: NPY002 - the old generator is what is global
            os.chdir("/")
            os.environ["HOSTILE"] = "1"

    class Module(Flat):
        def forward(self, pixels):
            upset("features")
            return super().forward(pixels)

    class Own(Pictures):
        def read(self, index):
            upset("picture")
            return np.full((4, 4, 3), index, np.uint8)

    class Model(Plain):
        def __init__(self, request):
            super().__init__(request)
            upset("model")

        def forward(self, features):
            upset("forward")
            return super().forward(features)

    def dataset():
        upset("data set")
        return toy(Own())

    def backbone():
        upset("backbone")
        return flat(Module())

    run(tmp_path, registry(Model, dataset=dataset, backbone=backbone))
    assert "HOSTILE" not in os.environ
    after = run(tmp_path, registry())
    np.testing.assert_array_equal(after.read_scores().values, numbers[1])


def test_state_of_a_library_that_the_plugin_is_the_first_to_load_is_put_back_too():
    program = """
import sys
from bench.guard import calling
assert "torch" not in sys.modules
with calling("bench-bad", "import", "bad"):
    import torch
    before = torch.get_num_threads(), torch.get_rng_state()
    torch.set_num_threads(before[0] + 1)
    torch.set_default_dtype(torch.float64)
    torch.rand(3)
assert (torch.get_num_threads(), torch.get_default_dtype()) == (before[0], torch.float32)
assert torch.equal(torch.get_rng_state(), before[1])
"""
    subprocess.run([sys.executable, "-P", "-c", program], check=True)


def test_what_a_plugin_prints_from_python_c_or_a_child_goes_to_standard_error():
    program = """
import os, sys
from bench.guard import calling
print("first")
with calling("bench-bad", "build", "model"):
    print("from Python")
    print("from Python", file=sys.__stdout__)
    os.write(1, b"from C\\n")
    os.system("echo from a child")
print("last")
"""
    done = subprocess.run([sys.executable, "-P", "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "first\nlast\n"
    assert sorted(done.stderr.splitlines()) == ["from C", "from Python", "from Python", "from a child"]


def test_a_run_of_a_model_named_with_its_distribution_is_the_run_of_the_bare_name(tmp_path):
    request = {"out": tmp_path / "runs", "cache": tmp_path / "cache"}
    bare = run_one(RunRequest("m", "toy", **request), registry())
    whole = run_one(RunRequest("bench-bad:m", "bench-good:toy", "bench-good:flat", **request), registry())
    assert whole.path == bare.path
    assert whole.config["model"]["distribution"] == "bench-bad"


def test_a_plugins_pictures_count_in_the_key_behind_their_name_and_in_part():
    from bench.code import images_code
    from bench.data.guarded import named_images
    from bench.data.splits import subset

    class Own(Pictures):
        images = ["no pictures of the host"]  # noqa: RUF012 - a plugin's own attribute

        def read(self, index):
            return np.zeros((4, 4, 3), np.uint8)

    plain = toy(Own())
    own = images_code(plain.test.images)
    named = named_images(plain, BAD)
    assert own
    assert images_code(named.test.images) == images_code(subset(named.test, [0, 1], "part").images) == own
    assert images_code(named.train.images) == ""


@pytest.mark.parametrize(("level", "options"), [(2, {"side": 4}), (1, {"side": 8})], ids=["code", "option"])
def test_pictures_drawn_otherwise_under_the_same_hash_have_features_of_their_own(level, options):
    """A third party's hash may be over what its pictures are drawn from."""
    from bench.code import images_code

    class Drawn(Pictures):
        def __init__(self, bright):
            self.bright = bright

        def read(self, index):
            return np.full((4, 4, 3), self.bright if index == 1 else index, np.uint8)  # 1 is none of those looked at

    def opened(level, options):
        spec = bench.DatasetSpec("toy", "made up", functools.partial(lambda by, _: toy(Drawn(by)), level))
        return parts_of(Found(spec, BAD), options, RunRequest("m", "toy"))

    one, same, other = opened(1, {"side": 4}), opened(1, {"side": 4}), opened(level, options)
    assert one.fingerprints == other.fingerprints
    made = [images_code(parts.test.images) for parts in (one, same, other)]
    assert made[0] == made[1] != made[2]

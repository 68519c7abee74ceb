"""predict.py in an exported folder is ``bench predict`` without bench: the same pixels, searches, sets and answers."""

import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import oracle
import PIL
import pytest
from example_commands import bench
from example_exports import images_of
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import plugins
from bench.data.sources import Source, sources
from bench.decode.decoder import decode
from bench.evaluation import protocols
from bench.evaluation.policies import Policy, fit
from bench.evaluation.policies import chosen as choose
from bench.exported import programs
from bench.exported.labelling import Choice, label
from bench.exported.policy import ExportedPolicy, calibrated_by, reader
from bench.exported.policy import exported as exported_policy
from bench.exported.predict import Predictor
from bench.exported.predict import probabilities as of_bench
from bench.exported.standalone import predict, search
from bench.records import Scores, SearchOptions
from bench.show.csv_text import csv_text
from bench.system import text

MODELS = ("bce", "cnn-rnn", "knn")


def run(folder, *arguments, isolated=True):
    """What a process prints that imports nothing of this checkout, and its status."""
    command = [sys.executable, *(["-I"] if isolated else []), folder / "predict.py", *arguments]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    return done.stdout, done.stderr, done.returncode


@pytest.mark.parametrize("model", MODELS)
def test_its_records_are_those_of_bench_predict(exported, tmp_path, model, capsys):
    unreadable = tmp_path / "=no.png"
    unreadable.write_bytes(b"no picture")
    arguments = [*images_of(exported), unreadable, tmp_path / "absent.png", images_of(exported)[0]]
    for asked in ((), ("--top-k", 2), ("--threshold", 0.4), ("--top-k", 1, "--threshold", 0.6)):
        found, told, status = run(exported / model, "--json", *asked, *arguments)
        capsys.readouterr()
        assert bench("predict", exported / model, "--json", *asked, *arguments) == status == 1
        assert told == "21 of 23 images labelled, 2 not read\n"
        expected = json.loads(capsys.readouterr().out)
        compare(json.loads(found), expected)
        assert [one["image"] for one in expected] == list(map(str, arguments))
        assert sum(one["labels"] is None for one in expected) == 2


def compare(found, expected):
    """Whether two lists of records are the same but for the rounding of numbers."""
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        for name, value in other.items():
            if name in {"scores", "probabilities", "log_probability"} and value is not None:
                np.testing.assert_allclose(one[name], value, rtol=1e-5, atol=1e-5)
            else:
                assert one[name] == value, name


@pytest.mark.parametrize("form", ["--csv", "text"])
def test_tables_and_texts_are_those_of_bench_predict(exported, tmp_path, form, capsys):
    for name in ("=1+1.png", "b\x1b[31m\u202e.png", "notes.txt"):
        shutil.copy(images_of(exported)[0], tmp_path / name)
    (tmp_path / "deeper").mkdir()
    shutil.copy(images_of(exported)[1], tmp_path / "deeper" / "@a.PNG")
    arguments = ([form] if form != "text" else [], [tmp_path])
    found, _, status = run(exported / "bce", *arguments[0], *arguments[1])
    assert bench("predict", exported / "bce", *arguments[0], *arguments[1]) == status == 0
    expected = capsys.readouterr().out
    assert found == expected
    assert "\x1b" not in found
    assert len(found.splitlines()) == (4 if form == "--csv" else 3)


def test_its_cells_are_no_formulas(exported):
    assert predict.STEERING.pattern == text._STEERING.pattern
    for cell in ("=1", "+1", "-1", "@a", "\ta", "a=1", "", "-"):
        assert predict.csv_line([cell]) == csv_text([cell], []).rstrip("\n")
    assert predict.csv_line([["-a", "b"], [-0.5, 2.0], -3.0, None]) == "'-a;b,-0.5;2,-3,"
    with pytest.raises(predict.Refused, match="label 'b;c' holds ';', by which CSV joins labels"):
        predict.csv_line(["a;b.png", ["a", "b;c"]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "the following arguments are required: IMAGE"),
        (("--top-k", "0", "a.png"), "--top-k: found 0, allowed: whole numbers from 1"),
        (("--threshold", "nan", "a.png"), "--threshold: found nan, allowed: finite numbers"),
        (("--csv", "--json", "a.png"), "not allowed with"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(exported, arguments, message):
    found, told, status = run(exported / "bce", *arguments)
    assert (found, status) == ("", 2)
    assert message in told
    assert len(told.splitlines()) == 1


def test_a_folder_without_images_or_that_cannot_be_listed_is_a_row_as_of_bench_predict(tmp_path, monkeypatch):
    """They were passed over beside others; `./a.png` was a row called `a.png`, which joins with no list of paths."""
    for name in ("a.png", "empty/notes.txt", "full/b.png", "full/locked/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    scandir = os.scandir

    def refused(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr("os.scandir", refused)
    arguments = [f"{tmp_path}/{name}" for name in ("empty", "./a.png", "full", "absent")] + [""]
    expected = [(source.name, source.reason) for source in sources(arguments, None)]
    assert list(predict.find(arguments)) == expected
    assert [bool(reason) for _, reason in expected] == [True, False, False, True, True, True]


@pytest.mark.parametrize("threads", ["9" * 23, "-1"])
def test_any_number_of_threads_gives_labels(exported, threads):
    model = predict.Model(exported / "bce", int(threads))
    assert 0 <= model.options.intra_op_num_threads <= 1024
    assert model.options.log_severity_level == 3  # ONNX Runtime warned at length of constants in half precision


@pytest.mark.parametrize("module", ["onnxruntime", "numpy", "PIL"])
def test_a_package_that_is_not_installed_is_one_line(exported, tmp_path, module):
    code = f"import sys, runpy; sys.modules[{module!r}] = None; runpy.run_path(sys.argv[1], run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, exported / "bce" / "predict.py"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (
        2,
        f"error: {module} is missing. Try: pip install onnxruntime numpy pillow\n",
    )


@pytest.mark.parametrize("model", ["cnn-rnn", "bce"])
def test_every_file_with_flipped_bits_or_a_cut_end_is_refused_by_both_programs(exported, tmp_path, model):
    folder = tmp_path / "model"
    shutil.copytree(exported / model, folder)
    rng = np.random.default_rng(0)
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        damaged = [content[:-1], content[: len(content) // 2], content + b"\0", b""]
        for place in rng.integers(len(content), size=8):
            flipped = bytes([content[place] ^ 1 << int(rng.integers(8))])
            damaged += [content[:place] + flipped + content[place + 1 :]]
        for wrong in damaged:
            path.write_bytes(wrong)
            with pytest.raises(predict.Refused, match=path.name):
                predict.Model(folder)
        path.unlink()
        with pytest.raises(predict.Refused, match=path.name):
            predict.Model(folder)
        path.write_bytes(content)
    assert predict.Model(folder).description["model"] == model


def test_a_program_that_is_damaged_itself_gives_no_other_answer(exported, tmp_path):
    folder, image = tmp_path / "model", images_of(exported)[0]
    shutil.copytree(exported / "bce", folder)
    expected, _, _ = run(folder, "--json", image)
    content = (folder / "predict.py").read_bytes()
    for place in np.random.default_rng(1).integers(len(content), size=4):
        changed = bytearray(content)
        changed[place] ^= 2
        (folder / "predict.py").write_bytes(changed)
        found, _, status = run(folder, "--json", image)
        assert status or found == expected


def test_running_it_leaves_nothing_in_its_folder_or_at_home(exported, tmp_path, monkeypatch):
    for name in os.environ.keys() - {"PATH", "LD_LIBRARY_PATH"}:  # ONNX Runtime's telemetry is silent in CI
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    shutil.copytree(exported / "cnn-rnn", tmp_path / "model")
    before = sorted(path.name for path in (tmp_path / "model").iterdir())
    assert run(tmp_path / "model", images_of(exported)[0], isolated=False)[2] == 0
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == before
    assert not (tmp_path / "home").exists()


@st.composite
def options(draw):
    longest = draw(st.integers(1, 5))
    return SearchOptions(
        search=draw(st.sampled_from(["beam", "beam", "exact"])),
        beam_width=draw(st.integers(1, 6)),
        end_consumes_slot=draw(st.booleans()),
        mask_repeats=draw(st.booleans()),
        min_length=draw(st.integers(0, longest)),
        max_length=longest,
        stop=draw(st.sampled_from(["best", "all"])),
        class_score=draw(st.sampled_from(["max_over_steps", "first_step", "beam_marginal", "inclusion"])),
        node_limit=draw(st.sampled_from([1, 5, 60])),
    )


def searched(network, image_terms, asked):
    """Sequences, log-probabilities and class scores by the search in NumPy."""
    session = SimpleNamespace(run=lambda _, inputs: network.step(inputs["labels"], inputs["states"]))
    states = network.start_states(len(image_terms))
    arrays = {"output": network.output, "bias": network.bias, "start_states": states}
    prefixes = search.Prefixes(session, arrays, network.activation)
    values, answers = {name: getattr(asked, name) for name in asked.__slots__}, []
    for row, term in enumerate(image_terms):
        if network.sees_image:
            prefixes.of_image(states[row : row + 1], None)
        answers.append(search.Search(prefixes, term, values).answer())
        prefixes.trim()
    return answers


@settings(max_examples=200)
@given(oracle.cases(), options())
def test_its_search_equals_the_plain_one_bit_for_bit_ties_too(case, asked):
    network, image_terms = case
    answers = searched(network, image_terms, asked)
    ids = tuple(map(str, range(len(answers))))
    expected = decode(network, image_terms, network.start_states(len(ids)), ids, asked, engine="reference")
    for row, (log_probability, labels, scores) in enumerate(answers):
        sequence = expected.label_sets.sequences[row]
        assert list(labels) == list(sequence[sequence >= 0])
        assert log_probability == expected.label_sets.log_probabilities[row]
        assert np.array_equal(scores, expected.class_scores.values[row])


def test_forgotten_prefixes_change_no_answer(monkeypatch):
    rng = np.random.default_rng(0)
    network = oracle.TableNetwork(*(rng.normal(size=size).astype(np.float32) for size in ((9, 5), 9, (97, 5))))
    terms, asked = rng.normal(size=(6, 5)).astype(np.float32), SearchOptions(beam_width=3, max_length=6)
    expected = searched(network, terms, asked)
    monkeypatch.setattr(search, "KEPT_BYTES", 200)
    for found, other in zip(searched(network, terms, asked), expected, strict=True):
        assert found[:2] == other[:2]
        assert np.array_equal(found[2], other[2])


GOALS = (
    "precision>=0.3",
    "f1;per-label;temperature",
    "recall>=0.8;a:precision>=0.99;isotonic",
    "precision>=0.5;per-label;isotonic",
)


@pytest.mark.parametrize("name", ["", "exactly-k", "natural-threshold", *programs.CARRIED, *GOALS])
@pytest.mark.parametrize("kind", ["logit", "probability"])
def test_its_label_sets_are_those_of_every_policy(name, kind):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(200, 15)).round(1).astype(np.float32)  # rounded: there are ties
    values = values if kind == "logit" else 1 / (1 + np.exp(-values))
    values[0, :3] = np.inf if kind == "logit" else 1.0
    truth, protocol = values + rng.normal(size=values.shape) > 1, protocols.get("top3@1")
    policy = ExportedPolicy(name) if name and name not in {*programs.CARRIED, *GOALS} else None
    if name in programs.CARRIED:
        found = plugins.installed().policy(name, "scores")
        chosen = Policy(name, found.spec.amount, False, found)
        scores = Scores(tuple(map(str, range(200))), values, kind)
        policy = exported_policy(chosen, fit(chosen, protocol, scores, truth, ignore=None))
    elif name in GOALS:
        chosen, scores = choose(name, None, protocol, "scores"), Scores(tuple(map(str, range(200))), values, kind)
        state = fit(chosen, protocol, scores, truth, ignore=None, labels=tuple("abcdefghijklmno"))
        policy = exported_policy(chosen, state)
    threshold = protocols.THRESHOLDS[kind]
    read = reader(policy, 3, threshold) if policy else None
    expected = protocols.metrics.top_k(values, 3) if read is None else read(values)
    description = {"policy": policy and policy.to_values(), "k": 3, "threshold": threshold, "score_kind": kind}
    description = json.loads(json.dumps(description))
    for row, sets in zip(values, expected, strict=True):
        assert np.array_equal(predict.label_set(row, description, None), sets)
    assert expected.any()
    calibrate = calibrated_by(policy, kind)
    assert (calibrate is not None) == name.endswith(("temperature", "isotonic"))
    for row in values:
        found = predict.calibrated(row, description)
        assert (found is None) == (calibrate is None)
        assert found is None or np.array_equal(found, calibrate(row[None])[0])


def test_a_policy_that_it_does_not_carry_is_named_and_scores_are_given_all_the_same(exported):
    model = predict.Model(exported / "bce")
    model.description |= {"policy": {"name": "mine", "distribution": "my-plugin", "version": "1", "state": {}}}
    source = (images_of(exported)[0], "")
    with pytest.raises(predict.Refused, match=r"policy 'mine' of my-plugin is not here. Try: --top-k 3"):
        list(predict.label(model, [source], None, None))
    assert len(next(predict.label(model, [source], 2, None))["labels"]) == 2
    model.description |= {"policy": {"name": "new", "distribution": "", "version": "", "state": {}}}
    with pytest.raises(predict.Refused, match=r"policy 'new' of a newer bench is not here"):
        list(predict.label(model, [source], None, None))


@pytest.mark.parametrize("kind", ["logit", "probability", "log_probability", "margin"])
def test_probabilities_are_those_of_bench_predict(kind):
    scores = np.array([-800.0, -2.0, 0.0, *([0.3, 800.0] if kind != "log_probability" else [])], np.float32)
    found, expected = predict.probabilities(scores, kind), of_bench(scores, kind)
    assert (found is None) == (expected is None) == (kind == "margin")
    assert found is None or np.array_equal(found, expected)


@pytest.mark.parametrize("name", ["manifest.json", "encoder.onnx"])
def test_a_folder_that_is_exported_anew_while_it_is_opened_is_refused(exported, tmp_path, name):
    """Of a folder that is copied over it file by file, what was read before its manifest came was taken in silence."""
    folder = shutil.copytree(exported / "bce", tmp_path / "model")

    class Slow(predict.Model):
        def session(self, path):
            shutil.copyfile(exported / "knn" / name, folder / name)
            return super().session(path)

    with pytest.raises(predict.Refused, match="not the file that was exported"):
        Slow(folder)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_disk_that_is_full_is_one_line_and_status_2(exported, monkeypatch, capsys):
    """It was a traceback, and status 1, as of images that are not read."""
    monkeypatch.setattr(predict, "__file__", str(exported / "bce" / "predict.py"))
    monkeypatch.setattr("sys.argv", ["predict.py", *map(str, images_of(exported)[:1])])
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        monkeypatch.setattr("sys.stdout", full)
        assert predict.main() == 2
    assert capsys.readouterr().err == "error: cannot write: No space left on device\n"


def test_infinite_scores_are_no_broken_json():
    row = dict(zip(predict.FIELDS, ("a", ["b"], [float("inf")], [1.0], -float("inf"), None), strict=True))
    (_, text, _) = predict.texts(iter([row]), "json", [])
    assert json.loads(text) == dict(zip(predict.FIELDS, ("a", ["b"], [None], [1.0], None, None), strict=True))


def test_the_folder_says_how_it_is_used(exported):
    text = (exported / "cnn-rnn" / "README.md").read_text()
    for words in (
        "pip install onnxruntime numpy pillow",
        "python predict.py",
        "search.py",
        "the shorter side to 33",
        "(height, width, 3) of red",
        "Both give `image_terms`.",
        "END is label 3, and START, before the first, 4.",
        "trained on data set\ncorel5k (images and labels ",
        "two_layers",
        f"The model was checked with Pillow {PIL.__version__}.",
        "Apache-2.0",
    ):
        assert words in text
    assert "{" not in text
    assert "search.py" not in (exported / "bce" / "README.md").read_text()
    assert runpy.run_path(str(exported / "bce" / "predict.py"), run_name="predict")["FIELDS"] == predict.FIELDS


def test_an_output_that_is_closed_swallows_what_is_written(exported):
    """It was a traceback."""
    command = [sys.executable, exported / "bce" / "predict.py", images_of(exported)[0]]
    done = subprocess.run(["sh", "-c", '"$@" >&-', "sh", *command], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.slow  # the same answers are compared above, in the environment of the tests
def test_three_packages_in_a_fresh_environment_are_enough(exported, tmp_path, capsys):
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-compile"]
    installed = subprocess.run([*pip, "onnxruntime", "numpy", "pillow"], capture_output=True, check=False)
    if installed.returncode:
        pytest.skip("there is no package index here")
    size = sum(path.lstat().st_size for path in environment.rglob("*") if path.is_file() and not path.is_symlink())
    assert size < 250e6
    for model in MODELS:
        command = [python, exported / model / "predict.py", "--json", *images_of(exported)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        capsys.readouterr()
        assert bench("predict", exported / model, "--json", *images_of(exported)) == 0
        compare(json.loads(done.stdout), json.loads(capsys.readouterr().out))


def test_a_threshold_is_of_the_probabilities_that_are_shown(exported):
    predictor, image = Predictor(exported / "bce"), images_of(exported)[0]
    predictor._calibrate = lambda scores: np.full_like(scores, 0.25)
    for least, count in ((0.3, 0), (0.2, len(predictor.description.labels))):
        (one,) = label(predictor, [Source(str(image), image)], Choice(threshold=least))
        assert one.probabilities == (0.25,) * count

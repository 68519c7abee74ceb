"""An exported folder is opened whole or not at all: every file is the one that was exported, and no other is there."""

import json
import shutil

import numpy as np
import pytest
from example_commands import bench
from example_exports import images_of, run_of, seal_again, set_metadata
from safetensors.numpy import load_file, save_file

from bench.errors import ModelError
from bench.exported import manifest, model_folder
from bench.exported.predict import Predictor
from bench.exported.publish import export_beside

FILES = (
    *("encoder.onnx", "pixels.onnx", "step.onnx", "decoder.safetensors", "manifest.json"),
    *("predict.py", "search.py", "README.md"),
)

SAME_IN_HALF = {"decoder.safetensors", "predict.py", "search.py"}
"""Files that the same model in half precision has too."""


@pytest.fixture
def folder(exported, tmp_path):
    """A copy of an exported sequence model."""
    shutil.copytree(exported / "cnn-rnn", tmp_path / "model")
    return tmp_path / "model"


def refused(folder, capsys, image, *words):
    """Whether Python and the command line both refuse ``folder`` in one line that holds ``words``."""
    with pytest.raises(ModelError) as raised:
        Predictor(folder)
    assert bench("predict", folder, image) == 2
    told = capsys.readouterr().err.strip()
    assert told == f"error: {raised.value}"
    assert len(told.splitlines()) == 1
    for word in words:
        assert word in told


def test_an_exported_folder_holds_these_files_and_no_other(exported):
    assert {path.name for path in (exported / "cnn-rnn").iterdir()} == set(FILES)
    assert set(manifest.open_whole(exported / "cnn-rnn").files) == set(FILES) - {"manifest.json"}


@pytest.mark.parametrize("name", FILES)
def test_a_changed_byte_anywhere_in_any_file_is_refused(folder, name):
    path = folder / name
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    places = {0, len(content) - 1, *rng.integers(len(content), size=10).tolist()}
    for place in places:
        changed = bytearray(content)
        changed[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(changed)
        with pytest.raises(ModelError, match=name):
            Predictor(folder)
    path.write_bytes(content)
    assert Predictor(folder).description.model == "cnn-rnn"


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["zeros", "cut", "empty", "absent", "folder"])
def test_a_damaged_or_absent_file_is_one_clear_line(exported, folder, name, damage, capsys):
    path = folder / name
    content = path.read_bytes()
    path.unlink()
    if damage == "zeros":
        path.write_bytes(content[: len(content) // 2] + bytes(64) + content[len(content) // 2 + 64 :])
    elif damage == "cut":
        path.write_bytes(content[:-1])
    elif damage == "empty":
        path.touch()
    elif damage == "folder":
        path.mkdir()
    refused(folder, capsys, images_of(exported)[0], name, ". Try: bench export RUN --out ")


@pytest.fixture(scope="module")
def half(exported, tmp_path_factory):
    """The same model in half precision."""
    out = tmp_path_factory.mktemp("half") / "model"
    assert bench("export", run_of(exported, "cnn-rnn").path, "--out", out, "--precision", "fp16") == 0
    return out


@pytest.mark.parametrize("name", [name for name in FILES if name not in SAME_IN_HALF])
def test_a_file_of_another_export_is_refused(exported, folder, half, name, capsys):
    shutil.copy(half / name, folder / name)
    refused(folder, capsys, images_of(exported)[0])


def test_a_file_that_is_not_of_the_export_is_refused_but_for_hidden_ones(exported, folder, capsys):
    (folder / ".DS_Store").touch()
    (folder / "__pycache__").mkdir()
    Predictor(folder)
    (folder / "encoder (1).onnx").touch()
    refused(folder, capsys, images_of(exported)[0], "holds 'encoder (1).onnx', which is not of this export")


OTHER_MANIFESTS = {
    "of a run": ('{"schema": 2, "key": "a", "files": {}}', "is of something else"),
    "no object": ("[]", "found no JSON object"),
    "no JSON": ("{", "is damaged"),
    "deep": ("[" * 100_000, "nested too deeply"),
    "newer": ('{"export": 99}', "written by a newer bench: format 99"),
    "older": ('{"export": 1}', "written by an older bench: format 1"),
    "infinite": ('{"export": 1e999}', "its format is inf"),
    "unsealed": ('{"export": 4, "files": {}}', "not as it was written"),
}


@pytest.mark.parametrize("case", OTHER_MANIFESTS)
def test_what_is_no_manifest_is_one_clear_line(exported, folder, case, capsys):
    content, message = OTHER_MANIFESTS[case]
    (folder / "manifest.json").write_text(content)
    refused(folder, capsys, images_of(exported)[0], message)


def test_a_manifest_that_tells_of_another_model_is_refused(exported, folder, capsys):
    other = manifest.read_manifest(exported / "bce")
    manifest.write_manifest(folder, other.description, other.checks)
    refused(folder, capsys, images_of(exported)[0], "tell of different models")


@pytest.mark.parametrize(("copied", "message"), [("", "exported anew since"), ("decoder.safetensors", "not the file")])
def test_a_folder_that_is_exported_anew_while_it_is_opened_is_refused(exported, folder, monkeypatch, copied, message):
    """Of a folder that is copied over it file by file, what was read before its manifest came was taken in silence."""
    from bench.exported import predict

    other = shutil.copytree(exported / ("cnn-rnn" if copied else "bce"), folder.parent / "other")
    if copied:
        arrays = load_file(other / copied)
        save_file(arrays | {"bias": arrays["bias"] + 1}, other / copied)

    class Slow(predict.OnnxStepNetwork):
        def __init__(self, *arguments):
            if copied:
                shutil.copy(other / copied, folder)
            super().__init__(*arguments)
            if not copied:
                shutil.rmtree(folder)
                shutil.copytree(other, folder)

    monkeypatch.setattr(predict, "OnnxStepNetwork", Slow)
    with pytest.raises(ModelError, match=message):
        Predictor(folder)


def test_a_run_that_exports_itself_writes_a_damaged_folder_again(exported):
    run = run_of(exported, "knn")
    out = export_beside(run)
    before = (out / "manifest.json").stat().st_ino
    assert export_beside(run) == out
    assert (out / "manifest.json").stat().st_ino == before
    (out / "encoder.onnx").write_bytes(b"damaged")
    export_beside(run)
    assert Predictor(out).description.run == run.key


DESCRIPTIONS = {
    "format": (lambda values: values | {"format": float("inf")}, "its format is inf"),
    "kind": (lambda values: values | {"kind": {}}, "kind: found {}, allowed: scores, sets, sequence"),
    "labels": (lambda values: values | {"labels": "abc", "k": 1}, "labels: found 'abc'"),
    "a label": (lambda values: values | {"labels": ["a", 3, None]}, "labels: found"),
    "no label": (lambda values: values | {"labels": []}, "labels: there is none"),
    "k": (lambda values: values | {"k": 10**30}, "k is 1000"),
    "k below": (lambda values: values | {"k": 0}, "k is 0, allowed: 1 to 3"),
    "k of truth": (lambda values: values | {"k": True}, "k: found True, allowed: int"),
    "threshold": (lambda values: values | {"threshold": "0.5"}, "threshold: found '0.5'"),
    "search": (lambda values: values | {"search": {"beam_width": 2.5}}, "search beam_width: found 2.5"),
    "search method": (lambda values: values | {"search": {"search": "greedy"}}, "found 'greedy', allowed: beam, exact"),
    "search size": (lambda values: values | {"search": {"max_length": 10**12}}, "max_length is 1000000000000, allowed"),
    "no search": (lambda values: values | {"search": None}, "search is absent of a model of kind sequence"),
    "activation": (lambda values: values | {"activation": "gelu"}, "activation: found 'gelu'"),
    "preprocessing": (lambda values: values | {"preprocessing": []}, "is damaged"),
    "mean": (lambda values: values | changed(values, mean=[0.0, 0.0]), "preprocessing mean: found"),
    "std": (lambda values: values | changed(values, std=[0.1, float("nan"), 0.1]), "std"),
    "resize": (lambda values: values | changed(values, size=10**9, resize=10**9), "images of 1000000000 pixels"),
    "size": (lambda values: values | changed(values, size=33), r"its description says {'pixels': [3, 33, 33]}"),
    "interpolation": (lambda values: values | changed(values, interpolation="lanczos"), "found 'lanczos'"),
    "versions": (lambda values: values | {"versions": "a"}, "versions: found 'a'"),
    "unknown": (lambda values: values | {"more": 1}, "more"),
    "text": (lambda _: "\\", "is damaged"),
    "deep": (lambda _: "[" * 100_000, "nested too deeply"),
    "long number": (lambda _: '{"format": ' + "9" * 5000 + "}", "is damaged"),
    "seen by a fuzzer": (
        lambda _: '{"format": Infinity, "model": "m", "kind": {}, "labels": ["a", "b"], "preprocessing": []}',
        "its format is inf",
    ),
}


def changed(values, **changes):
    return {"preprocessing": values["preprocessing"] | changes}


@pytest.mark.parametrize("case", DESCRIPTIONS)
def test_an_odd_description_is_one_clear_line(exported, folder, case, capsys):
    """A sealed folder whose files say odd things of themselves, as someone's own program may write it."""
    change, message = DESCRIPTIONS[case]
    set_metadata(folder / "encoder.onnx", change)
    seal_again(folder)
    refused(folder, capsys, images_of(exported)[0], "encoder.onnx", message, "Try: bench export RUN --out DIR")


def test_a_description_that_lacks_a_field_says_which(exported, tmp_path):
    values = json.loads(Predictor(exported / "cnn-rnn").description.to_json())
    for name in set(values) - {"format"}:
        less = {other: value for other, value in values.items() if other != name}
        with pytest.raises(ModelError, match=name):
            model_folder.parse(json.dumps(less), tmp_path)


def test_what_was_checked_is_stored_with_its_values(exported):
    checks = manifest.open_whole(exported / "cnn-rnn").checks
    assert all(check.passed and check.difference is not None for check in checks)
    stored = {(check.name, check.batch): check for check in checks if "stored" in check.name}
    for batch in (1, 2, 7, 16):
        assert 0 < stored["image files = stored scores", batch].difference < 1e-4
        assert stored["image files = stored label sets", batch].count == 20
    assert stored["pixels.onnx = stored scores", 1].allowed == 1e-2

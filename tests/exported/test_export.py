"""Export to ONNX, and prediction from what was exported, against torch and the run itself."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnx
import pytest
from example_commands import FAST, bench, write_corel
from example_exports import MODELS, NETWORK, images_of, pixels_of, run_of, run_options, seal_again, set_metadata

from bench.data.pictures import read_rgb
from bench.errors import ModelError, NotRun, UsageError
from bench.exported import engine, model_folder
from bench.exported.predict import Predictor
from bench.exported.publish import measure_exported
from bench.onnx import sessions


@pytest.mark.parametrize("model", MODELS)
def test_the_exported_model_predicts_what_the_run_predicted(exported, model):
    predictor = Predictor(exported / model)
    run = run_of(exported, model)
    labels = run.read_truth().labels
    for row, result in zip(run.read_predicted(), predictor.predict(images_of(exported)), strict=True):
        assert {labels[index] for index in row.nonzero()[0]} == set(result.labels)


@pytest.mark.parametrize("model", ["cnn-rnn", "bce"])
def test_the_exported_models_scores_equal_the_runs(exported, model):
    predictor = Predictor(exported / model)
    encoded = predictor.encoder(pixels_of(predictor, images_of(exported)))
    if predictor.decoder is not None:
        encoded = predictor.decoder.answers(encoded, predictor.decoder.start_states)[0]["class_scores"]
    np.testing.assert_allclose(encoded, run_of(exported, model).read_scores().values, rtol=1e-4, atol=1e-5)


def test_the_number_of_images_at_once_changes_no_result(exported):
    results = [list(Predictor(exported / "cnn-rnn", batch=batch).predict(images_of(exported))) for batch in (1, 7, 16)]
    for other in results[1:]:
        assert [result.labels for result in other] == [result.labels for result in results[0]]
        np.testing.assert_allclose(
            [result.log_probability for result in other], [result.log_probability for result in results[0]], rtol=1e-4
        )


def test_the_files_say_labels_preprocessing_and_search(exported):
    description = Predictor(exported / "cnn-rnn").description
    assert description.labels == ("blue", "green", "red")
    assert description.preprocessing.size == 32
    assert description.protocol == "top2@1"
    assert description.search.beam_width == 2
    assert Predictor(exported / "bce").description.threshold == 0.0
    for name in (model_folder.ENCODER, model_folder.PIXELS, model_folder.STEP):
        properties = {entry.key: entry.value for entry in onnx.load(exported / "cnn-rnn" / name).metadata_props}
        assert json.loads(properties["multilabel-bench"])["labels"] == ["blue", "green", "red"]


def test_raw_pixels_give_what_preprocessed_ones_give(exported):
    predictor = Predictor(exported / "bce")
    session = sessions.open_session(exported / "bce" / model_folder.PIXELS)
    for path in images_of(exported)[:5]:
        scores = session.run(None, {"image": read_rgb(path)})[0]
        np.testing.assert_allclose(scores[0], predictor.encoder(pixels_of(predictor, [path]))[0], atol=0.02)


def test_prediction_imports_neither_torch_nor_a_plugin(exported):
    code = (
        "import sys; from bench.cli import run_command_line; code = run_command_line(sys.argv[1:]);"
        " assert code == 0; assert not {'torch', 'bench_models', 'bench_datasets'} & set(sys.modules)"
    )
    command = [sys.executable, "-P", "-c", code, "predict", exported / "cnn-rnn", images_of(exported)[0], "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)[0]["labels"]) <= {"red", "green", "blue"}


def test_the_exported_model_measures_what_the_run_measured(exported):
    folder = run_of(exported, "cnn-rnn")
    for stored, found in measure_exported(folder, exported / "cnn-rnn").values():
        assert found == pytest.approx(stored, nan_ok=True)


def test_a_run_is_exported_from_any_folder_and_from_data_that_were_moved(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_corel(tmp_path / "corel", images=12)
    options = ("--dataset", "corel5k", "--data-root", "corel", "--protocol", "top2@1", "--cache", "cache")
    options += ("--backbone", NETWORK, "--set", "backbone.size=32", "--out", "runs")
    assert bench("run", "--model", "bce", *options, *FAST) == 0
    run = run_of(tmp_path, "bce").path
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert bench("export", run, "--out", "first") == 0
    (tmp_path / "corel").rename(tmp_path / "moved")
    capsys.readouterr()
    assert bench("export", run, "--out", "second") == 2
    told = capsys.readouterr().err
    assert f"{tmp_path / 'corel'} is not there, which the run was made from. Try: --data-root DIR" in told
    assert bench("export", run, "--out", "second", "--data-root", tmp_path / "moved", "--measure") == 0
    assert (tmp_path / "elsewhere" / "second" / "pixels.onnx").exists()


def test_a_run_can_export_itself_and_says_where(exported, capsys):
    assert bench("run", "--model", "bce", *run_options(exported), *FAST, "--export") == 0
    folder = run_of(exported, "bce").path / "onnx"
    assert f"bench predict {folder}" in capsys.readouterr().out
    assert Predictor(folder).description.model == "bce"


@pytest.mark.slow  # the same claim as of the smaller backbone above
def test_a_backbone_of_depthwise_convolutions_scores_as_its_run(exported, tmp_path):
    options = ("--dataset", "corel5k", "--data-root", exported / "corel", "--protocol", "top2@1")
    options += ("--cache", exported / "cache", "--backbone", "timm/test_efficientnet", "--set", "backbone.size=32")
    assert bench("run", "--model", "bce", *options, "--out", tmp_path / "runs", *FAST) == 0
    assert bench("export", run_of(tmp_path, "bce").path, "--out", tmp_path / "model") == 0
    predictor = Predictor(tmp_path / "model")
    scores = predictor.encoder(pixels_of(predictor, images_of(exported)))
    np.testing.assert_allclose(scores, run_of(tmp_path, "bce").read_scores().values, rtol=1e-4, atol=1e-5)


def test_known_prefixes_change_no_result(exported, tmp_path):
    from safetensors.numpy import load_file, save_file

    shutil.copytree(exported / "cnn-rnn", tmp_path / "model")
    arrays = load_file(tmp_path / "model" / model_folder.DECODER)
    assert len(arrays["parents"]) > 1
    save_file(
        {name: arrays[name] for name in ("output", "bias", "start_states")}, tmp_path / "model" / model_folder.DECODER
    )
    seal_again(tmp_path / "model")
    cold, warm = Predictor(tmp_path / "model"), Predictor(exported / "cnn-rnn")
    assert len(cold.decoder.tree) == 0
    assert len(warm.decoder.tree) == len(arrays["parents"])
    for one, other in zip(cold.predict(images_of(exported)), warm.predict(images_of(exported)), strict=True):
        assert one.labels == other.labels
        assert one.log_probability == pytest.approx(other.log_probability, abs=1e-5)


def weights_size(folder):
    return sum(len(array.raw_data) for array in onnx.load(folder / model_folder.ENCODER).graph.initializer)


def test_half_precision_is_close_and_smaller_and_its_measures_are_told(exported, tmp_path, capsys):
    command = ("export", run_of(exported, "bce").path, "--out", tmp_path / "half", "--precision", "fp16", "--measure")
    assert bench(*command, "--json") == 0
    measures = json.loads(capsys.readouterr().out)["measures"]
    stored = run_of(exported, "bce").read_measures().values
    assert measures["O-F1"][0] == pytest.approx(stored["O-F1"])
    assert measures["mAP"][1] == pytest.approx(stored["mAP"], abs=0.05)
    half, full = Predictor(tmp_path / "half"), Predictor(exported / "bce")
    pixels = pixels_of(full, images_of(exported)[:4])
    expected = full.encoder(pixels)
    np.testing.assert_allclose(half.encoder(pixels), expected, atol=2e-2 * np.abs(expected).max())
    assert weights_size(tmp_path / "half") < 0.51 * weights_size(exported / "bce")


BAD_FOLDERS = {
    "damaged": (lambda folder: (folder / "encoder.onnx").write_bytes(b"not onnx"), "cannot load .*encoder.onnx"),
    "absent": (lambda folder: (folder / "encoder.onnx").unlink(), "encoder.onnx is absent"),
    "foreign": (lambda folder: set_metadata(folder / "encoder.onnx", lambda _: None), "has no 'multilabel-bench'"),
    "newer": (
        lambda folder: set_metadata(folder / "encoder.onnx", lambda values: values | {"format": 99}),
        "written by a newer bench: format 99",
    ),
    "incomplete": (
        lambda folder: set_metadata(folder / "encoder.onnx", lambda _: {"format": 4, "labels": []}),
        "its description is damaged: it lacks 'preprocessing'",
    ),
    "labels": (
        lambda folder: set_metadata(folder / "encoder.onnx", lambda values: values | {"labels": ["one"], "k": 1}),
        "holds 3 labels, .* says 1",
    ),
    "another model": (
        lambda folder: set_metadata(folder / "step.onnx", lambda values: values | {"weights_hash": "other"}),
        "are of different models",
    ),
    "decoder": (lambda folder: (folder / "decoder.safetensors").write_bytes(b"x"), "cannot read .*decoder"),
}


@pytest.mark.parametrize("case", BAD_FOLDERS)
def test_a_bad_model_folder_is_one_clear_line(exported, tmp_path, case, capsys):
    spoil, message = BAD_FOLDERS[case]
    folder = tmp_path / "model"
    shutil.copytree(exported / "cnn-rnn", folder)
    spoil(folder)
    seal_again(folder)
    with pytest.raises(ModelError, match=message):
        Predictor(folder)
    assert bench("predict", folder, images_of(exported)[0]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_a_device_that_is_not_there_is_an_error_and_never_another_device(monkeypatch):
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(NotRun, match="no CUDA provider"):
        sessions.choose_device("cuda")
    assert sessions.choose_device("auto") == "cpu"
    with pytest.raises(UsageError, match="found 'tpu', allowed: auto, cpu, cuda"):
        sessions.choose_device("tpu")


def test_too_little_memory_suggests_a_smaller_batch(exported):
    encoder = engine.Encoder(exported / "bce", rows=8)

    class Full:
        def run(self, *_):
            raise RuntimeError("Failed to allocate memory for requested buffer of size 1")

    encoder._session = Full()
    with pytest.raises(ModelError, match="out of memory with 8 images at once. Try: --batch 4$".replace(".", r"\.")):
        encoder.run(np.zeros((8, 3, 32, 32), np.float32))


def test_too_little_memory_to_open_a_model_is_told_by_the_folders_own_program(exported, monkeypatch):
    import onnxruntime

    from bench.exported.standalone import predict

    def short(*_, **__):
        raise RuntimeError("Exception during initialization: std::bad_alloc")

    monkeypatch.setattr(onnxruntime, "InferenceSession", short)
    with pytest.raises(predict.Refused, match="or more memory"):
        predict.Model(exported / "bce")


def test_an_old_python_is_named_by_the_folders_own_program(monkeypatch, capsys):
    """Under Python 3.9 a sequence model ended in a traceback of zip()."""
    from bench.exported.standalone import predict

    monkeypatch.setattr(predict.sys, "version_info", (3, 9, 18, "final", 0))
    assert predict.main() == 2
    told = capsys.readouterr().err
    assert told.startswith("error: found Python")
    assert told.endswith("Try: Python 3.11 or newer\n")


def test_an_unfinished_run_is_not_exported(exported, stored_run, capsys):
    folder = stored_run()
    folder.fail("train", "it broke")
    assert bench("export", folder.path, "--out", exported / "none") == 2
    assert "only a finished run can be exported" in capsys.readouterr().err


def test_an_export_that_differs_from_torch_is_refused(exported, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("bench.exported.export.TOLERANCE", {"fp32": 0.0})
    assert bench("export", run_of(exported, "bce").path, "--out", tmp_path / "model") == 2
    told = capsys.readouterr().err.strip()
    assert re.search(r"'encoder = torch, .* images' at batch size \d+ does not hold: found .* allowed: 0", told)
    assert len(told.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_prefixes_that_do_not_fit_are_refused(exported):
    network = engine.OnnxStepNetwork(exported / "cnn-rnn", Predictor(exported / "cnn-rnn").description)
    known = network.known
    from bench.decode.decoder import PrefixTree

    for damage in (
        {"parents": known["parents"][::-1].copy()},
        {"labels": np.full_like(known["labels"], 99)},
        {"terms": known["terms"][:-1].copy()},
        {"states": np.full_like(known["states"], np.nan)},
    ):
        with pytest.raises(ModelError, match="prefixes stored with the model"):
            PrefixTree(network, network.start_states.shape[1]).add(known | damage)


def test_a_description_survives_being_written_and_read(exported, tmp_path):
    description = Predictor(exported / "cnn-rnn").description
    assert model_folder.parse(description.to_json(), tmp_path) == description
    assert description.search is not None
    scores = Predictor(exported / "bce").description
    assert model_folder.parse(scores.to_json(), tmp_path) == scores
    named = replace(scores, labels=("\udcff", "[/b]", "猫"))
    assert model_folder.parse(named.to_json().encode().decode(), tmp_path) == named

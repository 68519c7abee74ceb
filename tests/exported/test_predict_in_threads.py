"""Many images: each thread takes whole batches, and nothing of the answers shows it."""

import shutil

import numpy as np
import pytest
from example_exports import images_of

from bench.errors import DataError, ModelError
from bench.exported.predict import Predictor
from bench.exported.standalone import predict


def answered(predictor, paths):
    """Names, labels and scores of the images, best or first emitted first."""
    results = list(predictor.predict(paths))
    return [(result.image, result.labels) for result in results], [
        score for result in results for score in result.scores
    ]


@pytest.mark.parametrize("model", ["bce", "cnn-rnn"])
def test_batches_in_threads_answer_as_one_batch_after_another(exported, model):
    paths = images_of(exported) * 3
    threaded, plain = (Predictor(exported / model, threads=threads, batch=2) for threads in (2, 1))
    (found, scores), (expected, expected_scores) = (answered(predictor, paths) for predictor in (threaded, plain))
    assert threaded._alone is not None, "there were too few batches for threads of their own"
    assert plain._alone is None
    assert found == expected
    np.testing.assert_allclose(scores, expected_scores, rtol=1e-5, atol=1e-6)


def test_a_few_images_are_one_session_for_all_threads(exported):
    predictor = Predictor(exported / "bce", threads=2, batch=16)
    assert len(list(predictor.predict(images_of(exported)[:5]))) == 5
    assert predictor._alone is None


def test_the_first_unreadable_image_of_many_is_named(exported, tmp_path):
    paths = images_of(exported) * 3
    for place in (7, 12):
        paths[place] = tmp_path / f"{place}.png"
        paths[place].write_bytes(b"no picture")
    results = Predictor(exported / "bce", threads=2, batch=1).predict(paths)
    with pytest.raises(DataError, match=r"7\.png"):
        list(results)


@pytest.mark.parametrize("half", [True, False])
def test_a_folder_exported_anew_before_the_second_session_is_refused_each_time(exported, tmp_path, half):
    """Asked again, the new network was taken; with files copied over it one by one, without a word."""
    folder = tmp_path / "model"
    shutil.copytree(exported / "bce", folder)
    predictor = Predictor(folder, threads=2, batch=1)
    if half:
        shutil.copy(exported / "knn" / "encoder.onnx", folder)
    else:
        shutil.rmtree(folder)
        shutil.copytree(exported / "knn", folder)
    for _ in range(2):
        with pytest.raises(ModelError, match="not the file that was exported" if half else "exported anew"):
            list(predictor.predict(images_of(exported)))


def test_the_folders_own_program_reads_pictures_by_as_many_threads_as_are_asked_for(exported, monkeypatch):
    """With --threads 1 it decoded by every core of the machine."""
    asked, pool = [], predict.ThreadPoolExecutor
    monkeypatch.setattr(predict, "ThreadPoolExecutor", lambda threads: asked.append(threads) or pool(threads))
    model = predict.Model(exported / "bce", 3)
    assert len(list(predict.label(model, [(images_of(exported)[0], "")], None, None))) == 1
    assert asked == [3]

"""The run store: what is written is what is read, and damage never passes as a result."""

import dataclasses
import errno
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import DataError, LabelSets, Measures, Scores, StoreError
from bench.records import Exhibits, LabelSpace, Ledger, Prediction, RunRequest, Trial
from bench.store import sealed
from bench.store.required import RECORDS
from bench.store.run_folder import RunFolder
from bench.store.runs import find, named, open_run
from bench.store.sealed import SealedFolder
from bench.store.stored import About, Provenance, Truth

Make = Callable[..., RunFolder]
CONFIG = {"model": {"name": "bce"}, "dataset": {"name": "toy"}, "seed": 0}
TRIALS = (Trial({"C": 0.5}, 0.25, (0.1, 0.05), "", 1.5), Trial({"C": 2.0}, None, (), "it diverged", 0.5))
LEDGER = Ledger(2, "O-F1", 7, TRIALS, True, ("a note",))


def test_every_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    ids, labels = ("x", "ü\n"), tuple("abcdefghijk")
    generator = np.random.default_rng(0)
    truth = generator.random((2, 11)) < 0.5
    ignore = ~truth & (generator.random((2, 11)) < 0.5)
    scores = Scores(ids, generator.random((2, 11), dtype=np.float32), "probability")
    label_sets = LabelSets(
        ids, np.array([[3, -1], [0, 1]], dtype=np.int32), np.array([-0.5, -1.5]), np.array([True, False])
    )
    measures = Measures("top2@1", {"mAP": 0.1 + 0.2}, {"ap": (0.5, float("nan"))}, ("a note",))
    request = RunRequest("bce", "toy", sets=("epochs=3",), data_root=tmp_path / "data", out=tmp_path, cache=tmp_path)
    folder = open_run(tmp_path, CONFIG)
    folder.write_request(request)
    folder.write_environment({"system": "Linux"})
    folder.write_truth(Truth(ids, labels, truth, ignore))
    sizes = (truth * generator.random((2, 11))).astype(np.float32)
    folder.write_sizes(sizes)
    folder.write_trials(LEDGER)
    folder.write_training({"history": [{"loss": 1.0}]})
    folder.write_weights(b"\x00\xff")
    folder.write_backbone(b"tuned")
    folder.write_scores(scores)
    folder.write_predicted(truth)
    folder.write_known(np.zeros_like(truth))
    part, told = Truth(("y", "\udc80"), labels, truth, ignore), truth & (generator.random((2, 11)) < 0.5)
    of_part = Prediction(
        Scores(part.ids, scores.values + np.float32(1), "logit"),
        ~truth,
        LabelSets(part.ids, np.array([[1], [2]], dtype=np.int32), np.array([-2.5, -3.5]), np.array([True, True])),
    )
    folder.write_validation(part, of_part, told)
    state = {"threshold": np.asarray(np.float32(0.1)), "thresholds": generator.random(11)}
    folder.write_policy(state)
    folder.write_label_sets(label_sets)
    tree = {"row": 1, "edges": [[[], 0, 0.75, 0.75, True]], "answer": [0], "end": 11, "beam_width": 2}
    space = LabelSpace(generator.random((11, 4)), generator.random((2, 4)), np.zeros(4))
    maps = generator.random((2, 2, 5, 5)).astype(np.float16).astype(np.float32)
    folder.write_exhibits(Exhibits({1: b"second", 0: b"first"}, (tree,), space, {1: maps}))
    about = About("BCE", "two images", {"seed": "default"})
    folder.write_about(about)
    folder.write_measures(measures)
    folder.write_timings({"seconds": {"train": 1.5}})
    folder.finish()

    assert folder.config == CONFIG
    assert folder.request() == request
    assert folder.read_environment() == {"system": "Linux"}
    stored = folder.read_truth()
    assert (stored.ids, stored.labels) == (ids, labels)
    np.testing.assert_array_equal(stored.truth, truth)
    np.testing.assert_array_equal(stored.ignore, ignore)
    np.testing.assert_array_equal(folder.read_sizes(), sizes)
    assert folder.read_trials() == LEDGER
    assert folder.read_training() == {"history": [{"loss": 1.0}]}
    assert folder.read_weights() == b"\x00\xff"
    assert folder.read_scores().kind == "probability"
    assert folder.read_scores().ids == ids
    np.testing.assert_array_equal(folder.read_scores().values, scores.values)
    np.testing.assert_array_equal(folder.read_predicted(), truth)
    assert not folder.read_known().any()
    validation = folder.read_validation()
    assert (validation.truth.ids, validation.truth.labels) == (part.ids, labels)
    assert validation.prediction.scores.kind == "logit"
    for found, expected in (
        (validation.truth.truth, truth),
        (validation.truth.ignore, ignore),
        (validation.known, told),
        (validation.prediction.scores.values, of_part.scores.values),
        (validation.prediction.predicted, ~truth),
        (validation.prediction.label_sets.sequences, of_part.label_sets.sequences),
        (validation.prediction.label_sets.log_probabilities, of_part.label_sets.log_probabilities),
    ):
        np.testing.assert_array_equal(found, expected)
    assert folder.read_policy().keys() == state.keys()
    assert all(np.array_equal(folder.read_policy()[name], array) for name, array in state.items())
    for field in ("sequences", "log_probabilities", "complete"):
        np.testing.assert_array_equal(getattr(folder.read_label_sets(), field), getattr(label_sets, field))
    assert folder.exhibits.gallery() == {1: b"second", 0: b"first"}
    assert folder.exhibits.trees() == [tree]
    for name in ("labels", "images", "start"):
        np.testing.assert_array_equal(getattr(folder.exhibits.label_space(), name), getattr(space, name))
    np.testing.assert_array_equal(folder.exhibits.attention()[1], maps)
    assert folder.read_about() == about
    assert folder.status.finished > 0
    assert folder.read_measures().values == measures.values
    assert folder.read_measures().notes == measures.notes
    np.testing.assert_array_equal(folder.read_measures().per_class["ap"], (0.5, np.nan))
    assert folder.read_timings() == {"seconds": {"train": 1.5}}
    assert folder.done
    assert {record for record in RECORDS if not folder.has(record)} == {"provenance"}  # it was made here


def test_truth_without_an_ignore_mask_has_none(tmp_path: Path) -> None:
    folder = open_run(tmp_path, CONFIG)
    folder.write_truth(Truth(("x",), ("a", "b"), np.array([[True, False]]), None))
    folder.write_predicted(np.array([[False, True]]))
    assert folder.read_truth().ignore is None
    assert folder.read_masks().ignore is None


def test_packed_masks_hold_what_the_bool_ones_do(stored_run: Make) -> None:
    folder = stored_run()
    masks, truth = folder.read_masks(), folder.read_truth()
    assert masks.labels == truth.labels
    assert masks.ignore is not None
    np.testing.assert_array_equal(masks.truth[:], truth.truth)
    np.testing.assert_array_equal(masks.ignore[:], truth.ignore)
    np.testing.assert_array_equal(masks.predicted[:], folder.read_predicted())


def test_masks_of_another_number_of_labels_are_one_clear_error(stored_run: Make) -> None:
    folder = stored_run()
    folder.write_predicted(np.zeros((4, 30), dtype=np.bool_))
    for read in (folder.read_masks, folder.read_predicted):
        with pytest.raises(
            DataError, match=r"packed bits are uint8 \(4, 4\), must be uint8 \(images, 1\) for 3 labels"
        ):
            read()


def test_equal_configs_share_a_folder_and_different_ones_do_not(tmp_path: Path) -> None:
    first = open_run(tmp_path, CONFIG)
    again = open_run(tmp_path, dict(reversed(CONFIG.items())))
    other = open_run(tmp_path, CONFIG | {"seed": 1})
    assert first == again
    assert other.path != first.path
    assert first.path == tmp_path / "toy" / "bce" / first.key


def test_a_file_without_its_line_in_the_manifest_does_not_count(tmp_path: Path) -> None:
    folder = open_run(tmp_path, CONFIG)
    (folder.path / "weights.safetensors").write_bytes(b"half of the wei")
    assert not folder.has("weights")
    with pytest.raises(StoreError, match=r"has no weights\.safetensors: the run is unfinished"):
        folder.read_weights()


@pytest.mark.parametrize("record", [record for record in RECORDS if record not in {"status", "config"}])
def test_a_damaged_file_is_named_with_what_to_do(stored_run: Make, record: str) -> None:
    folder = stored_run()
    if record == "known":
        folder.write_known(folder.read_predicted())
    if record == "trials":
        folder.write_trials(LEDGER)
    if record == "policy":
        folder.write_policy({"threshold": np.zeros(3)})
    if record == "provenance":
        folder.write_provenance(Provenance("theirs.tar", "0" * 64))
    file = folder.path / RECORDS[record][-1]
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    exhibited = {"gallery": "gallery", "trees": "trees", "embedding": "label_space", "attention": "attention"}
    if record in exhibited:
        read = getattr(folder.exhibits, exhibited[record])
    else:
        read = folder.request if record == "request" else getattr(folder, f"read_{record}")
    with pytest.raises(
        StoreError, match=rf"{file.name} is damaged\. Run the same 'bench run' or 'bench score' again"
    ) as error:
        read()
    assert "\n" not in str(error.value)
    assert not folder.done
    assert folder.verify() == [file.name]


def test_an_absent_file_is_named(stored_run: Make) -> None:
    folder = stored_run()
    (folder.path / "scores.npy").unlink()
    with pytest.raises(StoreError, match=r"scores\.npy is absent"):
        folder.read_scores()


def test_a_config_edited_together_with_the_manifest_is_found_out(stored_run: Make) -> None:
    folder = stored_run()
    SealedFolder(folder.path).write_json("config.json", folder.config | {"seed": 7})
    with pytest.raises(StoreError, match=r"config\.json does not belong to run"):
        _ = folder.config


@pytest.mark.parametrize("also", [{}, {"files": ["another", "kind"]}, {"key": None, "files": {"a/b": {}}}])
def test_a_folder_of_a_newer_layout_is_refused_and_not_written_over(
    stored_run: Make, tmp_path: Path, also: dict[str, Any]
) -> None:
    folder = stored_run()
    config, file = folder.config, folder.path / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"schema": 99} | also))
    written = file.read_bytes()
    for ask in (folder.read_measures, lambda: open_run(tmp_path / "runs", config)):
        with pytest.raises(StoreError, match="written by a newer bench: layout 99, this one reads 4"):
            ask()
    assert file.read_bytes() == written


@pytest.mark.parametrize("name", ["about.json", "status.json"])
def test_a_field_that_a_newer_bench_has_besides_is_passed_over(stored_run: Make, name: str) -> None:
    folder = stored_run()
    files = SealedFolder(folder.path)
    files.write_json(name, files.read_json(name) | {"colour": "red"})
    assert folder.summary().state == "done"
    assert folder.read_about().row == "bce"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": 4}', '{"schema": "x", "key": "", "files": {}}'])
def test_a_damaged_manifest_is_one_clear_error(stored_run: Make, content: str) -> None:
    folder = stored_run()
    (folder.path / "manifest.json").write_text(content)
    with pytest.raises(StoreError, match=r"manifest\.json is damaged, .* delete the folder"):
        folder.read_measures()


def test_nothing_in_a_run_folder_is_unpickled(stored_run: Make) -> None:
    folder = stored_run()
    with SealedFolder(folder.path).replacing("scores.npy") as temporary, temporary.open("wb") as file:
        np.save(file, np.array([{"an": "object"}], dtype=object), allow_pickle=True)
    with pytest.raises(StoreError, match=r"cannot read .*scores\.npy"):
        folder.read_scores()


def test_scores_are_read_without_loading_them_into_memory(stored_run: Make) -> None:
    assert isinstance(stored_run().read_scores().values, np.memmap)


def test_a_failure_keeps_its_stage_and_reason(tmp_path: Path) -> None:
    folder = open_run(tmp_path, CONFIG)
    folder.fail("train", "the loss became NaN")
    assert dataclasses.astuple(folder.status)[:3] == ("failed", "train", "the loss became NaN")
    assert not folder.done
    summary = folder.summary()
    assert (summary.state, summary.reason, summary.measures) == ("failed", "train: the loss became NaN", None)


def test_a_new_attempt_clears_an_old_failure(tmp_path: Path) -> None:
    folder = open_run(tmp_path, CONFIG)
    folder.fail("train", "killed")
    with folder.lock():
        assert folder.status.state == "unfinished"


def test_a_new_attempt_at_a_damaged_run_keeps_what_is_intact(stored_run: Make) -> None:
    folder = stored_run()
    (folder.path / "scores.npy").write_bytes(b"")
    with folder.lock():
        assert folder.status.state == "unfinished"
        assert folder.has("weights")
        assert not folder.has("scores")


def test_finishing_removes_the_training_checkpoint(tmp_path: Path) -> None:
    folder = open_run(tmp_path, CONFIG)
    (folder.path / "checkpoint.pt").write_bytes(b"state")
    folder.finish()
    assert not (folder.path / "checkpoint.pt").exists()


def test_a_run_is_held_against_a_second_process(tmp_path: Path) -> None:
    folder = open_run(tmp_path, CONFIG)
    code = textwrap.dedent(f"""
        from pathlib import Path
        from bench import StoreError
        from bench.store.run_folder import RunFolder
        try:
            with RunFolder(Path({str(folder.path)!r})).lock():
                print("held twice")
        except StoreError as error:
            print(error)
    """)
    with folder.lock():
        done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("another process is working on")
    with folder.lock():
        assert folder.status.state == "unfinished"


def test_a_full_or_unwritable_folder_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"cannot write .*Try: --out with another folder, or --runs"):
        open_run(tmp_path / "file", CONFIG)
    # /dev/full accepts an open and fails every write, as a full disk does.
    folder = open_run(tmp_path, CONFIG)
    with pytest.raises(StoreError, match="No space left on device"):
        write_to_full_disk(folder)
    assert not folder.has("weights")
    assert not list(folder.path.glob("*.part"))


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EACCES, errno.ENOMEM, errno.EIO])
def test_a_finished_run_that_cannot_be_read_now_is_not_made_anew(
    stored_run: Make, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """It counted as damaged: the next 'bench run' trained it again, and the error said to delete it."""
    folder, reason = stored_run(), os.strerror(number)

    def refused(path: Path) -> str:
        raise OSError(number, reason, str(path))

    monkeypatch.setattr(sealed, "sha256_of", refused)
    for asked in (lambda: folder.done, lambda: folder.has("weights"), lambda: folder.lock().__enter__()):
        with pytest.raises(StoreError, match=f"^cannot read .*: {reason}$"):
            asked()
    assert folder.summary().reason.endswith(reason)
    monkeypatch.undo()
    assert folder.done


def test_memory_that_does_not_suffice_is_no_damage(stored_run: Make) -> None:
    def starved() -> None:
        raise MemoryError

    with pytest.raises(StoreError, match=r"^cannot read .*truth.npz: not enough memory$"):
        SealedFolder(stored_run().path).parse("truth.npz", starved)


def write_to_full_disk(folder: RunFolder) -> None:
    with SealedFolder(folder.path).replacing("weights.safetensors") as temporary:
        temporary.unlink()
        temporary.symlink_to("/dev/full")
        temporary.write_bytes(b"weights")


def test_runs_are_found_by_data_set_and_model(stored_run: Make, tmp_path: Path) -> None:
    for model in ("bce", "warp"):
        for seed in (0, 1):
            stored_run(model, seed)
    root = tmp_path / "runs"
    assert len(find(root)) == 4
    assert {folder.config["model"]["name"] for folder in find(root, models=("warp",))} == {"warp"}
    assert find(root, dataset="voc2007") == []
    assert find(tmp_path / "nowhere") == []


def test_a_run_is_named_by_its_folder_or_the_first_digits_of_its_key(stored_run: Make, tmp_path: Path) -> None:
    folder = stored_run()
    other = stored_run(seed=1)
    root = tmp_path / "runs"
    assert named(str(folder.path), root) == folder
    assert named(other.key[:12], root) == other
    with pytest.raises(StoreError, match=r"no run 'zz': found neither .* See: bench runs --runs"):
        named("zz", root)


def test_an_ambiguous_key_is_refused(tmp_path: Path) -> None:
    keys = [open_run(tmp_path, CONFIG | {"seed": seed}).key for seed in range(27)]
    first_digits = [key[0] for key in keys]
    # Of 27 keys; one digit from 1 to 9 is a row.
    shared = next(digit for digit in "abcdef0" if first_digits.count(digit) > 1)
    with pytest.raises(StoreError, match=f"no run '{shared}': {first_digits.count(shared)} runs under .* begin so"):
        named(shared, tmp_path)

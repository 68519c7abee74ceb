"""Files of predictions with odd values: refused in a line, in memory that their bytes tell of."""

import io
import json
import threading
import tracemalloc
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import bench
from bench.data.images import ArrayImages
from bench.errors import DataError, UsageError
from bench.external import arrays_at_hand, tables, voc
from bench.external.align import Reading, aligned
from bench.external.given import Names, Pairs, numbers
from bench.external.read import READERS, names_from
from bench.records import Split

NAMES = Names(("cat", "dog"), ("a", "b"), ("cat", "dog"), {"1": "cat"})


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"ids": ["a", "b"], "scores": [[1, 2], [3]]}, "rows of several lengths"),
        ({"ids": ["a", ["b"]], "scores": [[1, 2], [3, 4]]}, "must be texts or whole numbers"),
        ({"ids": "ab", "scores": [[1, 2], [3, 4]]}, "must be a list of texts"),
        ({"ids": ["a", "b"], "scores": [[1, 2], [3, 4]], "kind": ["logit"]}, "says that its scores are of kind"),
        ([{"image": "a", "label": "cat", "score": 10**400}], "found 'a number of hundreds of digits'"),
        ([{"image": "a", "label": "cat", "score": [1, "x"]}], "found 'x' where a score belongs"),
        ([{"image": "a", "label": "cat", "score": "0_5"}], "found '0_5' where a score belongs"),
        (
            [{"image": "a", "label": "cat", "score": score} for score in (0.5, "0_5")],
            "found '0_5' where a score belongs",
        ),
        ({"a": [0.5, 1, "many"], "b": [0.5, 0.5, 0.5]}, "found 'many' where a score belongs"),
    ],
)
def test_values_that_are_no_scores_are_named(content, reason):
    with pytest.raises(DataError, match=reason):
        READERS[".json"](json.dumps(content).encode(), "scores.json", NAMES)


@pytest.mark.parametrize("kind", ["U8", "S8", "O"])
def test_underscores_make_no_other_number_of_a_text(kind):
    """Python reads 0_5 as 5."""
    with pytest.raises(DataError, match="0_5' where a score belongs"):
        numbers(np.array([["0.5", "0_5"]], dtype=kind), "scores")
    with pytest.raises(DataError, match="found '0_5' where a score belongs"):
        READERS[".csv"](b"image,cat,dog\na,0.5,0_5\nb,1,0\n", "scores.csv", NAMES)


@pytest.mark.parametrize("row", [np.array, torch.tensor, list])
def test_a_mapping_gives_each_images_scores_in_an_array_a_tensor_or_a_list(row):
    given = arrays_at_hand.source(
        {"a": row([0.25, 0.5]), "b": row([0.75, 1.0])}, Names(("cat", "dog"), labels=("cat", "dog"))
    ).given
    assert given.values.tolist() == [[0.25, 0.5], [0.75, 1.0]]


def test_values_of_a_mapping_that_count_not_are_named_by_their_type():
    with pytest.raises(DataError, match="or of none that counts: str"):
        arrays_at_hand.source({"a": "cat", "b": "dog"}, NAMES)


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"kind": None}, "no kind of scores 'None'"),
        ({"kind": "logit", "match": []}, r"no way to match ids '\[\]'"),
        ({"kind": "logit", "absent": "0"}, "--absent: found '0', allowed: numbers"),
        ({"kind": "logit", "absent": True}, "--absent: found True, allowed: numbers"),
    ],
)
def test_a_reading_of_other_types_is_one_line(asked, reason):
    with pytest.raises(UsageError, match=reason):
        Reading(**asked)


@pytest.mark.parametrize("names", [{"a", "b"}, frozenset("ab"), "ab", 7])
def test_names_without_an_order_say_no_rows_or_columns(names):
    """A set of names would give each column the label that its hash comes to."""
    with pytest.raises(DataError, match=rf"ids: found a {type(names).__name__}, must be a list in the order"):
        arrays_at_hand.as_texts(names, "ids")
    assert arrays_at_hand.as_texts(dict.fromkeys("ba"), "ids") == ("b", "a")


def test_the_order_in_which_a_mapping_was_filled_is_not_that_of_its_places():
    """As of ``class_to_idx``, which says which column each label is."""
    with pytest.raises(DataError, match=r"labels: found a mapping.* Try: sorted\(names, key=names.get\)"):
        arrays_at_hand.as_texts({"dog": 1, "cat": 0}, "labels")
    with pytest.raises(DataError, match="labels: must be a sequence of names"):
        bench.measure([[True, False]], [[0.5, 0.25]], labels={"dog": 1, "cat": 0})


def test_ids_of_a_loader_are_whole_numbers_and_batches_are_rows():
    ids = torch.tensor([139, 2**60 + 1])
    assert arrays_at_hand.as_texts(ids, "ids") == arrays_at_hand.as_texts([*ids], "ids") == ("139", str(2**60 + 1))
    scores = np.array([[0.5, 1], [0.25, 0], [0.75, 0]])
    tensor, names = torch.tensor(scores), Names(("cat", "dog"), ("a", "b", "c"), ("cat", "dog"))
    for given in (scores, [scores[:2], scores[2:]], tensor.to_sparse(), [tensor[:2], tensor[2:]]):
        found = arrays_at_hand.source(given, names)
        assert np.array_equal(found.given.values, scores)


@pytest.mark.parametrize(
    ("kind", "absent"), [("score", float("nan")), ("labels", 1.0), ("labels", float("nan")), ("probability", -1.0)]
)
def test_what_absent_pairs_are_must_mean_something(kind, absent):
    with pytest.raises(UsageError, match=f"--absent: found {absent:g}, allowed: "):
        Reading(kind, absent=absent)


def test_image_ids_of_an_annotations_file_are_what_it_says(tmp_path):
    """And not the numbers in the files' names: listed as texts, 10.png is the second."""
    listed, results = (
        tmp_path / "test.json",
        [{"image_id": one, "category_id": 7, "score": one / 4} for one in (1, 2, 3)],
    )
    files = [{"id": number, "file_name": name} for number, name in enumerate(("1.png", "10.png", "2.png"), 1)]
    listed.write_text(json.dumps({"images": files, "categories": [{"id": 7, "name": "cat"}]}))
    names = names_from(("cat",), listed, listed)
    given = READERS[".json"](json.dumps(results).encode(), "results.json", names)
    assert given.images == ["1.png", "10.png", "2.png"]
    with pytest.raises(DataError, match="image id '4' is not among those of --ids"):
        READERS[".json"](json.dumps([{**results[0], "image_id": 4}]).encode(), "results.json", names)
    for odd in ([*files, files[0]], [{"id": 1}], []):
        listed.write_text(json.dumps({"images": odd}))
        with pytest.raises(DataError, match=r"test.json: must have 'images' with an id and a file_name each"):
            names_from(("cat",), listed, None)


def test_pairs_without_a_score_that_rank_above_others_have_a_word():
    """As 0 does among logits, most of which are below it."""
    pixels = ArrayImages(np.zeros((2, 2, 2, 3), dtype=np.uint8), "test")
    split = Split("csv", "test", ("a", "b"), ("cat", "dog"), np.eye(2, dtype=bool), pixels)
    given = Pairs("scores.csv", ["a", "b", "b"], ["cat", "cat", "dog"], np.array([3.0, -2.0, -1.0]), frozenset("ab"))
    with pytest.raises(DataError, match=r"1 of 4 pairs have no score, .* Try: --absent SCORE, the lowest"):
        aligned(given, split, Reading("logit"), {})
    noted = [aligned(given, split, Reading("logit", absent=absent), {}).notes for absent in (0.0, -20.0)]
    expected = "--absent 0: pairs without a score rank above 2 scores that are lower; is it the lowest?"
    assert noted == [(expected,), ()]


@pytest.mark.parametrize("kind", ["probability", "labels"])
def test_images_and_labels_that_are_absent_as_a_whole_have_a_word(kind):
    """As of a file of the first thousand images, or of a detector whose categories were counted otherwise."""
    pixels = ArrayImages(np.zeros((3, 2, 2, 3), dtype=np.uint8), "test")
    split = Split("csv", "test", ("a", "b", "c"), ("cat", "dog"), np.ones((3, 2), dtype=bool), pixels)
    scores = np.array([0.75]) if kind == "probability" else None
    given = Pairs("scores.csv", ["a"], ["cat"], scores, frozenset("ab"))
    noted = aligned(given, split, Reading(kind, absent=0), {}).notes
    images = "--absent 0: nothing is there of 1 of 3 images: 'c'. Was each of them predicted?"
    labels = "--absent 0: no image has a score of 1 of 2 labels: 'dog'"
    assert noted == ((images,) if kind == "labels" else (images, labels))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_array_that_stands_twice_is_neither(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        for scores in ([[0.1, 0.2]], [[0.9, 0.8]]):
            np.save(content := io.BytesIO(), scores)
            archive.writestr("scores.npy", content.getvalue())
    with pytest.raises(DataError, match="scores stands twice"):
        READERS[".npz"]((tmp_path / "a.npz").read_bytes(), "a.npz", NAMES)


def test_a_mask_of_scores_is_not_lost():
    with pytest.raises(DataError, match="a masked array, whose mask would be lost"):
        arrays_at_hand.source(np.ma.masked_array([[0.5, 0.1]], [[True, False]]), Names(("cat", "dog"), ("a",)))


@pytest.mark.parametrize("ending", ["txt", "json"])
@pytest.mark.parametrize("beside", ["ids", "labels"])
def test_a_list_beside_scores_that_cannot_be_read_is_one_line(tmp_path, beside, ending):
    gone, folder = tmp_path / f"gone.{ending}", tmp_path / f"folder.{ending}"
    folder.mkdir()
    for path, reason in ((gone, "No such file"), (folder, "Is a directory")):
        with pytest.raises(DataError, match=f"cannot read {path}: {reason}"):
            names_from((), **{"ids": None, "labels": None} | {beside: path})


def test_one_long_text_among_many_takes_its_own_memory_alone():
    ids = [f"{number}" for number in range(2000)] + ["x" * 100_000]
    table = "\n".join(["image,label,score", *(f"{one},cat,0.5" for one in ids)]).encode()
    results = "\n".join(f"{one} 0.5" for one in ids).encode() + b"\nlong " + b"a" * 100_000
    tracemalloc.start()
    try:
        given = READERS[".csv"](table, "scores.csv", Names(("cat",)))
        assert given.images[-1] == ids[-1]
        with pytest.raises(DataError, match="allowed: numbers"):
            voc.read_folder({Path("comp1_cls_test_cat.txt"): results}, "results")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 50 * len(table)  # an array of texts takes 2,000 times as much as its longest


def test_images_without_any_score_are_one_line():
    given = READERS[".json"](b'{"a": {}, "b": {}}', "scores.json", NAMES)
    pixels = ArrayImages(np.zeros((2, 1, 1, 3), np.uint8), "toy")
    split = Split("toy", "test", ("a", "b"), NAMES.known, np.eye(2, dtype=bool), pixels)
    with pytest.raises(DataError, match="4 of 4 pairs have no score"):
        aligned(given, split, Reading("logit"), {})


def test_the_other_unicode_form_of_a_name_is_that_name():
    """A Mac lists files decomposed; a table of them was refused by names that look the same."""
    pixels = ArrayImages(np.zeros((2, 1, 1, 3), np.uint8), "toy")
    split = Split("toy", "test", ("caf\u00e9.png", "b.png"), ("gar\u00e7on", "dog"), np.eye(2, dtype=bool), pixels)
    names = Names(split.labels)
    wide = "image,dog,garc\u0327on\nb.png,0.9,0.1\ncafe\u0301.png,0.2,0.8\n".encode()
    pairs = json.dumps({"cafe\u0301.png": {"garc\u0327on": 0.8, "dog": 0.2}, "b.png": {"gar\u00e7on": 0.1, "dog": 0.9}})
    for given in (READERS[".csv"](wide, "s.csv", names), READERS[".json"](pairs.encode(), "s.json", names)):
        assert aligned(given, split, Reading("probability"), {}).scores.values.tolist() == pytest.approx(
            np.array([[0.8, 0.2], [0.1, 0.9]])
        )


def test_what_is_told_of_names_in_the_other_unicode_form_is_true():
    pixels = ArrayImages(np.zeros((2, 1, 1, 3), np.uint8), "toy")
    split = Split("toy", "test", ("caf\u00e9.png", "b.png"), ("gar\u00e7on", "dog"), np.eye(2, dtype=bool), pixels)
    scores = {"cafe\u0301.png": {"garc\u0327on": 0.8, "dog": 0.2}, "b.png": {"dog": 0.9}}
    given = READERS[".json"](json.dumps(scores).encode(), "s.json", Names(split.labels))
    assert aligned(given, split, Reading("probability", absent=0.0), {}).notes == ()
    twice = json.dumps(scores | {"caf\u00e9.png": {"dog": 0.5}}).encode()
    with pytest.raises(DataError, match=r"of one image by --match exact\. Try: one id for each"):
        aligned(READERS[".json"](twice, "s.json", Names(split.labels)), split, Reading("probability", absent=0.0), {})


def test_parquet_is_read_by_the_thread_that_asks(tmp_path, monkeypatch):
    """One of pyarrow's that lets go of what Python holds, as the process winds up, ends it by SIGABRT."""
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pa.table({"id": ["a", "b"], "cat": [0.1, 0.2], "dog": [0.3, 0.4]}), tmp_path / "s.parquet")
    by = set()

    class Watched(io.BytesIO):
        def read(self, *size):
            by.add(threading.get_ident())
            return super().read(*size)

    monkeypatch.setattr(tables, "io", SimpleNamespace(BytesIO=Watched))
    names, _ = tables.parquet_columns((tmp_path / "s.parquet").read_bytes(), "s.parquet")
    assert (names, by) == (["id", "cat", "dog"], {threading.get_ident()})


def test_labels_in_a_cell_that_end_in_a_separator_or_are_joined_by_another():
    split = Split(
        "toy",
        "test",
        ("a", "b"),
        NAMES.known,
        np.eye(2, dtype=bool),
        ArrayImages(np.zeros((2, 1, 1, 3), np.uint8), "toy"),
    )
    given = READERS[".csv"](b"image,labels\na,cat; dog;\nb,;\n", "s.csv", NAMES)
    assert aligned(given, split, Reading("labels"), {}).scores.values.tolist() == [[1, 1], [0, 0]]
    given = READERS[".csv"](b"image,labels\na,cat|dog\nb,\n", "s.csv", NAMES)
    with pytest.raises(DataError, match=r"'cat\|dog' is several labels. Try: ; between them, in place of '\|'"):
        aligned(given, split, Reading("labels"), {})

import json
import lzma
from functools import partial

import numpy as np
import pytest

from bench import plugins
from bench.cli import run_command_line
from bench.errors import DataError
from bench.records import SearchOptions
from bench.speed import decode_peers as peers
from bench.speed import workloads
from bench.speed.decode import DecodeBench
from bench.system.clock import turns


@pytest.fixture(autouse=True)
def few_turns(monkeypatch):
    monkeypatch.setattr("bench.system.clock.SECONDS", 0.01)
    monkeypatch.setattr("bench.speed.decode.turns", partial(turns, least=1))


@pytest.fixture(scope="module")
def workload():
    truth = workloads.generated_label_sets(12, 300, cardinality=2.5)
    spec = plugins.installed().model("cnn-rnn").spec
    return workloads.train("small", truth, separation=2.0, k=2, options=SearchOptions(), spec=spec, epochs=1)


@pytest.fixture(scope="module")
def bench(workload):
    return DecodeBench(workload, SearchOptions())


@pytest.mark.parametrize(
    "options",
    [
        SearchOptions(),
        SearchOptions(beam_width=1),
        SearchOptions(beam_width=5),
        SearchOptions(beam_width=3, min_length=4, max_length=7),
        SearchOptions(beam_width=2, max_length=1),
        SearchOptions(beam_width=20, max_length=3),
    ],
)
def test_every_peer_finds_the_kernels_sequences(workload, options):
    bench = DecodeBench(workload, options)
    for peer in (*bench.peers.values(), bench.loop):
        assert peer(bench.terms) == bench.reference


def test_the_rows_of_a_batch_do_not_change_a_peers_answer(workload, bench):
    few = peers.batched_torch(workload.model, bench.options, rows=7)
    assert few(bench.terms) == bench.reference


def test_a_comparison_times_every_method_and_says_how_many_agree(bench):
    rows = bench.compare(4, "cold")
    assert [row.method for row in rows] == [
        "kernel",
        "PyTorch, batched",
        "ONNX Runtime + NumPy",
        "PyTorch, image by image",
    ]
    assert all(row.agree == 1.0 for row in rows)
    assert rows[0].ratio == pytest.approx(1.0)
    assert all(0 < row.microseconds.q1 <= row.microseconds.median <= row.microseconds.q3 for row in rows)


def test_times_are_per_image_that_was_there(bench):
    assert {row.images for row in bench.compare(10**6)} == {len(bench.terms)}


def test_latencies_are_of_single_images_and_tell_the_slow_ones(bench):
    found = bench.latencies()
    assert list(found) == ["kernel", "PyTorch, batched"]
    assert all(
        spread.count == min(len(bench.terms), 1000 if name == "kernel" else 200) for name, spread in found.items()
    )
    assert all(0 < spread.median <= spread.p95 <= spread.p99 for spread in found.values())


def test_the_counted_work_grows_with_the_beam(workload):
    narrow, wide = (DecodeBench(workload, SearchOptions(beam_width=width)).floor() for width in (1, 4))
    assert 1 <= narrow["rows_scored"] < wide["rows_scored"]
    assert narrow["bytes"] < wide["bytes"]


def test_a_million_images_would_not_need_more_prefixes_than_there_are(bench):
    rows = bench.scaling([50, 500])
    assert rows[0]["prefixes"] <= rows[1]["prefixes"]
    assert rows[1]["prefixes"] / 500 < rows[0]["prefixes"] / 50


def test_label_sets_are_read_compressed_or_not(tmp_path):
    text = "a.jpg\tdog,cat\nb.jpg\tcat\n"
    (tmp_path / "plain.tsv").write_text(text)
    (tmp_path / "packed.tsv.xz").write_bytes(lzma.compress(text.encode()))
    for name in ("plain.tsv", "packed.tsv.xz"):
        labels, truth = workloads.read_label_sets(tmp_path / name)
        assert labels == ("cat", "dog")
        np.testing.assert_array_equal(truth, [[True, True], [True, False]])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [("absent", None, "no file"), ("empty", b"", "holds no line"), ("bad.xz", b"no xz", "cannot read")],
)
def test_unusable_label_sets_are_one_clear_line(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        workloads.read_label_sets(tmp_path / name)


def test_the_command_prints_tables_json_and_a_picture(tmp_path, capsys):
    truth = workloads.generated_label_sets(6, 100, cardinality=2.0)
    lines = [f"{row}\t{','.join(f'l{label}' for label in labels.nonzero()[0])}" for row, labels in enumerate(truth)]
    (tmp_path / "sets.tsv").write_text("\n".join(lines))
    command = ["speed", "--label-sets", str(tmp_path / "sets.tsv"), "--images", "1,4", "--network", ""]
    assert run_command_line([*command, "--plot", str(tmp_path / "speed.png")]) == 0
    printed = capsys.readouterr().out
    assert "PyTorch, batched" in printed
    assert "not run: Hugging Face generate()" in printed
    assert (tmp_path / "speed.png").read_bytes()[:4] == b"\x89PNG"
    assert run_command_line([*command, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert {timing["tree"] for timing in record["timings"]} == {"warm", "cold"}
    assert set(record["timings"][0]["microseconds"]) == {"count", "q1", "median", "q3", "p95", "p99"}
    assert record["workloads"][0]["latency_us"]["kernel"]["p99"] > 0
    assert run_command_line([*command, "--widths", "x"]) == 2
    assert "--widths: found 'x', allowed: whole numbers" in capsys.readouterr().err

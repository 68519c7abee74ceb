"""What is printed for people: as wide as the window, numbers whole, text never read as markup."""

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from example_runs import run_config
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bench.cli import run_command_line
from bench.cli.commands import speed, speed_metrics
from bench.cli.commands.data.speed import _print as print_loading
from bench.show.console import GAP, console, print_table, say, share_width, split_columns
from bench.speed import loading
from bench.speed.decode import DecodeTiming
from bench.speed.metric_peers import COUNTS, Case
from bench.speed.metrics import MetricTiming
from bench.speed.spread import Spread
from bench.store.run_folder import RunFolder
from bench.store.runs import open_run

Make = Callable[..., RunFolder]
Capture = pytest.CaptureFixture[str]

WIDTHS = (60, 80, 100, 200)
WAYS = ("kernel", "ONNX Runtime + NumPy", "torchmetrics, 16 threads, one stat_scores")
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def printed(capsys: Capture) -> list[str]:
    return ESCAPES.sub("", capsys.readouterr().out).splitlines()


@pytest.fixture
def root(stored_run: Make, tmp_path: Path) -> Path:
    """A store with spreads in every column, long names of rows, and a failure."""
    names = ("C-P", "C-R", "C-F1", "O-P", "O-R", "O-F1", "MAP@10_image", "mAP")
    for place, cell in enumerate(("paper-literal", "gru")):
        for seed in (0, 1):
            values = {name: (111 * (number + 1) + 7 * place + 13 * seed) / 1000 for number, name in enumerate(names)}
            search = {"beam_width": 2 + place}
            stored_run(
                "cnn-rnn",
                seed,
                values=values | {"labels_per_image": 2.5 + place},
                model={"name": "cnn-rnn", "options": {"cell": cell}},
                search=search,
            )
    open_run(tmp_path / "runs", run_config("warp")).fail("train", "the loss became NaN " * 9)
    return tmp_path / "runs"


def pictures(folder: Path, label: str) -> Path:
    """A data set of six pictures with one label, made where it is absent."""
    folder.mkdir(exist_ok=True)
    for number in range(6):
        Image.new("RGB", (9, 9), (40 * number, 0, 0)).save(folder / f"{number}.png")
    (folder / "labels.csv").write_text("path,labels\n" + "".join(f"{number}.png,{label}\n" for number in range(6)))
    return folder


def commands(root: Path) -> dict[str, list[str]]:
    first = next(root.glob("*/cnn-rnn/*"))
    return {
        "table": ["table", "--runs", str(root)],
        "paper": ["table", "all", "--runs", str(root)],
        "runs": ["runs", "--runs", str(root)],
        "lens": ["lens", str(first)],
        "list": ["list", "--options"],
        "protocols": ["protocols"],
        "choices": ["protocols", "voc2007@1", "coco-top3@1", "corel5k-top5@1", "top2@1"],
        "stats": ["data", "stats", "csv", "--data-root", str(pictures(root.parent / "pictures", "a long label name"))],
    }


@pytest.mark.parametrize("command", ["table", "paper", "runs", "lens", "list", "protocols", "choices", "stats"])
def test_no_line_is_longer_than_the_window(
    command: str, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    for width in WIDTHS:
        monkeypatch.setenv("COLUMNS", str(width))
        assert run_command_line(commands(root)[command]) == 0
        long = [line for line in printed(capsys) if len(line) > width]
        # A path that is longer than the line stays whole, by itself.
        assert [line for line in long if not line.strip().startswith(str(root.parent))] == []


@pytest.mark.parametrize("command", ["table", "paper", "runs", "lens", "stats"])
def test_a_narrow_window_shows_each_number_and_key_that_a_wide_one_does(
    command: str, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    shown = {}
    for width in (1000, *WIDTHS):
        monkeypatch.setenv("COLUMNS", str(width))
        assert run_command_line(commands(root)[command]) == 0
        text = "\n".join(printed(capsys))
        shown[width] = set(re.findall(r"\d+\.\d+(?: ±\d+\.\d+)?|[0-9a-f]{16}", text))
    assert len(shown[1000]) >= 3
    assert all(shown[width] == shown[1000] for width in WIDTHS)


SPREAD = Spread(5, 11_111.1, 12_345.6, 23_456.7)


def print_speed() -> None:
    times = [DecodeTiming("x", 1000, 2, 2000, "warm", method, SPREAD, 18_187.5, 1.0) for method in WAYS]
    bench: Any = SimpleNamespace(
        workload=SimpleNamespace(name="x", labels=1000, top_k_f1=0.5), options=SimpleNamespace(beam_width=2)
    )
    floor = dict.fromkeys(("rows_scored", "bytes", "flops", "microseconds", "prefixes", "tree_mib"), 1e6)
    speed._print(bench, times, {"latency_us": {WAYS[0]: dict.fromkeys(("median", "p95", "p99"), 1e5)}, "floor": floor})


def print_speed_metrics() -> None:
    arrays = np.zeros((40_504, 80), dtype=np.bool_)
    times = [MetricTiming(COUNTS, method, SPREAD.times(1e-3), 18_187.5, 3e-8) for method in WAYS]
    case = Case("x", arrays, arrays, arrays.astype(np.float32), np.ones(80, dtype=np.bool_))
    speed_metrics._print(case, times, {COUNTS: 1e-3, "sorting": 1e-3})


def print_data_speed() -> None:
    ways = (loading.LOADER, loading.TORCHVISION.format(16, "s"), loading.BACKBONE, loading.WHOLE)
    rates = tuple(loading.Rate(way, 12_345, SPREAD, 1234.56) for way in ways)
    print_loading(loading.Loading("voc2007/train", "vgg16", 224, 375, 500, 16, 32, 64, 60, 1.0, rates))


@pytest.mark.parametrize("show", [print_speed, print_speed_metrics, print_data_speed])
def test_tables_of_times_fit_the_window_and_keep_their_numbers(
    show: Callable[[], None], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    for width in WIDTHS:
        monkeypatch.setenv("COLUMNS", str(width))
        show()
        lines = printed(capsys)
        assert max(map(len, lines)) <= width
        # The two quartiles, joined by a dash, in every row.
        assert len(re.findall(r"\d-\d\d,\d{3}", "\n".join(lines))) >= len(WAYS)


def test_a_result_table_that_does_not_fit_repeats_the_names_in_every_block(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def headers(width: int) -> list[list[str]]:
        monkeypatch.setenv("COLUMNS", str(width))
        assert run_command_line(["table", "--runs", str(root)]) == 0
        return [line.split() for line in printed(capsys) if line.startswith("model ")]

    columns = ["C-P", "C-R", "C-F1", "O-P", "O-R", "O-F1", "MAP@10", "mAP", "labels/image", "seeds"]
    assert headers(200) == [["model", *columns]]
    blocks = headers(80)
    assert len(blocks) == 2
    assert all(block[0] == "model" for block in blocks)
    assert [name for block in blocks for name in block[1:]] == columns


def test_the_width_is_that_of_columns_and_80_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "97")
    assert console().width == 97
    monkeypatch.delenv("COLUMNS")
    monkeypatch.setattr("sys.__stdout__", None)
    assert console().width == 80
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "97")
    assert console().width == 97


def test_a_title_is_bold_where_colours_are_asked_for_and_bare_elsewhere(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    say("models [all]", "bold")
    assert capsys.readouterr().out == "models [all]\n"
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    say("models [all]", "bold")
    assert capsys.readouterr().out == "\x1b[1mmodels [all]\x1b[0m\n"


def test_text_is_never_read_as_markup(capsys: Capture) -> None:
    text = "[red]a[/red] :smile: [/nothing]"
    say(text)
    print_table((text, "n"), [(text, "1")], title=text)
    assert capsys.readouterr().out.count(text) == 4


def test_a_label_name_that_looks_like_markup_is_printed_as_it_is(tmp_path: Path, capsys: Capture) -> None:
    folder = pictures(tmp_path / "pictures", "[/b]")
    assert run_command_line(["data", "stats", "csv", "--data-root", str(folder)]) == 0
    assert "most frequent in train: [/b] " in capsys.readouterr().out


def test_a_sentence_breaks_between_words_and_a_path_and_a_command_stay_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    path = "/data/" + "x" * 60
    say(f"cannot read an image of this data set, which lies in {path}: truncated", indent=4)
    first, *others = printed(capsys)
    assert first == "cannot read an image of this data set,"
    assert others == ["    which lies in", f"    {path}:", "    truncated"]
    command = "bench config 9b2f 41aa --runs 'a  store'"
    say("what differs:", command=command)
    assert printed(capsys) == ["what differs:", command]


@given(st.lists(st.integers(1, 60), min_size=1, max_size=20), st.integers(1, 40), st.integers(20, 120))
def test_blocks_hold_every_column_once_in_order_and_fit(others: list[int], name: int, width: int) -> None:
    least = [name, *others]
    blocks = split_columns(least, 1, width)
    assert all(block[0] == 0 for block in blocks)
    assert [position for block in blocks for position in block[1:]] == list(range(1, len(least)))
    for block in blocks:
        total = sum(least[one] for one in block) + GAP * (len(block) - 1)
        assert total <= width or len(block) == 2


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 90)), min_size=1, max_size=8), st.integers(1, 200))
def test_shared_widths_lie_between_least_and_natural_and_fill_the_window(
    columns: list[tuple[int, int]], width: int
) -> None:
    least = [one for one, _ in columns]
    natural = [one + more for one, more in columns]
    shared = share_width(least, natural, width)
    assert all(low <= given <= high for low, given, high in zip(least, shared, natural, strict=True))
    gaps = GAP * (len(columns) - 1)
    assert sum(shared) + gaps == max(sum(least) + gaps, min(sum(natural) + gaps, width))

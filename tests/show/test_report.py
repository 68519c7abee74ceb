"""The report page: what it shows of stored runs, and how it behaves in a real browser."""

import io
import json
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from example_runs import make_run
from PIL import Image

from bench.cli import run_command_line
from bench.cli.commands.report import FOLLOWS
from bench.records import LabelSpace, Preprocessing
from bench.show import figures
from bench.show.figures import attention, embedding, results, search_tree
from bench.show.report import gather
from bench.store.runs import find

NAMES = ("bce", "softmax", "cnn-rnn")


@pytest.fixture(scope="module")
def untouched(tmp_path_factory):
    """Runs of three models, one with two seeds, of which ``softmax`` errs on two images; and one that failed."""
    root = tmp_path_factory.mktemp("report") / "runs"
    for model in NAMES:
        make_run(root, model, values={"O-F1": 0.5 + 0.1 * NAMES.index(model), "mAP": 0.25})
    make_run(root, "bce", seed=1, values={"O-F1": 0.7, "mAP": 0.25})
    (softmax,) = find(root, "toy", ("softmax",))
    softmax.write_predicted(np.array([[1, 1, 0], [0, 1, 0], [1, 1, 0], [0, 0, 1]], dtype=bool))
    make_run(root, "warp").fail("train", "the loss became NaN <b>")
    return root


@pytest.fixture(scope="module")
def page(untouched):
    """The page of the untouched runs."""
    return made(untouched)


@pytest.fixture
def three_models(untouched, tmp_path):
    """A copy of the untouched runs."""
    return shutil.copytree(untouched, tmp_path / "runs")


class Tags(HTMLParser):
    """The tags of a page with their attributes, and those that are not closed; a wrong closing fails at once."""

    def __init__(self, page):
        super().__init__()
        self.opened, self.unclosed = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.opened.append((tag, dict(attrs)))
        if tag not in {"meta", "link", "img", "input"}:
            self.unclosed.append(tag)

    def handle_endtag(self, tag):
        assert self.unclosed.pop() == tag


def page_of(runs):
    return runs.parent / "report.html"


def command_of(runs):
    places = ["--runs", str(runs), "--out", str(page_of(runs)), "--cache", str(runs.parent / "cache")]
    return ["report", *places, "--resamples", "50"]


def made(runs):
    assert run_command_line(command_of(runs)) == 0
    return page_of(runs).read_text(encoding="utf-8")


def test_the_page_is_whole_and_needs_nothing(page):
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page)
    assert "Table 3. MS COCO" not in page  # no run stands under its protocol
    assert "the loss became NaN &lt;b&gt;" in page
    assert gather.OF_FIRST.replace("'", "&#39;") in page  # bce has two seeds
    assert "<svg" in page
    assert figures.base.INK not in page  # words of drawings have the page's colours, which dark mode turns
    assert page.count('class="bar"') >= 3 * len(("C-P", "C-R", "C-F1", "O-P", "O-R", "O-F1", "MAP@10", "mAP"))


def test_another_process_makes_it_to_the_byte_and_without_torch(page, three_models):
    code = (
        "import sys; from bench.cli import run_command_line;"
        f"assert run_command_line({command_of(three_models)!r}) == 0; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True)
    assert page == page_of(three_models).read_text(encoding="utf-8")


def test_every_tag_is_closed_in_order(page):
    assert Tags(page).unclosed == []


def test_names_from_data_cannot_become_markup(untouched, tmp_path):
    (softmax,) = find(untouched, "toy", ("softmax",))
    copied = shutil.copytree(softmax.path, tmp_path / "runs" / softmax.path.relative_to(untouched))
    (folder,) = find(tmp_path / "runs")
    assert folder.path == copied
    folder._files.write_json("labels.json", ["<script>alert(1)</script>", '" onload="x', "cow"])
    folder._files.write_json("ids.json", ["<img src=x>", "b", "c", "d"])
    page = made(tmp_path / "runs")
    assert "&lt;img src=x&gt;" in page
    tags = Tags(page).opened
    assert sum(tag == "script" for tag, _ in tags) == 1
    assert {attributes["src"][:5] for tag, attributes in tags if tag == "img"} == {"data:"}
    assert not any(name.startswith("on") for _, attributes in tags for name in attributes)


def test_runs_on_other_images_stand_in_a_table_of_their_own(three_models, stored_run):
    other = {"name": "toy", "variant": "others", "fingerprints": {"train": "a", "validation": "b", "test": "other"}}
    stored_run("bce", dataset=other)
    stored_run("bce", protocol="top1@1")
    groups = gather.groups([folder.summary() for folder in find(three_models)])
    assert sorted((len(group.runs), len(group.table.rows)) for group in groups) == [(1, 1), (1, 1), (5, 4)]


def test_damage_is_told_and_the_other_runs_are_shown(three_models):
    (softmax,) = find(three_models, "toy", ("softmax",))
    (softmax.path / "scores.npy").write_bytes(b"nothing")
    (cnn_rnn,) = find(three_models, "toy", ("cnn-rnn",))
    (cnn_rnn.path / "manifest.json").write_text("{")
    page = made(three_models)
    assert "seed 0 damaged: scores.npy damaged" in page
    assert "manifest.json is damaged" in page
    assert "bce" in page


def test_a_page_that_was_stopped_before_its_error_bars_says_so(tmp_path, monkeypatch):
    make_run(tmp_path / "runs", "bce")
    with monkeypatch.context() as stopped:
        stopped.setattr(gather, "with_error_bars", lambda *_: signal.raise_signal(signal.SIGINT))
        assert run_command_line(command_of(tmp_path / "runs")) == 130
    assert FOLLOWS in page_of(tmp_path / "runs").read_text(encoding="utf-8")
    assert FOLLOWS not in made(tmp_path / "runs")


def test_a_protocol_of_a_newer_version_costs_the_error_bars_and_no_more(tmp_path):
    make_run(tmp_path / "runs", "bce", protocol="voc2007@9")
    (group,) = gather.groups([folder.summary() for folder in find(tmp_path / "runs")])
    group = gather.with_error_bars(group, None)
    assert group.remarks[0].startswith("no error bars: no protocol 'voc2007@9'")
    assert (group.resamples, group.intervals) == (0, {})
    assert group.figures


def test_without_a_true_label_there_are_no_bars_and_no_failure(tmp_path):
    folder = make_run(tmp_path / "runs", "bce")
    truth = folder.read_truth()
    folder.write_truth(replace(truth, truth=np.zeros_like(truth.truth)))
    page = made(tmp_path / "runs")
    assert 'class="bar"' not in page
    assert "left:nan" not in page


def test_without_runs_there_is_one_line(tmp_path, capsys):
    assert run_command_line(["report", "--runs", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith(f"error: no runs under {tmp_path}")
    assert run_command_line([*command_of(tmp_path)[:-1], "39"]) == 2
    assert "--resamples: found 39, allowed: 0, none, or from 40" in capsys.readouterr().err
    assert run_command_line(["report", "nonsense", "--runs", str(tmp_path)]) == 2
    assert "nonsense" in capsys.readouterr().err


def test_the_table_marks_what_the_images_cannot_tell_apart(untouched):
    (group,) = gather.groups([folder.summary() for folder in find(untouched)])
    group = gather.with_error_bars(group, 50)
    assert group.resamples == 50
    assert ("bce", "O-F1") in group.table.ties
    interval = group.intervals["bce"]["O-F1"]
    assert interval.low <= interval.value <= interval.high


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """The figures of a run, of which there is every kind, with a label in TeX's words and one of another script."""
    root = tmp_path_factory.mktemp("figures")
    run = make_run(root / "runs", "cnn-rnn")
    run._files.write_json("labels.json", ["$x^2$", "dog", "\N{CJK UNIFIED IDEOGRAPH-732B}"])
    run.write_about(replace(run.read_about(), remarks=("no attention is shown of it",)))
    with pytest.MonkeyPatch.context() as patch:
        told = []
        patch.setattr("bench.system.notes.note", told.append)
        assert run_command_line(["figures", "--runs", str(root / "runs"), "--out", str(root / "figures")]) == 0
    assert told == ["toy: cnn-rnn seed 0: no attention is shown of it"]
    return root / "figures"


def test_the_surest_pairs_count_at_every_threshold_though_rounding_carries_them_beyond_1():
    scores = np.array([[1.0000001, 0.4], [0.9, -1e-7]], dtype=np.float32)
    figure = results.thresholds(np.array([[True, False], [False, True]]), scores, "probability", None)
    curves = [row for row in figure.numbers if row["x"] == pytest.approx(0.96)]
    assert {row["curve"]: (row["y"], row["pairs"]) for row in curves} == {
        "precision": (1.0, 1),
        "recall": (0.5, 1),
        "F1": (pytest.approx(2 / 3), 1),
    }


def test_figures_are_written_as_pictures_and_numbers(drawn):
    written = {path.relative_to(drawn).as_posix() for path in drawn.rglob("*.*")}
    names = ("per-class", "thresholds", "beam-tree", "embedding", "label-neighbours", "image-neighbours", "attention")
    for name in names:
        for ending in ("png", "svg", "csv"):
            assert f"toy/cnn-rnn/{name}.{ending}" in written
    assert "toy/all-models/object-sizes.csv" in written
    assert (drawn / "toy/cnn-rnn/attention.png").read_bytes().startswith(b"\x89PNG")
    assert (drawn / "toy/cnn-rnn/beam-tree.csv").read_text().splitlines()[1] == ",dog,0.6,0.6,True,True"


def test_names_with_dollars_and_other_scripts_are_drawn_as_they_are(drawn):
    bars = (drawn / "toy/cnn-rnn/per-class.svg").read_text(encoding="utf-8")
    assert "$x^2$" in bars
    assert "\N{CJK UNIFIED IDEOGRAPH-732B}" in bars


def test_the_tree_has_a_probability_on_each_edge():
    edges = [[[], 1, 0.6, 0.6, True], [[], 0, 0.3, 0.3, False], [[1], 2, 0.9, 0.54, True]]
    tree = {"edges": edges, "answer": [1, 2], "beam": [1, 2], "search": "beam", "end": 2, "beam_width": 2}
    figure = search_tree.beam_tree(tree, ("cat", "dog"), "Search")
    drawn = figures.svg(figure)
    for text in ("0.60", "0.30", "0.90", "END  0.540"):
        assert text in drawn
    assert [row["answer"] for row in figure.numbers] == [True, False, True]


def test_of_a_wide_beam_the_tree_draws_the_most_probable_paths_and_the_answer_whole():
    wide = [[[], label, 0.01, 0.01, False] for label in range(100)]
    edges = [*wide, [[], 100, 0.001, 0.001, True], [[100], 200, 0.5, 0.0005, True], [[3], 4, 0.9, 0.009, False]]
    tree = {"edges": edges, "answer": [100, 200], "beam": [100, 200], "search": "beam", "end": 200, "beam_width": 9}
    figure = search_tree.beam_tree(tree, [f"label {number}" for number in range(200)], "Search")
    drawn = figures.svg(figure)
    assert "label 100" in drawn
    assert "END  0.001" in drawn
    assert len(figure.numbers) == len(edges)
    assert f"The {search_tree.MOST_EDGES} most probable of {len(edges)} extensions are drawn" in figure.caption


def test_a_label_is_not_its_own_neighbour_even_beside_its_double():
    words = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    figure = embedding.label_neighbours(LabelSpace(words, words, words[0]), ("a", "b", "c"), np.array([3, 2, 1]))
    nearest = {(row["label"], row["rank"]): row["nearest"] for row in figure.numbers}
    assert nearest == {
        ("a", 1): "b",
        ("a", 2): "c",
        ("b", 1): "a",
        ("b", 2): "c",
        ("c", 1): "a",
        ("c", 2): "b",
    }


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not program:
        pytest.skip("no Chromium is installed")
    switches = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=program, args=switches, timeout=300_000)  # hang guard
        yield opened
        opened.close()


@pytest.fixture
def view(browser, untouched, page):
    """The page opened from disk; at the end nothing was fetched and the console is empty."""
    context = browser.new_context(viewport={"width": 1200, "height": 800})
    context.set_default_timeout(300_000)  # a hang guard, in milliseconds
    opened, heard = context.new_page(), []
    opened.on("console", lambda message: heard.append(message.text))
    opened.on("pageerror", lambda error: heard.append(str(error)))
    opened.on("request", lambda r: None if r.url.startswith(("file:", "data:")) else heard.append(r.url))
    opened.goto((untouched.parent / "report.html").as_uri())
    yield opened
    assert heard == []
    context.close()


def first_column(view):
    return view.locator("table.sortable").first.locator("tbody th").all_inner_texts()


def test_a_browser_sorts_the_table_by_mouse_and_by_key(view):
    assert first_column(view) == ["cnn-rnn", "bce", "softmax", "warp"]
    heading = view.get_by_role("button", name="O-F1")
    heading.click()
    assert first_column(view)[0] == "bce" or first_column(view)[0] == "softmax"
    assert first_column(view)[-1] == "warp"  # no number, so last whichever way
    heading.focus()
    view.keyboard.press("Enter")
    assert first_column(view) == ["cnn-rnn", "bce", "softmax", "warp"]
    assert view.locator("table.sortable").first.locator("th[aria-sort=descending]").count() == 1


def test_a_browser_filters_the_errors_by_what_is_true_or_taken_for_true(view):
    cards = view.locator(".gallery li:visible")
    assert cards.count() == 2
    view.get_by_role("combobox", name="Label").select_option("cow")
    assert cards.count() == 1
    assert "b" in cards.first.locator(".id").first.inner_text()
    assert view.locator("output").inner_text() == "1 of 2 images"
    view.get_by_role("combobox", name="Label").select_option("dog")
    assert cards.count() == 2
    view.get_by_label("models disagree").check()
    assert cards.count() == 2


def test_a_card_has_a_line_for_each_model(view):
    lines = view.locator(".gallery li").first.locator(".matrix tbody tr")
    assert [line.locator("th").inner_text() for line in lines.all()] == ["cnn-rnn", "bce", "softmax"]
    whole = "one => { one.textContent = 'cnn-rnn (policy=precision>=0.9)'; return one.scrollWidth <= one.clientWidth }"
    assert lines.first.locator("th").evaluate(whole)  # rows whose names begin alike are told apart


def test_every_picture_is_drawn(view):
    for details in view.locator("details").all():
        details.evaluate("one => { one.open = true }")
    decoded = "Promise.all([...document.images].map(one => { one.loading = 'eager'; return one.decode(); }))"
    view.evaluate(decoded)
    widths = view.evaluate("[...document.images].map(one => one.naturalWidth)")
    assert len(widths) >= 2
    assert min(widths) > 0
    sizes = view.locator("figure svg").evaluate_all("all => all.map(one => one.getBoundingClientRect().width)")
    assert len(sizes) >= 10
    assert min(sizes) > 100


def test_no_column_is_cut_off_on_paper(view):
    view.set_viewport_size({"width": 718, "height": 1000})  # A4 and its margins
    view.emulate_media(media="print")
    rights = view.locator("table").evaluate_all("all => all.map(one => one.getBoundingClientRect().right)")
    assert max(rights) <= 718
    assert view.locator(".matrix").first.evaluate("one => getComputedStyle(one).overflowX") == "visible"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_it_without_sideways_scrolling(view, scheme):
    view.set_viewport_size({"width": 360, "height": 740})
    view.emulate_media(color_scheme=scheme)
    assert view.evaluate("document.documentElement.scrollWidth") <= 360
    ink, page = view.locator("body").evaluate("one => ['color', 'backgroundColor'].map(n => getComputedStyle(one)[n])")
    bright = [sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in (ink, page)]
    assert (bright[0] < bright[1]) == (scheme == "light")


def test_a_long_name_leaves_a_phone_room_for_numbers(view):
    """Names stay in sight while numbers are scrolled past them."""
    view.set_viewport_size({"width": 360, "height": 740})
    name = view.locator("table.sortable tbody th").first
    name.evaluate("(one, long) => { one.textContent = long }", "bce (backbone.name=torchvision/resnet50 epochs=40)")
    assert name.evaluate("one => one.getBoundingClientRect().width") < 180
    name.evaluate("(one, long) => { one.textContent = long }", "x" * 90)
    assert name.evaluate("one => one.getBoundingClientRect().width") < 180


def test_the_provenance_is_readable_json(view):
    records = view.locator("details.run pre").all_text_contents()
    assert len(records) == 5
    assert json.loads(records[0])["config"]["protocol"] == "top2@1"


def test_the_answer_of_an_exact_search_is_orange_and_the_beams_path_is_not():
    edges = [[[], 1, 0.6, 0.6, True], [[1], 2, 0.5, 0.3, True], [[], 0, 0.4, 0.4, False], [[0], 2, 0.9, 0.36, False]]
    tree = {"edges": edges, "answer": [0, 2], "beam": [1, 2], "search": "exact", "end": 2, "beam_width": 1}
    figure = search_tree.beam_tree(tree, ("cat", "dog"), "Search")
    assert {row["label"]: row["answer"] for row in figure.numbers if not row["prefix"]} == {"dog": False, "cat": True}
    assert "found by exact search; green: the best path of the beam" in figure.caption


@pytest.mark.parametrize(("shape", "expected"), [((16, 24), (1 / 6, 5 / 6, 0, 1)), ((32, 16), (0, 1, 0.25, 0.75))])
def test_an_attention_map_lies_on_the_part_of_the_picture_that_the_network_sees(shape, expected):
    buffer = io.BytesIO()
    Image.new("RGB", shape[::-1], (90, 90, 90)).save(buffer, format="JPEG")
    maps = np.ones((2, 1, 4, 4), dtype=np.float32)
    figure = attention.attention(buffer.getvalue(), maps, "dog", Preprocessing(size=16, resize=16))
    for axis in figure.drawing.axes[1::2]:
        under, over = axis.get_images()
        assert under.get_extent() == [0, 1, 0, 1]
        assert over.get_extent() == pytest.approx(expected)
        assert (axis.get_xlim(), axis.get_ylim()) == ((0, 1), (0, 1))
    assert "sees the middle" in figure.caption
    squashed = attention.attention(buffer.getvalue(), maps, "dog", Preprocessing(size=16, resize=16, crop="squash"))
    assert squashed.drawing.axes[1].get_images()[1].get_extent() == pytest.approx([0, 1, 0, 1])
    assert "sees the middle" not in squashed.caption

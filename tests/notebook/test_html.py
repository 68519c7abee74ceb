"""Tables as a browser draws them."""

import shutil

import pytest
from example_runs import make_run

import bench


@pytest.fixture
def page():
    """A blank page of a headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not program:
        pytest.skip("no Chromium is installed")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield browser.new_page(viewport={"width": 900, "height": 700})
        browser.close()


def test_a_browser_shows_the_table_as_the_terminal_does_and_runs_nothing_in_it(tmp_path, page):
    for seed in (0, 1):
        make_run(tmp_path, "bce", seed=seed, values={"O-F1": 0.5 + 0.1 * seed, "mAP": 0.25})
    make_run(tmp_path, "cnn-rnn", values={"O-F1": 0.4})
    make_run(tmp_path, "warp").fail("train", "<img src=x onerror='document.title=1'><script>document.title=2</script>")
    found = bench.runs(tmp_path)
    table = found.table(["O-F1", "mAP"])
    measures = found[0].measures
    shown = [one._repr_html_() for one in (table, found, measures)]
    page.set_content("<title>quiet</title>" + "<hr>".join(shown))
    assert page.title() == "quiet"
    assert page.locator("img, script").count() == 0
    rows = page.locator("table").first.locator("tr")
    texts = [rows.nth(number).locator("th, td").all_inner_texts() for number in range(rows.count())]
    assert texts == [
        ["model", "O-F1", "mAP", "seeds"],
        ["bce", "55.0 ±7.1", "25.0 ±0.0", "2"],
        ["cnn-rnn", "40.0", "-", "1"],
        ["warp", "-", "-", "0"],
    ]
    assert page.locator("table").first.locator("b").all_inner_texts() == ["55.0 ±7.1", "25.0 ±0.0"]
    body = page.locator("body").inner_text()
    assert "warp: seed 0 failed: train: <img src=x" in body
    assert "± is the sample standard deviation over seeds" in body
    assert "top2@1, fractions in percent" in body

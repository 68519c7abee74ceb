from bench.system.progress import _rate, progress_bar


def test_items_pass_through_where_nobody_looks():
    assert list(progress_bar([1, 2, 3], "counting")) == [1, 2, 3]


def test_a_rate_below_one_is_told_as_seconds_for_each():
    assert _rate(1234.5, "images") == "1,234 images/s"
    assert _rate(0.125, "epochs") == "8.0 s each"
    assert _rate(None, "images") == ""


def test_a_bar_is_drawn_on_a_terminal_and_items_pass_through(monkeypatch, capsys):
    monkeypatch.setattr("bench.system.progress.progress_shown", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert list(progress_bar(range(4), "counting", unit="images", scale=16)) == [0, 1, 2, 3]
    assert "counting" in capsys.readouterr().err

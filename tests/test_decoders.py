"""A run that a plugin's decoder searched: its key, its origins, what is stored, checked again, and refused."""

import types

import numpy as np
import pytest
from documented import documented
from example_commands import FAST, bench, write_corel
from example_exports import run_options
from test_plugins import entry, hook

import bench as face
from bench import ModelError, UsageError, plugins
from bench.exported.publish import export_run
from bench.plan import check_space, make_plan
from bench.recompute.run import recompute
from bench.records import RunRequest
from bench.run_config import code_of
from bench.show import tables
from bench.store.runs import find
from bench.store.validate import validate


def registry(*more):
    own = [found for found in plugins._entry_points() if found.dist and found.dist.name == plugins.HOST]
    page = types.SimpleNamespace(bench_decoders=documented().bench_decoders)
    return plugins.load([*own, entry("bench-page", page), *more])


@pytest.fixture(scope="module", autouse=True)
def installed():
    with pytest.MonkeyPatch.context() as patch:
        offered = registry()
        patch.setattr(plugins, "loaded", lambda: offered)
        yield


def command(root, *more):
    return ["run", "--model", "cnn-rnn", *run_options(root), *FAST, *more]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("decoders")
    write_corel(root / "corel")
    for decoder in ("beam", "greedy"):
        assert bench(*command(root, "--set", "beam_width=1", "--set", f"decoder={decoder}")) == 0
    return root


def runs_of(root):
    return {folder.config["search"]["decoder"]: folder for folder in find(root / "runs", "corel5k", ("cnn-rnn",))}


def test_a_plugins_greedy_search_gives_the_run_of_a_beam_of_one(root):
    beam, greedy = runs_of(root)["beam"], runs_of(root)["greedy"]
    assert beam.key != greedy.key
    assert beam.read_weights() == greedy.read_weights()
    np.testing.assert_array_equal(beam.read_label_sets().sequences, greedy.read_label_sets().sequences)
    np.testing.assert_allclose(beam.read_scores().values, greedy.read_scores().values, rtol=1e-4)
    assert beam.read_measures().values == pytest.approx(greedy.read_measures().values, nan_ok=True)


def test_decoder_and_its_source_are_in_the_config_with_where_they_are_from(root):
    beam, greedy = runs_of(root)["beam"], runs_of(root)["greedy"]
    assert greedy.config["decoder"] == {"name": "greedy", "distribution": "bench-page", "version": "1.2"}
    assert "decoder" not in beam.config
    assert len(greedy.config["code"]["decoder"]) == len(greedy.config["code"]["decoding"])
    origins = greedy.read_about().origins
    assert origins["search.decoder"] == "--set decoder=greedy"
    assert origins["code.decoder"] == "computed from the source of decoder 'greedy' in bench-page"


def test_it_is_validated_and_recomputed_as_any_other(root):
    greedy = runs_of(root)["greedy"]
    assert validate([greedy])[0].faults == ()
    verdict = recompute(greedy)
    assert (verdict.level, verdict.faults) == ("recomputed", ())


def test_its_searches_are_shown_with_the_answer(root):
    trees = runs_of(root)["greedy"].exhibits.trees()
    assert {tree["search"] for tree in trees} == {"greedy"}
    assert bench("report", "--runs", root / "runs", "--resamples", "0", "--out", root / "page.html") == 0


def test_a_row_is_called_by_its_decoder(root):
    table = tables.build([folder.summary() for folder in runs_of(root).values()])
    assert {row.label for row in table.rows} == {"cnn-rnn (decoder=beam)", "cnn-rnn (decoder=greedy)"}
    assert not [note for note in table.notes if "different code" in note]


def test_without_the_plugin_the_run_cannot_be_done_again_and_says_so(root, monkeypatch):
    bare = plugins.load([one for one in plugins._entry_points() if one.dist and one.dist.name == plugins.HOST])
    monkeypatch.setattr(plugins, "loaded", lambda: bare)
    verdict = recompute(runs_of(root)["greedy"])
    assert (verdict.level, verdict.faults) == ("folder", ())
    assert "no decoder 'greedy'" in verdict.notes[0]


def test_a_decoder_that_nobody_offers_is_one_line(root, capsys):
    capsys.readouterr()
    assert bench(*command(root, "--set", "decoder=gredy")) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "no decoder 'gredy'; did you mean 'greedy'? allowed: beam, greedy. See: bench list decoders" in line


def test_an_export_is_refused_with_what_to_type(root, tmp_path, capsys):
    greedy = runs_of(root)["greedy"]
    with pytest.raises(ModelError, match=r"decoded by 'greedy', a plugin's code.* Try: the same bench run without"):
        export_run(greedy, tmp_path / "model")
    capsys.readouterr()
    assert bench("export", greedy.path, "--out", tmp_path / "model") == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "model").exists()


def test_decoders_are_listed(capsys):
    assert bench("list", "decoders") == 0
    assert "greedy  the most probable label after each prefix [bench-page 1.2]" in capsys.readouterr().out


def by_place(network, image_terms, start_states, options):
    """A sequence of one label and END, another for each place in the batch, with its own log-probability."""
    count, end = len(image_terms), len(network.output) - 1
    sequences = np.full((count, options.max_length), -1)
    sequences[:, 0] = np.arange(count) % end
    before = sequences[:, :0], sequences[:, :1]
    labels, states = np.full(count, end + 1), start_states.repeat(count, axis=0)
    total = np.zeros(count)
    for chosen, prefix in zip((sequences[:, 0], np.full(count, end)), before, strict=True):
        terms, states = network.step(labels, states)
        likely = face.next_label_log_probabilities(network, terms, image_terms, prefix, options)
        total += likely[np.arange(count), chosen]
        labels = chosen
    return sequences, total


def test_a_decoder_whose_answer_depends_on_the_place_in_a_batch_is_a_failing_row(root, monkeypatch, capsys):
    bad = hook("bench_decoders", [face.SequenceSearch("by-place", "made up", by_place)])
    offered = registry(entry("bench-bad", bad))
    monkeypatch.setattr(plugins, "loaded", lambda: offered)
    assert bench(*command(root, "--set", "decoder=by-place", "--out", str(root / "bad"))) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "bench-bad" in said
    assert "decode of decoder 'by-place': the sequence of an image depends on the other images" in said


def test_an_edited_decoder_has_another_hash(tmp_path, monkeypatch):
    def code(body):
        path = tmp_path / f"one{len(list(tmp_path.iterdir()))}" / "own_search.py"
        path.parent.mkdir()
        path.write_text(f"def search(*_):\n    return {body}\n")
        scope: dict[str, object] = {}
        monkeypatch.syspath_prepend(path.parent)
        import importlib
        import sys

        sys.modules.pop("own_search", None)
        scope["search"] = importlib.import_module("own_search").search
        spec = face.SequenceSearch("mine", "made up", scope["search"])
        request = RunRequest("cnn-rnn", "digit-scenes", sets=("decoder=mine",))
        return code_of(make_plan(request, registry(entry("bench-more", hook("bench_decoders", [spec])))))["decoder"]

    assert code("1") != code("2")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": "beam"}, "decoder 'beam': the host's own is called so"),
        ({"search": 3}, "decoder 'mine': search is a int, must be a function"),
    ],
)
def test_a_decoder_is_checked_when_it_is_made(fields, words):
    with pytest.raises(UsageError, match=words):
        face.SequenceSearch(**{"name": "mine", "summary": "made up", "search": len} | fields)


def test_trials_do_not_choose_a_decoder():
    space = (face.Dimension("decoder", ("beam", "greedy")),)
    spec = face.ModelSpec("mine", "made up", kind="sequence", build=len, space=space)
    with pytest.raises(UsageError, match="option 'decoder' cannot be chosen"):
        check_space(spec)


def test_a_notebook_searches_a_step_network_by_it_and_no_function():
    def search(**named):
        return face.beam_search(lambda prefix: np.zeros(3), **named)

    with pytest.raises(UsageError, match="decoder 'greedy' is for a step network, found a function"):
        search(decoder="greedy")
    assert search(decoder="beam").label_sets.sequences.shape == search().label_sets.sequences.shape

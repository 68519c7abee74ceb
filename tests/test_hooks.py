"""What plugins add beside models, data sets and backbones: metrics, protocols, report sections, formats of tables."""

import json
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from documented import documented
from example_commands import write_corel
from test_plugins import entry, hook, spec

import bench
from bench import plugins
from bench.cli import run_command_line
from bench.evaluation import protocols
from bench.show import tables
from bench.store.protocol import code_of as protocol_code
from bench.store.protocol import protocol_of
from bench.store.run_folder import RunFolder

Stored = Callable[..., RunFolder]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., plugins.Registry]:
    """Install plugins beside the host's own: each a distribution's name, and what its module is."""

    def install(**contents: Any) -> plugins.Registry:
        own = [found for found in plugins._entry_points() if found.dist and found.dist.name == plugins.HOST]
        registry = plugins.load([*own, *(entry(name.replace("_", "-"), one) for name, one in contents.items())])
        monkeypatch.setattr(plugins, "loaded", lambda: registry)
        return registry

    return install


def empty_share(evaluation: bench.Evaluation) -> float:
    return float((evaluation.image_counts.predicted == 0).mean())


CLAIMS = {"one": 0.125, "other": 0.25, "hit": 0.5}


def metric(name: str = "empty", function: Callable[[Any], float] = empty_share, **fields: Any) -> object:
    return hook("bench_metrics", [bench.Metric(name, function, "Share of images without a label", **fields)])


def table_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    capsys.readouterr()
    assert run_command_line(["table", "--runs", "runs", "--format", "json", *arguments]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    return found


@pytest.fixture(autouse=True)
def in_the_folder(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_plugins_metric_is_computed_for_runs_made_before_it(
    stored_run: Stored, installed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = stored_run()
    before = (folder.path / "measures.json").read_bytes()
    assert "empty" not in table_of(capsys)["columns"]
    installed(bench_more=metric(column="empty"))
    expected = 100 * float((folder.read_masks().predicted[:].sum(axis=1) == 0).mean())
    table = table_of(capsys)
    assert table["columns"][-1] == "empty"
    assert table["rows"][0]["cells"]["empty"]["mean"] == pytest.approx(expected)
    assert (folder.path / "measures.json").read_bytes() == before


def test_a_metric_without_a_heading_is_shown_where_it_is_asked_for(
    stored_run: Stored, installed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    stored_run()
    installed(bench_more=metric())
    assert "empty" not in table_of(capsys)["columns"]
    assert table_of(capsys, "--columns", "empty,mAP")["columns"] == ["empty", "mAP"]


def test_an_edited_metric_shows_no_value_of_before(
    stored_run: Stored, installed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    stored_run()
    for value in (0.25, 0.5):
        installed(bench_more=metric(function=lambda _, value=value: value))
        assert table_of(capsys, "--columns", "empty")["rows"][0]["cells"]["empty"]["mean"] == 100 * value


def test_a_metric_that_breaks_ties_by_chance_has_one_value(
    stored_run: Stored, installed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    stored_run()
    installed(bench_more=metric(function=lambda _: np.random.random()))  # noqa: NPY002 - the old generator is what is global
    values = {table_of(capsys, "--columns", "empty")["rows"][0]["cells"]["empty"]["mean"] for _ in range(2)}
    assert len(values) == 1


def test_a_metric_that_says_something_else_when_it_is_asked_again_is_undefined(
    stored_run: Stored, installed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its column would order rows by when each was asked."""
    stored_run()
    stored_run(seed=1)
    calls = iter(range(9))
    installed(bench_more=metric(function=lambda _: next(calls) / 8))
    assert run_command_line(["table", "--runs", "runs", "--columns", "empty,mAP"]) == 0
    done = capsys.readouterr()
    assert "metric 'empty' is undefined, as it says 0.25 of run" in done.err
    assert "bench-more 1.2" in done.err
    assert "12.5" not in done.out


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda _: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda _: "0.5", "it gives a str, must be a number"),
        (lambda _: float("inf"), "it is infinite"),
    ],
)
def test_a_metric_that_fails_is_undefined_and_named(
    stored_run: Stored, installed: Any, capsys: pytest.CaptureFixture[str], function: Any, reason: str
) -> None:
    stored_run()
    installed(bench_more=metric(function=function))
    assert run_command_line(["table", "--runs", "runs", "--columns", "empty,mAP"]) == 0
    done = capsys.readouterr()
    assert "bench-more 1.2" in done.err
    assert reason in done.err
    assert "metric 'empty'" in done.err
    assert "-" in done.out


def test_a_metric_of_the_hosts_name_is_typed_with_its_distribution(
    stored_run: Stored, installed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    stored_run()
    own = table_of(capsys, "--columns", "mAP")["rows"][0]["cells"]["mAP"]["mean"]
    installed(bench_more=metric("mAP", lambda _: 0.125, column="mAP"))
    assert table_of(capsys, "--columns", "mAP")["rows"][0]["cells"]["mAP"]["mean"] == own
    mine = table_of(capsys, "--columns", "bench-more:mAP")
    assert mine["rows"][0]["cells"]["bench-more:mAP"]["mean"] == 12.5


def test_a_column_that_two_metrics_claim_is_neithers(
    stored_run: Stored, installed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both stood under it, and the last one's value in both."""
    stored_run()
    one, other, named = (metric(name, lambda _, value=value: value, column="hit") for name, value in CLAIMS.items())
    installed(bench_one=one, bench_other=other, bench_named=named)
    found = table_of(capsys)
    cells = found["rows"][0]["cells"]
    assert {name: cells[name]["mean"] / 100 for name in found["columns"][-3:]} == CLAIMS


def protocol(**fields: Any) -> object:
    return hook("bench_protocols", [bench.Protocol(**{"name": "mine@1", "summary": "two labels", "k": 2} | fields)])


def test_a_plugins_protocol_is_found_by_its_name_and_refused_without_it(installed: Any) -> None:
    with pytest.raises(bench.UsageError, match="no protocol 'mine@1'"):
        protocols.get("mine@1")
    installed(bench_more=protocol())
    assert protocols.get("mine@1").k == 2
    assert protocols.of_plugin(protocols.get("mine@1"))
    assert not protocols.of_plugin(protocols.get("coco-top3@1"))
    assert not protocols.of_plugin(protocols.get("top7@1"))


def test_a_plugins_protocol_is_listed(installed: Any, capsys: pytest.CaptureFixture[str]) -> None:
    installed(bench_more=protocol(), bench_other=protocol(name="top3@1"))
    assert run_command_line(["protocols", "--json"]) == 0
    assert [one["name"] for one in json.loads(capsys.readouterr().out)] == [*protocols.REGISTERED, "mine@1"]


def test_a_plugin_takes_no_protocol_from_the_host_or_from_another(installed: Any) -> None:
    installed(bench_more=protocol(name="coco-top3@1"), bench_other=protocol(), bench_third=protocol(k=4))
    assert protocols.get("coco-top3@1").k == 3
    with pytest.raises(bench.UsageError, match=r"claimed by 2 plugins\. Type bench-other:mine@1 or bench-third:mine@1"):
        protocols.get("mine@1")
    assert protocols.get("bench-third:mine@1").k == 4


@pytest.mark.parametrize(
    ("fields", "fault"),
    [({"name": "mine"}, "'mine': allowed: a family and a version"), ({"k": 0}, "k 0 wrong")],
)
def test_a_protocol_is_checked_when_it_is_made(fields: dict[str, Any], fault: str) -> None:
    with pytest.raises(bench.UsageError, match=fault):
        bench.Protocol(**{"name": "mine@1", "summary": "two labels", "k": 2} | fields)


def test_the_choices_of_a_plugins_protocol_are_in_the_key(installed: Any, tmp_path: Any) -> None:
    from bench.assembly import Assembly, build_backbone, choose_protocol, open_parts
    from bench.plan import make_plan
    from bench.run_config import make_config

    def config() -> dict[str, Any]:
        registry = plugins.installed()
        plan = make_plan(bench.records.RunRequest("bce", "digit-scenes", protocol="mine@1", cache=tmp_path), registry)
        parts = open_parts(plan)
        return make_config(Assembly(plan, parts, build_backbone(plan), choose_protocol(plan, parts)))

    installed(bench_more=protocol())
    one = config()
    installed(bench_more=protocol(ap="11_point"))
    other = config()
    assert one["protocol"] == other["protocol"] == "mine@1"
    assert one["code"]["protocol"] != other["code"]["protocol"]


def of_mine(protocol: bench.Protocol, policy: str = "exactly-k") -> dict[str, Any]:
    """What the config of a run by ``protocol``, a plugin's, has beside a host's."""
    by = {"name": policy, "amount": "exactly k", "by_protocol": policy == "exactly-k"}
    return {"protocol": protocol.name, "code": protocol_code(protocol), "policy": by}


def test_runs_by_other_choices_of_one_protocol_neither_compare_nor_are_computed_with(
    stored_run: Stored, installed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    installed(bench_more=protocol())
    before = stored_run("bce", **of_mine(protocols.get("mine@1")))
    installed(bench_more=protocol(summary="as ever, in other words"))
    assert protocol_of(before.config).k == 2
    installed(bench_more=protocol(k=1))
    after = stored_run("warp", **of_mine(protocols.get("mine@1")))
    assert protocol_of(after.config).k == 1
    with pytest.raises(bench.StoreError, match="makes other choices now than when the run was made"):
        protocol_of(before.config)
    assert len(tables.by_comparison([before.summary(), after.summary()])) == 2
    assert run_command_line(["table", "--runs", "runs"]) == 2
    assert "do not compare: choices of their protocol" in capsys.readouterr().err
    for command in (["policy", "--policy", "threshold"], ["lens"], ["thresholds", "--for", "precision>=0.5"]):
        assert run_command_line([*command, before.key, "--runs", "runs"]) == 2
        assert "makes other choices now" in capsys.readouterr().err
    assert run_command_line(["config", before.key, "--runs", "runs"]) == 0
    assert run_command_line(["choose", "--runs", "runs"]) == 0
    chosen = capsys.readouterr()
    assert "nothing recommended of 1 runs on toy: protocol 'mine@1' makes other choices now" in chosen.err
    assert f"run       {after.key[:8]}" in chosen.out


def test_scores_from_a_file_are_another_run_once_their_protocol_makes_other_choices(
    installed: Any, tmp_path: Path
) -> None:
    write_corel(tmp_path / "corel")
    ids = [line.split("\t")[0] for line in (tmp_path / "corel" / "test.tsv").read_text().splitlines()]
    Path("scores.csv").write_text("\n".join(["id,red,green,blue", *(f"{one},0.9,0.5,0.1" for one in ids)]))
    for k in (2, 1):
        installed(bench_more=protocol(k=k))
        asked = ["score", "scores.csv", "--dataset", "corel5k", "--data-root", "corel", "--kind", "probability"]
        assert run_command_line([*asked, "--name", "given", "--protocol", "mine@1"]) == 0
    counts = {run.measures["labels_per_image"] for run in bench.runs("runs")}
    assert counts == {1.0, 2.0}


def test_a_plugins_metric_is_undefined_for_runs_by_other_choices_of_their_protocol(
    stored_run: Stored, installed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    installed(bench_more=protocol())
    stored_run("bce", **of_mine(protocols.get("mine@1")))
    installed(bench_more=protocol(k=1), bench_other=metric())
    table = table_of(capsys, "--columns", "empty,mAP")
    assert list(table["rows"][0]["cells"]) == ["mAP"]


def section(tables: Callable[[Any], Any]) -> object:
    return hook("bench_report_sections", [bench.ReportSection("mine", "Labels <by> me", tables)])


def test_a_report_has_a_plugins_section_whose_texts_are_escaped(stored_run: Stored, installed: Any) -> None:
    stored_run()

    def tables(folders: Any) -> list[bench.TrackedTable]:
        (run,) = bench.runs(folders[0])
        rows = (("<script>alert(1)</script>", 0.123456, None), (run.model, float(run.scores.values.max()), 3))
        return [bench.TrackedTable("t", "Largest & best", ("model", "score", "n"), rows, ("a note",))]

    installed(bench_more=section(tables))
    assert run_command_line(["report", "--runs", "runs", "--resamples", "0"]) == 0
    page = Path("report.html").read_text(encoding="utf-8")
    assert "Labels &lt;by&gt; me" in page
    assert "Largest &amp; best" in page
    assert "<script>alert(1)" not in page
    assert "0.1235" in page


@pytest.mark.parametrize(
    ("tables", "reason"),
    [
        (lambda _: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda _: ["text"], "it gave a str, must give bench.TrackedTable"),
        (lambda _: [bench.TrackedTable("t", "T", ("a", "b"), (("x",),))], "rows of another length"),
    ],
)
def test_a_section_that_fails_says_so_and_the_page_has_all_the_rest(
    stored_run: Stored, installed: Any, tables: Any, reason: str
) -> None:
    stored_run()
    installed(bench_more=section(tables))
    assert run_command_line(["report", "--runs", "runs", "--resamples", "0"]) == 0
    page = Path("report.html").read_text(encoding="utf-8")
    assert reason in page
    assert "Provenance" in page


def form(render: Callable[[Any], Any]) -> object:
    return hook("bench_table_formats", [bench.TableFormat("org", "Org mode", render)])


def test_a_plugins_format_prints_tables_and_is_offered(
    stored_run: Stored, installed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    stored_run()
    installed(bench_more=form(lambda tables: "".join(f"| {row['label']} |\n" for row in tables[0]["rows"])))
    assert run_command_line(["table", "--runs", "runs", "--format", "org"]) == 0
    assert capsys.readouterr().out == "| bce |\n"
    assert run_command_line(["table", "--runs", "runs", "--format", "orgg"]) == 2
    assert "no format of tables 'orgg'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("render", "reason"),
    [(lambda _: 3, "render gave a int, must be text"), (lambda _: {}["x"], "KeyError")],
)
def test_a_format_that_fails_is_one_line_that_names_the_plugin(
    stored_run: Stored, installed: Any, capsys: pytest.CaptureFixture[str], render: Any, reason: str
) -> None:
    stored_run()
    installed(bench_more=form(render))
    assert run_command_line(["table", "--runs", "runs", "--format", "org"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "bench-more 1.2" in line
    assert reason in line


def test_a_hook_of_a_later_host_is_named_and_the_rest_of_its_plugin_works(
    installed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    later = types.SimpleNamespace(
        bench_models=bench.hookimpl(lambda: [spec("asl")]), bench_oracles=bench.hookimpl(lambda: [])
    )
    registry = installed(bench_more=later)
    assert registry.model("asl").origin.distribution == "bench-more"
    assert not registry.broken
    assert run_command_line(["list"]) == 0
    assert "bench-more 1.2 (models): bench_oracles is not called" in capsys.readouterr().out


@pytest.mark.parametrize("version", [0, 2])
def test_a_spec_of_another_interface_is_refused_with_what_to_type(installed: Any, version: int) -> None:
    registry = installed(bench_more=hook("bench_models", [spec("asl", api_version=version)]))
    (reason,) = registry.broken.values()
    assert f"'asl' is made for version {version} of the plugin interface, this host has 1. Try: pip install" in reason


def test_scores_are_not_changed_by_a_metric_that_writes_on_them(
    stored_run: Stored, installed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = stored_run()
    before = np.array(folder.read_scores().values)

    def spoil(evaluation: bench.Evaluation) -> float:
        evaluation.scores.values[:] = 0
        return 1.0

    installed(bench_more=metric(function=spoil))
    own = table_of(capsys, "--columns", "empty,mAP")["rows"][0]["cells"]
    assert "empty" not in own or np.isnan(own["empty"]["mean"])
    np.testing.assert_array_equal(before, RunFolder(folder.path).read_scores().values)


def test_the_documented_hooks_do_what_the_page_says(
    stored_run: Stored, installed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = stored_run()
    names = ("bench_metrics", "bench_protocols", "bench_report_sections", "bench_table_formats")
    installed(bench_page=types.SimpleNamespace(**{name: getattr(documented(), name) for name in names}))
    assert run_command_line(["table", "--runs", "runs", "--format", "org", "--columns", "hit-rate,mAP"]) == 0
    masks = folder.read_masks()
    hits = 100 * (masks.truth[:] & masks.predicted[:]).any(axis=1).mean()
    assert capsys.readouterr().out.splitlines()[1].startswith(f"| bce | {hits:.1f} |")
    assert protocols.get("pairs@1").k == 2
    assert run_command_line(["report", "--runs", "runs", "--resamples", "0"]) == 0
    assert "Labels that bce misses most" in Path("report.html").read_text(encoding="utf-8")

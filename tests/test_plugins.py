"""The plugin loader: a broken plugin is reported by its distribution, and the others still work."""

import importlib.metadata
import json
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

import pytest

import bench
from bench import UsageError, hookspecs, plugins
from bench.cli import run_command_line
from bench.cli.completion import names_of
from bench.guard import HOST


def spec(name: str, **changes: Any) -> bench.ModelSpec:
    return bench.ModelSpec(name=name, summary="a model", kind="scores", build=lambda _: None, **changes)


def plugin_of(*names: str) -> object:
    return types.SimpleNamespace(bench_models=bench.hookimpl(lambda: [spec(name) for name in names]))


@dataclass(frozen=True)
class FakeDistribution:
    name: str
    version: str = "1.2"


@dataclass(frozen=True, eq=False)
class FakeEntryPoint:
    """Stands for an installed entry point; ``content`` is what its module is, or raises when imported."""

    dist: FakeDistribution
    name: str
    content: Any
    value: str = "module"

    def load(self) -> object:
        return self.content() if isinstance(self.content, types.FunctionType) else self.content


def entry(distribution: str, content: Any, name: str = "models", value: str = "module") -> Any:
    return FakeEntryPoint(FakeDistribution(distribution), name, content, value)


def hook(name: str, returned: Any) -> object:
    """Return a plugin whose hook ``name`` returns ``returned``."""

    def implementation() -> Any:
        return returned

    implementation.__name__ = name
    return types.SimpleNamespace(**{name: bench.hookimpl(implementation)})


def missing_import() -> object:
    raise ModuleNotFoundError("No module named 'torhc'")


def raising_hook() -> object:
    def implementation() -> list[bench.ModelSpec]:
        raise RuntimeError("no licence\nsecond line")

    return types.SimpleNamespace(bench_models=bench.hookimpl(implementation))


def raising(error: BaseException) -> Callable[[], object]:
    def content() -> object:
        raise error

    return content


BROKEN: dict[str, tuple[Callable[[], object], str]] = {
    "failing import": (missing_import, "ModuleNotFoundError: No module named 'torhc'"),
    "exit at import": (raising(SystemExit("pip said no")), "SystemExit: pip said no"),
    "exit with status 0": (raising(SystemExit(0)), "SystemExit: 0"),
    "interrupt at import": (raising(KeyboardInterrupt()), "KeyboardInterrupt without a message"),
    "odd exception at import": (raising(BaseException("odd")), "BaseException: odd"),
    "misspelt hook": (lambda: hook("bench_modles", []), "unknown hook 'bench_modles'"),
    "no hook": (types.SimpleNamespace, "no hook is implemented. Mark functions with @bench.hookimpl"),
    "hook that raises": (raising_hook, "RuntimeError: no licence"),
    "not a list": (lambda: hook("bench_models", 3), "TypeError: 'int' object is not iterable"),
    "forgotten return": (
        lambda: hook("bench_models", None),
        "bench_models returned None, must return a list of bench.ModelSpec",
    ),
    "list of something else": (
        lambda: hook("bench_models", ["asl"]),
        "bench_models returned a str, must return bench.ModelSpec",
    ),
    "options that are none": (
        lambda: hook("bench_models", [spec("asl", options=("gamma",))]),
        "bench_models: 'asl': options must be a tuple of bench.Option",
    ),
    "options in a list": (
        lambda: hook("bench_models", [spec("asl", options=[bench.Option("gamma", 1, "power")])]),
        "bench_models: 'asl': options must be a tuple of bench.Option",
    ),
    "an option that cannot be typed": (
        lambda: hook("bench_models", [spec("asl", options=(bench.Option("loss.gamma", 1, "power"),))]),
        "bench_models: 'asl': option 'loss.gamma': allowed are letters, digits and _ + -",
    ),
    "a default that is not allowed": (
        lambda: hook("bench_models", [spec("asl", options=(bench.Option("gamma", 0, "power", minimum=1),))]),
        "bench_models: 'asl': option 'gamma': its default is 0, allowed: a whole number >= 1",
    ),
    "a default of no kind": (
        lambda: hook("bench_models", [spec("asl", options=(bench.Option("gamma", None, "power"),))]),  # type: ignore[arg-type]
        "bench_models: 'asl': option 'gamma': its default is a NoneType, must be a number or text",
    ),
    "an option twice": (
        lambda: hook(
            "bench_models", [spec("asl", options=(bench.Option("gamma", 1, ""), bench.Option("gamma", 2, "")))]
        ),
        "bench_models: 'asl': option 'gamma': stands twice",
    ),
    "an option of all training": (
        lambda: hook("bench_models", [spec("asl", options=(bench.Option("epochs", 7, "passes"),))]),
        "bench_models: 'asl': option 'epochs' is one of training. Try: training={'epochs': ...}",
    ),
    "every seed alike by gradients": (
        lambda: hook("bench_models", [spec("asl", deterministic=True)]),
        "bench_models: 'asl': deterministic=True, and training draws the order of images from the seed",
    ),
    "a text as choices": (
        lambda: hook("bench_models", [spec("asl", options=(bench.Option("size", "big", "units", choices=("big")),))]),  # type: ignore[arg-type]
        "bench_models: 'asl': option 'size': its choices are a str, must be a tuple, as ('big',)",
    ),
    "a default that is taken as another": (
        lambda: hook("bench_models", [spec("asl", options=(bench.Option("gap", " ", "between words"),))]),
        "bench_models: 'asl': option 'gap': its default is ' ', which is taken as ''",
    ),
    "build that is no function": (
        lambda: hook("bench_models", [bench.ModelSpec("asl", "a loss", "scores", "bench_asl.build")]),  # type: ignore[arg-type]
        "bench_models: 'asl': build is a str, must be a function",
    ),
    "spec of another hook": (
        lambda: hook("bench_datasets", [spec("asl")]),
        "bench_datasets returned a ModelSpec, must return bench.DatasetSpec",
    ),
    "tracker that is a model": (
        lambda: hook("bench_trackers", [spec("asl")]),
        "bench_trackers returned a ModelSpec, must return bench.TrackerSpec",
    ),
    "unknown training option": (
        lambda: hook("bench_models", [spec("asl", training={"epohcs": 3})]),
        "no training option in model 'asl' 'epohcs'; did you mean 'epochs'?",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_is_named_with_its_reason_and_the_others_still_work(case: str) -> None:
    content, reason = BROKEN[case]
    registry = plugins.load([entry("bench-broken", content), entry("bench-good", plugin_of("good"))])
    assert list(registry.all(plugins.MODELS)) == ["good"]
    ((origin, told),) = registry.broken.items()
    assert str(origin) == "bench-broken 1.2 (models)"
    assert reason in told
    assert "\n" not in told


def test_a_spec_remembers_the_distribution_it_comes_from() -> None:
    found = plugins.load([entry("bench-good", plugin_of("good"))]).model("good")
    assert str(found.origin) == "bench-good 1.2 (models)"


def test_every_hook_has_a_row_in_the_table_of_kinds_with_the_spec_it_returns() -> None:
    hooks = {
        name: get_type_hints(hook)["return"] for name, hook in vars(hookspecs).items() if name.startswith("bench_")
    }
    assert hooks == {kind.hook: list[kind.spec] for kind in plugins.KINDS}


def test_a_new_kind_is_a_hook_and_a_row_and_is_then_looked_up_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True)
    class SamplerSpec:
        name: str

    def bench_samplers() -> list[SamplerSpec]:
        raise AssertionError("a specification is not called")

    samplers = plugins.Kind("bench_samplers", SamplerSpec, "sampler")
    monkeypatch.setattr(hookspecs, "bench_samplers", hookspecs.hookspec(bench_samplers), raising=False)
    monkeypatch.setattr(plugins, "KINDS", (*plugins.KINDS, samplers))
    registry = plugins.load([entry("bench-good", hook("bench_samplers", [SamplerSpec("balanced")]))])
    assert registry.named(samplers, "balanced").spec == SamplerSpec("balanced")
    with pytest.raises(UsageError, match=r"no sampler 'balance'; did you mean 'balanced'\?.*bench list samplers"):
        registry.named(samplers, "balance")


def test_two_plugins_with_the_same_entry_point_name_are_both_loaded() -> None:
    registry = plugins.load([entry("bench-a", plugin_of("a")), entry("bench-b", plugin_of("b"))])
    assert sorted(registry.all(plugins.MODELS)) == ["a", "b"]


def test_two_third_parties_with_one_name_are_both_reached_by_their_distribution_and_neither_by_the_name() -> None:
    registry = plugins.load(
        [
            entry("bench-a", plugin_of("asl", "a")),
            entry("bench-b", plugin_of("asl", "b")),
            entry(HOST, plugin_of("bce")),
        ]
    )
    assert sorted(registry.all(plugins.MODELS)) == ["a", "b", "bce", "bench-a:asl", "bench-b:asl"]
    assert registry.model("bench-b:asl").origin.distribution == "bench-b"
    with pytest.raises(UsageError, match=r"'asl' is claimed by 2 plugins\. Type bench-a:asl or bench-b:asl"):
        registry.model("asl")
    (told,) = registry.clashes
    assert told == (
        "'asl' is claimed by bench-a 1.2 (models) and bench-b 1.2 (models). Type bench-a:asl or bench-b:asl, or leave"
        " one out: BENCH_WITHOUT=bench-b"
    )


def test_a_first_party_name_stays_the_first_partys_and_the_third_party_is_the_one_to_leave_out() -> None:
    points = [entry("a-bench", plugin_of("bce", "more")), entry(HOST, plugin_of("bce", "softmax"))]
    registry = plugins.load(points, frozenset())
    assert registry.model("bce").origin.distribution == HOST
    assert registry.model("a-bench:bce").origin.distribution == "a-bench"
    assert {"softmax", "more"} <= set(registry.all(plugins.MODELS))
    assert "BENCH_WITHOUT=a-bench" in registry.clashes[0]
    left = plugins.load(points, frozenset({"a-bench"}))
    assert sorted(left.all(plugins.MODELS)) == ["bce", "softmax"]
    assert not left.clashes


def test_a_name_without_a_rival_can_be_typed_with_its_distribution_too() -> None:
    registry = plugins.load([entry("bench-a", plugin_of("asl"))])
    assert registry.model("bench-a:asl") is registry.model("asl")
    with pytest.raises(UsageError, match="no model 'bench-b:asl'; allowed: asl"):
        registry.model("bench-b:asl")


def test_of_two_entry_points_of_one_distribution_that_give_one_name_the_first_has_it() -> None:
    registry = plugins.load([entry("bench-a", plugin_of("asl"), "one"), entry("bench-a", plugin_of("asl", "b"), "two")])
    assert sorted(registry.all(plugins.MODELS)) == ["asl", "b"]
    assert registry.clashes == ("'asl' of bench-a 1.2 (two) is left out: bench-a 1.2 (one) has it already",)


def test_two_entry_points_of_one_name_in_one_distribution_are_told_apart() -> None:
    points = [entry("bench-a", missing_import, "x", value="gone"), entry("bench-a", raising_hook, "x", value="raises")]
    assert [str(origin) for origin in plugins.load(points).broken] == ["bench-a 1.2 (x)", "bench-a 1.2 (x = raises)"]


def test_a_clash_is_in_the_list_under_the_names_to_type(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = plugins.load([entry("bench-a", plugin_of("asl")), entry("bench-b", plugin_of("asl"))])
    monkeypatch.setattr(plugins, "installed", lambda: registry)
    assert run_command_line(["list", "models", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [model["name"] for model in listed["models"]] == ["bench-a:asl", "bench-b:asl"]
    assert listed["clashes"] == list(registry.clashes)
    assert run_command_line(["list", "models"]) == 0
    assert "bench-b:asl" in capsys.readouterr().out
    assert names_of("models")("bench-") == ["bench-a:asl", "bench-b:asl"]


@pytest.mark.parametrize("name", ["", "a b", "a,b", "a:b", "../a", 3])
def test_a_name_that_cannot_be_typed_or_stored_is_refused(name: Any) -> None:
    registry = plugins.load([entry("bench-a", hook("bench_models", [spec(name)]))])
    assert "allowed: letters, digits" in next(iter(registry.broken.values()))


def test_a_distribution_whose_metadata_are_gone_is_named_by_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "half-1.0.dist-info"
    folder.mkdir()
    (folder / "entry_points.txt").write_text("[multilabel_bench]\nhalf = half\n")
    (point,) = importlib.metadata.Distribution.at(folder).entry_points
    ((origin, told),) = plugins.load([point]).broken.items()
    assert origin.distribution == str(folder)
    assert "an installation broken off" in told


@pytest.mark.parametrize("blocked", ["bench-broken", "bad"])
def test_a_blocked_plugin_is_not_even_imported(blocked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(plugins.BLOCK_VARIABLE, f"something-else,{blocked}")
    imported = []

    def record() -> object:
        imported.append(True)
        return plugin_of("bad-model")

    registry = plugins.load([entry("bench-broken", record, "bad"), entry("bench-good", plugin_of("good"))])
    assert list(registry.all(plugins.MODELS)) == ["good"]
    assert not imported
    assert not registry.broken


def test_the_order_of_installation_does_not_change_the_order_of_names() -> None:
    points = [entry("bench-b", plugin_of("b")), entry("bench-a", plugin_of("a"))]
    assert (
        list(plugins.load(points).all(plugins.MODELS))
        == list(plugins.load(points[::-1]).all(plugins.MODELS))
        == ["a", "b"]
    )


def test_an_unknown_model_says_that_plugins_are_missing() -> None:
    registry = plugins.load([entry("bench-broken", missing_import), entry("bench-good", plugin_of("good"))])
    with pytest.raises(UsageError, match=r"no model 'asl'.*\(could not be loaded: bench-broken 1.2 .*torhc'\)"):
        registry.model("asl")


def test_a_tracker_comes_from_its_hook_and_a_name_near_it_is_told() -> None:
    def opened(request: bench.TrackerRequest) -> bench.Tracker:
        raise AssertionError("listed, not opened")

    offered = hook("bench_trackers", [bench.TrackerSpec("aim", "runs in Aim", opened)])
    registry = plugins.load([entry("bench-aim", offered)])
    assert str(registry.tracker("aim").origin) == "bench-aim 1.2 (models)"
    with pytest.raises(UsageError, match=r"no tracker 'aym'; did you mean 'aim'\? allowed: aim"):
        registry.tracker("aym")


def family(name: str, *, is_family: bool) -> bench.BackboneSpec:
    return bench.BackboneSpec(name=name, summary="a network", build=lambda _: None, family=is_family)  # type: ignore[arg-type, return-value]


def test_a_family_takes_what_follows_the_slash_and_a_single_backbone_does_not() -> None:
    offered = hook("bench_backbones", [family("timm", is_family=True), family("vgg16", is_family=False)])
    registry = plugins.load([entry("bench-nets", offered)])
    found, variant = registry.backbone("timm/resnet18")
    assert (found.spec.name, variant) == ("timm", "resnet18")
    assert registry.backbone("vgg16")[1] == ""
    with pytest.raises(UsageError, match=r"'timm' is a family. Try: --backbone timm/resnet18"):
        registry.backbone("timm")
    with pytest.raises(UsageError, match="no backbone 'vgg16/x'"):
        registry.backbone("vgg16/x")


def test_a_broken_plugin_is_in_the_list_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = plugins.load([entry("bench-broken", missing_import), entry("bench-good", plugin_of("good"))])
    monkeypatch.setattr(plugins, "installed", lambda: registry)
    assert run_command_line(["list", "models", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(model["name"], model["distribution"]) for model in listed["models"]] == [("good", "bench-good")]
    assert listed["broken"][0]["distribution"] == "bench-broken"
    assert "torhc" in listed["broken"][0]["reason"]
    assert run_command_line(["list"]) == 0
    assert "torhc" in capsys.readouterr().out


def test_every_first_party_plugin_loads() -> None:
    registry = plugins.load(without=frozenset())
    own = [origin for origin in registry.broken if origin.distribution == "multilabel-bench"]
    assert own == []
    assert {"cnn-rnn", "softmax"} <= set(registry.all(plugins.MODELS))
    points = importlib.metadata.entry_points(group="multilabel_bench")
    assert all(point.module in sys.modules for point in points)

"""The hashes of code in a run's config: an edited plugin is another run, and tables say so."""

import functools
import importlib
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from example_runs import make_run

from bench import BackboneSpec, DatasetSpec, ModelSpec, PluginError, code
from bench.code import HOST, host_code, patches, patches_code, plugin_code
from bench.plugins import Found, Origin, installed
from bench.show import tables
from bench.system import source
from bench.system.source import UNKNOWN, closure
from bench.uncounted import patched_by_others, uncounted


def found(build):
    return Found(ModelSpec("mine", "One line", "scores", build), Origin("mine", "1.0", "mine"))


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """A third-party package whose model is built by a function of another module's, with its class in a closure."""
    folder = tmp_path / "third_party_plugin"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "network.py").write_text("class Network:\n    width = 3\n")
    (folder / "factory.py").write_text(
        "def builder(kind):\n    def build(request):\n        return kind()\n    return build\n"
    )
    (folder / "unrelated.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.startswith("third_party_plugin")]:
        del sys.modules[name]


def test_a_class_in_a_closure_counts(plugin):
    from third_party_plugin.factory import builder
    from third_party_plugin.network import Network

    for build in (builder(Network), functools.partial(builder, Network), Network):
        before = plugin_code(found(build))
        (plugin / "unrelated.py").write_text("x = 22\n")
        assert plugin_code(found(build)) == before
        (plugin / "network.py").write_text(f"class Network:\n    width = {id(build)}\n")
        source._as_loaded.clear()  # as the next process sees it
        assert plugin_code(found(build)) != before


@pytest.mark.parametrize("listing", ['__all__ = ["network"]', 'LAZY = {"Network": ".network"}'])
def test_a_module_that_its_package_looks_up_by_a_text_counts(plugin, listing):
    (plugin / "run.py").write_text("def build(request):\n    from third_party_plugin.parts import Network\n")
    (plugin / "parts").mkdir()
    (plugin / "parts" / "__init__.py").write_text(listing)
    network = plugin / "parts" / "network.py"
    network.write_text("class Network: ...\n")
    from third_party_plugin.run import build

    before = plugin_code(found(build))
    network.write_text("class Network:\n    width = 3\n")
    assert plugin_code(found(build)) != before


@pytest.mark.parametrize("kind", [ModelSpec, BackboneSpec, DatasetSpec])
def test_weights_beside_a_network_count_and_what_a_data_set_reads_has_its_fingerprint(plugin, kind):
    """A network may run a file of which torch knows no parameter."""
    (plugin / "run.py").write_text('FILE = "network.onnx"\ndef build(request): ...\n')
    weights = plugin / "network.onnx"
    weights.write_bytes(b"1")
    from third_party_plugin.run import build

    named = {ModelSpec: {"kind": "scores"}, BackboneSpec: {}, DatasetSpec: {"backbone": "flat"}}[kind]
    part = Found(kind("mine", "One line", build=build, **named), Origin("mine", "1.0", "mine"))
    before = plugin_code(part)
    weights.write_bytes(b"2")
    source._as_loaded.clear()  # as the next process sees it
    source._as_named.clear()
    assert (plugin_code(part) == before) is (kind is DatasetSpec)


def test_a_file_counts_that_an_option_of_a_third_party_names(plugin, tmp_path):
    from third_party_plugin.factory import builder

    teacher = tmp_path / "teacher.safetensors"
    hashes = set()
    for content in (None, b"1", b"2"):
        if content:
            teacher.write_bytes(content)
        hashes.add(plugin_code(found(builder(int)), {"teacher": str(teacher), "width": 3}))
    assert len(hashes) == 3
    nothing = {"head": "~nobody-here/head", "mark": "~", "text": "a\0b", "none": ""}  # of which pathlib raises
    assert plugin_code(found(builder(int)), nothing) == plugin_code(found(builder(int)))


@pytest.fixture
def other(tmp_path, monkeypatch):
    """Another distribution's folder of metadata, beside its only module, where things are installed."""
    site = tmp_path / "site-packages"
    metadata = site / "other_plugin-1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Name: other-plugin\nVersion: 1\n")
    (metadata / "RECORD").write_text("other_plugin.py,,\n")
    (site / "other_plugin.py").write_text("class Network: ...\n")
    monkeypatch.syspath_prepend(site)
    code._offering.cache_clear()
    code._by_content.cache_clear()
    code._packages_of.cache_clear()
    yield metadata
    code._offering.cache_clear()
    code._by_content.cache_clear()
    code._packages_of.cache_clear()


@pytest.mark.parametrize(
    ("file", "text", "counts"),
    [
        ("entry_points.txt", "[multilabel_bench]\nother = other_plugin\n", True),
        ("entry_points.txt", "[console_scripts]\nother = other_plugin\n", False),
        ("direct_url.json", '{"dir_info": {}, "url": "file:///home/me/other"}', True),
        ("INSTALLER", "pip\n", False),
    ],
)
def test_of_what_is_installed_another_plugin_counts_and_what_came_from_a_folder(plugin, other, file, text, counts):
    (other / file).write_text(text)
    (plugin / "run.py").write_text("def build(request):\n    from other_plugin import Network\n")
    from third_party_plugin.run import build

    before = plugin_code(found(build))
    (other.parent / "other_plugin.py").write_text("class Network:\n    width = 3\n")
    assert (plugin_code(found(build)) != before) is counts


def test_what_conda_installs_counts_by_its_version(other):
    (other / "direct_url.json").write_text('{"dir_info": {}, "url": "file:///home/conda/feedstock"}')
    assert "other-plugin" in code._by_content()
    (other / "INSTALLER").write_text("conda\n")
    code._by_content.cache_clear()
    assert "other-plugin" not in code._by_content()


def closed_over(kind):
    def build(request):
        return kind

    return build


class Builder:
    def __init__(self, kind):
        self.kind = kind


@pytest.mark.parametrize("hold", [lambda kind: [kind], lambda kind: {"a": SimpleNamespace(of=kind)}, Builder])
def test_a_class_in_a_container_or_an_object_counts(plugin, hold):
    from third_party_plugin.network import Network

    before = plugin_code(found(closed_over(hold(Network))))
    (plugin / "network.py").write_text("class Network:\n    width = 44\n")
    source._as_loaded.clear()  # as the next process sees it
    assert plugin_code(found(closed_over(hold(Network)))) != before


@pytest.mark.parametrize("installed", ["", "site-packages", "by --target"])
def test_what_is_imported_from_where_nothing_is_installed_counts(tmp_path, monkeypatch, installed):
    """Code under work, in the plugin's own checkout or another's, as of a laboratory's library; not what it needs."""
    checkout, other = tmp_path / "checkout", tmp_path / (installed or "other")
    if installed == "by --target":
        (other / "another_checkout-1.0.dist-info").mkdir(parents=True)
    for folder, name, content in (
        (checkout, "editable_models", "def build(request):\n    import another_checkout.nets, without_init.part\n"),
        (other, "another_checkout", ""),
    ):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(content)
        monkeypatch.syspath_prepend(folder)
    (nets := other / "another_checkout" / "nets.py").write_text("")
    (part := other / "without_init" / "part.py").parent.mkdir()
    part.write_text("")
    import editable_models

    spec = ModelSpec("mine", "One line", "scores", editable_models.build)
    one = Found(spec, Origin("editable-plugin", "1.0", "editable_models"))
    for file in (nets, part):
        before = plugin_code(one)
        file.write_text("x = 22\n")
        assert (plugin_code(one) == before) is bool(installed)
    del sys.modules["editable_models"]


def test_a_compiled_module_that_a_distribution_installs_beside_its_package_counts(plugin):
    compiled, about = (plugin.parent / name for name in (f"_fast{EXTENSION_SUFFIXES[0]}", "third_party-1.0.dist-info"))
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: third-party\nVersion: 1.0\n")
    (about / "RECORD").write_text(f"{compiled.name},,\nthird_party_plugin/run.py,,\n")
    (plugin / "run.py").write_text("def build(request):\n    import _fast\n")
    compiled.write_bytes(b"1")
    from third_party_plugin.run import build

    one = Found(found(build).spec, Origin("third-party", "1.0", "mine"))
    before = plugin_code(one)
    compiled.write_bytes(b"2")
    assert plugin_code(one) != before


def test_a_class_of_a_module_that_no_import_of_the_build_leads_to_is_told(plugin):
    """As of networks that enter themselves in a registry, or are imported by a name that is made at run time."""
    (plugin / "registry.py").write_text("NETWORKS = {}\n")
    (plugin / "network.py").write_text(
        "from third_party_plugin.registry import NETWORKS\nclass Network: ...\nNETWORKS['mine'] = Network\n"
    )
    (plugin / "run.py").write_text(
        "from third_party_plugin.registry import NETWORKS\ndef build(request):\n    return NETWORKS['mine']()\n"
    )
    importlib.import_module("third_party_plugin.network")
    from third_party_plugin.run import build

    made = [build(None), torch.nn.Linear(1, 1)]
    (told,) = uncounted(found(build), "model", made)
    assert told.startswith("third_party_plugin.network, which model 'mine' is made of, is in no key")
    (plugin / "run.py").write_text("import third_party_plugin.network\n")
    source._as_loaded.clear()  # as the next process sees it
    assert not uncounted(found(build), "model", made)


def test_a_module_of_another_checkout_in_place_of_the_one_beside_is_refused(plugin, monkeypatch):
    """As of two editable installs with a package ``utils`` each: the model would be the other one's."""
    (plugin / "run.py").write_text("def build(request):\n    import our_utils.nets\n")
    checkouts = plugin.parent, plugin.parent / "other"
    for folder in checkouts:
        (folder / "our_utils").mkdir(parents=True)
        (folder / "our_utils" / "__init__.py").write_text("")
        (folder / "our_utils" / "nets.py").write_text("")
    from third_party_plugin.run import build

    plugin_code(found(build))
    monkeypatch.setattr(sys, "path", [str(tmp := checkouts[1].rename(plugin.parent.with_name("other"))), *sys.path])
    with pytest.raises(PluginError, match=f"it imports 'our_utils.nets', and {tmp}/our_utils/nets.py comes before"):
        plugin_code(found(build))


@pytest.mark.parametrize("linked", ["our_helper.py", "our_linked/__init__.py"])
def test_a_module_that_is_a_link_is_no_other_checkouts(plugin, linked):
    top, name = plugin.parent / Path(linked).parts[0], Path(linked).parts[0].removesuffix(".py")
    (plugin / "run.py").write_text(f"def build(request):\n    import {name}\n")
    real = plugin.parent / "kept" / Path(linked).parts[0]
    (plugin.parent / "kept" / linked).parent.mkdir(parents=True)
    (plugin.parent / "kept" / linked).write_text("")
    top.symlink_to(real)
    from third_party_plugin.run import build

    assert plugin_code(found(build)) != UNKNOWN


def test_what_has_no_file_is_unknown_and_no_failure():
    namespace = {"__name__": "typed_at_a_prompt"}
    exec("def build(request):\n    return None\n", namespace)
    assert plugin_code(found(namespace["build"])) == UNKNOWN


def test_first_party_models_of_different_files_do_not_share_a_fate():
    registry = installed()
    hashes = {name: plugin_code(one) for name, one in registry.offered["models"].items()}
    same_file = {hashes.pop(name) for name in ("cnn-rnn-tuned", "cnn-rnn-places")}
    assert same_file == {hashes["cnn-rnn"]}
    assert hashes.pop("mlp") == hashes["bce"]  # its build is bce's
    assert len(set(hashes.values())) == len(hashes)
    assert UNKNOWN not in hashes.values()


def test_the_hosts_parts_hold_what_computes_and_nothing_that_shows():
    from bench.code import _computes

    modules = {part: set(closure(roots, _computes)) for part, roots in HOST.items()}
    assert {"bench.data.preprocess", "bench.data.pictures", "bench.model.features"} <= modules["features"]
    assert {"bench.model.networks", "bench.evaluation.metrics.counts", "bench.decode.search"} <= modules["training"]
    rooms = {name.split(".")[1] for found in modules.values() for name in found}
    assert rooms == {"data", "decode", "evaluation", "model", "onnx", "records", "system"}
    system = {name for found in modules.values() for name in found if ".system" in name}
    assert system == {"bench.system.deterministic"}
    assert UNKNOWN not in host_code().values()


def test_a_table_tells_rows_of_other_code_apart_and_never_averages_them(tmp_path):
    code = {"training": "aaaa1111", "model": "bbbb2222", "dataset": "cccc3333", "backbone": "dddd4444"}
    runs = [
        make_run(tmp_path, "bce", seed, code=code | {"model": model}).summary()
        for seed, model in ((0, "bbbb2222"), (1, "bbbb2222"), (0, "eeee5555"))
    ]
    table = tables.build(runs)
    assert [row.label for row in table.rows] == ["bce (code.model=bbbb2222)", "bce (code.model=eeee5555)"]
    assert [row.seeds for row in table.rows] == [(0, 1), (0,)]
    (note,) = [note for note in table.notes if "different code" in note]
    assert note.startswith("rows were made by different code of model 'bce': bbbb2222, eeee5555")
    assert not [note for note in tables.build(runs[:2]).notes if "different code" in note]


def test_a_table_says_where_code_is_unknown(tmp_path):
    code = {"training": "aaaa1111", "model": UNKNOWN, "dataset": "cccc3333", "backbone": "dddd4444"}
    table = tables.build([make_run(tmp_path, "bce", code=code).summary()])
    assert "the code of model 'bce' has no file, so an edit of it changes no key" in table.notes


def test_what_changed_since_a_run_is_named_value_by_value(tmp_path):
    from bench.errors import ModelError
    from bench.rebuilt import _check_same

    folder = make_run(tmp_path, "bce", code={"model": "aaaa"})
    _check_same(folder, dict(folder.config))
    other = dict(folder.config) | {"code": {"model": "bbbb"}, "device": "cuda"}
    with pytest.raises(ModelError, match="what made this run has changed: ") as caught:
        _check_same(folder, other)
    assert "code.model aaaa, now bbbb" in str(caught.value)
    assert "device cpu, now cuda" in str(caught.value)


def test_what_a_plugin_puts_in_place_of_benchs_is_told_in_its_own_row_too(plugin, monkeypatch):
    """What measures all rows alike is no method's to change, its own included."""
    from bench.evaluation import evaluation, metrics

    (plugin / "run.py").write_text("def micro(*given, **named): ...\ndef build(request): ...\n")
    from third_party_plugin.run import build, micro

    own = found(build)
    monkeypatch.setattr("bench.code.within_folder", lambda module: module == "third_party_plugin")
    assert patches([own]) == {}
    monkeypatch.setattr(metrics, "micro", micro)
    monkeypatch.setattr(evaluation.Evaluation, "_means", micro)
    assert set(patches([own])) == {"bench.evaluation.metrics.micro", "bench.evaluation.evaluation.Evaluation._means"}
    assert "is that of third_party_plugin/run.py" in patched_by_others([own])[0]


@pytest.mark.parametrize("way", ["function", "method", "class", "hook"])
def test_what_a_plugin_puts_in_place_of_torchs_is_told_and_counts_in_other_rows(plugin, monkeypatch, way):
    """The row that it changes is another method's, which does not know of it."""
    from torch.nn.modules import module

    (plugin / "run.py").write_text(
        "from torch.nn import ReLU\nclass Other(ReLU): ...\ndef relu(*given, **named): ...\ndef build(request): ...\n"
    )
    from third_party_plugin.run import Other, build, relu

    other, own = installed().model("bce"), found(build)
    assert patches([other]) == {}
    assert patched_by_others([other]) == ()
    if way == "hook":
        monkeypatch.setitem(module._global_forward_hooks, 1, relu)
    else:
        place = {"function": (torch.nn.functional, "relu"), "method": (torch.nn.ReLU, "forward")}
        monkeypatch.setattr(*place.get(way, (torch.nn, "ReLU")), Other if way == "class" else relu)
    (told,) = patched_by_others([other])
    assert "third_party_plugin/run.py, not the library's" in told
    assert patches_code(patches([other]))
    assert patches([own]) == {}

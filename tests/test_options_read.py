"""Options as plugins are given them: nobody changes them, and one that is set and never read is told."""

from dataclasses import replace

import hostile_runs
import pytest
from hostile_runs import Plain, registry, run

import bench
from bench import PluginError


class Misspelt(Plain):
    def __init__(self, request):
        super().__init__(request)
        self.share = request.options.get("droput", 0.5)


def with_option(model):
    """A registry whose model has the option dropout."""
    plugins, option = registry(model), bench.Option("dropout", 0.5, "share", minimum=0.0)
    spec = replace(plugins.model("m").spec, options=(option,), training={"epochs": 1})
    plugins.offered["models"]["m"] = hostile_runs.found(spec, bad=True)
    return plugins


def test_an_option_that_was_set_and_that_nothing_reads_is_a_note(tmp_path):
    plugins = with_option(Misspelt)
    assert run(tmp_path, plugins).read_about().remarks == ()
    told = run(tmp_path, plugins, sets=("dropout=0.1",)).read_about().remarks
    assert told == ("option 'dropout' of model 'm' was never read: 0.1 changes nothing",)


def test_options_cannot_be_changed_by_the_model_that_is_given_them(tmp_path):
    class Halves(Plain):
        def __init__(self, request):
            super().__init__(request)
            request.options["dropout"] /= 2

    with pytest.raises(PluginError, match="does not support item assignment"):
        run(tmp_path, with_option(Halves))


def test_options_of_data_set_and_backbone_that_nothing_reads_are_notes(tmp_path):
    plugins, option = registry(), bench.Option("size", 4, "pixels")
    for kind in ("datasets", "backbones"):
        for name, one in plugins.offered[kind].items():
            plugins.offered[kind][name] = replace(one, spec=replace(one.spec, options=(option,)))
    notes = run(tmp_path, plugins, sets=("dataset.size=8", "backbone.size=16")).read_about().notes
    assert notes == (
        "option 'size' of data set 'toy' was never read: 8 changes nothing",
        "option 'size' of backbone 'flat' was never read: 16 changes nothing",
    )

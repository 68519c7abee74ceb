"""Features shared through a cache elsewhere: computed by one machine, checked by all."""

from pathlib import Path

import numpy as np
import pytest
from example_splits import make_backbone, split_of

from bench.data.fingerprint import fingerprint
from bench.model.features import extract, speed
from bench.remote import objects
from bench.remote.copies import copy_of


@pytest.fixture
def extracted(memory, tmp_path, monkeypatch):
    """Return the features that the machine of a name extracts, and which pictures it read for them."""

    def on(machine):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / machine))
        split = split_of(30)
        cache = copy_of(Path(f"{memory}/cache"), cache=True) / "features"
        features = extract(split, fingerprint(split), make_backbone(), cache)
        assert speed(cache, features.key)["images"] == 30
        return np.array(features.values), features.key, list(split.images.read_rows)

    return on


def test_what_one_machine_computed_another_reads_no_picture_for(extracted):
    values, _, read = extracted("one")
    assert sorted({*read}) == list(range(30))
    same, _, read = extracted("two")
    assert read == []
    np.testing.assert_array_equal(same, values)


@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_shared_features_that_are_damaged_are_computed_anew_and_shared_again(damage, extracted, memory, capsys):
    values, key, _ = extracted("one")
    place = f"{memory}/cache/features/{key}.npy"
    content = objects.read(place)
    objects.write(content[:-40] if damage == "cut" else content[:200] + b"wrong" + content[205:], place)
    same, _, read = extracted("two")
    assert read
    np.testing.assert_array_equal(same, values)
    assert "comput" in capsys.readouterr().err
    same, _, read = extracted("three")
    assert read == []
    np.testing.assert_array_equal(same, values)


def test_a_lost_network_stops_no_extraction(extracted, memory, monkeypatch, capsys):
    def lost(*_, **__):
        raise ConnectionResetError("reset by peer")

    system, _ = objects.opened(memory)
    for name in ("info", "put_file", "get_file"):
        monkeypatch.setattr(type(system), name, lost)
    values, _, read = extracted("one")
    assert sorted({*read}) == list(range(30))
    told = capsys.readouterr().err
    assert "features are computed here" in told
    assert "features stay on this machine" in told
    assert np.isfinite(values).all()

"""Archives of results: the same bytes for the same runs, and none of a hostile one's content reaches a store."""

import io
import json
import shutil
import tarfile
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from bad_results import CONTENTS, RECORDS, edited, npz, set_in, with_key
from example_commands import bench
from example_runs import make_honest, make_run, run_config

from bench.errors import StoreError
from bench.records import Ledger, Measures, Trial
from bench.store import claims, packed
from bench.store.merge import merge
from bench.store.pack import pack
from bench.store.packed import Index, PackedRun
from bench.store.run_folder import RunFolder
from bench.store.validate import verdict


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """A stored run that is as it claims, of a model that was fine-tuned and has pictures; no test changes it."""
    return make_honest(make_run(tmp_path_factory.mktemp("theirs") / "runs", "bce", code={}))


@pytest.fixture(scope="module")
def archive(honest, tmp_path_factory):
    path = tmp_path_factory.mktemp("archive") / "theirs.tar"
    pack([honest], path, "Ada L.")
    return path


def contents(archive):
    """The index of an archive, and its files by run and name."""
    with archive.open("rb") as file:
        reader = packed.Reader(file, archive)
        index = packed.read_index(reader)
        files = {}
        for run, name in packed.members(index):
            files[run.key, name] = b"".join(reader.chunks(reader.size_of(packed.path_of(run, name))))
        reader.end()
    return index, files


def write(path, index, files, *, names=None, index_content=None):
    """Write an archive of ``files`` whose hashes are right, whatever they hold."""
    runs = []
    for run in index.runs:
        own = {name: sha256(files[run.key, name]).hexdigest() for key, name in files if key == run.key}
        runs.append(PackedRun(run.key, own, run.left_out))
    index = Index(tuple(runs), index.by)
    with path.open("wb") as file:
        blocks = [(packed.INDEX, index_content or packed.write_index(index))]
        blocks += [(packed.path_of(run, name), files[run.key, name]) for run, name in packed.members(index)]
        written = 0
        for name, content in blocks:
            block = packed.header((names or {}).get(name, name), len(content)) + content
            block += bytes(packed.padding(len(content)))
            written += file.write(block)
        file.write(packed.ending(written))
    return path


def held(root):
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*")) if root.exists() else []


def test_an_archive_is_the_same_bytes_and_holds_neither_weights_nor_paths_nor_pictures(honest, archive, tmp_path):
    again = tmp_path / "again.tar"
    pack([honest], again, "Ada L.")
    assert again.read_bytes() == archive.read_bytes()
    with tarfile.open(archive) as found:  # any tar reads it
        names = {Path(name).name for name in found.getnames()}
    left_out = {"weights.safetensors", "backbone.safetensors", "request.json", "gallery.npz", "attention.npz"}
    assert not names & left_out
    assert {"config.json", "measures.json", "scores.npy", "validation.npz", "predicted.npz"} <= names
    assert str(honest.path.parents[3]).encode() not in archive.read_bytes()
    with_pictures = pack([honest], again, pictures=True)
    assert {"gallery.npz", "attention.npz"} <= {*with_pictures.runs[0].files}
    assert [one.added[0].key for one in merge([again], tmp_path / "pictured")] == [honest.key]


def test_a_merged_run_is_whole_stands_in_tables_with_its_origin_and_packs_again(honest, archive, tmp_path, capsys):
    store = tmp_path / "mine"
    (first,) = merge([archive], store)
    (folder,) = first.added
    assert verdict(folder).faults == ()
    assert folder.done
    assert folder.read_measures() == honest.read_measures()
    np.testing.assert_array_equal(folder.read_scores().values, honest.read_scores().values)
    before = held(store)
    (second,) = merge([archive, archive], store)[:1]
    assert (second.added, [one.path for one in second.present]) == ((), [folder.path])
    assert held(store) == before
    assert not [name for name in before if name.startswith(".merging")]
    for command in (("table",), ("report", "--out", tmp_path / "page.html"), ("validate",), ("lens", folder.key)):
        assert bench(*command, "--runs", store) == 0
    printed = " ".join(capsys.readouterr().out.split())
    told = f"merged from theirs.tar by Ada L., SHA-256 {sha256(archive.read_bytes()).hexdigest()[:12]}: bce"
    assert told in printed
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert told in page
    assert "theirs.tar" in page.partition("Provenance")[2]
    assert bench("export", folder.key, "--runs", store, "--out", tmp_path / "model") == 2
    assert "no archive holds weights" in capsys.readouterr().err
    assert bench("validate", folder.key, "--recompute", "--runs", store) == 2
    assert pack([folder], tmp_path / "once-more.tar").runs[0].left_out == contents(archive)[0].runs[0].left_out
    assert len(merge([tmp_path / "once-more.tar"], tmp_path / "third")[0].added) == 1
    assert bench("policy", folder.key, "--policy", "exactly-k", "--runs", store) == 0
    assert bench("validate", "--runs", store) == 0
    assert bench("results", "merge", archive, "--out", store) == 0
    assert "0 runs added, 1 stored already" in capsys.readouterr().out


def test_runs_on_other_data_never_share_a_table(archive, stored_run, tmp_path, capsys):
    data = run_config()["dataset"] | {"fingerprints": {"train": "aaaa", "validation": "bbbb", "test": "dddd"}}
    make_honest(stored_run("warp", code={}, dataset=data))
    mine = tmp_path / "mine"
    (folder,) = merge([archive], mine)[0].added
    other = tmp_path / "the other.tar"
    assert bench("results", "pack", "--runs", tmp_path / "runs" / "toy" / "warp", "--out", other) == 2
    assert bench("results", "pack", tmp_path / "runs" / "toy" / "warp", "--out", other) == 0
    assert capsys.readouterr().out.endswith(f": bench results merge '{other}'\n")
    assert bench("results", "merge", other, "--out", mine) == 0
    assert "note: runs on 'toy' are now of 2 sets of images and labels" in " ".join(capsys.readouterr().out.split())
    assert bench("table", "--runs", mine) == 2
    assert "these runs do not compare: data set fingerprints" in capsys.readouterr().err
    assert bench("table", folder.key, "--runs", mine) == 0
    assert "warp" not in capsys.readouterr().out
    assert bench("report", "--runs", mine, "--out", tmp_path / "page.html") == 0
    assert (tmp_path / "page.html").read_text(encoding="utf-8").count('aria-label="Results on ') == 2


def test_what_cannot_be_shared_is_not_packed(stored_run, tmp_path, capsys):
    lying = make_honest(stored_run())
    measures = lying.read_measures()
    lying.write_measures(Measures(measures.protocol, measures.values | {"O-F1": 0.99}, measures.per_class))
    out = ("--out", tmp_path / "x.tar")
    assert bench("results", "pack", "--runs", tmp_path / "runs", *out) == 2
    assert "cannot be packed: O-F1 is stored as 99.00" in capsys.readouterr().err
    assert bench("results", "pack", "--runs", tmp_path / "runs", *out, "--by", "a\nb") == 2
    assert not (tmp_path / "x.tar").exists()


def refused(path, store, message):
    with pytest.raises(StoreError, match=message) as error:
        merge([path], store)
    assert "\n" not in str(error.value)
    assert held(store) == []


@pytest.mark.parametrize("message", [*RECORDS, *CONTENTS])
def test_a_run_that_is_hostile_or_lies_is_refused_whole(message, archive, tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "SMALL", 2**20)
    index, files = contents(archive)
    if message in RECORDS:
        files = edited(files, *RECORDS[message])
    else:
        name, make = CONTENTS[message]
        files = files | {(index.runs[0].key, name): make()}
    refused(write(tmp_path / "hostile.tar", with_key(index, files), files), tmp_path / "mine", message)


def test_markup_in_a_name_is_text_in_tables_and_page(archive, tmp_path, capsys):
    index, files = contents(archive)
    files = edited(files, "config.json", set_in("model", "name", value="<script>alert(1)<-script>"))
    store = tmp_path / "mine"
    (merged,) = merge([write(tmp_path / "named.tar", with_key(index, files), files)], store)
    assert merged.added[0].path.parent.name == "_script_alert_1__-script_"
    assert bench("report", "--runs", store, "--out", tmp_path / "page.html") == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def tarred(entries):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        for info, content in entries:
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def entry(name, kind=tarfile.REGTYPE, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def forged(archive):
    """What is no archive, by what it is: each as bytes."""
    whole, (index, files) = archive.read_bytes(), contents(archive)
    key = index.runs[0].key
    listed = packed.write_index(index)
    first = f"runs/{key}/config.json"
    own = files[key, "config.json"]

    def saying(**changes):
        return tarred([(entry("index.json"), json.dumps(json.loads(listed) | changes).encode())])

    def run(**changes):
        return saying(runs=[{"key": key, "files": {}, "left_out": {}} | changes])

    return {
        "an upward path": tarred([(entry("index.json"), listed), (entry("runs/../../up"), own)]),
        "an absolute path": tarred([(entry("index.json"), listed), (entry("/tmp/up"), own)]),
        "a link": tarred([(entry("index.json"), listed), (entry(first, tarfile.SYMTYPE, "/etc/passwd"), b"")]),
        "a hard link": tarred([(entry("index.json"), listed), (entry(first, tarfile.LNKTYPE, "index.json"), b"")]),
        "a device": tarred([(entry("index.json"), listed), (entry(first, tarfile.CHRTYPE), b"")]),
        "a link for an index": tarred([(entry("index.json", tarfile.SYMTYPE, "/dev/zero"), b"")]),
        "a sparse file": tarred([(entry("index.json"), listed), (entry(first, tarfile.GNUTYPE_SPARSE), own)]),
        "an owner": whole.replace(b"0000000\x000000000\x00", b"0001750\x000000000\x00", 1),
        "a huge size": packed.header("index.json", 8 * 2**30 - 1),
        "cut off": whole[: len(whole) // 2],
        "without its end": whole[:-512],
        "more behind its end": whole + b"more",
        "one byte changed": whole[:3000] + bytes([whole[3000] ^ 1]) + whole[3001:],
        "nothing": b"",
        "a zip file": npz(a=np.zeros(3)),
        "other JSON": tarred([(entry("index.json"), b"[1]")]),
        "JSON without end": tarred([(entry("index.json"), b"[" * 10**5)]),
        "another layout": saying(layout=99),
        "a key that is a path": run(key="../../../../up"),
        "a file that is a path": run(files={"../up": "0" * 64}),
        "a file of code": run(files={"weights.safetensors": "0" * 64}),
        "a run twice": saying(runs=json.loads(listed)["runs"] * 2),
        "no runs": saying(runs=[]),
        "left out what must be there": run(left_out={"scores.npy": "0" * 64}),
        "a name that steers": saying(by="Ada\x1b[2J"),
    }


def test_what_is_no_archive_is_one_line_and_leaves_nothing_behind(archive, tmp_path):
    for what, content in forged(archive).items():
        path = tmp_path / "forged.tar"
        path.write_bytes(content)
        refused(path, tmp_path / "mine", "forged.tar")
        assert not (tmp_path / "up").exists(), what
    with pytest.raises(StoreError, match="is a folder, no archive"):
        merge([tmp_path], tmp_path / "mine")
    with pytest.raises(StoreError, match="no file"):
        merge([tmp_path / "nothing.tar"], tmp_path / "new" / "store")
    assert not (tmp_path / "mine").exists()
    assert not (tmp_path / "new").exists()


def test_where_one_run_of_several_cannot_be_put_down_none_is(stored_run, tmp_path, monkeypatch):
    pack([make_honest(stored_run(model, code={})) for model in ("bce", "warp")], tmp_path / "two.tar")
    rename, done = Path.rename, []

    def failing(self, target):
        if Path(target).parts[-2:-1] == ("warp",) and "mine" in Path(target).parts and ".merging" not in str(target):
            raise OSError(13, "Permission denied", str(target))
        done.append(target)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(StoreError, match=r"cannot write .*/mine: Permission denied\. Nothing was merged"):
        merge([tmp_path / "two.tar"], tmp_path / "mine")
    assert any(Path(target).parts[-2] == "bce" for target in done)
    assert held(tmp_path / "mine") == []


def test_a_run_left_without_what_it_must_have_is_refused(archive, tmp_path):
    index, files = contents(archive)
    for name in ("validation.npz", "training.json", "predicted.npz", "about.json", "status.json", "scores.json"):
        fewer = {place: content for place, content in files.items() if place[1] != name}
        refused(write(tmp_path / "fewer.tar", index, fewer), tmp_path / "mine", "Nothing was merged")
    bare = Index((PackedRun(index.runs[0].key, {}, {}),), "")
    refused(write(tmp_path / "bare.tar", bare, files), tmp_path / "mine", "Nothing was merged")


def test_a_run_that_differs_from_the_stored_one_of_its_key_is_refused_with_all_beside_it(honest, archive, tmp_path):
    store = honest.path.parents[2]
    theirs = make_honest(Shifted(make_run(tmp_path / "elsewhere", "bce", code={}).path))
    pack([theirs], tmp_path / "other.tar")
    before = held(store)
    with pytest.raises(StoreError, match=r"with other .*scores\.npy.* Nothing was merged\. Try: another --out"):
        merge([tmp_path / "other.tar"], store)
    assert held(store) == before
    with pytest.raises(StoreError, match="is stored as"):
        merge([archive, tmp_path / "other.tar"], tmp_path / "empty")
    assert held(tmp_path / "empty") == []


def test_copies_of_a_run_that_measured_differently_are_not_packed(honest, tmp_path):
    other = make_honest(make_run(tmp_path / "elsewhere", "bce", code={}))
    measures = other.summary().measures
    other.write_measures(replace(measures, values=measures.values | {"O-F1": 0.123}))
    with pytest.raises(StoreError, match=r"are of one key, and measured differently\. Name one of them"):
        pack([honest, other], tmp_path / "both.tar")
    assert not (tmp_path / "both.tar").exists()


class Shifted(RunFolder):
    """Writes other scores than it is given."""

    __slots__ = ()

    def write_scores(self, scores):
        shifted = np.asarray(scores.values) + np.float32(0.01)
        super().write_scores(type(scores)(scores.ids, shifted, scores.kind))


def test_runs_whose_trials_took_another_time_are_the_same_and_with_other_scores_they_are_not(tmp_path):
    def made(store, seconds, score):
        trials = (Trial({"C": 1.0}, score, (), "", seconds),)
        ledger = Ledger(1, "O-F1", 4, trials, False)
        options = {"model": run_config("bce")["model"] | {"options": {"C": 1.0}}, "trials": ledger.as_config()}
        folder = make_honest(make_run(tmp_path / store, "bce", code={}, **options))
        folder.write_trials(ledger)
        folder.write_request(replace(folder.request(), trials=1))
        pack([folder], tmp_path / f"{store}.tar")

    for store, seconds, score in (("one", 1.5, 0.5), ("slower", 9.0, 0.5), ("lying", 1.5, 0.6)):
        made(store, seconds, score)
    (merged,) = merge([tmp_path / "slower.tar"], tmp_path / "one")
    assert (len(merged.added), len(merged.present)) == (0, 1)
    with pytest.raises(StoreError, match=r"with other trials\.json"):
        merge([tmp_path / "lying.tar"], tmp_path / "one")


def test_a_run_that_claims_the_test_part_of_another_and_has_other_truth_is_refused(archive, stored_run, tmp_path):
    index, files = contents(archive)
    data = run_config()["dataset"] | {"truth": "0" * 16}
    stored_run("warp", dataset=data)
    path = write(tmp_path / "again.tar", index, files)
    with pytest.raises(StoreError, match=r"claims the test part of run .*, and has other truth"):
        merge([path], tmp_path / "runs")


def test_a_run_that_is_stored_whole_beside_a_damaged_copy_is_taken_for_stored(honest, archive, tmp_path):
    store = tmp_path / "runs"
    for place in ("a-copy", "toy", "z-copy"):
        shutil.copytree(honest.path, store / place / "bce" / honest.key)
    for place in ("a-copy", "z-copy"):
        (store / place / "bce" / honest.key / "measures.json").write_text("{}")
    (merged,) = merge([archive], store)
    assert (merged.added, [one.path.parts[-3] for one in merged.present]) == ((), ["toy"])

"""Files of a run in an archive of results that lie or are hostile, and what is said of each."""

import io
import json
import zipfile

import numpy as np
from example_runs import run_config

from bench.store.packed import Index, PackedRun
from bench.system.files import canonical_json, digest


def edited(files, name, edit):
    """The files of an archive with its only run's JSON file ``name`` edited, and its key if that is the config."""
    (key,) = {key for key, _ in files}
    value = json.loads(files[key, name])
    edit(value)
    files = files | {(key, name): json.dumps(value).encode()}
    if name != "config.json":
        return files
    new = digest(canonical_json(value))
    moved = {}
    for (_, other), content in files.items():
        moved[new, other] = renamed(other, content, key, new)
    return moved


def renamed(name, content, old, new):
    if name.endswith(".npz"):
        arrays = dict(np.load(io.BytesIO(content))) | {"run": np.array(new)}
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)
        return buffer.getvalue()
    return content.replace(f'"run": "{old}"'.encode(), f'"run": "{new}"'.encode())


def with_key(index, files):
    (key,) = {key for key, _ in files}
    return Index((PackedRun(key, {}, index.runs[0].left_out),), index.by)


def set_in(*path, value):
    def edit(record):
        for part in path[:-1]:
            record = record[part]
        record[path[-1]] = value

    return edit


RECORDS = {
    "config.json: no model can be called so": ("config.json", set_in("model", "name", value="..")),
    "config.json: no dataset can be called so": ("config.json", set_in("dataset", "name", value="a/../../b")),
    "config.json holds control characters": ("config.json", set_in("model", "name", value="m\x1b[2J")),
    r"control characters: 'bce\\u202e'": ("config.json", set_in("model", "name", value="bce\u202e")),
    "config.json: seed is no whole number": ("config.json", set_in("seed", value="<script>")),
    "config.json: no fingerprints": ("config.json", set_in("dataset", "fingerprints", value=[])),
    "config.json holds 'x' where a number belongs": ("config.json", set_in("training", "known_share", value="x")),
    "no protocol 'mine@1'": ("config.json", set_in("protocol", value="mine@1")),
    "its ids, label names, truth or ignore mask": ("config.json", set_in("dataset", "truth", value="0" * 16)),
    "ids.json holds control characters": ("ids.json", set_in(0, value="a\nb")),
    "labels.json holds int where a text belongs": ("labels.json", set_in(0, value=7)),
    "about.json holds control characters": ("about.json", set_in("row", value="\x9b31m")),
    "about.json: notes is no list": ("about.json", set_in("notes", value="x")),
    "status.json: it was done in the future": ("status.json", set_in("finished", value=1e300)),
    "timings.json holds 'soon' where a number belongs": ("timings.json", set_in("seconds", "train", value="soon")),
    "O-F1 is stored as 99.00": ("measures.json", set_in("values", "O-F1", value=0.99)),
}
"""What is said -> the file that is edited, its hash made anew, and how."""


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def bomb():
    """Some kilobytes that expand to 16 MB."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file,
        file.open("truth.npy", "w", force_zip64=True) as to,
    ):
        head = io.BytesIO()
        np.lib.format.write_array_header_1_0(head, {"descr": "|u1", "fortran_order": False, "shape": (16 * 2**20,)})
        to.write(head.getvalue())
        for _ in range(16):
            to.write(bytes(2**20))
    return buffer.getvalue()


def boast():
    """An array of 2**60 numbers, as it says, and of none."""
    buffer, head = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f8", "fortran_order": False, "shape": (2**60,)})
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("truth.npy", head.getvalue())
    return buffer.getvalue()


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


CONTENTS = {
    "truth.npz expands beyond reason": ("truth.npz", bomb),
    "truth.npz holds an array of another size than it says": ("truth.npz", boast),
    "truth.npz is no file of arrays: ValueError": ("truth.npz", lambda: npz(truth=np.array([{}]))),
    "truth.npz is no file of arrays: BadZipFile": ("truth.npz", lambda: b"PK no zip"),
    "scores.npy is no array": ("scores.npy", lambda: npy(np.array([{"code": 1}]))),
    r"scores.npy is float32 \(4, 2\), must be float32 \(4, 3\)": (
        "scores.npy",
        lambda: npy(np.zeros((4, 2), np.float32)),
    ),
    "measures.json is no JSON: RecursionError": ("measures.json", lambda: b"[" * 10**6),
    "config.json is a list": ("config.json", lambda: b"[]"),
    "its key is not the hash of its config": ("config.json", lambda: json.dumps(run_config("warp", code={})).encode()),
}

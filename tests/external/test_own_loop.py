"""A training loop of one's own reaches a row of a table: docs/your-predictions.md."""

import re
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch
from PIL import Image

import bench as face
from bench.rebuilt import parts_again
from bench.store.run_folder import RunFolder

LABELS = ("red", "green", "blue")


def loop_of_the_page():
    text = (Path(__file__).parents[2] / "docs" / "your-predictions.md").read_text(encoding="utf-8")
    loop, _ = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return loop


def test_a_loop_of_ones_own_reaches_a_row_with_intervals_in_ten_lines(place, tmp_path, capsys):
    assert len(list(filter(None, loop_of_the_page().splitlines()))) < 10
    data = {part: dict(np.load(place / "data" / f"{part}.npz")) for part in ("train", "test")}

    def pixels(paths):
        return torch.stack([torch.from_numpy(read(path)).float().mean((0, 1)) / 255 for path in paths])

    torch.manual_seed(0)
    model = torch.nn.Linear(3, 3)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    truth = torch.from_numpy(data["train"]["truth"]).float()
    for _ in range(60):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(pixels(data["train"]["paths"])), truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    test = data["test"]
    batches = [slice(start, start + 8) for start in range(0, len(test["ids"]), 8)]
    rest = {"data_root": place / "corel", "protocol": "top2@1", "out": tmp_path / "runs"}
    own = {
        "model": model,
        "test_loader": [(pixels(test["paths"][rows]), test["ids"][rows].tolist()) for rows in batches],
        "dataset": "corel5k",
        "labels": test["labels"],
        "place": rest,
    }
    exec(loop_of_the_page(), own)
    run, ids, scores = own["run"], own["ids"], own["scores"]
    assert run.done
    assert "mAP" in capsys.readouterr().out
    low, high = run.intervals()["mAP"]
    assert low <= run.measures["mAP"] <= high
    assert run.measures["mAP"] > 0.9
    frame = pandas.DataFrame(torch.cat(scores).numpy(), ids, test["labels"])
    assert face.score(frame, "corel5k", name="my-model", kind="probability", **rest).key == run.key
    with pytest.raises(face.DataError, match="says no image ids"):
        face.score(scores, "corel5k", name="x", kind="probability", labels=list(LABELS), **rest)


def read(path):
    return np.asarray(Image.open(path).convert("RGB")).copy()


def test_the_pictures_of_scores_from_a_file_are_those_of_their_data_set(place, tmp_path):
    """There is no model to plan with; the report said so in place of pictures."""
    data = np.load(place / "data" / "test.npz")
    where = {"data_root": place / "corel", "protocol": "top2@1", "out": tmp_path / "runs"}
    scores = np.random.default_rng(0).random(data["truth"].shape)
    where |= {"name": "theirs", "kind": "probability"}
    run = face.score(scores, "corel5k", ids=data["ids"], labels=data["labels"], **where)
    parts = parts_again(RunFolder(run.path))
    assert list(parts.dataset.test.ids) == data["ids"].tolist()

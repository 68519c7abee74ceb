"""A scikit-learn estimator as a model: fitted on arrays, kept by skops, exported through skl2onnx. Never a pickle."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import ModelError, NotRun
from bench.records import BoolArray, FloatArray, ScoreKind

NEEDS = "pip install 'multilabel-bench[sklearn]'"


def estimator_model(
    estimator: Any, *, score_kind: ScoreKind, own_sets: bool = False, trusted: tuple[str, ...] = ()
) -> EstimatorModel:
    """Return a ``bench.ArrayModel`` of an unfitted multi-label ``estimator`` of scikit-learn.

    ``score_kind``: ``probability`` takes its ``predict_proba``, anything else its ``decision_function``. ``own_sets``:
    its ``predict`` are label sets of its own, for a model of kind ``sets``. ``trusted`` are the types, by their full
    names, that its stored state may hold beside those of scikit-learn, NumPy and SciPy.
    Labels that all training images have, or none, are not given to the estimator, which could not learn them: they get
    a constant score. Raises ``NotRun`` where skops is not installed.
    """
    try:
        import skops.io  # noqa: F401 - without it nothing could be stored
    except ImportError:
        raise NotRun(f"a scikit-learn estimator is stored by skops, which is not installed. Try: {NEEDS}") from None
    return (EstimatorSets if own_sets else EstimatorModel)(estimator, score_kind, trusted)


class EstimatorModel:
    """See ``estimator_model``."""

    def __init__(self, estimator: Any, score_kind: ScoreKind, trusted: tuple[str, ...]) -> None:
        self.estimator, self.score_kind, self.trusted = estimator, score_kind, trusted
        self.learnt: BoolArray = np.zeros(0, dtype=np.bool_)
        self.constant: BoolArray = np.zeros(0, dtype=np.bool_)

    def fit(self, features: FloatArray, truth: BoolArray) -> None:
        """Fit the estimator to the labels that some images have and some have not."""
        positives = truth.sum(axis=0)
        self.learnt = (positives > 0) & (positives < len(truth))
        self.constant = positives == len(truth)
        wanted = truth[:, self.learnt].astype(np.int64)
        if wanted.shape[1] == 1:
            # Of one column estimators make two classes, each in another form; of the same label twice, two labels.
            wanted = np.repeat(wanted, 2, axis=1)
        if self.learnt.any():
            self.estimator.fit(np.asarray(features, dtype=np.float64), wanted)

    def scores(self, features: FloatArray) -> FloatArray:
        """Return (n, labels) scores; a label that was not learnt has the largest or smallest that is certain."""
        values = np.tile(np.where(self.constant, *self._certain()).astype(np.float32), (len(features), 1))
        if self.learnt.any():
            method = "predict_proba" if self.score_kind == "probability" else "decision_function"
            found = getattr(self.estimator, method)(np.asarray(features, dtype=np.float64))
            # Some give for each label an array of (images, 2), some one of (images, labels).
            found = np.stack([one[:, 1] for one in found], 1) if isinstance(found, list) else found
            values[:, self.learnt] = found[:, : self.learnt.sum()]
        return values

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return the fitted estimator as the bytes of a skops file, and which labels it learnt."""
        content = np.frombuffer(_dumps(self.estimator), dtype=np.uint8)
        return {"estimator": content, "learnt": self.learnt, "constant": self.constant}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take what ``state`` gave. Raises ``ModelError`` for types that are not trusted, of which nothing is made."""
        self.estimator = _loads(state["estimator"].tobytes(), self.trusted)
        self.learnt, self.constant = state["learnt"].copy(), state["constant"].copy()

    def to_export(self, opset: int) -> Any:
        """Return ONNX from ``features`` (n, dimensions) to ``scores``. Raises ``NotRun`` where skl2onnx cannot."""
        return self._to_onnx(opset, own_sets=False)

    def _certain(self) -> tuple[float, float]:
        return (1.0, 0.0) if self.score_kind == "probability" else (1.0, -1.0)

    def _to_onnx(self, opset: int, *, own_sets: bool) -> Any:
        try:
            from skl2onnx import to_onnx
            from skl2onnx.common.data_types import FloatTensorType
        except ImportError:
            raise NotRun(
                f"a scikit-learn estimator is exported by skl2onnx, which is not installed. Try: {NEEDS}"
            ) from None
        import onnx

        wanted = {"zipmap": False} | ({} if self.score_kind == "probability" else {"raw_scores": True})
        try:
            kind = FloatTensorType([None, self.estimator.n_features_in_])
            graph = to_onnx(
                self.estimator,
                initial_types=[("features", kind)],
                options={id(self.estimator): wanted},
                target_opset={"": opset, "ai.onnx.ml": 3},
            )
            for entry in graph.opset_import:
                if entry.domain == "":
                    entry.version = opset  # skl2onnx names the lowest that has its operators as they are in ``opset``
            _spread(graph, self.learnt, np.where(self.constant, *self._certain()), self.constant, own_sets)
            onnx.checker.check_model(graph, full_check=True)  # of some, as forests, scores have another shape
        except Exception as error:  # each converter raises something else
            lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
            raise NotRun(f"skl2onnx cannot write {type(self.estimator).__name__}: {lines[0][:200]}") from error
        return graph


class EstimatorSets(EstimatorModel):
    """An ``EstimatorModel`` whose ``predict`` decides."""

    def label_sets(self, features: FloatArray, scores: FloatArray) -> BoolArray:
        """Return what the estimator predicts, (n, labels) bool; labels that were not learnt as in training."""
        sets = np.tile(self.constant, (len(features), 1))
        if self.learnt.any():
            found = np.asarray(self.estimator.predict(np.asarray(features, dtype=np.float64)))
            sets[:, self.learnt] = found[:, : self.learnt.sum()] > 0
        return sets

    def to_export(self, opset: int) -> Any:
        """Return ONNX from ``features`` to ``scores`` and ``label_sets``. Raises ``NotRun`` where skl2onnx cannot."""
        return self._to_onnx(opset, own_sets=True)


def _spread(graph: Any, learnt: BoolArray, constant: Any, always: BoolArray, own_sets: bool) -> None:
    """Put the outputs of a converted estimator, (n, learnt), in their places among all labels, in ``graph`` itself.

    Of one label learnt there are two, of which the first counts.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    chosen, probabilities = (output.name for output in graph.graph.output[:2])
    place = np.eye(len(learnt), dtype=np.float32)[learnt]
    place = np.pad(place, ((0, int(len(place) == 1)), (0, 0)))
    weights = {"place": place, "scores_else": np.where(learnt, 0, constant), "sets_else": np.where(learnt, 0, always)}
    graph.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(array, dtype=np.float32), name) for name, array in weights.items()
    )

    def spread(source: str, target: str, rest: str) -> list[Any]:
        return [
            helper.make_node("MatMul", [source, "place"], [f"{target}_placed"]),
            helper.make_node("Add", [f"{target}_placed", rest], [target]),
        ]

    nodes = spread(probabilities, "scores", "scores_else")
    outputs = [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", len(learnt)])]
    if own_sets:
        nodes += [helper.make_node("Cast", [chosen], ["chosen_floats"], to=TensorProto.FLOAT)]
        nodes += spread("chosen_floats", "sets_floats", "sets_else")
        nodes += [helper.make_node("Cast", ["sets_floats"], ["label_sets"], to=TensorProto.BOOL)]
        outputs += [helper.make_tensor_value_info("label_sets", TensorProto.BOOL, ["batch", len(learnt)])]
    graph.graph.node.extend(nodes)
    del graph.graph.output[:]
    graph.graph.output.extend(outputs)
    assert isinstance(graph, onnx.ModelProto)


def _dumps(estimator: Any) -> bytes:
    """Return a skops file of ``estimator`` that depends on nothing else.

    skops names its parts by their addresses in memory, and the archive holds the time: both would make two trainings
    of the same weights differ.
    """
    import skops.io

    names: dict[str, str] = {}

    def numbered(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: _number(names, key, numbered(item)) for key, item in value.items()}
        return [numbered(item) for item in value] if isinstance(value, list) else value

    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(estimator))) as stored, zipfile.ZipFile(buffer, "w") as written:
        schema = numbered(json.loads(stored.read("schema.json")))
        contents = {"schema.json": json.dumps(schema).encode()}
        for name in stored.namelist():
            if name != "schema.json":
                stem, dot, suffix = name.partition(".")
                contents[f"{names[stem]}{dot}{suffix}"] = stored.read(name)
        for name in sorted(contents):
            written.writestr(zipfile.ZipInfo(name), contents[name])
    return buffer.getvalue()


def _number(names: dict[str, str], key: str, value: Any) -> Any:
    """Return an address or a file's name as a number in the order of appearance, anything else as it is."""
    if key == "__id__":
        return int(names.setdefault(str(value), str(len(names) + 1)))
    if key == "file":
        stem, dot, suffix = str(value).partition(".")
        return f"{names.setdefault(stem, str(len(names) + 1))}{dot}{suffix}"
    return value


def _loads(content: bytes, trusted: tuple[str, ...]) -> Any:
    import skops.io

    try:
        found = set(skops.io.get_untrusted_types(data=content))
        if beyond := sorted(found - set(trusted)):
            raise ModelError(
                f"the stored estimator holds {', '.join(beyond)}, which its model does not trust; it is not loaded."
                " Try, if it is yours: trusted=(...) in estimator_model"
            )
        return skops.io.loads(content, trusted=sorted(found))
    except ModelError:
        raise
    except Exception as error:  # whatever a damaged archive leads to
        raise ModelError(f"the stored estimator cannot be read: {type(error).__name__}: {error}") from error

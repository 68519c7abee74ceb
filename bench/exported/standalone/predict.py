"""Labels of images, by the model in this file's folder and what ``pip install onnxruntime numpy pillow`` installs.

python predict.py photo.jpg folder ...         see also: python predict.py --help
Exit status: 0 all images were labelled, 1 some could not be read, 2 nothing was done.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import math
import os
import re
import runpy
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # else ONNX Runtime, from 1.31 on, tells Microsoft of each use
try:
    import numpy as np
    import onnxruntime
    from PIL import Image, ImageOps, UnidentifiedImageError
except ImportError as missing:
    if __name__ != "__main__":
        raise
    print(f"error: {missing.name or missing} is missing. Try: pip install onnxruntime numpy pillow", file=sys.stderr)
    sys.exit(2)

LARGEST_PIXELS, LARGEST_RATIO, BATCH, FORMULA = 100_000_000, 200, 16, ("=", "+", "-", "@", "\t", "\r")
PASS = "surrogatepass"
STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff\ufff9-\ufffb"
    "\ufffe\uffff\U000e0000-\U000e007f]"
)
FIELDS = ("image", "labels", "scores", "probabilities", "log_probability", "error")


class Refused(Exception):  # noqa: N818 - it is told in one line and is no fault of the program
    """An image or a model that cannot be used, with the reason."""


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest once it and every file that it lists are what was exported; raises ``Refused``."""
    path = folder / "manifest.json"
    try:
        content = path.read_bytes()
        values: dict[str, Any] = json.loads(content)
        seal = values.pop("seal")
        canonical = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        found = hashlib.sha256(canonical.encode("utf-8", "backslashreplace")).hexdigest()
        if found != seal or (json.dumps({**values, "seal": seal}, indent=1) + "\n").encode() != content:
            raise Refused(f"{path} is damaged: it is not as it was written")
        for name, checksum in values["files"].items():
            if hashlib.sha256((folder / name).read_bytes()).hexdigest() != checksum:
                raise Refused(f"{folder / name} is not the file that was exported: damaged, or of another model")
    except OSError as error:
        raise Refused(f"no whole model at {folder}: {error.filename}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Refused(f"{path} is damaged") from None
    return values


def open_rgb(path: Path) -> Any:
    """Return an image file as RGB: whole, turned as EXIF says, 8 bits, over white, the first frame; or ``Refused``."""
    try:
        with path.open("rb") as file, Image.open(file) as image:  # of a path, Pillow turns some TIFFs twice
            width, height = image.size
            most = min(LARGEST_PIXELS, max(1 << 24, 1000 * path.stat().st_size))  # more in so few bytes are a bomb
            if width * height > most or max(width, height) > LARGEST_RATIO * min(width, height):
                raise Refused(f"{width}x{height} pixels, allowed: {most:,}, one side 200 times the other")
            if image.format in {"EPS", "WMF"}:
                raise Refused(f"a drawing ({image.format}), no picture of pixels")
            if image.mode == "I" and image.format not in {"PNG", "PPM"}:
                raise Refused("32-bit pixels, of which no range is known")
            raw, clear = str(image.tile[0][3]) if image.tile else "", image.info.get("transparency")
            tags = getattr(image, "tag_v2", {})
            white = image.mode.startswith("I;16") and tags.get(262) == 0
            if white or (raw == "RGB;16B" and clear is not None) or 12 in tags.get(258, ()) or 2 in tags.get(339, ()):
                raise Refused("12-bit or signed, or 16-bit with 0 as white or one transparent, which Pillow misses")
            if image.format == "PNG":
                Image.open(io.BytesIO(path.read_bytes())).verify()  # its checksums
            content = path.read_bytes() if image.format in {"JPEG", "MPO"} else b""
            if content.endswith(bytes(64)) and content.rfind(b"\xff\xd9") < content.rfind(b"\xff\xda"):
                raise Refused("cut: it ends in zeros, without its end mark")
            image.load()
            if isinstance(clear, int) and clear * (factor := {"L;2": 85, "L;4": 17}.get(raw, 1)) <= 255:
                image.info["transparency"] = clear * factor
            ImageOps.exif_transpose(image, in_place=True)
            return to_rgb(image)
    except UnidentifiedImageError:
        raise Refused("no known image format" if path.stat().st_size else "empty file") from None
    except Image.DecompressionBombError:
        raise Refused(f"a decompression bomb, or too large; allowed: {LARGEST_PIXELS:,} pixels") from None
    except OSError as error:
        raise Refused(error.strerror or str(error)) from None
    except Refused:
        raise
    except Exception as error:  # of a damaged file, Pillow's readers raise whatever their parsing ran into
        raise Refused(f"damaged: {str(error) or type(error).__name__}") from None


def to_rgb(image: Any) -> Any:
    """Return a decoded picture of any mode as RGB."""
    if image.mode == "F":
        raise Refused("floating-point pixels, of which no range is known")
    if image.mode.startswith("I"):
        found = np.asarray(image)
        clear = found == image.info.get("transparency", -1)
        image = Image.fromarray(np.where(clear, 255, (found / 257.0).round()).astype(np.uint8))
    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image if image.mode == "RGB" else image.convert("RGB")


def preprocess(image: Any, how: dict[str, Any]) -> Any:
    """Return an RGB picture as the network takes it, (3, size, size) float32; README.md has the rounding in words."""
    size, (width, height) = how["size"], image.size
    if how["crop"] == "squash":
        target = (size, size)
    elif width <= height:
        target = (how["resize"], max(int(how["resize"] * height / width), 1))
    else:
        target = (max(int(how["resize"] * width / height), 1), how["resize"])
    image = image.resize(target, Image.Resampling[how["interpolation"].upper()])
    left, top = (round((side - size) / 2.0) for side in target)
    pixels = np.asarray(image.crop((left, top, left + size, top + size))).transpose(2, 0, 1).astype(np.float32)
    mean, std = (np.array(how[name], dtype=np.float32).reshape(3, 1, 1) for name in ("mean", "std"))
    return (pixels / np.float32(255) - mean) / std


class Model:
    """The model in ``folder``. Raises ``Refused`` where a file is not the one that was exported."""

    def __init__(self, folder: Path, threads: int = 0) -> None:
        self.description = read_manifest(folder)["description"]
        self.options = onnxruntime.SessionOptions()
        self.options.log_severity_level, self.options.intra_op_num_threads = 3, min(max(threads, 0), 1024)
        self.options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.encoder = self.session(folder / "encoder.onnx")
        self.search: Any = None
        if self.description["kind"] == "sequence":
            search, arrays = runpy.run_path(str(folder / "search.py")), folder / "decoder.safetensors"
            self.search = search["Searching"](self.session(folder / "step.onnx"), arrays, self.description)
        if read_manifest(folder)["description"] != self.description:  # every file, as a copy replaces one by one
            raise Refused(f"{folder} was exported anew while it was opened. Try: the same again")

    def session(self, path: Path) -> Any:
        """Return ONNX Runtime's session of a file, on the processor."""
        try:
            return onnxruntime.InferenceSession(str(path), self.options, providers=["CPUExecutionProvider"])
        except Exception as error:  # it raises a dozen unrelated classes
            reason = f"{str(error).splitlines()[0]}. Try: a newer onnxruntime, or more memory"
            raise Refused(f"onnxruntime {onnxruntime.__version__} cannot open {path}: {reason}") from None

    def encode(self, pixels: Any, rows: int) -> list[Any]:
        """Return every output of the encoder for (n, 3, size, size) ``pixels``, computed with ``rows`` at once."""
        padded = np.concatenate([pixels, np.zeros((rows - len(pixels), *pixels.shape[1:]), dtype=np.float32)])
        return [output[: len(pixels)] for output in self.encoder.run(None, {"pixels": padded})]

    def answer(self, outputs: list[Any], scores_alone: bool = False) -> tuple[list[int], Any, Any, float | None]:
        """Return of one image, by its encoder outputs, labels' numbers, all scores, its label sequence and log P."""
        description, sequence, log_probability, scores = self.description, None, None, outputs[0]
        if self.search is not None:
            log_probability, sequence, scores = self.search(outputs)
        if np.isnan(scores).any():
            raise Refused("the model's scores are not numbers")
        policy, chosen = (description["policy"] or {}).get("name", ""), list[int]()
        if sequence is not None and policy in {"", "decoded", "exactly-k"}:
            chosen = list(dict.fromkeys(sequence[: description["k"]] if description["cut_to_k"] else sequence))
        elif not scores_alone:  # of which the policy need not be one that this file knows
            taken = label_set(scores, description, outputs[1] if description["kind"] == "sets" else None)
            chosen = [label for label in ranked(scores, calibrated(scores, description)) if taken[label]]
        return chosen, scores, sequence, log_probability


def ranked(scores: Any, fitted: Any = None) -> list[int]:
    """Return label numbers, best first: by probabilities, if ``fitted``, then by scores; ties go to the lower."""
    return [int(label) for label in np.lexsort((-scores, -(scores if fitted is None else fitted)))]


def label_set(scores: Any, description: dict[str, Any], own: Any) -> Any:
    """Return the label set that the description's policy reads off the scores of one image, (labels,) bool."""
    policy, best = description["policy"] or {}, np.zeros(len(scores), dtype=bool)
    name, of = policy.get("name", ""), policy.get("distribution", "")
    best[ranked(scores)[: description["k"]]] = True
    if not of and name in {"", "exactly-k", "natural-threshold", "own"}:
        if own is not None and name in {"", "own"}:
            return own
        least = description["threshold"] if name == "natural-threshold" else None
        return best if least is None else best & (scores >= least)
    state, largest = state_of(description), np.finfo(np.float32).max
    scores = np.clip(scores, -largest, largest)
    if not of and "thresholds" in state:  # chosen for goals; the largest number is of a label that is never predicted
        return (scores >= state["thresholds"]) & (state["thresholds"] < largest)
    if of == "multilabel-bench" and name in {"threshold", "thresholds"}:
        return scores >= state[name]
    if of == "multilabel-bench" and name == "at-most-k":
        best[ranked(scores)[int(state["k"]) :]] = False
        return best & (scores >= state["threshold"])
    if of == "multilabel-bench" and name == "count":
        inputs = np.clip(-np.sort(-scores)[: len(state["mean"])].astype(np.float64), -1e6, 1e6)
        exponent = ((inputs - state["mean"]) / state["deviation"] * state["weights"][1:]).sum() + state["weights"][0]
        expected = min(np.exp(np.clip(exponent, -30.0, 30.0)), float(state["most"]))
        chosen = ranked(scores)[: max(math.floor(float(state["factor"]) * expected + 0.5), 0)]
        return np.isin(np.arange(len(scores)), chosen)
    raise Refused(f"policy '{name}' of {of or 'a newer bench'} is not here. Try: --top-k 3, or bench predict")


def state_of(description: dict[str, Any]) -> dict[str, Any]:
    """Return the arrays that the description's policy chose on the validation part."""
    stored = (description["policy"] or {}).get("state", {}).items()
    return {key: np.array(one["values"], one["dtype"]).reshape(one["shape"]) for key, one in stored}


def calibrated(scores: Any, description: dict[str, Any]) -> Any:
    """Return the probabilities, as they were calibrated, of one image's scores (labels,); ``None`` where none were."""
    state, values = state_of(description), np.asarray(scores, dtype=np.float64)
    if "calibration_temperature" in state:
        if description["score_kind"] == "probability":  # whose logits are cut at 30: those of 0 and 1 have no end
            values = np.clip(np.log(np.maximum(values, 1e-99)) - np.log1p(-np.minimum(values, 1 - 1e-16)), -30.0, 30.0)
        return np.exp(-np.logaddexp(0.0, -values / state["calibration_temperature"])).astype(np.float32)
    if "calibration_starts" not in state:
        return None
    starts, x, y = (state[f"calibration_{name}"] for name in ("starts", "x", "y"))
    parts = list(map(slice, starts[:-1], starts[1:])) * (1 if len(starts) > 2 else len(values))
    return np.array([np.interp(one, x[part], y[part]) for one, part in zip(values, parts, strict=True)], np.float32)


def probabilities(scores: Any, kind: str) -> list[float] | None:
    """Return scores as probabilities; ``None`` where they are none."""
    values = np.asarray(scores, dtype=np.float64)
    logs = {"logit": -np.logaddexp(0.0, -values), "log_probability": values}
    return None if kind == "margin" else [float(one) for one in (np.exp(logs[kind]) if kind in logs else values)]


def find(arguments: list[str]) -> Iterator[tuple[str, str]]:
    """Yield each image file as it was named, and those below a folder by their endings, with what is wrong with it."""
    known = {end for end, by in Image.registered_extensions().items() if by in Image.OPEN} | {".heic", ".heif", ".hif"}
    for name, argument in zip(arguments, map(Path, arguments), strict=True):
        if not name or not argument.is_dir():  # of an empty name, pathlib makes the current folder
            yield name, "" if argument.is_file() else "no such file" if name else "an empty name"
            continue
        found, failures = list[Path](), list[OSError]()
        for here, below, names in os.walk(argument, onerror=failures.append):
            below[:] = sorted(name for name in below if not name.startswith("."))
            found += [Path(here, one) for one in sorted(names) if one[0] != "." and Path(one).suffix.lower() in known]
        rows = [(str(path), "" if path.is_file() else "no file") for path in found]
        rows += [(str(failure.filename), str(failure.strerror)) for failure in failures]
        yield from rows or [(str(argument), "no image file in this folder or below it, by the endings of their names")]


def label(model: Model, paths: list[tuple[str, str]], top_k: int | None, threshold: float | None) -> Iterator[Any]:
    """Yield a row of ``FIELDS`` for each image, in order; ``error`` is why it could not be read."""
    rows, how = min(BATCH, len(paths)), model.description["preprocessing"]

    def read(source: tuple[str, str]) -> Any:
        try:
            return source[1] or preprocess(open_rgb(Path(source[0])), how)
        except Refused as reason:
            return str(reason)

    with ThreadPoolExecutor(model.options.intra_op_num_threads or os.cpu_count()) as pool:
        for start in range(0, len(paths), rows):
            batch = paths[start : start + rows]
            found = list(pool.map(read, batch))
            readable = [pixels for pixels in found if not isinstance(pixels, str)]
            outputs = iter(zip(*model.encode(np.stack(readable), rows), strict=True)) if readable else iter(())
            for (name, _), pixels in zip(batch, found, strict=True):
                if isinstance(pixels, str):
                    yield dict.fromkeys(FIELDS) | {"image": name, "error": pixels}
                else:
                    yield row(model, name, list(next(outputs)), top_k, threshold)


def row(model: Model, image: str, outputs: list[Any], top_k: int | None, threshold: float | None) -> dict[str, Any]:
    """Return the row of one image: its label set, or the ``top_k`` best labels, or those that reach ``threshold``."""
    description, asked = model.description, top_k is not None or threshold is not None
    chosen, scores, _, log_probability = model.answer(outputs, asked)
    likely, fitted = probabilities(scores, description["score_kind"]), calibrated(scores, description)
    likely = likely if fitted is None else fitted
    if asked:
        reached = np.asarray(scores if likely is None else likely) >= (-np.inf if threshold is None else threshold)
        chosen = [one for one in ranked(scores, fitted)[:top_k] if reached[one]]
    labels, numbers = [description["labels"][one] for one in chosen], [float(scores[one]) for one in chosen]
    own = None if likely is None else [float(likely[one]) for one in chosen]
    return dict(zip(FIELDS, (image, labels, numbers, own, log_probability, None), strict=True))


def line(found: dict[str, Any]) -> str:
    """Return a row for people, with what would steer a terminal escaped."""
    pairs = zip(found["labels"] or (), found["probabilities"] or found["scores"] or (), strict=True)
    labels = ", ".join(f"{name} {value:.2f}" for name, value in pairs) or "no label"
    text = f"{found['image']}: {labels if found['error'] is None else 'not read: ' + found['error']}"
    return plain(text).replace("\n", r"\n").replace("\t", r"\t")


def plain(text: str) -> str:
    """Return ``text`` with what steers a terminal or hides text escaped; line breaks and tabs stay."""
    return STEERING.sub(lambda m: r"\u" + r"\u".join(re.findall("....", m[0].encode("utf-16-be", PASS).hex())), text)


def csv_line(cells: Any) -> str:
    """Return a line of CSV: lists joined with ``;``, and no text that a spreadsheet takes for a formula."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow(map(csv_cell, cells))
    return buffer.getvalue()


def csv_cell(cell: Any) -> str:
    """Return a value as a cell; numbers, which no formula hides in, keep their sign."""
    several = cell if isinstance(cell, list) else [] if cell is None else [cell]
    if divided := [one for one in several if one is not cell and isinstance(one, str) and ";" in one]:
        raise Refused(f"label '{plain(divided[0])}' holds ';', by which CSV joins labels. Try: --json")
    joined = ";".join(plain(one) if isinstance(one, str) else f"{one:.6g}" for one in several)
    return f"'{joined}" if several and isinstance(several[0], str) and joined.startswith(FORMULA) else joined


def finite(found: dict[str, Any]) -> dict[str, Any]:
    """Return a row as JSON can hold it: without infinite numbers."""
    lists = {name: cell if isinstance(cell, list) else [cell] for name, cell in found.items()}
    clean = {name: [None if one in {math.inf, -math.inf} else one for one in cell] for name, cell in lists.items()}
    return {name: cell if isinstance(found[name], list) else cell[0] for name, cell in clean.items()}


def texts(rows: Iterator[dict[str, Any]], form: str, unread: list[str]) -> Iterator[str]:
    """Yield what is printed of ``rows`` as ``json``, ``csv`` or ``text``; add to ``unread`` the images of errors."""
    written: dict[str, Any] = {"json": lambda row: json.dumps(finite(row)), "csv": lambda row: csv_line(row.values())}
    if form != "text":
        yield "[\n" if form == "json" else ",".join(FIELDS) + "\n"
    for number, found in enumerate(rows):
        unread += [found["image"]] * (found["error"] is not None)
        before = ",\n" if form == "json" and number else ""
        yield before + written.get(form, line)(found) + ("" if form == "json" else "\n")
    yield "\n]\n" if form == "json" else ""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        print(f"error: {message}. See: predict.py --help", file=sys.stderr)
        sys.exit(2)


def parsed() -> argparse.Namespace:
    """Return the command line's arguments; ends with status 2 where they are wrong."""
    parser = Parser(description="Labels of images, by the model in this program's folder.")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="image files, and folders with all below them")
    form = parser.add_mutually_exclusive_group()
    for name, what in (("json", "a list of records"), ("csv", "a table, a row for each image")):
        form.add_argument(f"--{name}", action="store_const", dest="form", const=name, default="text", help=what)
    parser.add_argument("--top-k", type=int, metavar="K", help="the K best labels in place of the label set")
    parser.add_argument("--threshold", type=float, metavar="T", help="labels of at least this probability (or score)")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="processor threads; 0: all cores")
    asked = parser.parse_args()
    if asked.top_k is not None and asked.top_k < 1:
        parser.error(f"--top-k: found {asked.top_k}, allowed: whole numbers from 1")
    if not math.isfinite(asked.threshold or 0):
        parser.error(f"--threshold: found {asked.threshold}, allowed: finite numbers")
    return asked


def main() -> int:
    """Label the images named on the command line and return the exit status."""
    if sys.version_info < (3, 10):  # noqa: UP036 - nobody's installer has checked it here
        print(f"error: found Python {sys.version.split()[0]}. Try: Python 3.11 or newer", file=sys.stderr)
        return 2
    asked, unread = parsed(), list[str]()
    for name in ("stdout", "stderr"):  # one that was closed swallows what is written
        setattr(sys, name, getattr(sys, name) or Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        getattr(sys, name).reconfigure(errors="backslashreplace")
    warnings.filterwarnings("ignore", module=r"PIL\.")
    try:
        model, paths = Model(Path(__file__).resolve().parent, asked.threads), list(find(asked.images))
        sys.stdout.writelines(texts(label(model, paths, asked.top_k, asked.threshold), asked.form, unread))
        sys.stdout.flush()
    except (Refused, OSError, KeyboardInterrupt) as ended:
        if not isinstance(ended, Refused):  # what waits to be written is not tried again
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if quiet := {KeyboardInterrupt: 130, BrokenPipeError: 141}.get(type(ended)):
            return quiet
        where = getattr(ended, "filename", None) or "cannot write"  # of what is printed there is no name
        print(f"error: {f'{where}: {ended.strerror}' if isinstance(ended, OSError) else ended}", file=sys.stderr)
        return 2
    if unread:
        print(f"{len(paths) - len(unread)} of {len(paths)} images labelled, {len(unread)} not read", file=sys.stderr)
    return 1 if unread else 0


if __name__ == "__main__":
    sys.exit(main())

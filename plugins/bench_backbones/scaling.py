"""How a backbone's pictures are scaled: what the user typed, else what the weights' files say, else what is assumed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench import ModelError, Option, OptionValue, Preprocessing, UsageError
from bench_backbones.described import SCALING, Described

if TYPE_CHECKING:
    from fractions import Fraction

AUTO = "auto"
INTERPOLATIONS = ("nearest", "bilinear", "bicubic")
CROPS = ("center", "squash")

OPTIONS = (
    Option(
        "size", 0, "input side in pixels; 0: as the weights' file says, else as is usual for the network", minimum=0
    ),
    Option("mean", "", "of [0, 1] pixels: three numbers or one, comma-separated; empty: as for size"),
    Option("std", "", "of [0, 1] pixels: three numbers or one, comma-separated; empty: as for size"),
    Option(
        "crop",
        AUTO,
        "resize the short side and cut the centre, or squash to a square; auto: as for size",
        choices=(AUTO, *CROPS),
    ),
    Option("crop_pct", 0.0, "input side over resized short side, as 0.875; 0: as for size", minimum=0.0, maximum=1.0),
    Option("interpolation", AUTO, "how pixels are resized; auto: as for size", choices=(AUTO, *INTERPOLATIONS)),
)
"""What a user may type of preprocessing; it wins over every file."""

_OPTION_OF = dict(zip(SCALING, ("size", "crop_pct", "crop", "interpolation", "mean", "std"), strict=True))
_DEFAULTS = {option.name: option.default for option in OPTIONS}
_EXAMPLES = {"size": "224", "crop_pct": "0.875", "crop": "center", "interpolation": "bicubic", "mean": "0.5"}


@dataclass(frozen=True, slots=True)
class Usual:
    """What is taken where neither user nor file says: values by the names of ``SCALING``, and whose they are.

    ``known``: they belong to these very weights, so that nothing is assumed.
    """

    values: Mapping[str, Any]
    source: str
    known: bool


@dataclass(frozen=True, slots=True)
class Scaling:
    """The preprocessing, where each of its values came from in words, and what a user must be told."""

    preprocessing: Preprocessing
    origins: Mapping[str, str]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Choice:
    """One value with its origin in words; ``by`` is who said it: the user, a file, or nobody."""

    value: Any
    origin: str
    by: str


def choose(options: Mapping[str, OptionValue], described: Described | None, usual: Usual) -> Scaling:
    """Return the preprocessing: each value as typed, else as the files of ``described`` say, else as is ``usual``.

    Raises ``UsageError`` for a typed value, ``ModelError`` for a file's, that cannot be read or is not supported.
    """
    chosen = {name: _chosen(name, options, described, usual) for name in SCALING}
    size, crop = chosen["input_size"], chosen["crop_mode"]
    resize = _resize(chosen)
    preprocessing = Preprocessing(
        size=size.value,
        resize=resize.value,
        crop=crop.value,
        interpolation=chosen["interpolation"].value,
        mean=chosen["mean"].value,
        std=chosen["std"].value,
    )
    named = {"size": size, "resize": resize, "crop": crop}
    named |= {name: chosen[name] for name in ("interpolation", "mean", "std")}
    origins = {name: choice.origin for name, choice in named.items()}
    notes = (*_overruled(chosen, described), *_assumed(preprocessing, named, described, usual))
    return Scaling(preprocessing, origins, notes)


def _chosen(name: str, options: Mapping[str, OptionValue], described: Described | None, usual: Usual) -> _Choice:
    option = _OPTION_OF[name]
    typed = options[option]
    if typed != _DEFAULTS[option]:
        text = f"{typed:g}" if isinstance(typed, float) else str(typed)
        return _Choice(_read(name, typed, f"option {option}", UsageError), f"--set backbone.{option}={text}", "user")
    if described is not None and name in described.scaling:
        raw, where = described.scaling[name]
        if name in described.disputed:
            other, elsewhere = described.disputed[name]
            raise ModelError(
                f"weights {described.path}: {where} says {name} {_shown(raw)}, {elsewhere} {_shown(other)}."
                f" Try: --set backbone.{option}={_shown(raw[-1] if name == 'input_size' else raw)}"
            )
        return _Choice(_read(name, raw, f"weights {described.path}: {where}: {name}", ModelError), where, "file")
    value = _read(name, usual.values[name], f"{usual.source}: {name}", ModelError)
    return _Choice(value, usual.source if usual.known else f"assumed: {usual.source}", "")


def _resize(chosen: Mapping[str, _Choice]) -> _Choice:
    """Return the side to resize to, of which ``crop_pct`` is kept; ``Preprocessing`` cuts nothing off a squash."""
    size, crop, share = chosen["input_size"], chosen["crop_mode"], chosen["crop_pct"]
    if crop.value == "squash" and crop.by == "user" and share.by != "user":
        return _Choice(size.value, crop.origin, crop.by)
    if crop.value == "squash" and share.value != 1:
        raise ModelError(
            f"crop_mode squash ({crop.origin}) with crop_pct {float(share.value):g} ({share.origin}) is not supported,"
            " allowed: crop_pct 1. Try: --set backbone.crop_pct=1 or --set backbone.crop=center"
        )
    # As timm's transforms_imagenet_eval: timm/data/transforms_factory.py.
    side = math.floor(size.value / share.value)
    if size.origin == share.origin:
        return _Choice(side, share.origin, share.by)
    return _Choice(side, f"size / crop_pct {float(share.value):.4g}; crop_pct: {share.origin}", share.by)


def _overruled(chosen: Mapping[str, _Choice], described: Described | None) -> list[str]:
    """Return a line for each value of the user's that a file contradicts."""
    lines = []
    for name, choice in chosen.items():
        if described is None or choice.by != "user" or name not in described.scaling:
            continue
        raw, where = described.scaling[name]
        try:
            same = _read(name, raw, name, ModelError) == choice.value
        except ModelError:
            same = False
        if not same:
            lines.append(f"{choice.origin} is taken, though {where} says {name} {_shown(raw)}")
    return lines


def _assumed(
    preprocessing: Preprocessing, named: Mapping[str, _Choice], described: Described | None, usual: Usual
) -> list[str]:
    """Return one line on what is assumed of a file that does not say it, and how to type something else."""
    names = [name for name, choice in named.items() if not choice.by]
    if described is None or usual.known or not names:
        return []
    values = ", ".join(f"{name} {_shown(getattr(preprocessing, name))}" for name in names)
    options = ", ".join(dict.fromkeys("crop_pct" if name == "resize" else name for name in names))
    return [
        f"{described.path.name} does not say how its pictures are scaled; assumed: {values}, as in {usual.source}."
        f" If it was trained otherwise: --set backbone.NAME=VALUE, of {options}"
    ]


def _read(name: str, raw: Any, where: str, error: type[UsageError | ModelError]) -> Any:
    """Return a value in ``Preprocessing``'s form, or raise ``error`` with what is allowed and what to type."""
    readers: Mapping[str, tuple[Callable[[Any], Any], str]] = {
        "input_size": (_side, "3 channels and equal sides, as 3, 224, 224"),
        "crop_pct": (_share, "a number above 0, up to 1"),
        "crop_mode": (lambda value: _one_of(value, CROPS), " or ".join(CROPS)),
        "interpolation": (lambda value: _one_of(value, INTERPOLATIONS), ", ".join(INTERPOLATIONS)),
        "mean": (lambda value: _three(value, -1.0), "one number or three, of pixels in [0, 1]"),
        "std": (lambda value: _three(value, 0.0), "one number or three above 0, of pixels in [0, 1]"),
    }
    read, allowed = readers[name]
    try:
        if isinstance(raw, bool):
            raise TypeError
        return read(raw)
    except (TypeError, ValueError, OverflowError):
        option = _OPTION_OF[name]
        raise error(
            f"{where}: found '{_shown(raw)}', allowed: {allowed}."
            f" Try: --set backbone.{option}={_EXAMPLES.get(option, '0.5')}"
        ) from None


def _side(value: Any) -> int:
    numbers = value if isinstance(value, list | tuple) else (3, value, value)
    channels, height, width = (int(number) for number in numbers)
    if any(float(number) != int(number) for number in numbers) or channels != 3 or height != width or height < 1:
        raise ValueError
    return height


def _share(value: Any) -> float | Fraction:
    from fractions import Fraction

    number = value if isinstance(value, Fraction) else float(_alone(value))
    if not 0 < number <= 1:
        raise ValueError
    return number


def _one_of(value: Any, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise ValueError
    return str(value)


def _three(value: Any, above: float) -> tuple[float, float, float]:
    parts = value.split(",") if isinstance(value, str) else value
    numbers = [float(part) for part in (parts if isinstance(parts, list | tuple) else [parts])]
    first, second, third = numbers * 3 if len(numbers) == 1 else numbers
    # Pixels are divided by 255 first: a mean of 123.7 is one of pixels in 0..255, and would make every picture black.
    if not all(above < number <= 1 for number in numbers):
        raise ValueError
    return first, second, third


def _alone(value: Any) -> Any:
    return value[0] if isinstance(value, list | tuple) and len(value) == 1 else value


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(_shown(part) for part in value)
    from fractions import Fraction

    return f"{float(value):.6g}" if isinstance(value, float | Fraction) else str(value)

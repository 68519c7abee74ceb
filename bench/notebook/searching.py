"""The search for label sequences, for a step network or for any function of the label prefix."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, Literal, TypedDict, Unpack, get_args, get_origin, get_type_hints

import numpy as np

from bench.contracts import HOST_DECODER, StepNetwork
from bench.decode.decoder import TREE_BYTES, Decoded, PrefixTree, decode, decode_each
from bench.decode.search import Array, renormalised
from bench.errors import DataError, ModelError, UsageError, unknown
from bench.external.arrays_at_hand import as_texts
from bench.notebook.arrays import as_array
from bench.records import FloatArray, SearchOptions

Prefix = tuple[int, ...]


class SearchKeywords(TypedDict, total=False):
    """The fields of ``bench.SearchOptions``, which has their meanings and defaults."""

    search: Literal["beam", "exact"]
    beam_width: int
    end_consumes_slot: bool
    mask_repeats: bool
    min_length: int
    max_length: int
    stop: Literal["best", "all"]
    class_score: Literal["max_over_steps", "first_step", "beam_marginal", "inclusion"]
    node_limit: int
    decoder: str


def beam_search(
    network: StepNetwork | Callable[..., Any],
    image_terms: Any = None,
    *,
    start_states: Any = None,
    images: int | None = None,
    ids: Sequence[str] | None = None,
    threads: int = 0,
    **options: Unpack[SearchKeywords],
) -> Decoded:
    """Return the label sequence of each image, its log-probability, and a probability for each label.

    ``network`` is a ``bench.StepNetwork``, with ``image_terms`` (images, D) and ``start_states`` (1, S), or (images, S)
    where it sees the image; the compiled kernel searches, by ``threads`` (0: all cores). Or it is a function of the
    label prefix, a tuple of label indices: it returns the logits of what follows, (labels + 1,), END last.
    Log-probabilities are logits too, and -inf forbids. With ``images=n`` it is given the image's number as well,
    ``function(prefix, image)``; else there is one image. The plain Python search then runs, in float64. The function
    must give the same each time, and is asked for a prefix of an image once, while 256 MiB hold the answers.
    ``ids`` names the images; "0", "1", ... if not given. ``options`` are fields of ``bench.SearchOptions``.

    Raises ``UsageError`` for a wrong option, ``DataError`` for logits or arrays of a wrong shape or with NaN.
    """
    chosen = search_options(options)
    if hasattr(network, "step") and hasattr(network, "output"):
        if images is not None:
            raise UsageError("beam_search: images= is for a function; a step network's image_terms say how many")
        return _by_kernel(network, image_terms, start_states, ids, threads, chosen)
    if not callable(network):
        hint = ". Try: lambda prefix: logits[len(prefix)] for a row for each position" if _is_table(network) else ""
        raise UsageError(
            f"beam_search: found a {type(network).__name__}, allowed: a step network, or a function of the prefix{hint}"
        )
    if image_terms is not None or start_states is not None:
        raise UsageError("beam_search: image_terms and start_states are for a step network, found a function")
    if chosen.decoder != HOST_DECODER:
        raise UsageError(f"beam_search: decoder '{chosen.decoder}' is for a step network, found a function")
    if images is not None and (isinstance(images, bool) or not isinstance(images, int) or images < 1):
        raise UsageError(f"images: found {images!r}, allowed: a whole number from 1")
    names = _names(ids, images or 1)
    first = PrefixLogits(network, None if images is None else 0, chosen)
    later = (PrefixLogits(network, image, chosen, first.end) for image in range(1, images or 1))
    # One at a time, so that what is kept of an image's prefixes goes with its search.
    return decode_each(itertools.chain([first], later), names, first.end, chosen)


def search_options(given: SearchKeywords) -> SearchOptions:
    """Return the options as a record. Raises ``UsageError`` for an unknown one, or a value of another type or range."""
    kinds, known = get_type_hints(SearchOptions), {entry.name: entry for entry in fields(SearchOptions)}
    for name, value in given.items():
        if name not in known:
            raise unknown("search option", name, known)
        kind, minimum = kinds[name], known[name].metadata["minimum"]
        if get_origin(kind) is Literal:
            right, allowed = value in get_args(kind), ", ".join(get_args(kind))
        elif kind is bool:
            right, allowed = isinstance(value, bool), "True or False"
        elif kind is str:
            right, allowed = isinstance(value, str), "text"
        else:
            whole = isinstance(value, int) and not isinstance(value, bool)
            right, allowed = whole and value >= minimum, f"a whole number >= {minimum}"
        if not right:
            raise UsageError(f"search option {name}: found {value!r}, allowed: {allowed}")
    try:
        return SearchOptions(**given)
    except DataError as error:
        raise UsageError(f"search options: {error}") from None


class PrefixLogits:
    """The ``bench.decode.search.NextLabel`` of one image by a user's function, whose answers are checked and kept."""

    def __init__(
        self, function: Callable[..., Any], image: int | None, options: SearchOptions, end: int | None = None
    ) -> None:
        self.options = options
        self._function = function
        self._image = image
        self._known: dict[Prefix, Array] = {}
        self.end = -1 if end is None else end
        first = self._asked(())
        self.end = len(first) - 1
        self._most = max(1, TREE_BYTES // first.nbytes)
        self._known[()] = first

    def __call__(self, prefix: Prefix) -> Array:
        if prefix in self._known:
            logits = self._known[prefix]
        else:
            logits = self._asked(prefix)
            if len(self._known) < self._most:
                self._known[prefix] = logits
        return renormalised(logits.copy(), prefix, self.options)

    def _asked(self, prefix: Prefix) -> Array:
        """Return the function's answer as float64, or raise ``DataError`` naming the prefix."""
        where = f"logits after prefix {prefix}" + ("" if self._image is None else f" of image {self._image}")
        array = as_array(self._function(prefix) if self._image is None else self._function(prefix, self._image), where)
        if array.dtype.kind not in "iuf":
            raise DataError(f"{where} are {array.dtype}, must be numbers")
        if array.ndim != 1 or len(array) < 2 or self.end not in {-1, len(array) - 1}:
            allowed = "(labels + 1,)" if self.end == -1 else f"({self.end + 1},), as before"
            raise DataError(f"{where}: found shape {array.shape}, allowed: {allowed}")
        with np.errstate(over="ignore"):
            # A copy, as the user may give one array again and again, filled anew.
            logits = np.array(array, dtype=np.float64)
        if np.isnan(logits).any() or np.isposinf(logits).any():
            raise DataError(f"{where} hold NaN or +infinity; -infinity forbids a label")
        return logits


def _by_kernel(  # noqa: PLR0917
    network: Any, image_terms: Any, start_states: Any, ids: Sequence[str] | None, threads: int, options: SearchOptions
) -> Decoded:
    if image_terms is None or start_states is None:
        raise UsageError(
            "beam_search: a step network needs image_terms, (images, D), and start_states, (1, S) or (images, S)"
        )
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 0:
        raise UsageError(f"threads: found {threads!r}, allowed: a whole number >= 0; 0: all cores")
    terms, states = (
        _float32(array, name) for array, name in ((image_terms, "image_terms"), (start_states, "start_states"))
    )
    width, images = np.shape(network.output)[1], len(terms)
    if terms.shape[1] != width:
        raise DataError(f"image_terms are {terms.shape}, must be (images, {width}) as the network's output embedding")
    allowed = images if network.sees_image else 1
    if len(states) != allowed:
        raise DataError(f"start_states have {len(states)} rows, must be {allowed}: sees_image is {network.sees_image}")
    try:
        tree = PrefixTree(network, states.shape[1])
    except (ValueError, TypeError) as error:
        raise ModelError(f"step network: {' '.join(str(error).split())}") from None
    return decode(network, terms, states, _names(ids, images), options, threads=threads, tree=tree)


def _float32(value: Any, name: str) -> FloatArray:
    array = as_array(value, name)
    if array.ndim != 2 or array.dtype.kind != "f":
        raise DataError(f"{name} is {array.dtype} of shape {array.shape}, must be floating-point with two axes")
    narrow: FloatArray = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(narrow).all():
        raise DataError(f"{name} holds NaN, infinity, or a number beyond float32")
    return narrow


def _names(ids: Sequence[str] | None, images: int) -> tuple[str, ...]:
    names = tuple(map(str, range(images))) if ids is None else as_texts(ids, "ids")
    if len(names) != images:
        raise DataError(f"ids: found {len(names)} names for {images} images")
    return names


def _is_table(value: Any) -> bool:
    return isinstance(value, (list, tuple)) or hasattr(value, "__array__")

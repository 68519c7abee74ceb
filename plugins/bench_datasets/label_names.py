"""Label names looked at before they become columns: what stands for no label, what looks the same, what is no name."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from bench import DataError, Option, OptionValue
from bench_datasets.cells import NUMBER, canonical
from bench_datasets.joined_names import hint, of_others, unsplit
from bench_datasets.mask_words import images_and_masks
from bench_datasets.typed import as_typed
from bench_datasets.valued_names import BY_CHANCE, not_there, numbered, valued, with_and_without, yes_or_no

if TYPE_CHECKING:
    from bench_datasets.own_images import Part

ODD_NAMES = Option(
    "odd_names",
    "error",
    "label names that look like a mistake (nan, ['a', a|b, Dog beside dog): refuse, or keep them and say so",
    choices=("error", "keep"),
)
NO_LABEL = Option("no_label", "", "label names that mean that there is none, as in No Finding; several: separated by ;")
KEEP_ODD = f"--set dataset.{ODD_NAMES.name}=keep"

NOTHING = frozenset(
    {"nan", "none", "null", "nil", "n/a", "n.a.", "na", "#n/a", "undefined", "nat", "-", "?", "[]", "{}"}
    | {"\\n", "frozenset()"}  # of a dump of MySQL, and of an empty set in Python
    | {"#name?", "#ref!", "#value!", "#div/0!", "#num!", "#null!"}  # what spreadsheets make of a formula that fails
)
MEANS_NONE = re.compile(
    r"\W?(no|none|nothing|no(label|finding)s?|normal|negative|background|un(labell?|tagg|annotat|classifi|categori[sz])ed"
    r"|unknown|empty|blank|missing|void|skip(ped)?|not (labell?ed|annotated|tagged|available|applicable|specified))\b.*"
)
"""Names, as ``look`` has them, that may mean that there is no label."""
PIECE_OF_LIST = re.compile(r"""[\[({]\s*['"].*|.*['"]\s*[\])}]|b?(['"]).*\1|\w+\(\s*[\[({].*\)""", re.DOTALL)
"""Also what Python prints of others than lists: frozenset({'a'}), array(['a'], dtype=object), b'a'."""
ZEROS_AND_ONES = re.compile(r"[01]([ ,|/_-][01])+|[01]{3,}")
PAIRS = (("[", "]"), ("(", ")"), ("{", "}"), ('"', '"'), ("'", "'"))
"""What a list, or a quoted text, begins and ends with."""

STOPS = ".,:;!?\u201c\u201d\u2018\u2019\u201e\u00ab\u00bb"
"""Stops and quotes, which may stand around a name."""

ENTRY = re.compile(r"\A\d{1,3}[.)]\s+(?=\S)")
"""The number of an entry, as in 2. cat."""

WRAPPED = re.compile(r"\A[\[({<`](\w.*\w)[\])}>`]\Z", re.DOTALL)
"""A name in brackets, which may say that it is not sure, and stands without them elsewhere."""

SPOILT = {
    "holds a letter that was lost": re.compile("\ufffd"),
    "holds a letter as HTML writes it": re.compile(r"&(amp|lt|gt|quot|apos|nbsp|#x?[0-9a-f]+)(;|$)", re.IGNORECASE),
    "ends where it was cut": re.compile(r"\w\s*(\u2026|\.\.\.)\Z"),
}
"""What a decoder puts where it knows no letter; HTML, whose semicolon may have been one between names; a short cell."""

BRACKETED = re.compile(r"\[.*\]|\{.*\}|\(.*\)", re.DOTALL)
MANY = 10
"""Labels that may not all be on one image each; images of which all say something of labels."""

Places = Mapping[str, str]


def cleaned(parts: Mapping[str, Part], options: Mapping[str, OptionValue], separator: str | None) -> dict[str, Part]:
    """Return ``parts`` with label names in one Unicode form, without those that mean none; odd ones are refused.

    ``separator`` is what texts were split at, ``None`` where names were no texts. Raises ``DataError`` with places.
    """
    none = meaning_none(options)
    result = {key: _without(part, none) for key, part in parts.items()}
    places: dict[str, str] = {}
    for part in result.values():
        for row, labels in enumerate(part.labels):
            for label in labels:
                if label not in places:
                    places[label] = part.place(row)
    sets = [labels for part in result.values() for labels in part.labels]
    vain = none and none - {composed(name) for part in parts.values() for labels in part.labels for name in labels}
    notes = (*check(places, sets, options, separator), *_of_none(none, vain, places, options))
    first = next(iter(result))
    return {**result, first: replace(result[first], notes=(*result[first].notes, *notes))}


def meaning_none(options: Mapping[str, OptionValue]) -> set[str]:
    """Return the names that mean no label, by the option ``no_label``."""
    return {composed(name) for name in str(options.get("no_label", "")).split(";") if name.strip()}


def _of_none(none: set[str], vain: set[str], places: Places, options: Mapping[str, OptionValue]) -> tuple[str, ...]:
    """Return notes on names for no label that are in ``vain``; raise ``DataError`` for one written otherwise, too."""
    for name in sorted(none):
        label = next((label for label in places if look(label) == look(name)), "")
        if label and (name in vain or str(options.get("odd_names", "error")) == "error"):
            others = [
                other for other in str(options["no_label"]).split(";") if composed(other) not in {"", *({name} & vain)}
            ]
            what = f"no image has '{name}'" if name in vain else f"some images have '{name}'"
            keep = "" if name in vain else f", or, if it is as you mean it: {KEEP_ODD}"
            raise DataError(
                f"{what} of --set dataset.no_label, and '{label}' ({places[label]}) looks the same."
                f" Try: {as_typed('no_label', ';'.join([*others, label]))}{keep}"
            )
    return tuple(f"no image has '{name}' of --set dataset.no_label" for name in sorted(vain))


def composed(name: str) -> str:
    """Return a name without blanks around it, in Unicode's composed form: a Mac's and a web form's are one name."""
    return unicodedata.normalize("NFC", name).strip()


def _without(part: Part, none: set[str]) -> Part:
    labels = []
    forms = 0
    for row, names in enumerate(part.labels):
        forms += any(composed(name) != name for name in names)
        found = tuple(dict.fromkeys(map(composed, names)))
        kept = tuple(name for name in found if name not in none)
        # Lists of numbers are filled up to one length with -1, which says nothing of the labels beside it.
        odd = next((name for name in found if name in none and not _below_zero(name)), "")
        if kept and odd:
            told = f"{part.place(row)}: '{odd}' means no label, and '{kept[0]}' stands beside it"
            raise DataError(f"{told}. Try: take one of them out, or without dataset.no_label, as a label like others")
        labels.append(kept)
    note = f"{part.name}: label names of {forms:,} images brought to one Unicode form" if forms else ""
    return replace(part, labels=labels, notes=(*part.notes, *filter(None, [note])))


def check(
    places: Places, sets: Collection[Sequence[str]], options: Mapping[str, OptionValue], separator: str | None
) -> tuple[str, ...]:
    """Return notes on the names ``places``; raise ``DataError`` for the first odd one, unless the options keep them."""
    counts = Counter(len(labels) for labels in sets if labels)
    single = set(counts) == {1}
    beside = {label for labels in sets if len(labels) > 1 for label in labels}
    values = valued(places) or ([] if single else numbered(places, sets))
    of_texts = [*_pieces(places), *_values(places, single), *values] if separator is not None else []
    odd = [
        *_nothing(places, beside, options),
        *_spoilt(places),
        *_alike(places),
        *_of_another_encoding(places, options),
        *of_texts,
        *unsplit(places, single, separator),
        *(_of_masks(places) if single else ()),
        *(_of_one_image(places, sets, options) if single and separator is not None else ()),
    ]
    if odd and str(options.get("odd_names", "error")) == "error":
        raise DataError(f"{odd[0]} or, if it is as you mean it: {KEEP_ODD}")
    # Where no image has two labels, a number is as often part of a name, as in 2 euro and Corsa (2015).
    told = [*odd, *(values if separator is None else []), *(numbered(places, sets) if single and not values else [])]
    notes = [message.partition(" Try: ")[0] for message in told]
    if single and len(places) > 1:
        notes.append("no image has more than one label" + hint(places, separator))
    if set(counts) == {len(places) / 2} and len(places) > 2 and counts.total() >= MANY:
        notes += _one_of_each_pair(places, [set(labels) for labels in sets if labels])
    if single and len(places) == 2 and yes_or_no(places) and "label_columns" in options:
        both = " and ".join(sorted(places))
        notes.append(f"if {both} say whether one label is there: --set dataset.label_columns=NAME, its column")
    notes += [*not_there(places), *of_others(places, single, separator), *with_and_without(places, sets)]
    notes += [f"label '{name}' holds a character that is not seen: {name!a}" for name in places if _unseen(name)]
    if "no_label" in options:
        before = f"{options['no_label']};" if options["no_label"] else ""
        notes += [
            f"if label '{name}' means that there is none: {as_typed('no_label', before + name)}"
            for name in dict.fromkeys((*filter(_means_none, places), *_never_beside(places, beside, sets)))
            if name not in beside
        ]
    return tuple(notes)


def _one_of_each_pair(places: Places, sets: Sequence[Set[str]]) -> list[str]:
    """Return a note where all labels go in pairs of which each image with labels has one, as dog=oui and dog=non."""
    on = {name: frozenset(row for row, labels in enumerate(sets) if name in labels) for name in places}
    named = {rows: name for name, rows in on.items()}
    every = frozenset(range(len(sets)))
    if not all(every - rows in named for rows in named):
        return []
    first, other = next((name, named[every - rows]) for name, rows in on.items())
    told = f"of '{first}' and '{other}', and of all pairs as these, each image with labels has one"
    return [f"{told}: does one of them say that something is not there?"]


def _never_beside(places: Places, beside: Set[str], sets: Collection[Sequence[str]]) -> list[str]:
    """Return the only name that never stands beside another, where it has so many images that this is no chance."""
    never = [name for name in places if name not in beside]
    if len(never) != 1 or not beside:
        return []
    others = [len(labels) for labels in sets if labels and never[0] not in labels]
    times = sum(never[0] in labels for labels in sets)
    alone = (others.count(1) + 1) / (len(others) + 2)  # a share of few images says little
    return never if alone**times * len(places) < BY_CHANCE else []


def _nothing(places: Places, beside: Set[str], options: Mapping[str, OptionValue]) -> list[str]:
    before = f"{options['no_label']};" if options.get("no_label") else ""
    # A table's empty cells filled up, where other labels are names; of digits there would be more.
    filled = [name for name in places if canonical(name) in {"0", "false"}]
    filled = filled if not any(NUMBER.fullmatch(name) for name in places if name not in filled) else []
    filled = filled if len(filled) < len(places) else []
    # A dash or dots, in whatever form, where there is one such name: several are what pictures of writing show.
    marks = [name for name in places if not any(unicodedata.category(letter)[0] in "LMNS" for letter in name)]
    filled += marks if len(marks) == 1 and beside.isdisjoint(marks) else []
    return [
        f"{place}: label {name!r} looks like an empty cell. Try:"
        + (f" {as_typed('no_label', before + name)} for no label," if "no_label" in options else " take it out,")
        for name, place in places.items()
        if is_nothing(name) or _below_zero(name) or name in filled
    ]


def is_nothing(text: str) -> bool:
    r"""Return whether a text is what programs write for nothing, perhaps in brackets.

    >>> [is_nothing(text) for text in ("NULL", "(null)", "<NA>", "[None]", "n.a.", r"\N", "Na+", "[nano]")]
    [True, True, True, True, True, True, False, False]
    """
    small = text.lower()
    return small in NOTHING or small.strip("()<>[]{}'\"") in NOTHING


def _means_none(name: str) -> bool:
    return MEANS_NONE.fullmatch(look(name)) is not None


def _below_zero(name: str) -> bool:
    """Return whether a name is a negative whole number, which is nothing's name but a mark for no label."""
    return canonical(name).startswith("-") and NUMBER.fullmatch(name) is not None


def _alike(places: Places) -> list[str]:
    """Return a message for each pair of names that differ in case, blanks, alphabet or what is not seen alone."""
    found: dict[str, str] = {}
    messages = []
    for name in places:
        others = [found.setdefault(look(form), name) for form in (name, name.translate(LATIN), _decoded(name))]
        other = next((one for one in others if one != name), name)
        if other != name:
            messages.append(
                f"labels {other!r} ({places[other]}) and {name!r} ({places[name]}) look the same"
                f"{': ' + ascii(other) + ', ' + ascii(name) if not (other + name).isascii() else ''}."
                " Try: write them alike,"
            )
    return messages


LATIN = {
    ord(other): latin
    for ours, others in (
        # Cyrillic capitals
        (
            "ABEKMHOPCTXYIJS",
            "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0425\u0423\u0406\u0408\u0405",
        ),
        # Cyrillic small letters
        (
            "aeopcyxijsdhqw",
            "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u0501\u04bb\u051b\u051d",
        ),
        # Greek
        (
            "ABEZHIKMNOPTYXo",
            "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03bf",
        ),
    )
    for latin, other in zip(ours, others, strict=True)
}
"""Letters of other alphabets that are drawn as a Latin one is, so that a word of them cannot be told from another."""


def look(name: str) -> str:
    """Return what a reader sees of a name: no case, no kind of blank, no stop or quote around it, nothing not seen."""
    if NUMBER.fullmatch(name):
        return canonical(name)
    text = unicodedata.normalize("NFKC", name).casefold()
    text = "".join(letter for letter in text if unicodedata.category(letter) != "Cf")
    text = " ".join(re.sub(r"[\s_-]+", " ", text).split())
    return text.strip(STOPS).strip() or text


def _decoded(name: str) -> str:
    """Return a name without an entry's number, brackets around it, and what programs write for others' letters.

    >>> _decoded("salt &amp; pepper"), _decoded("fire%20truck"), _decoded("caf\u00c3\u00a9"), _decoded("2. cat")
    ('salt & pepper', 'fire truck', 'caf\u00e9', 'cat')
    """
    from html import unescape

    text = name
    try:
        text = unquote(unescape(WRAPPED.sub(r"\1", ENTRY.sub("", name))))
        return text.encode("cp1252").decode()
    except ValueError:  # no letters of that encoding, or a number of thousands of digits
        return text


def _spoilt(places: Places) -> list[str]:
    """Return a message for each name of which a letter was lost, or cut at a separator or a length."""
    return [
        f"{place}: label '{name}' {what}. Try: write it as it is read,"
        for name, place in places.items()
        for what, form in SPOILT.items()
        if form.search(name)
    ]


def _of_another_encoding(places: Places, options: Mapping[str, OptionValue]) -> list[str]:
    """Return a message for the first name that is UTF-8 which was read, or written, as another encoding."""
    told = str(options.get("encoding") or "utf-8").lower() not in {"utf-8", "utf8"}
    remedy = "--set dataset.encoding=utf-8," if told else "write it as it is read,"
    for name, place in places.items():
        for encoding in ("cp1252", "latin-1") if not name.isascii() else ():
            try:
                text = name.encode(encoding).decode()
            except ValueError:
                continue
            return [f"{place}: label '{name}' is perhaps '{text}', read as {encoding}. Try: {remedy}"]
    return []


def _unseen(name: str) -> bool:
    return any(unicodedata.category(letter) in {"Cf", "Cc"} or letter == "\xa0" for letter in name)


def _pieces(places: Places) -> list[str]:
    """Return a message for each piece of what was to be one cell: of [dog, sofa], split at the comma, [dog is one."""
    halves: set[str] = set()
    for begin, end in PAIRS:
        begun = {
            name for name in places if name.startswith((begin, f"b{begin}")) and end not in name.removeprefix("b")[1:]
        }
        ended = {name for name in places if name.endswith(end) and begin not in name[:-1]}
        halves |= begun if ended else set()
    # Dog, Bird (small, brown), split at the comma; :( and :) are names of smileys.
    opened = {name for name in places if re.search(r"\(\w[^()]*$", name)}
    closed = {name for name in places if re.search(r"^[^()]*\w\)$", name)}
    halves |= opened if closed else set()
    return [
        f"{place}: label {name} looks like a piece of a list or quoted text."
        " Try: write dog;sofa, or a whole list as ['dog', 'sofa'],"
        for name, place in places.items()
        if name in halves or PIECE_OF_LIST.fullmatch(name)
    ]


def _values(places: Places, single: bool) -> list[str]:
    """Return a message where names are zeros and ones only, or are all in brackets, as lists are.

    Spreadsheets leave out the first zeros: then they are of several lengths, and one an image.
    """
    name, place = next(iter(places.items()), ("", ""))
    zeros = all(ZEROS_AND_ONES.fullmatch(other) for other in places) and len({len(other) for other in places}) == 1
    cut = single and all({*other} <= {"0", "1"} for other in places) and max(map(len, places), default=0) > 2
    zeros = zeros or (cut and len(places) > 2)
    several = any(re.search(r"[,\s]", other) for other in places)
    bracketed = several and all(BRACKETED.fullmatch(other) for other in places)
    if not places or not (zeros or bracketed):
        return []
    what = "0 and 1 for each label" if zeros else "a list"
    form = "0;1;1, and --set dataset.labels_are=multi-hot" if zeros else "dog;sofa, or ['dog', 'sofa']"
    return [f"{place}: label '{name:.60}' looks like {what}. Try: write {form}"]


def _of_masks(places: Places) -> list[str]:
    """Return a message where names are those of folders of images and of their masks, which Hugging Face's are of."""
    images, masks = images_and_masks(places)
    told = (
        f"labels '{images}' and '{masks}' are called as folders of images and of masks. Are they labels? Try: others,"
    )
    return [f"{places[images]}: {told}"] if images else []


def _of_one_image(places: Places, sets: Collection[Sequence[str]], options: Mapping[str, OptionValue]) -> list[str]:
    """Return a message where every label is on one image alone, which has no other, as names and captions are."""
    name, place = next(iter(places.items()))
    if len(places) < MANY or len(places) < sum(map(bool, sets)):
        return []
    remedy = "--set dataset.labels_column=NAME," if "labels_column" in options else "write names that images share,"
    return [
        f"{place}: label '{name:.60}' is on one image alone, as all labels are{hint(places, ';')}. Is it a label?"
        f" Try: {remedy}"
    ]

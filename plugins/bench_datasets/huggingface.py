"""Data sets of Hugging Face's ``datasets`` library: by name from its hub, or from a folder."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from bench import (
    BenchError,
    DataError,
    Dataset,
    DatasetRequest,
    DatasetSpec,
    EncodedImages,
    NotRun,
    Option,
    UsageError,
    canonical_json,
    digest,
    is_remote,
    progress_shown,
)
from bench_datasets.arrow_columns import (
    IMAGE_COLUMN,
    LABEL_COLUMNS,
    LABELS_COLUMN,
    Columns,
    classes_of,
    content,
    empty_cells,
    features_of,
    find_columns,
    label_values,
    notes_on,
    numbers_of,
    texts_of,
)
from bench_datasets.cells import meanings
from bench_datasets.label_lists import ABSENT, DROP_ABSENT, read_names, separator
from bench_datasets.label_values import LABEL_OPTIONS, LABELS_ARE, named
from bench_datasets.own_images import K, Part, assemble, part_names
from bench_datasets.typed import entries_of

if TYPE_CHECKING:
    import datasets

EXPECTS = (
    "what 'datasets' reads: a folder written by save_to_disk, images with metadata files, or Parquet files;"
    " or name a set of the hub with --set dataset.path=OWNER/NAME"
)
OLDEST = 4
"""Before this version, opening a data set could run code that came with it."""

HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def build(request: DatasetRequest) -> Dataset:
    """Return the data set. Labels are in the order of ``labels.txt`` in the data root, else of their classes."""
    options, title = request.options, str(request.options["path"])
    if bool(title) == (request.root is not None):
        raise UsageError(
            "dataset 'huggingface': found "
            + ("both a hub's name and a folder" if title else "no name and no folder")
            + ". Try: --set dataset.path=OWNER/NAME for a set of the hub, or --data-root DIR"
        )
    where = title or str(request.root)
    loaded = _load(request)
    parts, columns = {}, {}
    for part, name in part_names(request, loaded.__contains__).items():
        parts[part], columns[part] = _part(loaded, name, where, options)
    found = columns["train"]
    if found.each:
        options = {**options, LABELS_ARE.name: "multi-hot"}
    if odd := [part for part, others in columns.items() if others.names != found.names]:
        raise DataError(f"{where}: '{parts[odd[0]].name}' has other classes than '{parts['train'].name}'")
    listed = None if request.root is None else request.root / "labels.txt"
    names = found.names or (read_names(listed, numbered=True) if listed is not None and listed.is_file() else ())
    return assemble(
        "huggingface",
        title or Path(where).absolute().name,
        named(parts, names, options, sure=found.numbers, objects=bool(found.field)),
        options,
        listed=listed,
        names=found.names,
        remedy="Try: --set dataset.labels_column=NAME",
        separator=None if found.numbers or found.each else separator(options),
    )


def _part(
    loaded: Mapping[str, datasets.Dataset], asked: str, where: str, options: Mapping[str, Any]
) -> tuple[Part, Columns]:
    """Return one split, its labels as they stand there, and the columns they were read from."""
    name, start, rows = _select(loaded, asked, where)
    split = f"{where}/{name}"
    schema = rows.features.arrow_schema
    each = entries_of(str(options["label_columns"]))
    columns = find_columns(schema, options["image_column"], options["labels_column"], split, each)
    notes = notes_on(schema, columns, options["labels_column"], split)
    table = rows.with_format("arrow")
    labels = label_values(table.select_columns(columns.read)[:], columns)
    notes += tuple(f"{split}: {note}" for note in empty_cells(labels, columns, meanings(options)))
    images = HuggingFaceImages(table.select_columns([columns.image]), split, start)
    ids = tuple(f"{name}/{start + row}" for row in range(len(rows)))
    return Part(asked, ids, labels, images, lambda row: f"{split} row {start + row}", notes=notes), columns


def _select(loaded: Mapping[str, datasets.Dataset], asked: str, where: str) -> tuple[str, int, datasets.Dataset]:
    """Return a split's name, first row and rows; ``asked`` may be a slice of one, as in ``train[:80%]``."""
    import datasets

    if asked in loaded:
        return asked, 0, loaded[asked]
    try:
        sizes = {name: len(rows) for name, rows in loaded.items()}
        (chosen,) = datasets.ReadInstruction.from_spec(asked).to_absolute(sizes)
    except (ValueError, AssertionError):
        first = next(iter(loaded))
        raise UsageError(
            f"{where}: no split '{asked}', found: {', '.join(loaded)}. Try: --train-split NAME --test-split NAME, or"
            f" parts of one: --train-split '{first}[:80%]' --test-split '{first}[80%:]'"
        ) from None
    rows = loaded[chosen.splitname]
    start, stop = chosen.from_ or 0, len(rows) if chosen.to is None else chosen.to
    return chosen.splitname, start, rows.select(range(start, stop))


def _load(request: DatasetRequest) -> Mapping[str, datasets.Dataset]:
    """Return the splits by name, rows memory-mapped. No code of the data set is run: this version has no way to."""
    try:
        import datasets
        import huggingface_hub
    except ImportError:
        raise NotRun("the package 'datasets' is not installed. Try: pip install 'multilabel-bench[hf]'") from None
    if int(datasets.__version__.partition(".")[0]) < OLDEST:
        raise NotRun(
            f"datasets {datasets.__version__} is installed, and may run code of a data set; needed: {OLDEST} or newer."
            " Try: pip install 'multilabel-bench[hf]'"
        )
    if not progress_shown():
        datasets.disable_progress_bars()
    # What goes wrong is told in one line below; the libraries' own warnings would stand before it.
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    huggingface_hub.logging.set_verbosity(datasets.logging.CRITICAL)
    name, root = str(request.options["path"]), request.root
    if name and not HUB_NAME.fullmatch(name):
        folder = ". It is a folder. Try: --data-root" if Path(name).is_dir() else ""
        raise UsageError(f"dataset.path: found '{name}', allowed: OWNER/NAME as on the hub{folder}")
    if root is not None and is_remote(root):
        raise UsageError(
            f"dataset 'huggingface' reads folders of this machine and the hub, found {root}."
            " Try: --set dataset.path=OWNER/NAME, or copy the folder to a disk"
        )
    try:
        if root is not None and any((root / file).is_file() for file in ("dataset_dict.json", "state.json")):
            found = datasets.load_from_disk(str(root))
        else:
            builder = datasets.load_dataset_builder(
                name or str(root.resolve() if root else ""),
                name=str(request.options["config"]) or None,
                revision=str(request.options["revision"]) or None,
                # The library takes a file for the same as long as its time of modification is, which copies keep.
                cache_dir=str(Path(datasets.config.HF_DATASETS_CACHE) / "bench" / _state(root)) if root else None,
            )
            builder.download_and_prepare()
            _refuse_other_classes(builder)
            found = builder.as_dataset()
    except BenchError:
        raise
    except ConnectionError:
        raise NotRun(f"the Hugging Face hub cannot be reached, and its cache here does not hold '{name}'") from None
    except Exception as error:  # a reader for each format, each with its own errors
        raise DataError(f"'datasets' cannot open {name or root}: {_reason(error)}") from error
    return found if isinstance(found, dict) else {"train": found}


def _refuse_other_classes(builder: datasets.DatasetBuilder) -> None:
    """Raise ``DataError`` where a Parquet file names other classes, or in another order, than its numbers are read by.

    These are the classes of the first file, or of the set's README. Numbers of a file are no names either, where its
    others have texts, which the library makes of them.
    """
    import datasets
    import pyarrow.parquet as pq

    listed = builder.config.data_files or {}  # of what its cache holds and the hub is not asked for, there are none
    files = [str(file) for part in listed.values() for file in part if str(file).endswith(".parquet")]
    features = builder.info.features or datasets.Features({})
    known, texts = classes_of(features.to_dict()), texts_of(features.arrow_schema)
    for file, local in zip(files, datasets.DownloadManager().download(files), strict=True):
        schema = pq.read_schema(local)
        if odd := sorted(texts & numbers_of(schema)):
            raise DataError(f"{file}: column '{odd[0]}' holds {schema.field(odd[0]).type}, that of other files texts")
        for column, names in classes_of(features_of(schema)).items():
            if (others := known.get(column, names)) != names:
                both = f"{', '.join(names):.200}; the numbers would be read as {', '.join(others):.200}"
                raise DataError(f"{file}: the classes of '{column}' are {both}")


def _state(root: Path) -> str:
    """Return the hash of what shows that a file below ``root`` is another one than before."""
    states = []
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        status = path.stat()
        about = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        states.append([str(path.relative_to(root)), *about])
    return digest(canonical_json(states))


def _reason(error: BaseException) -> str:
    """Return the first line of what an error was caused by; the outermost only says that there was one."""
    while error.__cause__ is not None:
        error = error.__cause__
    return next(iter(str(error).splitlines()), type(error).__name__)


@dataclass(frozen=True, slots=True)
class HuggingFaceImages(EncodedImages):
    """The image column of a split, as Arrow; rows are counted from ``start`` for people."""

    rows: datasets.Dataset
    where: str
    start: int = 0

    def __len__(self) -> int:
        return len(self.rows)

    def encoded(self, index: int) -> bytes:
        """Return the cell's bytes, or those of the file it names. Raises ``DataError`` with its row."""
        with self._open(index) as file:
            return file.read()

    def describe(self, index: int) -> str:
        """Return the data set, the split and the row."""
        return f"{self.where} row {self.start + index}"

    def sections(self) -> Iterator[tuple[BinaryIO, int, int]]:
        """Yield each image: its bytes as a file of their own."""
        for index in range(len(self)):
            with self._open(index) as file:
                yield file, 0, file.seek(0, 2)

    def _open(self, index: int) -> BinaryIO:
        """Return the encoded image as an open file."""
        found, path = content(self.rows[index].column(0)[0])
        if found is not None:
            return found
        if not path:
            raise DataError(f"cannot read image {self.describe(index)}: the row holds none")
        # An archive that was not unpacked: zip://photos/1.jpg::/folder/train.zip
        member, _, archive = path.removeprefix("zip://").partition("::")
        if not Path(archive or path).is_file():
            raise DataError(f"cannot read image {self.describe(index)}: no file {archive or path}")
        try:
            if not archive:
                return Path(path).open("rb")
            status = Path(archive).stat()
            return io.BytesIO(_open_zip(archive, status.st_mtime_ns, status.st_ctime_ns).read(member))
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise DataError(f"cannot read image {self.describe(index)}: {error}") from None


@lru_cache(maxsize=4)
def _open_zip(path: str, *_changed: int) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)


SPEC = DatasetSpec(
    name="huggingface",
    summary="data sets of Hugging Face's hub, or folders that its library reads",
    build=build,
    without_absent_labels=DROP_ABSENT,
    options=(
        Option("path", "", "a set of the hub, as OWNER/NAME, where no data root is given"),
        Option("config", "", "the set's configuration (subset); empty: its only one"),
        Option("revision", "", "commit or tag on the hub; empty: the newest"),
        IMAGE_COLUMN,
        LABELS_COLUMN,
        LABEL_COLUMNS,
        *LABEL_OPTIONS,
        K,
        ABSENT,
    ),
    expects=EXPECTS,
    root_optional=True,
    splits=("train", "test"),
    source="docs/your-data.md",
)
